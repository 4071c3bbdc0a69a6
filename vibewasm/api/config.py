"""How an engine compiles, and how much its stores may take."""

from __future__ import annotations

from ..backends import TARGETS
from ..errors import limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any, Never, NoReturn, Self

    from ..instances.references import References
    from ..limits import ResourceLimits
    from ..wasi.room import Room
    from .func import Func
    from .memory import Memory
    from .table import Table

#: When function bodies are checked and compiled.
COMPILATION_MODES = ("lazy", "lazy-translation", "eager")

#: Settings that machine code depends on, or whether there may be any, besides the target.
CODE_SETTINGS = ("checked", "deterministic", "explicit_bounds", "fuel", "legacy_exceptions")

#: For whom functions' names and places are written down.
PROFILES = (None, "perfmap", "jitdump")
DEBUGGERS = (None, "gdb")

#: Elements that the tables of a store may have unless the configuration says otherwise: 80 MB of cells.
DEFAULT_MAX_TABLE_ELEMENTS = 10_000_000
#: Python objects that wasm code may hold unless the configuration says otherwise: 2 GB of their handles.
DEFAULT_MAX_REFERENCES = 10_000_000


class Config:
    """Settings of an :class:`~vibewasm.Engine`. They cannot be changed: other settings are another
    ``Config``. Two with the same settings are equal.

    Args:
        compilation: ``"lazy"`` checks and compiles a function body at its first call, so start-up costs what is used;
            an invalid body is found only when it is reached. ``"lazy-translation"`` checks all bodies when the module
            is made and compiles at first call. ``"eager"`` does both at once.
        checked: compile code that verifies the engine's own invariants while it runs, and verify the compiler's while
            it compiles; a fault of either is an ``AssertionError`` or a trap. Slower; meant for tests of vibewasm.
        fuel: compile code that counts; see :attr:`vibewasm.Store.fuel`.
        explicit_bounds: check memory bounds by code, not by unmapped address space. Slower; the engine turns it on by
            itself where 8 GiB of address space cannot be reserved for a memory.
        deterministic: let a module do the same on every processor and in every run: the specification's deterministic
            profile, with its one NaN and relaxed SIMD; a growing memory or table is refused by limits only; and a WASI
            program has clocks, random bytes and files' numbers and times of its own. See ``docs/determinism.md`` for
            the rules, and for what is left: the depth of the stack. Floating-point code is slower on x86-64.
        legacy_exceptions: accept modules that have the older form of exceptions (``try``, ``catch``, ``delegate``,
            ``rethrow``), which is no part of the specification, but what compilers have written for years. ``False``
            refuses them; what the specification has is always accepted. See ``docs/exceptions.md``.
        target: the processor to compile for: ``"x86_64"``, ``"aarch64"``, or ``None`` for the one that this process
            runs on. What is compiled for another one can be inspected and disassembled, not run.
        max_memory: how many bytes all memories of one store may have together, with 8 for each element of its tables,
            and what the host holds because WASI programs want it; ``None`` for no limit of our own.
            :attr:`vibewasm.Store.max_memory` starts with this.
        max_table_elements: how many elements all tables of one store may have together.
            :attr:`vibewasm.Store.max_table_elements` starts with this.
        max_references: how many Python objects the wasm code of one store may hold as externref. A host function whose
            result would be one more ends the call with a :class:`~vibewasm.Trap`; an argument, or what is put into a
            table or global, is refused with a :class:`~vibewasm.WasmError`. Objects that are not held any more are let
            go between calls only, so those of one long call all count. It is also how many exceptions it may hold as
            exnref, which are let go within calls, too.
            :attr:`vibewasm.Store.max_references` starts with this.
        limits: limits of modules, stores and WASI programs, see :class:`vibewasm.ResourceLimits`; ``None`` for those
            above only. Of two limits for the same thing the lower one counts.
        profile: let perf see functions by name: ``"perfmap"`` writes ``/tmp/perf-PID.map``, ``"jitdump"`` writes
            ``jit-PID.dump`` for ``perf inject --jit``, with the code in it. ``None`` for neither.
        cache: keep machine code on disk, and begin with what an earlier process has kept there: ``True`` in the user's
            folder for caches (or the one that the environment variable ``VIBEWASM_CACHE`` names), a path in that
            folder, ``False`` nowhere; ``VIBEWASM_CACHE=off`` forbids all of them. See ``docs/cache.md`` for what is
            trusted. Nothing is kept for another processor, nor with ``profile`` or ``debug``.
        debug: ``"gdb"`` tells gdb of functions, so that backtraces show them by name; ``None`` does not.

    Raises:
        TypeError: a setting is of another type than the ones above, or there is no setting of that name.
        ValueError: ``compilation``, ``target``, ``profile`` or ``debug`` is none of the values above, or a limit is
            negative.
    """

    __slots__ = (
        "cache",
        "checked",
        "compilation",
        "debug",
        "deterministic",
        "explicit_bounds",
        "fuel",
        "legacy_exceptions",
        "limits",
        "max_memory",
        "max_references",
        "max_table_elements",
        "profile",
        "target",
    )

    cache: bool | str
    checked: bool
    compilation: str
    debug: str | None
    deterministic: bool
    explicit_bounds: bool
    fuel: bool
    legacy_exceptions: bool
    limits: ResourceLimits | None
    max_memory: int | None
    max_references: int
    max_table_elements: int
    profile: str | None
    target: str | None

    def __init__(
        self,
        *positional: Never,
        compilation: str = "lazy",
        checked: bool = False,
        fuel: bool = False,
        explicit_bounds: bool = False,
        deterministic: bool = False,
        legacy_exceptions: bool = True,
        target: str | None = None,
        max_memory: int | None = None,
        max_table_elements: int = DEFAULT_MAX_TABLE_ELEMENTS,
        max_references: int = DEFAULT_MAX_REFERENCES,
        limits: ResourceLimits | None = None,
        profile: str | None = None,
        debug: str | None = None,
        cache: bool | str | os.PathLike[str] = False,
        **unknown: Never,
    ) -> None:
        if positional:
            from ..arguments import shown

            raise TypeError(f"Config: settings are given by name, as in Config(fuel=True), not {shown(positional[0])}")
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Config", unknown, self.__slots__)
        # Ours refuses.
        put = object.__setattr__
        put(self, "compilation", _choice("compilation", compilation, COMPILATION_MODES))
        put(self, "checked", _flag("checked", checked))
        put(self, "fuel", _flag("fuel", fuel))
        put(self, "explicit_bounds", _flag("explicit_bounds", explicit_bounds))
        put(self, "deterministic", _flag("deterministic", deterministic))
        put(self, "legacy_exceptions", _flag("legacy_exceptions", legacy_exceptions))
        put(self, "target", _choice("target", target, (*TARGETS, None)))
        put(
            self,
            "max_memory",
            None if max_memory is None else limit("Config", "max_memory", "a number of bytes", max_memory),
        )
        put(
            self,
            "max_table_elements",
            limit("Config", "max_table_elements", "a number of elements", max_table_elements),
        )
        put(self, "max_references", limit("Config", "max_references", "a number of objects", max_references))
        put(self, "limits", limits if limits is None else limits_of("Config", limits))
        put(self, "profile", _choice("profile", profile, PROFILES))
        put(self, "debug", _choice("debug", debug, DEBUGGERS))
        put(self, "cache", cache if cache is True or cache is False else _folder(cache))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Config cannot be changed; make another: Config(...)")

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Config) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[type[Self], dict[str, Any]]]:
        # Copies are made anew, since nothing can be set in what exists.
        return _made, (type(self), dict(zip(Config.__slots__, self._values(), strict=True)))

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in Config.__slots__])

    def __repr__(self) -> str:
        return "Config(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__) + ")"


