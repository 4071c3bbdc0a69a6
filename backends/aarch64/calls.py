"""Calls: arguments and results where the callee expects them, and the calls themselves. See ``docs/abi.md``."""

from __future__ import annotations

from ...abi import (
    CTX_MEMORY_BASE,
    CTX_STORE,
    RECORD_CODE,
    RECORD_CTX,
    RECORD_TYPE,
    STORE_BUILTINS,
    STORE_FUEL,
    STORE_MEMORY_COPY,
    STORE_MEMORY_FILL,
    STORE_RESULTS,
    STORE_SUPERTYPES,
    SUPERTYPES_COUNT,
    SUPERTYPES_FIRST,
    TABLE_BASE,
)
from ..convention import FEW_OF_CALL, ParameterPlaces, ResultPlaces, parallel_moves
from ..operand import CONSTANT, F32, F64, FIRST_FLOAT_BIT, I32, V128, Operand, is_float
from . import asm
from .addresses import add, at
from .control import far
from .frames import CONTEXT_SLOT, copy_cells, parameter_places
from .regs import (
    CALLEE,
    CONTEXT,
    FLOAT_SCRATCH,
    FRAME,
    LINK,
    MEMORY_BASE,
    SCRATCH,
    SCRATCH2,
    SP,
    X0,
    X1,
    X2,
    X3,
    X4,
    ZR,
)
from .selection import Selection

#: The first integer and the first float result of several return in x0 and v0.
RESULT_BITS = 1 | 1 << FIRST_FLOAT_BIT

#: Where an index travels besides arguments: its type, its register, and the register's bit, as it is no temporary.
INDEX_PLAN = (I32, CALLEE, 0)


def _pass_in_area(operand: Operand, offset: int) -> bytes:
    """Store an argument to its cell in the argument area, whose first 8 bytes have a zero upper half where the value
    has 32 bits.
    """
    if operand.type == V128:
        reg = operand.reg
        code = b""
        if reg < 0:
            reg = FLOAT_SCRATCH
            selection = Selection(0)
            selection.load_float(reg, operand)
            code = bytes(selection.code)
        return code + at(asm.STR_Q, reg, SP, offset)
    if operand.kind == CONSTANT:
        if not operand.value:
            return at(asm.STR_X, ZR, SP, offset)
        return asm.mov_ri(SCRATCH, operand.value) + at(asm.STR_X, SCRATCH, SP, offset, SCRATCH2)
    if operand.reg < 0:
        narrow = operand.type in (I32, F32)
        code = at(asm.LDR_W if narrow else asm.LDR_X, SCRATCH, FRAME, operand.offset)
        return code + at(asm.STR_X, SCRATCH, SP, offset, SCRATCH2)
    if operand.type == F32:
        return asm.fmov_from(0, SCRATCH, operand.reg) + at(asm.STR_X, SCRATCH, SP, offset, SCRATCH2)
    return at(asm.STR_D if is_float(operand.type) else asm.STR_X, operand.reg, SP, offset)


def _parallel_moves(code: bytearray, moves: dict[int, int], floats: bool) -> None:
    """Move registers to registers as if all at once: ``moves`` maps a destination to its source."""
    for dst, src, exchange in parallel_moves(moves):
        if floats:
            if exchange:
                code += asm.mov_v(FLOAT_SCRATCH, dst) + asm.mov_v(dst, src) + asm.mov_v(src, FLOAT_SCRATCH)
            else:
                code += asm.mov_v(dst, src)
        elif exchange:
            code += asm.mov_rr(1, SCRATCH, dst) + asm.mov_rr(1, dst, src) + asm.mov_rr(1, src, SCRATCH)
        else:
            code += asm.mov_rr(1, dst, src)


def arguments(operands: tuple[Operand, ...], free: int, types: tuple[int, ...], index: Operand | None = None) -> bytes:
    """Put arguments where a callee of these parameter types expects them, and ``index``, if given, into x8."""
    places, area = parameter_places(types)
    code = bytearray()
    if area:
        code += add(SP, SP, -area)
    in_registers: dict[bool, list[tuple[Operand, int]]] = {False: [], True: []}
    if index is not None:
        in_registers[False].append((index, CALLEE))
    for operand, (reg, offset) in zip(operands, places, strict=True):
        if reg < 0:
            code += _pass_in_area(operand, offset)
        else:
            in_registers[is_float(operand.type)].append((operand, reg))
    for floats, moved in in_registers.items():
        _parallel_moves(code, {reg: o.reg for o, reg in moved if o.reg >= 0}, floats)
    selection = Selection(0)
    for operand, reg in in_registers[False]:
        if operand.reg < 0:
            selection.load(reg, operand)
    for operand, reg in in_registers[True]:
        if operand.reg < 0:
            selection.load_float(reg, operand)
    return bytes(code + selection.code)


