"""Runs a script in a child process, so that a crash or a hang of the engine is a failure with a line number."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import signal
import struct
import time
from collections.abc import Callable

from tests.spec.runner import Adapter, Failure, Outcome, run_script
from tests.spec.suite import Script


def run_isolated(script: Script, make_adapter: Callable[[], Adapter], timeout: float) -> Outcome:
    """Runs `script` in a forked child; a child that dies or takes `timeout` seconds fails all its assertions."""
    line_cell = mmap.mmap(-1, mmap.PAGESIZE)  # shared with the child: the line of the command that it runs
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(script, make_adapter, line_cell, writer)
    os.close(writer)
    try:
        data, timed_out = _read_all(reader, time.monotonic() + timeout)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):  # it has ended when nothing went wrong
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if data and not timed_out:
        result = pickle.loads(data)
        if isinstance(result, Outcome):
            return result
        what = str(result)
    elif timed_out:
        what = f"no end after {timeout:.0f} s"
    else:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        what = f"the process died: {signal.Signals(number).name if number else f'status {status}'}"
    (line,) = struct.unpack_from("<I", line_cell)
    outcome = Outcome()
    outcome.failed = script.assertions
    outcome.failures.append(Failure(line, "the script as a whole", "an end", what))
    return outcome


def _child(script: Script, make_adapter: Callable[[], Adapter], line_cell: mmap.mmap, writer: int) -> None:
    """Runs the script, writes the outcome and ends the process without cleaning up after its parent."""

    def progress(line: int) -> None:
        struct.pack_into("<I", line_cell, 0, line)

    status = 1
    try:
        try:
            result: object = run_script(script.text(), make_adapter(), progress)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        with os.fdopen(writer, "wb") as stream:
            stream.write(pickle.dumps(result))
        status = 0
    finally:
        os._exit(status)


def _read_all(reader: int, deadline: float) -> tuple[bytes, bool]:
    """What the child wrote, and whether the deadline came first."""
    chunks: list[bytes] = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b"", True
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
