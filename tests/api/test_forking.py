"""Forks at the worst moment: while another thread starts the engine, compiles, calls, or runs a host function."""

from __future__ import annotations

import pytest

from tests.native import not_emulated
from tests.runtime.machine import python

pytestmark = not_emulated("children there have one thread, and no watcher")

SETUP = """
import os, sys, threading, time, warnings
import vibewasm as vw
warnings.simplefilter("ignore")
TEXT = '''(module (import "h" "f" (func $h (param i32) (result i32))) (memory 1)
  (func $a (export "a") (param i32) (result i32) %s local.get 0 i32.const KEY i32.add)
  (func (export "b") (param i32) (result i32) local.get 0 call $a call $h)
  (func (export "trap") i32.const -1 i32.load drop)
  (func (export "loop") (param i32) (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0)))''' % (
    "local.get 0 i32.const 7 i32.mul i32.const 3 i32.add local.set 0 " * 60)
def host(x): return x
def use(key, engine=None):
    engine = {"engine": engine} if engine else {}
    exports = vw.instantiate(TEXT.replace("KEY", str(key)), {"h": {"f": host}}, **engine).exports
    exports.b(key)
    exports.loop(20000)
    try: exports.trap()
    except vw.Trap: return
    raise AssertionError
def forked(function):
    "What a child of this moment ends with; it is killed where it hangs."
    child = os.fork()
    if not child:
        import faulthandler
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            function()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

#: Forks when another thread is in the midst of loading a module, which it begins with sleeping.
AMIDST = """
import gc
midst = threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            midst.set()
            time.sleep(SECONDS)
sys.meta_path.insert(0, Slow())
def start():
    use(1)
thread = threading.Thread(target=start)
thread.start()
midst.wait()
"""


def output(source: str) -> str:
    """What ``source`` prints."""
    done = python(SETUP + source)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "vibewasm.api.store",
        pytest.param("vibewasm.api.engine", marks=pytest.mark.ci),
        pytest.param("vibewasm.runtime.faults", marks=pytest.mark.ci),
        pytest.param("vibewasm.wat", marks=pytest.mark.ci),
        "vibewasm.compiler",
        pytest.param("vibewasm.runtime.linear_memory", marks=pytest.mark.ci),
        pytest.param("vibewasm.runtime.watcher", marks=pytest.mark.ci),
        "vibewasm.traps",
    ],
)
def test_a_fork_waits_for_a_thread_that_loads_a_module(module: str) -> None:
    source = f"MODULE, SECONDS = {module!r}, 0.2\n{AMIDST}"
    source += """
def child():
    # Not what was half loaded and is forgotten here.
    assert MODULE in sys.modules
    assert gc.isenabled()
    use(2)
print(forked(child))
thread.join()
use(3)
print("end")
"""
    assert output(source) == "0\nend\n"


@pytest.mark.parametrize("module", ["vibewasm.api.store", "vibewasm.runtime.reservations"])
def test_what_is_half_loaded_in_a_child_all_the_same_is_loaded_anew(module: str) -> None:
    source = f"MODULE, SECONDS = {module!r}, 0.5\nimport vibewasm.forking\nvibewasm.forking._PATIENCE = 1\n"
    source += "vw._FORK_PATIENCE = 0.01\n" + AMIDST
    source += """
def child():
    sys.meta_path.pop(0)
    assert gc.isenabled()
    use(2)
print(forked(child))
thread.join()
use(3)
print("end")
"""
    assert output(source) == "0\nend\n"


def test_a_fork_waits_for_a_lock_that_another_thread_holds() -> None:
    source = """
from vibewasm.runtime import faults
use(1)
held = threading.Event()
def hold():
    with faults._lock:
        held.set()
        time.sleep(0.2)
thread = threading.Thread(target=hold)
thread.start()
held.wait()
print(forked(lambda: use(2)))
thread.join()
# A lock that nobody gives back in time is made anew.
vw._FORK_PATIENCE = 0.01
never, thread = threading.Event(), None
def keep():
    with faults._lock:
        held.set()
        never.wait()
held.clear()
thread = threading.Thread(target=keep)
thread.start()
held.wait()
print(forked(lambda: use(3)))
never.set()
thread.join()
use(4)
# In the thread that has it, it stays that thread's.
with faults._lock:
    print(forked(lambda: use(5)))
    use(6)
def child():
    thread = threading.Thread(target=use, args=(7,))
    thread.start()
    thread.join()
print(forked(child))
"""
    assert output(source) == "0\n0\n0\n0\n"


FORKING = """
stop = False
def work(seed):
    key = seed
    while not stop:
        key += 8
        use(key)
engine = vw.Engine()
idle = vw.instantiate(TEXT.replace("KEY", "0"), {"h": {"f": host}}, engine=engine)
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
for thread in threads: thread.start()
def child():
    assert idle.exports.a(1) == idle.exports.b(1)
    use(-1)
    use(-2, engine)
    vw.instantiate(idle.module, {"h": {"f": host}}, engine=engine).exports.b(2)
"""
END = """
stop = True
for thread in threads: thread.join()
use(5)
print("end")
"""


@pytest.mark.parametrize("count", [8, pytest.param(80, marks=pytest.mark.ci)])
def test_children_use_the_engine_while_threads_compile_and_call(count: int) -> None:
    source = f"""{FORKING}
for number in range({count}):
    time.sleep(number % 10 / 1000)
    status = forked(child)
    if status: print("child", status)
{END}"""
    assert output(source) == "end\n"


@pytest.mark.ci
def test_multiprocessing_and_preexec_fn_work_while_threads_compile_and_call() -> None:
    source = f"""{FORKING}
import multiprocessing, subprocess
context = multiprocessing.get_context("fork")
for number in range(20):
    process = context.Process(target=child)
    process.start()
    process.join(60)
    if process.exitcode: print("process", process.exitcode)
    done = subprocess.run(["true"], preexec_fn=child, timeout=60)
    if done.returncode: print("subprocess", done.returncode)
{END}"""
    assert output(source) == "end\n"


@pytest.mark.ci
def test_children_that_are_forked_while_another_thread_starts_the_engine_use_it_and_end() -> None:
    source = """
thread = threading.Thread(target=use, args=(1,))
thread.start()
time.sleep({delay})
print(forked(lambda: use(2)))
thread.join()
use(3)
"""
    for tenths in range(30):
        assert output(source.format(delay=tenths / 300)) == "0\n"


def test_every_lock_that_all_share_is_held_over_forks() -> None:
    source = """
from _thread import RLock
from vibewasm.sandbox.preloading import preload
preload()
locks = {f"{name}.{key}": value for name, module in [*sys.modules.items()] if name.startswith("vibewasm")
         for key, value in vars(module).items() if isinstance(value, RLock)}
print(len(locks) > 4, [name for name, lock in locks.items() if lock not in vw._locks])
"""
    assert output(source) == "True []\n"
