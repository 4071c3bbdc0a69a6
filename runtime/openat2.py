"""``openat2``: the kernel walks a path and sees itself that it does not leave a directory.

Linux has it from 5.6 on (2020); its number is the same on every processor. See openat2(2) and ``linux/openat2.h``.
"""

from __future__ import annotations

import os
from errno import EINTR

from .ffi import byref, c_library, c_size_t, c_uint64, get_errno

_CALL_NUMBER = 437
#: No component may lead above the directory, be it ``..``, an absolute path or a symbolic link.
_RESOLVE_BENEATH = 0x08
#: Links that lead to where no path does are not followed: those of /proc to what a process has open.
_RESOLVE_NO_MAGICLINKS = 0x02

#: ``struct open_how``: flags, mode, resolve.
_How = c_uint64 * 3
_HOW_SIZE = c_size_t(24)

_syscall = c_library().syscall


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """Open what exists at a path that does not leave a directory; symbolic links on the way are followed.

    Args:
        directory: a descriptor.
        path: relative to it, without NUL.
        flags: of ``open``. Nothing is made.

    Raises:
        OSError: the kernel's error. ``EXDEV`` where the path would leave, ``EAGAIN`` where directories are moved
            meanwhile, ``ENOSYS`` where the kernel does not have the call; a sandbox that does not know it may refuse it
            with ``EPERM``.
    """
    how = byref(_How(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS))
    while True:
        opened: int = _syscall(_CALL_NUMBER, directory, path, how, _HOW_SIZE)
        if opened >= 0:
            return opened
        number = get_errno()
        if number != EINTR:
            raise OSError(number, os.strerror(number))
