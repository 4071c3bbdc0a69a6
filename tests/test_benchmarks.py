"""The benchmarks' own parts; that their figures are right is for people to judge."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import bombs, children, peers, plot, processes, results, tables
from benchmarks.installed import Installed, installed
from benchmarks.processes import FilledCache, FirstRun, Program, Side
from benchmarks.progress import Progress
from benchmarks.report import Figure, Report, geometric_mean, measure_text, take_turns
from benchmarks.session import Session
from tests.fuzz.bombs import BOMBS


def report(benchmark: str = "first") -> Report:
    """Two programs, three sides."""
    made = Report(
        benchmark, ["vibewasm", "cranelift", "winch", "cranelift ratio", "winch ratio"], reference="cranelift"
    )
    made.compare("a<b", {"winch": 0.2, "cranelift": 0.4, "vibewasm": 0.1})
    made.compare("c", {"winch": 1.0, "cranelift": 2.0, "vibewasm": 3.0})
    made.figures = [Figure("worst", 3.0, 1.1), Figure("best", 0.25, 0.5), Figure("other", 1.0, None)]
    made.notes = ["Node skipped."]
    made.conditions = {"rounds": "7", "Python": "CPython 3.11.7"}
    return made


def test_a_mean_of_ratios_is_geometric() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert geometric_mean([4.0]) == pytest.approx(4.0)


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    told: list[tuple[str, int, int]] = []
    measured = take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, 3, lambda *call: told.append(call))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert told == [(name, made, 6) for made, name in enumerate(order)]


def test_a_session_gives_medians() -> None:
    session = Session(ExitStack())
    session.rounds = 3
    values = iter([5.0, 1.0, 2.0])
    assert session.medians({"a": lambda: next(values)}) == {"a": 2.0}


def test_a_report_says_whether_a_bar_is_met() -> None:
    report = Report("calls", ["vibewasm", "ratio"], [("out", [0.0025, 0.5])])
    report.figures = [Figure("a", 0.5, 0.5), Figure("b", 0.6, 0.5), Figure("c", 0.7, None)]
    assert [figure.met for figure in report.figures] == [True, False, None]
    text = report.as_text()
    assert "2.50 ms" in text
    assert "a: 0.500  (bar 0.5: met)" in text
    assert "b: 0.600  (bar 0.5: NOT MET)" in text
    assert text.endswith("c: 0.700")


def test_a_row_compares_the_first_side_with_those_that_have_a_column() -> None:
    assert report().rows == [("a<b", [0.1, 0.4, 0.2, 0.25, 0.5]), ("c", [3.0, 2.0, 1.0, 1.5, 3.0])]
    assert report().sides == ["vibewasm", "cranelift", "winch"]
    assert report().column("winch ratio") == [0.5, 3.0]
    assert report().column("winch ratio", ["c", "not here"]) == [3.0]
    plain = Report("x", ["vibewasm", "peer", "ratio"], reference="peer")
    plain.compare("a", {"vibewasm": 1.0, "peer": 4.0, "shown nowhere": 9.0})
    assert plain.rows == [("a", [1.0, 4.0, 0.25])]


def test_measures_are_short_numbers() -> None:
    assert [measure_text(value, "s") for value in (2.0, 0.0834, 2.5e-6, 3e-8)] == [
        "2.00 s",
        "83.40 ms",
        "2.50 us",
        "30 ns",
    ]
    assert measure_text(76_771_000, "B") == "76.8 MB"


def test_results_are_kept_by_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.json"
    assert results.load(file) == {}
    results.keep(file, report("warm"))
    results.keep(file, report("first"))
    newer = report("warm")
    newer.notes = ["Again."]
    results.keep(file, newer)
    assert results.load(file) == {"first": report("first"), "warm": newer}


def test_progress_is_shown_on_a_terminal_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (io.StringIO(), Terminal()):
        progress = Progress("first", stream)
        for part in progress.each(["a", "b"]):
            progress.say(part, 1, 2)
        progress.close()
        shown = stream.getvalue()
        if not stream.isatty():
            assert shown == ""
        else:
            assert " 25%" in shown
            assert "  part 1/2, run 2/2: a\x1b[K" in shown
            assert " 75%" in shown
            assert "  part 2/2, run 2/2: b\x1b[K" in shown
            assert shown.endswith("\r\x1b[K")


def test_a_plot_has_a_mark_for_each_side_and_row_where_its_ratio_is() -> None:
    root = ElementTree.fromstring(plot.svg(report()))
    space = "{http://www.w3.org/2000/svg}"
    marks = {}
    for path in root.iter(f"{space}path"):
        hint = path.find(f"{space}title")
        if hint is not None:
            marks[hint.text] = float(path.attrib["transform"].removeprefix("translate(").partition(",")[0])
    assert list(marks) == [
        "a<b, wasmtime-py, Winch: 200.00 ms",
        "a<b, vibewasm: 100.00 ms",
        "c, wasmtime-py, Winch: 1.00 s",
        "c, vibewasm: 3.00 s",
    ]
    half, quarter, other_half, three_halves = marks.values()
    assert half == other_half
    assert quarter < half < three_halves
    # From a quarter to a half is as far as from a half to one.
    (one,) = (path.attrib["d"] for path in root.iter(f"{space}path") if path.get("class") == "one")
    assert float(one.removeprefix("M").partition(",")[0]) == pytest.approx(2 * half - quarter, abs=0.2)


def test_a_plot_has_colours_for_light_and_dark() -> None:
    light, dark = plot.svg(report()).split("@media (prefers-color-scheme: dark)")
    for kind in ("text", ".quiet", ".ground", ".grid", ".one", ".s0", ".s1"):
        assert f"\n{kind} {{" in light
        assert f"\n{kind} {{" in dark


def test_there_are_marks_for_all_sides_that_a_benchmark_can_have() -> None:
    sides = ["vibewasm", "winch", "liftoff", "turbofan", "serialized"]
    many = Report("first", [*sides, "cranelift"], [("a", [1.0] * 6)], reference="cranelift")
    ElementTree.fromstring(plot.svg(many))


def test_a_plot_shows_bars_of_sides_and_no_mark_for_nothing() -> None:
    made = Report("bombs", ["us a byte", "code"], [("a", [2.0, 0.0]), ("b", [1.0, 70.0])], unit="1")
    made.bars = {"us a byte": 3.0, "code": 64.0}
    picture = ElementTree.fromstring(plot.svg(made))
    hints = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert hints[1:] == [
        "us a byte: bar 3",
        "code: bar 64",
        "a, us a byte: 2.00",
        "b, code: 70.00",
        "b, us a byte: 1.00",
    ]
    assert Report.from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.ci
def test_the_benchmark_of_bombs_measures_each_family(monkeypatch: pytest.MonkeyPatch) -> None:
    families = {"small": (BOMBS["a chain of loads"][0], 800), "other": (BOMBS["nested blocks"][0], 800)}
    monkeypatch.setattr(bombs, "families", lambda: families)
    session = Session(ExitStack())
    made = bombs.measure(session)
    assert [name for name, _ in made.rows] == ["small", "other"]
    assert all(cells[0] > 0 for _, cells in made.rows)
    assert [figure.bar for figure in made.figures] == [*made.bars.values()]


def test_a_plot_without_a_reference_shows_what_was_measured() -> None:
    picture = plot.svg(Report("explore", ["median", "longest"], [("keystroke", [0.05, 0.0612])]))
    ElementTree.fromstring(picture)
    assert ">50.00 ms</text>" in picture
    assert "= 1" not in picture


def test_tables_are_written_between_their_marks() -> None:
    document = "Before.\n<!-- measured: first -->\nold\n<!-- end -->\nBetween.\n<!-- measured: warm -->\n<!-- end -->\n"
    filled = tables.fill(document, {"first": report()})
    assert "old" not in filled
    assert "| a<b | 100.00 ms | 400.00 ms | 200.00 ms | 0.250 | 0.500 |\n" in filled
    assert "| worst | 3.000 | 1.1: **not met** |\n| best | 0.250 | 0.5: met |\n| other | 1.000 |  |\n" in filled
    assert "![first, as a plot of the table below](plots/first.svg)" in filled
    assert "Node skipped.\n" in filled
    assert "Measured: rounds 7, Python CPython 3.11.7.\n" in filled
    assert "Not measured yet" in filled.partition("Between.")[2]
    assert tables.fill(filled, {"first": report()}) == filled


def test_the_document_is_what_the_results_say(project: Path) -> None:
    reports = results.load(tables.RESULTS)
    document = tables.DOCUMENT.read_text()
    assert tables.fill(document, reports) == document, "python -m benchmarks.tables writes it"
    for name in command.BENCHMARKS:
        assert document.count(f"<!-- measured: {name} -->") == 1
    for name, kept in reports.items():
        assert (tables.DOCUMENT.parent / "plots" / f"{name}.svg").read_text() == plot.svg(kept)


def test_children_do_not_inherit_what_changes_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIBEWASM_CACHE", "NODE_OPTIONS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("VIBEWASM_CPU", "baseline")
    environment = children.child_environment(VIBEWASM_CACHE="off")
    assert not [name for name in environment if name.startswith(("PYTHON", "NODE"))]
    assert environment["VIBEWASM_CACHE"] == "off"
    assert environment["VIBEWASM_CPU"] == "baseline"
    assert "PATH" in environment
    assert "VIBEWASM_CACHE" not in children.child_environment()


def test_cpython_is_a_file_or_the_one_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIBEWASM_CPYTHON", raising=False)
    assert peers.cpython(None) is None
    with pytest.raises(peers.MissingError, match="nowhere: neither a file nor a folder"):
        peers.cpython("nowhere")
    file = tmp_path / "package" / "python-3.12.0.wasm"
    file.parent.mkdir()
    file.touch()
    assert peers.cpython(str(file)) == file
    monkeypatch.setenv("VIBEWASM_CPYTHON", str(tmp_path))
    assert peers.cpython(None) == file
    (tmp_path / "python.wasm").touch()
    with pytest.raises(peers.MissingError, match="with one python"):
        peers.cpython(None)


def python_side(code: str) -> Side:
    """A side whose program is some Python."""
    return Side(lambda program: [sys.executable, "-I", "-S", "-c", code])


def test_a_program_that_prints_something_else_is_not_measured() -> None:
    program = Program("hello", processes.HELLO.file, output=b"right\n")
    assert python_side("print('right')").time(program)() > 0
    with pytest.raises(SystemExit, match="printed wrongly"):
        python_side("print('wrong')").time(program)
    with pytest.raises(SystemExit, match="ended with 3"):
        python_side("print('right'); raise SystemExit(3)").peak(program)


def test_the_peak_is_the_programs_own() -> None:
    """That of the process which starts it does not count, though Linux would have it so."""
    ours = b"x" * 50_000_000
    small = python_side("pass").peak(processes.HELLO)()
    large = python_side("b'x' * 40_000_000").peak(processes.HELLO)()
    assert small < len(ours)
    assert 39_000_000 < large - small < 45_000_000


def session_with(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Session:
    """A session whose environment is that of the tests, where vibewasm runs as a module."""
    bin = folder / "environment" / "bin"
    bin.mkdir(parents=True)
    (bin / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (bin / "vibewasm").write_text(
        f'#!/bin/sh\necho "$VIBEWASM_CACHE" >> {folder}/caches\n'
        f'PYTHONPATH={children.ROOT} exec {sys.executable} -m vibewasm "$@"\n'
    )
    for script in bin.iterdir():
        script.chmod(0o755)
    session = Session(ExitStack())
    monkeypatch.setitem(session.__dict__, "installed", Installed(folder))
    return session


HELLO = Program("hello", processes.HELLO.file, ("you",), sightglass=False)


def test_each_first_run_has_an_empty_cache_and_others_share_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session = session_with(monkeypatch, tmp_path)
    run = FirstRun(session).time(HELLO)
    run()
    run()
    *first, _ = folders = (tmp_path / "caches").read_text().split()
    assert len(set(folders)) == 3
    assert not any(Path(folder).parent.exists() for folder in first)
    (tmp_path / "caches").unlink()
    filled = FilledCache(session)
    filled.time(HELLO)()
    # Two are looked at: the one that fills it, and one that uses it.
    assert (tmp_path / "caches").read_text().split() == [str(tmp_path / "cache")] * 3


def test_a_cache_that_keeps_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    filled = FilledCache(session_with(monkeypatch, tmp_path))
    assert "keeps nothing" in filled.notes()[0]
    (tmp_path / "cache").mkdir()
    assert filled.notes()
    (tmp_path / "cache" / "module").touch()
    assert filled.notes() == []


@pytest.mark.ci
def test_all_sides_run_a_program_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Path) -> None:
    pytest.importorskip("wasmtime", reason="compares with wasmtime: pip install 'vibewasm[test]'")
    session = session_with(monkeypatch, tmp_path)
    sides = {"vibewasm": FirstRun(session), **processes.node_sides(), "serialized": processes.serialized(session)}
    sides |= {strategy: processes.compiling(session, strategy) for strategy in peers.STRATEGIES}
    (sieve,) = (program for program in processes.tools() if program.name == "shootout-sieve")
    assert sieve.output
    for side in sides.values():
        side.check(Program("hello", HELLO.file, ("you",), sightglass=False, output=hello_says(HELLO.file)))
        side.check(sieve)
    assert (tmp_path / "hello.cwasm").exists()


def hello_says(file: Path) -> bytes:
    """What vibewasm prints of the example."""
    line = [sys.executable, "-m", "vibewasm", "run", str(file), "you"]
    return subprocess.run(line, cwd=children.ROOT, capture_output=True, check=True).stdout


def test_programs_are_those_that_the_tests_know(programs: Path) -> None:
    names = {program.name for program in processes.tools()}
    assert {"bz2", "pulldown-cmark", "rust-json", "blake3-scalar", "quicksort", "shootout-sieve"} <= names
    assert all(program.output is not None for program in processes.tools())


@pytest.mark.ci
def test_the_wheel_is_installed_beside_wasmtime() -> None:
    """pip builds it, which takes some seconds."""
    pytest.importorskip("wasmtime", reason="installs wasmtime: pip install 'vibewasm[test]'")
    with installed() as here:
        code = "import vibewasm, wasmtime; print(vibewasm.__file__, vibewasm.__cached__, wasmtime.__cached__)"
        line = [here.python, "-c", code]
        output = subprocess.run(line, cwd="/", env=children.child_environment(), capture_output=True, check=True).stdout
        for path in output.decode().split():
            assert Path(path).is_relative_to(here.folder / "environment")
            assert Path(path).is_file()
        session = Session(ExitStack())
        session.__dict__["installed"] = here
        FilledCache(session).check(HELLO)
    assert not here.folder.exists()


def test_what_is_missing_is_said_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(session: Session) -> Report:
        raise peers.MissingError("no browser")

    monkeypatch.setattr(command, "BENCHMARKS", {"explore": (missing, 1), "first": (lambda session: report(), 5)})
    line = ["benchmarks", "all", "--json", str(tmp_path / "results.json"), "--plot", str(tmp_path / "plots")]
    monkeypatch.setattr(sys, "argv", line)
    assert command.main() == 0
    shown = capsys.readouterr()
    assert shown.err == "benchmarks: explore: no browser\n"
    assert "worst: 3.000  (bar 1.1: NOT MET)" in shown.out
    kept = results.load(tmp_path / "results.json")["first"]
    assert kept.conditions["rounds"] == "5"
    assert {"date", "processor", "system", "Python", "vibewasm"} <= set(kept.conditions)
    assert (tmp_path / "plots" / "first.svg").read_text() == plot.svg(kept)
    monkeypatch.setattr(sys, "argv", [*line, "--check"])
    assert command.main() == 1
    monkeypatch.setattr(sys, "argv", ["benchmarks", "explore"])
    assert command.main() == 1


def test_benchmarks_show_on_a_terminal_which_measurement_of_how_many_they_make(project: Path) -> None:
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    line = [sys.executable, "-m", "benchmarks", "calls", "calls", "--rounds", "1", "--json", "-"]
    try:
        outcome = subprocess.run(line, cwd=project, stdout=subprocess.PIPE, stderr=end, check=True, timeout=120)
        os.close(end)
        shown = os.read(terminal, 1 << 16).decode()
    finally:
        os.close(terminal)
    assert len(outcome.stdout.splitlines()) == 2
    lines = [line.removesuffix("\x1b[K") for line in shown.split("\r")]
    assert all(len(line) < 70 for line in lines)
    for number in 1, 2:
        own = [line for line in lines if line.startswith(f"calls ({number} of 2) ")]
        places = [line.partition("  part ")[2].partition(": ")[0] for line in own]
        assert places == [f"{part}/3, run {run}/2" for part in (1, 2, 3) for run in (1, 2)]
    assert lines[-1] == ""


@pytest.mark.parametrize(
    "name", [pytest.param("start", marks=pytest.mark.ci), "calls", "instances", "arrays", "native"]
)
def test_a_benchmark_runs(project: Path, name: str) -> None:
    if name in ("arrays", "native") and shutil.which("cc") is None:
        pytest.skip("there is no C compiler: loops in C are not compared with")
    line = [sys.executable, "-m", "benchmarks", name, "--rounds", "1", "--json", "-"]
    outcome = subprocess.run(line, cwd=project, capture_output=True, check=True, timeout=120)
    assert outcome.stderr == b"", "what shows progress is for terminals"
    report = json.loads(outcome.stdout)
    assert report["benchmark"] == name
    assert report["figures"]
    assert all(figure["value"] > 0 for figure in report["figures"])
