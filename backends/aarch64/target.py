"""Which machine code is chosen on AArch64: what :class:`~vibewasm.backends.choices.Choices` leaves to the processor."""

from __future__ import annotations

from struct import Struct

from .. import choices
from ..assembly import signed
from ..operand import CONSTANT, F32, F64, FLAGS, I32, I64, Operand, flags
from .addresses import add
from .asm import ADD, alu_ri, mov_ri, mov_rr
from .control import tested
from .encoding import arithmetic_immediate, logical_immediate, word
from .integers import RULES
from .regs import FLOAT_PINNED, MEMORY_BASE, PINNED, SCRATCH, SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: Stand-ins for constants by type: those that go into the instruction itself, as an addend, a negative one, a logical
#: immediate or a shift's count, and those that go into the second scratch first.
_ADDEND, _NEGATIVE, _LOGICAL, _COUNT, _OTHER = (
    (Operand(CONSTANT, I32, value=value & 0xFFFF_FFFF), Operand(CONSTANT, I64, value=value & 0xFFFF_FFFF_FFFF_FFFF))
    for value in (0x123, -0x123, 0xFF, 3, 0x1234_5679)
)
#: Instructions with immediates of their own kinds; all others take an addend. Products take none.
LEFT_SHIFTS = ("i32.shl", "i64.shl")
SHIFTS = (*LEFT_SHIFTS, "i32.shr_s", "i64.shr_s", "i32.shr_u", "i64.shr_u")
LOGIC = ("i32.and", "i64.and", "i32.or", "i64.or", "i32.xor", "i64.xor")
PRODUCTS = ("i32.mul", "i64.mul")
#: ``add`` of a number, which is left out, to the memory's base, with the result in the first scratch.
_ADD_TO_BASE = int.from_bytes(alu_ri(ADD, 1, SCRATCH, MEMORY_BASE, 0), "little")
#: Stands for whatever is stored by way of the second scratch, by type.
_STORED_STAND_INS = tuple(Operand(CONSTANT, type_, value=1) for type_ in (I32, I64, F32, F64))


class Target(choices.Choices):
    """The choices for AArch64."""

    RESULT_REGISTER = 0
    PINNED_INTS = PINNED
    PINNED_FLOATS = FLOAT_PINNED
    # Every rule has two temporaries of each class to work with.
    MOST_INTS = 6
    MOST_FLOATS = 6
    HAS_ZERO_REGISTER = True
    # The mode of deterministic code does it.
    NANS_BY_CODE = False
    STAND_INS = (*_ADDEND, *_NEGATIVE, *_LOGICAL, *_COUNT, *_OTHER, *_STORED_STAND_INS)

    # -- rules -----------------------------------------------------------------------------------------------------

    FUSED = frozenset([f"{type_}.{name}" for type_ in ("i32", "i64") for name in ("shl", "shr_s", "shr_u", "mul")])

    def load_all(self) -> None:
        """The same, and the rules of two instructions at once."""
        super().load_all()
        self.fusion("", "", False)

    def fusion(self, first: str, second: str, by_constant: bool) -> Rule | None:
        """See :mod:`.fused`."""
        from .fused import RULES

        return RULES.get((first, second, by_constant))

    def claims(self, name: str) -> int:
        """No instruction has its operands in registers of its own."""
        return 0

    # -- constants, and offsets of accesses ------------------------------------------------------------------------

    # The upper two bits of the first source's number are in the same byte as bits of the immediate; the first source of
    # an operand that is in no register is a scratch.
    IMMEDIATE_GROUPS: tuple[int, ...] = tuple([reg >> 3 for reg in (*range(32), SCRATCH)])

    def immediate(self, name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]:
        """Part of an instruction, with two bits of its first source, or instructions before it."""
        type_ = constant.type
        if type_ not in (I32, I64):
            return None, ()
        bits = 64 if type_ == I64 else 32
        value = constant.value
        if name in SHIFTS:
            count = value & bits - 1
            # UBFM and SBFM: the rotation, and the number of the highest bit taken.
            immr, imms = (-count & bits - 1, bits - 1 - count) if name in LEFT_SHIFTS else (count, bits - 1)
            return _COUNT[type_], _in_word((1 << 22 if type_ == I64 else 0) | immr << 16 | imms << 10)
        if value == 0:
            # Zero has a register of its own, and comparisons with it have instructions of their own.
            return None, ()
        if name in LOGIC:
            field = logical_immediate(value, type_)
            if field >= 0:
                return _LOGICAL[type_], _in_word(field)
            if value == (1 << bits) - 1:
                return None, ()
        elif name not in PRODUCTS:
            number = signed(value, bits)
            field = arithmetic_immediate(abs(number))
            if field >= 0:
                return (_ADDEND if number > 0 else _NEGATIVE)[type_], _in_word(field)
        return _OTHER[type_], (mov_ri(SCRATCH2, value),) * 4

    def stored(self, size: int, constant: Operand) -> tuple[Operand, bytes]:
        """What puts a constant into the second scratch; zero has a register of its own."""
        value = constant.value
        if value == 0 or constant.type > F64:
            return constant, b""
        return _STORED_STAND_INS[constant.type], mov_ri(SCRATCH2, value & (1 << 8 * size) - 1)

    # The sum of two 32-bit numbers is below this, so that every offset has a displacement.
    FAR_OFFSET = 1 << 33
    #: Forms: 0 no offset, 1 instructions that put the sum of the memory's base and the offset into the first scratch,
    #: 2 instructions that put the offset there; see :mod:`.memory`.
    SHORT_DISPLACEMENTS: tuple[tuple[int, bytes], ...] = (
        (0, b""),
        *((1, word(_ADD_TO_BASE | arithmetic_immediate(n))) for n in range(1, 128)),
    )

    def displacement(self, offset: int) -> tuple[int, bytes]:
        """The fewer instructions."""
        if len(self.DISPLACEMENTS) >= choices.MEMO_LIMIT:
            self.DISPLACEMENTS.clear()
        # Where adding takes two instructions, one is enough for the offset alone, up to 16 bits.
        if arithmetic_immediate(offset) < 0 and offset < 1 << 16:
            found = 2, mov_ri(SCRATCH, offset)
        else:
            found = 1, add(SCRATCH, MEMORY_BASE, offset)
        self.DISPLACEMENTS[offset] = found
        return found

    # -- moves -----------------------------------------------------------------------------------------------------

    def copy_to_temporary(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]:
        """The same, and for a condition the register that a branch is going to test."""
        if operand.kind == FLAGS:
            wide, tested_reg, _ = tested(operand.value)
            selection = Selection(free)
            reg = selection.take()
            condition = operand.value ^ (tested_reg ^ reg) << 1
            code = mov_rr(wide, reg, tested_reg)
            return code, flags(condition, 1 << reg), selection.free | selection.released
        return super().copy_to_temporary(operand, free)


#: What :func:`_in_word` gave for each field: 8192 of them exist.
_words: dict[int, tuple[bytes, ...]] = {}
_two_bytes = Struct("<H").pack


def _in_word(field: int) -> tuple[bytes, ...]:
    """The second and third byte of an instruction whose immediate is in bits 22 to 10, by the upper two bits of its
    first source's number.
    """
    found = _words.get(field)
    if found is None:
        half = field >> 8
        found = _words[field] = tuple([_two_bytes(half | upper) for upper in range(4)])
    return found


TARGET = Target(Selection, RULES, mov_ri)
