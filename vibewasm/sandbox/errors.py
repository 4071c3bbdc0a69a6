"""What goes wrong with the process of a run."""

from __future__ import annotations

from ..errors import WasmError, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .outcome import Outcome


class SandboxError(WasmError):
    """The run was not begun: its process could not be made, or not be locked down as it was asked for.

    Attributes:
        message: what is missing, and what to do about it.
        missing: by name, why a mechanism that was required is not in force.
    """

    def __init__(self, message: str, missing: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.missing = dict(missing or {})
        self.args = (message, self.missing)


class SandboxCrash(WasmError):
    """The process of a run ended by a signal, or without an answer, which no guest brings about unless there is a bug.
    Do not believe what it said before.

    Attributes:
        message: how it ended.
        signal: the number of the signal that ended it, or ``None``.
        exit_code: what it exited with, or ``None`` where a signal ended it.
        outcome: what there is of it all the same: output until then, and resources used.
    """

    def __init__(
        self,
        message: str,
        signal: int | None = None,
        exit_code: int | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__(message)
        check(self, "signal", signal, int, optional=True)
        check(self, "exit_code", exit_code, int, optional=True)
        self.args = (message, signal, exit_code, outcome)
        self.signal = signal
        self.exit_code = exit_code
        self.outcome = outcome


class SandboxLimit(WasmError):
    """The run was ended because it went beyond a limit of its process.

    Attributes:
        message: which, and how much was allowed.
        limit: ``"timeout"``, ``"processor"``, ``"output"`` or ``"memory"``.
    """

    limit: str

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        check(self, "limit", limit, str)
        self.args = (message, limit)
        self.limit = limit


class SandboxWarning(UserWarning):
    """A mechanism is not in force that nobody has required."""
