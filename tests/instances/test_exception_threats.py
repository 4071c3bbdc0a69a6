"""What comes in between while exception objects are looked for, and how long landings live."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import vibewasm as vw
from tests.instances.hand import World
from tests.instances.objects import TABLES, Replaceable, free, look
from tests.native import needs_threads_in_children
from vibewasm.instances import exception_objects
from vibewasm.instances.exception_objects import SMALLEST_BUDGET
from vibewasm.instances.exceptions import Exceptions, exceptions_of
from vibewasm.runtime.context import CELL_THROWN

# -- what comes in between ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("place", ["_look", "_roots", "_add_slab"])
def test_a_look_that_fails_ends_the_call_and_the_next_one_works(
    error: type[BaseException], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = vw.instantiate(TABLES)
    objects = exceptions_of(instance.store)
    for index in range(8):
        instance.exports.keep(index)

    def fails(*arguments: object) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Replaceable, place, fails)
        if place == "_add_slab":
            patched.setattr(exception_objects, "SMALLEST_BUDGET", 4 * SMALLEST_BUDGET)
        with pytest.raises(error):
            instance.exports.drop(10_000)
        assert not objects.busy
    instance.exports.drop(10_000)
    instance.store._cells[CELL_THROWN] = 0
    assert look(objects) >= 8
    assert all(isinstance(instance.exports.table[index], vw.ExceptionRef) for index in range(8))


def test_wasm_code_that_runs_in_the_midst_of_a_look_keeps_what_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler may come at any place; here it moves an object from a table to a global that was looked at."""
    instance = vw.instantiate(
        """
        (module
          (tag $t)
          (table $t 1 exnref)
          (global $g (mut exnref) (ref.null exn))
          (func $make (result exnref)
            (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))
          (func (export "begin") (table.set (i32.const 0) (call $make)))
          (func (export "move")
            (global.set $g (table.get (i32.const 0)))
            (table.set (i32.const 0) (call $make)))
          (func (export "more") (param i32)
            (loop $l (drop (call $make)) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
          (func (export "moved") (result exnref) (global.get $g)))
        """
    )
    objects = exceptions_of(instance.store)
    roots = Replaceable._roots
    moved: list[int] = []

    def interrupted(self: Exceptions, low: int) -> Iterator[Sequence[int]]:
        views = [list(view) for view in roots(self, low)]
        if not moved:
            # All but the table has been looked at.
            moved.append(1)
            instance.exports.move()
            instance.exports.more(300)
            views = [view for view in views if len(view) != 1]
        yield from views

    instance.exports.begin()
    monkeypatch.setattr(Replaceable, "_roots", interrupted)
    instance.exports.more(5_000)
    assert moved
    address = instance.exports.moved()._address
    assert address not in free(objects)
    instance.exports.more(5_000)
    assert address not in free(objects)
    assert instance.exports.moved()._address == address


def test_an_object_that_had_a_handle_during_a_look_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = world.exceptions
    tag = world.instance.address + world.instance.tag(0)
    address = objects.new(tag, (), [])
    objects.hold(address)
    objects.busy = True
    roots = Replaceable._roots

    def interrupted(self: Exceptions, low: int) -> Iterator[Sequence[int]]:
        objects.release(address)
        yield from roots(self, low)

    monkeypatch.setattr(Replaceable, "_roots", interrupted)
    assert objects._collect(0, True)
    assert objects.kept == 1
    objects.busy = False


