"""Awaited calls that want one store or too few threads: they wait for their turn, and none for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import vibewasm as vw

from .awaiting import guest, run, until


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


@pytest.mark.ci
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
