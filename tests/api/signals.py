"""What tests of signals share: a process in which wasm functions loop, recurse, call Python and trap."""

from __future__ import annotations

import subprocess

from tests.runtime.machine import python

SETUP = '''
import asyncio, ctypes, faulthandler, gc, os, random, signal, sys, threading, time
import vibewasm as vw
TEXT = """(module
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "spin") (loop br 0))
  (func $fib (export "fib") (param i32) (result i32)
    local.get 0 i32.const 2 i32.lt_u
    if (result i32) local.get 0
    else local.get 0 i32.const 1 i32.sub call $fib local.get 0 i32.const 2 i32.sub call $fib i32.add end)
  (func (export "count") (param i32) (result i32)
    (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0) local.get 0)
  (func (export "hosts") (param i32) (result i32)
    (loop local.get 0 call $host drop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0) local.get 0)
  (func (export "wait") (loop i32.const 0 i32.load i32.eqz br_if 0))
  (func (export "wait_and_trap") (loop i32.const 0 i32.load i32.eqz br_if 0) i32.const -1 i32.load drop)
  (func (export "host_and_trap") i32.const 1 call $host drop i32.const -1 i32.load drop)
  (func (export "out_of_bounds") i32.const -1 i32.load drop)
  (func (export "unreachable") unreachable)
  (func (export "divide") i32.const 1 i32.const 0 i32.div_s drop))"""
def host(number):
    return on_host(number)
def on_host(number):
    return number
exports = vw.instantiate(TEXT, {"env": {"host": host}}).exports
def soon(action, seconds=0.1):
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
def send(number, seconds=0.1):
    soon(lambda: os.kill(os.getpid(), number), seconds)
def traps():
    for f in (exports.out_of_bounds, exports.unreachable, exports.divide):
        try:
            f()
        except vw.Trap:
            pass
        else:
            raise AssertionError(f)
CRASH = lambda: ctypes.string_at(16)
C_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
class Action(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int),
                ("restorer", ctypes.c_void_p)]
def sigaction(number, handler):
    """Install a handler as C code does, and return the one that it replaces."""
    new, old = Action(ctypes.cast(handler, ctypes.c_void_p), flags=4), Action()
    assert ctypes.CDLL(None).sigaction(number, ctypes.byref(new), ctypes.byref(old)) == 0
    return old.handler
'''


def run(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``source`` where wasm functions that loop, recurse, call Python and trap are at hand."""
    return python(SETUP + source, *options)


def says(source: str, *options: str) -> str:
    """What ``source`` prints; it has to come to its end, and must not complain."""
    done = run(source, *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
