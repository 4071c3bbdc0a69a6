"""Faults of wasm code become traps with a right record; other faults do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native import runs_on
from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import RAX, RBP, RCX, RDX, RSI, RSP
from vibewasm.runtime import calls, context
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.linear_memory import GUARDED_RESERVATION
from vibewasm.runtime.trap_record import TrapRecord

from .machine import Machine, TrapError, native

SIGILL, SIGFPE, SIGSEGV = 4, 8, 11


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine()


def trap_of(m: Machine, record: Block, signature: str, *arguments: int) -> TrapRecord:
    with pytest.raises(TrapError) as caught:
        m.call(record, signature, *arguments)
    assert m.cells[context.CELL_SAVED_SP] == 0
    return caught.value.record


@pytest.mark.parametrize("number", [1, 3, 5, 8, 9, 10, 11, 14, 15, 127])
def test_a_trap_instruction_carries_its_number(machine: Machine, number: int) -> None:
    record = machine.wrapped(native.trap(number))
    trap = trap_of(machine, record, ":")
    assert (trap.number, trap.signal, trap.address) == (number, SIGILL, 0)
    assert trap.pc == record.cells[0] + len(native.PROLOGUE)
    assert trap.frames == ((trap.pc, machine.ctx.address),)


def test_the_registers_at_a_trap_are_recorded_by_hardware_number(machine: Machine) -> None:
    body = b"".join(native.set_register(reg, 1000 + reg) for reg in native.SPARE)
    trap = trap_of(machine, machine.wrapped(body + native.trap(1)), ":")
    for reg in native.SPARE:
        assert trap.registers[reg] == 1000 + reg
    assert trap.registers[native.CONTEXT] == machine.ctx.address
    assert trap.registers[native.MEMORY_BASE] == machine.memory.base
    assert trap.registers[native.FRAME] == trap.registers[native.STACK] + native.FRAME_ABOVE_STACK


@pytest.mark.parametrize("index", [0x10000, 0x10001, 0x0FFFF_FFFF])
@pytest.mark.parametrize("offset", [0, 1, 0x7FFF_FFFF])
def test_an_access_to_the_reservation_is_out_of_bounds(machine: Machine, index: int, offset: int) -> None:
    for access in native.accesses(offset):
        trap = trap_of(machine, machine.wrapped(access), "i:", index)
        assert (trap.number, trap.signal) == (2, SIGSEGV)
        assert trap.address == machine.memory.base + index + offset


def test_the_last_byte_that_code_can_reach_is_in_the_reservation(machine: Machine) -> None:
    # 32-bit index plus 32-bit offset, and an access of 16 bytes.
    trap = trap_of(machine, machine.wrapped(native.farthest_access()), "i:", 0xFFFF_FFFF)
    assert trap.number == 2
    assert trap.address + 16 <= machine.memory.base + GUARDED_RESERVATION


def test_an_access_across_the_end_of_the_memory_traps(machine: Machine) -> None:
    record = machine.wrapped(native.accesses(0)[0])
    assert machine.call(record, "i:i", 0xFFFC) == [0]
    trap = trap_of(machine, record, "i:i", 0xFFFD)
    assert trap.number == 2
    assert trap.address == machine.memory.base + 0x10000


def test_a_null_record_traps_as_such(machine: Machine) -> None:
    trap = trap_of(machine, machine.wrapped(native.compare_with_type_of_null()), ":")
    assert (trap.number, trap.signal, trap.address) == (4, SIGSEGV, 16)


DIVISORS = [reg for reg in range(14) if reg not in (RAX, RDX, RSP, RBP)]


@runs_on("x86_64")
@pytest.mark.parametrize("reg", DIVISORS)
@pytest.mark.parametrize("wide", [0, 1])
def test_a_division_tells_zero_from_overflow(machine: Machine, reg: int, wide: int) -> None:
    sign = asm.cqo() if wide else asm.cdq()
    load = asm.mov_rr(1, RAX, RCX) + asm.mov_rr(1, reg, RSI) + sign
    signed = machine.wrapped(load + asm.idiv_r(wide, reg))
    unsigned = machine.wrapped(load + asm.zero(RDX) + asm.div_r(wide, reg))
    least = 1 << 63 if wide else 1 << 31
    minus = (1 << 64) - 1 if wide else (1 << 32) - 1
    assert machine.call(signed, "lll:l", 42, 0, 5) == [8]
    for function in (signed, unsigned):
        trap = trap_of(machine, function, "lll:l", 42, 0, 0)
        assert (trap.number, trap.signal, trap.address) == (7, SIGFPE, 0)
    assert trap_of(machine, signed, "lll:l", least, 0, minus).number == 6
    if not wide:
        # A 32-bit division does not look at the upper half of its divisor.
        assert trap_of(machine, signed, "lll:l", 42, 0, 1 << 32).number == 7
    else:
        # A 64-bit one does: rdx:rax = 2**96 divided by 2**32.
        load = asm.mov_rr(1, RAX, RCX) + asm.mov_rr(1, reg, RSI) + asm.mov_rr(1, RDX, reg)
        large = machine.wrapped(load + asm.div_r(1, reg))
        assert trap_of(machine, large, "lll:l", 0, 0, 1 << 32).number == 6
    assert machine.call(signed, "lll:l", 42, 0, 5) == [8]


def test_frames_are_recorded_innermost_first_with_their_contexts(machine: Machine) -> None:
    other = machine.context(machine.memory)
    innermost = machine.function(native.PROLOGUE + native.trap(1) + native.EPILOGUE, other)
    middle = machine.wrapped(native.call_record(innermost))
    outer = machine.wrapped(native.call_record(middle))
    trap = trap_of(machine, outer, ":")
    assert [ctx for _, ctx in trap.frames] == [other.address, machine.ctx.address, machine.ctx.address]
    # A frame's address lies inside the call, which ends 8 bytes before the function's epilogue: two loads follow it.
    call_end = len(native.PROLOGUE) + len(native.call_record(innermost)) - 8
    assert trap.frames[0][0] == trap.pc == innermost.cells[0] + len(native.PROLOGUE)
    for frame, function in zip(trap.frames[1:], (middle, outer), strict=True):
        assert frame[0] == function.cells[0] + call_end - 1


def test_a_deep_stack_gives_its_innermost_64_frames(machine: Machine) -> None:
    record = machine.function(native.countdown())
    assert len(trap_of(machine, record, "l:", 62).frames) == 63
    assert len(trap_of(machine, record, "l:", 63).frames) == 64
    trap = trap_of(machine, record, "l:", 5000)
    assert len(trap.frames) == 64
    assert {ctx for _, ctx in trap.frames} == {machine.ctx.address}


def endless(m: Machine, jump_back: bool = True) -> Block:
    """A function that calls itself for ever, and checks the stack limit as compiled code does."""
    return m.function(native.endless(jump_back))


def test_exhausting_the_stack_is_a_trap_again_and_again(machine: Machine) -> None:
    record = endless(machine)
    for _ in range(5):
        trap = trap_of(machine, record, ":")
        assert (trap.number, trap.signal, len(trap.frames)) == (9, SIGILL, 64)
    low = calls.stack_limit()
    assert low - 64 <= trap.registers[native.STACK] < low


def test_a_host_function_is_not_called_without_room_for_it(machine: Machine) -> None:
    depths = []
    host = machine.host("l:", lambda depth: depths.append(depth))
    # Recursion with no check of its own: only the host call looks at the limit.
    code = native.recursion(host)
    record = machine.function(code)
    # With most of the stack below the limit, so that this takes few calls.
    machine.cells[context.CELL_REAL_LIMIT] = 0
    real = calls.stack_limit
    stack_pointer = machine.call(machine.function(native.stack_pointer()), ":l")[0]
    try:
        calls.stack_limit = lambda: stack_pointer - 20000
        trap = trap_of(machine, record, "l:", 0)
    finally:
        calls.stack_limit = real
    assert trap.number == 9
    assert trap.signal == 0
    assert 100 < len(depths) < 1000
    assert depths == list(range(len(depths)))
    # The frame that called the host function is the first.
    assert (
        trap.frames[0][0] == record.cells[0] + code.index(native.call_record(host)) + len(native.call_record(host)) - 9
    )


def test_the_cell_stack_has_an_end(machine: Machine) -> None:
    host = machine.host("l:l", lambda a: [a])
    record = machine.wrapped(native.call_record(host))
    end = machine.cells[context.CELL_CELLS_END]
    try:
        machine.cells[context.CELL_CELLS_END] = machine.block.stack_base + 8
        assert trap_of(machine, record, "l:l", 1).number == 9
    finally:
        machine.cells[context.CELL_CELLS_END] = end
    assert machine.call(record, "l:l", 1) == [1]


def test_a_builtin_traps_by_its_number(machine: Machine) -> None:
    def host() -> list[int]:
        raise AssertionError

    record = machine.host(":", host)
    # A callback that leaves the number of a trap in the "failed" cell, as C code.
    record.cells[3] = machine.stub_code.publish(native.failing_callback(machine.block.address, 3))
    caller = machine.wrapped(native.call_record(record))
    trap = trap_of(machine, caller, ":")
    assert (trap.number, trap.signal) == (3, 0)
    assert trap.pc == trap.frames[0][0]
    assert (
        caller.cells[0] + len(native.PROLOGUE)
        < trap.pc
        < caller.cells[0] + len(native.PROLOGUE + native.call_record(record))
    )


def test_a_trap_costs_a_few_microseconds(machine: Machine) -> None:
    import timeit

    from vibewasm.runtime import calls

    record = machine.wrapped(native.trap(1))
    function = machine.adapters.enter(":")
    argument = calls.argument
    names = {"f": function, "a": argument(record.address), "n": argument(0), "v": argument(Block(16).address)}
    assert min(timeit.repeat("f(a, n, v)", globals=names, number=100, repeat=10)) / 100 < 50e-6


# -- memory.copy and memory.fill ---------------------------------------------------------------------------------------

SIZES = st.integers(0, 300) | st.sampled_from([63, 64, 65, 127, 128, 129, 4096, 65535, 65536, 65537])


def bulk(m: Machine, cell: int) -> Block:
    """A function (d, s, n) that calls a bulk stub as compiled code does, and checks what the stub must preserve."""
    return m.wrapped(native.bulk(cell))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 700), st.integers(0, 700), SIZES, st.randoms(use_true_random=False))
def test_memory_copy_agrees_with_a_model(d: int, s: int, n: int, random: object) -> None:
    m = bulk_machine()
    view = m.memory.view()
    model = bytearray(view)
    if max(d, s) + n <= len(model):
        assert m.call(COPY[0], "iii:l", d, s, n) == [7777]
        model[d : d + n] = model[s : s + n]
    else:
        assert trap_of(m, COPY[0], "iii:l", d, s, n).number == 2
    assert view == model


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 700), st.integers(0, (1 << 32) - 1), SIZES)
def test_memory_fill_agrees_with_a_model(d: int, value: int, n: int) -> None:
    m = bulk_machine()
    view = m.memory.view()
    model = bytearray(view)
    if d + n <= len(model):
        assert m.call(FILL[0], "iii:l", d, value, n) == [7777]
        model[d : d + n] = bytes([value & 255]) * n
    else:
        assert trap_of(m, FILL[0], "iii:l", d, value, n).number == 2
    assert view == model


_machines: list[Machine] = []
COPY: list[Block] = []
FILL: list[Block] = []


def bulk_machine() -> Machine:
    if not _machines:
        m = Machine()
        _machines.append(m)
        COPY.append(bulk(m, context.CELL_MEMORY_COPY))
        FILL.append(bulk(m, context.CELL_MEMORY_FILL))
        m.memory.view()[:] = bytes((k * 7 + k // 256) & 255 for k in range(0x10000))
    return _machines[0]


def test_large_copies_and_fills_move_everything() -> None:
    m = Machine(pages=100)
    copy, fill = bulk(m, context.CELL_MEMORY_COPY), bulk(m, context.CELL_MEMORY_FILL)
    view = m.memory.view()
    view[:] = bytes(range(256)) * (len(view) // 256)
    model = bytearray(view)
    size = 3 << 20
    for d, s, n in ((5, 1000, size + 77), (1000, 5, size + 77), (size + 100, 3, size), (7, 7, size)):
        m.call(copy, "iii:l", d, s, n)
        model[d : d + n] = model[s : s + n]
        assert view == model
    m.call(fill, "iii:l", 33, 0x1AB, size + 5)
    model[33 : 33 + size + 5] = b"\xab" * (size + 5)
    assert view == model


@pytest.mark.parametrize("cell", [context.CELL_MEMORY_COPY, context.CELL_MEMORY_FILL])
def test_long_bulk_operations_can_be_interrupted_and_go_on(cell: int) -> None:
    m = Machine(pages=100)
    record = bulk(m, cell)
    for d, s in ((9, 70), (70, 9)):
        view = m.memory.view()
        view[:] = bytes(range(256)) * (len(view) // 256)
        model = bytearray(view)
        n = 5 << 20
        rounds: list[int] = []

        def again(rounds: list[int] = rounds) -> None:
            rounds.append(1)
            if len(rounds) < 3:
                m.block.interrupt()

        m.on_poll = again
        m.block.interrupt()
        m.call(record, "iii:l", d, s, n)
        assert len(rounds) == 3
        model[d : d + n] = model[s : s + n] if cell == context.CELL_MEMORY_COPY else bytes([s]) * n
        assert view == model

    def fail() -> None:
        raise LookupError

    m.on_poll = fail
    m.block.interrupt()
    with pytest.raises(LookupError):
        m.call(record, "iii:l", 9, 70, 5 << 20)
    trap = m.block.trap()
    # The stub, then the function that called it.
    assert [m.code.contains(pc) for pc, _ in trap.frames] == [False, True]


def test_bounds_of_bulk_operations_are_exact(machine: Machine) -> None:
    copy, fill = bulk(machine, context.CELL_MEMORY_COPY), bulk(machine, context.CELL_MEMORY_FILL)
    end = 0x10000
    most = 0xFFFF_FFFF
    for d, s, n, good in (
        (end, 0, 0, True),
        (0, end, 0, True),
        (end, end, 0, True),
        (end + 1, 0, 0, False),
        (0, end + 1, 0, False),
        (end - 1, 0, 2, False),
        (0, end - 1, 2, False),
        (most, 0, most, False),
        (0, most, most, False),
        (0, 0, end, True),
        (0, 0, end + 1, False),
        # Sums that do not fit 64 bits, as a 64-bit memory may have them.
        ((1 << 64) - 1, 0, 2, False),
        (0, (1 << 64) - 1, 2, False),
        (5, 5, (1 << 64) - 5, False),
        (1 << 63, 0, 1 << 63, False),
    ):
        for record in (copy, fill):
            fine = good or (record is fill and d + n <= end)
            if fine:
                assert machine.call(record, "lll:l", d, s, n) == [7777]
            else:
                trap = trap_of(machine, record, "lll:l", d, s, n)
                assert (trap.number, trap.signal) == (2, 0)
                assert record.cells[0] < trap.pc < record.cells[0] + 100
                assert trap.frames == ((trap.pc, machine.ctx.address),)
