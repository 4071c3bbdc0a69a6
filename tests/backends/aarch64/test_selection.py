"""Every rule finds the registers that it needs, wherever its operands are and however many temporaries are in use, and
changes none but its result's and the scratches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import capstone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibewasm.backends.aarch64 import asm, control, fused, regs
from vibewasm.backends.aarch64.target import LOGIC, PRODUCTS, SHIFTS
from vibewasm.backends.aarch64.target import TARGET as target
from vibewasm.backends.operand import (
    CONSTANT,
    F32,
    F64,
    FLAGS,
    I32,
    I64,
    WANT_FLAGS,
    Operand,
    constant,
    flags,
    frame_local,
    is_float,
    pinned_local,
    register,
    slot,
)
from vibewasm.compiler.choices import simplify
from vibewasm.compiler.instructions import COMPARES, KINDS, LOAD, STORE
from vibewasm.opcodes import CODE, TABLE, codes_with, name_of, natural_alignment, signature

from .judges import disassemble

SIMPLE = [
    (code, name) for code, name, immediates, operands, results, *_ in TABLE if not immediates and operands and results
]
#: Instructions whose second operand may be an immediate.
WITH_IMMEDIATE = [(code, name) for code, name in SIMPLE if code in codes_with("immediate")]
ACCESSES = [(code, name) for code, name, *_ in TABLE if code < 256 and KINDS[code] in (LOAD, STORE)]
BIG = {I32: 0x89ABCDEF, I64: 0x123456789ABCDEF0, F32: 0x40490FDB, F64: 0x400921FB54442D18}
#: Frame offsets near, and out of reach of one instruction.
NEAR, FAR = 200, 40000

_decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
_decoder.detail = True


def places(type_: int, temporary: int) -> list[Operand]:
    """An operand of the type in every kind of place."""
    return [
        register(type_, temporary),
        pinned_local(type_, 8 if is_float(type_) else 19),
        frame_local(type_, NEAR),
        slot(type_, FAR),
        constant(type_, 0),
        constant(type_, 1),
        constant(type_, BIG[type_]),
    ]


def masks(operands: tuple[Operand, ...]) -> list[int]:
    """Free temporaries at their fewest: six of each class in use, the operands' own among them."""
    own = 0
    for operand in operands:
        own |= operand.bit
    result = []
    for order in (range(8), range(7, -1, -1)):
        used = own
        for reg in order:
            if (used & target.INT_TEMPORARIES).bit_count() < 6:
                used |= 1 << reg
            if (used & target.FLOAT_TEMPORARIES).bit_count() < 6:
                used |= 1 << 16 + reg
        result.append(target.ALL_FREE & ~used)
    return result


def sinks(type_: int) -> list[Operand | None]:
    """No destination, and pinned locals that are and are not among the operands."""
    base = 8 if is_float(type_) else 19
    return [None, pinned_local(type_, base), pinned_local(type_, base + 1)]


def written(code: bytes) -> set[str]:
    """Registers that the code writes, by the names of their whole."""
    found = set()
    count = 0
    for instruction in _decoder.disasm(code, 0):
        count += 1
        if instruction.mnemonic in WRITES_NOTHING:
            # Capstone says of some aliases that they write what they read.
            continue
        for number in instruction.regs_access()[1]:
            name = instruction.reg_name(number)
            if name[0] == "w":
                name = f"x{name[1:]}"
            elif name[0] in "bhsdqv" and name[1:].isdigit():
                name = f"v{name[1:]}"
            found.add(name)
    assert 4 * count == len(code)
    return found - {"nzcv", "xzr"}


#: Instructions that change flags or memory only, or nothing.
WRITES_NOTHING = frozenset(
    "udf cmp cmn tst ccmp fcmp fccmp cbz cbnz tbz tbnz b.eq b.ne b.vc b.mi b.lo b.ls str stur strb strh".split()
)
SCRATCHES = {"x16", "x17", "v30", "v31"}


def whole_name(operand: Operand) -> str:
    return f"{'v' if is_float(operand.type) else 'x'}{operand.reg}"


