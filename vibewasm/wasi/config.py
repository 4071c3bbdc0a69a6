"""``WasiConfig``: what a WASI program is given."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Never, Protocol

    from .memory_dir import Given, MemoryDir

    class Readable(Protocol):
        """A binary file object to read from."""

        def read(self, size: int, /) -> bytes | None: ...

    class Writable(Protocol):
        """A binary file object to write to."""

        def write(self, data: bytes, /) -> int | None: ...

    class TextReadable(Protocol):
        """A text stream to read from."""

        def read(self, size: int, /) -> str: ...

    class TextWritable(Protocol):
        """A text stream to write to."""

        def write(self, text: str, /) -> object: ...

    Text = str | bytes
    Path = str | os.PathLike[str]
    Input = bytes | Path | int | Readable | TextReadable | Callable[[int], bytes | str | None] | None
    Seed = int | str | bytes
    Output = Path | int | Writable | TextWritable | Callable[[str], object] | None


#: A C int.
_LARGEST_DESCRIPTOR = (1 << 31) - 1


class Dir:
    """A directory of the host that a program may use, and how.

    Attributes:
        path: its path.
        read_only: nothing in it can be made, changed or removed; what tries gets the error ``EPERM``. That holds on
            every way to it, also through another directory that the program may change.
        special_files: devices and FIFOs in it may be opened. Otherwise that is ``EACCES``.

    Raises:
        TypeError: ``path`` is no path, one of the others no bool, or there is no parameter of that name.
    """

    __slots__ = ("path", "read_only", "special_files")

    def __init__(self, path: Path, *, read_only: bool = False, special_files: bool = False, **unknown: Never) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Dir", unknown, self.__slots__)
        if not isinstance(path, str | bytes | os.PathLike):
            from ..arguments import wrong

            raise wrong("Dir", "path", "the path of a directory", path)
        for name, value in (("read_only", read_only), ("special_files", special_files)):
            if value is not True and value is not False:
                from ..arguments import wrong

                raise wrong("Dir", name, "True or False", value)
        self.path = os.fspath(path)
        self.read_only = read_only
        self.special_files = special_files

    def _what(self) -> tuple[object, bool, bool]:
        return self.path, self.read_only, self.special_files

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dir):
            return NotImplemented
        return self._what() == other._what()

    def __hash__(self) -> int:
        return hash(self._what())

    def __repr__(self) -> str:
        flags = [f", {name}=True" for name in ("read_only", "special_files") if getattr(self, name)]
        return f"Dir({self.path!r}{''.join(flags)})"


class WasiConfig:
    """Arguments, environment, standard streams and directories of a WASI program.

    Args:
        args: the program's arguments, its own name first, as in C's ``argv``.
        env: environment variables. Nothing of the host's environment is passed on unless ``inherit_env`` is true.
        preopens: directories the program may use: {path that the program sees: directory}. A directory of the host is a
            path or, to have it read-only, a :class:`Dir`. A dict of files or a :class:`MemoryDir` is in memory: what
            the program leaves there is ``config.preopens[path].files``.
        stdin: where the program reads from:

            - ``None``: there is nothing to read, unless ``inherit_stdin`` is true;
            - bytes;
            - a path;
            - a descriptor of the process (an int), which the program gets a copy of;
            - a binary file object, or a text stream, of which the binary ``buffer`` is used, if it has one, and what
              it gives is encoded in UTF-8 if not;
            - a function, called with a number of bytes. It gives as many or fewer, or more, which are kept for the
              next time: bytes, a string, or nothing (``b""``) at the end. :func:`input` itself gives a line.
        stdout: where what the program writes goes to:

            - ``None``: where ``print`` writes to: the process's own standard output, or what stands in ``sys.stdout``
              instead when the program writes: a notebook's cell, or what ``contextlib.redirect_stdout`` has put there;
            - a path of a file to be written anew;
            - a descriptor of the process;
            - a binary file object, such as ``io.BytesIO()``, to be read afterwards, or a text stream, such as
              ``io.StringIO()`` or ``sys.stdout``, with the same rules as for ``stdin``;
            - a function, called with a string: what the program has written, piece by piece as it comes, with its
              line breaks. What it gives back does not matter. :func:`print` itself adds no line breaks.
        stderr: as ``stdout``, with ``sys.stderr``.
        inherit_env: start from the host's environment; ``env`` is added to it and wins.
        inherit_stdin: the program reads the process's own standard input. What one program has read is gone for all
            others, and it may wait for as long as nobody types.
        argv0: the program's own name. ``args`` are then the arguments that follow it.
        clock: ``None`` for the host's clocks. An int is the time, in nanoseconds since 1970, at which each program
            begins. Time passes by one millisecond whenever the program looks at a clock, and by as long as it sleeps,
            which takes no time of the host's: a program is told the same times in every run. A function without
            parameters gives the time of every clock in nanoseconds, such as :func:`time.time_ns`; sleeping then takes
            the host's time.
        random_seed: ``None`` for random bytes from the operating system; an int, a string or bytes for the same ones
            in every run, which are not for keys.

    Raises:
        TypeError: a value has a type that cannot be used.
        ValueError: a string contains a NUL character or cannot be encoded in UTF-8, the name of a variable is empty or
            contains ``=``, an int is no descriptor, or both ``stdin`` and ``inherit_stdin`` are given.
    """

    __slots__ = (
        "args",
        "argv0",
        "clock",
        "env",
        "inherit_stdin",
        "preopens",
        "random_seed",
        "stderr",
        "stdin",
        "stdout",
    )

    def __init__(
        self,
        args: Iterable[Text] = (),
        env: Mapping[str, str] | None = None,
        preopens: Mapping[str, Path | Dir | MemoryDir | Given] | None = None,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        inherit_env: bool = False,
        *,
        inherit_stdin: bool = False,
        argv0: Text | None = None,
        clock: int | Callable[[], int] | None = None,
        random_seed: Seed | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("WasiConfig", unknown, (*self.__slots__, "inherit_env"))
        if isinstance(args, str | bytes) or not hasattr(type(args), "__iter__"):
            raise _wrong("args", "a sequence of strings", args, "such as ['program', 'argument']")
        self.args = tuple(args)
        self.env = dict(os.environ) if inherit_env else {}
        self.env.update(_mapping("env", env, "{'NAME': 'value'}"))
        self.preopens = _mapping("preopens", preopens, "{'/': 'directory'}")
        for seen, directory in self.preopens.items():
            if hasattr(directory, "keys"):
                from .memory_dir import MemoryDir

                self.preopens[seen] = MemoryDir(directory)
        self.stdin = _stream("stdin", stdin, (bytes, bytearray, memoryview), "read")
        if inherit_stdin is not True and inherit_stdin is not False:
            raise _wrong("inherit_stdin", "True or False", inherit_stdin)
        if inherit_stdin and stdin is not None:
            raise ValueError("WasiConfig: stdin and inherit_stdin=True are two inputs: give one of them")
        self.inherit_stdin = inherit_stdin
        self.stdout = _stream("stdout", stdout, (), "write")
        self.stderr = _stream("stderr", stderr, (), "write")
        self.argv0 = argv0
        self.clock = clock if clock is None else _clock(clock)
        self.random_seed = random_seed if random_seed is None else _seed(random_seed)
        # Encoded here only to report a mistake where it was made.
        self.encoded_args()
        self.encoded_env()
        self.encoded_preopens()

    def encoded_args(self) -> list[bytes]:
        """The arguments as the program sees them, without the final NUL."""
        name = [] if self.argv0 is None else [encode(self.argv0, "argv0")]
        return name + [encode(argument, f"args[{i}]") for i, argument in enumerate(self.args)]

    def encoded_env(self) -> list[bytes]:
        """The environment as ``NAME=value`` strings."""
        strings = []
        for name, value in self.env.items():
            encoded = encode(name, "env: the name of a variable")
            if not encoded or b"=" in encoded:
                raise ValueError(f"WasiConfig: env: {name!r} cannot be the name of an environment variable")
            strings.append(encoded + b"=" + encode(value, f"env[{name!r}]"))
        return strings

    def encoded_preopens(self) -> Sequence[tuple[bytes, Dir | MemoryDir]]:
        """Pairs of a directory's name for the program and what it is on the host."""
        pairs: list[tuple[bytes, Dir | MemoryDir]] = []
        for guest, host in self.preopens.items():
            encoded = encode(guest, "preopens: the path that the program sees")
            if isinstance(host, str | bytes | os.PathLike):
                host = Dir(host)  # type: ignore[arg-type]  # a path in bytes is taken too
            elif not isinstance(host, Dir):
                from .memory_dir import MemoryDir

                if not isinstance(host, MemoryDir):
                    expected = "the path of a directory, a Dir, a MemoryDir or a dict of files"
                    raise _wrong(f"preopens[{guest!r}]", expected, host)
            pairs.append((encoded, host))
        return pairs

    def __getstate__(self) -> object:
        # The default's. But protocols 0 and 1 of pickle want a class with slots to say that it means it.
        return object.__getstate__(self)

    def __repr__(self) -> str:
        rare = [name for name in _RARE_SETTINGS if (value := getattr(self, name)) is not None and value is not False]
        settings = (f"{name}={_cut(name, getattr(self, name))}" for name in (*_SETTINGS, *rare))
        return "WasiConfig(" + ", ".join(settings) + ")"


