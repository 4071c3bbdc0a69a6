"""Compile time of an instruction in code that has vectors, against one in code that has none.

*Mixed* bodies are made up (:mod:`.mixtures`), of vector instructions alone or of scalar ones alone. *Real* ones are
those of the programs that :mod:`.vectors` runs: functions with vector instructions, which have many others besides,
against those without. All instructions of a body count, ``local.get`` and the like too. Each measurement is a child
process of its own, which compiles all functions four times: the first time is the *cold* one, when what vibewasm
memoises is empty; the median of the others is *warm*.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from .children import child_output
from .mixtures import mixture
from .report import Figure, Report, median
from .session import Session
from .vectors import every

if TYPE_CHECKING:
    from vibewasm import Module

#: A vector instruction to a scalar one.
BAR = 1.5

_WITH, _WITHOUT = "with vectors", "without"
_TIMES = 4
_CHILD = """
import sys
from benchmarks.vector_compile import child
child(sys.argv[1:])
"""


def measure(session: Session) -> Report:
    """Medians of child processes, in seconds an instruction. ``peers`` changes nothing."""
    report = Report("vector_compile", [_WITH, _WITHOUT, "ratio"], reference=_WITHOUT)
    files = [str(program.file) for program in every()]
    parts = {
        "mixed": {_WITH: ["mixed", _WITH], _WITHOUT: ["mixed", _WITHOUT]},
        "real": {_WITH: [_WITH, *files], _WITHOUT: [_WITHOUT, *files]},
    }
    for part, arguments in session.progress.each(parts.items()):
        warm: dict[str, list[float]] = {}
        cold = session.medians({side: _measured(side, words, warm) for side, words in arguments.items()}, part)
        report.compare(f"{part}, cold", cold)
        report.compare(f"{part}, warm", {side: median(values) for side, values in warm.items()})
    for name, cells in report.rows:
        report.figures.append(Figure(f"an instruction, {name}", cells[-1], BAR if name.endswith("warm") else None))
    return report


def _measured(side: str, arguments: list[str], warm: dict[str, list[float]]) -> Callable[[], float]:
    def run() -> float:
        cold, *rest = json.loads(child_output(_CHILD, *arguments))
        warm.setdefault(side, []).append(median(rest))
        return float(cold)

    return run


def child(arguments: list[str]) -> None:
    """What a child process does: print seconds an instruction, of each time that all functions are compiled.

    Args:
        arguments: ``mixed`` and which of both, or which functions of the files that follow.
    """
    from vibewasm import Engine, Module

    which, *rest = arguments
    chosen = []
    if which == "mixed":
        data, total = mixture(rest == [_WITH])
        module = Module(Engine(), data)
        chosen += [(module, number) for number in range(len(module.info.bodies))]
    else:
        total = 0
        for file in rest:
            module = Module(Engine(), Path(file).read_bytes())
            for number, (instructions, vectors) in enumerate(counts(module)):
                if (vectors > 0) == (which == _WITH):
                    chosen.append((module, number))
                    total += instructions
    times = []
    for _ in range(_TIMES):
        begun = perf_counter()
        for module, number in chosen:
            module.compiler.compile(number)
        times.append((perf_counter() - begun) / total)
    json.dump(times, sys.stdout)


def counts(module: Module) -> list[tuple[int, int]]:
    """How many instructions each function of a module has, and how many of these are vector instructions."""
    from vibewasm.vector_opcodes import ROWS
    from vibewasm.wat.code_writer import CodeWriter

    vectors = {row[1] for row in ROWS}
    found = []
    reader = CodeWriter(module.info.data)
    for start, _ in module.info.bodies:
        reader.position = start
        for _ in range(reader.u32()):
            reader.u32()
            reader.value_type()
        words = [text.partition(" ")[0] for _, _, text in reader.instructions()]
        found.append((len(words), sum(word in vectors for word in words)))
    return found
