"""The suite's runner itself: the reader, constants and patterns, counting, and failures that must be seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.spec import sexpr, suite
from tests.spec.isolate import run_isolated
from tests.spec.runner import Kind, count_assertions, run_script
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
        ("(ref.null exn)", ("exnref", None)),
        ("(ref.null noexn)", ("exnref", None)),
        ("(ref.null nofunc)", ("funcref", None)),
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
        ("(ref.exn)", ("exnref", object()), True),
        ("(ref.exn)", ("exnref", None), False),
        ("(ref.exn)", ("funcref", object()), False),
        ("(ref.null exn)", ("exnref", None), True),
        ("(ref.null noexn)", ("exnref", None), True),
        ("(ref.null exn)", ("exnref", object()), False),
        ("(ref.null exn)", ("externref", None), False),
        ("(ref.null nofunc)", ("funcref", None), True),
        ("(ref.null any)", ("structref", None), True),
        ("(ref.null any)", ("externref", None), False),
        ("(ref.null)", ("exnref", None), True),
        ("(ref.null)", ("i32", 0), False),
        ("(ref)", ("exnref", object()), True),
        ("(ref)", ("funcref", None), False),
        ("(ref)", ("i64", 1), False),
    ],
)
def test_result_patterns(pattern: str, value: Value, expected: bool) -> None:
    assert matches(node(pattern), value) is expected


class FakeTrap(Exception):
    pass


class FakeThrown(Exception):
    pass


class FakeLater(Exception):
    """What stands for the refusal of a proposal that is not built."""


class FakeInstance:
    """One has an identity, and nothing else."""


#: Where two threads of a script wait for each other.
MEETING = threading.Barrier(2)


class FakeAdapter:
    """An engine whose functions echo their arguments, trap ("trap"), throw ("throw") or crash ("die").

    Its modules are valid. Those that begin with "new" need the proposal "novelty", and so do functions called "later".
    """

    def __init__(self, mode: str = "eager") -> None:
        self.registered: set[str] = set()

    def assemble(self, text: bytes) -> bytes:
        return text.strip(b"()")

    def check(self, data: bytes) -> object:
        if data == b"bad":
            raise ValueError("malformed")
        return self.compile(data)

    def compile(self, data: bytes) -> bytes:
        if data.startswith(b"new"):
            raise FakeLater("it is new")
        return data

    def instantiate(self, module: bytes) -> FakeInstance:
        if module == b"trap":
            raise FakeTrap("out of bounds memory access")
        if missing := self.imports(module) - self.registered:
            raise ImportError(f"there is no {missing}")
        return FakeInstance()

    def imports(self, module: bytes) -> set[str]:
        return {module.decode().removeprefix("imports ")} if module.startswith(b"imports ") else set()

    def register(self, name: str, instance: FakeInstance) -> None:
        self.registered.add(name)

    def invoke(self, instance: FakeInstance, name: str, arguments: list[Value]) -> list[Value]:
        if name == "trap":
            raise FakeTrap("uninitialized element")
        if name == "throw":
            raise FakeThrown("with a tag")
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "hang":
            time.sleep(60)
        if name == "later":
            raise FakeLater("its body is new")
        if name == "meet":
            MEETING.wait(30)
        return arguments

    def get(self, instance: FakeInstance, name: str) -> Value:
        return "i32", 42

    def classify(self, error: Exception) -> tuple[Kind, str]:
        if isinstance(error, FakeLater):
            return "invalid", str(error)
        if isinstance(error, ImportError):
            return "unlinkable", str(error)
        if isinstance(error, FakeThrown):
            return "exception", str(error)
        return ("trap" if isinstance(error, FakeTrap) else "malformed"), str(error)

    def needs(self, error: Exception) -> str | None:
        return "novelty" if isinstance(error, FakeLater) else None

    def for_thread(self) -> FakeAdapter:
        return FakeAdapter()

    def share(self, instance: FakeInstance) -> FakeInstance:
        return instance


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
(module instance)
(assert_return (invoke "f"))
(register "A" $A)
(assert_nothing)
"""


def test_counts_add_up_and_every_wrong_answer_is_a_failure() -> None:
    outcome = run_script(COUNTED, FakeAdapter())
    assert [failure.line for failure in outcome.failures] == [5, 7, 8, 11, 12, 14, 17, 20, 21, 23]
    # Line 21 invokes the latest instance, and the latest one could not be made; line 20 is no assertion.
    assert (outcome.passed, outcome.failed, outcome.broken) == (7, 9, 1)
    first = outcome.failures[0]
    assert (first.expected, first.got, first.module) == ("(i32.const 2)", "(i32.const 0x1)", b"a")


def test_an_exception_is_no_trap_and_no_result() -> None:
    script = """
(module binary "a")
(assert_exception (invoke "throw"))
(assert_exception (invoke "trap"))
(assert_exception (invoke "f"))
(assert_trap (invoke "throw") "with a tag")
(assert_return (invoke "throw"))
"""
    outcome = run_script(script, FakeAdapter())
    assert [failure.line for failure in outcome.failures] == [4, 5, 6, 7]
    assert (outcome.passed, outcome.failed, outcome.broken) == (1, 4, 0)
    assert outcome.failures[0].expected == "exception"


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


NEEDING = """
(module $A binary "a")
(register "A" $A)
(module $N binary "new")
(register "N" $N)
(assert_return (invoke "f") (i32.const 1))
(assert_return (invoke $N "f"))
(invoke $N "f")
(assert_return (get $N "g") (i32.const 42))
(assert_trap (invoke $N "f") "trap")
(assert_malformed (module binary "new") "why")
(assert_unlinkable (module binary "new") "why")
(assert_trap (module binary "new") "why")
(module $M binary "imports N")
(assert_return (invoke $M "f"))
(assert_unlinkable (module binary "imports N") "why")
(assert_unlinkable (module binary "imports X") "why")
(assert_return (invoke $A "later"))
(assert_return (invoke $A "f"))
(assert_invalid (module binary "new") "why")
(module $B binary "b")
(assert_return (invoke $B "f") (i32.const 1))
"""


