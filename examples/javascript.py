"""JavaScript as a scripting language: QuickJS in a sandbox, with functions of the host and limits.

pip install --no-deps quickjs-rs==0.2.6
python examples/javascript.py ['SOURCE']

The package brings QuickJS-NG as a wasm module. Only that file is used: the package itself, which runs it in another
engine, is not imported. docs/scripting.md explains what is here.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import vibewasm

PACKAGE, VERSION = "quickjs-rs", "0.2.6"

#: What functions of the guest return.
OK, THROWN = 0, 1
#: What ``promise_state`` writes.
PENDING, FULFILLED = 0, 1
#: What ``env.host_call`` returns to let the guest throw an error of its own.
FAILED = -1
#: Seconds that code has to end by itself when its time is over.
GRACE = 0.25

#: Makes what scripts see of a host function. It keeps the functions of JSON that were there before any script ran.
WRAPPER = """(({parse, stringify}) => (raw, label) => (...values) => {
    const [failure, result] = parse(raw(stringify(values)));
    if (failure) {
        const error = new Error(label + " failed");
        error.name = "HostError";
        error.failure = failure;
        throw error;
    }
    return result;
})(JSON)"""


class JavaScriptError(Exception):
    """What a script threw and did not catch. If a function of the host raised it, that exception is the cause.

    Attributes:
        name: the error's name, such as ``"TypeError"``; ``"Error"`` if something else than an error was thrown.
        message: its message, or what was thrown as a string.
        stack: where it was thrown, a call a line.
    """

    def __init__(self, name: str, message: str, stack: str = "") -> None:
        super().__init__(name, message, stack)
        self.name = name
        self.message = message
        self.stack = stack

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class InterpreterError(Exception):
    """The interpreter itself came to an end, or was closed before. It cannot be used any more."""


@functools.cache
def quickjs() -> vibewasm.Module:
    """QuickJS, for all interpreters of the process.

    Raises:
        ImportError: the package is not installed, or in a version with other functions.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"QuickJS is missing: pip install --no-deps {PACKAGE}=={VERSION}") from None
    if distribution.version != VERSION:
        # The module's functions are private to the package.
        raise ImportError(f"{PACKAGE} is {distribution.version}: pip install --no-deps {PACKAGE}=={VERSION}")
    path = str(distribution.locate_file("quickjs_rs/_guest.wasm"))
    return vibewasm.Module.from_file(vibewasm.Engine(vibewasm.Config(cache=True)), path)


def ignored(text: str) -> None:
    """Where Rust's last words go to, when there is no memory left."""


