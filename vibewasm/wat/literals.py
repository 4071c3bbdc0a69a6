"""Literals: integers, floats with exact rounding, strings (specification, "Text Format / Values").

Readers raise ``ValueError`` with the message for the user; the caller knows the place.
"""

from __future__ import annotations

import re
import struct

#: A part of a string. No match of an expression takes long: what is computed can be cut short between two, not within.
_PART = r"""(?:[^"\\\x00-\x1f\x7f]{1,256}+|\\(?:[tnr"'\\]|[0-9a-fA-F]{2}|u\{[0-9a-fA-F](?:_?[0-9a-fA-F]){0,1000}\}))"""
#: A string, with its quotes, if it is not too long; and as much of a longer one as is matched at once.
STRING = rf'"{_PART}{{0,65536}}+"'
STRING_PARTS = re.compile(rf"{_PART}{{1,65536}}+")

_INTEGER = re.compile(r"([+-]?)(?:0x([0-9a-fA-F](?:_?[0-9a-fA-F])*)|([0-9](?:_?[0-9])*))")
_FLOAT = re.compile(
    r"""([+-]?)(?:
        (inf)
        | nan(?::0x([0-9a-fA-F](?:_?[0-9a-fA-F])*))?
        | 0x([0-9a-fA-F](?:_?[0-9a-fA-F])*)(?:\.([0-9a-fA-F](?:_?[0-9a-fA-F])*)?)?(?:[pP]([+-]?[0-9](?:_?[0-9])*))?
        | ([0-9](?:_?[0-9])*)(?:\.([0-9](?:_?[0-9])*)?)?(?:[eE]([+-]?[0-9](?:_?[0-9])*))?
    )""",
    re.VERBOSE,
)
#: As much of a string between its quotes as is decoded at once.
_PIECE = re.compile(r"(?s:[^\\]{1,256}+|\\u\{[^}]*+\}|\\[0-9a-fA-F]{2}|\\.){1,65536}+")
_LONG = 1 << 16
_ONLY_HEX = re.compile(r"(?:\\[0-9a-fA-F]{2})*+")
_ESCAPE = re.compile(rb"\\(?:([tnr\"'\\])|([0-9a-fA-F]{2})|u\{([^}]*)\})")
_SIMPLE = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b'"': b'"', b"'": b"'", b"\\": b"\\"}

OUT_OF_RANGE = "constant out of range"
#: Digits that can matter: a halfway point between two f64 has fewer than 800 significant decimal digits.
_DIGITS_KEPT = 800
#: Exponents beyond this lead to infinity or zero whatever the digits that are kept.
_EXPONENT_LIMIT = 20000


def is_number(token: str) -> bool:
    """Whether the token is an integer or a float."""
    return bool(_INTEGER.fullmatch(token) or _FLOAT.fullmatch(token))


def unsigned(token: str, bits: int) -> int | None:
    """An unsigned integer, or ``None`` if the token is none.

    Raises:
        ValueError: it needs more than ``bits`` bits.
    """
    match = _INTEGER.fullmatch(token)
    if match is None or match[1]:
        return None
    value = _magnitude(match)
    if value >> bits:
        raise ValueError(f"{OUT_OF_RANGE}: it does not fit an i{bits}")
    return value


def integer(token: str, bits: int) -> int | None:
    """An integer that is written signed or unsigned, as a signed one, or ``None`` if the token is none.

    Raises:
        ValueError: it is out of both ranges of ``bits`` bits.
    """
    match = _INTEGER.fullmatch(token)
    if match is None:
        return None
    value = _magnitude(match)
    if match[1] == "-":
        value = -value
    if not -1 << bits - 1 <= value < 1 << bits:
        raise ValueError(f"{OUT_OF_RANGE}: it does not fit an i{bits}")
    return value - (1 << bits) if value >> bits - 1 > 0 else value


def _magnitude(match: re.Match[str]) -> int:
    if match[2]:
        return int(match[2], 16)
    digits = match[3].replace("_", "").lstrip("0")
    # Python refuses to convert thousands of digits, and any number this long is out of range.
    return int(digits[:40] or "0")


def float_bits(token: str, bits: int) -> int | None:
    """The bits of an f32 or f64 literal, rounded to nearest with ties to even, or ``None`` if the token is none.

    Raises:
        ValueError: it rounds to a number beyond the largest finite one, or a NaN's payload does not fit.
    """
    match = _FLOAT.fullmatch(token)
    if match is None:
        return None
    sign, infinity, payload, hex_whole, hex_fraction, hex_exponent, whole, fraction, exponent = match.groups()
    mantissa_bits = 23 if bits == 32 else 52
    all_ones = (1 << bits - 1) - (1 << mantissa_bits)
    if infinity:
        magnitude = all_ones
    elif whole:
        magnitude = _decimal(token.lstrip("+-").replace("_", ""), whole, fraction, exponent, mantissa_bits, bits)
    elif hex_whole:
        magnitude = _hexadecimal(hex_whole, hex_fraction or "", hex_exponent, mantissa_bits, bits)
    else:
        value = int(payload, 16) if payload else 1 << mantissa_bits - 1
        if not 0 < value < 1 << mantissa_bits:
            raise ValueError(f"{OUT_OF_RANGE}: it does not fit an f{bits}")
        magnitude = all_ones | value
    return magnitude | (1 << bits - 1 if sign == "-" else 0)


