"""wasmtime-py's exceptions other than traps, and what our own become."""

from __future__ import annotations

from ...errors import Interrupted, WasmError
from .managed import Managed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Codes with which wasmtime lets a program exit: from 0 to below this.
_EXIT_CODES = 126


class WasmtimeError(Exception, Managed):
    """Whatever goes wrong other than a trap. Its text is what ``str`` gives."""

    def __init__(self, message: str) -> None:
        # A message that is no str is an error here, and not only where it is shown.
        message.encode("utf-8", "surrogatepass")
        super().__init__(message)
        self._message = message

    def __str__(self) -> str:
        return self._message


class ExitTrap(WasmtimeError):
    """The program ended itself with WASI's ``proc_exit``.

    Attributes:
        code: the exit code.
    """

    code: int


def translated(error: WasmError) -> Exception:
    """The exception of wasmtime-py for one of ours. One that a Python function raised is left to pass as it is."""
    from ...api.exception import WasmException
    from ...traps import ExitTrap as OurExitTrap
    from ...traps import Trap as OurTrap
    from .traps import Trap, TrapCode

    if isinstance(error, OurTrap):
        return Trap._of(error)
    if isinstance(error, WasmException):
        return Trap._thrown(error.frames)
    if isinstance(error, Interrupted):
        return Trap._made("wasm trap: interrupt", TrapCode.INTERRUPT)
    if isinstance(error, OurExitTrap):
        if not 0 <= error.code < _EXIT_CODES:
            return WasmtimeError(f"exit with invalid exit status outside of [0..{_EXIT_CODES})")
        exit_trap = ExitTrap(f"Exited with i32 exit status {error.code}")
        exit_trap.code = error.code
        return exit_trap
    return WasmtimeError(str(error))


def attempt(operation: Callable[..., Any], *arguments: Any) -> Any:
    """What an operation of our own API returns.

    Raises:
        WasmtimeError, Trap: it has raised what that is here.
    """
    try:
        return operation(*arguments)
    except WasmError as error:
        raise translated(error) from None


def unsupported(what: str) -> WasmtimeError:
    """The error for a feature that the engine does not have."""
    return WasmtimeError(f"{what} is not supported by vibewasm yet; see docs/wasmtime.md")
