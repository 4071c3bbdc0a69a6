"""Signals while wasm code runs: Python handlers of all of them, whoever installs them and when.

Most of it happens in processes of its own, which it could kill.
"""

from __future__ import annotations

import pytest

from tests.native import needs_threads_in_children, not_emulated

from .signals import says


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
