"""Python calls wasm code calls Python …: traps, exceptions and interruptions come out right at any depth."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import R14, RAX, RBP, RBX, RCX, RDI, RSP
from vibewasm.runtime import calls, context, faults, stack
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.platform import system

from .machine import PROLOGUE, Machine, TrapError, call_record
from .test_traps import endless


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_activations_nest(machine: Machine) -> None:
    m = machine
    depths = []

    def host(n: int) -> list[int]:
        depths.append(m.cells[context.CELL_SAVED_SP])
        return m.call(outer, "l:l", n - 1) if n else [7]

    outer = m.wrapped(call_record(m.host("l:l", host)) + asm.alu_ri(asm.ADD, 1, RAX, 1))
    assert m.call(outer, "l:l", 20) == [28]
    assert len(depths) == 21
    assert depths == sorted(depths, reverse=True)
    assert m.cells[context.CELL_SAVED_SP] == m.cells[context.CELL_EXIT_FP] == 0
    assert m.cells[context.CELL_STACK_TOP] == m.block.stack_base


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_an_exception_comes_out_unchanged_with_its_traceback(machine: Machine, depth: int) -> None:
    m = machine

    class Odd(Exception):
        pass

    original = Odd("deep")

    def host(n: int) -> list[int]:
        if n:
            return m.call(outer, "l:l", n - 1)
        raise original

    outer = m.wrapped(call_record(m.host("l:l", host)))
    with pytest.raises(Odd) as caught:
        m.call(outer, "l:l", depth)
    assert caught.value is original
    assert sum(entry.name == "host" for entry in caught.traceback) == depth + 1
    assert m.cells[context.CELL_SAVED_SP] == m.cells[context.CELL_EXIT_FP] == 0
    assert m.cells[context.CELL_STACK_TOP] == m.block.stack_base
    assert m.call(m.wrapped(asm.mov_ri(RAX, 5)), ":l") == [5]


def test_a_failure_after_a_call_from_within_is_not_lost(machine: Machine) -> None:
    """The callbacks of the inner activation clear the "failed" cell, which the outer callback has yet to do."""
    m = machine
    inner = m.wrapped(call_record(m.host(":", lambda: None)))
    trapping = m.wrapped(call_record(m.host(":", lambda: None)) + asm.ud1(1))

    def host(trap: int) -> None:
        if trap:
            with pytest.raises(TrapError):
                m.call(trapping, ":")
        else:
            m.call(inner, ":")
        raise LookupError

    outer = m.wrapped(call_record(m.host("l:", host)))
    for trap in (0, 1):
        with pytest.raises(LookupError):
            m.call(outer, "l:", trap)


def test_a_trap_inside_can_be_handled_by_the_host_function_in_between(machine: Machine) -> None:
    m = machine
    boom = m.wrapped(asm.ud1(1))
    seen = []

    def host(n: int) -> list[int]:
        with pytest.raises(TrapError) as caught:
            m.call(boom, ":")
        seen.append(caught.value.record.frames)
        return [n + 1]

    body = asm.mov_ri(RBX, 1234) + call_record(m.host("l:l", host)) + asm.lea_rx(1, RAX, RAX, RBX, 0, 0)
    outer = m.wrapped(body)
    assert m.call(outer, "l:l", 5) == [1240]
    # Only the frames of the inner activation.
    assert [len(frames) for frames in seen] == [1]
    # Afterwards a trap in the outer activation has frames of its own.
    late = m.wrapped(call_record(m.host("l:l", host)) + asm.ud1(8))
    with pytest.raises(TrapError) as caught:
        m.call(late, "l:l", 5)
    assert caught.value.number == 8
    assert [ctx for _, ctx in caught.value.record.frames] == [m.ctx.address]


def test_a_trap_passes_through_activations_as_an_exception(machine: Machine) -> None:
    m = machine

    def host(n: int) -> list[int]:
        return m.call(outer if n else boom, "l:l", max(n - 1, 0))

    boom = m.wrapped(asm.ud1(3))
    outer = m.wrapped(call_record(m.host("l:l", host)))
    with pytest.raises(TrapError) as caught:
        m.call(outer, "l:l", 5)
    assert caught.value.number == 3
    assert caught.value.record.pc == boom.cells[0] + len(PROLOGUE)


def c_call(name: str, *arguments: int) -> bytes:
    """Wasm code that calls a function of the C library, out of order, to make something happen exactly here."""
    code = b"".join(asm.mov_ri(reg, value) for reg, value in zip((RDI, 6), arguments, strict=False))
    return code + asm.mov_ri(RAX, system.function_address(name)) + asm.call_r(RAX)


def test_keyboard_interrupt_at_the_entry_of_a_callback_is_not_lost(machine: Machine) -> None:
    m = machine
    entered = []
    host = m.host(":", lambda: entered.append(1))
    # raise(SIGINT): CPython's handler notes it, and the exception comes up when the callback's function is entered.
    once = m.wrapped(c_call("raise", signal.SIGINT) + call_record(host) + asm.mov_ri(RAX, 1))
    for _ in range(50):
        with pytest.raises(KeyboardInterrupt) as caught:
            m.call(once, ":l")
        assert {entry.name for entry in caught.traceback} & {"callback", "_poll"}
    assert entered == []
    assert m.call(m.wrapped(call_record(host) + asm.mov_ri(RAX, 1)), ":l") == [1]
    assert entered == [1]


def test_any_exception_of_a_signal_handler_at_the_entry_of_a_callback_comes_out(machine: Machine) -> None:
    m = machine
    original = LookupError("from a signal handler")

    def handler(number: int, frame: object) -> None:
        raise original

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        record = m.wrapped(c_call("raise", signal.SIGUSR1) + call_record(m.host(":", lambda: None)))
        with pytest.raises(LookupError) as caught:
            m.call(record, ":")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert caught.value is original


def test_what_other_callbacks_raise_is_still_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(type(unraisable.exc_value)))
    calls.watch_swallowed()
    foreign = eval("lambda: [][0]", {"__name__": "elsewhere"})
    ctypes.CFUNCTYPE(None)(foreign)()
    assert reported == [IndexError]
    assert calls.take_swallowed() is None


def endless_loop(m: Machine) -> Block:
    """for (;;) { poll as compiled code does; count in rbx }"""
    load = asm.mov_rm(1, RAX, R14, 0)
    poll = asm.call_m(RAX, context.STORE_POLL_STUB)
    loop = load + asm.alu_mi(asm.CMP, 0, RAX, 8, 0) + asm.jcc_rel8(asm.CC_E, len(poll)) + poll
    loop += asm.alu_ri(asm.ADD, 1, RBX, 1)
    return m.wrapped(loop + asm.jmp_rel8(-len(loop) - 2))


def exponential(m: Machine) -> Block:
    """f(n) { if (n) { f(n - 1); f(n - 1); } }: takes for ever without a loop and without much stack."""
    code = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + asm.push_r(R14) + asm.push_r(RCX)
    check = asm.mov_rm(1, RAX, R14, 0) + asm.alu_rm(asm.CMP, 1, RSP, RAX, 0)
    trap_size = 6
    back = asm.jmp_rel8(-len(check) - 2 - trap_size)
    code += check + asm.jcc_rel8(asm.CC_AE, trap_size) + asm.ud1(9) + back
    argument = asm.mov_rm(1, RCX, RBP, -16) + asm.alu_ri(asm.SUB, 1, RCX, 1)
    code += asm.test_rr(1, RCX, RCX) + asm.jcc_rel8(asm.CC_E, 2 * (len(argument) + 5))
    for _ in range(2):
        code += argument
        code += asm.call_rel32(-len(code) - 5)
    return m.function(code + asm.leave_() + asm.ret())


@pytest.mark.parametrize("make", [endless_loop, exponential])
def test_another_thread_can_interrupt(machine: Machine, make: Callable[[Machine], Block]) -> None:
    m = machine
    record = make(m)
    stopped = threading.Event()

    class Stop(Exception):
        pass

    def on_poll() -> None:
        if len(m.polls) == 3:
            raise Stop

    def interrupt() -> None:
        while not stopped.wait(0.005):
            m.block.interrupt()

    m.on_poll = on_poll
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Stop):
            m.call(record, "l:", 200)
    finally:
        stopped.set()
        thread.join()
    assert m.polls == [context.INTERRUPT_REQUEST] * 3


def test_many_interruptions_do_not_look_like_an_exhausted_stack(machine: Machine) -> None:
    """The word and the limit are two cells: what comes between writing the one and the other makes no false trap."""
    m = machine
    stopped = threading.Event()

    def interrupt() -> None:
        while not stopped.is_set():
            m.block.interrupt()

    def on_poll() -> None:
        if len(m.polls) == 300:
            raise LookupError

    m.on_poll = on_poll
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(LookupError):
            m.call(exponential(m), "l:", 200)
    finally:
        stopped.set()
        sys.setswitchinterval(interval)
        thread.join()


def test_the_stack_is_checked_again_after_an_interruption(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption at the very function whose frame does not fit: it is heard, and then the function traps."""
    monkeypatch.setattr(stack, "stack_limit", lambda: (1 << 63) - 1)
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(exponential(machine), "l:", 0)
    assert caught.value.number == 9
    assert machine.polls == [context.INTERRUPT_REQUEST]


