"""Rows of the vector instructions, those after the prefix 0xFD: fixed-width and relaxed SIMD.

They belong to the one table in :mod:`.opcodes`, which says what a row is, and adds them with
:func:`~.opcodes.load_vectors` when one is first asked for: few programs have any, and each start would pay for them.
Source: WebAssembly core specification 3.0, "Binary Format / Instructions / Vector Instructions".
"""

from __future__ import annotations

from .constant_opcodes import V128_CONST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .opcodes import Row

_PREFIX = 0xFD << 32
_SIMD, _RELAXED = "simd", "relaxed-simd"

ROWS: list[Row] = []


def _add(first: int, names: str, immediates: str, operands: str, results: str, traits: str = "") -> None:
    """Add instructions that follow one another; a name that is ``-`` is a place between them that is free."""
    feature = _RELAXED if first >= 0x100 else _SIMD
    for sub, name in enumerate(names.split(), first):
        if name != "-":
            ROWS.append((_PREFIX | sub, name, immediates, operands, results, feature, traits))


def _of(shape: str, names: str) -> str:
    """Names of a shape."""
    return " ".join([name if name == "-" else f"{shape}.{name}" for name in names.split()])


def _both(stem: str) -> str:
    """The signed and the unsigned form."""
    return f"{stem}_s {stem}_u"


_COMPARISONS = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
_FLOAT_COMPARISONS = "eq ne lt gt le ge"
_SHIFTS = "shl shr_s shr_u"
_FLOAT_BINARY = "add sub mul div min max pmin pmax"
#: Each shape, and the letter of what a lane is outside the vector.
_LANES = (("i8x16", "i"), ("i16x8", "i"), ("i32x4", "i"), ("i64x2", "l"), ("f32x4", "f"), ("f64x2", "d"))


def _memory() -> None:
    _add(0x00, "v128.load", "memarg", "a", "v", "128")
    _add(0x01, " ".join(_both(f"v128.load{lanes}") for lanes in ("8x8", "16x4", "32x2")), "memarg", "a", "v", "64")
    for sub, bits in enumerate(("8", "16", "32", "64")):
        _add(0x07 + sub, f"v128.load{bits}_splat", "memarg", "a", "v", bits)
        _add(0x54 + sub, f"v128.load{bits}_lane", "memarg lane", "av", "v", bits)
        _add(0x58 + sub, f"v128.store{bits}_lane", "memarg lane", "av", "", bits)
    _add(0x0B, "v128.store", "memarg", "av", "", "128")
    _add(0x5C, "v128.load32_zero", "memarg", "a", "v", "32")
    _add(0x5D, "v128.load64_zero", "memarg", "a", "v", "64")


def _lanes() -> None:
    ROWS.append((V128_CONST, "v128.const", "v128", "", "v", _SIMD, "constant"))
    _add(0x0D, "i8x16.shuffle", "lanes", "vv", "v")
    _add(0x0E, "i8x16.swizzle", "", "vv", "v")
    for sub, (shape, letter) in enumerate(_LANES):
        _add(0x0F + sub, f"{shape}.splat", "", letter, "v")
    _add(0x15, _both("i8x16.extract_lane"), "lane", "v", "i")
    _add(0x17, "i8x16.replace_lane", "lane", "vi", "v")
    _add(0x18, _both("i16x8.extract_lane"), "lane", "v", "i")
    _add(0x1A, "i16x8.replace_lane", "lane", "vi", "v")
    for sub, (shape, letter) in enumerate(_LANES[2:]):
        _add(0x1B + 2 * sub, f"{shape}.extract_lane", "lane", "v", letter)
        _add(0x1C + 2 * sub, f"{shape}.replace_lane", "lane", "v" + letter, "v")


def _bitwise() -> None:
    _add(0x4D, "v128.not", "", "v", "v")
    _add(0x4E, _of("v128", "and andnot or xor"), "", "vv", "v")
    _add(0x52, "v128.bitselect", "", "vvv", "v")
    _add(0x53, "v128.any_true", "", "v", "i", "compares")


