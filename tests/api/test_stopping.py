"""Interrupts, deadlines, Ctrl-C and fuel."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const
from tests.native import needs_threads_in_children

from .wasm import FOREVER, I32_ADD, I32_SUB, adder, calls_host, gets, instance_of


def spinner(config: vw.Config | None = None) -> Any:
    """A function that never returns."""
    m = ModuleBuilder()
    m.func([], [], FOREVER, export="spin")
    m.func(["i32", "i32"], ["i32"], gets(2) + I32_ADD, export="add")
    return instance_of(m, config=config)


def recursion() -> vw.Instance:
    """A function that has no loop and takes very long: the naive Fibonacci numbers."""
    m = ModuleBuilder()
    # if n < 2 then n else fib(n - 1) + fib(n - 2)
    body = gets(1) + i32_const(2) + b"\x48\x04\x7f" + gets(1) + b"\x05"
    body += gets(1) + i32_const(1) + I32_SUB + call(0) + gets(1) + i32_const(2) + I32_SUB + call(0) + I32_ADD + b"\x0b"
    m.func(["i32"], ["i32"], body, export="fib")
    return instance_of(m)


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], None], float], None]]:
    """Sets a Python handler of SIGALRM and the time until it runs."""
    before = signal.getsignal(signal.SIGALRM)

    def set_(action: Callable[[], None], seconds: float) -> None:
        signal.signal(signal.SIGALRM, lambda number, frame: action())
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield set_
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _soon(action: Callable[[], object], seconds: float = 0.05) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


@pytest.mark.parametrize("compilation", ["lazy", "eager"])
def test_another_thread_can_stop_a_loop(compilation: str) -> None:
    instance = spinner(vw.Config(compilation=compilation))
    for _ in range(2):
        timer = _soon(instance.store.interrupt)
        with pytest.raises(vw.Interrupted, match="interrupted"):
            instance.exports.spin()
        timer.join()
        assert instance.exports.add(1, 2) == 3


def test_another_thread_can_stop_recursion_without_loops() -> None:
    instance = recursion()
    timer = _soon(instance.store.interrupt)
    with pytest.raises(vw.Interrupted):
        instance.exports.fib(60)
    timer.join()
    assert instance.exports.fib(10) == 55


def test_an_interrupt_while_nothing_runs_stops_the_next_loop() -> None:
    instance = spinner()
    instance.store.interrupt()
    with pytest.raises(vw.Interrupted):
        instance.exports.spin()
    assert instance.exports.add(1, 2) == 3


def test_an_interrupt_ends_all_activations_unless_a_host_function_catches_it() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.func([], [], call(host), export="outer")
    m.func([], [], FOREVER, export="spin")
    caught: list[vw.Interrupted] = []

    def stubborn() -> None:
        try:
            instance.exports.spin()
        except vw.Interrupted as error:
            caught.append(error)

    instance = instance_of(m, {"env": {"host": stubborn}})
    timer = _soon(instance.store.interrupt)
    instance.exports.outer()
    timer.join()
    assert len(caught) == 1


def test_a_deadline_stops_what_takes_longer() -> None:
    instance = spinner()
    for _ in range(2):
        start = time.monotonic()
        with (
            pytest.raises(vw.Interrupted, match=r"stopped by a deadline of 0\.05 seconds"),
            instance.store.deadline(0.05),
        ):
            instance.exports.spin()
        assert time.monotonic() - start > 0.04


def test_a_deadline_that_was_kept_stops_nothing() -> None:
    instance = spinner()
    with instance.store.deadline(0.02):
        assert instance.exports.add(1, 2) == 3
    time.sleep(0.04)
    timer = _soon(instance.store.interrupt, 0.1)
    start = time.monotonic()
    with pytest.raises(vw.Interrupted, match="interrupted"):
        instance.exports.spin()
    timer.join()
    assert time.monotonic() - start > 0.05


def test_a_deadline_that_is_over_stops_every_call_in_its_block() -> None:
    instance = spinner()
    with instance.store.deadline(0.02):
        for _ in range(3):
            with pytest.raises(vw.Interrupted, match="deadline"):
                instance.exports.spin()


def test_the_shorter_of_two_deadlines_counts_and_none_is_none() -> None:
    instance = spinner()
    with (
        instance.store.deadline(30),
        pytest.raises(vw.Interrupted, match=r"0\.02 seconds"),
        instance.store.deadline(0.02),
    ):
        instance.exports.spin()
    with instance.store.deadline(None):
        assert instance.exports.add(1, 2) == 3
    with pytest.raises(vw.Interrupted), instance.store.deadline(0):
        instance.exports.spin()


def test_a_deadline_can_be_used_again_but_not_twice_at_once() -> None:
    instance = spinner()
    deadline = instance.store.deadline(0.02)
    for _ in range(2):
        with pytest.raises(vw.Interrupted), deadline:
            instance.exports.spin()
    with deadline, pytest.raises(RuntimeError, match="in use already"), deadline:
        pass


@pytest.mark.parametrize("what", ["loop", "recursion"])
def test_ctrl_c_is_a_keyboard_interrupt(what: str) -> None:
    # Signals are for the main thread; pytest runs tests there.
    instance = spinner() if what == "loop" else recursion()
    run = instance.exports.spin if what == "loop" else lambda: instance.exports.fib(60)
    for _ in range(3):
        timer = _soon(lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run()
        timer.join()


def test_ctrl_c_in_a_host_function_is_a_keyboard_interrupt() -> None:
    def host() -> None:
        while True:
            time.sleep(0.001)

    f = calls_host([], [], host)
    timer = _soon(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        f()
    timer.join()


def test_ctrl_c_at_any_moment_of_many_host_calls_is_a_keyboard_interrupt() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host", ["i32"], ["i32"])
    m.func([], [], b"\x03\x40" + i32_const(1) + call(host) + b"\x1a\x0c\x00\x0b", export="f")
    f = instance_of(m, {"env": {"host": lambda n: n}}).exports.f

    def run(seconds: float) -> None:
        # On a busy machine the signal may even come while the timer starts.
        _soon(lambda: os.kill(os.getpid(), signal.SIGINT), seconds)
        f()

    # What a finaliser raises, nobody gets. Those of earlier tests would run in between, and take milliseconds in an
    # emulator.
    gc.collect()
    gc.disable()
    try:
        for round_ in range(20):
            with pytest.raises(KeyboardInterrupt):
                run(0.002 + 0.0003 * round_)
    finally:
        gc.enable()


class AlarmError(Exception):
    """What the handler raises."""


def test_an_exception_of_a_signal_handler_ends_a_call_of_python(
    alarm: Callable[[Callable[[], None], float], None],
) -> None:
    def ring() -> None:
        raise AlarmError

    f = calls_host([], [], lambda: time.sleep(5))
    alarm(ring, 0.05)
    with pytest.raises(AlarmError):
        f()


def test_a_signal_handler_may_call_the_function_that_is_being_called(
    alarm: Callable[[Callable[[], None], float], None],
) -> None:
    add = spinner().exports.add
    rings: list[int] = []

    def ring() -> None:
        rings.append(add(1000, len(rings)))
        if len(rings) < 300:
            signal.setitimer(signal.ITIMER_REAL, 0.0001)

    alarm(ring, 0.0001)
    n = 0
    while len(rings) < 300:
        n += 1
        assert add(n, 1) == n + 1
    assert rings == list(range(1000, 1300))


def test_a_deadline_reaches_a_wasi_program_that_sleeps() -> None:
    m = ModuleBuilder()
    poll = m.import_func("wasi_snapshot_preview1", "poll_oneoff", ["i32"] * 4, ["i32"])
    m.memory(1, export="memory")
    # One subscription: to clock 1 (monotonic), for a minute.
    m.data(bytes(16) + b"\1" + bytes(7) + (60 * 10**9).to_bytes(8, "little") + bytes(16), 64)
    sleep = i32_const(64) + i32_const(128) + i32_const(1) + i32_const(256) + call(poll)
    m.func([], ["i32"], sleep, export="sleep")
    instance = instance_of(m, wasi=vw.WasiConfig())
    with pytest.raises(vw.Interrupted, match="deadline"), instance.store.deadline(0.05):
        instance.exports.sleep()


def test_a_block_that_ends_in_the_moment_in_which_its_time_is_over_leaves_nothing() -> None:
    """Another thread may go on wherever something is called, and end the block there."""
    store = vw.Store()
    text = """(module (func (export "f") (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))"""
    f = vw.instantiate(text, store=store).exports.f
    met, number = 0, 0
    while met >= number:
        met, number = 0, number + 1
        deadline = store.deadline(600)

        def end(frame: object, event: str, argument: object, deadline: Any = deadline, number: int = number) -> None:
            nonlocal met
            met += 1
            if met == number:
                sys.setprofile(None)
                deadline.__exit__(None, None, None)

        deadline.__enter__()
        sys.setprofile(end)
        deadline._expire(deadline._lock, "too late")
        sys.setprofile(None)
        if met < number:
            deadline.__exit__(None, None, None)
        assert f(5) == 0, number
    assert number > 5


def test_a_deadline_that_is_used_again_at_once_has_all_of_its_time() -> None:
    f = spinner()
    deadline = f.store.deadline(0.3)
    for _ in range(5):
        with deadline:
            time.sleep(0.2)
        # The thread of the first use may not have noticed its end yet.
        began = time.monotonic()
        with deadline, pytest.raises(vw.Interrupted):
            f.exports.spin()
        assert time.monotonic() - began > 0.28


def in_child(action: Callable[[], object]) -> int:
    """The exit code of a forked child: 0 if the action returns, 1 if it raises, -9 if it takes too long."""
    child = os.fork()
    if not child:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return ended(child)


def ended(child: int) -> int:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_threads_in_children
@pytest.mark.parametrize("entered_by", ["this thread", "another thread"])
def test_a_deadline_stops_the_loop_of_a_child_that_a_callback_has_forked(entered_by: str) -> None:
    children: list[int] = []
    m = ModuleBuilder()
    m.import_func("e", "fork", [], [])
    m.func([], [], call(0) + FOREVER, export="f")
    instance = instance_of(m, {"e": {"fork": lambda: children.append(os.fork())}})
    stopped: list[str] = []

    def run() -> None:
        try:
            instance.exports.f()
        except vw.Interrupted as error:
            stopped.append(error.message)
        if children == [0]:
            os._exit(7 if stopped == ["stopped by a deadline of 0.5 seconds"] else 1)

    began = time.monotonic()
    with instance.store.deadline(0.5):
        if entered_by == "this thread":
            run()
        else:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert stopped == ["stopped by a deadline of 0.5 seconds"]
    assert time.monotonic() - began > 0.45
    assert ended(children[0]) == 7


@needs_threads_in_children
def test_a_deadline_holds_for_a_fork_in_its_block_and_ends_with_the_block() -> None:
    f = spinner()

    def stopped() -> None:
        with pytest.raises(vw.Interrupted, match=r"deadline of 0\.3 seconds"):
            f.exports.spin()

    with f.store.deadline(0.3):
        assert in_child(stopped) == 0
        # The time of the child was this process's too.
        with pytest.raises(vw.Interrupted):
            f.exports.spin()
        assert in_child(stopped) == 0
    with f.store.deadline(0.3) as deadline:

        def leave() -> None:
            deadline.__exit__(None, None, None)
            time.sleep(0.5)
            assert f.exports.add(1, 2) == 3
            assert threading.active_count() == 1

        assert in_child(leave) == 0


@needs_threads_in_children
def test_a_child_without_threads_does_not_run_code_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from vibewasm.api import deadline

    f = spinner()

    def none(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    def stopped() -> None:
        with pytest.raises(vw.Interrupted, match="which a forked process cannot keep"):
            f.exports.spin()

    with f.store.deadline(600):
        monkeypatch.setattr(deadline, "start_new_thread", none)
        assert in_child(stopped) == 0
        assert f.exports.add(1, 2) == 3
    with pytest.raises(RuntimeError, match="can't start new thread"), f.store.deadline(1):
        pass
    monkeypatch.undo()
    with f.store.deadline(600):
        assert f.exports.add(1, 2) == 3


def test_a_handler_of_ctrl_c_that_does_not_raise_lets_the_loop_go_on() -> None:
    instance = spinner()
    hits: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: hits.append(number))
    try:
        vw.instantiate(adder())
        kill = _soon(lambda: os.kill(os.getpid(), signal.SIGINT), 0.05)
        stop = _soon(instance.store.interrupt, 0.2)
        with pytest.raises(vw.Interrupted):
            instance.exports.spin()
        kill.join()
        stop.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert hits == [signal.SIGINT]


def test_fuel_is_used_up_by_loops_and_by_calls() -> None:
    instance = spinner(vw.Config(fuel=True))
    store = instance.store
    assert store.fuel == 0
    store.fuel = 10_000
    assert instance.exports.add(1, 2) == 3
    assert 0 < store.fuel < 10_000
    with pytest.raises(vw.OutOfFuel, match="all fuel consumed") as caught:
        instance.exports.spin()
    assert caught.value.code == "out_of_fuel"
    assert store.fuel == 0
    with pytest.raises(vw.OutOfFuel):
        instance.exports.add(1, 2)
    store.fuel = 1000
    assert instance.exports.add(1, 2) == 3


def test_fuel_has_to_be_asked_for_and_is_an_amount() -> None:
    store = spinner().store
    with pytest.raises(vw.WasmError, match=r"Config\(fuel=True\)"):
        store.fuel = 5
    with pytest.raises(vw.WasmError, match=r"Config\(fuel=True\)"):
        _ = store.fuel
    metered = vw.Store(vw.Engine(vw.Config(fuel=True)))
    for wrong in (-1, 2**63):
        with pytest.raises(ValueError, match="fuel is an amount"):
            metered.fuel = wrong
    metered.fuel = 2**63 - 1
    assert metered.fuel == 2**63 - 1


def test_an_interrupt_waits_for_the_first_call_that_looks_for_one() -> None:
    text = '(module (func $leaf (export "leaf")) (func (export "caller") (call $leaf)))'
    instance = vw.instantiate(text)
    leaf, caller = instance.exports.leaf, instance.exports.caller
    # Compiling it would be stopped.
    leaf()
    for _ in range(2):
        instance.store.interrupt()
        leaf()
        with pytest.raises(vw.Interrupted):
            caller()
        caller()
