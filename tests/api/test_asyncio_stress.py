"""Many awaited calls at once, of all kinds, cancelled at random moments: nothing is lost, stuck or mixed up."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

import vibewasm as vw
from vibewasm.api.queues import queues

from .awaiting import Wanted, guest, run

STORES = 6
TASKS = 120


class Service:
    """Instances whose coroutines call instances further on, so that no two wait for each other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.active: dict[int, int] = {}
        self.instances: list[Any] = [self.instance(at) for at in range(STORES)]

    def instance(self, at: int) -> Any:
        def tell(number: int) -> None:
            # One call at a time in each store, whatever thread it has.
            thread = threading.get_ident()
            assert self.active.setdefault(at, thread) == thread
            if number:
                self.instances[at].exports.tell(number - 1)
            self.active.pop(at, None)

        async def ask(number: int) -> int:
            if number < 0:
                raise Wanted
            await asyncio.sleep(self.rng.random() * 0.002)
            if number == 0:
                return 0
            further = self.rng.randrange(at, STORES)
            below: int = await self.instances[further].exports.ask.run_async(number - 1)
            return below

        return guest(ask=ask, tell=tell)

    async def call(self) -> str:
        exports = self.rng.choice(self.instances).exports
        kind = self.rng.choice(("subtract", "ask", "raise", "tell", "trap", "spin"))
        if kind == "subtract":
            left, right = self.rng.randrange(1000), self.rng.randrange(1000)
            assert await exports.subtract.run_async(left, right=right) == left - right
        elif kind == "ask":
            depth = self.rng.randrange(5)
            assert await exports.ask.run_async(depth) == depth + 1
        elif kind == "raise":
            with pytest.raises(Wanted):
                await exports.ask.run_async(-1)
        elif kind == "tell":
            await exports.tell.run_async(self.rng.randrange(4))
        elif kind == "trap":
            with pytest.raises(vw.Trap):
                await exports.trap.run_async()
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(self.rng.random() * 0.01):
                    await exports.spin.run_async()
        return kind


def stress(seed: int) -> Coroutine[Any, Any, None]:
    rng = random.Random(seed)

    async def main() -> None:
        vw.set_async_threads(rng.choice((1, 2, 3, 8)))
        service = Service(rng)
        tasks = []
        for _ in range(TASKS):
            task = asyncio.create_task(service.call())
            tasks.append(task)
            if rng.random() < 0.4:
                for _ in range(rng.choice((1, 1, 2))):
                    asyncio.get_running_loop().call_later(rng.random() * 0.05, task.cancel)
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() * 0.005)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, str | asyncio.CancelledError) for end in ends), ends
        assert sum(isinstance(end, str) for end in ends) >= TASKS // 3
        for instance in service.instances:
            assert instance.exports.subtract(3, 1) == 2
            assert await instance.exports.subtract.run_async(3, 1) == 2
            line = queues._lines[instance.store]
            assert (len(line.plain), len(line.nested), line.active) == (0, 0, None)
            assert not instance.store._reasons
        # Threads have said that they are idle.
        pool = queues._pools[asyncio.get_running_loop()]
        while pool.busy:
            await asyncio.sleep(0.001)
        assert not pool.ready

    return main()


@pytest.mark.parametrize("seed", range(6))
def test_random_calls_that_are_cancelled_at_random_moments(seed: int) -> None:
    run(stress(seed))


def test_tasks_may_begin_at_once() -> None:
    factory: Any = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("this Python has no eager tasks, which came with 3.12: NOT tested")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await stress(100)

    run(main())


def test_other_event_loops_will_do() -> None:
    uvloop: Any = pytest.importorskip("uvloop", reason="uvloop is not installed, so NO other event loop was tested")

    async def main() -> None:
        await asyncio.wait_for(stress(200), 60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=True) as runner:
        runner.run(main())
