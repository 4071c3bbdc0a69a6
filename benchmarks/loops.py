"""Array calls, and C functions as imports, against the same loop in C that calls through a pointer to a function."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from .modules import ADD, CALL_LOOP
from .peers import MissingError
from .report import Figure, Report
from .session import Session

#: Elements of an array, and calls of a loop.
_COUNT = 1_000_000
#: What an element or a call may take: so many seconds, or so many times what C takes, whichever is more.
_SECONDS = 10e-9
_TIMES = 3

_SOURCE = """
#include <stdint.h>
#include <stddef.h>

typedef int32_t function(int32_t, int32_t);

int32_t add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

void over_arrays(function *f, const int32_t *a, const int32_t *b, int32_t *out, size_t count) {
  for (size_t i = 0; i < count; i++)
    out[i] = f(a[i], b[i]);
}

void calls(function *f, int32_t count) {
  do
    f(count, 7);
  while (--count);
}
"""


def measure_arrays(session: Session) -> Report:
    """Medians, in seconds an element of ``add``."""
    return _measure(session, "arrays", "add(i32, i32), an element", {"vibewasm": _map(), "C": _c_over_arrays()})


def measure_native(session: Session) -> Report:
    """Medians, in seconds a call of a C function from a loop."""
    return _measure(session, "native", "a call of a C function", {"vibewasm": _native(), "C": _c_calls()})


def _measure(session: Session, benchmark: str, name: str, sides: dict[str, Callable[[], float]]) -> Report:
    report = Report(benchmark, ["vibewasm", "C", "ratio"], reference="C")
    ((name, sides),) = session.progress.each([(name, sides)])
    times = {side: value / _COUNT for side, value in session.medians(sides, name).items()}
    report.compare(name, times)
    bar = max(_SECONDS, _TIMES * times["C"])
    report.figures.append(Figure(f"to 10 ns or {_TIMES} times C, whichever is more", times["vibewasm"] / bar, 1))
    return report


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        call()
        return perf_counter() - start

    return run


def _compiled() -> ctypes.CDLL:
    """The loops in C.

    Raises:
        MissingError: there is no compiler.
    """
    if shutil.which("cc") is None:
        raise MissingError("there is no C compiler: install one that is called cc")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "loops.c"), Path(folder, "loops.so")
        source.write_text(_SOURCE)
        # A loop that knows what it calls would be no loop of calls.
        subprocess.run(["cc", "-O2", "-fno-ipa-icf", "-shared", "-fPIC", "-o", library, source], check=True)
        return ctypes.CDLL(str(library))


def _arrays() -> list[array[int]]:
    return [array("i", range(_COUNT)) for _ in range(3)]


def _map() -> Callable[[], float]:
    import vibewasm

    add = vibewasm.instantiate(ADD).exports["add"]
    a, b, out = _arrays()
    return _timed(lambda: add.map(a, b, out=out))


def _c_over_arrays() -> Callable[[], float]:
    library = _compiled()
    arrays = _arrays()
    addresses = [ctypes.c_void_p(item.buffer_info()[0]) for item in arrays]

    def call() -> None:
        library.over_arrays(library.add, *addresses, ctypes.c_size_t(len(arrays[0])))

    return _timed(call)


def _native() -> Callable[[], float]:
    import vibewasm

    add = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)(("add", _compiled()))
    loop = vibewasm.instantiate(CALL_LOOP, {"env": {"f": vibewasm.Native(add)}}).exports["loop"]
    return _timed(lambda: loop(_COUNT))


def _c_calls() -> Callable[[], float]:
    library = _compiled()
    return _timed(lambda: library.calls(library.add, _COUNT))
