"""Which instructions there are for each integer and float type, for rules that are loaded late; others are in
:mod:`.choices`.
"""

from __future__ import annotations

from .choices import FLOAT_TYPES, INT_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .types import Rule


def division_rules(divide: Callable[[int, bool, bool], Rule]) -> dict[str, Rule]:
    """Rules of division, each of which ``divide`` makes of whether the operands have 64 bits, of whether they are
    signed, and of whether the remainder is wanted.
    """
    rules = {}
    for wide, type_ in INT_TYPES:
        for is_signed, suffix in ((True, "s"), (False, "u")):
            rules[f"{type_}.div_{suffix}"] = divide(wide, is_signed, False)
            rules[f"{type_}.rem_{suffix}"] = divide(wide, is_signed, True)
    return rules


def conversion_rules(
    truncate: Callable[[int, bool, int], Rule],
    truncate_saturating: Callable[[int, bool, int], Rule],
    convert: Callable[[int, bool, int], Rule],
    reinterpret_to_int: Callable[[int], Rule],
    reinterpret_to_float: Callable[[int], Rule],
) -> dict[str, Rule]:
    """Rules of conversions between integers and floats. The arguments make them of whether the integer has 64 bits, of
    whether it is signed, and of whether the float has 64 bits; those that reinterpret, of whether both have.
    """
    rules = {}
    for double, float_ in FLOAT_TYPES:
        for wide, int_ in INT_TYPES:
            for is_signed, suffix in ((True, "s"), (False, "u")):
                rules[f"{int_}.trunc_{float_}_{suffix}"] = truncate(wide, is_signed, double)
                rules[f"{int_}.trunc_sat_{float_}_{suffix}"] = truncate_saturating(wide, is_signed, double)
                rules[f"{float_}.convert_{int_}_{suffix}"] = convert(wide, is_signed, double)
    for (both, int_), (_, float_) in zip(INT_TYPES, FLOAT_TYPES, strict=True):
        rules[f"{int_}.reinterpret_{float_}"] = reinterpret_to_int(both)
        rules[f"{float_}.reinterpret_{int_}"] = reinterpret_to_float(both)
    return rules
