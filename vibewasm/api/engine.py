"""Engines: one configuration, and what all stores and modules made with it share."""

from __future__ import annotations

from _thread import RLock

from .. import hold_over_fork
from ..backends import backend
from ..binary.support import BUILT
from ..calls.process import HOST, prepare
from ..errors import WasmError, not_copied
from .config import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Never

    from ..binary.module_info import ModuleInfo
    from ..instances.supertypes import Supertypes
    from ..runtime.context import StoreBlock
    from ..runtime.observers import Observer
    from ..types import FuncType
    from .code_cache import CodeCache


class Engine:
    """A configuration and the identities of types. Stores, modules and linkers that work together are made with one
    engine.

    An engine may be used by any number of threads.

    Args:
        config: the settings; the default ones if it is left out.

    Raises:
        TypeError: ``config`` is no :class:`Config`.
        WasmError: this platform is not supported.
    """

    __slots__ = (
        "_cache",
        "_config",
        "_explicit_bounds",
        "_new_type_ids",
        "_observers",
        "_supertypes",
        "_target",
        "_type_ids",
        "_type_ids_room",
    )

    __reduce_ex__ = not_copied

    def __init__(self, config: Config | None = None, **unknown: Never) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            setting = next(iter(unknown))
            if setting in Config.__slots__:
                raise TypeError(f"Engine has no parameter {setting!r}: write Engine(Config({setting}=...))")
            raise unknown_keywords("Engine", unknown, ("config",))
        if config is None:
            config = Config()
        elif not isinstance(config, Config):
            from ..arguments import wrong

            advice = "Config(**settings) makes one" if isinstance(config, dict) else ""
            raise wrong("Engine", "config", "a Config", config, advice)
        self._config = config
        self._cache: CodeCache | None = None
        if config.cache and config.target in (None, HOST) and not config.profile and not config.debug:
            # Before code runs in this process: the first code that does so may be kept, too.
            from .code_cache import code_cache

            self._cache = code_cache(self)
        self._target = self._checked_target()
        #: By what types are equal by. Whoever has written an identity where code may compare with it holds this very
        #: int, so that it stays here: the modules of instances, and the stores of host functions.
        self._type_ids: dict[object, int] = {}
        #: From so many on it is looked for those that nobody holds.
        self._type_ids_room = _ROOM
        #: Numbers for types to come: machine code compares 32 bits.
        self._new_type_ids = iter(range(1, 1 << 32))
        #: Made when the first type is met that has a supertype.
        self._supertypes: Supertypes | None = None
        self._explicit_bounds: bool | None = self.config.explicit_bounds or None
        if self.config.compilation == "eager":
            self._load_all()
        #: Who is told of functions' names and places.
        self._observers: tuple[Observer, ...] = ()
        if self.config.profile or self.config.debug:
            from ..runtime.observers import observer

            processor = backend(self.target).processor
            self._observers = tuple(
                [observer(name, processor) for name in (self.config.profile, self.config.debug) if name]
            )

    @property
    def config(self) -> Config:
        """The settings, which cannot be changed."""
        return self._config

    @property
    def _features(self) -> frozenset[str]:
        """The proposals whose modules it accepts, see :mod:`vibewasm.binary.support`."""
        return features_of(self._config.legacy_exceptions)

    @property
    def target(self) -> str:
        """The processor that it compiles for."""
        return self._target

    def _load_all(self) -> None:
        """Load what decoding and compiling may need, and ask what the processor can do.

        Whole modules will be compiled, so that is done now: a module's compile time has no loading in it.
        """
        # Memories are made with mmap, jumps filled in with struct.
        import mmap
        import struct

        from ..binary import definitions
        from ..compiler import load_all
        from ..runtime import linear_memory

        _ = definitions, linear_memory, mmap, struct
        try:
            load_all(backend(self.target))
        except (OSError, WasmError):
            # The processor cannot be asked where executable memory is forbidden; compiling a module says so.
            pass

    @property
    def explicit_bounds(self) -> bool:
        """Whether code checks memory bounds itself: because the configuration says so, or because this process cannot
        reserve the address space that makes checks unnecessary.
        """
        if self._explicit_bounds is None and self.target != HOST:
            # Memories of this process have nothing to do with it.
            self._explicit_bounds = False
        if self._explicit_bounds is None:
            # Asked once, and not before a module with a memory is met.
            from ..runtime.linear_memory import LinearMemory

            try:
                # Not closed, which would fail where a profiler in another thread has the frame that made it, as Dask's
                # worker has now and then. The address space goes back with the last reference.
                LinearMemory(0)
                self._explicit_bounds = False
            except MemoryError:
                self._explicit_bounds = True
        return self._explicit_bounds

    def checks_bounds(self, info: ModuleInfo) -> bool:
        """Whether the code of a module checks memory bounds itself.

        Finding out what the engine has to do takes a while, and matters to memories only.
        """
        return bool(info.memories) and self.explicit_bounds

    def _checked_target(self) -> str:
        target = self.config.target
        if target is not None and target != HOST:
            # What it makes is not run here, so this platform need not be able to.
            return target
        prepare()
        return HOST

    def require_host(self) -> None:
        """Make sure that what this engine compiles can run in this process.

        Raises:
            WasmError: it is for another processor.
        """
        if self.target != HOST:
            raise WasmError(
                f"this engine compiles for {self.target}, and this process runs on {HOST}: such a module can be "
                "inspected and disassembled, but not instantiated or called"
            )

    def _type_id(self, type: FuncType) -> int:
        """The identity of a function type: one number for equal types, which code compares (specification, "Type
        Equivalence").
        """
        # What two types are equal by, which is looked up faster than the types are.
        key = type._identity or (type.param_codes, type.result_codes)
        found = self._type_ids.get(key)
        if found is None:
            with _lock:
                found = self._type_ids.get(key)
                if found is None:
                    found = self._new_type_id(type)
                    self._type_ids[key] = found
        return found

    def _new_type_id(self, type: FuncType) -> int:
        known = self._type_ids
        if len(known) >= self._type_ids_room:
            from ..giving_back import give_back

            self._type_ids_room = 2 * give_back(known) + _ROOM
        # Only a new type takes a number: no two types may ever have the same, also where one of them is gone.
        number = next(self._new_type_ids, None)
        if number is None:
            raise WasmError("this engine has met 2**32 function types, more than it can tell apart: make another")
        if type.supertype is not None:
            # Before anybody can learn the number, and meet the type.
            self._note_supertype(number, self._type_id(type.supertype))
        return number

    def _note_supertype(self, identity: int, supertype: int) -> None:
        known = self._supertypes
        if known is None:
            from ..instances.supertypes import Supertypes

            known = self._supertypes = Supertypes()
        known.add(identity, supertype)

    def _show_supertypes(self, block: StoreBlock) -> None:
        """Let code of a store find the supertypes of all types that the store can have by now."""
        if self._supertypes is not None:
            self._supertypes.show(block)

    def __repr__(self) -> str:
        return f"<vibewasm.Engine {self.config!r}>"


