"""Engines: one configuration, and what all stores and modules made with it share."""

from __future__ import annotations

from os import uname

from .backends import TARGETS, backend
from .config import Config
from .errors import WasmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .runtime.adapters import Adapters
    from .runtime.code_memory import CodeMemory
    from .runtime.observers import Observer
    from .types import FuncType

#: The processor that this process runs on.
HOST = uname().machine


class Engine:
    """A configuration and the identities of types. Stores, modules and linkers that work together are made with one
    engine.

    An engine may be used by any number of threads.

    Args:
        config: the settings; the default ones if it is left out.

    Raises:
        WasmError: this platform, or the target that the configuration names, is not supported.

    Attributes:
        config: the settings. Changing them has no effect on what exists.
        target: the processor that it compiles for.
    """

    __slots__ = ("_explicit_bounds", "_new_type_ids", "_observers", "_type_ids", "config", "target")

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.target = self._checked_target()
        self._type_ids: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
        self._new_type_ids = iter(range(1, 1 << 62))
        self._explicit_bounds: bool | None = self.config.explicit_bounds or None
        if self.config.compilation == "eager":
            self._load_all()
        #: Who is told of functions' names and places.
        self._observers: tuple[Observer, ...] = ()
        if self.config.profile or self.config.debug:
            from .runtime.observers import observer

            self._observers = tuple(observer(name) for name in (self.config.profile, self.config.debug) if name)

    def _load_all(self) -> None:
        """Load what decoding and compiling may need, and ask what the processor can do.

        Whole modules will be compiled, so that is done now: a module's compile time has no loading in it.
        """
        from .binary import definitions
        from .compiler.module import load_all
        from .runtime import linear_memory

        _ = definitions, linear_memory
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
            from .runtime.linear_memory import LinearMemory

            try:
                LinearMemory(0).close()
                self._explicit_bounds = False
            except MemoryError:
                self._explicit_bounds = True
        return self._explicit_bounds

    def _checked_target(self) -> str:
        target = self.config.target
        if target is not None and target not in TARGETS:
            raise WasmError(f"there is no target {target!r}; this version compiles for {', '.join(TARGETS)}")
        if target is not None and target != HOST:
            # What it makes is not run here, so this platform need not be able to.
            return target
        global _platform_checked
        if not _platform_checked:
            from .runtime import check

            try:
                check()
            except RuntimeError as error:
                raise WasmError(str(error)) from None
            backend(HOST).run_code = _run_code
            _platform_checked = True
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
        # setdefault is atomic, so two threads that meet here agree; a number may stay unused, but none is given twice.
        return self._type_ids.setdefault((type.param_codes, type.result_codes), next(self._new_type_ids))

    def __repr__(self) -> str:
        return f"<vibewasm.Engine {self.config!r}>"


_platform_checked = False
#: What the process has one of, by name, once it was asked for. Two threads may make the first one at the same time, but
#: ``setdefault`` is atomic: both go on with the same, and the other one is dropped before anything refers to it.
_ones: dict[str, Any] = {}
_shared_adapters: Adapters | None = None
_shared_memory: CodeMemory | None = None
_default: Engine | None = None


def default_engine() -> Engine:
    """The engine with default settings that :func:`vibewasm.instantiate` uses."""
    global _default
    if _default is None:
        _default = _ones.setdefault("engine", Engine())
    return _default


def stub_memory() -> CodeMemory:
    """Where stubs and adapters are published. They depend on signatures at most, so all engines of a process share
    them.
    """
    global _shared_memory
    if _shared_memory is None:
        from .runtime import faults
        from .runtime.code_memory import CodeMemory

        memory = _ones.setdefault("memory", CodeMemory(traps=False, permanent=True, failure=WasmError))
        # Nobody may run code from here before the handler is there, so each thread sees to it.
        try:
            faults.install(backend(HOST).stubs.fault_handler, memory)
        except (OSError, RuntimeError) as error:
            raise WasmError(str(error)) from None
        _shared_memory = memory
    return _shared_memory


def _run_code(code: bytes) -> int:
    """The result of machine code of ``u64 f(void)`` that asks the processor for its extensions, or 0 where the
    environment says to use none: ``VIBEWASM_CPU=baseline``.
    """
    from os import environ

    from .runtime.ffi import CFUNCTYPE, c_uint64

    chosen = environ.get("VIBEWASM_CPU", "native")
    if chosen == "baseline":
        return 0
    if chosen != "native":
        raise WasmError(f"VIBEWASM_CPU is {chosen!r}; it has to be 'native' or 'baseline'")
    result: int = CFUNCTYPE(c_uint64)(stub_memory().publish(code))()
    return result


def adapters() -> Adapters:
    """The machine code between Python and wasm."""
    global _shared_adapters
    if _shared_adapters is None:
        from .runtime.adapters import Adapters

        _shared_adapters = _ones.setdefault("adapters", Adapters(stub_memory(), backend(HOST).stubs))
    return _shared_adapters
