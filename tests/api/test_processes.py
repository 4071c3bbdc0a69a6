"""Exceptions come from other processes as they were raised there; forked children use what was made before the fork."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import vibewasm as vw
from tests.api.raising import RAISING, raised, told
from tests.compiling import Record
from tests.native import EMULATED, needs_threads_in_children, not_emulated


@pytest.mark.parametrize("function", RAISING, ids=lambda function: function.__name__)
def test_a_pickled_exception_says_what_the_exception_says(function: Callable[[], None]) -> None:
    error = raised(function)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert told(pickle.loads(pickle.dumps(error, protocol))) == told(error)
    # The one that is written in Python, as cloudpickle is in part.
    assert told(pickle.loads(pickle._dumps(error))) == told(error)  # type: ignore[attr-defined]  # typeshed does not know it
    assert told(copy.copy(error)) == told(copy.deepcopy(error)) == told(error)
    assert told(pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error))))) == told(error)


def test_every_public_exception_is_among_those_that_are_pickled() -> None:
    public = [getattr(vw, name) for name in vw.__all__]
    exceptions = {item for item in public if isinstance(item, type) and issubclass(item, BaseException)}
    assert len(exceptions) >= 9
    assert exceptions <= {*RAISING.values()}


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.ci)])
def test_exceptions_come_from_a_pool_as_they_were_raised(method: str, project: Path) -> None:
    if EMULATED:
        pytest.skip(
            "multiprocessing starts the interpreter itself, and deadlines start threads: not under the emulator"
        )
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.api.raising", method],
        cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (outcome.stdout, outcome.stderr) == (f"{method}: {len(RAISING)} exceptions\n", "")


class Stand(Exception):
    """What stands for another exception, and has from it what it does not find in its classes, as Ray's do."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cause, name)


@pytest.mark.parametrize("function", RAISING, ids=lambda function: function.__name__)
def test_an_exception_of_a_derived_class_that_stands_for_another_has_all_its_attributes(
    function: Callable[[], None],
) -> None:
    error = raised(function)
    stand = type("Derived", (Stand, type(error)), {})(error)
    for name in vars(error):
        assert getattr(stand, name) == getattr(error, name), name
    if isinstance(error, vw.WasmError):
        assert {"message", "element", "limit"} <= vars(error).keys()


def _says(function: Callable[[], object]) -> str:
    """What comes of a call in a forked child."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            try:
                said = str(function())
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            os.write(theirs, said.encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_a_store_that_was_running_in_another_thread_and_can_use_others() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        leave.wait()

    text = """(module (import "env" "wait" (func $wait)) (func (export "wait") (call $wait))
      (func (export "one") (result i32) (i32.const 1)))"""
    imports = {"env": {"wait": wait}}
    busy = vw.instantiate(text, imports)
    engine = busy.store.engine
    idle = vw.instantiate(text, imports, engine=engine)
    thread = threading.Thread(target=busy.exports.wait)
    thread.start()
    entered.wait()
    try:
        assert _says(busy.exports.one).startswith("WasmError: this store is running in another thread")
        assert _says(busy.store.close).startswith("WasmError: a store cannot be closed while a call is active")
        assert _says(idle.exports.one) == "1"
        # Its engine and its module can be used all the same.
        assert _says(lambda: vw.instantiate(busy.module, imports, store=vw.Store(engine)).exports.one()) == "1"
    finally:
        leave.set()
        thread.join()
    assert busy.exports.one() == 1


@needs_threads_in_children
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_a_forked_child_does_to_its_copy_of_a_store_is_not_seen_by_the_parent() -> None:
    instance = vw.instantiate("""(module (memory (export "memory") 1) (global (export "g") (mut i32) (i32.const 1))
      (func (export "set") (param i32) (i32.store (i32.const 0) (local.get 0)))
      (func (export "grow") (result i32) (memory.grow (i32.const 1)))
      (func (export "spin") (loop (br 0))))""")
    exports: Any = instance.exports
    exports.set(7)

    def change() -> list[int]:
        exports.set(8)
        exports.g.value = 5
        exports.grow()
        return [exports.memory[0], exports.g.value, len(exports.memory)]

    def spin() -> None:
        with instance.store.deadline(0.02):
            exports.spin()

    assert _says(change) == "[8, 5, 131072]"
    assert [exports.memory[0], exports.g.value, len(exports.memory)] == [7, 1, 65536]
    assert _says(instance.store.close) == "None"
    exports.set(9)
    assert exports.memory[0] == 9
    assert _says(spin).startswith("Interrupted: stopped by a deadline of 0.02 seconds")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_call_in_which_a_host_function_forks_goes_on_in_both_processes() -> None:
    ours, theirs = os.pipe()
    child = -1

    def fork() -> int:
        nonlocal child
        child = os.fork()
        return 1 if child else 2

    text = """(module (import "env" "fork" (func $fork (result i32)))
      (func (export "f") (result i32) (i32.mul (call $fork) (i32.const 10))))"""
    result = -1
    try:
        result = vw.instantiate(text, {"env": {"fork": fork}}).exports.f()
    finally:
        if not child:
            os.write(theirs, str(result).encode())
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8") as file:
        assert file.read() == "20"
    os.waitpid(child, 0)
    assert result == 10


POOL = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import vibewasm as vw

TEXT = '(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))'

def prepare(module):
    global f
    f = vw.instantiate(module).exports.f

def work(number):
    return f(number)

if __name__ == "__main__":
    method, before, cache = sys.argv[1:]
    module = vw.Module(vw.Engine(vw.Config(cache=cache == "cache")), TEXT)
    if before == "before":
        vw.instantiate(module).exports.f(0)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context, initializer=prepare, initargs=(module,)) as pool:
        print(list(pool.map(work, range(4))))
"""


