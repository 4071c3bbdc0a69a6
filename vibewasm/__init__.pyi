"""The public names for type checkers and editors, which do not follow how :mod:`vibewasm` loads each when it is first
used. Their types stand where they come from.
"""

from _thread import RLock
from collections.abc import Callable
from typing import TypeVar

from . import importer as importer
from . import sandbox as sandbox
from .api.asynchronous import set_async_threads as set_async_threads
from .api.caller import Caller as Caller
from .api.config import Config as Config
from .api.console import Console as Console
from .api.deadline import deadline as deadline
from .api.engine import Engine as Engine
from .api.exception import ExceptionRef as ExceptionRef
from .api.exception import WasmException as WasmException
from .api.func import Func as Func
from .api.global_ import Global as Global
from .api.instance import Exports as Exports
from .api.instance import Instance as Instance
from .api.instantiation import instantiate as instantiate
from .api.linker import Linker as Linker
from .api.memory import Memory as Memory
from .api.module import Module as Module
from .api.native import Native as Native
from .api.objects import import_name as import_name
from .api.store import Store as Store
from .api.table import Table as Table
from .api.tag import Tag as Tag
from .errors import DecodeError as DecodeError
from .errors import Interrupted as Interrupted
from .errors import LinkError as LinkError
from .errors import ValidationError as ValidationError
from .errors import WasmError as WasmError
from .extern_types import ExportType as ExportType
from .extern_types import GlobalType as GlobalType
from .extern_types import ImportType as ImportType
from .extern_types import Limits as Limits
from .extern_types import MemoryType as MemoryType
from .extern_types import TableType as TableType
from .extern_types import TagType as TagType
from .limits import ResourceLimits as ResourceLimits
from .traps import ExitTrap as ExitTrap
from .traps import Frame as Frame
from .traps import OutOfFuel as OutOfFuel
from .traps import Trap as Trap
from .types import FuncType as FuncType
from .types import ValType as ValType
from .wasi import Dir as Dir
from .wasi import WasiConfig as WasiConfig
from .wasi.memory_dir import MemoryDir as MemoryDir
from .wat.errors import WatError as WatError

_Result = TypeVar("_Result")

__version__: str
__all__: list[str]

# Not public: see that no other thread holds a lock in the moment of a fork.
def hold_over_fork(lock: RLock) -> None: ...

# Not public: what loads modules of this package goes through it.
def load(make: Callable[..., _Result], *arguments: object) -> _Result: ...
