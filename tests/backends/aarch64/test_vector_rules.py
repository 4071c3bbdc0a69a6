"""Vector instructions compute what the model says, wherever their operands are and their results go, with the fewest
temporaries, and change nothing else. The code runs in the emulator, or here on an AArch64 machine.
"""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any

import pytest

from tests.backends import vector_model
from tests.backends.aarch64 import vector_machine
from tests.backends.aarch64.vector_machine import Case, Outcome, run
from vibewasm.backends.aarch64 import asm, control, regs
from vibewasm.backends.aarch64.control import zero
from vibewasm.backends.aarch64.target import TARGET as target
from vibewasm.backends.operand import (
    CONSTANT,
    F32,
    F64,
    FIRST_FLOAT_BIT,
    FLAGS,
    I32,
    I64,
    LITERAL,
    REGISTER,
    V128,
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
from vibewasm.opcodes import all_rows

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(bool(vector_machine.missing()), reason=vector_machine.missing()),
]

#: Modules of rules whose instructions run here.
TOPICS = ("vector_bits", "vector_lanes", "vector_shuffles", "vector_integers")
#: Types by the letters of signatures.
TYPES = {"v": V128, "i": I32, "l": I64, "f": F32, "d": F64}
WIDTHS = {V128: 128, I32: 32, I64: 64, F32: 32, F64: 64}
ALL_BITS = (1 << 128) - 1
#: Frame offsets near, and out of reach of one instruction.
NEAR, FAR = 208, 0x10000
#: Where each of the four kinds of place that are no constant is.
PLACES = ("temporary", "pinned", "frame", "slot")
ROWS = {row[1]: row for row in all_rows() if row[0] >> 32 == 0xFD}


def rules(topic: str) -> dict[str, Any]:
    module = import_module(f"vibewasm.backends.aarch64.{topic}")
    found: dict[str, Any] = module.RULES
    return found


# -- drawn choices and values ----------------------------------------------------------------------------------------


