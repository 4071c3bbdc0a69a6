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
    TABLE_LENGTH,
)
from ..assembly import signed
from ..convention import FEW_OF_CALL, ParameterPlaces, ResultPlaces, area_step, parallel_moves
from ..operand import ALL_ONES, CONSTANT, F32, F64, FIRST_FLOAT_BIT, I32, I64, V128, Operand, is_float
from . import asm
from .frames import CONTEXT_SLOT, parameter_places
from .regs import CONTEXT, FRAME, MEMORY_BASE, RAX, RCX, RDI, RDX, RSI, RSP
from .selection import Selection

#: The first integer and the first float result of several return in rax and xmm0.
RESULT_BITS = 1 | 1 << FIRST_FLOAT_BIT


#: Where an index travels besides arguments: its type, its register, and the register's bit.
INDEX_PLAN = (I32, RAX, 1 << RAX)


def _pass_in_wide_area(operand: Operand) -> bytes:
    """Push an argument as a cell of 16 bytes; what is above a value of 8 bytes has no meaning."""
    if operand.type != V128:
        return asm.alu_ri(asm.SUB, 1, RSP, 8) + _pass_in_area(operand)
    if operand.kind == CONSTANT:
        halves = operand.value >> 64, operand.value & 0xFFFF_FFFF_FFFF_FFFF
        return b"".join([_pass_in_area(Operand(CONSTANT, I64, value=half)) for half in halves])
    if operand.reg < 0:
        return asm.push_m(FRAME, operand.offset + 8) + asm.push_m(FRAME, operand.offset)
    return asm.alu_ri(asm.SUB, 1, RSP, 16) + asm.movups_mr(RSP, 0, operand.reg)


def _pass_in_area(operand: Operand) -> bytes:
    """Push an argument as an 8-byte cell, whose upper half is zero where the value has 32 bits."""
    if operand.kind == CONSTANT:
        low = operand.value & 0xFFFF_FFFF
        high = operand.value >> 32
        code = asm.push_i(signed(low, 32))
        if high != (0xFFFF_FFFF if low >= 1 << 31 else 0):
            code += asm.mov_mi(0, RSP, 4, signed(high, 32))
        return code
    if operand.reg < 0:
        code = asm.push_m(FRAME, operand.offset)
        return code + asm.mov_mi(0, RSP, 4, 0) if operand.type == F32 else code
    if is_float(operand.type):
        return asm.push_i(0) + asm.movs_mr(0 if operand.type == F32 else 1, RSP, 0, operand.reg)
    return asm.push_r(operand.reg)


def _parallel_moves(code: bytearray, moves: dict[int, int], floats: bool) -> None:
    """Move registers to registers as if all at once: ``moves`` maps a destination to its source."""
    for dst, src, exchange in parallel_moves(moves):
        if not exchange:
            code += asm.movaps_rr(dst, src) if floats else asm.mov_rr(1, dst, src)
        elif floats:
            code += asm.xorps_rr(dst, src) + asm.xorps_rr(src, dst) + asm.xorps_rr(dst, src)
        else:
            code += asm.xchg_rr(1, dst, src)


def arguments(operands: tuple[Operand, ...], free: int, types: tuple[int, ...], index: Operand | None = None) -> bytes:
    """Put arguments where a callee of these parameter types expects them, and ``index``, if given, into rax."""
    places = parameter_places(types)[0]
    in_area = []
    # By destination: registers that are moved, and what is loaded after that.
    floats: dict[int, int] = {}
    ints: dict[int, int] = {}
    loads = []
    floats_loaded = Selection(free)
    for operand, (reg, _) in zip(operands, places, strict=True):
        if reg < 0:
            in_area.append(operand)
        elif is_float(operand.type):
            if operand.reg >= 0:
                floats[reg] = operand.reg
            else:
                floats_loaded.load_float(reg, operand)
        elif operand.reg >= 0:
            ints[reg] = operand.reg
        else:
            loads.append((reg, operand))
    if index is not None:
        if index.reg >= 0:
            ints[RAX] = index.reg
        else:
            loads.append((RAX, index))
    code = bytearray()
    if in_area:
        if area_step(types, places) == 16:
            for operand in reversed(in_area):
                code += _pass_in_wide_area(operand)
        else:
            if len(in_area) & 1:
                code += asm.alu_ri(asm.SUB, 1, RSP, 8)
            for operand in reversed(in_area):
                code += _pass_in_area(operand)
    # Floats come first: a float constant needs an integer temporary on its way.
    if floats:
        _parallel_moves(code, floats, True)
    code += floats_loaded.code
    if ints:
        _parallel_moves(code, ints, False)
    if loads:
        ints_loaded = Selection(0)
        for reg, operand in loads:
            ints_loaded.load(reg, operand)
        code += ints_loaded.code
    return bytes(code)


