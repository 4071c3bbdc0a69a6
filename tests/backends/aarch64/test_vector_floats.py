"""Rules of vector floats, of their conversions, and of vectors in memory do what the model says, with operands in every
kind of place, and change nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.backends.vector_model import expected
from vibewasm.backends.aarch64 import vector_conversions, vector_floats, vector_memory
from vibewasm.backends.aarch64.regs import SCRATCH
from vibewasm.backends.aarch64.selection import Selection
from vibewasm.backends.aarch64.target import TARGET as target
from vibewasm.backends.operand import I32, LOCAL, V128, Operand, constant
from vibewasm.opcodes import CODE, load_vectors, signature

from .judges import disassemble
from .vector_cases import Applied, combinations, fewest, index, places, runs, selection, sinks, vectors
from .vector_machine import MEMORY, MEMORY_SIZE, WINDOW, run

load_vectors()
#: Each example is many cases, and the one that fails is shown as it is: making the example smaller takes minutes.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
few = settings(max_examples=2, phases=_PHASES, deadline=None, suppress_health_check=list(HealthCheck))
RULES = {**vector_floats.RULES, **vector_conversions.RULES}
DETERMINISTIC = {**vector_floats.DETERMINISTIC, **vector_conversions.DETERMINISTIC}
LOADS = [
    *("v128.load", "v128.load32_zero", "v128.load64_zero"),
    *(f"v128.load{bits}_splat" for bits in (8, 16, 32, 64)),
    *(f"v128.load{lanes}_{suffix}" for lanes in ("8x8", "16x4", "32x2") for suffix in "su"),
]
LANE_ACCESSES = [f"v128.{access}{bits}_lane" for access in ("load", "store") for bits in (8, 16, 32, 64)]


def source(name: str) -> str:
    """The shape of an instruction's operands."""
    shape, operation = name.split(".")
    for other in ("f32x4", "f64x2", "i32x4"):
        if other in operation:
            return other
    return shape


def arity(name: str) -> int:
    return len(signature(CODE[name])[0])


def applied(name: str, values: list[tuple[int, int, int]], deterministic: bool) -> Iterator[Applied]:
    """The rule of an instruction with its operands everywhere, and the values by turns."""
    rule = (DETERMINISTIC if deterministic else RULES)[name]
    turns = itertools.cycle(values)
    for number, operands in enumerate(combinations([V128] * arity(name))):
        free = fewest(operands, bool(number & 1))
        for sink in sinks(operands):
            s = selection(free, operands)
            result = rule(s, sink, *operands)
            yield Applied(s, free, bytes(s.code), result, operands, next(turns)[: len(operands)])


def test_there_is_a_rule_for_each_of_these_instructions() -> None:
    names = {name for name in CODE if name[:5] in ("f32x4", "f64x2") or "trunc" in name.partition("i32x4")[2]}
    lanes = {name for name in names if name.split(".")[1] in ("splat", "extract_lane", "replace_lane")}
    assert names - lanes == set(RULES)
    assert set(DETERMINISTIC) <= set(RULES)
    accesses = {name for name in CODE if name.startswith(("v128.load", "v128.store"))}
    assert accesses == {*LOADS, *LANE_ACCESSES, "v128.store"}


@pytest.mark.parametrize("name", sorted(RULES))
@runs[0]
@runs[1]
@few
@given(data=st.data())
def test_each_instruction_gives_what_the_specification_says(name: str, data: st.DataObject) -> None:
    one = vectors(source(name))
    made = [*applied(name, data.draw(st.lists(st.tuples(one, one, one), min_size=20, max_size=40)), False)]
    for each, outcome in zip(made, run([each.case for each in made]), strict=True):
        each.check(outcome, expected(name, *each.values))


