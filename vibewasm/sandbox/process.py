"""The process of a run, as its parent sees it: a fresh interpreter, pipes, limits, and its end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time

from .errors import SandboxCrash, SandboxError, SandboxLimit
from .outcome import Resources
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

#: Bytes of a pipe that are read or written at once.
_PIECE = 1 << 16
#: Seconds between two looks at a process, where the kernel cannot say when one ends.
_LOOK = 0.02

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
            f"the process of the run exited with code {self.status} and gave no answer", exit_code=self.status
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
    python: str | None = None,
    reports: bool = True,
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
    inner, outer = _Ends(), _Ends()
    selector = selectors.DefaultSelector()
    process: subprocess.Popen[bytes] | None = None
    try:
        job_end = inner.pipe(outer, reading=True)
        report_end = inner.pipe(outer, reading=False)
        job_fd, report_fd = inner.ends
        streams: list[int] = []
        feeds: dict[int, memoryview] = {job_end: memoryview(job)}
        if isinstance(stdin, int):
            streams.append(stdin)
        else:
            feeds[inner.pipe(outer, reading=True)] = memoryview(stdin)
            streams.append(inner.ends[-1])
        kept: dict[int, bytearray] = {report_end: bytearray()}
        order: list[int] = []
        calls: dict[int, Any] = {}
        for sink in sinks:
            if isinstance(sink, int):
                streams.append(sink)
                order.append(-1)
                continue
            mine = inner.pipe(outer, reading=False)
            streams.append(inner.ends[-1])
            kept[mine] = bytearray()
            order.append(mine)
            if sink is not None:
                calls[mine] = sink
        command = [
            _interpreter(python),
            *_OPTIONS,
            "-c",
            _BEGIN,
            _root(),
            entry,
            str(job_fd),
            str(report_fd),
            str(os.getpid()),
        ]
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
        inner.close()
        for end in feeds:
            os.set_blocking(end, False)
            selector.register(end, selectors.EVENT_WRITE)
        for end in kept:
            os.set_blocking(end, False)
            selector.register(end, selectors.EVENT_READ)
        gone = _pidfd(process.pid, outer)
        if gone >= 0:
            selector.register(gone, selectors.EVENT_READ)
        _serve(ended, process, selector, outer, feeds, kept, calls, gone, report_end, until, seconds, max_output)
    finally:
        try:
            if process is not None:
                _end(ended, process)
        finally:
            selector.close()
            inner.close()
            outer.close()
    ended.resources.seconds = time.monotonic() - begun
    ended.lines = bytes(kept[report_end]).split(b"\n")
    # What comes after the last line's end is nothing, if the process has written what it has to.
    if ended.lines.pop() and reports and ended.status == 0:
        ended.lines.clear()
    ended.output = tuple(bytes(kept[end]) if end in kept and end not in calls else b"" for end in order)  # type: ignore[assignment]
    return ended


def _serve(
    ended: Ended,
    process: subprocess.Popen[bytes],
    selector: selectors.BaseSelector,
    outer: _Ends,
    feeds: dict[int, memoryview],
    kept: dict[int, bytearray],
    calls: dict[int, Any],
    gone: int,
    report: int,
    until: float | None,
    seconds: float | None,
    max_output: int | None,
) -> None:
    """Write and read, until the process has ended and all is read, or it has to be killed."""
    counts = dict.fromkeys(kept, 0)
    over = False
    while True:
        left = None if until is None else until - time.monotonic()
        if not over and left is not None and left <= 0:
            from ..counting import counted

            assert seconds is not None
            ended.limit = SandboxLimit(f"stopped after {counted(seconds, 'second', 'g')}", "timeout")
            return
        wait = left if gone >= 0 else min(_LOOK, left if left is not None else _LOOK)
        ready = selector.select(0 if over else wait)
        for key, _ in ready:
            end = key.fd
            if end == gone:
                continue
            if end in feeds:
                try:
                    feeds[end] = feeds[end][os.write(end, feeds[end][:_PIECE]) :] if feeds[end] else feeds[end]
                except BlockingIOError:
                    continue
                except OSError:
                    feeds[end] = memoryview(b"")  # it does not read any more
                if not feeds[end]:
                    selector.unregister(end)
                    outer.close_one(end)
                continue
            try:
                piece = os.read(end, _PIECE)
            except BlockingIOError:
                continue
            if not piece:
                selector.unregister(end)
                continue
            counts[end] += len(piece)
            most = MOST if end == report else max_output
            if most is not None and counts[end] > most:
                piece = piece[: most - counts[end]]
                ended.limit = SandboxLimit(
                    f"the program wrote more than {most} bytes"
                    if end != report
                    else f"it reported more than {most} bytes",
                    "output",
                )
            if end in calls:
                calls[end](piece)
            else:
                kept[end] += piece
            if ended.limit is not None:
                return
        if over and not any(key.fd in kept for key, _ in ready):
            return
        over = over or _is_over(process, gone, ready)


def _is_over(process: subprocess.Popen[bytes], gone: int, ready: list[Any]) -> bool:
    if gone >= 0:
        return any(key.fd == gone for key, _ in ready)
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


class _Ends:
    """Descriptors of pipes that are closed together."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        self.ends: list[int] = []

    def pipe(self, other: _Ends, reading: bool) -> int:
        """Make a pipe of which one end, for reading or writing, is here; give the other one, which is in ``other``."""
        ends = os.pipe()
        here, there = ends if reading else ends[::-1]
        self.ends.append(here)
        other.ends.append(there)
        return there

    def close_one(self, end: int) -> None:
        self.ends.remove(end)
        os.close(end)

    def close(self) -> None:
        while self.ends:
            os.close(self.ends.pop())


def _pidfd(process: int, ends: _Ends) -> int:
    """A descriptor that says when a process has ended; -1 where the kernel has none (before Linux 5.3)."""
    try:
        found = os.pidfd_open(process)
    except (OSError, AttributeError):
        return -1
    ends.ends.append(found)
    return found


def _interpreter(python: str | None) -> str:
    if python is not None:
        return python
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
