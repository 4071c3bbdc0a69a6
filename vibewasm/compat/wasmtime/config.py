"""Settings of an engine. Like wasmtime-py's they can be set and not read, and an engine takes them away."""

from __future__ import annotations

from ...api.config import Config as OurConfig
from ...backends import TARGETS
from ...calls.process import HOST
from ...proposals import TITLES
from .errors import WasmtimeError
from .managed import Managed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Values of settings that are words.
_STRATEGIES = ("auto", "cranelift")
_OPT_LEVELS = ("none", "speed", "speed_and_size")
_PROFILERS = ("none", "jitdump", "vtune", "perfmap")


def setter(function: Callable[[Any, Any], None]) -> property:
    """A property that can only be set."""
    return property(fset=function, doc=function.__doc__)


def _switch(title: str) -> property:
    """A switch that changes nothing here."""

    def switch(self: Config, enable: bool) -> None:
        self._given_bool(enable)

    return property(fset=switch, doc=f"{title}: accepted, and without effect.")


def _feature(title: str, proposal: str | None = None) -> property:
    """The switch of a feature.

    Args:
        proposal: its key in :data:`vibewasm.proposals.TITLES`, where what is not built stands; ``None`` for what every
            module may use. Turning on what is not built is accepted, since many programs turn on more than they need:
            a module that uses it is refused, by name.
    """

    def switch(self: Config, enable: bool) -> None:
        self._given_bool(enable)
        if not enable and (proposal is None or proposal not in TITLES):
            raise WasmtimeError(f"{title} cannot be turned off: vibewasm takes all modules that it can run")

    return property(fset=switch, doc=f"Whether modules may use this: {title}.")


def _vectors(title: str, proposal: str) -> property:
    """The switch of a feature whose absence modules are looked through for."""

    def switch(self: Config, enable: bool) -> None:
        self._given_bool(enable)
        self._off = self._off - {proposal} if enable else self._off | {proposal}

    return property(fset=switch, doc=f"Whether modules may use this: {title}.")


def _number(title: str) -> property:
    """A number that changes nothing here."""

    def number(self: Config, size: int) -> None:
        self._given_int(size)

    return property(fset=number, doc=f"{title}: accepted, and without effect.")


