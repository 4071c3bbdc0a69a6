"""How an engine compiles, and how much its stores may take."""

from __future__ import annotations

#: When function bodies are checked and compiled.
COMPILATION_MODES = ("lazy", "lazy-translation", "eager")

#: For whom functions' names and places are written down.
PROFILES = (None, "perfmap", "jitdump")
DEBUGGERS = (None, "gdb")

#: Elements that a table may have unless the configuration says otherwise: 80 MB of cells.
DEFAULT_MAX_TABLE_ELEMENTS = 10_000_000
#: Python objects that wasm code may hold unless the configuration says otherwise: 2 GB of their handles.
DEFAULT_MAX_REFERENCES = 10_000_000


class Config:
    """Settings of an :class:`~vibewasm.Engine`. They are read when the engine is made; later changes have no effect.

    Args:
        compilation: ``"lazy"`` checks and compiles a function body at its first call, so start-up costs what is used;
            an invalid body is found only when it is reached. ``"lazy-translation"`` checks all bodies when the module
            is made and compiles at first call. ``"eager"`` does both at once.
        checked: compile code that verifies the engine's own invariants while it runs, and verify the compiler's while
            it compiles; a fault of either is an ``AssertionError`` or a trap. Slower; meant for tests of vibewasm.
        fuel: compile code that counts; see :attr:`vibewasm.Store.fuel`.
        explicit_bounds: check memory bounds by code, not by unmapped address space. Slower; the engine turns it on by
            itself where 8 GiB of address space cannot be reserved for a memory.
        target: the processor to compile for: ``"x86_64"``, ``"aarch64"``, or ``None`` for the one that this process
            runs on. What is compiled for another one can be inspected and disassembled, not run.
        max_memory: how many bytes all memories of one store may have together; ``None`` for no limit of our own.
            :attr:`vibewasm.Store.max_memory` starts with this.
        max_table_elements: how many elements one table may have.
            :attr:`vibewasm.Store.max_table_elements` starts with this.
        max_references: how many Python objects the wasm code of one store may hold as externref. A host function whose
            result would be one more ends the call with a :class:`~vibewasm.Trap`; an argument, or what is put into a
            table or global, is refused with a :class:`~vibewasm.WasmError`. Objects that are not held any more are let
            go between calls only, so those of one long call all count.
            :attr:`vibewasm.Store.max_references` starts with this.
        profile: let perf see functions by name: ``"perfmap"`` writes ``/tmp/perf-PID.map``, ``"jitdump"`` writes
            ``jit-PID.dump`` for ``perf inject --jit``, with the code in it. ``None`` for neither.
        debug: ``"gdb"`` tells gdb of functions, so that backtraces show them by name; ``None`` does not.

    Raises:
        ValueError: ``compilation``, ``profile`` or ``debug`` is none of the values above, or a limit is negative.
    """

    __slots__ = (
        "checked",
        "compilation",
        "debug",
        "explicit_bounds",
        "fuel",
        "max_memory",
        "max_references",
        "max_table_elements",
        "profile",
        "target",
    )

    def __init__(
        self,
        *,
        compilation: str = "lazy",
        checked: bool = False,
        fuel: bool = False,
        explicit_bounds: bool = False,
        target: str | None = None,
        max_memory: int | None = None,
        max_table_elements: int = DEFAULT_MAX_TABLE_ELEMENTS,
        max_references: int = DEFAULT_MAX_REFERENCES,
        profile: str | None = None,
        debug: str | None = None,
    ) -> None:
        if compilation not in COMPILATION_MODES:
            modes = ", ".join(map(repr, COMPILATION_MODES))
            raise ValueError(f"compilation is one of {modes}, not {compilation!r}")
        if max_memory is not None and max_memory < 0:
            raise ValueError(f"max_memory is a number of bytes, not {max_memory}")
        if max_table_elements < 0:
            raise ValueError(f"max_table_elements is a number of elements, not {max_table_elements}")
        check_max_references(max_references)
        if profile not in PROFILES:
            raise ValueError(f"profile is 'perfmap', 'jitdump' or None, not {profile!r}")
        if debug not in DEBUGGERS:
            raise ValueError(f"debug is 'gdb' or None, not {debug!r}")
        self.compilation = compilation
        self.checked = checked
        self.fuel = fuel
        self.explicit_bounds = explicit_bounds
        self.target = target
        self.max_memory = max_memory
        self.max_table_elements = max_table_elements
        self.max_references = max_references
        self.profile = profile
        self.debug = debug

    def __repr__(self) -> str:
        return "Config(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__) + ")"


def check_max_references(limit: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless this is a limit of references."""
    if not isinstance(limit, int):
        raise TypeError(f"max_references is an int, the number of objects, not {limit!r}")
    if limit < 0:
        raise ValueError(f"max_references is a number of objects, not {limit}")
