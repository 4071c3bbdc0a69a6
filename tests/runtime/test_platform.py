"""Stack bounds, and what happens where the engine cannot run."""

from __future__ import annotations

import sys
import threading

import pytest

from vibewasm.runtime import os_linux, platform, stack

from .machine import python


def test_the_limit_lies_in_the_stack_of_the_thread_with_the_reserve_below_it() -> None:
    low, end = platform.system.stack_bounds()
    limit = stack.stack_limit()
    assert low + stack.RESERVE <= limit < end
    assert stack.stack_limit() == limit


def test_each_thread_has_its_own_limit() -> None:
    limits = [stack.stack_limit()]
    barrier = threading.Barrier(3)

    def work() -> None:
        limits.append(stack.stack_limit())
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(limits)) == 4


def test_a_thread_with_a_small_stack_has_room_for_calls() -> None:
    # In a process of its own: the C library gives a new thread the stack of an older one if that is large enough.
    done = python(
        "import threading\n"
        "from vibewasm.runtime import platform, stack\n"
        "threading.stack_size(256 * 1024)\n"
        "def look():\n"
        "    (low, end), limit = platform.system.stack_bounds(), stack.stack_limit()\n"
        "    print(end - low <= 300 * 1024, low + 64 * 1024 < limit < end - 64 * 1024)\n"
        "thread = threading.Thread(target=look)\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    assert done.stdout == "True True\n", done.stderr


def test_both_ways_to_find_the_main_stack_agree() -> None:
    """What serves on musl, against what the GNU C library says."""
    done = python(
        "from vibewasm.runtime import os_linux as s\n"
        "(a, b), (c, d) = s.thread_stack_bounds(), s.main_stack_bounds()\n"
        "print(abs(a - c) < 1 << 20, b <= d <= b + (1 << 20))"
    )
    assert done.stdout == "True True\n", done.stderr


def test_the_stack_is_found_after_a_fork_in_a_thread() -> None:
    done = python(
        """
import os, threading
from vibewasm.runtime.platform import system
def work():
    before = system.stack_bounds()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if system.stack_bounds() == before else 1)
    print(os.waitpid(pid, 0)[1])
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    )
    assert done.stdout == "0\n", done.stderr


def test_another_operating_system_is_refused_when_an_engine_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    platform.check()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(platform.UnsupportedPlatform, match=r"Linux .* 'darwin'"):
        platform.check()


def test_the_modules_can_be_imported_on_another_operating_system() -> None:
    done = python(
        "import sys\nsys.platform = 'darwin'\n"
        "from vibewasm.runtime import adapters, blocks, calls, code_memory, context, faults\n"
        "from vibewasm.runtime import linear_memory, stack, platform\n"
        "try: platform.check()\nexcept platform.UnsupportedPlatform as error: print(error)"
    )
    assert "runs on Linux" in done.stdout, done.stderr


def test_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:4], "riscv64")))
    with pytest.raises(platform.UnsupportedPlatform, match="riscv64"):
        platform.check()
    assert "riscv64" in os_linux.missing()


def test_a_32_bit_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    with pytest.raises(platform.UnsupportedPlatform, match="64-bit"):
        platform.check()
