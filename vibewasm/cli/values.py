"""Values on the command line: typed arguments for ``--invoke``, and results as text."""

from __future__ import annotations

import struct

from vibewasm.names import escaped

_BITS = {"i32": 32, "i64": 64, "v128": 128}
#: The lanes 1, 2, 3, 4 of 32 bits.
_EXAMPLE = "00000004000000030000000200000001"


def parse_value(type_name: str, text: str) -> int | float | None:
    """The value of type ``type_name`` that ``text`` stands for. Raises ``ValueError`` with a message for the user.

    Integers may be decimal or, with a prefix, hexadecimal, octal or binary; both the signed and the unsigned range are
    accepted. A v128 is such a number too, with lane 0 in its low bits, as in wasmtime's command. Floats may be decimal,
    hexadecimal (``0x1.8p3``), ``inf`` or ``nan``. A reference can only be ``null``.
    """
    if type_name in _BITS:
        return _parse_integer(type_name, text)
    if type_name in ("f32", "f64"):
        return _parse_float(type_name, text)
    if type_name.endswith("ref") or type_name.startswith("(ref null"):
        if text == "null":
            return None
        raise ValueError(f"{text!r} cannot be passed as {type_name}; from the command line only 'null' can")
    raise ValueError(f"a value of type {type_name} cannot be given on the command line")


def _parse_integer(type_name: str, text: str) -> int:
    bits = _BITS[type_name]
    try:
        # Base 10 first: base 0 refuses leading zeros, which people do write.
        value = int(text, 10 if text.lstrip("+-").isdigit() else 0)
    except ValueError:
        # Whoever writes lanes, a float or a vector's text has to be told that all lanes are one number.
        advice = f" (all lanes as one number of 128 bits, lane 0 lowest: 0x{_EXAMPLE})" if type_name == "v128" else ""
        raise ValueError(f"{text!r} is not a whole number, which {type_name} wants{advice}") from None
    if not -(1 << bits - 1) <= value < 1 << bits:
        raise ValueError(f"{escaped(text)} does not fit in {type_name}")
    if type_name == "v128":
        return value & (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 > 0 else value


def _parse_float(type_name: str, text: str) -> float:
    try:
        value = float.fromhex(text) if "0x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a number, which {type_name} wants") from None
    if type_name == "f32":
        try:
            struct.pack("<f", value)
        except OverflowError:
            raise ValueError(f"{escaped(text)} does not fit in f32") from None
    return value


def format_value(type_name: str, value: object) -> str:
    """A result as text that :func:`parse_value` reads back: a float is the shortest one that means the same bits."""
    if value is None:
        return "null"
    if type_name == "f32" and isinstance(value, float):
        return _shortest_f32(value)
    return repr(value) if isinstance(value, (int, float)) else str(value)


def _shortest_f32(value: float) -> str:
    for digits in range(6, 9):
        candidate = float(f"{value:.{digits}g}")
        try:
            if struct.unpack("<f", struct.pack("<f", candidate))[0] == value:
                return repr(candidate)
        except OverflowError:  # rounding up may pass the largest f32; more digits will not
            continue
    # Nine significant digits always suffice; a value that no short form meets (NaN, too) is written as it is.
    return repr(float(f"{value:.9g}"))
