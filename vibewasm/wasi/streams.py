"""Standard input, output and error: descriptors of the process, or Python objects."""

from __future__ import annotations

import errno
import io
import os
import sys

from . import abi
from .config import opened
from .errnos import EAGAIN, Errno
from .fds import Descriptor, HostFile, file_type, is_terminal, may_wait
from .waiting import is_ready, own_terminal, wait, write_ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .config import Input, Output, Path, Readable, Writable
    from .process import Check

#: Bytes passed to or from a Python object at once, so that no length a program names makes a copy of that size.
_CHUNK = 16 << 20

_NAMES = ("stdin", "stdout", "stderr")

#: In place of a descriptor of the terminal: it is not opened (yet, or it cannot be), or the stream is none.
_UNOPENED, _NO_TERMINAL = -1, -2


class ProcessStream(HostFile):
    """A descriptor of the process, which other processes may share, such as one of its standard streams.

    The descriptor is never closed, unless it is ``owned``, and its flags are never changed: the program's wish not to
    block is met by asking first.

    Attributes:
        number: of the descriptor whose buffered text in Python comes before what is written.
        follows: what is written goes where ``print`` goes: to ``sys.stdout`` or ``sys.stderr`` as they are at that
            moment.
    """

    __slots__ = ("_elsewhere", "_terminal", "follows", "number")

    def __init__(
        self,
        fd: int,
        check: Check | None,
        writing: bool | None = None,
        *,
        follows: bool = False,
        number: int | None = None,
        owned: bool = False,
    ) -> None:
        # First of all: they say what is to be closed if something of the host's raises below.
        self.fd = fd
        self.owned = owned
        #: Of a terminal, a descriptor for writing to it that never waits, or _UNOPENED.
        self._terminal = _NO_TERMINAL
        self.number = fd if number is None else number
        self.follows = follows
        self._elsewhere: tuple[object, OutputStream] | None = None
        rights = abi.STREAM_RIGHTS | (abi.FD_WRITE if (fd != 0 if writing is None else writing) else abi.FD_READ)
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            # Closed. The number may come to mean anything later, so it must not be kept.
            fd = -1
            kind = abi.UNKNOWN
        else:
            kind = file_type(mode)
            # Asked here, as a program may be told of another type.
            if kind == abi.CHARACTER_DEVICE and os.isatty(fd):
                self._terminal = _UNOPENED
        elsewhere = self._redirected()
        if elsewhere is not None:
            kind = elsewhere.file_type
        # A character device that cannot seek is what wasi-libc's isatty() takes for a terminal; /dev/null can.
        elif kind == abi.REGULAR_FILE or (kind == abi.CHARACTER_DEVICE and self._terminal == _NO_TERMINAL):
            rights |= abi.FD_SEEK | abi.FD_TELL
        super().__init__(fd, kind, rights, check=check, owned=owned)

    def _redirected(self) -> OutputStream | None:
        """Where ``print`` writes to, if that is not the descriptor: in a notebook, or by ``redirect_stdout``."""
        if not self.follows:
            return None
        stream, original = (sys.stdout, sys.__stdout__) if self.number == 1 else (sys.stderr, sys.__stderr__)
        if stream is original or stream is None:
            return None
        if self._elsewhere is not None and self._elsewhere[0] is stream:
            return self._elsewhere[1]
        try:
            if stream.fileno() == self.number:
                # Only another object, made for the sake of its encoding, say.
                stream.flush()
                return None
        except (AttributeError, OSError, ValueError):
            # There is no descriptor below it.
            pass
        found = _text_output(stream)
        self._elsewhere = stream, found
        return found

    def fileno(self) -> int | None:
        return self.fd if self._redirected() is None else None

    def stat(self) -> os.stat_result | None:
        return super().stat() if self._redirected() is None else None

    def set_flags(self, flags: int) -> None:
        self.flags = flags

    def read(self, buffers: list[memoryview]) -> int:
        self._prepare(writing=False)
        while True:
            try:
                return self._in_turns(lambda part, _: os.readv(self.fd, part), buffers)
            except BlockingIOError:
                # Some process has made the shared file non-blocking; this program has not asked for it.
                if self.flags & abi.FDFLAG_NONBLOCK:
                    raise
                wait(self.fd, self._check, writing=False)

    def write(self, buffers: list[memoryview]) -> int:
        elsewhere = self._redirected()
        if elsewhere is not None:
            return elsewhere.write(buffers)
        # What Python code has printed comes first.
        stream = sys.__stdout__ if self.number == 1 else sys.__stderr__ if self.number == 2 else None
        if stream is not None and not stream.closed:
            stream.flush()
        slow = self._prepare(writing=True)
        if slow and self._terminal == _UNOPENED:
            self._terminal = own_terminal(self.fd)
        fd = self._terminal if self._terminal >= 0 else self.fd
        while True:
            try:
                if slow and self._terminal < 0:
                    return write_ready(fd, buffers)
                return self._in_turns(lambda part, _: os.writev(fd, part), buffers)
            except BlockingIOError:
                if self.flags & abi.FDFLAG_NONBLOCK:
                    raise
                wait(self.fd, self._check, writing=True)

    def close(self) -> None:
        terminal, self._terminal = self._terminal, _NO_TERMINAL
        if terminal >= 0:
            os.close(terminal)
        super().close()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._terminal >= 0:
            close(self._terminal)
        super().__del__()

    def _prepare(self, *, writing: bool) -> bool:
        """Wait until it is ready, where one may wait and anyone wants to be asked meanwhile; give whether it was asked
        for.
        """
        if self.fd < 0:
            return False
        if self._asks():
            wait(self.fd, self._check, writing=writing)
            return True
        if self.flags & abi.FDFLAG_NONBLOCK and may_wait(self.file_type):
            if not is_ready(self.fd, writing=writing):
                raise Errno(EAGAIN)
            return True
        return False


