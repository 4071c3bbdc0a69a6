"""Compiling modules that are made to be dear: what each byte of them costs, and how that grows.

A family (``tests/fuzz/bombs.py``, ``tests/fuzz/many_bombs.py``) gives a module of any size. Each is compiled, all of
its functions, at four sizes that double, by the processor's time of this process, with an engine of its own; of several
rounds the least counts, since nothing makes it take less than it takes. What is asked:

* *us a byte*: microseconds of the largest module, decoding included, by its bytes;
* *growth*: the exponent of that time in the number of what the family repeats, over the last two doublings: 1 is
  linear, 2 quadratic;
* bytes of machine code by bytes of module, for both processors.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from math import log
from time import process_time

from tests.fuzz.bombs import BOMBS
from tests.fuzz.many_bombs import many_bombs
from vibewasm import Config, Engine, Module
from vibewasm.backends import TARGETS

from .report import Figure, Report, take_turns
from .session import Session

BARS = {"us a byte": 3.0, "growth": 1.15, **{f"code, {target}": 64.0 for target in TARGETS}}
#: So many bytes at least the largest module has that is not mostly declarations.
_LARGE = 60_000
_DOUBLINGS = 3
#: Values that a type may have.
_MANY = 1000

Bomb = Callable[[int], bytes]


def families() -> dict[str, tuple[Bomb, int]]:
    """All families, with the largest size at which each is compiled."""
    found = {name: (bomb, 4 * size) for name, (bomb, size) in BOMBS.items()}
    for name, bomb in many_bombs(_MANY).items():
        # What is repeated takes some bytes; declarations are the same in all sizes.
        each = (len(bomb(300)) - len(bomb(100))) / 200
        found[name] = bomb, int(_LARGE / each)
    return found


def measure(session: Session) -> Report:
    """The least of the rounds for each family; the figures are the worst families."""
    report = Report("bombs", [*BARS], unit="1", bars=dict(BARS))
    for name, (bomb, largest) in session.progress.each(families().items()):
        modules = [bomb(largest >> doublings) for doublings in range(_DOUBLINGS, -1, -1)]
        sides = {str(number): _compiling(data) for number, data in enumerate(modules)}
        for _ in range(2):
            # Loads and memoises what later ones have.
            sides["0"]()
        times = [min(values) for values in _rounds(session, sides, name).values()]
        growth = log(times[-1] / times[-3]) / log(4)
        codes = [_code(modules[-1], target) / len(modules[-1]) for target in TARGETS]
        report.rows.append((name, [times[-1] / len(modules[-1]) * 1e6, growth, *codes]))
    for column, bar in BARS.items():
        worst = max(report.column(column))
        names = [name for name, cells in report.rows if cells[report.columns.index(column)] == worst]
        report.figures.append(Figure(f"most {column}: {names[0]}", worst, bar))
    return report


def _rounds(session: Session, sides: dict[str, Callable[[], float]], part: str) -> dict[str, list[float]]:
    return take_turns(sides, session.rounds, lambda side, made, calls: session.progress.say(part, made, calls))


def _compiling(data: bytes) -> Callable[[], float]:
    def compiling() -> float:
        engine = Engine(Config(compilation="lazy"))
        # What is on the heap already would be walked by each full collection, and looks like growth.
        gc.collect()
        gc.freeze()
        start = process_time()
        compiler = Module(engine, data).compiler
        for defined in range(len(compiler.info.bodies)):
            compiler.compile(defined)
        taken = process_time() - start
        gc.unfreeze()
        return taken

    return compiling


def _code(data: bytes, target: str) -> int:
    compiler = Module(Engine(Config(compilation="lazy", target=target)), data).compiler
    return sum(len(compiler.compile(defined)) for defined in range(len(compiler.info.bodies)))
