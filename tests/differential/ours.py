"""vibewasm's side of the check, in all modes. Nothing here needs more than the standard library."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import vibewasm as vw
from tests.differential.cases import Case, digested
from tests.fuzz import ours
from tests.fuzz.steps import MEMORY_BYTES, TABLE_ELEMENTS, Difference, Step, Trace, first_difference
from tests.spec import engine
from vibewasm.backends.x86_64 import features
from vibewasm.backends.x86_64.target import TARGET
from vibewasm.instances import exception_objects

#: Name of a mode → what it gives to Config. `extensions` uses processor extensions in machine code, where there are;
#: `deterministic` has the bits of NaNs compared as well.
MODES: dict[str, dict[str, Any]] = {
    **engine.MODES,
    "fuel": {"fuel": True},
    "checked-explicit-bounds": {"checked": True, "explicit_bounds": True},
    "extensions": {"compilation": "eager"},
    "deterministic": {"deterministic": True},
}
DETERMINISTIC = "deterministic"
# What the generator writes ends within milliseconds; a process that is stopped meanwhile must not look endless.
_SECONDS = 60.0
#: Exception objects that are made available at once.
_BUDGET = 3
#: Modules with the same mode follow one another, since turning extensions on forgets choices of code.
_RUN = 40
_EXTENSIONS = "extensions"


def mode_of(number: int, simd: bool = False) -> str:
    """The mode of module `number`: each has its share, but for processor extensions in a campaign whose modules are
    rich in vector instructions, which uses them anyway.
    """
    if number // _RUN % 8 == 7 and not simd:
        return _EXTENSIONS
    names = [name for name in MODES if name != _EXTENSIONS]
    return names[number % len(names)]


#: Of each, as wasmtime counts them.
_LIMITS = vw.ResourceLimits(max_memory_each=MEMORY_BYTES, max_table_elements_each=TABLE_ELEMENTS)


class Ours:
    """An engine for each mode.

    Args:
        extensions: use processor extensions in every mode, not only in the one that has that name.
    """

    def __init__(self, extensions: bool = False) -> None:
        self._extensions = extensions
        self._engines: dict[str, vw.Engine] = {}

    def run(self, data: bytes, mode: str, planned: list[Step]) -> Trace:
        """Makes the module, instantiates it and takes the steps. Raises what making it raises."""
        set_extensions(self._extensions or mode == _EXTENSIONS)
        if mode not in self._engines:
            self._engines[mode] = vw.Engine(vw.Config(limits=_LIMITS, **MODES[mode]))
        module = vw.Module(self._engines[mode], data)
        # So few that those which nobody holds are looked for within what these modules throw.
        exception_objects.SMALLEST_BUDGET = _BUDGET
        exception_objects._WORDS_PER_OBJECT = 1 << 40
        trace = ours.run(self._engines[mode], module, planned, seconds=_SECONDS)
        if trace.results[-1].kind == "stopped":
            # The deadline is one of the clock. A process that was stopped meanwhile gets a second chance; a call that
            # does not end uses it up as well.
            trace = ours.run(self._engines[mode], module, planned, seconds=_SECONDS)
        return trace

    def difference(self, case: Case) -> Difference | None:
        """Whether a case goes as it must."""
        trace = self.run(case.data, case.mode, case.steps)
        state = None if trace.state is None else digested(trace.state)
        exactly = case.mode == DETERMINISTIC
        return first_difference(case.steps, case.data, Trace(trace.results, state), case.trace, nan_bits=exactly)


@cache
def _processor() -> frozenset[str]:
    """The flags of this processor, as far as the system tells them; none with `VIBEWASM_CPU=baseline`."""
    if os.environ.get("VIBEWASM_CPU") == "baseline":
        return frozenset()
    path = Path("/proc/cpuinfo")
    return frozenset(path.read_text(encoding="utf-8").split()) if path.exists() else frozenset()


def set_extensions(wanted: bool) -> None:
    """Lets machine code use BMI1, BMI2, LZCNT, AVX, AVX2 and FMA, where this processor has them, or not.

    Choices of code are kept from module to module as long as this is the same, as in a process that has many modules.
    """
    flags = _processor() if wanted else frozenset()
    chosen = [name in flags for name in ("bmi1", "bmi2", "abm", "avx", "avx2", "fma")]
    if chosen != [features.BMI1, features.BMI2, features.LZCNT, features.AVX, features.AVX2, features.FMA]:
        TARGET.configure(*chosen)
