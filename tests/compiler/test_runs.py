"""Blocks, branches, calls and functions with many values: values stay what they are, and what is wrong is said in the
same words as where there are few.
"""

from __future__ import annotations

import pytest

import vibewasm as vw
from tests.growth import steps
from vibewasm.backends import TARGETS

COUNTS = [15, 16, 17, 18, 40, 1000]
MODES = [vw.Config(), vw.Config(checked=True), vw.Config(fuel=True)]


def run(text: str, argument: int | None = None, config: vw.Config | None = None) -> object:
    """The result of the export ``f``."""
    engine = vw.Engine(config or vw.Config())
    with vw.Store(engine) as store:
        if engine.config.fuel:
            store.fuel = 10_000_000
        return vw.instantiate(text, store=store).exports.f(*(() if argument is None else (argument,)))


def ints(count: int) -> str:
    return "i32 " * count


def constants(count: int) -> str:
    return " ".join(f"(i32.const {index + 1})" for index in range(count))


def total(count: int) -> str:
    """Code that adds so many values, each weighed by its place from the top."""
    return "(local.set $n (i32.const 0)) " + " ".join(
        f"(i32.const {weight + 1}) i32.mul (local.get $n) i32.add local.set $n" for weight in range(count)
    )


def weighed(values: list[int]) -> int:
    """What :func:`total` gives."""
    found = sum((weight + 1) * value for weight, value in enumerate(reversed(values)))
    return (found & 0xFFFFFFFF) - (1 << 32 if found & 0x80000000 else 0)


def function(count: int, body: str, more: str = "") -> str:
    """A module whose export does something with so many values, and gives what they are then."""
    return f"""(module
        (type $t (func (param {ints(count)}) (result {ints(count)})))
        (type $r (func (result {ints(count)}))) {more}
        (func (export "f") (param $x i32) (result i32) (local $n i32) (local $m i32)
            {body} {total(count)} (local.get $n)))"""


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", COUNTS)
def test_values_go_into_a_block_and_out_of_it(count: int, config: vw.Config) -> None:
    inside = "(block (type $t) nop) (block (type $t) drop (local.get $x) (block (type $t)) i32.eqz (block (type $t)))"
    values = [*range(1, count), 0]
    assert run(function(count, constants(count) + inside), 7, config=config) == weighed(values)


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", COUNTS)
def test_both_parts_of_an_if_leave_their_values(count: int, config: vw.Config) -> None:
    body = constants(count) + "(local.get $x) (if (type $t) (then drop (i32.const 70) br 0) (else drop (i32.const 80)))"
    for taken, last in ((1, 70), (0, 80)):
        assert run(function(count, body), taken, config=config) == weighed([*range(1, count), last])


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", COUNTS)
def test_a_branch_takes_values_to_another_height(count: int, config: vw.Config) -> None:
    body = f"""(block $out (type $r) (i32.const -1) (i32.const -2) {constants(count)}
        (br_if $out (local.get $x)) drop (i32.const 5) br $out)"""
    assert run(function(count, body), 1, config=config) == weighed([*range(1, count + 1)])
    assert run(function(count, body), 0, config=config) == weighed([*range(1, count), 5])


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", [2, 3, 8, *COUNTS])
def test_a_table_takes_values_to_labels_at_different_heights(count: int, config: vw.Config) -> None:
    labels = 12
    body = "".join(f"(block $l{index} (type $r) (i32.const -1) " for index in range(labels))
    body += f"{constants(count)} (local.get $x) (br_table " + " ".join(f"$l{index}" for index in range(labels)) + ")"
    for index in reversed(range(labels)):
        body += f") drop (i32.const {100 + index}) " + (f"(br $l{index - 1}) " if index else "")
    # From inner to outer labels each value at the top is replaced, the outermost's last.
    for chosen in (0, 5, labels - 1, 99):
        assert run(function(count, body), chosen, config=config) == weighed([*range(1, count), 100])


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", COUNTS)
def test_a_loop_takes_its_parameters_again(count: int, config: vw.Config) -> None:
    body = f"""{constants(count)} (loop (type $t) (i32.const 1) i32.add
        (br_if 0 (local.tee $x (i32.sub (local.get $x) (i32.const 1)))))"""
    assert run(function(count, body), 10, config=config) == weighed([*range(1, count), count + 10])


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", [7, 11, *COUNTS])
def test_results_are_arguments_of_the_next_call(count: int, config: vw.Config) -> None:
    gets = " ".join(f"(local.get {index})" for index in range(count))
    more = f"""(table funcref (elem $g)) (func $g (type $t) {gets} (i32.const 1) i32.add)
        (func $h (type $t) {gets} return_call $g)"""
    body = "(call $g) (call $g) drop (i32.const 9) (call $h) (call_indirect (type $t) (i32.const 0))"
    assert run(function(count, constants(count) + body, more), 0, config=config) == weighed([*range(1, count), 11])


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("count", COUNTS)
def test_exceptions_bring_their_values(count: int, config: vw.Config) -> None:
    more = f"(tag $e (param {ints(count)}))"
    body = f"""(block $out (type $r) (i32.const -1) drop
        (try_table (catch $e $out)
            {constants(count)} (if (type $t) (local.get $x) (then throw $e)) br $out) unreachable)"""
    assert run(function(count, body, more), 1, config=config) == weighed([*range(1, count + 1)])
    assert run(function(count, body, more), 0, config=config) == weighed([*range(1, count + 1)])