def arguments_from_slots(places: ParameterPlaces, first_slot: int, width: int = 8) -> bytes:
    """Pass many arguments that are in consecutive slots, the first at ``first_slot``: stretches of them in loops."""
    return _arguments_from(places, FRAME, SCRATCH, LINK, first_slot, width)


def pass_out_of_line(first_slot: int) -> tuple[bytes, bytes]:
    """Call what :func:`passing_routine` gives, a displacement at the end of the first piece, and what comes after."""
    return add(CALLEE, FRAME, first_slot) + asm.bl(0), b""


def passing_routine(places: ParameterPlaces, width: int = 8) -> bytes:
    """What :func:`arguments_from_slots` does, the address of the first slot being in x8, as a routine."""
    return _arguments_from(places, CALLEE, X0, X1, 0, width) + asm.ret()


def _arguments_from(places: ParameterPlaces, base: int, data: int, counter: int, first: int, width: int) -> bytes:
    """Pass arguments, of which the first is at offset ``first`` from a register, by two other ones."""
    code = bytearray()
    area, step = places.area, places.step
    if area:
        code += add(SP, SP, -area)
    for start, index, count in places.stretches:
        source = first + width * index
        if count > FEW_OF_CALL:
            # The stack pointer is where the frame begins, less the area.
            target = step * start - area
            copied = CALLEE if base == FRAME else data
            if step == 16:
                code += copy_cells(2 * count, source, target, base=base, data=copied, counter=counter)
            else:
                code += copy_cells(count, source, target, width, 8, base, copied, counter)
        else:
            for k in range(count):
                if step == 16:
                    code += at(asm.LDR_Q, FLOAT_SCRATCH, base, source + 16 * k)
                    code += at(asm.STR_Q, FLOAT_SCRATCH, SP, 16 * (start + k))
                else:
                    code += at(asm.LDR_X, data, base, source + width * k)
                    code += at(asm.STR_X, data, SP, 8 * (start + k), SCRATCH2)
    for index, type_, reg in places.in_registers:
        code += _fetch(type_, reg, first + width * index, base)
    return bytes(code)


def _fetch(type_: int, reg: int, offset: int, base: int = FRAME) -> bytes:
    """Load a value from its cell."""
    if type_ == V128:
        return at(asm.LDR_Q, reg, base, offset)
    if is_float(type_):
        return at(asm.LDR_D if type_ == F64 else asm.LDR_S, reg, base, offset)
    return at(asm.LDR_W if type_ == I32 else asm.LDR_X, reg, base, offset)


def argument_plan(types: tuple[int, ...]) -> tuple[bytes, tuple[tuple[int, int, int], ...]]:
    """How to pass arguments one by one: what comes first, and ``(type, place, its bit)`` of each, the last one first.
    A place is a register, or -1 less the offset in the argument area.
    """
    places, area = parameter_places(types)
    plan = []
    for type_, (reg, offset) in zip(types, places, strict=True):
        if reg < 0:
            plan.append((type_, -1 - offset, 0))
        else:
            plan.append((type_, reg, 1 << (reg + FIRST_FLOAT_BIT if is_float(type_) else reg)))
    return add(SP, SP, -area) if area else b"", tuple(plan[::-1])


def argument(operand: Operand, reg: int) -> bytes | None:
    """Code that passes one argument in a place as :func:`argument_plan` gives it."""
    if reg < 0:
        return _pass_in_area(operand, -1 - reg)
    selection = Selection(0)
    if is_float(operand.type):
        selection.load_float(reg, operand)
    else:
        selection.load(reg, operand)
    return bytes(selection.code)


def call_slot(offset: int) -> bytes:
    """Call a function of this instance through its call slot."""
    return at(asm.LDR_X, SCRATCH, CONTEXT, offset) + asm.blr(SCRATCH)


def call_self() -> bytes:
    """Call the function that is being compiled; the distance is filled in later."""
    return asm.bl(0)


def _call_callee() -> bytes:
    """Call the function whose record is in x8, which may belong to another instance, and return to this one."""
    # The record begins with the code and the context.
    return asm.pair(asm.LDP_X, SCRATCH, CONTEXT, CALLEE, RECORD_CODE) + _call_code()


def _call_code() -> bytes:
    """Call the code in x16, whose context is loaded already, and return to this instance."""
    code = asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE) + asm.blr(SCRATCH)
    code += asm.access(asm.LDR_X, CONTEXT, FRAME, CONTEXT_SLOT)
    return code + asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE)


