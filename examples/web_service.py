"""A web service that runs guest code for its requests: a fresh instance for each, within limits of time and memory.

pip install fastapi==0.165.0 uvicorn==0.54.0
uvicorn --app-dir examples web_service:app
curl --data 'how many words' http://127.0.0.1:8000/count

docs/web-service.md explains what is here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request  # pyright: ignore[reportMissingImports]
from fastapi.responses import JSONResponse  # pyright: ignore[reportMissingImports]

import vibewasm

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.wasm")

Result = TypeVar("Result")


class Refused(Exception):
    """A request gets another answer than a result.

    Attributes:
        status: the HTTP status.
        reason: what the answer says.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Guests:
    """Runs requests in instances of a module.

    Args:
        running: how many run at once; each has a thread meanwhile.
        waiting: how many more may wait for their turn. Others are refused at once.
        seconds: how long a request may run.
        memory: how many bytes an instance's memories may have.
    """

    def __init__(self, *, running: int = 4, waiting: int = 16, seconds: float = 1.0, memory: int = 1 << 20) -> None:
        # Compiled now, not by the first requests.
        self._engine = vibewasm.Engine(vibewasm.Config(compilation="eager", cache=True))
        self._module = vibewasm.Module(self._engine, PLUGIN)
        self._turns = asyncio.Semaphore(running)
        self._room = running + waiting
        self._seconds = seconds
        self._memory = memory
        vibewasm.set_async_threads(running)

    async def run(self, request: Request, work: Callable[[vibewasm.Instance], Awaitable[Result]]) -> Result:
        """Do some work with an instance of its own.

        Raises:
            Refused: the service is busy, the work took too long or went wrong, or nobody waits for it any more.
        """
        if self._room == 0:
            raise Refused(503, "busy")
        self._room -= 1
        try:
            async with self._turns:
                return await self._run(request, work)
        finally:
            self._room += 1

    async def _run(self, request: Request, work: Callable[[vibewasm.Instance], Awaitable[Result]]) -> Result:
        with vibewasm.Store(self._engine) as store:
            store.max_memory = self._memory
            linker = vibewasm.Linker(self._engine)
            linker.define("env", "log", lambda address, size: None)
            running = asyncio.ensure_future(work(linker.instantiate(store, self._module)))
            gone = asyncio.ensure_future(disconnected(request))
            try:
                await asyncio.wait({running, gone}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    return running.result()
                raise Refused(499, "nobody waits") if gone.done() else Refused(504, "took too long")
            except vibewasm.Trap as trap:
                raise Refused(422, trap.message) from trap
            finally:
                # Also where the server stops. The store is closed when no code of it runs any more.
                running.cancel()
                gone.cancel()
                await asyncio.gather(running, gone, return_exceptions=True)


async def disconnected(request: Request) -> None:
    """Wait until the client of a request whose body has been read is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def count(request: Request) -> JSONResponse:
    """How many words there are in the body."""
    body = await request.body()

    async def work(instance: vibewasm.Instance) -> int:
        exports = instance.exports
        if len(body) > exports.input_size():
            raise Refused(413, "too long")
        exports.memory.write(exports.input(), body)
        words: int = await exports.count_words.run_async(len(body))
        return words

    return JSONResponse({"words": await request.app.state.guests.run(request, work)})


async def divide(request: Request) -> JSONResponse:
    """1000 divided by a number."""
    try:
        number = int(request.path_params["number"])
        if not -(2**31) <= number < 2**31:
            raise ValueError
    except ValueError:
        raise Refused(400, "no number of 32 bits") from None

    async def work(instance: vibewasm.Instance) -> int:
        result: int = await instance.exports.divide.run_async(number)
        return result

    return JSONResponse({"result": await request.app.state.guests.run(request, work)})


async def spin(request: Request) -> JSONResponse:
    """What a guest does that never ends."""
    await request.app.state.guests.run(request, lambda instance: instance.exports.spin.run_async())
    return JSONResponse({})


async def refused(request: Request, error: Refused) -> JSONResponse:
    """The answer where there is no result."""
    return JSONResponse({"error": error.reason}, error.status)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Before the first request, and after the last."""
    app.state.guests = Guests()
    yield


def make_app() -> Any:
    """The application."""
    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/count", count, methods=["POST"])
    app.add_api_route("/divide/{number}", divide, methods=["GET"])
    app.add_api_route("/spin", spin, methods=["GET"])
    app.add_exception_handler(Refused, refused)
    return app


app = make_app()
