"""The rule of ``i8x16.shuffle``: the instruction that does what its lanes say, or the general way where there is none.

Lanes are 16 bytes, of which those from 16 on mean bytes of the second operand. A pattern of a table is a whole mask, so
most questions are one look-up; the others are answered by comparing slices.
"""

from __future__ import annotations

from ..operand import CONSTANT, LITERAL, V128, Operand, constant
from . import asm_vector as v
from . import features, packed
from .packed import apply, apply_i, copied, emit
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

_IDENTITY = bytes(range(16))
#: What ``pshufb`` makes 0 of.
_NOTHING = 0x80


def _unpacks() -> dict[bytes, int]:
    """Masks of the instructions that interleave halves."""
    found = {}
    operations = (
        (1, v.PUNPCKLBW, v.PUNPCKHBW),
        (2, v.PUNPCKLWD, v.PUNPCKHWD),
        (4, v.PUNPCKLDQ, v.PUNPCKHDQ),
        (8, v.PUNPCKLQDQ, v.PUNPCKHQDQ),
    )
    for width, low, high in operations:
        for first, op in ((0, low), (8, high)):
            mask: list[int] = []
            for at in range(first, first + 8, width):
                mask += [*range(at, at + width), *range(16 + at, 16 + at + width)]
            found[bytes(mask)] = op
    return found


def _zero_extensions() -> dict[bytes, int]:
    """Masks of the instructions that widen lanes with zeros, which are lanes of :data:`_NOTHING`."""
    found = {}
    for width, to, op in (
        (1, 2, v.PMOVZXBW),
        (1, 4, v.PMOVZXBD),
        (1, 8, v.PMOVZXBQ),
        (2, 4, v.PMOVZXWD),
        (2, 8, v.PMOVZXWQ),
        (4, 8, v.PMOVZXDQ),
    ):
        mask = [*range(16)]
        for at in range(16):
            lane, byte = divmod(at, to)
            mask[at] = lane * width + byte if byte < width else _NOTHING
        found[bytes(mask)] = op
    found[bytes([*range(8), *[_NOTHING] * 8])] = v.MOVQ
    return found


#: Of two operands.
_UNPACKS = _unpacks()
#: Of an operand with itself.
_DOUBLED = {bytes([lane % 16 for lane in mask]): op for mask, op in _UNPACKS.items()}
_ZERO_EXTENSIONS = _zero_extensions()
_BROADCASTS = {bytes(16): v.VPBROADCASTB, bytes((0, 1)) * 8: v.VPBROADCASTW}


