"""Numbers and layouts of WASI preview 1: rights, file types, flags, structures in the program's memory.

https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#types

Preview 0 has the same, but for what :mod:`.preview0` names; its layouts stand here beside those of preview 1.
"""

from __future__ import annotations

from struct import Struct

# Rights: what may be done with a file descriptor.
FD_DATASYNC = 1 << 0
FD_READ = 1 << 1
FD_SEEK = 1 << 2
FD_FDSTAT_SET_FLAGS = 1 << 3
FD_SYNC = 1 << 4
FD_TELL = 1 << 5
FD_WRITE = 1 << 6
FD_ADVISE = 1 << 7
FD_ALLOCATE = 1 << 8
PATH_CREATE_DIRECTORY = 1 << 9
PATH_CREATE_FILE = 1 << 10
PATH_LINK_SOURCE = 1 << 11
PATH_LINK_TARGET = 1 << 12
PATH_OPEN = 1 << 13
FD_READDIR = 1 << 14
PATH_READLINK = 1 << 15
PATH_RENAME_SOURCE = 1 << 16
PATH_RENAME_TARGET = 1 << 17
PATH_FILESTAT_GET = 1 << 18
PATH_FILESTAT_SET_SIZE = 1 << 19
PATH_FILESTAT_SET_TIMES = 1 << 20
FD_FILESTAT_GET = 1 << 21
FD_FILESTAT_SET_SIZE = 1 << 22
FD_FILESTAT_SET_TIMES = 1 << 23
PATH_SYMLINK = 1 << 24
PATH_REMOVE_DIRECTORY = 1 << 25
PATH_UNLINK_FILE = 1 << 26
POLL_FD_READWRITE = 1 << 27
SOCK_SHUTDOWN = 1 << 28
SOCK_ACCEPT = 1 << 29

ALL_RIGHTS = (1 << 30) - 1
#: In preview 0 nothing can be accepted.
PREVIEW0_RIGHTS = ALL_RIGHTS & ~SOCK_ACCEPT

#: Rights that a file opened without FD_WRITE does not have.
WRITING = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE

#: Rights to change a directory, or what is reached through it, other than the bytes of an open file.
CHANGING = (
    PATH_CREATE_DIRECTORY
    | PATH_CREATE_FILE
    | PATH_LINK_SOURCE
    | PATH_LINK_TARGET
    | PATH_RENAME_SOURCE
    | PATH_RENAME_TARGET
    | PATH_FILESTAT_SET_SIZE
    | PATH_FILESTAT_SET_TIMES
    | PATH_SYMLINK
    | PATH_REMOVE_DIRECTORY
    | PATH_UNLINK_FILE
    | FD_FILESTAT_SET_SIZE
    | FD_FILESTAT_SET_TIMES
)

#: What makes sense for anything that is not a directory.
FILE_RIGHTS = (
    FD_DATASYNC
    | FD_READ
    | FD_SEEK
    | FD_FDSTAT_SET_FLAGS
    | FD_SYNC
    | FD_TELL
    | FD_ADVISE
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_TIMES
    | POLL_FD_READWRITE
    | WRITING
)

#: What makes sense for a directory: no FD_READ, FD_WRITE, FD_SEEK or FD_TELL.
DIRECTORY_RIGHTS = (
    FD_DATASYNC
    | FD_FDSTAT_SET_FLAGS
    | FD_SYNC
    | PATH_CREATE_DIRECTORY
    | PATH_CREATE_FILE
    | PATH_LINK_SOURCE
    | PATH_LINK_TARGET
    | PATH_OPEN
    | FD_READDIR
    | PATH_READLINK
    | PATH_RENAME_SOURCE
    | PATH_RENAME_TARGET
    | PATH_FILESTAT_GET
    | PATH_FILESTAT_SET_SIZE
    | PATH_FILESTAT_SET_TIMES
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_TIMES
    | PATH_SYMLINK
    | PATH_REMOVE_DIRECTORY
    | PATH_UNLINK_FILE
    | POLL_FD_READWRITE
)

#: What a standard stream may do in every case; reading or writing comes on top.
STREAM_RIGHTS = FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE

# File types.
UNKNOWN = 0
BLOCK_DEVICE = 1
CHARACTER_DEVICE = 2
DIRECTORY = 3
REGULAR_FILE = 4
SOCKET_DGRAM = 5
SOCKET_STREAM = 6
SYMBOLIC_LINK = 7

# Flags of an open file (fdflags).
FDFLAG_APPEND = 1
FDFLAG_DSYNC = 2
FDFLAG_NONBLOCK = 4
FDFLAG_RSYNC = 8
FDFLAG_SYNC = 16
FDFLAGS = 31

# How path_open opens (oflags).
OFLAG_CREAT = 1
OFLAG_DIRECTORY = 2
OFLAG_EXCL = 4
OFLAG_TRUNC = 8
OFLAGS = 15

#: Lookup flag: follow a symbolic link in the last component.
SYMLINK_FOLLOW = 1

# Which times to set (fstflags).
SET_ATIM = 1
SET_ATIM_NOW = 2
SET_MTIM = 4
SET_MTIM_NOW = 8
FSTFLAGS = 15

# Clocks.
CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
CLOCK_PROCESS_CPUTIME = 2
CLOCK_THREAD_CPUTIME = 3

# Events of poll_oneoff.
EVENT_CLOCK = 0
EVENT_FD_READ = 1
EVENT_FD_WRITE = 2
SUBSCRIPTION_CLOCK_ABSTIME = 1
EVENT_HANGUP = 1

PREOPENTYPE_DIR = 0

# Structures. All are little-endian and aligned like C structures.
U32 = Struct("<I")
U64 = Struct("<Q")
#: buf, buf_len
IOVEC = Struct("<II")
#: filetype, flags, rights_base, rights_inheriting
FDSTAT = Struct("<BxH4xQQ")
#: dev, ino, filetype, nlink, size, atim, mtim, ctim
FILESTAT = Struct("<QQB7xQQQQQ")
#: The same with 32 bits for nlink
PREVIEW0_FILESTAT = Struct("<QQB3xIQQQQ")
#: tag, name_len
PRESTAT = Struct("<B3xI")
#: next, ino, namlen, type; the name follows
DIRENT = Struct("<QQIB3x")
#: userdata, tag, then of a clock: id, timeout, precision, flags
SUBSCRIPTION_CLOCK = Struct("<QB7xI4xQQH6x")
#: The same with a name of the program's for the clock before its id, which nothing uses
PREVIEW0_SUBSCRIPTION_CLOCK = Struct("<QB7x8xI4xQQH6x")
#: userdata, tag, then of a file descriptor event: the descriptor. In preview 0 eight unused bytes more follow.
SUBSCRIPTION_FD = Struct("<QB7xI28x")
#: userdata, error, type, nbytes, flags
EVENT = Struct("<QHB5xQH6x")
