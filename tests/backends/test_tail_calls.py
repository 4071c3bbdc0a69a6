"""Tail calls as machine code of this processor: where arguments arrive, and what the caller finds afterwards.

A caller has values in all registers that functions preserve and in its frame. It calls a function, which tail-calls
another one, and so on; the last one hands what it was given to a host function.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.backends.tail_pieces import (
    FLOATS,
    INTS,
    TYPES,
    Frame,
    area_of,
    calls,
    cells_of,
    control,
    forwarding,
    host,
    numbers,
    set_index,
    tail_calls,
    target,
    types_of,
    with_cell,
)
from tests.native import EMULATED
from tests.runtime.machine import Machine, TrapError, native
from vibewasm import abi
from vibewasm.backends import TARGETS, backend
from vibewasm.backends.operand import I64, constant, slot
from vibewasm.runtime import context
from vibewasm.runtime.blocks import Block

LETTERS = st.text(TYPES, max_size=45) | st.sampled_from(["l" * 1000, "lv" * 500, "d" * 501, "i" * 13, "l" * 12, ""])
PINS = st.tuples(st.integers(0, INTS), st.integers(0, FLOATS))
EXTRA = st.sampled_from([0, 16, 64, 1024, 0x12340])
#: How a function reaches the next one: by its slot, or by its record; and whether that is of another instance.
SLOT, RECORD, OTHER = "slot", "record", "other"
WAYS = st.sampled_from([SLOT, RECORD, OTHER])


class Caller:
    """Calls a function of its own instance, and sees whether it is returned to as it should be."""

    def __init__(self, m: Machine, letters: str, code: int) -> None:
        self.before, self.after = Block(1024), Block(1024)
        for index, value in enumerate(numbers("l" * 128, 0)):
            self.before.cells[index] = value
        count = len(letters)
        self.slots = Block(16 * count + 16)
        self.result = Block(16)
        self.values = numbers(letters, 1)
        frame = Frame(max(count, 1))
        body = frame.prologue() + frame.write(letters, self.values)
        body += native.kept_registers(True, self.before) + frame.passing(letters)
        body += calls.call_slot(with_cell(m, m.ctx, 0, code)) + native.kept_registers(False, self.after)
        body += native.store_result(self.result.address)
        for cell in range(2 * count):
            offset = frame.offset(cell >> 1) + 8 * (cell & 1)
            body += target.move_to_register(slot(I64, offset), 0, 0)
            body += native.store_result(self.slots.address + 8 * cell)
        self.record = m.function(body + frame.epilogue(0))
        self.machine = m
        self.letters = letters
        self.depth = 0 if native.FRAME_ABOVE_STACK == 0 else frame.size

    def call(self) -> int:
        """Call it; gives the result."""
        m = self.machine
        m.call(self.record, ":")
        after, before = self.after.cells, self.before.cells
        kept = [*range(INTS), *range(abi_floats(), abi_floats() + 2 * FLOATS)]
        assert [after[index] for index in kept] == [before[index] for index in kept]
        assert after[INTS] == m.ctx.address
        assert after[INTS + 1] == m.ctx.cells[abi.CTX_MEMORY_BASE >> 3]
        assert after[INTS + 2] == self.depth
        for index, letter in enumerate(self.letters):
            whole = self.slots.cells[2 * index] | self.slots.cells[2 * index + 1] << 64
            assert whole & (1 << (128 if letter == "v" else 64)) - 1 == self.values[index]
        return self.result.cells[0]


def abi_floats() -> int:
    """Where :func:`native.kept_registers` has vector registers."""
    return 16 if INTS == 7 else 32


def other_instance(m: Machine) -> Block:
    """A context of another instance, with a memory of its own."""
    made = m.context(None)
    made.cells[abi.CTX_MEMORY_BASE >> 3] = 0x1234_5000
    m.keep.append(made)
    return made


def tail_caller(
    m: Machine, ctx: Block, own: str, other: str, way: str, pins: tuple[int, int], extra: int, going: Block
) -> tuple[int, list[int]]:
    """The code of a function that tail-calls another one, whose record is given, with arguments of its own."""
    values = numbers(other, 2)
    if len(other) <= 60 and not extra:
        # The smallest frame, which a larger area reaches beyond.
        frame = Frame(0, *pins)
        code = frame.prologue() + native.set_pinned(*pins)
        # A constant reference is null, and as a number it can be anything.
        types = types_of(other.replace("r", "l"))
        arguments = tuple([constant(type_, value) for type_, value in zip(types, values, strict=True)])
        code += calls.arguments(arguments, target.ALL_FREE, types_of(other))
    else:
        frame = Frame(max(len(other), 1), *pins, extra)
        code = frame.prologue() + native.set_pinned(*pins) + frame.write(other, values) + frame.passing(other)
    if way == SLOT:
        code += frame.leave(own, other) + tail_calls.jump_slot(with_cell(m, ctx, 3, going.cells[0]))
    else:
        code += calls.load_record(with_cell(m, ctx, 3, going.address))
        code += frame.leave(own, other) + tail_calls.jump_record(area_of(other))
    return m.code.publish(code), values


@settings(max_examples=50 if EMULATED else 200, deadline=None)
@given(LETTERS, LETTERS, WAYS, PINS, PINS, EXTRA, st.booleans())
@example("", "", OTHER, (0, 0), (0, 0), 0, True)
@example("l" * 1000, "", OTHER, (7, 8), (0, 0), 0, False)
@example("", "lv" * 500, OTHER, (0, 0), (7, 8), 0, True)
@example("i" * 12, "i" * 13, SLOT, (1, 1), (0, 0), 0, True)
@example("i" * 12, "i" * 12, SLOT, (0, 0), (0, 0), 16, True)
def test_a_tail_call_passes_its_arguments_and_returns_to_the_caller(
    own: str, other: str, way: str, pins: tuple[int, int], more: tuple[int, int], extra: int, installed: bool
) -> None:
    m = Machine()
    if installed:
        m.adapters.control.install_tail_calls(m.block)
    m.on_poll = lambda: m.adapters.control.install_tail_calls(m.block)
    seen: list[list[int]] = []
    # The second function forwards its parameters to a host function, by a tail call as well.
    ctx = other_instance(m) if way == OTHER else m.ctx
    frame = Frame(max(len(other), 1), *more)
    inside = Block(1024)
    taking, passing = forwarding(frame, other)
    code = frame.prologue() + taking + native.kept_registers(False, inside) + native.set_pinned(*more) + passing
    code += calls.load_record(with_cell(m, ctx, 4, host(m, other, seen).address))
    code += frame.leave(other, other) + tail_calls.jump_record(area_of(other))
    second = m.function(code, ctx)
    first, values = tail_caller(m, m.ctx, own, other, way, pins, extra, second)
    caller = Caller(m, own, first)
    assert caller.call() == 77
    assert seen == [cells_of(other, values)]
    # The host function sees the one that tail-called it, which had its own context and memory.
    assert m.callers == [ctx.address]
    assert inside.cells[INTS : INTS + 2].tolist() == [ctx.address, ctx.cells[abi.CTX_MEMORY_BASE >> 3]]
    # Nothing has to be installed before code wants it, and an interruption is not asked for.
    assert m.polls == ([] if installed else [0])


@settings(max_examples=20 if EMULATED else 50, deadline=None)
@given(LETTERS, LETTERS, PINS)
def test_a_host_function_may_be_tail_called_first(own: str, other: str, pins: tuple[int, int]) -> None:
    m = Machine()
    m.adapters.control.install_tail_calls(m.block)
    seen: list[list[int]] = []
    code, values = tail_caller(m, m.ctx, own, other, RECORD, pins, 0, host(m, other, seen))
    assert Caller(m, own, code).call() == 77
    assert seen == [cells_of(other, values)]
    assert m.callers == [m.ctx.address]


def chain(m: Machine, ways: tuple[str, str], letters: tuple[str, str]) -> tuple[Block, Block, Block]:
    """Two functions that tail-call each other as often as the first parameter of both says; the last one gives its
    stack pointer. The record of a function that calls the first one, and those of the two.
    """
    contexts = (m.ctx, other_instance(m) if OTHER in ways else m.ctx)
    records = [m.record(0, ctx) for ctx in contexts]
    for index, (own, other) in enumerate(((letters[0], letters[1]), (letters[1], letters[0]))):
        frame = Frame(1, 2, 2)
        end = native.stack_pointer_as_result() + frame.epilogue(area_of(own))
        going = records[1 - index]
        arguments = (slot(I64, frame.offset(0)), *[constant(I64, n) for n in range(len(other) - 1)])
        code = frame.prologue() + native.unless_parameter(end)
        code += frames_store_parameter(frame)
        code += calls.arguments(arguments, target.ALL_FREE, types_of(other))
        ctx = contexts[index]
        if ways[index] == SLOT:
            code += frame.leave(own, other)
            jump = tail_calls.jump_slot(abi.CTX_HEADER + 8 * (1 - index))
        else:
            code += calls.load_record(with_cell(m, ctx, 4 + index, going.address))
            code += frame.leave(own, other)
            jump = tail_calls.jump_record(area_of(other))
        records[index].cells[0] = m.code.publish(code + jump)
    for ctx in contexts:
        for index in range(2):
            with_cell(m, ctx, index, records[index].cells[0])
    frame = Frame(1)
    taking, homes = frame.receive("l")
    code = frame.prologue() + taking
    filler = [constant(I64, n) for n in range(len(letters[0]) - 1)]
    code += calls.arguments((*homes, *filler), target.ALL_FREE, types_of(letters[0]))
    code += calls.call_slot(abi.CTX_HEADER) + frame.epilogue(0)
    return m.function(code), records[0], records[1]


def frames_store_parameter(frame: Frame) -> bytes:
    """Put the first parameter into the frame's place."""
    return frame.receive("l")[0]