@pytest.mark.parametrize("name", sorted(DETERMINISTIC))
@runs[0]
@runs[1]
@few
@given(data=st.data())
def test_products_are_rounded_before_they_are_added_in_the_deterministic_profile(
    name: str, data: st.DataObject
) -> None:
    one = vectors(source(name))
    made = [*applied(name, data.draw(st.lists(st.tuples(one, one, one), min_size=20, max_size=40)), True)]
    for each, outcome in zip(made, run([each.case for each in made]), strict=True):
        each.check(outcome, expected(name, *each.values, deterministic=True))


def test_sequences_are_as_short_as_they_can_be() -> None:
    def code(name: str, *numbers: int, to: int | None = None) -> list[str]:
        operands = [Operand(LOCAL, V128, number) for number in numbers]
        sink = None if to is None else Operand(LOCAL, V128, to)
        return disassemble(target.vectors.lower(RULES[name], tuple(operands), target.ALL_FREE, sink)[0])

    assert code("f32x4.pmin", 8, 9) == ["fcmgt v0.4s, v8.4s, v9.4s", "bsl v0.16b, v9.16b, v8.16b"]
    assert code("f32x4.pmax", 8, 9, to=8) == ["fcmgt v30.4s, v9.4s, v8.4s", "bit v8.16b, v9.16b, v30.16b"]
    assert code("f64x2.pmax", 8, 9, to=9) == ["fcmgt v30.2d, v9.2d, v8.2d", "bif v9.16b, v8.16b, v30.16b"]
    assert code("f32x4.relaxed_madd", 8, 9, 10, to=10) == ["fmla v10.4s, v8.4s, v9.4s"]
    assert code("f32x4.relaxed_madd", 8, 9, 10, to=11) == ["mov v11.16b, v10.16b", "fmla v11.4s, v8.4s, v9.4s"]
    assert code("i32x4.trunc_sat_f64x2_u_zero", 8) == ["fcvtzu v0.2d, v8.2d", "uqxtn v0.2s, v0.2d"]
    zero = (Operand(LOCAL, V128, 8), constant(V128, 0))
    assert disassemble(target.vectors.lower(RULES["f64x2.lt"], zero, target.ALL_FREE, None)[0]) == [
        "fcmlt v0.2d, v8.2d, #0.0"
    ]


# -- memory ------------------------------------------------------------------------------------------------------------

#: Offsets of every form, and of every number of instructions.
OFFSETS = (0, 9, 127, 128, 4096, 4097, 65535, 0x12345)


def size_of(name: str) -> int:
    """How many bytes an instruction reads or writes."""
    digits = "".join(
        itertools.takewhile(lambda c: c.isdigit(), name.removeprefix("v128.load").removeprefix("v128.store"))
    )
    return 8 if "x" in name.removeprefix("v128.") else int(digits or 128) // 8


def addresses(name: str, drawn: int) -> Iterator[tuple[Operand, int, int, int, bytes]]:
    """The index operand, its value, the whole address, and form and code of the displacement: at the beginning of the
    memory, at its end, after which nothing can be read, and anywhere.
    """
    last = MEMORY_SIZE - size_of(name)
    for offset in OFFSETS:
        form, middle = target.SHORT_DISPLACEMENTS[offset] if offset < 128 else target.displacement(offset)
        for value in (last - offset, drawn % (last - offset), 0):
            for operand, has in index(value):
                yield operand, has, offset + has, form, middle
        yield constant(I32, 0), 0, offset, form, middle
    for value in (last, drawn % last):
        yield Operand(LOCAL, I32, SCRATCH), value, value, 0, b""


