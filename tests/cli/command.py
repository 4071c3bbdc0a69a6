"""Running the command as its users do, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.spec.suite import PROJECT_ROOT

Outcome = subprocess.CompletedProcess[bytes]


def command(*words: str | Path, cwd: Path | None = None, stdin: bytes = b"", **environment: str) -> Outcome:
    """``vibewasm`` with these words; ``environment`` is added to this process's own."""
    line, variables = prepared(*words)
    return subprocess.run(
        line, cwd=cwd, input=stdin, capture_output=True, env=variables | environment, timeout=300, check=False
    )


def prepared(*words: str | Path) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment for it, for a test that starts the process by itself."""
    # The project's root comes first, so that this vibewasm is tested, installed or not.
    path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")]))
    script = PROJECT_ROOT / "scripts" / "vibewasm"
    return [sys.executable, str(script), *map(str, words)], os.environ | {"PYTHONPATH": path}
