"""Subinterpreters that use the engine and go, and the end of the process: signals act as they did without it."""

from __future__ import annotations

import signal

import pytest

from tests.runtime.machine import python

from .signals import run

SETUP = """
import ctypes, os, signal, sys, time
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
def create(isolated):
    if isolated: return interpreters.create()
    try: return interpreters.create(isolated=False)
    except TypeError: return interpreters.create("legacy")
execute = getattr(interpreters, "run_string", None) or interpreters.exec
USE = '''
import sys
sys.path[:0] = %r
import vibewasm as vw
exports = vw.instantiate(\"\"\"(module (memory 1)
  (func (export "count") (param i32) (result i32)
    (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0) local.get 0)
  (func (export "out_of_bounds") i32.const -1 i32.load drop)
  (func (export "unreachable") unreachable)
  (func (export "divide") i32.const 1 i32.const 0 i32.div_s drop))\"\"\").exports
def traps():
    for f in (exports.out_of_bounds, exports.unreachable, exports.divide):
        try: f()
        except vw.Trap: pass
        else: raise AssertionError(f)
traps()
# The watcher's thread has to be gone before the interpreter is.
exports.count(1000)
traps()
''' % (sys.path,)
def come_and_go(count=3, isolated=False):
    for _ in range(count):
        interpreter = create(isolated)
        failed = execute(interpreter, USE)
        if failed: raise SystemExit(str(failed))
        interpreters.destroy(interpreter)
"""
FAULT_SIGNALS = (signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS)


