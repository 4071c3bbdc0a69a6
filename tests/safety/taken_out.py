"""Is each mechanism tested? `python -m tests.safety.taken_out [NAME ...]` takes each out in turn and runs its tests.

Each is taken out in a copy of the project; the files here stay as they are. At least one of the tests that its entry
(`tests/safety/mechanisms/`) names has to fail then, and the report says which. Before, all of them run in a copy with
nothing taken out, where they have to pass. The exit code is 0 if every mechanism was missed by a test; one whose tests
are skipped on this machine is named, and is neither.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.safety.mechanism import Mechanism, Outcome, copied, outcome
from tests.safety.mechanisms import all_mechanisms

MECHANISMS = all_mechanisms()
_BASELINE_SECONDS = 600.0


def without(mechanism: Mechanism) -> Outcome:
    """What the mechanism's tests say when it is not there."""
    with copied(mechanism.changed()) as copy:
        return outcome(copy, mechanism.tests, mechanism.seconds)


def with_all(mechanisms: list[Mechanism]) -> Outcome:
    """What the tests of all of these say when nothing is taken out."""
    tests = dict.fromkeys(test for mechanism in mechanisms for test in mechanism.tests)
    with copied({}) as copy:
        return outcome(copy, [*tests], _BASELINE_SECONDS)


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.safety.taken_out", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mechanisms to take out (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="mechanisms that are taken out at a time")
    parser.add_argument("--list", action="store_true", help="say what there is, and take nothing out")
    options = parser.parse_args()
    known = {mechanism.name for mechanism in MECHANISMS}
    for name in options.names:
        if name not in known:
            parser.error(f"no mechanism {name}; there are {', '.join(sorted(known))}")
    chosen = [mechanism for mechanism in MECHANISMS if not options.names or mechanism.name in options.names]
    if options.list:
        for mechanism in chosen:
            print(f"{mechanism.name:32} {mechanism.protects}")
        return 0
    here = [mechanism for mechanism in chosen if mechanism.processor in ("", platform.machine())]
    start = time.monotonic()
    before = with_all(here) if here else Outcome((), False)
    if before.failed:
        print(f"these fail with nothing taken out: {before.text}", file=sys.stderr)
        return 1
    unnoticed, skipped = 0, len(chosen) - len(here)
    with ThreadPoolExecutor(options.jobs) as pool:
        searches = [pool.submit(without, mechanism) for mechanism in here]
        for mechanism, search in zip(here, searches, strict=True):
            found = search.result()
            skipped += found.skipped
            unnoticed += not (found.failed or found.skipped)
            print(line(mechanism, found), flush=True)
    for mechanism in chosen:
        if mechanism not in here:
            print(f"{mechanism.name:32} not run here: it is code for {mechanism.processor}")
    print(
        f"{len(chosen) - unnoticed - skipped} of {len(chosen)} mechanisms are missed when they are taken out, "
        f"{unnoticed} are not, {skipped} could not be tried here; {time.monotonic() - start:.0f} s"
    )
    return 1 if unnoticed else 0


def line(mechanism: Mechanism, found: Outcome) -> str:
    """The report's line."""
    return f"{mechanism.name:32} {'' if found.failed or found.skipped else 'NOT MISSED: '}{found.text}"


if __name__ == "__main__":
    sys.exit(main())
