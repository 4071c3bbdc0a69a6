"""Stubs of tail calls into other instances, and into host functions. See ``docs/abi.md``.

A return frame, from low to high addresses, is like the frame of a function::

    [x29]             the caller's frame pointer
    [x29+8]           return address
    [x29+16]          the context that the caller is returned to with
    [x29+24]          nothing
"""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .frames import CONTEXT_SLOT
from .regs import CALLEE, CONTEXT, FLOAT_SCRATCH, FRAME, LINK, MEMORY_BASE, SCRATCH, SCRATCH2, SP

#: Bytes of a return frame, which end where the argument area of the function that leaves it ended.
_RETURN_FRAME = 32


def return_frame() -> bytes:
    """What a function returns to that has a return frame below its argument area; results are in registers."""
    code = asm.access(asm.LDR_X, CONTEXT, FRAME, CONTEXT_SLOT)
    code += asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE)
    return code + asm.pair_post(asm.LDP_X, FRAME, LINK, SP, _RETURN_FRAME) + asm.ret()


def tail_out() -> bytes:
    """Go on at the record in x8. On the stack are, from low to high addresses, the return address, the size of the
    argument area, and the area.
    """
    a = Assembler()
    # The memory base is loaded anew, so its register is one more scratch: it has the store block.
    a.emit(
        asm.pair_post(asm.LDP_X, LINK, SCRATCH, SP, 16),
        asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, abi.CTX_STORE),
        asm.access(asm.LDR_X, SCRATCH2, CALLEE, abi.RECORD_CTX),
        asm.alu_rr(asm.SUB, 1, SCRATCH2, SCRATCH2, MEMORY_BASE),
        asm.cmp_ri(1, SCRATCH2, abi.STORE_HOST_CONTEXT),
        asm.access(asm.LDR_X, SCRATCH2, MEMORY_BASE, abi.STORE_RETURN),
    )
    a.b_cond(asm.CC_EQ, "put")
    a.emit(asm.cmp_rr(1, SCRATCH2, LINK))
    a.b_cond(asm.CC_EQ, "jump")
    a.bind("put")
    # The area moves down by the size of the frame.
    a.emit(asm.alu_ri(asm.SUB, 1, SP, SP, _RETURN_FRAME), asm.mov_sp(MEMORY_BASE, SP))
    a.cbz(1, SCRATCH, "moved")
    a.bind("cells")
    a.emit(
        asm.access(asm.LDR_Q, FLOAT_SCRATCH, MEMORY_BASE, _RETURN_FRAME),
        asm.access_post(asm.STR_Q, FLOAT_SCRATCH, MEMORY_BASE, 16),
        asm.alu_ri(asm.SUB, 1, SCRATCH, SCRATCH, 16),
    )
    a.cbnz(1, SCRATCH, "cells")
    a.bind("moved")
    a.emit(
        asm.pair(asm.STP_X, FRAME, LINK, MEMORY_BASE, 0),
        asm.access(asm.STR_X, CONTEXT, MEMORY_BASE, CONTEXT_SLOT),
        asm.mov_rr(1, FRAME, MEMORY_BASE),
        asm.mov_rr(1, LINK, SCRATCH2),
    )
    a.bind("jump")
    a.emit(
        asm.pair(asm.LDP_X, SCRATCH, CONTEXT, CALLEE, abi.RECORD_CODE),
        asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.br(SCRATCH),
    )
    return a.finish()


__all__ = ["return_frame", "tail_out"]
