"""Run time of programs that use SIMD, compiled eagerly: the kernels, and BLAKE3 from the Sightglass suite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from . import kernels
from .peers import NODE_OPTIONS, MissingError, node, programs, require_wasmtime
from .processes import NO_NODE
from .report import Figure, Report, geometric_mean
from .session import Session
from .timed import Program, Run, checked, in_node, ours, refusal, with_wasmtime

#: Geometric means.
BARS = {"winch": 0.7, "liftoff": 0.7, "cranelift": 1.1}
#: The highest ratio to Cranelift of any program.
BAR_OF_WORST = 1.5

_NO_BLAKE3 = "blake3-simd skipped: there is no simd/blake3-simd beside the folder of programs."


def every() -> list[Program]:
    """The kernels, and BLAKE3 where it is."""
    found = [Program(name, kernels.FOLDER / f"{name}.wasm", line, b"") for name, line in kernels.expected().items()]
    try:
        file = programs().parent / "simd" / "blake3-simd" / "benchmark.wasm"
    except MissingError:
        return found
    if not file.is_file():
        return found
    stdout, stderr = (file.with_suffix(f".{stream}.expected").read_bytes() for stream in ("stdout", "stderr"))
    return [*found, Program("blake3-simd", file, stdout, stderr)]


def measure(session: Session) -> Report:
    """Medians of runs; with ``peers`` TurboFan, Node's optimising compiler, is shown too."""
    require_wasmtime()
    chosen = every()
    engines, notes = _engines(session, chosen)
    if chosen[-1].name != "blake3-simd":
        notes.append(_NO_BLAKE3)
    compared = [name for name in BARS if name in engines]
    report = Report("vectors", [*engines, *(f"{name} ratio" for name in compared)], reference="cranelift", notes=notes)
    for program in session.progress.each(chosen):
        sides = {name: checked(program, name, engine(program)) for name, engine in engines.items()}
        report.compare(program.name, session.medians(sides, program.name))
    names = [name for name, _ in report.rows]
    for name in compared:
        ratios = report.column(f"{name} ratio")
        worst, where = max(zip(ratios, names, strict=True))
        report.figures += [
            Figure(f"geometric mean, to {name}", geometric_mean(ratios), BARS[name]),
            Figure(f"worst, to {name}: {where}", worst, BAR_OF_WORST if name == "cranelift" else None),
        ]
    return report


def _engines(session: Session, chosen: list[Program]) -> tuple[dict[str, Callable[[Program], Run]], list[str]]:
    """What runs a program with each engine, and what is to be said of those that are left out."""
    engines: dict[str, Callable[[Program], Run]] = {"vibewasm": ours}
    notes = []
    refused = refusal("winch", chosen)
    if refused:
        notes.append(f"Winch left out, since it refuses {refused}")
    else:
        engines["winch"] = partial(with_wasmtime, strategy="winch")
    engines["cranelift"] = partial(with_wasmtime, strategy="cranelift")
    command = node()
    if command is None:
        notes.append(NO_NODE)
    else:
        for name in NODE_OPTIONS if session.peers else ("liftoff",):
            engines[name] = partial(in_node, command=command, compiler=name)
    return engines, notes
