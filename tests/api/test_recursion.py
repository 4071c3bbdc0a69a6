"""Python and wasm code that call each other too deeply, and exceptions that come up before a callback's first line."""

from __future__ import annotations

import _thread
import ctypes
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from vibewasm.api import table
from vibewasm.runtime import calls, reservations, system, watcher

#: What is to come of recursion without end.
TOO_DEEP = r"call stack exhausted|maximum recursion depth exceeded"

SHAPES: dict[str, tuple[str, str, Callable[[Any, int], Any]]] = {
    "alike": ("i32", "i32", lambda f, n: f(n)),
    "two": ("i32 i32", "i32", lambda f, n: f(n, n)),
    "mixed": ("i32 f64", "i64", lambda f, n: f(n, 0.5)),
    "none": ("", "", lambda f, n: f()),
    "many": ("i32 i32 i32 i32 i32 i64", "i32", lambda f, n: f(n, 1, 2, 3, 4, 5)),
    "several": ("i32", "i32 i32", lambda f, n: f(n)),
    "reference": ("i32 externref", "externref", lambda f, n: f(n, "x")),
    "raw": ("i32", "i32", lambda f, n: f.call_raw([n])[0]),
}


def recursive(shape: str) -> tuple[Callable[[], Any], list[bool], list[int]]:
    """A function that calls itself through wasm and Python until the list's item is false; it notes the depth."""
    params, results, call = SHAPES[shape]
    declared = f"(param {params}) (result {results})"
    gets = "".join(f"(local.get {index})" for index in range(len(params.split())))
    text = f"""(module (import "env" "host" (func $host {declared}))
      (func (export "f") {declared} {gets} (call $host)))"""
    go_on = [True]
    depth = [0]
    end = {0: None, 1: 7, 2: (7, 7)}[len(results.split())]

    def host(*arguments: object) -> Any:
        depth[0] += 1
        return call(f, 1) if go_on[0] else end

    f = vw.instantiate(text, {"env": {"host": host}}).exports.f
    return lambda: call(f, 1), go_on, depth


@contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def deeper(levels: int, function: Callable[[], object]) -> object:
    """Call a function with so many more Python frames below it."""
    return function() if levels == 0 else deeper(levels - 1, function)


def check(shape: str, limit: int) -> None:
    call, go_on, depth = recursive(shape)
    with recursion_limit(limit):
        # Where CPython notices depends on the depth before; a limit that the stack is too small for says nothing new.
        for levels in range(8 if limit < 1000 else 2):
            go_on[0] = True
            depth[0] = 0
            with pytest.raises((RecursionError, vw.Trap), match=TOO_DEEP):
                deeper(levels, call)
            assert depth[0] > 5
            go_on[0] = False
            call()


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that reach the limit on purpose: what pytest does with exceptions that Python can raise nowhere takes
    calls itself, and fails there.
    """
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("limit", [250, 1000, 5000, 10**6] if not EMULATED else [250])
@pytest.mark.parametrize("shape", SHAPES)
def test_endless_recursion_through_python_says_so_and_the_store_lives_on(shape: str, limit: int) -> None:
    check(shape, limit)


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("limit", [250, 10**6] if not EMULATED else [250])
@pytest.mark.parametrize("stack", [0, 1 << 20, 16 << 20])
def test_so_does_recursion_in_other_threads_with_small_and_large_stacks(stack: int, limit: int) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for shape in ("alike", "reference"):
                check(shape, limit)
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(stack)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert errors == []


def test_a_callback_that_is_one_call_too_deep_is_a_recursion_error_even_where_no_hook_can_run() -> None:
    """At every depth, since it depends on that where CPython finds that there is no room."""
    f = vw.instantiate(
        """(module (import "env" "host" (func $host)) (func (export "f") (call $host)))""", {"env": {"host": list}}
    ).exports.f
    f()
    outcomes = set()
    # Loaded before, since there is no room for that later.
    too_deep = (RecursionError, vw.Trap)

    def to_the_limit(nest: Callable[[Callable[[], object]], object]) -> None:
        # Once it is reached, each step back tries again.
        try:
            nest(lambda: to_the_limit(nest))
        except RecursionError:
            pass
        try:
            f()
            outcomes.add("called")
        except too_deep:
            outcomes.add("too deep")

    def from_c(call: Callable[[], object]) -> object:
        def one(_: int) -> object:
            return call()

        # (CPython 3.13.0 overflows the stack by itself with sorted().)
        return list(map(one, [1]))

    with recursion_limit(400):
        to_the_limit(lambda call: call())
    with recursion_limit(400 if sys.version_info < (3, 12) else 10**6):
        # CPython 3.12 counts calls from C apart, up to a limit of its own.
        to_the_limit(from_c)
    assert outcomes == {"called", "too deep"}
    f()


_AT_THE_LIMIT = """
import sys
import vibewasm as vw
text = '''(module (import "env" "host" (func $host (param i32)))
  (memory 1) (table 2 funcref)
  (func (export "f") (param i32) (call $host (local.get 0)))
  (func (export "late") (param f64 i64) (result f64) (local i32)
    (local.set 2 (i32.rotl (i32.wrap_i64 (local.get 1)) (i32.const 3)))
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 9))
    (drop (memory.grow (i32.const 1)))
    (drop (table.grow (ref.null func) (i32.const 1)))
    (block (br_if 0 (i32.popcnt (local.get 2))))
    (f64.add (f64.convert_i64_u (i64.div_u (local.get 1) (i64.const 3))) (f64.nearest (local.get 0)))))'''
