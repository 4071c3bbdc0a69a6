"""Frames: where a function keeps things, its prologue and its epilogue.

A frame, from high to low addresses::

    [rbp+16 ...]      parameters that found no register, in order
    [rbp+8]           return address
    [rbp]             the caller's frame pointer
    [rbp-8]           instance context
    [rbp-16 - 8*i]    the caller's value of the i-th pinned integer register, where this function pins it
    [rbp-80 - 16*j]   all 16 bytes of the j-th pinned vector register
    ...               locals that are not pinned, then the operand stack, 8 bytes an entry, downwards; 16 bytes each,
                      at multiples of 16, in a function that has vectors
"""

from __future__ import annotations

from ...abi import CTX_STORE, STORE_STACK_LIMIT
from .. import convention
from ..convention import FEW_CELLS, SMALL_FRAME, ParameterPlaces
from ..operand import F32, INTERN_LIMIT, V128, Operand, is_float
from . import asm
from .regs import (
    CONTEXT,
    FLOAT_PARAMS,
    FLOAT_PINNED,
    FRAME,
    INT_PARAMS,
    PINNED,
    RAX,
    RCX,
    RDI,
    RSP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Where the argument area is in the frame of the function that it was made for.
ARGUMENT_AREA = 16
CONTEXT_SLOT = -8
#: From a cell of the frame to the next one.
STEP = -8


def saved_int_offset(order: int) -> int:
    """Frame offset of the saved value of ``PINNED[order]``."""
    return -16 - 8 * order


def saved_float_offset(order: int) -> int:
    """Frame offset of the saved value of ``FLOAT_PINNED[order]``."""
    return -80 - 16 * order


def locals_base(pinned_ints: int, pinned_floats: int, width: int = 8) -> int:
    """How many bytes of the frame come before the unpinned locals; it does not depend on ``pinned_ints`` here, and
    is a multiple of 16.
    """
    return 64 + 16 * pinned_floats


def cell(before: int, width: int = 8) -> int:
    """Frame offset of the cell that ``before`` bytes of the frame come before."""
    return -width - before


def parameter_places(types: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Where parameters of these types arrive: for each ``(register or -1, byte offset in the argument area)``, and
    the area's size.
    """
    return convention.parameter_places(types, INT_PARAMS, FLOAT_PARAMS)


def parameters(types: tuple[int, ...]) -> ParameterPlaces:
    """The same in a form that is short also where there are many."""
    return ParameterPlaces(types, INT_PARAMS, FLOAT_PARAMS)


def receive_parameters(types: tuple[int, ...], homes: tuple[Operand, ...], size: int) -> bytes:
    """Move parameters from where they arrive to their homes in a frame of ``size`` bytes.

    One that arrived in the argument area and is not pinned stays there.
    """
    code = b""
    for (reg, area), home in zip(parameter_places(types)[0], homes, strict=True):
        code += _received.get((home, reg, area)) or _receive(home, reg, area)
    return code


def receive_many(
    places: ParameterPlaces, homes: Sequence[tuple[int, int, Operand]], first: int, size: int, width: int = 8
) -> bytes:
    """Move parameters from where they arrive to their homes: those of many that arrive in registers or are pinned. The
    others stay in the argument area.
    """
    return b"".join([_received.get((home, reg, area)) or _receive(home, reg, area) for reg, area, home in homes])


_received: dict[tuple[Operand, int, int], bytes] = {}


def _receive(home: Operand, reg: int, area: int) -> bytes:
    """Move one parameter home, from a register or, if that is -1, from the argument area; memoised."""
    code = b""
    if home.type == V128:
        if reg >= 0:
            code = asm.movaps_rr(home.reg, reg) if home.reg >= 0 else asm.movups_mr(FRAME, home.offset, reg)
        elif home.reg >= 0:
            code = asm.movups_rm(home.reg, FRAME, ARGUMENT_AREA + area)
    elif is_float(home.type):
        double = 0 if home.type == F32 else 1
        if reg >= 0:
            code = asm.movaps_rr(home.reg, reg) if home.reg >= 0 else asm.movs_mr(double, FRAME, home.offset, reg)
        elif home.reg >= 0:
            code = asm.movs_rm(double, home.reg, FRAME, ARGUMENT_AREA + area)
    elif reg >= 0:
        code = asm.mov_rr(1, home.reg, reg) if home.reg >= 0 else asm.mov_mr(1, FRAME, home.offset, reg)
    elif home.reg >= 0:
        code = asm.mov_rm(1, home.reg, FRAME, ARGUMENT_AREA + area)
    if len(_received) >= INTERN_LIMIT:
        _received.clear()
    _received[home, reg, area] = code
    return code


def zero_slots(first: int, count: int, width: int = 8) -> bytes:
    """Zero ``count`` cells of the frame, the first (highest) of them at offset ``first``.

    Parameters are in their homes already.
    """
    code = bytearray()
    if width == 16:
        first += 8
        count *= 2
    lowest = first - 8 * (count - 1)
    if count > 32:
        code += asm.lea_rm(1, RDI, FRAME, lowest)
        code += asm.zero(RAX)
        code += asm.mov_ri(RCX, count)
        code += asm.rep_stosq()
        return bytes(code)
    offset = lowest
    if count > 1:
        code += asm.xorps_rr(0, 0)
        for _ in range(count // 2):
            code += asm.movups_mr(FRAME, offset, 0)
            offset += 16
    if count & 1:
        code += asm.mov_mi(1, FRAME, offset, 0)
    return bytes(code)


def zero_pinned(homes: tuple[Operand, ...]) -> bytes:
    """Zero pinned locals."""
    return b"".join([_zeros.get(home) or _zero(home) for home in homes])


_zeros: dict[Operand, bytes] = {}


def _zero(home: Operand) -> bytes:
    """Zero one pinned local; memoised, since there are few."""
    reg = home.reg
    code = _zeros[home] = asm.xorps_rr(reg, reg) if is_float(home.type) else asm.zero(reg)
    return code


def _save_pinned(ints: int, floats: int) -> bytes:
    """Save the caller's values of the first pinned registers."""
    code = b"".join(asm.mov_mr(1, FRAME, saved_int_offset(i), PINNED[i]) for i in range(ints))
    return code + b"".join(asm.movups_mr(FRAME, saved_float_offset(j), FLOAT_PINNED[j]) for j in range(floats))


def prologue(size: int, ints: int, floats: int, check_limit: bool, reach: int) -> tuple[bytes, int, int]:
    """Make a frame of ``size`` bytes and save the caller's values of the first pinned registers.

    Returns:
        the code, where its check of the stack limit begins, and the end of the jump to the stack-overflow trap; both 0
        if there is no check.
    """
    code = bytearray(asm.push_r(FRAME) + asm.mov_rr(1, FRAME, RSP))
    check = fixup = 0
    if check_limit and size > SMALL_FRAME:
        # A signal that arrives while the stack pointer is below the reserve would have no stack, so the check comes
        # first. The context and rcx, which may hold a parameter, take two cells of the frame meanwhile.
        code += asm.push_r(CONTEXT)
        code += asm.push_r(RCX)
        code += asm.lea_rm(1, RAX, FRAME, -size)
        check = len(code)
        code += asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)
        code += asm.alu_rm(asm.CMP, 1, RAX, RCX, STORE_STACK_LIMIT)
        code += asm.mov_rm(1, RCX, FRAME, -16)
        code += asm.jcc_rel32(asm.CC_B, 0)
        fixup = len(code)
        code += asm.mov_rr(1, RSP, RAX)
        return bytes(code) + _save_pinned(ints, floats), check, fixup
    if size:
        code += asm.alu_ri(asm.SUB, 1, RSP, size)
    code += asm.mov_mr(1, FRAME, CONTEXT_SLOT, CONTEXT)
    if check_limit:
        check = len(code)
        code += asm.mov_rm(1, RAX, CONTEXT, CTX_STORE)
        code += asm.alu_rm(asm.CMP, 1, RSP, RAX, STORE_STACK_LIMIT)
        code += asm.jcc_rel32(asm.CC_B, 0)
        fixup = len(code)
    return bytes(code) + _save_pinned(ints, floats), check, fixup


def epilogue(size: int, ints: int, floats: int, area: int) -> bytes:
    """Load the caller's values of the first pinned registers, give the frame back and return, freeing the argument
    area of ``area`` bytes.
    """
    return restore_pinned(ints, floats) + asm.leave_() + (asm.ret_imm(area) if area else asm.ret())


def restore_pinned(ints: int, floats: int) -> bytes:
    """Load the caller's values of the first pinned registers."""
    code = b"".join(asm.mov_rm(1, PINNED[i], FRAME, saved_int_offset(i)) for i in range(ints))
    return code + b"".join(asm.movups_rm(FLOAT_PINNED[j], FRAME, saved_float_offset(j)) for j in range(floats))


def copy_slots(count: int, source: int, target: int, width: int = 8, few: int = FEW_CELLS) -> bytes:
    """Copy ``count`` cells whose first (highest) is at ``source`` to where the first is at ``target``, in order,
    more than ``few`` in a loop.

    The target is not below the source, so copying in order is right where they overlap. rax, rcx and xmm0 are free: all
    operands are in slots.
    """
    if width == 16:
        return _copy_wide_slots(count, source, target, few)
    code = bytearray()
    if count <= few:
        for index in range(count):
            code += asm.mov_rm(1, RAX, FRAME, source - 8 * index)
            code += asm.mov_mr(1, FRAME, target - 8 * index, RAX)
        return bytes(code)
    code += asm.mov_ri(RCX, count)
    body = asm.mov_rx(1, RAX, FRAME, RCX, 3, source - 8 * count)
    body += asm.mov_xr(1, FRAME, RCX, 3, target - 8 * count, RAX)
    body += asm.alu_ri(asm.SUB, 0, RCX, 1)
    code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
    return bytes(code)


def _copy_wide_slots(count: int, source: int, target: int, few: int) -> bytes:
    """The same for cells of 16 bytes."""
    code = bytearray()
    if count <= few:
        for index in range(count):
            code += asm.movups_rm(0, FRAME, source - 16 * index)
            code += asm.movups_mr(FRAME, target - 16 * index, 0)
        return bytes(code)
    # rcx counts halves.
    code += asm.mov_ri(RCX, 2 * count)
    body = asm.movups_rx(0, FRAME, RCX, 3, source - 16 * count)
    body += asm.movups_xr(FRAME, RCX, 3, target - 16 * count, 0)
    body += asm.alu_ri(asm.SUB, 0, RCX, 2)
    code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
    return bytes(code)


__all__ = [
    "ARGUMENT_AREA",
    "CONTEXT_SLOT",
    "SMALL_FRAME",
    "STEP",
    "cell",
    "copy_slots",
    "epilogue",
    "locals_base",
    "parameter_places",
    "parameters",
    "prologue",
    "receive_many",
    "receive_parameters",
    "zero_pinned",
    "zero_slots",
]
