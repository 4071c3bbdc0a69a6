"""Python calls wasm code calls Python …: traps, exceptions and interruptions come out right at any depth."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Any

import pytest

from vibewasm.runtime import calls, context, system

from .machine import Machine, TrapError, native


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_activations_nest(machine: Machine) -> None:
    m = machine
    depths = []

    def host(n: int) -> list[int]:
        depths.append(m.cells[context.CELL_SAVED_SP])
        return m.call(outer, "l:l", n - 1) if n else [7]

    outer = m.wrapped(native.call_record(m.host("l:l", host)) + native.add_to_result(1))
    assert m.call(outer, "l:l", 20) == [28]
    assert len(depths) == 21
    assert depths == sorted(depths, reverse=True)
    assert m.cells[context.CELL_SAVED_SP] == m.cells[context.CELL_EXIT_FP] == 0
    assert m.cells[context.CELL_CELLS_TOP] == m.block.stack_base


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_an_exception_comes_out_unchanged_with_its_traceback(machine: Machine, depth: int) -> None:
    m = machine

    class Odd(Exception):
        pass

    original = Odd("deep")

    def host(n: int) -> list[int]:
        if n:
            return m.call(outer, "l:l", n - 1)
        raise original

    outer = m.wrapped(native.call_record(m.host("l:l", host)))
    with pytest.raises(Odd) as caught:
        m.call(outer, "l:l", depth)
    assert caught.value is original
    assert sum(entry.name == "host" for entry in caught.traceback) == depth + 1
    assert m.cells[context.CELL_SAVED_SP] == m.cells[context.CELL_EXIT_FP] == 0
    assert m.cells[context.CELL_CELLS_TOP] == m.block.stack_base
    assert m.call(m.wrapped(native.set_result(5)), ":l") == [5]


def test_a_failure_after_a_call_from_within_is_not_lost(machine: Machine) -> None:
    """The callbacks of the inner activation clear the "failed" cell, which the outer callback has yet to do."""
    m = machine
    inner = m.wrapped(native.call_record(m.host(":", lambda: None)))
    trapping = m.wrapped(native.call_record(m.host(":", lambda: None)) + native.trap(1))

    def host(trap: int) -> None:
        if trap:
            with pytest.raises(TrapError):
                m.call(trapping, ":")
        else:
            m.call(inner, ":")
        raise LookupError

    outer = m.wrapped(native.call_record(m.host("l:", host)))
    for trap in (0, 1):
        with pytest.raises(LookupError):
            m.call(outer, "l:", trap)


def test_a_trap_inside_can_be_handled_by_the_host_function_in_between(machine: Machine) -> None:
    m = machine
    boom = m.wrapped(native.trap(1))
    seen = []

    def host(n: int) -> list[int]:
        with pytest.raises(TrapError) as caught:
            m.call(boom, ":")
        seen.append(caught.value.record.frames)
        return [n + 1]

    body = native.keep(1234) + native.call_record(m.host("l:l", host)) + native.add_kept()
    outer = m.wrapped(body)
    assert m.call(outer, "l:l", 5) == [1240]
    # Only the frames of the inner activation.
    assert [len(frames) for frames in seen] == [1]
    # Afterwards a trap in the outer activation has frames of its own.
    late = m.wrapped(native.call_record(m.host("l:l", host)) + native.trap(8))
    with pytest.raises(TrapError) as caught:
        m.call(late, "l:l", 5)
    assert caught.value.number == 8
    assert [ctx for _, ctx in caught.value.record.frames] == [m.ctx.address]


def test_a_trap_passes_through_activations_as_an_exception(machine: Machine) -> None:
    m = machine

    def host(n: int) -> list[int]:
        return m.call(outer if n else boom, "l:l", max(n - 1, 0))

    boom = m.wrapped(native.trap(3))
    outer = m.wrapped(native.call_record(m.host("l:l", host)))
    with pytest.raises(TrapError) as caught:
        m.call(outer, "l:l", 5)
    assert caught.value.number == 3
    assert caught.value.record.pc == boom.cells[0] + len(native.PROLOGUE)


def c_call(name: str, *arguments: int) -> bytes:
    """Wasm code that calls a function of the C library, out of order, to make something happen exactly here."""
    return native.c_call(system.function_address(name), *arguments)


def test_keyboard_interrupt_at_the_entry_of_a_callback_is_not_lost(machine: Machine) -> None:
    m = machine
    entered = []
    host = m.host(":", lambda: entered.append(1))
    # raise(SIGINT): CPython's handler notes it, and the exception comes up when the callback's function is entered.
    once = m.wrapped(c_call("raise", signal.SIGINT) + native.call_record(host) + native.set_result(1))
    for _ in range(50):
        with pytest.raises(KeyboardInterrupt) as caught:
            m.call(once, ":l")
        assert {entry.name for entry in caught.traceback} & {"call", "callback", "_poll"}
    assert entered == []
    assert m.call(m.wrapped(native.call_record(host) + native.set_result(1)), ":l") == [1]
    assert entered == [1]


def test_any_exception_of_a_signal_handler_at_the_entry_of_a_callback_comes_out(machine: Machine) -> None:
    m = machine
    original = LookupError("from a signal handler")

    def handler(number: int, frame: object) -> None:
        raise original

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        record = m.wrapped(c_call("raise", signal.SIGUSR1) + native.call_record(m.host(":", lambda: None)))
        with pytest.raises(LookupError) as caught:
            m.call(record, ":")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert caught.value is original


def test_what_other_callbacks_raise_is_still_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    m = machine
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(type(unraisable.exc_value)))
    calls.watch_swallowed()
    # Somebody else's callback, which looks as much like one of ours as it can, also while one of ours runs.
    foreign = ctypes.CFUNCTYPE(None)(eval("lambda: [][0]", {"__name__": "vibewasm.calls.callbacks"}))
    foreign()
    assert m.call(m.wrapped(native.call_record(m.host("l:l", lambda n: [foreign() or n + 1]))), "l:l", 5) == [6]
    assert reported == [IndexError, IndexError]
    assert m._pending is None


def test_a_hook_that_comes_later_and_calls_the_one_before_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append("first"))
    calls.watch_swallowed()
    before = sys.unraisablehook

    def later(unraisable: Any) -> None:
        reported.append("later")
        before(unraisable)

    sys.unraisablehook = later
    calls.watch_swallowed()
    assert sys.unraisablehook is not later
    ctypes.CFUNCTYPE(None)(lambda: [][0])()
    assert reported == ["later", "first"]
    # One that was put back is ours already.
    sys.unraisablehook = before
    calls.watch_swallowed()
    assert sys.unraisablehook is before
