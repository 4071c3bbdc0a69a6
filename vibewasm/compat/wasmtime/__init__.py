"""The public names of wasmtime-py 50, on this engine: ``import vibewasm.compat.wasmtime as wasmtime``.

:func:`install` makes ``import wasmtime`` find this module, for packages that are not to be changed, and
``python -m vibewasm.compat.wasmtime PROGRAM ARGUMENT...`` runs a whole program that way. ``docs/wasmtime.md`` has a
table of all names: which are the same, and what differs.

A class here has an object of the engine's own API in its attribute ``_ours``. Every name is loaded when it is first
used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Config
    from .engine import Engine
    from .errors import ExitTrap, WasmtimeError
    from .externs import Global, Memory, SharedMemory, Table, Tag
    from .func import Caller, Func
    from .installing import install as install
    from .instance import Instance, InstancePre
    from .linker import Linker
    from .managed import Managed as Managed
    from .module import Module
    from .store import Store, StoreContext
    from .store import Storelike as Storelike
    from .text import wat2wasm
    from .traps import Frame, Trap, TrapCode
    from .types import (
        ExportType,
        FuncType,
        GlobalType,
        ImportType,
        Limits,
        MemoryType,
        TableType,
        TagType,
        ValType,
    )
    from .values import Val
    from .wasi import DirPerms, FilePerms, WasiConfig

#: What ``from wasmtime import *`` gives, and the two names of older versions. The rest is to be asked for by name.
__all__ = [
    "Caller",
    "Config",
    "DirPerms",
    "Engine",
    "ExitTrap",
    "ExportType",
    "FilePerms",
    "Frame",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "ImportType",
    "Instance",
    "InstancePre",
    "Limits",
    "Linker",
    "Memory",
    "MemoryType",
    "Module",
    "SharedMemory",
    "Store",
    "StoreContext",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Trap",
    "TrapCode",
    "Val",
    "ValType",
    "WasiConfig",
    "WasmtimeError",
    "wat2wasm",
]

#: Which module each name comes from.
_HOMES = {
    "config": ("Config",),
    "engine": ("Engine",),
    "errors": ("ExitTrap", "WasmtimeError"),
    "externs": ("Global", "Memory", "SharedMemory", "Table", "Tag"),
    "func": ("Caller", "Func"),
    "installing": ("install",),
    "instance": ("Instance", "InstancePre"),
    "linker": ("Linker",),
    "managed": ("Managed",),
    "module": ("Module",),
    "store": ("Store", "StoreContext", "Storelike"),
    "text": ("wat2wasm",),
    "traps": ("Frame", "Trap", "TrapCode"),
    "types": (
        "ExportType",
        "FuncType",
        "GlobalType",
        "ImportType",
        "Limits",
        "MemoryType",
        "TableType",
        "TagType",
        "ValType",
    ),
    "values": ("Val",),
    "wasi": ("DirPerms", "FilePerms", "WasiConfig"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(f"{__name__}.{home}", None, None, (name,))
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *_HOME_OF})
