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
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

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


class _Worker:
    """A child process that judges mutants `first`, `first + step`, …, below `stop`."""

    def __init__(self, judge_one: Callable[[int], Finding], first: int, stop: int, step: int) -> None:
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

    def findings(self) -> list[Finding] | None:
        """What has arrived since the last time; None when the worker has ended."""
        data = os.read(self.reader, 1 << 16)
        if not data:
            return None
        self.heard = time.monotonic()
        self.buffer += data
        out: list[Finding] = []
        while len(self.buffer) >= 4:
            (length,) = _LENGTH.unpack_from(self.buffer)
            if len(self.buffer) < 4 + length:
                break
            finding: Finding = pickle.loads(self.buffer[4 : 4 + length])
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

    def start(first: int) -> _Worker:
        judge: list[Judge] = []

        def judge_one(index: int) -> Finding:
            if not judge:  # made in the child: engines do not go through a fork
                judge.append(Judge(**options))
            return find(seed, index, corpus, judge[0])

        return _Worker(judge_one, first, indices.stop, jobs)

    workers = [start(indices.start + job) for job in range(jobs) if indices.start + job < indices.stop]
    try:
        while workers:
            with selectors.DefaultSelector() as selector:
                for worker in workers:
                    selector.register(worker.reader, selectors.EVENT_READ, worker)
                ready = {key.data for key, _ in selector.select(1.0)}
            for worker in list(workers):
                problem = None
                if worker in ready:
                    findings = worker.findings()
                    if findings is not None:
                        yield from findings
                        continue
                    problem = _death(worker.end(kill=False))
                elif time.monotonic() - worker.heard > HANG_SECONDS:
                    worker.end(kill=True)
                    problem = f"hang: no result after {HANG_SECONDS:.0f} s"
                else:
                    continue
                workers.remove(worker)
                first = worker.next
                if problem:
                    made = make(seed, first, corpus)
                    yield Finding(first, made.source, made.kinds, None, problem)
                    first += jobs
                if first < indices.stop:
                    workers.append(start(first))
    finally:
        for worker in workers:
            worker.end(kill=True)


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


def in_child(action: Callable[[], Finding], seconds: float = HANG_SECONDS) -> Finding | str:
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


def _work(judge_one: Callable[[int], Finding], indices: range, writer: int) -> None:
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
