"""Signals while wasm code runs: Python handlers of all of them, whoever installs them and when, and fault signals.

Most of it happens in processes of its own, which it could kill.
"""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.native import needs_threads_in_children, not_emulated
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


# -- handlers of Python ------------------------------------------------------------------------------------------------


def test_ctrl_c_under_asyncio_cancels_the_task_and_the_second_one_raises() -> None:
    once = """
async def main():
    send(signal.SIGINT, 0.05)
    try:
        exports.%s
        await asyncio.sleep(10)
    except BaseException as error:
        print(type(error).__name__, flush=True)
        raise
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("out of run", flush=True)
"""
    # The handler of asyncio.run cancels the task, which notices where it waits next.
    assert says(once % "count(1 << 28)") == "CancelledError\nout of run\n"
    twice = once.replace("send(signal.SIGINT, 0.05)", "send(signal.SIGINT, 0.05), send(signal.SIGINT, 0.3)")
    for call in ("spin()", "fib(70)"):
        assert says(twice % call) == "KeyboardInterrupt\nout of run\n"


@pytest.mark.parametrize("call", ["spin()", "fib(70)", "hosts(0)"])
def test_a_handler_of_ctrl_c_that_is_installed_after_instantiating_is_called(call: str) -> None:
    source = f"""
class Stop(Exception): pass
def handler(number, frame):
    raise Stop(number)
signal.signal(signal.SIGINT, handler)
send(signal.SIGINT)
try: exports.{call}
except Stop as error: print(error, exports.add(2, 3))
"""
    assert says(source) == "2 5\n"


def test_a_handler_that_a_host_function_installs_is_called() -> None:
    source = """
def on_host(number):
    signal.signal(signal.SIGINT, lambda number, frame: print("handled", flush=True) or exports.memory.__setitem__(0, 1))
    send(signal.SIGINT)
    exports.wait()
    return 0
exports.hosts(1)
"""
    assert says(source) == "handled\n"


@pytest.mark.parametrize(
    "name",
    [
        *("SIGALRM", "SIGTERM", "SIGUSR1", "SIGINT"),
        pytest.param("SIGSEGV", marks=not_emulated("one that another thread sends is not delivered there, to no code")),
    ],
)
@pytest.mark.parametrize("call", ["spin()", "fib(70)"])
def test_any_signal_reaches_its_handler_whose_exception_ends_the_call(name: str, call: str) -> None:
    source = f"""
class Stop(Exception): pass
def handler(number, frame):
    raise Stop(number)
signal.signal(signal.{name}, handler)
for _ in range(2):
    send(signal.{name})
    start = time.monotonic()
    try: exports.{call}
    except Stop as error: assert error.args == (signal.{name},)
    # Within 100 ms; a machine that has other things to do takes longer.
    assert time.monotonic() - start < 2
    assert exports.add(2, 3) == 5
"""
    assert says(source) == ""


def test_wasm_code_resumes_when_the_handler_returns() -> None:
    source = """
ticks = []
def handler(number, frame):
    ticks.append(number)
    if len(ticks) == 3:
        exports.memory[0] = 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
exports.wait()
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(ticks) >= 3)
"""
    assert says(source) == "True\n"


def test_an_alarm_of_another_thread_s_loop_reaches_the_main_thread() -> None:
    """Wasm code of other threads is not in the way of signals, and is not stopped by them."""
    source = """
class Stop(Exception): pass
def handler(number, frame):
    raise Stop
signal.signal(signal.SIGALRM, handler)
worker = threading.Thread(target=exports.wait)
worker.start()
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    vw.instantiate('(module (func (export "spin") (loop br 0)))').exports.spin()
except Stop:
    print("stopped", worker.is_alive())
exports.memory[0] = 1
worker.join()
"""
    assert says(source) == "stopped True\n"


