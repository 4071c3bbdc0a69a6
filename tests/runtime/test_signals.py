"""Faults that are not traps of wasm code go to whoever handled them before, whatever the order of installation."""

from __future__ import annotations

import os
import signal

import pytest

from tests.native import not_emulated
from vibewasm.runtime import faults, system

from .machine import Machine, native, python

SETUP = """
import ctypes, faulthandler, os, signal, sys
from tests.runtime.machine import *
"""
#: Reads address 16: in Python, and in a stub, whose code is not that of a module.
CRASH = "ctypes.string_at(16)"
CRASH_IN_A_STUB = "m.call(m.record(m.stub_code.publish(native.load(16) + native.RETURN), m.ctx), ':')"
#: Wasm code that reads outside every reservation.
CRASH_ELSEWHERE = "m.call(m.wrapped(native.load(1 << 40)), ':')"
#: An address that is none: the processor's fault has no address then.
CRASH_NON_CANONICAL = "m.call(m.wrapped(native.load(1 << 52)), ':')"
CRASH_ILLEGAL = "m.call(m.wrapped(native.ILLEGAL), ':')"
CRASH_DIVISION_BY_MEMORY = "m.call(m.wrapped(b'\\x48\\xf7\\x74\\x24\\x00' + asm.push_r(1)), 'l:', 0)"
TRAP = """
try: m.call(m.wrapped(native.trap(1)), ':')
except TrapError as error: print('trap', error.number, flush=True)
"""


#: An emulator tells of address 0 instead.
NON_CANONICAL = pytest.param(CRASH_NON_CANONICAL, marks=not_emulated("such a fault has another address there"))


@pytest.mark.parametrize("crash", [CRASH, CRASH_IN_A_STUB, CRASH_ELSEWHERE, NON_CANONICAL])
def test_a_foreign_fault_kills(crash: str) -> None:
    done = python(SETUP + "m = Machine()\n" + TRAP + crash)
    assert done.stdout == "trap 1\n"
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr == ""


def test_an_illegal_instruction_that_is_no_trap_kills() -> None:
    assert python(SETUP + "m = Machine()\n" + CRASH_ILLEGAL).returncode == -signal.SIGILL


ENABLE = "faulthandler.enable()\n"
DISABLE = "faulthandler.disable()\n"
MACHINE = "m = Machine()\n"
ENSURE = "faults.ensure_on_top()\n"


@pytest.mark.parametrize(
    ("steps", "reports"),
    [
        (ENABLE + MACHINE, 1),
        (MACHINE + ENABLE + ENSURE, 1),
        (ENABLE + MACHINE + DISABLE + ENSURE, 0),
        (ENABLE + MACHINE + DISABLE + ENSURE + ENABLE + ENSURE, 1),
        (MACHINE + ENABLE + ENSURE + DISABLE + ENSURE, 0),
        (MACHINE + ENABLE + ENSURE + DISABLE + ENABLE + ENSURE, 1),
        (MACHINE + (ENABLE + ENSURE + DISABLE + ENSURE) * 3 + ENABLE + ENSURE, 1),
        # More installations than one published handler has levels for.
        (MACHINE + "for k in range(100): faulthandler.disable(); faulthandler.enable(); faults.ensure_on_top()\n", 1),
    ],
)
def test_faulthandler_and_ours_get_along_in_any_order(steps: str, reports: int) -> None:
    done = python(SETUP + steps + TRAP + CRASH)
    assert done.stdout == "trap 1\n"
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count("Fatal Python error: Segmentation fault") == reports


