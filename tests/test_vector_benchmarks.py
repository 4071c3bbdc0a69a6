"""The parts of the benchmarks of vectors; that their figures are right is for people to judge."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import vectors
from benchmarks.mixtures import mixture
from benchmarks.peers import MissingError, node
from benchmarks.report import Report
from benchmarks.session import Session
from benchmarks.timed import Outcome, Program, Run, checked, in_node, refusal, with_wasmtime
from benchmarks.vector_compile import counts
from vibewasm import Engine, Module
from vibewasm.opcodes import all_rows
from vibewasm.wat import wasm2wat

DOT = next(program for program in vectors.every() if program.name == "dot_i8")


def words_of(data: bytes) -> set[str]:
    """The first word of each line of a module's text."""
    return {word for line in wasm2wat(data).splitlines() for word in line.split()[:1]}


@pytest.mark.parametrize("kind", ["vectors", "scalars"])
def test_a_mixture_has_every_instruction_of_its_kind(kind: str) -> None:
    data, total = mixture(kind == "vectors")
    Module.validate(Engine(), data)
    rows = [row for row in all_rows() if row[3]]
    vector = {row[1] for row in rows if row[5] == "simd"}
    scalar = {row[1] for row in rows if row[1].startswith(("i32.", "i64.", "f32.", "f64.")) and "x" not in row[1][:6]}
    words = words_of(data)
    assert (vector if kind == "vectors" else scalar) <= words
    assert not words & (scalar if kind == "vectors" else vector)
    counted = counts(Module(Engine(), data))
    assert sum(instructions for instructions, _ in counted) == total
    assert all(bool(found) == (kind == "vectors") for _, found in counted)
    assert mixture(kind == "vectors") == (data, total), "a mixture is always the same"


def test_instructions_of_functions_are_counted() -> None:
    text = """(module (memory 1)
        (func (param i32 i32) (drop (i32.add (local.get 0) (local.get 1))))
        (func (local v128 i32) (local.set 0 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
            (v128.load (i32.const 0)) (v128.const i64x2 1 2)))))"""
    assert counts(Module(Engine(), text)) == [(5, 0), (6, 3)]


def test_a_program_that_prints_wrongly_is_not_measured() -> None:
    def run() -> Outcome:
        return Outcome(1.5, b"right", b"")

    assert checked(Program("p", Path("p.wasm"), b"right"), "side", run)() == 1.5
    for program in (Program("p", Path("p.wasm"), b"wrong"), Program("p", Path("p.wasm"), stderr=b"wrong")):
        with pytest.raises(SystemExit, match="p with side printed wrongly"):
            checked(program, "side", run)


@pytest.mark.parametrize("strategy", ["winch", "cranelift"])
def test_peers_run_a_kernel(strategy: str) -> None:
    pytest.importorskip("wasmtime", reason="compares with wasmtime: pip install 'vibewasm[test]'")
    refused = refusal(strategy, [DOT])
    if refused:
        assert strategy == "winch", refused
        pytest.skip(f"Winch does not run vectors on this processor: {refused}")
    assert checked(DOT, strategy, with_wasmtime(DOT, strategy))() > 0


@pytest.mark.parametrize("compiler", ["liftoff", "turbofan"])
def test_node_runs_a_kernel(compiler: str) -> None:
    command = node()
    if command is None:
        pytest.skip("there is no `node` here that has node:wasi")
    assert checked(DOT, compiler, in_node(DOT, command, compiler))() > 0


def test_who_is_left_out_and_why_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasmtime", reason="compares with wasmtime: pip install 'vibewasm[test]'")

    def missing() -> Path:
        raise MissingError("no programs")

    def runs(program: Program, strategy: str = "", command: str = "", compiler: str = "") -> Run:
        return lambda: Outcome(2.0 if strategy else 1.0, program.stdout or b"", b"")

    monkeypatch.setattr(vectors, "refusal", lambda strategy, programs: f"{programs[0].name}: no AVX2")
    monkeypatch.setattr(vectors, "node", lambda: None)
    monkeypatch.setattr(vectors, "programs", missing)
    monkeypatch.setattr(vectors, "ours", runs)
    monkeypatch.setattr(vectors, "with_wasmtime", runs)
    report: Report = vectors.measure(Session(ExitStack()))
    assert report.columns == ["vibewasm", "cranelift", "cranelift ratio"]
    assert report.rows[0] == ("base64_decode", [1.0, 2.0, 0.5])
    assert [(figure.value, figure.bar) for figure in report.figures] == [(0.5, 1.1), (0.5, 1.5)]
    shown = " ".join(report.notes)
    for note in ("Winch left out, since it refuses base64_decode: no AVX2", "Node skipped", "blake3-simd skipped"):
        assert note in shown