def _compiled_in_pool(tmp_path: Path, project: Path, *words: str) -> dict[int, list[int]]:
    """Which functions the processes of the program above compile."""
    record = Record(tmp_path)
    program = tmp_path / "program.py"
    program.write_text(POOL, encoding="utf-8")
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, [project, tmp_path])), "VIBEWASM_CACHE": str(tmp_path / "code")
    }  # fmt: skip
    outcome = subprocess.run(
        [sys.executable, program, *words], env=os.environ | environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (outcome.stdout, outcome.stderr) == ("[1, 2, 3, 4]\n", "")
    return record.compiled()


@not_emulated("multiprocessing starts the interpreter itself")
def test_what_was_compiled_before_a_fork_is_not_compiled_in_the_children(tmp_path: Path, project: Path) -> None:
    assert [*_compiled_in_pool(tmp_path, project, "fork", "before", "").values()] == [[0]]


@pytest.mark.ci
@not_emulated("multiprocessing starts the interpreter itself")
def test_workers_take_from_the_code_cache_what_an_earlier_run_has_compiled(tmp_path: Path, project: Path) -> None:
    first = _compiled_in_pool(tmp_path, project, "spawn", "", "cache")
    assert all(functions == [0] for functions in first.values())
    assert 1 <= len(first) <= 2
    # The record goes on, and nothing is added to it.
    assert _compiled_in_pool(tmp_path, project, "spawn", "", "cache") == first


@not_emulated("multiprocessing starts the interpreter itself")
def test_the_guide_s_first_program_prints_what_the_guide_shows(tmp_path: Path, project: Path) -> None:
    text = (project / "docs" / "processes.md").read_text(encoding="utf-8")
    code, output = re.findall(r"^```(?:python|text)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[:2]
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(project)}
    line = [sys.executable, str(program)]
    outcome = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (outcome.stdout, outcome.stderr) == (output, "")


def test_what_the_guide_shows_of_dask_is_in_the_example(project: Path) -> None:
    text = (project / "docs" / "processes.md").read_text(encoding="utf-8")
    example = (project / "examples" / "dask_pool.py").read_text(encoding="utf-8")
    section = text[text.index("## Dask") : text.index("## Ray")]
    shown = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(shown) == 2
    for code in shown:
        assert code in example


def test_a_profiler_that_keeps_frames_does_not_hinder_the_first_module_with_a_memory() -> None:
    frames: list[FrameType] = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, *event: frames.append(frame))
    try:
        engine = vw.Engine()
        instance = vw.instantiate("(module (memory 1))", engine=engine)
    finally:
        sys.setprofile(before)
    assert frames
    assert repr(instance)
    assert not engine.explicit_bounds
