"""Loops and recursion can be interrupted by another thread and by SIGINT, and go on if nobody objects."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from vibewasm import abi
from vibewasm.runtime import calls, context
from vibewasm.runtime.blocks import Block

from .machine import Machine, TrapError, native
from .test_traps import endless


@pytest.fixture
def machine() -> Machine:
    return Machine()


def endless_loop(m: Machine) -> Block:
    """A function with a loop without end."""
    return m.wrapped(native.endless_loop())


def exponential(m: Machine) -> Block:
    """A function of a number that takes for ever without a loop and without much stack."""
    return m.function(native.exponential())


@pytest.mark.parametrize("make", [endless_loop, exponential])
def test_another_thread_can_interrupt(machine: Machine, make: Callable[[Machine], Block]) -> None:
    m = machine
    record = make(m)
    stopped = threading.Event()

    class Stop(Exception):
        pass

    def on_poll() -> None:
        if len(m.polls) == 3:
            raise Stop

    def interrupt() -> None:
        while not stopped.wait(0.005):
            m.block.interrupt()

    m.on_poll = on_poll
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Stop):
            m.call(record, "l:", 200)
    finally:
        stopped.set()
        thread.join()
    assert m.polls == [abi.INTERRUPT_REQUEST] * 3


def test_many_interruptions_do_not_look_like_an_exhausted_stack(machine: Machine) -> None:
    """The word and the limit are two cells: what comes between writing the one and the other makes no false trap."""
    m = machine
    stopped = threading.Event()

    def interrupt() -> None:
        while not stopped.is_set():
            m.block.interrupt()

    def on_poll() -> None:
        if len(m.polls) == 100:
            raise LookupError

    m.on_poll = on_poll
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(LookupError):
            m.call(exponential(m), "l:", 200)
    finally:
        stopped.set()
        sys.setswitchinterval(interval)
        thread.join()


def test_the_stack_is_checked_again_after_an_interruption(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption at the very function whose frame does not fit: it is heard, and then the function traps."""
    monkeypatch.setattr(calls, "stack_limit", lambda: (1 << 63) - 1)
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(exponential(machine), "l:", 0)
    assert caught.value.number == 9
    assert machine.polls == [abi.INTERRUPT_REQUEST]


def test_recursion_without_end_still_exhausts_the_stack_after_an_interruption(machine: Machine) -> None:
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(endless(machine), ":")
    assert caught.value.number == 9
    assert machine.polls == [abi.INTERRUPT_REQUEST]


def test_a_raised_limit_alone_is_no_exhausted_stack(machine: Machine) -> None:
    """As it is between the two steps of an interruption whose word has been heard already."""
    m = machine

    def raise_limit() -> None:
        m.cells[context.CELL_STACK_LIMIT] = (1 << 64) - 1

    m.call(
        m.wrapped(
            native.call_record(m.host(":", raise_limit)) + native.set_parameter(0) + native.call_record(exponential(m))
        ),
        ":",
    )
    assert m.polls == [0]


def test_an_interruption_at_a_check_that_cannot_be_resumed_is_a_trap(machine: Machine) -> None:
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(endless(machine, jump_back=False), ":")
    assert caught.value.number == 12


def test_an_interruption_while_idle_reaches_the_next_call(machine: Machine) -> None:
    machine.block.interrupt()
    machine.call(machine.wrapped(native.call_record(machine.host(":", lambda: None))), ":")
    assert machine.polls == [abi.INTERRUPT_REQUEST]


@pytest.mark.parametrize("make", [endless_loop, exponential])
def test_sigint_ends_a_call_with_keyboard_interrupt(make: Callable[[Machine], Block]) -> None:
    machine = Machine(watched=True)
    record = make(machine)
    thread = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        machine.call(record, "l:", 200)
    thread.join()


def test_a_sigint_handler_that_does_not_raise_lets_the_call_go_on() -> None:
    m = Machine(watched=True)
    handled: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
    stopped = threading.Event()

    def send() -> None:
        while not stopped.wait(0.01):
            os.kill(os.getpid(), signal.SIGINT)

    def on_poll() -> None:
        if len(handled) >= 3:
            stopped.set()
            raise LookupError

    thread = threading.Thread(target=send)
    try:
        m.on_poll = on_poll
        thread.start()
        with pytest.raises(LookupError):
            m.call(endless_loop(m), ":")
        assert m.polls[0] == abi.INTERRUPT_WATCH
        # On a busy machine the watcher may have ended and been started again.
        assert all(word & (abi.INTERRUPT_SIGNAL | abi.INTERRUPT_WATCH) for word in m.polls)
    finally:
        stopped.set()
        thread.join()
        signal.signal(signal.SIGINT, previous)
