"""WebAssembly at machine speed from pure Python.

:func:`instantiate` is the short way; :class:`Engine`, :class:`Store`, :class:`Module` and :class:`Linker` are the
long one::

    import vibewasm

    instance = vibewasm.instantiate("fib.wasm")
    print(instance.exports.fib(30))

Every name is loaded when it is first used (PEP 562), so that a program pays for what it touches only.
"""

from __future__ import annotations

import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

__version__ = "0.1.0"

__all__ = [
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
    "import_name",
    "instantiate",
    "set_async_threads",
]

if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
    # Making an engine says so too, but a program should know before it has begun.
    from .errors import FREE_THREADED

    raise ImportError(FREE_THREADED)

#: Which module each name comes from.
_HOMES = {
    "api.asynchronous": ("set_async_threads",),
    "api.caller": ("Caller",),
    "api.config": ("Config",),
    "api.console": ("Console",),
    "api.engine": ("Engine",),
    "api.exception": ("ExceptionRef", "WasmException"),
    "api.func": ("Func",),
    "api.global_": ("Global",),
    "api.instance": ("Exports", "Instance"),
    "api.instantiation": ("instantiate",),
    "api.linker": ("Linker",),
    "api.memory": ("Memory",),
    "api.module": ("Module",),
    "api.native": ("Native",),
    "api.objects": ("import_name",),
    "api.store": ("Store",),
    "api.table": ("Table",),
    "api.tag": ("Tag",),
    "errors": ("DecodeError", "Interrupted", "LinkError", "ValidationError", "WasmError"),
    "extern_types": ("ExportType", "GlobalType", "ImportType", "Limits", "MemoryType", "TableType", "TagType"),
    "traps": ("ExitTrap", "Frame", "OutOfFuel", "Trap"),
    "types": ("FuncType", "ValType"),
    "wasi": ("Dir", "WasiConfig"),
    "wasi.memory_dir": ("MemoryDir",),
    "wat.errors": ("WatError",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

#: What is held while modules are loaded, and whether children of this process get one of their own.
_loading, _forks_noticed = RLock(), False


def _after_fork() -> None:
    """Begin anew in the child: another thread may have held the lock in the moment of the fork."""
    global _loading
    _loading = RLock()


def load(make: Callable[..., Result], *arguments: object) -> Result:
    """Call what loads modules of this package, with the garbage collector paused, in one thread at a time.

    Modules stay, so collections on the way would only walk them, for a tenth of the time that loading takes. Freezing
    everything and thawing it at once moves it to the oldest generation, as if it had survived them.

    Threads that load a package and a module in it at once may have the import system give up: it locks the module
    before the package, and the package may want the module.
    """
    global _forks_noticed
    if not _forks_noticed:
        import os

        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
        # Two threads may both have done it, before either takes the lock; once more does no harm.
        _forks_noticed = True
    with _loading:
        return _load(make, *arguments)


def _load(make: Callable[..., Result], *arguments: object) -> Result:
    import gc

    collecting = gc.isenabled()
    gc.disable()
    try:
        from . import bundle

        bundle.install()
        return make(*arguments)
    finally:
        if collecting:
            # What the program itself has frozen stays frozen.
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = load(_import_home, home, name)
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def _import_home(home: str, name: str) -> object:
    # The package first, which may be loaded by a function in another thread, see ``load``.
    __import__(f"{__name__}.{home.partition('.')[0]}")
    return __import__(f"{__name__}.{home}", fromlist=(name,))


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