def test_what_uses_something_that_is_not_built_needs_it_under_whatever_name() -> None:
    outcome = run_script(NEEDING, FakeAdapter())
    assert [failure.line for failure in outcome.failures] == [22]
    assert outcome.needs == {"novelty": 10}
    assert outcome.waiting == {"novelty": 4}
    # That a module is invalid is what its refusal says, whatever the reason; it is counted all the same.
    assert outcome.refused == {"novelty": 1}
    assert (outcome.passed, outcome.failed, outcome.broken) == (3, 1, 0)
    assert outcome.assertions == 14


def test_what_a_refused_module_would_have_changed_is_not_judged() -> None:
    script = """
(module $A binary "a")
(register "Mem" $A)
(module $B binary "imports Mem")
(module $C binary "other")
(assert_return (invoke $A "f") (i32.const 1))
(module binary "new imports Mem")
(assert_return (invoke $A "f") (i32.const 1))
(assert_return (invoke $B "f") (i32.const 1))
(assert_return (invoke $C "f") (i32.const 1))
(assert_return (invoke $A "f"))
"""
    outcome = run_script(script, FakeAdapter())
    assert [failure.line for failure in outcome.failures] == [6, 10]
    assert (outcome.passed, outcome.failed, outcome.needs) == (1, 2, {"novelty": 2})


def test_threads_run_at_once_and_have_what_is_shared_with_them_only() -> None:
    script = """
(module $A binary "a")
(module $N binary "new")
(thread $T1 (shared (module $A))
  (assert_return (invoke $A "meet"))
  (assert_return (invoke $A "f") (i32.const 1)))
(thread $T2
  (assert_return (invoke $A "f"))
  (module binary "a")
  (assert_return (invoke "meet")))
(wait $T1)
(thread $T3 (shared (module $N)) (assert_return (invoke $N "f")) (invoke $N "f"))
(wait $T3)
(wait $T4)
"""
    outcome = run_script(script, FakeAdapter())
    # $T2, which nothing waits for, is counted at the end of the script.
    assert [failure.line for failure in outcome.failures] == [4, 14, 7]
    assert (outcome.passed, outcome.failed, outcome.broken) == (2, 2, 1)
    # The module, the thread, its invocation, and waiting for it.
    assert (outcome.needs, outcome.waiting) == ({"novelty": 1}, {"novelty": 4})
    assert count_assertions([form.items for form in sexpr.read(script)]) == outcome.assertions == 5


def test_a_checkout_of_the_specification_a_folder_and_a_file_are_suites(tmp_path: Path) -> None:
    core = tmp_path / "test" / "core"
    (core / "gc").mkdir(parents=True)
    (tmp_path / "proposals").mkdir()
    text = '(module (func (export "f"))) (thread $T (assert_return (invoke "f"))) (assert_return (invoke "f"))'
    for path in (core / "a.wast", core / "gc" / "b.wast", tmp_path / "proposals" / "c.wast"):
        path.write_text(text)
    assert [script.name for script in suite.plain_scripts(tmp_path)] == ["a.wast", "gc/b.wast"]
    assert [script.name for script in suite.plain_scripts(tmp_path / "proposals")] == ["c.wast"]
    (script,) = suite.plain_scripts(core / "a.wast")
    assert (script.name, script.counted().assertions) == ("a.wast", 2)
    assert script.text().startswith(r'(module  quote "(module (func (export \22f\22)))")')


def run_command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.spec", *map(str, words), "--adapter", "tests.spec.test_runner:FakeAdapter"]
    return subprocess.run(command, cwd=suite.PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_without_scripts_and_a_file_that_is_none_say_what_was_expected(tmp_path: Path) -> None:
    done = run_command("--suite", tmp_path)
    assert done.returncode == 2
    assert "there is no .wast file below" in done.stderr
    assert "a checkout of https://github.com/WebAssembly/spec" in done.stderr
    path = tmp_path / "half.wast"
    path.write_text('(module binary "a"')
    done = run_command("--suite", path)
    assert done.returncode == 2
    assert "half.wast is no script: " in done.stderr


def test_the_command_reports_what_a_folder_needs_and_fails_for_failures_only(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.wast").write_text('(module binary "a") (assert_return (invoke "f"))')
    (tmp_path / "deep" / "n.wast").write_text('(module binary "new") (assert_return (invoke "f"))')
    done = run_command("--suite", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  .:                   1 passed, 0 failed\n" in done.stdout
    assert "  deep:                0 passed, 1 need what is not built, 0 failed\n" in done.stdout
    assert "  needs novelty: 1 assertions and 1 other commands in 1 scripts\n" in done.stdout
    assert "1 of 2 scripts pass, 1 need what is not built, 0 fail; assertions: 1 passed, " in done.stdout
    (tmp_path / "deep" / "f.wast").write_text('(module binary "a") (assert_return (invoke "f") (i32.const 1))')
    done = run_command("--suite", tmp_path)
    assert done.returncode == 1
    assert "deep/f.wast [eager]: 0 passed, 1 failed, 0 broken" in done.stdout


def test_a_wrong_mode_is_told_with_all_that_there_are() -> None:
    done = run_command("--mode", "nope")
    assert done.returncode == 2
    assert "no mode nope; there are lazy, eager, " in done.stderr
    assert done.stderr.endswith(" and all\n")
