"""Exceptions: who catches what, and what is as it was there."""

from __future__ import annotations

import pytest

import vibewasm as vw
from tests.compiler.test_typed_references import MODES, instance, refused
from vibewasm import Config, Engine, FuncType, reference_types

TEXT = """(module
  (tag $a (param i32)) (tag $b (param i32 i64)) (tag $n)
  (export "a" (tag $a))
  (func $throws (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b (i32.const 22) (i64.const 33))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $n))))
  (func $through (param i32)
    (local i64 f64) (local.set 1 (i64.const 5)) (local.set 2 (f64.const 6))
    (call $throws (local.get 0)) (drop (local.get 1)) (drop (local.get 2))
    (drop (local.get 1)) (drop (local.get 2)))
  (func (export "kinds") (param i32) (result i32)
    (local $kept i32) (local $float f64)
    (local.set $kept (i32.const 1000))
    (local.set $float (f64.const 2000))
    (block $any
      (block $on_b (result i32 i64)
        (block $on_a (result i32)
          (try_table (catch $a $on_a) (catch $b $on_b) (catch_all $any)
            (local.set $kept (i32.add (local.get $kept) (i32.const 1)))
            (call $through (local.get 0)))
          (return (i32.const 0)))
        (return (i32.add (local.get $kept))))
      (i32.wrap_i64) (i32.add) (return (i32.add (i32.trunc_f64_u (local.get $float)))))
    (i32.add (local.get $kept) (i32.const -1)))
  (func (export "same") (param i32) (result i32)
    (block $any (result i32)
      (block $on_a (result i32)
        (try_table (result i32) (catch $a $on_a)
          (block $other
            (try_table (catch $n $other)
              (throw $a (i32.add (local.get 0) (i32.const 1)))))
          (i32.const 0)))
      (i32.mul (i32.const 2))))
  (func (export "again") (param i32) (result i32)
    (local $e exnref)
    (block $out (result i32)
      (try_table (catch $a $out)
        (block $ref (result exnref)
          (try_table (catch_all_ref $ref) (call $through (local.get 0)))
          (return (i32.const -1)))
        (local.set $e)
        (throw_ref (local.get $e)))
      (unreachable)))
  (func (export "with reference") (param i32) (result i32)
    (local $e exnref)
    (block $out (result i32 exnref)
      (try_table (catch_ref $a $out) (call $through (local.get 0)))
      (return (i32.const 5)))
    (local.set $e)
    (i32.add (ref.is_null (local.get $e))))
  (func (export "uncaught") (param i32) (call $through (local.get 0)))
  (func (export "null") (throw_ref (ref.null exn)))
  (func $deep (param i32)
    (if (i32.eqz (local.get 0)) (then (throw $a (i32.const 77))))
    (call $deep (i32.sub (local.get 0) (i32.const 1))) (nop))
  (func (export "deep") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $a $h) (call $deep (local.get 0))) (i32.const 0)))
  (func (export "many") (param $times i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (block $h (result i32) (try_table (catch $a $h) (call $throws (i32.const 1))) (i32.const 0))))
      (br_if $next (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (local.get $sum)))
"""


@pytest.mark.parametrize("config", MODES, ids=repr)
def test_each_clause_catches_its_tag_with_the_values_and_the_locals_as_they_were(config: Config) -> None:
    exports = instance(TEXT, config).exports
    for _ in range(2):
        assert exports.kinds(0) == 0
        assert exports.kinds(1) == 1012
        assert exports.kinds(2) == 2055
        assert exports.kinds(3) == 1000
        assert exports.same(4) == 10
        assert exports.again(1) == 11
        assert exports["with reference"](1) == 11
        assert exports["with reference"](0) == 5
        assert exports.deep(3000) == 77
        assert exports.many(1000) == 11000


