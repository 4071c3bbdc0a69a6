"""Tail calls between instances and to host functions, however their code came about."""

from __future__ import annotations

import pytest

import vibewasm as vw
from tests.native import EMULATED

#: Two such instances call each other by the table, and at last a host function. Each adds what is in its memory.
LINKED = """
(module
  (import "host" "last" (func $last (param i64 i64) (result i64)))
  (import "host" "table" (table $table 2 funcref))
  (memory (export "memory") 1)
  (type $step (func (param i64 i64) (result i64)))
  (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 f64) (result i64)))
  (elem (table $table) (i32.const OWN) func $step)
  (func $mine (result i64) (i64.load (i32.const 0)))
  (func $step (type $step)
    (if (i64.eqz (local.get 0)) (then (return_call $last (call $mine) (local.get 1))))
    (return_call $many (local.get 0) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)
      (i64.const 7) (i64.const 8) (i64.const 9) (i64.const 10) (local.get 1) (f64.const 0)))
  (func $many (type $many)
    (return_call_indirect $table (type $step) (i64.sub (local.get 0) (i64.const 1))
      (i64.add (local.get 10) (call $mine)) (i32.const OTHER)))
  (func (export "go") (param i64) (result i64)
    (i64.add (call $step (local.get 0) (i64.const 0)) (call $mine))))
"""


def linked(store: vw.Store, seen: list[tuple[int, int]], precompiled: bool) -> tuple[vw.Instance, vw.Instance]:
    """Two instances whose memories hold 3 and 5."""
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(2)))

    def last(mine: int, total: int) -> int:
        seen.append((mine, total))
        return 1000 * mine

    made = []
    for own, number in ((0, 3), (1, 5)):
        text = LINKED.replace("OWN", str(own)).replace("OTHER", str(1 - own))
        module = vw.Module(store.engine, text)
        if precompiled:
            module = vw.Module.deserialize(store.engine, module.serialize())
        function = vw.Func(store, vw.FuncType(["i64", "i64"], ["i64"]), last)
        instance = vw.instantiate(module, {"host": {"last": function, "table": table}}, store=store)
        instance.exports.memory.write(0, number.to_bytes(8, "little"))
        made.append(instance)
    return made[0], made[1]


@pytest.mark.parametrize("precompiled", [False, True])
@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_instances_tail_call_each_other_as_often_as_they_like(mode: str, precompiled: bool) -> None:
    seen: list[tuple[int, int]] = []
    store = vw.Store(vw.Engine(vw.Config(compilation=mode, cache=False)))
    first, second = linked(store, seen, precompiled)
    for count in (0, 1, 2, 3, 10_001 if EMULATED else 1_000_001):
        # The function that is returned to has its own memory again.
        for instance, numbers in ((first, (3, 5)), (second, (5, 3))):
            assert instance.exports.go(count) == 1000 * numbers[count & 1] + numbers[0]
            total = (count + 1) // 2 * numbers[0] + count // 2 * numbers[1]
            assert seen[-1] == (numbers[count & 1], total)


def test_a_failure_after_tail_calls_names_who_is_left() -> None:
    store = vw.Store(vw.Engine())
    first, _ = linked(store, [], False)
    assert first.exports.go(4) == 3003
    bare = vw.instantiate(
        '(module (import "m" "go" (func $go (param i64) (result i64)))'
        '(func $tail (export "tail") (param i64) (result i64) (return_call $go (local.get 0)))'
        '(func $call (export "call") (param i64) (result i64) (call $tail (local.get 0))))',
        {"m": {"go": first.exports.go}},
        store=store,
    )
    failing = vw.instantiate(
        '(module (func $fails (export "fails") (param i64) (result i64) unreachable)'
        '(func (export "go") (param i64) (result i64) (return_call $fails (local.get 0))))',
        store=store,
    )
    outer = vw.instantiate(
        '(module (import "m" "go" (func $go (param i64) (result i64)))'
        "(func $tail (param i64) (result i64) (return_call $go (local.get 0)))"
        '(func $outer (export "outer") (param i64) (result i64) (call $tail (local.get 0))))',
        {"m": {"go": failing.exports.go}},
        store=store,
    )
    assert bare.exports.call(4) == 3003
    with pytest.raises(vw.Trap) as caught:
        outer.exports.outer(1)
    assert [frame.func_name for frame in caught.value.frames] == ["fails", "outer"]


def test_a_host_function_that_fails_ends_a_chain_of_tail_calls() -> None:
    store = vw.Store(vw.Engine())

    def fail(value: int) -> int:
        raise KeyError(value)

    function = vw.Func(store, vw.FuncType(["i64"], ["i64"]), fail)
    instance = vw.instantiate(
        '(module (import "m" "f" (func $f (param i64) (result i64)))'
        '(func (export "go") (param i64) (result i64)'
        " (if (i64.eqz (local.get 0)) (then (return_call $f (local.get 0))))"
        " (return_call 1 (i64.sub (local.get 0) (i64.const 1)))))",
        {"m": {"f": function}},
        store=store,
    )
    for _ in range(3):
        with pytest.raises(KeyError):
            instance.exports.go(1000)


def test_a_loop_of_tail_calls_can_be_interrupted() -> None:
    with vw.instantiate(
        '(module (func $a (export "a") (param i64) (return_call $b (local.get 0) (i64.const 1) (i64.const 2)'
        " (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)))"
        " (func $b (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (return_call $a (local.get 8))))"
    ) as instance:
        with pytest.raises(vw.Interrupted), instance.store.deadline(0.2):
            instance.exports.a(1)
