"""Entries of builtins: functions of the store that wasm code calls through records in the store block."""

from __future__ import annotations

from .. import abi
from . import asm
from .regs import CONTEXT, RAX


def builtin_call(number: int) -> bytes:
    """Jump to builtin ``number`` of the store that r14's context belongs to, with its record in rax, as a call
    through the record has it.
    """
    code = asm.mov_rm(1, RAX, CONTEXT, abi.CTX_STORE)
    code += asm.mov_rm(1, RAX, RAX, abi.STORE_BUILTINS + 8 * number)
    return code + asm.jmp_m(RAX, abi.RECORD_CODE)


__all__ = ["builtin_call"]
