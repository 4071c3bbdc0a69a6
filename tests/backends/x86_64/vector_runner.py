"""Runs what a rule chose: with operands wherever they may be, and a look at what it should have left alone."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from vibewasm.backends.operand import (
    CONSTANT,
    FIRST_FLOAT_BIT,
    I32,
    LITERAL,
    REGISTER,
    V128,
    Operand,
    constant,
    frame_local,
    is_float,
    pinned_local,
    register,
    slot,
)
from vibewasm.backends.types import Rule
from vibewasm.backends.x86_64 import asm, regs
from vibewasm.backends.x86_64.selection import FLOAT_TEMPORARIES, INT_TEMPORARIES, Selection
from vibewasm.backends.x86_64.target import TARGET as target
from vibewasm.calls import process

#: General registers that code may see: all but the frame pointer and the stack pointer.
GENERAL = tuple(reg for reg in range(16) if reg not in (regs.RSP, regs.RBP))
_SAVED = (regs.RBP, regs.RBX, regs.R12, regs.R13, regs.R14, regs.R15)
#: Where in a block the frame pointer points to, and from there vectors and general registers before and after the code.
_FRAME = 1024
_VECTORS, _GENERAL, _VECTORS_AFTER, _GENERAL_AFTER, _END = 0, 256, 384, 640, 768
ALL = INT_TEMPORARIES | FLOAT_TEMPORARIES

#: What every register holds that a case says nothing about.
_OTHER = 0xA5A5_5A5A_0F0F_F0F0_1234_5678_9ABC_DEF0


@dataclass
class State:
    """Registers, and the frame below its pointer."""

    vectors: list[int]
    general: dict[int, int]
    frame: bytes


class Runner:
    """Memory for one piece of code at a time, and for what it works on."""

    def __init__(self) -> None:
        self._code = mmap.mmap(-1, 1 << 16, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(self._start)
        self._block = mmap.mmap(-1, 4096)
        self._block_start = ctypes.addressof(ctypes.c_char.from_buffer(self._block))
        self._memory = mmap.mmap(-1, 8192)
        self.memory_base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        # What reads or writes beyond the first page ends the test run.
        protect = ctypes.CDLL(None).mprotect
        assert protect(ctypes.c_void_p(self.memory_base + 4096), ctypes.c_size_t(4096), 0) == 0
        self._literals: list[int] = []

    @property
    def memory(self) -> mmap.mmap:
        """Linear memory: its first 4096 bytes, and no more, may be accessed."""
        return self._memory

    def load(self, code: bytes, literals: Sequence[tuple[int, int | None]] = ()) -> None:
        """Make code ready to be run; where it reads :data:`LITERAL`, :meth:`run` says what that is."""
        frame = regs.FRAME
        before = b"".join(asm.push_r(reg) for reg in _SAVED) + asm.mov_rr(1, frame, regs.RDI)
        before += b"".join(asm.movups_rm(reg, frame, _VECTORS + 16 * reg) for reg in range(16))
        before += b"".join(asm.mov_rm(1, reg, frame, _GENERAL + 8 * reg) for reg in GENERAL)
        after = b"".join(asm.movups_mr(frame, _VECTORS_AFTER + 16 * reg, reg) for reg in range(16))
        after += b"".join(asm.mov_mr(1, frame, _GENERAL_AFTER + 8 * reg, reg) for reg in GENERAL)
        after += b"".join(asm.pop_r(reg) for reg in reversed(_SAVED)) + asm.ret()
        whole = bytearray(before + code + after)
        self._literals = []
        for end, bits in literals:
            whole += bytes(-len(whole) % 16)
            at = len(before) + end
            assert whole[at - 4 : at] == bytes(4)
            whole[at - 4 : at] = (len(whole) - at).to_bytes(4, "little")
            if bits is None:
                self._literals.append(len(whole))
            whole += (bits or 0).to_bytes(16, "little")
        self._code[: len(whole)] = bytes(whole)

    def run(self, state: State, literal: int = 0) -> State:
        """Run the code that was made ready, and give what it left."""
        for at in self._literals:
            self._code[at : at + 16] = literal.to_bytes(16, "little")
        block = bytearray(_FRAME + _END)
        block[_FRAME - len(state.frame) : _FRAME] = state.frame
        for reg, value in enumerate(state.vectors):
            at = _FRAME + _VECTORS + 16 * reg
            block[at : at + 16] = value.to_bytes(16, "little")
        for reg in GENERAL:
            at = _FRAME + _GENERAL + 8 * reg
            block[at : at + 8] = state.general[reg].to_bytes(8, "little")
        self._block[: len(block)] = bytes(block)
        self._call(self._block_start + _FRAME)
        left = self._block[: len(block)]

        def read(at: int, size: int) -> int:
            return int.from_bytes(left[_FRAME + at : _FRAME + at + size], "little")

        return State(
            [read(_VECTORS_AFTER + 16 * reg, 16) for reg in range(16)],
            {reg: read(_GENERAL_AFTER + 8 * reg, 8) for reg in GENERAL},
            left[_FRAME - len(state.frame) : _FRAME],
        )


@dataclass
class Case:
    """Operands in their places, the free temporaries and the sink."""

    operands: tuple[Operand, ...]
    free: int
    sink: Operand | None

    def state(self, values: Sequence[int], memory_base: int = 0) -> tuple[State, int]:
        """Registers and frame in which the operands have these values, and what the literal is."""
        state = State([_OTHER ^ reg for reg in range(16)], {reg: _OTHER >> 64 ^ reg for reg in GENERAL}, b"")
        state.general[regs.MEMORY_BASE] = memory_base
        frame = bytearray(512)
        literal = 0
        for operand, value in zip(self.operands, values, strict=True):
            if operand is LITERAL:
                literal = value
            elif operand.kind == CONSTANT:
                assert operand.value == value
            elif operand.reg < 0:
                width = 16 if operand.type == V128 else 8
                frame[operand.offset + 512 : operand.offset + 512 + width] = value.to_bytes(width, "little")
            elif is_float(operand.type):
                state.vectors[operand.reg] = value
            else:
                state.general[operand.reg] = value
        state.frame = bytes(frame)
        return state, literal

    def values(self, drawn: Sequence[int]) -> list[int]:
        """The values drawn for the operands, but those of constants, and the same for the same place."""
        values = list(drawn)
        for at, operand in enumerate(self.operands):
            if operand.kind == CONSTANT and operand is not LITERAL:
                values[at] = operand.value
            values[at] = values[self.operands.index(operand)]
        return values

    def check_kept(self, before: State, after: State, free_after: int, result: Operand | None) -> None:
        """Nothing may have changed but what was free, what the operands held, and where the result is."""
        own = 0
        for operand in self.operands:
            own |= operand.bit
        kept = 0 if result is None else result.bit
        assert free_after == (self.free | own) & ~kept, (hex(free_after), hex(self.free), hex(own), result)
        for reg in range(16):
            bit = 1 << FIRST_FLOAT_BIT + reg
            is_result = result is not None and is_float(result.type) and result.reg == reg
            if not is_result and not bit & (self.free | own):
                assert before.vectors[reg] == after.vectors[reg], f"xmm{reg} changed"
        for reg in GENERAL:
            is_result = result is not None and not is_float(result.type) and result.reg == reg
            if not is_result and not 1 << reg & (self.free | own):
                assert before.general[reg] == after.general[reg], f"{regs.NAMES_64[reg]} changed"
        assert before.frame == after.frame, "the frame changed"


def places(type_: int, temporary: int) -> list[Operand]:
    """An operand of the type in every kind of place."""
    if not is_float(type_):
        # Of the general registers fewer are temporaries.
        pinned, other, frame, temporary = 3, 12, -8, min(temporary, 2)
    else:
        pinned, other, frame = 8, 9, -64
    found = [
        register(type_, temporary),
        pinned_local(type_, pinned),
        pinned_local(type_, other),
        frame_local(type_, frame),
        slot(type_, frame - 128 - 16 * temporary),
    ]
    if type_ == V128:
        found += [LITERAL, constant(V128, 0), constant(V128, (1 << 128) - 1)]
    elif type_ == I32:
        found += [constant(I32, 0)]
    return found


def _masks(operands: tuple[Operand, ...]) -> list[int]:
    """Free temporaries: all that operands leave, and as few as there can be."""
    own = 0
    for operand in operands:
        own |= operand.bit
    few = ALL & ~own
    for order, least in ((range(8), 2), (range(FIRST_FLOAT_BIT, FIRST_FLOAT_BIT + 8), 4)):
        kind = INT_TEMPORARIES if least == 2 else FLOAT_TEMPORARIES
        for number in order:
            if (few & kind).bit_count() > least:
                few &= ~(1 << number)
    return [ALL & ~own, few]


def cases(types: Sequence[int], result: int | None, count: int, seed: int) -> Iterator[Case]:
    """Drawn cases for operands of these types: all that there are, if they are not more than ``count``."""
    temporaries = itertools.permutations((0, 1, 6), len(types)) if len(types) < 3 else [(0, 1, 2), (6, 0, 3)]
    found = []
    for chosen in temporaries:
        for operands in itertools.product(*map(places, types, chosen)):
            if sum(operand.kind == CONSTANT for operand in operands) > 1:
                continue
            sinks: list[Operand | None] = [None]
            if result is not None:
                sinks += [pinned_local(result, reg) for reg in ((8, 9, 10) if is_float(result) else (3, 12, 8))]
            found += [Case(operands, free, sink) for free in _masks(operands) for sink in sinks]
    if len(found) > count:
        found = random.Random(seed).sample(found, count)
    yield from found


def in_registers(count: int) -> Case:
    """A case of so many vectors, in temporaries."""
    operands = tuple([register(V128, number) for number in range(count)])
    return Case(operands, _masks(operands)[0], None)


RUNNER = Runner()

#: Extensions that rules choose by: none, AVX, and AVX2 and FMA besides. Few processors have AVX alone: that is for CI.
VARIANTS = ("baseline", pytest.param("avx", marks=pytest.mark.ci), "avx2")


@contextlib.contextmanager
def configured(variant: str) -> Iterator[None]:
    """Let rules use the extensions of one of :data:`VARIANTS`; the test is skipped where the processor has them not."""
    process.prepare()
    before = process.extensions()
    if variant != "baseline" and before >> 3 != 7:
        pytest.skip("this processor has not all of AVX, AVX2 and FMA, or VIBEWASM_CPU leaves them out")
    more = variant == "avx2"
    target.configure(False, False, False, variant != "baseline", more, more)
    yield
    target.configure(*[bool(before >> bit & 1) for bit in range(6)])


def chosen(rule: Rule, case: Case, *immediates: object) -> tuple[bytes, Operand, int, list[tuple[int, int | None]]]:
    """What a rule chooses in a case: code, the result's entry, what is free then, and literals."""
    s = Selection(case.free)
    s.literals = []
    result = rule(s, case.sink, *case.operands, *immediates)
    return bytes(s.code), result, s.free | s.released, s.literals


def run_rule(
    case: Case, choice: tuple[bytes, Operand, int, list[tuple[int, int | None]]], values: Sequence[int]
) -> int:
    """The result of code that is ready for these operands, after a look at what it has left alone."""
    _, result, free, _ = choice
    before, literal = case.state(values)
    after = RUNNER.run(before, literal)
    case.check_kept(before, after, free, result)
    assert result.kind == REGISTER if case.sink is None else result is case.sink
    return after.vectors[result.reg] if is_float(result.type) else after.general[result.reg]
