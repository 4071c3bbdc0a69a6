"""The table of wasmtime-py's public names in docs/wasmtime.md: ``python -m tools.wasmtime_table`` writes it anew.

Names, kinds and signatures are read from the installed wasmtime and from :mod:`vibewasm.compat.wasmtime`; what is to be
said of a name stands here. tests/compat/test_surface.py fails when a name is missing or differs without a word about
it, and when the table is not the one that this makes.
"""

from __future__ import annotations

import enum
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "wasmtime.md"
BEGIN, END = "<!-- table: python -m tools.wasmtime_table -->\n", "<!-- end of the table -->\n"

#: Methods with names of the language that are part of the API.
_SPECIAL = ("__call__", "__eq__", "__getitem__", "__enter__", "__exit__")
#: What all exceptions have.
_OF_EXCEPTIONS = frozenset(dir(BaseException))

_NO_C = "there is no C library: refused"
_NO_THREADS = "takes the threads proposal, which is not built: a `SharedMemory` cannot be made"
_REFUSED_IN_MODULES = "a module that uses it is refused, by name"
_ALWAYS = "always there: `False` is refused"

#: What is to be said of names that are not just the same: a word, and why. Names of members stand for their class, too.
NOTES: dict[str, tuple[str, str]] = {
    "Caller": ("same", "what a function gets; it cannot be made, here with an error that says so"),
    "Config.cache": ("same", "of a configuration file `[cache] enabled` and `directory` count"),
    "Config.consume_fuel": ("differs", "an instruction may cost another amount"),
    "Config.cranelift_debug_verifier": ("accepted", ""),
    "Config.cranelift_flag_enable": ("accepted", ""),
    "Config.cranelift_flag_set": ("accepted", ""),
    "Config.cranelift_nan_canonicalization": ("same", "relaxed SIMD is deterministic then, too"),
    "Config.cranelift_opt_level": ("accepted", ""),
    "Config.debug_info": ("differs", "gdb is told of functions by name; there are no lines"),
    "Config.gc_support": ("accepted", ""),
    "Config.macos_use_mach_ports": ("accepted", ""),
    "Config.max_wasm_stack": ("accepted", "wasm code may use the stack of its thread"),
    "Config.memory_guard_size": ("accepted", ""),
    "Config.memory_init_cow": ("accepted", ""),
    "Config.memory_may_move": ("accepted", "no memory moves"),
    "Config.memory_reservation": ("accepted", ""),
    "Config.memory_reservation_for_growth": ("accepted", ""),
    "Config.native_unwind_info": ("accepted", ""),
    "Config.parallel_compilation": ("accepted", ""),
    "Config.profiler": ("differs", '`"jitdump"` and `"perfmap"` are obeyed; an engine with `"vtune"` is refused'),
    "Config.shared_memory": ("accepted", "a `SharedMemory` is refused when it is made"),
    "Config.signals_based_traps": ("differs", "`False` is refused: traps are faults of the processor"),
    "Config.strategy": ("accepted", "the compiler is vibewasm's"),
    "Config.target": ("differs", "Linux on x86-64 and AArch64"),
    "Config.wasm_bulk_memory": ("differs", _ALWAYS),
    "Config.wasm_component_model": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_component_model_implements": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_component_model_map": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_custom_page_sizes": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_exceptions": ("differs", _ALWAYS),
    "Config.wasm_function_references": ("differs", _ALWAYS),
    "Config.wasm_gc": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_memory64": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_multi_memory": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_multi_value": ("differs", _ALWAYS),
    "Config.wasm_reference_types": ("differs", _ALWAYS),
    "Config.wasm_relaxed_simd_deterministic": (
        "differs",
        "`relaxed_madd` rounds twice, as the specification's deterministic profile says; wasmtime's rounds once",
    ),
    "Config.wasm_simd": ("same", "values of type v128 are for wasm code alone, as there"),
    "Config.wasm_stack_switching": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_tail_call": ("differs", _ALWAYS),
    "Config.wasm_threads": ("accepted", _REFUSED_IN_MODULES),
    "Config.wasm_wide_arithmetic": ("accepted", _REFUSED_IN_MODULES),
    "Engine.is_pulley": ("same", "`False`"),
    "ExitTrap": ("differs", "the text has no frames; codes from 126 on are a `WasmtimeError`, as there"),
    "Frame.func_name": ("same", "the text of a trap shows names as they are, where wasmtime demangles them"),
    "Func.__call__": ("same", "with an object of another store it is a `WasmtimeError`; wasmtime ends the process"),
    "Linker.define_unknown_imports_as_traps": ("same", "the error's text has no frames"),
    "Managed.ptr": ("refused", _NO_C),
    "Memory": ("differs", "64-bit and shared memories, and pages of one byte, are refused"),
    "Memory.data_ptr": ("same", "the pointer stays good when the memory grows, and when the store is closed"),
    "Memory.get_buffer_ptr": ("differs", "what is not all inside the memory is a `ValueError`; it outlives the store"),
    "Module": ("differs", "a function is checked and compiled when it is first called"),
    "Module.deserialize": ("same", "takes what vibewasm made, not what wasmtime did"),
    "Module.deserialize_file": ("same", "takes what vibewasm made, not what wasmtime did"),
    "Module.serialize": ("same", "compiles all functions"),
    "SharedMemory": ("refused", _NO_THREADS),
    "SharedMemory.data_len": ("refused", _NO_THREADS),
    "SharedMemory.data_ptr": ("refused", _NO_THREADS),
    "SharedMemory.grow": ("refused", _NO_THREADS),
    "SharedMemory.size": ("refused", _NO_THREADS),
    "SharedMemory.type": ("refused", _NO_THREADS),
    "Store.gc": ("differs", "while a call is active it is a `WasmtimeError`: objects are let go afterwards"),
    "Store.set_epoch_deadline": ("same", "the trap has no frames"),
    "Store.set_fuel": ("differs", "an instruction may cost another amount"),
    "Store.set_wasi_http": ("refused", "it is for components"),
    "StoreContext": ("refused", "functions of components get it, and there are no components"),
    "TrapCode": ("same", "codes of what is not built occur nowhere"),
    "Val.as_funcref": ("differs", "`None` of null, where wasmtime-py has an `AssertionError`"),
    "WasiConfig.preopen_dir": ("same", "also takes `dir_perms` and `file_perms`, by name or by place"),
    "wat2wasm": ("same", "errors have vibewasm's words"),
}