@pytest.mark.parametrize("letters", [("l", "l" * 13), ("l" * 8, "l" * 40), ("ll", "l"), ("l" * 100, "l" * 99)])
@pytest.mark.parametrize("ways", [(SLOT, SLOT), (RECORD, RECORD), (OTHER, OTHER)])
def test_any_number_of_tail_calls_takes_no_stack(ways: tuple[str, str], letters: tuple[str, str]) -> None:
    m = Machine()
    m.on_poll = lambda: m.adapters.control.install_tail_calls(m.block)
    record, _, _ = chain(m, ways, letters)
    many = 1_000_000 if len(letters[1]) < 41 else 100_000
    # Only whether the last one has a return frame makes a difference, which the third call has put.
    fresh = m.call(record, "l:l", 0)
    assert m.call(record, "l:l", many) == m.call(record, "l:l", 2)
    assert m.call(record, "l:l", many + 1) == m.call(record, "l:l", 1)
    assert (m.call(record, "l:l", 2) == fresh) == (OTHER not in ways)


def test_functions_that_were_tail_called_are_seen_in_backtraces() -> None:
    m = Machine()
    m.adapters.control.install_tail_calls(m.block)
    ctx = other_instance(m)
    last = m.function(Frame(1).prologue() + native.trap(1), ctx)
    code, _ = tail_caller(m, m.ctx, "l", "l" * 20, OTHER, (0, 0), 0, last)
    caller = Caller(m, "l", code)
    with pytest.raises(TrapError) as caught:
        caller.call()
    places = caught.value.record.frames
    assert [where for _, where in places] == [ctx.address, m.ctx.address, m.ctx.address]
    assert last.cells[0] <= places[0][0]
    # The frame that was put returns to the caller; the function that was left is not there.
    assert places[1][0] + 1 == m.cells[context.CELL_RETURN]
    assert 0 < places[2][0] - caller.record.cells[0] < 4096