def test_recursion_without_end_still_exhausts_the_stack_after_an_interruption(machine: Machine) -> None:
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(endless(machine), ":")
    assert caught.value.number == 9
    assert machine.polls == [context.INTERRUPT_REQUEST]


def test_a_raised_limit_alone_is_no_exhausted_stack(machine: Machine) -> None:
    """As it is between the two steps of an interruption whose word has been heard already."""
    m = machine

    def raise_limit() -> None:
        m.cells[context.CELL_STACK_LIMIT] = (1 << 64) - 1

    m.call(m.wrapped(call_record(m.host(":", raise_limit)) + asm.zero(RCX) + call_record(exponential(m))), ":")
    assert m.polls == [0]


def test_an_interruption_at_a_check_that_cannot_be_resumed_is_a_trap(machine: Machine) -> None:
    machine.block.interrupt()
    with pytest.raises(TrapError) as caught:
        machine.call(endless(machine, jump_back=False), ":")
    assert caught.value.number == 12


def test_an_interruption_while_idle_reaches_the_next_call(machine: Machine) -> None:
    machine.block.interrupt()
    machine.call(machine.wrapped(call_record(machine.host(":", lambda: None))), ":")
    assert machine.polls == [context.INTERRUPT_REQUEST]


@pytest.mark.parametrize("make", [endless_loop, exponential])
def test_sigint_ends_a_call_with_keyboard_interrupt(machine: Machine, make: Callable[[Machine], Block]) -> None:
    record = make(machine)
    thread = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        machine.call(record, "l:", 200)
    thread.join()