def check(choice: tuple[bytes, Operand, int, bool], free: int, operands: tuple[Operand, ...]) -> None:
    """What a choice must satisfy: the operands' temporaries are free again, and no one else's became so; nothing else
    is written than scratches, the result, and what is free anyway.
    """
    code, result, after, _ = choice
    own = result.bit
    for operand in operands:
        own |= operand.bit
    assert after == (free | own) & ~result.bit
    assert isinstance(code, bytes)
    allowed = SCRATCHES | ({whole_name(result)} if result.kind != FLAGS else set())
    if result.kind == FLAGS and result.bit & free:
        allowed.add(f"x{control.tested(result.value)[1]}")
    assert written(code) <= allowed


@pytest.mark.parametrize(("code", "name"), SIMPLE, ids=[name for _, name in SIMPLE])
def test_every_simple_instruction_finds_its_temporaries(code: int, name: str) -> None:
    types, results = signature(code)
    rule = target.rule(name)
    compares = results == (I32,) and name.split(".")[1][:2] in ("eq", "ne", "lt", "gt", "le", "ge")
    for temporaries in itertools.permutations((0, 1), len(types)):
        for operands in itertools.product(*map(places, types, temporaries)):
            for free in masks(operands):
                for sink in [*sinks(results[0]), *([WANT_FLAGS] if compares else [])]:
                    check(target.lower(rule, operands, free, sink), free, operands)


def interesting(type_: int) -> st.SearchStrategy[int]:
    bits = 64 if type_ == I64 else 32
    near = st.integers(-5000, 5000) | st.integers(-(1 << 13), 1 << 13).map(lambda n: n << 11)
    masks_ = st.integers(0, bits).map(lambda n: (1 << n) - 1)
    return (near | masks_ | st.integers(0, (1 << bits) - 1)).map(lambda n: n & (1 << bits) - 1)


@pytest.mark.parametrize(("code", "name"), WITH_IMMEDIATE, ids=[name for _, name in WITH_IMMEDIATE])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_immediate_put_into_a_choice_gives_the_code_of_the_constant_itself(
    code: int, name: str, data: st.DataObject
) -> None:
    type_ = signature(code)[0][0]
    op, value = simplify(code, constant(type_, data.draw(interesting(type_), "constant")))
    rule = target.rule(name_of(op))
    stand_in, middles = target.immediate(name_of(op), value)
    for a in [*places(type_, 0)[:4], register(type_, 7), *(pinned_local(type_, reg) for reg in regs.PINNED)]:
        for sink in [None, WANT_FLAGS] if COMPARES[op] else sinks(type_):
            free = masks((a,))[0]
            whole = target.lower(rule, (a, value), free, sink)
            if stand_in is None:
                check(whole, free, (a,))
                continue
            head, tail, result, after, tight = target.lower_immediate(rule, a, stand_in, free, sink)
            assert (head + middles[target.IMMEDIATE_GROUPS[a.reg]] + tail, result, after, tight) == whole


def test_instructions_with_immediates_of_their_own_have_rules() -> None:
    scalar = {code for code in codes_with("shift") if code < 256}
    assert {CODE[name] for name in SHIFTS} == scalar - {
        CODE[f"{type_}.{name}"] for type_ in ("i32", "i64") for name in ("rotl", "rotr")
    }
    for name in (*SHIFTS, *LOGIC, *PRODUCTS):
        assert target.rule(name) is not None


def test_what_may_be_taken_together_is_what_there_are_rules_for() -> None:
    assert target.FUSED == {first for first, _, _ in fused.RULES}


@pytest.mark.parametrize(("first", "second", "by_constant"), fused.RULES)
def test_instructions_taken_together_find_their_temporaries(first: str, second: str, by_constant: bool) -> None:
    rule = target.fusion(first, second, by_constant)
    assert rule is not None
    type_ = I32 if first[1] == "3" else I64
    three = [places(type_, number)[:4] for number in range(3)]
    if second.endswith("const"):
        three[1:] = [[constant(type_, 3), constant(type_, 29)], [constant(type_, 1), constant(type_, 0xFF)]]
    elif by_constant:
        three[2] = [constant(type_, 0), constant(type_, 31)]
    for operands in itertools.product(*three):
        for free in masks(operands):
            for sink in sinks(type_):
                check(target.lower(rule, operands, free, sink), free, operands)