def test_a_function_is_compiled_when_it_is_first_tail_called() -> None:
    m = Machine()
    seen: list[list[int]] = []
    letters = "lilvfd" * 7
    frame = Frame(len(letters))
    taking, passing = forwarding(frame, letters)
    body = frame.prologue() + taking + passing + native.call_record(host(m, letters, seen))
    compiled = m.function(body + frame.epilogue(area_of(letters)))
    m.lazy(lambda ctx, number: compiled.cells[0])
    entry = m.record(m.adapters.lazy_entries(5)[4], m.ctx)
    code, values = tail_caller(m, m.ctx, "l", letters, SLOT, (3, 3), 0, entry)
    assert Caller(m, "l", code).call() == 77
    assert seen == [cells_of(letters, values)]


@pytest.mark.parametrize("code", TARGETS)
def test_the_code_of_a_large_area_is_not_larger(code: str) -> None:
    leave = backend(code).tail_calls.leave_frame
    assert len(leave(64, 0, 0, 16000, 15984)) < 80
    assert len(leave(64, 0, 0, 0, 16000)) < 80
    assert abs(len(leave(64, 0, 0, 16000, 16000)) - len(leave(64, 0, 0, 160, 160))) < 16


@pytest.mark.parametrize("code", TARGETS)
def test_a_function_without_arguments_in_memory_leaves_as_it_returns(code: str) -> None:
    chosen = backend(code)
    for pins in (0, 0), (3, 2):
        ending = chosen.frames.epilogue(112, *pins, 0)
        left = chosen.tail_calls.leave_frame(112, *pins, 0, 0)
        assert ending.startswith(left)
        assert len(ending) - len(left) == len(chosen.processor.RETURN)


