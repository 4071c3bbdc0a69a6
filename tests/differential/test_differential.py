"""A small part of the differential check (`python -m tests.differential` runs a large one), and tests of its parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.differential import campaign, cases, locations, make, ours, recording
from tests.differential.cases import Case
from tests.differential.judge import Judge
from tests.differential.make import Made
from tests.differential.recording import Asker
from tests.differential.report import Report, places, show
from tests.fuzz.instructions import read_body
from tests.fuzz.nans import depends_on_nans
from tests.fuzz.parts import CODE, read_parts
from tests.fuzz.steps import Difference, Result, State, Step, Trace
from tests.fuzz.surface import read_surface
from tests.spec.suite import PROJECT_ROOT
from vibewasm.api.engine import default_engine
from vibewasm.binary.decoder import decode
from vibewasm.compiler import Compiler
from vibewasm.instances.context import ContextLayout
from vibewasm.opcodes import VECTOR_PREFIX, all_rows
from vibewasm.wat import wat2wasm

SEED = 11
COUNT = 1500
QUICK_COUNT = 250
#: Fewer, as one in eight of the others has vectors too.
QUICK_SIMD_COUNT = 80
QUICK_CONTROL_COUNT = 60
JOBS = 2


def compared(count: int, look: bool, simd: bool = False, control: bool = False) -> Report:
    """The report of so many modules, in which nothing may be wrong."""
    options = f"--seed {SEED}{' --simd' * simd}{' --control' * control}"
    print(f"seed {SEED}, modules 0 to {count - 1}; python -m tests.differential {options} --only N shows one")
    report = Report()
    for finding in campaign.run(SEED, range(count), JOBS, look=look, simd=simd, control=control):
        report.add(finding)
    assert report.modules == count
    assert not report.wrong, report.text()
    # A check whose modules trap at once, or are never called, checks little.
    assert report.calls > 20 * count, report.text()
    assert sum(report.traps.values()) < report.calls // 4, report.text()
    return report


def test_modules_do_what_they_do_in_wasmtime() -> None:
    compared(QUICK_COUNT, look=False)


@pytest.mark.ci
def test_modules_do_what_they_do_in_wasmtime_and_instructions_meet_operands_wherever_these_can_be() -> None:
    report = compared(COUNT, look=True)
    assert set(report.modes) == {*ours.MODES}
    assert set(report.traps) == {
        "memory_out_of_bounds",
        "table_out_of_bounds",
        "bad_signature",
        "indirect_call_to_null",
        "integer_divide_by_zero",
        "integer_overflow",
        "bad_conversion_to_integer",
        "unreachable",
    }
    text, all_met = places(report.met)
    assert all_met, text


def test_modules_rich_in_vectors_do_what_they_do_in_wasmtime() -> None:
    compared(QUICK_SIMD_COUNT, look=False, simd=True)


@pytest.mark.ci
def test_vector_instructions_meet_operands_wherever_these_can_be() -> None:
    report = compared(COUNT, look=True, simd=True)
    assert set(report.modes) == {*ours.MODES} - {"extensions"}
    text, all_met = places(report.met, vectors=True)
    assert all_met, text


@pytest.mark.parametrize("simd", [False, True])
@pytest.mark.parametrize("count", [QUICK_CONTROL_COUNT, pytest.param(COUNT, marks=pytest.mark.ci)])
def test_modules_about_control_do_what_they_do_in_wasmtime(count: int, simd: bool) -> None:
    report = compared(count // (1 + simd), look=False, simd=simd, control=True)
    # Neither is nearly everything caught, nor nearly nothing.
    assert report.calls // 50 < report.exceptions < report.calls // 4, report.text()
    assert report.traps["null_reference"]


def test_modules_about_control_are_taken_apart_and_put_together_and_have_all_instructions() -> None:
    made: set[int] = set()
    doubles = 0
    for number in range(120):
        data = make.make(SEED, number, control=True).data
        parts = read_parts(data)
        assert parts.encode() == data
        bodies = [read_body(raw) for raw in parts.items(CODE)]
        assert [body.encode() for body in bodies] == parts.items(CODE)
        made |= {instruction.code for body in bodies for instruction in body.instructions}
        doubles += read_surface(data).is_double
    wanted = {row[0] for row in all_rows() if row[5] in ("exceptions", "tail-call", "function-references")}
    assert wanted <= made
    # With one instance only there is no other one to go to.
    assert 40 < doubles < 120


@pytest.mark.ci
def test_each_vector_instruction_is_made_soon() -> None:
    made: set[int] = set()
    for number in range(COUNT):
        for raw in read_parts(make.make(SEED, number, simd=True).data).items(CODE):
            made |= {instruction.code for instruction in read_body(raw).instructions}
    assert {row[0] for row in all_rows() if row[0] >> 32 == VECTOR_PREFIX} <= made


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    made = Asker()
    yield made
    made.close()


# Hypothesis draws the numbers that a module is made of, so it makes a module that fails smaller by itself. A crash of
# the engine is one of the child.
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(rng=st.randoms(use_true_random=False), index=st.integers(1, 7), mode=st.sampled_from(sorted(ours.MODES)))
def test_small_modules_do_what_they_do_in_wasmtime(asker: Asker, rng: Random, index: int, mode: str) -> None:
    made = make.drawn(rng, index, small=True).with_canonical_nans()
    finding = asker.find(index, made, mode, 60)
    assert not finding.wrong, f"{show(finding)}\n{made.steps}\n{made.data.hex()}"


def test_a_module_depends_on_seed_and_number_only() -> None:
    first = [make.make(3, number) for number in range(20)]
    assert [make.make(3, number) for number in reversed(range(20))][::-1] == first
    assert [make.make(4, number) for number in range(20)] != first


def test_recording_which_looks_at_operands_gives_the_code_that_runs() -> None:
    for number in range(40):
        info = decode(make.make(5, number).data)
        compiler = Compiler(info, ContextLayout(info), target=default_engine().target)
        code = [compiler.compile(defined) for defined in range(len(info.bodies))]
        found: set[locations.Place] = set()
        with locations.tracing(found):
            assert [compiler.record(defined).code for defined in range(len(info.bodies))] == code
        assert found == locations.met(info.data)


def test_operands_are_seen_where_they_are() -> None:
    data = wat2wasm("""(module (func (param i32 i32 i32) (result i32)
        local.get 0 local.get 0 drop local.get 0 drop
        local.get 1
        i32.add
        i32.const 5
        i32.sub
        block end
        local.get 2
        i32.lt_s
        if (result i32) i32.const 1 else i32.const 2 end))""")
    seen = {(place.code, place.operand, place.location) for place in locations.met(data)}
    assert {
        (0x6A, "0", "pinned local"),
        (0x6A, "1", "frame local"),
        (0x6B, "0", "register"),
        (0x6B, "1", "constant"),
        (0x48, "0", "slot"),
        (0x48, "1", "frame local"),
        (0x04, "condition", "flags"),
        (0x05, "result (integer)", "constant"),
        (0x0B, "result (integer)", "constant"),
        (0x1A, "value (integer)", "pinned local"),
    } == seen - {(0x0B, "result (integer)", "register")}


def test_every_instruction_with_operands_is_counted() -> None:
    without = {"unreachable", "nop", "local.get", "global.get", "memory.size", "table.size", "ref.null", "ref.func",
               "data.drop", "elem.drop", "i32.const", "i64.const", "f32.const", "f64.const"}  # fmt: skip
    # The campaign about control makes these, which take their operands as calls and branches do.
    control = ("exceptions", "legacy-exceptions", "tail-call", "function-references")
    without |= {row[1] for row in locations.TABLE if row[5] in control}
    counted = {place.code for place in locations.all_places()}
    assert {row[1] for row in locations.TABLE if row[0] not in counted} == without


def test_places_that_were_not_met_are_reported() -> None:
    text, all_met = places(set(locations.all_places()[1:]))
    assert not all_met
    assert "not met: block (0x2), operand parameter (integer): register" in text
    assert "listed as unreachable: " in text
    reachable = {place for place in locations.all_places() if not locations.why_unreachable(place)}
    assert places(reachable)[1]


class Wrong(Judge):
    """A judge whose vibewasm adds one to the first i32 that an export returns."""

    def __init__(self, *, simd: bool, control: bool) -> None:
        super().__init__(simd=simd, control=control)
        run = self.ours.run

        def spoilt(data: bytes, mode: str, planned: list[Step]) -> Trace:
            trace = run(data, mode, planned)
            for number, result in enumerate(trace.results):
                if result.kind == "values" and result.detail and result.detail[0][0] == "i32":
                    (_, payload), *rest = result.detail
                    trace.results[number] = Result("values", [("i32", payload ^ 1), *rest])
                    break
            return trace

        self.ours.run = spoilt  # type: ignore[method-assign]


def test_a_difference_is_found_reduced_and_kept_as_a_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "_judge", Wrong)
    text = """(module
        (memory (export "m") 1)
        (func (export "refuel"))
        (func (export "f1") (param i32) (result i32) i32.const 0 i32.const 7 i32.store local.get 0 i32.const 3 i32.mul)
        (func (export "f2") (result f32) f32.const 1))"""
    steps = [Step("refuel", []), Step("f1", [("i32", 5)]), Step("f2", [])]
    made = Made(wat2wasm(text), "test", True, steps)
    asker = Asker()
    finding = asker.find(7, made, "lazy")
    assert finding.difference is not None
    assert finding.difference[2:] == ("values i32:0xe", "values i32:0xf")
    assert "module 7 (test, lazy): results of f1" in show(finding)
    reduced = recording.reduced(7, made, "lazy", asker)
    asker.close()
    assert len(reduced.data) < len(made.data)
    assert reduced.steps == [Step("f1", [("i32", 5)])]
    case = Judge().case(7, reduced, "lazy")
    path = tmp_path / "case.wat"
    path.write_text(cases.to_wat(case, ["A note."]))
    again = cases.from_wat(path.read_text())
    assert (again.mode, again.steps, again.trace.results) == ("lazy", case.steps, case.trace.results)
    assert ours.Ours().difference(again) is None


def test_a_nan_whose_bits_are_seen_is_put_aside_and_judged_with_canonical_nans() -> None:
    # The engines are free to give either operand's payload.
    text = """(module (memory (export "m") 1) (func (export "f0") (param f32 f32)
        i32.const 0 local.get 0 local.get 1 f32.add f32.store))"""
    steps = [Step("f0", [("f32", 0x7FC0_0001), ("f32", 0x7FC0_0002)])]
    made = Made(wat2wasm(text), "test", False, steps)
    judge = Judge()
    assert depends_on_nans(judge.peer, made.data, made.steps)
    assert not depends_on_nans(judge.peer, wat2wasm(text.replace("f32.add", "f32.copysign")), made.steps)
    assert not judge.judge(0, made.with_canonical_nans(), "eager").wrong


def test_a_signalling_nan_is_a_quiet_one_to_a_python_function_and_stays_what_it_is_to_a_deterministic_engine() -> None:
    text = """(module (import "env" "f0" (func $f0 (param f32 f64))) (memory (export "m") 1)
        (global (export "g") (mut f32) (f32.const -nan:0x389464))
        (func (export "f1") (param f32 f64)
            (f32.store (i32.const 0) (local.get 0)) (call $f0 (local.get 0) (local.get 1))))"""
    steps = [Step("f1", [("f32", 0xFF80_0A1C), ("f64", 0x7FF0_0000_0000_0001)])]
    made = Made(wat2wasm(text), "test", False, steps)
    assert not Judge().judge(0, made, ours.DETERMINISTIC).wrong


def test_nans_in_vectors_are_put_aside_and_judged_lane_by_lane() -> None:
    text = """(module (func (export "f0") (param v128 v128) (result v128) local.get 0 local.get 1 f32x4.add))"""
    nans = sum([0x7FC0_0001 << at for at in (0, 96)]) | 0x3F80_0000 << 32
    steps = [Step("f0", [("v128", nans), ("v128", nans + 1)])]
    made = Made(wat2wasm(text), "test", False, steps)
    judge = Judge()
    assert depends_on_nans(judge.peer, made.data, made.steps)
    for same in ("f32x4.pmin", "v128.xor", "f32x4.eq"):
        assert not depends_on_nans(judge.peer, wat2wasm(text.replace("f32x4.add", same)), made.steps)
    settled = made.with_canonical_nans()
    assert not judge.judge(0, settled, "eager").wrong
    ((_, sums),) = judge.peer.run(settled.data, steps).results[1].detail
    assert sums & 0xFFFF_FFFF == sums >> 96 == 0x7FC0_0000
    assert sums >> 32 & 0xFFFF_FFFF == 0x4000_0000


def test_bits_of_a_nan_that_no_other_nan_has_may_decide_what_is_done() -> None:
    # All bits are set, and stay so on the processors that there are; then a NaN is made that has other bits on each.
    text = """(module (memory (export "m") 1) (func (export "f0") (if
        (i8x16.all_true (i8x16.eq (v128.const i64x2 -1 -1) (f32x4.ceil (v128.const i64x2 -1 -1))))
        (then (f32.store (i32.const 0) (f32.sqrt (f32.const -1)))))))"""
    assert depends_on_nans(Judge().peer, wat2wasm(text), [Step("f0", [])])


def test_vectors_go_to_imported_functions_and_come_from_imported_globals() -> None:
    text = """(module (import "env" "f0" (func $f0 (param i32 v128 externref) (result v128 f32)))
        (import "env" "g0" (global $g0 v128)) (import "env" "g1" (global $g1 (mut v128))) (export "g" (global $g1))
        (func (export "f1") (param v128 externref) (result v128 f32)
            (global.set $g1 (i8x16.add (global.get $g0) (global.get $g1)))
            (call $f0 (i32.const 1) (local.get 0) (local.get 1))))"""
    steps = [Step("f1", [("v128", 5 << 120 | 7), ("externref", 1)]), Step("f1", [("v128", 0), ("externref", None)])]
    made = Made(wat2wasm(text), "test", True, steps)
    judge = Judge()
    for mode in ours.MODES:
        assert not judge.judge(0, made, mode).wrong
    trace = judge.peer.run(made.data, made.steps)
    assert trace.state is not None
    assert trace.state.host_calls[0] == ("f0", [("i32", 1), ("v128", 5 << 120 | 7), ("externref", 1)])
    assert trace.state.globals["g"][0] == "v128"


def test_nans_may_decide_which_access_traps() -> None:
    # The modules that are compared are longer than the original, and so are the offsets of their traps.
    text = """(module (memory 1) (func (export "f0") (param f32) (result i32)
        (if (result i32) (i32.lt_s (i32.reinterpret_f32 (f32.div (local.get 0) (local.get 0))) (i32.const 0))
            (then (i32.load (i32.const -1))) (else (i32.load8_u (i32.const -1))))))"""
    judge = Judge()
    assert depends_on_nans(judge.peer, wat2wasm(text), [Step("f0", [("f32", 0)])])


def test_recorded_cases_are_read_back_and_checked_by_the_standard_library_alone(tmp_path: Path) -> None:
    judge = Judge()
    recorded = [judge.recordable(2, number) for number in range(10)]
    path = tmp_path / "recorded.gz"
    assert cases.save_all(path, recorded) == 10
    for case, again in zip(recorded, cases.load_all(path), strict=True):
        assert again[:4] == case[:4]
        assert again.trace.results == case.trace.results
    # -I -S: no site-packages, so neither wasmtime nor hypothesis.
    code = f"import sys; sys.path[:0] = [{str(PROJECT_ROOT)!r}]; from tests.differential.__main__ import main; "
    code += "sys.exit(main())"
    command = [sys.executable, "-I", "-S", "-c", code, "--check", str(path), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 modules checked, 0 differences" in done.stdout
    wrong = recorded[1]._replace(trace=Trace([Result("trap", "unreachable")], None))
    cases.save_all(path, [recorded[0], wrong])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "2 modules checked, 1 differences" in done.stdout


def test_states_with_tables_and_host_calls_are_compared() -> None:
    state = State({"m": b"1"}, {"g": ("i32", 1)}, {"t": ["f0", None]}, [("f1", [("i32", 1)])])
    case = Case(0, "lazy", wat2wasm("(module)"), [], Trace([Result("values", [])], state))
    # The module exports nothing, so what is compared is what vibewasm has: nothing, but for the call that is missing.
    found = ours.Ours().difference(case)
    assert found == Difference("host call", "number 0", "None", "('f1', [('i32', 1)])")


SAVED = sorted(recording.SAVED.glob("*.wat"))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_saved_cases_go_as_they_must_in_all_modes(path: Path) -> None:
    case = cases.from_wat(path.read_text(encoding="utf-8"))
    for mode in ours.MODES:
        assert ours.Ours().difference(case._replace(mode=mode)) is None
