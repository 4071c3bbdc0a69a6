"""The state of one WASI program, and the functions about the program itself: arguments, environment, exit and so on."""

from __future__ import annotations

import os

from ..traps import ExitTrap
from . import abi, guest
from .config import Dir, opened
from .errnos import ENOSYS, SUCCESS
from .fds import Directory, FileTable
from .streams import open_input, open_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import WasiConfig
    from .determinism import AskedClocks, SeededRandom, StableFiles, SteppedClocks
    from .memory_dir import MemoryDir
    from .room import Room

    Clocks = SteppedClocks | AskedClocks
    Check = Callable[[], object]
    Charge = Callable[[int], None]

#: Random bytes asked for at once.
_RANDOM_CHUNK = 1 << 16
#: Random bytes between two calls of the check; they take some ten milliseconds.
_RANDOM_TURN = 1 << 22


class Process:
    """What a program has: arguments, environment, open files.

    Attributes:
        args, environ: strings without their NUL.
        files: the file table: standard streams, then preopened directories from 3 on.
        check: called from time to time while the program waits; None if nobody wants to be asked.
        charge: takes units of fuel, see :mod:`.metering`; None if nobody counts.
        clocks: its own clocks; None for the host's.
        random: where its random bytes come from; None for the operating system.
        room: how much it may take of the host's; None for as much as it likes.
        stable: tells it of files what is the same everywhere; None for what the host says.
    """

    __slots__ = ("args", "charge", "check", "clocks", "environ", "files", "random", "room", "stable")

    def __init__(
        self,
        config: WasiConfig,
        check: Check | None,
        charge: Charge | None = None,
        room: Room | None = None,
        deterministic: bool = False,
    ) -> None:
        self.args = config.encoded_args()
        self.environ = config.encoded_env()
        self.check = check
        self.charge = charge
        self.room = room
        self.clocks: Clocks | None = None
        self.random: SeededRandom | None = None
        self.stable: StableFiles | None = None
        clock, seed = config.clock, config.random_seed
        if deterministic:
            from .determinism import SEED, START, StableFiles

            clock = START if clock is None else clock
            seed = SEED if seed is None else seed
            self.stable = StableFiles(clock if isinstance(clock, int) else START)
        if clock is not None:
            from .determinism import AskedClocks, SteppedClocks

            self.clocks = SteppedClocks(clock) if isinstance(clock, int) else AskedClocks(clock)
        if seed is not None:
            from .determinism import SeededRandom

            self.random = SeededRandom(seed)
        self.files = FileTable(room)
        self.files.add(open_input(config.stdin, config.inherit_stdin, check))
        self.files.add(open_output(1, config.stdout, check))
        self.files.add(open_output(2, config.stderr, check))
        if deterministic:
            for stream in self.files:
                # Programs write otherwise to a terminal, and to a file.
                stream.file_type = abi.UNKNOWN
                stream.rights &= abi.STREAM_RIGHTS | abi.FD_READ | abi.FD_WRITE
        on_host: list[Directory] = []
        for guest_path, host in config.encoded_preopens():
            if isinstance(host, Dir):
                directory = self._on_host(guest_path, host)
                on_host.append(directory)
            else:
                directory = self._in_memory(host)
            directory.preopen = guest_path
            directory.read_only = host.read_only
            self.files.add(directory)
        if len({directory.read_only for directory in on_host}) == 2:
            from .overlaps import guard

            guard(on_host)
        if room is not None:
            room.begin(self.files, self.args + self.environ)

    def status(self, status: os.stat_result) -> os.stat_result:
        """What the program is told of a file that has this status."""
        return status if self.stable is None else self.stable.status(status)

    def _on_host(self, guest_path: bytes, host: Dir) -> Directory:
        fd = opened(f"preopens[{os.fsdecode(guest_path)!r}]", host.path, os.O_RDONLY | os.O_DIRECTORY)
        directory = Directory(fd, abi.DIRECTORY_RIGHTS, abi.ALL_RIGHTS)
        directory.special_files = host.special_files
        return directory

    def _in_memory(self, directory: MemoryDir) -> Directory:
        from .memory_files import preopened

        return preopened(self, directory)


def args_get(process: Process, memory: memoryview, pointers: int, buffer: int) -> int:
    """Write the arguments to ``buffer`` and their addresses to ``pointers``."""
    return _write_strings(memory, process.args, pointers, buffer)


def args_sizes_get(process: Process, memory: memoryview, count: int, size: int) -> int:
    """Write the number of arguments and their total size with NULs."""
    return _write_sizes(memory, process.args, count, size)


def environ_get(process: Process, memory: memoryview, pointers: int, buffer: int) -> int:
    """Write the environment to ``buffer`` and the addresses of its strings to ``pointers``."""
    return _write_strings(memory, process.environ, pointers, buffer)


def environ_sizes_get(process: Process, memory: memoryview, count: int, size: int) -> int:
    """Write the number of environment strings and their total size with NULs."""
    return _write_sizes(memory, process.environ, count, size)


def proc_exit(process: Process, memory: memoryview, code: int) -> None:
    """End the program."""
    raise ExitTrap(code)


def proc_raise(process: Process, memory: memoryview, signal: int) -> int:
    """Not supported, as in other engines: a program has no signals."""
    return ENOSYS


def sched_yield(process: Process, memory: memoryview) -> int:
    """Let others run."""
    os.sched_yield()
    return SUCCESS


def random_get(process: Process, memory: memoryview, buffer: int, size: int) -> int:
    """Fill a buffer with random bytes of cryptographic quality, or with those of the program's seed."""
    guest.check(memory, buffer, size)
    random = os.urandom if process.random is None else process.random.bytes
    end = buffer + size
    turn = buffer + _RANDOM_TURN
    while buffer < end:
        if buffer >= turn and process.check is not None:
            process.check()
            turn += _RANDOM_TURN
        count = min(end - buffer, _RANDOM_CHUNK)
        memory[buffer : buffer + count] = random(count)
        buffer += count
    return SUCCESS


def _write_sizes(memory: memoryview, strings: list[bytes], count: int, size: int) -> int:
    guest.check(memory, count, abi.U32.size)
    guest.check(memory, size, abi.U32.size)
    abi.U32.pack_into(memory, count, len(strings))
    abi.U32.pack_into(memory, size, sum(map(len, strings)) + len(strings))
    return SUCCESS


def _write_strings(memory: memoryview, strings: list[bytes], pointers: int, buffer: int) -> int:
    guest.check(memory, pointers, abi.U32.size * len(strings))
    guest.check(memory, buffer, sum(map(len, strings)) + len(strings))
    for string in strings:
        abi.U32.pack_into(memory, pointers, buffer)
        pointers += abi.U32.size
        guest.write(memory, buffer, string + b"\0")
        buffer += len(string) + 1
    return SUCCESS
