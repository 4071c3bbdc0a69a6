"""Reading the FILE of a command line, and saying what it is where it is no WebAssembly module."""

from __future__ import annotations

import os
import sys

from vibewasm.errors import Interrupted, deadlines_here
from vibewasm.lookalikes import CODE_MAGIC, describe
from vibewasm.names import escaped, hint
from vibewasm.reading import HEAD, whole
from vibewasm.types import MAGIC

from .options import CommandError, in_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from .timed import PatientFile

#: Bytes of a file that take longer to read than a thread to start.
_LARGE = 4 << 20


def load(path: str, precompiled: bool = False) -> bytes:
    """The bytes of the module at ``path`` (``-``: standard input), which may be text, or with ``precompiled`` of a
    precompiled one. Raises :class:`CommandError`.
    """
    return module_of(read(path), path, precompiled)


def module_of(data: bytes, path: str, precompiled: bool = False) -> bytes:
    """As :func:`load`, of a file that was read already."""
    name = shown(path)
    if data[:4] == MAGIC or (precompiled and data.startswith(CODE_MAGIC)):
        return data
    from vibewasm.api.source import is_text

    # More is taken for text than from Python, where a stranger's string could name a file whose contents are not to be
    # told: who names a file on the command line may be shown what is wrong in it.
    if not is_text(data, path):
        raise CommandError(f"{name} is not a WebAssembly module: {describe(data)}")
    return assemble(data, name, names=True)


def load_ahead(path: str, precompiled: bool, hashed: bool) -> Callable[[], bytes]:
    """As :func:`load`, but another thread may read a large file, and what this returns waits for it.

    Args:
        hashed: the module will be looked up in the code cache: load what takes part in that meanwhile.
    """
    try:
        # Whatever file is called "-", standard input is read here: the interpreter cannot end while a thread reads it.
        size = 0 if path == "-" else os.stat(path).st_size
    except (OSError, ValueError):
        size = 0  # standard input, or what reading will find out
    if size < _LARGE or _is_timed():
        data = load(path, precompiled)
        return lambda: data
    from vibewasm.background import begin

    wait = begin(lambda: load(path, precompiled))
    if hashed:
        from vibewasm.cache.key import load_digest

        load_digest(size)
    return wait


def shown(path: str) -> str:
    """How messages name the file at ``path``."""
    return "standard input" if path == "-" else escaped(path)


def assemble(text: bytes, name: str, *, names: bool) -> bytes:
    """The binary module of a text; ``name`` is what to call it in the :class:`CommandError` of a bad one."""
    from vibewasm.errors import WasmError
    from vibewasm.wat import wat2wasm

    try:
        # Editors may put a byte order mark first.
        return wat2wasm(text.removeprefix("\ufeff".encode()), names=names)
    except WasmError as error:
        raise refused(name, error) from error


def refused(name: str, error: Exception) -> CommandError:
    """What to raise of a file that the engine refuses; ``name`` is what to call it. Raises what stops the engine."""
    if isinstance(error, Interrupted):
        raise error
    feature = getattr(error, "feature", None)
    advice = ""
    if feature is not None:
        from vibewasm.proposals import advice_without

        advice = f"\n{advice_without(feature)}"
    return CommandError(f"{name}: {in_options(error)}{advice}")


def read(path: str, *, text: bool = False) -> bytes:
    """The contents of the file at ``path`` (``-``: standard input), which may be a pipe or a device too.

    Where the beginning shows that this is neither a module nor a precompiled one nor text, that is all that is read: it
    may have no end.

    Args:
        text: whatever is text is wanted, and not only what begins like the text of a module.

    Raises:
        CommandError: it cannot be read, or has more bytes than a module may have.
    """
    try:
        if _is_timed():
            from .timed import PatientFile

            with PatientFile(path) as patient:
                return _contents(patient, "" if path == "-" else path, text)
        if path != "-":
            with open(path, "rb") as file:
                return _contents(file, path, text)
        if sys.stdin is None:
            raise CommandError("there is no standard input to read; name a file")
        return _contents(sys.stdin.buffer, "", text)
    except FileNotFoundError:
        raise CommandError(_missing(path)) from None
    except IsADirectoryError:
        raise CommandError(f"{shown(path)} is a directory; name the .wasm file in it{_modules_in(path)}") from None
    except MemoryError:
        raise CommandError(f"cannot read {shown(path)}: there is not enough memory for all of it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path, or standard input is closed
        raise CommandError(f"cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}") from None


def _is_timed() -> bool:
    """Whether reading may take so long and no longer."""
    return bool(deadlines_here and deadlines_here[0]())


def _contents(file: BinaryIO | PatientFile, path: str, text: bool) -> bytes:
    head: bytes | None = file.read(HEAD)
    if head is None:
        raise ValueError("it has nothing to read yet, and whoever opened it has asked not to wait (O_NONBLOCK)")
    if len(head) < HEAD:
        # That was all. A terminal would have to be told a second time.
        return head
    wanted = head[:4] == MAGIC or head.startswith(CODE_MAGIC) or _is_text(head, path) or not head.strip()
    if not wanted and not (text and _begins_text(head)):
        return head
    size = _size(file)
    if size and file.seekable():
        file.seek(0)
        head = b""
    return whole(file.read, path, size, head)


def _is_text(head: bytes, path: str) -> bool:
    from vibewasm.api.source import is_text

    return is_text(head, path)


def _size(file: BinaryIO | PatientFile) -> int:
    """How many bytes a file has; 0 where nobody knows before the end."""
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:
        return 0  # standard input is replaced by something in memory


def _begins_text(head: bytes) -> bool:
    """Whether the beginning of a file is that of a text, as most devices' is not."""
    import codecs

    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    # No text of a module begins with this. Later it may occur, in a comment.
    return not head.startswith(b"\0")


def _missing(path: str) -> str:
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"no such file: {shown(path)} (there is no folder {escaped(folder)})"
    try:
        there = os.listdir(folder or ".")
    except OSError:
        there = []
    return f"no such file: {shown(path)}{hint(name, there)}"


def _modules_in(folder: str) -> str:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".wasm"))
    except OSError:
        return ""
    if not names:
        return " (there is none)"
    shown = ", ".join(map(escaped, names[:5])) + (", ..." if len(names) > 5 else "")
    return f": {shown}"
