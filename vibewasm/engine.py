"""Engines: one configuration, and what all stores and modules made with it share."""

from __future__ import annotations

from itertools import count

from .config import Config
from .errors import WasmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .runtime.adapters import Adapters
    from .runtime.code_memory import CodeMemory
    from .types import FuncType

#: Targets that a later version will have, so that the error can say so.
_PLANNED_TARGETS = ("aarch64",)
_TARGETS = ("x86_64",)


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
    """

    __slots__ = ("_explicit_bounds", "_new_type_ids", "_type_ids", "config")

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._check_target()
        self._type_ids: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
        self._new_type_ids = count(1)
        self._explicit_bounds: bool | None = self.config.explicit_bounds or None

    @property
    def explicit_bounds(self) -> bool:
        """Whether code checks memory bounds itself: because the configuration says so, or because this process cannot
        reserve the address space that makes checks unnecessary.
        """
        if self._explicit_bounds is None:
            # Asked once, and not before a module with a memory is met.
            from .runtime.linear_memory import LinearMemory

            try:
                LinearMemory(0).close()
                self._explicit_bounds = False
            except MemoryError:
                self._explicit_bounds = True
        return self._explicit_bounds

    def _check_target(self) -> None:
        target = self.config.target
        if target in _PLANNED_TARGETS:
            raise WasmError(f"the {target} backend is not built yet; this version compiles for {', '.join(_TARGETS)}")
        if target is not None and target not in _TARGETS:
            raise WasmError(f"there is no target {target!r}; this version compiles for {', '.join(_TARGETS)}")
        global _platform_checked
        if not _platform_checked:
            from .runtime.platform import check

            try:
                check()
            except RuntimeError as error:
                raise WasmError(str(error)) from None
            from .backends.x86_64 import features

            features.run_code = _run_code
            _platform_checked = True

    def _type_id(self, type: FuncType) -> int:
        """The identity of a function type: one number for equal types, which code compares (specification, "Type
        Equivalence").
        """
        # setdefault is atomic, so two threads that meet here agree; a number may stay unused, but none is given twice.
        return self._type_ids.setdefault((type.param_codes, type.result_codes), next(self._new_type_ids))

    def __repr__(self) -> str:
        return f"<vibewasm.Engine {self.config!r}>"


_platform_checked = False
_shared_adapters: Adapters | None = None
_shared_memory: CodeMemory | None = None
_default: Engine | None = None


def default_engine() -> Engine:
    """The engine with default settings that :func:`vibewasm.instantiate` uses."""
    global _default
    if _default is None:
        _default = Engine()
    return _default


def stub_memory() -> CodeMemory:
    """Where stubs and adapters are published. They depend on signatures at most, so all engines of a process share
    them.
    """
    global _shared_memory
    if _shared_memory is None:
        from .backends.x86_64 import stubs
        from .runtime import faults
        from .runtime.code_memory import CodeMemory

        faults.install(stubs.fault_handler)
        _shared_memory = CodeMemory(traps=False)
    return _shared_memory


def _run_code(code: bytes) -> int:
    """The result of machine code of ``u64 f(void)`` that asks the processor for its extensions, or 0 where the
    environment says to use none: ``VIBEWASM_CPU=baseline``.
    """
    from ctypes import CFUNCTYPE, c_uint64
    from os import environ

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
        from .backends.x86_64 import stubs
        from .runtime.adapters import Adapters

        _shared_adapters = Adapters(stub_memory(), stubs)
    return _shared_adapters
