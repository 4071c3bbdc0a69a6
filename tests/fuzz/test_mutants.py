"""A small part of the bad-input campaign (`python -m tests.fuzz.mutants` runs a large one), and tests of its parts."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from tests.fuzz import campaign, corpus, workers
from tests.fuzz.campaign import Finding
from tests.fuzz.generate import generate
from tests.fuzz.instructions import NotParsed, read_body
from tests.fuzz.judge import Judge, Verdict
from tests.fuzz.make import Made, make
from tests.fuzz.parts import CODE, DATA, FUNCTION, Parts, Section, read_parts
from tests.fuzz.peer import Peer
from tests.fuzz.reduce import reduce
from tests.fuzz.report import Report
from tests.fuzz.steps import Difference, Result, State, Step, Trace, first_difference
from tests.fuzz.workers import Asked, in_child
from tests.spec import suite
from vibewasm.wat import wat2wasm

SEED = 2
COUNT = 1500
QUICK_COUNT = 250
JOBS = 2


@pytest.fixture(scope="module")
def seeds() -> corpus.Corpus:
    return corpus.load()


@pytest.mark.parametrize("count", [QUICK_COUNT, pytest.param(COUNT, marks=pytest.mark.ci)])
def test_mutants_neither_crash_nor_hang_and_are_judged_as_wasmtime_judges_them(
    seeds: corpus.Corpus, count: int
) -> None:
    print(f"seed {SEED}, mutants 0 to {count - 1}; python -m tests.fuzz.mutants --seed {SEED} --only N shows one")
    report = Report()
    for finding in campaign.run(SEED, range(count), JOBS, seeds, {}):
        report.add(finding)
    assert report.total == count
    assert report.wrong == 0, report.text()
    # A campaign whose mutants are nearly all rejected, or never called, tests little.
    assert report.accepted > count // 4, report.text()
    assert report.called > count // 5, report.text()


def test_programs_and_suite_are_in_the_corpus(seeds: corpus.Corpus) -> None:
    if why := suite.missing():
        pytest.skip(f"NOT RUN: {why}")
    peer = Peer()
    assert len(seeds.programs) > 300
    assert len(seeds.suite) > 300
    assert len(seeds.invalid) > 300
    rejected = [why for data in seeds.valid if (why := peer.rejects(data))]
    # Types of functions may be recursive here without the rest of garbage collection.
    assert [why for why in rejected if "`gc` proposal" not in why and "GC proposal" not in why] == []


def test_generated_modules_are_valid_and_hold_every_kind_of_instruction() -> None:
    peer = Peer()
    codes: Counter[int] = Counter()
    for number in range(400):
        parts = generate(Random(number))
        assert peer.rejects(parts.encode()) is None
        for body in parts.items(CODE):
            codes.update(instruction.code for instruction in read_body(body).instructions)
    assert len(codes) > 180


def test_a_mutant_depends_on_seed_and_number_only(seeds: corpus.Corpus) -> None:
    first = [make(7, number, seeds) for number in range(40)]
    assert [make(7, number, seeds) for number in reversed(range(40))][::-1] == first
    assert len({made.data for made in first}) > 35
    assert [make(8, number, seeds) for number in range(40)] != first


def test_a_module_taken_apart_and_put_together_again_is_the_same() -> None:
    for number in range(50):
        data = generate(Random(number)).encode()
        parts = read_parts(data)
        assert parts.encode() == data
        assert [read_body(body).encode() for body in parts.items(CODE)] == parts.items(CODE)


def test_what_cannot_be_taken_apart_is_said_to_be_so() -> None:
    data = generate(Random(1)).encode()
    for broken in (data[:-1], b"\1" + data, data + b"\1\5\1"):
        with pytest.raises(NotParsed):
            read_parts(broken)


def test_reduction_keeps_what_a_module_shows_and_removes_the_rest() -> None:
    data = Parts(
        [
            Section(1, [b"\x60\0\0", b"\x60\1\x7f\0"]),
            Section(FUNCTION, [b"\0", b"\0", b"\1"]),
            Section(CODE, [b"\0\x01\x0b", b"\0\x02\x40\x41\x2a\x1a\x01\x0b\x0b", b"\0\x0b"]),
            Section(DATA, [b"\1\1a"]),
        ]
    ).encode()
    reduced = reduce(data, lambda candidate: b"\x41\x2a" in candidate)
    assert reduced == Parts([Section(CODE, [b"\0\x41\x2a\x0b"])]).encode()


def test_a_crash_and_a_hang_of_a_child_are_seen() -> None:
    verdict = Finding(0, "", (), Verdict(None, None))
    assert in_child(lambda: verdict) == verdict

    def crash() -> Finding:
        raise SystemExit("no finding")

    def hang() -> Finding:
        while True:
            pass

    assert in_child(crash) == "crash: exit code 1"
    assert in_child(hang, 0.2) == "hang: no result after 0 s"


def test_a_child_that_dies_or_hangs_of_a_question_is_replaced() -> None:
    def start() -> Callable[[str], str]:
        def answer(question: str) -> str:
            if question == "crash":
                raise SystemExit("no answer")
            while question == "hang":
                pass
            return question * 100_000

        return answer

    asked = Asked(start)
    assert asked.ask("a") == "a" * 100_000
    assert asked.ask("crash") == "crash: exit code 1"
    assert asked.ask("hang", 0.2) == "hang: no result after 0 s"
    assert asked.ask("b") == "b" * 100_000
    asked.close()
    asked.close()


VALUES = Result("values", [("i32", 1), ("f32", 0x7FC0_0000)])
STATE = State({"m": b"abc"}, {"g": ("i64", 1)})
TRAP = Result("trap", "memory_out_of_bounds", ((1, 9), (0, 3)))


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (VALUES, VALUES, None),
        (VALUES, Result("values", [("i32", 1), ("f32", 0xFFC0_0001)]), None),
        (VALUES, Result("values", [("i32", 2), ("f32", 0x7FC0_0000)]), "results"),
        (VALUES, Result("values", [("i32", 1), ("f32", 0)]), "results"),
        (VALUES, TRAP, "outcome"),
        (TRAP, Result("trap", "unreachable", TRAP.frames), "outcome"),
        (TRAP, Result("trap", TRAP.detail, ((1, 8), (0, 3))), "frames"),
        (TRAP, Result("stopped", "fuel"), None),
        (VALUES, Result("trap", "stack_overflow"), None),
    ],
)
def test_traces_are_compared_bit_for_bit_but_for_nans(ours: Result, theirs: Result, kind: str | None) -> None:
    steps = [Step("f", [])]
    started = Result("values", [])
    data = bytes(64)
    found = first_difference(steps, data, Trace([started, ours], STATE), Trace([started, theirs], STATE))
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (STATE, None),
        (State({"m": b"abd"}, STATE.globals), "memory"),
        (State({"m": b"ab"}, STATE.globals), "memory"),
        (State(STATE.memories, {"g": ("i64", 2)}), "global"),
    ],
)
def test_states_are_compared(state: State, kind: str | None) -> None:
    found = first_difference([], b"", Trace([], STATE), Trace([], state))
    assert (found.kind if found else None) == kind


def test_what_depends_on_the_sign_of_a_nan_is_judged_with_canonical_nans() -> None:
    # The sign of a NaN made of two others ends up in a number; wasmtime chooses as if its NaNs were canonical.
    text = """(module (func (export "f") (param f32) (result f32)
        f32.const 0 f32.const nan f32.const -1 f32.sqrt local.get 0 f32.neg f32.div f32.mul f32.copysign))"""
    judge = Judge()
    verdict = judge.judge(Made(wat2wasm(text), "test", ()), Random(1))
    assert verdict.nan_bits
    assert verdict.difference is None


def test_a_function_that_is_imported_twice_is_not_run_since_only_here_is_it_one_reference() -> None:
    text = """(module (import "m" "f" (func $a)) (import "m" "f" (func $b))
        (export "f0" (func $a)) (export "f1" (func $b))
        (table (export "t") funcref (elem $a $b)))"""
    verdict = Judge().judge(Made(wat2wasm(text), "test", ()), Random(1))
    assert verdict.not_run == "a function that is imported twice"
    assert verdict.difference is None


def test_findings_are_counted() -> None:
    report = Report()
    difference = Difference("results", "f[]", "1", "2")
    assert not report.add(Finding(1, "generated", ("none",), Verdict(None, None, calls=3)))
    assert not report.add(Finding(2, "generated", ("none",), Verdict("no", "no")))
    assert not report.add(Finding(3, "generated", ("none",), Verdict(None, "no", explained="why")))
    assert report.add(Finding(4, "generated", ("none",), Verdict(None, "no")))
    assert report.add(Finding(5, "generated", ("none",), Verdict(None, None, difference=difference)))
    assert report.add(Finding(6, "generated", ("none",), None, "crash: SIGSEGV"))
    assert report.add(Finding(7, "generated", ("none",), Verdict(None, None, stopped=True, late=True)))
    assert (report.total, report.accepted, report.called, report.wrong) == (7, 3, 1, 4)
    for text in ("1 x crash: SIGSEGV: [6]", "vibewasm: accepted", "5: f[]", "not in time in vibewasm: 1 [7]"):
        assert text in report.text()


def test_an_exception_of_the_engine_that_is_no_wasm_error_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge()

    def fail(*_: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr("tests.fuzz.judge.vw.Module", fail)
    finding = campaign.find(1, 1, corpus.Corpus([], [], []), judge)
    assert finding.verdict is None
    assert finding.problem is not None
    assert finding.problem.startswith("AssertionError: a bug (")


class SickJudge:
    """An engine that dies of one mutant and hangs on another."""

    def judge(self, made: Made, rng: Random) -> Verdict:
        if made == make(3, 4, NO_SEEDS):
            faulthandler.disable()  # in this child, whose stack nobody wants to see
            os.kill(os.getpid(), signal.SIGSEGV)
        while made == make(3, 7, NO_SEEDS):
            pass
        return Verdict(None, None)


NO_SEEDS = corpus.Corpus([], [], [])


def test_a_campaign_goes_on_after_a_crash_and_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "Judge", SickJudge)
    monkeypatch.setattr(workers, "HANG_SECONDS", 1.0)
    monkeypatch.setattr(workers, "NUMBERS_PER_WORKER", 3)
    findings = {finding.number: finding for finding in campaign.run(3, range(20), 2, NO_SEEDS, {})}
    assert sorted(findings) == list(range(20))
    problems = {number: finding.problem for number, finding in findings.items() if finding.problem}
    assert problems == {4: "crash: SIGSEGV", 7: "hang: no result after 1 s"}