def test_a_sigint_handler_that_does_not_raise_lets_the_call_go_on(machine: Machine) -> None:
    m = machine
    handled: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
    stopped = threading.Event()

    def send() -> None:
        while not stopped.wait(0.01):
            os.kill(os.getpid(), signal.SIGINT)

    def on_poll() -> None:
        if len(m.polls) == 3:
            stopped.set()
            raise LookupError

    thread = threading.Thread(target=send)
    try:
        # signal.signal has put CPython's handler in front of ours; a new instance puts ours on top again.
        faults.ensure_on_top()
        m.on_poll = on_poll
        thread.start()
        with pytest.raises(LookupError):
            m.call(endless_loop(m), ":")
        assert m.polls == [context.INTERRUPT_SIGNAL] * 3
        assert len(handled) >= 3
    finally:
        stopped.set()
        thread.join()
        signal.signal(signal.SIGINT, previous)


def test_the_poll_stub_preserves_all_registers(machine: Machine) -> None:
    m = machine
    m.on_poll = lambda: m.call(m.wrapped(asm.mov_ri(RAX, 1)), ":l")
    ints = [reg for reg in range(14) if reg not in (RSP, RBP)]
    values = Block(16 * 16)
    for index in range(32):
        values.cells[index] = 0x0123456789ABCDEF * (index + 3) & (1 << 64) - 1
    code = asm.mov_ri(RAX, values.address) + b"".join(asm.movups_rm(x, RAX, 16 * x) for x in range(16))
    code += b"".join(asm.mov_ri(reg, 0x7000_0000_0000 + reg) for reg in ints)
    # The block's address is on the stack, so that no register is needed to call.
    code = (
        asm.mov_ri(RAX, m.cells[context.CELL_POLL_STUB]) + asm.push_r(RAX) + asm.push_r(RAX) + code + asm.call_m(RSP, 0)
    )
    for reg in ints:
        code += asm.push_r(RAX) + asm.mov_ri(RAX, 0x7000_0000_0000 + reg)
        code += asm.alu_rm(asm.CMP, 1, RAX, RSP, 0) if reg == RAX else asm.alu_rr(asm.CMP, 1, RAX, reg)
        code += asm.pop_r(RAX) + asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(100)
    code += asm.mov_ri(RAX, values.address)
    for x in range(16):
        code += asm.movups_mr(RSP, 0, x)
        for half in (0, 8):
            code += asm.mov_rm(1, RCX, RSP, half) + asm.alu_rm(asm.CMP, 1, RCX, RAX, 16 * x + half)
            code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(101)
    m.cells[context.CELL_INTERRUPT] = 5
    m.call(m.wrapped(code), ":")
    assert m.polls == [5]