def test_a_function_that_calls_itself_is_jumped_to() -> None:
    m = Machine()
    frame = Frame(1)
    end = native.stack_pointer_as_result() + frame.epilogue(0)
    code = frame.prologue() + native.unless_parameter(end) + frame.leave("l", "l") + tail_calls.jump_self()
    whole = bytearray(code)
    control.patch(whole, len(whole) - control.FIXUP_SIZE, -len(whole))
    record = m.function(bytes(whole))
    assert m.call(record, "l:l", 1_000_000) == m.call(record, "l:l", 0)


# -- calls through tables and references -------------------------------------------------------------------------------

#: Types by identity, with that of the supertype. The table ends before the last two.
SUPERTYPES = {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 5, 7: 2}
COUNT = 8


class Tables:
    """A table with an element of each type, by number, and a null at the end."""

    def __init__(self, m: Machine, known: bool = True) -> None:
        self.m = m
        result = native.set_result(7) + native.RETURN
        self.records = [m.function(result, m.ctx) for _ in range(COUNT + 2)]
        for number, record in enumerate(self.records):
            record.cells[abi.RECORD_TYPE >> 3] = number | 0xABCD << 32
        self.elements = Block(8 * (COUNT + 3))
        for number, record in enumerate(self.records):
            self.elements.cells[number] = record.address
        self.descriptor = Block(16)
        self.descriptor.cells[0], self.descriptor.cells[1] = self.elements.address, COUNT + 3
        self.supertypes = Block(64)
        words = self.supertypes.bytes.cast("I")
        words[0] = COUNT
        for sub, above in SUPERTYPES.items():
            words[1 + sub] = above
        # What is after the table says nothing.
        words[1 + COUNT :] = memoryview(b"\2\0\0\0" * (len(words) - 1 - COUNT)).cast("I")
        m.cells[context.CELL_SUPERTYPES] = self.supertypes.address if known else 0
        self.table = with_cell(m, m.ctx, 6, self.descriptor.address)
        self.inside = Block(1024)

    def call(
        self, index: int, wanted: int, final: bool, reach: int, tail: bool, letters: str = "l" * 14 + "d" * 12
    ) -> int:
        """Call an element as a function of a type that has arguments in all registers and in the area."""
        m = self.m
        type_ = with_cell(m, m.ctx, 7, wanted)
        frame = Frame(len(letters))
        values = numbers(letters, 3)
        seen: list[list[int]] = []
        inner = Frame(len(letters))
        taking, passing = forwarding(inner, letters)
        body = inner.prologue() + taking + native.kept_registers(False, self.inside)
        body += passing + native.call_record(host(m, letters, seen, 42))
        code = m.code.publish(body + inner.epilogue(area_of(letters)))
        for record in self.records:
            record.cells[0] = code
        whole = bytearray(frame.prologue() + frame.write(letters, values) + frame.passing(letters) + set_index(index))
        if tail:
            pieces = (
                *calls.check_table(self.table, type_, reach, final),
                frame.leave("", letters) + tail_calls.jump_record(area_of(letters)),
            )
        else:
            pieces = calls.call_table(self.table, type_, reach, final)
        sites: list[int] = []
        for piece in pieces:
            whole += piece
            sites.append(len(whole))
        if not tail:
            whole += frame.epilogue(0)
        for site, number in zip(sites, (abi.TRAP_UNDEFINED_ELEMENT, abi.TRAP_BAD_SIGNATURE), strict=False):
            control.patch(whole, site - control.FIXUP_SIZE, len(whole) - site)
            whole += control.trap(number)
        got = m.call(m.function(bytes(whole)), ":l")
        assert seen == [values]
        assert m.callers[-1] == m.ctx.address
        assert self.inside.cells[INTS : INTS + 2].tolist() == [m.ctx.address, m.ctx.cells[1]]
        return got[0]


