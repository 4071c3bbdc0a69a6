"""Modules that want the JavaScript which their toolchain writes beside them: which toolchain it is, by the imports'
names, and what to do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .extern_types import ImportType

#: What no one else calls functions of ``env``: emscripten-core/emscripten, ``src/lib/lib*.js``.
_EMSCRIPTEN = (
    "emscripten_",
    "_emscripten_",
    "invoke_",
    "_embind_",
    "_emval_",
    "__syscall_",
    "__cxa_",
    "__asyncjs__",
    "_abort_js",
    "_localtime_js",
    "_mktime_js",
    "_mmap_js",
    "_munmap_js",
    "_setitimer_js",
    "_tzset_js",
)
#: Characters of the names that Emscripten gives to imports when it makes files small.
_MINIFIED = 3


def _is_emscripten(item: ImportType) -> bool:
    # The second is what dynamic linking takes.
    return (item.module == "env" and item.name.startswith(_EMSCRIPTEN)) or item.module in ("GOT.mem", "GOT.func")


def _is_wasm_bindgen(item: ImportType) -> bool:
    return (
        item.module in ("wbg", "__wbindgen_placeholder__", "__wbindgen_externref_xform__")
        or item.module.endswith("_bg.js")
        or item.name.startswith(("__wbindgen_", "__wbg_"))
    )


def _is_go(item: ImportType) -> bool:
    return item.module in ("gojs", "go") or item.name.startswith("syscall/js.")


def _is_assemblyscript(item: ImportType) -> bool:
    # The message, the file, line and column. Others have an abort without arguments.
    return (item.module, item.name, str(item.type)) == ("env", "abort", "(i32, i32, i32, i32) -> ()")


_EMSCRIPTEN_ADVICE = "emcc -sSTANDALONE_WASM -o NAME.wasm, or clang of the WASI SDK"

#: Whether an import is a toolchain's own, the toolchain, and how it compiles for WASI.
_TOOLCHAINS: list[tuple[Callable[[ImportType], bool], str, str]] = [
    (_is_wasm_bindgen, "wasm-bindgen", "without wasm-bindgen: cargo build --target wasm32-wasip1"),
    (_is_emscripten, "Emscripten", _EMSCRIPTEN_ADVICE),
    (_is_go, "Go", "GOOS=wasip1 GOARCH=wasm go build, or tinygo build -target=wasip1"),
    (_is_assemblyscript, "AssemblyScript", "with @assemblyscript/wasi-shim, or asc --use abort="),
]


def advice(imports: Sequence[ImportType], missing: Sequence[ImportType]) -> str:
    """Whose JavaScript a module wants, and what to do, as a line; nothing where its imports do not tell.

    Args:
        imports: all imports of the module.
        missing: those that nothing is there for.
    """
    for known, toolchain, how in _TOOLCHAINS:
        for item in missing:
            if known(item):
                return _line(f"{item.module}.{item.name}", toolchain, how)
    if _is_minified(imports):
        first = missing[0]
        toolchain = "Emscripten (which shortens names like this)"
        return _line(f"{first.module}.{first.name}", toolchain, _EMSCRIPTEN_ADVICE)
    return ""


def _is_minified(imports: Sequence[ImportType]) -> bool:
    """Whether all imports have names as short as Emscripten makes them, WASI's among them: ``a.a``, ``a.b``."""
    return bool(imports) and all(
        item.module == "a" and len(item.name) <= _MINIFIED and item.name.isidentifier() for item in imports
    )


def _line(name: str, toolchain: str, how: str) -> str:
    from .names import brief

    return (
        f"{brief(name)} belongs to the JavaScript of {toolchain}, which vibewasm does not run. "
        f"Compile the program for WASI ({how}), or give the imports from Python with vibewasm.Linker."
    )
