"""Rules of loads, stores, globals, tables and references; what a rule is says :mod:`.integers`.

An address is an index into memory 0, whose base is pinned. A load or store with an offset comes in two parts. Between
them the compiler puts the instructions that ready the offset in the first scratch, and those that put a constant to be
stored into the second one: so one memoised choice serves every offset. The form says what is in the first scratch then:
0 nothing, as there is no offset, 1 the sum of base and offset, 2 the offset alone, all that a static address needs.
"""

from __future__ import annotations

from ...abi import (
    CTX_MEMORY_DESCRIPTOR,
    MEMORY_SIZE,
    TABLE_BASE,
    TABLE_LENGTH,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    TRAP_TABLE_OUT_OF_BOUNDS,
)
from ..operand import CONSTANT, F32, F64, I32, I64, V128, Operand, is_float, register
from . import asm
from .addresses import at
from .encoding import arithmetic_immediate
from .regs import CONTEXT, MEMORY_BASE, SCRATCH, SCRATCH2, ZR
from .selection import Selection

#: Loads: the type of the result, and the operation.
_LOADS = {
    "i32.load": (I32, asm.LDR_W),
    "i64.load": (I64, asm.LDR_X),
    "f32.load": (F32, asm.LDR_S),
    "f64.load": (F64, asm.LDR_D),
    "i32.load8_s": (I32, asm.LDRSB_W),
    "i32.load8_u": (I32, asm.LDRB),
    "i32.load16_s": (I32, asm.LDRSH_W),
    "i32.load16_u": (I32, asm.LDRH),
    "i64.load8_s": (I64, asm.LDRSB_X),
    "i64.load8_u": (I64, asm.LDRB),
    "i64.load16_s": (I64, asm.LDRSH_X),
    "i64.load16_u": (I64, asm.LDRH),
    "i64.load32_s": (I64, asm.LDRSW),
    "i64.load32_u": (I64, asm.LDR_W),
}

#: Stores of a general register, and of a vector register.
_STORES = {
    "i32.store": asm.STR_W,
    "i64.store": asm.STR_X,
    "f32.store": asm.STR_W,
    "f64.store": asm.STR_X,
    "i32.store8": asm.STRB,
    "i32.store16": asm.STRH,
    "i64.store8": asm.STRB,
    "i64.store16": asm.STRH,
    "i64.store32": asm.STR_W,
}
_FLOAT_STORES = {"f32.store": asm.STR_S, "f64.store": asm.STR_D}


def static_address(a: Operand) -> bool:
    """Whether the address is the constant 0, so that the offset alone says where (the compiler folds other
    constants).
    """
    return a.kind == CONSTANT and a.value == 0


def base_register(s: Selection, form: int) -> int:
    """The register that an index is added to, after the displacement."""
    if form == 2:
        s.code += asm.alu_rr(asm.ADD, 1, SCRATCH, SCRATCH, MEMORY_BASE)
    return SCRATCH if form else MEMORY_BASE


def access_displaced(s: Selection, op: int, reg: int, a: Operand, index: int, form: int) -> None:
    """The access after the displacement; the index, if there is one, is in the register ``index``."""
    if not static_address(a):
        s.code += asm.access_u(op, reg, base_register(s, form), index)
    elif form == 2:
        s.code += asm.access_x(op, reg, MEMORY_BASE, SCRATCH)
    else:
        s.code += asm.access(op, reg, base_register(s, form), 0)


def cut(s: Selection) -> bytes:
    """The code so far, which goes before the displacement; what follows goes after it."""
    head = bytes(s.code)
    s.code.clear()
    return head


def load(s: Selection, sink: Operand | None, name: str, a: Operand, form: int) -> tuple[bytes, bytes, Operand]:
    """A load from memory 0: code before and after the displacement, and the result."""
    type_, op = _LOADS[name]
    dst = s.float_destination(sink, a.bit) if is_float(type_) else s.destination(sink, a.bit)
    index = s.in_register(a, SCRATCH2)
    head = cut(s)
    access_displaced(s, op, dst, a, index, form)
    return head, bytes(s.code), s.result(type_, dst, sink, a.bit)


