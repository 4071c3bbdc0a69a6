"""Frames: where a function keeps things, its prologue and its epilogue.

A frame, from low to high addresses::

    [x29]             the caller's frame pointer
    [x29+8]           return address
    [x29+16]          instance context
    [x29+24 + 8*i]    the caller's value of the i-th pinned general register, where this function pins it
    ...               all 16 bytes of each pinned vector register, from the next multiple of 16 on
    ...               locals that are not pinned, then the operand stack, 8 bytes an entry, upwards; 16 bytes each, at
                      multiples of 16, in a function that has vectors
    [x29+size ...]    the argument area of the caller, from where parameters are copied to their homes

The stack pointer is where x29 is, but for an argument area being laid out below it. Offsets grow upwards because a load
takes 12 bits of an unsigned offset, counted in units of its size, and only 9 of a signed one.
"""

from __future__ import annotations

from ...abi import CTX_STORE, STORE_STACK_LIMIT
from .. import convention
from ..convention import FEW_CELLS, SMALL_FRAME, ParameterPlaces
from ..operand import F32, F64, I32, V128, Operand, is_float, width
from . import asm
from .addresses import add, at
from .control import far
from .regs import (
    CALLEE,
    CONTEXT,
    FLOAT_PARAMS,
    FLOAT_PINNED,
    FLOAT_SCRATCH,
    FRAME,
    INT_PARAMS,
    LINK,
    PINNED,
    SCRATCH,
    SCRATCH2,
    SP,
    ZR,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Parameters do not stay in the argument area: how far it is from x29 is known only when the body is compiled.
ARGUMENT_AREA = 0
CONTEXT_SLOT = 16
#: From a cell of the frame to the next one.
STEP = 8

_SAVED_INTS = CONTEXT_SLOT + 8
#: Stores of float parameters to their homes, by type.
_FLOAT_STORES = {F32: asm.STR_S, F64: asm.STR_D, V128: asm.STR_Q}
#: The largest offset of a pair of general registers.
PAIR_REACH = 504


def _saved_floats(ints: int) -> int:
    """Frame offset of the first saved vector register."""
    return (_SAVED_INTS + 8 * ints + 15) & -16


def locals_base(pinned_ints: int, pinned_floats: int, width: int = 8) -> int:
    """How many bytes of the frame come before the unpinned locals, a multiple of ``width``."""
    if pinned_floats or width == 16:
        return _saved_floats(pinned_ints) + 16 * pinned_floats
    return _SAVED_INTS + 8 * pinned_ints


def cell(before: int, width: int = 8) -> int:
    """Frame offset of the cell that ``before`` bytes of the frame come before."""
    return before


def parameter_places(types: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Where parameters of these types arrive: for each ``(register or -1, byte offset in the argument area)``, and
    the area's size.
    """
    return convention.parameter_places(types, INT_PARAMS, FLOAT_PARAMS)


def parameters(types: tuple[int, ...]) -> ParameterPlaces:
    """The same in a form that is short also where there are many."""
    return ParameterPlaces(types, INT_PARAMS, FLOAT_PARAMS)


def receive_parameters(types: tuple[int, ...], homes: tuple[Operand, ...], size: int) -> bytes:
    """Move parameters from where they arrive to their homes in a frame of ``size`` bytes."""
    places = parameter_places(types)[0]
    return _receive_all([(reg, area, home) for (reg, area), home in zip(places, homes, strict=True)], size)


def receive_many(
    places: ParameterPlaces, homes: Sequence[tuple[int, int, Operand]], first: int, size: int, width: int = 8
) -> bytes:
    """Move parameters from where they arrive to their homes: the whole argument area to the cells from ``first`` on,
    and those of many that arrive in registers or are pinned to theirs.
    """
    # What is pinned comes first: the copy needs no temporary that a parameter may be in.
    code = _receive_all(homes, size)
    count = sum([count for _, _, count in places.stretches])
    if not count:
        return code
    if places.step == 16:
        return code + copy_cells(2 * count, size, first)
    return code + copy_cells(count, size, first, 8, width)


def _receive_all(homes: Sequence[tuple[int, int, Operand]], size: int) -> bytes:
    """Move parameters, each from a register, or from the argument area if that is -1, to its home."""
    code = bytearray()
    in_area: list[tuple[int, Operand]] = []
    stores: list[tuple[int, int]] = []
    for reg, area, home in homes:
        if reg < 0:
            in_area.append((area, home))
        elif home.reg >= 0:
            code += _received.get((home, reg)) or _receive(home, reg)
        elif is_float(home.type):
            code += at(_FLOAT_STORES[home.type], reg, FRAME, home.offset)
        else:
            stores.append((reg, home.offset))
    if stores:
        code += b"".join(_store_pairs(stores))
    if in_area:
        code += _receive_area(in_area, size)
    return bytes(code)


_received: dict[tuple[Operand, int], bytes] = {}


def _receive(home: Operand, reg: int) -> bytes:
    """Move one parameter from the register that it arrives in to the one that it is pinned to; memoised, as there are
    few.
    """
    code = _received[home, reg] = asm.mov_v(home.reg, reg) if is_float(home.type) else asm.mov_rr(1, home.reg, reg)
    return code


def _store_pairs(stores: list[tuple[int, int]]) -> Iterator[bytes]:
    """Store general registers to cells, two at once where the cells are neighbours."""
    index = 0
    while index < len(stores):
        reg, offset = stores[index]
        if index + 1 < len(stores) and stores[index + 1][1] == offset + 8 and offset <= PAIR_REACH:
            yield asm.pair(asm.STP_X, reg, stores[index + 1][0], FRAME, offset)
            index += 2
        else:
            yield at(asm.STR_X, reg, FRAME, offset)
            index += 1


def _receive_area(places: list[tuple[int, Operand]], size: int) -> bytes:
    """Move parameters from the argument area; long stretches whose homes are neighbours as well in loops."""
    code = bytearray()
    index = 0
    while index < len(places):
        area, home = places[index]
        end = index + 1
        while (
            home.reg < 0
            and end < len(places)
            and places[end][1].reg < 0
            and places[end][1].offset - home.offset == places[end][0] - area
        ):
            end += 1
        if end - index > FEW_CELLS:
            count = (places[end - 1][0] - area + width(places[end - 1][1].type)) >> 3
            code += copy_cells(count, size + area, home.offset)
            index = end
            continue
        if home.type == V128:
            reg = home.reg if home.reg >= 0 else FLOAT_SCRATCH
            code += at(asm.LDR_Q, reg, FRAME, size + area)
            if home.reg < 0:
                code += at(asm.STR_Q, reg, FRAME, home.offset)
        elif home.reg < 0:
            code += at(asm.LDR_X, SCRATCH2, FRAME, size + area) + at(asm.STR_X, SCRATCH2, FRAME, home.offset)
        elif is_float(home.type):
            code += at(asm.LDR_S if home.type == F32 else asm.LDR_D, home.reg, FRAME, size + area)
        else:
            code += at(asm.LDR_W if home.type == I32 else asm.LDR_X, home.reg, FRAME, size + area)
        index += 1
    return bytes(code)


def copy_cells(
    count: int,
    source: int,
    target: int,
    source_step: int = 8,
    target_step: int = 8,
    base: int = FRAME,
    data: int = CALLEE,
    counter: int = LINK,
) -> bytes:
    """Copy 8 bytes each of cells in a loop, upwards, from an offset to ``base`` to one to the frame pointer; both
    scratches and the last two registers are overwritten.
    """
    code = add(SCRATCH, base, source) + add(SCRATCH2, FRAME, target, SCRATCH2)
    code += asm.mov_ri(counter, count)
    body = asm.access_post(asm.LDR_X, data, SCRATCH, source_step)
    body += asm.access_post(asm.STR_X, data, SCRATCH2, target_step)
    body += asm.alu_ri(asm.SUB, 1, counter, counter, 1)
    return code + body + asm.cbnz(1, counter, -len(body))


def zero_slots(first: int, count: int, width: int = 8) -> bytes:
    """Zero ``count`` cells of the frame, the first of them at offset ``first``.

    Parameters are in their homes already.
    """
    code = bytearray()
    if width == 16:
        count *= 2
    pairs = count // 2
    base = FRAME
    if pairs > FEW_CELLS or (pairs and first + 16 * (pairs - 1) > PAIR_REACH):
        code += add(SCRATCH, FRAME, first)
        base = SCRATCH
        first = 0
    if pairs > FEW_CELLS:
        code += asm.mov_ri(SCRATCH2, pairs)
        body = asm.pair_post(asm.STP_X, ZR, ZR, SCRATCH, 16) + asm.alu_ri(asm.SUB, 1, SCRATCH2, SCRATCH2, 1)
        code += body + asm.cbnz(1, SCRATCH2, -len(body))
    else:
        for _ in range(pairs):
            code += asm.pair(asm.STP_X, ZR, ZR, base, first)
            first += 16
    if count & 1:
        code += at(asm.STR_X, ZR, base, first)
    return bytes(code)


def zero_pinned(homes: tuple[Operand, ...]) -> bytes:
    """Zero pinned locals."""
    return b"".join([_zeros.get(home) or _zero(home) for home in homes])


_zeros: dict[Operand, bytes] = {}


def _zero(home: Operand) -> bytes:
    """Zero one pinned local; memoised, since there are few."""
    code = _zeros[home] = asm.movi_zero(home.reg) if is_float(home.type) else asm.mov_ri(home.reg, 0)
    return code


def _pinned(store: bool, ints: int, floats: int) -> bytes:
    """Store or load the context and the first pinned registers, two at once. Loading leaves the context as it is."""
    single, double, vector, vectors = (
        (asm.STR_X, asm.STP_X, asm.STR_Q, asm.STP_Q) if store else (asm.LDR_X, asm.LDP_X, asm.LDR_Q, asm.LDP_Q)
    )
    registers = [CONTEXT, *PINNED[:ints]]
    if not store and not ints & 1:
        registers = registers[1:]
    code = bytearray()
    offset = _SAVED_INTS + 8 * ints - 8 * len(registers)
    while len(registers) > 1:
        code += asm.pair(double, registers[0], registers[1], FRAME, offset)
        del registers[:2]
        offset += 16
    if registers:
        code += asm.access(single, registers[0], FRAME, offset)
    offset = _saved_floats(ints)
    for index in range(0, floats - 1, 2):
        code += asm.pair(vectors, FLOAT_PINNED[index], FLOAT_PINNED[index + 1], FRAME, offset)
        offset += 32
    if floats & 1:
        code += asm.access(vector, FLOAT_PINNED[floats - 1], FRAME, offset)
    return bytes(code)


def prologue(size: int, ints: int, floats: int, check_limit: bool, reach: int) -> tuple[bytes, int, int]:
    """Make a frame of ``size`` bytes and save the caller's values of the first pinned registers.

    Returns:
        the code, where its check of the stack limit begins, and the end of the jump to the stack-overflow trap;
        both 0 if there is no check.
    """
    if check_limit and size > SMALL_FRAME:
        # A signal that arrives while the stack pointer is below the reserve would have no stack, so the check comes
        # first, from a frame that is just large enough to be seen.
        small = 32
        code = asm.pair_pre(asm.STP_X, FRAME, LINK, SP, -small) + asm.mov_sp(FRAME, SP)
        code += asm.access(asm.STR_X, CONTEXT, FRAME, CONTEXT_SLOT)
        check = len(code)
        code += asm.access(asm.LDR_X, SCRATCH2, CONTEXT, CTX_STORE)
        code += asm.access(asm.LDR_X, SCRATCH2, SCRATCH2, STORE_STACK_LIMIT)
        code += add(SCRATCH, FRAME, small - size)
        code += asm.cmp_rr(1, SCRATCH, SCRATCH2)
        code += far(asm.b_cond(asm.CC_LO, 0), reach)
        fixup = len(code)
        code += asm.pair(asm.LDP_X, SCRATCH2, LINK, FRAME, 0)
        code += asm.mov_sp(SP, SCRATCH) + asm.pair(asm.STP_X, SCRATCH2, LINK, SP, 0) + asm.mov_sp(FRAME, SP)
        return code + _pinned(True, ints, floats), check, fixup
    if size <= PAIR_REACH:
        code = asm.pair_pre(asm.STP_X, FRAME, LINK, SP, -size)
    else:
        code = add(SP, SP, -size) + asm.pair(asm.STP_X, FRAME, LINK, SP, 0)
    code += asm.mov_sp(FRAME, SP)
    code += _pinned(True, ints, floats)
    check = fixup = 0
    if check_limit:
        check = len(code)
        code += asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
        code += asm.access(asm.LDR_X, SCRATCH, SCRATCH, STORE_STACK_LIMIT)
        code += asm.alu_rrx(asm.SUBS, 1, ZR, SP, SCRATCH, asm.UXTX, 0)
        code += far(asm.b_cond(asm.CC_LO, 0), reach)
        fixup = len(code)
    return code, check, fixup


def epilogue(size: int, ints: int, floats: int, area: int) -> bytes:
    """Load the caller's values of the first pinned registers, give the frame back and return, freeing the argument
    area of ``area`` bytes.
    """
    code = restore_pinned(ints, floats)
    if size + area <= PAIR_REACH:
        code += asm.pair_post(asm.LDP_X, FRAME, LINK, SP, size + area)
    else:
        code += asm.pair(asm.LDP_X, FRAME, LINK, SP, 0) + add(SP, SP, size + area)
    return code + asm.ret()


def restore_pinned(ints: int, floats: int) -> bytes:
    """Load the caller's values of the first pinned registers."""
    return _pinned(False, ints, floats)


def copy_slots(count: int, source: int, target: int, width: int = 8, few: int = FEW_CELLS) -> bytes:
    """Copy ``count`` cells whose first is at ``source`` to where the first is at ``target``, in order, more
    than ``few`` in a loop.

    The target is not above the source, so copying in order is right where they overlap.
    """
    if width == 16:
        if count > few:
            return copy_cells(2 * count, source, target)
        return b"".join(
            [
                at(asm.LDR_Q, FLOAT_SCRATCH, FRAME, source + offset)
                + at(asm.STR_Q, FLOAT_SCRATCH, FRAME, target + offset)
                for offset in range(0, 16 * count, 16)
            ]
        )
    if count > few:
        return copy_cells(count, source, target)
    code = bytearray()
    for index in range(count):
        code += at(asm.LDR_X, SCRATCH2, FRAME, source + 8 * index)
        code += at(asm.STR_X, SCRATCH2, FRAME, target + 8 * index)
    return bytes(code)


__all__ = [
    "ARGUMENT_AREA",
    "CONTEXT_SLOT",
    "SMALL_FRAME",
    "STEP",
    "cell",
    "copy_slots",
    "epilogue",
    "locals_base",
    "parameter_places",
    "parameters",
    "prologue",
    "receive_many",
    "receive_parameters",
    "zero_pinned",
    "zero_slots",
]
