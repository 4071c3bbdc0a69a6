"""Whole files that were tampered with; ``python -m tests.cache.tampered_files`` tries as many as wanted."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.spec.suite import PROJECT_ROOT

SEED = 1
COUNT = 120

#: Without checksums: what is damaged is used as it is. They are taken from this module when it is first imported.
PLANTED = (
    "from vibewasm.cache import container; container.checksum = lambda parts: bytes(4)\n"
    "import sys; from tests.cache import tampered_files\n"
    "sys.exit(tampered_files.main())"
)


def campaign(
    count: int, *more: str, program: tuple[str, ...] = ("-m", "tests.cache.tampered_files")
) -> tuple[str, int]:
    """What the command says, and how many went wrong: in a process of its own, since this one has stubs already."""
    words = ["--seed", str(SEED), "--count", str(count), "--jobs", "2", *more]
    done = subprocess.run(
        [sys.executable, *program, *words], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    print(done.stdout, done.stderr)
    found = re.search(rf"^seed {SEED}: .*; (\d+) went wrong$", done.stdout, re.MULTILINE)
    assert found is not None
    assert done.returncode == (found[1] != "0")
    return done.stdout, int(found[1])


@pytest.mark.parametrize("count", [COUNT, pytest.param(10 * COUNT, marks=pytest.mark.ci)])
def test_tampered_files_are_not_used_or_make_no_difference(count: int) -> None:
    said, wrong = campaign(count)
    assert wrong == 0
    tried = re.findall(r"(\d+) of (code|stubs|precompiled) not used and (\d+) used", said.replace(",", ""))
    # "19 of code not used and 1 used": the commas between the kinds are gone.
    assert [(kind, int(unused) + int(used)) for unused, kind, used in tried] == [
        (kind, count // 3) for kind in ("code", "stubs", "precompiled")
    ]


@pytest.mark.ci
def test_damage_that_no_checksum_tells_is_found() -> None:
    """The check of the check: bits of machine code that were turned over are crashes or wrong results."""
    _, wrong = campaign(COUNT, program=("-c", PLANTED))
    assert wrong > 0
