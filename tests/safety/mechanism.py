"""What a mechanism of the sandbox is to the tests, and a copy of the project from which one has been taken out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.spec.suite import PROJECT_ROOT, shared_folder

#: What of the project a copy does without.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "*.egg-info", "build", "dist", ".hypothesis", ".*_cache", "plots", "*.pyc"
)


class Mechanism(NamedTuple):
    """A mechanism that protects something, and the source text without it.

    Attributes:
        name: what `python -m tests.safety.taken_out NAME` takes; docs/security.md has a row for it.
        protects: what would be lost without it.
        file: where it is, relative to the project's root.
        old: the text that makes it, which stands in the file exactly once.
        new: the text without it.
        tests: node ids of the tests that are about it. One of them at least must fail without it.
        more: further `(file, old, new)`, where the mechanism is made in several places.
        processor: the processor whose code it is in, or "" for any.
        seconds: after so many the tests are taken to hang, which is how a missing interruption is noticed.
    """

    name: str
    protects: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    more: tuple[tuple[str, str, str], ...] = ()
    processor: str = ""
    seconds: float = 120.0

    def changed(self) -> dict[str, str]:
        """The text of each file without the mechanism; raises `LookupError` where it does not fit any more."""
        texts: dict[str, str] = {}
        for file, old, new in ((self.file, self.old, self.new), *self.more):
            text = texts.get(file) or (PROJECT_ROOT / file).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise LookupError(f"{self.name}: the text stands {text.count(old)} times in {file}: {old!r}")
            texts[file] = text.replace(old, new)
        return texts


class Outcome(NamedTuple):
    """What came of tests: `failed` says which did, and how; `skipped`, that none of them ran."""

    failed: tuple[str, ...]
    skipped: bool

    @property
    def text(self) -> str:
        """One line."""
        # What a test was run with would fill pages.
        names = Counter(test.partition("[")[0] for test in self.failed)
        shown = ", ".join(f"{name} ({count} times)" if count > 1 else name for name, count in names.items())
        return shown or ("not run here: all of its tests are skipped" if self.skipped else "nothing")


@contextmanager
def copied(changes: dict[str, str]) -> Iterator[Path]:
    """A copy of the project in which these files have other texts.

    A whole copy, and not an exchange at import as `tests.differential.planting` makes it: many tests of the sandbox are
    about processes that they start, which have to be without the mechanism too.
    """
    with tempfile.TemporaryDirectory(prefix="vibewasm-taken-out-") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(PROJECT_ROOT, copy, symlinks=True, ignore=_LEFT_OUT)
        for file, text in changes.items():
            (copy / file).write_text(text, encoding="utf-8")
        yield copy


def outcome(copy: Path, tests: Sequence[str], seconds: float) -> Outcome:
    """Runs tests in a copy of the project; raises `RuntimeError` where they cannot be collected or run."""
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        # What a rule would give is not taken from what the package carries already.
        "VIBEWASM_USUAL_CHOICES": "off",
        "VIBEWASM_SHARED": str(shared_folder()),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "-rfEs"]
    process = subprocess.Popen(
        [*command, *tests],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Outcome((f"hung for {seconds:g} s",), False)
    finally:
        # Also what tests have started and left.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    code = process.returncode
    if code < 0:
        return Outcome((f"killed by {signal.Signals(-code).name}",), False)
    lines = text.splitlines()
    failed = tuple(line.split(" - ")[0].split("::", 1)[-1] for line in lines if line.startswith(("FAILED ", "ERROR ")))
    if code == 1 and failed:
        return Outcome(failed, False)
    if code:
        raise RuntimeError(f"pytest ended with {code}, which is no test that fails:\n{text[-3000:]}")
    return Outcome((), not any(" passed" in line for line in lines[-1:]))
