"""Rules of loads and stores of vectors, in two parts like those in :mod:`.memory`.

Each is one access of as many bytes as the instruction names; before a store of 16 the same bytes are read. What
operands need, which may be the first scratch, comes before the displacement; after it that scratch belongs to the
address. An index may be in the first scratch itself where there is no displacement: an address whose bounds have been
checked.
"""

from __future__ import annotations

from ..operand import V128, Operand
from . import asm
from . import asm_vector as v
from .memory import access_displaced, base_register, cut, static_address
from .regs import FLOAT_SCRATCH2, SCRATCH, SCRATCH2
from .selection import Selection

#: Loads of all that the instruction reads, with zeros above.
_LOADS = {"v128.load": asm.LDR_Q, "v128.load32_zero": asm.LDR_S, "v128.load64_zero": asm.LDR_D}
#: Loads of 64 bits that are extended: how, and the size of the lanes in memory.
_EXTENDING = {
    f"v128.load{lanes}_{suffix}": (extend, size)
    for size, lanes in enumerate(("8x8", "16x4", "32x2"))
    for suffix, extend in (("s", v.SSHLL), ("u", v.USHLL))
}
#: Sizes of the lanes of what reads or writes one alone.
_SPLATS = {f"v128.load{8 << size}_splat": size for size in range(4)}
_LANE_LOADS = {f"v128.load{8 << size}_lane": size for size in range(4)}
_LANE_STORES = {f"v128.store{8 << size}_lane": size for size in range(4)}
#: Stores of the lowest lane, by its size: these have an index, as those of other lanes have not.
_LOWEST = (v.STR_B, v.STR_H, asm.STR_S, asm.STR_D)


def _whole_address(s: Selection, a: Operand, index: int, form: int) -> int:
    """The register that has the address, after the displacement, for an access that has neither offset nor index."""
    base = base_register(s, form)
    if static_address(a):
        return base
    s.code += asm.alu_rrx(asm.ADD, 1, SCRATCH, base, index, asm.UXTW, 0)
    return SCRATCH


def _index(s: Selection, a: Operand, b: Operand | None = None) -> int:
    """The register that has the index while ``b`` is loaded, for which the first scratch may be needed."""
    index = s.in_register(a, SCRATCH2)
    if index == SCRATCH and b is not None and b.reg < 0:
        s.code += asm.mov_rr(1, SCRATCH2, SCRATCH)
        return SCRATCH2
    return index


def load(s: Selection, sink: Operand | None, name: str, a: Operand, form: int) -> tuple[bytes, bytes, Operand]:
    """A load from memory 0: code before and after the displacement, and the result."""
    dst = s.float_destination(sink, 0)
    index = _index(s, a)
    head = cut(s)
    if name in _SPLATS:
        s.code += v.ld1r(_SPLATS[name], dst, _whole_address(s, a, index, form))
    elif name in _EXTENDING:
        extend, size = _EXTENDING[name]
        access_displaced(s, asm.LDR_D, dst, a, index, form)
        s.code += v.shift_long(extend, size, 0, dst, dst, 0)
    else:
        access_displaced(s, _LOADS[name], dst, a, index, form)
    return head, bytes(s.code), s.result(V128, dst, sink, a.bit)


def store(s: Selection, name: str, a: Operand, b: Operand, form: int) -> tuple[bytes, bytes]:
    """A store to memory 0: code before and after the displacement.

    The same bytes are read first. Where a store of 16 bytes reaches beyond the memory, the processor may have written
    those that are in it when it faults (the Arm ARM has it access byte by byte where it is not aligned);
    an instruction that traps must not, and a load that faults has written nothing.
    """
    assert name == "v128.store"
    index = _index(s, a, b)
    value = s.in_float_register(b)
    head = cut(s)
    access_displaced(s, asm.LDR_Q, FLOAT_SCRATCH2, a, index, form)
    if form == 2 and not static_address(a):
        # The base has been added to the scratch.
        form = 1
    access_displaced(s, asm.STR_Q, value, a, index, form)
    s.release(a)
    s.release(b)
    return head, bytes(s.code)


def load_lane(
    s: Selection, sink: Operand | None, name: str, a: Operand, b: Operand, lane: int, form: int
) -> tuple[bytes, bytes, Operand]:
    """A load of one lane of ``b`` from memory 0: code before and after the displacement, and the result."""
    dst = s.float_destination(sink, b.bit)
    index = _index(s, a, b)
    s.load_float(dst, b)
    head = cut(s)
    address = _whole_address(s, a, index, form)
    s.code += v.access_lane(v.LD1, _LANE_LOADS[name], dst, lane, address)
    return head, bytes(s.code), s.result(V128, dst, sink, a.bit | b.bit)


def store_lane(s: Selection, name: str, a: Operand, b: Operand, lane: int, form: int) -> tuple[bytes, bytes]:
    """A store of one lane of ``b`` to memory 0: code before and after the displacement."""
    size = _LANE_STORES[name]
    index = _index(s, a, b)
    value = s.in_float_register(b)
    head = cut(s)
    if lane:
        s.code += v.access_lane(v.ST1, size, value, lane, _whole_address(s, a, index, form))
    else:
        access_displaced(s, _LOWEST[size], value, a, index, form)
    s.release(a)
    s.release(b)
    return head, bytes(s.code)


__all__ = ["load", "load_lane", "store", "store_lane"]
