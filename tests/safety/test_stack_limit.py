"""How deep wasm code may go, in bytes, whatever stack its thread has."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

import vibewasm as vw

TEXT = """(module
    (import "host" "again" (func $again (param i32)))
    (func $f (export "f") (param i32)
        (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
    (func $g (export "g") (param i32)
        (if (local.get 0) (then (call $again (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "first") (param externref)))"""
ENGINE = vw.Engine()
MODULE = vw.Module(ENGINE, TEXT)


def exports_of(size: int | None) -> Any:
    store = vw.Store(ENGINE, limits=vw.ResourceLimits(max_stack=size))
    exports: Any = None
    exports = vw.instantiate(MODULE, {"host": {"again": lambda depth: exports.g(depth)}}, store=store).exports
    return exports


def fits(function: Any, depth: int) -> bool:
    try:
        function(depth)
    except vw.Trap as trap:
        if trap.message != "call stack exhausted":
            raise
        return False
    return True


def deepest(function: Any, most: int = 1 << 20) -> int:
    """The largest argument with which a function does not run out of stack."""
    least = 0
    assert fits(function, least)
    assert not fits(function, most)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(function, middle) else (least, middle)
    return least


def in_thread(size: int, function: Any, *arguments: Any) -> Any:
    """What a function returns that runs in a thread with so much stack."""
    found: list[Any] = []
    before = threading.stack_size(size)
    try:
        thread = threading.Thread(target=lambda: found.append(function(*arguments)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return found[0]


def test_wasm_code_goes_as_deep_as_its_limit_and_no_deeper() -> None:
    one, two, three = (deepest(exports_of(size).f) for size in (100_000, 200_000, 300_000))
    assert one > 500
    # A frame has the same size everywhere.
    assert abs((three - two) - (two - one)) <= 1
    frame = 100_000 / (two - one)
    assert deepest(exports_of(200_000 - int(frame) - 1).f) in (two - 1, two - 2)
    function = exports_of(200_000).f
    for _ in range(3):
        assert fits(function, two)
        assert not fits(function, two + 1)


def test_a_trap_says_whether_it_was_for_the_limit() -> None:
    for size, limit in ((100_000, "max_stack"), (1 << 40, None), (None, None)):
        with pytest.raises(vw.Trap, match="call stack exhausted") as caught:
            exports_of(size).f(1 << 30)
        assert caught.value.limit == limit
        assert pickle.loads(pickle.dumps(caught.value)).limit == limit


def test_it_is_the_same_in_threads_with_any_stack() -> None:
    depths = {in_thread(size, lambda: deepest(exports_of(500_000).f)) for size in (2 << 20, 16 << 20, 128 << 20)}
    assert len(depths) == 1


def test_a_store_finds_out_anew_at_each_call() -> None:
    """From where the stack is: deep inside C code, too, and in another thread."""
    exports = exports_of(100_000)
    depth = deepest(exports.f)
    table = vw.Table(exports.f.store, vw.TableType("externref", vw.Limits(1)))
    found: list[bool] = []

    class Key:
        def __lt__(self, other: object) -> bool:
            # Whatever takes the store for another purpose.
            table[0] = "object"
            exports.f.store.gc()
            found.extend([fits(exports.f, depth), not fits(exports.f, depth + depth // 20 + 200)])
            return False

    sorted([Key(), Key()])
    assert all(in_thread(32 << 20, lambda: [fits(exports.f, depth), not fits(exports.f, depth + depth // 20 + 200)]))
    exports.first("object")
    sorted([Key(), Key()])
    assert len(found) == 4
    assert all(found)


def test_calls_within_a_call_count_for_the_outermost() -> None:
    deep = deepest(exports_of(200_000).g, 10_000)
    assert 0 < deep < 400
    assert deep < deepest(exports_of(400_000).g, 10_000) < 3 * deep


def test_a_thread_with_less_stack_ends_before() -> None:
    limited, unlimited = (in_thread(1 << 20, lambda size=size: deepest(exports_of(size).f)) for size in (1 << 40, None))
    # Where the thread's stack is when the call begins is not quite the same.
    assert abs(limited - unlimited) < 100


def test_no_stack_at_all_runs_nothing_that_calls() -> None:
    with pytest.raises(vw.Trap, match="call stack exhausted"):
        exports_of(0).f(1)
