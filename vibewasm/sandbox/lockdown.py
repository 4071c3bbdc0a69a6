"""What the child process gives up before it runs anything of a stranger's: in two steps, since it has to load first.

:func:`limit` comes first of all: limits of the system, no new privileges, nobody may look into the process, and it dies
with its parent. :func:`lock` comes when everything is loaded: paths (:mod:`.landlock`), then system calls
(:mod:`.seccomp`). Neither can be undone by anyone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

from . import landlock, seccomp
from .numbers import CALLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: All mechanisms, in the order in which they are put in force.
MECHANISMS = ("limits", "parent-death", "no-new-privileges", "not-dumpable", "landlock", "seccomp")

_PR_SET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 3, 4, 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def limit(limits: Mapping[str, int], parent: int) -> dict[str, str]:
    """Put in force what leaves loading possible.

    Args:
        limits: of the system, by their names in ``resource`` without ``RLIMIT_``; one that is lower already stays.
        parent: the number of the process that started this one.

    Returns:
        What could not be put in force, and why.
    """
    missing: dict[str, str] = {}
    try:
        _set_limits(limits)
    except (OSError, ValueError) as error:
        missing["limits"] = str(error)
    for name, arguments in (
        ("parent-death", (_PR_SET_PDEATHSIG, int(signal.SIGKILL))),
        ("no-new-privileges", (_PR_SET_NO_NEW_PRIVS, 1)),
        ("not-dumpable", (_PR_SET_DUMPABLE, 0)),
    ):
        if why := _prctl(*arguments):
            missing[name] = why
    if os.getppid() != parent:
        # It was gone before it could be asked for a signal at its end.
        os._exit(1)
    return missing


def _set_limits(limits: Mapping[str, int]) -> None:
    import resource

    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the lower limit the process is sent a signal, which says why it ends; at the higher one it is killed.
        resource.setrlimit(number, (value, value + 1 if name == "CPU" and hard != value else value))


def lock(folders: Sequence[tuple[str | bytes, bool]]) -> dict[str, str]:
    """Give up all paths but these folders, and all system calls but those on the list.

    There may be no other thread: landlock holds for the one that asks for it.

    Args:
        folders: paths, and whether something may be changed there.

    Returns:
        What could not be put in force, and why.
    """
    import _thread

    if _thread._count():
        raise RuntimeError("a thread was started before the lockdown, which would be left out of it")
    missing: dict[str, str] = {}
    machine = os.uname().machine
    if not landlock.version(machine):
        missing["landlock"] = (
            "the kernel has no landlock, or it is turned off (Linux 5.13, CONFIG_SECURITY_LANDLOCK, lsm=)"
        )
    else:
        try:
            landlock.restrict(machine, folders)
        except OSError as error:
            missing["landlock"] = str(error)
    try:
        _filter(machine, bool(folders), any(writable for _, writable in folders))
    except (OSError, LookupError) as error:
        missing["seccomp"] = str(error)
    return missing


def _filter(machine: str, files: bool, changes: bool) -> None:
    code = seccomp.program(machine, files, changes, os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    program = _Program(len(code) // 8, code)
    result = libc.syscall(
        CALLS[machine]["seccomp"], _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program)
    )
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"the system refuses a filter of system calls ({os.strerror(number)})")
    # An emulator may say yes and do nothing.
    if libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
        raise OSError(errno.ENOSYS, "the filter of system calls was taken, and does not filter")


def _prctl(option: int, value: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    return os.strerror(ctypes.get_errno()) if libc.prctl(option, *words) else ""
