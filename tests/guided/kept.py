"""The corpus that is kept: inputs that reach lines which the seeds do not, in one small file for each target."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "kept"
_LENGTH = struct.Struct("<I")


def load(name: str) -> list[bytes]:
    """The inputs kept for a target."""
    path = FOLDER / f"{name}.gz"
    if not path.is_file():
        return []
    data = gzip.decompress(path.read_bytes())
    inputs, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        inputs.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return inputs


def save(name: str, inputs: Iterable[bytes]) -> int:
    """Keep these; gives the size of the file in bytes. The same inputs make the same file."""
    FOLDER.mkdir(exist_ok=True)
    data = gzip.compress(b"".join([_LENGTH.pack(len(one)) + one for one in inputs]), mtime=0)
    return (FOLDER / f"{name}.gz").write_bytes(data)