def arguments_from_slots(places: ParameterPlaces, first_slot: int, width: int = 8) -> bytes:
    """Pass many arguments that are in consecutive slots, the first at ``first_slot``: stretches of them in loops."""
    return _arguments_from(places, FRAME, RAX, first_slot, width)


def pass_out_of_line(first_slot: int) -> tuple[bytes, bytes]:
    """Call what :func:`passing_routine` gives, a displacement at the end of the first piece, and what comes after."""
    return (
        asm.lea_rm(1, RAX, FRAME, first_slot) + asm.call_rel32(0),
        asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE),
    )


def passing_routine(places: ParameterPlaces, width: int = 8) -> bytes:
    """What :func:`arguments_from_slots` does, the address of the first slot being in rax, as a routine: the return
    address waits in the register of the memory base, since arguments are pushed.
    """
    return asm.pop_r(MEMORY_BASE) + _arguments_from(places, RAX, RDI, 0, width) + asm.jmp_r(MEMORY_BASE)


def _arguments_from(places: ParameterPlaces, base: int, pointer: int, first: int, width: int) -> bytes:
    """Pass arguments, of which the first is at offset ``first`` from a register, by a pointer in another one."""
    area = _area_from_wide_slots if width == 16 else _area_from_slots
    code = area(places, base, pointer, first)
    for index, type_, reg in places.in_registers:
        code += _fetch(type_, reg, first - width * index, base)
    return bytes(code)


def _area_from_wide_slots(places: ParameterPlaces, base: int, pointer: int, first_slot: int) -> bytearray:
    """Lay out the argument area from slots of 16 bytes."""
    code = bytearray()
    if places.area:
        code += asm.alu_ri(asm.SUB, 1, RSP, places.area)
    # Eight bytes go by rdx, and more by xmm0, since vectors that travel in registers are fetched later.
    step = places.step
    wide = step == 16
    for start, index, count in places.stretches:
        slot = first_slot - 16 * index
        if count <= FEW_OF_CALL:
            for k in range(count):
                if wide:
                    code += asm.movups_rm(0, base, slot - 16 * k) + asm.movups_mr(RSP, step * (start + k), 0)
                else:
                    code += asm.mov_rm(1, RDX, base, slot - 16 * k)
                    code += asm.mov_mr(1, RSP, step * (start + k), RDX)
            continue
        code += asm.lea_rm(1, pointer, base, slot)
        code += asm.lea_rm(1, RSI, RSP, step * start)
        code += asm.mov_ri(RCX, count)
        if wide:
            body = asm.movups_rm(0, pointer, 0) + asm.movups_mr(RSI, 0, 0)
        else:
            body = asm.mov_rm(1, RDX, pointer, 0) + asm.mov_mr(1, RSI, 0, RDX)
        body += asm.alu_ri(asm.SUB, 1, pointer, 16) + asm.alu_ri(asm.ADD, 1, RSI, step)
        body += asm.alu_ri(asm.SUB, 0, RCX, 1)
        code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
    return code


def _area_from_slots(places: ParameterPlaces, base: int, pointer: int, first_slot: int) -> bytearray:
    """Lay out the argument area from slots of 8 bytes."""
    code = bytearray()
    if sum([count for _, _, count in places.stretches]) & 1:
        code += asm.alu_ri(asm.SUB, 1, RSP, 8)
    for _, index, count in reversed(places.stretches):
        last = first_slot - 8 * (index + count - 1)
        if count <= FEW_OF_CALL:
            for k in range(count):
                code += asm.push_m(base, last + 8 * k)
        else:
            code += asm.lea_rm(1, pointer, base, last)
            code += asm.mov_ri(RCX, count)
            body = asm.push_m(pointer, 0) + asm.alu_ri(asm.ADD, 1, pointer, 8) + asm.alu_ri(asm.SUB, 0, RCX, 1)
            code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
    return code


