"""Calls that an event loop awaits: results, coroutines as host functions, cancellation, queues, loops that are gone."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

import vibewasm as vw
from tests.native import needs_threads_in_children

GUEST = """(module
    (import "host" "ask" (func $ask (param i32) (result i32)))
    (import "host" "tell" (func $tell (param i32)))
    (import "host" "pair" (func $pair (result i32 f64)))
    (import "host" "thing" (func $thing (result externref)))
    (memory (export "memory") 1)
    (func (export "ask") (param i32) (result i32) (i32.add (call $ask (local.get 0)) (i32.const 1)))
    (func (export "tell") (param i32) (call $tell (local.get 0)))
    (func (export "pair") (result i32 f64) (call $pair))
    (func (export "thing") (result externref) (call $thing))
    (func (export "ask_then_spin") (param i32) (drop (call $ask (local.get 0))) (loop (br 0)))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") unreachable)
    (func (export "subtract") (param $left i32) (param $right i32) (result i32)
        (i32.sub (local.get $left) (local.get $right))))"""


class Wanted(Exception):
    """What a test raises on purpose."""


def guest(config: vw.Config | None = None, **functions: Callable[..., Any]) -> Any:
    """An instance of the module above, with these host functions."""
    names = ("ask", "tell", "pair", "thing")
    return vw.instantiate(
        GUEST, {"host": {name: functions.get(name, lambda *_: None) for name in names}}, config=config
    )


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine with asyncio's checks of its use, within a time that it never needs."""

    async def limited() -> Any:
        return await asyncio.wait_for(main, 60)

    return asyncio.run(limited(), debug=True)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_call_gives_what_a_call_gives() -> None:
    async def main() -> None:
        exports = guest().exports
        assert await exports.subtract.run_async(5, 3) == 2
        assert await exports.subtract.run_async(right=3, left=5) == 2
        assert await exports.subtract.run_async(5, right=3) == 2
        with pytest.raises(TypeError, match=r"takes 2 arguments, 1 given|missing"):
            await exports.subtract.run_async(5)
        with pytest.raises(TypeError, match="i32"):
            await exports.subtract.run_async("5", 3)
        with pytest.raises(TypeError, match="middle"):
            await exports.subtract.run_async(5, middle=3)
        with pytest.raises(vw.Trap, match="unreachable"):
            await exports.trap.run_async()
        assert inspect.iscoroutinefunction(exports.subtract.run_async)

    run(main())


def test_the_loop_goes_on_while_wasm_code_runs() -> None:
    async def main() -> None:
        instance = guest()
        spinning = asyncio.create_task(instance.exports.spin.run_async())
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not spinning.done()
        instance.store.interrupt()
        with pytest.raises(vw.Interrupted, match=r"^interrupted\n  at spin "):
            await spinning

    run(main())


def test_wasm_code_waits_for_coroutines() -> None:
    threads = []

    async def ask(number: int) -> int:
        threads.append(threading.get_ident())
        await asyncio.sleep(0.001)
        return 2 * number

    told = []

    async def tell(number: int) -> None:
        await asyncio.sleep(0.001)
        told.append(number)

    async def pair() -> tuple[int, float]:
        await asyncio.sleep(0)
        return 1, 0.5

    thing = object()

    async def give() -> object:
        return thing

    async def main() -> None:
        exports = guest(ask=ask, tell=tell, pair=pair, thing=give).exports
        assert await exports.ask.run_async(20) == 41
        assert await exports.ask.run_async(-1) == -1
        assert await exports.tell.run_async(7) is None
        assert told == [7]
        assert await exports.pair.run_async() == (1, 0.5)
        assert await exports.thing.run_async() is thing
        assert threads == [threading.get_ident()] * 2

    run(main())


def test_what_returns_a_coroutine_need_not_be_a_coroutine_function() -> None:
    async def ask(number: int, add: int = 0) -> int:
        return number + add

    class Asker:
        async def __call__(self, number: int) -> int:
            return number

    async def main() -> None:
        assert await guest(ask=lambda number: ask(number, 5)).exports.ask.run_async(1) == 7
        assert await guest(ask=Asker()).exports.ask.run_async(1) == 2

    run(main())


