"""The rule of ``i8x16.shuffle``: the fewest instructions that its lanes allow; what a rule is says :mod:`.integers`.

Most shuffles that programs have are those that an instruction is made for. Any other is a table of one or two registers
and its indices, which are read from beside the code.
"""

from __future__ import annotations

from ..operand import V128, Operand, constant
from . import asm_vector as v
from .regs import FLOAT_SCRATCH, FLOAT_SCRATCH2
from .selection import Selection
from .vector_bits import is_all, sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule

    #: Encodes an instruction of a destination and two sources.
    Emit = Callable[[int, int, int], bytes]

_IDENTITY = bytes(range(16))
#: Exchanges the sources.
_EXCHANGED = bytes([lane ^ 16 for lane in range(256)])
#: Takes both sources for one.
_SAME = bytes([lane & 15 for lane in range(256)])


def _bytes_of(size: int, lanes: list[int]) -> bytes:
    """The bytes of lanes of a size."""
    return bytes([(lane << size) + byte for lane in lanes for byte in range(1 << size)])


def _permute(op: int, size: int) -> Emit:
    return lambda dst, a, b: v.permute(op, size, dst, a, b)


def _extract(first: int) -> Emit:
    return lambda dst, a, b: v.ext(dst, a, b, first)


def _duplicate(size: int, lane: int) -> Emit:
    return lambda dst, a, b: v.dup_lane(size, dst, a, lane)


def _reverse(op: int, size: int) -> Emit:
    return lambda dst, a, b: v.two(op, size, dst, a)


def _widen(size: int, high: int) -> Emit:
    return lambda dst, a, b: v.shift_long(v.USHLL, size, high, dst, a, 0)


