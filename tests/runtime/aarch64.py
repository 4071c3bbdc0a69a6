"""Functions by hand on AArch64: frames, and calls through records."""

from __future__ import annotations

from vibewasm.backends.aarch64 import asm
from vibewasm.runtime.blocks import Block

#: Makes and leaves a frame: the context at [x29+16].
PROLOGUE = asm.pair_pre(asm.STP_X, 29, 30, 31, -32) + asm.mov_sp(29, 31) + asm.access(asm.STR_X, 28, 29, 16)
EPILOGUE = asm.pair_post(asm.LDP_X, 29, 30, 31, 32) + asm.ret()

#: Where integer parameters travel.
INT_PARAMETERS = tuple(range(8))


def call_record(record: Block) -> bytes:
    """Call through a record, and come back to the frame's own instance."""
    code = asm.mov_ri(8, record.address) + asm.access(asm.LDR_X, 28, 8, 8) + asm.access(asm.LDR_X, 27, 28, 8)
    code += asm.access(asm.LDR_X, 16, 8, 0) + asm.blr(16)
    return code + asm.access(asm.LDR_X, 28, 29, 16) + asm.access(asm.LDR_X, 27, 28, 8)
