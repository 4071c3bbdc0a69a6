"""Rules of loads, stores, globals, tables and references; what a rule is says :mod:`.integers`.

An address is an index into memory 0, whose base is pinned. A load or store comes in two parts, between which the
compiler puts the displacement: so one memoised choice serves every offset. The form says how wide the displacement is:
0 none, 1 a byte, 2 four bytes.
"""

from __future__ import annotations

from ...abi import (
    CTX_MEMORY_BASE,
    CTX_MEMORY_DESCRIPTOR,
    MEMORY_SIZE,
    TABLE_BASE,
    TABLE_LENGTH,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    TRAP_TABLE_OUT_OF_BOUNDS,
)
from ..assembly import signed
from ..operand import CONSTANT, F32, F64, I32, I64, LOCAL, REGISTER, V128, Operand, is_float
from . import asm
from .regs import CONTEXT, MEMORY_BASE
from .selection import WIDE_STAND_INS, Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


#: Stand-ins for the displacement of each form, and how many bytes it takes.
STAND_IN = (0, 0x11, 0x11223344)
_WIDTH = (0, 1, 4)
#: Largest offset that fits a displacement; a larger one is added to the index.
MAX_DISPLACEMENT = 0x7FFFFFFF

#: Loads: (result type, function of (dst, base, index, scale, disp) and of (dst, base, disp)).
_LOADS: dict[str, tuple[int, Callable[..., bytes], Callable[..., bytes], tuple[int, ...]]] = {
    "i32.load": (I32, asm.mov_rx, asm.mov_rm, (0,)),
    "i64.load": (I64, asm.mov_rx, asm.mov_rm, (1,)),
    "f32.load": (F32, asm.movs_rx, asm.movs_rm, (0,)),
    "f64.load": (F64, asm.movs_rx, asm.movs_rm, (1,)),
    "i32.load8_s": (I32, asm.movsx8_rx, asm.movsx8_rm, (0,)),
    "i32.load8_u": (I32, asm.movzx8_rx, asm.movzx8_rm, ()),
    "i32.load16_s": (I32, asm.movsx16_rx, asm.movsx16_rm, (0,)),
    "i32.load16_u": (I32, asm.movzx16_rx, asm.movzx16_rm, ()),
    "i64.load8_s": (I64, asm.movsx8_rx, asm.movsx8_rm, (1,)),
    "i64.load8_u": (I64, asm.movzx8_rx, asm.movzx8_rm, ()),
    "i64.load16_s": (I64, asm.movsx16_rx, asm.movsx16_rm, (1,)),
    "i64.load16_u": (I64, asm.movzx16_rx, asm.movzx16_rm, ()),
    "i64.load32_s": (I64, asm.movsxd_rx, asm.movsxd_rm, ()),
    "i64.load32_u": (I64, asm.mov_rx, asm.mov_rm, (0,)),
}

#: Stores of a register: (encoder with index, encoder without, leading arguments), and of an immediate.
_STORES: dict[str, tuple[Callable[..., bytes], Callable[..., bytes], tuple[int, ...]]] = {
    "8": (asm.mov8_xr, asm.mov8_mr, ()),
    "16": (asm.mov16_xr, asm.mov16_mr, ()),
    "32": (asm.mov_xr, asm.mov_mr, (0,)),
    "64": (asm.mov_xr, asm.mov_mr, (1,)),
    "f32": (asm.movs_xr, asm.movs_mr, (0,)),
    "f64": (asm.movs_xr, asm.movs_mr, (1,)),
}
_STORES_OF_IMMEDIATE: dict[str, tuple[Callable[..., bytes], Callable[..., bytes], tuple[int, ...], int]] = {
    "8": (asm.mov8_xi, asm.mov8_mi, (), 1),
    "16": (asm.mov16_xi, asm.mov16_mi, (), 2),
    "32": (asm.mov_xi, asm.mov_mi, (0,), 4),
    "64": (asm.mov_xi, asm.mov_mi, (1,), 4),
}
#: What each store stores: the key into the tables above.
_STORE_SIZES = {
    "i32.store": "32",
    "i64.store": "64",
    "f32.store": "f32",
    "f64.store": "f64",
    "i32.store8": "8",
    "i32.store16": "16",
    "i64.store8": "8",
    "i64.store16": "16",
    "i64.store32": "32",
}


def split(code: bytes, form: int, immediate: int = 0) -> tuple[bytes, bytes]:
    """Cut the stand-in displacement out of ``code``, which ends with ``immediate`` bytes of an immediate."""
    end = len(code) - immediate
    return code[: end - _WIDTH[form]], code[end:]


