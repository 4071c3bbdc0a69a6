"""The exceptions: what they say, and that they can be carried between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

import vibewasm
from tests.binary.encode import module, section, vector
from vibewasm.errors import (
    DecodeError,
    Interrupted,
    LinkError,
    ValidationError,
    WasmError,
)
from vibewasm.traps import TRAPS, ExitTrap, Frame, OutOfFuel, Trap
from vibewasm.wat import wat2wasm

FRAMES = (Frame(3, "inner", "mod", 0x1F), Frame(0))

CASES: list[tuple[WasmError, str]] = [
    (WasmError("bad"), "bad"),
    (DecodeError("unexpected end", 31), "unexpected end (at byte offset 0x1f)"),
    (ValidationError("type mismatch"), "type mismatch"),
    (ValidationError("type mismatch", 31), "type mismatch (at byte offset 0x1f)"),
    (ValidationError("type mismatch", None, 2), "type mismatch (in function 2)"),
    (ValidationError("type mismatch", 31, 2, "f"), "type mismatch (in function 2 <f>, at byte offset 0x1f)"),
    (
        ValidationError("threads are not supported yet", 31, feature="threads"),
        "threads are not supported yet (at byte offset 0x1f)",
    ),
    (LinkError("no such import"), "no such import"),
    (LinkError("too large", (vibewasm.ImportType("m", "f", vibewasm.FuncType([], [])),), "max_memory"), "too large"),
    (Trap("unreachable", "unreachable"), "unreachable"),
    (
        Trap("integer overflow", "integer_overflow", FRAMES),
        "integer overflow\n  at mod!inner (at byte offset 0x1f)\n  at function 0",
    ),
    (OutOfFuel(), "all fuel consumed"),
    (OutOfFuel(frames=FRAMES[1:]), "all fuel consumed\n  at function 0"),
    (Interrupted(), "interrupted"),
    (ExitTrap(3), "exited with code 3"),
]


@pytest.mark.parametrize(("error", "text"), CASES)
def test_what_errors_say_here_and_in_another_process(error: WasmError, text: str) -> None:
    assert str(error) == text
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert str(twin) == text
        assert vars(twin) == vars(error)
        assert twin.message == error.message


def body(code: str, locals_: str = "00") -> bytes:
    """A module with one function of this body, in hexadecimal."""
    return module(
        section("type", b"\1\x60\0\0"),
        section("function", b"\1\0"),
        section("code", vector([vector([bytes([byte]) for byte in bytes.fromhex(locals_ + code + "0b")])])),
    )


@pytest.mark.parametrize(
    ("source", "feature"),
    [
        # The decoder.
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (memory 1) (memory 1))", "multiple memories"),
        ("(module (memory i64 1))", "64-bit memories and tables"),
        ("(module (type (struct)))", "garbage collection"),
        ("(module (func (param (ref any))))", "garbage collection"),
        ("(module (type (sub (struct))))", "garbage collection"),
        ("(module (rec (type (func)) (type (array i8))))", "garbage collection"),
        ("(module (global $g i32 (i32.const 0)) (global i32 (global.get $g)))", "garbage collection"),
        # The reader of text.
        ("(module (func (drop (ref.i31 (i32.const 0)))))", "garbage collection"),
        # Bodies: instructions, block types, locals, heap types, with a type by its index among them.
        (body("fda002"), "half precision"),
        (body("026b0b"), "garbage collection"),
        (body("02646d0b"), "garbage collection"),
        (body("", "01016c"), "garbage collection"),
        (body("", "0101636c"), "garbage collection"),
        (body("d06e1a"), "garbage collection"),
        (body("1c016b"), "garbage collection"),
        (body("1c01636b"), "garbage collection"),
        (body("d0681a"), "stack switching"),
        (body("026362000b"), "custom descriptors"),
    ],
)
def test_a_refusal_for_want_of_a_proposal_names_it(source: str | bytes, feature: str) -> None:
    with pytest.raises(ValidationError) as caught:
        vibewasm.Module.validate(vibewasm.Engine(), wat2wasm(source) if isinstance(source, str) else source)
    assert caught.value.feature == feature


@pytest.mark.parametrize("text", ["(module (func i32.const 0))", "(module (global $g (mut i32) (i32.const 0)) "
                                  "(global i32 (global.get $g)))"])  # fmt: skip
def test_what_no_proposal_makes_valid_names_none(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        vibewasm.Module.validate(vibewasm.Engine(), wat2wasm(text))
    assert caught.value.feature is None


def test_a_byte_that_is_no_type_is_called_by_what_should_be_there() -> None:
    for source, words in ((body("02410b"), "block type 0x41"), (body("", "010141"), "value type 0x41")):
        with pytest.raises(DecodeError, match=f"^malformed {words} "):
            vibewasm.Module.validate(vibewasm.Engine(), source)


def test_long_backtraces_are_cut_in_text_only() -> None:
    trap = Trap("call stack exhausted", "stack_overflow", [Frame(number) for number in range(64)])
    lines = str(trap).splitlines()
    assert len(lines) == 18
    assert lines[-1] == "  and 48 more"
    assert len(trap.frames) == 64


def test_frames_compare_by_value() -> None:
    assert Frame(1, "a") == Frame(1, "a")
    assert hash(Frame(1, "a")) == hash(Frame(1, "a"))
    assert Frame(1, "a") != Frame(2, "a")
    assert Frame(1) != 1
    assert repr(FRAMES[0]) == "Frame(3, 'inner', 'mod', 31)"


def test_trap_codes_and_numbers_are_one_to_one() -> None:
    assert len({code for code, _ in TRAPS.values()}) == len(TRAPS)
    assert sorted(TRAPS) == list(range(1, 18))


def test_every_error_is_a_wasm_error() -> None:
    assert issubclass(OutOfFuel, Trap)
    for error, _ in CASES:
        assert isinstance(error, WasmError)