def load_record(offset: int) -> bytes:
    """Load into x8 the pointer to a function record that is in the context at ``offset``."""
    return at(asm.LDR_X, CALLEE, CONTEXT, offset)


def call_record(offset: int) -> bytes:
    """Call a function through the pointer to its record in the context at ``offset``.

    It may belong to another instance.
    """
    return load_record(offset) + _call_callee()


def check_reference() -> bytes:
    """Fault if the record in x8 is null."""
    return asm.access(asm.LDR_X, SCRATCH, CALLEE, RECORD_CODE)


def call_reference() -> bytes:
    """Call the function whose record is in x8; reading the code of a null faults."""
    # What a pair's registers hold after a fault is unknown (Arm ARM, "Single-copy atomicity" of LDP), and the fault
    # needs the context: so the first read is one of its own.
    code = check_reference() + asm.access(asm.LDR_X, CONTEXT, CALLEE, RECORD_CTX)
    return code + _call_code()


def check_table(table: int, type_id: int, reach: int, final: bool) -> tuple[bytes, bytes]:
    """Put the record of the table element whose index is in x8 there, if it has the right type."""
    bound = at(asm.LDR_X, SCRATCH, CONTEXT, table)
    # A descriptor begins with the base and the number of elements.
    bound += asm.pair(asm.LDP_X, SCRATCH, SCRATCH2, SCRATCH, TABLE_BASE)
    bound += asm.cmp_rr(0, CALLEE, SCRATCH2)
    bound += far(asm.b_cond(asm.CC_HS, 0), reach)
    check = asm.access_u(asm.LDR_X, CALLEE, SCRATCH, CALLEE, True)
    check += at(asm.LDR_W, SCRATCH, CONTEXT, type_id)
    check += asm.access(asm.LDR_W, SCRATCH2, CALLEE, RECORD_TYPE)
    check += asm.cmp_rr(0, SCRATCH, SCRATCH2)
    wrong = far(asm.b_cond(asm.CC_NE, 0), reach)
    if not final:
        walk = _find_supertype()
        check += asm.b_cond(asm.CC_EQ, 4 + len(walk) + len(wrong)) + walk
    return bound, check + wrong


def _find_supertype() -> bytes:
    """Look for the type in x16 among the supertypes of the one in x17; the flags say whether it is there.

    The return address is in the frame, and the memory base is loaded anew: their registers serve as scratches.
    """
    begin = asm.mov_rr(0, LINK, SCRATCH)
    begin += asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
    begin += asm.access(asm.LDR_X, SCRATCH, SCRATCH, STORE_SUPERTYPES)
    count = asm.access(asm.LDR_W, MEMORY_BASE, SCRATCH, SUPERTYPES_COUNT)
    test = asm.cmp_rr(0, SCRATCH2, MEMORY_BASE)
    step = asm.alu_rrs(asm.ADD, 1, SCRATCH2, SCRATCH, SCRATCH2, asm.LSL, 2)
    step += asm.access(asm.LDR_W, SCRATCH2, SCRATCH2, SUPERTYPES_FIRST)
    step += asm.cmp_rr(0, SCRATCH2, LINK)
    # No type is 0: the comparison says "not equal".
    none = asm.cmp_rr(0, ZR, LINK)
    loop = len(test) + 4 + len(step) + 8
    code = begin + asm.cbz(1, SCRATCH, 4 + len(count) + loop)
    code += count + test + asm.b_cond(asm.CC_HS, 4 + len(step) + 8)
    code += step + asm.b_cond(asm.CC_EQ, 8 + len(none))
    return code + asm.cbnz(0, SCRATCH2, 4 - loop) + none


def call_table(table: int, type_id: int, reach: int, final: bool = True) -> tuple[bytes, bytes, bytes]:
    """Call the table element whose index is in x8.

    The first two pieces end with jumps to the traps "undefined element" and "type mismatch"; a null element faults when
    its type is read.
    """
    return (*check_table(table, type_id, reach, final), _call_callee())


def call_builtin(number: int) -> bytes:
    """Call one of the store's builtins, which act on this very instance."""
    code = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
    code += asm.access(asm.LDR_X, CALLEE, SCRATCH, STORE_BUILTINS + 8 * number)
    return code + asm.access(asm.LDR_X, SCRATCH, CALLEE, RECORD_CODE) + asm.blr(SCRATCH)


