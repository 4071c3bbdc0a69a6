"""Operand stack entries: where a value is while code is being emitted.

An entry is one of six kinds, and each is interned: two entries are the same object exactly when they are equal. So a
selection of machine code is a pure function of entries and can be memoised by identity, and a type error cannot hide
behind a memoised selection, because the type is part of the entry.
"""

from __future__ import annotations

#: A temporary register that holds the value and nothing else.
REGISTER = 0
#: The current value of a local, not copied: in its pinned register, or in its frame slot.
LOCAL = 1
#: A constant, not materialised.
CONSTANT = 2
#: A comparison whose outcome is in the processor's flags; only the very next instruction can take it.
FLAGS = 3
#: A frame slot that belongs to the entry's place on the operand stack.
SLOT = 4
#: The floor of a block: nothing below it can be popped inside the block.
BARRIER = 5

#: Codes of value types that machine code tells apart; every code from REFERENCE up is a reference, one 8-byte cell.
I32, I64, F32, F64, V128, REFERENCE = range(6)
#: Type of an entry that has none.
NO_TYPE = -2


class Operand:
    """One operand stack entry.

    Attributes:
        kind: one of the six kinds above.
        type: value type code.
        reg: hardware number of the register that holds the value, or -1.
        offset: bytes from the frame pointer where ``reg`` is -1 and the kind is LOCAL or SLOT.
        value: the bits of a CONSTANT (unsigned), or the condition of FLAGS.
        bit: the register's bit in a mask of free temporaries (floats from bit 16 up) for REGISTER, else 0.
    """

    __slots__ = ("bit", "kind", "offset", "reg", "type", "value")

    def __init__(self, kind: int, type_: int, reg: int = -1, offset: int = 0, value: int = 0, bit: int = 0) -> None:
        self.kind = kind
        self.type = type_
        self.reg = reg
        self.offset = offset
        self.value = value
        self.bit = bit

    def __repr__(self) -> str:
        kind = ("REGISTER", "LOCAL", "CONSTANT", "FLAGS", "SLOT", "BARRIER")[self.kind]
        return f"<{kind} type={self.type} reg={self.reg} offset={self.offset} value={self.value:#x}>"


BARRIER_ENTRY = Operand(BARRIER, NO_TYPE)
#: Passed as the destination of a comparison whose result the next instruction takes from the flags.
WANT_FLAGS = Operand(FLAGS, NO_TYPE)

_interned: dict[tuple[int, int, int], Operand] = {}


def is_float(type_: int) -> bool:
    """Whether values of the type live in vector registers."""
    return F32 <= type_ <= V128


def register(type_: int, reg: int) -> Operand:
    """The entry of a value in the temporary register ``reg``."""
    key = (REGISTER, type_, reg)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Operand(REGISTER, type_, reg, bit=1 << (reg + 16 if is_float(type_) else reg))
    return found


def pinned_local(type_: int, reg: int) -> Operand:
    """The entry of a local that lives in the register ``reg`` for the whole function."""
    key = (LOCAL, type_, reg)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Operand(LOCAL, type_, reg)
    return found


def flags(condition: int) -> Operand:
    """The entry of a comparison that holds when the backend's ``condition`` does."""
    key = (FLAGS, I32, condition)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Operand(FLAGS, I32, value=condition)
    return found


_slots: dict[tuple[int, int, int], Operand] = {}
_constants: dict[tuple[int, int], Operand] = {}
#: A hostile module can name any number of constants and offsets, so the interning tables start anew at this size.
#: Entries in use stay valid: nothing depends on identity but the hit rate of the memo and the search for a local.
INTERN_LIMIT = 1 << 16


def slot(type_: int, offset: int) -> Operand:
    """The entry of a value in the frame slot at ``offset``."""
    key = (SLOT, type_, offset)
    found = _slots.get(key)
    if found is None:
        if len(_slots) >= INTERN_LIMIT:
            _slots.clear()
        found = _slots[key] = Operand(SLOT, type_, offset=offset)
    return found


def frame_local(type_: int, offset: int) -> Operand:
    """The entry of a local that lives in the frame at ``offset``."""
    key = (LOCAL, type_, offset)
    found = _slots.get(key)
    if found is None:
        if len(_slots) >= INTERN_LIMIT:
            _slots.clear()
        found = _slots[key] = Operand(LOCAL, type_, offset=offset)
    return found


def constant(type_: int, value: int) -> Operand:
    """The entry of a constant with the bits ``value`` (unsigned, as wide as the type)."""
    key = (type_, value)
    found = _constants.get(key)
    if found is None:
        if len(_constants) >= INTERN_LIMIT:
            _constants.clear()
        found = _constants[key] = Operand(CONSTANT, type_, value=value)
    return found
