"""Clocks and random bytes that are the same in every run, and the program's name."""

from __future__ import annotations

import time
from typing import Any

import pytest

import vibewasm as vw
from tests.wasi.program import Program, clock_subscription, file_subscription
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EFAULT, EINVAL, SUCCESS

#: The API as users without a type checker call it.
api: Any = vw
HOUR = 3600 * 10**9
START = 1_700_000_000 * 10**9
MILLISECOND = 1_000_000


def look(program: Program, clock: int = abi.CLOCK_REALTIME) -> int:
    program.call("clock_time_get", clock, 0, 0)
    return program.u64(0)


def random(program: Program, *counts: int) -> bytes:
    data = b""
    for count in counts:
        program.call("random_get", 0x1000, count)
        data += bytes(program.memory[0x1000 : 0x1000 + count])
    return data


def test_a_clock_that_is_set_begins_there_in_every_program_and_passes_by_looking() -> None:
    config = WasiConfig(stdin=b"", clock=START)
    for _ in range(2):
        program = Program(config)
        assert [look(program) for _ in range(3)] == [START, START + MILLISECOND, START + 2 * MILLISECOND]
        assert look(program, abi.CLOCK_MONOTONIC) == 3 * MILLISECOND
        assert look(program, abi.CLOCK_PROCESS_CPUTIME) == 4 * MILLISECOND
        program.call("clock_res_get", abi.CLOCK_MONOTONIC, 0)
        assert program.u64(0) == MILLISECOND
    assert program.raw("clock_time_get", 4, 0, 0) == EINVAL
    assert program.raw("clock_time_get", 0, 0, 1 << 31) == EFAULT
    assert look(program) == START + 5 * MILLISECOND


def test_sleeping_by_a_clock_that_is_set_takes_no_time_and_passes_exactly() -> None:
    program = Program(WasiConfig(stdin=b"", clock=START))
    long, longer = clock_subscription(1, HOUR), clock_subscription(2, 2 * HOUR)
    assert [event[0] for event in program.poll(longer, long)] == [1]
    assert look(program, abi.CLOCK_MONOTONIC) == HOUR
    deadline = START + 3 * HOUR
    absolute = clock_subscription(3, deadline, abi.CLOCK_REALTIME, abi.SUBSCRIPTION_CLOCK_ABSTIME)
    assert [event[0] for event in program.poll(absolute)] == [3]
    assert look(program) == deadline
    assert [event[0] for event in program.poll(absolute)] == [3]
    assert look(program) == deadline + MILLISECOND


def test_what_is_ready_lets_no_time_pass() -> None:
    program = Program(WasiConfig(stdin=b"x", clock=START))
    events = program.poll(clock_subscription(1, HOUR), file_subscription(2, abi.EVENT_FD_READ, 0))
    assert [event[:2] for event in events] == [(2, SUCCESS)]
    assert look(program) == START


def test_a_function_is_every_clock_and_sleeping_takes_the_hosts_time() -> None:
    times = iter([7, 8, 0, (1 << 64) - 1])
    program = Program(WasiConfig(stdin=b"", clock=lambda: next(times)))
    assert (look(program), look(program, abi.CLOCK_THREAD_CPUTIME)) == (7, 8)
    before = time.monotonic_ns()
    absolute = clock_subscription(1, 20 * MILLISECOND, abi.CLOCK_MONOTONIC, abi.SUBSCRIPTION_CLOCK_ABSTIME)
    assert [event[0] for event in program.poll(absolute)] == [1]
    assert time.monotonic_ns() - before >= 20 * MILLISECOND
    assert look(program) == (1 << 64) - 1
    program.poll(clock_subscription(1, 1))


@pytest.mark.parametrize(
    ("given", "error"), [(1.5, TypeError), (True, TypeError), (-1, ValueError), (1 << 64, ValueError)]
)
def test_a_function_that_gives_no_time_is_told_so(given: Any, error: type[Exception]) -> None:
    program = Program(WasiConfig(stdin=b"", clock=lambda: given))
    with pytest.raises(error, match="WASI clock has to give nanoseconds"):
        look(program)


def test_file_times_that_are_now_are_the_programs(program: Program, folder: object) -> None:
    config = WasiConfig(stdin=b"", preopens={"/": str(folder)}, clock=START)
    program = Program(config)
    program.create("file")
    program.set_times("file", 0, 0, abi.SET_ATIM_NOW | abi.SET_MTIM_NOW)
    assert (program.stat("file").atim, program.stat("file").mtim) == (START, START)


def test_a_seed_gives_the_same_bytes_in_whatever_pieces() -> None:
    config = WasiConfig(stdin=b"", random_seed=7)
    whole = random(Program(config), 10_000)
    assert random(Program(config), 1, 0, 4095, 4097, 1807) == whole
    # Part of the interface: they must not change from version to version.
    assert whole[:8].hex() == "d63f7ec6d252ba66"
    assert len(set(whole)) == 256


def test_different_seeds_give_different_bytes() -> None:
    seeds: list[int | str | bytes] = [0, 1, -1, 256, 1 << 200, "", "1", b"1", "ä", "\ud800"]
    assert len({random(Program(WasiConfig(stdin=b"", random_seed=seed)), 16) for seed in seeds}) == len(seeds)


def test_the_programs_name_comes_before_its_arguments() -> None:
    program = Program(WasiConfig(["a", "b"], argv0="tool"))
    assert program.process.args == [b"tool", b"a", b"b"]
    assert Program(WasiConfig(argv0=b"tool")).process.args == [b"tool"]
    assert Program(WasiConfig(["a"])).process.args == [b"a"]


def test_what_is_no_clock_seed_or_name_is_refused() -> None:
    for settings, error, message in (
        ({"clock": "now"}, TypeError, "clock has to be nanoseconds since 1970 as an int, or a function"),
        ({"clock": True}, TypeError, "clock has to be nanoseconds"),
        ({"clock": -1}, ValueError, r"clock has to be from 0 to 2\*\*63-1 nanoseconds, not -1"),
        ({"random_seed": 1.5}, TypeError, "random_seed has to be an int, a string or bytes, not float"),
        ({"random_seed": False}, TypeError, "random_seed has to be an int, a string or bytes, not bool"),
        ({"argv0": 3}, TypeError, "argv0 has to be a string, not int 3"),
        ({"argv0": "a\0"}, ValueError, "argv0 contains a NUL character"),
    ):
        with pytest.raises(error, match=f"^WasiConfig:? {message}"):
            api.WasiConfig(**settings)
    assert repr(vw.WasiConfig(argv0="a", random_seed=1)).endswith("stderr=None, argv0='a', random_seed=1)")
