"""Which paths a process may open: the kernel's landlock (landlock(7)), as far as its version goes.

Everything that the kernel's version can tell apart is forbidden, and then allowed below each folder that the run was
given, as far as that folder goes. Nothing below one may be executed, and no device, socket or FIFO be made there.
Where the kernel knows them, TCP, sockets without a name in the file system, and signals to others are forbidden too.
"""

from __future__ import annotations

import ctypes
import os

from .numbers import CALLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14

#: Rights to files by version: the lowest so many bits. Later versions added moving between folders (2), truncating (3)
#: and devices' own calls (5).
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_READING = _READ_FILE | _READ_DIR
_CHANGING = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE

#: From these versions on: binding and connecting TCP; abstract sockets and signals.
_NETWORK_FROM, _NETWORK = 4, 0b11
_SCOPES_FROM, _SCOPES = 6, 0b11

_VERSION_FLAG = 1
_PATH_BENEATH = 1


def version(machine: str) -> int:
    """The kernel's version of landlock, from 1 on; 0 where there is none, or it is turned off."""
    calls = CALLS.get(machine, {})
    if "landlock_create_ruleset" not in calls:
        return 0
    found: int = _libc().syscall(
        calls["landlock_create_ruleset"], None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG)
    )
    return max(found, 0)


def restrict(machine: str, folders: Sequence[tuple[str | bytes, bool]]) -> None:
    """Let the calling thread, and what it starts from now on, open nothing but what is in these folders.

    The process must have given up new privileges before.

    Args:
        machine: the processor as uname(2) calls it.
        folders: paths, and whether something may be changed there.

    Raises:
        OSError: the kernel refuses it, or a folder cannot be opened.
    """
    calls = CALLS[machine]
    libc = _libc()
    found = version(machine)
    rights = (1 << _RIGHTS[min(found, max(_RIGHTS))]) - 1
    # struct landlock_ruleset_attr, which grew with the versions.
    attributes = rights.to_bytes(8, "little")
    if found >= _NETWORK_FROM:
        attributes += _NETWORK.to_bytes(8, "little")
    if found >= _SCOPES_FROM:
        attributes += _SCOPES.to_bytes(8, "little")
    ruleset = _checked(
        libc.syscall(calls["landlock_create_ruleset"], attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    )
    try:
        for path, writable in folders:
            folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                allowed = (_READING | (_CHANGING if writable else 0)) & rights
                # struct landlock_path_beneath_attr, which is packed.
                rule = allowed.to_bytes(8, "little") + folder.to_bytes(4, "little", signed=True)
                _checked(libc.syscall(calls["landlock_add_rule"], ruleset, _PATH_BENEATH, rule, ctypes.c_uint(0)))
            finally:
                os.close(folder)
        _checked(libc.syscall(calls["landlock_restrict_self"], ruleset, ctypes.c_uint(0)))
    finally:
        os.close(ruleset)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
