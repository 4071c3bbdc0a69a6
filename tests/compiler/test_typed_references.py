"""Typed references: what functions with them do, and what they may not do."""

from __future__ import annotations

import pytest

import vibewasm as vw
from vibewasm import Config, Engine, Module, ValidationError

MODES = [Config(), Config(checked=True), Config(fuel=True), Config(explicit_bounds=True)]


def instance(text: str, config: Config | None = None) -> vw.Instance:
    """An instance of a module in text."""
    engine = Engine(config or Config())
    return vw.instantiate(text, engine=engine, fuel=10**9 if engine.config.fuel else None)


def refused(body: str, declarations: str = "") -> str:
    """What is said of a module with a function of this body."""
    with pytest.raises(ValidationError) as caught:
        Module.from_text(Engine(Config(compilation="eager")), f"(module {declarations} (func {body}))")
    return str(caught.value)


CALLS = """(module
  (type $unary (func (param i32) (result i32)))
  (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))
  (elem declare func $double $square)
  (table $t 4 (ref null $unary))
  (elem (table $t) (i32.const 1) (ref null $unary) (ref.func $double) (ref.func $square))
  (func (export "twice") (param i32) (result i32)
    (local $f (ref $unary))
    (local.set $f (ref.func $square))
    (call_ref $unary (call_ref $unary (local.get 0) (local.get $f)) (local.get $f)))
  (func (export "at") (param i32 i32) (result i32)
    (call_ref $unary (local.get 1) (table.get $t (local.get 0))))
  (func (export "or") (param i32 i32) (result i32)
    (block $null
      (return (call_ref $unary (local.get 1) (br_on_null $null (table.get $t (local.get 0))))))
    (i32.const -1))
  (func (export "with values") (param i32 i32) (result i32)
    (block $null (result i32)
      (call_ref $unary (local.get 1) (br_on_null $null (i32.const 7) (table.get $t (local.get 0))))
      (i32.add)))
  (func (export "non null") (param i32 i32) (result i32)
    (local $f (ref null $unary))
    (local.set $f (table.get $t (local.get 0)))
    (block $there (result (ref $unary))
      (br_on_non_null $there (local.get $f))
      (return (i32.const -2)))
    (local.set $f)
    (call_ref $unary (local.get 1) (ref.as_non_null (local.get $f))))
  (func (export "many") (param i32 i32) (result i32)
    (local $g (ref $unary))
    (block $there (result i32 i32 (ref $unary))
      (i32.const 3) (local.get 1)
      (br_on_non_null $there (table.get $t (local.get 0)))
      (i32.sub)
      (return))
    (local.set $g)
    (i32.add (call_ref $unary (local.get $g))))
  (func (export "loop") (param i32) (result i32)
    (local $n i32)
    (block $end
      (loop $again
        (br_if $end (i32.ge_u (local.get $n) (i32.const 4)))
        (drop (br_on_null $end (table.get $t (i32.add (local.get $n) (i32.const 1)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $n)))
"""


@pytest.mark.parametrize("config", MODES, ids=repr)
def test_calls_and_branches_by_reference_give_what_they_should(config: Config) -> None:
    exports = instance(CALLS, config).exports
    assert exports.twice(3) == 81
    assert exports.at(1, 21) == 42
    assert exports["or"](2, 5) == 25
    assert exports["or"](3, 5) == -1
    assert exports["with values"](2, 5) == 54
    assert exports["with values"](0, 5) == 7
    assert exports["non null"](1, 8) == 16
    assert exports["non null"](0, 8) == -2
    assert exports.many(2, 6) == 39
    assert exports.many(0, 6) == -3
    assert exports.loop(0) == 2


def test_a_call_of_null_is_a_trap_that_says_so() -> None:
    with pytest.raises(vw.Trap) as caught:
        instance(CALLS).exports.at(0, 1)
    assert caught.value.code == "null_reference"
    assert "null function reference" in str(caught.value)


def test_a_reference_of_a_narrower_type_does_not_follow_its_local() -> None:
    """Where a value has another type than the local that it is in, and the local changes, the value stays."""
    text = """(module
      (type $f (func (result i32)))
      (func $one (type $f) (i32.const 1))
      (func $two (type $f) (i32.const 2))
      (elem declare func $one $two)
      (func (export "run") (result i32)
        (local $r (ref $f)) (local $n i32)
        (local.set $r (ref.func $one))
        (block (result (ref null $f))
          (local.get $r))
        (local.set $r (ref.func $two))
        (call_ref $f)
        (i32.mul (i32.const 10))
        (i32.add (call_ref $f (local.get $r)))))
    """
    assert instance(text).exports.run() == 12


@pytest.mark.parametrize("extra", [0, 200], ids=["short", "long"])
@pytest.mark.parametrize("config", MODES, ids=repr)
def test_locals_without_null_have_a_value_from_their_assignment_to_the_end_of_the_block(
    extra: int, config: Config
) -> None:
    others = f"(local {'i32 ' * extra})" if extra else ""
    text = f"""(module
      (type $f (func (result i32)))
      (func $one (type $f) (i32.const 1))
      (elem declare func $one)
      (func (export "run") (param i32) (result i32)
        {others} (local $r (ref $f)) (local $s (ref $f))
        (local.set $r (ref.func $one))
        (if (result i32) (local.get 0)
          (then (local.set $s (local.get $r)) (call_ref $f (local.get $s)))
          (else (local.set $s (local.get $r)) (i32.add (i32.const 4) (call_ref $f (local.get $s)))))
        (block (drop (local.tee $s (local.get $r))) (drop (local.get $s)))))
    """
    exports = instance(text, config).exports
    assert exports.run(1) == 1
    assert exports.run(0) == 5


