"""Threads with small stacks: what does not fit is a trap, and nothing that the engine does there goes too deep."""

from __future__ import annotations

import pytest

from tests.native import not_emulated

from .machine import python

SOURCE = """
import sys, threading
import vibewasm as vw
def host(number):
    if deepest:
        # What a host function may well do: load modules, and raise.
        import json, decimal, email.message
        raise ValueError
    return number
TEXT = '''(module (import "h" "f" (func $f (param i32) (result i32))) (memory 1)
  (func $deep (export "deep") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 1 call $f else local.get 0 i32.const 1 i32.sub call $deep end)
  (func $lazy (export "lazy") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) call $late else local.get 0 i32.const 1 i32.sub call $lazy end)
  (func $late (result i32) (local f64) i32.const 9 i32.const 7 i32.div_u i32.const 0 f64.load local.tee 0 f64.sqrt
    i32.trunc_sat_f64_u i32.add i32.const 1 memory.grow i32.add)
  (func $forever (export "forever") call $forever)
  (func (export "out") i32.const -1 i32.load drop))'''
deepest = False
def run():
    global deepest
    exports = vw.instantiate(TEXT, {"h": {"f": host}}).exports
    for f in (exports.forever, exports.out):
        try: f()
        except vw.Trap as trap: print(trap.code)
    depth = 1
    while True:
        try: exports.deep(depth)
        except vw.Trap: break
        depth += 1 + depth // 50
    # From as deep as it goes: compile, with all modules that takes, and a host function.
    for depth in range(depth, 0, -1):
        try:
            exports.lazy(depth)
            break
        except vw.Trap as trap: assert trap.code == "stack_overflow"
    deepest = True
    for depth in range(depth + 20, 0, -1):
        try: exports.deep(depth)
        except ValueError: break
        except vw.Trap as trap: assert trap.code == "stack_overflow"
    else: raise AssertionError
    deepest = False
    print("end")
"""


@not_emulated("the emulator's own frames are on the stack")
@pytest.mark.parametrize("alone", [True, pytest.param(False, marks=pytest.mark.ci)])
@pytest.mark.parametrize("size", [64, 128, pytest.param(512, marks=pytest.mark.ci)])
def test_a_thread_with_a_small_stack_traps_where_it_ends(size: int, alone: bool) -> None:
    """``size`` in KiB; musl's usual one is 128. Not alone: another thread has run it before."""
    before = "" if alone else "thread = threading.Thread(target=run)\nthread.start()\nthread.join()\n"
    source = f"{before}threading.stack_size({size} << 10)\nthread = threading.Thread(target=run)\n"
    done = python(f"{SOURCE}{source}thread.start()\nthread.join()\n")
    once = "stack_overflow\nmemory_out_of_bounds\nend\n"
    assert (done.stdout, done.stderr, done.returncode) == (once * (1 if alone else 2), "", 0)


@not_emulated("the emulator's own frames are on the stack")
def test_a_thread_with_too_small_a_stack_is_told_of() -> None:
    """A host function there would have no room to load a module."""
    source = """
exports = vw.instantiate(TEXT, {"h": {"f": host}}).exports
assert exports.deep(10) == 1
def call():
    try: exports.deep(10)
    except vw.WasmError as error: print(error)
threading.stack_size(48 << 10)
thread = threading.Thread(target=call)
thread.start()
thread.join()
assert exports.deep(10) == 1
"""
    done = python(SOURCE + source)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "wasm code takes at least 65536: call threading.stack_size" in done.stdout
