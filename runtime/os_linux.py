"""Linux, with glibc or musl: every system call and every structure of the system that the engine relies on.

The C library is called through :mod:`.ffi`; addresses are ints. Structure offsets are those of the 64-bit kernel and C
library ABIs.
"""

from __future__ import annotations

import _thread
import os

from .ffi import (
    Array,
    addressof,
    byref,
    c_char,
    c_int,
    c_library,
    c_size_t,
    c_uint64,
    c_void_p,
    code_address,
    get_errno,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterator
    from typing import Any

    from . import UnsupportedPlatform

_PROT_NONE = 0
_PROT_READ = 1
_PROT_WRITE = 2
_PROT_EXEC = 4
_MAP_SHARED = 1
_MAP_PRIVATE = 2
_MAP_ANONYMOUS = 0x20
_MAP_NORESERVE = 0x4000
_MAP_POPULATE = 0x8000
_MREMAP_MAYMOVE = 1
_MAP_FAILED = (1 << 64) - 1
_MADV_DONTNEED = 4
_RLIMIT_STACK, _RLIMIT_AS, _RLIM_INFINITY = 3, 9, (1 << 64) - 1
_ENOENT = 2
_ENOMEM = 12
_EFAULT = 14

#: Page size in bytes: 4, 16 or 64 KiB.
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

SIGILL = 4
SIGBUS = 7
SIGFPE = 8
SIGSEGV = 11
#: Signals that a fault in machine code raises.
FAULT_SIGNALS = (SIGSEGV, SIGBUS, SIGILL, SIGFPE)

SIG_DFL = 0
SIG_IGN = 1
SA_SIGINFO = 0x4
SA_ONSTACK = 0x08000000
#: How the fault handler is installed: with three arguments, on the thread's alternate stack where it has one.
FAULT_FLAGS = SA_SIGINFO | SA_ONSTACK
#: Size of ``struct sigaction``.
SIGACTION_SIZE = 152
#: Offset of ``sa_flags``, 4 bytes, in ``struct sigaction``.
SIGACTION_FLAGS = 136
_SIGSET_SIZE = 128

#: Numbers of system calls that have no C function, or none that does just that: each processor has its own, so they are
#: handed in.
call_numbers: dict[str, int] = {}
_SIG_UNBLOCK = 1
_MS_ASYNC = 1


class SignalContext:
    """Where a signal handler finds what was interrupted.

    Attributes:
        registers: offsets in ``ucontext_t`` of the general registers, by hardware number.
        pc: offset in ``ucontext_t`` of the program counter.
        code: offset in ``siginfo_t`` of ``si_code``.
        address: offset in ``siginfo_t`` of ``si_addr``.
        sigill, sigfpe: signal numbers; SIGSEGV and SIGBUS are the others.
    """

    __slots__ = ("address", "code", "pc", "registers", "sigfpe", "sigill")

    def __init__(self, registers: tuple[int, ...], pc: int) -> None:
        self.registers = registers
        self.pc = pc
        self.code = 8
        self.address = 16
        self.sigill = SIGILL
        self.sigfpe = SIGFPE


def missing() -> str:
    """What keeps the engine from running here, as a message, or an empty string."""
    for name in ("sigaction", "pthread_sigmask", "pthread_getattr_np"):
        if not hasattr(_libc, name):
            return f"this C library has no {name}(); vibewasm runs with glibc and with musl"
    return ""


_libc = c_library()

_mmap = _libc.mmap
_mmap.restype = c_size_t
_mmap.argtypes = (c_size_t, c_size_t, c_int, c_int, c_int, c_size_t)
_munmap = _libc.munmap
_munmap.argtypes = (c_size_t, c_size_t)
_mprotect = _libc.mprotect
_mprotect.argtypes = (c_size_t, c_size_t, c_int)
_memset = _libc.memset
_memset.restype = c_size_t
_memset.argtypes = (c_size_t, c_int, c_size_t)
_madvise = _libc.madvise
_madvise.argtypes = (c_size_t, c_size_t, c_int)
_getrlimit = _libc.getrlimit
#: ``sigaction(signal, address of the new disposition, address for the old one)``: 0, or -1.
sigaction = _libc.sigaction
sigaction.argtypes = (c_int, c_void_p, c_void_p)


class _Limits(Array):  # type: ignore[type-arg]  # what a C type is made of says it
    """``struct rlimit``: the limit that counts, and how far it may be raised."""

    _type_ = c_uint64
    _length_ = 2


def _error() -> OSError:
    number = get_errno()
    return OSError(number, os.strerror(number))


def _refused(call: str, why: str, number: int = 0) -> UnsupportedPlatform:
    """What to raise for a system call that cannot do without failing the engine; ``number`` is its error, or errno
    has it.
    """
    from . import UnsupportedPlatform

    return UnsupportedPlatform(
        f"the system refuses {call} ({os.strerror(number or get_errno())}), and {why}: allow it in the sandbox that "
        "this process runs in (its seccomp profile)"
    )


def function_address(name: str) -> int:
    """Address of a function of the C library that a signal handler may call."""
    return code_address(getattr(_libc, name))


# -- memory ------------------------------------------------------------------------------------------------------------


def address_of(memory: bytearray | mmap.mmap) -> int:
    """Address of a writable buffer's first byte. The buffer must not move or go as long as the address is used."""
    return addressof(c_char.from_buffer(memory))


def anonymous(size: int) -> mmap.mmap:
    """Zeroed private memory of ``size`` bytes, of which only pages that are touched take room.

    Raises:
        OSError: there is no room for it.
    """
    # Not every program makes a memory.
    import mmap

    return mmap.mmap(-1, size, flags=_MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE)


def anonymous_for_ever(size: int) -> int:
    """Address of zeroed private memory of ``size`` bytes that stays mapped as long as the process.

    Raises:
        OSError: there is no room for it.
    """
    made: list[int] = []
    anonymous_into(made, size)
    return made[0]


def anonymous_into(made: list[int], size: int) -> None:
    """As :func:`anonymous_for_ever`; the address comes at the end of a list, in one step."""
    map_into(made, size, _PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE)


def reserve(size: int, made: list[int]) -> None:
    """Map ``size`` bytes, of which none can be accessed yet (:func:`allow`). The address comes at the end of a list, in
    one step.

    Raises:
        OSError: there is no room for them.
    """
    map_into(made, size, _PROT_NONE, _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE)


def zero(address: int, size: int, in_place: bool, _memset: Any = _memset, _madvise: Any = _madvise) -> None:
    """Zero whole accessible pages: in place, or by giving them back, so that new ones come when they are touched.

    Raises:
        OSError: they cannot be given back, since they are locked.
    """
    if in_place:
        _memset(address, 0, size)
    elif _madvise(address, size, _MADV_DONTNEED):
        raise _error()


def address_space_has_limit(_getrlimit: Any = _getrlimit, _Limits: type[_Limits] = _Limits, byref: Any = byref) -> bool:
    """Whether there is a limit to how much this process may map, or may be: the system does not tell."""
    limits = _Limits()
    return bool(_getrlimit(_RLIMIT_AS, byref(limits))) or bool(limits[0] != _RLIM_INFINITY)


def forbid(address: int, size: int) -> None:
    """Make whole pages inaccessible."""
    if size and _mprotect(address, size, _PROT_NONE):
        raise _error()


def allow(address: int, size: int) -> None:
    """Make whole pages readable and writable; they are zero where they never were.

    Raises:
        OSError: there is no room for them.
    """
    if size and _mprotect(address, size, _PROT_READ | _PROT_WRITE):
        raise _error()


#: Whether code has to be in a file, since other memory cannot be mapped twice or made executable: number and text
#: of the error. Not the error itself: its traceback has the frames of all callers, and what is in them would stay.
_needs_file: list[tuple[int, str]] = []


def map_code(size: int, populate: bool = False, made: list[int] | None = None) -> tuple[int, int]:
    """Map the same new memory twice: for writing, and for reading and executing.

    There is room for all of it when this returns: writing to it later cannot fail for want of any (SIGBUS).

    Args:
        size: bytes, a multiple of the page size.
        populate: have all of it there at once, rather than page by page when it is written.
        made: a list that gets the two addresses, each in the step that maps it, so that no exception of a signal's
            handler comes in between (:func:`unmap_all`).

    Returns:
        the address to write at and the address to execute at.

    Raises:
        OSError: the system forbids it or has no room for it; the message says which. Nothing is mapped then.
    """
    made = [] if made is None else made
    if not _needs_file:
        try:
            return map_anonymous_code(size, populate, made)
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            refusal = error.errno, str(error.strerror)
            if error.errno != _ENOMEM:
                _needs_file.append(refusal)
    else:
        refusal = _needs_file[0]
    try:
        from .code_files import map_file_code
    except (ImportError, OSError):  # there may be no more descriptors to read it with
        raise OSError(*refusal) from None
    return map_file_code(size, populate, made, refusal)


def map_anonymous_code(size: int, populate: bool = False, made: list[int] | None = None) -> tuple[int, int]:
    """Like :func:`map_code`, of memory that belongs to no file: it needs no descriptor, there is room for all of it or
    the system says so, and perf looks up symbols in a map for such memory only.

    ``mremap`` with an old size of 0 maps shared memory once more (mremap(2)).
    """
    made = [] if made is None else made
    mremap = _libc.mremap
    mremap.restype = c_size_t
    mremap.argtypes = (c_size_t, c_size_t, c_size_t, c_int)
    flags = _MAP_SHARED | _MAP_ANONYMOUS | (_MAP_POPULATE if populate else 0)
    try:
        map_into(made, size, _PROT_READ | _PROT_WRITE, flags)
        _put(made, map(mremap, (made[0],), (0,), (size,), (_MREMAP_MAYMOVE,)))
        writable, executable = made
        if _mprotect(executable, size, _PROT_READ | _PROT_EXEC):
            raise _error()
    except BaseException:
        unmap_all(made, size)
        raise
    return writable, executable


def map_into(made: list[int], size: int, protection: int, flags: int, fd: int = -1) -> None:
    """Map memory and put its address at the end of a list, in one step: no signal's handler comes in between."""
    _put(made, map(_mmap, (0,), (size,), (protection,), (flags,), (fd,), (0,)))


def _put(made: list[int], mapping: Iterator[int]) -> None:
    """Put the address that a call gives at the end of a list, unless it has failed, in the step that makes the call."""
    before = len(made)
    made.extend(filter(_MAP_FAILED.__ne__, mapping))
    if len(made) == before:
        raise _error()


def unmap_all(made: list[int], size: int, _munmap: Callable[[int, int], int] = _munmap) -> None:
    """Unmap what begins at each address of a list, which is taken off it in the same step. So this can be done again
    where an exception has ended it, and what came to the same address meanwhile stays.

    ``_munmap`` is bound here because finalisers call this when the interpreter has already cleared this module; so are
    the functions that :func:`zero` and :func:`address_space_has_limit` need.
    """
    while made:
        if any(map(_munmap, map(made.pop, (-1,)), (size,))):
            raise _error()


_MEMBARRIER_SYNC_CORE = 32
_MEMBARRIER_REGISTER_SYNC_CORE = 64


def prepare_core_barrier() -> bool:
    """Ask the kernel for :func:`core_barrier`; false if it has none (before Linux 4.16, and in emulators)."""
    result: int = _libc.syscall(call_numbers["membarrier"], _MEMBARRIER_REGISTER_SYNC_CORE, 0, 0)
    return result == 0


def core_barrier() -> None:
    """Let every core that runs a thread of this process forget what instructions it fetched ahead (membarrier(2),
    PRIVATE_EXPEDITED_SYNC_CORE).

    Raises:
        OSError: :func:`prepare_core_barrier` was not called, or gave false.
    """
    if _libc.syscall(call_numbers["membarrier"], _MEMBARRIER_SYNC_CORE, 0, 0):
        raise _error()


# -- signals -----------------------------------------------------------------------------------------------------------


_WHY_SIGACTION = "faults that are traps of wasm code come to vibewasm by it"


class Disposition:
    """What happens at a signal: ``struct sigaction``.

    Attributes:
        handler: address of the handler, or SIG_DFL or SIG_IGN.
        flags: ``sa_flags``, unsigned.
        raw: the structure.
    """

    __slots__ = ("flags", "handler", "raw")

    def __init__(self, raw: bytearray) -> None:
        self.raw = raw
        self.handler = int.from_bytes(raw[:8], "little")
        self.flags = int.from_bytes(raw[SIGACTION_FLAGS : SIGACTION_FLAGS + 4], "little")


def disposition(signal: int) -> Disposition:
    """What happens at ``signal`` at present.

    Raises:
        UnsupportedPlatform: the system forbids to ask.
    """
    raw = bytearray(SIGACTION_SIZE)
    if sigaction(signal, None, address_of(raw)):
        raise _refused("sigaction()", _WHY_SIGACTION)
    return Disposition(raw)


def handler_reader(signal: int) -> Callable[[], int]:
    """A function that tells the address of the handler of ``signal`` at present, for one thread at a time.

    It takes a fifth of the time of :func:`disposition`, whose error it raises.
    """
    raw = bytearray(SIGACTION_SIZE)
    cells = memoryview(raw).cast("Q")
    there = address_of(raw)

    def read() -> int:
        if sigaction(signal, None, there):
            raise _refused("sigaction()", _WHY_SIGACTION)
        return cells[0]

    return read


def set_handler(signal: int, handler: int, flags: int) -> Disposition:
    """Install a handler, which blocks no other signal, and say what it replaced.

    Raises:
        UnsupportedPlatform: the system forbids it.
    """
    raw = bytearray(SIGACTION_SIZE)
    old = bytearray(SIGACTION_SIZE)
    raw[:8] = handler.to_bytes(8, "little")
    raw[SIGACTION_FLAGS : SIGACTION_FLAGS + 4] = flags.to_bytes(4, "little")
    if sigaction(signal, address_of(raw), address_of(old)):
        raise _refused("sigaction()", _WHY_SIGACTION)
    return Disposition(old)


def restore_handler(signal: int, what: Disposition) -> None:
    """Install what :func:`disposition` or :func:`set_handler` told of; if the system forbids it, nothing changes."""
    sigaction(signal, address_of(what.raw), None)


def read_cell(address: int) -> int:
    """The 8 bytes at an address that is mapped."""
    value: int = c_uint64.from_address(address).value
    return value


def is_mapped(address: int, size: int) -> bool:
    """Whether something is mapped at all of these addresses: msync(2) fails where nothing is."""
    page = address & -PAGE_SIZE
    result: int = _libc.msync(c_size_t(page), c_size_t(address + size - page), _MS_ASYNC)
    return result == 0


def unblock(signals: tuple[int, ...]) -> None:
    """Take signals out of the mask of those that the calling thread blocks.

    Raises:
        UnsupportedPlatform: the system forbids it.
    """
    mask = bytearray(_SIGSET_SIZE)
    for signal in signals:
        mask[signal - 1 >> 3] |= 1 << (signal - 1 & 7)
    number = _libc.pthread_sigmask(_SIG_UNBLOCK, c_size_t(address_of(mask)), None)
    if number:
        raise _refused("pthread_sigmask()", "a trap in a thread that blocks SIGSEGV would kill the process", number)


# -- threads and processes ---------------------------------------------------------------------------------------------


def process_id() -> int:
    """A number that is another one in a forked child."""
    return os.getpid()


def stack_bounds() -> tuple[int, int]:
    """Lowest and end address of the calling thread's stack, all of which it may use from now on.

    Raises:
        UnsupportedPlatform: they cannot be had.
    """
    try:
        low, end = thread_stack_bounds()
    except OSError as error:
        # Of the main stack, the GNU C library finds the end in /proc.
        stack_end = _libc_stack_end()
        if not stack_end or _thread.get_native_id() != os.getpid():
            from . import UnsupportedPlatform

            raise UnsupportedPlatform(f"{error.strerror}; vibewasm needs them, so mount /proc") from None
        end = (stack_end + PAGE_SIZE - 1) & -PAGE_SIZE
        return _grow_main_stack(end, _stack_size_limit()), end
    if hasattr(_libc, "gnu_get_libc_version"):
        # Arguments and environment lie between what is called the stack's end here and the real one: more than a limit
        # that was lowered may allow.
        stack_end = _libc_stack_end()
        first = _thread.get_native_id() == os.getpid() == _process and 0 <= end - stack_end < _MOST_ARGUMENTS
        if first or low <= stack_end <= end:
            size = end - low
            return _grow_main_stack(end, size if size <= _LARGE_STACK else min(size, _stack_size_limit())), end
    elif _thread.get_native_id() == os.getpid():
        # Of the main stack, musl tells what is mapped at present, not how far it may grow. The main thread of a child
        # that was forked in another thread goes on on that thread's stack.
        try:
            lowest, highest = main_stack_bounds()
        except OSError:
            if os.getpid() != _process:
                return low, end
            lowest, highest = end - _stack_size_limit(), end
        if lowest < end <= highest:
            return _grow_main_stack(highest, highest - lowest), highest
    return low, end


#: The process that this module was loaded in.
_process = os.getpid()
#: More than arguments and environment can be, which begin a stack: 6 MiB (execve(2)).
_MOST_ARGUMENTS = 1 << 24
#: What the kernel keeps free below the main stack at least; a stack without limit gets no more.
_LARGE_STACK = 1 << 27
#: A little less than what a main stack may usually grow to, 8 MiB. Where less is allowed now, more may be mapped,
#: because more was allowed.
_USUAL_STACK = 7 << 20
#: How exactly a stack's bound is found where it is not where it usually is.
_STACK_STEP = 1 << 14


def _libc_stack_end() -> int:
    """An address near the end of the main stack, as the dynamic loader of the GNU C library keeps it, or 0."""
    try:
        return read_cell(code_address(_libc.__libc_stack_end))
    except AttributeError:
        return 0


def _grow_main_stack(end: int, size: int) -> int:
    """Have the main stack, which ends at ``end``, grow to ``size`` now, or as far as it can; returns where it begins.

    The kernel lets a stack grow when it is touched, and kills if it may not: because a limit (RLIMIT_STACK, RLIMIT_AS)
    was lowered meanwhile, or because something else has been mapped there. What is mapped stays, and takes no memory
    before it is used. So it is touched by a system call, which fails instead.
    """
    most = max(size, _USUAL_STACK)
    if _is_readable(end - most):
        return end - most
    good, bad = PAGE_SIZE, most
    while bad - good > _STACK_STEP:
        middle = (good + bad) // 2 & -PAGE_SIZE
        if _is_readable(end - middle):
            good = middle
        else:
            bad = middle
    if good < size and not address_space_has_limit():
        # Nothing forbids it. Under valgrind, only code that touches a stack lets it grow.
        return end - size
    return end - good


def _is_readable(address: int) -> bool:
    """Whether the kernel can read 8 bytes there: as a set of signals for rt_sigprocmask(2), with which it then finds
    nothing to do, since there is no such way to change the mask.
    """
    _libc.syscall(call_numbers["rt_sigprocmask"], -1, c_size_t(address), None, c_size_t(8))
    return get_errno() != _EFAULT


def thread_stack_bounds() -> tuple[int, int]:
    """Bounds of the calling thread's stack as the C library knows them.

    Raises:
        OSError: it does not know them.
    """
    attributes = bytearray(128)
    there = c_size_t(address_of(attributes))
    low = c_size_t()
    size = c_size_t()
    pthread_self = _libc.pthread_self
    pthread_self.restype = c_size_t
    number = _libc.pthread_getattr_np(c_size_t(pthread_self()), there)
    if number:
        raise OSError(number, f"the bounds of this thread's stack cannot be had ({os.strerror(number)})")
    try:
        _libc.pthread_attr_getstack(there, byref(low), byref(size))
    finally:
        _libc.pthread_attr_destroy(there)
    return low.value, low.value + size.value


def main_stack_bounds() -> tuple[int, int]:
    """Bounds of the main thread's stack, from the kernel's list of mappings and the limit of its size.

    Raises:
        OSError: /proc is not mounted.
    """
    with open("/proc/self/maps", "rb") as maps:
        for line in maps:
            if line.endswith(b"[stack]\n"):
                end = int(line[line.index(b"-") + 1 : line.index(b" ")], 16)
                break
        else:
            raise OSError(_ENOENT, "no stack among the mappings of this process")
    return end - min(_stack_size_limit(), _LARGE_STACK), end


def _stack_size_limit() -> int:
    """To how many bytes the main stack may grow; without a limit, as many as there surely are."""
    limits = _Limits()
    if _getrlimit(_RLIMIT_STACK, byref(limits)) or limits[0] == _RLIM_INFINITY:
        return _LARGE_STACK
    return limits[0] & -PAGE_SIZE  # type: ignore[no-any-return]  # an item of a C array is untyped


def at_fork(in_child: Callable[[], None], before: Callable[[], None] | None = None) -> None:
    """Have functions called in each forked child, and in its parent before it forks."""
    os.register_at_fork(after_in_child=in_child)
    if before is not None:
        os.register_at_fork(before=before)
