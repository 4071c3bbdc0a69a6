"""Values cross the boundary between Python and wasm code as the calling convention says, in every kind of signature."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.native import runs_on
from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import R8, R9, R10, R11, R12, R13, R14, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP
from vibewasm.runtime import calls, context
from vibewasm.runtime.blocks import Block

from .machine import Machine, TrapError, cell_count, places, result_places
from .x86_64 import CALL_RAX, PROLOGUE, call_record

pytestmark = runs_on("x86_64")

PINNED_INTS = (RBX, R8, R9, R10, R11, R12, R13)
TYPES = st.text("ilfdvr", max_size=20)
EDGES = st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1, 0x7FF0000000000001])
CELLS = EDGES | st.integers(0, (1 << 64) - 1)


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine()


def seen(letters: str, cells: list[int]) -> list[int]:
    """What arrives of these cells: 32 bits of an i32 or f32."""
    arrived = []
    index = 0
    for letter in letters:
        arrived.append(cells[index] & 0xFFFFFFFF if letter in "if" else cells[index])
        index += 1
        if letter == "v":
            arrived.append(cells[index])
            index += 1
    return arrived


def permute(params: str, picks: list[int]) -> bytes:
    """A wasm function that returns its parameters ``picks``; it destroys every register that a callee may."""
    where, area = places(params)
    frame = 16 * len(params) + 32
    code = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + asm.alu_ri(asm.SUB, 1, RSP, frame) + asm.mov_mr(1, RBP, -8, R14)

    def slot(index: int) -> int:
        return -32 - 16 * index

    for index, (kind, at) in enumerate(where):
        if kind == "int":
            code += asm.mov_mr(1, RBP, slot(index), at)
        elif kind == "float":
            code += asm.movups_mr(RBP, slot(index), at)
        else:
            for half in range(2 if params[index] == "v" else 1):
                code += asm.mov_rm(1, RAX, RBP, 16 + at + 8 * half) + asm.mov_mr(1, RBP, slot(index) + 8 * half, RAX)
    for reg in (RAX, RCX, RDX, RSI, RDI):
        code += asm.mov_ri(reg, 0xDEADBEEF_DEADBEEF)
    for number in range(8):
        code += asm.movd_to_xmm(1, number, RAX)
    code += asm.mov_rm(1, RCX, R14, 0)
    for pick, (kind, at) in zip(picks, result_places("".join(params[p] for p in picks)), strict=True):
        if kind == "int":
            code += asm.mov_rm(1, RAX, RBP, slot(pick))
        elif kind == "float":
            code += asm.movups_rm(0, RBP, slot(pick))
        else:
            for half in range(2):
                code += asm.mov_rm(1, RDX, RBP, slot(pick) + 8 * half) + asm.mov_mr(1, RCX, at + 8 * half, RDX)
    return code + asm.leave_() + (asm.ret_imm(area) if area else asm.ret())


def forward(m: Machine, params: str, callee: Block) -> bytes:
    """A wasm function that calls another one of its own signature, and traps if that destroys a pinned register."""
    _, area = places(params)
    values = Block(16 * 8)
    for index in range(16):
        values.cells[index] = 0x0123456789ABCDEF * (index + 1) & (1 << 64) - 1
    m.keep.append(values)
    code = PROLOGUE
    code += asm.mov_ri(RAX, values.address)
    for number in range(8):
        code += asm.movups_rm(8 + number, RAX, 16 * number)
    for reg in PINNED_INTS:
        code += asm.mov_ri(reg, 0x5A5A5A5A_00000000 + reg)
    for offset in range(area - 8, -8, -8):
        code += asm.push_m(RBP, 16 + offset)
    code += call_record(callee)
    code += asm.push_r(RAX) + asm.push_r(RAX)
    for reg in PINNED_INTS:
        code += asm.mov_ri(RAX, 0x5A5A5A5A_00000000 + reg) + asm.alu_rr(asm.CMP, 1, RAX, reg)
        code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(100)
    code += asm.mov_ri(RAX, values.address) + asm.alu_ri(asm.SUB, 1, RSP, 16)
    for number in range(8):
        code += asm.movups_mr(RSP, 0, 8 + number)
        for half in (0, 8):
            code += asm.mov_rm(1, RCX, RSP, half) + asm.alu_rm(asm.CMP, 1, RCX, RAX, 16 * number + half)
            code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(101)
    # The callee has freed the arguments: the stack pointer is where it was.
    code += asm.lea_rm(1, RCX, RSP, 48) + asm.alu_rr(asm.CMP, 1, RCX, RBP)
    code += asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(102)
    code += asm.mov_rm(1, RAX, RSP, 16)
    return code + asm.leave_() + (asm.ret_imm(area) if area else asm.ret())


@st.composite
def permutations(draw: st.DrawFn) -> tuple[str, list[int], list[int]]:
    params = draw(TYPES)
    picks = draw(st.lists(st.integers(0, len(params) - 1), max_size=8)) if params else []
    cells = draw(st.lists(CELLS, min_size=cell_count(params), max_size=cell_count(params)))
    return params, picks, cells


#: Registers are taken, and of what is in the argument area one is a vector.
VECTOR_IN_AREA = ("dddddddd" + "iiii" + "ivfl", [12, 13, 14, 15], [*range(100, 117)])


def pick_cells(params: str, picks: list[int], cells: list[int]) -> list[int]:
    starts = [cell_count(params[:index]) for index in range(len(params))]
    arrived = seen(params, cells)
    return [arrived[starts[p] + half] for p in picks for half in range(cell_count(params[p]))]


@settings(max_examples=150, deadline=None)
@given(permutations())
@example(VECTOR_IN_AREA)
def test_parameters_and_results_travel_between_python_and_wasm(drawn: tuple[str, list[int], list[int]]) -> None:
    params, picks, cells = drawn
    m = shared_machine()
    record = m.function(permute(params, picks))
    results = "".join(params[p] for p in picks)
    assert m.call(record, f"{params}:{results}", *cells) == pick_cells(params, picks, cells)


@settings(max_examples=150, deadline=None)
@given(permutations())
@example(VECTOR_IN_AREA)
def test_parameters_and_results_travel_between_wasm_and_a_host_function(
    drawn: tuple[str, list[int], list[int]],
) -> None:
    params, picks, cells = drawn
    m = shared_machine()
    results = "".join(params[p] for p in picks)
    got: list[tuple[int, ...]] = []

    def host(*arguments: int) -> list[int]:
        got.append(arguments)
        # The upper halves of what a host returns as an i32 or f32 are anything.
        returned = pick_cells(params, picks, list(arguments))
        at = 0
        for pick in picks:
            if params[pick] in "if":
                returned[at] |= 0xABCDEF01 << 32
            at += cell_count(params[pick])
        return returned

    callee = m.host(f"{params}:{results}", host)
    record = m.function(forward(m, params, callee))
    assert m.call(record, f"{params}:{results}", *cells) == pick_cells(params, picks, cells)
    assert got == [tuple(seen(params, cells))]
    assert m.callers[-1] == m.ctx.address
    assert m.cells[context.CELL_CELLS_TOP] == m.block.stack_base
    assert m.cells[context.CELL_SAVED_SP] == m.cells[context.CELL_EXIT_FP] == 0


_machines: list[Machine] = []


def shared_machine() -> Machine:
    """One machine for all examples; its code memory holds them all."""
    if not _machines:
        _machines.append(Machine())
    return _machines[0]


def test_a_thousand_parameters_and_results(machine: Machine) -> None:
    params = "ilfd" * 250
    record = machine.function(permute(params, list(range(999, -1, -1))))
    cells = [0x9E3779B97F4A7C15 * k & (1 << 64) - 1 for k in range(1000)]
    assert machine.call(record, f"{params}:{params[::-1]}", *cells) == seen(params, cells)[::-1]
    callee = machine.host(f"{params}:{params}", lambda *got: list(got))
    record = machine.function(forward(machine, params, callee))
    assert machine.call(record, f"{params}:{params}", *cells) == seen(params, cells)


def test_a_host_function_can_be_called_from_python_directly(machine: Machine) -> None:
    record = machine.host("ild:l", lambda a, b, c: [a + b + c])
    assert machine.call(record, "ild:l", 1, 2, 3) == [6]
    assert machine.callers[-1] == machine.host_ctx.address


def test_enter_preserves_what_the_c_abi_says_and_loads_the_pinned_registers(machine: Machine) -> None:
    body = asm.mov_rr(1, RAX, R14)
    for reg in (RBX, R12, R13):
        body += asm.mov_ri(reg, 0xBAD)
    record = machine.wrapped(body)
    adapter = calls.address_of(machine.adapters.enter(":l"))
    # A C function that sets every callee-saved register, calls the adapter, and returns 0 if all are as they were.
    saved = (RBX, R12, R13, R14, 15)
    code = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + b"".join(asm.push_r(reg) for reg in saved) + asm.push_r(RAX)
    for reg in saved:
        code += asm.mov_ri(reg, 0x1234_5678_0000_0000 + reg)
    code += asm.mov_ri(RAX, adapter) + CALL_RAX
    for reg in saved:
        code += asm.mov_ri(RCX, 0x1234_5678_0000_0000 + reg) + asm.alu_rr(asm.SUB, 1, RCX, reg)
        code += asm.alu_rr(asm.OR, 1, RAX, RCX)
    code += asm.pop_r(RCX) + b"".join(asm.pop_r(reg) for reg in reversed(saved)) + asm.pop_r(RBP) + asm.ret()
    function = calls.EnterFunction(machine.stub_code.publish(code))
    argv = Block(16)
    machine.cells[context.CELL_REAL_LIMIT] = calls.stack_limit()
    argument = calls.argument
    assert function(argument(record.address), argument(0), argument(argv.address)) == 0
    assert argv.cells[0] == machine.ctx.address
    # The same when the function traps.
    record = machine.wrapped(body + asm.ud1(1))
    assert function(argument(record.address), argument(0), argument(argv.address)) == 1


def test_the_stack_is_aligned_at_every_call(machine: Machine) -> None:
    # Both return the stack pointer at their first instruction, less the pushed return address.
    record = machine.function(asm.mov_rr(1, RAX, RSP) + asm.ret())
    assert machine.call(record, ":l")[0] % 16 == 8
    for params in ("lllll", "llllll", "lllllllv"):
        _, area = places(params)
        record = machine.function(asm.mov_rr(1, RAX, RSP) + asm.ret_imm(area))
        assert machine.call(record, f"{params}:l", *range(cell_count(params)))[0] % 16 == 8
        # In place of a callback: C code that returns its stack pointer as the host function's result.
        code = (
            asm.mov_mr(1, RDX, 0, RSP) + asm.mov_ri(RAX, machine.block.address) + asm.mov_mi(1, RAX, 56, 0) + asm.ret()
        )
        host = machine.record(
            machine.adapters.leave(f"{params}:l", machine.kept), machine.host_ctx, machine.stub_code.publish(code)
        )
        record = machine.function(forward(machine, params, host))
        assert machine.call(record, f"{params}:l", *range(cell_count(params)))[0] % 16 == 8


def mxcsr_functions(m: Machine) -> tuple[Callable[[], int], Callable[[int], None]]:
    """C functions that read and write MXCSR."""
    read = asm.stmxcsr_m(RSP, -8) + asm.mov_rm(0, RAX, RSP, -8) + asm.ret()
    write = asm.mov_mr(1, RSP, -8, RDI) + asm.ldmxcsr_m(RSP, -8) + asm.ret()
    reader = ctypes.CFUNCTYPE(ctypes.c_uint32)(m.stub_code.publish(read))
    writer = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(m.stub_code.publish(write))
    return reader, writer


def test_wasm_code_has_its_own_floating_point_mode(machine: Machine) -> None:
    read, write = mxcsr_functions(machine)
    before = read() & 0xFFC0
    towards_zero = 0x7F80

    def host() -> list[int]:
        assert read() & 0xFFC0 == 0x1F80
        write(towards_zero)
        return []

    code = asm.stmxcsr_m(RBP, -16) + asm.mov_rm(0, RAX, RBP, -16)
    own = machine.wrapped(code)
    after_host = machine.wrapped(call_record(machine.host(":", host)) + code)
    trapping = machine.wrapped(asm.ud1(1))
    try:
        write(towards_zero)
        assert machine.call(own, ":i")[0] & 0xFFC0 == 0x1F80
        assert read() & 0xFFC0 == towards_zero
        assert machine.call(after_host, ":i")[0] & 0xFFC0 == 0x1F80
        assert read() & 0xFFC0 == towards_zero
        with pytest.raises(TrapError):
            machine.call(trapping, ":")
        assert read() & 0xFFC0 == towards_zero
    finally:
        write(before)


def test_doubles_keep_every_bit(machine: Machine) -> None:
    nan = 0x7FF4_0000_DEAD_BEEF
    record = machine.wrapped(b"")
    assert machine.call(record, "d:d", nan) == [nan]
    pi = struct.unpack("<Q", struct.pack("<d", 3.141592653589793))[0]
    assert machine.call(record, "d:d", pi) == [pi]


def test_stores_run_in_threads_at_once() -> None:
    """Each thread calls wasm code that calls Python that calls wasm code, in a store of its own; some calls trap."""
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            m = Machine()
            add = m.wrapped(asm.lea_rx(1, RAX, RCX, RDX, 0, 0))
            boom = m.wrapped(asm.mov_rx(0, RAX, 15, RCX, 0, 0))
            host = m.host("ll:l", lambda a, b: m.call(add, "ll:l", a, b + 1))
            outer = m.function(forward(m, "ll", host))
            for k in range(200):
                assert m.call(outer, "ll:l", seed, k) == [seed + k + 1]
                with pytest.raises(TrapError) as trap:
                    m.call(boom, "i:i", 0x10000 + k)
                assert trap.value.number == 2
                assert trap.value.record.address == m.memory.base + 0x10000 + k
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_call_in_progress_lets_other_threads_run(machine: Machine) -> None:
    """The interpreter's lock is free while wasm code runs: this loop ends only if another thread can run Python."""
    flag = Block(16)
    body = asm.mov_ri(RCX, flag.address)
    loop = asm.alu_mi(asm.CMP, 1, RCX, 0, 0)
    record = machine.wrapped(body + loop + asm.jcc_rel8(asm.CC_E, -len(loop) - 2))
    thread = threading.Timer(0.01, lambda: flag.cells.__setitem__(0, 1))
    thread.start()
    machine.call(record, ":")
    thread.join()
