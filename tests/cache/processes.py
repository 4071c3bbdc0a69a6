"""Running a part of a test in a process of its own: as another user, or with limits that are not to stay."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

#: The user that root becomes: nobody, on every Linux.
NOBODY = 65534


def in_child(work: Callable[[], None], *, user: int | None = None) -> None:
    """Fork, do the work there, and fail if it fails, or ends by a signal."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            work()
            code = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        said += f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    assert status == 0, said


def unprivileged(work: Callable[[], None]) -> None:
    """Do the work where permissions count: for root they do not."""
    in_child(work, user=None if os.geteuid() else NOBODY)


def owner_of_tests() -> int:
    """Who :func:`unprivileged` works as."""
    return os.geteuid() or NOBODY


def wants_root() -> None:
    """Skip a test that has to give files to other users."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: only root can make files of another user")