def store(s: Selection, name: str, a: Operand, b: Operand, form: int) -> tuple[bytes, bytes]:
    """A store to memory 0: code before and after the displacement.

    A constant but 0 is put into the second scratch by the compiler, after the displacement.
    """
    op = _STORES[name]
    spliced = b.kind == CONSTANT and b.value != 0
    if spliced or b.reg < 0:
        value = ZR if b.kind == CONSTANT and not b.value else SCRATCH2
    else:
        value = b.reg
        op = _FLOAT_STORES.get(name, op)
    index = a.reg
    if index < 0 and not static_address(a):
        if spliced:
            # The second scratch is taken after the displacement, so the index, which comes before, has a temporary.
            index = s.take()
            s.release(register(I32, index))
        else:
            index = SCRATCH2
        s.load(index, a)
    head = cut(s)
    if value == SCRATCH2 and not spliced:
        if index == SCRATCH2:
            # Two values for one scratch: the index is added to the base before the other one comes.
            s.code += asm.alu_rrx(asm.ADD, 1, SCRATCH, base_register(s, form), SCRATCH2, asm.UXTW, 0)
            _load_bits(s, b)
            s.code += asm.access(op, value, SCRATCH, 0)
            return head, bytes(s.code)
        _load_bits(s, b)
    access_displaced(s, op, value, a, index, form)
    s.release(a)
    s.release(b)
    return head, bytes(s.code)


def _load_bits(s: Selection, operand: Operand) -> None:
    """Put what is to be stored, of any type, into the second scratch."""
    wide = operand.type not in (I32, F32)
    s.load(SCRATCH2, Operand(operand.kind, I64 if wide else I32, -1, operand.offset, operand.value))


def address(s: Selection, a: Operand, offset: int, size: int, checked: bool) -> int:
    """Code for an access whose bounds are checked: index and offset added up in the first scratch.

    Args:
        offset: the static offset, up to 2**32 - 1.
        size: bytes accessed.
        checked: compare with the current size of the memory and trap; else the guard region after it does.

    Returns:
        the register that holds index plus offset.
    """
    end = offset + (size if checked else 0)
    index = s.in_register(a)
    if arithmetic_immediate(end) >= 0 and index != ZR:
        s.code += asm.alu_ri(asm.ADD, 1, SCRATCH, index, end)
    else:
        s.code += asm.mov_ri(SCRATCH2, end)
        s.code += asm.alu_rr(asm.ADD, 1, SCRATCH, index, SCRATCH2)
    if checked:
        s.code += asm.ldr(1, SCRATCH2, CONTEXT, CTX_MEMORY_DESCRIPTOR)
        s.code += asm.ldr(1, SCRATCH2, SCRATCH2, MEMORY_SIZE)
        s.code += asm.cmp_rr(1, SCRATCH, SCRATCH2)
        s.code += asm.b_cond(asm.CC_LS, 8)
        s.code += asm.udf(TRAP_MEMORY_OUT_OF_BOUNDS)
        s.code += asm.alu_ri(asm.SUB, 1, SCRATCH, SCRATCH, size)
    return SCRATCH


def far_load(s: Selection, sink: Operand | None, name: str, index: int) -> Operand:
    """A load from the sum that :func:`address` gave."""
    type_, op = _LOADS[name]
    dst = s.float_destination(sink, 0) if is_float(type_) else s.destination(sink, 0)
    s.code += asm.access_x(op, dst, MEMORY_BASE, index)
    return s.result(type_, dst, sink, 0)


def far_store(s: Selection, name: str, index: int, b: Operand) -> None:
    """A store to the sum that :func:`address` gave."""
    op = _STORES[name]
    if b.reg >= 0:
        value = b.reg
        op = _FLOAT_STORES.get(name, op)
    elif b.kind == CONSTANT and not b.value:
        value = ZR
    else:
        value = SCRATCH2
        _load_bits(s, b)
    s.code += asm.access_x(op, value, MEMORY_BASE, index)
    s.release(b)


#: Loads of a cell as a value of a type.
_CELL_LOADS = {I32: asm.LDR_W, F32: asm.LDR_S, F64: asm.LDR_D, V128: asm.LDR_Q}


