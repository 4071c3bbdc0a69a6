"""Stubs keep every register that code may rely on, whatever C code does to those that AAPCS64 lets it use.

These functions run, so the tests want an AArch64 machine or ``tools/arm64.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.native import runs_on
from tests.runtime.machine import Machine, TrapError
from tests.runtime.native import native
from vibewasm import abi
from vibewasm.backends.aarch64 import asm
from vibewasm.backends.aarch64.regs import FLOAT_PINNED, PINNED
from vibewasm.runtime import calls, context
from vibewasm.runtime.blocks import Block

pytestmark = runs_on("aarch64")

#: Registers that compiled code may have a value in at a poll: all but the scratches, x18 and those with fixed roles.
INTS = (*range(8), *sorted(PINNED))
FLOATS = (*range(8), *FLOAT_PINNED)
#: Where the vector registers are in a block of values.
_FLOATS_AT = 512
_SIZE = 1024


@pytest.fixture
def machine() -> Machine:
    return Machine()


def values() -> Block:
    """A block with a different value for each register."""
    block = Block(_SIZE)
    numbers = random.Random(64)
    for index in range(_SIZE // 8):
        block.cells[index] = numbers.getrandbits(64)
    return block


def transfer(load: bool, block: Block) -> bytes:
    """Load all registers from a block, or store them to it, by way of x16."""
    code = asm.mov_ri(16, block.address)
    for index, reg in enumerate(INTS):
        code += asm.access(asm.LDR_X if load else asm.STR_X, reg, 16, 8 * index)
    for index, reg in enumerate(FLOATS):
        code += asm.access(asm.LDR_Q if load else asm.STR_Q, reg, 16, _FLOATS_AT + 16 * index)
    return code


def kept(before: Block, after: Block, ints: tuple[int, ...], floats: tuple[int, ...]) -> None:
    """These registers are after a call what they were before it."""
    for index, reg in enumerate(INTS):
        if reg in ints:
            assert after.cells[index] == before.cells[index], f"x{reg}"
    for index, reg in enumerate(FLOATS):
        if reg in floats:
            at = _FLOATS_AT // 8 + 2 * index
            assert after.cells[at : at + 2].tolist() == before.cells[at : at + 2].tolist(), f"v{reg}"


def destroy() -> bytes:
    """Change all that AAPCS64 lets a function change: of v8 to v15 that is the upper half."""
    code = b"".join(asm.mov_ri(reg, 0xDEAD_0000 + reg) for reg in range(18))
    for reg in range(32):
        if 8 <= reg < 16:
            code += asm.fmov_from(1, 0, reg)
        code += asm.fmov_to(1, reg, 0)
    return code


def callback(m: Machine, result: int = 0) -> int:
    """Address of a callback in C code that destroys what it may and reports success."""
    code = asm.access(asm.LDR_X, 1, 0, abi.CTX_STORE) + asm.access(asm.STR_X, 31, 1, abi.STORE_FAILED)
    return m.stub_code.publish(code + destroy() + asm.mov_ri(0, result) + asm.ret())


def test_a_poll_keeps_all_registers(machine: Machine) -> None:
    m = machine
    before, after = values(), Block(_SIZE)
    m.cells[context.CELL_POLL] = callback(m)
    poll = asm.access(asm.LDR_X, 16, 28, abi.CTX_STORE)
    poll += asm.access(asm.LDR_X, 16, 16, abi.STORE_POLL_STUB) + asm.blr(16)
    m.call(m.wrapped(transfer(True, before) + poll + transfer(False, after)), ":")
    kept(before, after, INTS, FLOATS)


def test_the_stack_check_of_a_prologue_keeps_parameters_and_pinned_registers(machine: Machine) -> None:
    """An interruption raises the limit, so the trap is one that goes on at the poll stub."""
    from vibewasm.backends.aarch64 import frames

    m = machine
    m.cells[context.CELL_POLL] = callback(m)
    for size in (64, frames.SMALL_FRAME + 64):
        before, after = values(), Block(_SIZE)
        code, check, site = frames.prologue(size, 0, 0, True, 0)
        # The trap follows the body; here the body comes first in memory and the prologue jumps over the trap.
        body = transfer(False, after) + frames.epilogue(size, 0, 0, 0)
        from vibewasm.backends.aarch64.control import patch

        whole = bytearray(code + body)
        trap_at = len(whole)
        whole += asm.udf(9)
        whole += asm.b(check - len(whole))
        patch(whole, site - 4, trap_at - site)
        inner = m.function(bytes(whole))
        raise_limit = asm.access(asm.LDR_X, 16, 28, 0) + asm.mov_ri(17, -1) + asm.access(asm.STR_X, 17, 16, 0)
        call = asm.mov_ri(16, inner.cells[0]) + asm.blr(16)
        m.call(m.wrapped(raise_limit + transfer(True, before) + call), ":")
        kept(before, after, INTS, FLOATS)


def test_compiling_at_the_first_call_keeps_arguments_and_pinned_registers(machine: Machine) -> None:
    m = machine
    before, after = values(), Block(_SIZE)
    compiled = m.wrapped(transfer(False, after))
    m.cells[context.CELL_LAZY] = callback(m, compiled.cells[0])
    entry = m.adapters.lazy_entries(1031)[1030]
    m.call(m.wrapped(transfer(True, before) + asm.mov_ri(16, entry) + asm.blr(16)), ":")
    kept(before, after, INTS, FLOATS)


@pytest.mark.parametrize("number", [0, 1, 31, 32, 1055, 1056, 5000])
def test_a_lazy_entry_tells_its_number(machine: Machine, number: int) -> None:
    m = machine
    asked: list[tuple[int, int]] = []
    compiled = m.wrapped(native.set_result(42))

    def make(ctx: int, defined: int) -> int:
        asked.append((ctx, defined))
        return compiled.cells[0]

    m.lazy(make)
    assert m.call(m.record(m.adapters.lazy_entries(number + 1)[number], m.ctx), ":l") == [42]
    assert asked == [(m.ctx.address, number)]


def test_a_host_function_keeps_pinned_registers(machine: Machine) -> None:
    m = machine
    before, after = values(), Block(_SIZE)
    record = m.record(m.adapters.leave(":", m.kept), m.host_ctx, callback(m))
    m.call(m.wrapped(transfer(True, before) + native.call_record(record) + transfer(False, after)), ":")
    kept(before, after, PINNED, FLOAT_PINNED)


def c_function(m: Machine, record: Block, before: Block, after: Block) -> Callable[[], int]:
    """A C function that has values in all registers that a callee preserves, calls ``enter`` and notes them again."""
    ints, floats = range(19, 29), range(8, 16)
    code = asm.pair_pre(asm.STP_X, 29, 30, 31, -176) + asm.mov_sp(29, 31)
    saves = [(asm.STR_X, reg, 16 + 8 * n) for n, reg in enumerate(ints)]
    saves += [(asm.STR_D, reg, 104 + 8 * n) for n, reg in enumerate(floats)]
    code += b"".join(asm.access(op, reg, 31, offset) for op, reg, offset in saves)
    code += asm.mov_ri(16, before.address) + _preserved(True)
    enter = calls.address_of(m.adapters.enter(":"))
    code += asm.mov_ri(0, record.address) + asm.mov_ri(1, 0) + asm.mov_ri(2, before.address)
    code += asm.mov_ri(16, enter) + asm.blr(16)
    code += asm.mov_ri(16, after.address) + _preserved(False)
    code += b"".join(asm.access(op + (1 << 22), reg, 31, offset) for op, reg, offset in saves)
    code += asm.pair_post(asm.LDP_X, 29, 30, 31, 176) + asm.ret()
    return calls.EnterFunction(m.stub_code.publish(code))


def _preserved(load: bool) -> bytes:
    code = b""
    for index, reg in enumerate(range(19, 29)):
        code += asm.access(asm.LDR_X if load else asm.STR_X, reg, 16, 8 * index)
    for index, reg in enumerate(range(8, 16)):
        code += asm.access(asm.LDR_D if load else asm.STR_D, reg, 16, 80 + 8 * index)
    return code


@pytest.mark.parametrize("ending", [b"", asm.udf(3)], ids=["return", "trap"])
def test_enter_keeps_what_a_c_function_has_to_keep(machine: Machine, ending: bytes) -> None:
    """Also if the activation ends in a trap, when nobody has restored the registers of the functions that are left."""
    m = machine
    before, after = values(), Block(_SIZE)
    record = m.wrapped(transfer(True, values()) + ending)
    m.cells[context.CELL_REAL_LIMIT] = 0
    assert c_function(m, record, before, after)() == (3 if ending else 0)
    assert after.cells[:18].tolist() == before.cells[:18].tolist()


def test_wasm_code_has_its_own_floating_point_mode(machine: Machine) -> None:
    """FPCR: the host's rounding and flushing of subnormals is not that of wasm code, and comes back afterwards."""
    m = machine
    modes = Block(64)
    # Round towards zero, flush to zero.
    host_mode = 3 << 22 | 1 << 24
    note = asm.mrs(0, asm.FPCR) + asm.mov_ri(16, modes.address) + asm.access(asm.STR_X, 0, 16, 0)
    host = m.host(":", lambda: None)
    again = asm.mrs(0, asm.FPCR) + asm.mov_ri(16, modes.address) + asm.access(asm.STR_X, 0, 16, 8)
    inner = m.wrapped(note + native.call_record(host) + again)
    enter = calls.address_of(m.adapters.enter(":"))
    m.cells[context.CELL_REAL_LIMIT] = 0
    code = asm.pair_pre(asm.STP_X, 29, 30, 31, -32) + asm.mov_ri(0, host_mode) + asm.msr(asm.FPCR, 0)
    code += asm.mov_ri(0, inner.address) + asm.mov_ri(1, 0) + asm.mov_ri(2, modes.address + 32)
    code += asm.mov_ri(16, enter) + asm.blr(16)
    code += asm.mrs(0, asm.FPCR) + asm.msr(asm.FPCR, 31) + asm.pair_post(asm.LDP_X, 29, 30, 31, 32) + asm.ret()
    assert calls.EnterFunction(m.stub_code.publish(code))() == host_mode
    assert modes.cells[:2].tolist() == [0, 0]


