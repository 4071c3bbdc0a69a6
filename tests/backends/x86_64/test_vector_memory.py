"""Loads and stores of vectors and lanes do what the specification says, by one access of exactly their size."""

from __future__ import annotations

import random
from collections.abc import Iterator

import capstone.x86
import pytest

from tests.native import runs_on
from vibewasm.backends.operand import CONSTANT, I32, LOCAL, V128, Operand
from vibewasm.backends.x86_64 import regs, vector_memory
from vibewasm.backends.x86_64.selection import Selection
from vibewasm.opcodes import CODE, all_rows, row_of

from .. import vector_model as model
from .judges import disassemble
from .vector_runner import RUNNER, VARIANTS, Case, cases, configured

pytestmark = runs_on("x86_64")

NAMES = [name for _, name, immediates, *_ in all_rows() if name.startswith("v128.") and "memarg" in immediates]
#: Displacements of each form.
DISPLACEMENTS = (0, 0x7B, 0x345)


@pytest.fixture(params=VARIANTS, autouse=True, scope="module")
def _variant(request: pytest.FixtureRequest) -> Iterator[str]:
    with configured(request.param):
        yield request.param


def traits_of(name: str) -> list[str]:
    row = row_of(CODE[name])
    assert row is not None
    return row[6].split()


def size(name: str) -> int:
    """Bytes that an instruction accesses: the number among its traits."""
    return int(next(trait for trait in traits_of(name) if trait.isdigit())) // 8


def choose(s: Selection, name: str, case: Case, lane: int, form: int) -> tuple[bytes, bytes, Operand | None]:
    """Code before and after the displacement, and the result if there is one."""
    a, *b = case.operands
    if "load" in name:
        if name.endswith("_lane"):
            return vector_memory.load_lane(s, case.sink, name, a, b[0], lane, form)
        return vector_memory.load(s, case.sink, name, a, form)
    if name.endswith("_lane"):
        return *vector_memory.store_lane(s, name, a, b[0], lane, form), None
    return *vector_memory.store(s, name, a, b[0], form), None


def check_access(code: bytes, name: str) -> None:
    """The code has one instruction that accesses memory 0, of the right size."""
    sizes = [
        operand.size
        for instruction in disassemble(code)
        for operand in instruction.operands
        if operand.type == capstone.x86.X86_OP_MEM and instruction.reg_name(operand.mem.base) == regs.NAMES_64[15]
    ]
    assert sizes == [size(name)]
    assert sum(instruction.size for instruction in disassemble(code)) == len(code)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at_the_end", [False, True], ids=["inside", "at_the_end"])
def test_accesses_do_what_the_specification_says(name: str, at_the_end: bool) -> None:
    source = random.Random(name)
    loads = "load" in name
    types = [I32] if name[5:].startswith("load") and not name.endswith("_lane") else [I32, V128]
    for case in cases(types, V128 if loads else None, 150, seed=11):
        lane = source.randrange(16 // size(name)) if name.endswith("_lane") else 0
        form = source.randrange(3)
        s = Selection(case.free)
        s.literals = []
        head, tail, result = choose(s, name, case, lane, form)
        displacement = DISPLACEMENTS[form]
        code = head + displacement.to_bytes(4, "little")[: (0, 1, 4)[form]] + tail
        check_access(code, name)
        RUNNER.load(code, s.literals)

        content = source.randbytes(4096)
        RUNNER.memory[:4096] = content
        last = 4096 - size(name)
        base = RUNNER.memory_base
        values = case.values([last - displacement if at_the_end else source.randrange(2048), source.getrandbits(128)])
        if case.operands[0].kind == CONSTANT and at_the_end:
            # The address is 0, and the memory is where the end is at the offset.
            base += last - displacement
        at = base - RUNNER.memory_base + values[0] + displacement
        values = values[: len(types)]
        before, literal = case.state(values, base)
        after = RUNNER.run(before, literal)
        case.check_kept(before, after, s.free | s.released, result)
        there = content[at : at + size(name)]
        lanes = (lane,) if name.endswith("_lane") else ()
        if result is not None:
            assert case.sink is None or result is case.sink
            assert RUNNER.memory[:4096] == content
            expected = model.expected(name, there, *values[1:], *lanes)
            assert expected.accepts(after.vectors[result.reg])
        else:
            stored = model.expected(name, *values[1:], *lanes).value.to_bytes(size(name), "little")
            assert RUNNER.memory[:4096] == content[:at] + stored + content[at + size(name) :]


@pytest.mark.parametrize("name", NAMES)
def test_an_address_that_was_computed_may_be_the_index(name: str) -> None:
    """As for far accesses: the index is a register that no entry holds."""
    source = random.Random(name)
    index = Operand(LOCAL, I32, regs.RCX)
    vectors = [V128] if not ("load" in name and not name.endswith("_lane")) else []
    for case in cases(vectors, V128 if "load" in name else None, 40, seed=12):
        whole = Case((index, *case.operands), case.free & ~(1 << regs.RCX), case.sink)
        s = Selection(whole.free)
        s.literals = []
        head, tail, result = choose(s, name, whole, 0, 0)
        check_access(head + tail, name)
        RUNNER.load(head + tail, s.literals)
        content = source.randbytes(4096)
        RUNNER.memory[:4096] = content
        values = case.values([source.getrandbits(128)] * len(vectors))
        before, literal = whole.state([1001, *values], RUNNER.memory_base)
        after = RUNNER.run(before, literal)
        whole.check_kept(before, after, s.free | s.released, result)
        lanes = (0,) if name.endswith("_lane") else ()
        if result is not None:
            expected = model.expected(name, content[1001 : 1001 + size(name)], *values, *lanes)
            assert expected.accepts(after.vectors[result.reg])
        else:
            stored = model.expected(name, *values, *lanes).value.to_bytes(size(name), "little")
            assert RUNNER.memory[1001 : 1001 + size(name)] == stored
