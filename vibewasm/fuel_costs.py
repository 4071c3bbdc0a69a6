"""What fuel is taken for: the one table of costs, the same on every processor and in every mode of compiling.

An instruction costs 1, but for those in :data:`INSTRUCTIONS`, and for those that leave no code of their own ("free" in
:data:`vibewasm.opcodes.TRAITS`), which cost nothing. To this comes what an instruction or a call does in proportion to
its operands. A unit stands for about a nanosecond. ``docs/fuel.md`` shows the table; a test compares.
"""

from __future__ import annotations

#: Instructions that do more than others, whatever their operands are. Those on tables and segments, and those that
#: grow, are carried out by Python; those that throw walk frames, each of which a call has paid for.
INSTRUCTIONS = {
    "memory.copy": 10,
    "memory.fill": 10,
    "memory.init": 500,
    "memory.grow": 500,
    "data.drop": 500,
    "table.init": 500,
    "table.copy": 500,
    "table.fill": 500,
    "table.grow": 500,
    "elem.drop": 500,
    "throw": 100,
    "throw_ref": 100,
    "rethrow": 100,
}

#: How many for one unit, rounded down: bytes that are filled, copied, read or written, or that a memory grows by (a
#: power of two, as machine code shifts); elements of tables; values that a function has as parameters, results and
#: locals, and that a branch or the end of a block carries; bytes by which a file gets room or another size.
BYTES = 16
ELEMENTS = 2
VALUES = 8
FILE_BYTES = 16

#: Units for each element that ``table.init`` copies from a segment.
SEGMENT_ELEMENT = 100

#: Units for a call of a Python function, and for each of its parameters and results.
HOST_CALL = 500
HOST_VALUE = 20

#: Units for a call of a WASI function, and besides: for each path and each slash in it, for each buffer of a read or a
#: write, for what is written through to the disk, for each random byte, for each thing that is waited for, for each
#: entry of a directory that is read, for each that the program is given, and for each argument or variable.
WASI_CALL = 2000
WASI_PATH = 20_000
WASI_SLASH = 3000
WASI_BUFFER = 100
WASI_SYNC = 20_000
WASI_RANDOM = 2
WASI_SUBSCRIPTION = 5000
WASI_ENTRY = 2000
WASI_LISTED = 200
WASI_STRING = 300

#: What WASI functions cost besides, by which of their arguments (from 0 on): ``path`` the length of one, after its
#: address; ``arguments`` and ``variables`` whatever the arguments are; ``buffers``
#: the address of an array of buffers, before their number; ``bytes`` a size in memory; ``file`` a size in a file;
#: ``random`` a number of random bytes; ``subscriptions`` a number of them; ``sync`` whatever the arguments are.
#: Functions that are not here cost no more than the call. ``fd_readdir`` pays for entries when it reads a directory.
WASI = {
    "args_get": (("arguments", 0),),
    "args_sizes_get": (("arguments", 0),),
    "environ_get": (("variables", 0),),
    "environ_sizes_get": (("variables", 0),),
    "fd_allocate": (("file", 2),),
    "fd_datasync": (("sync", 0),),
    "fd_filestat_set_size": (("file", 1),),
    "fd_pread": (("buffers", 1),),
    "fd_pwrite": (("buffers", 1),),
    "fd_read": (("buffers", 1),),
    "fd_readdir": (("bytes", 2),),
    "fd_sync": (("sync", 0),),
    "fd_write": (("buffers", 1),),
    "path_create_directory": (("path", 2),),
    "path_filestat_get": (("path", 3),),
    "path_filestat_set_times": (("path", 3),),
    "path_link": (("path", 3), ("path", 6)),
    "path_open": (("path", 3),),
    "path_readlink": (("path", 2), ("bytes", 4)),
    "path_remove_directory": (("path", 2),),
    "path_rename": (("path", 2), ("path", 5)),
    "path_symlink": (("path", 1), ("path", 4)),
    "path_unlink_file": (("path", 2),),
    "poll_oneoff": (("subscriptions", 2),),
    "random_get": (("random", 1),),
}
