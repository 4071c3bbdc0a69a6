"""wasmtime-py's own tests, from its source distribution, run with our stand-in in wasmtime's place."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

ROOT = Path(__file__).resolve().parents[2]
VERSION = "50.0.1"

#: What wants features that are not built.
UNSUPPORTED = {
    "test_memory.py::TestMemory::test_page_size_custom": "pages of one byte",
    "test_shared_memory.py::TestSharedMemory::test_grow": "shared memories",
    "test_shared_memory.py::TestSharedMemory::test_new": "shared memories",
}
#: What tests components, and a private module.
LEFT_OUT = ("component", "test_slab.py")

RUN = """
import sys
import vibewasm.compat.wasmtime
vibewasm.compat.wasmtime.install()
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked tests, and nothing of the package beside them."""
    folder = tmp_path_factory.mktemp("source")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    done = subprocess.run(
        [*command, "--dest", folder, f"wasmtime=={VERSION}"], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.skip(f"the source distribution cannot be had here, so NOTHING was run: {done.stderr.strip()[-300:]}")
    (archive,) = folder.glob("wasmtime-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, [member for member in tar if "/tests/" in member.name], filter="data")
    place = folder / f"wasmtime-{VERSION}"
    # A directory that one of them gives to a program.
    (place / "wasmtime").mkdir()
    return place


def test_all_pass_but_those_that_want_what_is_not_built(source: Path) -> None:
    left_out = [argument for name in LEFT_OUT for argument in ("--ignore", f"tests/{name}")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, "-q", "-rf", "-p", "no:cacheprovider", "tests", *left_out],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=source,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    failed = {line.partition("tests/")[2].split(" ")[0] for line in done.stdout.splitlines() if line[:7] == "FAILED "}
    assert failed == set(UNSUPPORTED), done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == 96