def test_a_coroutine_function_may_want_its_caller() -> None:
    async def tell(caller: vw.Caller, address: int) -> None:
        await asyncio.sleep(0.001)
        assert caller.read_str(address, 5) == "hello"
        caller.write(address, b"world")

    async def main() -> None:
        store = vw.Store()
        linker = vw.Linker(store.engine)
        module = vw.Module(store.engine, GUEST)
        linker.define("host", "tell", tell, caller=True)
        linker.define_unknown_imports_as_traps(module)
        exports: Any = linker.instantiate(store, module).exports
        exports.memory[8:13] = b"hello"
        await exports.tell.run_async(8)
        assert exports.memory[8:13] == b"world"
        with pytest.raises(TypeError, match="not awaited"):
            exports.tell(8)

    run(main())


@pytest.mark.parametrize("name", ["ask", "tell", "pair", "thing"])
def test_a_coroutine_in_a_call_that_is_not_awaited_is_an_error(name: str) -> None:
    begun = []

    async def host(*arguments: int) -> None:
        begun.append(arguments)

    functions: dict[str, Any] = {name: host}
    instance = guest(**functions)
    arguments = [1] if name in ("ask", "tell") else []
    with warnings.catch_warnings():
        # That a coroutine was never awaited would be one.
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=rf"host\.{name}\(.*run_async") as caught:
            instance.exports[name](*arguments)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        del caught
        gc.collect()
    assert not begun
    assert instance.exports.subtract(5, 3) == 2


def test_a_task_whose_result_is_ignored_is_no_error() -> None:
    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []

        def tell(number: int) -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(asyncio.sleep(0)))
            return tasks[-1]

        guest(tell=tell).exports.tell(1)
        await tasks[0]

    run(main())


def test_a_result_of_a_coroutine_that_is_of_another_type_is_an_error() -> None:
    async def ask(number: int) -> Any:
        return ask(number) if number else "text"

    async def main() -> None:
        exports = guest(ask=ask).exports
        with pytest.raises(TypeError, match=r"host\.ask.*result"):
            await exports.ask.run_async(0)
        with pytest.raises(TypeError, match="an await is missing"):
            await exports.ask.run_async(1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main())


def test_exceptions_of_coroutines_come_through_with_their_tracebacks() -> None:
    async def deep() -> None:
        await asyncio.sleep(0)
        raise Wanted("deep") from KeyError("cause")

    async def ask(number: int) -> int:
        try:
            raise LookupError("context")
        except LookupError:
            await deep()
        return number

    async def main() -> None:
        exports = guest(ask=ask).exports
        with pytest.raises(Wanted) as caught:
            await exports.ask.run_async(1)
        error = caught.value
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert names.index("main") < names.index("ask") < names.index("deep")
        assert isinstance(error.__cause__, KeyError)
        assert isinstance(error.__context__, KeyError | LookupError)
        assert exports.subtract(1, 1) == 0

    run(main())


def test_exceptions_of_plain_functions_come_through() -> None:
    def ask(number: int) -> int:
        raise Wanted

    def tell(number: int) -> None:
        raise StopIteration

    async def main() -> None:
        exports = guest(ask=ask, tell=tell).exports
        with pytest.raises(Wanted) as caught:
            await exports.ask.run_async(1)
        assert "ask" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        # As from any coroutine (PEP 479).
        with pytest.raises(RuntimeError) as stopped:
            await exports.tell.run_async(1)
        assert isinstance(stopped.value.__cause__, StopIteration)

    run(main())


