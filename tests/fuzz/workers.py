"""Finds things in child processes, so that a crash or hang of the engine is a finding, not the end."""

from __future__ import annotations

import math
import os
import pickle
import resource
import selectors
import signal
import struct
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Generic, Protocol, TypeVar

# Seconds without a result after which a worker counts as hanging. The longest call is stopped after 5.
HANG_SECONDS = 30.0
# A worker that gets no processor time is waited for so many times as long.
_PATIENCE = 20
# A worker ends after so many numbers, and with it what the engines have kept; a new one takes over.
NUMBERS_PER_WORKER = 4000
# Writable memory that a worker may have. Reservations do not count.
WORKER_BYTES = 4 << 30

#: More numbers than any campaign comes to.
UNLIMITED = 1 << 40

_LENGTH = struct.Struct("<I")


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


F = TypeVar("F", bound=_Numbered)
Q = TypeVar("Q")
A = TypeVar("A")


class _Worker(Generic[F]):
    """A child process that finds for the numbers `first`, `first + step`, …, below `stop`."""

    def __init__(self, find_one: Callable[[int], F], first: int, stop: int, step: int) -> None:
        self.step = step
        self.next = first
        self.heard = time.monotonic()
        self.used = 0.0
        self.buffer = b""
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            _work(find_one, range(first, stop, step)[:NUMBERS_PER_WORKER], writer)
        os.close(writer)

    def findings(self) -> list[F] | None:
        """What has arrived since the last time; None when the worker has ended."""
        data = os.read(self.reader, 1 << 16)
        if not data:
            return None
        self.heard = time.monotonic()
        self.used = _seconds_used(self.pid)
        self.buffer += data
        out: list[F] = []
        while len(self.buffer) >= 4:
            (length,) = _LENGTH.unpack_from(self.buffer)
            if len(self.buffer) < 4 + length:
                break
            finding: F = pickle.loads(self.buffer[4 : 4 + length])
            self.buffer = self.buffer[4 + length :]
            self.next = finding.number + self.step
            out.append(finding)
        return out

    def hangs(self) -> bool:
        """Whether it works on one number for ever, or for ever does nothing. One that gets no time does not hang."""
        silent = time.monotonic() - self.heard
        if silent < HANG_SECONDS:
            return False
        return _seconds_used(self.pid) - self.used > HANG_SECONDS / 2 or silent > _PATIENCE * HANG_SECONDS

    def end(self, kill: bool) -> int:
        """Waits for the process, after killing it if `kill`; returns its wait status."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.reader)
        return os.waitpid(self.pid, 0)[1]


def find_all(
    start: Callable[[], Callable[[int], F]], dead: Callable[[int, str], F], indices: range, jobs: int
) -> Generator[F, None, None]:
    """What is found for each of `indices`, in no particular order.

    `start` is called in each worker and gives what finds. `dead` makes the finding
    of a number at which a worker died or hung.
    """

    def worker(first: int) -> _Worker[F]:
        finder: list[Callable[[int], F]] = []

        def find_one(index: int) -> F:
            if not finder:  # made in the child: engines do not go through a fork
                finder.append(start())
            return finder[0](index)

        return _Worker(find_one, first, indices.stop, jobs)

    workers = [worker(indices.start + job) for job in range(jobs) if indices.start + job < indices.stop]
    try:
        while workers:
            with selectors.DefaultSelector() as selector:
                for one in workers:
                    selector.register(one.reader, selectors.EVENT_READ, one)
                ready = {key.data for key, _ in selector.select(1.0)}
            for one in list(workers):
                problem = None
                if one in ready:
                    findings = one.findings()
                    if findings is not None:
                        yield from findings
                        continue
                    problem = _death(one.end(kill=False))
                elif one.hangs():
                    one.end(kill=True)
                    problem = f"hang: no result after {HANG_SECONDS:.0f} s"
                else:
                    continue
                workers.remove(one)
                first = one.next
                if problem:
                    yield dead(first, problem)
                    first += jobs
                if first < indices.stop:
                    workers.append(worker(first))
    finally:
        for one in workers:
            one.end(kill=True)


def for_minutes(findings: Iterator[F], minutes: float | None) -> Iterator[F]:
    """What is found in so many minutes, or all of it."""
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    for finding in findings:
        yield finding
        if time.monotonic() > end:
            break


def in_child(action: Callable[[], F], seconds: float = HANG_SECONDS) -> F | str:
    """What `action` finds, run in a child process; or how that died, or that it hung."""
    worker = _Worker(lambda _: action(), 0, 1, 1)
    with selectors.DefaultSelector() as selector:
        selector.register(worker.reader, selectors.EVENT_READ)
        deadline = time.monotonic() + seconds
        while selector.select(max(0.0, deadline - time.monotonic())):
            findings = worker.findings()
            if findings is None:
                return _death(worker.end(kill=False)) or "no result"
            if findings:
                worker.end(kill=True)
                return findings[0]
    worker.end(kill=True)
    return f"hang: no result after {seconds:.0f} s"


def _work(find_one: Callable[[int], _Numbered], indices: range, writer: int) -> None:
    """Finds and writes findings; ends the process without cleaning up after its parent."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (WORKER_BYTES, WORKER_BYTES))
        for index in indices:
            data = pickle.dumps(find_one(index))
            os.write(writer, _LENGTH.pack(len(data)) + data)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _seconds_used(pid: int) -> float:
    """Processor time of a process, from the 14th and 15th field of its `stat` (proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _death(status: int) -> str | None:
    if os.WIFSIGNALED(status):
        return f"crash: {signal.Signals(os.WTERMSIG(status)).name}"
    code = os.waitstatus_to_exitcode(status)
    return f"crash: exit code {code}" if code else None


class Asked(Generic[Q, A]):
    """A child process that answers one question after another; a new one takes its place when it dies.

    `start` is called in the child and gives what answers.
    """

    def __init__(self, start: Callable[[], Callable[[Q], A]]) -> None:
        self._start = start
        self._pid = 0
        self._to = self._from = -1

    def ask(self, question: Q, seconds: float = HANG_SECONDS) -> A | str:
        """The answer; or how the child died of it, or that it hung."""
        if not self._pid:
            self._fork()
        _send(self._to, question)
        answer = b""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                data = os.read(self._from, 1 << 16)
                if not data:
                    return _death(self._end(kill=False)) or "no result"
                answer += data
                if len(answer) >= 4 and len(answer) - 4 == _LENGTH.unpack_from(answer)[0]:
                    found: A = pickle.loads(answer[4:])
                    return found
        self._end(kill=True)
        return f"hang: no result after {seconds:.0f} s"

    def close(self) -> None:
        """Ends the child."""
        if self._pid:
            self._end(kill=True)

    def _fork(self) -> None:
        child_from, self._to = os.pipe()
        self._from, child_to = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._to)
            os.close(self._from)
            _answer(self._start, child_from, child_to)
        os.close(child_from)
        os.close(child_to)

    def _end(self, kill: bool) -> int:
        if kill:
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._to)
        os.close(self._from)
        pid, self._pid = self._pid, 0
        return os.waitpid(pid, 0)[1]


def _send(writer: int, item: object) -> None:
    data = pickle.dumps(item)
    left = memoryview(_LENGTH.pack(len(data)) + data)
    while left:
        left = left[os.write(writer, left) :]


def _answer(start: Callable[[], Callable[[Q], A]], reader: int, writer: int) -> None:
    """Answers until the questions end; ends the process without cleaning up after its parent."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = start()
        with open(reader, "rb") as questions:
            while length := questions.read(4):
                _send(writer, answer(pickle.loads(questions.read(_LENGTH.unpack(length)[0]))))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
