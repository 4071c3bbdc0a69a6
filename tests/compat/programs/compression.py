"""zstd of a buffer and back by itkwasm, whose modules are full of SIMD."""

from __future__ import annotations

import hashlib
from typing import Any

from itkwasm_compress_stringify_wasi import (  # type: ignore[import-not-found]  # an environment of its own has it
    compress_stringify,
    parse_string_decompress,
)

TEXT = b"".join(b"line %d of a text that compresses well, mostly\n" % (number % 97) for number in range(5000))
NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(2000))


def show(name: str, value: Any) -> None:
    print(f"{name}: {len(value)} bytes, {hashlib.sha256(value).hexdigest()}")


for name, data in {"text": TEXT, "noise": NOISE, "both": TEXT + NOISE + TEXT, "one byte": b"x", "nothing": b""}.items():
    for level in (1, 3, 9, 19):
        packed = compress_stringify(data, compression_level=level)
        show(f"{name}, level {level}", packed)
        assert bytes(parse_string_decompress(packed)) == data
    # As base64 in a URL.
    packed = compress_stringify(data, stringify=True)
    show(f"{name}, as a string", packed)
    assert packed.startswith(b"data:application/zstd;base64,")
    assert bytes(parse_string_decompress(packed, parse_string=True)) == data

print("the end")