def test_context_variables_carry_over() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen = []

    def tell(number: int) -> None:
        seen.append(variable.get())
        variable.set("plain function")

    async def ask(number: int) -> int:
        seen.append(variable.get())
        variable.set("coroutine")
        await asyncio.sleep(0)
        seen.append(variable.get())
        return number

    text = """(module (import "host" "ask" (func $ask (param i32) (result i32)))
        (import "host" "tell" (func $tell (param i32)))
        (func (export "f") (call $tell (i32.const 0)) (drop (call $ask (i32.const 0))) (call $tell (i32.const 0))))"""

    async def main() -> None:
        exports = vw.instantiate(text, {"host": {"ask": ask, "tell": tell}}).exports
        variable.set("task")
        await exports.f.run_async()
        assert seen == ["task", "plain function", "coroutine", "plain function"]
        assert variable.get() == "task"

    run(main())


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_cancelling_stops_wasm_code_and_the_store_can_be_used() -> None:
    async def main() -> None:
        instance = guest()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await instance.exports.spin.run_async()
            # By a plain call of this very thread, and by another one in a thread.
            assert instance.exports.subtract(3, 1) == 2
            assert await instance.exports.subtract.run_async(3, 1) == 2
        # Nothing of it is left to stop a later call that polls.
        with pytest.raises(vw.Interrupted, match="deadline"), instance.store.deadline(0.02):
            instance.exports.spin()

    run(main())


def test_cancelling_cancels_the_coroutine() -> None:
    events = []

    async def ask(number: int) -> int:
        events.append("begun")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0.001)
            events.append("cleaned")
            raise
        return number

    async def main() -> None:
        instance = guest(ask=ask)
        task = asyncio.create_task(instance.exports.ask.run_async(1))
        await until(lambda: events)
        task.cancel("message")
        with pytest.raises(asyncio.CancelledError, match="message"):
            await task
        assert events == ["begun", "cancelled", "cleaned"]
        assert instance.exports.subtract(3, 1) == 2

    run(main())


def test_a_coroutine_that_takes_no_notice_of_being_cancelled_does_not_save_the_call() -> None:
    begun = []

    async def ask(number: int) -> int:
        begun.append(number)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
        return number

    async def main() -> None:
        instance = guest(ask=ask)
        for name in ("ask", "ask_then_spin"):
            begun.clear()
            task = asyncio.create_task(instance.exports[name].run_async(1))
            await until(lambda: begun)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert instance.exports.subtract(3, 1) == 2

    run(main())


def test_what_a_cancelled_coroutine_raises_is_the_cause() -> None:
    begun = []

    async def ask(number: int) -> int:
        begun.append(number)
        try:
            await asyncio.sleep(1000)
        finally:
            raise Wanted

    async def main() -> None:
        task = asyncio.create_task(guest(ask=ask).exports.ask.run_async(1))
        await until(lambda: begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert isinstance(caught.value.__cause__, Wanted)

    run(main())


def test_a_coroutine_that_is_cancelled_by_itself_cancels_the_call() -> None:
    async def ask(number: int) -> int:
        raise asyncio.CancelledError("by itself")

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError, match="by itself"):
            await guest(ask=ask).exports.ask.run_async(1)

    run(main())


def test_a_call_that_is_cancelled_before_its_turn_never_runs() -> None:
    told: list[int] = []

    async def main() -> None:
        instance = guest(tell=told.append)
        spinning = asyncio.create_task(instance.exports.spin.run_async())
        telling = [asyncio.create_task(instance.exports.tell.run_async(number)) for number in range(4)]
        await asyncio.sleep(0.01)
        for number in (0, 2):
            telling[number].cancel()
            with pytest.raises(asyncio.CancelledError):
                await telling[number]
        spinning.cancel()
        await asyncio.gather(telling[1], telling[3])
        assert told == [1, 3]
        assert spinning.cancelled()

    run(main())


def test_cancelling_more_than_once_is_cancelling() -> None:
    async def main() -> None:
        instance = guest()
        task = asyncio.create_task(instance.exports.spin.run_async())
        await asyncio.sleep(0.01)
        asked = 0
        for _ in range(5):
            asked += task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == asked
        assert instance.exports.subtract(3, 1) == 2

    run(main())


# -- stores and threads ------------------------------------------------------------------------------------------------


def test_calls_of_one_store_run_in_their_order() -> None:
    active = []
    order = []

    async def ask(number: int) -> int:
        active.append(number)
        assert len(active) == 1
        await asyncio.sleep(0.001)
        active.remove(number)
        order.append(number)
        return number

    async def main() -> None:
        exports = guest(ask=ask).exports
        found = await asyncio.gather(*[exports.ask.run_async(number) for number in range(20)])
        assert found == [number + 1 for number in range(20)]
        assert order == [*range(20)]

    run(main())