def _integers() -> None:
    for sub, shape in ((0x23, "i8x16"), (0x2D, "i16x8"), (0x37, "i32x4")):
        _add(sub, _of(shape, _COMPARISONS), "", "vv", "v")
    _add(0xD6, _of("i64x2", "eq ne lt_s gt_s le_s ge_s"), "", "vv", "v")
    for sub, shape in ((0x60, "i8x16"), (0x80, "i16x8"), (0xA0, "i32x4"), (0xC0, "i64x2")):
        _add(sub, _of(shape, "abs neg"), "", "v", "v")
        _add(sub + 3, _of(shape, "all_true bitmask"), "", "v", "i", "compares")
        _add(sub + 11, _of(shape, _SHIFTS), "", "vi", "v", "shift")
        _add(sub + 14, _of(shape, "add - - sub"), "", "vv", "v")
    for sub, shape, narrowed in ((0x60, "i8x16", "i16x8"), (0x80, "i16x8", "i32x4")):
        _add(sub + 5, _both(f"{shape}.narrow_{narrowed}"), "", "vv", "v")
        _add(sub + 15, _of(shape, "add_sat_s add_sat_u - sub_sat_s sub_sat_u"), "", "vv", "v")
        _add(sub + 27, f"{shape}.avgr_u", "", "vv", "v")
    for sub, shape in ((0x60, "i8x16"), (0x80, "i16x8"), (0xA0, "i32x4")):
        _add(sub + 22, _of(shape, "min_s min_u max_s max_u"), "", "vv", "v")
    for sub, shape in ((0x80, "i16x8"), (0xA0, "i32x4"), (0xC0, "i64x2")):
        _add(sub + 21, f"{shape}.mul", "", "vv", "v")
    _add(0x62, "i8x16.popcnt", "", "v", "v")
    _add(0x82, "i16x8.q15mulr_sat_s", "", "vv", "v")
    _add(0xBA, "i32x4.dot_i16x8_s", "", "vv", "v")
    _add(0x7C, f"{_both('i16x8.extadd_pairwise_i8x16')} {_both('i32x4.extadd_pairwise_i16x8')}", "", "v", "v")
    for sub, shape, source in ((0x80, "i16x8", "i8x16"), (0xA0, "i32x4", "i16x8"), (0xC0, "i64x2", "i32x4")):
        halves = f"low_{source}_s high_{source}_s low_{source}_u high_{source}_u".split()
        _add(sub + 7, " ".join([f"{shape}.extend_{half}" for half in halves]), "", "v", "v")
        _add(sub + 28, " ".join([f"{shape}.extmul_{half}" for half in halves]), "", "vv", "v")


def _floats() -> None:
    _add(0x41, _of("f32x4", _FLOAT_COMPARISONS), "", "vv", "v")
    _add(0x47, _of("f64x2", _FLOAT_COMPARISONS), "", "vv", "v")
    _add(0x67, _of("f32x4", "ceil floor trunc nearest"), "", "v", "v")
    _add(0x74, _of("f64x2", "ceil floor"), "", "v", "v")
    _add(0x7A, "f64x2.trunc", "", "v", "v")
    _add(0x94, "f64x2.nearest", "", "v", "v")
    for sub, shape in ((0xE0, "f32x4"), (0xEC, "f64x2")):
        _add(sub, _of(shape, "abs neg - sqrt"), "", "v", "v")
        _add(sub + 4, _of(shape, _FLOAT_BINARY), "", "vv", "v")
    _add(0x5E, "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4", "", "v", "v")
    _add(0xF8, f"{_both('i32x4.trunc_sat_f32x4')} {_both('f32x4.convert_i32x4')}", "", "v", "v")
    _add(0xFC, "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero", "", "v", "v")
    _add(0xFE, _both("f64x2.convert_low_i32x4"), "", "v", "v")


def _relaxed() -> None:
    _add(0x100, "i8x16.relaxed_swizzle", "", "vv", "v")
    _add(0x101, _both("i32x4.relaxed_trunc_f32x4"), "", "v", "v")
    _add(0x103, "i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero", "", "v", "v")
    _add(
        0x105,
        f"{_of('f32x4', 'relaxed_madd relaxed_nmadd')} {_of('f64x2', 'relaxed_madd relaxed_nmadd')}",
        "",
        "vvv",
        "v",
    )
    _add(
        0x109,
        " ".join([f"{shape}.relaxed_laneselect" for shape in ("i8x16", "i16x8", "i32x4", "i64x2")]),
        "",
        "vvv",
        "v",
    )
    _add(0x10D, f"{_of('f32x4', 'relaxed_min relaxed_max')} {_of('f64x2', 'relaxed_min relaxed_max')}", "", "vv", "v")
    _add(0x111, "i16x8.relaxed_q15mulr_s i16x8.relaxed_dot_i8x16_i7x16_s", "", "vv", "v")
    _add(0x113, "i32x4.relaxed_dot_i8x16_i7x16_add_s", "", "vvv", "v")


for _group in (_memory, _lanes, _bitwise, _integers, _floats, _relaxed):
    _group()
