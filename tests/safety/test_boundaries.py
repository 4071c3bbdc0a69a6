"""Boundaries of machine code, each crossed by a module of its own that tries."""

from __future__ import annotations

import subprocess
import sys

import pytest

import vibewasm as vw
from tests.differential.planting import PROJECT


def test_endless_recursion_is_a_trap() -> None:
    exports = vw.instantiate('(module (func $f (export "f") (call $f)))').exports
    for _ in range(2):
        with pytest.raises(vw.Trap, match="call stack exhausted"):
            exports.f()


def test_endless_recursion_of_large_frames_is_a_trap() -> None:
    # 30,000 locals take 240,000 bytes of each frame: one frame steps over what is kept below the limit.
    text = f'(module (func $f (export "f") (local {"i64 " * 30_000}) (call $f)))'
    exports = vw.instantiate(text).exports
    for _ in range(2):
        with pytest.raises(vw.Trap, match="call stack exhausted"):
            exports.f()


def _table() -> vw.Instance:
    return vw.instantiate("""(module
        (type $a (func (result i32))) (type $b (func (param i64) (result i64)))
        (table 2 funcref)
        (elem (i32.const 0) $a $b)
        (func $a (type $a) (i32.const 5))
        (func $b (type $b) (i64.const 6))
        (func (export "call") (param i32) (result i32) (call_indirect (type $a) (local.get 0))))""")


def test_a_call_beyond_the_end_of_a_table_is_a_trap() -> None:
    exports = _table().exports
    assert exports.call(0) == 5
    # One beyond, and one at whose cell nothing can be mapped.
    for index in (2, 3, 0x7FFFFFFF, -1):
        with pytest.raises(vw.Trap, match="undefined element"):
            exports.call(index)


def test_a_call_of_a_function_of_another_type_is_a_trap() -> None:
    exports = _table().exports
    with pytest.raises(vw.Trap, match="indirect call type mismatch"):
        exports.call(1)


def test_a_call_through_an_empty_cell_is_a_trap() -> None:
    exports = vw.instantiate("""(module (table 1 funcref)
        (func (export "call") (call_indirect (i32.const 0))))""").exports
    with pytest.raises(vw.Trap, match="uninitialized element"):
        exports.call()


#: Plants the fault, so the engine may not have been imported before.
_NOT_EXTENDED = """
from tests.differential.planting import plant
from tests.differential.planted import FAULTS
(fault,) = [fault for fault in FAULTS if fault.name == "wrap-keeps-upper-half"]
plant(fault)
import vibewasm as vw
text = '''(module (memory 1) (func (export "f") (param i64) (result i32)
    (i32.load (i32.add (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 0))))))'''
try:
    vw.instantiate(text, config=vw.Config(checked=True)).exports.f(1 << 40)
except vw.Trap as trap:
    print(trap.code)
"""


def test_checked_mode_traps_where_an_i32_is_not_zero_extended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NOT_EXTENDED], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "invariant\n"
