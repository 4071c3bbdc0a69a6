"""Entries of builtins: functions of the store that wasm code calls through records in the store block."""

from __future__ import annotations

from .. import abi
from . import asm
from .regs import CALLEE, CONTEXT, SCRATCH


def builtin_call(number: int) -> bytes:
    """Jump to builtin ``number`` of the store that x28's context belongs to, with its record in x8, as a call through
    the record has it.
    """
    code = asm.access(asm.LDR_X, SCRATCH, CONTEXT, abi.CTX_STORE)
    code += asm.access(asm.LDR_X, CALLEE, SCRATCH, abi.STORE_BUILTINS + 8 * number)
    return code + asm.access(asm.LDR_X, SCRATCH, CALLEE, abi.RECORD_CODE) + asm.br(SCRATCH)


__all__ = ["builtin_call"]
