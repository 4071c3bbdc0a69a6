"""What does not fit the fields of one instruction: far slots, offsets, constants and jumps, in code that runs.

On AArch64 an offset from a register has 12 bits, a conditional jump reaches 1 MiB, and 32 KiB where it tests one bit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import vibewasm
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, signed, unsigned

GET, SET, TEE, DROP, END = b"\x20", b"\x21", b"\x22", b"\x1a", b"\x0b"
BLOCK, LOOP, IF, BR, BR_IF, BR_TABLE = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x0c", b"\x0d", b"\x0e"
#: Locals: in registers and near the frame pointer, around what one instruction reaches, and far beyond it.
INDICES = (0, 1, 2, 3, 5, 8, 13, 17, 20, 30, 127, 128, 500, 511, 512, 4060, 4090, 4095, 4096, 9000, 39_999)
LOCALS = 40_000


def function(
    params: tuple[str, ...],
    results: tuple[str, ...],
    body: bytes,
    locals: list[tuple[int, str]],
    pages: int = 0,
    **options: Any,
) -> Callable[..., Any]:
    """The only function of a module; ``options`` are those of the configuration."""
    builder = ModuleBuilder()
    if pages:
        builder.memory(pages)
    builder.func(params, results, body, locals=locals, export="f")
    found: Callable[..., Any] = vibewasm.instantiate(builder.build(), config=vibewasm.Config(**options)).exports.f
    return found


def wrap(value: int, width: int) -> int:
    return value & (1 << width) - 1


def as_signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> width - 1 else value


def const(width: int, value: int) -> bytes:
    return (b"\x41" if width == 32 else b"\x42") + signed(as_signed(value, width))


def shaped(rng: Random, width: int) -> int:
    """A constant of one of the shapes that instructions have forms for, or of none."""
    kind = rng.randrange(7)
    if kind == 0:
        return wrap(rng.randrange(-70, 70), width)
    if kind == 1:
        return wrap(rng.choice((-1, 1)) * (rng.randrange(4100) << rng.choice((0, 12))), width)
    if kind == 2:
        # A run of ones, rotated.
        run = (1 << rng.randrange(1, width)) - 1
        turn = rng.randrange(width)
        return wrap(run << turn | run >> width - turn, width)
    if kind == 3:
        part = rng.getrandbits(8)
        return int.from_bytes(bytes((part, part ^ 0xFF)) * (width // 16), "little")
    if kind == 4:
        return wrap(rng.getrandbits(16) << rng.randrange(0, width, 16), width)
    if kind == 5:
        return wrap(~(rng.getrandbits(16) << rng.randrange(0, width, 16)), width)
    return rng.getrandbits(width)


#: Operations by how far their opcodes are from that of ``add``, as functions of two numbers and the width.
OPERATIONS: tuple[tuple[int, Callable[[int, int, int], int]], ...] = (
    (0, lambda a, b, w: a + b),
    (1, lambda a, b, w: a - b),
    (2, lambda a, b, w: a * b),
    (7, lambda a, b, w: a & b),
    (8, lambda a, b, w: a | b),
    (9, lambda a, b, w: a ^ b),
    (10, lambda a, b, w: a << b % w),
    (11, lambda a, b, w: as_signed(a, w) >> b % w),
    (12, lambda a, b, w: a >> b % w),
    (13, lambda a, b, w: a << b % w | a >> -b % w),
    (14, lambda a, b, w: a >> b % w | a << -b % w),
)
#: Comparisons by how far their opcodes are from that of ``eq``.
COMPARISONS: tuple[tuple[int, Callable[[int, int, int], bool]], ...] = (
    (0, lambda a, b, w: a == b),
    (1, lambda a, b, w: a != b),
    (2, lambda a, b, w: as_signed(a, w) < as_signed(b, w)),
    (3, lambda a, b, w: a < b),
    (4, lambda a, b, w: as_signed(a, w) > as_signed(b, w)),
    (5, lambda a, b, w: a > b),
    (6, lambda a, b, w: as_signed(a, w) <= as_signed(b, w)),
    (7, lambda a, b, w: a <= b),
    (8, lambda a, b, w: as_signed(a, w) >= as_signed(b, w)),
    (9, lambda a, b, w: a >= b),
)


class Walk:
    """A random walk over straight-line code, which knows what every local and every operand has to be."""

    def __init__(self, seed: str, width: int) -> None:
        self.rng = Random(seed)
        self.width = width
        self.body = bytearray()
        self.locals = dict.fromkeys(INDICES, 0)
        self.stack: list[int] = []

    def push(self) -> None:
        """A constant, or a local."""
        if self.rng.random() < 0.4:
            value = shaped(self.rng, self.width)
            self.body += const(self.width, value)
        else:
            index = self.rng.choice(INDICES)
            value = self.locals[index]
            self.body += GET + unsigned(index)
        self.stack.append(value)

    def combine(self) -> None:
        """An operation, or a comparison whose outcome is used in one of the ways that there are."""
        b, a = self.stack.pop(), self.stack.pop()
        wide = self.width == 64
        if self.rng.random() < 0.7:
            code, operation = self.rng.choice(OPERATIONS)
            self.body += bytes([(0x7C if wide else 0x6A) + code])
            self.stack.append(wrap(operation(a, b, self.width), self.width))
            return
        code, comparison = self.rng.choice(COMPARISONS)
        outcome = comparison(a, b, self.width)
        self.body += bytes([(0x51 if wide else 0x46) + code])
        use = self.rng.randrange(4)
        if use == 0:
            self.body += b"\x45"  # i32.eqz
            outcome = not outcome
        if use < 2:
            self.body += b"\xad" if wide else b""  # i64.extend_i32_u
            self.stack.append(int(outcome))
            return
        # A choice between a local and what was pushed before it; or an assignment that is jumped over.
        index = self.rng.choice(INDICES)
        if use == 2:
            self.body += SET + unsigned(LOCALS)
            self.push()
            self.push()
            self.body += GET + unsigned(LOCALS) + b"\x1b"
            second, first = self.stack.pop(), self.stack.pop()
            self.stack.append(first if outcome else second)
            return
        value = shaped(self.rng, self.width)
        self.body += IF + const(self.width, value) + SET + unsigned(index) + END
        if outcome:
            self.locals[index] = value

    def assign(self) -> None:
        """``local.set`` or ``local.tee``."""
        index = self.rng.choice(INDICES)
        if self.rng.random() < 0.5:
            self.body += TEE + unsigned(index)
            self.locals[index] = self.stack[-1]
        else:
            self.body += SET + unsigned(index)
            self.locals[index] = self.stack.pop()

    def go(self, steps: int, depth: int) -> None:
        for _ in range(steps):
            action = self.rng.random()
            if len(self.stack) < 2 or (action < 0.45 and len(self.stack) < depth):
                self.push()
            elif action < 0.8:
                self.combine()
            else:
                self.assign()
        for index in INDICES:
            self.body += GET + unsigned(index)
            self.stack.append(self.locals[index])
        while len(self.stack) > 1:
            self.body += b"\x85" if self.width == 64 else b"\x73"  # xor
            self.stack[-2:] = [self.stack[-1] ^ self.stack[-2]]


@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
@pytest.mark.parametrize("depth", [3, 12, 60])
@pytest.mark.parametrize("width", [32, 64])
def test_straight_line_code_does_what_it_says(width: int, depth: int, checked: bool) -> None:
    """Any operand anywhere: in registers, constants of all shapes, and slots near and far."""
    for seed in range(8):
        walk = Walk(f"{width}:{depth}:{seed}", width)
        walk.go(600, depth)
        type_ = f"i{width}"
        f = function((), (type_,), bytes(walk.body), [(LOCALS, type_), (1, "i32")], checked=checked)
        assert wrap(f(), width) == walk.stack[0], seed


@pytest.mark.parametrize("double", [False, True], ids=["f32", "f64"])
def test_floats_far_from_the_frame_pointer(double: bool) -> None:
    type_, width = ("f64", 8) if double else ("f32", 4)
    pack = "<d" if double else "<f"
    numbers = [0.0, 1.0, -2.5, 1e10, 0.1, -31.0, 2.0**-40]
    body = b""
    total = 0.0
    for position, index in enumerate(INDICES):
        number = numbers[position % len(numbers)]
        raw = struct.pack(pack, number)
        body += (b"\x44" if double else b"\x43") + raw + SET + unsigned(index)
    body += GET + unsigned(INDICES[0])
    for position, index in enumerate(INDICES):
        number = struct.unpack(pack, struct.pack(pack, numbers[position % len(numbers)]))[0]
        total = struct.unpack(pack, struct.pack(pack, total + number))[0]
        body += GET + unsigned(index) + (b"\xa0" if double else b"\x92")
    assert width * 8 == int(type_[1:])
    assert function((), (type_,), body, [(LOCALS, type_)])() == total


@pytest.mark.parametrize("explicit_bounds", [False, True])
def test_offsets_of_any_size_address_the_byte_that_they_say(explicit_bounds: bool) -> None:
    """The index in a register, in a far slot, and as a constant; what is stored in all of these places, too."""
    pages = 300
    rng = Random(1)
    offsets = [
        0,
        1,
        3,
        4,
        8,
        127,
        128,
        255,
        256,
        4092,
        4095,
        4096,
        32760,
        65536,
        0x12345,
        0xFFF000,
        0x1000000,
        0x1000004,
    ]
    far = 39_000
    instructions = {1: (b"\x3a\x00", b"\x2d\x00"), 2: (b"\x3b\x00", b"\x2f\x00"), 4: (b"\x36\x00", b"\x28\x00")}
    body = b""
    expected = 0
    for offset in offsets:
        for size, (store, load) in instructions.items():
            for place in ("register", "far", "constant"):
                for kind in ("constant", "zero", "local"):
                    index = rng.randrange(64, 100_000)
                    value = {"constant": rng.getrandbits(31), "zero": 0, "local": 0x1234_5678}[kind]
                    local = 0 if place == "register" else far
                    at = i32_const(index) if place == "constant" else GET + unsigned(local)
                    if place != "constant":
                        body += i32_const(index) + SET + unsigned(local)
                    what = i32_const(value) if kind != "local" else GET + unsigned(far + 1)
                    body += i32_const(0x1234_5678) + SET + unsigned(far + 1)
                    body += at + what + store + unsigned(offset)
                    # Read through the whole address and no offset.
                    body += GET + unsigned(1) + i32_const(index + offset) + load + b"\0" + b"\x6a" + SET + unsigned(1)
                    body += GET + unsigned(1) + at + load + unsigned(offset) + b"\x6a" + SET + unsigned(1)
                    expected += 2 * (value & (1 << 8 * size) - 1)
    body += GET + unsigned(1)
    f = function((), ("i32",), body, [(LOCALS, "i32")], pages, explicit_bounds=explicit_bounds)
    assert wrap(f(), 32) == wrap(expected, 32)


@pytest.mark.parametrize("explicit_bounds", [False, True])
@pytest.mark.parametrize(
    ("index", "offset"),
    [(0, 0xFFFF_FFFF), (-1, 0xFFFF_FFFF), (-1, 1), (65536, 0), (65533, 0), (0, 65533), (-1, 0xFFFFFF)],
)
def test_sums_of_index_and_offset_do_not_wrap_around(index: int, offset: int, explicit_bounds: bool) -> None:
    for at in (GET + b"\0", i32_const(index)):
        for what in (b"\x28\x00", b"\x36\x00"):
            body = at + (b"" if what[0] == 0x28 else i32_const(7)) + what + unsigned(offset)
            body += DROP if what[0] == 0x28 else b""
            f = function(("i32",), (), body, [], 1, explicit_bounds=explicit_bounds)
            with pytest.raises(vibewasm.Trap, match="out of bounds"):
                f(index)


#: A stretch of code that is short as bytecode and long as machine code: to a float and back, which changes nothing.
THERE_AND_BACK = b"\xb7\xaa"


@pytest.mark.parametrize("size", [100, 1200, 12_000, 45_000], ids=["1 KiB", "over 32 KiB", "half a MiB", "over 1 MiB"])
def test_jumps_over_code_of_any_length(size: int) -> None:
    """Forwards and backwards, of every kind, over a function that is as long as it takes."""
    long = GET + b"\0" + THERE_AND_BACK * size + SET + b"\0"
    body = LOOP + BLOCK
    # Past the long stretch: where a bit of the parameter is set, where it is 7, and by a table.
    body += GET + b"\0" + i32_const(0) + b"\x48" + BR_IF + b"\0"  # i32.lt_s
    body += GET + b"\0" + i32_const(7) + b"\x46" + BR_IF + b"\0"  # i32.eq
    body += BLOCK + GET + b"\0" + i32_const(40) + b"\x6b" + BR_TABLE + unsigned(2) + b"\1\1\0" + END
    body += GET + b"\0" + IF + long + END
    body += GET + b"\1" + i32_const(1) + b"\x6a" + SET + b"\1"
    # Once more, with the parameter counted down, until it is 7.
    body += GET + b"\0" + i32_const(1) + b"\x6b" + TEE + b"\0" + b"\x45" + BR_IF + b"\0"  # i32.eqz
    body += GET + b"\0" + i32_const(0) + b"\x4e" + BR_IF + b"\1"  # i32.ge_s
    body += END + END + GET + b"\1"
    f = function(("i32",), ("i32",), body, [(1, "i32")])
    assert [f(n) for n in (-1, 7, 8, 9, 40, 41, 1, 3)] == [0, 0, 1, 2, 0, 0, 1, 3]
    assert f(45) == 4


def test_a_call_from_deep_in_a_long_function() -> None:
    """A call to the function itself, and the look at the stack's limit, from beyond the reach of short jumps."""
    body = GET + b"\0" + IF
    body += GET + b"\0" + i32_const(0) + b"\x4a" + IF  # i32.gt_s
    body += GET + b"\0" + THERE_AND_BACK * 45_000 + SET + b"\0" + END
    body += GET + b"\0" + i32_const(1) + b"\x6b\x10\0" + SET + b"\1" + END
    body += GET + b"\1" + i32_const(5) + b"\x6a"
    f = function(("i32",), ("i32",), body, [(1, "i32")])
    assert [f(n) for n in range(4)] == [5, 10, 15, 20]
    with pytest.raises(vibewasm.Trap, match="call stack exhausted"):
        f(-1)