def _decimal(token: str, whole: str, fraction: str | None, exponent: str | None, mantissa_bits: int, bits: int) -> int:
    """Bits of a decimal literal. Python reads an f64 exactly; an f32 made from that is right unless it was a tie."""
    value = float(token)
    (double,) = struct.unpack("<Q", struct.pack("<d", value))
    if bits == 64:
        if value == float("inf"):
            raise ValueError(f"{OUT_OF_RANGE}: it does not fit an f64")
        return int(double)
    if 1e-37 < value < 3e38 and double & 0x1FFF_FFFF != 0x1000_0000:
        return int(struct.unpack("<I", struct.pack("<f", value))[0])
    digits = (whole + (fraction or "")).replace("_", "")
    scale = _exponent(exponent, len(digits)) - len((fraction or "").replace("_", ""))
    digits = digits.lstrip("0")
    if len(digits) > _DIGITS_KEPT:
        # A last digit stands for all that are left out: it keeps a number from looking like a tie.
        rest = digits[_DIGITS_KEPT:].strip("0")
        scale += len(digits) - _DIGITS_KEPT
        digits = digits[:_DIGITS_KEPT]
        if rest:
            digits, scale = digits + "1", scale - 1
    if not digits or scale + len(digits) < -400:
        return 0
    if scale + len(digits) > 400:
        raise ValueError(f"{OUT_OF_RANGE}: it does not fit an f{bits}")
    number = int(digits)
    if scale >= 0:
        return _round(number * 10**scale, 1, mantissa_bits, bits)
    return _round(number, 10**-scale, mantissa_bits, bits)


def _hexadecimal(whole: str, fraction: str, exponent: str | None, mantissa_bits: int, bits: int) -> int:
    fraction = fraction.replace("_", "")
    number = int(whole.replace("_", "") + fraction, 16)
    scale = _exponent(exponent, len(whole) + len(fraction)) - 4 * len(fraction)
    if not number or scale + number.bit_length() < -_EXPONENT_LIMIT:
        return 0
    if scale + number.bit_length() > _EXPONENT_LIMIT:
        raise ValueError(f"{OUT_OF_RANGE}: it does not fit an f{bits}")
    # A long number: keep its upper bits and whether any lower one is set.
    excess = number.bit_length() - 2000
    if excess > 0:
        number, scale = number >> excess << 1 | (number & (1 << excess) - 1 != 0), scale + excess - 1
    return (
        _round(number << scale, 1, mantissa_bits, bits)
        if scale >= 0
        else _round(number, 1 << -scale, mantissa_bits, bits)
    )


def _exponent(text: str | None, digits: int = 0) -> int:
    """An exponent, cut where a larger one makes no difference to a number of that many digits."""
    if not text:
        return 0
    limit = 2 * _EXPONENT_LIMIT + 8 * digits
    cleaned = text.replace("_", "")
    magnitude = cleaned.lstrip("+-0")
    value = int(magnitude or "0") if len(magnitude) < 18 else limit
    return max(-limit, -value) if cleaned[0] == "-" else min(limit, value)


def _round(numerator: int, denominator: int, mantissa_bits: int, bits: int) -> int:
    """The bits of a positive ratio, rounded to nearest, ties to even."""
    bias = (1 << bits - mantissa_bits - 2) - 1
    # The exponent of the lowest bit of the mantissa: of a normal number, but at least that of a subnormal one.
    exponent = numerator.bit_length() - denominator.bit_length() - mantissa_bits
    if (numerator << max(0, -exponent)) < (denominator << max(0, exponent) + mantissa_bits):
        exponent -= 1
    exponent = max(exponent, 1 - bias - mantissa_bits)
    mantissa, rest = divmod(numerator << max(0, -exponent), denominator << max(0, exponent))
    twice, half = 2 * rest, denominator << max(0, exponent)
    if twice > half or (twice == half and mantissa & 1):
        mantissa += 1
    # A mantissa that rounds up to the next power of two carries into the exponent, as it should.
    result = mantissa + (exponent + bias + mantissa_bits - 1 << mantissa_bits) if mantissa else 0
    if result >= (1 << bits - 1) - (1 << mantissa_bits):
        raise ValueError(f"{OUT_OF_RANGE}: it does not fit an f{bits}")
    return result


def decode_string(token: str) -> bytes:
    """The bytes that a string token stands for.

    Raises:
        ValueError: an escape of a character that does not exist.
    """
    inside = token[1:-1]
    if "\\" not in inside:
        return inside.encode()
    if len(inside) > _LONG:
        return b"".join([_decoded(piece[0]) for piece in _PIECE.finditer(inside)])
    return _decoded(inside)


def _decoded(inside: str) -> bytes:
    if _ONLY_HEX.fullmatch(inside):
        return bytes.fromhex(inside.replace("\\", ""))
    return _ESCAPE.sub(_unescape, inside.encode())


def _unescape(match: re.Match[bytes]) -> bytes:
    simple, pair, scalar = match.groups()
    if pair:
        return bytes((int(pair, 16),))
    if simple:
        return _SIMPLE[simple]
    value = int(scalar.replace(b"_", b""), 16)
    if value >= 0x11_0000 or 0xD800 <= value < 0xE000:
        raise ValueError(f"illegal escape: there is no character U+{value:X}")
    return chr(value).encode()
