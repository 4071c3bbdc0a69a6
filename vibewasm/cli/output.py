"""Writing the file that a command makes.

A file is written aside, in the folder where it will be, and moved into place when all of it is there: what breaks off
leaves the old file as it was, and nothing new. What is no regular file (a pipe, a terminal, ``/dev/null``) is written
directly. No command writes over what it reads.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal is made of; it is there from the start
import errno
import os
import stat
import sys

from vibewasm.names import escaped

from .options import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import BinaryIO, TextIO

#: As many links as Linux follows for one path (path_resolution(7)).
_MOST_LINKS = 40


def write_bytes(path: str | None, data: bytes, source: str) -> None:
    """Make the file at ``path`` (``-`` or ``None``: standard output) hold ``data``.

    ``source`` is the path of what the command reads (``-``: standard input).

    Raises:
        CommandError: it cannot be written, or is what the command reads.
    """
    _write(path, lambda file: file.write(data), source)


def write_text(path: str | None, produce: Callable[[TextIO], None], source: str) -> None:
    """Make the file at ``path`` hold what ``produce`` writes, in UTF-8; standard output (``-`` or ``None``) has its own
    encoding.

    ``source`` is the path of what the command reads (``-``: standard input).

    Raises:
        CommandError: it cannot be written, or is what the command reads.
    """
    if path is None or path == "-":
        _check_standard_output(source)
        produce(sys.stdout)
        return

    def encoded(file: BinaryIO) -> None:
        import io

        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            produce(text)
        finally:
            # Flushed here, where a full disk can be told of, and not closed: that is for who has opened the file.
            text.detach()

    _write(path, encoded, source)


def binary_target(given: str | None, source: str, suffix: str) -> str:
    """Where a command writes a binary file, to be asked before anything is read.

    Args:
        given: what ``--output`` says.
        source: the path of what the command reads (``-``: standard input, and then standard output is the default).
        suffix: the end of the file's name in place of the source's, where nothing is given.

    Raises:
        CommandError: that is a terminal, which would show what is no text, or do what it means to a terminal.
    """
    target = given
    if target is None:
        target = "-" if source == "-" else os.path.splitext(source)[0] + suffix
    if _is_terminal(target):
        where = "standard output is a terminal" if target == "-" else f"{escaped(target)} is a terminal"
        raise CommandError(
            f"{where}, and a binary file is not written to one; name a file with --output FILE, "
            "or send standard output to a file or a pipe"
        )
    return target


def _is_terminal(path: str) -> bool:
    if path == "-":
        return sys.stdout is not None and sys.stdout.isatty()
    try:
        if not stat.S_ISCHR(os.stat(path).st_mode):
            return False
        opened = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False  # whoever writes says what is wrong
    try:
        return os.isatty(opened)
    finally:
        os.close(opened)


def _write(path: str | None, produce: Callable[[BinaryIO], object], source: str) -> None:
    if path is None or path == "-":
        _check_standard_output(source)
        sys.stdout.flush()
        produce(sys.stdout.buffer)
        return
    try:
        _check_folder(path)
        descriptor = _own_descriptor(path)
        there = _status(path)
        if there is not None:
            _check_not_source(there, path, source)
        if descriptor is not None:
            # Not opened anew: that would go over what has been written through it, and is refused for sockets.
            with open(os.dup(descriptor), "wb") as file:
                produce(file)
        elif there is not None and not stat.S_ISREG(there.st_mode):
            with open(path, "wb") as file:
                produce(file)
        else:
            _replace(path, there, produce)
    except (OSError, ValueError) as error:  # ValueError: what no encoding has
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot write {escaped(path)}: {reason}") from error


def _replace(path: str, there: os.stat_result | None, produce: Callable[[BinaryIO], object]) -> None:
    """Write a regular file aside and move it into place."""
    target = os.path.realpath(path)
    if there is not None and not os.access(target, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, "Permission denied")
    aside = os.path.join(os.path.dirname(target), f".vibewasm-{os.urandom(12).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    dropped = _Interruptions()
    try:
        try:
            opened = os.open(aside, flags, 0o666)
        except PermissionError as error:
            advice = "its folder takes no new files; with --output - standard output can be sent there"
            raise CommandError(f"cannot write {escaped(path)}: {advice}") from error
        with open(opened, "wb") as file:
            if there is not None:
                _keep_mode(opened, there)
            produce(file)
        dropped.check()
        os.replace(aside, target)
    except BaseException:
        # Also for Ctrl-C, wherever it comes: the name was known before there was a file.
        try:
            _remove(aside)
        except KeyboardInterrupt:
            # A second one, which came just here.
            _remove(aside)
        raise
    finally:
        dropped.end()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it was never made, or is in place already


class _Interruptions:
    """Whether Ctrl-C came, even where Python drops the exception that it raises: in finalisers and callbacks of weak
    references, such as that which importlib has of each module that is being imported.
    """

    def __init__(self) -> None:
        self._came = False
        self._set = False
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            try:
                _signal.signal(_signal.SIGINT, self._note)
                self._set = True
            except ValueError:
                pass  # not the main thread, where no signal is handled

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if one was raised that is not on its way."""
        if self._came:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Let Ctrl-C do what it did before."""
        if self._set:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _keep_mode(opened: int, there: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one that it replaces."""
    mine = os.fstat(opened)
    if (mine.st_uid, mine.st_gid) != (there.st_uid, there.st_gid):
        try:
            os.fchown(opened, there.st_uid, there.st_gid)
        except PermissionError:
            pass  # only root may give files away; whoever may write in the folder owns what he puts there
    os.fchmod(opened, stat.S_IMODE(there.st_mode))


def _check_folder(path: str) -> None:
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path has no NUL character")
    folder, name = os.path.split(path)
    if not name:
        if folder:
            raise IsADirectoryError(errno.EISDIR, "it names a folder, not a file")
        raise FileNotFoundError(errno.ENOENT, "the name is empty")
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {escaped(folder)}")


def _status(path: str) -> os.stat_result | None:
    """What is at a path, links followed; ``None`` if nothing is."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    return there


def _own_descriptor(path: str) -> int | None:
    """The number of the open file of this process that a path such as ``/dev/stdout`` means, or ``None``."""
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if os.path.realpath(folder) == f"/proc/{os.getpid()}/fd" and name.isascii() and name.isdigit():
            return int(name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def _check_standard_output(source: str) -> None:
    if sys.stdout is None:
        raise CommandError("there is no standard output to write to; name a file with --output")
    try:
        there = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return  # a replacement in memory
    _check_not_source(there, "standard output", source)


def _check_not_source(there: os.stat_result, path: str, source: str) -> None:
    """Refuse to write over the file that is read, under whatever name."""
    if not stat.S_ISREG(there.st_mode):
        return
    try:
        read = os.fstat(sys.stdin.fileno()) if source == "-" else os.stat(source)
    except (OSError, ValueError, AttributeError):
        return  # no file: gone since it was read, or standard input replaced or closed
    if os.path.samestat(there, read):
        what = "standard input" if source == "-" else escaped(source)
        # Said only where it is another name of the same file.
        also = f" ({what})" if path != source else ""
        raise CommandError(
            f"{escaped(path)} is the file that is read{also}; "
            "name another with --output FILE, or write to standard output with --output -"
        )


__all__ = ["binary_target", "write_bytes", "write_text"]