def _fetch(type_: int, reg: int, offset: int, base: int = FRAME) -> bytes:
    """Load a value from its cell."""
    if type_ == V128:
        return asm.movups_rm(reg, base, offset)
    if is_float(type_):
        return asm.movs_rm(1 if type_ == F64 else 0, reg, base, offset)
    return asm.mov_rm(0 if type_ == I32 else 1, reg, base, offset)


def argument_plan(types: tuple[int, ...]) -> tuple[bytes, tuple[tuple[int, int, int], ...]]:
    """How to pass arguments one by one: what comes first, and ``(type, place, its bit)`` of each, the last one first. A
    place is a register, or -1 or -2 for a cell of 8 or 16 bytes in the argument area.
    """
    places, _ = parameter_places(types)
    plan = []
    in_area = 0
    step = area_step(types, places)
    for type_, (reg, _) in zip(types, places, strict=True):
        if reg < 0:
            in_area += 1
            reg = -1 if step == 8 else -2
        plan.append((type_, reg, 0 if reg < 0 else 1 << (reg + FIRST_FLOAT_BIT if is_float(type_) else reg)))
    return asm.alu_ri(asm.SUB, 1, RSP, 8) if in_area & 1 and step == 8 else b"", tuple(plan[::-1])


def argument(operand: Operand, reg: int) -> bytes | None:
    """Code that passes one argument in a place as :func:`argument_plan` gives it.

    ``None`` if that takes a scratch.
    """
    if reg < 0:
        return _pass_in_area(operand) if reg == -1 else _pass_in_wide_area(operand)
    if not is_float(operand.type):
        if operand.kind == CONSTANT:
            return asm.mov_ri(reg, operand.value)
        selection = Selection(0)
        selection.load(reg, operand)
    else:
        if operand.kind == CONSTANT and operand.value not in (0, ALL_ONES):
            return None
        selection = Selection(0)
        selection.load_float(reg, operand)
    return bytes(selection.code)


def call_slot(offset: int) -> bytes:
    """Call a function of this instance through its call slot."""
    return asm.call_m(CONTEXT, offset)


def call_self() -> bytes:
    """Call the function that is being compiled; the displacement is filled in later."""
    return asm.call_rel32(0)


def _call_callee() -> bytes:
    """Call the function whose record is in rax, which may belong to another instance, and return to this one."""
    code = asm.mov_rm(1, CONTEXT, RAX, RECORD_CTX)
    code += asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE) + asm.call_m(RAX, RECORD_CODE)
    code += asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT)
    return code + asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE)


def load_record(offset: int) -> bytes:
    """Load into rax the pointer to a function record that is in the context at ``offset``."""
    return asm.mov_rm(1, RAX, CONTEXT, offset)


def call_record(offset: int) -> bytes:
    """Call a function through the pointer to its record in the context at ``offset``.

    It may belong to another instance.
    """
    return load_record(offset) + _call_callee()


def check_reference() -> bytes:
    """Fault if the record in rax is null."""
    return asm.alu_rm(asm.CMP, 1, CONTEXT, RAX, RECORD_CTX)


def call_reference() -> bytes:
    """Call the function whose record is in rax; reading the context of a null faults."""
    return _call_callee()


def check_table(table: int, type_id: int, reach: int, final: bool) -> tuple[bytes, bytes]:
    """Put the record of the table element whose index is in rax there, if it has the right type.

    The pinned memory base serves as a scratch, since it is loaded anew in any case.
    """
    bound = asm.mov_rm(1, MEMORY_BASE, CONTEXT, table)
    bound += asm.alu_rm(asm.CMP, 0, RAX, MEMORY_BASE, TABLE_LENGTH)
    bound += asm.jcc_rel32(asm.CC_AE, 0)
    check = asm.mov_rm(1, MEMORY_BASE, MEMORY_BASE, TABLE_BASE)
    check += asm.mov_rx(1, RAX, MEMORY_BASE, RAX, 3, 0)
    if final:
        check += asm.mov_rm(0, MEMORY_BASE, CONTEXT, type_id)
        check += asm.alu_rm(asm.CMP, 0, MEMORY_BASE, RAX, RECORD_TYPE)
        return bound, check + asm.jcc_rel32(asm.CC_NE, 0)
    check += asm.mov_rm(0, MEMORY_BASE, RAX, RECORD_TYPE)
    check += asm.alu_rm(asm.CMP, 0, MEMORY_BASE, CONTEXT, type_id)
    walk = _find_supertype(type_id) + asm.jcc_rel32(asm.CC_NE, 0)
    return bound, check + asm.jcc_rel8(asm.CC_E, len(walk)) + walk