def _of_two() -> dict[bytes, Emit]:
    """Instructions of two sources, by their lanes."""
    found: dict[bytes, Emit] = {}
    for size in range(4):
        count = 16 >> size
        for odd, zip_, uzp, trn in ((0, v.ZIP1, v.UZP1, v.TRN1), (1, v.ZIP2, v.UZP2, v.TRN2)):
            half = range(odd * count // 2, (odd + 1) * count // 2)
            every_second = range(odd, count, 2)
            for op, lanes in (
                (uzp, [*range(odd, 2 * count, 2)]),
                (trn, [lane + source for lane in every_second for source in (0, count)]),
                (zip_, [lane + source for lane in half for source in (0, count)]),
            ):
                found[_bytes_of(size, lanes)] = _permute(op, size)
    for first in range(1, 16):
        found[bytes(range(first, first + 16))] = _extract(first)
    return found


_TWO = _of_two()


def _of_one() -> dict[bytes, Emit]:
    """Instructions of one source, which may be given twice, by their lanes."""
    found = {lanes.translate(_SAME): emit for lanes, emit in _TWO.items()}
    for size in range(4):
        for lane in range(16 >> size):
            found[_bytes_of(size, [lane] * (16 >> size))] = _duplicate(size, lane)
    for op, bits in ((v.REV64, 3), (v.REV32, 2), (v.REV16, 1)):
        for size in range(bits):
            found[_bytes_of(size, [lane ^ (1 << bits - size) - 1 for lane in range(16 >> size)])] = _reverse(op, size)
    return found


_ONE = _of_one()


def _with_zero() -> dict[bytes, Emit]:
    """Instructions whose second source is zero: lanes of the first one become wider. Zero is the lane 16."""
    found = {}
    for size in range(3):
        count = 16 >> size
        for high in range(2):
            half = range(high * count // 2, (high + 1) * count // 2)
            lanes = b"".join([_bytes_of(size, [lane]) + bytes([16]) * (1 << size) for lane in half])
            found[lanes] = _widen(size, high)
    return found


_ZERO = _with_zero()


def _inserted(lanes: bytes, most: int) -> list[tuple[int, int, int]] | None:
    """How to make a shuffle from its first source by inserting lanes, as few as may be, but no more than so many: the
    size of each, which it is, and which of both sources it becomes.
    """
    for size in (3, 2, 1, 0):
        width = 1 << size
        found = []
        for place in range(0, 16, width):
            first = lanes[place]
            if first == place and lanes[place : place + width] == _IDENTITY[place : place + width]:
                continue
            if first & width - 1 or lanes[place : place + width] != bytes(range(first, first + width)):
                break
            found.append((size, place >> size, first >> size))
        else:
            return found if len(found) <= most else None
    return None


def _plan(lanes: bytes, most: int) -> list[tuple[int, int, int]] | None:
    """The same, where inserting them one after the other into the first source itself does it as well."""
    found = _inserted(lanes, most)
    if found is not None and len(found) > 1 and any(source < 16 >> size for size, _, source in found):
        return None
    return found


def _insert(s: Selection, dst: int, kept: Operand, other: int, plan: list[tuple[int, int, int]]) -> None:
    """Insert lanes of the register ``other`` into a copy of the first source, or one of its own lanes."""
    s.load_float(dst, kept)
    for size, lane, source in plan:
        count = 16 >> size
        s.code += v.ins_lane(size, dst, lane, dst if source < count else other, source & count - 1)


def _table(s: Selection, dst: int, a: Operand, b: Operand, lanes: bytes) -> None:
    """Shuffle by a table of two registers, which have to be one after the other."""
    first, second, indices = a.reg, b.reg, FLOAT_SCRATCH
    if first < 0 or second != first + 1:
        first, second, indices = FLOAT_SCRATCH2, FLOAT_SCRATCH, dst
        s.load_float(first, a)
        s.load_float(second, b)
    s.load_float(indices, constant(V128, int.from_bytes(lanes, "little")))
    s.code += v.table(v.TBL, 2, dst, first, indices)


def _shuffle_one(s: Selection, sink: Operand | None, a: Operand, bits: int, lanes: bytes) -> Operand:
    """Shuffle the bytes of one operand; a lane from 16 up gives 0."""
    if lanes == _IDENTITY:
        dst = s.float_destination(sink, a.bit)
        s.load_float(dst, a)
        return s.result(V128, dst, sink, bits)
    emit = _ONE.get(lanes) or _ZERO.get(lanes)
    # Beside a move and one lane stand the indices and the table.
    plan = _plan(lanes, 1) if emit is None and max(lanes) < 16 else None
    if plan is not None:
        dst = s.float_destination(sink, a.bit)
        _insert(s, dst, a, dst, plan)
        return s.result(V128, dst, sink, bits)
    dst = s.float_destination(sink, bits)
    source = s.in_float_register(a)
    if emit is not None:
        s.code += emit(dst, source, source)
    else:
        s.load_float(FLOAT_SCRATCH2, constant(V128, int.from_bytes(lanes, "little")))
        s.code += v.table(v.TBL, 1, dst, source, FLOAT_SCRATCH2)
    return s.result(V128, dst, sink, bits)


def shuffle(s: Selection, sink: Operand | None, a: Operand, b: Operand, lanes: bytes) -> Operand:
    """``i8x16.shuffle``."""
    bits = a.bit | b.bit
    if a is b:
        lanes = lanes.translate(_SAME)
    if max(lanes) < 16:
        return _shuffle_one(s, sink, a, bits, lanes)
    if min(lanes) > 15:
        return _shuffle_one(s, sink, b, bits, lanes.translate(_SAME))
    if is_all(a, 0):
        a, b, lanes = b, a, lanes.translate(_EXCHANGED)
    emit = _TWO.get(lanes)
    exchanged = lanes.translate(_EXCHANGED)
    if is_all(b, 0):
        with_zero = bytes([min(lane, 16) for lane in lanes])
        if with_zero in _ZERO or (emit is None and exchanged not in _TWO):
            return _shuffle_one(s, sink, a, bits, with_zero)
    if emit is None and exchanged in _TWO:
        a, b, lanes, emit = b, a, exchanged, _TWO[exchanged]
    if emit is not None:
        dst = s.float_destination(sink, bits)
        s.code += emit(dst, *sources(s, dst, a, b))
        return s.result(V128, dst, sink, bits)
    for kept, other, order in ((a, b, lanes), (b, a, exchanged)):
        plan = _plan(order, 2)
        # A lane cannot be taken from where the other source has been copied to.
        if plan is not None and (sink is None or sink.reg != other.reg):
            dst = s.float_destination(sink, kept.bit)
            _insert(s, dst, kept, s.in_float_register(other), plan)
            return s.result(V128, dst, sink, bits)
    dst = s.float_destination(sink, bits)
    _table(s, dst, a, b, lanes)
    return s.result(V128, dst, sink, bits)


RULES: dict[str, Rule] = {"i8x16.shuffle": shuffle}
#: Relaxed instructions whose rule is another one in the deterministic profile: none here.
DETERMINISTIC: dict[str, Rule] = {}
