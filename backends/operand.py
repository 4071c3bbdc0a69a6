"""Operand stack entries: where a value is while code is being emitted.

An entry is one of six kinds, and each is interned: two entries are the same object exactly when they are equal, also
where several threads compile. So a selection of machine code is a pure function of entries and can be memoised by
identity, and a type error cannot hide behind a memoised selection, because the type is part of the entry.
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
#: The vector with all bits set, which like the one with none needs no constant from memory.
ALL_ONES = (1 << 128) - 1


#: In a mask of registers, such as that of the free temporaries, an integer register has the bit of its number, and a
#: vector register the one that is so many above that.
FIRST_FLOAT_BIT = 16


class Operand:
    """One operand stack entry.

    Attributes:
        kind: one of the six kinds above.
        type: value type code.
        reg: hardware number of the register that holds the value, or -1.
        offset: bytes from the frame pointer where ``reg`` is -1 and the kind is LOCAL or SLOT.
        value: the bits of a CONSTANT (unsigned), or the condition of FLAGS.
        bit: the register's bit in a mask of free temporaries (see :data:`FIRST_FLOAT_BIT`) for REGISTER, else 0.
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
#: The floor of a block whose end has more to do than others': whoever looks only for the usual floor leaves it to that.
MARKED_BARRIER = Operand(BARRIER, NO_TYPE)
#: Passed as the destination of a comparison whose result the next instruction takes from the flags.
WANT_FLAGS = Operand(FLAGS, NO_TYPE)

#: Stands for a vector constant that is read from beside the code, where a choice is made: one choice serves them all.
LITERAL = Operand(CONSTANT, V128)

#: Types of references whose entries are kept. A hostile module can name any number of them; see :data:`INTERN_LIMIT`.
TYPE_LIMIT = 1 << 12
#: Entries by value type, then by register number.
_registers: dict[int, tuple[Operand, ...]] = {}
_pinned: dict[int, tuple[Operand, ...]] = {}
_flags: dict[int, Operand] = {}


def is_float(type_: int) -> bool:
    """Whether values of the type live in vector registers."""
    return F32 <= type_ <= V128


def width(type_: int) -> int:
    """Bytes that a value of the type takes in cells; in a frame and in an argument area all may take 16."""
    return 16 if type_ == V128 else 8


def lowest_register(mask: int) -> int:
    """The number of the first integer register in a mask of them, which must not be empty."""
    return (mask & -mask).bit_length() - 1


def register(type_: int, reg: int) -> Operand:
    """The entry of a value in the temporary register ``reg``."""
    found = _registers.get(type_)
    if found is None:
        if len(_registers) >= TYPE_LIMIT:
            _registers.clear()
        shift = FIRST_FLOAT_BIT if is_float(type_) else 0
        entries = tuple([Operand(REGISTER, type_, number, bit=1 << number + shift) for number in range(32)])
        found = _registers.setdefault(type_, entries)
    return found[reg]


def pinned_local(type_: int, reg: int) -> Operand:
    """The entry of a local that lives in the register ``reg`` for the whole function."""
    found = _pinned.get(type_)
    if found is None:
        if len(_pinned) >= TYPE_LIMIT:
            _pinned.clear()
        found = _pinned.setdefault(type_, tuple([Operand(LOCAL, type_, number) for number in range(32)]))
    return found[reg]


def flags(condition: int, bit: int = 0) -> Operand:
    """The entry of a comparison that holds when the backend's ``condition`` does.

    A condition that a branch is going to test in a temporary register names it; then ``bit`` is the register's bit.
    """
    found = _flags.get(condition)
    if found is None:
        found = _flags.setdefault(condition, Operand(FLAGS, I32, value=condition, bit=bit))
    return found


#: Entries in the frame by value type, then by offset.
_slots: dict[int, dict[int, Operand]] = {}
_frame_locals: dict[int, dict[int, Operand]] = {}
#: Constants by type, then by value; the compiler's hot loop looks here itself. The last are nulls, by type.
CONSTANTS: tuple[dict[int, Operand], ...] = ({}, {}, {}, {}, {}, {})
#: A hostile module can name any number of constants and offsets, so the interning tables start anew at this size.
#: Entries in use stay valid: nothing depends on identity but the hit rate of the memo and the search for a local.
INTERN_LIMIT = 1 << 16


def _in_frame(table: dict[int, dict[int, Operand]], kind: int, type_: int, offset: int) -> Operand:
    """Make an entry in the frame that is not in its table yet."""
    of_type = table.get(type_)
    if of_type is None:
        if len(table) >= TYPE_LIMIT:
            table.clear()
        of_type = table.setdefault(type_, {})
    if len(of_type) >= INTERN_LIMIT:
        of_type.clear()
    return of_type.setdefault(offset, Operand(kind, type_, offset=offset))


def slot(type_: int, offset: int) -> Operand:
    """The entry of a value in the frame slot at ``offset``."""
    try:
        return _slots[type_][offset]
    except KeyError:
        return _in_frame(_slots, SLOT, type_, offset)


def frame_local(type_: int, offset: int) -> Operand:
    """The entry of a local that lives in the frame at ``offset``."""
    try:
        return _frame_locals[type_][offset]
    except KeyError:
        return _in_frame(_frame_locals, LOCAL, type_, offset)


def constant(type_: int, value: int) -> Operand:
    """The entry of a constant with the bits ``value`` (unsigned, as wide as the type)."""
    of_type = CONSTANTS[type_ if type_ < REFERENCE else REFERENCE]
    key = value if type_ < REFERENCE else type_
    found = of_type.get(key)
    if found is None:
        if len(of_type) >= INTERN_LIMIT:
            of_type.clear()
        found = of_type.setdefault(key, Operand(CONSTANT, type_, -1, 0, value))
    return found
