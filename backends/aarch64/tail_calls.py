"""Tail calls: a function gives its frame back, and the argument area replaces its own. See ``docs/abi.md``."""

from __future__ import annotations

from ...abi import CTX_MEMORY_BASE, CTX_STORE, RECORD_CODE, RECORD_CTX, STORE_TAIL_OUT
from ..convention import FEW_CELLS
from . import asm
from .addresses import add, at
from .frames import PAIR_REACH, restore_pinned
from .regs import CALLEE, CONTEXT, FLOAT_SCRATCH, FRAME, LINK, MEMORY_BASE, SCRATCH, SCRATCH2, SP, ZR


def leave_frame(size: int, ints: int, floats: int, own_area: int, area: int) -> bytes:
    """Give the frame back, and let the argument area that is laid out below it end where the function's own one ends.

    Arguments and the record may be in x0 to x8 and v0 to v7, and pinned registers are the caller's again.
    """
    code = restore_pinned(ints, floats)
    distance = size + own_area
    if not area and distance <= PAIR_REACH:
        return code + asm.pair_post(asm.LDP_X, FRAME, LINK, SP, distance)
    code += asm.pair(asm.LDP_X, FRAME, LINK, FRAME, 0)
    # The area may overlap with where it goes, so what is highest moves first.
    if area >> 3 <= FEW_CELLS:
        for offset in range(area - 16, -16, -16):
            code += asm.access(asm.LDR_Q, FLOAT_SCRATCH, SP, offset)
            code += at(asm.STR_Q, FLOAT_SCRATCH, SP, offset + distance)
    else:
        code += add(SCRATCH, SP, area) + add(SCRATCH2, SP, area + distance, SCRATCH2)
        body = asm.access_pre(asm.LDR_Q, FLOAT_SCRATCH, SCRATCH, -16)
        body += asm.access_pre(asm.STR_Q, FLOAT_SCRATCH, SCRATCH2, -16)
        body += asm.alu_rrx(asm.SUBS, 1, ZR, SP, SCRATCH, asm.UXTX, 0)
        code += body + asm.b_cond(asm.CC_NE, -len(body))
    return code + add(SP, SP, distance)


def jump_slot(offset: int) -> bytes:
    """Jump to a function of this instance through its call slot."""
    return at(asm.LDR_X, SCRATCH, CONTEXT, offset) + asm.br(SCRATCH)


def jump_self() -> bytes:
    """Jump to the beginning of the function that is being compiled; the distance is filled in later."""
    return asm.b(0)


def jump_record(area: int) -> bytes:
    """Jump to the function whose record is in x8; by a stub if it may belong to another instance."""
    stay = asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE) + asm.br(SCRATCH)
    # The record begins with the code and the context.
    assert RECORD_CTX == RECORD_CODE + 8
    code = asm.pair(asm.LDP_X, SCRATCH, SCRATCH2, CALLEE, RECORD_CODE)
    code += asm.cmp_rr(1, SCRATCH2, CONTEXT) + asm.b_cond(asm.CC_NE, 4 + len(stay)) + stay
    code += asm.mov_ri(SCRATCH, area) + asm.pair_pre(asm.STP_X, LINK, SCRATCH, SP, -16)
    # As long as a store has no stub the poll stub is in its place, which has it installed and returns: so there is an
    # address to return to, that of the instruction which loads it.
    code += asm.adr(LINK, 0) + asm.access(asm.LDR_X, SCRATCH2, CONTEXT, CTX_STORE)
    return code + asm.access(asm.LDR_X, SCRATCH2, SCRATCH2, STORE_TAIL_OUT) + asm.br(SCRATCH2)


__all__ = ["jump_record", "jump_self", "jump_slot", "leave_frame"]