@pytest.mark.parametrize("main", [False, True])
def test_subinterpreters_come_and_go(main: bool) -> None:
    use = "exec(USE)\n" if main else ""
    after = "traps()\nexports.count(1000)\ntraps()\n" if main else ""
    done = python(SETUP + use + "come_and_go()\n" + after + "come_and_go()\n" + after + "print('end')")
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_subinterpreters_come_and_go_while_the_main_one_runs_wasm_code() -> None:
    source = """
exec(USE)
import threading
thread = threading.Thread(target=come_and_go, args=(5,))
thread.start()
while thread.is_alive():
    exports.count(1000)
    traps()
print("end")
"""
    done = python(SETUP + source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_isolated_subinterpreters_come_and_go_where_ctypes_can_be_had_there() -> None:
    source = """
probe = create(True)
try: failed = execute(probe, "import _ctypes")
except Exception as error: failed = error
interpreters.destroy(probe)
if failed: print("no ctypes")
else:
    exec(USE)
    come_and_go(3, True)
    traps()
    print("end")
"""
    done = python(SETUP + source)
    if done.stdout == "no ctypes\n":
        pytest.skip("ctypes of this Python is not for isolated subinterpreters")
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


@pytest.mark.parametrize("first", ["USE", "CLASS"])
@pytest.mark.parametrize("main", [False, True])
def test_the_subinterpreter_that_used_ctypes_first_goes_first(
    first: str, main: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"""
CLASS = '''
import _ctypes
class Bytes(_ctypes.Array):
    _type_ = type("c", (_ctypes._SimpleCData,), {{"_type_": "c"}})
    _length_ = 8
'''
first, second = create(False), create(False)
def run(interpreter, code):
    failed = execute(interpreter, code)
    if failed: raise SystemExit(str(failed))
run(first, {first})
if {main}: exec(USE)
else: run(second, USE)
interpreters.destroy(first)
interpreters.destroy(second)
print("end")
"""
    # In CPython 3.12 the collector would be led to memory of the first one (vibewasm.runtime.ffi says how). What is
    # free goes back to the system at once, so that this is seen.
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    done = python(SETUP + source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


@pytest.mark.parametrize("number", FAULT_SIGNALS)
@pytest.mark.parametrize("main", ["", "exec(USE)\n"])
def test_fault_signals_act_as_before_when_a_subinterpreter_is_gone(number: int, main: str) -> None:
    source = f"come_and_go()\nprint('sending', flush=True)\nos.kill(os.getpid(), {number})\ntime.sleep(10)"
    done = python(SETUP + main + source)
    assert (done.stdout, done.stderr, done.returncode) == ("sending\n", "", -number)


@pytest.mark.parametrize("uses", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_faulthandler_that_a_subinterpreter_enables_gets_no_trap(uses: bool, first: bool) -> None:
    use = "exec(USE)"
    source = f"""
{use if first else ""}
interpreter = create(False)
def run(code):
    failed = execute(interpreter, code)
    if failed: raise SystemExit(str(failed))
if {uses}: run(USE)
{"" if first else use}
for _ in range(3):
    for change in ("enable", "disable"):
        run(f"import faulthandler; faulthandler.{{change}}()")
        traps()
        if {uses}: run("traps()")
        traps()
        exports.count(1000)
interpreters.destroy(interpreter)
traps()
import faulthandler
faulthandler.enable()
traps()
print("end")
"""
    done = python(SETUP + source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_ctrl_c_and_python_handlers_act_as_before_when_a_subinterpreter_is_gone() -> None:
    source = """
come_and_go()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except KeyboardInterrupt: print("interrupted")
signal.signal(signal.SIGFPE, lambda number, frame: print("handled", number))
come_and_go()
os.kill(os.getpid(), signal.SIGFPE)
exec(USE)
os.kill(os.getpid(), signal.SIGFPE)
traps()
"""
    assert python(SETUP + source).stdout == "interrupted\nhandled 8\nhandled 8\n"


def test_a_fault_after_a_subinterpreter_is_gone_is_reported_once_and_kills() -> None:
    for early, late in (("faulthandler.enable()", ""), ("", "faulthandler.enable()")):
        done = python(SETUP + f"import faulthandler\n{early}\ncome_and_go()\n{late}\nctypes.string_at(16)")
        assert done.returncode == -signal.SIGSEGV
        assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


@pytest.mark.parametrize("where", ["atexit", "__del__", "thread"])
@pytest.mark.parametrize("enable", ["", "faulthandler.enable()"])
def test_a_fault_while_the_process_ends_is_reported_and_kills(where: str, enable: str) -> None:
    source = f"""
import atexit
{enable}
exports.count(1000)
traps()
class Last:
    def __del__(self, crash=ctypes.string_at):
        crash(16)
if {where!r} == "__del__":
    last = Last()
elif {where!r} == "atexit":
    atexit.register(CRASH)
else:
    # A thread of a C library, that faults when Python's modules are gone already.
    libc = ctypes.CDLL(None)
    usleep = ctypes.cast(libc.usleep, ctypes.c_void_p)
    thread = ctypes.c_ulong()
    code = vw.calls.process.stub_memory().publish(
        b"\\x48\\x83\\xec\\x08\\xbf\\x20\\xa1\\x07\\x00\\x48\\xb8" + usleep.value.to_bytes(8, "little") + b"\\xff\\xd0"
        b"\\xa1" + bytes(8)
    ) if os.uname().machine == "x86_64" else None
    if code is None:
        CRASH()
    libc.pthread_create(ctypes.byref(thread), None, ctypes.c_void_p(code), None)
    class Last:
        def __del__(self, join=libc.pthread_join, number=ctypes.c_ulong(thread.value)):
            join(number, None)
    last = Last()
"""
    done = run(source)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert done.stderr.count("Fatal Python error: Segmentation fault") == bool(enable), done.stderr


def test_a_thread_that_runs_wasm_code_while_the_process_ends_is_not_in_its_way() -> None:
    source = """
def work():
    while True:
        try: exports.out_of_bounds()
        except vw.Trap: pass
        exports.count(1000)
for _ in range(2):
    exports = vw.instantiate(TEXT, {"env": {"host": host}}).exports
    threading.Thread(target=work, daemon=True).start()
    threading.Thread(target=exports.spin, daemon=True).start()
    time.sleep(0.05)
print("end", flush=True)
"""
    done = run(source)
    assert done.stdout == "end\n"
    assert done.returncode == 0, done.stderr
