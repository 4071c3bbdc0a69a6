"""Run functions that strangers wrote, with a limit on everything; then run guests that break each limit.

python examples/sandbox.py

docs/sandboxing.md explains what each limit is for, and what none of them does.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection

import vibewasm
from vibewasm.wat import wat2wasm

MIB = 1 << 20
#: How many bytes a process may answer with.
MAX_ANSWER = 1 * MIB


class Refused(Exception):
    """What the author of a function is told: it was not run, or not to its end."""


@dataclass(frozen=True)
class Limits:
    """How much one run of a stranger's function may take."""

    module_bytes: int = 1 * MIB  # bounds the time and the memory that compiling takes
    memory: int = 4 * MIB  # all memories together
    fuel: int = 1_000_000  # about as many instructions
    seconds: float = 1.0  # of the clock on the wall
    table_elements: int = 1_000  # in all tables together
    references: int = 10  # Python objects that it holds
    output: int = 64  # bytes that it prints


class Sandbox:
    """Runs functions of strangers. One sandbox may serve many, since each run has a store of its own."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.engine = vibewasm.Engine(
            vibewasm.Config(
                fuel=True,
                # Of all that is not named here, as much as `vibewasm run` allows.
                limits=vibewasm.ResourceLimits.usual(
                    max_module_size=limits.module_bytes,
                    max_memory=limits.memory,
                    max_table_elements=limits.table_elements,
                    max_references=limits.references,
                    max_instances=1,
                ),
                cache=False,  # nobody learns from the time of a start what others have run
            )
        )

    def run(self, module: bytes, *arguments: int) -> tuple[object, str]:
        """Call the function ``run`` of a binary module.

        Returns:
            its result, and what it printed.

        Raises:
            Refused: the module is not what is wanted, or it went beyond a limit.
        """
        if len(module) > self.limits.module_bytes:
            raise Refused(f"the module has {len(module)} bytes; {self.limits.module_bytes} are allowed")
        if not module.startswith(b"\0asm"):
            raise Refused("this is no binary module")
        output = bytearray()

        def log(caller: vibewasm.Caller, address: int, size: int) -> None:
            # The guest chose both numbers, which come with a sign and have none. read() checks that the bytes lie in
            # the memory, before it copies anything.
            if size & 0xFFFFFFFF > self.limits.output - len(output):
                raise Refused(f"it printed more than {self.limits.output} bytes")
            try:
                output.extend(caller.read(address, size))
            except IndexError as error:
                raise Refused(f"host.log: {error}") from None

        store = vibewasm.Store(self.engine)
        store.fuel = self.limits.fuel
        linker = vibewasm.Linker(self.engine)
        linker.define("host", "log", log, type=vibewasm.FuncType(["i32", "i32"], []), caller=True)
        linker.define("host", "token", object, type=vibewasm.FuncType([], ["externref"]))
        try:
            # Both blocks include the start function, which runs while the module is instantiated.
            with store, store.deadline(self.limits.seconds):
                instance = linker.instantiate(store, vibewasm.Module(self.engine, module))
                function = instance.exports.get("run")
                if not isinstance(function, vibewasm.Func):
                    raise Refused("it exports no function 'run'")
                try:
                    result = function(*arguments)
                except TypeError as error:
                    raise Refused(str(error)) from None
                return result, output.decode("utf-8", "replace")
        except vibewasm.WasmError as error:
            # Traps, broken limits, invalid modules, imports that are not there: whatever a module can cause. The first
            # line says what; those that follow, where.
            raise Refused(str(error).splitlines()[0]) from error


# -- a process around it -----------------------------------------------------------------------------------------------


def answer(pipe: Connection, limits: Limits, module: bytes, arguments: tuple[int, ...]) -> None:
    """What the process does."""
    try:
        message = [True, *Sandbox(limits).run(module, *arguments)]
    except Refused as error:
        message = [False, str(error), ""]
    # No pickle: whoever reads one does what it says, and this process is the one that nobody trusts.
    pipe.send_bytes(json.dumps(message, default=repr).encode())


def run_apart(limits: Limits, module: bytes, *arguments: int, seconds: float = 10.0) -> tuple[object, str]:
    """As :meth:`Sandbox.run`, in a process that is killed when it takes longer, whatever it does: a function of the
    host is Python code, which no deadline stops. The kernel does not confine it: for guests that call nothing of the
    host, `vibewasm.sandbox.run` has it do so.

    Raises:
        Refused: as there; or the process was killed, or died.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=answer, args=(there, limits, module, arguments), daemon=True)
    process.start()
    there.close()
    # A timer, since poll() would wait for the first byte of an answer only.
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        message = here.recv_bytes(MAX_ANSWER)
    except (EOFError, OSError):
        late = timer.finished.is_set()
        process.kill()
        process.join()
        why = f"killed after {seconds:g} s" if late else f"the process ended with exit code {process.exitcode}"
        raise Refused(why) from None
    finally:
        timer.cancel()
        process.kill()
        process.join()
        here.close()
    try:
        well, found, output = json.loads(message)
    except (ValueError, TypeError, RecursionError):
        raise Refused("the process gave no answer") from None
    if not well:
        raise Refused(found)
    return found, output


