"""Rules of the integer instructions on bits: shifts, rotations and counts; what a rule is says :mod:`.integers`.

They are the ones that ask :mod:`.features` what the processor has.
"""

from __future__ import annotations

from ..choices import INT_TYPES
from ..operand import CONSTANT, I32, I64, REGISTER, Operand
from . import asm, features
from .regs import RCX
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

_RCX = 1 << RCX


def _shift(op: int, wide: int) -> Rule:
    type_ = I64 if wide else I32
    mask = 63 if wide else 31
    with_count_register = {asm.SHL: asm.shlx, asm.SHR: asm.shrx, asm.SAR: asm.sarx}.get(op)

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if b.kind == CONSTANT:
            dst = s.destination(sink, a)
            count = b.value & mask
            if op in (asm.ROL, asm.ROR) and features.BMI2 and count and a.reg >= 0 and a.reg != dst:
                s.code += asm.rorx(wide, dst, a.reg, count if op == asm.ROR else mask + 1 - count)
                return s.result(type_, dst, sink, a.bit | b.bit)
            s.load(dst, a)
            if count:
                s.with_immediate(asm.shift_ri(op, wide, dst, count), count)
            return s.result(type_, dst, sink, a.bit | b.bit)
        if with_count_register is not None and features.BMI2:
            dst = s.destination(sink, a, b)
            source = a.reg
            if source < 0:
                source = dst if dst != b.reg else s.scratch()
                s.load(source, a)
            s.code += with_count_register(wide, dst, source, s.in_register(b))
            return s.result(type_, dst, sink, a.bit | b.bit)
        # The count has to be in cl. The compiler has made sure that rcx is free or holds one of the operands.
        work = s.scratch(_RCX)
        s.load(work, a)
        s.load(RCX, b)
        s.code += asm.shift_rcl(op, wide, work)
        if sink is not None:
            dst = sink.reg
        elif a.kind == REGISTER and a.reg != RCX:
            dst = a.reg
        elif b.kind == REGISTER and b.reg != RCX:
            dst = b.reg
        else:
            dst = work
            s.released &= ~(1 << work)
        if dst != work:
            s.code += asm.mov_rr(wide, dst, work)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _count_bits(name: str, wide: int) -> Rule:
    type_ = I64 if wide else I32
    bits = 64 if wide else 32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a)
        source = a.reg
        if source < 0:
            s.load(dst, a)
            source = dst
        if name == "clz" and not features.LZCNT:
            # bsr leaves its destination undefined for 0, so 2*bits - 1 stands in: xor with bits - 1 makes it bits.
            for_zero = s.scratch()
            s.code += asm.bsr(wide, dst, source)
            s.code += asm.mov_ri(for_zero, 2 * bits - 1)
            s.code += asm.cmovcc_rr(asm.CC_E, wide, dst, for_zero)
            s.code += asm.alu_ri(asm.XOR, wide, dst, bits - 1)
        elif name == "ctz" and not features.BMI1:
            for_zero = s.scratch()
            s.code += asm.bsf(wide, dst, source)
            s.code += asm.mov_ri(for_zero, bits)
            s.code += asm.cmovcc_rr(asm.CC_E, wide, dst, for_zero)
        elif name == "clz":
            s.code += asm.lzcnt(wide, dst, source)
        elif name == "ctz":
            s.code += asm.tzcnt(wide, dst, source)
        else:
            s.code += asm.popcnt(wide, dst, source)
        return s.result(type_, dst, sink, a.bit)

    return rule


def claims(name: str) -> int:
    """Mask of the registers that a shift or a rotation by a number that is no constant needs for itself."""
    return 0 if features.BMI2 and name not in _ROTATIONS else _RCX


#: What has no instruction with its count in any register.
_ROTATIONS = ("i32.rotl", "i32.rotr", "i64.rotl", "i64.rotr")


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for wide, type_name in INT_TYPES:
        for name, op in (
            ("shl", asm.SHL),
            ("shr_s", asm.SAR),
            ("shr_u", asm.SHR),
            ("rotl", asm.ROL),
            ("rotr", asm.ROR),
        ):
            rules[f"{type_name}.{name}"] = _shift(op, wide)
        for name in ("clz", "ctz", "popcnt"):
            rules[f"{type_name}.{name}"] = _count_bits(name, wide)
    return rules


RULES = _rules()
