"""Stack bounds, and what happens where the engine cannot run."""

from __future__ import annotations

import re
import sys
import threading

import pytest

from vibewasm import runtime
from vibewasm.calls import process
from vibewasm.errors import WasmError
from vibewasm.runtime import calls

from .machine import python


def test_the_limit_lies_in_the_stack_of_the_thread_with_the_reserve_below_it() -> None:
    low, end = runtime.system.stack_bounds()
    limit = calls.stack_limit()
    assert low + calls.STACK_RESERVE <= limit < end
    assert calls.stack_limit() == limit


def test_each_thread_has_its_own_limit() -> None:
    limits = [calls.stack_limit()]
    barrier = threading.Barrier(3)

    def work() -> None:
        limits.append(calls.stack_limit())
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
        "from vibewasm import runtime\nfrom vibewasm.runtime import calls\n"
        "threading.stack_size(256 * 1024)\n"
        "def look():\n"
        "    (low, end), limit = runtime.system.stack_bounds(), calls.stack_limit()\n"
        "    print(end - low <= 300 * 1024, low + 128 * 1024 < limit < end - 32 * 1024)\n"
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
from vibewasm.runtime import system
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


def test_the_stack_is_found_where_the_c_library_is_musl() -> None:
    """A child that was forked in a thread has a main thread whose stack is not the main stack."""
    done = python(
        """
import os, threading
from vibewasm.calls import process
from vibewasm.runtime import os_linux as s
process.prepare()
libc = s._libc
class Musl:
    def __getattr__(self, name):
        if name == "gnu_get_libc_version":
            raise AttributeError(name)
        return getattr(libc, name)
s._libc = Musl()
print(s.stack_bounds() == s.main_stack_bounds())
def work():
    before = s.stack_bounds()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if s.stack_bounds() == before == s.thread_stack_bounds() else 1)
    print(os.waitpid(pid, 0)[1])
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    )
    assert done.stdout == "True\n0\n", done.stderr


def test_another_operating_system_is_refused_when_an_engine_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.check()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(runtime.UnsupportedPlatform, match=r"Linux .* 'darwin'"):
        runtime.check()


def test_the_modules_can_be_imported_on_another_operating_system() -> None:
    done = python(
        "import sys\nsys.platform = 'darwin'\n"
        "from vibewasm.runtime import adapters, blocks, calls, code_memory, context, faults\n"
        "from vibewasm.runtime import linear_memory, trap_record\nfrom vibewasm import runtime\n"
        "try: runtime.check()\nexcept runtime.UnsupportedPlatform as error: print(error)"
    )
    assert "runs on Linux" in done.stdout, done.stderr


def test_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HOST", "riscv64")
    monkeypatch.setattr(process, "_ones", {})
    with pytest.raises(WasmError, match="x86-64 and AArch64, and this processor is 'riscv64'"):
        process.prepare()


def test_a_32_bit_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    with pytest.raises(runtime.UnsupportedPlatform, match="64-bit"):
        runtime.check()


FREE = "does not run on a free-threaded Python yet.*PYTHON_GIL=1"


def test_a_free_threaded_python_is_refused_unless_it_runs_with_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(runtime.UnsupportedPlatform, match=FREE):
        runtime.check()
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    runtime.check()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_import_says_so_first(enabled: bool) -> None:
    done = python(f"import sys; sys._is_gil_enabled = lambda: {enabled}; import vibewasm; print(vibewasm.Engine)")
    if enabled:
        assert "Engine" in done.stdout
    else:
        last = done.stderr.splitlines()[-1]
        assert last.startswith("ImportError: ")
        assert re.search(FREE, last)
