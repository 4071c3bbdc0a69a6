"""What is thrown arrives where it is caught, with the registers that the function there relies on."""

from __future__ import annotations

import pytest

from tests.instances.hand import (
    PROCESSOR,
    REGISTER_CELLS,
    Function,
    Instance,
    Module,
    Trapped,
    World,
    calls,
    exceptions,
    registers,
    set_result,
    trap,
    used,
)
from vibewasm import abi
from vibewasm.backends.convention import ResultPlaces
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.context import CELL_FIND_LANDING, CELL_RETURN, CELL_THROWN, CELL_THROWN_TAG
from vibewasm.types import F32, F64, I32, I64, V128


def throwing(world: World, tag: int = 0, ints: int | None = None, floats: int | None = None) -> Block:
    """A function that throws a tag without values, from a frame whose registers are others than the caller's."""
    function = Function(PROCESSOR.ints if ints is None else ints, PROCESSOR.floats if floats is None else floats)
    if ints is None:
        block = registers(1000)
        world.keep.append(block)
        function.emit(PROCESSOR.registers(block.address, False))
    function.emit(exceptions.describe(0, 0, world.instance.tag(tag)), exceptions.throw())
    return world.function(function)


def passing(world: World, called: Block, seed: int, instance: Instance | None = None) -> Block:
    """A function with registers of its own that calls another one, and must not be returned to."""
    instance = instance or world.instance
    block = registers(seed)
    world.keep.append(block)
    function = Function().emit(PROCESSOR.registers(block.address, False))
    return world.function(function.emit(calls.call_record(instance.record(called)), trap()), instance)


def catching(world: World, called: Block, *tags: int, instance: Instance | None = None) -> tuple[Block, Block, Block]:
    """A function that calls another one and catches tags by context offset: its record, and what all pinned registers
    have to be, and are, when it has caught. Its result is which clause it was.
    """
    instance = instance or world.instance
    before, after = registers(1), Block(8 * REGISTER_CELLS)
    world.keep.append((before, after))
    function = Function().emit(PROCESSOR.registers(before.address, False))
    scope = function.scope()
    function.emit(calls.call_record(instance.record(called)))
    function.within(-1)
    function.emit(set_result(99)).ret()
    for number, tag in enumerate(tags):
        function.catch(scope, tag).emit(PROCESSOR.registers(after.address, True), set_result(number)).ret()
    return world.function(function, instance), before, after


def test_what_is_thrown_is_caught_in_the_same_frame(world: World) -> None:
    function = Function()
    scope = function.scope()
    function.emit(exceptions.describe(0, 0, world.instance.tag(0)), exceptions.throw())
    function.within(-1)
    function.emit(trap())
    function.catch(scope, world.instance.tag(0)).emit(set_result(7)).ret()
    record = world.function(function)
    for _ in range(3):
        assert world.call(record, (), (I64,)) == [7]


@pytest.mark.parametrize("depth", [0, 1, 10])
def test_pinned_registers_are_restored_through_any_number_of_frames(world: World, depth: int) -> None:
    called = throwing(world)
    for seed in range(depth):
        called = passing(world, called, seed + 2)
    record, before, after = catching(world, called, world.instance.tag(0))
    for _ in range(2):
        after.cells[:] = Block(8 * REGISTER_CELLS).cells
        assert world.call(record, (), (I64,)) == [0]
        assert used(after) == used(before)


@pytest.mark.parametrize("ints", [0, 1, 2, 3, PROCESSOR.ints])
@pytest.mark.parametrize("floats", [0, 1, 2, PROCESSOR.floats])
def test_only_what_a_function_has_saved_is_restored(world: World, ints: int, floats: int) -> None:
    record, before, after = catching(world, throwing(world, ints=ints, floats=floats), world.instance.tag(0))
    assert world.call(record, (), (I64,)) == [0]
    assert used(after) == used(before)


def test_a_warm_throw_calls_no_python(world: World) -> None:
    record, _, _ = catching(world, passing(world, throwing(world), 2), world.instance.tag(0))
    assert world.call(record, (), (I64,)) == [0]
    assert world.module.asked == [0, 1, 2]
    world.cells[CELL_FIND_LANDING] = 0
    assert world.call(record, (), (I64,)) == [0]
    assert world.module.asked == [0, 1, 2]


