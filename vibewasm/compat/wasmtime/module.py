"""Modules."""

from __future__ import annotations

from ...api.module import Module as OurModule
from ...types import MAGIC
from .engine import Engine
from .errors import WasmtimeError, attempt
from .managed import Managed, Wrapper
from .text import to_wasm
from .types import ExportType, ImportType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike


def _check_magic(data: bytes | bytearray) -> None:
    """Refuse what our own API would take for text."""
    if data[:4] != MAGIC:
        raise WasmtimeError("magic header not detected: the bytes are no binary module")


def _allowed(engine: Engine, module: OurModule) -> OurModule:
    """The module, unless it uses what the engine's settings turn off."""
    if engine._off:
        from .vectors import refuse

        refuse(module.info, engine._off)
    return module


class Module(Managed, Wrapper[OurModule]):
    """A module, in binary form or as text. Its functions are checked and compiled when they are first called;
    :meth:`validate` checks all of them.
    """

    def __init__(self, engine: Engine, wasm: str | bytes) -> None:
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        data = to_wasm(wasm)
        _check_magic(data)
        self._ours = _allowed(engine, attempt(OurModule, engine._given(), data))

    def _given(self) -> OurModule:
        self._check_open()
        return self._ours

    @classmethod
    def from_file(cls, engine: Engine, path: str | bytes | PathLike[str]) -> Module:
        """The module in a file.

        Raises:
            OSError: the file cannot be read.
            WasmtimeError: it is no module.
        """
        with open(path, "rb") as file:
            contents = file.read()
        return cls(engine, contents)

    @classmethod
    def deserialize(cls, engine: Engine, encoded: bytes | bytearray) -> Module:
        """What :meth:`serialize` of this engine has made, which is trusted as a native program is.

        Raises:
            WasmtimeError: it is no such thing, or was made by another version or with other settings.
        """
        if not isinstance(encoded, (bytes, bytearray)):
            raise TypeError("expected bytes")
        return cls._of(_allowed(engine, attempt(OurModule.deserialize, engine._given(), encoded)))

    @classmethod
    def deserialize_file(cls, engine: Engine, path: str) -> Module:
        """As :meth:`deserialize`, from a file."""
        path.encode("utf-8", "surrogateescape")
        try:
            return cls._of(_allowed(engine, attempt(OurModule.deserialize_file, engine._given(), path)))
        except OSError as error:
            raise WasmtimeError(
                f"failed to open file\n\nCaused by:\n    {error.strerror} (os error {error.errno})\n"
            ) from None

    @classmethod
    def validate(cls, engine: Engine, wasm: bytes | bytearray) -> None:
        """Check all of a module in binary form, function bodies included.

        Raises:
            WasmtimeError: it is invalid.
        """
        if not isinstance(wasm, (bytes, bytearray)):
            raise TypeError("expected wasm bytes")
        ours = engine._given()
        _check_magic(wasm)
        attempt(OurModule.validate, ours, bytes(wasm))
        if engine._off:
            _allowed(engine, attempt(OurModule, ours, bytes(wasm)))

    @property
    def imports(self) -> list[ImportType]:
        """What it imports."""
        return [ImportType._of(item) for item in self._given().imports]

    @property
    def exports(self) -> list[ExportType]:
        """What it exports."""
        return [ExportType._of(item) for item in self._given().exports]

    def serialize(self) -> bytearray:
        """The module with machine code of all its functions, for :meth:`deserialize`."""
        return bytearray(attempt(self._given().serialize))
