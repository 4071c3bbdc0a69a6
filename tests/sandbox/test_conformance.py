"""The conformance programs of WASI end in a process of their own as they must, so no call that they need is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wanted import or_skip
from tests.wasi.test_conformance import CASES, case_of, copied_root, name_of
from vibewasm import sandbox

pytestmark = [pytest.mark.ci, pytest.mark.filterwarnings("ignore::vibewasm.sandbox.SandboxWarning")]


@pytest.mark.parametrize("path", or_skip(CASES, "conformance programs"), ids=name_of)
def test_a_conformance_case_ends_as_it_must_in_its_own_process(tmp_path: Path, path: Path) -> None:
    case = case_of(path)
    preopens = copied_root(path, tmp_path)
    outcome = sandbox.run(
        path, argv0=path.name, args=case.get("args", []), env=case.get("env"), preopens=preopens, timeout=300
    )
    assert outcome.stderr.decode() == case.get("stderr", "")
    assert outcome.stdout.decode() == case.get("stdout", "")
    assert (outcome.exit_code, outcome.error) == (case.get("exit_code", 0), None)
