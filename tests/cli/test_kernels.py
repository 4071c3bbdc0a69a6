"""Programs that use SIMD give the output that they are known to give, in every mode.

They are the kernels in C, each of which compares its vectors with plain loops (``benchmarks/kernels/README.md``), and
BLAKE3 as a compiler made it.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from benchmarks.kernels import FOLDER, expected
from tests.debian import clang_for_wasi
from tests.spec.suite import HOW_TO_GET
from vibewasm.opcodes import VECTOR_PREFIX, row_of
from vibewasm.wat import wasm2wat

from .command import command

KERNELS = sorted(expected())

#: More fuel than any of them takes.
FUEL = 1 << 60
MODES: dict[str, dict[str, Any]] = {
    "lazy": {},
    "eager": {"compilation": "eager"},
    "fuel": {"fuel": True},
    "bounds": {"explicit_bounds": True},
    "fuel-bounds-eager": {"fuel": True, "explicit_bounds": True, "compilation": "eager"},
    "checked": {"checked": True},
}


def run(file: Path, **config: Any) -> tuple[int, bytes, bytes, list[str]]:
    """Exit code, output, errors, and the program's calls that mark what is timed."""
    engine = vw.Engine(vw.Config(**config))
    store = vw.Store(engine)
    if config.get("fuel"):
        store.fuel = FUEL
    marks: list[str] = []
    linker = vw.Linker(engine)
    linker.define("bench", "start", lambda: marks.append("start"))
    linker.define("bench", "end", lambda: marks.append("end"))
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        preopens = {".": str(file.parent)}
        linker.define_wasi(vw.WasiConfig(args=[file.name], preopens=preopens, stdout=stdout, stderr=stderr))
        code = 0
        try:
            linker.instantiate(store, vw.Module(engine, file.read_bytes())).exports["_start"]()
        except vw.ExitTrap as exit:
            code = exit.code
        stdout.seek(0)
        stderr.seek(0)
        return code, stdout.read(), stderr.read(), marks


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_gives_the_same_as_its_plain_loop(kernel: str, mode: str) -> None:
    found = run(FOLDER / f"{kernel}.wasm", **MODES[mode])
    assert found == (0, expected()[kernel], b"", ["start", "end"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_is_the_same_without_what_newer_processors_have(kernel: str) -> None:
    outcome = command("run", "--stub-imports", FOLDER / f"{kernel}.wasm", VIBEWASM_CPU="baseline")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, expected()[kernel], b"")


@pytest.fixture(scope="module")
def blake3(shared: Path) -> Path:
    """BLAKE3 with vectors; a test that wants it is skipped, and says so, where it is missing."""
    file = shared / "simd" / "blake3-simd" / "benchmark.wasm"
    if not file.is_file():
        pytest.skip(f"NOT RUN: no simd/blake3-simd in {shared}; {HOW_TO_GET}")
    return file


@pytest.mark.parametrize("mode", MODES)
def test_blake3_prints_what_it_should(blake3: Path, mode: str) -> None:
    stdout, stderr = (blake3.with_suffix(f".{stream}.expected").read_bytes() for stream in ("stdout", "stderr"))
    assert run(blake3, **MODES[mode]) == (0, stdout, stderr, ["start", "end"])


def test_blake3_prints_what_it_should_from_the_code_cache(blake3: Path, tmp_path: Path) -> None:
    line = ("run", "--stub-imports", "--dir", ".", blake3.name)
    first, second = [command(*line, cwd=blake3.parent, VIBEWASM_CACHE=str(tmp_path)) for _ in range(2)]
    assert (first.returncode, first.stderr) == (0, blake3.with_suffix(".stderr.expected").read_bytes())
    assert (second.returncode, second.stdout, second.stderr) == (first.returncode, first.stdout, first.stderr)


def vectors_in(data: bytes) -> set[str]:
    """Names of the vector instructions in a module."""
    words = {word for line in wasm2wat(data).splitlines() for word in line.split()[:1]}
    row_of(VECTOR_PREFIX << 32)  # the names of vector instructions are loaded with the first
    from vibewasm.vector_opcodes import ROWS

    return words & {row[1] for row in ROWS}


def test_kernels_are_there_with_their_sources() -> None:
    names = {file.stem for file in FOLDER.glob("*.c")}
    assert names == {file.stem for file in FOLDER.glob("*.wasm")} == set(KERNELS)


def test_kernels_use_vector_instructions_of_each_kind() -> None:
    used = {kernel: vectors_in((FOLDER / f"{kernel}.wasm").read_bytes()) for kernel in KERNELS}
    assert all(used.values())
    everything = set().union(*used.values())
    wanted = {
        *("v128.load", "v128.store", "v128.load32_splat", "v128.load8x8_u", "v128.store64_lane", "v128.const"),
        *("i8x16.shuffle", "i8x16.swizzle", "i8x16.bitmask", "v128.any_true", "i32x4.extract_lane"),
        *("i32x4.dot_i16x8_s", "i32x4.extadd_pairwise_i16x8_s", "i16x8.extmul_low_i8x16_s", "i8x16.narrow_i16x8_u"),
        *("i8x16.eq", "i8x16.sub_sat_u", "i32x4.min_s", "i32x4.shr_u", "f32x4.mul", "f64x2.le"),
    }
    assert wanted <= everything, wanted - everything


@pytest.mark.ci
def test_kernels_are_built_from_their_sources(tmp_path: Path) -> None:
    clang = clang_for_wasi(tmp_path / "packages")
    if isinstance(clang, str):
        pytest.skip(f"NOT RUN: the kernels are not built: {clang}")
    built = tmp_path / "built"
    built.mkdir()
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CLANG": " ".join(clang)}
    subprocess.run([FOLDER / "build.sh", built], env=environment, check=True, timeout=120)
    assert sorted(file.stem for file in built.glob("*.wasm")) == KERNELS
    for kernel in KERNELS:
        file = built / f"{kernel}.wasm"
        assert vectors_in(file.read_bytes()), kernel
        assert run(file, compilation="eager") == (0, expected()[kernel], b"", ["start", "end"])
