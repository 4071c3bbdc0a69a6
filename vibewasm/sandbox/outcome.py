"""What comes back of a run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..errors import WasmError


class Resources:
    """What the process of a run has used, as the system says.

    Attributes:
        seconds: from its start to its end.
        user_seconds, system_seconds: processor time.
        max_resident: the most memory that was there at a time, in bytes; Python itself is some 20 MB of it. The kernel
            counts from before the interpreter begins, when the process has what the calling one has: it is no less.
    """

    __slots__ = ("max_resident", "seconds", "system_seconds", "user_seconds")

    def __init__(self, seconds: float, user_seconds: float, system_seconds: float, max_resident: int) -> None:
        self.seconds = seconds
        self.user_seconds = user_seconds
        self.system_seconds = system_seconds
        self.max_resident = max_resident

    def __repr__(self) -> str:
        return (
            f"Resources(seconds={self.seconds:.3f}, user_seconds={self.user_seconds:.3f}, "
            f"system_seconds={self.system_seconds:.3f}, max_resident={self.max_resident})"
        )


class Outcome:
    """What came of a run.

    ``results``, ``exit_code`` and ``error`` are what the process said. Whoever took it over could say anything, so they
    are worth as much as the guest's output; all else is seen from outside.

    Attributes:
        results: what the function returned, if one was called: ints, floats, and ``None`` for null.
        exit_code: the program's own: 0 if it came to its end. ``None`` where it did not, and where a function was
            called.
        error: why it did not come to its end: a :class:`~vibewasm.Trap` with its frames, an error of the module, or
            :class:`~vibewasm.sandbox.SandboxLimit`; ``None`` where it did.
        stdout, stderr: what the program wrote, where nobody else got it.
        limits: the names of limits that were reached, as ``"timeout"``, ``"fuel"``, ``"output"``.
        resources: what the process has used.
        missing: by name, why a mechanism was not in force; empty where all were.
    """

    __slots__ = ("error", "exit_code", "limits", "missing", "resources", "results", "stderr", "stdout")

    def __init__(
        self,
        *,
        results: tuple[Any, ...] = (),
        exit_code: int | None = None,
        error: WasmError | None = None,
        stdout: bytes = b"",
        stderr: bytes = b"",
        limits: tuple[str, ...] = (),
        resources: Resources,
        missing: dict[str, str],
    ) -> None:
        self.results = results
        self.exit_code = exit_code
        self.error = error
        self.stdout = stdout
        self.stderr = stderr
        self.limits = limits
        self.resources = resources
        self.missing = missing

    def check(self) -> Outcome:
        """This, if the run came to its end.

        Raises:
            WasmError: ``error``, if it did not.
        """
        if self.error is not None:
            raise self.error
        return self

    def __repr__(self) -> str:
        parts = [f"results={self.results!r}"] if self.results else []
        parts += [f"exit_code={self.exit_code}"] if self.exit_code is not None else []
        parts += [f"error={self.error!r}"] if self.error is not None else []
        parts += [f"{name}=<{len(data)} bytes>" for name in ("stdout", "stderr") if (data := getattr(self, name))]
        parts += [f"limits={self.limits!r}"] if self.limits else []
        parts += [f"missing={sorted(self.missing)!r}"] if self.missing else []
        return f"Outcome({', '.join(parts)})"