def test_a_plain_call_while_another_one_runs_is_an_error_and_so_is_closing() -> None:
    async def main() -> None:
        instance = guest()
        spinning = asyncio.create_task(instance.exports.spin.run_async())
        await asyncio.sleep(0.02)
        with pytest.raises(vw.WasmError, match="running in another thread"):
            instance.exports.subtract(1, 1)
        with pytest.raises(vw.WasmError, match="cannot be closed"):
            instance.store.close()
        spinning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spinning
        instance.store.close()
        with pytest.raises(vw.WasmError, match="this store is closed"):
            await instance.exports.subtract.run_async(1, 1)

    run(main())


def test_threads_are_bounded_and_further_calls_wait() -> None:
    waiting: list[int] = []
    most = []
    threads = set()

    async def ask(number: int) -> int:
        waiting.append(number)
        most.append(len(waiting))
        await asyncio.sleep(0.002)
        waiting.remove(number)
        return number

    def tell(number: int) -> None:
        threads.add(threading.get_ident())

    async def main() -> None:
        vw.set_async_threads(3)
        instances = [guest(ask=ask, tell=tell) for _ in range(12)]
        found = await asyncio.gather(*[one.exports.ask.run_async(at) for at, one in enumerate(instances)])
        assert found == [at + 1 for at in range(12)]
        assert max(most) == 3
        await asyncio.gather(*[one.exports.tell.run_async(0) for one in instances])
        assert 1 <= len(threads) <= 3
        # A higher bound is good for calls that wait already.
        vw.set_async_threads(1)
        tasks = [asyncio.create_task(one.exports.spin.run_async()) for one in instances[:2]]
        answer = asyncio.create_task(instances[2].exports.ask.run_async(1))
        await asyncio.sleep(0.02)
        assert not answer.done()
        vw.set_async_threads(3)
        assert await answer == 2
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    run(main())


def test_a_bound_that_is_none_is_refused() -> None:
    async def main() -> None:
        for wrong in (0, -1):
            with pytest.raises(ValueError, match="1 or more"):
                vw.set_async_threads(wrong)
        for kind in (1.5, None, True, "1"):
            with pytest.raises(TypeError, match="a number of threads"):
                vw.set_async_threads(kind)  # type: ignore[arg-type]  # wrong on purpose

    run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        vw.set_async_threads(1)


def test_a_coroutine_may_call_the_store_that_waits_for_it() -> None:
    exports: Any = None

    async def ask(number: int) -> int:
        if number == 0:
            return 0
        below: int = await exports.ask.run_async(number - 1)
        return below + 1

    async def main() -> None:
        nonlocal exports
        vw.set_async_threads(1)
        exports = guest(ask=ask).exports
        assert await exports.ask.run_async(10) == 21
        assert await asyncio.gather(*[exports.ask.run_async(number) for number in range(5)]) == [1, 3, 5, 7, 9]

    run(main())


def test_coroutines_may_call_other_stores_however_few_threads_there_are() -> None:
    levels: list[Any] = []

    def asker(at: int) -> Callable[[int], Awaitable[int]]:
        async def ask(number: int) -> int:
            below = [level for level in (at + 1, at + 1, at + 2, at + 3, at) if level < len(levels) and number]
            return sum(await asyncio.gather(*[levels[level].exports.ask.run_async(number - 1) for level in below]))

        return ask

    def wanted(at: int, number: int) -> int:
        below = [level for level in (at + 1, at + 1, at + 2, at + 3, at) if level < len(levels) and number]
        return 1 + sum(wanted(level, number - 1) for level in below)

    async def main() -> None:
        for bound in (1, 2, 5):
            vw.set_async_threads(bound)
            levels[:] = [guest(ask=asker(at)) for at in range(5)]
            found = await asyncio.gather(*[levels[at].exports.ask.run_async(4) for at in (0, 0, 1, 2, 0)])
            assert found == [wanted(at, 4) for at in (0, 0, 1, 2, 0)]

    run(main())