@pytest.mark.parametrize("count", [17, 40])
def test_vectors_are_among_many_values(count: int) -> None:
    types = "v128 i32 " * count
    text = f"""(module (type $t (func (param {types}) (result {types})))
        (func (export "f") (result i32) {"(v128.const i32x4 1 2 3 4) (i32.const 5)" * count}
            (block (type $t) (block (type $t) br 0)) {"drop drop " * (count - 1)}
            (drop) (i32x4.extract_lane 3)))"""
    assert run(text) == 4


def test_references_to_functions_become_references_to_any() -> None:
    count = 30
    precise, wide = "(ref func) " * count, "funcref " * count
    text = f"""(module (func $g) (elem declare func $g)
        (type $p (func (param {precise}) (result {wide}))) (type $w (func (param {wide}) (result {wide})))
        (func (export "f") (result i32) {"(ref.func $g) " * count}
            (block (type $p)) (block (type $w)) (return (ref.is_null))))"""
    assert run(text) == 0
    # The other way round they are no longer known to be not null.
    wrong = text.replace("(block (type $w))", "(block (type $p))")
    with pytest.raises(vw.ValidationError, match="type mismatch: block expects"):
        run(wrong)


@pytest.mark.parametrize("count", [16, 17, 40])
def test_what_is_wrong_is_said_in_the_same_words(count: int) -> None:
    def fault(body: str) -> str:
        text = f"""(module (type $t (func (param {ints(count)}) (result {ints(count)})))
            (func {constants(count)} (block (type $t)) {body} unreachable))"""
        compiler = vw.Module(vw.Engine(vw.Config(compilation="lazy")), text).compiler
        with pytest.raises(vw.ValidationError) as refused:
            compiler.compile(0)
        return str(refused.value).partition(" (in function")[0]

    some, all_ = " ".join(["i32"] * (count - 1)), " ".join(["i32"] * count)
    assert fault("drop (i64.const 0) (block (type $t))") == (
        f"type mismatch: block expects [{all_}] but the stack has [{some} i64]"
    )
    assert (
        fault("drop (block (type $t))") == f"type mismatch: block expects [{all_}] but the stack has [nothing {some}]"
    )
    assert fault("f32.neg") == "type mismatch: f32.neg expects [f32] but the stack has [i32]"
    assert fault("(block)(block (type $t) (i32.const 0))") == (
        "type mismatch: values remain on the stack at the end of the block"
    )