def is_static(a: Operand) -> bool:
    """Whether the address is the constant 0, so that the offset alone says where (the compiler folds other
    constants).
    """
    return a.kind == CONSTANT and a.value == 0


def load(s: Selection, sink: Operand | None, name: str, a: Operand, form: int) -> tuple[bytes, bytes, Operand]:
    """A load from memory 0: code before and after the displacement, and the result."""
    type_, indexed, plain, leading = _LOADS[name]
    if is_float(type_):
        dst = s.float_destination(sink, a)
    else:
        dst = s.destination(sink, a)
    disp = STAND_IN[form]
    if is_static(a):
        code = plain(*leading, dst, MEMORY_BASE, disp)
    else:
        code = indexed(*leading, dst, MEMORY_BASE, s.in_register(a), 0, disp)
    head, tail = split(code, form)
    return bytes(s.code) + head, tail, s.result(type_, dst, sink, a.bit)


def store(s: Selection, name: str, a: Operand, b: Operand, form: int) -> tuple[bytes, bytes]:
    """A store to memory 0: code before and after the displacement.

    The immediate of a constant's stand-in is left out: the compiler puts the constant's own after the displacement.
    """
    spliced = b in WIDE_STAND_INS
    size = _STORE_SIZES[name]
    disp = STAND_IN[form]
    immediate = 0
    static = is_static(a)
    index = -1 if static else s.in_register(a)
    if b.kind == CONSTANT:
        if size[0] == "f":
            size = size[1:]
        if size == "64" and not -(1 << 31) <= signed(b.value, 64) < 1 << 31:
            b = _in_scratch(s, b)
    elif b.reg < 0:
        b = _in_scratch(s, b)
    if b.kind == CONSTANT:
        indexed_i, plain_i, leading, immediate = _STORES_OF_IMMEDIATE[size]
        value = signed(b.value, min(32, int(size)) if size != "64" else 64)
        if static:
            code = plain_i(*leading, MEMORY_BASE, disp, value)
        else:
            code = indexed_i(*leading, MEMORY_BASE, index, 0, disp, value)
    else:
        indexed, plain, leading = _STORES[size]
        if static:
            code = plain(*leading, MEMORY_BASE, disp, b.reg)
        else:
            code = indexed(*leading, MEMORY_BASE, index, 0, disp, b.reg)
    head, tail = split(code, form, immediate)
    s.release(a)
    s.release(b)
    return bytes(s.code) + head, b"" if spliced else tail


def _in_scratch(s: Selection, operand: Operand) -> Operand:
    """A register entry with the operand's value, gone after this instruction."""
    if is_float(operand.type) and operand.kind != CONSTANT:
        reg = s.scratch_float()
        s.load_float(reg, operand)
    else:
        reg = s.scratch()
        if operand.kind == CONSTANT:
            s.code += asm.mov_ri(reg, operand.value)
        else:
            s.load(reg, operand)
    return Operand(REGISTER, operand.type, reg)


def address(s: Selection, a: Operand, offset: int, size: int, checked: bool) -> int:
    """Code for an access that the pinned base and a displacement alone do not guard: index and offset added up in a
    scratch.

    Args:
        offset: the static offset, up to 2**32 - 1.
        size: bytes accessed.
        checked: compare with the current size of the memory and trap; else the guard region after it does.

    Returns:
        the register that holds index plus offset.
    """
    reg = s.scratch()
    s.load(reg, a)
    remaining = offset + (size if checked else 0)
    while remaining:
        step = min(remaining, MAX_DISPLACEMENT)
        s.code += asm.alu_ri(asm.ADD, 1, reg, step)
        remaining -= step
    if checked:
        # The pinned base serves as a scratch for the descriptor; moves leave the flags alone.
        s.code += asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_DESCRIPTOR)
        s.code += asm.alu_rm(asm.CMP, 1, reg, MEMORY_BASE, MEMORY_SIZE)
        s.code += asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE)
        s.code += asm.jcc_rel8(asm.CC_BE, 4)
        s.code += asm.ud1(TRAP_MEMORY_OUT_OF_BOUNDS)
        s.code += asm.alu_ri(asm.SUB, 1, reg, size)
    return reg


def far_load(s: Selection, sink: Operand | None, name: str, index: int) -> Operand:
    """A load from the sum that :func:`address` gave."""
    head, tail, result = load(s, sink, name, Operand(LOCAL, I32, index), 0)
    s.code[:] = head + tail
    return result


def far_store(s: Selection, name: str, index: int, b: Operand) -> None:
    """A store to the sum that :func:`address` gave."""
    s.code[:] = b"".join(store(s, name, Operand(LOCAL, I32, index), b, 0))


