"""The bad-input campaign: `python -m tests.fuzz.mutants --count 100000 --seed 1 --jobs 2`.

Mutants of real modules are accepted or rejected by vibewasm and by wasmtime; what both accept is instantiated with
stubs for imports, its exports are called, and results, traps, memories and globals are compared. Mutant N of a seed
is always the same as long as the corpus is: `--only N` makes and judges it again, `--reduce` makes it small.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.needed import not_installed

try:
    from tests.fuzz import campaign, corpus
    from tests.fuzz.campaign import Finding, find_made
    from tests.fuzz.judge import Judge
    from tests.fuzz.make import Made, make
    from tests.fuzz.reduce import listing, reduce
    from tests.fuzz.report import Report
    from tests.fuzz.workers import UNLIMITED, for_minutes, in_child
except ModuleNotFoundError as error:
    sys.exit(not_installed(error))

_OPTIONS: dict[str, dict[str, Any]] = {
    "checked": {"checked": True},
    "explicit_bounds": {"explicit_bounds": True},
    "fuel": {"fuel": True},
    "lazy-translation": {"compilation": "lazy-translation"},
}


def main() -> int:
    """Runs what the command line asks for; returns the exit code."""
    options = _parse()
    seeds = corpus.load()
    if not seeds.programs:
        print("NOTE: no ../shared or VIBEWASM_SHARED: only generated modules are mutated", file=sys.stderr)
    config = {name: value for option in options.config for name, value in _OPTIONS[option].items()}
    if options.only is not None:
        return _only(options.seed, options.only, seeds, config, options.reduce, options.save)
    stop = options.start + (options.count if options.minutes is None else UNLIMITED)
    shown = f"to {stop - 1}" if options.minutes is None else "on"
    print(f"seed {options.seed}, mutants {options.start} {shown}, config {config or 'default'}")
    start = last = time.monotonic()
    report = Report()
    findings = campaign.run(options.seed, range(options.start, stop), options.jobs, seeds, config)
    for finding in for_minutes(findings, options.minutes):
        if report.add(finding):
            _save(options.save, options.seed, make(options.seed, finding.number, seeds), finding)
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"  {report.total} after {last - start:.0f} s, {report.wrong} findings", flush=True)
    print(report.text())
    print(f"{time.monotonic() - start:.0f} s, seed {options.seed}; findings are saved in {options.save}; one again:")
    extra = "".join(f" --config {name}" for name in options.config)
    print(f"  python -m tests.fuzz.mutants --seed {options.seed}{extra} --only INDEX [--reduce]")
    return 1 if report.wrong else 0


def _only(seed: int, index: int, seeds: corpus.Corpus, config: dict[str, Any], smaller: bool, folder: Path) -> int:
    made = make(seed, index, seeds)

    def found(data: bytes) -> tuple[str, Finding | str]:
        changed = Made(data, made.source, made.kinds)
        finding = in_child(lambda: find_made(seed, index, changed, Judge(**config)), 10)
        return _essence(finding), finding

    essence, finding = found(made.data)
    print(f"mutant {index} of seed {seed}: made from {made.source} by {', '.join(made.kinds)}\n{listing(made.data)}")
    print(finding if isinstance(finding, str) else finding.problem or finding.verdict)
    data = made.data
    if smaller and essence:
        data = reduce(made.data, lambda candidate: found(candidate)[0] == essence)
        print(f"reduced from {len(made.data)} to {len(data)} bytes:\n{listing(data)}\n{found(data)[1]}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{index}.wasm"
    path.write_bytes(data)
    print(f"saved as {path}")
    return 1 if essence else 0


def _essence(finding: Finding | str) -> str:
    """What must stay the same while a mutant is reduced; empty when nothing is wrong."""
    if isinstance(finding, str):
        return finding
    verdict = finding.verdict
    if verdict is None:
        return finding.problem or "no verdict"
    if (verdict.ours is None) != (verdict.theirs is None):
        return f"{verdict.ours}/{verdict.theirs}"
    if verdict.difference:
        return verdict.difference.kind
    return "late" if verdict.late else ""


def _save(folder: Path, seed: int, made: Made, finding: Finding) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{seed}-{finding.number}.wasm").write_bytes(made.data)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many mutants")
    parser.add_argument("--minutes", type=float, help="stop after so many, and not after a count")
    parser.add_argument("--seed", type=int, help="an integer; drawn and printed if left out")
    parser.add_argument("--start", type=int, default=0, metavar="INDEX", help="the first mutant")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument(
        "--config", action="append", default=[], choices=_OPTIONS, help="an option of vibewasm's Config"
    )
    parser.add_argument("--only", type=int, metavar="INDEX", help="judge this mutant alone and show it")
    parser.add_argument(
        "--reduce", action="store_true", help="with --only: look for a smaller module that shows the same"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="where findings go (default: in the temporary folder)"
    )
    options = parser.parse_args()
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    if options.save is None:
        options.save = Path(tempfile.gettempdir()) / "vibewasm-mutants"
    return options


if __name__ == "__main__":
    sys.exit(main())
