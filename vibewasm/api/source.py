"""What a module is made from. The one place outside ``wat`` that knows about the text format.

A :data:`Source` is one of these, for :class:`~vibewasm.Module`, its ``validate``, and :func:`vibewasm.instantiate`:

* what is like bytes (``bytes``, ``bytearray``, ``memoryview``, ``array.array``, ``mmap.mmap`` and so on): a binary
  module if it starts with the four bytes ``\\0asm``, text if it begins like text;
* an ``os.PathLike`` object, such as ``pathlib.Path``: the path of a file, which holds a binary module or text;
* a ``str`` that begins like text: text;
* any other ``str``: the path of a file, if there is a regular file of that name, and else an error.

Text begins, after a byte order mark, white space and comments, with a parenthesis. A file is taken for text if its name
ends in ``.wat``, or if its first parenthesis is followed by a keyword that a module or one of its fields begins with.

A ``str`` from somewhere else could name a file of this machine. ``Module.from_text`` takes text and opens nothing, and
``Module.from_file`` takes a path and nothing else. Files are regular files: a directory, a device, a socket or a FIFO
is refused before it is opened. What a file that is no module contains is never part of a message, only what kind of
file it looks like, and its first four bytes.
"""

from __future__ import annotations

import os

from ..errors import DecodeError
from ..reading import HEAD, whole
from ..types import MAGIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from typing_extensions import Buffer

    from ..limits import ResourceLimits

    #: What :class:`~vibewasm.Module` takes.
    Source = Buffer | str | os.PathLike[str]

_TEXT_STARTS = (b"(", b";;")
#: What white space is in the text format, and the byte order mark that editors put before it.
_SPACE = b" \t\r\n"
_MARK = "\ufeff".encode()
#: Words that a module or a field of one begins with (specification, "Text Format / Modules").
_KEYWORDS = frozenset(
    b"component data elem export func global import memory module rec start table tag type".split(),
)
#: Characters that are shown of a path that leads to no file: it may be no path at all.
_LONGEST = 80


def read(source: Source) -> bytes:
    """The bytes of the binary module that ``source`` names or is; identifiers of a text become names of the module.

    Raises:
        TypeError: it is none of the things above.
        OSError: there is no such file, it is no regular file, or it cannot be read.
        WatError: it is text, and malformed.
        DecodeError: it is something else that is no module.
    """
    if isinstance(source, str):
        if begins_like_text(source):
            return from_text(source)
        return _from_path(source, "there is no file of that name, and it does not begin like the text of a module")
    if hasattr(type(source), "__fspath__"):
        return from_file(source)  # type: ignore[arg-type]  # looked at above
    data = _buffer(source)
    if data is None:
        _refuse("a module is made from", "bytes, a path or text", source)
    if data[:4] == MAGIC or len(data) < 4:
        return data
    if is_text(data):
        return from_text(data)
    from ..lookalikes import describe

    raise DecodeError(f"magic header not detected: {describe(data)}", 0)


def raw(source: Source) -> bytes:
    """The bytes that ``source`` names or is, unless it is text as a ``str``; what they are is left to whoever reads
    them.

    Raises:
        TypeError: it is none of the things above.
        OSError: there is no such file, it is no regular file, or it cannot be read.
    """
    if isinstance(source, str):
        return _contents(source, "there is no file of that name, and it does not begin like the text of a module")
    if hasattr(type(source), "__fspath__"):
        return _contents(os.fsdecode(source), "there is no such file")  # type: ignore[arg-type]  # looked at above
    data = _buffer(source)
    if data is None:
        _refuse("a module is made from", "bytes, a path or text", source)
    return data


def begins_like_text(source: str) -> bool:
    """Whether a ``str`` is meant as the text of a module, and not as a path."""
    return source.removeprefix("\ufeff").lstrip(" \t\r\n").startswith(("(", ";;"))


def is_text(data: bytes, path: str = "") -> bool:
    """Whether bytes that begin no binary module are text of one, by how they begin or by their file's name."""
    return data.removeprefix(_MARK).lstrip(_SPACE).startswith(_TEXT_STARTS) or path.endswith(".wat")