def test_clauses_are_asked_in_their_order_and_scopes_from_inside_out(world: World) -> None:
    tag = world.instance.tag
    for thrown, result in [(0, 1), (1, 2), (2, 3), (3, 3)]:
        function = Function()
        called = world.instance.record(throwing(world, thrown))
        outer = function.scope()
        inner = function.scope(outer)
        function.emit(calls.call_record(called), trap())
        function.within(-1)
        function.catch(inner, tag(0)).emit(set_result(1)).ret()
        function.catch(outer, tag(1)).emit(set_result(2)).ret()
        function.catch(outer).emit(set_result(3)).ret()
        function.catch(outer, tag(2)).emit(set_result(4)).ret()
        assert world.call(world.function(function), (), (I64,)) == [result]


def test_a_scope_reaches_from_its_boundary_to_the_next_one(world: World) -> None:
    """Each of three calls is in a scope of its own, and the last in none."""
    called = world.instance.record(throwing(world))
    nothing = world.instance.record(world.function(Function().ret()))
    for which in range(4):
        function = Function()
        for number in range(4):
            if number < 3:
                function.scope()
            else:
                function.within(-1)
            function.emit(calls.call_record(called if number == which else nothing))
        function.emit(trap())
        for number in range(3):
            function.catch(number).emit(set_result(number)).ret()
        record = world.function(function)
        if which < 3:
            assert world.call(record, (), (I64,)) == [which]
        else:
            with pytest.raises(Trapped):
                world.call(record, (), (I64,))


def test_a_throw_may_be_the_last_instruction_of_a_function(world: World) -> None:
    """Its return address is the first byte of what comes after it."""
    thrower = throwing(world)
    start, landings = world.module.functions[0]
    record, _, _ = catching(world, thrower, -1)
    assert world.call(record, (), (I64,)) == [0]
    assert start + len(landings.code) in world.exceptions._landings._known


def test_an_exception_that_nobody_catches_traps_with_its_frames(world: World) -> None:
    thrower = throwing(world)
    record, _, _ = catching(world, passing(world, thrower, 2), world.instance.tag(1))
    for _ in range(2):
        with pytest.raises(Trapped) as caught:
            world.call(record, (), (I64,))
        assert caught.value.number == abi.TRAP_EXCEPTION
        assert [context for _, context in caught.value.frames] == [world.instance.address] * 3
        starts = [start for start, _ in world.module.functions]
        ends = [start + len(landings.code) for start, landings in world.module.functions]
        for (pc, _), start, end in zip(caught.value.frames, starts, ends, strict=True):
            assert start < pc < end
        assert world.cells[CELL_THROWN_TAG] == world.instance.address + world.instance.tag(0)
    assert world.exceptions.thrown_tag == world.cells[CELL_THROWN_TAG]


def test_an_exception_crosses_instances_and_tags_are_compared_by_identity(world: World) -> None:
    other = Instance(world.store, Module())
    other.import_tag(2, world.instance, 0)
    called = passing(world, throwing(world), 2)
    called = passing(world, called, 3, other)
    record, before, after = catching(world, called, other.tag(0), other.tag(1), other.tag(2), instance=other)
    assert world.call(record, (), (I64,)) == [2]
    assert used(after) == used(before)
    # The code that catches has its own context again.
    function = Function()
    scope = function.scope()
    function.emit(calls.call_record(other.record(called)), trap())
    function.within(-1)
    function.catch(scope).emit(exceptions.describe(0, 0, other.tag(0)), exceptions.throw())
    with pytest.raises(Trapped):
        world.call(world.function(function, other))
    assert world.exceptions.thrown_tag == other.address + other.tag(0)


VALUES = {I32: 0xFFFF_FFF1, I64: 0x8000_0000_1234_5678, F32: 0xFFC0_0001, F64: 0xFFF8_0000_0000_0001, V128: 3**80}