def bits_of(draw: random.Random, width: int) -> int:
    """A number that is likely to be a special one, or to have such lanes."""
    size = draw.choice([lane for lane in (8, 16, 32, 64, 128) if lane <= width])
    special = [0, 1, (1 << size) - 1, 1 << size - 1, (1 << size - 1) - 1, (1 << size - 1) + 1, size, 3]
    how = draw.randrange(4)
    if how == 0:
        lanes = [draw.getrandbits(size)] * (width // size)
    elif how == 1:
        lanes = [draw.choice(special)] * (width // size)
    else:
        lanes = [
            draw.choice(special) if draw.random() < how / 4 else draw.getrandbits(size) for _ in range(width // size)
        ]
    return vector_model.join(lanes, size)


def place(draw: random.Random, type_: int, number: int, constants: list[Operand]) -> Operand:
    """An operand, the ``number``-th of its instruction: of places and constants each is as likely."""
    kind = draw.randrange(len(PLACES) + len(constants))
    if kind >= len(PLACES):
        return constants[kind - len(PLACES)]
    if PLACES[kind] == "temporary":
        # Neighbours make a table of two registers.
        return register(type_, number)
    if PLACES[kind] == "pinned":
        return pinned_local(type_, (8 if is_float(type_) else 19) + number)
    offset = (NEAR if PLACES[kind] == "frame" else FAR) + 16 * number
    return (frame_local if PLACES[kind] == "frame" else slot)(type_, offset)


def drawn_operands(draw: random.Random, types: list[int], shift: int) -> list[Operand]:
    """Operands of these types, at most one of them a constant; of the same type they may be the same."""
    operands: list[Operand] = []
    for number, type_ in enumerate(types):
        if operands and operands[-1].type == type_ and operands[-1].kind != CONSTANT and draw.random() < 0.15:
            operands.append(operands[-1])
            continue
        constants = []
        if all(operand.kind != CONSTANT for operand in operands):
            number_ = bits_of(draw, WIDTHS[type_])
            constants = [constant(type_, 0), constant(type_, number_ % shift if shift and type_ == I32 else number_)]
            if type_ == V128:
                constants = [constant(V128, 0), constant(V128, ALL_BITS), LITERAL]
        operands.append(place(draw, type_, number, constants))
    return operands


def drawn_sink(draw: random.Random, type_: int, operands: list[Operand], compares: bool) -> Operand | None:
    """Nothing, a local that no operand is, one that an operand is, or the flags."""
    sinks = [None, pinned_local(type_, 15 if is_float(type_) else 25)]
    sinks += [
        operand for operand in operands if operand.type == type_ and operand.kind != REGISTER and operand.reg >= 0
    ]
    return draw.choice([*sinks, WANT_FLAGS, WANT_FLAGS] if compares else sinks)


def drawn_free(draw: random.Random, operands: list[Operand]) -> int:
    """All temporaries that operands leave, or the two of each class that every rule finds."""
    free = target.ALL_FREE
    for operand in operands:
        free &= ~operand.bit
    if draw.random() < 0.5:
        for mask in (target.INT_TEMPORARIES, target.FLOAT_TEMPORARIES):
            of_class = [1 << bit for bit in range(32) if free & mask & 1 << bit]
            for bit in draw.sample(of_class, len(of_class) - 2):
                free &= ~bit
    return free


class Drawn:
    """A choice that was made for drawn operands, its calls, and what they have to leave."""

    def __init__(self, draw: random.Random, name: str, rule: Any, extra: tuple[Any, ...] = (), **modes: bool) -> None:
        row = ROWS.get(name)
        letters, result, traits = (row[3] or "", row[4] or "", row[6]) if row else ("vvi", "v", "")
        shape = vector_model.BITS.get(name.split(".")[0], 0)
        self.name = name
        self.extra = extra
        self.modes = modes
        types = [TYPES[letter] for letter in letters]
        self.operands = drawn_operands(draw, types, shape if "shift" in traits else 0)
        self.result_type = TYPES[result]
        self.sink = drawn_sink(draw, self.result_type, self.operands, "compares" in traits)
        free_of = list(self.operands)
        if name == "v128.select" and draw.random() < 0.5:
            condition = self.operands[2]
            if condition.kind == REGISTER:
                self.operands[2] = flags(zero(0, condition.reg) ^ 1, condition.bit)
        self.free = drawn_free(draw, free_of)
        self.choice = target.vectors.lower(rule, (*self.operands, *extra), self.free, self.sink)
        self.calls = [self._call(draw, free_of) for _ in range(2)]

    def _call(self, draw: random.Random, operands: list[Operand]) -> tuple[Case, list[int]]:
        """A case of this choice, and the values of its operands."""
        code, result, _, _, literals = self.choice
        text = bytearray(code)
        if result.kind == FLAGS:
            # The outcome goes to a register that is nobody's.
            (piece,) = control.jump_if(result.value, control.SHORT)
            text += piece
            control.patch(text, len(text) - 4, 8)
            text += asm.movz(0, regs.CALLEE, 0, 0) + asm.b(8) + asm.movz(0, regs.CALLEE, 1, 0)
        literal = bits_of(draw, 128)
        case = Case(bytes(text), [(end, literal if bits is None else bits) for end, bits in literals])
        known: dict[Operand, int] = {}
        for operand in operands:
            if operand is LITERAL:
                known[operand] = literal
            elif operand.kind == CONSTANT:
                known[operand] = operand.value
            elif operand not in known:
                value = known[operand] = bits_of(draw, WIDTHS[operand.type])
                where = case.frame if operand.reg < 0 else case.vectors if is_float(operand.type) else case.ints
                where[operand.offset if operand.reg < 0 else operand.reg] = value
        return case, [known[operand] for operand in operands]

    def __repr__(self) -> str:
        return f"{self.name} {self.operands} {self.extra} sink={self.sink} free={self.free:#x}: {self.choice[0].hex()}"

    def check(self, outcomes: list[Outcome]) -> None:
        _, result, after, _, _ = self.choice
        own = 0
        for operand in self.operands:
            own |= operand.bit
        assert after == (self.free | own) & ~result.bit, self
        assert result is self.sink or self.sink in (None, WANT_FLAGS), self
        # What the choice may change.
        floats = {30, 31} | {reg for reg in range(8) if (self.free | own) >> FIRST_FLOAT_BIT + reg & 1}
        ints = {16, 17} | {reg for reg in range(8) if (self.free | own) >> reg & 1}
        if result.kind == FLAGS:
            ints.add(regs.CALLEE)
        else:
            (floats if is_float(self.result_type) else ints).add(result.reg)
        for (case, values), left in zip(self.calls, outcomes, strict=True):
            wanted = self.wanted(values)
            shown = (self, [hex(value) for value in values], wanted)
            if result.kind == FLAGS:
                assert left.ints[regs.CALLEE] == (wanted.value != 0), shown
            else:
                got = (left.vectors if is_float(self.result_type) else left.ints)[result.reg]
                assert wanted.accepts(got), (shown, hex(got))
            for registers, known, kept, changed in (
                (left.vectors, case.vectors, vector_machine.untouched_vector, floats),
                (left.ints, case.ints, vector_machine.untouched_int, ints),
            ):
                for reg, value in enumerate(registers):
                    assert reg in changed or value == known.get(reg, kept(reg)), (shown, reg)
            assert not left.elsewhere, shown

    def wanted(self, values: list[int]) -> vector_model.Expected:
        if self.name == "v128.select":
            return vector_model.Expected(128, [(values[0] if values[2] else values[1],)])
        return vector_model.expected(self.name, *values, *self.extra, **self.modes)


def check_all(drawn: list[Drawn]) -> None:
    # The code of so many has room in the memory that cases get.
    for first in range(0, len(drawn), 200):
        part = drawn[first : first + 200]
        outcomes = iter(run([case for one in part for case, _ in one.calls]))
        for one in part:
            one.check([next(outcomes) for _ in one.calls])


# -- shuffles --------------------------------------------------------------------------------------------------------


def drawn_lanes(draw: random.Random) -> bytes:
    """Lanes of a shuffle, most of which an instruction is made for."""
    from vibewasm.backends.aarch64 import vector_shuffles as shuffles

    how = draw.randrange(6)
    if how < 3:
        of_zero = [bytes([lane if lane < 16 else draw.randrange(16, 32) for lane in lanes]) for lanes in shuffles._ZERO]
        lanes = draw.choice([[*shuffles._TWO], [*shuffles._ONE], of_zero][how])
        return bytes([lane ^ 16 for lane in lanes]) if draw.random() < 0.3 else lanes
    size = draw.randrange(4)
    count = 16 >> size
    chosen = [*range(count)]
    for _ in range(draw.randrange(4) if how < 5 else count):
        chosen[draw.randrange(count)] = draw.randrange(2 * count)
    if how == 5:
        chosen = [draw.randrange(2 * count) for _ in range(count)]
    if draw.random() < 0.3:
        chosen = [lane ^ count for lane in chosen]
    return bytes([(lane << size) + byte for lane in chosen for byte in range(1 << size)])


# -- tests -----------------------------------------------------------------------------------------------------------


def extras(draw: random.Random, name: str) -> tuple[Any, ...]:
    immediates = ROWS[name][2] if name in ROWS else ""
    if immediates == "lane":
        return (draw.randrange(128 // vector_model.BITS[name.split(".")[0]]),)
    return (drawn_lanes(draw),) if immediates == "lanes" else ()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_instruction_computes_what_the_model_says(topic: str) -> None:
    draw = random.Random(topic)
    drawn = []
    for name, rule in rules(topic).items():
        for _ in range(1000 if name == "i8x16.shuffle" else 50):
            drawn.append(Drawn(draw, name, rule, extras(draw, name)))
    check_all(drawn)


def test_relaxed_instructions_have_the_result_of_the_deterministic_profile() -> None:
    draw = random.Random(0)
    drawn = []
    for topic in TOPICS:
        module = import_module(f"vibewasm.backends.aarch64.{topic}")
        assert set(module.DETERMINISTIC) <= set(module.RULES)
        for name, rule in {**module.RULES, **module.DETERMINISTIC}.items():
            if ".relaxed_" in name:
                drawn += [Drawn(draw, name, rule, deterministic=True) for _ in range(50)]
    check_all(drawn)


def test_every_rule_is_one_of_an_instruction_and_no_two_topics_have_the_same() -> None:
    names = [name for topic in TOPICS for name in rules(topic)]
    assert len(names) == len(set(names))
    assert set(names) - {"v128.select"} <= set(ROWS)
