"""Tail calls, between whatever functions: results, and a stack that does not grow."""

from __future__ import annotations

import itertools

import pytest

import vibewasm as vw
from tests.compiler.test_typed_references import MODES, instance, refused
from vibewasm import Config, Engine

#: So many calls that any stack would overflow if each took some.
DEEP = 200_000


@pytest.mark.parametrize("config", MODES, ids=repr)
def test_tail_calls_of_every_kind_keep_the_stack_as_it_is(config: Config) -> None:
    text = """(module
      (type $count (func (param i64) (result i64)))
      (type $more (func (param i64 f64 i32 i32 i32 i32 i32 i32 i32 i64) (result i64)))
      (table funcref (elem $direct $more $by_reference))
      (elem declare func $direct $more $by_reference)
      (func $direct (export "direct") (type $count)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 42))
          (else (return_call $direct (i64.sub (local.get 0) (i64.const 1))))))
      (func $more (export "more") (type $more)
        (if (result i64) (i64.eqz (local.get 0)) (then (local.get 9))
          (else (return_call $less (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 9) (i64.const 3))))))
      (func $less (export "less") (param i64 i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0)) (then (local.get 1))
          (else (return_call $more (i64.sub (local.get 0) (i64.const 1)) (f64.const 1.5)
            (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7)
            (local.get 1)))))
      (func $by_table (export "by table") (type $count)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 43))
          (else (return_call_indirect (type $count) (i64.sub (local.get 0) (i64.const 1)) (i32.const 2)))))
      (func $by_reference (type $count)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 44))
          (else (return_call_ref $count (i64.sub (local.get 0) (i64.const 1)) (ref.func $by_reference)))))
      (func (export "around") (param i64) (result i64)
        (local i64) (local.set 1 (i64.const 1000))
        (i64.add (call $by_table (local.get 0)) (local.get 1))))"""
    exports = instance(text, config).exports
    assert exports.direct(DEEP) == 42
    assert exports.less(DEEP, 5) == 5 + 3 * (DEEP // 2)
    assert exports["by table"](DEEP) == 44
    assert exports.around(DEEP) == 1044


@pytest.mark.parametrize(("first", "second"), [*itertools.product([0, 3, 7, 8, 40, 999], repeat=2)])
def test_argument_areas_of_all_sizes_follow_each_other(first: int, second: int) -> None:
    def parameters(count: int) -> str:
        return "(param i32)" + "(param i32 i64 f64 f32)" * (count // 4) + "(param i64)" * (count % 4)

    def types(count: int) -> list[str]:
        return ["i32", "i64", "f64", "f32"] * (count // 4) + ["i64"] * (count % 4)

    def arguments(count: int) -> str:
        return " ".join(f"({type_}.const {index})" for index, type_ in enumerate(types(count)))

    def total(count: int) -> str:
        to_i64 = {"i32": "i64.extend_i32_u", "f64": "i64.trunc_f64_u", "f32": "i64.trunc_f32_u"}
        code = "(i64.const 0)"
        for index, type_ in enumerate(types(count), 1):
            value = f"(local.get {index})"
            code += f" (i64.add {value if type_ == 'i64' else f'({to_i64[type_]} {value})'})"
        return code

    text = f"""(module
      (func $a (export "a") {parameters(first)} (result i64)
        (if (result i64) (i32.eqz (local.get 0)) (then {total(first)})
          (else (return_call $b (i32.sub (local.get 0) (i32.const 1)) {arguments(second)}))))
      (func $b (export "b") {parameters(second)} (result i64)
        (local f64 i64) (local.set {second + 1} (f64.const 7)) (local.set {second + 2} (i64.const 7))
        (if (result i64) (i32.eqz (local.get 0)) (then {total(second)})
          (else (return_call $a (i32.sub (local.get 0) (i32.const 1)) {arguments(first)}))))
      (func (export "from a") (param i32) (result i64) (call $a (local.get 0) {arguments(first)}))
      (func (export "from b") (param i32) (result i64) (call $b (local.get 0) {arguments(second)})))"""
    exports = instance(text).exports
    sums = [sum(range(first)), sum(range(second))]
    for times in (0, 1, 2, 1001, 20_000):
        assert exports["from a"](times) == sums[times % 2]
        assert exports["from b"](times) == sums[1 - times % 2]


CELL = """(module
  (import "other" "table" (table $t 2 funcref))
  (memory (export "memory") 1)
  (global $mine i32 (i32.const {number}))
  (data (i32.const 0) "\\{number:02x}")
  (type $f (func (param i64) (result i32)))
  (func $ping (export "ping") (type $f)
    (if (result i32) (i64.eqz (local.get 0))
      (then (i32.add (i32.load8_u (i32.const 0)) (i32.mul (global.get $mine) (i32.const 16))))
      (else (return_call_indirect $t (type $f) (i64.sub (local.get 0) (i64.const 1)) (i32.const {other})))))
  (elem (table $t) (i32.const {own}) func $ping)
  (func (export "around") (param i64) (result i32)
    ;; The callee is called through its slot, and may end in another instance.
    (i32.or (call $ping (local.get 0)) (i32.shl (i32.load8_u (i32.const 0)) (i32.const 16)))))"""


@pytest.mark.parametrize("config", [Config(), Config(checked=True), Config(explicit_bounds=True)], ids=repr)
def test_a_tail_call_to_another_instance_comes_back_with_the_callers_context(config: Config) -> None:
    engine = Engine(config)
    store = vw.Store(engine)
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(2)))
    first, second = (
        vw.instantiate(CELL.format(number=number, own=own, other=1 - own), {"other": {"table": table}}, store=store)
        for number, own in ((3, 0), (5, 1))
    )
    assert first.exports.ping(0) == 0x33
    assert first.exports.ping(1) == 0x55
    assert first.exports.around(DEEP) == 0x33 | 3 << 16
    assert first.exports.around(DEEP + 1) == 0x55 | 3 << 16
    assert second.exports.around(DEEP + 1) == 0x33 | 5 << 16


def test_a_host_function_can_be_tail_called_and_sees_its_caller() -> None:
    seen = []

    def host(caller: vw.Caller, value: int) -> int:
        seen.append(caller.memory[0])
        return value + 1

    engine = Engine()
    store = vw.Store(engine)
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(1)))
    func = vw.Func(store, vw.FuncType(["i32"], ["i32"]), host, caller=True)
    inner = vw.instantiate(
        """(module (import "h" "f" (func $f (param i32) (result i32))) (memory 1) (data (i32.const 0) "\\07")
           (func (export "go") (param i32) (result i32) (return_call $f (local.get 0))))""",
        {"h": {"f": func}},
        store=store,
    )
    outer = vw.instantiate(
        """(module (import "h" "go" (func $go (param i32) (result i32))) (memory 1) (data (i32.const 0) "\\09")
           (func $t (param i32) (result i32) (return_call $go (local.get 0)))
           (func (export "run") (param i32) (result i32)
             (i32.add (call $t (local.get 0)) (i32.load8_u (i32.const 0)))))""",
        {"h": {"go": inner.exports.go}},
        store=store,
    )
    assert outer.exports.run(10) == 11 + 9
    assert inner.exports.go(3) == 4
    assert seen == [7, 7]
    assert len(table) == 1


