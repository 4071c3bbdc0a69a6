"""Exception objects are freed when nobody holds them, and not before."""

from __future__ import annotations

import gc
import resource
import threading
from typing import Any

import pytest

import vibewasm as vw
from tests.growth import assert_linear
from tests.instances.hand import PROCESSOR, Function, World, calls, exceptions
from tests.instances.objects import TABLES, free, look, total
from tests.native import EMULATED
from vibewasm.instances.exception_objects import SMALLEST_BUDGET
from vibewasm.instances.exceptions import exceptions_of
from vibewasm.runtime.context import CELL_RESULTS, CELL_THROWN, CELL_THROWN_COUNT
from vibewasm.types import EXNREF, I32, I64


def make(world: World, function: Function, params: tuple[int, ...] = (), tag: int = 0) -> Function:
    """Code that makes an object of the values in the first slots, in the result register."""
    return function.emit(
        exceptions.describe(len(params), function.slot(0), world.instance.tag(tag)), exceptions.caught_reference()
    )


def clear(world: World) -> None:
    """Let what is being thrown hold nothing."""
    world.cells[CELL_THROWN] = world.cells[CELL_THROWN_COUNT] = 0


# -- who holds an object -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(PROCESSOR.ints))
def test_a_pinned_register_holds_an_object(world: World, order: int) -> None:
    kept: list[int] = []

    def host() -> int:
        clear(world)
        kept.append(look(world.exceptions))
        return 0

    called = world.instance.record(world.host(host))
    function = make(world, Function()).emit(PROCESSOR.result_to_pinned(order))
    function.emit(calls.call_record(called), PROCESSOR.pinned_to_result(order)).ret()
    (address,) = world.call(world.function(function), (), (I64,))
    assert kept == [1]
    assert look(world.exceptions) == 0
    assert address in free(world.exceptions)


def test_registers_that_functions_on_the_way_have_saved_hold_objects(world: World) -> None:
    """Each of three functions keeps one in its last pinned register, and the third one allocates."""
    kept: list[int] = []
    last = PROCESSOR.ints - 1
    allocate = exceptions_of(world.store).allocate

    def counted(count: int, low: int) -> int:
        address = allocate(count, low)
        kept.append(world.exceptions.kept)
        return address

    world.exceptions.allocate = counted  # type: ignore[method-assign]
    inner = make(world, Function()).emit(PROCESSOR.result_to_pinned(last))
    for _ in range(3 * SMALLEST_BUDGET):
        make(world, inner)
    called = world.function(inner.ret())
    for _ in range(2):
        function = make(world, Function()).emit(PROCESSOR.result_to_pinned(last))
        called = world.function(function.emit(calls.call_record(world.instance.record(called))).ret())
    world.call(called)
    assert len(kept) >= 3
    # The newest one may be found in a register besides.
    assert all(3 <= count <= 5 for count in kept[1:]), kept


def test_a_slot_of_a_frame_holds_an_object_also_through_nested_calls(world: World) -> None:
    kept: list[int] = []
    depth = 3

    def host() -> int:
        nonlocal depth
        clear(world)
        if depth:
            depth -= 1
            world.call(record)
        kept.append(look(world.exceptions))
        return 0

    called = world.instance.record(world.host(host))
    function = make(world, Function()).emit(PROCESSOR.result_to_slot(Function().slot(3)))
    function.emit(PROCESSOR.result_to_memory(world.store._area.address + 8 * 2047))
    function.emit(calls.call_record(called)).ret()
    record = world.function(function)
    world.call(record)
    world.store._area.cells[2047] = 0
    assert kept[0] == 4
    assert kept == sorted(kept, reverse=True)
    assert look(world.exceptions) == 0


def test_an_object_holds_those_among_its_values(world: World) -> None:
    objects = world.exceptions
    tag = world.instance.address + world.instance.tag(0)
    inner = objects.new(tag, (I32,), [5])
    wide = objects.new(tag, (I64,) * 9 + (EXNREF,), [0] * 9 + [inner])
    outer = objects.new(tag, (EXNREF, I64), [wide, 1])
    objects.hold(inner)
    objects.hold(wide)
    objects.hold(outer)
    objects.release(inner)
    objects.release(wide)
    assert look(objects) == 3
    assert objects.values_of(objects.values_of(outer, (EXNREF, I64))[0], (I64,) * 9 + (EXNREF,))[9] == inner
    objects.release(outer)
    assert look(objects) == 0
    assert not objects._wide


