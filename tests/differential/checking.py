"""Checks vibewasm against recorded outcomes, in child processes. Nothing here needs more than the standard library."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.differential.cases import load_all
from tests.differential.ours import Ours
from tests.fuzz.workers import find_all


class Checked(NamedTuple):
    """What came of line `number` of the file; `wrong` is None if all is as recorded."""

    number: int
    wrong: str | None


def check(path: Path, jobs: int) -> int:
    """Prints what differs and a summary; returns the exit code."""
    cases = list(load_all(path))

    def start() -> Callable[[int], Checked]:
        ours = Ours()

        def check_one(number: int) -> Checked:
            try:
                difference = ours.difference(cases[number])
            except Exception:
                return Checked(number, traceback.format_exc())
            return Checked(number, None if difference is None else "\n    ".join(difference))

        return check_one

    wrong = 0
    total = 0
    begun = time.monotonic()
    for checked in find_all(start, Checked, range(len(cases)), jobs):
        total += 1
        if checked.wrong is not None:
            wrong += 1
            case = cases[checked.number]
            print(f"module {case.number} ({case.mode}): {checked.wrong}", flush=True)
    print(f"{total} modules checked, {wrong} differences; {time.monotonic() - begun:.0f} s")
    return 1 if wrong or total != len(cases) else 0
