"""Awaited calls whose loop stops or is closed, whose process ends or is interrupted, or that a fork leaves behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw
from tests.native import needs_threads_in_children

from .awaiting import guest, run, until


def free(instance: Any) -> None:
    """Wait until no call runs in the instance's store."""
    end = time.monotonic() + 30
    while True:
        try:
            assert instance.exports.subtract(3, 1) == 2
            return
        except vw.WasmError:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize("close", [False, True])
def test_a_loop_that_stops_while_the_guest_waits_is_an_error(close: bool) -> None:
    begun = []
    errors: list[BaseException] = []

    async def ask(number: int) -> int:
        begun.append(number)
        await asyncio.sleep(1000)
        return number

    async def outer(instance: Any) -> None:
        try:
            await instance.exports.ask.run_async(1)
        except BaseException as error:
            errors.append(error)
            raise

    instance = guest(ask=ask)
    loop = asyncio.new_event_loop()
    task = loop.create_task(outer(instance))
    loop.run_until_complete(until(lambda: begun))
    if close:
        for one in asyncio.all_tasks(loop):
            one._log_destroy_pending = False  # type: ignore[attr-defined]  # nothing can end the tasks of a closed loop
        loop.close()
    free(instance)
    if not close:
        with pytest.raises(RuntimeError, match=r"host\.ask.*event loop .* has stopped"):
            loop.run_until_complete(task)
        loop.run_until_complete(asyncio.sleep(0))
        assert not asyncio.all_tasks(loop)
        loop.close()


def test_a_coroutine_for_a_loop_that_is_closed_is_an_error() -> None:
    about_to: list[int] = []
    go = threading.Event()
    errors: list[BaseException] = []
    begun = []

    async def answer(number: int) -> int:
        begun.append(number)
        return number

    def ask(number: int) -> Any:
        about_to.append(number)
        go.wait(30)
        return answer(number)

    def record(instance: Any) -> Callable[[int], int]:
        def call(number: int) -> int:
            try:
                return int(instance.exports.ask(number))
            except RuntimeError as error:
                errors.append(error)
                raise

        return call

    inner = guest(ask=ask)
    # The call within the call is plain, and may wait all the same.
    instance = guest(ask=record(inner))
    loop = asyncio.new_event_loop()
    task = loop.create_task(instance.exports.ask.run_async(1))
    loop.run_until_complete(until(lambda: about_to))
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go.set()
        free(instance)
        gc.collect()
    assert "closed" in str(errors[0])
    assert not begun
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # as above


def test_closing_what_awaits_a_call_stops_it() -> None:
    async def main() -> None:
        instance = guest()
        coroutine: Any = instance.exports.spin.run_async()
        coroutine.send(None)
        await asyncio.sleep(0.02)
        coroutine.close()
        assert await instance.exports.subtract.run_async(3, 1) == 2

    run(main())


def test_a_call_whose_loop_is_closed_can_be_interrupted() -> None:
    instance = guest()
    loop = asyncio.new_event_loop()
    task = loop.create_task(instance.exports.spin.run_async())
    loop.run_until_complete(asyncio.sleep(0.02))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # nothing can end the tasks of a closed loop
    instance.store.interrupt()
    free(instance)


def program(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


START = """
import asyncio, vibewasm as vw
instance = vw.instantiate('(module (func (export "spin") (loop (br 0))) (func (export "nothing")))')
spin = instance.exports.spin
"""


def test_a_process_ends_while_calls_run() -> None:
    end = """
loop = asyncio.new_event_loop()
task = loop.create_task(spin.run_async())
loop.run_until_complete(asyncio.sleep(0.05))
task._log_destroy_pending = False
print("end")
"""
    outcome = program(START + end)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "end\n", "")


def test_a_process_ends_while_a_guest_waits() -> None:
    end = """
async def ask():
    await asyncio.sleep(1000)
waiting = vw.instantiate('(module (import "a" "b" (func $b)) (func (export "f") (call $b)))', {"a": {"b": ask}})
loop = asyncio.new_event_loop()
task = loop.create_task(waiting.exports.f.run_async())
loop.run_until_complete(asyncio.sleep(0.05))
for one in asyncio.all_tasks(loop):
    one._log_destroy_pending = False
print("end")
"""
    outcome = program(START + end)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "end\n", "")


def test_ctrl_c_under_asyncio_run_stops_the_call() -> None:
    end = """
import os, signal
async def main():
    # In debug mode the loop tells of what takes long, as anything does in an emulator.
    asyncio.get_running_loop().slow_callback_duration = 60
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    try:
        await spin.run_async()
    except asyncio.CancelledError:
        instance.exports.nothing()
        print("cancelled", flush=True)
        raise
try:
    asyncio.run(main())
except KeyboardInterrupt:
    instance.exports.nothing()
    print("interrupted")
"""
    outcome = program(START + end, "-X", "dev")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "cancelled\ninterrupted\n", "")


def test_keyboard_interrupt_of_a_coroutine_ends_the_loop() -> None:
    async def ask(number: int) -> int:
        raise KeyboardInterrupt

    instance = guest(ask=ask)

    async def main() -> None:
        await instance.exports.ask.run_async(1)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert instance.exports.subtract(3, 1) == 2


@needs_threads_in_children
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here, so nothing was forked")
def test_a_forked_child_has_threads_of_its_own() -> None:
    instance = guest()
    busy = guest()

    async def main() -> int:
        found: int = await instance.exports.subtract.run_async(3, 1)
        return found

    async def forking() -> int:
        vw.set_async_threads(1)
        spinning = asyncio.create_task(busy.exports.spin.run_async())
        await asyncio.sleep(0.02)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a process with threads, from 3.12 on
            child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.events._set_running_loop(None)
                status = 0 if asyncio.run(main()) == 2 else 2
            finally:
                os._exit(status)
        spinning.cancel()
        await asyncio.gather(spinning, return_exceptions=True)
        return child

    assert asyncio.run(main()) == 2
    child = asyncio.run(forking())
    signal.set_wakeup_fd(-1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