class Config(Managed):
    """Settings of an :class:`Engine`, each of which can be set and not read."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._epochs = False
        #: For what code is to be deterministic.
        self._deterministic: frozenset[str] = frozenset()
        #: What is turned off of the proposals that can be.
        self._off: frozenset[str] = frozenset()
        self._profiler = "none"

    def _given_bool(self, value: object, article: str = "a") -> None:
        if not isinstance(value, bool):
            raise TypeError(f"expected {article} bool")
        self._check_open()

    def _given_int(self, value: object) -> None:
        if not isinstance(value, int):
            raise TypeError("expected an int")
        self._check_open()

    def _given_word(self, what: str, value: object, words: tuple[str, ...]) -> None:
        if value not in words:
            raise WasmtimeError(f"unknown {what}: {value}")
        self._check_open()

    def _made(self) -> OurConfig:
        """The engine's own settings. This object counts as closed afterwards."""
        self._check_open()
        if self._profiler == "vtune":
            raise WasmtimeError(
                "vibewasm knows no VTune: the profilers that it tells of functions are jitdump and perfmap"
            )
        if self._off == {"simd"}:
            raise WasmtimeError("cannot disable the simd proposal but enable the relaxed simd proposal")
        self._consume()
        profile = None if self._profiler == "none" else self._profiler
        return OurConfig(profile=profile, **self._settings)

    # -- what modules may use ---------------------------------------------------------------------------------------

    wasm_bulk_memory = _feature("bulk memory operations")
    wasm_component_model = _feature("components", "component-model")
    wasm_component_model_implements = _feature("names of implementations in components", "component-model")
    wasm_component_model_map = _feature("maps in components", "component-model")
    wasm_custom_page_sizes = _feature("pages of other sizes", "custom-page-sizes")
    wasm_exceptions = _feature("exceptions")
    wasm_function_references = _feature("typed function references")
    wasm_gc = _feature("garbage-collected objects", "gc")
    wasm_memory64 = _feature("64-bit memories", "memory64")
    wasm_multi_memory = _feature("several memories", "multi-memory")
    wasm_multi_value = _feature("several results")
    wasm_reference_types = _feature("reference types")
    wasm_relaxed_simd = _vectors("relaxed SIMD", "relaxed-simd")
    wasm_simd = _vectors("SIMD", "simd")
    wasm_stack_switching = _feature("stack switching", "stack-switching")
    wasm_tail_call = _feature("tail calls")
    wasm_threads = _feature("threads", "threads")
    wasm_wide_arithmetic = _feature("wide arithmetic", "wide-arithmetic")

    @setter
    def wasm_relaxed_simd_deterministic(self, enable: bool) -> None:
        """Whether relaxed SIMD gives the same results on every processor; NaNs are canonical then, too."""
        self._given_bool(enable)
        self._deterministic_for("relaxed", enable)

    # -- what means something here ----------------------------------------------------------------------------------

    @setter
    def cache(self, enabled: bool | str) -> None:
        """Whether compiled code is kept on disk: ``True``, or the path of one of wasmtime's configuration files, of
        which ``[cache] directory`` counts.
        """
        if isinstance(enabled, bool):
            if not enabled:
                raise WasmtimeError("caching cannot be explicitly disabled")
            folder: bool | str = True
        elif isinstance(enabled, str):
            from .cache import folder_of

            folder = folder_of(enabled)
        else:
            raise TypeError("expected string or bool")
        self._check_open()
        self._settings["cache"] = folder

    @setter
    def cranelift_nan_canonicalization(self, enable: bool) -> None:
        """Whether every NaN that is made is the canonical one; relaxed SIMD is deterministic then, too."""
        self._given_bool(enable)
        self._deterministic_for("nans", enable)

    def _deterministic_for(self, what: str, enable: bool) -> None:
        # It is one setting here.
        self._deterministic = self._deterministic | {what} if enable else self._deterministic - {what}
        self._settings["deterministic"] = bool(self._deterministic)

    @setter
    def consume_fuel(self, instances: bool) -> None:
        """Whether wasm code uses fuel; see :meth:`Store.set_fuel`."""
        self._given_bool(instances, "an")
        self._settings["fuel"] = instances

    @setter
    def debug_info(self, enable: bool) -> None:
        """Whether gdb is told of functions."""
        self._given_bool(enable)
        self._settings["debug"] = "gdb" if enable else None

    @setter
    def epoch_interruption(self, enabled: bool) -> None:
        """Whether wasm code is stopped by :meth:`Engine.increment_epoch`."""
        self._check_open()
        self._epochs = bool(enabled)

    @setter
    def profiler(self, profiler: str) -> None:
        """Which profiler is told of functions: ``"none"``, ``"jitdump"`` or ``"perfmap"``."""
        self._given_word("profiler", profiler, _PROFILERS)
        self._profiler = profiler

    @setter
    def signals_based_traps(self, enable: bool) -> None:
        """Whether faults of the processor become traps, which vibewasm cannot do without."""
        self._given_bool(enable)
        if not enable:
            raise WasmtimeError(
                "signals_based_traps cannot be turned off: traps of vibewasm are faults of the processor"
            )

    @setter
    def target(self, triple: str) -> None:
        """The processor to compile for, as the triple of a Linux system."""
        if not isinstance(triple, str):
            raise TypeError("expected a str")
        self._check_open()
        processor, _, rest = triple.partition("-")
        processor = "aarch64" if processor == "arm64" else processor
        if processor not in TARGETS or (rest and "linux" not in rest.split("-")):
            raise WasmtimeError(
                f"Unrecognized architecture: {triple}; vibewasm compiles for Linux on {' and '.join(TARGETS)}"
            )
        self._settings["target"] = None if processor == HOST else processor

    # -- what changes nothing here ----------------------------------------------------------------------------------

    cranelift_debug_verifier = _switch("checks of Cranelift's code")
    gc_support = _switch("support for garbage-collected objects")
    macos_use_mach_ports = _switch("how faults are caught on macOS")
    max_wasm_stack = _number("the most stack that wasm code may use, which here is what the thread has")
    memory_guard_size = _number("unmapped address space after a memory")
    memory_init_cow = _switch("memories that share their first contents")
    memory_may_move = _switch("memories that move when they grow, which none does here")
    memory_reservation = _number("address space of a memory")
    memory_reservation_for_growth = _number("address space of a memory that has moved")
    native_unwind_info = _switch("tables for native unwinders")
    parallel_compilation = _switch("compiling in several threads")
    shared_memory = _switch("memories that threads share, which are refused when they are made")

    @setter
    def cranelift_opt_level(self, opt_level: str) -> None:
        """How much Cranelift optimises: accepted, and without effect."""
        self._given_word("opt level", opt_level, _OPT_LEVELS)

    @setter
    def strategy(self, strategy: str) -> None:
        """The compiler: ``"auto"`` or ``"cranelift"``, both of which are vibewasm's own here."""
        self._given_word("strategy", strategy, _STRATEGIES)

    def cranelift_flag_enable(self, flag: str) -> None:
        """A flag of Cranelift: accepted, and without effect."""
        if not isinstance(flag, str):
            raise TypeError("expected a str")
        self._check_open()

    def cranelift_flag_set(self, key: str, value: str) -> None:
        """A setting of Cranelift: accepted, and without effect."""
        if not isinstance(key, str):
            raise TypeError("expected a str for key")
        if not isinstance(value, str):
            raise TypeError("expected a str for value")
        self._check_open()
