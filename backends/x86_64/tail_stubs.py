"""Stubs of tail calls into other instances, and into host functions. See ``docs/abi.md``.

A return frame, from high to low addresses, is like the frame of a function::

    [rbp+8]           return address
    [rbp]             the caller's frame pointer
    [rbp-8]           the context that the caller is returned to with
    [rbp-16]          nothing
"""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .frames import CONTEXT_SLOT
from .regs import CONTEXT, FRAME, MEMORY_BASE, RAX, RSP

_LOAD_MEMORY_BASE = asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE)
#: Bytes of a return frame, which end where the argument area of the function that leaves it ended.
_RETURN_FRAME = 32
#: From the lowest byte of it to its frame pointer.
_RETURN_FP = 16


def return_frame() -> bytes:
    """What a function returns to that has a return frame below its argument area; results are in registers."""
    code = asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT) + _LOAD_MEMORY_BASE
    return code + asm.leave_() + asm.ret()


def tail_out() -> bytes:
    """Go on at the record in rax. On the stack are, from low to high addresses, an address that is of no use here, the
    size of the argument area, the return address and the area; r15 is the store block.
    """
    a = Assembler()
    jump = asm.mov_rm(1, CONTEXT, RAX, abi.RECORD_CTX) + _LOAD_MEMORY_BASE + asm.jmp_m(RAX, abi.RECORD_CODE)
    a.emit(
        asm.mov_mr(1, RSP, 0, FRAME),
        asm.lea_rm(1, FRAME, MEMORY_BASE, abi.STORE_HOST_CONTEXT),
        asm.alu_rm(asm.CMP, 1, FRAME, RAX, abi.RECORD_CTX),
        asm.mov_rm(1, FRAME, MEMORY_BASE, abi.STORE_RETURN),
    )
    a.jcc(asm.CC_E, "put")
    a.emit(asm.alu_rm(asm.CMP, 1, FRAME, RSP, 16))
    a.jcc(asm.CC_NE, "put")
    a.emit(asm.pop_r(FRAME), asm.lea_rm(1, RSP, RSP, 8), jump)
    a.bind("put")
    # The area moves down by the size of the frame, over the three words below it; what is in these, and the context,
    # waits below its new place, so that all registers are free.
    a.emit(
        asm.lea_rm(1, RSP, RSP, 24 - 8 - _RETURN_FRAME),
        asm.mov_mr(1, RSP, 0, FRAME),
        asm.push_m(RSP, _RETURN_FRAME),
        asm.push_m(RSP, _RETURN_FRAME - 8),
        asm.push_r(CONTEXT),
        asm.mov_rm(1, MEMORY_BASE, RSP, _RETURN_FRAME + 16),
        # The end of the new place, from which cells are counted.
        asm.lea_rx(1, FRAME, RSP, MEMORY_BASE, 0, _RETURN_FRAME),
        asm.lea_rm(1, MEMORY_BASE, RSP, _RETURN_FRAME),
        asm.alu_rr(asm.SUB, 1, MEMORY_BASE, FRAME),
    )
    a.jcc(asm.CC_E, "moved")
    a.bind("cell")
    a.emit(
        asm.mov_rx(1, CONTEXT, FRAME, MEMORY_BASE, 0, _RETURN_FRAME),
        asm.mov_xr(1, FRAME, MEMORY_BASE, 0, 0, CONTEXT),
        asm.alu_ri(asm.ADD, 1, MEMORY_BASE, 8),
    )
    a.jcc(asm.CC_NE, "cell")
    a.bind("moved")
    a.emit(
        asm.pop_m(FRAME, _RETURN_FP + CONTEXT_SLOT),
        asm.pop_m(FRAME, _RETURN_FP),
        asm.pop_m(FRAME, _RETURN_FP + 8),
        asm.lea_rm(1, FRAME, FRAME, _RETURN_FP),
        jump,
    )
    return a.finish()


__all__ = ["return_frame", "tail_out"]
