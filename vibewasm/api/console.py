"""``Console``: what a guest without WASI needs to talk to people. Loaded only where it is asked for."""

from __future__ import annotations

import builtins
import codecs
import io
import sys
import time
from functools import partial

from ..errors import WasmError
from .caller import Caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    class Lines(Protocol):
        """A text stream to read from."""

        def readline(self) -> str: ...

    class TextWritable(Protocol):
        """A text stream to write to."""

        def write(self, text: str, /) -> object: ...

    Input = str | Lines | Callable[[], str] | None
    Output = TextWritable | Callable[[str], object] | None
    # What the annotations of the methods are to type checkers; to a linker they are wasm types.
    i32 = int
    i64 = int

#: What a function gives that cannot do what it is asked for. ``docs/console.md`` and ``console.h`` have them too.
OUTSIDE_MEMORY = -1
NO_SUCH = -2

#: Bytes that are taken out of a guest's memory at once, so that no size that it names makes a copy of that size.
_CHUNK = 1 << 20
_U32 = (1 << 32) - 1
_LARGEST = (1 << 31) - 1


class Console:
    """Imports for guests that want to print, read lines, see arguments and tell the time, and need no WASI::

        vibewasm.instantiate("guest.wasm", {"console": vibewasm.Console(args=["one"])})

    The public methods are what the guest imports; ``docs/console.md`` has their types and what they give back. A guest
    can do nothing else with it, and what it passes is checked. Instances that are given one console share it.

    Args:
        args: the arguments.
        stdin: where lines come from: ``None`` for ``sys.stdin`` as it is at that moment; a string of lines; a text
            stream; or a function without parameters that gives a line with its line break, and ``""`` at the
            end, or :func:`input` itself.
        stdout: where ``print`` writes: ``None`` for ``sys.stdout`` as it is at that moment; a text stream; or a
            function that is called with each piece of text. :func:`print` itself adds no line breaks.
        stderr: where ``error`` writes, with ``sys.stderr``.
        clock: what tells the time in nanoseconds: ``None`` for the host's clocks, or a function without parameters, for
            both of the guest's.

    Raises:
        TypeError: an argument has a type that cannot be used.
        ValueError: one of ``args`` is no text that UTF-8 has, such as half of a surrogate pair.
    """

    def __init__(
        self,
        args: Iterable[str] = (),
        *,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._args = _encoded(args)
        self._read = _reader(stdin)
        #: The line that is being read, and how many of its bytes the guest has; several where threads share this. One
        #: that reads takes its line out, so that no other changes what it counts on.
        self._begun: list[tuple[bytes, int]] = []
        self._out = _Output("stdout", stdout)
        self._err = _Output("stderr", stderr)
        if clock is not None and not callable(clock):
            raise _wrong("clock", "a function that gives nanoseconds", clock)
        self._time = clock or time.time_ns
        self._monotonic = clock or time.monotonic_ns

    def print(self, caller: Caller, address: i32, size: i32) -> i32:
        """Write text."""
        return self._out.write(caller, address, size)

    def error(self, caller: Caller, address: i32, size: i32) -> i32:
        """Write text for errors."""
        return self._err.write(caller, address, size)

    def read_line(self, caller: Caller, address: i32, capacity: i32) -> i32:
        """Read a line, or what fits of it; the number of bytes, 0 at the end."""
        address, capacity = address & _U32, capacity & _U32
        # Before anything is read, so that nothing gets lost.
        if address + capacity > _memory_size(caller):
            return OUTSIDE_MEMORY
        if not capacity:
            return NO_SUCH
        try:
            line, taken = self._begun.pop()
        except IndexError:
            line, taken = self._next_line(), 0
        # The result is an i32.
        data = line[taken : taken + min(capacity, _LARGEST)]
        caller.write(address, data)
        taken += len(data)
        if taken < len(line):
            self._begun.append((line, taken))
        return len(data)

    def _next_line(self) -> bytes:
        line: object = self._read()
        if not isinstance(line, str):
            from ..arguments import shown

            raise TypeError(f"Console: stdin has to give a line as a str, not {shown(line)}")
        try:
            return line.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError("Console: stdin gave a line that is no text that UTF-8 has") from None

    def args_count(self) -> i32:
        """How many arguments there are."""
        return len(self._args)

    def arg(self, caller: Caller, index: i32, address: i32, capacity: i32) -> i32:
        """Copy what fits of an argument; the number of bytes that all of it has."""
        index, address, capacity = index & _U32, address & _U32, capacity & _U32
        if index >= len(self._args):
            return NO_SUCH
        if address + capacity > _memory_size(caller):
            return OUTSIDE_MEMORY
        if capacity:
            caller.write(address, self._args[index][:capacity])
        return len(self._args[index])

    def time(self) -> i64:
        """Nanoseconds since 1970."""
        return self._time()

    def monotonic(self) -> i64:
        """Nanoseconds since some moment, never set back."""
        return self._monotonic()


class _Output:
    """Where text goes. A character whose bytes come in several calls is written when it is whole."""

    __slots__ = ("_decode", "_name", "_target")

    def __init__(self, name: str, target: Any) -> None:
        if isinstance(target, (io.RawIOBase, io.BufferedIOBase)):
            raise _wrong(name, "a text stream", target, "io.TextIOWrapper makes one of a binary stream")
        if target is not None and (isinstance(target, type) or not (hasattr(target, "write") or callable(target))):
            raise _wrong(name, "None, a text stream or a function", target)
        self._name = name
        # It would end each piece with a line break that the guest has not written.
        self._target: Any = partial(print, end="") if target is builtins.print else target
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(self, caller: Caller, address: int, size: int) -> int:
        address, size = address & _U32, size & _U32
        end = address + size
        if end > _memory_size(caller):
            return OUTSIDE_MEMORY
        for start in range(address, end, _CHUNK):
            if start > address:
                # The guest chose how many pieces there are.
                caller.store._check_interrupt()
            text = self._decode(caller.read(start, min(_CHUNK, end - start)))
            if text:
                self._give(text)
        return 0

    def _give(self, text: str) -> None:
        target = getattr(sys, self._name) if self._target is None else self._target
        if target is None:
            # A process without such a stream, as of pythonw.
            return
        if not hasattr(target, "write"):
            target(text)
            return
        try:
            target.write(text)
        except UnicodeEncodeError:
            # The guest chose the text, and the host's encoding lacks some of it.
            encoding = getattr(target, "encoding", None) or "ascii"
            target.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if self._target is None:
            # It may be the prompt for a line to be read, and there is no other moment to do it.
            flush = getattr(target, "flush", None)
            if flush is not None:
                # What stands in for a standard stream may have no more than print() needs.
                flush()


def _memory_size(caller: Caller) -> int:
    """Bytes of the caller's memory; 0 where it has none, so that no address lies in it."""
    try:
        return caller.memory.size
    except WasmError:
        if caller.instance is None:
            raise
        return 0


def _encoded(args: Any) -> list[bytes]:
    if isinstance(args, (str, bytes)) or not hasattr(type(args), "__iter__"):
        raise _wrong("args", "a sequence of strings", args, "such as ['first', 'second']")
    found: list[bytes] = []
    argument: object
    for index, argument in enumerate(args):
        if not isinstance(argument, str):
            raise _wrong(f"args[{index}]", "a str", argument)
        try:
            # What Python could not decode goes through unchanged.
            found.append(argument.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            raise ValueError(f"Console: args[{index}] is no text that UTF-8 has: {argument!r}") from None
    return found


def _reader(source: Any) -> Callable[[], str]:
    if source is None:
        return _standard_line
    if isinstance(source, str):
        return io.StringIO(source, newline="\n").readline
    if source is builtins.input:
        return _typed_line
    if isinstance(source, (io.RawIOBase, io.BufferedIOBase)):
        raise _wrong("stdin", "a text stream", source, "io.TextIOWrapper makes one of a binary stream")
    readline: Callable[[], str] | None = None if isinstance(source, type) else getattr(source, "readline", None)
    if readline is not None:
        return readline
    if callable(source) and not isinstance(source, type):
        return source  # type: ignore[no-any-return]  # what it gives is looked at when it does
    raise _wrong("stdin", "None, a str, a text stream or a function", source)


def _standard_line() -> str:
    return "" if sys.stdin is None else sys.stdin.readline()


def _typed_line() -> str:
    """A line from :func:`input`, which takes the line break away, and says the end by an exception."""
    try:
        return input() + "\n"
    except EOFError:
        return ""


def _wrong(setting: str, expected: str, given: object, advice: str = "") -> TypeError:
    from ..arguments import wrong

    return wrong("Console", setting, expected, given, advice)
