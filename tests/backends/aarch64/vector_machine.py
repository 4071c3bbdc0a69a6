"""Runs pieces of AArch64 code, each on registers, a frame and a memory that a test chooses: in this process where that
is possible, else in an emulated one that lives as long as the tests (``tools/arm64.py``).

All other registers, and all else in frame and memory, hold what a test can foresee, so that what a piece of code should
have left alone can be compared as well.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import random
import subprocess
import sys
from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO

from vibewasm.backends.aarch64 import asm
from vibewasm.backends.aarch64.regs import FRAME, MEMORY_BASE
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.code_memory import CodeMemory

#: Bytes of the frame, and of the memory, after which comes memory that nothing may touch.
FRAME_SIZE = 0x10040
MEMORY_SIZE = 0x20000
#: What is in memory before a piece of code runs.
MEMORY = random.Random(1).randbytes(MEMORY_SIZE)
#: Bytes of the memory that a case gets back.
WINDOW = 32

#: General registers and vector registers of the state, which begins with them.
_INTS, _VECTORS = 30, 32
_VECTORS_AT = 256
_STATE_SIZE = _VECTORS_AT + 16 * _VECTORS
_layout = Struct(f"<{_INTS + 1}Q8x")
_pack_ints, _unpack_ints = _layout.pack, _layout.unpack
#: The register that belongs to the operating system.
_PLATFORM = 18
#: A system register, as :func:`.asm.mrs` names it.
_NZCV = 0x5A10


@dataclass
class Case:
    """A piece of code and what it starts from.

    Attributes:
        literals: vector constants beside the code, as :attr:`.assembly.Selection.literals` has them.
        ints, vectors: registers by number; others are as :func:`untouched` says.
        frame: vectors and cells of the frame by offset.
        window: where in memory the code may write.
    """

    code: bytes
    literals: list[tuple[int, int]] = field(default_factory=list)
    ints: dict[int, int] = field(default_factory=dict)
    vectors: dict[int, int] = field(default_factory=dict)
    frame: dict[int, int] = field(default_factory=dict)
    window: int = 0


@dataclass
class Outcome:
    """What is in registers and in the window afterwards; flags as NZCV from bit 31 on.

    Attributes:
        elsewhere: whether the code wrote to memory outside the window, or to the frame.
    """

    ints: list[int]
    vectors: list[int]
    flags: int
    window: bytes
    elsewhere: bool


def untouched_int(reg: int) -> int:
    """What is in a general register that a case does not set."""
    return 0xA5A5_0000_5A5A_0000 | reg * 0x0001_0000_0001


def untouched_vector(reg: int) -> int:
    """What is in a vector register that a case does not set."""
    return 0xC3C3_0000_3C3C_0000_C3C3_0000_3C3C_0000 | reg * 0x0001_0000_0001_0000_0001_0000_0001


_UNTOUCHED_INTS = [untouched_int(reg) for reg in range(_INTS)]
_UNTOUCHED_VECTORS = [untouched_vector(reg).to_bytes(16, "little") for reg in range(_VECTORS)]


#: Registers that C functions preserve: on the stack, with the state's address after them.
_SAVED = [(asm.STR_X, asm.LDR_X, reg) for reg in range(19, 31)] + [(asm.STR_D, asm.LDR_D, reg) for reg in range(8, 16)]
_ON_STACK = 176


def _before() -> bytes:
    code = asm.alu_ri(asm.SUB, 1, 31, 31, _ON_STACK)
    for place, (store, _, reg) in enumerate(_SAVED):
        code += asm.access(store, reg, 31, 8 * place)
    code += asm.access(asm.STR_X, 0, 31, 8 * len(_SAVED))
    for reg in range(_VECTORS):
        code += asm.access(asm.LDR_Q, reg, 0, _VECTORS_AT + 16 * reg)
    for reg in range(_INTS - 1, -1, -1):
        if reg != _PLATFORM:
            code += asm.access(asm.LDR_X, reg, 0, 8 * reg)
    return code


def _after() -> bytes:
    # The link register is the one that no choice uses.
    code = asm.access(asm.LDR_X, 30, 31, 8 * len(_SAVED))
    for reg in range(_INTS):
        if reg != _PLATFORM:
            code += asm.access(asm.STR_X, reg, 30, 8 * reg)
    code += asm.mrs(0, _NZCV) + asm.access(asm.STR_X, 0, 30, 8 * _INTS)
    for reg in range(_VECTORS):
        code += asm.access(asm.STR_Q, reg, 30, _VECTORS_AT + 16 * reg)
    for place, (_, load, reg) in enumerate(_SAVED):
        code += asm.access(load, reg, 31, 8 * place)
    return code + asm.alu_ri(asm.ADD, 1, 31, 31, _ON_STACK) + asm.ret()


_BEFORE, _AFTER = _before(), _after()


def _whole(case: Case) -> bytes:
    """A function of the state's address around the code."""
    code = bytearray(_BEFORE + case.code + _AFTER)
    for end, bits in case.literals:
        code += bytes(-len(code) % 16)
        at = len(_BEFORE) + end - 4
        word = int.from_bytes(code[at : at + 4], "little") | (len(code) - at) >> 2 << 5
        code[at : at + 4] = word.to_bytes(4, "little")
        code += bits.to_bytes(16, "little")
    return bytes(code)


