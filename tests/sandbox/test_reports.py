"""What a process that was taken over may say of itself is looked at to the last field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vibewasm as vw
from vibewasm.sandbox import report
from vibewasm.sandbox.errors import SandboxLimit
from vibewasm.sandbox.lockdown import MECHANISMS

FORGED = [
    b"",
    b"\xff",
    b"[]",
    b"1",
    b"{",
    b"{}",
    b'{"exit": -1}',
    b'{"exit": 4294967296}',
    b'{"exit": true}',
    b'{"exit": 1.0}',
    b'{"exit": "0"}',
    b'{"exit": 0, "results": []}',
    b'{"exit": NaN}',
    b'{"exit": 0, "met": ["max_nothing"]}',
    b'{"exit": 0, "met": "max_memory"}',
    b'{"exit": 0, "met": [' + b'"max_memory", ' * 30 + b'"max_memory"]}',
    b'{"results": {}}',
    b'{"results": [1]}',
    b'{"results": ["one"]}',
    b'{"results": ["' + b"9" * 51 + b'"]}',
    b'{"results": [' + b"null," * 1000 + b"null]}",
    b'{"limit": "none", "text": ""}',
    b'{"error": "Trap", "text": "x", "frames": []}',
    b'{"error": "Trap", "text": "x", "frames": [[1, 2, 3, 4]], "code": "x"}',
    b'{"error": "Trap", "text": "x", "frames": [[-1, null, null, null]], "code": "x"}',
    b'{"error": "Trap", "text": "x", "frames": [[1, null, null]], "code": "x"}',
    b'{"error": "Trap", "text": "x", "frames": 5, "code": "x"}',
    b'{"error": "Trap", "text": 5, "frames": [], "code": "x"}',
    b'{"error": "Trap", "text": "' + b"x" * 20_001 + b'", "frames": [], "code": "x"}',
    b'{"error": "SystemExit", "text": "x", "frames": []}',
    b'{"error": "__class__", "text": "x"}',
    b'{"error": ["Trap"], "text": "x"}',
    b'{"error": "WasmError", "text": "x", "frames": [], "extra": 1}',
    b'{"error": "ValidationError", "text": "x", "frames": []}',
    b'{"error": "ValidationError", "text": "x", "frames": [], "function": [null]}',
    b'{"error": "WatError", "text": "x", "frames": [], "offset": 1}',
    b'{"error": "WatError", "text": "x", "frames": [], "offset": 1, "place": [1, 1]}',
    b'{"error": "WatError", "text": "x", "frames": [], "offset": 1, "place": [0, 1, ""]}',
    b'{"error": "WatError", "text": "x", "frames": [], "offset": 1, "place": [1, 10002, ""]}',
    b'{"error": "WatError", "text": "x", "frames": [], "offset": 1, "place": [1, 1, 1]}',
    b'{"missing": {}}',
    b"[" * 100_000,
    b'{"exit": ' + b"9" * 100_000 + b"}",
]


@pytest.mark.parametrize("data", FORGED, ids=lambda data: data[:40])
def test_what_the_child_does_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(report.Forged):
        report.read_end(data)


@pytest.mark.parametrize(
    "data",
    [b"{}", b'{"missing": []}', b'{"missing": {"sandbox": "x"}}', b'{"missing": {"seccomp": 1}}', b'{"exit": 0}'],
)
def test_so_is_the_first_line(data: bytes) -> None:
    with pytest.raises(report.Forged):
        report.read_missing(data, MECHANISMS)


KEYS = st.sampled_from(
    ["exit", "met", "results", "error", "text", "frames", "code", "offset", "function", "limit", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(["Trap", "LinkError", "ValidationError", "DecodeError", "Interrupted", "OutOfFuel", "memory"])


@settings(max_examples=40)
@given(st.dictionaries(KEYS, JSON | WORDS, max_size=6))
def test_whatever_it_says_there_is_an_end_or_an_error_of_one_kind(fields: dict[str, object]) -> None:
    try:
        end = report.read_end(json.dumps(fields).encode())
    except report.Forged:
        return
    assert end.error is None or isinstance(end.error, vw.WasmError)
    str(end.error)


def test_errors_come_back_as_they_were() -> None:
    frames = (vw.Frame(3, "f", "m", 17), vw.Frame(4))
    errors: list[vw.WasmError] = [
        vw.Trap("unreachable", "unreachable", frames),
        vw.OutOfFuel(frames=frames),
        vw.DecodeError("bad", 5),
        vw.ValidationError("bad", 5, 3, "f", "gc"),
        vw.ValidationError("bad"),
        vw.LinkError("missing", limit="max_memory"),
        vw.WasmError("bad"),
    ]
    for error in errors:
        end = report.read_end(report.ended(error))
        assert type(end.error) is type(error)
        assert str(end.error) == str(error)
        assert getattr(end.error, "frames", ()) == getattr(error, "frames", ())
        assert end.limits == {"OutOfFuel": ("fuel",), "LinkError": ("max_memory",)}.get(type(error).__name__, ())
    assert report.read_end(report.ended(vw.ExitTrap(7))).exit_code == 7
    stopped = report.read_end(report.ended(vw.Interrupted("stopped by a deadline", frames), 1.5))
    assert isinstance(stopped.error, SandboxLimit)
    assert stopped.limits == ("timeout",)
    assert str(stopped.error) == "stopped after 1.5 seconds\n  at m!f (at byte offset 0x11)\n  at function 4"
    assert report.read_end(report.ended(MemoryError())).limits == ("memory",)
    assert str(report.read_end(report.ended(OSError(1, "no"))).error) == "PermissionError: [Errno 1] no"


def test_numbers_come_back_as_they_were() -> None:
    values = (0, -1, 2**64 - 1, -(2**63), 2**128 - 1, 1.5, -0.0, float("inf"), 5e-324, None)
    found = report.read_end(report.returned(values)).results
    assert list(map(repr, found)) == list(map(repr, values))
    assert str(report.read_end(report.returned([float("nan")])).results[0]) == "nan"
    with pytest.raises(vw.WasmError, match="cannot leave the process"):
        report.returned([object()])


def test_texts_do_not_command_a_terminal() -> None:
    end = report.read_end(b'{"error": "WasmError", "text": "a\\u001b[2J\\nb\\r\\u202ec"}')
    assert str(end.error) == "a\\x1b[2J\nb\\r\\u202ec"