def _let_go(views: list[memoryview]) -> None:
    """Release views of the program's memory: an exception that the object keeps would keep them, by its frames, and so
    the memory when the store is closed."""
    for view in views:
        view.release()


class InputStream(Descriptor):
    """A Python object to read from. What it raises reaches whoever runs the program, but for OSError."""

    __slots__ = ("_read", "_stream")

    def __init__(self, stream: Readable) -> None:
        super().__init__(_type_of(stream), abi.STREAM_RIGHTS | abi.FD_READ)
        self._stream = stream
        # read1 gives what is there; read would wait for a full buffer.
        self._read = getattr(stream, "read1", stream.read)

    def read(self, buffers: list[memoryview]) -> int:
        try:
            return self._fill(buffers)
        finally:
            _let_go(buffers)

    def _fill(self, buffers: list[memoryview]) -> int:
        size = min(sum(map(len, buffers)), _CHUNK)
        data = self._read(size)
        if data is None:
            raise Errno(EAGAIN)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"stdin must be a binary stream: its read() gave {type(data).__name__}, not bytes")
        if isinstance(data, memoryview):
            # It may have gaps, and items of any size.
            data = data.tobytes()
        if len(data) > size:
            raise ValueError(
                f"stdin's read({size}) gave {len(data)} bytes, which would be lost: it may give at most {size}"
            )
        done = 0
        for buffer in buffers:
            part = data[done : done + len(buffer)]
            buffer[: len(part)] = part
            done += len(part)
        return done

    def available(self) -> tuple[int, bool]:
        if isinstance(self._stream, io.BytesIO):
            left = max(len(self._stream.getbuffer()) - self._stream.tell(), 0)
            return left, not left
        return 1, False