def test_a_function_is_compiled_at_its_first_call_with_its_arguments_kept(machine: Machine) -> None:
    m = machine
    made = []
    # Sums its first four integers and xmm0 to xmm7 as bits of one result each; here: integers only, floats compared.
    add = asm.lea_rx(1, RAX, RCX, 2, 0, 0) + asm.alu_rr(asm.ADD, 1, RAX, 6) + asm.alu_rr(asm.ADD, 1, RAX, RDI)
    for x in range(8):
        add += asm.movd_from_xmm(1, RCX, x) + asm.alu_rr(asm.ADD, 1, RAX, RCX)
    add += asm.alu_rm(asm.ADD, 1, RAX, RBP, 16) + asm.leave_() + asm.ret_imm(16)

    def make(ctx: int, number: int) -> int:
        made.append((ctx, number))
        # Compiling runs Python, which may call wasm code.
        assert m.call(m.wrapped(asm.mov_ri(RAX, 3)), ":l") == [3]
        return m.code.publish(PROLOGUE + add)

    m.lazy(make)
    for number in (0, 1, 31, 32, 33, 1055, 1056, 5000):
        record = m.record(m.adapters.lazy(number), m.ctx)
        arguments = [1 << k for k in range(13)]
        assert m.call(record, "llllddddddddl:l", *arguments) == [(1 << 13) - 1]
    assert made == [(m.ctx.address, n) for n in (0, 1, 31, 32, 33, 1055, 1056, 5000)]


def test_a_lazy_entry_preserves_pinned_registers_and_r15(machine: Machine) -> None:
    m = machine
    m.lazy(lambda ctx, number: m.code.publish(asm.mov_rr(1, RAX, 15) + asm.ret()))
    pinned = (RBX, 8, 9, 10, 11, 12, 13)
    code = b"".join(asm.mov_ri(reg, 0x5A5A5A5A_00000000 + reg) for reg in pinned)
    code += b"".join(asm.movd_to_xmm(1, x, RBX) for x in range(8, 16))
    code += call_record(m.record(m.adapters.lazy(3), m.ctx))
    for reg in pinned:
        code += asm.mov_ri(RCX, 0x5A5A5A5A_00000000 + reg) + asm.alu_rr(asm.CMP, 1, RCX, reg)
        code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(100)
    for x in range(8, 16):
        code += asm.movd_from_xmm(1, RCX, x) + asm.alu_rr(asm.CMP, 1, RCX, RBX)
        code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(101)
    assert m.call(m.wrapped(code), ":l") == [m.memory.base]


def test_a_function_that_cannot_be_compiled_raises_out_of_the_call(machine: Machine) -> None:
    m = machine

    def make(ctx: int, number: int) -> int:
        raise LookupError("invalid body")

    m.lazy(make)
    record = m.record(m.adapters.lazy(0), m.ctx)
    with pytest.raises(LookupError):
        m.call(record, ":")
    outer = m.wrapped(call_record(record))
    with pytest.raises(LookupError):
        m.call(outer, ":")
    assert [m.code.contains(pc) for pc, _ in m.block.trap().frames] == [True]


def destroy_all(m: Machine, value: int = 0) -> int:
    """Address of a C function that destroys every register that the C ABI lets it, and clears the "failed" cell."""
    code = asm.mov_ri(RAX, 0xDEAD_DEAD_DEAD_DEAD)
    for reg in (RCX, 2, 6, RDI, 8, 9, 10, 11):
        code += asm.mov_rr(1, reg, RAX)
    for x in range(16):
        code += asm.movd_to_xmm(1, x, RAX)
    code += asm.mov_ri(RAX, m.block.address) + asm.mov_mi(1, RAX, context.STORE_FAILED, 0)
    return m.stub_code.publish(code + asm.mov_ri(RAX, value) + asm.ret())


