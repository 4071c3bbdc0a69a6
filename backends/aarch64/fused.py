"""Rules of two or three instructions that are one of A64's; what a rule is says :mod:`.integers`.

Each is found by the names of the first instruction and of the one after it, and by whether the first one's second
operand is a constant. Where the second instruction is a constant, a third one, ``and``, takes it.
"""

from __future__ import annotations

from ..operand import I32, I64, Operand
from . import asm
from .regs import SCRATCH, SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _with_shifted(op: int, wide: int, shift: int) -> Rule:
    """``y op (x shifted by a constant)``."""
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, y: Operand, x: Operand, count: Operand) -> Operand:
        dst = s.destination(sink, y.bit | x.bit)
        left = s.in_register(y)
        s.code += asm.alu_rrs(op, wide, dst, left, s.in_register(x, SCRATCH2), shift, count.value)
        return s.result(type_, dst, sink, y.bit | x.bit)

    return rule


def _with_product(op: int, wide: int) -> Rule:
    """``y + a * b`` or ``y - a * b``."""
    type_ = I64 if wide else I32
    together = asm.madd if op == asm.ADD else asm.msub

    def rule(s: Selection, sink: Operand | None, y: Operand, a: Operand, b: Operand) -> Operand:
        dst = s.destination(sink, y.bit | a.bit | b.bit)
        first = s.in_register(a)
        second = s.in_register(b, SCRATCH2)
        if y.reg >= 0:
            s.code += together(wide, dst, first, second, y.reg)
        else:
            s.code += asm.mul(wide, SCRATCH, first, second)
            s.code += asm.alu_rr(op, wide, dst, s.in_register(y, SCRATCH2), SCRATCH)
        return s.result(type_, dst, sink, y.bit | a.bit | b.bit)

    return rule


def _bit_field(wide: int) -> Rule:
    """``(x >> lowest) & mask``, of a mask that is some of the lowest bits: UBFX."""
    type_ = I64 if wide else I32
    highest = 63 if wide else 31

    def rule(s: Selection, sink: Operand | None, x: Operand, lowest: Operand, mask: Operand) -> Operand:
        dst = s.destination(sink, x.bit)
        last = min(lowest.value + mask.value.bit_length() - 1, highest)
        s.code += asm.ubfm(wide, dst, s.in_register(x), lowest.value, last)
        return s.result(type_, dst, sink, x.bit)

    return rule


def _rules() -> dict[tuple[str, str, bool], Rule]:
    rules: dict[tuple[str, str, bool], Rule] = {}
    for wide, type_name in ((0, "i32"), (1, "i64")):
        for name, shift in (("shl", asm.LSL), ("shr_s", asm.ASR), ("shr_u", asm.LSR)):
            for second, op in (
                ("add", asm.ADD),
                ("sub", asm.SUB),
                ("and", asm.AND),
                ("or", asm.ORR),
                ("xor", asm.EOR),
            ):
                rules[f"{type_name}.{name}", f"{type_name}.{second}", True] = _with_shifted(op, wide, shift)
        for second, op in (("add", asm.ADD), ("sub", asm.SUB)):
            rules[f"{type_name}.mul", f"{type_name}.{second}", False] = _with_product(op, wide)
        rules[f"{type_name}.shr_u", f"{type_name}.const", True] = _bit_field(wide)
    return rules


RULES = _rules()