# -- guests ------------------------------------------------------------------------------------------------------------

GOOD = """(module
    (import "host" "log" (func $log (param i32 i32)))
    (memory 1)
    (data (i32.const 16) "hello from inside")
    (func (export "run") (param $n i32) (result i32)
        (call $log (i32.const 16) (i32.const 17))
        (i32.mul (local.get $n) (local.get $n))))"""

#: A loop that ends when nobody is left to run it.
ENDLESS = '(module (func (export "run") (loop (br 0))))'

#: What is tried, and the guest that tries it.
GUESTS = {
    "a module that is too large": "(module (memory 20) (data (i32.const 0) " + '"' + "x" * MIB + '"))',
    "more memory than allowed": "(module (memory 100))",
    "more memory, later": """(module (memory 1)
        (func (export "run") (result i32) (memory.grow (i32.const 100))))""",
    "outside of its memory": '(module (memory 1) (func (export "run") (result i32) (i32.load (i32.const 65533))))',
    "an endless loop": ENDLESS,
    "an endless start": "(module (func $loop (loop (br 0))) (start $loop))",
    "endless recursion": '(module (func $f (export "run") (call $f)))',
    "a large table": "(module (table 1001 funcref))",
    "many references": """(module
        (import "host" "token" (func $token (result externref)))
        (table 100 externref)
        (func (export "run") (local $i i32)
            (loop $again
                (table.set (local.get $i) (call $token))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))))""",
    "too much output": """(module
        (import "host" "log" (func $log (param i32 i32)))
        (memory 1)
        (func (export "run") (loop (call $log (i32.const 0) (i32.const 50)) (br 0))))""",
    "output from elsewhere": """(module
        (import "host" "log" (func $log (param i32 i32)))
        (memory 1)
        (func (export "run") (call $log (i32.const -1) (i32.const 4))))""",
    "output of 4 GiB": """(module
        (import "host" "log" (func $log (param i32 i32)))
        (memory 1)
        (func (export "run") (call $log (i32.const 0) (i32.const -1))))""",
    "files": """(module (import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))))""",
    "an invalid body": '(module (func (export "run") (result i32) (i64.const 1)))',
    "no function": '(module (global (export "run") i32 (i32.const 1)))',
    "another function": '(module (func (export "run") (param i32)))',
}


def attempt(sandbox: Sandbox, guest: str, *arguments: int) -> str:
    """What comes of a guest, in a line."""
    try:
        result, output = sandbox.run(wat2wasm(guest), *arguments)
    except Refused as why:
        return f"refused: {why}"
    return f"{result!r}" + (f", printed {output!r}" if output else "")


def main() -> None:
    """Run a good guest, and the others."""
    sandbox = Sandbox(Limits())
    print("a good guest:", attempt(sandbox, GOOD, 12))
    for name, guest in GUESTS.items():
        print(f"{name}:", attempt(sandbox, guest))
    # Fuel for years: now time runs out first. And with more fuel than stack, that does.
    patient = Sandbox(Limits(fuel=1 << 60, seconds=0.1))
    print("an endless loop with much fuel:", attempt(patient, ENDLESS))
    print("endless recursion with much fuel:", attempt(patient, GUESTS["endless recursion"]))
    print("a good guest, again:", attempt(sandbox, GOOD, 13))
    print("in a process of its own:", run_apart(Limits(), wat2wasm(GOOD), 14))
    try:
        # Longer than the process may live.
        run_apart(Limits(fuel=1 << 60, seconds=1000), wat2wasm(ENDLESS), seconds=1)
    except Refused as why:
        print("a process that takes too long:", why)


if __name__ == "__main__":
    main()