def test_a_handler_that_repairs_a_fault_gets_it() -> None:
    """Someone else's handler, installed before or after ours, still handles its own faults, any number of times."""
    source = """
handled = []
page = system.anonymous(system.PAGE_SIZE)
address = system.address_of(page)
mprotect = ctypes.CDLL(None).mprotect
@ctypes.CFUNCTYPE(None, ctypes.c_int)
def repair(number):
    handled.append(number)
    mprotect(ctypes.c_size_t(address), ctypes.c_size_t(system.PAGE_SIZE), 3)
def touch():
    system.forbid(address, system.PAGE_SIZE)
    assert ctypes.string_at(address, 1) == b'\\0'
def install():
    system.set_handler(11, ctypes.cast(repair, ctypes.c_void_p).value, 0)
"""
    setup = SETUP + "from vibewasm.runtime import system\n" + source
    for steps in ("install()\n" + MACHINE, MACHINE + "install()\n" + ENSURE):
        done = python(setup + steps + "for k in range(5): touch()\n" + TRAP + "print(handled)")
        assert done.stdout == "trap 1\n[11, 11, 11, 11, 11]\n", done.stderr


def test_what_was_there_first_is_asked_however_many_come_and_go() -> None:
    """More handlers than there are levels, each of which calls the one before it: the first still gets the fault."""
    source = """
Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
@Handler
def first(number, info, context):
    os.write(1, b'first')
    os._exit(0)
system.set_handler(11, ctypes.cast(first, ctypes.c_void_p).value, 4)
m = Machine()
keep = []
def install():
    before = system.disposition(11).handler
    handler = Handler(lambda number, info, context: Handler(before)(number, info, context))
    keep.append(handler)
    system.set_handler(11, ctypes.cast(handler, ctypes.c_void_p).value, 4)
for k in range(40):
    install()
    faults.ensure_on_top()
"""
    done = python(SETUP + "from vibewasm.runtime import system\n" + source + TRAP + CRASH)
    assert (done.stdout, done.stderr, done.returncode) == ("trap 1\nfirst", "", 0)


def test_a_handler_that_calls_the_one_before_it_makes_no_circle() -> None:
    """A handler installed after ours calls what it replaced: ours is put on top, both see the fault, and it kills."""
    source = """
import struct
seen = []
@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def handler(number, info, context):
    os.write(1, b'seen ')
    ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(before)(number, info, context)
m = Machine()
before = system.disposition(11).handler
system.set_handler(11, ctypes.cast(handler, ctypes.c_void_p).value, 4)
faults.ensure_on_top()
"""
    done = python(SETUP + "from vibewasm.runtime import system\n" + source + TRAP + CRASH)
    assert done.stdout == "trap 1\nseen "
    assert done.returncode == -signal.SIGSEGV


def test_a_handler_that_is_installed_again_and_again_makes_no_circle() -> None:
    """As above, and the handler forgets what it replaced first: it then calls an older entry of ours."""
    source = """
@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def handler(number, info, context):
    os.write(1, b'seen ')
    ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(before)(number, info, context)
m = Machine()
for k in range(3):
    before = system.disposition(11).handler
    system.set_handler(11, ctypes.cast(handler, ctypes.c_void_p).value, 4)
    faults.ensure_on_top()
"""
    done = python(SETUP + "from vibewasm.runtime import system\n" + source + TRAP + CRASH)
    assert done.stdout == "trap 1\nseen "
    assert done.returncode == -signal.SIGSEGV


def test_a_handler_for_one_time_is_called_one_time() -> None:
    source = """
@ctypes.CFUNCTYPE(None, ctypes.c_int)
def handler(number): os.write(1, b'once ')
SA_RESETHAND = 0x80000000
system.set_handler(11, ctypes.cast(handler, ctypes.c_void_p).value, SA_RESETHAND)
m = Machine()
"""
    done = python(SETUP + "from vibewasm.runtime import system\n" + source + TRAP + CRASH)
    assert done.stdout == "trap 1\nonce "
    assert done.returncode == -signal.SIGSEGV


def test_a_signal_that_is_sent_acts_as_it_did_before() -> None:
    send = "os.kill(os.getpid(), signal.SIGSEGV)\nimport time; time.sleep(5)"
    assert python(SETUP + MACHINE + send).returncode == -signal.SIGSEGV
    ignored = "signal.signal(signal.SIGSEGV, signal.SIG_IGN)\n"
    done = python(SETUP + ignored + MACHINE + TRAP + "os.kill(os.getpid(), signal.SIGSEGV)\nprint('alive')")
    assert done.stdout == "trap 1\nalive\n"
    # A fault cannot be ignored.
    assert python(SETUP + ignored + MACHINE + CRASH).returncode == -signal.SIGSEGV


