"""``ResourceLimits``: how much of everything a module may have, and a store with its programs may take.

``docs/limits.md`` has them all in one table, which a test compares with this file.
"""

from __future__ import annotations

from .errors import LinkError, ValidationError, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Never, NoReturn, Self

    from .binary.module_info import ModuleInfo

#: Each limit: what its number counts, and what ``vibewasm run`` begins with, where ``None`` is no limit. Those up to
#: ``max_stack`` are of a store, those up to ``max_code`` of a module, the rest of the WASI programs of a store.
LIMITS: dict[str, tuple[str, int | None]] = {
    "max_memory": ("a number of bytes", 2 << 30),
    "max_memory_each": ("a number of bytes", None),
    "max_table_elements": ("a number of elements", 10_000_000),
    "max_table_elements_each": ("a number of elements", None),
    "max_references": ("a number of objects", 1_000_000),
    "max_instances": ("a number of instances", 10),
    "max_memories": ("a number of memories", 100),
    "max_tables": ("a number of tables", 100),
    "max_globals": ("a number of globals", 100_000),
    "max_tags": ("a number of tags", 10_000),
    "max_host_functions": ("a number of functions", 10_000),
    "max_stack": ("a number of bytes", 4 << 20),
    "max_module_size": ("a number of bytes", 256 << 20),
    "max_functions": ("a number of functions", 500_000),
    "max_types": ("a number of types", 100_000),
    "max_params": ("a number of parameters", None),
    "max_results": ("a number of results", None),
    "max_locals": ("a number of locals", None),
    "max_code": ("a number of bytes", 1 << 30),
    "max_open_files": ("a number of descriptors", 1000),
    "max_directory_entries": ("a number of entries", 200_000),
    "max_host_memory": ("a number of bytes", 256 << 20),
    "max_arguments": ("a number of bytes", 4 << 20),
    "max_written": ("a number of bytes", 4 << 30),
    "max_created": ("a number of names", 100_000),
}


class ResourceLimits:
    """Limits for a :class:`Config` or a :class:`Store`. They cannot be changed. ``None`` is no limit of our own.

    Those of a module count when a module is made with an engine whose configuration has them, and when it is
    instantiated in a store that has them. All others count in a store: its own, or else those of its engine's
    configuration. ``docs/limits.md`` says what happens where one is met.

    Args:
        max_memory: bytes of all memories of a store, of the elements of its tables (8 each), and of what the host holds
            for its programs (``max_host_memory``).
        max_memory_each: bytes of each memory.
        max_table_elements: elements of all tables of a store together.
        max_table_elements_each: elements of each table.
        max_references: Python objects, and exceptions, that wasm code of a store may hold.
        max_instances: instances in a store.
        max_memories: memories in a store, those that Python code makes included.
        max_tables: tables in a store, likewise.
        max_globals: globals that the instances of a store define, and those that Python code makes.
        max_tags: tags, likewise.
        max_host_functions: functions that Python code makes in a store: those of linkers, and :class:`Func` objects.
        max_stack: bytes of stack that wasm code may use, counted from the outermost call, with what Python functions
            use that it calls. A thread's own stack may end before.
        max_module_size: bytes of a module, as it is given: binary or text.
        max_functions: functions of a module, imported ones included.
        max_types: types of a module.
        max_params: parameters of each type of a module.
        max_results: results of each type of a module.
        max_locals: locals of each function of a module, parameters included.
        max_code: bytes of machine code of a module, as much as has been compiled of it.
        max_open_files: descriptors that the WASI programs of a store may have open, standard streams and preopened
            directories included.
        max_directory_entries: entries of directories that are being listed, which the host holds meanwhile.
        max_host_memory: bytes that the host holds because programs want it: listings of directories, and what
            directories in memory have grown by.
        max_arguments: bytes of a program's arguments and environment.
        max_written: bytes that programs may write to files and streams, or have files made longer by, in total.
        max_created: names that programs may make in directories, in total: files, directories, links.

    Raises:
        TypeError: a limit is no int, or there is none of that name.
        ValueError: a limit is negative.
    """

    __slots__ = tuple(sorted(LIMITS))

    max_memory: int | None
    max_memory_each: int | None
    max_table_elements: int | None
    max_table_elements_each: int | None
    max_references: int | None
    max_instances: int | None
    max_memories: int | None
    max_tables: int | None
    max_globals: int | None
    max_tags: int | None
    max_host_functions: int | None
    max_stack: int | None
    max_module_size: int | None
    max_functions: int | None
    max_types: int | None
    max_params: int | None
    max_results: int | None
    max_locals: int | None
    max_code: int | None
    max_open_files: int | None
    max_directory_entries: int | None
    max_host_memory: int | None
    max_arguments: int | None
    max_written: int | None
    max_created: int | None

    def __init__(
        self,
        *positional: Never,
        max_memory: int | None = None,
        max_memory_each: int | None = None,
        max_table_elements: int | None = None,
        max_table_elements_each: int | None = None,
        max_references: int | None = None,
        max_instances: int | None = None,
        max_memories: int | None = None,
        max_tables: int | None = None,
        max_globals: int | None = None,
        max_tags: int | None = None,
        max_host_functions: int | None = None,
        max_stack: int | None = None,
        max_module_size: int | None = None,
        max_functions: int | None = None,
        max_types: int | None = None,
        max_params: int | None = None,
        max_results: int | None = None,
        max_locals: int | None = None,
        max_code: int | None = None,
        max_open_files: int | None = None,
        max_directory_entries: int | None = None,
        max_host_memory: int | None = None,
        max_arguments: int | None = None,
        max_written: int | None = None,
        max_created: int | None = None,
        **unknown: Never,
    ) -> None:
        # All of them, by name.
        given = locals()
        if positional:
            from .arguments import shown

            such = "such as ResourceLimits(max_memory=1 << 20)"
            raise TypeError(f"ResourceLimits: limits are given by name, {such}, not {shown(positional[0])}")
        if unknown:
            from .arguments import unknown_keywords

            raise unknown_keywords("ResourceLimits", unknown, tuple(LIMITS))
        # Ours refuses.
        put = object.__setattr__
        for name, (unit, _) in LIMITS.items():
            value = given[name]
            put(self, name, value if value is None else limit("ResourceLimits", name, unit, value))

    @classmethod
    def usual(cls, **limits: int | None) -> Self:
        """The limits that ``vibewasm run`` begins with, but for those that are given. They are strict enough for a
        stranger's program, and leave room for real ones.
        """
        made: Self = _made(cls, {**{name: usual for name, (_, usual) in LIMITS.items()}, **limits})
        return made

    def replace(self, **limits: int | None) -> Self:
        """The same limits but for those that are given."""
        made: Self = _made(type(self), {**self._given(), **limits})
        return made

    def _given(self) -> dict[str, int]:
        found = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in found.items() if value is not None}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a ResourceLimits cannot be changed; limits.replace(...) makes another")

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return self._given() == other._given() if isinstance(other, ResourceLimits) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._given().items()))

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[type[Self], dict[str, int]]]:
        return _made, (type(self), self._given())

    def __repr__(self) -> str:
        return "ResourceLimits(" + ", ".join([f"{name}={value!r}" for name, value in self._given().items()]) + ")"


