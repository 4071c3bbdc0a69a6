"""Instructions that are taken together with the next one mean what they mean one by one, on every processor."""

from __future__ import annotations

import itertools

import pytest

import vibewasm
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import signed, unsigned
from vibewasm.backends import TARGETS
from vibewasm.binary.decoder import decode
from vibewasm.compiler import Compiler
from vibewasm.instances.context import ContextLayout

GET = b"\x20"
#: Opcodes of i32; those of i64 are 18 further.
ADD, SUB, MUL, AND, OR, XOR, SHL, SHR_S, SHR_U = 0x6A, 0x6B, 0x6C, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76
NUMBERS = (0, 1, 5, 0x1234_5678, -1, -7, -(1 << 31))


def wrap(value: int, width: int) -> int:
    return value & (1 << width) - 1


def apply(op: int, a: int, b: int, width: int) -> int:
    a, b = wrap(a, width), wrap(b, width)
    negative = a - (1 << width) if a >> width - 1 else a
    return wrap(
        {
            ADD: a + b,
            SUB: a - b,
            MUL: a * b,
            AND: a & b,
            OR: a | b,
            XOR: a ^ b,
            SHL: a << b % width,
            SHR_S: negative >> b % width,
            SHR_U: a >> b % width,
        }[op],
        width,
    )


def const(width: int, value: int) -> bytes:
    return (b"\x41" if width == 32 else b"\x42") + signed(value)


def code(width: int, *ops: int) -> bytes:
    return bytes(op + (18 if width == 64 else 0) for op in ops)


def function(width: int, body: bytes, many: int = 0, checked: bool = False) -> vibewasm.Func:
    """A function of three parameters, of which ``many`` hotter locals leave none in registers."""
    type_ = f"i{width}"
    builder = ModuleBuilder()
    hot = b"".join(GET + unsigned(3 + index) + b"\x1a" for index in range(many)) * 6
    builder.func((type_,) * 3, (type_,), hot + body, locals=[(many, type_)] if many else (), export="f")
    found = vibewasm.instantiate(builder.build(), config=vibewasm.Config(checked=checked)).exports.f
    assert isinstance(found, vibewasm.Func)
    return found


@pytest.mark.parametrize("many", [0, 30], ids=["in registers", "in the frame"])
@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("width", [32, 64])
def test_a_shift_and_what_takes_it(width: int, checked: bool, many: int) -> None:
    for shift, second, count in itertools.product(
        (SHL, SHR_S, SHR_U), (ADD, SUB, AND, OR, XOR), (0, 1, 3, width - 1, width + 2)
    ):
        body = GET + b"\0" + GET + b"\1" + const(width, count) + code(width, shift, second)
        f = function(width, body, many, checked=checked)
        for y, x in itertools.product(NUMBERS, NUMBERS):
            expected = apply(second, y, apply(shift, x, count, width), width)
            assert wrap(f(y, x, 0), width) == expected, (shift, second, count, y, x)


@pytest.mark.parametrize("many", [0, 30], ids=["in registers", "in the frame"])
@pytest.mark.parametrize("width", [32, 64])
def test_a_product_and_what_takes_it(width: int, many: int) -> None:
    for second in (ADD, SUB, XOR):
        # Of three locals; of results of instructions; of a constant, which may be a shift; assigned to an operand.
        three = GET + b"\0" + GET + b"\1" + GET + b"\2"
        for middle, factor in ((code(width, MUL), None), (const(width, 8), 8), (const(width, 10), 10)):
            tail = b"" if factor is None else code(width, MUL)
            if factor is None:
                body = three + middle + code(width, second)
            else:
                body = GET + b"\0" + GET + b"\1" + middle + tail + code(width, second)
            for last in (b"", b"\x22\0", b"\x21\1" + GET + b"\1"):
                f = function(width, body + last, many)
                for z, x, y in ((1, 2, 3), (-1, 77, 0x12345), (1 << 30, -5, 3)):
                    product = apply(MUL, x, y if factor is None else factor, width)
                    assert wrap(f(z, x, y), width) == apply(second, z, product, width)


@pytest.mark.parametrize("fuel", [False, True])
@pytest.mark.parametrize("width", [32, 64])
def test_a_bit_field(width: int, fuel: bool) -> None:
    masks = (1, 3, 0x3F, 0x7F, 0xFF, 0x1FFF, 0xFFFFF, 0x0FFF_FFFF, 5, 6, -1, -2)
    for lowest, mask in itertools.product((0, 1, 7, 20, width - 3), masks):
        body = GET + b"\0" + const(width, lowest) + code(width, SHR_U) + const(width, mask) + code(width, AND)
        builder = ModuleBuilder()
        builder.func((f"i{width}",), (f"i{width}",), body, export="f")
        store = vibewasm.Store(vibewasm.Engine(vibewasm.Config(fuel=fuel)))
        if fuel:
            store.fuel = 1000
        module = vibewasm.Module(store.engine, builder.build())
        f = vibewasm.Linker(store.engine).instantiate(store, module).exports.f
        before = store.fuel if fuel else 0
        for x in (*NUMBERS, 0x7654_3210):
            assert wrap(f(x), width) == wrap(x, width) >> lowest & wrap(mask, width), (lowest, mask, x)
        if fuel:
            # Five instructions each time; the end is free.
            assert before - store.fuel == 5 * (len(NUMBERS) + 1)


@pytest.mark.parametrize("target", TARGETS)
def test_a_mismatch_is_found_in_instructions_taken_together(target: str) -> None:
    for body in (
        code(32, SHL, ADD),
        const(32, 1) + code(32, SHL, ADD),
        GET + b"\0" + const(32, 1) + code(32, SHL, ADD),
        GET + b"\1" + GET + b"\0" + const(32, 1) + code(32, SHL, ADD),
        GET + b"\0" + GET + b"\1" + const(32, 1) + code(32, SHL, ADD),
        GET + b"\0" + GET + b"\0" + const(64, 1) + code(32, SHL, ADD),
        GET + b"\0" + const(32, 1) + code(32, SHR_U) + const(64, 3) + code(64, AND),
        GET + b"\0" + GET + b"\0" + GET + b"\1" + code(32, MUL, ADD),
        GET + b"\1" + GET + b"\0" + GET + b"\0" + code(32, MUL, ADD),
    ):
        builder = ModuleBuilder()
        builder.func(("i32", "i64"), ("i32",), body)
        info = decode(builder.build())
        with pytest.raises(vibewasm.ValidationError, match="type mismatch"):
            Compiler(info, ContextLayout(info), target=target).validate(0)


@pytest.mark.parametrize("target", TARGETS)
def test_instructions_taken_together_are_recorded_one_by_one(target: str) -> None:
    body = GET + b"\0" + GET + b"\0" + const(32, 3) + code(32, SHL, ADD) + const(32, 4) + code(32, SHR_U)
    body += const(32, 255) + code(32, AND)
    builder = ModuleBuilder()
    builder.func(("i32",), ("i32",), body)
    info = decode(builder.build())
    compiler = Compiler(info, ContextLayout(info), target=target)
    record = compiler.record(0)
    assert record.code == compiler.compile(0)
    start, end = info.bodies[0]
    assert sorted({offset for _, offset in record.marks}) == [
        start + 1 + position for position in (0, 2, 4, 6, 7, 8, 10, 11, 14, 15)
    ]
    assert end == start + 17
