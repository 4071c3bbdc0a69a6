"""Fuel for calls of WASI functions, by their arguments; loaded only where an engine counts.

All of it is taken before the function does anything, as :mod:`vibewasm.fuel_costs` has it.
"""

from __future__ import annotations

from ..fuel_costs import (
    BYTES,
    FILE_BYTES,
    WASI,
    WASI_BUFFER,
    WASI_CALL,
    WASI_PATH,
    WASI_RANDOM,
    WASI_SLASH,
    WASI_STRING,
    WASI_SUBSCRIPTION,
    WASI_SYNC,
)
from . import abi
from .guest import MAX_IOVECS, MAX_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Process


def metered(process: Process, name: str, function: Callable[..., int | None]) -> Callable[..., int | None]:
    """A function of WASI that takes fuel first. The process counts it."""
    charge = process.charge
    assert charge is not None
    costs = WASI.get(name, ())

    def call(process: Process, memory: memoryview, *arguments: int, **different: object) -> int | None:
        charge(WASI_CALL)
        for kind, position in costs:
            if kind == "buffers":
                _buffers(charge, memory, *arguments[position : position + 2])
            elif kind == "path":
                charge(_path(memory, *arguments[position - 1 : position + 1]))
            elif kind == "arguments":
                charge(_strings(process.args))
            elif kind == "variables":
                charge(_strings(process.environ))
            else:
                charge(_COSTS[kind](arguments[position]))
        return function(process, memory, *arguments, **different)

    return call


#: Units by an argument.
_COSTS: dict[str, Callable[[int], int]] = {
    "bytes": lambda size: size // BYTES,
    "file": lambda size: size // FILE_BYTES,
    "random": lambda count: WASI_RANDOM * count,
    "subscriptions": lambda count: WASI_SUBSCRIPTION * count,
    "sync": lambda _: WASI_SYNC,
}


def _path(memory: memoryview, address: int, length: int) -> int:
    """What a path costs: each slash in it may be a directory to be opened. One that is too long is not looked at."""
    slashes = bytes(memory[address : address + length]).count(b"/") if length <= MAX_PATH else 0
    return WASI_PATH + WASI_SLASH * slashes + length // BYTES


def _strings(strings: list[bytes]) -> int:
    return WASI_STRING * len(strings) + sum(map(len, strings)) // BYTES


def _buffers(charge: Callable[[int], None], memory: memoryview, address: int, count: int) -> None:
    """Take fuel for an array of buffers, and then for the bytes in them. An array out of range is the function's to
    refuse.
    """
    charge(WASI_BUFFER * count)
    looked = min(count, MAX_IOVECS)
    end = address + abi.IOVEC.size * looked
    if end <= len(memory):
        charge(sum([length for _, length in abi.IOVEC.iter_unpack(memory[address:end])]) // BYTES)