@not_emulated("hundreds of signals take minutes there")
def test_interrupts_at_random_moments_all_come_out() -> None:
    """Calls that are short, long, nested through host functions, and under asyncio. Each signal is sent when the one
    before has been caught, so none hides that another one was lost.
    """
    source = """
depth = 0
def on_host(number):
    global depth
    if depth < 5:
        depth += 1
        try: return exports.add(number, 1) + exports.hosts(2)
        finally: depth -= 1
    return number
async def main():
    for _ in range(20):
        exports.add(1, 2), exports.count(3000), exports.hosts(3)
        await asyncio.sleep(0)
calls = [
    lambda: exports.add(3, 4), lambda: exports.count(20000), lambda: exports.fib(15), lambda: exports.hosts(5),
    exports.spin, lambda: asyncio.run(main()),
]
# What asyncio leaves where it was interrupted may complain of itself.
sys.unraisablehook = lambda unraisable: None
import warnings
warnings.simplefilter("ignore")
armed, caught, count = -1, 0, 300
def send_all():
    for k in range(count):
        deadline = time.monotonic() + 20
        while armed < k:
            time.sleep(0.0001)
            if time.monotonic() > deadline:
                print("lost", k, flush=True)
                os._exit(1)
        time.sleep(random.random() * 0.001)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send_all, daemon=True).start()
while caught < count:
    try:
        armed = caught
        f = random.choice(calls)
        while True: f()
    except KeyboardInterrupt:
        caught += 1
    depth = 0
print(caught, exports.add(1, 2), exports.fib(10), exports.hosts(3))
"""
    assert says(source) == "300 3 55 0\n"


# -- the watcher -------------------------------------------------------------------------------------------------------


def test_there_is_a_thread_only_while_wasm_code_runs_for_long() -> None:
    source = """
import _thread
def wait_for(count):
    deadline = time.monotonic() + 20
    while _thread._count() != count:
        assert time.monotonic() < deadline, count
        time.sleep(0.01)
assert exports.add(1, 2) == 3 and _thread._count() == 0
for _ in range(2):
    exports.count(100)
    wait_for(1)
    wait_for(0)
signal.signal(signal.SIGALRM, lambda number, frame: exports.memory.__setitem__(0, 1))
signal.setitimer(signal.ITIMER_REAL, 0.05)
exports.wait()
"""
    assert says(source) == ""


@needs_threads_in_children
def test_a_forked_child_has_a_watcher_of_its_own_and_forking_meets_no_other_thread() -> None:
    source = """
class Stop(Exception): pass
def handler(number, frame):
    raise Stop
signal.signal(signal.SIGALRM, handler)
def stops():
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try: exports.spin()
    except Stop: return True
def fork():
    pid = os.fork()
    if not pid:
        try: os._exit(7 if stops() else 1)
        finally: os._exit(1)
    return os.waitpid(pid, 0)[1] >> 8
print(fork(), exports.count(100), fork(), stops(), fork(), stops())
"""
    # Python warns of a fork where there are threads, from 3.12 on.
    assert says(source, "-W", "error::DeprecationWarning") == "7 0 7 True 7 True\n"


@needs_threads_in_children
def test_a_child_that_was_forked_in_a_worker_delivers_signals_there() -> None:
    source = """
def fork(run):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, lambda number, frame: os._exit(7))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try: run()
        finally: os._exit(1)
    return os.waitpid(pid, 0)[1] >> 8
def python():
    end = time.monotonic() + 2
    while time.monotonic() < end: pass
def work():
    exports.count(100)
    if fork(python) == 7: print(fork(exports.spin))
    else: print("not in Python")
import warnings
warnings.simplefilter("ignore")
worker = threading.Thread(target=work)
worker.start()
worker.join()
"""
    found = says(source)
    if found == "not in Python\n":
        pytest.skip("this Python delivers no signals in such a child, to no code (3.13.0 does not)")
    assert found == "7\n"


