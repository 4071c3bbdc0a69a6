"""Work of the engine on a guest's behalf is cut short: decoding, checking, compiling, laying out, filling."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import vibewasm as vw
from benchmarks import stopping as hostile
from tests.binary import encode
from vibewasm.errors import guest_work
from vibewasm.instances import exception_objects, references
from vibewasm.instances.context import Template
from vibewasm.wat import wasm2wat, wat2wasm

from .stopping_work import ENDLESS, in_engine
from .stopping_work import all_is_loaded as all_is_loaded
from .stopping_work import nothing_is_left as nothing_is_left

#: What would take minutes, for most of these tests.
BLOCKS = hostile._blocks()
SIZES: dict[Callable[[int], bytes], int] = {
    hostile._functions: 990_000,
    hostile._imports: 200_000,
    hostile._expressions: 300_000,
    hostile._customs: 1_000_000,
}
#: Seconds that are long for what has to stop, on any machine.
LONG = 10.0


@pytest.fixture
def soon() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Has another thread do something in a moment."""
    timers = []

    def begin(action: Callable[[], object], seconds: float = 0.1) -> None:
        timers.append(threading.Timer(seconds, action))
        timers[-1].start()

    yield begin
    for timer in timers:
        timer.join()


def _stopped(action: Callable[[], object], match: str = "stopped by a deadline of 0.05 seconds") -> None:
    begun = time.monotonic()
    with pytest.raises(vw.Interrupted, match=match), vw.deadline(0.05):
        action()
    assert time.monotonic() - begun < LONG


def _for_ever(action: Callable[[], object]) -> None:
    while True:
        action()


@pytest.mark.parametrize("mode", ["eager", "lazy-translation"])
def test_a_deadline_stops_making_a_module(mode: str) -> None:
    engine = vw.Engine(vw.Config(compilation=mode))
    doing = "compiling" if mode == "eager" else "checking"
    _stopped(lambda: vw.Module(engine, BLOCKS), f"0.05 seconds, while {doing} function 0 <run>")
    # The engine is as good as before.
    assert vw.instantiate('(module (func (export "f") (result i32) (i32.const 5)))', engine=engine).exports.f() == 5


def test_a_deadline_stops_checking_a_module() -> None:
    _stopped(lambda: vw.Module.validate(BLOCKS), "while checking function 0")


@pytest.mark.parametrize(
    "make",
    [hostile._functions, hostile._customs, hostile._exports, hostile._imports, hostile._globals, hostile._expressions],
)
def test_a_deadline_stops_decoding(make: Callable[[int], bytes]) -> None:
    data = make(SIZES.get(make, 400_000))
    _stopped(lambda: vw.Module(data), "while decoding the module")


@pytest.mark.parametrize("make", [hostile._text, hostile._nested_text])
def test_a_deadline_stops_assembling(make: Callable[[], str]) -> None:
    text = make()
    _stopped(lambda: vw.Module(text), "while assembling the text")


def test_a_deadline_stops_the_text_format_where_it_is_called_itself() -> None:
    text = hostile._text()
    _stopped(lambda: wat2wasm(text), "while assembling the text")
    _stopped(lambda: wasm2wat(BLOCKS), "while writing the text")


@pytest.mark.skipif(importlib.util.find_spec("capstone") is None, reason="needs capstone")
def test_a_deadline_stops_listings() -> None:
    sums = "(drop (i32.add (i32.const 1) (i32.const 2)))"
    _stopped(lambda: vw.Module(f"(module (func {sums * 3000}))").disassemble()[0], "while listing function 0")
    listing = vw.Module(f"(module (func {sums * 2000}))").disassemble()[0]
    for write in (str, type(listing).as_dict, type(listing)._repr_html_):

        def written(write: Callable[..., object] = write) -> None:
            while True:
                write(listing)

        _stopped(written, "while writing the listing of function 0")


def test_a_deadline_stops_comparing_with_limits() -> None:
    groups = 2_000_000
    body = encode.unsigned(groups) + b"\0\x7f" * groups + b"\x0b"
    wasm = encode.module(
        encode.section("type", encode.vector([encode.func_type([])])),
        encode.section("function", b"\1\0"),
        encode.section("code", encode.vector([encode.unsigned(len(body)) + body])),
    )
    limits = vw.ResourceLimits(max_locals=100)
    _stopped(lambda: vw.Module(vw.Engine(vw.Config(limits=limits)), wasm), "while comparing the module with limits")
    module = vw.Module(wasm)
    store = vw.Store(limits=limits)
    _stopped(lambda: vw.Linker().instantiate(store, module), "while comparing the module with limits")


