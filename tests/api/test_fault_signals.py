"""Fault signals while wasm code runs: whoever installs handlers, traps stay traps, and faults of others are theirs.

It happens in processes of its own, which it could kill.
"""

from __future__ import annotations

import signal

import pytest

from tests.native import not_emulated
from tests.runtime.machine import python

from .signals import SETUP, run, says


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