F = "(type $f (func))"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("(local $r (ref $f)) (drop (local.get $r))", "uninitialized local"),
        ("(local $r (ref $f)) (block (local.set $r (ref.func 0))) (drop (local.get $r))", "uninitialized local"),
        (
            "(local $r (ref $f)) (if (i32.const 1) (then (local.set $r (ref.func 0))) (else (drop (local.get $r))))",
            "uninitialized local",
        ),
        ("(local $r (ref $f)) (unreachable) (drop (local.get $r))", "uninitialized local"),
        (
            "(local $r (ref $f)) (unreachable) (block (local.set $r (ref.func 0))) (drop (local.get $r))",
            "uninitialized local",
        ),
        (f"(local {'i32 ' * 200}) (local $r (ref $f)) (drop (local.get $r))", "uninitialized local"),
        ("(local $r (ref null $f)) (call_ref $g (local.get $r))", "type mismatch"),
        ("(local $r (ref null $f)) (drop (block (result (ref $f)) (local.get $r)))", "type mismatch"),
        # What local.tee leaves has the local's type.
        ("(local $r funcref) (call_ref $f (local.tee $r (ref.func 0)))", "type mismatch"),
        (
            "(local $r funcref) (local.set $r (ref.func 0)) (call_ref $f (local.tee $r (ref.func 0)))",
            "type mismatch",
        ),
        ("(drop (block (result (ref $f)) (block (result funcref) (ref.func 0))))", "type mismatch"),
        (
            "(drop (block (result (ref $f)) (select (result funcref) (ref.func 0) (ref.func 0) (i32.const 1))))",
            "type mism",
        ),
        ("(unreachable) (i32.eqz (ref.as_non_null)) (drop)", "type mismatch"),
        ("(unreachable) (ref.as_non_null) (i32.const 1) (select) (drop)", "type mismatch: select"),
        ("(unreachable) (ref.as_non_null) (ref.as_non_null) (i32.const 1) (select) (drop)", "type mismatch: select"),
        ("(local $r (ref $f)) (block (local.set $r))", "type mismatch: local.set"),
        ("(local $r (ref $f)) (block (local.tee $r) (drop))", "type mismatch: local.tee"),
        (f"(local {'i32 ' * 200}) (local $r (ref $f)) (loop (local.set $r))", "type mismatch: local.set"),
        ("(ref.as_non_null (i32.const 1)) (drop)", "type mismatch"),
        ("(block $l (br_on_non_null $l (ref.null func)))", "type mismatch"),
        ("(block $l (drop (br_on_null 5 (ref.null func))))", "unknown label"),
        ("(call_ref $f (ref.null extern))", "type mismatch"),
        ("(call_ref 99 (ref.null $f))", "unknown type"),
        ("(table.set $t (i32.const 0) (ref.null $f))", "type mismatch"),
    ],
)
def test_what_is_invalid_is_refused(body: str, message: str) -> None:
    declarations = (
        f"{F} (type $g (func (param i32))) (func (type $f)) (elem declare func 0) (table $t 1 (ref $f) (ref.func 0))"
    )
    assert message in refused(body, declarations)


def test_a_block_ends_with_the_type_that_it_declares() -> None:
    assert (
        instance(
            f"""(module {F} (func $f) (elem declare func $f)
          (func (export "run") (result i32)
            (local $r funcref)
            (ref.is_null (local.tee $r (block (result funcref) (ref.func $f))))))"""
        ).exports.run()
        == 0
    )


def test_equal_recursive_types_of_two_modules_are_one_type() -> None:
    text = """(module (rec (type $a (func (param (ref null $b)))) (type $b (func (result (ref $a)))))
      (func (export "f") (type $a)))"""
    other = """(module (type $first (func))
      (rec (type $x (func (param (ref null $y)))) (type $y (func (result (ref $x)))))
      (import "m" "f" (func (type $x))))"""
    engine = Engine()
    store = vw.Store(engine)
    linker = vw.Linker(engine)
    linker.define_instance("m", linker.instantiate(store, Module(engine, text)))
    linker.instantiate(store, Module(engine, other))
    with pytest.raises(vw.LinkError):
        linker.instantiate(
            store,
            Module(engine, '(module (type $x (func (param funcref))) (import "m" "f" (func (type $x))))'),
        )


def test_a_function_of_a_subtype_may_be_called_as_its_supertype() -> None:
    text = """(module
      (type $s (sub (func (result funcref))))
      (type $t (sub $s (func (result (ref func)))))
      (type $u (sub final $t (func (result (ref func)))))
      (type $other (sub (func (result funcref))))
      (func $f (type $u) (ref.func $f))
      (table funcref (elem $f))
      (func (export "as s") (result i32) (ref.is_null (call_indirect (type $s) (i32.const 0))))
      (func (export "as t") (result i32) (ref.is_null (call_indirect (type $t) (i32.const 0))))
      (func (export "as u") (result i32) (ref.is_null (call_indirect (type $u) (i32.const 0))))
      (type $v (sub $s (func (result funcref))))
      (func (export "as v") (result i32) (ref.is_null (call_indirect (type $v) (i32.const 0)))))"""
    exports = instance(text).exports
    assert [exports["as s"](), exports["as t"](), exports["as u"]()] == [0, 0, 0]
    with pytest.raises(vw.Trap, match="indirect call type mismatch"):
        exports["as v"]()