def test_pairs_of_instructions_that_arm_has_one_for_are_one() -> None:
    def code(first: str, second: str, by_constant: bool, *operands: Operand) -> list[str]:
        rule = target.fusion(first, second, by_constant)
        assert rule is not None
        return disassemble(target.lower(rule, operands, target.ALL_FREE & ~7, None)[0])

    y, x, z = (register(I32, number) for number in range(3))
    assert code("i32.mul", "i32.add", False, y, x, z) == ["madd w0, w1, w2, w0"]
    assert code("i32.mul", "i32.sub", False, y, x, z) == ["msub w0, w1, w2, w0"]
    assert code("i32.shl", "i32.add", True, y, x, constant(I32, 2)) == ["add w0, w0, w1, lsl #2"]
    assert code("i32.shr_u", "i32.const", True, x, constant(I32, 8), constant(I32, 255)) == ["ubfx w1, w1, #8, #8"]
    assert code("i32.shr_u", "i32.const", True, x, constant(I32, 28), constant(I32, 255)) == ["lsr w1, w1, #28"]


@pytest.mark.parametrize("type_", [I32, I64, F32, F64])
def test_select_finds_its_temporaries(type_: int) -> None:
    tested = flags(control.zero(0, 2), 1 << 2)
    bit = flags(control.bit_clear(2, 40) ^ 1, 1 << 2)
    for a, b in itertools.product(places(type_, 0), places(type_, 1)):
        for condition in [*places(I32, 2), tested, bit, flags(asm.CC_LT)]:
            for free in masks((a, b, condition)):
                for sink in sinks(type_):
                    check(target.lower_select((a, b, condition), free, sink), free, (a, b, condition))


#: Offsets of every form, and of every number of instructions.
OFFSETS = (0, 9, 127, 128, 4095, 4096, 4097, 65535, 65536, 0x12345, 0xFFFFFF, 0x1000000, 0xFFFF_FFFF, 0x1_FFFF_FFFF)
FEW_OFFSETS = (0, 9, 4097, 0xFFFF_FFFF)


def displaced(offsets: tuple[int, ...]) -> Iterator[tuple[int, int, bytes]]:
    for offset in offsets:
        form, middle = target.SHORT_DISPLACEMENTS[offset] if offset < 128 else target.displacement(offset)
        yield offset, form, middle


@pytest.mark.parametrize(("code", "name"), ACCESSES, ids=[name for _, name in ACCESSES])
@pytest.mark.parametrize("checked", [False, True])
def test_loads_and_stores_find_their_temporaries(code: int, name: str, checked: bool) -> None:
    types, results = signature(code)
    for a in places(I32, 0):
        if results:
            for free in masks((a,)):
                for sink in sinks(results[0]):
                    for offset, form, middle in displaced(FEW_OFFSETS):
                        check(target.lower_far_load(name, a, offset, 4, checked, free, sink), free, (a,))
                        head, tail, result, after, _ = target.lower_load(name, a, form, free, sink)
                        check((head + middle + tail, result, after, False), free, (a,))
            continue
        for b in places(types[1], 1):
            for free in masks((a, b)):
                for offset, form, middle in displaced(FEW_OFFSETS):
                    text, after = target.lower_far_store(name, a, b, offset, 4, checked, free)
                    assert after == free | a.bit | b.bit
                    assert written(text) <= SCRATCHES
                    value, bits = target.stored(1 << natural_alignment(name), b) if b.kind == CONSTANT else (b, b"")
                    head, tail, after = target.lower_store(name, a, value, form, free)
                    assert after == free | a.bit | b.bit
                    # An index in the frame goes to a free temporary where a constant takes the second scratch.
                    lowest = f"x{(free & -free).bit_length() - 1}"
                    assert written(head + middle + bits + tail) <= SCRATCHES | {lowest}