def test_a_trap_after_tail_calls_names_who_is_left() -> None:
    text = """(module
      (func $last (unreachable))
      (func $middle (return_call $last))
      (func $first (export "run") (call $middle) (nop)))"""
    with pytest.raises(vw.Trap) as caught:
        instance(text).exports.run()
    assert [frame.func_name for frame in caught.value.frames] == ["last", "first"]


def test_an_endless_tail_call_can_be_stopped() -> None:
    made = instance('(module (func $f (export "f") (return_call $f)))')
    with made.store.deadline(0.05), pytest.raises(vw.Interrupted):
        made.exports.f()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("(result i32) (return_call $f (i32.const 1))", "type mismatch"),
        ("(return_call $f (i64.const 1))", "type mismatch"),
        ("(return_call $f)", "type mismatch"),
        ("(result i64) (unreachable) (return_call $f)", "type mismatch"),
        ("(unreachable) (return_call $f (i64.const 1))", "type mismatch"),
        ("(return_call 99)", "unknown function"),
        ("(return_call_indirect (type 5) (i32.const 0))", "unknown t"),
    ],
)
def test_what_is_invalid_is_refused(body: str, message: str) -> None:
    assert message in refused(body, "(func $f (param i32))")


def test_dead_code_may_end_in_a_tail_call() -> None:
    instance("(module (func (param i64) (unreachable) (return_call 0)))", Config(compilation="eager"))