def test_the_number_of_a_trap_is_any_but_those_that_callbacks_leave(machine: Machine) -> None:
    for number in (1, abi.HOST_EXCEPTION - 1):
        with pytest.raises(TrapError) as caught:
            machine.call(machine.wrapped(asm.udf(number)), ":")
        assert caught.value.number == number


def test_code_in_a_place_that_held_other_code_before_is_seen() -> None:
    """Arenas are given back and mapped anew, so that an address may have been executed from before."""
    from vibewasm.runtime.code_memory import CodeMemory

    for number in range(200):
        memory = CodeMemory(hint=4096, traps=False)
        function = calls.EnterFunction(memory.publish(asm.mov_ri(0, number) + asm.ret()))
        assert function() == number
        memory.close()


def foreign(m: Machine, result: int = 0) -> int:
    """Address of C code that destroys what it may and knows nothing of stores."""
    return m.stub_code.publish(destroy() + asm.mov_ri(0, result) + asm.ret())


@pytest.mark.parametrize("signature", [":", "iiiiiilllldd:i", "m:", "mffffffffffbh?:f"])
def test_a_c_function_keeps_pinned_registers(machine: Machine, signature: str) -> None:
    m = machine
    before, after = values(), Block(_SIZE)
    record = m.record(m.adapters.native(signature, 0, m.kept), m.host_ctx, foreign(m))
    # The caller lays the argument area and the callee frees it.
    area = {"iiiiiilllldd:i": 16, "mffffffffffbh?:f": 16}.get(signature, 0)
    lay = asm.alu_ri(asm.SUB, 1, 31, 31, area) if area else b""
    m.call(m.wrapped(transfer(True, before) + lay + native.call_record(record) + transfer(False, after)), ":")
    kept(before, after, PINNED, FLOAT_PINNED)