def test_a_long_chain_of_objects_is_held_by_its_head(world: World) -> None:
    objects = world.exceptions
    tag = world.instance.address + world.instance.tag(0)
    head = 0
    for _ in range(20_000):
        before, head = head, objects.new(tag, (EXNREF,), [head])
        objects.hold(head)
        if before:
            objects.release(before)
    assert look(objects) == 20_000
    assert total(objects) < 50_000
    objects.release(head)
    assert look(objects) == 0


def test_handles_are_counted_and_known(world: World) -> None:
    objects = world.exceptions
    tag = world.instance.address + world.instance.tag(0)
    address = objects.new(tag, (), [])
    assert not objects.knows(address)
    assert look(objects) == 1
    for count in range(3):
        objects.hold(address)
        assert objects.knows(address), count
        assert objects.named() == [address]
    for _ in range(3):
        assert look(objects) == 1
        objects.release(address)
    assert not objects.knows(address)
    assert not objects.knows(address + 8)
    assert look(objects) == 0
    assert objects.named() == []


def test_what_is_being_thrown_holds_objects(world: World) -> None:
    objects = world.exceptions
    tag = world.instance.address + world.instance.tag(0)
    address = objects.new(tag, (), [])
    objects.hold(address)
    objects.write(tag, (I64, EXNREF), [0, address])
    objects.release(address)
    assert look(objects) == 1
    assert objects.read((I64, EXNREF)) == [0, address]
    # What is beyond the values is of the past.
    objects.write(tag, (I64,), [0])
    assert world.cells[CELL_RESULTS + 2] == address
    assert look(objects) == 0


def test_tables_and_globals_hold_objects_of_instances_and_of_python() -> None:
    instance = vw.instantiate(TABLES)
    store = instance.store
    objects = exceptions_of(store)
    other = vw.instantiate(
        '(module (import "m" "global" (global (mut exnref))) (global (export "g") (mut exnref) (ref.null exn)))',
        {"m": {"global": instance.exports["global"]}},
        store=store,
    )
    made = vw.Global(store, vw.GlobalType("exnref", mutable=True), None)
    table = vw.Table(store, vw.TableType("exnref", vw.Limits(2)))
    for index in range(8):
        instance.exports.keep(index)
    instance.exports.set()
    other.exports.g.value = instance.exports.make()
    made.value = instance.exports.make()
    table[1] = instance.exports.make()
    store._cells[CELL_THROWN] = 0
    assert look(objects) == 12
    instance.exports.drop(10_000)
    assert look(objects) <= 13
    made.value = None
    table[1] = None
    for index in range(4):
        instance.exports.table[index] = None
    store._cells[CELL_THROWN] = 0
    store._area.cells[:] = memoryview(bytes(8 * len(store._area.cells))).cast("Q")
    assert look(objects) == 6
    instance.exports["global"].value = None
    other.exports.g.value = None
    assert look(objects) == 4


def test_dropped_objects_are_used_again_and_memory_stays_flat() -> None:
    instance = vw.instantiate(TABLES)
    objects = exceptions_of(instance.store)
    instance.exports.drop(2_000)
    before = total(objects)
    gc.collect()
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    instance.exports.drop(50_000 if EMULATED else 1_000_000)
    assert total(objects) == before <= 2 * SMALLEST_BUDGET
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size < 4096


def test_objects_with_many_values_are_freed_within_a_call_too(world: World) -> None:
    types = (I64,) * 100
    function = Function(slots=100)
    for _ in range(500):
        make(world, function, types)
    record = world.function(function.ret())
    for _ in range(20):
        world.call(record)
    assert len(world.exceptions._wide) < 500
    clear(world)
    assert look(world.exceptions) == 0
    assert not world.exceptions._wide


def test_values_are_in_the_objects_that_python_makes_room_for(world: World) -> None:
    for count in (0, 1, 6, 7, 8, 9, 1000):
        types = (I64,) * count
        tag = world.instance.address + world.instance.tag(1)
        function = Function().emit(exceptions.caught_reference()).ret()
        record = world.function(function)
        found = set()
        for _ in range(3):
            bits = [1000 + index for index in range(count)]
            world.exceptions.write(tag, types, bits)
            (address,) = world.call(record, (), (I64,))
            assert world.exceptions.tag_of(address) == tag
            assert world.exceptions.values_of(address, types) == bits
            world.exceptions.hold(address)
            found.add(address)
            # What was caught is still there.
            assert world.exceptions.read(types) == bits
        assert len(found) == 3