#: Names of versions before 50, which are here as well.
OLDER = {
    "DirPerms": "enum",
    "FilePerms": "enum",
}
#: What is here and there never was.
OURS = {"install": "`import wasmtime` gives this package from then on"}


def surface(module: ModuleType) -> dict[str, str]:
    """The public names of a package, those of classes' members included, and what each is."""
    found: dict[str, str] = {}
    for name in dir(module):
        item = getattr(module, name)
        if name.startswith("_") or inspect.ismodule(item):
            continue
        if not inspect.isclass(item):
            found[name] = f"function{signature(item)}" if inspect.isfunction(item) else "type"
        elif issubclass(item, enum.Enum):
            found[name] = "enum"
        else:
            found[name] = f"class{signature(item.__init__)}"
            found.update({f"{name}.{member}": kind for member, kind in _members(item).items()})
    return found


def _members(cls: type) -> dict[str, str]:
    found = {}
    for name in dir(cls):
        if (name.startswith("_") and name not in _SPECIAL) or name in _OF_EXCEPTIONS - {"__eq__"}:
            continue
        static = inspect.getattr_static(cls, name)
        if name in _SPECIAL and static is inspect.getattr_static(object, name, None):
            continue
        if isinstance(static, property):
            found[name] = "property" if static.fget is not None else "setting"
        elif isinstance(static, classmethod):
            found[name] = f"class method{signature(static.__func__)}"
        elif callable(static):
            found[name] = f"method{signature(static)}"
        else:
            found[name] = "attribute"
    return found


def signature(function: Any) -> str:
    """The parameters of a function without their types; of a method without the first."""
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except ValueError:
        return "()"
    if parameters and parameters[0].name in ("self", "cls"):
        del parameters[0]
    # Two parameters that may have any name: those are of classes that define no constructor.
    if [parameter.kind for parameter in parameters] == [
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ]:
        return "()"
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare)).replace(" ", "").replace(",", ", ")


def table(theirs: dict[str, str]) -> str:
    """The table, in Markdown."""
    rows = ["| name | what it is | here | notes |", "| --- | --- | --- | --- |"]
    for name in sorted(theirs, key=str.lower):
        word, note = NOTES.get(name) or NOTES.get(f"Managed.{name.partition('.')[2]}") or ("same", "")
        rows.append(f"| `{name}` | `{theirs[name]}` | {word} | {note} |")
    for name, kind in OLDER.items():
        rows.append(f"| `{name}` | `{kind}` | same | of versions before 50 |")
    rows += [f"| `{name}` | `function()` | only here | {note} |" for name, note in OURS.items()]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the table into the document."""
    import wasmtime

    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}{table(surface(wasmtime))}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