def test_a_result_of_a_c_function_survives_a_poll(machine: Machine) -> None:
    m = machine
    m.cells[context.CELL_POLL] = callback(m)
    record = m.record(m.adapters.native(":l", 0, m.kept), m.host_ctx, foreign(m, 0x1234_5678_9ABC))
    m.cells[context.CELL_INTERRUPT] = 1
    assert m.call(m.wrapped(native.call_record(record)), ":l") == [0x1234_5678_9ABC]
    assert m.cells[context.CELL_INTERRUPT] == 0


def test_a_loop_of_calls_keeps_its_place_whatever_a_function_destroys(machine: Machine) -> None:
    m = machine
    host = m.record(m.adapters.leave(":", m.kept), m.host_ctx, callback(m))
    body = asm.alu_rr(asm.ADD, 1, 19, 0, 0) + native.call_record(host) + asm.mov_rr(1, 0, 19)
    saved = asm.pair_pre(asm.STP_X, 19, 20, 31, -16), asm.pair_post(asm.LDP_X, 19, 20, 31, 16)
    double = m.wrapped(saved[0] + body + saved[1])
    numbers = Block(8 * 4)
    numbers.cells[:] = memoryview(bytes(range(32))).cast("Q")
    arrays = Block(8 * 5)
    arrays.cells[0] = 4
    arrays.cells[1:5] = memoryview(b"".join(n.to_bytes(8, "little") for n in (numbers.address, 8) * 2)).cast("Q")
    before = numbers.cells.tolist()
    loop = m.adapters.map_arrays("l:l")
    m.cells[context.CELL_REAL_LIMIT] = 0
    assert loop(*map(calls.argument, (double.address, 0, arrays.address))) == 0
    assert numbers.cells.tolist() == [2 * value & (1 << 64) - 1 for value in before]
    assert arrays.cells[0] == 0