class Processor:
    """Runs cases in this process."""

    def __init__(self) -> None:
        from vibewasm.calls import process

        process.prepare()
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_size_t)
        page = mmap.PAGESIZE
        self._memory = mmap.mmap(-1, MEMORY_SIZE + page)
        self._view = memoryview(self._memory)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        library = ctypes.CDLL(None, use_errno=True)
        if library.mprotect(ctypes.c_void_p(self._base + MEMORY_SIZE), ctypes.c_size_t(page), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
        self._view[:MEMORY_SIZE] = MEMORY
        self._state = Block(_STATE_SIZE + FRAME_SIZE)
        self._address = self._state.address
        self._here = self._state.bytes

    def run(self, cases: list[Case]) -> list[Outcome]:
        code = CodeMemory(1 << 20, traps=False)
        found = [self._run(code, case) for case in cases]
        code.close()
        return found

    def _run(self, code: CodeMemory, case: Case) -> Outcome:
        ints = [case.ints.get(reg, _UNTOUCHED_INTS[reg]) for reg in range(_INTS)]
        ints[FRAME] = self._address + _STATE_SIZE
        ints[MEMORY_BASE] = self._base
        vectors = list(_UNTOUCHED_VECTORS)
        for reg, value in case.vectors.items():
            vectors[reg] = value.to_bytes(16, "little")
        frame = bytearray(FRAME_SIZE)
        for offset, value in case.frame.items():
            frame[offset : offset + 16] = value.to_bytes(16, "little")
        here = self._here
        here[:_VECTORS_AT] = _pack_ints(*ints, 0)
        here[_VECTORS_AT:_STATE_SIZE] = b"".join(vectors)
        here[_STATE_SIZE:] = frame
        self._call(code.publish(_whole(case)))(self._address)
        *after, flags = _unpack_ints(here[:_VECTORS_AT])
        for reg in (_PLATFORM, FRAME, MEMORY_BASE):
            # What is not the case's: all that counts is whether it has changed.
            after[reg] = untouched_int(reg) ^ (after[reg] != ints[reg])
        ends = range(_VECTORS_AT, _STATE_SIZE, 16)
        window = bytes(self._view[case.window : case.window + WINDOW])
        self._view[case.window : case.window + WINDOW] = MEMORY[case.window : case.window + WINDOW]
        # Slices of a mapping and copies are compared as a whole, views byte by byte.
        elsewhere = self._memory[:MEMORY_SIZE] != MEMORY or bytes(here[_STATE_SIZE:]) != frame
        if elsewhere:
            self._view[:MEMORY_SIZE] = MEMORY
        return Outcome(after, [int.from_bytes(here[at : at + 16], "little") for at in ends], flags, window, elsewhere)


class Emulated:
    """Runs cases in an emulated process."""

    def __init__(self) -> None:
        from tools import arm64

        line, environment = arm64.command(["-m", "tests.backends.aarch64.vector_machine"])
        self._process = subprocess.Popen(line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, cases: list[Case]) -> list[Outcome]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # Attributes, as pytest and Python have different names for this module's classes.
        pickle.dump([vars(case) for case in cases], process.stdin)
        process.stdin.flush()
        return [Outcome(**found) for found in pickle.load(process.stdout)]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve(source: BinaryIO, target: BinaryIO) -> None:
    processor = Processor()
    while True:
        try:
            cases = pickle.load(source)
        except EOFError:
            return
        pickle.dump([vars(outcome) for outcome in processor.run([Case(**case) for case in cases])], target)
        target.flush()


_one: list[Processor | Emulated] = []


def run(cases: list[Case]) -> list[Outcome]:
    """What becomes of each case."""
    if not _one:
        _one.append(Processor() if os.uname().machine == "aarch64" else Emulated())
    return _one[0].run(cases)


def missing() -> str:
    """What keeps cases from being run here, or nothing."""
    from tools import arm64

    if os.uname().machine == "aarch64" or arm64.is_set_up():
        return ""
    return "no emulated Python: python tools/arm64.py --set-up makes one, without root"


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
