"""What a signal's handler raises in a finaliser leaves no mapping behind, at whatever bytecode it comes."""

from __future__ import annotations

import pytest

from tests.native import not_emulated

from .machine import python

SETUP = """
import gc, sys
from vibewasm.calls import process
from vibewasm.runtime import code_memory, context, reservations
from vibewasm.runtime.code_memory import CodeMemory
from vibewasm.runtime.context import StoreBlock
from vibewasm.runtime.linear_memory import LinearMemory
process.stub_memory()
class Raised(Exception): pass
# What a finaliser raises is told of there, and ignored.
sys.unraisablehook = lambda unraisable: None
FILES = ("reservations.py", "code_memory.py", "context.py", "os_linux.py", "faults.py", "linear_memory.py")
def block(): return StoreBlock()
def code():
    memory = CodeMemory()
    memory.publish(bytes(16))
    return memory
def memory():
    made = LinearMemory(1)
    made.view()[0] = 7
    return made
def explicit(): return LinearMemory(1, None, False)
def many(): return [LinearMemory(1) for _ in range(reservations.MOST_KEPT + 4)]
def raising_at(number):
    "A trace function that raises at the bytecode of this number, and a list that says how many there were."
    count = [0]
    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(FILES): return None
        frame.f_trace_opcodes = True
        if event in ("call", "opcode"):
            count[0] += 1
            if count[0] == number: raise Raised
        return trace
    return trace, count
def drop(make, number):
    "Let go of it, with an exception at the bytecode of this number; returns how many there were."
    thing, (trace, count) = make(), raising_at(number)
    sys.settrace(trace)
    try: del thing
    except Raised: pass
    finally: sys.settrace(None)
    return count[0]
def state():
    # Who makes the next one gives back what was left.
    CodeMemory().publish(bytes(16))
    explicit()
    gc.collect()
    reservations._pool.drain()
    with open("/proc/self/maps") as file: lines = [line.split()[:2] for line in file]
    closed = 0
    for place, mode in lines:
        if mode == "---p": closed += int(place.split("-")[1], 16) - int(place.split("-")[0], 16)
    return sum(mode == "r-xs" for _, mode in lines), closed >> 30, len(context._headers)
"""


@not_emulated("tens of thousands of mappings")
@pytest.mark.parametrize("make", ["block", "code", "memory", "explicit", "many"])
def test_an_exception_at_any_bytecode_of_a_finaliser_leaves_no_mapping_behind(make: str) -> None:
    source = f"""{SETUP}
total = drop({make}, 0)
before = state()
step = total // 300 + 1
for number in range(1, total + 1, step):
    drop({make}, number)
    # What was in it is never in the next one.
    assert LinearMemory(1).view()[:8] == bytes(8), number
after = state()
print(before == after or (before, after))
"""
    done = python(source)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_reservation_that_cannot_be_zeroed_is_unmapped_and_another_one_taken() -> None:
    """As pages that are locked cannot: MADV_DONTNEED refuses them."""
    source = f"""{SETUP}
pool, LARGE = reservations._pool, reservations.MOST_ZEROED // 65536 + 1
def closed(): return state()[1]
before = closed()
# A finaliser that is ended at its first step leaves it as it is.
drop(lambda: LinearMemory(LARGE), 1)
assert not pool._free[-1].clean
def locked(address, size, in_place): raise OSError(22, "Invalid argument")
zero, pool._zero = pool._zero, locked
memory = LinearMemory(1)
assert memory.view()[:8] == bytes(8)
pool._zero = zero
del memory
print(closed() - before)
"""
    done = python(source)
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


@not_emulated("tens of thousands of mappings")
@pytest.mark.parametrize("grown", [False, True])
def test_after_an_exception_at_any_bytecode_of_making_or_growing_a_memory_what_is_accessible_is_its_size(
    grown: bool,
) -> None:
    source = f"""{SETUP}
from vibewasm.runtime import system
def accessible(base):
    "How much can be read from there on."
    with open("/proc/self/maps") as file:
        for line in file:
            first, end = (int(part, 16) for part in line.split()[0].split("-"))
            if first <= base < end: return end - base if line.split()[1] == "rw-p" else 0
def make(pages): return LinearMemory(pages)
def grow(pages):
    memory = kept[0]
    memory.grow(pages)
    return memory
kept = []
def attempt(pages, number):
    trace, count = raising_at(number)
    function = grow if {grown} else make
    kept[:] = [LinearMemory(2)] if {grown} else []
    sys.settrace(trace)
    try: memory = function(pages)
    except Raised: memory = None
    finally: sys.settrace(None)
    return count[0], memory
before = None
for pages in (1, 3, 40, 0):
    number = 0
    while True:
        number += 1
        count, memory = attempt(pages, number)
        if kept and {grown}:
            memory = kept[0]
            assert accessible(memory.base) == memory.size, (pages, number)
            memory.view()[:] = bytes([7]) * memory.size
            assert memory.grow(5) != -1
            assert accessible(memory.base) == memory.size, (pages, number)
            memory.view()[:] = bytes([7]) * memory.size
        del memory
        kept.clear()
        # What comes from the pool next.
        others = [LinearMemory(2) for _ in range(3)]
        for other in others:
            assert accessible(other.base) == other.size, (pages, number)
            assert other.view() == bytes(other.size), (pages, number)
            other.view()[:] = bytes([7]) * other.size
        del other, others
        if count < number: break
    before = before or state()
print(before == state() or (before, state()))
"""
    done = python(source)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


@not_emulated("signals come too slowly there")
def test_a_storm_of_signals_that_raise_leaves_no_mapping_behind() -> None:
    source = f"""{SETUP}
import signal
makers = block, code, memory, explicit
for make in makers: make()
before = state()
def handler(number, frame):
    raise Raised
signal.signal(signal.SIGALRM, handler)
raised = 0
for number in range(4000):
    try:
        thing = makers[number % 4]()
        signal.setitimer(signal.ITIMER_REAL, 0.000002 + number % 50 * 0.000001)
        del thing
        for _ in range(100): pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Raised:
        raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
after = state()
# Those that were made in between may have had to wait.
print(raised > 100, after[0] == before[0], after[1] == before[1], after[2] - before[2] < 10)
"""
    done = python(source)
    assert (done.stdout, done.stderr, done.returncode) == ("True True True True\n", "", 0)