#: The settings, in the order of the parameters, and those that are shown only where they are given.
_SETTINGS = ("args", "env", "preopens", "stdin", "stdout", "stderr")
_RARE_SETTINGS = ("argv0", "inherit_stdin", "clock", "random_seed")


def _cut(name: str, value: object) -> str:
    """A setting as ``repr`` shows it, but not all of a large input, nor what variables hold: it may be the host's."""
    if name == "env" and isinstance(value, dict):
        return f"{{{', '.join([f'{variable!r}: ...' for variable in value])}}}"
    if isinstance(value, bytes | bytearray | memoryview) and len(value) > 40:
        return f"<{type(value).__name__} of length {len(value)}>"
    return repr(value)


def _wrong(setting: str, expected: str, given: object, advice: str = "") -> TypeError:
    from ..arguments import wrong

    return wrong("WasiConfig", setting, expected, given, advice)


def _mapping(setting: str, given: Mapping[str, Any] | None, example: str) -> dict[str, Any]:
    """The items of a dict, or of what has keys and items like one."""
    if given is None:
        return {}
    if not (hasattr(given, "keys") and hasattr(given, "__getitem__")):
        raise _wrong(setting, "a dict", given, f"such as {example}")
    return dict(given)


def _stream(setting: str, given: Any, data: tuple[type, ...], method: str) -> Any:
    """What a standard stream was given, if it is something that one can be made of."""
    if isinstance(given, int) and not isinstance(given, bool):
        if not 0 <= given <= _LARGEST_DESCRIPTOR:
            from ..arguments import number

            advice = "io.BytesIO() keeps what is written" if method == "write" else "b'' is an empty input"
            advice += ", os.devnull is the null device"
            raise ValueError(f"WasiConfig: {setting}: {number(given)} is no file descriptor ({advice})")
        return given
    if given is None or isinstance(given, (str, os.PathLike, *data)):
        return given
    if not isinstance(given, type) and (hasattr(given, method) or callable(given)):
        return given
    what = "None, bytes, a path" if data else "None, a path"
    raise _wrong(setting, f"{what}, a file descriptor, a function or a file object with {method}()", given)


