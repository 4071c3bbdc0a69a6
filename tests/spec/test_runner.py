"""The suite's runner itself: the reader, constants and patterns, counting, and failures that must be seen."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.spec import sexpr
from tests.spec.isolate import run_isolated
from tests.spec.runner import Kind, run_script
from tests.spec.suite import Script
from tests.spec.values import Value, matches, parse_value


def node(text: str) -> sexpr.Node:
    (form,) = sexpr.read(text)
    return list(form.items)


def test_reader_resolves_escapes_and_skips_comments() -> None:
    text = r"""
    ;; a line ( comment
    (a "\00\ff\t\n\"\\\u{e9}é" (; a (; nested ;) "comment ;) (b))
    (c)"""
    assert list(sexpr.read(text)) == [(3, ["a", b'\x00\xff\t\n"\\\xc3\xa9\xc3\xa9', ["b"]]), (4, ["c"])]


@pytest.mark.parametrize("text", ["(a", "a)", "a", '(a "b', "(; (a)", r'(a "\q")', "(a\n"])
def test_reader_rejects_what_is_no_run_of_forms(text: str) -> None:
    with pytest.raises(sexpr.ScriptSyntaxError):
        list(sexpr.read(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(i32.const -1)", ("i32", 0xFFFF_FFFF)),
        ("(i32.const 0xffff_ffff)", ("i32", 0xFFFF_FFFF)),
        ("(i64.const -0x8000_0000_0000_0000)", ("i64", 1 << 63)),
        ("(f32.const -0x1.8p+1)", ("f32", 0xC040_0000)),
        ("(f32.const -0)", ("f32", 0x8000_0000)),
        ("(f32.const 0x1p-149)", ("f32", 1)),
        # Rounding to f64 first would make this a tie, and the tie would go to even: 0x1.000000p0.
        ("(f32.const 0x1.00000100000000001p0)", ("f32", 0x3F80_0001)),
        ("(f32.const 1_0.5e1)", ("f32", 0x42D2_0000)),
        ("(f64.const nan:0x4000)", ("f64", 0x7FF0_0000_0000_4000)),
        ("(f64.const -nan)", ("f64", 0xFFF8_0000_0000_0000)),
        ("(f64.const -inf)", ("f64", 0xFFF0_0000_0000_0000)),
        ("(v128.const i16x8 0 1 2 3 4 5 6 -1)", ("v128", 0xFFFF_0006_0005_0004_0003_0002_0001_0000)),
        ("(v128.const f64x2 0 1)", ("v128", 0x3FF0_0000_0000_0000 << 64)),
        ("(ref.null extern)", ("externref", None)),
        ("(ref.extern 7)", ("externref", 7)),
    ],
)
def test_constants_are_read_as_bits(text: str, value: Value) -> None:
    assert parse_value(node(text)) == value


@pytest.mark.parametrize("text", ["(i32.const 0x1_0000_0000)", "(v128.const i32x4 1 2 3)", "(f32.const nan:0x800000)"])
def test_constants_that_do_not_fit_are_errors(text: str) -> None:
    with pytest.raises(ValueError, match=r"fit|lanes"):
        parse_value(node(text))


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("(i32.const 1)", ("i32", 1), True),
        ("(i32.const 1)", ("i64", 1), False),
        ("(f32.const 0)", ("f32", 0x8000_0000), False),
        ("(f32.const nan:canonical)", ("f32", 0xFFC0_0000), True),
        ("(f32.const nan:canonical)", ("f32", 0x7FC0_0001), False),
        ("(f32.const nan:arithmetic)", ("f32", 0x7FC0_0001), True),
        ("(f32.const nan:arithmetic)", ("f32", 0x7FA0_0000), False),
        ("(f64.const nan:arithmetic)", ("f64", 0xFFFC_0000_0000_0000), True),
        ("(f64.const nan:canonical)", ("f64", 0x3FF0_0000_0000_0000), False),
        ("(f64.const nan:0x8000000000001)", ("f64", 0x7FF8_0000_0000_0001), True),
        ("(either (i32.const 1) (i32.const 2))", ("i32", 2), True),
        ("(either (i32.const 1) (i32.const 2))", ("i32", 3), False),
        ("(v128.const f32x4 nan:canonical 0 0 nan:arithmetic)", ("v128", 0x7FFF_FFFF << 96 | 0x7FC0_0000), True),
        ("(v128.const f32x4 nan:canonical 0 0 0)", ("v128", 0x7FFF_FFFF << 96 | 0x7FC0_0000), False),
        ("(ref.null)", ("funcref", None), True),
        ("(ref.null func)", ("funcref", object()), False),
        ("(ref.func)", ("funcref", object()), True),
        ("(ref.func)", ("funcref", None), False),
        ("(ref.extern)", ("funcref", object()), False),
        ("(ref.extern 3)", ("externref", 4), False),
    ],
)
def test_result_patterns(pattern: str, value: Value, expected: bool) -> None:
    assert matches(node(pattern), value) is expected


class FakeTrap(Exception):
    pass


class FakeAdapter:
    """An engine whose functions echo their arguments, trap ("trap") or crash ("die"), and whose modules are valid."""

    def assemble(self, text: bytes) -> bytes:
        return text.strip(b"()")

    def check(self, data: bytes) -> object:
        if data == b"bad":
            raise ValueError("malformed")
        return None

    def compile(self, data: bytes) -> bytes:
        return data

    def instantiate(self, module: bytes) -> bytes:
        if module == b"trap":
            raise FakeTrap("out of bounds memory access")
        return module

    def register(self, name: str, instance: bytes) -> None:
        raise NotImplementedError("register")

    def invoke(self, instance: bytes, name: str, arguments: list[Value]) -> list[Value]:
        if name == "trap":
            raise FakeTrap("uninitialized element")
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "hang":
            time.sleep(60)
        return arguments

    def get(self, instance: bytes, name: str) -> Value:
        return "i32", 42

    def classify(self, error: Exception) -> tuple[Kind, str]:
        return ("trap" if isinstance(error, FakeTrap) else "malformed"), str(error)


COUNTED = """
(module definition $A binary "a")
(module instance $A $A)
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
(assert_return (invoke "f" (i32.const 1)) (i32.const 2))
(assert_return (invoke $A "f"))
(assert_return (invoke $B "f"))
(assert_return (invoke "trap"))
(assert_return (get "g") (i32.const 42))
(assert_trap (invoke "trap") "uninitialized element 2")
(assert_trap (invoke "trap") "undefined element")
(assert_trap (invoke "f") "uninitialized element")
(assert_malformed (module binary "bad") "why")
(assert_malformed (module binary "good") "why")
(assert_malformed (module quote "(bad)") "why")
(module quote "(module)")
(assert_invalid (module binary "bad") "why")
(module definition binary "trap")
(assert_trap (module instance) "out of bounds memory access")
(assert_return (invoke "f"))
(register "A" $A)
(assert_nothing)
"""


def test_counts_add_up_and_every_wrong_answer_is_a_failure() -> None:
    outcome = run_script(COUNTED, FakeAdapter())
    assert [failure.line for failure in outcome.failures] == [5, 7, 8, 11, 12, 14, 17, 20, 21, 22]
    # Line 20 invokes the latest instance, and the latest one could not be made; line 21 is no assertion.
    assert (outcome.passed, outcome.failed, outcome.broken) == (7, 9, 1)
    first = outcome.failures[0]
    assert (first.expected, first.got, first.module) == ("(i32.const 2)", "(i32.const 0x1)", b"a")


@pytest.mark.parametrize(("name", "got"), [("die", "the process died: SIGKILL"), ("hang", "no end after")])
def test_a_crash_or_hang_of_the_engine_fails_its_script_and_names_the_line(tmp_path: Path, name: str, got: str) -> None:
    path = tmp_path / "script.wast"
    path.write_text(f'(module binary "a")\n(assert_return (invoke "f"))\n(assert_return (invoke "{name}"))\n')
    outcome = run_isolated(Script("script.wast", path, 2, ()), FakeAdapter, timeout=0.3)
    assert (outcome.passed, outcome.failed) == (0, 2)
    assert outcome.failures[0].line == 3
    assert got in outcome.failures[0].got


def test_a_script_in_a_child_process_reports_what_it_counted(tmp_path: Path) -> None:
    path = tmp_path / "script.wast"
    path.write_text(COUNTED)
    outcome = run_isolated(Script("script.wast", path, 16, ()), FakeAdapter, timeout=30)
    assert (outcome.passed, outcome.failed, outcome.broken) == (7, 9, 1)
