"""Exceptions in compiled code: what is thrown goes to the store block, and what is caught comes from there. See
``docs/abi.md``; :mod:`.exception_stubs` looks for who catches.
"""

from __future__ import annotations

from ...abi import (
    CTX_STORE,
    EXCEPTION_TAG,
    STORE_MAKE_EXCEPTION,
    STORE_RESULTS,
    STORE_THROW,
    STORE_THROW_REF,
    STORE_THROWN,
    STORE_THROWN_COUNT,
    STORE_THROWN_TAG,
)
from ..operand import F32, F64, I32, V128
from . import asm
from .addresses import at
from .calls import move_results
from .regs import CONTEXT, SCRATCH, SCRATCH2, X0, ZR

_LOAD_STORE = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
#: Loads of the first value, by type; all others are of 64 bits.
_LOADS = {I32: asm.LDR_W, F32: asm.LDR_S, F64: asm.LDR_D, V128: asm.LDR_Q}


def _call(stub: int) -> bytes:
    """Call a stub of the store."""
    return _LOAD_STORE + asm.access(asm.LDR_X, SCRATCH, SCRATCH, stub) + asm.blr(SCRATCH)


def describe(count: int, first_slot: int, tag: int, width: int = 8) -> bytes:
    """Say in the store block what is being thrown: ``count`` values from consecutive slots, and the tag at a
    context offset.
    """
    code = move_results(_all(count), first_slot, False, width)
    code += at(asm.LDR_X, SCRATCH2, CONTEXT, tag, SCRATCH2) + _LOAD_STORE
    code += asm.access(asm.STR_X, SCRATCH2, SCRATCH, STORE_THROWN_TAG)
    code += asm.access(asm.STR_X, ZR, SCRATCH, STORE_THROWN)
    return code + asm.mov_ri(SCRATCH2, count) + asm.access(asm.STR_X, SCRATCH2, SCRATCH, STORE_THROWN_COUNT)


def _all(count: int) -> list[tuple[int, int, int]]:
    """All values as one stretch."""
    return [(0, 0, count)] if count else []


def throw() -> bytes:
    """Throw what the store block describes."""
    return _call(STORE_THROW)


def throw_reference() -> bytes:
    """Throw the exception object in x0; a null faults when its tag is read."""
    return asm.access(asm.LDR_X, SCRATCH, X0, EXCEPTION_TAG) + _call(STORE_THROW_REF)


def caught_values(count: int, first_slot: int, width: int = 8) -> bytes:
    """Store the ``count`` values of what was caught into consecutive slots, the first at ``first_slot``."""
    return move_results(_all(count), first_slot, True, width)


def caught_value(type_: int) -> bytes:
    """Load the first value of what was caught into the register that a result of its type returns in."""
    return _LOAD_STORE + asm.access(_LOADS.get(type_, asm.LDR_X), X0, SCRATCH, STORE_RESULTS)


def caught_reference() -> bytes:
    """Load a reference to what was caught into x0."""
    return _call(STORE_MAKE_EXCEPTION)


__all__ = [
    "caught_reference",
    "caught_value",
    "caught_values",
    "describe",
    "throw",
    "throw_reference",
]