def _units(lanes: bytes, width: int) -> list[int] | None:
    """The lanes as those of ``width`` bytes, if they are any."""
    units = []
    for at in range(0, 16, width):
        first = lanes[at]
        if first % width or lanes[at : at + width] != bytes(range(first, first + width)):
            return None
        units.append(first // width)
    return units


def _selectors(units: list[int]) -> int:
    """The immediate of four selectors of two bits."""
    return sum([(unit & 3) << 2 * at for at, unit in enumerate(units)])


def _mask(lanes: list[int]) -> Operand:
    return constant(V128, int.from_bytes(lanes, "little"))


def shuffle(s: Selection, sink: Operand | None, a: Operand, b: Operand, lanes: bytes) -> Operand:
    """Bytes of ``a`` and ``b`` in any order."""
    same = a is b or (a.reg >= 0 and a.reg == b.reg)
    if same or max(lanes) < 16:
        s.released |= b.bit & ~a.bit
        return _of_one(s, sink, a, bytes([lane % 16 for lane in lanes]))
    if min(lanes) >= 16:
        s.released |= a.bit
        return _of_one(s, sink, b, bytes([lane - 16 for lane in lanes]))
    if _is_zero(b):
        return _with_zeros(s, sink, a, bytes([lane if lane < 16 else _NOTHING for lane in lanes]))
    if _is_zero(a):
        return _with_zeros(s, sink, b, bytes([lane - 16 if lane >= 16 else _NOTHING for lane in lanes]))
    exchanged = bytes([lane ^ 16 for lane in lanes])
    found = _of_two(s, sink, a, b, lanes) or _of_two(s, sink, b, a, exchanged)
    return found or _general(s, sink, a, b, lanes)


def _is_zero(operand: Operand) -> bool:
    return operand.kind == CONSTANT and operand is not LITERAL and operand.value == 0


# -- of one operand --------------------------------------------------------------------------------------------------


def _of_one(s: Selection, sink: Operand | None, a: Operand, lanes: bytes) -> Operand:
    dst = s.float_destination(sink, a)
    if lanes == _IDENTITY:
        s.load_float(dst, a)
    elif features.AVX2 and lanes in _BROADCASTS:
        packed.emit_1(s, _BROADCASTS[lanes], dst, a)
    elif not _words(s, dst, a, lanes):
        first = lanes[0]
        if lanes in _DOUBLED:
            reg = copied(s, dst, a)
            emit(s, _DOUBLED[lanes], dst, reg, reg)
        elif lanes == bytes([(first + at) % 16 for at in range(16)]):
            reg = copied(s, dst, a)
            packed.emit_i(s, v.PALIGNR, dst, reg, reg, first)
        else:
            emit(s, v.PSHUFB, dst, copied(s, dst, a), _mask([*lanes]))
    return s.result(V128, dst, sink, a.bit)


def _words(s: Selection, dst: int, a: Operand, lanes: bytes) -> bool:
    """Emit a shuffle of lanes of 32 bits, or of those of 16 bits in one half, if that is what it is."""
    units = _units(lanes, 4)
    if units is not None:
        packed.emit_1i(s, v.PSHUFD, dst, a, _selectors(units))
        return True
    units = _units(lanes, 2)
    if units is None:
        return False
    low, high = units[:4], units[4:]
    if high == [4, 5, 6, 7] and max(low) < 4:
        packed.emit_1i(s, v.PSHUFLW, dst, a, _selectors(low))
    elif low == [0, 1, 2, 3] and min(high) >= 4:
        packed.emit_1i(s, v.PSHUFHW, dst, a, _selectors(high))
    else:
        return False
    return True


def _with_zeros(s: Selection, sink: Operand | None, a: Operand, lanes: bytes) -> Operand:
    """Bytes of one operand, and zeros."""
    dst = s.float_destination(sink, a)
    count = lanes.count(_NOTHING)
    none = bytes((_NOTHING,)) * count
    if lanes in _ZERO_EXTENSIONS:
        packed.emit_1(s, _ZERO_EXTENSIONS[lanes], dst, a)
    elif lanes == _IDENTITY[count:] + none:
        packed.emit_shift(s, v.PSRLDQ_I, dst, copied(s, dst, a), count)
    elif lanes == none + _IDENTITY[: 16 - count]:
        packed.emit_shift(s, v.PSLLDQ_I, dst, copied(s, dst, a), count)
    else:
        emit(s, v.PSHUFB, dst, copied(s, dst, a), _mask([*lanes]))
    return s.result(V128, dst, sink, a.bit)


# -- of two operands -------------------------------------------------------------------------------------------------


def _of_two(s: Selection, sink: Operand | None, a: Operand, b: Operand, lanes: bytes) -> Operand | None:
    """The one instruction that has ``a`` as its first source, if there is one."""
    if lanes in _UNPACKS:
        return apply(s, sink, _UNPACKS[lanes], a, b)
    first = lanes[0]
    if first < 16 and lanes == bytes(range(first, first + 16)):
        return apply_i(s, sink, v.PALIGNR, b, a, first)
    units = _units(lanes, 2)
    if units is not None and [unit % 8 for unit in units] == [*range(8)]:
        return _blend(s, sink, a, b, [unit // 8 for unit in units])
    units = _units(lanes, 4)
    if units is not None and max(units[:2]) < 4 and min(units[2:]) >= 4:
        return apply_i(s, sink, v.SHUFPS, a, b, _selectors(units))
    return None


def _blend(s: Selection, sink: Operand | None, a: Operand, b: Operand, words: list[int]) -> Operand:
    """Lanes of 16 bits that stay where they are: ``words`` says for each whether it is that of ``b``."""
    if features.AVX2 and words[::2] == words[1::2]:
        # It can run in more places than a blend of words.
        return apply_i(s, sink, v.VPBLENDD, a, b, sum([bit << at for at, bit in enumerate(words[::2])]))
    return apply_i(s, sink, v.PBLENDW, a, b, sum([bit << at for at, bit in enumerate(words)]))


def _general(s: Selection, sink: Operand | None, a: Operand, b: Operand, lanes: bytes) -> Operand:
    dst = s.float_destination(sink, a, b)
    part = s.scratch_float()
    if features.AVX and bytes([lane % 16 for lane in lanes]) == _IDENTITY:
        # Bytes that stay where they are: those of b where a mask has ones.
        s.load_float(part, _mask([0xFF * (lane > 15) for lane in lanes]))
        first = s.in_float_register(a)
        packed.emit_i(s, v.VPBLENDVB, dst, first, s.in_float_register(b), part << 4)
        return s.result(V128, dst, sink, a.bit | b.bit)
    of_a = _mask([lane if lane < 16 else _NOTHING for lane in lanes])
    of_b = _mask([lane - 16 if lane >= 16 else _NOTHING for lane in lanes])
    if dst == a.reg:
        a, b, of_a, of_b = b, a, of_b, of_a
    # Now neither shuffle overwrites what the other one reads.
    emit(s, v.PSHUFB, part, copied(s, part, a), of_a)
    emit(s, v.PSHUFB, dst, copied(s, dst, b), of_b)
    emit(s, v.POR, dst, dst, part)
    return s.result(V128, dst, sink, a.bit | b.bit)


RULES: dict[str, Rule] = {"i8x16.shuffle": shuffle}
