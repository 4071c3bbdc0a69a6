"""The code that one start leaves for the next: it is used, it is never stale, and nothing depends on it but time.

Each test works on a copy of the package, in processes of its own that may write bytecode.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.modules import ADD

PROGRAM = """
import sys, vibewasm
assert vibewasm.instantiate({data!r}).exports.add(2, 3) == 5
names = [name for name in sys.modules if name.startswith("vibewasm.") and not name.startswith("vibewasm.bundle")]
ours = [sys.modules[name] for name in names]
print(sum(type(module.__loader__).__name__ == "_Kept" for module in ours), len(ours))
"""


@pytest.fixture
def package(project: Path, tmp_path: Path) -> Path:
    """A copy of the package, whose files may be changed."""
    target = tmp_path / "site" / "vibewasm"
    shutil.copytree(project / "vibewasm", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def environment(package: Path) -> dict[str, str]:
    """What a process that uses the copy, and may write bytecode, is started with."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return ours | {"PYTHONPATH": str(package.parent)}


def python(package: Path, *words: str, **settings: str) -> str:
    outcome = subprocess.run(
        [sys.executable, *words],
        cwd=package.parent,
        env=environment(package) | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout
    return outcome.stdout


def start(package: Path, program: str = PROGRAM.format(data=ADD), **settings: str) -> tuple[int, int]:
    """Of how many modules the code had been kept, and how many were loaded."""
    kept, ours = python(package, "-c", program, **settings).split()
    return int(kept), int(ours)


def bundle(package: Path) -> Path:
    return package / "__pycache__" / f"bundled.{sys.implementation.cache_tag}.pyc"


def test_the_second_start_loads_what_the_first_has_left(package: Path) -> None:
    kept, ours = start(package)
    assert kept == 0
    kept, again = start(package)
    assert again == ours
    assert kept == ours


def test_it_is_written_when_there_is_more_to_keep_only(package: Path) -> None:
    start(package)
    first = bundle(package).stat()
    start(package)
    second = bundle(package).stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)

    def all_of_it() -> int:
        return sum(file.stat().st_size for file in bundle(package).parent.glob("bundled*"))

    before = all_of_it()
    more = PROGRAM.format(data=ADD).replace("names =", "vibewasm.Linker\nnames =")
    start(package, more)
    assert all_of_it() > before
    kept, ours = start(package, more)
    assert kept == ours
    assert [file.name for file in bundle(package).parent.iterdir() if not file.name.endswith(".pyc")] == []


def test_what_a_later_start_adds_is_read_by_those_that_need_it(package: Path) -> None:
    program = "import vibewasm, sys; {more}; from vibewasm import bundle; print(len(bundle._added), len(bundle._kept))"
    little = program.format(more="vibewasm.Engine")
    much = program.format(more=f"vibewasm.instantiate({ADD!r}).exports.add(2, 3)")
    python(package, "-c", little)
    _, before = map(int, python(package, "-c", little).split())
    python(package, "-c", much)
    added, after = map(int, python(package, "-c", little).split())
    assert added == 0
    assert after > before
    # What all need, and what decodes and compiles.
    added, _ = map(int, python(package, "-c", much).split())
    assert added > 0
    kept, ours = start(package)
    assert kept == ours


def test_a_changed_module_is_loaded_from_its_file(package: Path) -> None:
    start(package)
    errors = package / "errors.py"
    errors.write_text(errors.read_text() + "\nNEW = 'changed'\n")
    program = PROGRAM.format(data=ADD) + "from vibewasm.errors import NEW"
    kept, ours = start(package, program)
    assert kept < ours
    kept, ours = start(package, program)
    assert kept == ours


def test_a_module_that_is_gone_is_not_found(package: Path) -> None:
    start(package)
    (package / "api" / "instantiation.py").unlink()
    said = python(
        package, "-c", "import vibewasm\ntry: vibewasm.instantiate\nexcept ImportError as error: print(error)"
    )
    assert "vibewasm.api.instantiation" in said