def _clock(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool):
        if not 0 <= given < 1 << 63:
            from ..arguments import number

            raise ValueError(f"WasiConfig: clock has to be from 0 to 2**63-1 nanoseconds, not {number(given)}")
    elif not callable(given) or isinstance(given, type):
        raise _wrong("clock", "nanoseconds since 1970 as an int, or a function that gives them", given)
    return given


def _seed(given: Any) -> Any:
    if not isinstance(given, int | str | bytes) or isinstance(given, bool):
        raise _wrong("random_seed", "an int, a string or bytes", given)
    return given


def opened(setting: str, path: Any, flags: int) -> int:
    """A descriptor of the file or directory that a setting names.

    Raises:
        OSError, ValueError: as opening it does, with the setting in the message.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise OSError(error.errno, f"WasiConfig: {setting}: {error.strerror}", os.fspath(path)) from None
    except ValueError as error:
        raise ValueError(f"WasiConfig: {setting}: {error}: {os.fspath(path)!r}") from None


def encode(text: Text, what: str) -> bytes:
    """The bytes of a string that WASI ends with a NUL, which therefore may not occur in it."""
    if not isinstance(text, str | bytes):
        raise _wrong(what, "a string", text)
    # Strings of WASI are UTF-8 whatever the host's locale; what Python could not decode goes through unchanged.
    try:
        encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"WasiConfig: {what} cannot be encoded in UTF-8: {text!r}") from None
    if b"\0" in encoded:
        raise ValueError(f"WasiConfig: {what} contains a NUL character: {text!r}")
    return encoded
