"""The process of a run, as its parent sees it: a fresh interpreter, pipes, limits, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from .errors import SandboxCrash, SandboxError, SandboxLimit
from .outcome import Resources
from .pipes import Output, Pipes
from .report import MOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What the interpreter runs: a module of this package, told where its parent has written and wants to read.
_BEGIN = (
    "import sys; sys.path.append(sys.argv[1]); __import__(sys.argv[2], fromlist=['main']).main(*map(int, sys.argv[3:]))"
)
#: No environment, no site-packages, no user's folder, no bytecode written, UTF-8 whatever the locale.
_OPTIONS = ("-I", "-S", "-B", "-X", "utf8")
#: What the interpreter itself may need to be found and started.
_VARIABLES = ("LD_LIBRARY_PATH", "VIBEWASM_CPU", "TMPDIR")

#: Seconds between two looks at a process, where the kernel cannot say when one ends; and where it can, since a selector
#: waits for 24 days at most.
_LOOK, _LONG = 0.02, 3600.0

_SIGNALS = {
    signal.SIGSYS: "it made a system call that no run makes",
    signal.SIGKILL: "somebody else has killed it, as the system does where memory is short",
    signal.SIGSEGV: "a fault that is no trap",
    signal.SIGBUS: "a fault that is no trap",
    signal.SIGILL: "a fault that is no trap",
    signal.SIGFPE: "a fault that is no trap",
}


class Ended:
    """How a process ended.

    Attributes:
        lines: what it has reported.
        output: what it has written to standard output and error, where nobody else got it.
        limit: the limit that it was killed for.
        status: its exit code, or the negative number of a signal.
        resources: what it has used.
    """

    __slots__ = ("limit", "lines", "output", "resources", "status")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.output: tuple[bytes, bytes] = b"", b""
        self.limit: SandboxLimit | None = None
        self.status = 0
        self.resources = Resources(0.0, 0.0, 0.0, 0)

    def crash(self) -> SandboxCrash:
        """What to raise of it."""
        if self.status < 0:
            number = -self.status
            try:
                name = signal.Signals(number).name
                why = f": {_SIGNALS[signal.Signals(number)]}" if number in _SIGNALS else ""
            except ValueError:
                name, why = f"signal {number}", ""
            return SandboxCrash(f"the process of the run was ended by {name}{why}", signal=number)
        return SandboxCrash(
            f"the process of the run exited with code {self.status} and gave no answer; what it wrote to "
            "standard error may say why",
            exit_code=self.status,
        )


def run(
    entry: str,
    job: bytes,
    *,
    stdin: bytes | int,
    sinks: tuple[Any, Any],
    until: float | None,
    seconds: float | None,
    max_output: int | None,
    python: str | os.PathLike[str] | None = None,
) -> Ended:
    """Run a module's ``main(job, report, parent)`` in a process of its own, and wait for its end.

    Args:
        entry: the module.
        job: what it can read from the descriptor ``job``.
        stdin: a descriptor that it gets as standard input, or what it is to read there.
        sinks: for standard output and error each a descriptor, a function that is called with what was written, or
            ``None``: it is kept.
        until: when the process is killed, in seconds of ``time.monotonic``.
        seconds: the same, as it was asked for.
        max_output: how many bytes it may write to each of both, where they are not descriptors.
        python: the interpreter; ``None`` for this one.

    Raises:
        SandboxError: there is no process.
    """
    begun = time.monotonic()
    ended = Ended()
    pipes = Pipes()
    report = Output("it reported", MOST, None)
    outputs = [None if isinstance(sink, int) else Output("the program wrote", max_output, sink) for sink in sinks]
    process: subprocess.Popen[bytes] | None = None
    try:
        job_fd, report_fd = pipes.feed(job), pipes.collect(report)
        streams = [stdin if isinstance(stdin, int) else pipes.feed(stdin)]
        streams += [
            sink if output is None else pipes.collect(output) for sink, output in zip(sinks, outputs, strict=True)
        ]
        numbers = [str(number) for number in (job_fd, report_fd, os.getpid())]
        command = [_interpreter(python), *_OPTIONS, "-c", _BEGIN, _root(), entry, *numbers]
        try:
            process = subprocess.Popen(
                command,
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                pass_fds=(job_fd, report_fd),
                env={name: os.environ[name] for name in _VARIABLES if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"the process of the run cannot be started: {error}") from error
        pipes.begin(process.pid)
        ended.limit = _serve(pipes, process, until, seconds)
    finally:
        try:
            if process is not None:
                _end(ended, process)
        finally:
            pipes.close()
    ended.resources.seconds = time.monotonic() - begun
    ended.lines = bytes(report.data).split(b"\n")
    # What comes after the last line's end is nothing, if the process has written what it has to.
    if ended.lines.pop() and ended.status == 0:
        ended.lines.clear()
    stdout, stderr = [b"" if output is None else bytes(output.data) for output in outputs]
    ended.output = stdout, stderr
    return ended


def _serve(
    pipes: Pipes, process: subprocess.Popen[bytes], until: float | None, seconds: float | None
) -> SandboxLimit | None:
    """Write and read until the process has ended and all is read, or return the limit that it has to be killed for."""
    pause = _LONG if pipes.watches else _LOOK
    over = False
    while True:
        left = None if until is None else until - time.monotonic()
        if not over and left is not None and left <= 0:
            from ..counting import counted

            assert seconds is not None
            return SandboxLimit(f"stopped after {counted(seconds, 'second', 'g')}", "timeout")
        came = pipes.turn(0 if over else pause if left is None else min(pause, left))
        if pipes.limit is not None:
            return pipes.limit
        if over and not came:
            return None
        over = over or (pipes.ended if pipes.watches else _is_over(process))


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    # Not reaped yet, so that what it has used can still be asked for.
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _end(ended: Ended, process: subprocess.Popen[bytes]) -> None:
    """Kill the process, and whatever it has started, and say how it ended."""
    try:
        # Its session is its own, and so is the group, until it is waited for.
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended
    try:
        _, status, used = os.wait4(process.pid, 0)
    except ChildProcessError:
        process.returncode = 0
        raise SandboxError(
            "somebody else has waited for the process of the run: a handler of SIGCHLD here takes all children"
        ) from None
    process.returncode = ended.status = os.waitstatus_to_exitcode(status)
    ended.resources = Resources(0.0, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)
    if ended.limit is None and ended.status == -signal.SIGXCPU:
        ended.limit = SandboxLimit("the process has used up its processor time", "processor")


def _interpreter(python: str | os.PathLike[str] | None) -> str:
    if python is not None:
        return os.fspath(python)
    if getattr(sys, "frozen", False) or not sys.executable:
        raise SandboxError(
            "sys.executable is no Python here, where programs are frozen or embed it: name one (python=PATH)"
        )
    return sys.executable


def _root() -> str:
    """Where this package is found: a folder, or an archive."""
    import vibewasm

    file: str | None = getattr(vibewasm, "__file__", None)
    if not file:
        raise SandboxError("this package is in no folder and no archive, so another process cannot load it")
    return os.path.dirname(os.path.dirname(os.path.abspath(file)))