def test_what_nobody_catches_arrives_in_python() -> None:
    made = instance(TEXT)
    with pytest.raises(vw.WasmException) as caught:
        made.exports.uncaught(1)
    assert caught.value.tag is made.exports.a
    assert caught.value.values == (11,)
    assert [frame.func_name for frame in caught.value.frames] == ["throws", "through", "uncaught"]
    assert made.exports.kinds(1) == 1012
    with pytest.raises(vw.WasmException) as caught:
        made.exports.uncaught(2)
    assert caught.value.values == (22, 33)


def test_throwing_null_is_a_trap() -> None:
    with pytest.raises(vw.Trap, match="null exception reference"):
        instance(TEXT).exports.null()


def test_traps_and_python_exceptions_are_not_caught() -> None:
    def host() -> None:
        raise ValueError("from Python")

    text = """(module (import "h" "f" (func $f))
      (func (export "trap") (block $h (try_table (catch_all $h) (unreachable))))
      (func (export "python") (block $h (try_table (catch_all $h) (call $f)))))"""
    exports = vw.instantiate(text, {"h": {"f": host}}).exports
    with pytest.raises(vw.Trap, match="unreachable"):
        exports.trap()
    with pytest.raises(ValueError, match="from Python"):
        exports.python()


def test_a_host_function_throws_into_wasm() -> None:
    store = vw.Store(Engine())
    tag = vw.Tag(store, vw.TagType(["i32", "f64"]))

    def host(value: int) -> int:
        if value:
            raise vw.WasmException(tag, (value, 0.5))
        return 9

    text = """(module (import "h" "f" (func $f (param i32) (result i32))) (import "h" "t" (tag $t (param i32 f64)))
      (func (export "run") (param i32) (result f64)
        (local $x i64) (local.set $x (i64.const 100))
        (block $h (result i32 f64)
          (try_table (catch $t $h) (drop (call $f (local.get 0))))
          (return (f64.const -1)))
        (f64.add (f64.convert_i64_s (local.get $x)))
        (f64.add (f64.convert_i32_s (local.get 0))) (f64.add (f64.const 0.25)) (return)))"""
    text = text.replace(
        "(f64.add (f64.convert_i64_s (local.get $x)))\n        (f64.add (f64.convert_i32_s (local.get 0)))",
        "(f64.add (f64.convert_i64_s (local.get $x))) (local.set $y) (f64.convert_i32_s) (f64.add (local.get $y))",
    ).replace("(local $x i64)", "(local $x i64) (local $y f64)")
    made = vw.instantiate(text, {"h": {"f": host, "t": tag}}, store=store)
    assert made.exports.run(0) == -1
    assert made.exports.run(3) == 103.75


LEGACY = """(module
  (tag $a (param i32)) (tag $b (param i32 i64))
  (func $throws (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b (i32.const 22) (i64.const 33))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (unreachable))))
  (func (export "try") (param i32) (result i32)
    (try (result i32)
      (do (call $throws (local.get 0)) (i32.const 1))
      (catch $a (i32.add (i32.const 100)))
      (catch $b (drop) (i32.mul (i32.const 2)))
      (catch_all (i32.const -1))))
  (func (export "values") (param i32) (result i32 i64)
    (i32.const 5)
    (try (param i32) (result i32 i64)
      (do (call $throws (local.get 0)) (i64.const 1))
      (catch $b)
      (catch_all (i32.const 7) (i64.const 8))))
  (func (export "rethrow") (param i32) (result i32)
    (try (result i32)
      (do (try (result i32)
        (do (call $throws (local.get 0)) (i32.const 0))
        (catch_all (try (do (call $throws (i32.const 2))) (catch_all (rethrow 1))) (i32.const 50))))
      (catch $a (i32.add (i32.const 1000)))
      (catch $b (drop) (i32.add (i32.const 2000)))))
  (func (export "delegate") (param i32) (result i32)
    (try $outer (result i32)
      (do (try $inner (result i32)
        (do (try (result i32) (do (call $throws (local.get 0)) (i32.const 0)) (delegate $outer)))
        (catch_all (i32.const -1))))
      (catch_all (i32.const 3))))
  (func (export "nested") (param i32) (result i32)
    (local $n i32)
    (try
      (do (call $throws (i32.const 1)))
      (catch $a
        (local.set $n)
        (try (do (call $throws (local.get 0))) (catch_all (local.set $n (i32.add (local.get $n) (i32.const 1)))))))
    (local.get $n)))"""