class JavaScript:
    """An interpreter with a global scope of its own, which scripts share. One thread uses it at a time.

    Values pass as JSON does: ``None``, booleans, numbers, strings, lists, and dicts with strings as keys.

    Args:
        functions: what scripts may call: {name: function}.
        seconds: how long one :meth:`eval` may take, with the functions of the host that it calls.
        memory: how many bytes the interpreter may have. It needs 1.2 MB for itself.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        seconds: float = 1.0,
        memory: int = 32 << 20,
    ) -> None:
        module = quickjs()
        linker = vibewasm.Linker(module.engine)
        linker.define_wasi(vibewasm.WasiConfig(stdin=b"", stdout=ignored, stderr=ignored))
        linker.define("env", "host_interrupt", self._interrupted)
        linker.define("env", "host_call", self._host_call, caller=True)
        # There are no files to import from: 0 is "no such module".
        linker.define("env", "host_module_normalize", lambda *_: 0)
        linker.define("env", "host_module_load", lambda *_: 0)
        self._store = vibewasm.Store(module.engine)
        self._store.max_memory = memory
        self._guest = linker.instantiate(self._store, module).exports
        # QuickJS has room to throw an error at this, before the store refuses to let its memory grow.
        self._guest.set_memory_limit(max(memory - (2 << 20), memory // 2))
        self.seconds = seconds
        self._end = 0.0
        self._stopped = self._running = False
        self._functions: dict[str, Callable[..., Any]] = {}
        self._failures = 0
        self._failure: Exception | None = None
        self._closed = ""
        with self._limited():
            self._this = self._guest.new_undefined()
            # Taken now, before a script can put something else in their places.
            self._stringify, self._string, self._wrap = map(self._run, ("JSON.stringify", "String", WRAPPER))
            for name, function in (functions or {}).items():
                self._define(name, function)

    def eval(self, source: str) -> Any:
        """Run a script, and give its last value. If that is a promise, give what it is fulfilled with.

        Raises:
            JavaScriptError: the script threw something, or its value is none that JSON has, as a function or a cycle.
            TimeoutError: it took too long. The interpreter can be used further, unless the message denies it.
            InterpreterError: the interpreter came to its end, by a recursion without end or want of memory, or earlier.
        """
        with self._limited():
            # Of objects that refer to each other QuickJS frees none by itself before its memory is full.
            self._guest.run_gc()
            value = self._settled(self._run(source))
            try:
                result = self._call(self._stringify, value)
            finally:
                self._guest.free_value(value)
            text = self._text(result)
            self._guest.free_value(result)
            if not text:
                return None  # undefined, and what JSON has no text for: functions and symbols
            try:
                return json.loads(text)
            except RecursionError:
                raise JavaScriptError("RangeError", "the value is nested too deeply") from None
            except ValueError:
                # JSON.rawJSON writes numbers as long as a script likes.
                raise JavaScriptError("RangeError", "the value has an integer that is too long for Python") from None

    def close(self) -> None:
        """Give the interpreter's memory back."""
        self._close("it was closed")

    def __enter__(self) -> JavaScript:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _close(self, reason: str) -> None:
        if not self._closed:
            # Raises where it runs: then it can be closed later.
            self._store.close()
            self._closed = reason

    # Limits.

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Watch over code that runs: its time, and how it ends."""
        if self._closed:
            raise InterpreterError(f"this interpreter cannot be used any more: {self._closed}")
        if self._running:
            raise InterpreterError("this interpreter is running a script")
        self._end = time.monotonic() + self.seconds
        self._stopped, self._running = False, True
        lost = ""
        try:
            with self._store.deadline(self.seconds + GRACE):
                yield
        except JavaScriptError as error:
            if self._stopped:
                raise TimeoutError(f"the script was stopped after {self.seconds} seconds") from None
            raise error
        except vibewasm.Interrupted:
            lost = f"it was stopped after {self.seconds + GRACE} seconds"
            raise TimeoutError(f"{lost}, and this interpreter cannot be used any more") from None
        except vibewasm.Trap as trap:
            lost = f"it trapped ({trap.message}), as by a recursion without end or want of memory"
            raise InterpreterError(f"this interpreter cannot be used any more: {lost}") from trap
        except (TimeoutError, UnicodeError):
            raise
        except BaseException as error:
            lost = f"{type(error).__name__} went through it"  # such as KeyboardInterrupt
            raise
        finally:
            self._running = False
            self._failure = None
            if lost:
                # Its code was left in the middle of something.
                self._close(lost)

    def _interrupted(self) -> int:
        """What QuickJS asks now and then: shall it stop? It unwinds its stack then, and no script can catch that."""
        if time.monotonic() < self._end:
            return 0
        self._stopped = True
        return 1

    # Functions of the host.

    def _define(self, name: str, function: Callable[..., Any]) -> None:
        self._functions[name] = function
        with self._bytes(name.encode()) as (address, size):
            raw, label = self._guest.new_function(address, size), self._guest.new_string(address, size)
            wrapped = self._call(self._wrap, raw, label)
            scope = self._guest.global_object()
            self._guest.set_prop(scope, address, size, wrapped)
        for handle in (raw, label, wrapped, scope):
            self._guest.free_value(handle)

    def _host_call(self, caller: vibewasm.Caller, name: int, size: int, this: int, count: int, values: int) -> int:
        """Call what a script calls. The wrapper passes one string, and gets one."""
        function = self._functions.get(caller.read_str(name, size))
        if function is None or count != 1:
            return FAILED
        (handle,) = struct.unpack("<i", caller.read(values, 4))
        try:
            reply = json.dumps([0, function(*json.loads(self._text(handle)))])
        except Exception as error:
            # A script may catch it, and learns nothing of the host by it.
            self._failures += 1
            self._failure = error
            reply = json.dumps([self._failures])
        with self._bytes(reply.encode()) as (address, size):
            result: int = self._guest.new_string(address, size)
        return result

    # What the guest is made of: handles of values, and places for results.

    def _run(self, source: str) -> int:
        """A handle of a script's last value."""
        with self._bytes(source.encode()) as (address, size):
            return self._checked(lambda out: self._guest.eval_code(address, size, out))

    def _call(self, function: int, *values: int) -> int:
        """A handle of what a function returns."""
        with self._bytes(struct.pack(f"<{len(values)}i", *values)) as (address, _):
            return self._checked(lambda out: self._guest.call_function(function, self._this, address, len(values), out))

    def _settled(self, value: int) -> int:
        """Run what promises have put off, and give what a promise has come to; other values are what they are."""
        while self._guest.execute_pending_jobs() > 0:
            pass
        if self._stopped:
            raise JavaScriptError("InternalError", "interrupted")
        if not self._number(lambda out: self._guest.is_promise(value, out)):
            return value
        state = self._number(lambda out: self._guest.promise_state(value, out))
        if state == PENDING:
            self._guest.free_value(value)
            raise JavaScriptError("Error", "the promise is not settled, and nothing is left that could settle it")
        result: int = self._number(lambda out: self._guest.promise_result(value, out))
        self._guest.free_value(value)
        if state != FULFILLED:
            raise self._error(result)
        return result

    def _checked(self, operation: Callable[[int], int]) -> int:
        """The handle that an operation writes to the place that it is given, or what was thrown."""
        with self._bytes(bytes(4)) as (out, _):
            status = operation(out)
            if status == THROWN:
                self._guest.last_exception(out)
            (handle,) = struct.unpack("<i", self._guest.memory.read(out, 4))
        if status == OK:
            return int(handle)
        raise self._error(handle) if status == THROWN else JavaScriptError("InternalError", f"status {status}")

    def _number(self, operation: Callable[[int], int], layout: str = "<i") -> Any:
        """The number that an operation writes to the place that it is given."""
        with self._bytes(bytes(8)) as (out, _):
            operation(out)
            return struct.unpack_from(layout, self._guest.memory.read(out, 8))[0]

    def _error(self, thrown: int) -> JavaScriptError:
        """What was thrown, as an exception."""
        if not thrown:
            return JavaScriptError("InternalError", "out of memory")
        name, message, stack = (self._property(thrown, key) for key in ("name", "message", "stack"))
        if not name:
            try:
                string = self._call(self._string, thrown)
                message = self._text(string)
                self._guest.free_value(string)
            except JavaScriptError:
                message = "what was thrown cannot be made a string"
            self._guest.free_value(thrown)
            return JavaScriptError("Error", message)
        error = JavaScriptError(name, message, stack)
        if name == "HostError" and self._property(thrown, "failure") == str(self._failures):
            error.__cause__ = self._failure
        self._guest.free_value(thrown)
        return error

    def _property(self, value: int, key: str) -> str:
        """A property that is a string or a number, as a string; otherwise an empty one."""
        with self._bytes(key.encode()) as (address, size):
            try:
                found = self._checked(lambda out: self._guest.get_prop(value, address, size, out))
            except JavaScriptError:
                return ""
        self._guest.type_of(found)
        if self._result() == b"number":
            text = f"{self._number(lambda out: self._guest.get_number(found, out), '<d'):.0f}"
        else:
            text = self._text(found)
        self._guest.free_value(found)
        return text

    def _text(self, value: int) -> str:
        """A string of JavaScript, or an empty one for another value."""
        return self._result().decode(errors="replace") if self._guest.get_string(value) == OK else ""

    def _result(self) -> bytes:
        """The bytes that the last operation has made."""
        data: bytes = self._guest.memory.read(self._guest.qjs_last_ptr(), self._guest.qjs_last_len())
        self._guest.qjs_result_free()
        return data

    @contextmanager
    def _bytes(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Bytes in the guest's memory: their address and size."""
        size = len(data)
        address = self._guest.qjs_alloc(size)
        if size and not address:
            raise JavaScriptError("InternalError", "out of memory")
        self._guest.memory.write(address, data)
        try:
            yield address, size
        except JavaScriptError:
            self._guest.qjs_free(address, size)
            raise
        # Not after other exceptions: the guest that they would be given back to may be lost.
        self._guest.qjs_free(address, size)


PRICES = {"tea": 2.5, "cake": 4.0}


def main() -> None:
    """Run a script that calls the host, and some that go wrong."""
    scripts = sys.argv[1:] or [
        "[1, 2, 3].map(x => x * x)",
        "let order = {tea: 2, cake: 1}; Object.keys(order).length",
        "Object.entries(order).reduce((sum, [what, count]) => sum + count * price(what), 0)",
        "(async () => 'later, ' + await 'as well')()",
        "try { price('gold') } catch (error) { error.message }",
        "price('gold')",
        "order.tea.milk.sugar",
        "for (;;) {}",
        "const all = []; for (;;) all.push('x'.repeat(1 << 20) + all.length)",
        "order",
        "const deeper = () => 1 + deeper(); deeper()",
        "order",
    ]
    with JavaScript({"price": PRICES.__getitem__}, seconds=2) as script:
        for source in scripts:
            try:
                print(script.eval(source))
            except (JavaScriptError, TimeoutError, InterpreterError) as error:
                cause = f" (from {error.__cause__!r})" if isinstance(error, JavaScriptError) and error.__cause__ else ""
                print(f"{type(error).__name__}: {error}{cause}")


if __name__ == "__main__":
    main()
