"""What a WASI program is given: wasmtime-py's way of saying it, where settings can be set and not read."""

from __future__ import annotations

import os
from enum import Enum
from errno import EIO

from ...wasi import abi
from ...wasi.config import Dir
from ...wasi.config import WasiConfig as OurWasiConfig
from ...wasi.streams import ProcessStream
from .config import setter
from .errors import WasmtimeError
from .managed import Managed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import NoReturn

    from ...api.store import Store as OurStore
    from ...wasi.fds import Descriptor
    from ...wasi.process import Process

    CustomOutput = Callable[[bytes], int | None]

_READ, _WRITE = 1, 2
#: No system has a greater number of an error.
_LARGEST_ERROR = 4095


class DirPerms(Enum):
    """What a program may do with a directory: the way of wasmtime-py before version 50."""

    READ_ONLY = _READ
    WRITE_ONLY = _WRITE
    READ_WRITE = _READ | _WRITE


class FilePerms(Enum):
    """What a program may do with the files of a directory: the way of wasmtime-py before version 50."""

    READ_ONLY = _READ
    WRITE_ONLY = _WRITE
    READ_WRITE = _READ | _WRITE


class WasiConfig(Managed):
    """Arguments, environment, standard streams and directories of a WASI program. At first it has none of them: an
    empty standard input, and output that nobody sees. :meth:`Store.set_wasi` takes it away from its owner.
    """

    def __init__(self) -> None:
        self._args: list[bytes] = []
        self._env: list[tuple[bytes, bytes]] = []
        self._preopens: list[tuple[bytes, Dir]] = []
        self._stdin: _File | bytes | None = b""
        self._stdout: _File | _Custom | _Nobody | None = _Nobody()
        self._stderr: _File | _Custom | _Nobody | None = _Nobody()

    def _started(self, store: OurStore) -> Process:
        """The program that it describes; it counts as closed afterwards."""
        self._consume()
        from ...api.linker import charger
        from ...wasi import start

        inherited = self._stdin is None
        config = _Given(stdin=self._stdin, inherit_stdin=inherited, stdout=self._stdout, stderr=self._stderr)
        config.given = (self._args, self._env, self._preopens)
        try:
            process = start(config, store._check_interrupt, charger(store), store._wasi_room())
        except (OSError, ValueError) as error:
            raise WasmtimeError(f"the WASI program cannot be started: {error}") from None
        for number in range(3):
            _as_stream(process.files.get(number))
        return process

    @setter
    def argv(self, argv: list[str]) -> None:
        """The program's arguments, its own name first. They are added to those that there are."""
        given = [_c_string(argument) for argument in argv]
        self._check_open()
        self._args += given

    def inherit_argv(self) -> None:
        """Add the arguments of this process, the interpreter's own included, to those that there are."""
        import sys

        self._check_open()
        self._args += [os.fsencode(argument) for argument in sys.orig_argv]

    @setter
    def env(self, pairs: Iterable[Iterable[str]]) -> None:
        """Environment variables, as pairs of name and value. They are added to those that there are."""
        given = [(_c_string(name), _c_string(value)) for name, value in pairs]
        self._check_open()
        self._env += given

    def inherit_env(self) -> None:
        """Add the variables of this process to those that there are."""
        self._check_open()
        self._env += [(name, value) for name, value in os.environb.items()]

    @setter
    def stdin_file(self, path: str | bytes | PathLike[str]) -> None:
        """A file to read standard input from.

        Raises:
            WasmtimeError: it cannot be opened.
        """
        self._stdin = self._opened("stdin", path, os.O_RDONLY)

    def inherit_stdin(self) -> None:
        """Standard input is that of this process."""
        self._check_open()
        self._stdin = None

    @setter
    def stdout_file(self, path: str) -> None:
        """A file to write standard output to, which is made or emptied.

        Raises:
            WasmtimeError: it cannot be opened.
        """
        self._stdout = self._opened("stdout", path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    @setter
    def stdout_custom(self, callback: CustomOutput) -> None:
        """A function that gets what the program writes to standard output. It gives the number of bytes that it has
        taken, or ``None`` for all of them. A negative ``errno`` is an error for the program, and so is an exception,
        which is printed.
        """
        self._check_open()
        self._stdout = _Custom(callback)

    def inherit_stdout(self) -> None:
        """Standard output is that of this process."""
        self._check_open()
        self._stdout = None

    @setter
    def stderr_file(self, path: str) -> None:
        """A file to write standard error to, which is made or emptied.

        Raises:
            WasmtimeError: it cannot be opened.
        """
        self._stderr = self._opened("stderr", path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    @setter
    def stderr_custom(self, callback: CustomOutput) -> None:
        """A function that gets what the program writes to standard error, as :attr:`stdout_custom`."""
        self._check_open()
        self._stderr = _Custom(callback)

    def inherit_stderr(self) -> None:
        """Standard error is that of this process."""
        self._check_open()
        self._stderr = None

    def _opened(self, stream: str, path: str | bytes | PathLike[str], flags: int) -> _File:
        # What is no path has no such method, here as in wasmtime-py.
        name = path if isinstance(path, (str, bytes)) else path.__fspath__()
        self._check_open()
        try:
            return _File(os.open(name, flags | os.O_CLOEXEC, 0o666))
        except OSError:
            raise WasmtimeError(f"failed to set {stream} file") from None

    def preopen_dir(
        self,
        path: str,
        guest_path: str,
        fs_mutable: bool | DirPerms = True,
        file_perms: FilePerms | None = None,
        *,
        dir_perms: DirPerms | None = None,
    ) -> None:
        """Let the program use a directory of the host.

        Args:
            path: the directory.
            guest_path: the path that the program sees.
            fs_mutable: whether the program may change anything in it.
            dir_perms, file_perms: the same in the way of versions before 50. Only both read-only and both
                read-and-write are obeyed; ``dir_perms`` may also come in the place of ``fs_mutable``.

        Raises:
            WasmtimeError: there is no such directory, or the permissions are of another kind.
        """
        host = os.path.abspath(path.encode("utf-8", "surrogateescape"))
        guest = guest_path.encode("utf-8", "surrogateescape")
        if isinstance(fs_mutable, DirPerms):
            dir_perms = fs_mutable
        if dir_perms is not None or file_perms is not None:
            fs_mutable = _mutable(
                DirPerms.READ_WRITE if dir_perms is None else dir_perms,
                FilePerms.READ_WRITE if file_perms is None else file_perms,
            )
        self._check_open()
        try:
            os.close(os.open(host, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except (OSError, ValueError):
            raise WasmtimeError("failed to add preopen dir") from None
        self._preopens.append((guest, Dir(os.fsdecode(host), read_only=not fs_mutable)))


def _as_stream(stream: Descriptor) -> None:
    """Let a standard stream be what it is with wasmtime: a terminal, or something unknown that cannot be moved in.

    What is inherited is the process's own, wherever ``sys.stdout`` leads.
    """
    if isinstance(stream, ProcessStream):
        stream.follows = False
    stream.rights &= ~(abi.FD_SEEK | abi.FD_TELL)
    fd = stream.fileno()
    if fd is None or not os.isatty(fd):
        stream.file_type = abi.UNKNOWN


def _mutable(directory: object, files: object) -> bool:
    if not isinstance(directory, DirPerms) or not isinstance(files, FilePerms):
        raise AttributeError("dir_perms has to be one of DirPerms, and file_perms one of FilePerms")
    kinds = {directory.name, files.name}
    if kinds == {"READ_WRITE"}:
        return True
    if kinds == {"READ_ONLY"}:
        return False
    raise WasmtimeError(
        f"DirPerms.{directory.name} with FilePerms.{files.name} is not supported by vibewasm: a directory is "
        "READ_ONLY or READ_WRITE with all that is in it"
    )


def _c_string(text: str) -> bytes:
    """The bytes of a string as C takes it: what comes after a NUL is lost."""
    return text.encode("utf-8", "surrogateescape").partition(b"\0")[0]


class _Given(OurWasiConfig):
    """Our configuration, with what it does not take: variables and directories may occur twice, in an order."""

    __slots__ = ("given",)

    given: tuple[list[bytes], list[tuple[bytes, bytes]], list[tuple[bytes, Dir]]]

    def encoded_args(self) -> list[bytes]:
        return self.given[0] if hasattr(self, "given") else []

    def encoded_env(self) -> list[bytes]:
        return [name + b"=" + value for name, value in self.given[1]] if hasattr(self, "given") else []

    def encoded_preopens(self) -> list[tuple[bytes, Dir]]:
        return self.given[2] if hasattr(self, "given") else []


class _File:
    """A file that is open since it was named."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __reduce__(self) -> NoReturn:
        # A copy would close the descriptor a second time, and in another process it is another one.
        raise TypeError("a WasiConfig with files cannot be copied or pickled, because they are open")

    def read(self, size: int) -> bytes:
        return os.read(self._fd, size)

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._fd)


class _Nobody:
    """Who takes what nobody wants to see."""

    def write(self, data: bytes) -> int:
        return len(data)


class _Custom:
    """A Python function as a stream."""

    def __init__(self, callback: CustomOutput) -> None:
        self._callback = callback

    def write(self, data: bytes) -> int:
        """Call the function until it has taken everything."""
        left = data
        while left:
            try:
                taken = self._callback(left)
                if taken is None:
                    break
                if not isinstance(taken, int):
                    raise TypeError(f"it has to give a number of bytes or None, not {type(taken).__name__}")
                if taken > len(left):
                    raise ValueError(f"it says that it took {taken} bytes of {len(left)}")
            except Exception as error:
                # It must not reach the program, whose own code called this; wasmtime-py prints it, too.
                print("failed custom output, required to catch exception:", error)
                raise OSError(EIO, os.strerror(EIO)) from None
            if taken <= 0:
                # A negative number says which error it is.
                number = -taken or EIO
                if number > _LARGEST_ERROR:
                    number = EIO
                raise OSError(number, os.strerror(number))
            left = left[taken:]
        return len(data)
