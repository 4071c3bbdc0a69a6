"""What machine code depends on, as digests: the module, this compiler, the processor, and settings."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: From this size on (bytes) OpenSSL's SHA-256 makes up for the time that loading it takes.
_LARGE = 4 << 20

_source: list[bytes] = []


def source_digest() -> bytes:
    """32 bytes that are other ones for every other source of this package. A wheel carries them; elsewhere the files
    are read.

    Raises:
        OSError: they cannot be read.
    """
    if not _source:
        try:
            from ..built import SOURCE_DIGEST  # type: ignore[import-not-found, unused-ignore]  # not in a checkout
        except ImportError:
            from .source import digest_of_source

            _source.append(digest_of_source(__file__.rpartition("/cache/")[0]))
        else:
            _source.append(bytes.fromhex(SOURCE_DIGEST))
    return _source[0]


def key(*parts: bytes | str | int) -> bytes:
    """32 bytes for these parts, of which none can be mistaken for others, and this version of the source.

    Raises:
        OSError: it is not known which version this is.
    """
    from _blake2 import blake2b

    made = blake2b(source_digest(), digest_size=32)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        made.update(len(data).to_bytes(8, "little") + data)
    digest: bytes = made.digest()
    return digest


def content_digest(data: bytes) -> bytes:
    """32 bytes for a module's bytes: no two modules that anyone could find have the same."""
    if len(data) < _LARGE:
        from _blake2 import blake2b

        digest: bytes = blake2b(data, digest_size=32).digest()
        return digest
    return _digest_of_halves(data)


def load_digest(size: int) -> None:
    """Load what :func:`content_digest` needs for so many bytes: ahead of time, where something else is waited for."""
    if size >= _LARGE:
        _sha256()


def _digest_of_halves(data: bytes) -> bytes:
    """Each half is hashed by a thread of its own, which takes half the time where there are two cores."""
    from ..background import begin

    hashed = _sha256()
    view = memoryview(data)
    middle = len(data) // 2
    first = begin(lambda: hashed(view[:middle]).digest())
    second = hashed(view[middle:]).digest()
    digest: bytes = hashed(first() + second).digest()
    return digest


def _sha256() -> Callable[[bytes | memoryview], Any]:
    """What hashes large modules. Loading it takes several milliseconds; hashlib itself would take as long again."""
    try:
        from _hashlib import openssl_sha256
    except ImportError:
        from hashlib import sha256

        return sha256
    return openssl_sha256