def test_a_deadline_of_a_store_stops_what_is_done_in_its_block_for_no_store() -> None:
    with vw.Store() as store, pytest.raises(vw.Interrupted, match=r"deadline of 0\.05 seconds"), store.deadline(0.05):
        vw.instantiate(hostile._text(), store=store)


def test_a_deadline_stops_serializing() -> None:
    module = vw.Module(BLOCKS)
    _stopped(module.serialize)


@pytest.mark.parametrize("make", [hostile._elements, hostile._expressions])
def test_a_deadline_stops_instantiation_and_the_module_is_good_still(make: Callable[..., bytes]) -> None:
    module = vw.Module(make(500_000))
    _stopped(lambda: vw.Linker().instantiate(vw.Store(), module))
    small = vw.Module(make(1000))
    for _ in range(20):
        # Wherever it was stopped.
        with pytest.raises(vw.Interrupted), vw.deadline(0.02):
            _for_ever(lambda: vw.Linker().instantiate(vw.Store(), small))
        vw.Linker().instantiate(vw.Store(), small).exports.run()


def _imports(count: int) -> vw.Module:
    """A module that imports one function again and again."""
    return vw.Module(wat2wasm("(module" + '(import "env" "f" (func))' * count + ")"))


@pytest.mark.parametrize("defined", [True, False])
def test_a_deadline_stops_linking(defined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store = vw.Store()
    linker = vw.Linker()
    if defined:
        linker.define("env", "f", lambda: None)
    module = _imports(300)
    resolve = vw.Linker._resolve
    deadline = vw.deadline(60)

    def resolved(linker: vw.Linker, store: vw.Store, wanted: vw.ImportType) -> Any:
        # The time is over when it has begun.
        deadline.over = "stopped by a deadline"
        return resolve(linker, store, wanted)

    with monkeypatch.context() as patches:
        patches.setattr(vw.Linker, "_resolve", resolved)
        with pytest.raises(vw.Interrupted, match=r"^stopped by a deadline, while linking the module$"), deadline:
            linker.instantiate(store, module)
    with contextlib.nullcontext() if defined else pytest.raises(vw.LinkError):
        linker.instantiate(store, module)


def test_imports_of_one_name_and_type_share_a_function_where_there_are_many() -> None:
    limits = vw.ResourceLimits(max_host_functions=1)
    engine = vw.Engine(vw.Config(limits=limits))
    linker = vw.Linker(engine)
    linker.define("env", "f", lambda: None)
    text = "(module" + '(import "env" "f" (func))' * 1000 + '(func (export "run") (call 0) (call 999)))'
    linker.instantiate(vw.Store(engine), vw.Module(engine, text)).exports.run()
    more = text.replace("(module", '(module (import "env" "f" (func (param i32))) ')
    with pytest.raises(vw.LinkError, match=r"max_host_functions"):
        linker.instantiate(vw.Store(engine), vw.Module(engine, more))


@pytest.mark.parametrize("kind", ["imports", "exports"])
def test_a_deadline_stops_listing_what_a_module_has(kind: str) -> None:
    module = _imports(1)
    with vw.deadline(0), pytest.raises(vw.Interrupted, match=rf"while listing the module's {kind}$"):
        getattr(module, kind)


def test_compiling_at_the_first_call_is_stopped_by_whatever_stops_the_store(
    soon: Callable[[Callable[[], object]], None],
) -> None:
    instance = vw.instantiate(BLOCKS)
    _stopped(instance.exports.run, "while compiling function 0 <run>")
    with pytest.raises(vw.Interrupted, match="while compiling"), instance.store.deadline(0.05):
        instance.exports.run()
    soon(instance.store.interrupt)
    with pytest.raises(vw.Interrupted, match="interrupted, while compiling function 0 <run>"):
        instance.exports.run()
    # Nothing of it is left to stop what comes then.
    other = vw.instantiate('(module (func (export "f") (result i32) (i32.const 5)))', store=instance.store)
    assert other.exports.f() == 5


def test_a_store_that_does_not_have_to_stop_goes_on(soon: Callable[[Callable[[], object]], None]) -> None:
    other = vw.Store()
    instance = vw.instantiate(hostile._blocks(200))
    soon(other.interrupt)
    with other.deadline(0.05):
        instance.exports.run()


def test_deadlines_are_nested_and_the_first_that_is_over_counts() -> None:
    with (
        pytest.raises(vw.Interrupted, match=r"0\.05 seconds"),
        vw.deadline(60),
        vw.Store().deadline(60),
        vw.deadline(0.05),
    ):
        vw.Module.validate(BLOCKS)
    with pytest.raises(vw.Interrupted, match=r"0\.05 seconds"), vw.deadline(0.05), vw.deadline(60):
        vw.Module.validate(BLOCKS)


def test_a_deadline_stops_wasm_code_of_every_store_in_its_block_again_and_again() -> None:
    config = vw.Config(compilation="eager")
    stores = [vw.instantiate('(module (func (export "spin") (loop (br 0))))', config=config) for _ in range(3)]
    with vw.deadline(0.05):
        for instance in stores * 2:
            with pytest.raises(vw.Interrupted, match=r"deadline of 0\.05 seconds\n  at spin"):
                instance.exports.spin()
    timer = threading.Timer(0.2, stores[0].store.interrupt)
    timer.start()
    with pytest.raises(vw.Interrupted, match=r"^interrupted"):
        stores[0].exports.spin()


def test_a_deadline_stops_wasm_code_in_any_thread() -> None:
    spin = vw.instantiate('(module (func (export "spin") (loop (br 0))))').exports.spin
    caught: list[vw.Interrupted] = []

    def run() -> None:
        try:
            with vw.deadline(0.05):
                spin()
        except vw.Interrupted as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LONG)
    assert caught


