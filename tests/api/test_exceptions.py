"""Exceptions of wasm code in Python: those that leave it, those that Python functions throw into it, and references."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw

THROWS = """(module
  (tag $oops (export "oops") (param i32 f64))
  (tag $empty (export "empty"))
  (tag $all (export "all") (param i32 i64 f32 f64 v128 funcref externref))
  (func $inner (export "throw") (param i32) (throw $oops (local.get 0) (f64.const 2.5)))
  (func (export "outer") (param i32) (call $inner (local.get 0)))
  (func (export "bare") (throw $empty))
  (func $self (export "everything") (param externref)
    (throw $all (i32.const -1) (i64.const -2) (f32.const 0.5) (f64.const -0.25) (v128.const i64x2 1 2)
      (ref.func $self) (local.get 0)))
  (elem declare func $self))"""


def test_an_exception_leaves_wasm_code_with_tag_values_and_frames() -> None:
    exports = vw.instantiate(THROWS).exports
    with pytest.raises(vw.WasmException) as caught:
        exports.outer(2**32 - 7)
    error = caught.value
    assert error.tag is exports.oops
    assert error.values == (-7, 2.5)
    assert [frame.func_name for frame in error.frames] == ["inner", "outer"]
    assert error.message == "wasm exception: tag oops: -7, 2.5"
    assert str(error).splitlines()[:2] == [error.message, f"  at {error.frames[0]}"]
    assert isinstance(error, vw.WasmError)
    assert not isinstance(error, vw.Trap)
    with pytest.raises(vw.WasmException, match=r"^wasm exception: tag empty\n") as caught:
        exports.bare()
    assert caught.value.values == ()


def test_values_of_all_types_are_converted_as_results_are() -> None:
    exports = vw.instantiate(THROWS).exports
    thing = object()
    with pytest.raises(vw.WasmException) as caught:
        exports.everything(thing)
    assert caught.value.values == (-1, -2, 0.5, -0.25, 1 | 2 << 64, exports.everything, thing)
    assert "-1, -2, 0.5, -0.25" in caught.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [("__cpp_exception", "a C++ exception or a Rust panic"), ("__c_longjmp", "longjmp"), ("other", "")],
)
def test_known_tags_are_told_in_plain_words(name: str, said: str) -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i32"]))
    text = f'(module (import "env" "{name}" (tag (param i32))) (func (export "f") (throw 0 (i32.const 66560))))'
    exports = vw.instantiate(text, {"env": {name: tag}}).exports
    with pytest.raises(vw.WasmException) as caught:
        exports.f()
    assert caught.value.message == f"wasm exception: tag {name}{f' ({said})' if said else ''}: 66560"
    assert caught.value.tag is tag


def test_a_tag_without_a_name_is_called_by_its_number_or_its_type() -> None:
    exports = vw.instantiate('(module (tag) (tag (param i32)) (func (export "f") (throw 1 (i32.const 5))))').exports
    with pytest.raises(vw.WasmException, match=r"^wasm exception: tag 1: 5\n"):
        exports.f()
    assert str(vw.WasmException(vw.Tag(vw.Store(), vw.TagType(["i32"])), [5])) == "wasm exception: tag (i32): 5"


# -- made by Python ----------------------------------------------------------------------------------------------------


def test_values_are_checked_and_converted_where_the_exception_is_made() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i32", "f32"]), name="oops")
    assert vw.WasmException(tag, [2**32 - 1, 0.1]).values == (-1, pytest.approx(0.1))
    anything: Any = vw.WasmException
    for values, error, message in (
        ([1], TypeError, r"^WasmException: tag oops\(i32, f32\) carries 2 values, 1 given$"),
        ([1, 2, 3], TypeError, "carries 2 values, 3 given"),
        (["x", 1], TypeError, r"^WasmException: tag oops\(i32, f32\): value 1 wants an int, not str 'x'$"),
        ([1, None], TypeError, "value 2 wants a number, not None"),
        ([2**32, 1], OverflowError, "value 1 wants an int from"),
        ("ab", TypeError, "WasmException: values has to be a sequence of values, not str 'ab'"),
        (5, TypeError, "WasmException: values has to be a sequence of values, not int 5"),
    ):
        with pytest.raises(error, match=message):
            anything(tag, values)
    with pytest.raises(TypeError, match="WasmException: tag has to be a Tag, not TagType"):
        anything(vw.TagType())
    with pytest.raises(TypeError, match="WasmException: tag is missing: write WasmException"):
        anything()
    function = vw.Tag(store, vw.TagType(["(ref func)", "funcref", "exnref", "(ref exn)"]))
    given = vw.Func(store, vw.FuncType(), print)
    one = vw.WasmException(tag, [1, 2])
    assert vw.WasmException(function, [given, None, None, one]).values == (given, None, None, one)
    with pytest.raises(TypeError, match=r"value 1 wants a vibewasm\.Func, not None: null does not belong to"):
        vw.WasmException(function, [None, None, None, one])
    with pytest.raises(TypeError, match=r"value 4 wants a vibewasm\.ExceptionRef or WasmException, not str 'x'"):
        vw.WasmException(function, [given, None, None, "x"])
    with pytest.raises(ValueError, match="value 4 wants an exception of the same store"):
        vw.WasmException(function, [given, None, None, vw.WasmException(vw.Tag(vw.Store(), vw.TagType()))])


CATCHES = """(module
  (import "env" "oops" (tag $oops (param i32 externref)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (func (export "catches") (param i32) (result i32 externref)
    (block $caught (result i32 externref)
      (try_table (result i32) (catch $oops $caught) (call $host (local.get 0)))
      (ref.null extern)))
  (func (export "any") (param i32) (result i32)
    (block $caught
      (try_table (catch_all $caught) (return (call $host (local.get 0)))))
    (i32.const -1))
  (func (export "reference") (param i32) (result exnref)
    (block $caught (result i32 externref exnref)
      (try_table (catch_ref $oops $caught) (drop (call $host (local.get 0))))
      (return (ref.null exn)))
    (return))
  (func (export "again") (param i32) (result i32)
    (block $caught (result exnref)
      (try_table (catch_all_ref $caught) (return (call $host (local.get 0))))
      (unreachable))
    (throw_ref))
  (func (export "through") (param i32) (result i32) (call $host (local.get 0))))"""


class Catching:
    """An instance whose host function raises what is wanted."""

    def __init__(self, **defined: Any) -> None:
        self.store = vw.Store()
        self.oops = vw.Tag(self.store, vw.TagType(["i32", "externref"]), name="oops")
        self.act: Callable[[int], object] = lambda number: number
        linker = vw.Linker()
        linker.define("env", "oops", self.oops)
        linker.define("env", "host", lambda *arguments: self.act(*arguments), **defined)
        self.exports: Any = linker.instantiate(self.store, vw.Module(CATCHES)).exports

    def throws(self, *values: object, tag: vw.Tag | None = None) -> None:
        """Have the host function throw."""

        def act(*arguments: object) -> object:
            raise vw.WasmException(tag or self.oops, values)

        self.act = act


def test_a_python_function_throws_into_wasm_code() -> None:
    catching = Catching()
    assert catching.exports.catches(5) == (5, None)
    thing = object()
    catching.throws(7, thing)
    assert catching.exports.catches(5) == (7, thing)
    assert catching.exports.any(5) == -1
    catching.throws(tag=vw.Tag(catching.store, vw.TagType()))
    assert catching.exports.any(5) == -1
    with pytest.raises(vw.WasmException, match="wasm exception: tag"):
        catching.exports.catches(5)
    catching.act = lambda number: number + 1
    assert catching.exports.catches(5) == (6, None)


def test_what_nobody_catches_is_what_was_raised() -> None:
    class Mine(vw.WasmException):
        note = "mine"

    catching = Catching()
    error = Mine(catching.oops, [1, "x"])

    def act(number: int) -> int:
        raise error

    catching.act = act
    for name in ("through", "again"):
        with pytest.raises(Mine) as caught:
            catching.exports[name](5)
        assert caught.value is error
    assert [frame.func_name for frame in error.frames] == ["through"]
    # The Python function is in its traceback.
    assert "act" in [entry.name for entry in caught.traceback]


def test_the_caller_may_be_given() -> None:
    catching = Catching(caller=True)
    seen = []

    def act(caller: Any, number: int) -> int:
        seen.append(caller.instance)
        raise vw.WasmException(catching.oops, [number, None])

    catching.act = act  # type: ignore[assignment]
    for number in (1, 2, 3, 4):
        assert catching.exports.catches(number) == (number, None)
    assert len({*map(id, seen)}) == 1


def test_an_exception_of_another_store_passes_as_any_other() -> None:
    catching = Catching()
    error = vw.WasmException(vw.Tag(vw.Store(), vw.TagType()))

    def act(number: int) -> int:
        raise error

    catching.act = act
    with pytest.raises(vw.WasmException) as caught:
        catching.exports.any(5)
    assert caught.value is error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), vw.Trap("own", "own")])
def test_a_python_exception_is_not_caught_by_wasm_code(error: BaseException) -> None:
    catching = Catching()

    def act(number: int) -> int:
        raise error

    catching.act = act
    with pytest.raises(type(error)) as caught:
        catching.exports.any(5)
    assert caught.value is error


def test_traps_are_not_caught_by_wasm_code() -> None:
    exports = vw.instantiate(
        """(module
          (func $trap (unreachable))
          (func (export "f") (result i32)
            (block $caught (try_table (catch_all $caught) (call $trap)))
            (i32.const 1)))"""
    ).exports
    with pytest.raises(vw.Trap, match="unreachable"):
        exports.f()


def test_an_exception_passes_wasm_python_wasm() -> None:
    catching = Catching()
    store = catching.store
    throwing = vw.instantiate(
        """(module (import "env" "oops" (tag (param i32 externref)))
          (func (export "f") (param i32) (throw 0 (local.get 0) (ref.null extern))))""",
        {"env": {"oops": catching.oops}},
        store=store,
    ).exports

    def act(number: int) -> int:
        throwing.f(number)
        return 0

    catching.act = act
    assert catching.exports.catches(9) == (9, None)
    assert catching.exports.any(9) == -1
    with pytest.raises(vw.WasmException) as caught:
        catching.exports.through(9)
    error = caught.value
    assert error.values == (9, None)
    assert [frame.func_name for frame in error.frames] == ["f"]
    [note] = error.__notes__
    assert "through" in note

    def catch(number: int) -> int:
        try:
            throwing.f(number)
        except vw.WasmException as error:
            return int(error.values[0]) + 100
        return 0

    catching.act = catch
    assert catching.exports.catches(9) == (109, None)


def test_deep_nests_of_calls_unwind_one_by_one() -> None:
    catching = Catching()
    depth = 0

    def act(number: int) -> int:
        nonlocal depth
        depth = max(depth, number)
        if number == 20:
            raise vw.WasmException(catching.oops, [number, "bottom"])
        return int(catching.exports["through" if number % 3 else "again"](number + 1))

    catching.act = act
    assert catching.exports.catches(0) == (20, "bottom")
    assert depth == 20


def test_coroutines_throw_too() -> None:
    catching = Catching()

    async def act(number: int) -> int:
        await asyncio.sleep(0)
        raise vw.WasmException(catching.oops, [number, "later"])

    catching.act = act

    async def main() -> None:
        assert await catching.exports.catches.run_async(4) == (4, "later")
        assert await catching.exports.any.run_async(4) == -1
        with pytest.raises(vw.WasmException) as caught:
            await catching.exports.through.run_async(4)
        assert caught.value.values == (4, "later")

    asyncio.run(main())


def test_a_python_function_that_python_calls_throws() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType())
    error = vw.WasmException(tag)

    def act() -> None:
        raise error

    with pytest.raises(vw.WasmException) as caught:
        vw.Func(store, vw.FuncType(), act)()
    assert caught.value is error


def test_map_says_which_element_threw() -> None:
    import array

    exports = vw.instantiate(THROWS).exports
    with pytest.raises(vw.WasmException) as caught:
        exports.throw.map(array.array("i", [1, 2, 3]))
    assert caught.value.element == 0
    assert caught.value.values == (1, 2.5)


# -- references --------------------------------------------------------------------------------------------------------


def test_an_exception_reference_has_tag_and_values_and_can_be_thrown() -> None:
    catching = Catching()
    catching.throws(3, "x")
    reference = catching.exports.reference(0)
    assert isinstance(reference, vw.ExceptionRef)
    assert (reference.tag, reference.values, reference.store) == (catching.oops, (3, "x"), catching.store)
    assert repr(reference) == "<vibewasm.ExceptionRef tag oops>"
    with pytest.raises(vw.WasmException, match="tag oops: 3, 'x'") as caught:
        reference.throw()
    assert (caught.value.tag, caught.value.values) == (catching.oops, (3, "x"))
    catching.act = lambda number: reference.throw()
    assert catching.exports.catches(0) == (3, "x")
    assert catching.exports.reference(0) == reference
    assert len({catching.exports.reference(0), reference}) == 1
    catching.act = lambda number: number
    assert catching.exports.reference(0) is None


TAKES = """(module
  (import "env" "give" (func $give (result exnref)))
  (table (export "t") 2 exnref)
  (global (export "g") (mut exnref) (ref.null exn))
  (func (export "same") (param exnref) (result exnref) (local.get 0))
  (func (export "sure") (param (ref exn)) (result (ref exn)) (local.get 0))
  (func (export "throw") (param exnref) (throw_ref (local.get 0)))
  (func (export "given") (result exnref) (call $give)))"""


def test_exceptions_are_values_wherever_references_are() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i32"]), name="oops")
    error = vw.WasmException(tag, [5])
    given: list[object] = [error]
    exports = vw.instantiate(TAKES, {"env": {"give": lambda: given[0]}}, store=store).exports
    reference = exports.same(error)
    assert reference.values == (5,)
    assert exports.same(reference) == reference
    assert exports.same(None) is None
    assert exports.sure(error) == exports.given() == reference
    given[0] = reference
    assert exports.given() == reference
    exports.t[0] = error
    exports.t[1] = reference
    assert exports.t[0] == exports.t[1] == reference
    exports.t.grow(2, error)
    assert exports.t[3] == reference
    exports.g.value = error
    assert exports.g.value == reference
    with pytest.raises(vw.WasmException) as caught:
        exports.throw(error)
    assert caught.value.values == (5,)
    with pytest.raises(vw.Trap, match=r"^null exception reference\n"):
        exports.throw(None)
    with pytest.raises(TypeError, match=r"wants a vibewasm\.ExceptionRef or WasmException, not str 'x'"):
        exports.same("x")
    with pytest.raises(TypeError, match="not None: null does not belong to"):
        exports.sure(None)
    with pytest.raises(ValueError, match="wants an exception of the same store"):
        exports.same(vw.WasmException(vw.Tag(vw.Store(), vw.TagType())))
    given[0] = 5
    with pytest.raises(TypeError, match=r"result 1 wants a vibewasm\.ExceptionRef or WasmException, not int 5"):
        exports.given()


def test_raw_exceptions_are_what_the_store_gave_out() -> None:
    store = vw.Store()
    error = vw.WasmException(vw.Tag(store, vw.TagType(["i32"])), [5])
    exports = vw.instantiate(TAKES, {"env": {"give": lambda: error}}, store=store).exports
    [raw] = exports.given.call_raw([])
    [again] = exports.same.call_raw([raw])
    assert again == raw
    assert exports.same.call_raw([0]) == [0]
    for wrong in (8, raw + 8, raw + 1, 1 << 40):
        with pytest.raises(ValueError, match="is no reference of type exnref that this store gave out"):
            exports.same.call_raw([wrong])
    with pytest.raises(ValueError, match="is no reference of type"):
        exports.sure.call_raw([0])


@pytest.mark.ci
def test_objects_among_the_values_of_held_exceptions_are_held() -> None:
    class Thing:
        pass

    catching = Catching()
    store = catching.store
    keeping = vw.instantiate(
        '(module (table (export "t") 1 exnref) (global (export "g") (mut exnref) (ref.null exn)))', store=store
    ).exports
    outer = vw.Tag(store, vw.TagType(["exnref"]))
    refs = []
    kept = []
    for place in range(4):
        thing = Thing()
        refs.append(weakref.ref(thing))
        catching.throws(place, thing)
        del thing
        reference = catching.exports.reference(0)
        if place == 0:
            keeping.t[0] = reference
        elif place == 1:
            keeping.g.value = vw.WasmException(outer, [reference])
        elif place == 2:
            kept.append(reference)
        del reference
    catching.act = lambda number: number
    store.gc()
    gc.collect()
    assert [ref() is None for ref in refs] == [False, False, False, True]
    assert keeping.t[0].values == (0, refs[0]())
    assert keeping.g.value.values[0].values == (1, refs[1]())
    assert kept[0].values == (2, refs[2]())
    keeping.t[0] = keeping.g.value = None
    kept.clear()
    store.gc()
    gc.collect()
    assert [ref() is None for ref in refs] == [True] * 4


def test_references_are_not_made_or_copied() -> None:
    anything: Any = vw.ExceptionRef
    with pytest.raises(TypeError, match=r"give it a WasmException\(tag, values\)"):
        anything()
    catching = Catching()
    catching.throws(3, "x")
    reference = catching.exports.reference(0)
    with pytest.raises(TypeError, match="ExceptionRef"):
        copy.copy(reference)
    catching.store.close()
    assert repr(reference) == "<vibewasm.ExceptionRef, closed>"
    for use in (lambda: reference.tag, lambda: reference.values, reference.throw):
        with pytest.raises(vw.WasmError, match="closed"):
            use()


# -- copies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_has_the_tag_by_its_type_and_name(duplicate: Callable[[Any], Any]) -> None:
    exports = vw.instantiate(THROWS).exports
    with pytest.raises(vw.WasmException) as caught:
        exports.outer(1)
    error = caught.value
    error.add_note("a note")
    error.element = 3
    again = duplicate(error)
    assert type(again) is vw.WasmException
    assert (str(again), again.values, again.frames) == (str(error), error.values, error.frames)
    assert (again.__notes__, again.element) == (["a note"], 3)
    assert (again.tag.type, again.tag.name) == (error.tag.type, "oops")
    assert str(duplicate(again)) == str(error)
    with pytest.raises(vw.WasmError, match="belongs to no store"):
        again.tag.store  # noqa: B018 - the access is what is tested
    # It is no exception of the store.
    catching = Catching()

    def act(number: int) -> int:
        raise again

    catching.act = act
    with pytest.raises(vw.WasmException) as passed:
        catching.exports.any(0)
    assert passed.value is again


def test_a_pickle_says_of_functions_and_references_what_they_were() -> None:
    exports = vw.instantiate(THROWS).exports
    with pytest.raises(vw.WasmException) as caught:
        exports.everything("thing")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.values[5:] == (repr(exports.everything), "thing")


def test_an_exception_that_nobody_catches_ends_a_program(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from vibewasm.cli import main

    path = tmp_path / "program.wat"
    path.write_text('(module (memory (export "memory") 1) (tag $e (export "e")) (func (export "_start") (throw $e)))')
    assert main(["run", str(path)]) == 134
    assert capsys.readouterr().err.startswith("vibewasm: uncaught wasm exception: tag e\n  at ")


def test_exceptions_that_are_held_are_limited() -> None:
    text = """(module (tag $e) (table $t 100 exnref)
      (func (export "keep") (param $count i32)
        (loop $next
          (table.set $t (i32.sub (local.get $count) (i32.const 1))
            (block $caught (result exnref) (try_table (catch_all_ref $caught) (throw $e)) (unreachable)))
          (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"""
    exports = vw.instantiate(text, config=vw.Config(max_references=50)).exports
    exports.keep(50)
    message = r"^too many references: wasm code may hold 50 exceptions as exnref\. Config\(max_references=\.\.\.\) and"
    with pytest.raises(vw.Trap, match=message) as caught:
        exports.keep(60)
    assert caught.value.code == "too_many_references"
    exports.keep.store.max_references = 100
    exports.keep(60)