def test_wasm_code_runs_where_there_can_be_no_thread() -> None:
    source = """
import _thread, contextvars
def work():
    # C code that raises a RuntimeError, as the one that starts threads does.
    _thread.start_new_thread = context.run
    if hasattr(_thread, "start_joinable_thread"):
        _thread.start_joinable_thread = context.run
    try: _thread.start_new_thread(work, ())
    except RuntimeError: print("refused")
    print(exports.count(100000), exports.fib(10))
context = contextvars.copy_context()
context.run(work)
"""
    assert says(source) == "refused\n0 55\n"


def test_wasm_code_runs_and_traps_while_the_interpreter_ends() -> None:
    source = """
import atexit
class Last:
    def __del__(self, trap=exports.out_of_bounds, count=exports.count, fib=exports.fib, print=print):
        # What an exception is made with may be gone, but it is one.
        try: trap()
        except Exception: print("trap")
        print(count(1000), fib(10), "in __del__", flush=True)
fib = exports.fib(3)
last = Last()
@atexit.register
def late():
    traps()
    print(exports.count(1000), "in atexit", flush=True)
exports.count(1000)
"""
    assert says(source) == "0 in atexit\ntrap\n0 55 in __del__\n"


# -- fault signals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS])
def test_a_python_handler_that_is_installed_later_gets_signals_and_not_traps(number: int) -> None:
    source = f"""
signal.signal({number}, lambda number, frame: print("handled", number))
traps()
os.kill(os.getpid(), {number})
signal.signal({number}, signal.SIG_IGN)
traps()
os.kill(os.getpid(), {number})
signal.signal({number}, signal.SIG_DFL)
traps()
print("end", flush=True)
os.kill(os.getpid(), {number})
"""
    done = run(source)
    assert (done.stdout, done.returncode) == (f"handled {int(number)}\nend\n", -number)


def test_faulthandler_that_is_enabled_later_reports_faults_and_not_traps() -> None:
    done = run("faulthandler.enable()\ntraps()\nfaulthandler.enable()\ntraps()\nprint('traps', flush=True)\nCRASH()")
    assert (done.stdout, done.returncode) == ("traps\n", -signal.SIGSEGV)
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1
    done = run("faulthandler.enable()\nfaulthandler.disable()\ntraps()\nCRASH()")
    assert (done.stderr, done.returncode) == ("", -signal.SIGSEGV)


@pytest.mark.parametrize(
    "install", ["faulthandler.enable()", "signal.signal(signal.SIGSEGV, lambda number, frame: None)"]
)
def test_what_a_host_function_installs_gets_no_trap_after_it(install: str) -> None:
    source = f"""
def on_host(number):
    {install}
    return 0
for _ in range(2):
    try: exports.host_and_trap()
    except vw.Trap as error: print(error.code)
    traps()
"""
    assert says(source) == "memory_out_of_bounds\n" * 2


#: Ways of calling a function that traps, each a path of its own.
TRAPPING = '''
ways = vw.instantiate("""(module (memory 1)
  (func $trap i32.const -1 i32.load drop)
  (func (export "0") call $trap) (func (export "1") (param i32) call $trap)
  (func (export "2") (param f64 i32) call $trap) (func (export "3") (param i32 i64 i32) call $trap)
  (func (export "4") (param i32 i32 i32 i32) call $trap) (func (export "5") (param i32 i32 i32 i32 i32) call $trap)
  (func (export "references") (param externref) call $trap))""").exports
def trap(f, *arguments):
    try:
        f(*arguments)
    except vw.Trap:
        return
    raise AssertionError(f)
calls = [
    *[lambda n=n: ways[str(n)](*[1] * n) for n in range(6)],
    *[lambda n=n: ways[str(n)].call_raw([1] * n) for n in range(6)],
    lambda: ways.references("x"),
]
for call in calls:
    trap(call)
'''