def test_a_deadline_that_is_over_while_python_is_called_stops_the_code_that_has_called() -> None:
    calls: list[int] = []

    def busy() -> None:
        # Whenever the deadline's thread gets to run, the wasm code has called out.
        time.sleep(0.2)
        calls.append(1)

    instance = vw.instantiate(
        '(module (import "host" "busy" (func $busy)) (func (export "run") (loop (call $busy) (br 0))))',
        {"host": {"busy": busy}},
    )
    with pytest.raises(vw.Interrupted, match=r"deadline of 0\.05 seconds"), vw.deadline(0.05):
        instance.exports.run()
    assert len(calls) == 1


def test_other_threads_are_not_stopped() -> None:
    text = """(module (func (export "count") (param i64) (result i64)
        (loop
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if 0 (i64.ne (local.get 0) (i64.const 0))))
        (local.get 0)))"""
    found: list[object] = []

    def work() -> None:
        instance = vw.instantiate(text)
        for _ in range(20):
            found.append(instance.exports.count(20_000_000))
            vw.Module(hostile._blocks(20))
        vw.Module.validate(hostile._blocks(100))
        found.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        _stopped(lambda: vw.Module.validate(BLOCKS))
    thread.join()
    assert found[-1] == "done"


def test_each_task_of_an_event_loop_has_deadlines_of_its_own() -> None:
    spin = vw.instantiate('(module (func (export "spin") (loop (br 0))))').exports.spin
    add = vw.instantiate(
        '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
    ).exports.add

    async def limited() -> str:
        with pytest.raises(vw.Interrupted, match=r"deadline of 0\.1 seconds"), vw.deadline(0.1):
            await spin.run_async()
        return "stopped"

    async def free() -> str:
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            add(1, 2)
            vw.Module(hostile._blocks(20))
            vw.Module.validate(hostile._blocks(5))
            await asyncio.sleep(0)
        return "free"

    async def both() -> list[str]:
        return list(await asyncio.gather(limited(), free()))

    assert asyncio.run(both()) == ["stopped", "free"]


def test_a_deadline_that_is_over_from_the_first_stops_all() -> None:
    with vw.deadline(0):
        for source in (b"\0asm\1\0\0\0", "(module)"):
            with pytest.raises(vw.Interrupted, match="deadline of 0 seconds"):
                vw.Module(source)
    vw.Module("(module)")


def test_another_thread_that_compiles_the_same_module_is_not_waited_for_longer() -> None:
    module = vw.Module(BLOCKS)
    first = vw.Linker().instantiate(vw.Store(), module)
    begun = threading.Event()
    caught: list[BaseException] = []

    def run() -> None:
        begun.set()
        try:
            first.exports.run()
        except vw.Interrupted as error:
            caught.append(error)

    second = vw.Linker().instantiate(vw.Store(), module)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait()
    time.sleep(0.1)
    try:
        _stopped(second.exports.run, "while waiting for another thread to compile")
    finally:
        first.store.interrupt()
        thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize("where", ["between two functions", "laying out"])