def from_text(text: Buffer | str) -> bytes:
    """The binary module of a text.

    Raises:
        TypeError: it is neither a ``str`` nor like bytes.
        WatError: it is malformed.
    """
    if isinstance(text, str):
        return _assemble(text.removeprefix("\ufeff"))
    data = None if hasattr(type(text), "__fspath__") else _buffer(text)
    if data is None:
        _refuse("Module.from_text takes", "text: a str or UTF-8 bytes", text)
    if data[:4] == MAGIC:
        raise TypeError(
            "Module.from_text takes text, and these bytes are a binary module: Module(engine, data) takes both"
        )
    return _assemble(data.removeprefix(_MARK))


def from_file(path: str | os.PathLike[str]) -> bytes:
    """The binary module that a file holds as such or as text.

    Raises:
        TypeError: it is no path.
        OSError, WatError, DecodeError: as :func:`read` does.
    """
    if not isinstance(path, str) and not hasattr(type(path), "__fspath__"):
        _refuse("Module.from_file takes", "a path: a str or an os.PathLike", path)
    return _from_path(os.fsdecode(path), "there is no such file")


def from_precompiled(data: Buffer) -> bytes:
    """The bytes of a precompiled module, which may be none.

    Raises:
        TypeError: ``data`` is not like bytes.
    """
    found = None if isinstance(data, str) or hasattr(type(data), "__fspath__") else _buffer(data)
    if found is None:
        _refuse("Module.deserialize takes", "what Module.serialize gave (deserialize_file takes a path)", data)
    return found