def test_cancelling_reaches_calls_of_coroutines() -> None:
    spinning: Any = None
    begun = []

    async def ask(number: int) -> int:
        begun.append(number)
        await spinning.exports.spin.run_async()
        return number

    async def main() -> None:
        nonlocal spinning
        for same in (True, False):
            begun.clear()
            instance = guest(ask=ask)
            spinning = instance if same else guest()
            task = asyncio.create_task(instance.exports.ask.run_async(1))
            await until(lambda: begun)
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert instance.exports.subtract(3, 1) == spinning.exports.subtract(3, 1) == 2

    run(main())


def test_a_task_that_a_coroutine_leaves_behind_may_call_its_store() -> None:
    instance: Any = None
    left: list[asyncio.Task[int]] = []

    async def late() -> int:
        await asyncio.sleep(0.002)
        found: int = await instance.exports.subtract.run_async(7, 3)
        return found

    async def ask(number: int) -> int:
        left.append(asyncio.create_task(late()))
        return number

    async def main() -> None:
        nonlocal instance
        instance = guest(ask=ask)
        assert await instance.exports.ask.run_async(1) == 2
        assert await left[0] == 4
        task = asyncio.create_task(instance.exports.ask_then_spin.run_async(1))
        await asyncio.sleep(0.02)
        assert not left[1].done()
        task.cancel()
        assert await left[1] == 4

    run(main())


def test_deadlines_and_fuel_work() -> None:
    async def main() -> None:
        instance = guest(vw.Config(fuel=True))
        instance.store.fuel = 10_000
        with pytest.raises(vw.OutOfFuel):
            await instance.exports.spin.run_async()
        instance = guest()
        with instance.store.deadline(0.02), pytest.raises(vw.Interrupted, match=r"deadline of 0\.02 seconds"):
            await instance.exports.spin.run_async()
        assert await instance.exports.subtract.run_async(2, 1) == 1

    run(main())


def test_two_loops_may_call_one_store() -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0.0005)
        return number

    instance = guest(ask=ask)
    failures: list[BaseException] = []

    def loop() -> None:
        async def main() -> None:
            for number in range(30):
                assert await instance.exports.ask.run_async(number) == number + 1

        try:
            run(main())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# -- loops that are gone -----------------------------------------------------------------------------------------------


def free(instance: Any) -> None:
    """Wait until no call runs in the instance's store."""
    until = time.monotonic() + 30
    while True:
        try:
            assert instance.exports.subtract(3, 1) == 2
            return
        except vw.WasmError:
            assert time.monotonic() < until
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


def test_nothing_of_asyncio_is_loaded_by_plain_calls() -> None:
    code = """
import sys, vibewasm as vw
instance = vw.instantiate('(module (import "a" "b" (func $b)) (func (export "f") (call $b)))', {"a": {"b": lambda: 5}})
instance.exports.f()
print(sorted(name for name in sys.modules if name in ("asyncio", "contextvars", "threading", "inspect")
    or name.startswith("vibewasm.") and name.endswith(("asynchronous", "queues"))))
"""
    outcome = program(code)
    assert (outcome.stdout, outcome.stderr) == ("[]\n", "")


def test_a_call_that_would_wait_for_itself_is_an_error() -> None:
    def nested(_: int) -> int:
        async def wait(other: Any, argument: int) -> Any:
            return await other.exports.ask.run_async(argument)

        result: int
        with pytest.raises(vw.WasmError, match="this call would wait for itself"):
            asyncio.run(wait(first, 0))
        # By way of another store, whose code waits for a coroutine of the same loop or runs a third loop.
        for argument in (0, 1):
            with pytest.raises(vw.WasmError, match="this call would wait for itself"):
                asyncio.run(wait(second, argument))
        result = asyncio.run(wait(third, 5))
        return result

    async def call_first() -> Any:
        return await first.exports.ask.run_async(0)

    first = guest(ask=nested)
    second = guest(ask=lambda argument: call_first() if argument else asyncio.run(call_first()))
    third = guest(ask=lambda argument: argument)

    async def main() -> None:
        assert await first.exports.ask.run_async(1) == 7
        assert await first.exports.subtract.run_async(5, 3) == 2

    run(main())