limit, pad = int(sys.argv[1]), int(sys.argv[2])
def host(n):
    try:
        exports.late(1.4, 9)
        f(n + 1)
    except (RecursionError, vw.Trap):
        exports.late(1.4, 9)
        raise
exports = vw.instantiate(text, {"env": {"host": host}}).exports
f = exports.f
def at(depth, then):
    return at(depth - 1, then) if depth else then()
sys.setrecursionlimit(limit)
try:
    # Of all functions, "late" is called for the first time so close to the limit that compiling it fails.
    at(limit - 30 - pad, lambda: f(0))
except (RecursionError, vw.Trap):
    pass
sys.setrecursionlimit(1000)
assert exports.late(1.4, 9) == 4.0
assert vw.instantiate(text, {"env": {"host": print}}).exports.late(2.0, 9) == 5.0
"""


@pytest.mark.skipif(EMULATED, reason="a process takes a second to start there")
def test_a_compile_that_fails_for_want_of_stack_leaves_a_working_engine() -> None:
    failed = {}
    for pad in range(0, 60, 7):
        done = subprocess.run(
            [sys.executable, "-c", _AT_THE_LIMIT, "400", str(pad)], capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            failed[pad] = done.stderr[-1500:]
    assert failed == {}


# -- exceptions that ctypes would swallow ------------------------------------------------------------------------------


class Alarm(Exception):
    """What the handler of a signal raises; nobody else catches it."""


#: What has ``f`` spin until it is told, so that a signal comes while no Python code runs.
_SPIN = 2
#: Ways from wasm code to Python.
_WAYS = {
    "nothing": "(call $nothing)",
    "one": "(drop (call $one (i32.const 1)))",
    "two": "(drop (call $two (f64.const 1) (f64.const 2)))",
    "mixed": "(drop (call $mixed (i64.const 1)))",
    "several": "(drop (drop (call $several)))",
    "reference": "(drop (call $reference))",
    "wasi": "(drop (call $wasi))",
    "lazy": "(call $lazy)",
    "builtin": "(drop (table.grow $t (ref.null extern) (i32.const 1)))",
    "first builtin": "(drop (memory.grow (i32.const 0)))",
}


def _way(name: str) -> vw.Instance:
    """A function that goes this way: with 0 it does not, and with :data:`_SPIN` it says so in the first word of its
    memory, and waits for the second one.
    """
    text = f"""(module
      (import "env" "nothing" (func $nothing)) (import "env" "one" (func $one (param i32) (result i32)))
      (import "env" "two" (func $two (param f64 f64) (result f64)))
      (import "env" "mixed" (func $mixed (param i64) (result i32)))
      (import "env" "several" (func $several (result i32 i32)))
      (import "env" "reference" (func $reference (result externref)))
      (import "wasi_snapshot_preview1" "sched_yield" (func $wasi (result i32)))
      (memory (export "memory") 1) (table $t 1 externref)
      (func $lazy)
      (func (export "warm") (drop (table.grow $t (ref.null extern) (i32.const 1))))
      (func (export "f") (param $i i32)
        (if (i32.eqz (local.get $i)) (then (return)))
        (if (i32.eq (local.get $i) (i32.const {_SPIN})) (then
          (i32.store (i32.const 0) (i32.const 1))
          (loop (br_if 0 (i32.eqz (i32.load (i32.const 4)))))))
        {_WAYS[name]}))"""
    env: dict[str, Any] = {
        "nothing": lambda: None,
        "one": lambda a: 1,
        "two": lambda a, b: 1.0,
        "mixed": lambda a: 1,
        "several": lambda: (1, 2),
        "reference": lambda: "x",
    }
    instance = vw.instantiate(text, {"env": env}, wasi=vw.WasiConfig())
    instance.exports.warm()
    instance.exports.f(0)
    return instance


@contextmanager
def alarm(handler: Callable[[int, object], None], instance: vw.Instance) -> Iterator[None]:
    """A signal that comes while the instance spins within, and before it goes on."""
    words = instance.exports.memory.view().cast("I")
    words[0] = words[1] = 0
    over = threading.Event()

    def send() -> None:
        while not words[0]:
            if over.wait(0.0005):
                return
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
        over.wait(0.01)
        words[1] = 1

    # In a finaliser it would be lost, by the language's rules.
    gc.collect()
    gc.disable()
    previous = signal.signal(signal.SIGALRM, handler)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()
        signal.signal(signal.SIGALRM, previous)
        gc.enable()


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, RecursionError, SystemExit, Alarm])
def test_what_a_signal_handler_raises_at_the_entry_of_a_callback_comes_out(way: str, kind: type[BaseException]) -> None:
    original = kind("from the handler")

    def handler(number: int, frame: object) -> None:
        raise original

    instance = _way(way)
    with pytest.raises(kind) as caught, alarm(handler, instance):
        instance.exports.f(_SPIN)
    assert caught.value is original
    instance.exports.f(1)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RecursionError, RuntimeError, TimeoutError])
def test_what_it_raises_while_the_watcher_is_started_comes_out(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a thread cannot be started is a ``RuntimeError`` as well, and no reason to end a call."""
    original = kind("from the handler")

    def handler(number: int, frame: object) -> None:
        raise original

    def start(*arguments: object, **keywords: object) -> None:
        signal.raise_signal(signal.SIGALRM)

    exports = _way("nothing").exports
    # One that has been started a moment ago may not run yet, and one that was only to be started never will.
    for _ in range(20):
        watcher._watcher.stop(0.01)
        time.sleep(0.005)
    name = "start_joinable_thread" if hasattr(_thread, "start_joinable_thread") else "start_new_thread"
    monkeypatch.setattr(_thread, name, start)
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(kind) as caught:
            exports.f(1)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert caught.value is original
    monkeypatch.undo()
    exports.f(1)


