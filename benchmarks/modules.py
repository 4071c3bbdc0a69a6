"""Two small modules, assembled here so that every byte can be read."""

from __future__ import annotations

_HEADER = b"\0asm\x01\0\0\0"
_I32 = 0x7F
_FUNC = 0x60


def _section(number: int, *items: bytes) -> bytes:
    """A section that is a vector of ``items``. Everything here is short enough for one-byte lengths."""
    payload = bytes([len(items)]) + b"".join(items)
    assert len(payload) < 128
    return bytes([number, len(payload)]) + payload


def _name(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _body(*code: int, locals: bytes = b"\0") -> bytes:
    payload = locals + bytes(code)
    return bytes([len(payload)]) + payload


#: ``(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))``
ADD = b"".join(
    [
        _HEADER,
        _section(1, bytes([_FUNC, 2, _I32, _I32, 1, _I32])),
        _section(3, b"\0"),
        _section(7, _name("add") + b"\0\0"),
        _section(10, _body(0x20, 0, 0x20, 1, 0x6A, 0x0B)),
    ]
)

#: Imports ``env.f (i32, i32) -> i32``; ``loop(n)`` calls it with ``(n, 7)`` and counts down until n is 0.
CALL_LOOP = b"".join(
    [
        _HEADER,
        _section(1, bytes([_FUNC, 2, _I32, _I32, 1, _I32]), bytes([_FUNC, 1, _I32, 0])),
        _section(2, _name("env") + _name("f") + b"\0\0"),
        _section(3, b"\x01"),
        _section(7, _name("loop") + b"\0\x01"),
        _section(
            10,
            _body(
                *(0x03, 0x40),  # loop
                *(0x20, 0, 0x41, 7, 0x10, 0, 0x1A),  # local.get 0; i32.const 7; call 0; drop
                *(0x20, 0, 0x41, 1, 0x6B, 0x22, 0),  # local.get 0; i32.const 1; i32.sub; local.tee 0
                *(0x0D, 0, 0x0B, 0x0B),  # br_if 0; end; end
            ),
        ),
    ]
)