def from_precompiled_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file that may hold a precompiled module, or the first of one that does not.

    Raises:
        TypeError: it is no path.
        OSError: there is no such file, it is no regular file, or it cannot be read.
    """
    if not isinstance(path, str) and not hasattr(type(path), "__fspath__"):
        _refuse("Module.deserialize_file takes", "a path: a str or an os.PathLike", path)
    from ..lookalikes import CODE_MAGIC

    return _contents(os.fsdecode(path), "there is no such file", lambda head, path: head.startswith(CODE_MAGIC))


def _refuse(what: str, expected: str, given: object) -> NoReturn:
    from ..arguments import shown

    advice = ""
    if hasattr(given, "read"):
        advice = ": read() it first"
    elif type(given).__name__ == "Module":
        advice = ": it is one already"
    elif isinstance(given, (bytes, bytearray)):
        advice = ": os.fsdecode makes a path of bytes"
    raise TypeError(f"{what} {expected}, not {shown(given)}{advice}")


def _buffer(source: object) -> bytes | None:
    """The bytes of what is like bytes, in the order in which a copy has them."""
    if type(source) is bytes:
        return source
    try:
        view = memoryview(source)  # type: ignore[arg-type]  # what is not bytes-like raises TypeError: that is the check
    except TypeError:
        return None
    with view:
        return view.tobytes()


def check_source(limits: ResourceLimits, source: object, *, path: bool = False) -> None:
    """Before it is read or parsed: see that a source is not larger than a module may be.

    What is none, and files that are not there, are left for whoever reads it.

    Args:
        path: it is the path of a file, whatever it looks like.

    Raises:
        ValidationError: it is larger.
    """
    if limits.max_module_size is None:
        return
    size = 0
    if hasattr(type(source), "__fspath__") or (isinstance(source, str) and (path or not begins_like_text(source))):
        try:
            size = os.stat(source).st_size  # type: ignore[arg-type]  # a path, as has been looked at
        except (OSError, TypeError, ValueError):
            return
    elif isinstance(source, str):
        # Characters, of which each has a byte or more.
        size = len(source)
    else:
        try:
            with memoryview(source) as view:  # type: ignore[arg-type]  # as in _buffer
                size = view.nbytes
        except TypeError:
            return
    from ..limits import check_size

    check_size(limits, size)


# -- files -------------------------------------------------------------------------------------------------------------


def _from_path(path: str, missing: str) -> bytes:
    data = _contents(path, missing)
    if data[:4] == MAGIC:
        return data
    if path.endswith(".wat") or _first_word(data) in _KEYWORDS:
        return _assemble(data.removeprefix(_MARK), path)
    if len(data) < 4:
        # The decoder says that it is cut off.
        return data
    if is_text(data):
        kind = "it is text that begins with no module and no field of one (a file named .wat is always read as text)"
    else:
        from ..lookalikes import describe

        kind = describe(data)
    from ..names import escaped  # only what goes wrong needs it

    raise DecodeError(f"magic header not detected: {escaped(path)}: {kind}", 0)


def _may_be_module(head: bytes, path: str) -> bool:
    return head[:4] == MAGIC or path.endswith(".wat") or _first_word(head, cut=True) in (None, *_KEYWORDS)


def _contents(path: str, missing: str, wanted: Callable[[bytes, str], bool] = _may_be_module) -> bytes:
    """All of a file whose beginning is wanted, or the beginning of another one."""
    from stat import S_ISREG

    try:
        # Looked at before it is opened, since opening a device can do things.
        status = os.stat(path)
        if not S_ISREG(status.st_mode):
            _refuse_kind(status.st_mode, path)
        # It may be another one by now: with this flag, even a FIFO is opened at once.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        # ValueError: a NUL character, or half a surrogate pair.
        raise _missing(missing, path) from (None if isinstance(error, OSError) else error)
    except OSError as error:
        import errno

        if error.errno == errno.ENAMETOOLONG:
            raise _missing(missing, path) from None
        error.filename = _short(path)
        raise
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            _refuse_kind(status.st_mode, path)
        try:
            head = os.read(descriptor, HEAD)
            # What is no module is not read to its end, which may be far.
            if wanted(head, path):
                os.lseek(descriptor, 0, os.SEEK_SET)
                return whole(lambda size: os.read(descriptor, size), path, status.st_size)
            return head
        except OSError as error:
            error.filename = path
            raise
    finally:
        os.close(descriptor)


def _missing(missing: str, path: str) -> OSError:
    import errno

    return FileNotFoundError(errno.ENOENT, missing, _short(path))


def _short(path: str) -> str:
    return path if len(path) <= _LONGEST else path[: _LONGEST - 3] + "..."


def _refuse_kind(mode: int, path: str) -> NoReturn:
    import errno
    import stat

    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "this is a directory: name the module's file in it", path)
    kinds = (
        (stat.S_ISFIFO, "a FIFO or pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for is_one, name in kinds if is_one(mode)), "something else")
    message = f"a module is read from a regular file, and this is {kind}: read it yourself, and pass the bytes"
    raise OSError(errno.EINVAL, message, path)


# -- text --------------------------------------------------------------------------------------------------------------


def _first_word(data: bytes, cut: bool = False) -> bytes | None:
    """The word after the first parenthesis, if nothing but space and comments comes before it; empty if something else
    does.

    ``None`` where the data ends before it is known; if it was cut, that may be in the middle of the word.
    """
    import re

    space = re.compile(rb"[ \t\r\n]*+")
    at = len(_MARK) if data.startswith(_MARK) else 0
    opened = False
    while True:
        found = space.match(data, at)
        assert found is not None
        at = found.end()
        if data.startswith(b";;", at):
            end = data.find(b"\n", at)
            if end < 0:
                return None
            at = end
        elif data.startswith(b"(;", at):
            at = _comment_end(data, at)
            if at < 0:
                return None
        elif data.startswith(b"(", at) and not opened:
            opened = True
            at += 1
        else:
            break
    if not opened and at < len(data):
        return b""
    word = re.compile(rb"[a-z]{0,16}").match(data, at)
    assert word is not None
    return None if word.end() == len(data) and (cut or not word[0]) else word[0]


def _comment_end(data: bytes, at: int) -> int:
    """Where a block comment ends, which may hold others; -1 where the data ends before it."""
    depth = 0
    closing = -1
    while True:
        if closing < at:
            closing = data.find(b";)", at)
            if closing < 0:
                return -1
        opening = data.find(b"(;", at, closing)
        if opening >= 0:
            depth += 1
            at = opening + 2
        else:
            depth -= 1
            at = closing + 2
            if not depth:
                return at


def _assemble(text: str | bytes, path: str = "") -> bytes:
    # Imported only here: binary modules should not pay for it.
    from ..wat import wat2wasm
    from ..wat.errors import WatError

    try:
        return wat2wasm(text, names=True)
    except WatError as error:
        if path:
            from ..names import escaped

            error.add_note(f"in {escaped(path)}")
        raise