def test_another_thread_that_has_the_module_is_not_waited_for_whatever_it_does(where: str) -> None:
    module = vw.Module('(module (func (export "f")) (func (export "g")))')
    linker = vw.Linker()
    if where == "laying out":
        at, code = "call", Template.__init__.__code__
    else:
        at, code = "return", vw.Module._compute.__code__
        linker.instantiate(vw.Store(), module)
    there, go_on = threading.Event(), threading.Event()

    def hold(frame: Any, event: str, argument: object) -> None:
        if event == at and frame.f_code is code:
            there.set()
            go_on.wait(LONG)

    def run() -> None:
        sys.setprofile(hold)
        module.serialize() if at == "return" else linker.instantiate(vw.Store(), module)

    thread = threading.Thread(target=run)
    thread.start()
    there.wait(LONG)
    try:
        _stopped(lambda: linker.instantiate(vw.Store(), module).exports.g(), "while waiting for another thread")
    finally:
        go_on.set()
        thread.join()


def test_what_is_begun_while_a_stop_is_handled_is_told_of_by_itself() -> None:

    def try_twice() -> None:
        try:
            with vw.deadline(0.05):
                guest_work(None, "trying", ENDLESS)
        except vw.Interrupted:
            with vw.deadline(0.05):
                guest_work(None, "trying again", ENDLESS)

    with pytest.raises(vw.Interrupted, match="while trying again"):
        try_twice()


def test_a_trap_and_a_stop_say_where_if_that_is_found_soon() -> None:
    with vw.deadline(5):
        with pytest.raises(vw.Trap, match="at byte offset"):
            vw.instantiate('(module (func (export "f") unreachable))').exports.f()
    with pytest.raises(vw.Interrupted, match="at byte offset"), vw.deadline(0.05):
        vw.instantiate('(module (func (export "f") (loop (br 0))))').exports.f()


@pytest.mark.parametrize("how", ["interrupt", "deadline of the store", "deadline", "trap"])
def test_where_code_ended_is_said_although_another_thread_compiles(
    how: str, soon: Callable[[Callable[[], object]], None]
) -> None:
    module = vw.Module(
        '(module (func $f (export "f") (loop (br 0))) (func (export "g") (nop)) (func $t (export "t") unreachable))'
    )
    linker = vw.Linker()
    one, two = (linker.instantiate(vw.Store(), module) for _ in "ab")
    for name in "ft":
        two._compile(two.exports[name]._defined)
    endless = in_engine("def function(begun, defined):\n    begun.set()\n    while True: pass")
    begun = threading.Event()
    module.compiler.compile = partial(endless, begun)  # type: ignore[method-assign]  # for this module

    def compile() -> None:
        with pytest.raises(vw.Interrupted):
            one.exports.g()

    thread = threading.Thread(target=compile)
    thread.start()
    begun.wait(LONG)
    limit = vw.deadline(0.1) if how == "deadline" else two.store.deadline(None if how == "interrupt" else 0.1)
    if how == "interrupt":
        soon(two.store.interrupt)
    started = time.monotonic()
    try:
        with pytest.raises(vw.Trap if how == "trap" else vw.Interrupted, match=r"\n  at [ft]$"), limit:
            two.exports[how[0] if how == "trap" else "f"]()
        assert time.monotonic() - started < LONG
    finally:
        one.store.interrupt()
        thread.join()


def test_finding_out_where_code_was_stopped_takes_no_longer_for_many_functions() -> None:
    calls = "".join(f"(func $f{n} (call $f{n + 1}))" for n in range(20))
    instance = vw.instantiate(f'(module (func (export "f") (call $f0)) {calls} (func $f20 (loop (br 0))))')
    asked: list[int] = []
    endless = in_engine("def function(asked, defined):\n    asked.append(defined)\n    while True: pass")
    instance.module.compiler.record = partial(endless, asked)  # type: ignore[method-assign]  # for this module
    with pytest.raises(vw.Interrupted) as stopped, vw.deadline(0.05):
        instance.exports.f()
    assert len(stopped.value.frames) == 22
    assert len(asked) == 1