def global_get(s: Selection, sink: Operand | None, type_: int, offset: int, by_pointer: bool) -> Operand:
    """Read a global whose value, or the pointer to it, is in the context at ``offset``."""
    base = CONTEXT
    if is_float(type_):
        dst = sink.reg if sink is not None else s.take_float()
        if by_pointer:
            base = s.scratch()
            s.code += asm.mov_rm(1, base, CONTEXT, offset)
            offset = 0
        if type_ == V128:
            s.code += asm.movups_rm(dst, base, offset)
        else:
            s.code += asm.movs_rm(0 if type_ == F32 else 1, dst, base, offset)
    else:
        dst = sink.reg if sink is not None else s.take()
        if by_pointer:
            s.code += asm.mov_rm(1, dst, CONTEXT, offset)
            base, offset = dst, 0
        s.code += asm.mov_rm(0 if type_ == I32 else 1, dst, base, offset)
    return s.result(type_, dst, sink, 0)


def global_set(s: Selection, value: Operand, offset: int, by_pointer: bool) -> None:
    """Write a global."""
    base = CONTEXT
    if by_pointer:
        base = s.scratch()
        s.code += asm.mov_rm(1, base, CONTEXT, offset)
        offset = 0
    s.store(offset, value, base)
    s.release(value)


def memory_size(s: Selection, sink: Operand | None, descriptor: int) -> Operand:
    """The current size of a memory in pages of 64 KiB."""
    dst = sink.reg if sink is not None else s.take()
    s.code += asm.mov_rm(1, dst, CONTEXT, descriptor)
    s.code += asm.mov_rm(1, dst, dst, MEMORY_SIZE)
    s.code += asm.shift_ri(asm.SHR, 1, dst, 16)
    return s.result(I32, dst, sink, 0)


def context_cell(s: Selection, sink: Operand | None, type_: int, offset: int) -> Operand:
    """A cell of the context, as ``ref.func`` reads it."""
    dst = sink.reg if sink is not None else s.take()
    s.code += asm.mov_rm(1, dst, CONTEXT, offset)
    return s.result(type_, dst, sink, 0)


def table_size(s: Selection, sink: Operand | None, table: int) -> Operand:
    """The current number of elements of the table whose descriptor's pointer is at ``table``."""
    dst = sink.reg if sink is not None else s.take()
    s.code += asm.mov_rm(1, dst, CONTEXT, table)
    s.code += asm.mov_rm(0, dst, dst, TABLE_LENGTH)
    return s.result(I32, dst, sink, 0)


def _table_cell(s: Selection, table: int, index: int) -> int:
    """Check an index against a table and give the register that holds the table's base."""
    base = s.scratch()
    s.code += asm.mov_rm(1, base, CONTEXT, table)
    s.code += asm.alu_rm(asm.CMP, 0, index, base, TABLE_LENGTH)
    s.code += asm.jcc_rel8(asm.CC_B, 4)
    s.code += asm.ud1(TRAP_TABLE_OUT_OF_BOUNDS)
    s.code += asm.mov_rm(1, base, base, TABLE_BASE)
    return base


def table_get(s: Selection, sink: Operand | None, type_: int, table: int, a: Operand) -> Operand:
    """Read a table element, trapping out of bounds."""
    index = s.in_register(a)
    base = _table_cell(s, table, index)
    dst = sink.reg if sink is not None else base
    s.code += asm.mov_rx(1, dst, base, index, 3, 0)
    if sink is None:
        s.released &= ~(1 << base)
    return s.result(type_, dst, sink, a.bit)


def table_set(s: Selection, table: int, a: Operand, b: Operand) -> None:
    """Write a table element, trapping out of bounds."""
    index = s.in_register(a)
    base = _table_cell(s, table, index)
    if b.reg >= 0:
        s.code += asm.mov_xr(1, base, index, 3, 0, b.reg)
    elif b.kind == CONSTANT:
        s.code += asm.mov_xi(1, base, index, 3, 0, 0)
    else:
        # Both temporaries may be taken: the cell's address replaces its parts.
        s.code += asm.lea_rx(1, base, base, index, 3, 0)
        value = s.scratch() if s.free & s.INT_TEMPORARIES else index
        s.load(value, b)
        s.code += asm.mov_mr(1, base, 0, value)
    s.release(a)
    s.release(b)


__all__ = [
    "STAND_IN",
    "address",
    "context_cell",
    "global_get",
    "global_set",
    "is_static",
    "load",
    "memory_size",
    "split",
    "store",
    "table_get",
    "table_set",
    "table_size",
]