@pytest.mark.parametrize("how", ["-B", "PYTHONDONTWRITEBYTECODE", "read-only"])
def test_where_python_may_write_no_bytecode_there_is_none(package: Path, how: str) -> None:
    if how == "read-only":
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        package.chmod(0o500)
        start(package)
        package.chmod(0o700)
    elif how == "-B":
        python(package, "-B", "-c", PROGRAM.format(data=ADD))
    else:
        start(package, PYTHONDONTWRITEBYTECODE="1")
    assert not bundle(package).exists()


def test_a_full_disk_leaves_no_halves(package: Path) -> None:
    program = (
        "import resource, vibewasm, vibewasm.bundled, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + PROGRAM.format(data=ADD)
    )
    start(package, program)
    kept, ours = start(package)
    # Small files had room.
    assert kept < ours // 2
    left = {file.name for file in bundle(package).parent.iterdir()}
    assert all(name.endswith(".pyc") for name in left)


@pytest.mark.parametrize("damage", ["empty", "torn", "other"])
def test_damage_does_not_matter(package: Path, damage: str) -> None:
    start(package)
    whole = bundle(package).read_bytes()
    # Bytecode of another time of change is what Python ignores; a torn file it would refuse, whichever module's it is.
    bundle(package).write_bytes({"empty": b"", "torn": whole[:10], "other": whole[:8] + b"abcd" + whole[12:]}[damage])
    kept, ours = start(package)
    assert kept < ours
    start(package)
    kept, ours = start(package)
    assert kept == ours


#: So does a process in another container that has this one's number.
SAME_NUMBER = "import os; os.getpid = lambda: 7\n"


def asides(package: Path) -> list[Path]:
    return sorted(path for path in bundle(package).parent.iterdir() if not path.name.endswith(".pyc"))


def test_files_of_another_writer_are_left_alone(package: Path) -> None:
    """Whatever it calls them, as somebody does who has the same number."""
    bundle(package).parent.mkdir()
    taken = [bundle(package).with_name(f"{bundle(package).name}.{end}") for end in ("7", "7-0.new")]
    for path in taken:
        path.write_bytes(b"half")
    start(package, SAME_NUMBER + PROGRAM.format(data=ADD))
    assert [path.read_bytes() for path in taken] == [b"half", b"half"]
    kept, ours = start(package)
    assert kept == ours


def test_writers_of_one_number_at_once_write_one_whole_file(package: Path) -> None:
    line = [sys.executable, "-c", SAME_NUMBER + PROGRAM.format(data=ADD)]
    for _ in range(4):
        children = [
            subprocess.Popen(line, cwd=package.parent, env=environment(package), stdout=subprocess.DEVNULL)
            for _ in range(6)
        ]
        assert [child.wait(60) for child in children] == [0] * 6
        kept, ours = start(package)
        assert kept == ours
        assert asides(package) == []
        bundle(package).unlink()