def is_subtype(sub: int, wanted: int) -> bool:
    while sub != wanted and sub:
        sub = SUPERTYPES.get(sub, 0)
    return sub == wanted


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("reach", range(control.LONGEST_REACH + 1))
def test_an_element_of_a_subtype_is_called_where_the_type_is_open(reach: int, tail: bool) -> None:
    m = Machine()
    tables = Tables(m)
    for index in range(1, COUNT + 2):
        for wanted in range(1, COUNT + 2):
            if is_subtype(index, wanted):
                assert tables.call(index, wanted, False, reach, tail) == 42
            else:
                with pytest.raises(TrapError) as caught:
                    tables.call(index, wanted, False, reach, tail)
                assert caught.value.number == abi.TRAP_BAD_SIGNATURE
                assert [where for _, where in caught.value.record.frames] == [m.ctx.address]


@pytest.mark.parametrize("tail", [False, True])
def test_a_final_type_has_no_other(tail: bool) -> None:
    tables = Tables(Machine())
    assert tables.call(2, 2, True, 0, tail) == 42
    for index in (1, 3):
        with pytest.raises(TrapError) as caught:
            tables.call(index, 2, True, 0, tail)
        assert caught.value.number == abi.TRAP_BAD_SIGNATURE


@pytest.mark.parametrize("final", [False, True])
def test_the_memory_base_is_right_also_where_no_argument_is_moved(final: bool) -> None:
    tables = Tables(Machine())
    assert tables.call(3, 3, final, 0, True, "ll") == 42


@pytest.mark.parametrize("tail", [False, True])
def test_a_store_without_supertypes_has_equal_types_only(tail: bool) -> None:
    tables = Tables(Machine(), known=False)
    assert tables.call(3, 3, False, 0, tail) == 42
    with pytest.raises(TrapError) as caught:
        tables.call(3, 2, False, 0, tail)
    assert caught.value.number == abi.TRAP_BAD_SIGNATURE


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("final", [False, True])
def test_what_is_no_element_traps(tail: bool, final: bool) -> None:
    tables = Tables(Machine())
    for index, number in ((COUNT + 2, abi.TRAP_NULL), (COUNT + 3, abi.TRAP_UNDEFINED_ELEMENT)):
        with pytest.raises(TrapError) as caught:
            tables.call(index, 2, final, 0, tail)
        assert caught.value.number == number
    assert caught.value.record.frames


@pytest.mark.parametrize("piece", [calls.call_reference, calls.check_reference])
def test_a_null_reference_faults_before_its_type_is_read(piece: object) -> None:
    m = Machine()
    assert callable(piece)
    with pytest.raises(TrapError) as caught:
        m.call(m.wrapped(set_index(0) + piece()), ":")
    record = caught.value.record
    assert record.number == abi.TRAP_NULL
    assert record.address < abi.RECORD_TYPE
    assert [where for _, where in record.frames] == [m.ctx.address]


def test_a_function_is_called_by_reference_also_in_another_instance() -> None:
    m = Machine()
    ctx = other_instance(m)
    seen: list[list[int]] = []
    letters = "ld" * 12
    frame = Frame(len(letters))
    taking, passing = forwarding(frame, letters)
    body = (
        frame.prologue()
        + taking
        + passing
        + native.call_record(host(m, letters, seen))
        + frame.epilogue(area_of(letters))
    )
    record = m.function(body, ctx)
    values = numbers(letters, 5)
    frame = Frame(len(letters))
    code = frame.prologue() + frame.write(letters, values) + frame.passing(letters) + set_index(record.address)
    code += calls.check_reference() + calls.call_reference()
    after = Block(1024)
    code += native.kept_registers(False, after) + frame.epilogue(0)
    assert m.call(m.function(code), ":l") == [77]
    assert seen == [values]
    assert m.callers == [ctx.address]
    assert after.cells[INTS : INTS + 2].tolist() == [m.ctx.address, m.ctx.cells[1]]
