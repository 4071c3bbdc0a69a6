"""The filter of system calls, as the kernel would run it, for both processors wherever the tests run."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from vibewasm.sandbox import seccomp
from vibewasm.sandbox.numbers import ARCHITECTURES, CALLS, X32

PROCESS = 4711
KILL, ALLOW = 0x80000000, 0x7FFF0000
MACHINES = sorted(CALLS)


def decide(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter says of a call: the kernel's machine for such programs, as far as they use it."""
    words = [word for argument in (*arguments, *[0] * 6)[:6] for word in (argument & 0xFFFFFFFF, argument >> 32)]
    data = {0: number, 4: architecture, **{16 + 4 * index: word for index, word in enumerate(words)}}
    accumulator = at = 0
    steps = len(code) // 8
    while True:
        assert 0 <= at < steps, "it runs beyond its end"
        step = code[8 * at : 8 * at + 8]
        operation, value = int.from_bytes(step[:2], "little"), int.from_bytes(step[4:], "little")
        at += 1
        if operation == 0x20:
            accumulator = data[value]
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x15:
            at += step[2] if accumulator == value else step[3]
        elif operation == 0x35:
            at += step[2] if accumulator >= value else step[3]
        else:
            assert operation == 0x06
            return value


def on(machine: str, name: str, *arguments: int, files: bool = False, changes: bool = False) -> int | str:
    """What becomes of a call by name: the name of its error, ALLOW or KILL."""
    code = seccomp.program(machine, files, changes, PROCESS)
    found = decide(code, ARCHITECTURES[machine], CALLS[machine][name], *arguments)
    return errno.errorcode[found & 0xFFFF] if found & 0xFFFF0000 == 0x50000 else found


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_other_processors_and_unknown_ones_kill(machine: str) -> None:
    code = seccomp.program(machine, True, True, PROCESS)
    for name, other in {**ARCHITECTURES, "i386": 0x40000003, "arm": 0x40000028, "none": 0}.items():
        if name != machine:
            assert decide(code, other, CALLS[machine]["read"]) == KILL
    allowed = {number for number in range(2000) if decide(code, ARCHITECTURES[machine], number) != KILL}
    assert allowed <= set(CALLS[machine].values())
    if machine == "x86_64":
        assert {decide(code, ARCHITECTURES[machine], X32 + number) for number in range(600)} == {KILL}
        assert decide(code, ARCHITECTURES[machine], 0xFFFFFFFF) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_they_have_to(machine: str) -> None:
    assert on(machine, "mmap", 0, 4096, 3, 0x22, -1 & 0xFFFFFFFFFFFFFFFF) == ALLOW
    assert on(machine, "mmap", 0, 4096, 5, 1) == ALLOW
    for protection, flags in ((7, 1), (7, 0x22), (5, 0x22), (4, 2), (6, 1), (5, 3)):
        assert on(machine, "mmap", 0, 4096, protection, flags) == "EACCES"
    assert on(machine, "mprotect", 0, 4096, 3) == ALLOW
    assert {on(machine, "mprotect", 0, 4096, protection) for protection in (4, 5, 6, 7)} == {"EACCES"}
    # pthread_create's flags, and those of fork, vfork and namespaces.
    assert on(machine, "clone", 0x3D0F00) == ALLOW
    assert {on(machine, "clone", flags) for flags in (17, 0x4111, 0x01200011, 0x10010100, 0x00010000)} == {KILL}
    assert on(machine, "clone3") == "ENOSYS"
    assert on(machine, "tgkill", PROCESS, PROCESS, 6) == ALLOW
    assert {on(machine, "tgkill", other, other, 6) for other in (1, PROCESS + 1, 0)} == {KILL}
    assert on(machine, "prlimit64", 0, 3, 0, 1 << 40) == ALLOW
    for pid, new in ((0, 1), (0, 1 << 40), (PROCESS, 0)):
        assert on(machine, "prlimit64", pid, 3, new, 0) == "EPERM"
    assert {on(machine, "fcntl", 0, command) for command in (1, 2, 3, 4, 1030)} == {ALLOW}
    assert {on(machine, "fcntl", 0, command) for command in (0, 8, 10, 1024, 1032)} == {"EPERM"}
    # To push characters into a terminal, and to make it this one's own.
    assert {on(machine, "ioctl", 0, request) for request in (0x5412, 0x540E, 0x541C)} == {"ENOTTY"}
    assert on(machine, "ioctl", 0, 0x5401) == ALLOW
    assert on(machine, "prctl", 38, 1) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_files_are_for_runs_that_have_folders(machine: str) -> None:
    for name in ("openat", "getdents64", "readlinkat", "unlinkat", "mkdirat", "newfstatat", "linkat"):
        assert on(machine, name) == "EACCES"
    assert on(machine, "newfstatat", 3, 0, 0, 0x1000) == ALLOW
    for name in ("openat", "getdents64", "readlinkat", "newfstatat"):
        assert on(machine, name, files=True) == ALLOW
    for name in ("unlinkat", "mkdirat", "linkat", "renameat", "symlinkat"):
        assert on(machine, name, files=True) == "EACCES"
        assert on(machine, name, files=True, changes=True) == ALLOW


def test_there_is_no_filter_for_another_processor() -> None:
    with pytest.raises(LookupError, match="no list of system calls for riscv64"):
        seccomp.program("riscv64", False, False, 1)


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        # AArch64 has the kernel's general numbers, some of which are named by how many bits they are for.
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_those_of_the_systems_header(machine: str, header: str) -> None:
    if not Path(header).is_file():
        pytest.skip(f"NOT RUN: no {header} (linux-libc-dev has it)")
    text = Path(header).read_text(encoding="ascii", errors="replace")
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    # What 64 bits call otherwise.
    for new, old in (("newfstatat", "fstatat"), ("sync_file_range", "sync_file_range2")):
        numbers.setdefault(new, numbers.get(old, -1))
    known = {name: number for name, number in CALLS[machine].items() if name in numbers}
    # Kernel headers may be older than the newest calls.
    assert len(known) >= len(CALLS[machine]) - 10, sorted(CALLS[machine].keys() - known.keys())
    assert known == {name: numbers[name] for name in known}