def test_finding_out_where_code_was_stopped_is_not_waited_for(soon: Callable[[Callable[[], object]], None]) -> None:
    instance = vw.instantiate('(module (func (export "f") (loop (br 0))))')
    # One that takes long.
    instance.module.compiler.record = ENDLESS  # type: ignore[method-assign]  # for this module
    with pytest.raises(vw.Interrupted, match=r"at f$"), vw.deadline(0.05):
        instance.exports.f()
    # This stops one thing only, which is over when that begins.
    soon(instance.store.interrupt)
    with pytest.raises(vw.Interrupted, match=r"interrupted\n  at f$"):
        instance.exports.f()


@pytest.mark.parametrize("operation", ["init", "copy", "fill"])
def test_a_deadline_stops_operations_of_tables(operation: str) -> None:
    code = {
        "init": b"\x41\0\x41\0" + hostile._constant(990_000) + b"\xfc\x0c\0\0",
        "copy": b"\x41\0\x41\1" + hostile._constant(9_899_999) + b"\xfc\x0e\0\0",
        "fill": b"\x41\0\xd2\0" + hostile._constant(9_900_000) + b"\xfc\x11\0",
    }[operation]
    instance = vw.instantiate(hostile._table_code(code))
    gc.collect()
    with pytest.raises(vw.Interrupted, match="at run"), instance.store.deadline(0.05):
        instance.exports.run()


def test_table_copy_is_as_if_all_were_read_first() -> None:
    """In pieces, both ways."""
    count = 200_000
    store = vw.Store()
    text = """(module (import "m" "t" (table 0 externref))
        (func (export "copy") (param i32 i32 i32) (table.copy (local.get 0) (local.get 1) (local.get 2))))"""
    table = vw.Table(store, vw.TableType("externref", vw.Limits(count)))
    copy = vw.instantiate(text, {"m": {"t": table}}).exports.copy
    for target, start in ((1, 0), (0, 1), (70_000, 0), (0, 70_000), (5, 5)):
        for index in range(0, count, 997):
            table[index] = index
        before = table._cells[:count].tolist()
        copy(target, start, count - max(target, start))
        after = list(before)
        after[target : target + count - max(target, start)] = before[start : start + count - max(target, start)]
        assert table._cells[:count].tolist() == after


def test_names_of_what_was_stopped_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = vw.instantiate('(module (func (export "f") (loop (br 0))) (func (export "trap") (unreachable)))')
    monkeypatch.setattr(vw.Module, "func_name", ENDLESS)
    with pytest.raises(vw.Interrupted, match=r"\n  at function 0 \(at"), vw.deadline(0.05):
        instance.exports.f()
    with pytest.raises(vw.Trap, match=r"unreachable\n  at function 1 \(at"), vw.deadline(0.05):
        instance.exports.trap()


# -- looking for what is held ------------------------------------------------------------------------------------------

#: What goes through the cells of a table, and never comes to their end.
ENDLESS_PIECES = in_engine("def function(cells):\n    while True: pass\n    yield cells")


def test_a_deadline_stops_looking_for_objects_that_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    exports = vw.instantiate(
        """(module (table (export "t") 10 externref) (func (export "take") (param externref)))"""
    ).exports
    kept, gone = object(), object()
    exports.t[3] = kept
    exports.take(gone)
    store = exports.take.store
    with monkeypatch.context() as patch:
        patch.setattr(references, "pieces", ENDLESS_PIECES)
        with vw.deadline(0.1), pytest.raises(vw.Interrupted, match="looking for objects that are held"):
            store.gc()
    assert len(store._references) == 2
    store.gc()
    assert len(store._references) == 1
    assert exports.t[3] is kept


def test_a_deadline_stops_looking_for_exceptions_that_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    exports = vw.instantiate(
        """(module (tag $e (param i32)) (table $t (export "t") 10 exnref)
        (func (export "keep") (param i32) (local $held exnref)
            (block $h (result i32 exnref) (try_table (catch_ref $e $h) (throw $e (local.get 0))) unreachable)
            (local.set $held) drop (table.set $t (i32.const 3) (local.get $held)))
        (func (export "loop") (param i32) (loop
            (block $h (result i32 exnref) (try_table (catch_ref $e $h) (throw $e (local.get 0))) unreachable) drop drop
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    ).exports
    exports.keep(7)
    with monkeypatch.context() as patch:
        patch.setattr(exception_objects, "pieces", ENDLESS_PIECES)
        with vw.deadline(0.1), pytest.raises(vw.Interrupted, match="looking for exceptions that are held"):
            exports.loop(1 << 30)
    exports.loop(100_000)
    assert exports.t[3].values == (7,)