def test_no_object_is_given_out_twice_when_callbacks_nest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wasm code that is called in the midst of a look gets objects that the look does not know."""
    instance = vw.instantiate(TABLES)
    objects = exceptions_of(instance.store)
    roots = Replaceable._roots
    kept: list[vw.ExceptionRef] = []

    def interrupted(self: Exceptions, low: int) -> Iterator[Sequence[int]]:
        if len(kept) < 500:
            kept.extend([instance.exports.make() for _ in range(100)])
        yield from roots(self, low)

    monkeypatch.setattr(Replaceable, "_roots", interrupted)
    instance.exports.drop(5_000)
    addresses = [reference._address for reference in kept]
    assert len(set(addresses)) == len(addresses) >= 100
    assert not set(addresses) & set(free(objects))


# -- how long landings live --------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_code_of_an_instance_whose_start_fails_stays_with_its_landings() -> None:
    """It has been thrown through, and may be called through a table."""
    store = vw.Store()
    main = vw.instantiate(
        """
        (module
          (tag (export "t"))
          (table (export "table") 1 funcref)
          (type $f (func (result i32)))
          (func (export "call") (result i32) (call_indirect (type $f) (i32.const 0))))
        """,
        store=store,
    )
    text = """
        (module
          (import "m" "t" (tag $t))
          (import "m" "table" (table 1 funcref))
          (func $throws (throw $t))
          (func $f (result i32)
            (block $h (try_table (catch $t $h) (call $throws)) (return (i32.const 1)))
            (i32.const 2))
          (elem (i32.const 0) $f)
          (func $start (drop (call $f)) (call $throws))
          (start $start))
        """
    for _ in range(3):
        with pytest.raises(vw.WasmException):
            vw.instantiate(text, {"m": main.exports}, store=store)
        gc.collect()
        # Elsewhere the memory would be used again.
        others = [vw.instantiate(text.replace("(start $start)", ""), {"m": main.exports}, store=store)]
        del others
        gc.collect()
        assert main.exports.call() == 2


@pytest.mark.ci
def test_a_store_that_takes_over_the_block_of_another_begins_without_landings() -> None:
    text = """
        (module
          (tag $t)
          (func $throws (throw $t))
          (func (export "f") (result i32)
            (block $h (try_table (catch $t $h) (call $throws)) (return (i32.const 1)))
            (i32.const 2)))
        """
    for _ in range(5):
        with vw.instantiate(text) as instance:
            assert instance.exports.f() == 2
            assert instance.exports.f() == 2
        del instance
        gc.collect()


def test_stores_in_threads_share_the_landings_of_a_module() -> None:
    module = vw.Module(
        """
        (module
          (tag $t (param i32))
          (func $throws (param i32) (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (local.get 0)))))
          (func (export "f") (param i32) (result i32)
            (block $h (result i32) (try_table (catch $t $h) (call $throws (local.get 0))) (i32.const -1))))
        """
    )
    failed = []

    def run() -> None:
        f = vw.instantiate(module).exports.f
        for number in range(200):
            if f(number) != (number if number & 1 else -1):
                failed.append(number)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@needs_threads_in_children
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_forked_child_throws_on_its_own() -> None:
    instance = vw.instantiate(TABLES)
    for index in range(4):
        instance.exports.keep(index)
    child = os.fork()
    if not child:
        try:
            instance.exports.drop(20_000)
            instance.exports.set()
            instance.exports.throws()
        except vw.WasmException:
            os._exit(0)
        finally:
            os._exit(1)
    instance.exports.drop(20_000)
    assert os.waitpid(child, 0)[1] == 0
    instance.exports.set()
    with pytest.raises(vw.WasmException):
        instance.exports.throws()


# -- what takes long ---------------------------------------------------------------------------------------------------

#: A deep stack of frames, each with many clauses that do not catch what is thrown.
LONG_WAY = f"""(module
  (import "env" "before" (func $before))
  (tag $t (param i64 v128)) (tag $other)
  (func $down (param i32)
    (block $l
      (try_table {"(catch $other $l)" * 2000}
        (if (local.get 0)
          (then (call $down (i32.sub (local.get 0) (i32.const 1))))
          (else (call $before) (throw $t (i64.const -7) (v128.const i64x2 8 9)))))))
  (func (export "run") (param i32) (result i64 v128)
    (block $caught (result i64 v128)
      (try_table (catch $t $caught) (call $down (local.get 0)))
      (unreachable)))
  (func (export "short") (result i64 v128)
    (block $caught (result i64 v128)
      (try_table (catch $t $caught) (throw $t (i64.const 1) (v128.const i64x2 2 3)))
      (unreachable))))"""


def test_an_exception_on_its_way_can_be_stopped() -> None:
    store = vw.Store()
    stop = False

    def interrupt() -> None:
        if stop:
            store.interrupt()

    before = vw.Func(store, vw.FuncType([], []), interrupt)
    run = vw.instantiate(LONG_WAY, {"env": {"before": before}}, store=store).exports.run
    assert run(10) == (-7, 8 | 9 << 64)
    stop = True
    with pytest.raises(vw.Interrupted):
        run(10)
    stop = False
    assert run(10) == (-7, 8 | 9 << 64)
    # On the way it takes seconds.
    with pytest.raises(vw.Interrupted), store.deadline(0.05):
        run(60_000)


def test_a_signals_handler_that_throws_leaves_what_is_on_its_way_as_it_is() -> None:
    exports = vw.instantiate(LONG_WAY, {"env": {"before": lambda: None}}).exports
    assert exports.run(10) == (-7, 8 | 9 << 64)
    heard = []

    def handler(*_: object) -> None:
        heard.append((exports.short(), exports.run(3)))

    former = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert exports.run(20_000) == (-7, 8 | 9 << 64)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert heard
    assert {*heard} == {((1, 2 | 3 << 64), (-7, 8 | 9 << 64))}