def features_of(legacy_exceptions: bool) -> frozenset[str]:
    """The proposals that are on, with or without the older form of exceptions."""
    return BUILT if legacy_exceptions else BUILT - {"legacy-exceptions"}


#: Types that an engine has room for before it looks for the first time for those that nobody needs.
_ROOM = 1024
#: For who adds a type to those that an engine knows.
_lock = RLock()
hold_over_fork(_lock)

_default: list[Engine] = []


def default_engine() -> Engine:
    """The engine with default settings that :func:`vibewasm.instantiate` uses."""
    if not _default:
        # Two threads may come here at once: both go on with the first one in the list.
        _default.append(Engine())
    return _default[0]


def with_engine(where: str, engine: Any, parameter: str, given: Any) -> tuple[Engine, Any]:
    """The engine, and what a module is to be made of, when the engine may have been left out.

    Raises:
        TypeError: either is missing, or the engine is something else.
    """
    if given is ...:
        engine, given = (engine, given) if isinstance(engine, Engine) else (..., engine)
    if engine is ...:
        engine = default_engine()
    if given is not ... and isinstance(engine, Engine):
        return engine, given
    from ..arguments import wrong

    if given is ...:
        raise wrong(where, parameter, "", given)
    raise wrong(where, "engine", "an Engine", engine)