def test_a_python_handler_of_a_fault_signal_is_still_called() -> None:
    handler = "signal.signal(signal.SIGFPE, lambda number, frame: print('python handler', number))\n"
    for steps in (handler + MACHINE, MACHINE + handler + ENSURE):
        done = python(SETUP + steps + TRAP + "os.kill(os.getpid(), signal.SIGFPE)\nprint('alive')")
        assert done.stdout == "trap 1\npython handler 8\nalive\n"


@pytest.mark.parametrize("disposition", ["SIG_DFL", "SIG_IGN"])
def test_sigint_is_left_alone_where_nobody_handles_it(disposition: str) -> None:
    done = python(
        SETUP
        + f"signal.signal(signal.SIGINT, signal.{disposition})\n"
        + MACHINE
        + "os.kill(os.getpid(), signal.SIGINT)\nprint('alive')"
    )
    assert done.stdout == ("alive\n" if disposition == "SIG_IGN" else "")
    assert done.returncode == (0 if disposition == "SIG_IGN" else -signal.SIGINT)


def test_sigint_outside_wasm_code_is_as_ever() -> None:
    machine = Machine()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the signal is delivered at one of the two
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([signal.SIGUSR2], 1)
    del machine


def test_ensure_on_top_changes_nothing_when_ours_is_on_top() -> None:
    Machine()
    faults.ensure_on_top()
    before = {number: system.disposition(number).handler for number in system.FAULT_SIGNALS}
    faults.ensure_on_top()
    assert before == {number: system.disposition(number).handler for number in before}


def test_many_ranges_are_looked_through() -> None:
    """More ranges than two chunks of the table hold; what is removed is no reservation any more."""
    from .machine import TrapError

    m = Machine()
    # Nothing is mapped there.
    starts = [0x1200_0000_0000 + 0x1_0000 * index for index in range(150)]
    load = m.wrapped(native.load_parameter())
    for start in starts:
        faults.register_reservation(start, start + 0x1000)
    try:
        for start in starts[::7]:
            for address in (start, start + 0xFFF):
                with pytest.raises(TrapError) as caught:
                    m.call(load, "l:", address)
                assert (caught.value.number, caught.value.record.address) == (2, address)
    finally:
        for start in starts:
            faults.unregister_reservation(start, start + 0x1000)


@not_emulated("hundreds of reservations of 8 GiB take minutes there")
def test_many_memories_are_reservations() -> None:
    """More memories than one chunk of the table holds; closed ones are no reservations any more."""
    from vibewasm.runtime.linear_memory import LinearMemory

    from .machine import TrapError

    m = Machine()
    memories = [LinearMemory(0) for _ in range(200)]
    load = m.wrapped(native.load_parameter())
    for memory in memories[::-7]:
        with pytest.raises(TrapError) as caught:
            m.call(load, "l:", memory.base + 12345)
        assert caught.value.number == 2
    for memory in memories:
        memory.close()
    again = [LinearMemory(0) for _ in range(200)]
    with pytest.raises(TrapError):
        m.call(load, "l:", again[150].base)


def test_a_trap_in_a_forked_child_and_in_its_parent() -> None:
    source = (
        SETUP
        + MACHINE
        + """
f = m.wrapped(native.trap(3))
pid = os.fork()
try: m.call(f, ':')
except TrapError as error: assert error.number == 3
# New code in both, at the same time.
g = m.wrapped(native.set_result(1 if pid else 2))
assert m.call(g, ':l') == [1 if pid else 2]
h = m.wrapped(native.call_record(m.host(':l', lambda: [m.call(g, ':l')[0] + 10])))
assert m.call(h, ':l') == [11 if pid else 12]
if pid:
    assert os.waitpid(pid, 0)[1] == 0
    for k in range(100): m.wrapped(native.set_result(k))
    assert m.call(g, ':l') == [1]
"""
    )
    done = python(source)
    assert (done.returncode, done.stderr) == (0, "")