def call_bulk(fill: bool, destination: int, source: int) -> bytes:
    """Call the store's stub for memory.copy or memory.fill.

    The operands are in x0, x1 and x2, the arguments are descriptor offsets.
    """
    code = at(asm.LDR_X, X3, CONTEXT, destination)
    if not fill:
        code += at(asm.LDR_X, X4, CONTEXT, source)
    code += asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
    code += asm.access(asm.LDR_X, SCRATCH, SCRATCH, STORE_MEMORY_FILL if fill else STORE_MEMORY_COPY)
    return code + asm.blr(SCRATCH)


def bulk_arguments(operands: tuple[Operand, Operand, Operand]) -> bytes:
    """Put the operands of memory.copy and memory.fill into x0, x1 and x2."""
    targets = (X0, X1, X2)
    code = bytearray()
    _parallel_moves(code, {t: o.reg for o, t in zip(operands, targets, strict=True) if o.reg >= 0}, False)
    loads = Selection(0)
    for operand, target in zip(operands, targets, strict=True):
        if operand.reg < 0:
            loads.load(target, operand)
    return bytes(code + loads.code)


def use_fuel_for_bulk(shift: int, reach: int) -> tuple[bytes, bytes]:
    """Take fuel for the bytes whose number is in x2, and the jump if it is short."""
    take = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE) + asm.access(asm.LDR_X, SCRATCH2, SCRATCH, STORE_FUEL)
    take += asm.shift_ri(asm.LSR, 1, CALLEE, X2, shift) + asm.alu_rr(asm.SUBS, 1, SCRATCH2, SCRATCH2, CALLEE)
    return take + asm.access(asm.STR_X, SCRATCH2, SCRATCH, STORE_FUEL), far(asm.b_cond(asm.CC_MI, 0), reach)


def fetch_results(places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
    """Store all results of a call into consecutive slots, the first at ``first_slot``."""
    code = bytearray()
    if places.first_int is not None:
        code += at(asm.STR_X, X0, FRAME, first_slot + width * places.first_int[0])
    if places.first_float is not None:
        index, type_ = places.first_float
        op = asm.STR_S if type_ == F32 else asm.STR_Q if type_ == V128 else asm.STR_D
        code += at(op, 0, FRAME, first_slot + width * index)
    return bytes(code) + move_results(places.stretches, first_slot, True, width)


def return_results(places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
    """The reverse of :func:`fetch_results`: from slots to where a caller expects several results."""
    code = move_results(places.stretches, first_slot, False, width)
    for first, reg in ((places.first_int, X0), (places.first_float, 0)):
        if first is not None:
            index, type_ = first
            code += _fetch(type_, reg, first_slot + width * index)
    return code


def move_results(stretches: list[tuple[int, int, int]], first_slot: int, fetch: bool, width: int) -> bytes:
    """Move results between the results area and slots, by stretches as those of :class:`ResultPlaces`; long ones move
    in a loop.

    Apart from the first results all values are in slots, so the other temporaries are free. Where slots have 16 bytes,
    so many are moved.
    """
    load, store, reg = (asm.LDR_X, asm.STR_X, X2) if width == 8 else (asm.LDR_Q, asm.STR_Q, FLOAT_SCRATCH)
    code = bytearray()
    if stretches:
        code += asm.access(asm.LDR_X, X1, CONTEXT, CTX_STORE)
    for start, index, count in stretches:
        cell = STORE_RESULTS + 16 * start
        slot = first_slot + width * index
        if count <= FEW_OF_CALL:
            for k in range(count):
                if fetch:
                    code += at(load, reg, X1, cell + 16 * k) + at(store, reg, FRAME, slot + width * k)
                else:
                    code += at(load, reg, FRAME, slot + width * k) + at(store, reg, X1, cell + 16 * k)
            continue
        code += add(SCRATCH, X1, cell) + add(SCRATCH2, FRAME, slot, SCRATCH2) + asm.mov_ri(X3, count)
        if fetch:
            body = asm.access_post(load, reg, SCRATCH, 16) + asm.access_post(store, reg, SCRATCH2, width)
        else:
            body = asm.access_post(load, reg, SCRATCH2, width) + asm.access_post(store, reg, SCRATCH, 16)
        body += asm.alu_ri(asm.SUB, 1, X3, X3, 1)
        code += body + asm.cbnz(1, X3, -len(body))
    return bytes(code)


__all__ = [
    "INDEX_PLAN",
    "RESULT_BITS",
    "argument",
    "argument_plan",
    "arguments",
    "arguments_from_slots",
    "bulk_arguments",
    "call_builtin",
    "call_bulk",
    "call_record",
    "call_reference",
    "call_self",
    "call_slot",
    "call_table",
    "check_reference",
    "check_table",
    "fetch_results",
    "load_record",
    "pass_out_of_line",
    "passing_routine",
    "return_results",
    "use_fuel_for_bulk",
]
