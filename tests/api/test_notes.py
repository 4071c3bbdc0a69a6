"""What exceptions say of the wasm code that they pass through, and one suggestion in each message."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from typing import Any

import pytest

import vibewasm as vw

TEXT = """(module $app
  (import "env" "host" (func $host (param i32)))
  (func $inner (param i32) (call $host (local.get 0)))
  (func (export "run") (param i32) (call $inner (local.get 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "host") (param i32) (call $host (local.get 0))))"""


def notes(error: BaseException) -> list[str]:
    found: list[str] = getattr(error, "__notes__", [])
    return found


def functions(note: str) -> list[str]:
    first, *frames = note.splitlines()
    assert first == "wasm frames, innermost first:"
    return [frame.removeprefix("  at ").partition(" (at byte offset 0x")[0] for frame in frames]


def instance(host: Any, **options: Any) -> vw.Instance:
    return vw.instantiate(TEXT, {"env": {"host": host}}, **options)


def test_an_exception_of_a_host_function_has_a_note_with_the_wasm_frames() -> None:
    error = ValueError("as it was")

    def host(number: int) -> None:
        raise error

    with pytest.raises(ValueError, match=r"^as it was") as caught:
        instance(host).exports.run(1)
    assert caught.value is error
    assert str(error) == "as it was"
    (note,) = notes(error)
    assert functions(note) == ["app!inner", "app!run"]
    assert isinstance(pickle.loads(pickle.dumps(error)), ValueError)


def test_nested_calls_add_to_the_one_note() -> None:
    made: Any = None

    def host(number: int) -> None:
        if not number:
            raise KeyError("deep")
        made.exports.host(number - 1)

    made = instance(host)
    with pytest.raises(KeyError) as caught:
        made.exports.run(2)
    (note,) = notes(caught.value)
    assert functions(note) == ["app!host", "app!host", "app!inner", "app!run"]


def test_a_trap_that_passes_through_an_outer_call_keeps_its_frames() -> None:
    trapping = vw.instantiate('(module $low (func (export "f") unreachable))').exports.f
    with pytest.raises(vw.Trap) as caught:
        instance(lambda number: trapping()).exports.run(1)
    assert [frame.func_name for frame in caught.value.frames] == ["f"]
    (note,) = notes(caught.value)
    assert functions(note) == ["app!inner", "app!run"]


def test_a_note_of_an_exception_that_is_raised_again_and_again_does_not_grow_for_ever() -> None:
    error = ValueError("one for all")

    def host(number: int) -> None:
        raise error.with_traceback(None)

    run = instance(host).exports.run
    for _ in range(100):
        with pytest.raises(ValueError, match="one for all"):
            run(1)
    (note,) = notes(error)
    assert len(note.splitlines()) < 40


def test_what_comes_from_no_wasm_code_has_no_note() -> None:
    def host(number: int) -> None:
        raise ValueError

    for error_of in (instance(host).exports.run, vw.Func(vw.Store(), vw.FuncType(["i32"], []), host)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (it has no message)
            error_of(1)
    assert not notes(caught.value)


@pytest.mark.parametrize("kind", [SystemExit, vw.ExitTrap])
def test_the_end_of_a_program_is_no_error(kind: type[BaseException]) -> None:
    def host(number: int) -> None:
        raise kind(number)

    with pytest.raises(kind) as caught:
        instance(host).exports.run(3)
    assert not notes(caught.value)


def test_notes_that_are_none_are_left_alone() -> None:
    error = ValueError("odd")
    error.__notes__ = "no list"  # type: ignore[assignment]

    def host(number: int) -> None:
        raise error

    with pytest.raises(ValueError, match="odd") as caught:
        instance(host).exports.run(1)
    assert caught.value is error
    assert error.__notes__ == "no list"  # type: ignore[comparison-overlap]


def test_names_in_notes_are_escaped() -> None:
    def host() -> None:
        raise ValueError

    text = r'(module (import "e" "h" (func $h)) (func (export "a\1b\n\u{202e}") (call $h)))'
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (it has no message)
        vw.instantiate(text, {"e": {"h": host}}).exports["a\x1b\n\u202e"]()
    (note,) = notes(caught.value)
    assert functions(note) == ["a\\x1b\\n\\u202e"]


def test_deep_recursion_ends_as_ever() -> None:
    made: Any = None

    def host(number: int) -> None:
        made.exports.run(number)

    made = instance(host)
    with pytest.raises((RecursionError, vw.Trap)):
        made.exports.run(1)


def test_an_interruption_has_the_frames_that_it_stopped() -> None:
    made = instance(print)
    with pytest.raises(vw.Interrupted) as caught, made.store.deadline(0.05):
        made.exports.spin()
    error = caught.value
    assert [frame.func_name for frame in error.frames] == ["spin"]
    assert str(error).splitlines()[1].startswith("  at app!spin (at byte offset 0x")
    assert not notes(error)
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (same.message, same.frames) == (error.message, error.frames)


def test_an_interruption_of_a_nested_call_says_what_is_around_it() -> None:
    made: Any = None
    made = instance(lambda number: made.exports.spin())
    timer = threading.Timer(0.05, made.store.interrupt)
    timer.start()
    with pytest.raises(vw.Interrupted) as caught:
        made.exports.run(1)
    timer.join()
    assert [frame.func_name for frame in caught.value.frames] == ["spin"]
    (note,) = notes(caught.value)
    assert functions(note) == ["app!inner", "app!run"]


def test_an_interruption_is_made_as_a_trap_is() -> None:
    assert vw.Interrupted().frames == ()
    assert str(vw.Interrupted("stop", [vw.Frame(1, "f")])) == "stop\n  at f"
    for wrong in ("frames", 3, [None]):
        with pytest.raises(TypeError, match=r"^Interrupted: frames"):
            vw.Interrupted("stop", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("access", "suggestion"),
    [
        ("instance.exports.rum", "'run'"),
        ("instance.exports.__neww", "'__new'"),
        ("instance.stores", "instance.exports.stores"),
        ("vibewasm.Instanse", "'Instance'"),
        ("vibewasm.instantiate(b'', impots={})", "'imports'"),
    ],
)
def test_what_the_interpreter_shows_has_one_suggestion(access: str, suggestion: str) -> None:
    text = '(module (func (export "run") (export "__new") (export "stores")))'
    program = f"import vibewasm; instance = vibewasm.instantiate({text!r}); {access}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert suggestion in last
    # The interpreter's own stands there where ours does not.
    assert last.lower().count("did you mean") + last.count("it is an export") == 1
