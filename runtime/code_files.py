"""Executable memory that belongs to a file, where the system refuses other memory as such: loaded only there.

Each kind may be refused by another rule. A service manager that denies memory which is made executable later
(``MemoryDenyWriteExecute=`` of systemd) lets a file be mapped so; a seccomp profile may know no memfd_create; a process
may have no more descriptors, or may make no files of that size (``ulimit -f``); a file system may be full, or mounted
noexec.
"""

from __future__ import annotations

import errno
import os

from ..aside import check_file_size
from . import os_linux as system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ, _WRITE, _EXECUTE = 1, 2, 4
_SHARED, _POPULATE = 1, 0x8000
#: What says that there is no room, here or anywhere.
_FULL = (errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)


def map_file_code(size: int, populate: bool, made: list[int], refusal: tuple[int, str]) -> tuple[int, int]:
    """As :func:`.os_linux.map_code`, of memory that belongs to a file.

    Args:
        size, populate, made: as there.
        refusal: why other memory will not do, as number and text of an error.
    """
    failures = [("anonymous memory", refusal)]
    for name, source in _sources():
        try:
            fd = source()
        except (OSError, AttributeError) as error:
            failures.append((name, _as_refusal(error)))
            continue
        try:
            check_file_size(size)
            # Not only given a size: a page that there is no room for when it is written to is a SIGBUS.
            os.posix_fallocate(fd, 0, size)
            system.map_into(made, size, _READ | _WRITE, _SHARED | (_POPULATE if populate else 0), fd)
            system.map_into(made, size, _READ | _EXECUTE, _SHARED, fd)
            return made[0], made[1]
        except OSError as error:
            system.unmap_all(made, size)
            failures.append((name, _as_refusal(error)))
        except BaseException:
            system.unmap_all(made, size)
            raise
        finally:
            os.close(fd)
    tried = "; ".join([f"{name}: {text}" for name, (_, text) in failures])
    if any(number in _FULL for _, (number, _) in failures):
        raise OSError(
            errno.ENOMEM,
            f"there is no room for {size} bytes of machine code: free memory, or raise the limit (ulimit -v, the "
            f"memory of a control group, the size of /dev/shm). Tried {tried}",
        )
    raise OSError(
        errno.EPERM,
        "no executable memory can be had; vibewasm needs mremap() and mprotect() of shared memory, or memfd_create() "
        "with an executable mapping, or a file system for temporary files that is not mounted noexec: allow one of "
        f"them in the sandbox that this process runs in. Tried {tried}",
    )


def _as_refusal(error: OSError | AttributeError) -> tuple[int, str]:
    """Number and text. Kept in a frame that is in its traceback, an error would keep that frame, and what is being made
    by those that called it, until the collector comes.
    """
    if isinstance(error, AttributeError):
        return errno.ENOSYS, str(error)
    if error.errno is None:
        raise error  # not the system's: a signal's handler, with a TimeoutError, say
    return error.errno, str(error.strerror)


def _sources() -> Iterator[tuple[str, Callable[[], int]]]:
    yield "memfd", _memfd
    folders = ("/dev/shm", os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", os.environ.get("HOME", ""))
    for folder in dict.fromkeys(folders):
        if folder:
            yield f"a file in {folder}", lambda folder=folder: _file(folder)  # type: ignore[misc]


def _memfd() -> int:
    return os.memfd_create("vibewasm", os.MFD_CLOEXEC)


def _file(folder: str) -> int:
    """A file without a name."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(folder, flags | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            raise
    # The file system cannot do that: the name is one that nobody else knows, and goes at once.
    path = os.path.join(folder, f".vibewasm-{os.urandom(16).hex()}")
    fd = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.unlink(path)
    return fd
