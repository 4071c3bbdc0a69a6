"""What the system refuses, or lowers later, becomes a clear error or does no harm."""

from __future__ import annotations

import os

import pytest

from tests.native import not_emulated

from .filters import FILTERS
from .machine import python

SETUP = """
import os, resource, sys, threading
import vibewasm as vw
from vibewasm.calls import process
from vibewasm.runtime import system
process.prepare()
TEXT = '''(module (memory 1)
  (func $count (export "count") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 0
    else local.get 0 i32.const 1 i32.sub call $count i32.const 1 i32.add end)
  (func $forever (export "forever") call $forever)
  (func (export "out_of_bounds") i32.const -1 i32.load drop))'''
def use():
    exports = vw.instantiate(TEXT).exports
    assert exports.count(100) == 100
    for f in (exports.forever, exports.out_of_bounds):
        try: f()
        except vw.Trap as error: print(error.code)
        else: raise AssertionError
    return exports
def lower(limit, size):
    resource.setrlimit(limit, (size, resource.getrlimit(limit)[1]))
def address_space():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * system.PAGE_SIZE
def refused(f, *words):
    try: f()
    except vw.WasmError as error:
        for word in words: assert word in str(error), error
        print("refused")
    else: print("works")
"""
USED = "stack_overflow\nmemory_out_of_bounds\n"


def output(source: str) -> str:
    """What ``source`` prints."""
    done = python(SETUP + source)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@not_emulated("filters of system calls are for the emulator there")
@pytest.mark.parametrize("call", ["rt_sigaction", "rt_sigprocmask"])
@pytest.mark.parametrize("when", ["at first", "later", "in a new thread"])
def test_a_sandbox_that_refuses_what_the_engine_needs_is_told_of(call: str, when: str) -> None:
    name = {"rt_sigaction": "sigaction()", "rt_sigprocmask": "pthread_sigmask()"}[call]
    check = f"refused(use, {name!r}, 'Operation not permitted', 'seccomp')\n"
    if when == "in a new thread":
        check = f"thread = threading.Thread(target=lambda: {check.strip()})\nthread.start()\nthread.join()\n"
    source = FILTERS + ("" if when == "at first" else "use()\n") + f"refuse(({call!r}, errno.EPERM))\n" + check
    found = output(source)
    if "no filters" in found:
        pytest.skip("this system takes no filters of system calls")
    # The mask is looked at once per thread.
    last = USED + "works\n" if (call, when) == ("rt_sigprocmask", "later") else "refused\n"
    assert found == ("" if when == "at first" else USED) + last


@not_emulated("the emulator's stack is not the kernel's")
@pytest.mark.parametrize("size", ["1 << 14", "64 << 10", "1 << 20", "resource.RLIM_INFINITY"])
def test_the_limit_of_the_stack_may_change_before_and_after_the_first_call(size: str) -> None:
    change = f"lower(resource.RLIMIT_STACK, min({size} if {size} >= 0 else 1 << 62, 1 << 62))\n"
    if size == "resource.RLIM_INFINITY":
        change = "lower(resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1])\n"
    assert output("exports = use()\n" + change + "use()\n") == 2 * USED
    assert output(change + "use()\n") == USED


@not_emulated("the emulator's stack is not the kernel's")
def test_the_stack_that_is_there_is_used_where_it_may_grow_no_more() -> None:
    source = """
lower(resource.RLIMIT_STACK, 1 << 14)
low, end = system.stack_bounds()
with open("/proc/self/maps") as file:
    mapped = next(line for line in file if line.endswith("[stack]\\n"))
first = int(mapped.split("-")[0], 16)
print(first <= low < first + (1 << 16))
"""
    assert output(source) == "True\n"


@not_emulated("an emulator has no limit of address space")
@pytest.mark.parametrize("rest", [0, 100_000, 2_000_000])
def test_the_limit_of_address_space_may_be_lowered_later(rest: int) -> None:
    source = f"""
exports = use()
lower(resource.RLIMIT_AS, address_space() + {rest})
assert exports.count(5000) == 5000
try: exports.forever()
except vw.Trap as error: print(error.code)
kept = []
def many():
    for _ in range(20):
        kept.append(vw.instantiate(TEXT))
refused(many, "ulimit")
assert exports.count(5000) == 5000
"""
    assert output(source) == USED + "stack_overflow\nrefused\n"


@not_emulated("an emulator has no limit of address space")
def test_code_that_there_is_no_room_for_is_an_error_of_the_engine() -> None:
    source = """
body = "local.get 0 i32.const 1 i32.add local.set 0 " * 20000
exports = vw.instantiate(f'(module (func (export "f") (param i32) (result i32) {body} local.get 0))').exports
use()
def map_code(size, populate, made):
    raise OSError(12, "no executable memory can be had")
real, system.map_code = system.map_code, map_code
refused(lambda: exports.f(1), "executable memory")
system.map_code = real
assert exports.f(1) == 20001
"""
    assert output(source).endswith("refused\n")


@pytest.mark.parametrize("thread", [False, True])
def test_stacks_are_found_without_proc(thread: bool) -> None:
    """The GNU C library asks /proc for the main stack, and nothing for others; here it finds nothing there."""
    if not hasattr(os, "confstr") or not (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("this C library needs no /proc")
    source = """
libc = system._libc
main = threading.get_native_id()
class WithoutProc:
    def __getattr__(self, name):
        if name == "pthread_getattr_np" and threading.get_native_id() == main:
            return lambda thread, attributes: 2
        return getattr(libc, name)
before = system.stack_bounds()
system._libc = WithoutProc()
after = system.stack_bounds()
print(abs(before[0] - after[0]) < 1 << 18, abs(before[1] - after[1]) < 1 << 18)
"""
    run = "thread = threading.Thread(target=use)\nthread.start()\nthread.join()" if thread else "use()"
    assert output(source + run) == "True True\n" + USED


def test_where_the_stack_cannot_be_found_the_error_says_what_to_do() -> None:
    source = """
libc = system._libc
class Nothing:
    def __getattr__(self, name):
        if name == "pthread_getattr_np": return lambda thread, attributes: 2
        if name == "__libc_stack_end": raise AttributeError(name)
        return getattr(libc, name)
system._libc = Nothing()
refused(use, "mount /proc")
"""
    assert output(source) == "refused\n"
