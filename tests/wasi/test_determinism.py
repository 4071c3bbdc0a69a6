"""Clocks and random bytes that are the same in every run, and the program's name."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from tests.wasi.program import Program, clock_subscription, file_subscription
from vibewasm.wasi import WasiConfig, abi, determinism
from vibewasm.wasi.errnos import EFAULT, EINVAL, ESPIPE, SUCCESS

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


# -- programs of deterministic engines ---------------------------------------------------------------------------------


class Deterministic(Program):
    """A program of an engine with Config(deterministic=True)."""

    deterministic = True


def listing(program: Program) -> list[tuple[int, str, int]]:
    """Cookie, name and inode of the entries of the root."""
    program.call("fd_readdir", 3, 0x1000, 0x1000, 0, 0)
    at, end, found = 0x1000, 0x1000 + program.u32(0), []
    while at < end:
        cookie, inode, length, _ = abi.DIRENT.unpack_from(program.memory, at)
        at += abi.DIRENT.size
        found.append((cookie, bytes(program.memory[at : at + length]).decode(), inode))
        at += length
    return found


def test_clocks_and_random_bytes_that_are_left_open_are_the_same_in_every_run() -> None:
    seen = []
    for _ in range(2):
        program = Deterministic(WasiConfig(stdin=b""))
        times = [look(program), look(program, abi.CLOCK_MONOTONIC), look(program, abi.CLOCK_PROCESS_CPUTIME)]
        seen.append((times, random(program, 100)))
    # Part of the interface.
    assert seen[0][0] == [determinism.START, MILLISECOND, 2 * MILLISECOND]
    assert seen[0][1] == random(Program(WasiConfig(random_seed=determinism.SEED)), 100)
    assert seen[0] == seen[1]
    given = Deterministic(WasiConfig(stdin=b"", clock=START, random_seed=7))
    assert look(given) == START
    assert random(given, 10) == random(Program(WasiConfig(random_seed=7)), 10)


@pytest.mark.parametrize("kind", ["host", "memory"])
def test_files_are_said_to_be_the_same_wherever_they_lie(kind: str, tmp_path: Path) -> None:
    seen = []
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        folder = tmp_path / "".join(order)
        folder.mkdir()
        (folder / "sub").mkdir()
        for number, name in enumerate(order):
            (folder / name).write_text(name * 10)
            os.utime(folder / name, (number, 10**9 + number))
        os.link(folder / "a", folder / "d")
        given = str(folder)
        files = {name: name.encode() * 10 for name in order} | {"sub/x": b"", "d": b"a" * 10}
        program = Deterministic(WasiConfig(stdin=b"", preopens={"/": given if kind == "host" else vw.MemoryDir(files)}))
        entries = listing(program)
        stats = [program.stat(name) for name in (".", "a", "b", "d", "sub")]
        seen.append((entries, [vars(stat) for stat in stats]))
        assert {stat.mtim for stat in stats} == {determinism.START}
        assert {stat.dev for stat in stats} == {1}
        assert [name for _, name, _ in entries] == [".", "..", "a", "b", "c", "d", "sub"]
        numbers = {name: inode for _, name, inode in entries}
        assert numbers["a"] == stats[1].ino
        if kind == "host":
            assert numbers["a"] == numbers["d"]
            assert len({*numbers.values()}) == 6
    assert seen[0] == seen[1]


def test_standard_streams_do_not_say_what_they_are(tmp_path: Path) -> None:
    seen = []
    (tmp_path / "in").write_bytes(b"abc")
    read, write = os.pipe()
    os.write(write, b"abc")
    for stdin, stdout in ((b"abc", tmp_path / "out"), (tmp_path / "in", os.devnull), (read, write)):
        program = Deterministic(WasiConfig(stdin=stdin, stdout=stdout))
        found = []
        for fd in (0, 1):
            found += [vars(program.fdstat(fd)), vars(program.fstat(fd))]
            assert program.raw("fd_seek", fd, 0, 1, 0x80) == ESPIPE
        seen.append(found)
    os.close(read)
    os.close(write)
    assert seen[0] == seen[1] == seen[2]


def test_an_engine_says_whether_its_programs_are_deterministic() -> None:
    text = """(module
      (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "now") (result i64)
        (drop (call $time (i32.const 0) (i64.const 0) (i32.const 8))) (i64.load (i32.const 8))))"""
    for deterministic in (False, True):
        config = vw.Config(deterministic=deterministic, explicit_bounds=EMULATED)
        instance = vw.instantiate(text, config=config, wasi=vw.WasiConfig())
        assert (instance.exports.now() == determinism.START) == deterministic


def test_deterministic_code_is_refused_growth_by_limits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """(module (memory 1 10) (table 1 10 funcref)
      (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"""

    def refuses(*_: object) -> int:
        raise OSError(errno.ENOMEM, "none")

    for deterministic in (False, True):
        exports = vw.instantiate(text, config=vw.Config(deterministic=deterministic, explicit_bounds=EMULATED)).exports
        assert (exports.memory(100), exports.table(100)) == (-1, -1)
        with monkeypatch.context() as patch:
            patch.setattr("vibewasm.runtime.linear_memory.LinearMemory.grow", lambda *_: -1)
            patch.setattr("vibewasm.api.table.Table._resize", refuses)
            for name in ("memory", "table"):
                if not deterministic:
                    assert exports[name](1) == -1
                    continue
                with pytest.raises(vw.WasmError, match="the system has no more memory to give, and deterministic code"):
                    exports[name](1)
        assert (exports.memory(1), exports.table(1)) == (1, 1)
