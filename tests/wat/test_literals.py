"""Literals, against Python's own conversions."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibewasm.wat.lexer import Tokens
from vibewasm.wat.literals import decode_string, float_bits, integer, unsigned
from vibewasm.wat.quoting import float_text, identifiers, quote_bytes, quote_name

_MANTISSA = {32: 23, 64: 52}


def f64(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def value_of(bits: int, size: int) -> float:
    return float(struct.unpack("<f" if size == 32 else "<d", bits.to_bytes(size // 8, "little"))[0])


def nearest(exact: Fraction, size: int) -> int | None:
    """The bits of the nearest float by comparing with its neighbours; None beyond the largest."""
    mantissa = _MANTISSA[size]
    infinity = (1 << size - 1) - (1 << mantissa)
    low, high = 0, infinity
    while high - low > 1:
        middle = (low + high) // 2
        if Fraction(value_of(middle, size)) <= exact:
            low = middle
        else:
            high = middle
    top = Fraction(value_of(infinity - 1, size))
    upper = Fraction(value_of(high, size)) if high < infinity else 2 * top - Fraction(value_of(infinity - 2, size))
    below, above = exact - Fraction(value_of(low, size)), upper - exact
    chosen = low if below < above or (below == above and low % 2 == 0) else high
    return None if chosen == infinity else chosen


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_f64_decimals_are_read_as_python_reads_them(value: float) -> None:
    assert float_bits(repr(value), 64) == f64(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_f64_hexadecimals_are_read_as_python_reads_them(value: float) -> None:
    assert float_bits(value.hex(), 64) == f64(value)


@given(st.integers(0, 1 << 140), st.integers(-1300, 1100), st.sampled_from([32, 64]))
def test_hexadecimals_of_any_length_are_rounded_to_nearest(digits: int, exponent: int, size: int) -> None:
    expected = nearest(Fraction(digits) * Fraction(2) ** exponent, size)
    literal = f"0x{digits:x}p{exponent}"
    if expected is None:
        with pytest.raises(ValueError, match="constant out of range"):
            float_bits(literal, size)
    else:
        assert float_bits(literal, size) == expected


@given(st.integers(0, 10**30), st.integers(0, 40), st.integers(-70, 45), st.sampled_from([32, 64]))
def test_decimals_are_rounded_to_nearest(digits: int, point: int, exponent: int, size: int) -> None:
    text = str(digits).rjust(point + 1, "0")
    literal = f"{text[: len(text) - point]}.{text[len(text) - point :]}e{exponent}"
    expected = nearest(Fraction(digits) * Fraction(10) ** (exponent - point), size)
    if expected is None:
        with pytest.raises(ValueError, match="constant out of range"):
            float_bits(literal, size)
    else:
        assert float_bits(literal, size) == expected


@given(st.integers(0, 0x7F7F_FFFE), st.sampled_from(["", "1", "0" * 900 + "1"]))
def test_ties_of_f32_go_to_even_and_a_digit_more_breaks_them(bits: int, more: str) -> None:
    # Halfway between two neighbours, written out in full; a double cannot hold what is added far after it.
    halfway = (Fraction(value_of(bits, 32)) + Fraction(value_of(bits + 1, 32))) / 2
    places = max(0, halfway.denominator.bit_length() - 1)
    digits = str(halfway.numerator * 10**places // halfway.denominator).rjust(places + 1, "0")
    literal = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}{more}"
    expected = bits + 1 if "1" in more or bits & 1 else bits
    assert float_bits(literal, 32) == expected


@pytest.mark.parametrize(
    ("literal", "size", "bits"),
    [
        ("0x1.fffffefffffffffffp127", 32, 0x7F7F_FFFF),
        ("0x1p-149", 32, 1),
        ("0x1p-150", 32, 0),
        ("0x1.000001p-150", 32, 1),
        ("-0x0p0", 32, 0x8000_0000),
        ("1e-400", 64, 0),
        ("1e-999999999999999999999", 32, 0),
        ("0e999999999999999999999", 32, 0),
        ("0x0p999999999999999999999", 64, 0),
        ("0." + "0" * 50000 + "1e50001", 32, 0x3F80_0000),
        ("0x0." + "0" * 50000 + "1p200004", 32, 0x3F80_0000),
        ("1_0.2_5e0_1", 32, 0x42CD_0000),
        ("0x1_0.8P-0_1", 64, 0x4020_8000_0000_0000),
        ("+inf", 32, 0x7F80_0000),
        ("-nan", 32, 0xFFC0_0000),
        ("nan:0x1", 64, 0x7FF0_0000_0000_0001),
        ("nan:0x7f_ffff", 32, 0x7FFF_FFFF),
    ],
)
def test_particular_floats(literal: str, size: int, bits: int) -> None:
    assert float_bits(literal, size) == bits


@pytest.mark.parametrize(
    ("literal", "size"),
    [("0x1p128", 32), ("0x1.ffffffp127", 32), ("1e39", 32), ("1e999999999999", 32), ("0x1p999999999999", 64),
     ("1e309", 64), ("nan:0x0", 32), ("nan:0x80_0000", 32), ("3.4028236e38", 32)],
)  # fmt: skip
def test_floats_out_of_range(literal: str, size: int) -> None:
    with pytest.raises(ValueError, match="constant out of range"):
        float_bits(literal, size)


@pytest.mark.parametrize("literal", ["", "1__0", "_1", "1_", "0x", "1e", "0x1p", ".5", "0x.8", "nan:1", "1.2.3", "+-1"])
def test_what_is_no_number(literal: str) -> None:
    assert float_bits(literal, 64) is None
    assert integer(literal, 64) is None or literal == ""


@given(st.integers(-(1 << 63), (1 << 64) - 1), st.booleans())
def test_integers(value: int, in_hex: bool) -> None:
    literal = (f"-{-value:#x}" if value < 0 else f"{value:#x}") if in_hex else str(value)
    assert integer(literal, 64) == (value - (1 << 64) if value >> 63 > 0 else value)
    if value >= 0:
        assert unsigned(literal, 64) == value


@pytest.mark.parametrize(("literal", "bits"), [("0x1_0000_0000", 32), ("-2147483649", 32), ("9" * 5000, 64)])
def test_integers_out_of_range(literal: str, bits: int) -> None:
    with pytest.raises(ValueError, match="constant out of range"):
        integer(literal, bits)


@given(st.integers(0, (1 << 32) - 1))
def test_f32_text_comes_back(bits: int) -> None:
    assert float_bits(float_text(bits, 32), 32) == bits


@given(st.integers(0, (1 << 64) - 1))
def test_f64_text_comes_back(bits: int) -> None:
    assert float_bits(float_text(bits, 64), 64) == bits


def test_floats_are_written_short() -> None:
    assert float_text(f64(0.1), 64) == "0.1"
    assert float_text(f64(-2.0), 64) == "-2"
    assert float_text(0x3DCC_CCCD, 32) == "0.1"
    assert float_text(0x7FC0_0000, 32) == "nan"
    assert math.isnan(float("nan"))


@given(st.binary())
def test_bytes_come_back_from_a_string(data: bytes) -> None:
    assert decode_string(quote_bytes(data)) == data
    assert Tokens(quote_bytes(data)).tokens == [quote_bytes(data), ""]


@given(st.text())
def test_names_come_back_from_a_string_and_an_identifier(name: str) -> None:
    assert decode_string(quote_name(name)).decode() == name
    assert Tokens(quote_name(name)).tokens == [quote_name(name), ""]
    if name:
        assert Tokens(identifiers({0: name})[0]).tokens == ["$" + name, ""]


def test_every_escape() -> None:
    assert decode_string(r'"\t\n\r\"\'\\\41\fF\u{20AC}\u{1F6_00}a"') == b"\t\n\r\"'\\A\xff\xe2\x82\xac\xf0\x9f\x98\x80a"
    for bad in (r'"\u{D800}"', r'"\u{110000}"'):
        with pytest.raises(ValueError, match="illegal escape"):
            decode_string(bad)


@given(st.lists(st.sampled_from(["a", "a.1", "b", "", "ü"]), max_size=12))
def test_identifiers_are_distinct(names: list[str]) -> None:
    made = identifiers(dict(enumerate(names)))
    assert len(set(made.values())) == len(made) == sum(map(bool, names))