def _made(cls: Any, limits: dict[str, Any]) -> Any:
    return cls(**limits)


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(what: str, name: str, most: int, used: int) -> LinkError:
    """The error for what is more than a limit allows a store.

    Args:
        what: what was asked for, in words.
        name: the limit.
        most, used: what it allows, and how much of that is in use.
    """
    return LinkError(
        f"{what} would be more than ResourceLimits.{name} allows: {most}, of which {used} "
        f"{'is' if used == 1 else 'are'} in use",
        limit=name,
    )


def too_large(what: str, name: str, most: int) -> ValidationError:
    """The error for a module that has more of something than a limit allows."""
    error = ValidationError(f"{what}, and ResourceLimits.{name} allows {most}")
    error.limit = name
    return error


def check_size(limits: ResourceLimits, size: int) -> None:
    """Before a module is read.

    Raises:
        ValidationError: it has more bytes than it may.
    """
    most = limits.max_module_size
    if most is not None and size > most:
        from .counting import counted

        raise too_large(f"a module of {counted(size, 'byte')}", "max_module_size", most)


def check_module(limits: ResourceLimits, info: ModuleInfo) -> None:
    """See that a module has no more of anything than it may.

    Raises:
        ValidationError: it has.
    """
    check_size(limits, len(info.data))
    for name, noun, count in (
        ("max_functions", "function", len(info.func_type_indices)),
        ("max_types", "type", len(info.types)),
    ):
        most = getattr(limits, name)
        if most is not None and count > most:
            from .counting import counted

            raise too_large(f"a module has {counted(count, noun)}", name, most)
    if limits.max_params is not None or limits.max_results is not None:
        # Many a module says one type very often.
        for type_ in {id(type_): type_ for type_ in info.types}.values():
            for name, noun, count in (
                ("max_params", "parameter", len(type_.param_codes)),
                ("max_results", "result", len(type_.result_codes)),
            ):
                most = getattr(limits, name)
                if most is not None and count > most:
                    from .counting import counted

                    raise too_large(f"a type of a module has {counted(count, noun)}", name, most)
