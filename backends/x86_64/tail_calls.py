"""Tail calls: a function gives its frame back, and the argument area replaces its own. See ``docs/abi.md``."""

from __future__ import annotations

from ...abi import CTX_MEMORY_BASE, CTX_STORE, RECORD_CODE, RECORD_CTX, STORE_TAIL_OUT
from ..convention import FEW_CELLS
from . import asm
from .frames import restore_pinned
from .regs import CONTEXT, FRAME, MEMORY_BASE, RAX, RSP

_LOAD_MEMORY_BASE = asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE)


def leave_frame(size: int, ints: int, floats: int, own_area: int, area: int) -> bytes:
    """Give the frame back, and let the argument area that is laid out below it end where the function's own one ends.

    Arguments and the record may be in every temporary, and pinned registers are the caller's again: the one register
    that is free is that of the memory base, which is loaded again from the context.
    """
    code = restore_pinned(ints, floats)
    if not area and not own_area:
        return code + asm.leave_()
    cells = area >> 3
    # Where the area goes, the return address and the caller's frame pointer beneath it.
    to = 16 + own_area - area
    if cells <= FEW_CELLS:
        # It does not reach down to where it is now, for no frame is smaller. It may reach the own return address.
        assert area - own_area <= size
        save = asm.mov_rm(1, MEMORY_BASE, FRAME, 8) + asm.mov_mr(1, FRAME, to - 8, MEMORY_BASE)
        if area > own_area:
            code += save + asm.mov_rm(1, MEMORY_BASE, FRAME, 0) + asm.mov_mr(1, FRAME, to - 16, MEMORY_BASE)
        for offset in range(0, area, 8):
            code += asm.mov_rm(1, MEMORY_BASE, RSP, offset) + asm.mov_mr(1, FRAME, to + offset, MEMORY_BASE)
        if area > own_area:
            return code + asm.lea_rm(1, RSP, FRAME, to - 16) + asm.pop_r(FRAME) + _LOAD_MEMORY_BASE
        if area == own_area:
            return code + asm.leave_() + _LOAD_MEMORY_BASE
        code += save + asm.mov_rm(1, MEMORY_BASE, FRAME, 0) + asm.lea_rm(1, RSP, FRAME, to - 8)
        return code + asm.mov_rr(1, FRAME, MEMORY_BASE) + _LOAD_MEMORY_BASE
    # Frame pointer and return address go below the area, and all of it moves up. It may overlap with where it goes, so
    # what is highest moves first.
    code += asm.push_m(FRAME, 8) + asm.push_m(FRAME, 0)
    distance = size + own_area + 16
    code += asm.mov_ri(FRAME, cells + 2)
    body = b""
    for offset in (-8, -16):
        body += asm.mov_rx(1, MEMORY_BASE, RSP, FRAME, 3, offset)
        body += asm.mov_xr(1, RSP, FRAME, 3, offset + distance, MEMORY_BASE)
    body += asm.alu_ri(asm.SUB, 0, FRAME, 2)
    code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
    return code + asm.alu_ri(asm.ADD, 1, RSP, distance) + asm.pop_r(FRAME) + _LOAD_MEMORY_BASE


def jump_slot(offset: int) -> bytes:
    """Jump to a function of this instance through its call slot."""
    return asm.jmp_m(CONTEXT, offset)


def jump_self() -> bytes:
    """Jump to the beginning of the function that is being compiled; the displacement is filled in later."""
    return asm.jmp_rel32(0)


def jump_record(area: int) -> bytes:
    """Jump to the function whose record is in rax; by a stub if it may belong to another instance."""
    stay = _LOAD_MEMORY_BASE + asm.jmp_m(RAX, RECORD_CODE)
    code = asm.alu_rm(asm.CMP, 1, CONTEXT, RAX, RECORD_CTX) + asm.jcc_rel8(asm.CC_NE, len(stay)) + stay
    code += asm.push_i(area)
    # As long as a store has no stub the poll stub is in its place, which has it installed and returns: so there is an
    # address to return to, that of the instruction which loads it.
    again = asm.lea_rip(MEMORY_BASE, -len(asm.lea_rip(MEMORY_BASE, 0))) + asm.push_r(MEMORY_BASE)
    return code + again + asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_STORE) + asm.jmp_m(MEMORY_BASE, STORE_TAIL_OUT)


__all__ = ["jump_record", "jump_self", "jump_slot", "leave_frame"]
