"""Cancelling calls that an event loop awaits: wasm code and coroutines stop, and the store can be used."""

from __future__ import annotations

import asyncio

import pytest

import vibewasm as vw

from .awaiting import Wanted, guest, run, until


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