def code_settings(config: Config) -> dict[str, int]:
    """The settings that machine code depends on, besides the target: 0 or 1 by name."""
    return {name: int(getattr(config, name)) for name in CODE_SETTINGS}


def _made(cls: type[Config], settings: dict[str, Any]) -> Any:
    return cls(**settings)


def _choice(setting: str, value: str | None, choices: tuple[str | None, ...]) -> Any:
    if value not in choices:
        from ..arguments import shown, wrong

        words = ", ".join([repr(choice) for choice in choices if choice is not None])
        words = f"{words} or None" if None in choices else f"one of {words}"
        if value is not None and not isinstance(value, str):
            raise wrong("Config", setting, words, value)
        given = "None" if value is None else shown(value)[len("str ") :]
        raise ValueError(f"Config: {setting} is {words}, not {given}")
    return value


def _flag(setting: str, value: object) -> bool:
    if value is not True and value is not False:
        from ..arguments import wrong

        raise wrong("Config", setting, "True or False", value)
    return value


def _folder(value: object) -> str:
    import os

    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if path == "off":
        raise ValueError(
            "Config: cache is True, False or the path of a folder ('./off' for one of that name), not 'off'"
        )
    if not isinstance(path, str) or not path:
        from ..arguments import wrong

        raise wrong("Config", "cache", "True, False or the path of a folder", value)
    # The working directory may be another one when an engine is made.
    return os.path.abspath(path)