def test_an_access_adds_offset_and_base_where_the_index_does_not_matter() -> None:
    for offset, form, middle in displaced(OFFSETS):
        head, tail, *_ = target.lower_load("i32.load", register(I32, 3), form, target.ALL_FREE & ~8, None)
        code = disassemble(head + middle + tail)
        if not offset:
            assert code == ["ldr w3, [x27, w3, uxtw]"]
            continue
        assert code[-1] == "ldr w3, [x16, w3, uxtw]"
        static = disassemble(b"".join((middle, target.lower_load("i32.load", constant(I32, 0), form, 1, None)[1])))
        if form == 2:
            assert code[-2] == "add x16, x16, x27"
            assert static[-1] == "ldr w0, [x27, x16]"
        else:
            assert static[-1] == "ldr w0, [x16]"
        if offset < 4096:
            assert code[:-1] == [f"add x16, x27, #{offset}"]
        # Whatever the steps are, they add up to the offset.
        value = 0
        for line in code[:-1]:
            words = line.replace(",", "").replace("#", "").split()
            if words[0] == "add" and words[3].isdigit():
                value += int(words[3]) << (12 if words[-1] == "12" else 0)
            elif words[0] == "mov":
                value = int(words[2]) & (0xFFFF_FFFF if words[1][0] == "w" else (1 << 64) - 1)
            elif words[0] == "movk":
                shift = int(words[-1]) if "lsl" in words else 0
                value = value & ~(0xFFFF << shift) | int(words[2]) << shift
        assert value == offset


def test_context_reads_and_writes_find_their_temporaries() -> None:
    for type_ in (I32, I64, F32, F64):
        for free in masks(()):
            for sink in sinks(type_):
                for by_pointer in (False, True):
                    for offset in (64, 4096 * 16):
                        check(target.lower_read("global_get", free, sink, type_, offset, by_pointer), free, ())
        for value in places(type_, 0):
            for mask in masks((value,)):
                for by_pointer in (False, True):
                    for offset in (64, 4096 * 16):
                        text, after = target.lower_write("global_set", mask, value, offset, by_pointer)
                        assert after == mask | value.bit
                        assert written(text) <= SCRATCHES
    for kind, arguments in (("memory_size", (16,)), ("table_size", (40,)), ("context_cell", (5, 1 << 16))):
        for free in masks(()):
            check(target.lower_read(kind, free, None, *arguments), free, ())
    for index in places(I32, 0):
        for free in masks((index,)):
            check(target.lower_read("table_get", free, None, 5, 1 << 16, index), free, (index,))
        for value in [register(5, 1), pinned_local(5, 19), frame_local(5, NEAR), slot(5, FAR), constant(5, 0)]:
            for free in masks((index, value)):
                text, after = target.lower_write("table_set", free, 64, index, value)
                assert after == free | index.bit | value.bit
                assert written(text) <= SCRATCHES


def test_moves_change_nothing_but_their_destination_and_scratches() -> None:
    for type_ in (I32, I64, F32, F64):
        for operand in places(type_, 3):
            for offset in (NEAR, FAR):
                assert written(target.move_to_slot(operand, offset, 0)) <= SCRATCHES
                assert written(target.move_to_local(operand, frame_local(type_, offset), 0)) <= SCRATCHES
            local = pinned_local(type_, 12)
            assert written(target.move_to_local(operand, local, 0)) <= SCRATCHES | {whole_name(local)}
            wanted = {f"{'v' if is_float(type_) else 'x'}0"}
            assert written(target.move_to_register(operand, 0, 0)) <= SCRATCHES | wanted


@pytest.mark.parametrize("reg", range(8))
def test_a_tested_register_moves_with_its_condition(reg: int) -> None:
    for condition in (control.zero(0, reg), control.zero(1, reg) ^ 1, control.bit_clear(reg, 33)):
        entry = flags(condition, 1 << reg)
        code, moved, free = target.copy_to_temporary(entry, target.ALL_FREE & ~(1 << reg))
        wide, tested, bit = control.tested(moved.value)
        assert disassemble(code) == [f"mov {'wx'[wide]}{tested}, {'wx'[wide]}{reg}"]
        assert moved.bit == 1 << tested
        assert not free & moved.bit
        assert (wide, bit) == (control.tested(condition)[0], control.tested(condition)[2])
        assert moved.value & 0x301 == condition & 0x301
