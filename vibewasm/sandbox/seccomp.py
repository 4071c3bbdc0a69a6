"""A filter of system calls: a program for the kernel's packet filter (BPF), made here, that says of each call what
becomes of it (seccomp(2)).

What a run needs after everything is loaded is on a short list; some of it only with certain arguments. Calls that
libraries try, and can do without, fail with an error. All others kill the process: who makes one of them has taken it
over. The program looks at the processor's word first, since numbers mean other calls for other processors.

The filter cannot look at what pointers lead to, so it cannot tell paths: :mod:`.landlock` does.
"""

from __future__ import annotations

import errno

from .numbers import ARCHITECTURES, CALLS, X32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    #: What has to hold of an argument: (word, mask, value). Word 2*n is the lower half of argument n, 2*n+1 the upper.
    Condition = tuple[int, int, int]

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
#: Where ``struct seccomp_data`` has the call's number, the processor's word, and the arguments' words.
_NUMBER, _ARCHITECTURE, _WORDS = 0, 4, 16

_PROT_WRITE, _PROT_EXEC, _MAP_TYPE, _MAP_SHARED = 2, 4, 0xF, 1
_CLONE_THREAD, _CLONE_NAMESPACES = 0x10000 | 0x100, 0x7E020000 | 0x80
_AT_EMPTY_PATH = 0x1000
#: Of fcntl(2): F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC.
_FCNTL = (1, 2, 3, 4, 1030)
#: Of ioctl(2): TCGETS, which isatty() asks, and FIONREAD.
_IOCTL = (0x5401, 0x541B)

#: What every run may call, those that are called most first.
_ALWAYS = """
    read write readv writev clock_gettime clock_nanosleep nanosleep futex poll ppoll select pselect6 lseek fstat close
    pread64 pwrite64 preadv pwritev preadv2 pwritev2 getrandom sched_yield brk munmap madvise mremap msync mincore
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
    gettimeofday time clock_getres times getrusage sched_getaffinity sched_getparam sched_getscheduler
    getpid getppid gettid getuid geteuid getgid getegid set_robust_list set_tid_address rseq
    memfd_create ftruncate fallocate fadvise64 fsync fdatasync dup membarrier exit exit_group
""".split()

#: What a run may call as well that was given a folder, to read in it; and to change something in it.
_OF_FILES = "openat newfstatat statx getdents64 readlinkat faccessat faccessat2 fstatfs openat2 flock".split()
_OF_CHANGES = "mkdirat unlinkat symlinkat linkat renameat renameat2 utimensat fchmod".split()

#: What libraries try, and the error that it gets.
_REFUSED = {
    # The C library starts threads by clone() then, whose flags can be looked at.
    "clone3": errno.ENOSYS,
    **dict.fromkeys("open stat lstat access readlink getcwd statfs".split(), errno.EACCES),
    **dict.fromkeys("mkdir rmdir link symlink unlink rename".split(), errno.EACCES),
    **dict.fromkeys((*_OF_FILES, *_OF_CHANGES, "truncate"), errno.EACCES),
    **dict.fromkeys(("prctl", "sysinfo", "uname", "mlock", "munlock", "mlock2", "setrlimit"), errno.EPERM),
}


def rules(files: bool, changes: bool, process: int) -> dict[str, tuple[tuple[tuple[Condition, ...], ...], int]]:
    """Of each call that does not kill: sets of conditions, one of which has to hold, and the error where none does.

    No condition always holds; with no set at all the call always fails. An error of -1 kills.

    Args:
        files: the run has folders.
        changes: it may change something in one.
        process: the number of the process.
    """
    always: tuple[tuple[Condition, ...], ...] = ((),)
    found: dict[str, tuple[tuple[tuple[Condition, ...], ...], int]] = dict.fromkeys(_ALWAYS, (always, 0))
    # Memory may be executed where it is shared, as code is that is mapped twice, and never where it can be written.
    found["mmap"] = (
        (
            ((4, _PROT_EXEC, 0),),
            ((4, _PROT_EXEC | _PROT_WRITE, _PROT_EXEC), (6, _MAP_TYPE, _MAP_SHARED)),
        ),
        errno.EACCES,
    )
    found["mprotect"] = (((4, _PROT_EXEC, 0),),), errno.EACCES
    # Threads, and no processes.
    found["clone"] = (((0, _CLONE_THREAD | _CLONE_NAMESPACES, _CLONE_THREAD),),), -1
    # What raise() and abort() do.
    found["tgkill"] = (((0, 0xFFFFFFFF, process),),), -1
    # To ask, not to set, and of oneself.
    found["prlimit64"] = (((0, 0xFFFFFFFF, 0), (4, 0xFFFFFFFF, 0), (5, 0xFFFFFFFF, 0)),), errno.EPERM
    found["getrlimit"] = always, 0
    found["fcntl"] = tuple(((2, 0xFFFFFFFF, command),) for command in _FCNTL), errno.EPERM
    found["ioctl"] = tuple(((2, 0xFFFFFFFF, request),) for request in _IOCTL), errno.ENOTTY
    for name, error in _REFUSED.items():
        found[name] = (), error
    # Of an open descriptor, which fstat() of some C libraries asks like this.
    found["newfstatat"] = (((6, _AT_EMPTY_PATH, _AT_EMPTY_PATH),),), errno.EACCES
    found["statx"] = (((4, _AT_EMPTY_PATH, _AT_EMPTY_PATH),),), errno.EACCES
    for name in (*(_OF_FILES if files else ()), *(_OF_CHANGES if changes else ())):
        found[name] = always, 0
    return found


def program(machine: str, files: bool, changes: bool, process: int) -> bytes:
    """The filter's instructions (``struct sock_filter``, 8 bytes each).

    Args:
        machine: the processor as uname(2) calls it.
        files, changes, process: as for :func:`rules`.

    Raises:
        LookupError: there is no list for this processor.
    """
    if machine not in ARCHITECTURES:
        raise LookupError(f"there is no list of system calls for {machine}")
    numbers: Mapping[str, int] = CALLS[machine]
    code = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, ARCHITECTURES[machine], 1, 0), _step(_RETURN, _KILL)]
    code.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        # The same calls by other numbers, for programs with short pointers.
        code += [_step(_JUMP_GREATER_EQUAL, X32, 0, 1), _step(_RETURN, _KILL)]
    for name, (alternatives, error) in rules(files, changes, process).items():
        if name not in numbers:
            continue  # this processor never had it
        block = []
        for conditions in alternatives:
            block += _allowed_if(conditions)
        if () not in alternatives:
            block.append(_step(_RETURN, _KILL if error < 0 else _ERRNO | error))
        code += [_step(_JUMP_EQUAL, numbers[name], 0, len(block)), *block]
    code.append(_step(_RETURN, _KILL))
    return b"".join(code)


def _allowed_if(conditions: tuple[Condition, ...]) -> list[bytes]:
    """Instructions that allow the call if all conditions hold, and go on after them if not."""
    found: list[bytes] = []
    for position, (word, mask, value) in enumerate(conditions):
        rest = 3 * (len(conditions) - position - 1) + 1
        found += [_step(_LOAD, _WORDS + 4 * word), _step(_AND, mask), _step(_JUMP_EQUAL, value, 0, rest)]
    return [*found, _step(_RETURN, _ALLOW)]


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes((if_so, if_not)) + value.to_bytes(4, "little")
