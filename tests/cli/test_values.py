"""Typed values on the command line."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibewasm.cli.values import format_value, parse_value


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("i32", "0", 0),
        ("i32", "-1", -1),
        ("i32", "4294967295", -1),
        ("i32", "2147483648", -(1 << 31)),
        ("i32", "0xffffffff", -1),
        ("i32", "-0x80000000", -(1 << 31)),
        ("i32", "007", 7),
        ("i32", "0b101", 5),
        ("i64", "18446744073709551615", -1),
        ("i64", "-9223372036854775808", -(1 << 63)),
        ("f32", "1.5", 1.5),
        ("f64", "0x1.8p3", 12.0),
        ("f64", "-inf", -math.inf),
        ("f64", "7", 7.0),
        ("v128", "0x00000004000000030000000200000001", 0x4_00000003_00000002_00000001),
        ("v128", "-1", (1 << 128) - 1),
        ("v128", "340282366920938463463374607431768211455", (1 << 128) - 1),
        ("externref", "null", None),
        ("funcref", "null", None),
    ],
)
def test_what_a_text_means(type: str, text: str, value: object) -> None:
    assert parse_value(type, text) == value


@pytest.mark.parametrize(
    ("type", "text", "message"),
    [
        ("i32", "4294967296", "4294967296 does not fit in i32"),
        ("i32", "-2147483649", "-2147483649 does not fit in i32"),
        ("i64", "18446744073709551616", "does not fit in i64"),
        ("i32", "1.5", "'1.5' is not a whole number, which i32 wants"),
        ("i32", "", "'' is not a whole number"),
        ("f32", "1e39", "1e39 does not fit in f32"),
        ("f64", "one", "'one' is not a number, which f64 wants"),
        ("f64", "0x1p99999", "is not a number"),
        ("externref", "3", "'3' cannot be passed as externref"),
        ("v128", "340282366920938463463374607431768211456", "does not fit in v128"),
        ("v128", "1.5", "'1.5' is not a whole number, which v128 wants \\(all lanes as one number of 128 bits"),
        ("v128", "i32x4 1 2 3 4", "'i32x4 1 2 3 4' is not a whole number, which v128 wants"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(type: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message if message[0] == "'" else message):
        parse_value(type, text)


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_integers_are_read_back(value: int) -> None:
    assert parse_value("i32", format_value("i32", value)) == value


@given(st.integers(0, (1 << 128) - 1))
def test_vectors_are_read_back(value: int) -> None:
    assert parse_value("v128", format_value("v128", value)) == value


@given(st.floats(allow_nan=False))
def test_doubles_are_read_back(value: float) -> None:
    assert struct.pack("<d", parse_value("f64", format_value("f64", value))) == struct.pack("<d", value)


@given(st.floats(width=32, allow_nan=False))
def test_singles_are_read_back(value: float) -> None:
    assert struct.pack("<f", parse_value("f32", format_value("f32", value))) == struct.pack("<f", value)


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("f32", struct.unpack("<f", struct.pack("<f", 0.1))[0], "0.1"),
        ("f32", 16777216.0, "16777216.0"),
        ("f32", struct.unpack("<f", b"\xff\xff\x7f\x7f")[0], "3.4028235e+38"),
        ("f32", math.nan, "nan"),
        ("f32", -math.inf, "-inf"),
        ("f64", 0.1, "0.1"),
        ("i64", -1, "-1"),
        ("externref", None, "null"),
    ],
)
def test_results_are_short(type: str, value: object, text: str) -> None:
    assert format_value(type, value) == text
