"""What copies data segments at instantiation: a stub that Python calls, since modules may have tens of thousands."""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .regs import R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI


def copy_data() -> bytes:
    """``u64 f(const u8 *module, u64 *copies)``, see :meth:`..contract.Stubs.copy_data`."""
    a = Assembler()
    a.emit(
        asm.mov_rr(1, RDX, RSI),
        asm.mov_mr(1, RDX, abi.COPIES_MODULE, RDI),
        asm.mov_rm(1, R8, RDX, abi.COPIES_OFFSETS),
        asm.mov_rm(1, R9, RDX, abi.COPIES_STARTS),
        asm.mov_rm(1, R10, RDX, abi.COPIES_ENDS),
        asm.mov_rm(1, RAX, RDX, abi.COPIES_FIRST),
    )
    a.bind("next")
    a.emit(asm.alu_rm(asm.CMP, 1, RAX, RDX, abi.COPIES_COUNT))
    a.jcc(asm.CC_AE, "done")
    a.emit(asm.mov_rx(0, RDI, R8, RAX, 2, 0), asm.test_rr(0, RDI, RDI))
    a.jcc(asm.CC_S, "done")
    a.emit(
        asm.mov_rx(0, RSI, R9, RAX, 2, 0),
        asm.mov_rx(0, RCX, R10, RAX, 2, 0),
        asm.alu_rr(asm.SUB, 1, RCX, RSI),
        asm.lea_rx(1, R11, RDI, RCX, 0, 0),
        asm.alu_rm(asm.CMP, 1, R11, RDX, abi.COPIES_SIZE),
    )
    a.jcc(asm.CC_A, "done")
    a.emit(
        asm.alu_rm(asm.ADD, 1, RDI, RDX, abi.COPIES_BASE),
        asm.alu_rm(asm.ADD, 1, RSI, RDX, abi.COPIES_MODULE),
        asm.rep_movsb(),
        asm.alu_ri(asm.ADD, 1, RAX, 1),
    )
    a.jmp("next")
    a.bind("done")
    a.emit(asm.ret())
    return a.finish()
