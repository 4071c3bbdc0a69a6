"""Calls that an event loop awaits: what they give, coroutines as host functions, exceptions and context."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import traceback
import warnings
from typing import Any

import pytest

import vibewasm as vw

from .awaiting import GUEST, Wanted, guest, run


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