def test_python_makes_objects_while_wasm_code_holds_others(world: World) -> None:
    tag = world.instance.address + world.instance.tag(0)
    made = []

    def host() -> int:
        clear(world)
        for index in range(5 * SMALLEST_BUDGET):
            address = world.exceptions.new(tag, (I64,), [index])
            world.exceptions.hold(address)
            world.exceptions.release(address)
            made.append(address)
        return 0

    function = make(world, Function()).emit(PROCESSOR.result_to_pinned(0))
    function.emit(calls.call_record(world.instance.record(world.host(host))), PROCESSOR.pinned_to_result(0)).ret()
    (address,) = world.call(world.function(function), (), (I64,))
    assert address not in made
    assert total(world.exceptions) <= 3 * SMALLEST_BUDGET


# -- limits ------------------------------------------------------------------------------------------------------------

HOARD = """
(module
  (tag $t)
  (table $t 100000 exnref)
  (func (export "hoard") (param $n i32) (local $i i32)
    (loop $l
      (table.set (local.get $i)
        (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get $n)))))
  (func (export "forget") (table.fill (i32.const 0) (ref.null exn) (i32.const 100000))))
"""


@pytest.mark.parametrize("limit", [1, 10, 1000, 50_000])
def test_more_objects_than_the_store_allows_are_a_trap(limit: int) -> None:
    instance = vw.instantiate(HOARD, config=vw.Config(max_references=limit))
    with pytest.raises(vw.Trap, match=f"too many references: wasm code may hold {limit} exceptions") as caught:
        instance.exports.hoard(2 * limit + 2)
    assert caught.value.code == "too_many_references"
    instance.exports.forget()
    instance.exports.hoard(max(1, limit // 2))
    instance.exports.forget()
    tag = vw.Tag(instance.store, vw.TagType([]))
    kept = []
    function = vw.instantiate(
        '(module (func (export "f") (param exnref) (result exnref) (local.get 0)))', store=instance.store
    ).exports.f
    if limit <= 1000:

        def hoard() -> None:
            for _ in range(2 * limit + 2):
                kept.append(function(vw.WasmException(tag)))

        with pytest.raises(vw.WasmError, match=f"more than {limit} exceptions"):
            hoard()


def test_holding_many_is_linear() -> None:
    instance = vw.instantiate(HOARD)

    def work(count: int) -> None:
        instance.exports.hoard(count)
        instance.exports.forget()

    assert_linear(lambda count: count, work, 5_000 if EMULATED else 20_000)


DEEP = """
(module
  (tag $t)
  (func $down (param $n i32)
    (if (local.get $n)
      (then (call $down (i32.sub (local.get $n) (i32.const 1))))
      (else (throw $t))))
  (func $hold (param $n i32)
    (if (local.get $n)
      (then (call $hold (i32.sub (local.get $n) (i32.const 1))))
      (else (call $drop (i32.const 5000)))))
  (func $drop (param i32)
    (loop $l
      (drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "deep") (param $n i32) (result i32)
    (block $h (try_table (catch $t $h) (call $down (local.get $n))) (return (i32.const 0)))
    (i32.const 1))
  (func (export "drop_deep") (param $n i32) (call $hold (local.get $n))))
"""


def in_large_stack(work: Any) -> None:
    """Do something in a thread that has 512 MiB of stack."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(512 << 20)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    if failed:
        raise failed[0]


def test_throwing_through_a_million_frames_is_linear() -> None:
    def work() -> None:
        deep = vw.instantiate(DEEP).exports.deep
        assert deep(10) == 1
        assert_linear(lambda count: count, deep, 50_000 if EMULATED else 250_000)
        assert deep(1_000_000) == 1

    in_large_stack(work)


def test_a_look_through_a_deep_stack_is_paid_by_the_objects_that_it_gives() -> None:
    def work() -> None:
        instance = vw.instantiate(DEEP)
        objects = exceptions_of(instance.store)
        instance.exports.drop_deep(100_000)
        assert total(objects) > SMALLEST_BUDGET

    in_large_stack(work)
