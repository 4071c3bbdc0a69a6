"""The loop: an input of the corpus is changed and tried, and is kept if lines ran that had not run before.

Each worker is a child process, whose crash or hang is a finding: what it tries stands in memory that its parent shares.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import pickle
import resource
import selectors
import shutil
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.guided.altering import LONGEST, altered
from tests.guided.coverage import Coverage, Line
from tests.guided.target import Target
from tests.spec.suite import PROJECT_ROOT

#: Seconds that one input may take.
HANG_SECONDS = 20.0
#: Writable memory that a worker may have. Reservations do not count.
WORKER_BYTES = 3 << 30
#: The package's code, with where the symbolic links lead.
FOLDERS = tuple(str(PROJECT_ROOT / name) + os.sep for name in ("vibewasm", "backends", "runtime", "disasm"))

_LENGTH = struct.Struct("<I")
#: From one report of a worker to the next, in seconds.
_REPORT_EVERY = 1.0


class Kept(NamedTuple):
    """An input that reached new lines."""

    data: bytes
    lines: tuple[Line, ...]


class Count(NamedTuple):
    """How many inputs were tried since the last report."""

    tried: int


class Wrong(NamedTuple):
    """An input that must not do what it did: the last line of ``text`` says what that was."""

    data: bytes
    text: str


class State:
    """What is known of a target while it is fuzzed: the corpus, and the lines that have run."""

    def __init__(self, corpus: Sequence[bytes]) -> None:
        self.corpus: list[bytes] = []
        self.lines: set[Line] = set()
        self.tried = 0
        #: What to try before anything is changed.
        self.first = list(corpus)

    def add(self, found: Kept | Count | Wrong) -> None:
        """Note what a worker reports."""
        if isinstance(found, Kept):
            if set(found.lines) - self.lines:
                self.corpus.append(found.data)
                self.lines.update(found.lines)
        elif isinstance(found, Count):
            self.tried += found.tried


def fuzz(target: Target, state: State, seconds: float, seed: str) -> Iterator[Kept | Count | Wrong]:
    """Try inputs for so long, and add what is found to ``state``. A worker that dies is replaced."""
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        for found in _Worker(target, state, f"{seed} {number}", end).reports():
            state.add(found)
            yield found
        number += 1


class _Worker:
    """A child process that tries inputs until ``end``."""

    def __init__(self, target: Target, state: State, seed: str, end: float) -> None:
        self._end = end
        # Its length, and the input that is being tried.
        self._now = mmap.mmap(-1, _LENGTH.size + LONGEST)
        self._reader, writer = os.pipe()
        self._folder = tempfile.mkdtemp(prefix="vibewasm-guided-")
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            self._work(target, state, seed, writer)
        os.close(writer)
        # Tried by this worker; if it dies of one, the next one need not try it again.
        state.first = []

    # -- the parent's side ---------------------------------------------------------------------------------------------

    def reports(self) -> Iterator[Kept | Count | Wrong]:
        """What the worker tells, and what became of it."""
        buffer = b""
        heard = time.monotonic()
        status: int | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            while status is None:
                if not selector.select(1.0):
                    if time.monotonic() - heard > HANG_SECONDS:
                        os.kill(self._pid, signal.SIGKILL)
                        os.waitpid(self._pid, 0)
                        yield Wrong(self._input(), f"hang: no result after {HANG_SECONDS:.0f} s")
                        status = 0
                    continue
                heard = time.monotonic()
                data = os.read(self._reader, 1 << 16)
                if not data:
                    status = os.waitpid(self._pid, 0)[1]
                buffer += data
                while len(buffer) >= 4 and len(buffer) >= 4 + (length := _LENGTH.unpack_from(buffer)[0]):
                    found: Kept | Count | Wrong = pickle.loads(buffer[4 : 4 + length])
                    buffer = buffer[4 + length :]
                    yield found
        os.close(self._reader)
        shutil.rmtree(self._folder, ignore_errors=True)
        if os.WIFSIGNALED(status):
            yield Wrong(self._input(), f"crash: {signal.Signals(os.WTERMSIG(status)).name}")
        elif status:
            yield Wrong(self._input(), f"crash: exit code {os.waitstatus_to_exitcode(status)}")

    def _input(self) -> bytes:
        (length,) = _LENGTH.unpack_from(self._now)
        return self._now[_LENGTH.size : _LENGTH.size + length]

    # -- the child's side ----------------------------------------------------------------------------------------------

    def _work(self, target: Target, state: State, seed: str, writer: int) -> None:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (WORKER_BYTES, WORKER_BYTES))
            faulthandler.disable()
            self._try_all(target, state, Random(seed), writer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _try_all(self, target: Target, state: State, rng: Random, writer: int) -> None:
        run = target.start(Path(self._folder))
        alter = getattr(target, "alter", altered)
        coverage = Coverage(FOLDERS, state.lines)
        corpus = [*state.corpus]
        first = [*state.first]
        tried, last = 0, time.monotonic()
        coverage.on()
        try:
            while (now := time.monotonic()) < self._end:
                if now - last > _REPORT_EVERY:
                    _send(writer, Count(tried))
                    tried, last = 0, now
                if first:
                    data = first.pop()[:LONGEST]
                elif corpus:
                    # What was found last leads on more often than what all begins with.
                    at = max(rng.randrange(len(corpus)), rng.randrange(len(corpus)))
                    data = alter(corpus[at], corpus, rng)[:LONGEST]
                else:
                    data = rng.randbytes(rng.randrange(64))
                _LENGTH.pack_into(self._now, 0, len(data))
                self._now[_LENGTH.size : _LENGTH.size + len(data)] = data
                try:
                    run(data)
                except Exception:
                    _send(writer, Wrong(data, traceback.format_exc()))
                tried += 1
                if coverage.fresh:
                    corpus.append(data)
                    _send(writer, Kept(data, tuple(coverage.fresh)))
                    coverage.fresh.clear()
        finally:
            coverage.off()
        _send(writer, Count(tried))


def _send(writer: int, found: Kept | Count | Wrong) -> None:
    data = pickle.dumps(found)
    data = _LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(writer, data) :]
