"""What can be done with the objects of a store that is closed, or that runs in another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from vibewasm.calls.process import adapters
from vibewasm.instances import data_copies, segments
from vibewasm.runtime.linear_memory import LinearMemory

TEXT = """
(module
  (import "env" "host" (func $host (result i32)))
  (memory (export "memory") 1 5)
  (table (export "funcs") 2 10 funcref)
  (table (export "things") 2 10 externref)
  (global (export "number") (mut i32) (i32.const 7))
  (global (export "func") (mut funcref) (ref.func $f))
  (global (export "thing") (mut externref) (ref.null extern))
  (elem (table 0) (i32.const 0) func $f)
  (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (call $host)))
  (func (export "many") (param i32 i32 i32 i32 i32) (result i32 i32) (local.get 0) (local.get 1))
  (func (export "reference") (param externref) (result externref) (local.get 0))
  (func (export "get") (result funcref) (table.get 0 (i32.const 0))))
"""


def set_value(variable: Any, value: object) -> None:
    """Set a global."""
    variable.value = value


def set_fuel(store: vw.Store) -> None:
    """Give a store fuel."""
    store.fuel = 5


def enter(context: Any) -> None:
    """Enter and leave a context manager."""
    with context:
        pass


class World:
    """One of each object of a store, with a second reference to what has some."""

    def __init__(self) -> None:
        # An emulator never forgets a page that was reserved.
        self.engine = vw.Engine(vw.Config(fuel=True, explicit_bounds=EMULATED))
        self.store = vw.Store(self.engine)
        self.store.fuel = 10_000
        self.module = vw.Module(self.engine, TEXT)
        self.linker = vw.Linker(self.engine)
        self.host: Callable[[], int] = lambda: 1
        self.linker.define("env", "host", lambda: self.host())
        self.instance = self.linker.instantiate(self.store, self.module)
        self.exports = e = self.instance.exports
        self.other_exports = vw.Exports(self.instance)
        self.memory, self.funcs, self.things = e.memory, e.funcs, e.things
        self.number, self.func, self.thing = e.number, e.func, e.thing
        self.f = e.f
        e.things[0] = "kept"
        e.thing.value = "kept"
        self.own_global = vw.Global(self.store, vw.GlobalType("externref", True), self)
        self.own_func = vw.Func(self.store, vw.FuncType([], ["i32"]), lambda: 3, name="three")
        self.iterator = iter(self.things)
        self.byte_iterator = iter(self.memory)
        next(self.iterator)
        next(self.byte_iterator)
        assert e.f(1) == 2
        assert e.many(1, 2, 3, 4, 5) == (1, 2)
        assert e.reference("kept") == "kept"


#: What uses the contents of a store, and so raises when it is closed.
USES: dict[str, Callable[[World], object]] = {
    "call": lambda w: w.f(1),
    "call of five": lambda w: w.exports.many(1, 2, 3, 4, 5),
    "call with a reference": lambda w: w.exports.reference(w),
    "call of a function not met before": lambda w: w.exports["get"](),
    "call through other exports": lambda w: w.other_exports.f(1),
    "call with a wrong argument": lambda w: w.f("x"),
    "call of a Python function": lambda w: w.own_func(),
    "call_raw": lambda w: w.f.call_raw([1]),
    "call_raw with a reference": lambda w: w.exports.reference.call_raw([1]),
    "memory[i]": lambda w: w.memory[0],
    "memory[i] = x": lambda w: w.memory.__setitem__(0, 1),
    "memory[a:b]": lambda w: w.memory[0:5],
    "memory[:]": lambda w: w.memory[:],
    "memory[0:0]": lambda w: w.memory[0:0],
    "memory[a:b] = x": lambda w: w.memory.__setitem__(slice(0, 2), b"ab"),
    "memory.read": lambda w: w.memory.read(0, 1),
    "memory.write": lambda w: w.memory.write(0, b"a"),
    "memory.view": lambda w: w.memory.view(),
    "memory.__array_interface__": lambda w: w.memory.__array_interface__,
    "memory.grow": lambda w: w.memory.grow(1),
    "memory.grow(0)": lambda w: w.memory.grow(0),
    "memory.size": lambda w: w.memory.size,
    "memory.pages": lambda w: w.memory.pages,
    "len(memory)": lambda w: len(w.memory),
    "bytes(memory)": lambda w: bytes(w.memory),
    "iter(memory)": lambda w: list(w.memory),
    "an iterator of memory": lambda w: next(w.byte_iterator),
    "table[i]": lambda w: w.funcs[0],
    "table[i] of externref": lambda w: w.things[0],
    "table[i] = x": lambda w: w.funcs.__setitem__(0, None),
    "table[i] = x of externref": lambda w: w.things.__setitem__(0, w),
    "len(table)": lambda w: len(w.funcs),
    "list(table)": lambda w: list(w.things),
    "an iterator of table": lambda w: next(w.iterator),
    "table.grow": lambda w: w.funcs.grow(1),
    "global.value": lambda w: w.number.value,
    "global.value of funcref": lambda w: w.func.value,
    "global.value of externref": lambda w: w.thing.value,
    "global.value of one of its own": lambda w: w.own_global.value,
    "global.raw": lambda w: w.number.raw,
    "global.value = x": lambda w: set_value(w.number, 1),
    "global.value = x of externref": lambda w: set_value(w.thing, w),
    "store.fuel": lambda w: w.store.fuel,
    "store.fuel = x": lambda w: set_fuel(w.store),
    "store.deadline": lambda w: w.store.deadline(1),
    "with store": lambda w: enter(w.store),
    "Func": lambda w: vw.Func(w.store, vw.FuncType(), print),
    "Memory": lambda w: vw.Memory(w.store, vw.MemoryType(vw.Limits(1))),
    "Table": lambda w: vw.Table(w.store, vw.TableType("funcref", vw.Limits(1))),
    "Global": lambda w: vw.Global(w.store, vw.GlobalType("i32")),
    "Global of externref": lambda w: vw.Global(w.store, vw.GlobalType("externref"), w),
    "linker.instantiate": lambda w: w.linker.instantiate(w.store, w.module),
    "instantiate": lambda w: vw.instantiate("(module)", {"a": {"m": w.memory}}, config=None),
}

#: What only names and describes, and works for ever.
DESCRIPTIONS: dict[str, Callable[[World], object]] = {
    "repr of everything": lambda w: [repr(value) for value in vars(w).values()],
    "types": lambda w: [x.type for x in (w.memory, w.funcs, w.things, w.number, w.func, w.f, w.own_func, w.own_global)],
    "stores": lambda w: [x.store for x in (w.memory, w.funcs, w.number, w.f, w.instance)],
    "names": lambda w: [w.f.name, w.own_func.name, w.module.name],
    "exports": lambda w: [*w.exports.items(), *w.other_exports.values(), "f" in w.exports, len(w.exports)],
    "limits": lambda w: [w.store.max_memory, w.store.max_table_elements],
    "interrupt": lambda w: w.store.interrupt(),
    "disassemble": lambda w: str(w.f.disassemble()),
    "an instance in another store": lambda w: w.linker.instantiate(vw.Store(w.engine), w.module),
}


@pytest.fixture
def world() -> World:
    """A store that is open, with everything in it."""
    return World()


@pytest.mark.parametrize("use", USES)
def test_a_closed_store_raises_one_error_for_all_that_uses_it(world: World, use: str) -> None:
    world.store.close()
    with pytest.raises(
        vw.WasmError, match="this store is closed, and what belongs to it cannot be used any more: make a new one"
    ):
        USES[use](world)


@pytest.mark.parametrize("use", USES)
def test_a_view_that_kept_a_closed_memory_is_the_only_way_to_it(world: World, use: str) -> None:
    view = world.memory.view()
    view[3] = 9
    with pytest.raises(BufferError, match="a view of one of its memories is in use"):
        world.store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        USES[use](world)
    assert view[3] == 9
    view.release()
    world.store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        len(world.memory)


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_descriptions_outlive_their_store(world: World, description: str) -> None:
    if description == "disassemble":
        pytest.importorskip("capstone")
    DESCRIPTIONS[description](world)
    world.memory.grow(2)
    types = [world.memory.type, world.funcs.type]
    world.store.close()
    DESCRIPTIONS[description](world)
    world.store.close()
    assert [world.memory.type, world.funcs.type] == types
    assert world.memory.type.limits == vw.Limits(3, 5)
    assert repr(world.memory) == "<vibewasm.Memory, closed>"
    assert repr(world.number) == "<vibewasm.Global i32, closed>"
    assert repr(world.things) == "<vibewasm.Table of externref, closed>"


def test_a_global_that_holds_itself_has_a_repr(world: World) -> None:
    world.own_global.value = world.own_global
    assert repr(world.own_global) == "<vibewasm.Global externref of an object>"
    world.own_global.value = None
    assert repr(world.own_global) == "<vibewasm.Global externref null>"


def test_growing_a_closed_memory_touches_no_memory_of_others(world: World) -> None:
    # The address space may be somebody else's by now.
    linear = world.memory._linear
    world.store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        world.memory.grow(1)
    assert linear.size == 0


def test_a_deadline_may_end_after_its_store() -> None:
    world = World()
    with world.store.deadline(30), world.store.deadline(0):
        world.store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        enter(world.store.deadline(1))


def test_a_deadline_that_was_made_before_cannot_begin_after_its_store() -> None:
    world = World()
    deadline = world.store.deadline(1)
    world.store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        enter(deadline)


def test_a_value_that_closes_the_store_while_it_is_converted_reaches_no_memory() -> None:
    class Closing:
        def __init__(self, store: vw.Store) -> None:
            self.store = store

        def __index__(self) -> int:
            self.store.close()
            return 1

    attempts: list[Callable[[World, Any], object]] = [
        lambda w, c: w.memory.__setitem__(0, c),
        lambda w, c: w.memory.__setitem__(c, 0),
        lambda w, c: w.memory.__setitem__(slice(c, 2), b"a"),
        lambda w, c: w.memory[c],
        lambda w, c: w.memory[c:2],
        lambda w, c: w.memory.read(c, 1),
        lambda w, c: w.memory.write(c, b"a"),
        lambda w, c: w.memory.grow(c),
        lambda w, c: w.funcs.grow(c),
    ]
    for attempt in attempts:
        world = World()
        with pytest.raises(vw.WasmError, match="this store is closed"):
            attempt(world, Closing(world.store))
    # While a call is active nobody can close it, and the arguments are part of the call.
    world = World()
    with pytest.raises(vw.WasmError, match="while a call is active"):
        world.f(Closing(world.store))


def test_a_store_that_another_thread_closes_between_a_check_and_a_use_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = vw.Store._check_open

    for use in ("memory.view", "memory.__array_interface__"):
        world = World()

        def late(store: vw.Store) -> None:
            real(store)
            store.close()

        with monkeypatch.context() as patch:
            patch.setattr(vw.Store, "_check_open", late)
            with pytest.raises(vw.WasmError, match="this store is closed"):
                USES[use](world)
    for use in ("memory[i]", "memory[a:b]", "memory.read", "memory.write", "memory[a:b] = x", "memory[i] = x"):
        world = World()
        memory = world.memory
        # Made anew when a read is beyond its end: a place for another thread to come in.
        memory._bytes = memoryview(b"")
        current = vw.Memory._current

        def late_view(memory: vw.Memory, current: Any = current, store: vw.Store = world.store) -> memoryview:
            view: memoryview = current(memory)
            store.close()
            return view

        with monkeypatch.context() as patch:
            patch.setattr(vw.Memory, "_current", late_view)
            with pytest.raises(vw.WasmError, match="this store is closed"):
                USES[use](world)


@pytest.mark.parametrize("count", [1, 100])
def test_a_store_that_another_thread_closes_before_segments_are_copied_is_closed(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    world = World()
    text = "(module (memory 1)" + '(data (i32.const 9) "a")' * count + ")"
    begin = segments.Segments.begin

    def late(self: segments.Segments, instance: vw.Instance) -> None:
        begin(self, instance)
        instance.store.close()

    monkeypatch.setattr(segments.Segments, "begin", late)
    with pytest.raises(vw.WasmError, match="this store is closed"):
        vw.Linker(world.store.engine).instantiate(world.store, vw.Module(world.store.engine, text))


def test_closing_a_store_leaves_a_memory_that_segments_are_being_copied_to(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    module = vw.Module(engine, "(module (memory 1)" + '(data (i32.const 9) "a")' * 100 + ")")

    class Adapters:
        def copy_data(self, data: bytes, copies: int) -> int:
            with pytest.raises(BufferError, match="a view of one of its memories is in use"):
                store.close()
            copied: int = adapters().copy_data(data, copies)
            return copied

    monkeypatch.setattr(data_copies, "adapters", Adapters)
    instance = vw.Linker(engine).instantiate(store, module)
    assert bytes(instance._memories[0]._bytes[9:10]) == b"a"
    with pytest.raises(vw.WasmError, match="this store is closed"):
        len(instance._memories[0])
    store.close()


def test_a_memory_is_whole_before_another_thread_can_close_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    store = vw.Store(vw.Engine())
    view = LinearMemory.view

    def late(memory: LinearMemory) -> memoryview:
        store.close()
        return view(memory)

    monkeypatch.setattr(LinearMemory, "view", late)
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    assert repr(memory) == "<vibewasm.Memory, closed>"
    store.close()


# -- the end of a with block -------------------------------------------------------------------------------------------


def test_the_exception_of_a_block_is_not_replaced_by_that_of_closing() -> None:
    world = World()

    def block() -> None:
        with world.store:
            view[0] = 1 // (view[0] - view[0])

    view = world.memory.view()
    with pytest.raises(ZeroDivisionError) as caught:
        block()
    (note,) = caught.value.__notes__
    assert "the store is closed, but a view of one of its memories is in use" in note
    assert "with block" in note
    with pytest.raises(vw.WasmError, match="this store is closed"):
        world.f(1)
    view.release()
    world.store.close()


def test_the_exception_of_a_block_that_cannot_close_its_store_is_not_replaced_either() -> None:
    world = World()

    def host() -> int:
        with world.store:
            return 1 // 0

    world.host = host
    with pytest.raises(ZeroDivisionError) as caught:
        world.f(1)
    note, *_ = caught.value.__notes__
    assert "a store cannot be closed while a call is active in it" in note
    world.host = lambda: 1
    assert world.f(1) == 2


def test_a_block_that_ends_well_says_that_a_view_is_in_use() -> None:
    world = World()
    with pytest.raises(BufferError, match="a view of one of its memories is in use"), world.store:
        view = world.memory.view()
    view.release()
    world.store.close()


# -- another thread ----------------------------------------------------------------------------------------------------

#: What another thread may do while a call is active.
ALLOWED = {
    "memory[i]", "memory[i] = x", "memory[a:b]", "memory[:]", "memory[0:0]", "memory[a:b] = x", "memory.read",
    "memory.write",
    "memory.view", "memory.__array_interface__", "memory.size", "memory.pages", "len(memory)", "bytes(memory)",
    "iter(memory)", "an iterator of memory", "len(table)", "global.value", "global.raw", "store.fuel", "store.fuel = x",
    "store.deadline", "instantiate",
}  # fmt: skip


@pytest.fixture(scope="module")
def busy() -> Iterator[World]:
    """A store in which a call is active in another thread, until the tests are done."""
    world = World()
    entered, leave = threading.Event(), threading.Event()

    def wait() -> int:
        entered.set()
        leave.wait()
        return 1

    world.host = wait
    thread = threading.Thread(target=world.f, args=(1,))
    thread.start()
    entered.wait()
    yield world
    leave.set()
    thread.join()
    world.host = lambda: 1
    # A use may have set it to less than a call takes.
    world.store.fuel = 10_000
    assert world.f(1) == 2


@pytest.mark.parametrize("use", [use for use in USES if use not in ("with store", "instantiate")])
def test_a_store_that_runs_in_another_thread_can_only_be_looked_at(busy: World, use: str) -> None:
    if use in ALLOWED:
        USES[use](busy)
    else:
        with pytest.raises(vw.WasmError, match="this store is running in another thread"):
            USES[use](busy)


@pytest.mark.parametrize("use", ["table.grow", "table[i]", "table[i] = x", "memory.grow", "global.value of funcref"])
def test_no_other_thread_starts_a_call_while_what_code_relies_on_changes(
    use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    outcomes: list[str] = []

    def call() -> None:
        try:
            world.f(1)
        except vw.WasmError as error:
            outcomes.append(str(error))

    # Somebody calls when it is half done. Code that runs then would go on with cells that are freed below it.
    def late(function: Any) -> Any:
        def meanwhile(*arguments: Any) -> Any:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
            return function(*arguments)

        return meanwhile

    for cls, name in ((vw.Table, "_resize"), (vw.Table, "_check"), (vw.Memory, "_grow"), (vw.Store, "_func_at")):
        monkeypatch.setattr(cls, name, late(getattr(cls, name)))
    USES[use](world)
    assert outcomes
    assert all("this store is running in another thread" in outcome for outcome in outcomes)
    assert world.f(1) == 2


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_descriptions_are_there_while_a_store_runs_in_another_thread(busy: World, description: str) -> None:
    if description == "interrupt":
        return
    if description == "disassemble":
        pytest.importorskip("capstone")
    DESCRIPTIONS[description](busy)


def test_a_store_that_runs_in_another_thread_cannot_be_closed(busy: World) -> None:
    with pytest.raises(vw.WasmError, match="while a call is active"):
        busy.store.close()
    assert busy.memory[0:1]
