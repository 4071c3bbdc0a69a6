"""Rules of the integer instructions on bits: shifts, rotations and counts; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..choices import INT_TYPES
from ..operand import CONSTANT, I32, I64, Operand
from . import asm
from .regs import FLOAT_SCRATCH, SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _shift(op: int, wide: int) -> Rule:
    type_ = I64 if wide else I32
    mask = 63 if wide else 31

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.destination(sink, a.bit | b.bit)
        source = s.in_register(a)
        if b.kind == CONSTANT:
            s.with_immediate(asm.shift_ri(op, wide, dst, source, b.value & mask))
        else:
            s.code += asm.shift_rr(op, wide, dst, source, s.in_register(b, SCRATCH2))
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _rotate_left(wide: int) -> Rule:
    type_ = I64 if wide else I32
    mask = 63 if wide else 31

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.destination(sink, a.bit | b.bit)
        source = s.in_register(a)
        if b.kind == CONSTANT:
            s.code += asm.shift_ri(asm.ROR, wide, dst, source, -b.value & mask)
        else:
            # There is no rotation to the left by a register: to the right by the negative.
            s.code += asm.neg(0, SCRATCH2, s.in_register(b, SCRATCH2))
            s.code += asm.shift_rr(asm.ROR, wide, dst, source, SCRATCH2)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _count_bits(name: str, wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a.bit)
        source = s.in_register(a)
        if name == "clz":
            s.code += asm.clz(wide, dst, source)
        elif name == "ctz":
            s.code += asm.rbit(wide, dst, source)
            s.code += asm.clz(wide, dst, dst)
        else:
            # Only vector registers count bits: of each byte, and the sum of these.
            s.code += asm.fmov_to(wide, FLOAT_SCRATCH, source)
            s.code += asm.cnt(FLOAT_SCRATCH, FLOAT_SCRATCH)
            s.code += asm.addv(FLOAT_SCRATCH, FLOAT_SCRATCH)
            s.code += asm.fmov_from(0, dst, FLOAT_SCRATCH)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for wide, type_name in INT_TYPES:
        for name, op in (("shl", asm.LSL), ("shr_s", asm.ASR), ("shr_u", asm.LSR), ("rotr", asm.ROR)):
            rules[f"{type_name}.{name}"] = _shift(op, wide)
        rules[f"{type_name}.rotl"] = _rotate_left(wide)
        for name in ("clz", "ctz", "popcnt"):
            rules[f"{type_name}.{name}"] = _count_bits(name, wide)
    return rules


RULES = _rules()
