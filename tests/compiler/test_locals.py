"""Locals: what is pinned, and that a value taken before an assignment stays what it was."""

from __future__ import annotations

import pytest

import vibewasm
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, unsigned
from vibewasm.backends import operand
from vibewasm.backends.x86_64 import frames
from vibewasm.backends.x86_64.target import TARGET as target
from vibewasm.compiler.locals import Locals, Pins, rank

GET, SET, DROP = b"\x20", b"\x21", b"\x1a"


def run(body: bytes, locals: list[tuple[int, str]]) -> object:
    """The result of a function without parameters that returns an i32."""
    builder = ModuleBuilder()
    builder.func((), ("i32",), body, locals=locals, export="f")
    return vibewasm.instantiate(builder.build()).exports.f()


@pytest.mark.parametrize("first", [0, 100, 126, 127, 128, 300])
def test_a_value_taken_before_an_assignment_stays(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # A local beyond the one-byte indices is named by an interned entry; with a full table, interning starts anew.
    monkeypatch.setattr(operand, "INTERN_LIMIT", 1)
    one, two = unsigned(first), unsigned(first + 1)
    body = i32_const(1) + SET + one + i32_const(2) + SET + two
    body += GET + one + GET + two + DROP + i32_const(42) + SET + one
    assert run(body, [(400, "i32")]) == 1


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 40, 41, 127, 128, 129, 1000, 50_000])
def test_locals_start_as_zero(count: int) -> None:
    body = i32_const(0)
    for index in {0, count // 2, count - 1} if count else ():
        body += GET + unsigned(index) + b"\x72"
    assert run(body, [(count, "i32")]) == 0


def homes(body: bytes, params: tuple[int, ...] = (), runs: list[tuple[int, int]] | None = None) -> Locals:
    """The homes that the locals of a body get on x86-64."""
    places, _ = frames.parameter_places(params)
    declared = runs or []
    count = len(params) + sum(count for count, _ in declared)
    hottest = rank(body, count)
    return Locals(params, places, declared, count, hottest, Pins(target.PINNED_INTS, target.PINNED_FLOATS), frames)


def test_the_locals_that_are_read_most_are_pinned() -> None:
    body = b"".join((GET + bytes((index,))) * (index + 1) for index in range(10))
    found = homes(body, runs=[(10, operand.I32)])
    pinned = [index for index in range(10) if found.entries[index].reg >= 0]  # type: ignore[union-attr]  # all exist
    assert pinned == [3, 4, 5, 6, 7, 8, 9]
    assert found.pinned_ints == 7


def test_reads_in_a_loop_count_more() -> None:
    body = (GET + b"\x00") * 9 + b"\x03\x40" + (GET + b"\x01") * 2 + b"\x0b"
    found = homes(body, runs=[(2, operand.I32)])
    first = found.entries[1]
    assert first is not None
    assert first.reg == target.PINNED_INTS[0]


def test_a_local_that_is_hardly_read_is_not_pinned() -> None:
    found = homes(GET + b"\x00", runs=[(1, operand.I32)])
    assert found.pinned_ints == 0