def keeps_pinned(m: Machine, body: bytes) -> Block:
    """A function that traps if ``body`` changes a pinned register, in any of its bits."""
    pinned = (RBX, 8, 9, 10, 11, 12, 13)
    values = Block(16 * 8)
    values.bytes[:] = bytes(range(1, 129))
    m.keep.append(values)
    code = asm.mov_ri(RAX, values.address) + b"".join(asm.movups_rm(8 + x, RAX, 16 * x) for x in range(8))
    code += b"".join(asm.mov_ri(reg, 0x5A5A5A5A_00000000 + reg) for reg in pinned) + body
    for reg in pinned:
        code += asm.mov_ri(RCX, 0x5A5A5A5A_00000000 + reg) + asm.alu_rr(asm.CMP, 1, RCX, reg)
        code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(100)
    code += asm.mov_ri(RAX, values.address) + asm.alu_ri(asm.SUB, 1, RSP, 16)
    for x in range(8):
        code += asm.movups_mr(RSP, 0, 8 + x)
        for half in (0, 8):
            code += asm.mov_rm(1, RCX, RSP, half) + asm.alu_rm(asm.CMP, 1, RCX, RAX, 16 * x + half)
            code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(101)
    return m.wrapped(code)


def test_pinned_registers_survive_a_host_function_that_destroys_all_it_may(machine: Machine) -> None:
    m = machine
    host = m.record(m.adapters.leave(":"), m.host_ctx, destroy_all(m))
    m.call(keeps_pinned(m, call_record(host)), ":")


def test_pinned_registers_survive_a_poll_callback_that_destroys_all_it_may(machine: Machine) -> None:
    m = machine
    m.cells[context.CELL_POLL] = destroy_all(m)
    m.call(keeps_pinned(m, asm.mov_ri(RAX, m.cells[context.CELL_POLL_STUB]) + asm.call_r(RAX)), ":")


def test_all_temporaries_survive_a_poll_callback_that_destroys_all_it_may(machine: Machine) -> None:
    m = machine
    m.cells[context.CELL_POLL] = destroy_all(m)
    values = Block(16 * 8)
    values.bytes[:] = bytes(range(1, 129))
    code = asm.mov_ri(RAX, m.cells[context.CELL_POLL_STUB]) + asm.push_r(RAX) + asm.push_r(RAX)
    code += asm.mov_ri(RAX, values.address) + b"".join(asm.movups_rm(x, RAX, 16 * x) for x in range(8))
    code += b"".join(asm.mov_ri(reg, 0x77_0000_0000 + reg) for reg in (RCX, 2, 6, RDI)) + asm.call_m(RSP, 0)
    code += asm.push_r(RBX) + asm.push_r(RBX)
    for reg, expected in ((RAX, values.address), *((reg, 0x77_0000_0000 + reg) for reg in (RCX, 2, 6, RDI))):
        code += asm.mov_ri(RBX, expected) + asm.alu_rr(asm.CMP, 1, RBX, reg)
        code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(100)
    for x in range(8):
        code += asm.movups_mr(RSP, 0, x)
        for half in (0, 8):
            code += asm.mov_rm(1, RCX, RSP, half) + asm.alu_rm(asm.CMP, 1, RCX, RAX, 16 * x + half)
            code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(101)
    m.call(m.wrapped(code), ":")


def test_pinned_registers_and_arguments_survive_compiling_that_destroys_all_it_may(machine: Machine) -> None:
    m = machine
    values = Block(16 * 8)
    values.bytes[:] = bytes(range(1, 129))
    check = b"".join(
        asm.mov_ri(RAX, 0x77_0000_0000 + reg)
        + asm.alu_rr(asm.CMP, 1, RAX, reg)
        + asm.jcc_rel8(asm.CC_E, 4)
        + asm.ud1(102)
        for reg in (RCX, 2, 6, RDI)
    )
    check += asm.mov_ri(RAX, values.address) + asm.alu_ri(asm.SUB, 1, RSP, 16)
    for x in range(8):
        check += asm.movups_mr(RSP, 0, x)
        for half in (0, 8):
            check += asm.mov_rm(1, RCX, RSP, half) + asm.alu_rm(asm.CMP, 1, RCX, RAX, 16 * x + half)
            check += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(103)
    callee = m.wrapped(check)
    m.cells[context.CELL_LAZY] = destroy_all(m, callee.cells[0])
    lazy = m.record(m.adapters.lazy(3), m.ctx)
    body = asm.mov_ri(RAX, values.address) + b"".join(asm.movups_rm(x, RAX, 16 * x) for x in range(8))
    body += b"".join(asm.mov_ri(reg, 0x77_0000_0000 + reg) for reg in (RCX, 2, 6, RDI)) + call_record(lazy)
    m.call(keeps_pinned(m, body), ":")
