"""Functions by hand on x86-64: frames, and calls through records."""

from __future__ import annotations

from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import R14, RBP, RCX, RDI, RDX, RSI, RSP
from vibewasm.runtime.blocks import Block

#: Makes and leaves a frame: the context at [rbp-8], the stack pointer aligned.
PROLOGUE = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + asm.push_r(R14) + asm.push_r(R14)
EPILOGUE = asm.leave_() + asm.ret()

#: Where integer parameters travel.
INT_PARAMETERS = (RCX, RDX, RSI, RDI)


def call_record(record: Block) -> bytes:
    """Call through a record, and come back to the frame's own instance."""
    code = asm.mov_ri(0, record.address) + asm.mov_rm(1, R14, 0, 8) + asm.mov_rm(1, 15, R14, 8)
    return code + asm.call_m(0, 0) + asm.mov_rm(1, R14, RBP, -8) + asm.mov_rm(1, 15, R14, 8)
