"""No module takes compile time or code memory out of proportion to its size.

Limits of time are generous: they are there to tell linear from quadratic, and a thousand moves for a branch of four
bytes from a loop that makes them. Of bombs of many values the interpreter's steps are counted, which are always the
same: `python -m benchmarks bombs` measures the time.
"""

from __future__ import annotations

import gc
import time

import pytest

import vibewasm as vw
from tests.fuzz.bombs import BOMBS, Bomb
from tests.fuzz.many_bombs import many_bombs
from tests.growth import steps
from tests.spec.suite import PROJECT_ROOT
from vibewasm.backends import TARGETS

# How much more four times the module may cost. Linear is 4, quadratic 16.
MOST_GROWTH = 8.0
# Below this, a measurement says little; growth is then not looked at.
LEAST_SECONDS = 0.02
# How much more each byte may cost than one of an ordinary program, whose bytes take a few bytes of code.
TIMES_ORDINARY = 200
CODE_PER_BYTE = 120
# A machine that is busy with something else can make one measurement look like anything: what is too much is measured
# again, and the least counts.
ATTEMPTS = 5
# What a module may cost however small it is: as much as so many bytes of an ordinary program.
BYTES_AT_ALL = 400_000
CODE_AT_ALL = 100_000
#: One of each kind is tried without --all.
QUICK = {
    "50,000 locals in each function",
    "nested blocks with a branch out of each",
    "blocks of 1000 values",
    "br_if of 1000 values to a loop",
    "a br_table of many entries",
    "operands across calls",
    "a chain of loads",
    "unreachable code",
    "exports",
}


def cost(data: bytes) -> tuple[float, int]:
    """CPU seconds to make the module and compile all its functions, and the bytes of machine code."""
    engine = vw.Engine(vw.Config(compilation="lazy"))
    best, size = float("inf"), 0
    # What other tests have left on the heap would be walked by each full collection, and looks like growth.
    gc.collect()
    gc.freeze()
    for _ in range(2):
        start = time.process_time()
        module = vw.Module(engine, data)
        compiler = module.compiler
        size = sum(len(compiler.compile(defined)) for defined in range(len(module.info.bodies)))
        best = min(best, time.process_time() - start)
    gc.unfreeze()
    return best, size


@pytest.fixture(scope="module")
def ordinary() -> float:
    """CPU seconds that a byte of an ordinary program takes on this machine, as busy as it is."""
    data = (PROJECT_ROOT / "examples" / "hello.wasm").read_bytes()
    return cost(data)[0] / len(data)


@pytest.mark.parametrize(
    ("bomb", "size"),
    [pytest.param(*row, id=name, marks=[] if name in QUICK else pytest.mark.ci) for name, row in BOMBS.items()],
)
def test_costs_grow_with_the_module_and_no_faster(ordinary: float, bomb: Bomb, size: int) -> None:
    small, large = bomb(size), bomb(4 * size)
    small_seconds = large_seconds = float("inf")
    for _ in range(ATTEMPTS):
        seconds, small_code = cost(small)
        small_seconds = min(small_seconds, seconds)
        seconds, large_code = cost(large)
        large_seconds = min(large_seconds, seconds)
        grows = small_seconds > LEAST_SECONDS and large_seconds / small_seconds >= MOST_GROWTH
        if not grows and all(
            seconds < ordinary * (BYTES_AT_ALL + TIMES_ORDINARY * len(data))
            for data, seconds in ((small, small_seconds), (large, large_seconds))
        ):
            break
    told = (
        f"{len(small)} bytes: {small_seconds:.3f} s, {small_code} bytes of code; "
        f"{len(large)} bytes: {large_seconds:.3f} s, {large_code} bytes of code"
    )
    assert not grows, told
    assert large_code <= max(MOST_GROWTH * small_code, CODE_AT_ALL), told
    for data, seconds, code in ((small, small_seconds, small_code), (large, large_seconds, large_code)):
        assert seconds < ordinary * (BYTES_AT_ALL + TIMES_ORDINARY * len(data)), told
        assert code < CODE_AT_ALL + CODE_PER_BYTE * len(data), told


# Steps of the interpreter that a byte more may cost, of which a quiet machine takes 200 to 300 in a microsecond; and
# bytes of code, on both processors.
MOST_STEPS = 620
MOST_CODE = 64
#: Many enough to be many, and few enough to be counted soon.
MANY = 60
MANY_BOMBS = many_bombs(MANY)
QUICK_MANY = {
    "functions of many parameters",
    "ifs of many values with br",
    "calls of many to many",
    "dead blocks of many values",
}


def steps_and_code(data: bytes) -> tuple[int, list[int]]:
    """Steps of the interpreter to compile a module's functions for AArch64, and the bytes of code for each target."""
    codes = []
    for target in TARGETS:
        compiler = vw.Module(vw.Engine(vw.Config(compilation="lazy", target=target)), data).compiler
        functions = range(len(compiler.info.bodies))
        # What is loaded and memoised the first time is not what is asked about.
        codes.append(sum(len(compiler.compile(defined)) for defined in functions))
    return steps(lambda: [compiler.compile(defined) for defined in functions]), codes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK_MANY else pytest.mark.ci) for name in MANY_BOMBS]
)
def test_many_values_cost_what_the_bytes_that_name_them_cost(name: str) -> None:
    bomb = MANY_BOMBS[name]
    modules = [bomb(size) for size in (20, 40, 80)]
    taken = [steps_and_code(data) for data in modules]
    few, more = len(modules[1]) - len(modules[0]), len(modules[2]) - len(modules[1])
    by_few, by_more = taken[1][0] - taken[0][0], taken[2][0] - taken[1][0]
    told = f"modules of {[len(data) for data in modules]} bytes: {taken}"
    # Twice as much more costs twice as much more.
    assert abs(by_more / more - by_few / few) < 0.1 * by_few / few, told
    assert by_more <= MOST_STEPS * more, told
    for less_code, more_code in zip(taken[1][1], taken[2][1], strict=True):
        assert more_code - less_code <= MOST_CODE * more, told


@pytest.mark.parametrize(
    "name", ["blocks of many values with br", "functions of many parameters", "dead ifs of many values"]
)
def test_a_thousand_values_take_as_many_steps_as_sixty(name: str) -> None:
    def more(most: int) -> int:
        bomb = many_bombs(most)[name]
        return steps_and_code(bomb(20))[0] - steps_and_code(bomb(10))[0]

    assert abs(more(1000) - more(MANY)) < 0.1 * more(MANY)
