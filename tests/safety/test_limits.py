"""Limits, each at its edge: so much is allowed, and no more."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import vibewasm as vw
from vibewasm.limits import LIMITS

PAGE = 65536


def limits_of(**limits: Any) -> vw.ResourceLimits:
    return vw.ResourceLimits(**limits)


def store_with(**limits: int) -> vw.Store:
    return vw.Store(vw.Engine(vw.Config(limits=limits_of(**limits))))


def instances(store: vw.Store, *texts: str) -> None:
    for text in texts:
        vw.instantiate(text, store=store)


#: Modules that are instantiated one after another, and the least that they need of each limit that an instance meets.
NEEDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "max_memory": (
        PAGE + 8 * 5 + 2 * PAGE,
        ("(module (memory 1))", "(module (table 5 funcref))", "(module (memory 2))"),
    ),
    "max_memory_each": (2 * PAGE, ("(module (memory 1))", "(module (memory 2))")),
    "max_table_elements": (9, ("(module (table 2 funcref) (table 3 externref))", "(module (table 4 funcref))")),
    "max_table_elements_each": (4, ("(module (table 3 funcref) (table 3 externref))", "(module (table 4 funcref))")),
    "max_instances": (3, ("(module)",) * 3),
    "max_memories": (2, ("(module (memory 1))", "(module)", "(module (memory 0))")),
    "max_tables": (3, ("(module (table 1 funcref) (table 1 funcref))", "(module)", "(module (table 0 funcref))")),
    "max_globals": (
        3,
        ("(module (global i32 (i32.const 1)) (global i32 (i32.const 1)))", "(module (global i64 (i64.const 1)))"),
    ),
    "max_tags": (3, ("(module (tag))", "(module (tag) (tag (param i32)))")),
    "max_functions": (3, ("(module (func))", "(module (func) (func) (func))")),
    "max_types": (2, ("(module (type (func (param i32))) (type (func (param i64))))",)),
    "max_params": (3, ("(module (type (func (param i32 i64 f32))))",)),
    "max_results": (2, ("(module (type (func (param i32 i64 f32) (result i32 i32))))",)),
    "max_locals": (5, ("(module (func (param i32) (local i32 i64 i64) (local f32)) (func))",)),
}


@pytest.mark.parametrize("name", NEEDS)
def test_every_limit_is_met_exactly_at_its_edge(name: str) -> None:
    least, texts = NEEDS[name]
    store = store_with(**{name: least})
    instances(store, *texts)
    tight = store_with(**{name: least - 1})
    with pytest.raises((vw.LinkError, vw.ValidationError), match=rf"\.{name}\b.*\b{least - 1}\b") as caught:
        instances(tight, *texts)
    assert caught.value.limit == name
    # The store stays usable, and what was refused took nothing.
    assert len(tight._instances) == len(texts) - 1
    before = tight._memory_in_use(), tight._table_elements
    for _ in range(3):
        with pytest.raises((vw.LinkError, vw.ValidationError)):
            instances(tight, texts[-1])
    assert (tight._memory_in_use(), tight._table_elements) == before


@pytest.mark.parametrize("name", NEEDS)
def test_a_store_may_have_other_limits_than_its_engine(name: str) -> None:
    least, texts = NEEDS[name]
    engine = vw.Engine(vw.Config(limits=vw.ResourceLimits(max_module_size=1000)))
    tight = vw.Store(engine, limits=limits_of(**{name: least - 1}))
    with pytest.raises((vw.LinkError, vw.ValidationError)) as caught:
        instances(tight, *texts)
    assert caught.value.limit == name
    instances(vw.Store(engine, limits=vw.ResourceLimits()), *texts)


def test_a_table_is_not_larger_than_its_store_allows() -> None:
    store = vw.Store(vw.Engine(vw.Config(max_table_elements=1000)))
    with pytest.raises(vw.LinkError, match=r"1001 elements is more than Store\.max_table_elements allows") as caught:
        vw.instantiate("(module (table 1001 funcref))", store=store)
    assert caught.value.limit == "max_table_elements"
    vw.instantiate("(module (table 1000 funcref))", store=store)


def test_elements_of_all_tables_count_together() -> None:
    store = vw.Store(vw.Engine(vw.Config(max_table_elements=1000)))
    first = vw.instantiate('(module (table (export "t") 600 funcref))', store=store).exports.t
    with pytest.raises(vw.LinkError, match=r"401 elements .* allows: 1000, of which 600 are in use"):
        vw.instantiate("(module (table 401 funcref))", store=store)
    second = vw.Table(store, vw.TableType("externref", vw.Limits(300)))
    assert first.grow(100) == 600
    for table in (first, second):
        with pytest.raises(vw.WasmError, match=r"Store\.max_table_elements is 1000, of which 1000 are in use"):
            table.grow(1)
    assert store.limits_met == ("max_table_elements",)


def test_tables_count_for_max_memory() -> None:
    store = vw.Store(vw.Engine(vw.Config(max_memory=PAGE + 800)))
    exports = vw.instantiate(
        '(module (memory 1) (table (export "t") 60 funcref) (table 40 externref) '
        '(func (export "grow") (result i32) (table.grow 0 (ref.null func) (i32.const 1))) '
        '(func (export "more") (result i32) (memory.grow (i32.const 1))))',
        store=store,
    ).exports
    assert exports.grow() == exports.more() == -1
    with pytest.raises(vw.LinkError, match=r"1 element is more than Store\.max_memory allows: 66336 bytes, of which"):
        vw.Table(store, vw.TableType("funcref", vw.Limits(1)))
    assert store.limits_met == ("max_memory",)
    store.max_memory = PAGE + 808
    assert exports.grow() == 60
    assert exports.grow() == -1


def test_forty_tables_do_not_take_gigabytes_under_a_small_max_memory() -> None:
    grown = " ".join(f"(drop (table.grow {index} (ref.null func) (i32.const 10000000)))" for index in range(40))
    text = f'(module {"(table 0 funcref)" * 40} (func (export "f") {grown}))'
    store = vw.Store(vw.Engine(vw.Config(max_memory=1 << 20)))
    vw.instantiate(text, store=store).exports.f()
    assert store._memory_in_use() == 0
    assert sum(len(table._cells) for table in store._tables) == 0


MADE: dict[str, Callable[[vw.Store], object]] = {
    "max_memories": lambda store: vw.Memory(store, vw.MemoryType(vw.Limits(0))),
    "max_tables": lambda store: vw.Table(store, vw.TableType("funcref", vw.Limits(0))),
    "max_globals": lambda store: vw.Global(store, vw.GlobalType("i32"), 1),
    "max_tags": lambda store: vw.Tag(store, vw.TagType([])),
    "max_host_functions": lambda store: vw.Func(store, vw.FuncType([], []), lambda: None),
}


@pytest.mark.parametrize("name", MADE)
def test_objects_made_in_python_count_as_well(name: str) -> None:
    store = store_with(**{name: 3})
    for _ in range(3):
        MADE[name](store)
    for _ in range(3):
        with pytest.raises(vw.LinkError, match=rf"ResourceLimits\.{name} allows: 3, of which 3 are in use") as caught:
            MADE[name](store)
        assert caught.value.limit == name


def test_python_objects_and_those_of_instances_count_together() -> None:
    for name, text in (("max_globals", "(module (global i32 (i32.const 1)))"), ("max_tags", "(module (tag))")):
        store = store_with(**{name: 2})
        MADE[name](store)
        vw.instantiate(text, store=store)
        with pytest.raises(vw.LinkError, match=name):
            MADE[name](store)
        with pytest.raises(vw.LinkError, match=name):
            vw.instantiate(text, store=store)


def test_a_module_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    from vibewasm.wat import wat2wasm

    text = '(module (func (export "f")))'
    data = wat2wasm(text, names=True)
    for source in (data, text, text.encode(), bytearray(data), memoryview(data)):
        size = len(source) if source is not text else len(text)
        size = max(size, len(data))
        vw.Module(vw.Engine(vw.Config(limits=vw.ResourceLimits(max_module_size=size))), source)
        engine = vw.Engine(vw.Config(limits=vw.ResourceLimits(max_module_size=min(len(source), len(data)) - 1)))
        with pytest.raises(
            vw.ValidationError, match=r"a module of \d+ bytes, and ResourceLimits\.max_module_size"
        ) as c:
            vw.Module(engine, source)
        assert c.value.limit == "max_module_size"
    file = tmp_path / "large.wasm"
    with open(file, "wb") as stream:
        stream.write(data[:8])
        # Reading this would take all memory.
        stream.truncate(1 << 40)
    engine = vw.Engine(vw.Config(limits=vw.ResourceLimits(max_module_size=1 << 20)))
    for path in (file, str(file)):
        with pytest.raises(vw.ValidationError, match="a module of 1099511627776 bytes"):
            vw.Module(engine, path)
    with pytest.raises(vw.ValidationError, match="a module of 1099511627776 bytes"):
        vw.Module.from_file(engine, file)
    with pytest.raises(vw.ValidationError, match="a module of 2000000 bytes"):
        vw.Module.from_text(engine, "(" * 2_000_000)


def test_machine_code_of_a_module_has_a_limit() -> None:
    text = '(module (func (export "f") (result i32) (i32.const 7)) (func (export "g") (result i32) (i32.const 8)))'
    probe = vw.instantiate(text)
    probe.exports.f()
    one = probe.module._code.used  # type: ignore[union-attr]  # it has been compiled
    probe.exports.g()
    size = len(probe.module.compiler.compile(1))
    for most, fits in ((one + size, True), (one + size - 1, False)):
        instance = vw.instantiate(text, config=vw.Config(limits=vw.ResourceLimits(max_code=most)))
        assert instance.exports.f() == 7
        if fits:
            assert instance.exports.g() == 8
            continue
        for _ in range(2):
            with pytest.raises(vw.WasmError, match=rf"ResourceLimits\.max_code allows a module: {most}, of which") as c:
                instance.exports.g()
            assert c.value.limit == "max_code"
        assert instance.exports.f() == 7
    with pytest.raises(vw.WasmError, match="max_code"):
        vw.Module(vw.Engine(vw.Config(compilation="eager", limits=vw.ResourceLimits(max_code=1))), text)


@pytest.mark.parametrize(
    "text",
    [
        '(module (memory 1) (table 5 funcref) (data (i32.const 65536) "a"))',
        "(module (memory 1) (table 5 funcref) (elem (i32.const 5) $f) (func $f))",
        "(module (memory 1) (table 5 funcref) (start $f) (func $f unreachable))",
        "(module (memory 1) (table 5 funcref) (table 6 funcref))",
    ],
)
def test_an_instantiation_that_fails_gives_back_what_it_took(text: str) -> None:
    store = store_with(max_memory=PAGE + 40, max_table_elements=10, max_instances=1, max_memories=1, max_tables=2)
    for _ in range(3):
        with pytest.raises((vw.Trap, vw.LinkError)):
            vw.instantiate(text, store=store)
        assert not store._instances
        assert not store._memories
        assert store._memory_in_use() == store._table_elements == 0
    vw.instantiate("(module (memory 1) (table 5 funcref))", store=store)


def test_an_instance_that_failed_and_can_be_reached_stays_and_counts() -> None:
    store = store_with(max_instances=2, max_memory=2 * PAGE)
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(1)))
    store.max_memory = 2 * PAGE + 8
    text = """(module (import "a" "t" (table 1 funcref)) (memory 1) (elem (i32.const 0) $f)
        (func $f (result i32) (i32.load (i32.const 8)))
        (data (i32.const 0) "12345678\\07") (data (i32.const 65536) "a"))"""
    with pytest.raises(vw.Trap, match="out of bounds"):
        vw.instantiate(text, {"a": {"t": table}}, store=store)
    gc.collect()
    assert table[0]() == 7
    assert store._memory_in_use() == PAGE + 8
    assert len(store._instances) == 1


# -- exceptions in the middle ------------------------------------------------------------------------------------------


class Stop(Exception):
    """What is raised in the middle of something."""


#: The files of ``vibewasm.api`` in which something is taken and given back.
TAKING = {"config", "func", "instantiation", "memory", "table", "taking"}


def stopped_at(count: int, operation: Callable[[], object]) -> bool:
    """Whether an exception was raised before the ``count``-th line that is executed of those that take something.

    Elsewhere, an exception between two lines may be one that CPython would never raise there: it looks for signals, and
    for what other threads want to raise, where something is called and where a loop begins anew.
    """
    left = count

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        code = frame.f_code
        if "vibewasm/api/" not in code.co_filename or Path(code.co_filename).stem not in TAKING:
            return None
        if Path(code.co_filename).stem == "func" and not code.co_name.startswith("_init"):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise Stop
        return trace

    sys.settrace(trace)
    try:
        operation()
    except Stop:
        return True
    finally:
        sys.settrace(None)
    return False


GROWING = vw.Module(
    """(module (memory (export "m") 1) (table (export "t") 3 funcref) (func $f) (elem declare func $f)
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "more") (drop (table.grow (ref.func $f) (i32.const 2)))))"""
)

OPERATIONS: dict[str, Callable[[vw.Store, Any], object]] = {
    "instantiate": lambda store, exports: vw.instantiate(GROWING, store=store),
    "memory.grow": lambda store, exports: exports.grow(),
    "table.grow": lambda store, exports: exports.more(),
    "Memory": lambda store, exports: vw.Memory(store, vw.MemoryType(vw.Limits(1))),
    "Memory.grow": lambda store, exports: exports.m.grow(1),
    "Table": lambda store, exports: vw.Table(store, vw.TableType("externref", vw.Limits(2)), "object"),
    "Table.grow": lambda store, exports: exports.t.grow(2),
    "Func": lambda store, exports: vw.Func(store, vw.FuncType([], []), lambda: None),
}


def check_sums(store: vw.Store) -> None:
    """See that what is counted is what there is."""
    from vibewasm.api.taking import _defined

    memories = sum(memory.size for memory in store._memories)
    elements = sum(len(table) for table in store._tables)
    assert store._memory_in_use() == memories + 8 * elements
    assert store._table_elements == elements
    assert store._host_functions == sum(func._instance is None for func in store._funcs.values())
    assert _defined(store)[0] == len(store._globals) + sum(len(i.module.info.global_inits) for i in store._instances)


@pytest.mark.parametrize("name", OPERATIONS)
def test_sums_stay_right_wherever_an_exception_comes_up(name: str) -> None:
    store = vw.Store(limits=vw.ResourceLimits(max_memory=1 << 30, max_globals=1000, max_host_functions=1000))
    exports = vw.instantiate(GROWING, store=store).exports
    # What is loaded and compiled at the first time is not what is looked at.
    OPERATIONS[name](store, exports)
    count = 1
    while stopped_at(count, lambda: OPERATIONS[name](store, exports)):
        check_sums(store)
        count += 1
    assert count > 5
    check_sums(store)
    store.close()


def test_threads_that_make_memories_at_once_are_all_counted() -> None:
    store = vw.Store(limits=vw.ResourceLimits(max_memories=400, max_memory=400 * PAGE))
    errors: list[BaseException] = []

    def make() -> None:
        for _ in range(50):
            try:
                vw.Memory(store, vw.MemoryType(vw.Limits(1)))
            except vw.WasmError as error:
                errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store._memories) + len(errors) == 400
    check_sums(store)


# -- the class ---------------------------------------------------------------------------------------------------------


def test_limits_cannot_be_changed_and_are_equal_where_they_say_the_same() -> None:
    import copy
    import pickle

    limits = vw.ResourceLimits(max_memory=5, max_tables=0)
    assert limits == vw.ResourceLimits(max_tables=0, max_memory=5) != vw.ResourceLimits(max_memory=5)
    assert hash(limits) == hash(vw.ResourceLimits(max_memory=5, max_tables=0))
    assert repr(limits) == "ResourceLimits(max_memory=5, max_tables=0)"
    for twin in (copy.copy(limits), copy.deepcopy(limits), pickle.loads(pickle.dumps(limits))):
        assert twin == limits
    assert limits.replace(max_memory=None, max_code=7) == vw.ResourceLimits(max_tables=0, max_code=7)
    with pytest.raises(AttributeError, match="cannot be changed"):
        limits.max_memory = 6
    with pytest.raises(AttributeError, match="cannot be changed"):
        del limits.max_memory
    config = vw.Config(limits=limits)
    assert config == pickle.loads(pickle.dumps(config)) != vw.Config()


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_is_a_number_or_none(name: str) -> None:
    assert getattr(vw.ResourceLimits(), name) is None
    for value in (0, 1, 1 << 70):
        assert getattr(limits_of(**{name: value}), name) == value
    wrong: Any
    for wrong in (1.5, "1", True, []):
        with pytest.raises(TypeError, match=f"^ResourceLimits: {name} has to be a number of .*, an int, not "):
            limits_of(**{name: wrong})
    with pytest.raises(ValueError, match=f"^ResourceLimits: {name} is a number of .*, 0 or more, not -1"):
        limits_of(**{name: -1})


def test_a_limit_that_there_is_none_of_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="has no parameter 'max_table'; did you mean 'max_tables'"):
        vw.ResourceLimits(max_table=3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="limits are given by name"):
        vw.ResourceLimits(3)  # type: ignore[arg-type]  # what is tested
    wrong: Any
    for wrong in (3, {"max_memory": 1}, vw.Limits(1)):
        with pytest.raises(TypeError, match=r"^Store: limits has to be a ResourceLimits or None"):
            vw.Store(limits=wrong)


def test_the_usual_limits_are_those_of_the_command() -> None:
    usual = vw.ResourceLimits.usual(max_memory=5, max_written=None)
    assert (usual.max_memory, usual.max_written, usual.max_memory_each) == (5, None, None)
    others = {name: number for name, (_, number) in LIMITS.items() if name not in ("max_memory", "max_written")}
    assert {name: getattr(usual, name) for name in others} == others
    with pytest.raises(TypeError, match="no parameter 'max_memry'"):
        vw.ResourceLimits.usual(max_memry=5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda limit: vw.Config(**limit(max_stack=1)), "Config has no parameter 'max_stack': write Config(limits=Res"),
        (
            lambda limit: vw.Store(**limit(max_stack=1)),
            "no parameter 'max_stack': write Store(engine, limits",
        ),
        (lambda limit: vw.Store(**limit(max_memory=1)), "write Store(engine, limits=ResourceLimits(max_memory=...))"),
        (lambda limit: vw.Store(**limit(fuel=1)), "'fuel': Config(fuel=True) has code count fuel, and store.fuel = "),
        (lambda limit: vw.Store(**limit(engin=1)), "Store has no parameter 'engin'; did you mean 'engine'?"),
        (lambda limit: vw.instantiate("(module)", **limit(limits=1)), "write Config(limits=ResourceLimits(...))"),
        (lambda limit: vw.instantiate("(module)", **limit(max_tables=1)), "write Config(limits=ResourceLimits(max_t"),
        (lambda limit: vw.instantiate("(module)", **limit(timeout=1)), "statement around it, with vibewasm.deadline("),
        (lambda limit: vw.ResourceLimits(**limit(timeout=1)), "statement around it, with vibewasm.deadline(seconds):"),
        (lambda limit: vw.ResourceLimits(**limit(max_fuel=1)), "Config(fuel=True) has code count fuel, and store.fuel"),
        (lambda limit: vw.WasiConfig(**limit(max_written=1)), "write Config(limits=ResourceLimits(max_written=...))"),
        (lambda limit: vw.Engine(**limit(max_written=1)), "write Config(limits=ResourceLimits(max_written=...))"),
    ],
)
def test_where_a_limit_is_given_is_said_where_it_is_not(make: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        make(dict)
    assert text in str(caught.value)


def test_limits_of_a_store_cannot_be_exchanged() -> None:
    store = vw.Store()
    with pytest.raises(AttributeError, match=r"given when it is made: Store\(engine, limits=limits\)"):
        store.limits = vw.ResourceLimits()  # type: ignore[assignment]  # what is tested


def test_of_two_limits_for_one_thing_the_lower_one_counts() -> None:
    for one, other in ((5, 7), (7, 5)):
        config = vw.Config(
            max_memory=one,
            max_table_elements=one,
            max_references=one,
            limits=vw.ResourceLimits(max_memory=other, max_table_elements=other, max_references=other),
        )
        store = vw.Store(vw.Engine(config))
        assert (store.max_memory, store.max_table_elements, store.max_references) == (5, 5, 5)
        assert store.limits == vw.ResourceLimits(max_memory=5, max_table_elements=5, max_references=5)
        store.max_memory = 9
        assert store.limits.max_memory == 9
