"""What copies data segments at instantiation: a stub that Python calls, since modules may have tens of thousands."""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .regs import X0, X1, X2, X3, X4, X5, X6, X9, X10, X11, X12, X13, X14, X15


def copy_data() -> bytes:
    """``u64 f(const u8 *module, u64 *copies)``, see :meth:`..contract.Stubs.copy_data`."""
    a = Assembler()
    a.emit(
        asm.mov_rr(1, X9, X0),
        asm.ldr(1, X2, X1, abi.COPIES_OFFSETS),
        asm.ldr(1, X3, X1, abi.COPIES_STARTS),
        asm.ldr(1, X4, X1, abi.COPIES_ENDS),
        asm.ldr(1, X5, X1, abi.COPIES_BASE),
        asm.ldr(1, X6, X1, abi.COPIES_SIZE),
        asm.ldr(1, X10, X1, abi.COPIES_COUNT),
        asm.ldr(1, X0, X1, abi.COPIES_FIRST),
    )
    a.bind("next")
    a.emit(asm.cmp_rr(1, X0, X10))
    a.b_cond(asm.CC_HS, "done")
    a.emit(asm.access_x(asm.LDR_W, X11, X2, X0, True))
    a.tbnz(X11, 31, "done")
    a.emit(
        asm.access_x(asm.LDR_W, X12, X3, X0, True),
        asm.access_x(asm.LDR_W, X13, X4, X0, True),
        asm.alu_rr(asm.SUB, 1, X13, X13, X12),
        asm.alu_rr(asm.ADD, 1, X14, X11, X13),
        asm.cmp_rr(1, X14, X6),
    )
    a.b_cond(asm.CC_HI, "done")
    a.emit(
        asm.alu_rr(asm.ADD, 1, X11, X11, X5),
        asm.alu_rr(asm.ADD, 1, X12, X12, X9),
        asm.alu_ri(asm.ADD, 1, X0, X0, 1),
    )
    a.bind("16 bytes")
    a.emit(asm.alu_ri(asm.SUBS, 1, X13, X13, 16))
    a.b_cond(asm.CC_LO, "rest")
    a.emit(asm.access_post(asm.LDR_Q, 0, X12, 16), asm.access_post(asm.STR_Q, 0, X11, 16))
    a.b("16 bytes")
    a.bind("rest")
    a.emit(asm.alu_ri(asm.ADD, 1, X13, X13, 16))
    a.bind("byte")
    a.cbz(1, X13, "next")
    a.emit(
        asm.access_post(asm.LDRB, X15, X12, 1),
        asm.access_post(asm.STRB, X15, X11, 1),
        asm.alu_ri(asm.SUB, 1, X13, X13, 1),
    )
    a.b("byte")
    a.bind("done")
    a.emit(asm.ret())
    return a.finish()
