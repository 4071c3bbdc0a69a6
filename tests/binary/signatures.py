"""Signatures of which there is another one for each number, and modules that have them."""

from __future__ import annotations

from tests.binary import encode

#: The types that parameters have, and an argument for each.
ZEROS = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "externref": None}
_NAMES = tuple(ZEROS)


def signature(number: int) -> list[str]:
    """Parameters, others for each number."""
    params = []
    while number:
        number -= 1
        params.append(_NAMES[number % len(_NAMES)])
        number //= len(_NAMES)
    return params


def passing_module(params: list[str]) -> bytes:
    """It imports a function with these parameters, ``m.f``, and exports one that calls it with its own, ``f``."""
    body = b"\0" + b"".join(b"\x20" + encode.unsigned(at) for at in range(len(params))) + b"\x10\0\x0b"
    return encode.module(
        encode.section("type", encode.vector([encode.func_type(params)])),
        encode.section("import", b"\1\1m\1f\0\0"),
        encode.section("function", b"\1\0"),
        encode.section("export", b"\1\1f\0\1"),
        encode.section("code", encode.vector([encode.unsigned(len(body)) + body])),
    )