@pytest.mark.parametrize(
    ("room", "name", "instruction"),
    [
        (reservations, "make_accessible", "(memory.grow (i32.const 1))"),
        (system, "allow", "(memory.grow (i32.const 1))"),
        (table.Table, "_resize", "(table.grow (ref.null extern) (i32.const 1))"),
    ],
)
def test_a_timeout_while_something_grows_is_not_the_systems_refusal(
    room: Any, name: str, instruction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise TimeoutError("from the handler")

    config = vw.Config(explicit_bounds=room is system)
    text = f'(module (memory 1 9) (table 1 externref) (func (export "f") (result i32) {instruction}))'
    f = vw.instantiate(text, config=config).exports.f
    monkeypatch.setattr(room, name, interrupted)
    with pytest.raises(TimeoutError, match="from the handler"):
        f()
    monkeypatch.undo()
    assert f() == 1


def test_it_comes_out_at_any_depth_and_can_be_caught_in_between() -> None:
    def handler(number: int, frame: object) -> None:
        raise Alarm

    inner = _way("nothing")
    caught: list[Alarm] = []

    def host(n: int) -> int:
        if n:
            return int(outer(n - 1)) + 1
        with alarm(handler, inner):
            try:
                inner.exports.f(_SPIN)
            except Alarm as error:
                caught.append(error)
        return 0

    outer = vw.instantiate(
        """(module (import "env" "host" (func $host (param i32) (result i32)))
          (func (export "f") (param i32) (result i32) (call $host (local.get 0))))""",
        {"env": {"host": host}},
    ).exports.f
    assert outer(5) == 5
    assert len(caught) == 1


def test_somebody_elses_callback_inside_a_host_function_is_reported_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = []

    def foreign() -> None:
        raise LookupError("not ours")

    callback = ctypes.CFUNCTYPE(None)(foreign)
    instance = vw.instantiate(
        """(module (import "env" "host" (func $host)) (func (export "f") (call $host)))""", {"env": {"host": callback}}
    )
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_value))
    vw.instantiate("(module)")
    assert instance.exports.f() is None
    assert [str(error) for error in reported] == ["not ours"]


def _raise_alarm(number: int, frame: object) -> None:
    raise Alarm


def test_a_hook_that_was_put_over_ours_is_told_of_what_is_not_ours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy, other = _way("lazy"), _way("nothing")
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    # Each function that is compiled is an occasion to look whether ours is on top.
    lazy.exports.f(1)
    with pytest.raises(Alarm), alarm(_raise_alarm, other):
        other.exports.f(_SPIN)
    assert reported == []


def test_where_the_hook_was_replaced_meanwhile_the_call_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = _way("nothing")
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    with pytest.raises((KeyboardInterrupt, Alarm)), alarm(_raise_alarm, instance):
        instance.exports.f(_SPIN)
    # From then on ours is there again.
    with pytest.raises(Alarm), alarm(_raise_alarm, instance):
        instance.exports.f(_SPIN)


def test_callbacks_leave_nothing_behind_when_their_store_is_gone() -> None:
    gc.collect()
    before = len(calls._owners)
    for _ in range(20):
        _way("nothing")
    assert len(calls._owners) > before
    gc.collect()
    assert len(calls._owners) <= before
