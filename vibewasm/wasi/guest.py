"""The program's memory: every pointer it passes is checked here before anything is read, written or done."""

from __future__ import annotations

from . import abi
from .errnos import EFAULT, EILSEQ, EINVAL, ENAMETOOLONG, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from struct import Struct

#: Linux's PATH_MAX, less the NUL.
MAX_PATH = 4095
#: Buffers of one readv or writev: Linux's IOV_MAX. What is beyond is left for the program's next call.
MAX_BUFFERS = 1024
#: Bytes of all of them: as many as Linux takes at once. Buffers may overlap, and how many bytes of them were read or
#: written has to fit in 32 bits.
MAX_BYTES = 0x7FFF_F000
#: Entries of an iovec array that are looked at, empty ones included, so that no array takes long.
MAX_IOVECS = 1 << 16


def check(memory: memoryview, address: int, size: int) -> None:
    """Fail with ``EFAULT`` unless ``size`` bytes from ``address`` on lie in the memory.

    No bytes lie everywhere: the address of an empty slice is arbitrary in some languages.
    """
    if size and address + size > len(memory):
        raise Errno(EFAULT)


def store(memory: memoryview, structure: Struct, address: int, *fields: int) -> None:
    """Write a structure."""
    check(memory, address, structure.size)
    structure.pack_into(memory, address, *fields)


def write(memory: memoryview, address: int, data: bytes) -> None:
    """Write bytes."""
    check(memory, address, len(data))
    memory[address : address + len(data)] = data


def path(memory: memoryview, address: int, length: int) -> bytes:
    """Read a path or another name: UTF-8 without NUL, as the interface demands of every string.

    Raises:
        Errno: ``EFAULT`` out of range, ``ENAMETOOLONG`` over 4095 bytes, ``EINVAL`` with a NUL, ``EILSEQ`` not UTF-8.
    """
    check(memory, address, length)
    if length > MAX_PATH:
        raise Errno(ENAMETOOLONG)
    data = bytes(memory[address : address + length])
    if b"\0" in data:
        raise Errno(EINVAL)
    try:
        data.decode()
    except UnicodeDecodeError:
        raise Errno(EILSEQ) from None
    return data


def buffers(memory: memoryview, address: int, count: int) -> list[memoryview]:
    """The non-empty buffers that an array of iovec names, at most ``MAX_BUFFERS`` of ``MAX_BYTES`` together.

    A read or write may always be short, so leaving the rest out is right; leaving out empty buffers keeps a result of 0
    for the end of a file.

    Raises:
        Errno: ``EFAULT`` when the array or a buffer is out of range, ``EINVAL`` for a senselessly long array.
    """
    check(memory, address, abi.IOVEC.size * count)
    size = len(memory)
    found = []
    looked = min(count, MAX_IOVECS)
    left = MAX_BYTES
    for start, length in abi.IOVEC.iter_unpack(memory[address : address + abi.IOVEC.size * looked]):
        if not length:
            continue
        end = start + length
        if end > size:
            raise Errno(EFAULT)
        found.append(memory[start : min(end, start + left)])
        left -= min(length, left)
        if len(found) == MAX_BUFFERS or not left:
            break
    if not found and looked < count:
        raise Errno(EINVAL)
    return found
