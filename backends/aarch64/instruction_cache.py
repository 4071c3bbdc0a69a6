"""Making written code visible to instruction fetches, which do not look into data caches by themselves.

The sequence is that of the Arm ARM (DDI 0487, B2.7.4.2, "Synchronization and coherency issues between data and
instruction accesses"): write the data cache's lines back to the point of unification, wait, drop the lines of the
instruction cache, wait, and fetch anew. Data caches act as if physically indexed, so cleaning by the address that was
written to reaches the line; instruction caches may be indexed by virtual addresses (D7.5.9, "VIPT instruction caches"),
so they are invalidated by the address that is executed from. Both acts reach all processors of the inner shareable
domain. ``CTR_EL0`` says how long lines are, and on which processors cleaning (IDC) or invalidating (DIC) is needless.
"""

from __future__ import annotations

from . import asm
from .control import Assembler
from .regs import X0, X1, X2, X3, X4, X5, X6

_IDC = 28
_DIC = 29
_DATA_LINE = 16
_INSTRUCTION_LINE = 0


def maintenance() -> bytes:
    """``void f(address written to, address executed from, size)`` by the C ABI."""
    a = Assembler()
    a.emit(asm.mrs(X3, asm.CTR_EL0))
    _each_line(a, "clean", _IDC, _DATA_LINE, X0, asm.dc_cvau(X0))
    a.emit(asm.dsb_ish())
    _each_line(a, "invalidate", _DIC, _INSTRUCTION_LINE, X1, asm.ic_ivau(X1))
    a.emit(asm.dsb_ish(), asm.isb(), asm.ret())
    return a.finish()


def _each_line(a: Assembler, name: str, needless: int, field: int, address: int, operation: bytes) -> None:
    """Do something to each line of x2 bytes from ``address``, unless CTR_EL0, in x3, says that there is no need."""
    a.emit(asm.tbnz(X3, needless, 0))
    skip = len(a.code)
    # The field is the base-2 logarithm of a line's 4-byte words.
    a.emit(
        asm.ubfm(1, X4, X3, field, field + 3),
        asm.mov_ri(X5, 4),
        asm.shift_rr(asm.LSL, 1, X4, X5, X4),
        asm.alu_rr(asm.ADD, 1, X6, address, X2),
        asm.alu_ri(asm.SUB, 1, X5, X4, 1),
        asm.alu_rr(asm.BIC, 1, address, address, X5),
    )
    a.bind(name)
    a.emit(operation, asm.alu_rr(asm.ADD, 1, address, address, X4), asm.cmp_rr(1, address, X6))
    a.b_cond(asm.CC_LO, name)
    a.code[skip - 4 : skip] = asm.tbnz(X3, needless, len(a.code) - skip + 4)
