"""Bytes as a series of WASI calls, on a folder of the host and on a directory in memory alike.

Calls are drawn with descriptors that are open and paths that exist, so most of them succeed; now and then an argument
is anything. Both programs have to give the same, nothing outside of the folder may change, and what a call gives is an
error number or the end of the program.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.guided.altering import altered as alter
from tests.guided.drawing import BytesRandom
from tests.guided.target import Wrong
from tests.wasi.program import READ_WRITE, ROOT, Failed, Program
from tests.wasi.test_hostile import taken
from vibewasm.traps import ExitTrap
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.memory_dir import MemoryDir
from vibewasm.wasi.preview1 import FUNCTIONS

_NAMES = ("a", "b", "d", "e", "l")
_EDGES = (0, 1, 4, 8, 64, 0xFFF, 0x20000 - 1, 0x20000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_CALLS = 24
#: How large a file may get: what asks for more is not called.
_SIZE = 300


class _Asked(Exception):
    """A call asks whether it may go on: it would sleep, or does much."""


class _Patience:
    """What a call asks whether it may go on. With hostile arguments it may not, or it would sleep for ever."""

    ended = False

    def __call__(self) -> None:
        if self.ended:
            raise _Asked


def seeds() -> list[bytes]:
    """Random numbers."""
    return [Random(index).randbytes(300) for index in range(100)]


def start(folder: Path) -> Callable[[bytes], None]:
    """Play the calls in a new folder each time."""
    canary = folder / "canary"
    canary.write_bytes(b"canary")
    place = folder / "root"

    def run(data: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        _play(BytesRandom(data), place)
        if sorted(os.listdir(folder)) != ["canary", "root"] or canary.read_bytes() != b"canary":
            raise Wrong(f"something changed outside of the folder: {sorted(os.listdir(folder))}")

    return run


def _program(directory: Path | MemoryDir, patience: _Patience) -> Program:
    streams = {"stdin": b"input" * 10, "stdout": io.BytesIO(), "stderr": io.BytesIO()}
    return Program(WasiConfig(["program"], {"A": "B"}, {"/": directory}, **streams), patience, 0x30000)  # type: ignore[arg-type]


def _play(rng: Random, place: Path) -> None:
    memory = MemoryDir({"a": b"0123456789", "d": {"b": b"b"}}, max_size=1 << 16)
    (place / "d").mkdir(parents=True)
    (place / "a").write_bytes(b"0123456789")
    (place / "d" / "b").write_bytes(b"b")
    patience = _Patience()
    programs = _program(place, patience), _program(memory, patience)
    for program in programs:
        program.open("a", rights=READ_WRITE)
        program.open("d", abi.OFLAG_DIRECTORY)
    fds = [ROOT, ROOT + 1, ROOT + 2]
    for _ in range(_CALLS):
        if rng.random() < 0.15:
            patience.ended = True
            _hostile(rng, programs, memory)
            return
        name, call = _call(rng, fds)
        host, ours = (_result(call, program) for program in programs)
        if host != ours:
            raise Wrong(f"{name} gives {host} on the host, and {ours} in memory")
        if name == "open" and isinstance(host, int):
            fds.append(host)
    if memory.files != _contents(place):
        raise Wrong(f"the files are {memory.files} in memory, and {_contents(place)} on the host")
    if not taken(memory) <= memory.size <= memory.max_size:
        raise Wrong(f"a directory in memory counts {memory.size} bytes, and has {taken(memory)}")


def _result(call: Callable[[Program], Any], program: Program) -> object:
    try:
        return call(program)
    except Failed as failed:
        return "error", failed.number


def _call(rng: Random, fds: list[int]) -> tuple[str, Callable[[Program], Any]]:
    """A call that may well succeed."""
    fd, other = rng.choice(fds), rng.choice(fds)
    path, second = _path(rng), _path(rng)
    size, at = rng.randrange(40), rng.randrange(60)
    data = rng.randbytes(rng.randrange(12))
    oflags, rights = rng.choice((0, 0, 1, 1, 2, 5, 8, 9)), rng.choice((abi.FD_READ, abi.FD_WRITE, READ_WRITE))
    flags = rng.choice((0, 0, abi.FDFLAG_APPEND, abi.FDFLAG_NONBLOCK))
    calls: dict[str, Callable[[Program], Any]] = {
        "open": lambda p: p.open(path, oflags, rights, fdflags=flags, follow=bool(at & 1)),
        "read": lambda p: p.read(fd, size, 3),
        "write": lambda p: p.write(fd, data, b"+"),
        "pread": lambda p: p.pread(fd, size, at),
        "pwrite": lambda p: p.pwrite(fd, data, at),
        "seek": lambda p: p.seek(fd, at - 20, size & 3),
        "tell": lambda p: p.tell(fd),
        "close": lambda p: p.close(fd),
        "status": lambda p: _status(p, fd),
        "names": lambda p: sorted(p.names(fd)),
        "sync": lambda p: p.call("fd_sync", fd),
        "advise": lambda p: p.call("fd_advise", fd, at, size, size % 7),
        "size": lambda p: p.call("fd_filestat_set_size", fd, at),
        "allocate": lambda p: p.call("fd_allocate", fd, at, size),
        "flags": lambda p: p.call("fd_fdstat_set_flags", fd, flags),
        "renumber": lambda p: p.call("fd_renumber", fd, other),
        "unlink": lambda p: p.unlink(path),
        "mkdir": lambda p: p.mkdir(path),
        "rmdir": lambda p: p.rmdir(path),
        "rename": lambda p: p.rename(path, second),
        "link": lambda p: p.link(path, second),
        "symlink": lambda p: p.symlink(rng_target, path),
        "readlink": lambda p: p.readlink(path, size + 1),
        "stat": lambda p: _kind(p, path, bool(at & 1)),
        "create": lambda p: p.create(path, data),
    }
    rng_target = rng.choice(("a", "d", "d/b", "nothing", "../a", "l"))
    name = rng.choice([*calls])
    return name, calls[name]


def _path(rng: Random) -> str:
    name = rng.choice(_NAMES)
    kind = rng.randrange(8)
    if kind < 4:
        return name
    return (f"d/{name}", f"./{name}", f"{name}/", f"d/../{name}")[kind - 4]


def _status(program: Program, fd: int) -> tuple[int, ...]:
    found = program.fstat(fd)
    # How large a directory is and how many links it has is told differently by each file system.
    return (found.type,) if found.type == abi.DIRECTORY else (found.type, found.size, found.nlink)


def _kind(program: Program, path: str, follow: bool) -> tuple[int, ...]:
    found = program.stat(path, follow=follow)
    return (found.type,) if found.type == abi.DIRECTORY else (found.type, found.size, found.nlink)


def _contents(folder: Path) -> dict[str, Any]:
    return {
        path.name: _contents(path) if path.is_dir() else path.read_bytes()
        for path in folder.iterdir()
        if not path.is_symlink()
    }


def _hostile(rng: Random, programs: tuple[Program, ...], memory: MemoryDir) -> None:
    """Calls with any arguments, which the two programs may answer otherwise: inode numbers and times differ."""
    for _ in range(8):
        name = rng.choice([*FUNCTIONS])
        params = FUNCTIONS[name][0].partition(":")[0]
        arguments = [_argument(rng, letter) for letter in params]
        if name in ("fd_allocate", "fd_filestat_set_size", "fd_seek", "fd_pwrite"):
            # No call may fill the disk.
            arguments = [arguments[0], *[argument % _SIZE for argument in arguments[1:]]]
        for program in programs:
            try:
                number = program.raw(name, *arguments)
            except ExitTrap:
                if name != "proc_exit":
                    raise Wrong(f"{name} ends the program") from None
            except _Asked:
                pass
            else:
                if not isinstance(number, int) or not 0 <= number <= 76:
                    raise Wrong(f"{name}{tuple(arguments)} gives {number!r}")
        if not taken(memory) <= memory.size <= memory.max_size:
            raise Wrong(f"after {name}{tuple(arguments)} a directory in memory counts {memory.size} bytes")


def _argument(rng: Random, letter: str) -> int:
    kind = rng.randrange(8)
    if kind < 4:
        return rng.randrange(8)
    if kind < 6:
        return rng.choice(_EDGES)
    if kind == 6:
        # Where the calls before have put something.
        return rng.choice((0x1000, 0x3000, 0x5000, 0x6000, 0x10000))
    return rng.getrandbits(32 if letter == "i" else 64)


__all__ = ["alter", "seeds", "start"]
