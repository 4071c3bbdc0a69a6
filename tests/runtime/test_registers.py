"""Stubs that call out keep every register that code may rely on; functions are compiled at their first call."""

from __future__ import annotations

import pytest

from tests.native import runs_on
from vibewasm import abi
from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import RAX, RBP, RBX, RCX, RDI, RSP
from vibewasm.runtime import calls, context
from vibewasm.runtime.blocks import Block

from .machine import Machine
from .x86_64 import CALL_RAX, PROLOGUE, call_record

pytestmark = runs_on("x86_64")


@pytest.fixture
def machine() -> Machine:
    return Machine()


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
        record = m.record(m.adapters.lazy_entries(number + 1)[number], m.ctx)
        arguments = [1 << k for k in range(13)]
        assert m.call(record, "llllddddddddl:l", *arguments) == [(1 << 13) - 1]
    assert made == [(m.ctx.address, n) for n in (0, 1, 31, 32, 33, 1055, 1056, 5000)]


def test_a_lazy_entry_preserves_pinned_registers_and_r15(machine: Machine) -> None:
    m = machine
    m.lazy(lambda ctx, number: m.code.publish(asm.mov_rr(1, RAX, 15) + asm.ret()))
    pinned = (RBX, 8, 9, 10, 11, 12, 13)
    code = b"".join(asm.mov_ri(reg, 0x5A5A5A5A_00000000 + reg) for reg in pinned)
    code += b"".join(asm.movd_to_xmm(1, x, RBX) for x in range(8, 16))
    code += call_record(m.record(m.adapters.lazy_entries(4)[3], m.ctx))
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
    record = m.record(m.adapters.lazy_entries(1)[0], m.ctx)
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
    code += asm.mov_ri(RAX, m.block.address) + asm.mov_mi(1, RAX, abi.STORE_FAILED, 0)
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
    host = m.record(m.adapters.leave(":", m.kept), m.host_ctx, destroy_all(m))
    m.call(keeps_pinned(m, call_record(host)), ":")


def test_pinned_registers_survive_a_poll_callback_that_destroys_all_it_may(machine: Machine) -> None:
    m = machine
    m.cells[context.CELL_POLL] = destroy_all(m)
    m.call(keeps_pinned(m, asm.mov_ri(RAX, m.cells[context.CELL_POLL_STUB]) + CALL_RAX), ":")


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
    lazy = m.record(m.adapters.lazy_entries(4)[3], m.ctx)
    body = asm.mov_ri(RAX, values.address) + b"".join(asm.movups_rm(x, RAX, 16 * x) for x in range(8))
    body += b"".join(asm.mov_ri(reg, 0x77_0000_0000 + reg) for reg in (RCX, 2, 6, RDI)) + call_record(lazy)
    m.call(keeps_pinned(m, body), ":")


@pytest.mark.parametrize("signature", [":", "iiiiiilllldd:i", "m:", "mffffffffffbh?:f"])
def test_pinned_registers_survive_a_c_function_that_destroys_all_it_may(machine: Machine, signature: str) -> None:
    m = machine
    function = m.record(m.adapters.native(signature, 0, m.kept), m.host_ctx, destroy_all(m))
    # The caller lays the argument area and the callee frees it.
    area = {"iiiiiilllldd:i": 48, "mffffffffffbh?:f": 16}.get(signature, 0)
    lay = asm.alu_ri(asm.SUB, 1, RSP, area) if area else b""
    m.call(keeps_pinned(m, lay + call_record(function)), ":")


def test_all_results_survive_a_poll_after_a_c_function(machine: Machine) -> None:
    m = machine
    m.cells[context.CELL_POLL] = destroy_all(m)
    function = m.record(m.adapters.native(":l", 0, m.kept), m.host_ctx, destroy_all(m, 0x1234_5678_9ABC))
    m.cells[context.CELL_INTERRUPT] = 1
    assert m.call(m.wrapped(call_record(function)), ":l") == [0x1234_5678_9ABC]
    assert m.cells[context.CELL_INTERRUPT] == 0


def test_a_loop_of_calls_keeps_its_place_whatever_a_function_destroys(machine: Machine) -> None:
    m = machine
    host = m.record(m.adapters.leave(":", m.kept), m.host_ctx, destroy_all(m))
    double = m.function(
        PROLOGUE
        + asm.lea_rx(1, RAX, RCX, RCX, 0, 0)
        + asm.push_r(RAX)
        + asm.push_r(RAX)
        + call_record(host)
        + asm.pop_r(RAX)
        + asm.pop_r(RAX)
        + asm.leave_()
        + asm.ret()
    )
    values = Block(8 * 4)
    values.cells[:] = memoryview(bytes(range(32))).cast("Q")
    arrays = Block(8 * 5)
    arrays.cells[0] = 4
    arrays.cells[1:5] = memoryview(b"".join(n.to_bytes(8, "little") for n in (values.address, 8) * 2)).cast("Q")
    before = values.cells.tolist()
    loop = m.adapters.map_arrays("l:l")
    assert loop(*map(calls.argument, (double.address, 0, arrays.address))) == 0
    assert values.cells.tolist() == [2 * value & (1 << 64) - 1 for value in before]
    assert arrays.cells[0] == 0
