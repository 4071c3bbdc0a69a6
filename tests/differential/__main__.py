"""The differential check: `python -m tests.differential --count 50000 --seed 1 --jobs 2`.

Random valid modules run in vibewasm and in wasmtime; results, traps with their frames, memories, globals, tables and
calls of imports are compared. Module N of a seed is always the same: `--only N` judges it again, `--reduce` makes it
small, `--save-case NAME` keeps it as a test. `--record FILE` writes modules with what wasmtime does, `--check FILE`
compares vibewasm with such a file, for which Python alone will do. With `--simd` all modules are rich in vectors, and
with `--control` they are about exceptions, tail calls and typed references, most of them in two instances.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from tests.fuzz.workers import UNLIMITED, for_minutes


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    options = _parse()
    if options.check is not None:
        from tests.differential import checking

        return checking.check(options.check, options.jobs)
    try:
        from tests.differential import recording
    except ModuleNotFoundError as error:
        from tests.fuzz.needed import not_installed

        sys.exit(not_installed(error))

    if options.record is not None:
        return recording.record(options.record, options.seed, _indices(options), options.simd, options.control)
    if options.only is not None:
        return recording.only(
            options.seed,
            options.only,
            options.mode,
            options.reduce,
            options.save_case,
            options.simd,
            options.control,
        )
    return _campaign(options)


def _indices(options: argparse.Namespace) -> range:
    return range(options.start, options.start + (options.count if options.minutes is None else UNLIMITED))


def _campaign(options: argparse.Namespace) -> int:
    from tests.differential import campaign
    from tests.differential.report import Report, places, show, table

    shown = f"to {options.start + options.count - 1}" if options.minutes is None else "on"
    print(f"seed {options.seed}, modules {options.start} {shown}", flush=True)
    report = Report()
    start = last = time.monotonic()
    look = options.places or options.place_table
    findings = campaign.run(
        options.seed,
        _indices(options),
        options.jobs,
        mode=options.mode,
        look=look,
        simd=options.simd,
        control=options.control,
    )
    for finding in for_minutes(findings, options.minutes):
        report.add(finding)
        if finding.wrong:
            print(show(finding), flush=True)
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"  {report.modules} after {last - start:.0f} s, {len(report.wrong)} differences", flush=True)
    print(report.text())
    all_met = True
    if look:
        text, all_met = places(report.met, options.simd)
        print(text)
    if options.place_table:
        print(table(report.met, options.simd))
    print(f"{time.monotonic() - start:.0f} s, seed {options.seed}; one again:")
    again = f"--seed {options.seed}{' --simd' * options.simd}{' --control' * options.control}"
    print(f"  python -m tests.differential {again} --only INDEX [--reduce] [--save-case NAME]")
    return 1 if report.wrong or not all_met else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="how many modules")
    parser.add_argument("--minutes", type=float, help="stop after so many, and not after a count")
    parser.add_argument("--seed", type=int, help="an integer; drawn and printed if left out")
    parser.add_argument("--start", type=int, default=0, metavar="INDEX", help="the first module")
    parser.add_argument("--simd", action="store_true", help="modules that are rich in vector instructions")
    parser.add_argument(
        "--control", action="store_true", help="modules about exceptions, tail calls and typed references"
    )
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--mode", help="one mode for all modules (default: each mode has its share)")
    parser.add_argument("--places", action="store_true", help="report in which places instructions met operands")
    parser.add_argument("--place-table", action="store_true", help="the same with a line for each operand")
    parser.add_argument("--only", type=int, metavar="INDEX", help="judge this module alone and show it")
    parser.add_argument("--reduce", action="store_true", help="with --only: look for a smaller module")
    parser.add_argument("--save-case", metavar="NAME", help="with --only: keep it in tests/differential/saved")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write modules and what wasmtime does with them")
    parser.add_argument("--check", type=Path, metavar="FILE", help="run the modules of a recorded file in vibewasm")
    options = parser.parse_args()
    from tests.differential.ours import MODES

    if options.mode is not None and options.mode not in MODES:
        parser.error(f"no mode {options.mode}; there are {', '.join(MODES)}")
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    return options


if __name__ == "__main__":
    sys.exit(main())