def accesses(name: str, values: list[int], drawn: int) -> Iterator[tuple[Applied, int, int]]:
    """The rule of an access with its operands everywhere, the address and the lane."""
    turns = itertools.cycle(values)
    is_load = ".load" in name
    is_lane = name in LANE_ACCESSES
    # The lowest one twice, as it has forms of its own.
    lanes = itertools.cycle([*range(16 // size_of(name)), 0])
    takes_vector = is_lane or not is_load
    for number, (a, value, address, form, middle) in enumerate(addresses(name, drawn)):
        for b in places(V128, 1) if takes_vector else [a]:
            operands = (a, b) if takes_vector else (a,)
            free = fewest(operands, bool(number & 1))
            for sink in sinks(operands) if is_load else [None]:
                s = selection(free, operands)
                result = None
                lane = next(lanes)
                if is_lane and is_load:
                    head, tail, result = vector_memory.load_lane(s, sink, name, a, b, lane, form)
                elif is_lane:
                    head, tail = vector_memory.store_lane(s, name, a, b, lane, form)
                elif is_load:
                    head, tail, result = vector_memory.load(s, sink, name, a, form)
                else:
                    head, tail = vector_memory.store(s, name, a, b, form)
                # Between the two comes code of any length.
                assert all(end <= len(head) for end, _ in s.literals or ())
                each = Applied(s, free, head + middle + tail, result, operands, (value, next(turns))[: len(operands)])
                each.case.window = max(0, min(address - 8, MEMORY_SIZE - WINDOW))
                yield each, address, lane


@pytest.mark.parametrize("name", [*LOADS, *LANE_ACCESSES, "v128.store"])
@runs[0]
@runs[1]
@settings(few, max_examples=1)
@given(data=st.data())
def test_each_access_reads_or_writes_its_bytes_and_no_others(name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(vectors("i32x4"), min_size=5, max_size=9))
    size = size_of(name)
    made = [*accesses(name, values, data.draw(st.integers(0, MEMORY_SIZE)))]
    for (each, address, lane), outcome in zip(made, run([each.case for each, *_ in made]), strict=True):
        lanes = (lane,) if name in LANE_ACCESSES else ()
        window = bytearray(MEMORY[each.case.window : each.case.window + WINDOW])
        if ".load" in name:
            each.check(outcome, expected(name, MEMORY[address : address + size], *each.values[1:], *lanes))
        else:
            each.check(outcome, None)
            at = address - each.case.window
            window[at : at + size] = expected(name, each.values[1], *lanes).value.to_bytes(size, "little")
        assert outcome.window == window, each.what


def test_an_access_is_one_instruction_where_arm_has_it() -> None:
    def code(name: str, a: Operand, form: int, lane: int | None = None) -> list[str]:
        s = Selection(target.ALL_FREE)
        b = Operand(LOCAL, V128, 8)
        if name == "v128.store":
            parts = vector_memory.store(s, name, a, b, form)
        elif lane is None:
            parts = vector_memory.load(s, None, name, a, form)[:2]
        else:
            parts = vector_memory.store_lane(s, name, a, b, lane, form)
        return disassemble(b"".join(parts))

    index_, static = Operand(LOCAL, I32, 19), constant(I32, 0)
    assert code("v128.load", index_, 0) == ["ldr q0, [x27, w19, uxtw]"]
    assert code("v128.load", index_, 1) == ["ldr q0, [x16, w19, uxtw]"]
    assert code("v128.load", static, 2) == ["ldr q0, [x27, x16]"]
    assert code("v128.store", static, 0) == ["ldr q30, [x27]", "str q8, [x27]"]
    assert code("v128.load8x8_u", index_, 0) == ["ldr d0, [x27, w19, uxtw]", "ushll v0.8h, v0.8b, #0"]
    assert code("v128.load16_splat", index_, 1) == ["add x16, x16, w19, uxtw", "ld1r {v0.8h}, [x16]"]
    assert code("v128.load16_splat", static, 1) == ["ld1r {v0.8h}, [x16]"]
    assert code("v128.store8_lane", index_, 0, 0) == ["str b8, [x27, w19, uxtw]"]
    assert code("v128.store8_lane", index_, 0, 3) == ["add x16, x27, w19, uxtw", "st1 {v8.b}[3], [x16]"]
