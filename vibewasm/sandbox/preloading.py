"""Loads everything that a run may need, since nothing can be loaded after the lockdown."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Rooms, and single modules, that no run needs.
_LEFT_OUT = (
    # A run awaits nothing.
    "vibewasm.api.asynchronous",
    "vibewasm.api.queues",
    "vibewasm.__main__",
    "vibewasm.aside",
    "vibewasm.bundle",
    "vibewasm.cli",
    "vibewasm.compat",
    "vibewasm.disasm",
    "vibewasm.importer",
    "vibewasm.runtime.gdb",
    "vibewasm.sandbox",
    "vibewasm.wat",
)
#: What is imported late by these modules, or by what they use of the standard library.
LIBRARY = (
    "_queue array ast binascii bisect builtins codecs collections.abc contextlib ctypes difflib errno fcntl functools "
    "gc inspect io itertools json keyword linecache math mmap re select signal stat string struct termios threading "
    "time traceback types unicodedata weakref"
).split()

#: Callbacks for which there is room: several for each function of WASI, and for what the engine itself needs.
_CALLBACKS = 1000


def preload() -> None:
    """Load the modules of the engine and of the standard library that any run may come to need."""
    import importlib

    from vibewasm import load

    for name in LIBRARY:
        importlib.import_module(name)
    load(_load_ours)


def make_room() -> None:
    """Have the C library behind ctypes take the memory for the functions that call Python, which it may have to execute
    and to write: that is not to be had after the lockdown. What is given back here is used again.
    """
    import ctypes

    kind = ctypes.CFUNCTYPE(None)
    for callback in [kind(_nothing) for _ in range(_CALLBACKS)]:
        del callback


def _nothing() -> None:
    pass


def modules() -> Iterator[str]:
    """The names of the engine's modules that are loaded."""
    import vibewasm
    from vibewasm.calls.process import HOST

    yield from _below([*vibewasm.__path__], "vibewasm.", HOST)


def _load_ours() -> None:
    for name in modules():
        __import__(name)


def _below(path: list[str], prefix: str, host: str) -> Iterator[str]:
    import importlib
    import pkgutil

    for found in pkgutil.iter_modules(path, prefix):
        name = found.name
        if any(name == left or name.startswith((left + ".", left + "d", left + "_")) for left in _LEFT_OUT):
            continue
        if name.startswith("vibewasm.backends.") and found.ispkg and not name.endswith("." + host):
            continue
        yield name
        if found.ispkg:
            yield from _below([*importlib.import_module(name).__path__], name + ".", host)
