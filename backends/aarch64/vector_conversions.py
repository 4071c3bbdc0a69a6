"""Rules of conversions between lanes of integers and floats; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..operand import V128, Operand
from . import asm_vector as v
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule

#: The size of lanes of 32 bits, for :mod:`.asm_vector`.
_WORDS = 2


def _steps(*steps: Callable[[int, int], bytes]) -> Rule:
    """Instructions one after the other, each from a register to another, and all in the destination but the first
    one's source.
    """

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        src = s.in_float_register(a)
        for step in steps:
            s.code += step(dst, src)
            src = dst
        return s.result(V128, dst, sink, a.bit)

    return rule


def _convert(op: int, double: int) -> Callable[[int, int], bytes]:
    """Between floats and integers as wide; to integers it saturates, and gives 0 for NaN."""
    return lambda dst, src: v.float_two(op, double, dst, src)


def _narrow(op: int) -> Callable[[int, int], bytes]:
    """Two integers of 64 bits as two of 32, saturated, and zeros above."""
    return lambda dst, src: v.narrow(op, _WORDS, 0, dst, src)


def _extend(op: int) -> Callable[[int, int], bytes]:
    """The lower two integers of 32 bits as two of 64."""
    return lambda dst, src: v.shift_long(op, _WORDS, 0, dst, src, 0)


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for suffix, truncate, narrow, extend, convert in (
        ("s", v.FCVTZS, v.SQXTN, v.SSHLL, v.SCVTF),
        ("u", v.FCVTZU, v.UQXTN, v.USHLL, v.UCVTF),
    ):
        of_floats = _steps(_convert(truncate, 0))
        of_doubles = _steps(_convert(truncate, 1), _narrow(narrow))
        for kind in ("trunc_sat", "relaxed_trunc"):
            rules[f"i32x4.{kind}_f32x4_{suffix}"] = of_floats
            rules[f"i32x4.{kind}_f64x2_{suffix}_zero"] = of_doubles
        rules[f"f32x4.convert_i32x4_{suffix}"] = _steps(_convert(convert, 0))
        rules[f"f64x2.convert_low_i32x4_{suffix}"] = _steps(_extend(extend), _convert(convert, 1))
    rules["f32x4.demote_f64x2_zero"] = _steps(lambda dst, src: v.fcvtn(0, dst, src))
    rules["f64x2.promote_low_f32x4"] = _steps(lambda dst, src: v.fcvtl(0, dst, src))
    return rules


RULES = _rules()
#: What differs in the specification's deterministic profile: nothing, as these saturate.
DETERMINISTIC: dict[str, Rule] = {}
