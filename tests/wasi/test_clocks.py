"""Clocks and waiting for them."""

from __future__ import annotations

import time

import pytest

from tests.wasi.program import Program, clock_subscription
from vibewasm.wasi import WasiConfig, abi, clocks
from vibewasm.wasi.errnos import EINVAL, SUCCESS

MILLISECOND = 1_000_000


@pytest.fixture
def sleeper() -> Program:
    return Program(WasiConfig(stdin=b""))


@pytest.mark.parametrize("clock", range(4))
def test_every_clock_has_a_resolution_and_does_not_run_backwards(sleeper: Program, clock: int) -> None:
    sleeper.call("clock_res_get", clock, 0)
    assert 1 <= sleeper.u64(0) <= 1_000_000_000
    times = []
    for _ in range(3):
        sleeper.call("clock_time_get", clock, 0, 0)
        times.append(sleeper.u64(0))
    assert times == sorted(times)


def test_the_realtime_clock_tells_the_time(sleeper: Program) -> None:
    sleeper.call("clock_time_get", abi.CLOCK_REALTIME, 1, 0)
    assert abs(sleeper.u64(0) - time.time_ns()) < 10_000_000_000


@pytest.mark.parametrize("clock", [4, 1 << 31, (1 << 32) - 1])
def test_an_unknown_clock_is_invalid(sleeper: Program, clock: int) -> None:
    assert sleeper.raw("clock_time_get", clock, 0, 0) == EINVAL
    assert sleeper.raw("clock_res_get", clock, 0) == EINVAL


def test_a_relative_timeout_is_waited_for(sleeper: Program) -> None:
    start = time.monotonic_ns()
    assert sleeper.poll(clock_subscription(7, 20 * MILLISECOND)) == [(7, SUCCESS, abi.EVENT_CLOCK, 0, 0)]
    assert time.monotonic_ns() - start >= 20 * MILLISECOND


@pytest.mark.parametrize("clock", [abi.CLOCK_REALTIME, abi.CLOCK_MONOTONIC])
def test_an_absolute_timeout_is_waited_for(sleeper: Program, clock: int) -> None:
    sleeper.call("clock_time_get", clock, 0, 0)
    deadline = sleeper.u64(0) + 20 * MILLISECOND
    sleeper.poll(clock_subscription(1, deadline, clock, abi.SUBSCRIPTION_CLOCK_ABSTIME))
    sleeper.call("clock_time_get", clock, 0, 0)
    assert sleeper.u64(0) >= deadline


def test_an_absolute_timeout_in_the_past_does_not_wait(sleeper: Program) -> None:
    subscription = clock_subscription(1, 5, abi.CLOCK_REALTIME, abi.SUBSCRIPTION_CLOCK_ABSTIME)
    assert [event[0] for event in sleeper.poll(subscription)] == [1]


def test_setting_the_realtime_clock_does_not_change_a_relative_wait(
    sleeper: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, hour = clocks.now, 3600 * 1000 * MILLISECOND
    asked = []

    def set_back(clock: int) -> int:
        asked.append(clock)
        return now(clock) - (hour if clock == abi.CLOCK_REALTIME and len(asked) > 1 else 0)

    monkeypatch.setattr(clocks, "now", set_back)
    far = clock_subscription(2, 5000 * MILLISECOND)
    assert [event[0] for event in sleeper.poll(clock_subscription(1, 20 * MILLISECOND, 0), far)] == [1]


def test_only_the_clock_that_has_run_out_is_reported(sleeper: Program) -> None:
    events = sleeper.poll(clock_subscription(1, 3600 * 1000 * MILLISECOND), clock_subscription(2, 5 * MILLISECOND))
    assert [event[0] for event in events] == [2]


@pytest.mark.parametrize("clock", [abi.CLOCK_PROCESS_CPUTIME, abi.CLOCK_THREAD_CPUTIME, 99])
def test_a_clock_that_cannot_be_waited_for_is_an_event_with_an_error(sleeper: Program, clock: int) -> None:
    assert sleeper.poll(clock_subscription(3, 1, clock)) == [(3, EINVAL, abi.EVENT_CLOCK, 0, 0)]


def test_waiting_for_nothing_is_invalid(sleeper: Program) -> None:
    assert sleeper.raw("poll_oneoff", 0, 0x1000, 0, 0x2000) == EINVAL


def test_an_unknown_kind_of_event_is_invalid(sleeper: Program) -> None:
    sleeper.put(0, abi.SUBSCRIPTION_FD.pack(0, 3, 0))
    assert sleeper.raw("poll_oneoff", 0, 0x1000, 1, 0x2000) == EINVAL


def test_the_check_is_called_while_sleeping_and_can_end_it() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise TimeoutError("enough")

    program = Program(WasiConfig(stdin=b""), check)
    with pytest.raises(TimeoutError, match="enough"):
        program.functions["poll_oneoff"][1](
            memoryview(bytearray(clock_subscription(1, 3600 * 1000 * MILLISECOND) + bytes(100))), 0, 48, 1, 100
        )


def test_a_check_that_does_not_object_does_not_lengthen_the_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    sleep = time.sleep

    def recorded(seconds: float) -> None:
        asked.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", recorded)
    program = Program(WasiConfig(stdin=b""), lambda: None)
    start = time.monotonic_ns()
    program.poll(clock_subscription(1, 170 * MILLISECOND))
    assert time.monotonic_ns() - start >= 170 * MILLISECOND
    # The system may sleep longer than it is asked to; what it is asked to sleep is no more than is left.
    assert len(asked) >= 2
    assert sum(asked) < 0.171
