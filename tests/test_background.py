"""Work in another thread: its result, its exception, and what is done where there can be no thread."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from hashlib import sha256
from typing import NoReturn

import pytest

from vibewasm.background import begin
from vibewasm.cache import key


def no_thread(work: Callable[..., object], arguments: tuple[object, ...]) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.fixture(params=[True, False], ids=["a thread", "no thread"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(_thread, "start_new_thread", no_thread)
    return bool(request.param)


def test_work_is_done_beside(threads: bool) -> None:
    assert (begin(_thread.get_ident)() != _thread.get_ident()) is threads


def test_what_work_raises_comes_out_where_it_is_waited_for(threads: bool) -> None:
    def work() -> NoReturn:
        raise MemoryError("too little")

    wait = begin(work)
    with pytest.raises(MemoryError, match="too little"):
        wait()


def test_a_large_module_has_one_digest(threads: bool) -> None:
    data = bytes(key._LARGE)
    half = sha256(bytes(len(data) // 2)).digest()
    assert key.content_digest(data) == sha256(half + half).digest()
    assert key.content_digest(data) != key.content_digest(data[:-1] + b"\1")
