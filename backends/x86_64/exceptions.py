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
from ..operand import F64, I32, V128, is_float
from . import asm
from .calls import move_results
from .regs import CONTEXT, RAX, RCX, RDX

_LOAD_STORE = asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)


def describe(count: int, first_slot: int, tag: int, width: int = 8) -> bytes:
    """Say in the store block what is being thrown: ``count`` values from consecutive slots, and the tag at a
    context offset.
    """
    code = _LOAD_STORE + move_results(_all(count), first_slot, False, width)
    code += asm.mov_rm(1, RAX, CONTEXT, tag) + asm.mov_mr(1, RCX, STORE_THROWN_TAG, RAX)
    return code + asm.mov_mi(1, RCX, STORE_THROWN, 0) + asm.mov_mi(1, RCX, STORE_THROWN_COUNT, count)


def _all(count: int) -> list[tuple[int, int, int]]:
    """All values as one stretch."""
    return [(0, 0, count)] if count else []


def throw() -> bytes:
    """Throw what the store block describes."""
    return _LOAD_STORE + asm.call_m(RCX, STORE_THROW)


def throw_reference() -> bytes:
    """Throw the exception object in rax; a null faults when its tag is read."""
    return asm.mov_rm(1, RDX, RAX, EXCEPTION_TAG) + _LOAD_STORE + asm.call_m(RCX, STORE_THROW_REF)


def caught_values(count: int, first_slot: int, width: int = 8) -> bytes:
    """Store the ``count`` values of what was caught into consecutive slots, the first at ``first_slot``."""
    return _LOAD_STORE + move_results(_all(count), first_slot, True, width)


def caught_value(type_: int) -> bytes:
    """Load the first value of what was caught into the register that a result of its type returns in."""
    if type_ == V128:
        return _LOAD_STORE + asm.movups_rm(0, RCX, STORE_RESULTS)
    if is_float(type_):
        return _LOAD_STORE + asm.movs_rm(1 if type_ == F64 else 0, 0, RCX, STORE_RESULTS)
    return _LOAD_STORE + asm.mov_rm(0 if type_ == I32 else 1, RAX, RCX, STORE_RESULTS)


def caught_reference() -> bytes:
    """Load a reference to what was caught into rax."""
    return _LOAD_STORE + asm.call_m(RCX, STORE_MAKE_EXCEPTION)


__all__ = [
    "caught_reference",
    "caught_value",
    "caught_values",
    "describe",
    "throw",
    "throw_reference",
]