@pytest.mark.parametrize(
    "types",
    [
        (I32,),
        (I64,),
        (F32,),
        (F64,),
        (V128,),
        (I32, F64, I64, F32),
        (F32, F32, F32, F64, I32, I32, I64),
        (V128, I32, V128, F32, I64, F64, V128),
    ],
)
def test_values_of_all_types_arrive(world: World, types: tuple[int, ...]) -> None:
    bits = [VALUES[code] for code in types]
    width = 16 if V128 in types else 8
    thrower = Function(params=types, slots=len(types), width=width)
    thrower.emit(exceptions.describe(len(types), thrower.slot(0), world.instance.tag(0), width), exceptions.throw())
    cells = [half for code, value in zip(types, bits, strict=True) for half in _cells(code, value)]
    record = world.function(thrower)
    with pytest.raises(Trapped):
        world.call(record, types, (), *bits)
    assert world.exceptions.read(types) == bits
    # Its values in slots, and from there in results; and the first one alone.
    for alone in (False, True):
        function = Function(params=types, slots=2 * len(types), width=width)
        scope = function.scope()
        function.emit(exceptions.describe(len(types), function.slot(0), world.instance.tag(0), width))
        function.emit(exceptions.throw())
        function.within(-1)
        function.catch(scope)
        if alone:
            function.emit(exceptions.caught_value(types[0])).ret()
            wanted = _cells(types[0], bits[0])
            assert world.call(world.function(function), types, types[:1], *bits) == wanted
        else:
            first = function.slot(len(types))
            function.emit(exceptions.caught_values(len(types), first, width))
            function.emit(calls.return_results(ResultPlaces(types), first, width)).ret()
            found = world.call(world.function(function), types, types, *bits)
            assert _masked(types, found) == cells


def _cells(code: int, value: int) -> list[int]:
    return [value & (1 << 64) - 1, value >> 64] if code == V128 else [value]


def _masked(types: tuple[int, ...], cells: list[int]) -> list[int]:
    """Cells of results, of which that of an f32 has an upper half without meaning."""
    found = list(cells)
    at = 0
    for code in types:
        if code in (F32, I32):
            found[at] &= 0xFFFF_FFFF
        at += 2 if code == V128 else 1
    return found


@pytest.mark.parametrize("width", [8, 16])
def test_a_thousand_values_arrive(world: World, width: int) -> None:
    types = ((I32, I64, F32, F64, V128) if width == 16 else (I64, I64, I32, F32, F64)) * 200
    bits = [VALUES[code] ^ 0x1F * index & 0xFFFF for index, code in enumerate(types)]
    tag = world.instance.tag(0)
    world.exceptions.write(world.instance.address + tag, types, bits)
    # They come from the results area, to be thrown from slots, and are thrown again as an object.
    function = Function(slots=2000, width=width)
    function.emit(exceptions.caught_values(len(types), function.slot(0), width), exceptions.describe(0, 0, tag))
    first = function.scope()
    function.emit(exceptions.describe(len(types), function.slot(0), tag, width), exceptions.throw())
    function.within(-1)
    function.emit(trap())
    function.catch(first).emit(exceptions.caught_reference())
    second = function.scope()
    function.emit(exceptions.throw_reference())
    function.within(-1)
    function.catch(second).emit(exceptions.caught_values(len(types), function.slot(1000), width))
    function.emit(calls.return_results(ResultPlaces(types), function.slot(1000), width)).ret()
    wanted = [half for code, value in zip(types, bits, strict=True) for half in _cells(code, value)]
    assert _masked(types, world.call(world.function(function), (), types)) == wanted


def test_an_object_is_thrown_again_as_itself(world: World) -> None:
    seen = Block(16)
    tag = world.instance.tag(1)
    bits = [5, 6]
    world.exceptions.write(world.instance.address + tag, (I64, I64), bits)
    inner = Function()
    scope = inner.scope()
    inner.emit(exceptions.throw())
    inner.within(-1)
    inner.catch(scope).emit(exceptions.caught_reference(), PROCESSOR.result_to_slot(inner.slot(0)))
    inner.emit(PROCESSOR.result_to_memory(seen.address), PROCESSOR.slot_to_result(inner.slot(0)))
    inner.emit(exceptions.throw_reference())
    function = Function()
    scope = function.scope()
    function.emit(calls.call_record(world.instance.record(world.function(inner))), trap())
    function.within(-1)
    function.catch(scope, tag).emit(exceptions.caught_reference()).ret()
    (address,) = world.call(world.function(function), (), (I64,))
    assert address == seen.cells[0] == world.cells[CELL_THROWN]
    assert world.exceptions.tag_of(address) == world.instance.address + tag
    assert world.exceptions.values_of(address, (I64, I64)) == bits


def test_a_null_faults_in_the_function_that_throws_it(world: World) -> None:
    function = Function().emit(set_result(0), exceptions.throw_reference())
    with pytest.raises(Trapped) as caught:
        world.call(world.function(function))
    assert caught.value.number == abi.TRAP_NULL
    ((pc, context),) = caught.value.frames
    start, landings = world.module.functions[0]
    assert start <= pc < start + len(landings.code)
    assert context == world.instance.address


