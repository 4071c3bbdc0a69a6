"""Eight threads, each with a store of its own, under storms of signals whose handlers raise: right and no crash."""

from __future__ import annotations

import pytest

from tests.native import not_emulated
from tests.runtime.machine import python

SOURCE = """
import signal, sys, threading, time
import vibewasm as vw
BODY = "local.get 0 i32.const 7 i32.mul i32.const 3 i32.add local.set 0 " * 40
def text(key): return f'''(module (import "h" "f" (func $h (param i32) (result i32))) (memory 1)
  (func $a (export "a") (param i32) (result i32) {BODY} local.get 0 i32.const {key} i32.add)
  (func (export "b") (param i32) (result i32) local.get 0 call $a call $h)
  (func (export "grow") (result i32) i32.const 1 memory.grow)
  (func (export "sum") (param i32) (result i32) (local i32)
    (loop local.get 1 local.get 0 i32.add local.set 1 local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0) local.get 1)
  (func $forever (export "forever") call $forever)
  (func (export "out") i32.const -1 i32.load drop))'''
def expected(number, key):
    for _ in range(40): number = number * 7 + 3 & 0xFFFFFFFF
    number = number + key & 0xFFFFFFFF
    return number - (number >> 31 << 32)
engine = vw.Engine()
shared = vw.Module(engine, text(0))
# Where a second signal comes at the same moment, nobody can tell what was raised: KeyboardInterrupt then.
class Raised(Exception): pass
def use(key):
    "Of a module of its own, compiled here, and of one that all threads compile at once."
    for module, added in ((vw.Module(engine, text(key)), key), (shared, 0)):
        with vw.Store(engine) as store:
            exports = vw.instantiate(module, {"h": {"f": lambda number: number}}, store=store).exports
            for number in (0, 1, key):
                assert exports.a(number) == exports.b(number) == expected(number, added)
            assert exports.sum(1000) == 500500
            assert exports.grow() == 1
            for f in (exports.forever, exports.out):
                try: f()
                except vw.Trap: pass
                else: raise AssertionError
# A handler that raises while CPython imports a module may leave that locked for ever, so all is loaded first.
use(1000)
wrong = []
stop = False
def work(seed):
    key = seed
    while not stop:
        key += 8
        try: use(key)
        except BaseException as error:
            wrong.append(error)
            raise
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
for thread in threads: thread.start()
def handler(number, frame): raise Raised(number)
raised = fine = 0
def storm(key):
    global raised, fine
    try:
        use(key)
        fine += 1
    except (Raised, KeyboardInterrupt): raised += 1
"""
SIGNALS = """
def run():
    "Storms until time is up; a signal may come wherever none is waited for any more, and ends this."
    signal.signal(signal.SIGALRM, handler)
    signal.signal(signal.SIGPROF, handler)
    until = time.monotonic() + SECONDS
    key = 0
    while time.monotonic() < until:
        key -= 1
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + key % 40 * 0.0005)
        signal.setitimer(signal.ITIMER_PROF, 0.003 + key % 7 * 0.001)
        storm(key)
begun = time.monotonic()
while time.monotonic() < begun + SECONDS:
    try: run()
    except (Raised, KeyboardInterrupt): raised += 1
# No handler raises from here on.
while True:
    try:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        break
    except Raised: pass
"""
END = """
stop = True
for thread in threads: thread.join()
use(5)
print(wrong, raised > 3)
"""


@not_emulated("signals come too slowly there")
@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.ci)])
@pytest.mark.parametrize("options", [[], pytest.param(["-X", "faulthandler"], marks=pytest.mark.ci)])
def test_eight_threads_with_a_store_each_are_right_while_signals_handlers_raise(
    seconds: int, options: list[str]
) -> None:
    done = python(f"SECONDS = {seconds}\n{SOURCE}{SIGNALS}{END}", *options)
    # What a finaliser raises is told of, and ignored.
    assert (done.stdout, done.returncode) == ("[] True\n", 0), done.stderr