def limits_of(where: str, limits: object) -> ResourceLimits:
    """What a configuration or a store is given as limits. Raises ``TypeError`` if they are none."""
    from ..limits import ResourceLimits

    if not isinstance(limits, ResourceLimits):
        from ..arguments import wrong

        advice = "ResourceLimits(**limits) makes one" if isinstance(limits, dict) else ""
        raise wrong(where, "limits", "a ResourceLimits or None", limits, advice)
    return limits


class Limited:
    """The part of a :class:`~vibewasm.Store` that is about limits: what they are, and how much is in use.

    What is in use is counted as it is taken, in the same moment in which it becomes part of the store. An exception of
    a signal's handler, or of another thread's, can come up anywhere: whoever takes something says so in ``_taking``
    before, and takes that back at the end, so that who finds it set counts all anew.
    """

    __slots__ = (
        "_funcs",
        "_given_limits",
        "_host_functions",
        "_looked_at",
        "_max_memory",
        "_max_memory_each",
        "_max_references",
        "_max_stack",
        "_max_table_elements",
        "_max_table_elements_each",
        "_memories",
        "_memory_used",
        "_met",
        "_references",
        "_room",
        "_table_elements",
        "_tables",
        "_taking",
    )

    _funcs: dict[int, Func]
    _memories: list[Memory]
    _references: References | None
    _tables: list[Table]

    def _begin_limits(self, config: Config, limits: ResourceLimits | None) -> None:
        self._max_memory: int | None = config.max_memory
        self._max_memory_each: int | None = None
        self._max_table_elements: int = config.max_table_elements
        self._max_table_elements_each: int | None = None
        self._max_references: int = config.max_references
        self._max_stack: int | None = None
        #: Those that the store was made with, or its engine.
        self._given_limits = limits = config.limits if limits is None else limits_of("Store", limits)
        #: Bytes of memories and tables, elements of tables, and functions made in Python.
        self._memory_used = 0
        self._table_elements = 0
        self._host_functions = 0
        self._taking = False
        #: Of how many instances globals and tags have been counted, and these.
        self._looked_at = [0, 0, 0]
        #: What WASI programs may take, once there was one.
        self._room: Room | None = None
        #: Limits that a program has met, of which it was told by -1 or a number.
        self._met: list[str] = []
        if limits is not None:
            self._max_memory = _lower(self._max_memory, limits.max_memory)
            self._max_memory_each = limits.max_memory_each
            self._max_table_elements = _lower(self._max_table_elements, limits.max_table_elements) or 0
            self._max_table_elements_each = limits.max_table_elements_each
            self._max_references = _lower(self._max_references, limits.max_references) or 0
            self._max_stack = limits.max_stack

    @property
    def limits(self) -> ResourceLimits:
        """All limits of the store, as they are now. Those of modules count when a module is instantiated here."""
        from ..limits import ResourceLimits

        given = self._given_limits or ResourceLimits()
        return given.replace(
            max_memory=self._max_memory,
            max_memory_each=self._max_memory_each,
            max_table_elements=self._max_table_elements,
            max_table_elements_each=self._max_table_elements_each,
            max_references=self._max_references,
        )

    @limits.setter
    def limits(self, limits: Never) -> NoReturn:
        raise AttributeError("a store's limits are given when it is made: Store(engine, limits=limits)")

    @property
    def limits_met(self) -> tuple[str, ...]:
        """The limits that code of the store was refused something for and was told so, by ``-1`` or an error number:
        names of :class:`ResourceLimits`, in the order in which they were first met.
        """
        return tuple(self._met)

    @property
    def max_memory(self) -> int | None:
        """How many bytes all memories together may have, with the elements of tables, 8 bytes each, and what the host
        holds because WASI programs want it; or ``None``. It counts when something is made or grows.

        Setting a limit raises ``TypeError`` or ``ValueError`` as :class:`Config` does.
        """
        return self._max_memory

    @max_memory.setter
    def max_memory(self, size: int | None) -> None:
        self._max_memory = None if size is None else limit("Store", "max_memory", "a number of bytes", size)

    @property
    def max_memory_each(self) -> int | None:
        """How many bytes each memory may have, or ``None``: a limit beside :attr:`max_memory`."""
        return self._max_memory_each

    @max_memory_each.setter
    def max_memory_each(self, size: int | None) -> None:
        self._max_memory_each = None if size is None else limit("Store", "max_memory_each", "a number of bytes", size)

    @property
    def max_table_elements(self) -> int:
        """How many elements all tables together may have. It counts when a table is made or grows."""
        return self._max_table_elements

    @max_table_elements.setter
    def max_table_elements(self, size: int) -> None:
        self._max_table_elements = limit("Store", "max_table_elements", "a number of elements", size)

    @property
    def max_table_elements_each(self) -> int | None:
        """How many elements each table may have, or ``None``: a limit beside :attr:`max_table_elements`."""
        return self._max_table_elements_each

    @max_table_elements_each.setter
    def max_table_elements_each(self, size: int | None) -> None:
        each = size if size is None else limit("Store", "max_table_elements_each", "a number of elements", size)
        self._max_table_elements_each = each

    @property
    def max_references(self) -> int:
        """How many Python objects wasm code may hold as externref, with those that have not been let go yet, and how
        many exceptions. It counts when an object is handed in, and when a reference to an exception is made.
        """
        return self._max_references

    @max_references.setter
    def max_references(self, count: int) -> None:
        self._max_references = limit("Store", "max_references", "a number of objects", count)
        if self._references is not None:
            self._references.limit = self._max_references

    def _wasi_room(self) -> Room | None:
        """What WASI programs may take, if there is a limit of anything when the first one begins."""
        if self._room is None and (self._given_limits is not None or self._max_memory is not None):
            from ..limits import ResourceLimits
            from ..wasi.room import Room

            self._room = Room(self._given_limits or ResourceLimits(), self._memory_left, self._refuse)
        return self._room

    def _memory_in_use(self) -> int:
        """What counts for :attr:`max_memory`."""
        if self._taking:
            self._count_anew()
        return self._memory_used + (0 if self._room is None else self._room.held())

    def _memory_left(self) -> int | None:
        return None if self._max_memory is None else self._max_memory - self._memory_in_use()

    def _no_memory(self, size: int) -> bool:
        """Whether so many bytes more are more than all that there may be."""
        return self._max_memory is not None and self._memory_in_use() + size > self._max_memory

    def _count_anew(self) -> None:
        # Before the rest, so that what another thread takes meanwhile is not forgotten.
        self._taking = False
        self._table_elements = elements = sum([table._size for table in self._tables])
        self._memory_used = sum([memory._linear.size for memory in self._memories]) + 8 * elements
        self._host_functions = sum([func._instance is None for func in self._funcs.values()])

    def _refuse(self, name: str) -> None:
        """Note a limit that code is told of by -1 or a number."""
        if name not in self._met:
            self._met.append(name)


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