@pytest.mark.parametrize("types", ["i32", "i64", "f64", "i32 f32", "f32 i32 i32 i32 i32 i32 i32 i32 i64", "v128 i32"])
@pytest.mark.parametrize("count", [9, 17, 126, 127, 128, 129, 600])
def test_each_of_many_parameters_is_what_was_passed(types: str, count: int) -> None:
    """Those that are read often are pinned, wherever they arrive."""
    kinds = (types.split() * count)[:count]
    values = " ".join(
        f"(v128.const i32x4 {index} 0 0 0)" if kind == "v128" else f"({kind}.const {index})"
        for index, kind in enumerate(kinds)
    )
    to_int = {
        "i32": "",
        "i64": "i32.wrap_i64",
        "f32": "i32.trunc_f32_s",
        "f64": "i32.trunc_f64_s",
        "v128": "(i32x4.extract_lane 0)",
    }
    looked_at = sorted({0, 1, 2, 5, 7, count // 2, 120, 127, 128, 130, count - 2, count - 1} & {*range(count)})
    for often in ([], looked_at[:3], looked_at[3:7]):
        again = " ".join(f"(local.get {index}) drop (local.get {index}) drop" for index in often)
        gets = " ".join(f"(local.get {index}) {to_int[kinds[index]]}" for index in looked_at)
        text = f"""(module (func $g (param {" ".join(kinds)}) (result {"i32 " * len(looked_at)}) (local i32 f64)
                (local.set {count} (i32.const 3)) {again} {gets})
            (func (export "f") (result {"i32 " * len(looked_at)}) {values} (call $g)))"""
        assert run(text) == tuple(looked_at)
        assert run(text, config=vw.Config(checked=True)) == tuple(looked_at)


@pytest.mark.parametrize("types", ["f64", "i32 f32", "f32 i32 i32 i32 i32 i32 i32 i32 i64", "v128 i32", "i64 f64 v128"])
@pytest.mark.parametrize("count", [9, 11, 13, 17, 40, 200])
def test_arguments_that_another_call_returned_are_what_they_were(types: str, count: int) -> None:
    """Also where they travel in registers of both classes, which is done out of line."""
    kinds = (types.split() * count)[:count]
    values = " ".join(
        f"(v128.const i32x4 {index} 0 0 7)" if kind == "v128" else f"({kind}.const {index})"
        for index, kind in enumerate(kinds)
    )
    gets = " ".join(f"(local.get {index})" for index in range(count))
    equal = {"v128": "(i8x16.ne (local.get {0}) (v128.const i32x4 {0} 0 0 7)) v128.any_true"}
    wrong = " ".join(
        equal.get(kind, f"({kind}.ne (local.get {{0}}) ({kind}.const {{0}}))").format(index) + " i32.or"
        for index, kind in enumerate(kinds)
    )
    text = f"""(module (type $t (func (param {" ".join(kinds)}) (result {" ".join(kinds)}))) (table funcref (elem $g))
        (func $g (type $t) {gets}) (func $h (type $t) {gets} (call $g) (return_call $g))
        (func $i (type $t) {gets} (call $g) (return_call_indirect (type $t) (i32.const 0)))
        (func $check (param {" ".join(kinds)}) (result i32) (i32.const 0) {wrong})
        (func (export "f") (result i32) {values} (i32.const -1) drop
            (call $g) (call $h) (call_indirect (type $t) (i32.const 0)) (call $i) (call $g) (call $check)))"""
    assert run(text) == 0
    assert run(text, config=vw.Config(checked=True)) == 0


@pytest.mark.parametrize("target", TARGETS)
def test_recording_gives_the_same_code(target: str) -> None:
    text = function(
        40, constants(40) + "(block (type $t) drop (local.get $x) (block (type $t)) (br_if 0 (local.get $x)))"
    )
    compiler = vw.Module(vw.Engine(vw.Config(target=target)), text).compiler
    assert compiler.record(0).code == compiler.compile(0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(local.get 0) ", id="of a local"),
        pytest.param("(i32.add (local.get 0) (i32.const 1)) ", id="in temporaries"),
        pytest.param("(i32.const 5) ", id="constants"),
    ],
)
def test_checked_mode_takes_time_in_proportion_to_the_depth_of_the_stack(text: str) -> None:
    def taken(count: int) -> int:
        module = f"(module (func (param i32) {text * count} {'drop ' * count}))"
        compiler = vw.Module(vw.Engine(vw.Config(checked=True, compilation="lazy")), module).compiler
        compiler.compile(0)
        return steps(lambda: compiler.compile(0))

    few, more, many = taken(40), taken(80), taken(120)
    assert many - more < 1.2 * (more - few)