@pytest.mark.parametrize("before", ["", "enable()\n"])
def test_functions_of_faulthandler_that_were_kept_from_before_are_noticed_at_the_next_call(before: str) -> None:
    source = """
def within(number):
    trap(call)
    change()
    # A call in between is a look.
    trap(call)
    return number
on_host = within
for call in calls:
    for change in (enable, disable):
        change()
        trap(call)
    for change in (enable, disable):
        exports.hosts(1)
traps()
print("end", flush=True)
enable()
CRASH()
"""
    done = python("from faulthandler import disable, enable\n" + before + SETUP + TRAPPING + source)
    assert (done.stdout, done.returncode) == ("end\n", -signal.SIGSEGV)
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("faulthandler.enable()", "faulthandler.disable()"),
        ("faulthandler.disable()", "faulthandler.enable()"),
        ("install(signal.SIGSEGV, lambda *_: None)", ""),
    ],
)
def test_what_a_host_function_installs_is_noticed_after_it(change: str, back: str) -> None:
    source = f'''
TEXT = """(module (import "e" "f" (func $f (param %s) (result %s))) (memory 1)
    (func (export "f") (call $f %s) %s i32.const -1 i32.load drop))"""
values = {{"i32": 1, "i64": 1, "f64": 1.0, "externref": "x", "i32 i32": (1, 2), "": None}}
def host(*_):
    {change}
    return values[result]
for param in ("i32", "i64", "i32 f64 i32", "externref", "i32 i32", ""):
    for result in values:
        types = param.split()
        given = " ".join("(ref.null extern)" if type == "externref" else "(" + type + ".const 0)" for type in types)
        drops = "drop " * len(result.split())
        text = TEXT % (param, result, given, drops)
        host_exports = vw.instantiate(text, {{"e": {{"f": host}}}}).exports
        {back}
        trap(host_exports.f)
print("end")
'''
    first = "import faulthandler\nfrom signal import signal as install\n"
    done = python(first + SETUP + TRAPPING + source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_faulthandler_that_is_enabled_while_code_runs_gets_no_trap_soon_after() -> None:
    source = """
soon(enable)
soon(lambda: exports.memory.__setitem__(0, 1), 1.0)
trap(exports.wait_and_trap)
print("end")
"""
    done = python("from faulthandler import enable\n" + SETUP + TRAPPING + source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_functions_that_install_handlers_look_as_they_did() -> None:
    source = """
import inspect
import _signal
for f in (faulthandler.enable, faulthandler.disable, _signal.signal, _signal.pthread_sigmask):
    assert f.__wrapped__.__name__ == f.__name__ and f.__doc__ == f.__wrapped__.__doc__
    assert f.__module__ == f.__wrapped__.__module__ and not hasattr(f.__wrapped__, "__wrapped__")
    try: expected = str(inspect.signature(f.__wrapped__))
    except ValueError: continue
    assert str(inspect.signature(f)) == expected
# Another engine wraps nothing twice.
vw.Store(vw.Engine(vw.Config(fuel=True)))
assert not hasattr(faulthandler.enable.__wrapped__, "__wrapped__")
for call in (lambda: signal.signal(signal.SIGUSR1), lambda: signal.signal(1000, signal.SIG_DFL),
             lambda: signal.signal(signal.SIGSEGV, "x"), lambda: faulthandler.enable(nonsense=1)):
    try: call()
    except (TypeError, ValueError, OSError): pass
    else: print("no error")
traps()
faulthandler.enable(all_threads=False)
traps()
"""
    assert says(source) == ""


@not_emulated("such things take too long there")
def test_what_comes_and_goes_leaves_no_trace() -> None:
    """Ten thousand times faulthandler; asyncio.run, each with calls; C code that installs what it has before."""
    source = """
from vibewasm.runtime import faults
def memory():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4
def tops():
    return [one.top for one in faults._signals]
async def main():
    exports.add(1, 2), exports.count(10)
def rounds(count):
    for _ in range(count): asyncio.run(main())
    for _ in range(10 * count): faulthandler.enable(), faulthandler.disable()
    for _ in range(10 * count): signal.signal(signal.SIGSEGV, handler)
handler = lambda number, frame: None
rounds(100)
before = memory(), tops()
rounds(600)
traps()
assert tops() == before[1] == [0] * 4, tops()
assert memory() - before[0] < 1500, (before, memory())
"""
    assert says(source) == ""


@pytest.mark.parametrize("chains", ["newest", "first", "no"])
@pytest.mark.parametrize("handlers", ["one", "many"])
def test_c_code_may_install_handlers_as_often_as_it_likes(chains: str, handlers: str) -> None:
    """Handlers that pass on to what they replaced, last or first, or not at all: a foreign fault is seen by the newest,
    and comes to an end.
    """
    source = f"""
from vibewasm.runtime import faults
keep = []
def make():
    before = []
    def handle(number, info, context):
        os.write(1, b"seen\\n")
        if {chains!r} != "no":
            C_HANDLER(before[-1 if {chains!r} == "newest" else 0])(number, info, context)
        else:
            signal_default(11, None)
    handler = C_HANDLER(handle)
    keep.append((handler, before))
    return handler, before
signal_default = ctypes.CDLL(None).signal
one = make()
for k in range(300):
    handler, before = one if {handlers!r} == "one" else make()
    before.append(sigaction(11, handler))
    faults.ensure_on_top()
    if k % 50 == 49:
        traps()
assert max(signal.top for signal in faults._signals) < 8
print("crash", flush=True)
CRASH()
"""
    done = run(source)
    lines = done.stdout.splitlines()
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert lines[0] == "crash"
    # Those that lie longest ago may be left out.
    assert 1 <= len(lines[1:]) <= (1 if handlers == "one" or chains == "no" else 300)
    assert set(lines[1:]) == {"seen"}


def test_a_handler_that_c_code_installs_meanwhile_gets_no_trap_soon_after() -> None:
    source = """
@C_HANDLER
def handler(number, info, context):
    os.write(1, b"seen\\n")
    os._exit(1)
soon(lambda: sigaction(11, handler))
soon(lambda: exports.memory.__setitem__(0, 1), 1.0)
try: exports.wait_and_trap()
except vw.Trap as error: print(error.code, flush=True)
CRASH()
"""
    assert run(source).stdout == "memory_out_of_bounds\nseen\n"


@not_emulated("a disposition is exchanged there in several steps, which other threads see")
def test_other_threads_trap_while_one_installs_handlers() -> None:
    """In the moment in which a handler of Python is above ours, it returns, and the fault comes once more."""
    source = """
instances = [vw.instantiate(TEXT, {"env": {"host": host}}).exports for _ in range(2)]
signal.signal(signal.SIGSEGV, lambda number, frame: None)
stop = False
counts = [0, 0]
def work(k):
    while not stop:
        try: instances[k].out_of_bounds()
        except vw.Trap: counts[k] += 1
workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
sys.setswitchinterval(1e-5)
for worker in workers: worker.start()
for _ in range(2000): signal.signal(signal.SIGSEGV, handler := lambda number, frame: None)
stop = True
for worker in workers: worker.join()
assert all(counts)
"""
    assert says(source) == ""


@pytest.mark.parametrize("how", ["in the thread", "inherited", "later", "set later"])
def test_a_thread_that_blocks_fault_signals_traps_all_the_same(how: str) -> None:
    source = f"""
how = {how!r}
faults = {{signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}}
def work():
    if how == "in the thread": signal.pthread_sigmask(signal.SIG_BLOCK, faults | {{signal.SIGUSR1}})
    traps()
    if how == "later": signal.pthread_sigmask(signal.SIG_BLOCK, faults | {{signal.SIGUSR1}})
    if how == "set later": signal.pthread_sigmask(signal.SIG_SETMASK, faults | {{signal.SIGUSR1}})
    traps()
    # The others are blocked as they were told to be.
    print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == {{signal.SIGUSR1}})
if how == "inherited": signal.pthread_sigmask(signal.SIG_BLOCK, faults | {{signal.SIGUSR1}})
worker = threading.Thread(target=work)
worker.start()
worker.join()
"""
    assert says(source) == "True\n"
