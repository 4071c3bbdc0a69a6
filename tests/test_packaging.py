"""What is published: the wheel, the source distribution and the editable install.

They are built with pip and setuptools as users build them, into temporary folders.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import vibewasm
from vibewasm.backends import TARGETS
from vibewasm.cache.source import digest_of_source

# Builds with pip, for a minute.
pytestmark = pytest.mark.ci

LINKS = ("backends", "disasm", "runtime")
#: Settings of this process that children are to do without.
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
#: What a wheel has that is no module of a checkout: the marker of types, the command, and what the build makes.
MADE = {
    "vibewasm/py.typed",
    f"vibewasm-{vibewasm.__version__}.data/scripts/vibewasm",
    "vibewasm/built.py",
    *(f"vibewasm/backends/{target}/built_stubs.py" for target in TARGETS),
}


def run(*line: str | Path, cwd: Path) -> str:
    """Run a command and give what it prints; a failure shows all of that."""
    # Neither this project's root nor the settings of the calling process may help.
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    outcome = subprocess.run(
        [str(word) for word in line],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout
    return outcome.stdout


def build(what: str, source: Path, target: Path, cwd: Path) -> Path:
    """Build a wheel or an sdist of the project in ``source`` and give the file's path."""
    pytest.importorskip("build", reason="building distributions needs build: pip install 'vibewasm[test]'")
    run(sys.executable, "-m", "build", f"--{what}", "--outdir", target, source, cwd=cwd)
    (made,) = target.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def copy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a checkout has, links as links: building leaves files behind, and never in the checkout."""
    target = tmp_path_factory.mktemp("checkout") / "vibewasm"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=project,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so there is no telling which files belong to it")
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, file = project / name, target / name
        if not os.path.lexists(source):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            file.symlink_to(os.readlink(source))
        else:
            file.write_bytes(source.read_bytes())
    return target


@pytest.fixture(scope="module")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    return build("wheel", copy, target, target)


@pytest.fixture(scope="module")
def sdist(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    return build("sdist", copy, target, target)


def clean_environment(folder: Path) -> Path:
    """A new virtual environment with nothing but pip in it; gives its interpreter."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def check_installed(python: Path, project: Path, cwd: Path, code_in: Path) -> None:
    """See that an installed vibewasm imports, runs and brings nothing else along."""
    where = run(python, "-c", "import vibewasm.backends, os; print(os.path.realpath(vibewasm.__file__))", cwd=cwd)
    assert Path(where.strip()).is_relative_to(code_in.resolve())
    hello = project / "examples" / "hello.wasm"
    assert run(python.parent / "vibewasm", "run", hello, "Ada", cwd=cwd) == "Hello, Ada!\n"
    assert run(python, "-m", "vibewasm", "run", hello, cwd=cwd) == "Hello, WebAssembly!\n"
    names = run(python, "-m", "pip", "list", "--format=freeze", cwd=cwd).split()
    assert {name.partition("==")[0].partition("@")[0].lower() for name in names} <= {"pip", "setuptools", "vibewasm"}


def sources(project: Path) -> set[str]:
    """The modules that belong to the package, the pages that it serves and the choices that it carries, by their paths
    in a wheel.
    """
    folders = {"vibewasm": "vibewasm", **{link: f"vibewasm/{link}" for link in LINKS}}
    found: set[str] = set()
    for folder, inside in folders.items():
        for root, _, names in os.walk(project / folder):
            base = Path(inside) / Path(root).relative_to(project / folder)
            found |= {
                str(base / name)
                for name in names
                if name.endswith((".py", ".pyi")) or "page" in base.parts or name.startswith("usual_choices.")
            }
    return found


def test_the_wheel_holds_every_module_as_a_real_file_and_nothing_else(wheel: Path, copy: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        modes = {entry.filename: entry.external_attr >> 16 & 0o170000 for entry in archive.infolist()}
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    assert names == sources(copy) | MADE
    assert set(modes.values()) <= {0, 0o100000}, "something in the wheel is no regular file"
    assert wheel.name.endswith("-py3-none-any.whl")
    required = [line for line in text.splitlines() if line.startswith("Requires-Dist:")]
    assert all("extra ==" in line for line in required)
    assert "Requires-Python: >=3.11" in text
    assert "License-Expression: MIT" in text


def test_what_an_older_build_left_is_not_installed(copy: Path, tmp_path: Path) -> None:
    left = copy / "build" / "lib" / "vibewasm" / "old" / "gone.py"
    left.parent.mkdir(parents=True)
    left.write_text("left over")
    (copy / "build" / "lib" / "vibewasm" / "gone.py").write_text("left over")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, copy, cwd=tmp_path)
    (made,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources(copy) | MADE


def test_the_sdist_has_the_tests_and_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        assert not any(entry.issym() or entry.islnk() for entry in archive.getmembers())
        archive.extractall(tmp_path, filter="data")
    for wanted in ("LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py", "examples/hello.c", "docs/cli.md"):
        assert wanted in names
    (unpacked,) = tmp_path.iterdir()
    rebuilt = build("wheel", unpacked, tmp_path / "wheel", tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(rebuilt) as other:
        contents = [
            {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
            for archive in (one, other)
        ]
    assert contents[0] == contents[1]


def test_the_wheel_installs_and_runs_in_a_clean_environment(wheel: Path, project: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", wheel, cwd=tmp_path)
    check_installed(python, project, tmp_path, tmp_path / "env")


def test_a_wheel_carries_its_digest_and_the_stubs_that_its_source_makes(
    wheel: Path, project: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    built = runpy.run_path(str(tmp_path / "vibewasm" / "built.py"))
    digest = digest_of_source(str(tmp_path / "vibewasm"))
    assert built["SOURCE_DIGEST"] == digest.hex()
    # Of a checkout it is the same, since all files are.
    assert digest == digest_of_source(str(project / "vibewasm"))
    made_for = runpy.run_path(str(project / "tools" / "built_stubs.py"))["made_for"]
    for target in TARGETS:
        carried = runpy.run_path(str(tmp_path / "vibewasm" / "backends" / target / "built_stubs.py"))["STUBS"]
        assert carried == made_for(target)
        assert len(carried) > 50


def test_uninstalling_leaves_nothing(wheel: Path, project: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", wheel, cwd=tmp_path)
    for _ in range(2):
        run(python.parent / "vibewasm", "run", project / "examples" / "hello.wasm", cwd=tmp_path)
    installed = [*(tmp_path / "env").rglob("vibewasm")]
    assert len(installed) == 2
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "vibewasm", cwd=tmp_path)
    assert [*(tmp_path / "env").rglob("*vibewasm*")] == []


def test_an_editable_install_runs_what_the_checkout_has(copy: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "--quiet", "--editable", copy, cwd=tmp_path)
    check_installed(python, copy, tmp_path, copy)
    # The folders at the top level are one package, and do not become names of their own.
    for name in (*LINKS, "tests", "benchmarks"):
        found = run(
            python, "-c", f"import importlib.util as u; print(u.find_spec({name!r}) is None)", cwd=tmp_path
        ).strip()
        assert found == "True", f"'import {name}' works in an environment with an editable install"


def test_the_links_are_links(project: Path) -> None:
    if (project / "PKG-INFO").exists():
        pytest.skip("an unpacked sdist has real folders in place of the links")
    for link in LINKS:
        assert os.readlink(project / "vibewasm" / link) == f"../{link}"


def test_there_are_no_runtime_dependencies(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"] == []
    assert set(settings["project"]["optional-dependencies"]) == {"disasm", "test", "dev"}
