"""Exceptions come from other processes as they were raised there; forked children use what was made before the fork."""

from __future__ import annotations

import copy
import os
import pickle
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
from tests.native import EMULATED


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


class Stand(vw.Trap):
    """An exception that stands for another, and has from it what it does not find in its classes, as Ray's do."""

    def __init__(self, trap: vw.Trap) -> None:
        self.trap = trap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trap, name)


def test_an_exception_of_a_derived_class_that_stands_for_a_trap_has_all_its_attributes() -> None:
    trap = vw.Trap("unreachable", "unreachable", [vw.Frame(1)])
    trap.element = 7
    stand = Stand(trap)
    assert (stand.message, stand.code, stand.frames, stand.element) == (trap.message, trap.code, trap.frames, 7)


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