def test_a_host_function_throws_as_if_its_caller_did(world: World) -> None:
    tag = world.instance.address + world.instance.tag(2)

    def host() -> int:
        world.exceptions.write(tag, (I32, F64), [3, 4])
        return abi.HOST_EXCEPTION

    called = world.host(host)
    for depth in range(3):
        record, before, after = catching(world, called, world.instance.tag(2))
        for _ in range(2):
            assert world.call(record, (), (I64,)) == [0]
            assert used(after) == used(before)
            assert world.exceptions.read((I32, F64)) == [3, 4]
        record, _, _ = catching(world, called, world.instance.tag(1))
        with pytest.raises(Trapped) as caught:
            world.call(record, (), (I64,))
        assert caught.value.number == abi.TRAP_EXCEPTION
        assert len(caught.value.frames) == depth + 1
        called = passing(world, called, depth + 2)
    # Called by nobody but Python, it is caught by nobody.
    with pytest.raises(Trapped) as caught:
        world.call(world.host(host))
    assert (caught.value.number, caught.value.frames) == (abi.TRAP_EXCEPTION, ())


def test_an_exception_passes_what_has_saved_nothing(world: World) -> None:
    """As a return frame is, whose address the store block has."""
    function = Function(ints=0, floats=0)
    function.emit(calls.call_record(world.instance.record(throwing(world))), trap())
    record, before, after = catching(world, world.function(function), -1)
    assert world.call(record, (), (I64,)) == [0]
    table = world.exceptions._landings
    start, landings = world.module.functions[1]
    (address,) = [found for found in table._known if start < found < start + len(landings.code)]
    # Now it is nobody's code.
    del table._known[address]
    table._grow(64)
    world.module.functions[1] = (0, landings)
    # The table goes on to refer to what is in there.
    world.keep.append(world.module._landings)
    world.module._landings = None
    world.cells[CELL_RETURN] = address
    after.cells[:] = Block(8 * REGISTER_CELLS).cells
    assert world.call(record, (), (I64,)) == [0]
    assert used(after) == used(before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
def test_what_comes_up_while_python_is_asked_ends_the_call(
    world: World, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, before, after = catching(world, passing(world, throwing(world), 2), world.instance.tag(0))

    def fails(defined: int) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(world.module, "landings", fails)
        for _ in range(2):
            with pytest.raises(error):
                world.call(record, (), (I64,))
    assert world.call(record, (), (I64,)) == [0]
    assert used(after) == used(before)


def test_what_is_thrown_survives_what_python_does_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler may call wasm code of the store, which throws other values."""
    types = (I64,) * 20
    bits = [*range(100, 120)]
    tag = world.instance.tag(0)
    other = World.call
    inner, _, _ = catching(world, throwing(world, 1), -1)
    assert other(world, inner, (), (I64,)) == [0]
    function = Function(slots=20)
    scope = function.scope()
    function.emit(exceptions.throw())
    function.within(-1)
    function.catch(scope, tag).emit(exceptions.caught_values(len(types), function.slot(0)))
    function.emit(calls.return_results(ResultPlaces(types), function.slot(0))).ret()
    record = world.function(function)
    asked = world.module.landings

    def landings(defined: int) -> object:
        world.exceptions.write(1, (I64,) * 1000, [7] * 1000)
        assert world.call(inner, (), (I64,)) == [0]
        return asked(defined)

    monkeypatch.setattr(world.module, "landings", landings)
    world.exceptions.write(world.instance.address + tag, types, bits)
    assert world.call(record, (), types) == bits


def test_the_table_grows_with_the_return_addresses(world: World) -> None:
    called = world.instance.record(throwing(world, ints=0, floats=0))
    function = Function(ints=0, floats=0)
    for _ in range(3000):
        scope = function.scope()
        function.emit(calls.call_record(called))
        function.within(-1)
        function.emit(trap())
        function.catch(scope)
    function.emit(set_result(3000)).ret()
    record = world.function(function)
    assert world.call(record, (), (I64,)) == [3000]
    world.cells[CELL_FIND_LANDING] = 0
    assert world.call(record, (), (I64,)) == [3000]
    assert world.module.asked == [0, 1]