def _find_supertype(type_id: int) -> bytes:
    """Look for the type at ``type_id`` among the supertypes of the one in the register of the memory base; the flags
    say whether it is there.

    All temporaries hold arguments: the context serves as a scratch, too, and the wanted type waits on the stack.
    """
    begin = asm.push_m(CONTEXT, type_id)
    begin += asm.mov_rm(1, CONTEXT, CONTEXT, CTX_STORE) + asm.mov_rm(1, CONTEXT, CONTEXT, STORE_SUPERTYPES)
    begin += asm.test_rr(1, CONTEXT, CONTEXT)
    count = asm.alu_rm(asm.CMP, 0, MEMORY_BASE, CONTEXT, SUPERTYPES_COUNT)
    step = asm.mov_rx(0, MEMORY_BASE, CONTEXT, MEMORY_BASE, 2, SUPERTYPES_FIRST)
    step += asm.alu_rm(asm.CMP, 0, MEMORY_BASE, RSP, 0)
    more = asm.test_rr(0, MEMORY_BASE, MEMORY_BASE)
    # No type is 0: the comparison says "not equal".
    none = asm.alu_mi(asm.CMP, 0, RSP, 0, 0)
    loop = len(count) + 2 + len(step) + 2 + len(more) + 2
    code = begin + asm.jcc_rel8(asm.CC_E, loop)
    code += count + asm.jcc_rel8(asm.CC_AE, loop - len(count) - 2)
    code += step + asm.jcc_rel8(asm.CC_E, len(more) + 2 + len(none))
    code += more + asm.jcc_rel8(asm.CC_NE, -loop)
    return code + none + asm.pop_r(MEMORY_BASE) + asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT)


def call_table(table: int, type_id: int, reach: int, final: bool = True) -> tuple[bytes, bytes, bytes]:
    """Call the table element whose index is in rax.

    The first two pieces end with displacements to the traps "undefined element" and "type mismatch"; a null element
    faults when its type is read.
    """
    return (*check_table(table, type_id, reach, final), _call_callee())


def call_builtin(number: int) -> bytes:
    """Call one of the store's builtins, which act on this very instance."""
    code = asm.mov_rm(1, RAX, CONTEXT, CTX_STORE)
    code += asm.mov_rm(1, RAX, RAX, STORE_BUILTINS + 8 * number)
    return code + asm.call_m(RAX, RECORD_CODE)


def call_bulk(fill: bool, destination: int, source: int) -> bytes:
    """Call the store's stub for memory.copy or memory.fill.

    The operands are in rdi, rsi and rdx, the arguments are descriptor offsets.
    """
    code = asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)
    code += asm.push_m(RCX, STORE_MEMORY_FILL if fill else STORE_MEMORY_COPY)
    code += asm.mov_rm(1, RAX, CONTEXT, destination)
    if not fill:
        code += asm.mov_rm(1, RCX, CONTEXT, source)
    # The stub's address is on the stack, which keeps all temporaries for its operands; the stack stays aligned at the
    # call.
    code += asm.alu_ri(asm.SUB, 1, RSP, 8)
    code += asm.call_m(RSP, 8)
    return code + asm.alu_ri(asm.ADD, 1, RSP, 16)


def bulk_arguments(operands: tuple[Operand, Operand, Operand]) -> bytes:
    """Put the operands of memory.copy and memory.fill into rdi, rsi and rdx."""
    targets = (RDI, RSI, RDX)
    code = bytearray()
    _parallel_moves(code, {t: o.reg for o, t in zip(operands, targets, strict=True) if o.reg >= 0}, False)
    loads = Selection(0)
    for operand, target in zip(operands, targets, strict=True):
        if operand.reg < 0:
            loads.load(target, operand)
    return bytes(code + loads.code)


def use_fuel_for_bulk(shift: int, reach: int) -> tuple[bytes, bytes]:
    """Take fuel for the bytes whose number is in rdx, and the jump if it is short."""
    take = asm.mov_rm(1, RAX, CONTEXT, CTX_STORE) + asm.mov_rr(1, RCX, RDX) + asm.shift_ri(asm.SHR, 1, RCX, shift)
    return take + asm.alu_mr(asm.SUB, 1, RAX, STORE_FUEL, RCX), asm.jcc_rel32(asm.CC_S, 0)


