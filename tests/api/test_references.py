"""Python objects that wasm code was given: they stay while wasm code can reach them, and not much longer."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from vibewasm.instances import references
from vibewasm.instances.references import SMALLEST_BUDGET

#: Everything by which a call can begin: the fast ways, the packed one, the general one; each drops a new object.
ENTRIES = """(module
  (import "env" "make" (func $make (result externref)))
  (import "env" "make2" (func $make2 (result i32 externref)))
  (table (export "table") 8 externref)
  (global (export "global") (mut externref) (ref.null extern))
  (func (export "p0") (drop (call $make)))
  (func (export "p1") (param i32) (drop (call $make)))
  (func (export "p2") (param i32 i32) (result i32) (drop (call $make)) (local.get 0))
  (func (export "p3") (param f64 i32 i64) (drop (call $make)))
  (func (export "p4") (param i32 i32 i32 i32) (result f32) (drop (call $make)) (f32.const 1))
  (func (export "p5") (param i32 i32 i32 i32 i32) (drop (call $make)))
  (func (export "several") (result i32 i32) (call $make2) drop i32.const 5)
  (func (export "general") (param externref) (result externref) (drop (call $make)) (local.get 0))
  (func (export "take") (param externref))
  (func (export "many") (param i32)
    (loop (drop (call $make))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""


class Thing:
    """An object that counts how many there are."""

    alive = 0

    def __init__(self) -> None:
        Thing.alive += 1

    def __del__(self) -> None:
        Thing.alive -= 1


@pytest.fixture(autouse=True)
def none_alive() -> None:
    # What an earlier test left in a cycle must not go during this one.
    gc.collect()
    Thing.alive = 0


def entries(make: Callable[[], object] = Thing, config: vw.Config | None = None) -> vw.Instance:
    return vw.instantiate(ENTRIES, {"env": {"make": make, "make2": lambda: (1, make())}}, config=config)


def repeat(call: Callable[[], object]) -> None:
    """Call so often that a collection is due."""
    for _ in range(2 * SMALLEST_BUDGET):
        call()


def test_objects_that_host_functions_return_are_let_go_whatever_the_call_looks_like() -> None:
    f = entries().exports.p0
    most = 0
    for _ in range(120_000 if not EMULATED else 5_000):
        f()
        most = max(most, Thing.alive)
    assert most <= SMALLEST_BUDGET + 1
    f.store.gc()
    assert Thing.alive == 0


CALLS: dict[str, Callable[[Any], object]] = {
    "p0": lambda e: e.p0(),
    "p1": lambda e: e.p1(1),
    "p2": lambda e: e.p2(1, 2),
    "p3": lambda e: e.p3(1.5, 2, 3),
    "p4": lambda e: e.p4(1, 2, 3, 4),
    "p5": lambda e: e.p5(1, 2, 3, 4, 5),
    "several": lambda e: e.several(),
    "general": lambda e: e.general(Thing()),
    "raw": lambda e: e.p0.call_raw([]),
    "argument": lambda e: e.take(Thing()),
    "keeps none": lambda e: e.take(None) or e.p1.call_raw([1]),
    "table": lambda e: e.table.__setitem__(1, Thing()),
    "grow": lambda e: e.table.grow(0, Thing()),
    "global": lambda e: setattr(e["global"], "value", Thing()),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_way_in_collects(call: str) -> None:
    exports = entries().exports
    for _ in range(10 * SMALLEST_BUDGET):
        CALLS[call](exports)
        assert Thing.alive <= 2 * SMALLEST_BUDGET


def test_a_call_that_ended_in_a_trap_or_an_exception_is_followed_by_a_collection_too() -> None:
    def make() -> Thing:
        if Thing.alive > SMALLEST_BUDGET + 20:
            raise LookupError
        return Thing()

    exports = entries(make).exports
    with pytest.raises(LookupError):
        exports.many(10_000)
    exports.take(None)
    assert Thing.alive == 0
    exports.p0()
    assert Thing.alive == 1


def test_objects_in_a_store_that_is_never_called_are_let_go() -> None:
    store = vw.Store(vw.Engine())
    table = vw.Table(store, vw.TableType("externref", vw.Limits(2)))
    variable = vw.Global(store, vw.GlobalType("externref", True), None)
    for _ in range(2000):
        table[0] = Thing()
        variable.value = Thing()
        vw.Table(store, vw.TableType("externref", vw.Limits(2)), variable.value)
    assert Thing.alive <= 2000 + 2 * 2000
    table[0] = None
    store.gc()
    # Each of the tables holds one.
    assert Thing.alive == 2000


def test_what_tables_and_globals_hold_stays() -> None:
    store = vw.Store(vw.Engine())
    linker = vw.Linker(store.engine)
    things = {name: Thing() for name in ("host table", "host global", "fixed", "own table", "own global", "segment")}
    kept = {name: weakref.ref(thing) for name, thing in things.items()}
    host_table = vw.Table(store, vw.TableType("externref", vw.Limits(3)), things["host table"])
    host_global = vw.Global(store, vw.GlobalType("externref", True), things["host global"])
    linker.define("env", "table", host_table)
    linker.define("env", "global", host_global)
    linker.define("env", "fixed", vw.Global(store, vw.GlobalType("externref"), things["fixed"]))
    linker.define("env", "segment", vw.Global(store, vw.GlobalType("externref"), things["segment"]))
    linker.define("env", "make", Thing)
    owner = """(module (table (export "t") 2 externref) (global (export "g") (mut externref) (ref.null extern))
      (func (export "set") (param externref externref)
        (table.set (i32.const 1) (local.get 0)) (global.set 0 (local.get 1))))"""
    user = """(module
      (import "env" "table" (table $host 3 externref)) (import "env" "global" (global $var (mut externref)))
      (import "env" "fixed" (global $fixed externref)) (import "env" "segment" (global $segment externref))
      (import "owner" "t" (table $t 2 externref)) (import "owner" "g" (global $g (mut externref)))
      (import "env" "make" (func $make (result externref)))
      (global $copy externref (global.get $fixed))
      (table $late 1 externref)
      (elem $e externref (global.get $segment))
      (func (export "churn") (drop (call $make)))
      (func (export "all") (result externref externref externref externref externref externref)
        (table.init $late $e (i32.const 0) (i32.const 0) (i32.const 1))
        (table.get $host (i32.const 2)) (global.get $var) (global.get $copy)
        (table.get $t (i32.const 1)) (global.get $g) (table.get $late (i32.const 0))))"""
    instance = linker.instantiate(store, vw.Module(store.engine, owner))
    instance.exports.set(things["own table"], things["own global"])
    linker.define_instance("owner", instance)
    exports = linker.instantiate(store, vw.Module(store.engine, user)).exports
    # What nobody has a name for any more is in use all the same.
    del instance, host_table, host_global, linker
    things.clear()
    gc.collect()
    for _ in range(3 * SMALLEST_BUDGET):
        exports.churn()
    store.gc()
    assert [ref() for ref in kept.values()] == list(exports.all())
    assert None not in exports.all()
    assert Thing.alive == len(kept)
    # What is dropped or overwritten goes.
    store.close()
    gc.collect()
    assert [name for name, ref in kept.items() if ref() is not None] == []


def test_an_object_that_only_running_wasm_code_has_stays() -> None:
    text = """(module (import "env" "make" (func $make (result externref))) (import "env" "churn" (func $churn))
      (func (export "f") (result externref) (local externref)
        (local.set 0 (call $make)) (call $churn) (local.get 0))
      (func (export "drops") (drop (call $make))))"""
    made = []

    def make() -> Thing:
        made.append(weakref.ref(thing := Thing()))
        return thing

    def churn() -> None:
        for _ in range(5 * SMALLEST_BUDGET):
            instance.exports.drops()
        with pytest.raises(vw.WasmError, match="while a call is active"):
            instance.store.gc()

    instance: vw.Instance = vw.instantiate(text, {"env": {"make": make, "churn": churn}})
    thing = instance.exports.f()
    assert thing is not None
    assert thing is made[0]()
    instance.store.gc()
    assert Thing.alive == 1


def test_an_object_has_one_handle_while_it_is_held_and_handles_are_not_used_again() -> None:
    exports = vw.instantiate(
        """(module (table (export "t") 2 externref)
          (func (export "id") (param externref) (result externref) (local.get 0))
          (func (export "fetch") (result externref) (table.get (i32.const 0))))"""
    ).exports
    thing = Thing()
    exports.t[0] = thing
    (handle,) = exports.fetch.call_raw([])
    seen = set()
    for _ in range(3):
        seen |= set(exports.id.call_raw([0]))
        for _ in range(2 * SMALLEST_BUDGET):
            assert exports.id(other := Thing()) is other
        exports.t[1] = thing
        assert exports.id(thing) is thing
        assert exports.fetch.call_raw([]) == [handle]
    exports.t[0] = exports.t[1] = None
    exports.id.call_raw([0])
    exports.fetch.store.gc()
    with pytest.raises(ValueError, match="is no reference of type externref that this store gave out"):
        exports.id.call_raw([handle])
    exports.t[0] = thing
    assert exports.fetch.call_raw([]) != [handle]
    assert exports.fetch() is thing


def test_raw_results_are_good_until_the_next_call() -> None:
    exports = entries().exports
    store = exports.p0.store
    make = vw.Func(store, vw.FuncType([], ["externref"]), Thing)
    for collect in (store.gc, lambda: [exports.table.__setitem__(0, Thing()) for _ in range(1000)]):
        raw = make.call_raw([])
        collect()
        got = exports.general.call_raw(raw)
        assert got == raw
        exports.table[0] = None
    # The last raw result is all that stays.
    store.gc()
    assert Thing.alive == 1
    exports.general.call_raw([0])
    store.gc()
    assert Thing.alive == 0


def test_gc_frees_at_once_and_says_when_it_cannot() -> None:
    exports = entries().exports
    store = exports.p0.store
    store.gc()
    for _ in range(100):
        exports.p0()
    exports.table[3] = "kept"
    assert Thing.alive == 100
    store.gc()
    assert Thing.alive == 0
    assert exports.table[3] == "kept"
    store.close()
    with pytest.raises(vw.WasmError, match="closed"):
        store.gc()


def test_gc_while_another_thread_runs_the_store_is_an_error() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def make() -> None:
        inside.set()
        go_on.wait(20)

    exports = entries(make).exports
    thread = threading.Thread(target=exports.p0)
    thread.start()
    try:
        assert inside.wait(20)
        with pytest.raises(vw.WasmError, match="another thread"):
            exports.p0.store.gc()
    finally:
        go_on.set()
        thread.join()
    exports.p0.store.gc()


def test_threads_that_take_turns_all_collect() -> None:
    exports = entries().exports

    def work() -> None:
        for _ in range(SMALLEST_BUDGET - 10):
            exports.p0()

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert Thing.alive <= 2 * SMALLEST_BUDGET


def test_no_thread_loses_what_it_puts_in_a_table_while_another_collects() -> None:
    store = vw.Store(vw.Engine())
    table = vw.Table(store, vw.TableType("externref", vw.Limits(4)))
    variable = vw.Global(store, vw.GlobalType("externref", True), None)
    stop = threading.Event()
    wrong: list[object] = []

    def patiently(function: Callable[..., object], *arguments: object) -> object:
        """What a function of the store returns once no other thread has the store."""
        while True:
            with suppress(vw.WasmError):
                return function(*arguments)

    def collect() -> None:
        while not stop.is_set():
            # Unless one of the others is collecting.
            with suppress(vw.WasmError):
                store.gc()

    def put(index: int) -> None:
        things = [Thing() for _ in range(3)]
        for number in range(2_000):
            thing = things[number % 3]
            patiently(table.__setitem__, index, thing)
            if patiently(table.__getitem__, index) is not thing:
                wrong.append((index, number))
            if index == 0:
                patiently(setattr, variable, "value", thing)
                if patiently(getattr, variable, "value") is not thing:
                    wrong.append(("global", number))
            patiently(table.__setitem__, index, None)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        collector = threading.Thread(target=collect)
        workers = [threading.Thread(target=put, args=(index,)) for index in range(3)]
        for thread in [collector, *workers]:
            thread.start()
        for thread in workers:
            thread.join()
    finally:
        stop.set()
        collector.join()
        sys.setswitchinterval(interval)
    assert wrong == []


class _Last:
    """An object that calls a function when it goes."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __del__(self) -> None:
        self.function()


def test_finalisers_may_call_the_store_and_hand_in_objects() -> None:
    exports = entries().exports
    done = []

    def last() -> None:
        exports.p0()
        exports.table[2] = "from a finaliser"
        done.append(exports.p2(3, 4))
        exports.p0.store.gc()

    exports.take(_Last(last))
    for _ in range(2 * SMALLEST_BUDGET):
        exports.p0()
    assert done == [3]
    assert exports.table[2] == "from a finaliser"


def test_a_finaliser_may_close_the_store() -> None:
    exports = entries().exports
    store = exports.p0.store
    exports.take(_Last(store.close))
    with pytest.raises(vw.WasmError, match="closed"):
        repeat(exports.p0)
    other = entries().exports
    other.take(_Last(other.p0.store.close))
    other.p0.store.gc()
    with pytest.raises(vw.WasmError, match="closed"):
        other.p0()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finaliser_that_raises_does_not_disturb_the_call() -> None:
    def fail() -> None:
        raise LookupError("finaliser")

    exports = entries().exports
    exports.take(_Last(fail))
    for _ in range(2 * SMALLEST_BUDGET):
        exports.p0()
    assert Thing.alive <= SMALLEST_BUDGET + 1


def test_a_collection_that_is_broken_off_leaves_the_store_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    exports = entries().exports
    exports.table[0] = "kept"

    def interrupted(store: vw.Store, held: set[int]) -> int:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(references, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        repeat(exports.p0)
    for _ in range(3 * SMALLEST_BUDGET):
        exports.p0()
    assert exports.table[0] == "kept"
    assert Thing.alive <= SMALLEST_BUDGET + 1


def test_the_cost_of_collecting_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    look = references._look

    def counted(store: vw.Store, held: set[int]) -> int:
        nonlocal looked_at
        count = look(store, held)
        looked_at += count + len(store._references or ())
        return count

    monkeypatch.setattr(references, "_look", counted)
    instance = entries()
    exports = instance.exports
    exports.table.grow(30_000)
    things = [Thing() for _ in range(20_000)]
    for index, thing in enumerate(things):
        exports.table[index] = thing
    for _ in range(100):
        exports.many(1000)
    # 120,000 objects were handed in, into a table of 30,000.
    assert looked_at < 1_500_000
    assert Thing.alive < 100_000


# -- the limit ---------------------------------------------------------------------------------------------------------


def test_a_host_function_that_returns_one_object_too_many_traps() -> None:
    exports = entries(config=vw.Config(max_references=1000)).exports
    store = exports.p0.store
    assert store.max_references == 1000
    exports.many(1000)
    for _ in range(3):
        with pytest.raises(vw.Trap, match=r"too many references: .* 1000 objects .*Store\.max_references") as caught:
            exports.many(1001)
        assert (caught.value.code, caught.value.limit) == ("too_many_references", "max_references")
        assert [frame.func_index for frame in caught.value.frames] == [11]
        assert caught.value.frames[0].wasm_offset is not None
    assert Thing.alive == 1000
    exports.p0()
    assert Thing.alive == 1
    # The same object again is no new one.
    same = Thing()
    again = entries(lambda: same, vw.Config(max_references=1)).exports
    again.many(5000)


def test_results_of_several_values_count_too() -> None:
    exports = entries(config=vw.Config(max_references=3)).exports
    exports.table[0], exports.table[1], exports.table[2] = things = [Thing() for _ in range(3)]
    with pytest.raises(vw.Trap, match="too many references"):
        exports.several()
    exports.table[0] = None
    assert exports.several() == (1, 5)
    assert things


def test_arguments_and_elements_beyond_the_limit_are_errors_and_what_is_not_held_makes_room() -> None:
    exports = entries(config=vw.Config(max_references=4)).exports
    store = exports.p0.store
    for _ in range(50):
        assert exports.general(Thing()) is not None
        exports.table[5] = Thing()
        exports["global"].value = Thing()
    exports.table[5] = exports["global"].value = None
    for index in range(3):
        exports.table[index] = Thing()
    exports.table[5] = Thing()
    message = r"more than 4 objects .* Store\.max_references .*Config\(max_references="
    for put in (
        lambda: exports.take(Thing()),
        lambda: exports.table.__setitem__(6, Thing()),
        lambda: setattr(exports["global"], "value", Thing()),
        lambda: exports.table.grow(1, Thing()),
    ):
        with pytest.raises(vw.WasmError, match=message) as caught:
            put()
        assert not isinstance(caught.value, vw.Trap)
    assert len(exports.table) == 8
    assert exports["global"].value is None
    store.max_references = 5
    exports.take(Thing())
    store.max_references = 1
    with pytest.raises(vw.WasmError, match="more than 1 objects"):
        exports.take(Thing())
    exports.take(exports.table[5])
    for index in range(8):
        exports.table[index] = None
    exports.take(Thing())
    exports.p0()


def test_a_limit_is_a_number_of_objects() -> None:
    store = vw.Store(vw.Engine())
    assert store.max_references == vw.Config().max_references == 10_000_000
    for wrong, error in ((-1, ValueError), (1.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match="max_references"):
            vw.Config(max_references=wrong)  # type: ignore[arg-type]  # what is tested
        with pytest.raises(error, match="max_references"):
            store.max_references = wrong  # type: ignore[assignment]  # what is tested
