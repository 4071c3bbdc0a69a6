"""What a user sees of the package, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vibewasm as vw
from vibewasm.calls.process import HOST

from .wasm import adder

NAMES = {
    "Caller",
    "Config",
    "Console",
    "DecodeError",
    "Dir",
    "Engine",
    "ExceptionRef",
    "ExitTrap",
    "ExportType",
    "Exports",
    "Frame",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "ImportType",
    "Instance",
    "Interrupted",
    "Limits",
    "LinkError",
    "Linker",
    "Memory",
    "MemoryDir",
    "MemoryType",
    "Module",
    "Native",
    "OutOfFuel",
    "ResourceLimits",
    "Store",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Trap",
    "ValType",
    "ValidationError",
    "WasiConfig",
    "WasmError",
    "WasmException",
    "WatError",
    "__version__",
    "deadline",
    "import_name",
    "instantiate",
    "set_async_threads",
}

#: Packages whose names are a part of the interface, and which a prompt does not offer.
PACKAGES = {"importer", "sandbox"}

#: What may be loaded to instantiate a small module and call it. Each module takes as long as compiling fifty
#: instructions, and a fast start is what the engine is for: add what cannot wait until it is met.
STARTED_WITH = """
    abi bundle bundled bundled_command bundled_compiler bundled_linking constant_opcodes errors opcodes types
    api api.config api.engine api.extern api.func api.instance api.instantiation api.module api.store
    backends backends.assembly backends.choices backends.convention backends.operand
    binary binary.decoder binary.leb128 binary.module_info binary.sections binary.support binary.validate
    calls calls.area calls.fast calls.process calls.stubs calls.values
    compiler compiler.choices compiler.environment compiler.instructions compiler.instructions.blocks compiler.locals
    compiler.loop compiler.operand_stack compiler.state
    instances instances.context
    runtime runtime.adapters runtime.blocks runtime.calls runtime.code_memory runtime.context runtime.faults
    runtime.ffi runtime.os_linux
""".split()
#: The same of the backend that runs. What another backend loads is not counted here.
STARTED_WITH_OF = {
    "x86_64": """
        asm asm_mov control encoding fault_handler frames integers processor regs selection signatures stub_frames stubs
        target
    """.split(),
}
#: The same of the standard library, with what these load in turn; atexit only where bytecode may be written.
STARTED_WITH_LIBRARY = "__future__, _ctypes, atexit, faulthandler, gc, os, struct"


def test_the_public_names_are_these_and_all_can_be_loaded() -> None:
    assert set(vw.__all__) == NAMES
    for name in NAMES:
        assert getattr(vw, name) is not None
    # Submodules and what they are loaded with are not among the names that a prompt offers.
    assert {name for name in dir(vw) if not name.startswith("__")} == NAMES - {"__version__"}


def test_type_checkers_and_editors_know_the_same_names() -> None:
    tree = ast.parse(Path(vw.__file__).with_suffix(".pyi").read_text())
    found = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
        if alias.asname == alias.name
    }
    assert found == NAMES - {"__version__"} | PACKAGES


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_packages_of_the_interface_need_no_import_of_their_own(name: str) -> None:
    code = f"import sys, vibewasm; assert vibewasm.{name} is sys.modules['vibewasm.{name}']"
    assert f"vibewasm.{name}" in _modules_after(code)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Instanse'"):
        vw.Instanse  # type: ignore[attr-defined]  # noqa: B018 - the access is what is tested


def _modules_after(code: str) -> set[str]:
    # -S: site may import some of these itself, as with .pth files of editable installs.
    program = f"import sys; sys.path[:0] = {sys.path!r}; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    before = _modules_after("pass")
    assert _modules_after("import vibewasm") - before == {"vibewasm", "__future__"}


def test_nothing_is_loaded_that_a_small_module_does_not_need() -> None:
    code = f"import vibewasm; assert vibewasm.instantiate({adder()!r}).exports.add(2, 3) == 5"
    loaded = _modules_after(code) - _modules_after(f"import {STARTED_WITH_LIBRARY}")
    backend = f"backends.{HOST}"
    ours = {"vibewasm", f"vibewasm.{backend}", *(f"vibewasm.{name}" for name in STARTED_WITH)}
    if HOST in STARTED_WITH_OF:
        ours |= {f"vibewasm.{backend}.{name}" for name in STARTED_WITH_OF[HOST]}
    else:
        # AArch64's wide constants take itertools.
        ours |= {name for name in loaded if name.startswith((f"vibewasm.{backend}.", "vibewasm.runtime.instruction_"))}
        ours.add("itertools")
    assert loaded <= ours


def test_plain_calls_load_nothing_of_asyncio() -> None:
    text = '(module (import "a" "b" (func $b)) (func (export "f") (call $b)))'
    loaded = _modules_after(f"import vibewasm; vibewasm.instantiate({text!r}, {{'a': {{'b': lambda: 5}}}}).exports.f()")
    assert "vibewasm.api.func" in loaded
    ours = {"vibewasm.api.asynchronous", "vibewasm.api.queues"}
    assert not loaded & {"asyncio", "contextvars", "threading", "inspect", *ours}


def test_config_says_what_it_does_not_take() -> None:
    with pytest.raises(ValueError, match="'lazy', 'lazy-translation', 'eager'"):
        vw.Config(compilation="later")
    with pytest.raises(ValueError, match="max_memory"):
        vw.Config(max_memory=-1)
    with pytest.raises(ValueError, match="max_table_elements"):
        vw.Config(max_table_elements=-1)
    assert "fuel=True" in repr(vw.Config(fuel=True))