def global_get(s: Selection, sink: Operand | None, type_: int, offset: int, by_pointer: bool) -> Operand:
    """Read a global whose value, or the pointer to it, is in the context at ``offset``."""
    op = _CELL_LOADS.get(type_, asm.LDR_X)
    dst = s.float_destination(sink, 0) if is_float(type_) else s.destination(sink, 0)
    if by_pointer:
        s.code += at(asm.LDR_X, SCRATCH, CONTEXT, offset)
        s.code += asm.access(op, dst, SCRATCH, 0)
    else:
        s.code += at(op, dst, CONTEXT, offset)
    return s.result(type_, dst, sink, 0)


def global_set(s: Selection, value: Operand, offset: int, by_pointer: bool) -> None:
    """Write a global."""
    if by_pointer:
        s.code += at(asm.LDR_X, SCRATCH, CONTEXT, offset)
        s.store(0, value, SCRATCH)
    else:
        s.store(offset, value, CONTEXT)
    s.release(value)


def memory_size(s: Selection, sink: Operand | None, descriptor: int) -> Operand:
    """The current size of a memory in pages of 64 KiB."""
    dst = s.destination(sink, 0)
    s.code += at(asm.LDR_X, SCRATCH, CONTEXT, descriptor)
    s.code += asm.ldr(1, SCRATCH, SCRATCH, MEMORY_SIZE)
    s.code += asm.shift_ri(asm.LSR, 1, dst, SCRATCH, 16)
    return s.result(I32, dst, sink, 0)


def context_cell(s: Selection, sink: Operand | None, type_: int, offset: int) -> Operand:
    """A cell of the context, as ``ref.func`` reads it."""
    dst = s.destination(sink, 0)
    s.code += at(asm.LDR_X, dst, CONTEXT, offset)
    return s.result(type_, dst, sink, 0)


def table_size(s: Selection, sink: Operand | None, table: int) -> Operand:
    """The current number of elements of the table whose descriptor's pointer is at ``table``."""
    dst = s.destination(sink, 0)
    s.code += at(asm.LDR_X, SCRATCH, CONTEXT, table)
    s.code += asm.ldr(0, dst, SCRATCH, TABLE_LENGTH)
    return s.result(I32, dst, sink, 0)


def _table_cell(s: Selection, table: int, a: Operand) -> None:
    """Check an index against a table and put the cell's address into the first scratch."""
    s.code += at(asm.LDR_X, SCRATCH, CONTEXT, table)
    # The index may need the second scratch, which the length needs first: compared the other way round, with the index
    # loaded once more after the check.
    if a.reg >= 0:
        index = a.reg
        s.code += asm.ldr(0, SCRATCH2, SCRATCH, TABLE_LENGTH)
        s.code += asm.cmp_rr(0, index, SCRATCH2)
        s.code += asm.b_cond(asm.CC_LO, 8)
    else:
        # The descriptor's address is lost for the length and read again.
        s.code += asm.ldr(0, SCRATCH, SCRATCH, TABLE_LENGTH)
        s.load(SCRATCH2, a)
        index = SCRATCH2
        s.code += asm.cmp_rr(0, index, SCRATCH)
        s.code += asm.b_cond(asm.CC_LO, 8)
    s.code += asm.udf(TRAP_TABLE_OUT_OF_BOUNDS)
    if a.reg < 0:
        s.code += at(asm.LDR_X, SCRATCH, CONTEXT, table)
    s.code += asm.ldr(1, SCRATCH, SCRATCH, TABLE_BASE)
    s.code += asm.alu_rrx(asm.ADD, 1, SCRATCH, SCRATCH, index, asm.UXTW, 3)


def table_get(s: Selection, sink: Operand | None, type_: int, table: int, a: Operand) -> Operand:
    """Read a table element, trapping out of bounds."""
    _table_cell(s, table, a)
    dst = s.destination(sink, a.bit)
    s.code += asm.ldr(1, dst, SCRATCH, 0)
    return s.result(type_, dst, sink, a.bit)


def table_set(s: Selection, table: int, a: Operand, b: Operand) -> None:
    """Write a table element, trapping out of bounds."""
    _table_cell(s, table, a)
    s.store(0, b, SCRATCH)
    s.release(a)
    s.release(b)


__all__ = [
    "access_displaced",
    "address",
    "base_register",
    "context_cell",
    "cut",
    "far_load",
    "far_store",
    "global_get",
    "global_set",
    "load",
    "memory_size",
    "static_address",
    "store",
    "table_get",
    "table_set",
    "table_size",
]
