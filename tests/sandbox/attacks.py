"""Runs Python code of an attacker in processes that are locked down as a run's is, and says what became of it.

The attacker has taken over everything: he runs any Python code, and through ctypes any machine code. One process loads
what is needed, and forks for each attack; the child locks itself down and then does what the attack says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.spec.suite import PROJECT_ROOT

#: What the driver does, told by its argument: a list of [code, folders, limits].
_DRIVER = """
import sys
sys.path[:0] = [ROOT]
import ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, struct, subprocess, threading, time
from vibewasm.sandbox.lockdown import limit, lock
from vibewasm.sandbox.preloading import make_room, preload
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
attacks = json.loads(sys.stdin.read())
preload()
make_room()

def attempt(action, *arguments):
    try:
        return repr(action(*arguments))
    except BaseException as error:
        return type(error).__name__ + (f" {errno.errorcode[error.errno]}" if getattr(error, "errno", None) else "")

def call(*arguments):
    found = libc.syscall(*[ctypes.c_long(word) if isinstance(word, int) else word for word in arguments])
    return found if found >= 0 else errno.errorcode[ctypes.get_errno()]

ends = []
for code, folders, limits in attacks:
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.setsid()
        missing = limit(limits, parent)
        missing |= lock([tuple(folder) for folder in folders])
        os.write(1, (json.dumps(missing) + "\\n").encode())
        try:
            exec(compile(code, "attack", "exec"), globals())
        except BaseException as error:
            os.write(1, attempt(lambda: (_ for _ in ()).throw(error)).encode())
        os._exit(0)
    os.close(writing)
    pieces = []
    while piece := os.read(reading, 1 << 16):
        pieces.append(piece)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    ends.append([os.waitstatus_to_exitcode(status), b"".join(pieces).decode()])
print(json.dumps(ends))
"""


class Attacked(NamedTuple):
    """What became of an attack: the exit code, or less the number of a signal; what it printed; what was missing."""

    status: int
    text: str
    missing: dict[str, str]

    @property
    def is_killed(self) -> bool:
        """Whether a system call ended it."""
        return self.status == -signal.SIGSYS


def attack(
    *codes: str, folders: Sequence[tuple[Path, bool]] = (), limits: dict[str, int] | None = None, mechanism: str = ""
) -> list[Attacked]:
    """What became of each code.

    Args:
        codes: Python, with ``attempt(function, *arguments)``, which gives what came of it as a text, ``call(number,
            *arguments)`` for system calls, and many modules.
        folders: what it was given, and whether it may change something there.
        limits: of the system.
        mechanism: without which the test is skipped.
    """
    given = [[code, [[str(path), writable] for path, writable in folders], limits or {}] for code in codes]
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER.replace("ROOT", repr(str(PROJECT_ROOT)))],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = []
    for status, text in json.loads(done.stdout):
        first, _, rest = text.partition("\n")
        found.append(Attacked(status, rest, json.loads(first)))
    skip_without(mechanism, found[0].missing)
    return found


def skip_without(mechanism: str, missing: dict[str, str]) -> None:
    """Skip a test where the system lacks what it is about."""
    if mechanism in missing:
        pytest.skip(f"NOT RUN: no {mechanism} here: {missing[mechanism]}")


IS_ROOT = os.geteuid() == 0
