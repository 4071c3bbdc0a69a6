"""Digests of modules, and of other parts of a key."""

from __future__ import annotations

import _thread
from pathlib import Path

import pytest

from vibewasm.cache import key
from vibewasm.cache.source import digest_of_source

LARGE = bytes(range(256)) * (5 << 12)


def test_every_byte_of_a_large_module_counts() -> None:
    assert len(LARGE) > 4 << 20
    digests = {key.content_digest(LARGE)}
    for place in (0, 1, len(LARGE) // 2 - 1, len(LARGE) // 2, len(LARGE) - 1):
        other = bytearray(LARGE)
        other[place] ^= 1
        digests.add(key.content_digest(bytes(other)))
    digests |= {key.content_digest(LARGE + b"\0"), key.content_digest(LARGE[:-1])}
    digests.add(key.content_digest(LARGE[len(LARGE) // 2 :] + LARGE[: len(LARGE) // 2]))
    digests.add(key.content_digest(b""))
    assert len(digests) == 9
    assert {len(digest) for digest in digests} == {32}


def test_without_threads_a_large_module_has_the_same_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    digest = key.content_digest(LARGE)
    monkeypatch.setattr(_thread, "start_new_thread", refused)
    assert key.content_digest(LARGE) == digest


def test_no_part_of_a_key_is_mistaken_for_another() -> None:
    parts: list[tuple[bytes | str | int, ...]] = [("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", ""), ("ab", b"c", 0)]
    assert len({key.key(*each) for each in parts}) == len(parts)


def test_a_package_without_source_has_no_digest(tmp_path: Path) -> None:
    """All such packages would have the same."""
    (tmp_path / "module.pyc").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="there is no source"):
        digest_of_source(str(tmp_path))