@pytest.mark.parametrize("config", MODES, ids=repr)
def test_the_older_form_does_the_same(config: Config) -> None:
    exports = instance(LEGACY, config).exports
    for _ in range(2):
        assert [exports["try"](n) for n in range(3)] == [1, 111, 44]
        assert exports["values"](0) == (5, 1)
        assert exports["values"](1) == (7, 8)
        assert exports["values"](2) == (22, 33)
        assert exports.rethrow(1) == 1011
        assert exports.rethrow(2) == 2022
        assert exports.delegate(1) == 3
        assert exports.delegate(0) == 0
        assert exports.nested(0) == 11
        assert exports.nested(1) == 12


def test_the_older_form_can_be_turned_off() -> None:
    with pytest.raises(vw.ValidationError, match="legacy"):
        vw.instantiate(LEGACY, config=Config(legacy_exceptions=False, compilation="eager"))


def test_a_try_table_that_nothing_throws_in_emits_no_code() -> None:
    engine = Engine()

    def code(before: str, after: str) -> bytes:
        module = vw.Module.from_text(
            engine, f"(module (tag $t) (func $f) (func (block $h {before} (call $f) {after})))"
        )
        record = module.compiler.record(1)
        # What catches stands behind all else.
        assert record.cold < len(record.code)
        return record.code[record.prologue : record.cold]

    assert code("(try_table (catch $t $h)", ")") == code("(block", ")")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("(throw 5)", "unknown tag"),
        ("(throw $t)", "type mismatch"),
        ("(block $l (try_table (catch $t $l)))", "type mismatch"),
        ("(block $l (try_table (catch_all_ref $l)))", "type mismatch"),
        ("(block $l (result i32) (try_table (catch_all $l)) (i32.const 0)) (drop)", "type mismatch"),
        ("(try_table (catch_all 7))", "unknown label"),
        ("(throw_ref (i32.const 0))", "type mismatch"),
        ("(block $l (rethrow $l))", "rethrow label"),
        ("(try $l (do (rethrow $l)) (catch_all))", "rethrow label"),
        ("(try (do) (catch 9))", "unknown tag"),
        ("(unreachable) (try (do) (catch $t (drop) (drop)))", "type mismatch"),
        ("(unreachable) (block $l (rethrow $l))", "rethrow label"),
        ("(try (do) (delegate 9))", "unknown label"),
    ],
)
def test_what_is_invalid_is_refused(body: str, message: str) -> None:
    assert message in refused(body, "(tag $t (param i32))")


def test_what_is_asked_of_many_values_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instruction of three bytes may compare a thousand values, each with a type that has many supertypes."""
    asked = []
    is_subtype = reference_types.is_subtype

    def counted(sub: FuncType, super_: FuncType) -> bool:
        asked.append(sub)
        return is_subtype(sub, super_)

    text = f"""(module
      (type $t0 (sub (func)))
      {" ".join(f"(type $t{i} (sub $t{i - 1} (func (param)))) " for i in range(1, 60))}
      (tag $e (param {"(ref null $t59) " * 900}))
      (func (result {"(ref null $t0) " * 900})
        (try_table {"(catch $e 0) " * 100})
        (unreachable)
        (try_table {"(catch $e 0) " * 100})
        (unreachable)))"""
    monkeypatch.setattr(reference_types, "is_subtype", counted)
    vw.Module.validate(text)
    assert len(asked) < 100
