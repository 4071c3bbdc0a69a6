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
from _thread import RLock, get_ident

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
    "api.deadline": ("deadline",),
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
    "limits": ("ResourceLimits",),
    "traps": ("ExitTrap", "Frame", "OutOfFuel", "Trap"),
    "types": ("FuncType", "ValType"),
    "wasi": ("Dir", "WasiConfig"),
    "wasi.memory_dir": ("MemoryDir",),
    "wat.errors": ("WatError",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
#: Packages that are a part of the interface by their own names, as ``vibewasm.sandbox.run``.
_PACKAGES = ("importer", "sandbox")

#: What is held while modules are loaded.
_loading = RLock()
#: The thread that has paused the collector to load modules, or 0.
_paused_in = 0
#: Locks that a child must not find held by a thread that it does not have, and half done what they are held for.
_locks = [_loading]
#: By thread that forks, those of them that it has taken to do so.
_held: dict[int, list[RLock]] = {}
#: How long a fork waits for each, in seconds. It takes longer only if who has one waits for whoever forks.
_FORK_PATIENCE = 2


def hold_over_fork(lock: RLock) -> None:
    """See that no other thread holds a lock in the moment of a fork."""
    _locks.append(lock)


def _before_fork() -> None:
    if _module_locks:
        # A child would find what another thread loads half loaded, and locked.
        from .forking import wait_for_imports

        wait_for_imports()
    held = _held[get_ident()] = []
    for lock in [*_locks]:
        if lock.acquire(timeout=_FORK_PATIENCE):
            held.append(lock)


def _after_fork_in_parent() -> None:
    for lock in reversed(_held.pop(get_ident(), ())):
        lock.release()


def _after_fork_in_child() -> None:
    held = _held.pop(get_ident(), [])
    _held.clear()
    for lock in _locks:
        if lock in held:
            lock.release()
        else:
            lock._at_fork_reinit()  # type: ignore[attr-defined]  # not public; threading does the same
    if _paused_in not in (0, get_ident()):
        import gc

        gc.enable()
    if _module_locks:
        from .forking import drop_half_loaded

        drop_half_loaded()


try:
    # Not public: empty unless somebody is importing. Registered before anything is loaded.
    from _frozen_importlib import _module_locks  # type: ignore[attr-defined]
    from posix import register_at_fork
except ImportError:
    # Another Python, or a system that does not fork.
    pass
else:
    register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def load(make: Callable[..., Result], *arguments: object) -> Result:
    """Call what loads modules of this package, with the garbage collector paused, in one thread at a time.

    Modules stay, so collections on the way would only walk them, for a tenth of the time that loading takes. Freezing
    everything and thawing it at once moves it to the oldest generation, as if it had survived them.

    Threads that load a package and a module in it at once may have the import system give up: it locks the module
    before the package, and the package may want the module.
    """
    with _loading:
        return _load(make, *arguments)


def _load(make: Callable[..., Result], *arguments: object) -> Result:
    global _paused_in
    import gc

    collecting = gc.isenabled()
    if collecting:
        _paused_in = get_ident()
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
            _paused_in = 0
            gc.enable()


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        if name in _PACKAGES:
            return load(_import_home, name, "__name__")
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
