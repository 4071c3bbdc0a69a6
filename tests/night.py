"""All campaigns, one after the other: `python -m tests.night --minutes 20`, or `--only differential mutants`.

Each runs for so many minutes, in a process of its own; what it says is shown as it comes, and a table at the end says
what each has done. The exit code is 0 if nothing was found.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import time
from typing import NamedTuple

from tests.guided.targets import NAMES as GUIDED
from tests.spec.suite import PROJECT_ROOT


class Campaign(NamedTuple):
    """A campaign: what is run, and the line of its output that says how much it did."""

    arguments: tuple[str, ...]
    line: str


CAMPAIGNS = {
    "mutants": Campaign(("tests.fuzz.mutants",), "mutants:"),
    "differential": Campaign(("tests.differential",), "modules,"),
    "vectors": Campaign(("tests.differential", "--simd"), "modules,"),
    "control": Campaign(("tests.differential", "--control"), "modules,"),
    "cache": Campaign(("tests.cache.tampered_files",), "not used"),
    **{name: Campaign(("tests.guided", name), "inputs,") for name in GUIDED},
}


def run(name: str, minutes: float, seed: int) -> tuple[int, str]:
    """Run a campaign: its exit code, and the line that says what it did."""
    campaign = CAMPAIGNS[name]
    command = [sys.executable, "-m", *campaign.arguments, "--minutes", f"{minutes:g}", "--seed", str(seed)]
    print(f"== {' '.join(command[1:])}", flush=True)
    said = ""
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            if campaign.line in line:
                said = line.strip()
    return process.returncode, said


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.night", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="for each campaign")
    parser.add_argument("--seed", type=int, help="an integer; drawn and printed if left out")
    parser.add_argument(
        "--only", nargs="+", choices=CAMPAIGNS, default=[*CAMPAIGNS], metavar="NAME", help=", ".join(CAMPAIGNS)
    )
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    rows = []
    for name in options.only:
        start = time.monotonic()
        code, said = run(name, options.minutes, seed)
        rows.append((name, code, time.monotonic() - start, said))
    print(f"\nseed {seed}")
    for name, code, seconds, said in rows:
        print(f"{name:12} {'nothing wrong' if code == 0 else f'FOUND (exit code {code})':22} {seconds:6.0f} s  {said}")
    return max([code != 0 for _, code, _, _ in rows])


if __name__ == "__main__":
    sys.exit(main())
