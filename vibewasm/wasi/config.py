"""``WasiConfig``: what a WASI program is given."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Never, Protocol

    class Readable(Protocol):
        """A binary file object to read from."""

        def read(self, size: int, /) -> bytes | None: ...

    class Writable(Protocol):
        """A binary file object to write to."""

        def write(self, data: bytes, /) -> int | None: ...

    Text = str | bytes
    Path = str | os.PathLike[str]


class WasiConfig:
    """Arguments, environment, standard streams and directories of a WASI program.

    Args:
        args: the program's arguments, its own name first, as in C's ``argv``.
        env: environment variables. Nothing of the host's environment is passed on unless ``inherit_env`` is true.
        preopens: directories the program may use: {path that the program sees: directory of the host}.
        stdin: ``None`` for the process's own standard input, bytes to be read, a path, or a binary file object.
        stdout: ``None`` for the process's own standard output, a path of a file to be written anew, or a file object
            with a binary ``write``. Of a text stream such as ``sys.stdout`` its binary ``buffer`` is used.
        stderr: as ``stdout``.
        inherit_env: start from the host's environment; ``env`` is added to it and wins.

    Raises:
        TypeError: a value has a type that cannot be used.
        ValueError: a string contains a NUL character, or the name of a variable is empty or contains ``=``.
    """

    __slots__ = ("args", "env", "preopens", "stderr", "stdin", "stdout")

    def __init__(
        self,
        args: Iterable[Text] = (),
        env: Mapping[str, str] | None = None,
        preopens: Mapping[str, Path] | None = None,
        stdin: bytes | Path | Readable | None = None,
        stdout: Path | Writable | None = None,
        stderr: Path | Writable | None = None,
        inherit_env: bool = False,
        **unknown: Never,
    ) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("WasiConfig", unknown, (*self.__slots__, "inherit_env"))
        if isinstance(args, str | bytes):
            raise TypeError("args must be a sequence of strings, not one string")
        self.args = tuple(args)
        self.env = dict(os.environ) if inherit_env else {}
        self.env.update(env or {})
        self.preopens = dict(preopens or {})
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        # Encoded here only to report a mistake where it was made.
        self.encoded_args()
        self.encoded_env()
        self.encoded_preopens()

    def encoded_args(self) -> list[bytes]:
        """The arguments as the program sees them, without the final NUL."""
        return [encode(argument, "an argument") for argument in self.args]

    def encoded_env(self) -> list[bytes]:
        """The environment as ``NAME=value`` strings."""
        strings = []
        for name, value in self.env.items():
            if not name or "=" in name:
                raise ValueError(f"{name!r} cannot be the name of an environment variable")
            strings.append(
                encode(name, "the name of a variable") + b"=" + encode(value, f"the environment variable {name}")
            )
        return strings

    def encoded_preopens(self) -> list[tuple[bytes, str]]:
        """Pairs of a directory's name for the program and its path on the host."""
        return [(encode(guest, "a preopened path"), os.fspath(host)) for guest, host in self.preopens.items()]


def encode(text: Text, what: str) -> bytes:
    """The bytes of a string that WASI ends with a NUL, which therefore may not occur in it."""
    if not isinstance(text, str | bytes):
        raise TypeError(f"{what} must be a string, not {type(text).__name__}")
    # Strings of WASI are UTF-8 whatever the host's locale; what Python could not decode goes through unchanged.
    encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError(f"{what} contains a NUL character: {text!r}")
    return encoded