def test_a_writer_that_is_killed_leaves_what_a_later_one_removes(package: Path) -> None:
    killed = "import os; os.rename = os.replace = lambda *_, **__: os.kill(os.getpid(), 9)\n" + PROGRAM.format(data=ADD)
    for _ in range(2):
        child = subprocess.run(
            [sys.executable, "-c", killed],
            cwd=package.parent,
            env=environment(package),
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
    left = asides(package)
    assert len(left) == 2
    os.utime(left[0], (0, 0))
    assert start(package)[0] == 0
    assert asides(package) == left[1:]
    kept, ours = start(package)
    assert kept == ours


def test_a_module_that_changes_while_a_process_runs_is_not_kept_as_the_new_one(package: Path) -> None:
    """The process ends with the code that it has begun with."""
    errors = package / "errors.py"
    start(package, PROGRAM.format(data=ADD) + f"open({str(errors)!r}, 'a').write('NEW = 1')")
    kept, ours = start(package, PROGRAM.format(data=ADD) + "from vibewasm.errors import NEW")
    assert kept == ours - 1


def test_a_process_that_loads_everything_leaves_everything(package: Path) -> None:
    """However many modules the package has: there is no number of them beyond which nothing is kept."""
    program = (
        "import importlib, sys, vibewasm; vibewasm.Engine\n"
        "for number in range(150): importlib.import_module(f'vibewasm.compiler.more{number}')\n"
        "ours = [name for name in sys.modules if name.startswith('vibewasm.compiler.more')]\n"
        "print(sum(type(sys.modules[name].__loader__).__name__ == '_Kept' for name in ours), len(ours))\n"
    )
    for number in range(150):
        (package / "compiler" / f"more{number}.py").write_text("")
    assert start(package, program) == (0, 150)
    assert start(package, program) == (150, 150)


def test_who_may_read_a_module_may_read_its_bytecode(package: Path) -> None:
    start(package)
    assert bundle(package).stat().st_mode & 0o777 == (package / "bundled.py").stat().st_mode & 0o666 | 0o200


def test_modules_know_their_files(package: Path) -> None:
    program = (
        "import inspect, sys, vibewasm\n"
        "from vibewasm.api.store import Store\n"
        "store = sys.modules['vibewasm.api.store']\n"
        "assert inspect.getsource(Store).startswith('class Store')\n"
        "assert store.__file__ == store.__spec__.origin == inspect.getfile(Store), store.__file__\n"
        "assert store.__package__ == 'vibewasm.api' and vibewasm.api.store is store\n"
        "assert list(vibewasm.runtime.__path__) == [vibewasm.runtime.__file__.rpartition('/')[0]]\n"
        "assert vibewasm.runtime.__spec__.submodule_search_locations\n"
        "assert store.__loader__.get_source('vibewasm.api.store')\n"
        "import importlib; assert importlib.reload(vibewasm.errors) is vibewasm.errors\n"
        "try: vibewasm.Store(3)\n"
        "except TypeError as error:\n"
        "    frame = error.__traceback__.tb_next.tb_frame\n"
        "    assert frame.f_code.co_filename == store.__file__\n"
    )
    for _ in range(2):
        python(package, "-c", "import vibewasm; vibewasm.instantiate\n" + program)


def test_threads_may_load_at_the_same_time(package: Path) -> None:
    start(package)
    program = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "import vibewasm\n"
        "begun, failures = threading.Barrier(8), []\n"
        "def use(name):\n"
        "    begun.wait()\n"
        "    try:\n"
        "        getattr(vibewasm, name)\n"
        f"        assert vibewasm.instantiate({ADD!r}).exports.add(2, 3) == 5\n"
        "    except BaseException as error: failures.append(repr(error))\n"
        "names = ['Store', 'Linker', 'instantiate', 'Func', 'Memory', 'Trap', 'Module', 'Engine']\n"
        "threads = [threading.Thread(target=use, args=(name,)) for name in names]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "assert not failures, failures\n"
    )
    for _ in range(5):
        python(package, "-c", program)


def test_who_changes_what_is_imported_is_asked_first(package: Path) -> None:
    start(package)
    program = (
        "import importlib.abc, importlib.machinery, sys\n"
        "class Changed(importlib.machinery.SourceFileLoader):\n"
        "    def get_code(self, name):\n"
        "        return compile(open(self.path).read() + '\\nCHANGED = True', self.path, 'exec', dont_inherit=True)\n"
        "class Hook(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name not in ('vibewasm.errors', 'vibewasm.compiler.loop', 'vibewasm.api'): return None\n"
        "        spec = importlib.machinery.PathFinder.find_spec(name, path)\n"
        "        spec.loader = Changed(name, spec.loader.path)\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Hook())\n" + PROGRAM.format(data=ADD) + "import vibewasm.compiler.loop\n"
        "assert vibewasm.errors.CHANGED and vibewasm.compiler.loop.CHANGED and vibewasm.api.CHANGED\n"
    )
    kept, ours = start(package, program)
    assert 0 < kept < ours


def test_the_command_line_starts_from_it(package: Path, project: Path) -> None:
    hello = str(project / "examples" / "hello.wasm")
    said = python(package, "-m", "vibewasm", "run", hello)
    assert python(package, "-m", "vibewasm", "run", hello) == said
    traced = python(package, "-X", "importtime", "-m", "vibewasm", "run", hello)
    loaded = [line for line in traced.splitlines() if "vibewasm.wasi.streams" in line]
    assert loaded == []
