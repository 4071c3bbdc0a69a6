"""Where work may be cut short and where it is waited for, and that what is left is whole."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw
from vibewasm import errors
from vibewasm.api import stopping
from vibewasm.errors import Cut, Work, guest_work, registered, works
from vibewasm.wat import wat2wasm

from .stopping_work import ENDLESS, in_engine
from .stopping_work import all_is_loaded as all_is_loaded
from .stopping_work import nothing_is_left as nothing_is_left

# -- what is not cut short ---------------------------------------------------------------------------------------------


def _cut(function: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(vw.Interrupted), vw.deadline(0.02):
        guest_work(None, lambda *_: "trying", function, *arguments)


def test_functions_of_the_program_are_waited_for() -> None:
    function = in_engine("def function(call):\n    call()\n    while True: pass")
    done = []

    def host() -> None:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass
        done.append(True)

    _cut(function, host)
    assert done


@pytest.mark.parametrize("kind", ["finaliser of the engine", "finaliser of the program"])
def test_finalisers_are_waited_for(kind: str) -> None:
    done: list[bool] = []
    lines = """
class Final:
    def __init__(self, done):
        self.done = done
    def __del__(self):
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass
        self.done.append(True)
def function(done, Final=Final):
    Final(done)
    while True: pass
"""
    function = in_engine(lines)
    if kind == "finaliser of the program":
        space: dict[str, Any] = {"time": time, "__name__": "program"}
        exec(lines, space)
        _cut(function, done, space["Final"])
    else:
        _cut(function, done)
    assert done


def test_loading_a_module_is_waited_for(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "vibewasm_slow.py"
    package.write_text(
        "import time\nuntil = time.monotonic() + 0.2\nwhile time.monotonic() < until:\n    pass\ndone = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    space: dict[str, Any] = {"__name__": "vibewasm.tested"}
    exec("def function():\n    import vibewasm_slow\n    while True: pass", space)
    function: Callable[..., Any] = space["function"]
    _cut(function)
    assert sys.modules["vibewasm_slow"].done


def test_a_signal_handler_is_waited_for_and_so_is_what_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    done = []

    def handler(number: int, frame: object) -> None:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass
        assert vw.Module is not None
        done.append(True)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        _cut(ENDLESS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert done


def test_nothing_comes_up_after_the_work() -> None:
    """The end of the work and the sending of the exception, thousands of times at the same moment."""
    function = in_engine("def function(until):\n    while time.monotonic() < until: pass")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    cut = ended = 0
    stop: list[bool] = []

    def watch() -> None:
        while not stop:
            stopping.cut_all()

    monitor = threading.Thread(target=watch)
    monitor.start()
    try:
        for index in range(1000):
            work = Work(None, (), time.monotonic() + 0.0002)
            try:
                registered(work, function, time.monotonic() + 0.0001 + index % 10 * 0.00004)
                ended += 1
            except Cut:
                cut += 1
            for _ in range(20):
                # Here it would come up.
                time.monotonic()
    finally:
        stop.append(True)
        monitor.join()
        sys.setswitchinterval(interval)
    assert cut
    assert ended


def test_what_was_sent_and_has_not_come_up_does_not_come_up_later() -> None:
    """As if the thread had been in a C function when it was sent, right before the end of the work."""
    work = Work(None, ())
    work.undo = stopping._undo

    def function() -> None:
        # Nothing is called between the sending and the end of the work but what sends.
        sender.start()
        sender.join()

    # A thread looks for such exceptions when it is told to, and not before the next call.
    sender = threading.Thread(target=stopping._send, args=(threading.get_ident(), Cut))
    with pytest.raises(Cut):
        registered(work, function)
    stopping._undo(threading.get_ident())
    for _ in range(100):
        time.monotonic()
    undone: list[int] = []
    work.undo = undone.append
    registered(work, lambda: None)
    assert undone == [threading.get_ident()]


# -- what is left is whole ---------------------------------------------------------------------------------------------


def _steps(function: Callable[..., Any], *arguments: Any, cut_at: int = 0) -> int:
    """Call a function and raise what cuts work short at one of its steps in Python code of the engine.

    Returns:
        how many steps there were.
    """
    steps = 0

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal steps
        code = frame.f_code
        if not str(frame.f_globals.get("__name__")).startswith("vibewasm.") or code in stopping._WHOLE:
            return None
        if code is registered.__code__:
            # Between some of its lines nothing can come up.
            return None
        caller = frame
        while caller.f_code is not _steps.__code__:
            # What is loaded or finalised is waited for.
            if caller.f_code.co_name in ("<module>", "__del__"):
                return None
            caller = caller.f_back
        if event == "line":
            steps += 1
            if steps == cut_at:
                raise Cut
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    except (Cut, vw.Interrupted):
        pass
    finally:
        sys.settrace(before)
    return steps


def _some_steps(count: int) -> list[int]:
    """Some of so many steps."""
    return sorted({random.randrange(1, count) for _ in range(60)})


def _sample() -> bytes:
    return wat2wasm(
        """(module (type $s (sub (func (param i32) (result i32))))
        (type $t (func (param i32 i32) (result i32 i32)))
        (import "m" "f" (func (param i32) (result i32)))
        (memory 1) (table $table 10 funcref) (global $g (mut i32) (i32.const 7))
        (elem (i32.const 0) $a $b) (data (i32.const 0) "abc")
        (func $a (export "a") (param i32) (result i32)
            (local f64)
            (block $out (result i32)
                (br_table $out $out (i32.const 3) (local.get 0)))
            (i32.add (i32.load (i32.const 0)))
            (i32.add (global.get $g)))
        (func $b (export "b") (type $t) (local.get 1) (local.get 0))
        (func $v (export "v") (result i32)
            (i32x4.extract_lane 1 (i32x4.add (v128.const i32x4 1 2 3 4) (i32x4.splat (i32.const 5)))))
        (func $c (export "c") (param i32) (result i32) (call $a (call 0 (local.get 0)))))""",
        names=True,
    )


def _uses(module: vw.Module) -> list[object]:
    store = vw.Store(module.engine)
    linker = vw.Linker(module.engine)
    linker.define("m", "f", lambda x: x + 1)
    exports = linker.instantiate(store, module).exports
    return [exports.a(1), exports.b(1, 2), exports.v(), exports.c(3)]


def test_compiling_that_was_cut_at_any_step_leaves_module_and_engine_whole() -> None:
    data = _sample()
    wanted = _uses(vw.Module(data))
    codes = [vw.Module(data).compiler.compile(defined) for defined in range(4)]
    random.seed(16)
    for defined in range(4):
        engine = vw.Engine()
        for step in _some_steps(_steps(vw.Module(engine, data).compiler.compile, defined)):
            module = vw.Module(engine, data)
            _steps(module.compiler.compile, defined, cut_at=step)
            assert module.compiler.compile(defined) == codes[defined]
        assert _uses(module) == wanted


def test_choices_that_were_cut_at_any_step_are_as_good_as_others() -> None:
    """The memo of machine code is the process's, and it is the type checker."""
    program = """
import random, sys
from tests.api import test_cutting_short as tests
import vibewasm as vw
data = tests._sample()
codes = [vw.Module(data).compiler.compile(defined) for defined in range(4)]
from vibewasm.backends import backend
choices = backend(vw.Engine().target).target
random.seed(19)
for round in range(40):
    choices.MEMO.clear()
    defined = round % 4
    engine = vw.Engine()
    total = tests._steps(vw.Module(engine, data).compiler.compile, defined)
    choices.MEMO.clear()
    tests._steps(vw.Module(engine, data).compiler.compile, defined, cut_at=random.randrange(1, total))
    assert [vw.Module(engine, data).compiler.compile(defined) for defined in range(4)] == codes
print("good")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "good\n", done.stderr


def test_decoding_that_was_cut_at_any_step_leaves_the_engine_whole() -> None:
    data = _sample()
    engine = vw.Engine()
    wanted = _uses(vw.Module(engine, data))
    random.seed(17)
    for step in _some_steps(_steps(vw.Module, engine, data)):
        _steps(vw.Module, engine, data, cut_at=step)
    assert _uses(vw.Module(engine, data)) == wanted


def test_instantiating_that_was_cut_at_any_step_leaves_module_and_store_whole() -> None:
    data = _sample()
    engine = vw.Engine()
    wanted = _uses(vw.Module(engine, data))
    random.seed(18)
    store = vw.Store(engine)
    for step in _some_steps(_steps(vw.Module(engine, data)._make_template, store)):
        module = vw.Module(engine, data)
        _steps(module._make_template, store, cut_at=step)
        assert _uses(module) == wanted
    assert _uses(vw.Module(engine, data)) == wanted


def test_a_table_that_could_not_be_filled_has_its_old_size_and_grows_again() -> None:
    store = vw.Store()
    table = vw.Table(store, vw.TableType("externref", vw.Limits(10)))
    count = 3_000_000
    with pytest.raises(vw.Interrupted), store.deadline(0):
        table.grow(count, "x")
    assert len(table) == 10
    assert table.grow(count) == 10
    assert not any(table[index] is not None for index in (10, 11, 70_000, count))
    with pytest.raises(vw.Interrupted), store.deadline(0):
        table.grow(2 * count, "x")
    assert len(table) == count + 10


def test_what_is_registered_of_threads_that_are_gone_does_no_harm() -> None:
    work = Work(None, (), 1.0)
    works[1] = work
    stopping.cut_all()
    assert 1 not in works
    assert errors.works is works
