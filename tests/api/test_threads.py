"""A store runs in one thread at a time; stores run in parallel; forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const
from tests.native import EMULATED
from tests.spec.suite import PROJECT_ROOT

from .wasm import FOREVER, I32_ADD, adder, gets, instance_of


def in_thread(function: Any, *arguments: Any) -> Any:
    """What a call in a thread of its own returns or raises."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((True, function(*arguments)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    fine, value = outcome[0]
    if fine:
        return value
    raise value


def test_a_store_can_be_used_by_one_thread_after_another() -> None:
    add = vw.instantiate(adder()).exports.add
    assert add(1, 2) == 3
    assert in_thread(add, 3, 4) == 7
    assert in_thread(add.call_raw, [3, 4]) == [7]
    assert add(1, 2) == 3


def test_a_store_that_runs_cannot_be_used_by_another_thread() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.func([], [], call(host), export="wait")
    m.func(["i32", "i32"], ["i32"], gets(2) + I32_ADD, export="add")

    def intrude() -> None:
        table = vw.Table(instance.store, vw.TableType("funcref", vw.Limits(1)))
        again = vw.Linker(instance.store.engine)
        again.define("env", "host", print)
        for attempt in (
            lambda: add(1, 2),
            lambda: add.call_raw([1, 2]),
            instance.store.close,
            lambda: table.grow(100),
            lambda: again.instantiate(instance.store, instance.module),
        ):
            with pytest.raises(vw.WasmError, match=r"running in another thread|while a call is active"):
                in_thread(attempt)
        assert add(1, 2) == 3

    instance = instance_of(m, {"env": {"host": intrude}})
    add = instance.exports.add
    instance.exports.wait()
    assert in_thread(add, 1, 2) == 3


def test_only_one_of_many_threads_gets_a_store() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.func([], [], call(host), export="f")
    inside = []
    most = []

    def count() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.0005)
        inside.pop()

    f = instance_of(m, {"env": {"host": count}}).exports.f
    refused = []

    def hammer() -> None:
        for _ in range(100):
            try:
                f()
            except vw.WasmError:
                refused.append(1)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) + len(refused) == 400
    assert f() is None


def test_stores_run_in_parallel() -> None:
    m = ModuleBuilder()
    m.func([], [], FOREVER, export="spin")
    engine = vw.Engine()
    module = vw.Module(engine, m.build())
    instances = [vw.instantiate(module) for _ in range(3)]
    stopped = []

    def spin(instance: vw.Instance) -> None:
        with pytest.raises(vw.Interrupted):
            instance.exports.spin()
        stopped.append(1)

    threads = [threading.Thread(target=spin, args=(instance,)) for instance in instances]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    # None of the three holds the interpreter, or this line would not be reached.
    assert not stopped
    for instance in instances:
        instance.store.interrupt()
    for thread in threads:
        thread.join()
    assert len(stopped) == 3


def test_threads_compile_one_module_at_once() -> None:
    m = ModuleBuilder()
    for n in range(200):
        m.func([], ["i32"], i32_const(n), export=f"f{n}")
    engine = vw.Engine()
    module = vw.Module(engine, m.build())
    wrong: list[Any] = []

    def call_all() -> None:
        exports = vw.instantiate(module).exports
        wrong.extend(n for n in range(200) if exports[f"f{n}"]() != n)

    threads = [threading.Thread(target=call_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# An emulator takes ten seconds for each.
@pytest.mark.parametrize("seed", range(2 if EMULATED else 8))
def test_threads_do_everything_for_the_first_time_at_once(seed: int) -> None:
    # In a process of its own, where nothing has been made yet: stubs, the fault handler, the default engine.
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.api.race", str(seed)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_recursion_is_stopped_in_a_thread_with_a_small_stack() -> None:
    m = ModuleBuilder()
    m.func(["i32"], ["i32"], gets(1) + i32_const(1) + I32_ADD + call(0), export="f")
    f = instance_of(m).exports.f
    size = threading.stack_size(512 * 1024)
    try:
        with pytest.raises(vw.Trap, match="call stack exhausted"):
            in_thread(f, 0)
    finally:
        threading.stack_size(size)
    with pytest.raises(vw.Trap, match="call stack exhausted"):
        f(0)
    with pytest.raises(vw.Trap, match="call stack exhausted"):
        in_thread(f, 0)


def _in_child(function: Any) -> int:
    """Exit status of a forked child that runs ``function``."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_and_neither_side_disturbs_the_other() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.table(10, element="externref", export="table")
    m.table(100_000, element="externref", export="large")
    m.global_("i32", i32_const(5), mutable=True, export="g")
    for n in range(50):
        m.func([], ["i32"], i32_const(n), export=f"f{n}")
    m.func([], [], b"\x00", export="trap")
    instance = instance_of(m)
    exports = instance.exports
    assert exports.f0() == 0

    def child() -> None:
        exports.memory[0] = 1
        exports.g.value = 6
        exports.table[0] = "child"
        exports.large[99_999] = "child"
        for n in range(0, 50, 2):
            assert exports[f"f{n}"]() == n
        with pytest.raises(vw.Trap, match="unreachable"):
            exports.trap()
        assert vw.instantiate(adder()).exports.add(1, 2) == 3

    assert _in_child(child) == 0
    assert exports.memory[0] == 0
    assert exports.g.value == 5
    assert exports.table[0] is None
    assert exports.large[99_999] is None
    for n in range(50):
        assert exports[f"f{n}"]() == n
    assert _in_child(lambda: [exports[f"f{n}"]() for n in range(50)]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_during_a_compile_in_another_thread_can_compile() -> None:
    module = vw.Module(vw.Engine(), adder())
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with module._guard():
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert _in_child(lambda: vw.instantiate(module).exports.add(1, 2)) == 0
    finally:
        release.set()
        thread.join()


def test_threads_that_use_names_for_the_first_time_load_modules_one_after_the_other() -> None:
    """The import system gives up where one loads a package and another a module of it."""
    loading = False
    met = []

    def load_first() -> None:
        nonlocal loading
        loading = True
        other.start()
        # It comes no further than to the lock.
        other.join(0.5)
        loading = False

    other = threading.Thread(target=vw.load, args=(lambda: met.append(loading),))
    vw.load(load_first)
    other.join()
    assert met == [False]


def test_a_child_of_a_fork_loads_what_another_thread_was_loading() -> None:
    code = """
import os, threading
import vibewasm as vw
loading, leave = threading.Event(), threading.Event()

def load():
    loading.set()
    leave.wait()

thread = threading.Thread(target=vw.load, args=(load,))
thread.start()
loading.wait()
child = os.fork()
if not child:
    os._exit(vw.Engine is None)
_, status = os.waitpid(child, 0)
leave.set()
thread.join()
print(status)
"""
    outcome = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (outcome.stdout, outcome.stderr) == ("0\n", "")
