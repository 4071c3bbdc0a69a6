"""``--timeout``: a command that may take so long, from before its file is read. Loaded only where it is given."""

from __future__ import annotations

import os
import sys

from vibewasm.api.deadline import deadline
from vibewasm.errors import Interrupted, guest_work
from vibewasm.wasi.waiting import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Arguments, Command

#: As coreutils' ``timeout`` has it, so that a script can tell "took too long" from "trapped".
EXIT_TIMEOUT = 124
#: Bytes of a file that are read at once.
_PIECE = 1 << 24


def run_timed(command: Command, arguments: Arguments, seconds: float) -> int:
    """Run a command that may take so many seconds; gives its exit code."""
    try:
        with deadline(seconds):
            if command.program:
                # Programs are stopped by what runs them.
                return command.action(arguments)
            return guest_work(None, f"in vibewasm {command.name}", command.action, arguments)
    except Interrupted as error:
        return say_stopped(error, arguments.operands[0], seconds)


def say_stopped(error: Interrupted, path: str, seconds: float) -> int:
    """Say that something took too long; gives the exit code."""
    from vibewasm.counting import counted

    from .wasmfile import shown

    while_ = f", while {error._doing}" if error._doing and not error._doing.startswith("in ") else ""
    print(
        f"vibewasm: {shown(path)}: stopped after {counted(seconds, 'second', 'g')} (--timeout){while_}", file=sys.stderr
    )
    return EXIT_TIMEOUT


def _nothing() -> None:
    pass


def _check() -> None:
    guest_work(None, "reading the module", _nothing)


class PatientFile:
    """A file for reading from a descriptor, which asks meanwhile whether that may go on: a FIFO, or standard input, may
    keep one waiting for ever. :class:`Interrupted` comes out of its methods.
    """

    def __init__(self, path: str) -> None:
        self._owned = path != "-"
        #: The reading end of a FIFO is there at once, and then waits for whoever writes.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY) if self._owned else 0

    def __enter__(self) -> PatientFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self._owned:
            os.close(self._fd)

    def read(self, size: int) -> bytes:
        """So many bytes, or all that are left."""
        pieces = []
        while size:
            wait(self._fd, _check, writing=False)
            try:
                piece = os.read(self._fd, min(size, _PIECE))
            except BlockingIOError:
                # Somebody else has read it.
                continue
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
            _check()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._fd

    def seekable(self) -> bool:
        """Whether it can be read from its beginning again."""
        try:
            os.lseek(self._fd, 0, os.SEEK_CUR)
        except OSError:
            return False
        return True

    def seek(self, position: int) -> int:
        """Go on reading there."""
        return os.lseek(self._fd, position, os.SEEK_SET)
