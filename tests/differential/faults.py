"""Does the check check? `python -m tests.differential.faults [NAME ...]` plants faults in the engine, one at a time.

Each fault is planted in a process of its own, in which the differential check and then the official suite look for it.
The report says which found it and where. The exit code is 0 if every fault was found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.differential.planted import FAULTS as SCALAR_FAULTS
from tests.differential.planted_control import FAULTS as CONTROL_FAULTS
from tests.differential.planted_vectors import FAULTS as VECTOR_FAULTS
from tests.differential.planting import PROJECT, Fault, plant

FAULTS = [*SCALAR_FAULTS, *VECTOR_FAULTS, *CONTROL_FAULTS]
# Modes of the suite in which a fault is looked for until one finds it.
_SUITE_MODES = ("eager", "explicit-bounds", "lazy")
_SCRIPT_SECONDS = 20.0


class Found(NamedTuple):
    """Where a fault was found: the number of the first module, and what was seen; the script. None: not found."""

    module: int | None
    what: str
    script: str | None
    suite_was_asked: bool


def look_for(fault: Fault, seed: int, count: int, jobs: int, with_suite: bool, keep: bool) -> Found:
    """Plants the fault in this process and looks for it; what finds it is made small and kept if `keep`."""
    plant(fault)
    # Only now may anything that imports the engine be imported.
    from tests.differential import campaign, recording
    from tests.differential.report import show

    module, what = None, ""
    findings = campaign.run(seed, range(count), jobs, simd=fault.simd, control=fault.control)
    for finding in findings:
        if finding.wrong:
            module, what = finding.number, show(finding)
            break
    findings.close()
    if keep and module is not None:
        recording.only(seed, module, None, True, fault.name, fault.simd, fault.control)
    script = _script(module is None) if with_suite else None
    return Found(module, what, script, with_suite)


def _script(in_all_modes: bool) -> str | None:
    """The first script of the suite that fails."""
    from tests.spec import suite
    from tests.spec.engine import VibewasmAdapter
    from tests.spec.isolate import run_isolated

    if why := suite.missing():
        print(why, file=sys.stderr)
        return None
    scripts = [script for script in suite.scripts() if not script.waits_for]
    for mode in _SUITE_MODES if in_all_modes else _SUITE_MODES[:1]:
        for script in scripts:
            outcome = run_isolated(script, lambda mode=mode: VibewasmAdapter(mode), _SCRIPT_SECONDS)  # type: ignore[misc]
            if outcome.failures:
                return f"{script.name} line {outcome.failures[0].line}" + ("" if mode == "eager" else f" ({mode})")
    return None


def in_process(fault: Fault, seed: int, count: int, jobs: int, with_suite: bool, keep: bool = False) -> Found:
    """What comes of the fault in a process of its own."""
    command = [sys.executable, "-m", "tests.differential.faults", "--plant", fault.name, "--seed", str(seed)]
    command += ["--count", str(count), "--jobs", str(jobs), *([] if with_suite else ["--no-suite"])]
    command += ["--keep"] * keep
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"the process of {fault.name} failed: {done.stderr[-2000:]}")
    return Found(*json.loads(lines[-1]))


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    options = _parse()
    chosen = [fault for fault in FAULTS if not options.names or fault.name in options.names]
    if options.plant:
        (fault,) = [fault for fault in FAULTS if fault.name == options.plant]
        print(
            json.dumps(look_for(fault, options.seed, options.count, options.jobs, not options.no_suite, options.keep))
        )
        return 0
    start = time.monotonic()
    print(f"seed {options.seed}, up to {options.count} modules for each of {len(chosen)} faults")
    by_check = by_suite = missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        searches = [
            pool.submit(in_process, fault, options.seed, options.count, 1, not options.no_suite, options.keep)
            for fault in chosen
        ]
        for fault, search in zip(chosen, searches, strict=True):
            found = search.result()
            by_check += found.module is not None
            by_suite += found.script is not None
            missed += found.module is None and found.script is None
            print(line(fault, found), flush=True)
            if options.show and found.what:
                print(f"    {found.what}")
    print(
        f"{len(chosen) - missed} of {len(chosen)} faults found: {by_check} by the differential check, "
        f"{by_suite} by the suite; {time.monotonic() - start:.0f} s"
    )
    return 1 if missed else 0


def line(fault: Fault, found: Found) -> str:
    """The report's line."""
    check = "not found" if found.module is None else f"module {found.module}"
    suite = (found.script or "not found") if found.suite_was_asked else "not asked"
    return f"{fault.name:32} check: {check:14} suite: {suite:40} {fault.like}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to plant (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the differential check")
    parser.add_argument("--count", type=int, default=5000, help="modules to look for a fault in")
    parser.add_argument("--jobs", type=int, default=2, help="faults that are planted at a time")
    parser.add_argument("--no-suite", action="store_true", help="the differential check alone")
    parser.add_argument("--show", action="store_true", help="also what the differential check saw")
    parser.add_argument("--keep", action="store_true", help="make the module that finds a fault small, and keep it")
    parser.add_argument("--plant", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = {fault.name for fault in FAULTS}
    for name in [*options.names, *([options.plant] if options.plant else [])]:
        if name not in known:
            parser.error(f"no fault {name}; there are {', '.join(sorted(known))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
