"""Judges many mutants in child processes, so that a crash or hang of the engine is a finding, not the end."""

from __future__ import annotations

import os
import pickle
import resource
import selectors
import signal
import struct
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from random import Random
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from tests.fuzz.corpus import Corpus
from tests.fuzz.judge import Judge, Verdict
from tests.fuzz.make import Made, make

# Seconds without a result after which a worker counts as hanging. The longest call is stopped after 5.
HANG_SECONDS = 30.0
# A worker ends after so many mutants, and with it what the engines have kept; a new one takes over.
MUTANTS_PER_WORKER = 4000
# Writable memory that a worker may have. Reservations do not count.
WORKER_BYTES = 4 << 30

_LENGTH = struct.Struct("<I")


class Finding(NamedTuple):
    """What came of mutant `number`: a verdict, or a `problem` of the engine.

    A problem is how the process died, that it hung, or an exception that is no `WasmError`.
    """

    number: int
    source: str
    kinds: tuple[str, ...]
    verdict: Verdict | None
    problem: str | None = None


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


F = TypeVar("F", bound=_Numbered)


class _Worker(Generic[F]):
    """A child process that judges mutants `first`, `first + step`, …, below `stop`."""

    def __init__(self, judge_one: Callable[[int], F], first: int, stop: int, step: int) -> None:
        self.step = step
        self.next = first
        self.heard = time.monotonic()
        self.buffer = b""
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            _work(judge_one, range(first, stop, step)[:MUTANTS_PER_WORKER], writer)
        os.close(writer)

    def findings(self) -> list[F] | None:
        """What has arrived since the last time; None when the worker has ended."""
        data = os.read(self.reader, 1 << 16)
        if not data:
            return None
        self.heard = time.monotonic()
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

    def end(self, kill: bool) -> int:
        """Waits for the process, after killing it if `kill`; returns its wait status."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.reader)
        return os.waitpid(self.pid, 0)[1]


def run(seed: int, indices: range, jobs: int, corpus: Corpus, options: dict[str, Any]) -> Iterator[Finding]:
    """Judges the mutants of `indices`, in no particular order."""

    def start() -> Callable[[int], Finding]:
        judge = Judge(**options)
        return lambda index: find(seed, index, corpus, judge)

    def dead(index: int, problem: str) -> Finding:
        made = make(seed, index, corpus)
        return Finding(index, made.source, made.kinds, None, problem)

    return find_all(start, dead, indices, jobs)


def find_all(
    start: Callable[[], Callable[[int], F]], dead: Callable[[int, str], F], indices: range, jobs: int
) -> Generator[F, None, None]:
    """What is found for each of `indices`, in no particular order.

    `start` is called in each worker and gives what finds: engines do not go through a fork. `dead` makes the finding
    of a number at which a worker died or hung.
    """

    def worker(first: int) -> _Worker[F]:
        finder: list[Callable[[int], F]] = []

        def find_one(index: int) -> F:
            if not finder:
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
                elif time.monotonic() - one.heard > HANG_SECONDS:
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


def find(seed: int, index: int, corpus: Corpus, judge: Judge) -> Finding:
    """Makes and judges one mutant in this process."""
    made = make(seed, index, corpus)
    return find_made(seed, index, made, judge)


def find_made(seed: int, index: int, made: Made, judge: Judge) -> Finding:
    """Judges a mutant in this process; what is drawn for its calls depends on `seed` and `index`."""
    try:
        verdict = judge.judge(made, Random(f"calls {seed}:{index}"))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        file = "/".join(place.filename.rsplit("/", 3)[1:])
        problem = f"{type(error).__name__}: {error} ({file}:{place.lineno} in {place.name})"
        return Finding(index, made.source, made.kinds, None, problem)
    return Finding(index, made.source, made.kinds, verdict)


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


def _work(judge_one: Callable[[int], _Numbered], indices: range, writer: int) -> None:
    """Judges and writes findings; ends the process without cleaning up after its parent."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (WORKER_BYTES, WORKER_BYTES))
        for index in indices:
            data = pickle.dumps(judge_one(index))
            os.write(writer, _LENGTH.pack(len(data)) + data)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _death(status: int) -> str | None:
    if os.WIFSIGNALED(status):
        return f"crash: {signal.Signals(os.WTERMSIG(status)).name}"
    code = os.waitstatus_to_exitcode(status)
    return f"crash: exit code {code}" if code else None