def fetch_results(places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
    """Store all results of a call into consecutive slots, the first at ``first_slot``, each ``width`` bytes below the
    one before.
    """
    code = bytearray()
    if places.first_int is not None:
        code += asm.mov_mr(1, FRAME, first_slot - width * places.first_int[0], RAX)
    if places.first_float is not None:
        index, type_ = places.first_float
        offset = first_slot - width * index
        if type_ == V128:
            code += asm.movups_mr(FRAME, offset, 0)
        else:
            code += asm.movs_mr(0 if type_ == F32 else 1, FRAME, offset, 0)
    if places.stretches:
        code += asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)
        code += move_results(places.stretches, first_slot, True, width)
    return bytes(code)


def return_results(places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
    """The reverse of :func:`fetch_results`: from slots to where a caller expects several results."""
    code = bytearray()
    if places.stretches:
        code += asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)
        code += move_results(places.stretches, first_slot, False, width)
    for first, reg in ((places.first_int, RAX), (places.first_float, 0)):
        if first is not None:
            index, type_ = first
            code += _fetch(type_, reg, first_slot - width * index)
    return bytes(code)


def move_results(stretches: list[tuple[int, int, int]], first_slot: int, fetch: bool, width: int) -> bytes:
    """Move results between the results area, whose store block is in rcx, and slots, by stretches as those of
    :class:`ResultPlaces`; long ones move in a loop. rcx is as it was afterwards, and rax stays.
    """
    if width == 16:
        return _move_wide_stretches(stretches, first_slot, fetch)
    code = bytearray()
    for start, index, count in stretches:
        cell = STORE_RESULTS + 16 * start
        slot = first_slot - 8 * index
        if count <= FEW_OF_CALL:
            for k in range(count):
                if fetch:
                    code += asm.mov_rm(1, RDX, RCX, cell + 16 * k)
                    code += asm.mov_mr(1, FRAME, slot - 8 * k, RDX)
                else:
                    code += asm.mov_rm(1, RDX, FRAME, slot - 8 * k)
                    code += asm.mov_mr(1, RCX, cell + 16 * k, RDX)
        else:
            # rsi counts cells from 0 down to -count; rax is saved by the caller's order: it is fetched first and
            # returned last.
            code += asm.zero(RSI)
            code += asm.lea_rm(1, RCX, RCX, cell)
            if fetch:
                body = asm.mov_rm(1, RDX, RCX, 0) + asm.mov_xr(1, FRAME, RSI, 3, slot, RDX)
            else:
                body = asm.mov_rx(1, RDX, FRAME, RSI, 3, slot) + asm.mov_mr(1, RCX, 0, RDX)
            body += asm.alu_ri(asm.ADD, 1, RCX, 16) + asm.alu_ri(asm.SUB, 1, RSI, 1)
            body += asm.alu_ri(asm.CMP, 1, RSI, -count)
            code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
            code += asm.mov_rm(1, RCX, CONTEXT, CTX_STORE)
    return bytes(code)


def _move_wide_stretches(stretches: list[tuple[int, int, int]], first_slot: int, fetch: bool) -> bytes:
    """What :func:`move_results` does, with slots of 16 bytes, all of which move by xmm1: xmm0 is fetched first and
    returned last.
    """
    code = bytearray()
    for start, index, count in stretches:
        cell = STORE_RESULTS + 16 * start
        slot = first_slot - 16 * index
        if count <= FEW_OF_CALL:
            for k in range(count):
                if fetch:
                    code += asm.movups_rm(1, RCX, cell + 16 * k) + asm.movups_mr(FRAME, slot - 16 * k, 1)
                else:
                    code += asm.movups_rm(1, FRAME, slot - 16 * k) + asm.movups_mr(RCX, cell + 16 * k, 1)
            continue
        code += asm.lea_rm(1, RDX, RCX, cell)
        code += asm.lea_rm(1, RSI, FRAME, slot)
        code += asm.mov_ri(RDI, count)
        if fetch:
            body = asm.movups_rm(1, RDX, 0) + asm.movups_mr(RSI, 0, 1)
        else:
            body = asm.movups_rm(1, RSI, 0) + asm.movups_mr(RDX, 0, 1)
        body += asm.alu_ri(asm.ADD, 1, RDX, 16) + asm.alu_ri(asm.SUB, 1, RSI, 16) + asm.alu_ri(asm.SUB, 0, RDI, 1)
        code += body + asm.jcc_rel8(asm.CC_NE, -len(body) - 2)
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
