"""An asyncio server whose requests run in a pool of instances, side by side, each with a time limit.

python examples/service.py

A request is a line, and so is its answer: "count WORDS", "divide NUMBER", or "spin", which would never end.
"""

from __future__ import annotations

import asyncio
import os

import vibewasm

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.wasm")
INSTANCES = 3
SECONDS = 1


class Service:
    """Answers requests with instances of the plug-in, which wait in a queue until somebody needs one."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.pool: asyncio.Queue[vibewasm.Instance] = asyncio.Queue()
        # Compiled now, not by the first requests.
        engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
        module = vibewasm.Module(engine, PLUGIN)
        linker = vibewasm.Linker(engine)
        linker.define("env", "log", self.log, caller=True)
        for _ in range(INSTANCES):
            # A store of its own, so that they run side by side.
            self.pool.put_nowait(linker.instantiate(vibewasm.Store(engine), module))

    async def log(self, caller: vibewasm.Caller, address: int, size: int) -> None:
        """What the plug-in calls. It waits meanwhile, and the event loop does not."""
        await asyncio.sleep(0.001)  # as long as a database may take
        self.messages.append(caller.read_str(address, size))

    async def answer(self, request: str) -> str:
        """The answer to a request."""
        kind, _, rest = request.partition(" ")
        instance = await self.pool.get()
        exports = instance.exports
        try:
            async with asyncio.timeout(SECONDS):
                if kind == "count":
                    text = rest.encode()
                    address = exports.input()
                    exports.memory[address : address + len(text)] = text
                    return str(await exports.count_words.run_async(len(text)))
                if kind == "divide":
                    return str(await exports.divide.run_async(int(rest)))
                if kind == "spin":
                    await exports.spin.run_async()
                return f"error: there is no request {kind!r}"
        except TimeoutError:
            return f"error: stopped after {SECONDS} second"
        except vibewasm.Trap as trap:
            return f"error: {trap.message}"
        finally:
            # Whatever happened, no call runs in it any more.
            self.pool.put_nowait(instance)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes in by a connection."""
        async for line in reader:
            answer = await self.answer(line.decode().strip())
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()


async def ask(port: int, request: str) -> str:
    """Send a request, and wait for the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode() + b"\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.decode().strip()


async def main() -> None:
    """Start the server, and send requests all at once."""
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    requests = ["count one two three", "count", "count four words for you", "divide 8", "divide 0", "spin", "dance"]
    requests.append("count still at your service")
    async with server:
        answers = await asyncio.gather(*[ask(port, request) for request in requests])
    for request, answer in zip(requests, answers, strict=True):
        print(f"{request}: {answer}")
    print("messages of guests:", len(service.messages))


if __name__ == "__main__":
    asyncio.run(main())