class OutputStream(Descriptor):
    """A Python object to write to. What it raises reaches whoever runs the program, but for OSError."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Writable) -> None:
        super().__init__(_type_of(stream), abi.STREAM_RIGHTS | abi.FD_WRITE)
        self._stream = stream

    def write(self, buffers: list[memoryview]) -> int:
        room = _CHUNK
        parts = []
        for buffer in buffers:
            parts.append(buffer[:room])
            room -= len(parts[-1])
            if not room:
                break
        # A copy, since the object may keep what it is given, and the program's memory changes.
        data = b"".join(parts)
        _let_go(parts + buffers)
        written = self._stream.write(data)
        if written is None:
            return len(data)
        if not isinstance(written, int):
            kind = type(written).__name__
            raise TypeError(f"an output stream's write() must give the number of bytes it took, or None, not {kind}")
        if not 0 <= written <= len(data):
            from ..counting import counted

            size = counted(len(data), "byte")
            raise ValueError(f"an output stream's write() of {size} says that it took {written}")
        return written


class TextOutput:
    """The binary side of a text stream, in order with what is printed to the text side."""

    __slots__ = ("_binary", "_text")

    def __init__(self, text: io.TextIOBase, binary: io.BufferedIOBase) -> None:
        self._text = text
        self._binary = binary

    def write(self, data: bytes) -> int:
        """Write all of it, and flush."""
        self._text.flush()
        written = self._binary.write(data)
        self._binary.flush()
        return written

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._text.isatty()


def open_input(source: Input, inherit: bool, check: Check | None) -> Descriptor:
    """Standard input from what ``WasiConfig`` was given: the process's own one only where that was asked for."""
    if source is None:
        return ProcessStream(0, check) if inherit else InputStream(io.BytesIO())
    if isinstance(source, bytes | bytearray | memoryview):
        given: object = source
        # A view may have gaps.
        return InputStream(io.BytesIO(given.tobytes() if isinstance(given, memoryview) else source))
    if isinstance(source, str | os.PathLike):
        return _open_file("stdin", source, os.O_RDONLY, abi.FD_READ | abi.FD_SEEK | abi.FD_TELL, check)
    if isinstance(source, int):
        return _descriptor("stdin", source, check, writing=False)
    if isinstance(source, io.TextIOBase):
        binary = getattr(source, "buffer", None)
        if binary is None:
            from .text import Pieces

            # A line at a time, so that someone at a keyboard need not type more.
            return InputStream(Pieces(source.readline, source))
        return InputStream(binary)
    if not hasattr(source, "read"):
        from .text import Pieces

        return InputStream(Pieces(source))
    return InputStream(source)  # type: ignore[arg-type]  # a text stream of no such class would be told when it is read


def open_output(number: int, target: Output, check: Check | None) -> Descriptor:
    """Standard output (1) or error (2) from what ``WasiConfig`` was given."""
    if target is None:
        return ProcessStream(number, check, follows=True)
    if isinstance(target, str | os.PathLike):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        rights = abi.FD_WRITE | abi.FD_SEEK | abi.FD_TELL | abi.FD_SYNC | abi.FD_DATASYNC
        return _open_file(_NAMES[number], target, flags, rights, check)
    if isinstance(target, int):
        return _descriptor(_NAMES[number], target, check, writing=True)
    if isinstance(target, io.TextIOBase):
        return _text_output(target)
    if not hasattr(target, "write"):
        from .text import TextWriter

        return OutputStream(TextWriter(target))
    return OutputStream(target)  # type: ignore[arg-type]  # that it takes bytes is seen when it is given some


def _text_output(stream: Any) -> OutputStream:
    """A text stream to write bytes to: to those below it, where it has any."""
    binary = getattr(stream, "buffer", None) if isinstance(stream, io.TextIOBase) else None
    if binary is not None:
        return OutputStream(TextOutput(stream, binary))
    from .text import TextWriter

    return OutputStream(TextWriter(stream.write, stream))


def _descriptor(setting: str, fd: int, check: Check | None, *, writing: bool) -> ProcessStream:
    """A descriptor of the process. The program has a copy of its own, but for those that always mean the same."""
    from fcntl import F_GETFL, fcntl

    try:
        mode = fcntl(fd, F_GETFL) & os.O_ACCMODE
        if mode == (os.O_RDONLY if writing else os.O_WRONLY):
            raise OSError(errno.EBADF, f"not open for {'writing' if writing else 'reading'}")
        if fd <= 2:
            return ProcessStream(fd, check, writing)
        return ProcessStream(os.dup(fd), check, writing, number=fd, owned=True)
    except OSError as error:
        raise OSError(error.errno, f"WasiConfig: {setting}: descriptor {fd}: {error.strerror}") from None


def _open_file(setting: str, path: Path, flags: int, rights: int, check: Check | None) -> HostFile:
    fd = opened(setting, path, flags)
    return HostFile(fd, file_type(os.fstat(fd).st_mode), abi.STREAM_RIGHTS | rights, check=check)


def _type_of(stream: object) -> int:
    return abi.CHARACTER_DEVICE if is_terminal(stream) else abi.UNKNOWN
