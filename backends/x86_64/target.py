"""Which machine code is chosen on x86-64: what :class:`~vibewasm.backends.choices.Choices` leaves to the processor."""

from __future__ import annotations

from .. import choices
from ..operand import I64, Operand
from .asm import mov_ri
from .integers import RULES
from .regs import FLOAT_PINNED, PINNED
from .selection import BYTE_STAND_INS, INT_TEMPORARIES, WIDE_STAND_INS, Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: Instructions with registers of their own. Their rules are loaded late, in :mod:`.division` and :mod:`.bits`.
DIVISIONS = (
    *("i32.div_s", "i32.div_u", "i32.rem_s", "i32.rem_u"),
    *("i64.div_s", "i64.div_u", "i64.rem_s", "i64.rem_u"),
)
SHIFTS = (
    *("i32.shl", "i32.shr_s", "i32.shr_u", "i32.rotl", "i32.rotr"),
    *("i64.shl", "i64.shr_s", "i64.shr_u", "i64.rotl", "i64.rotr"),
)
#: From which numbers on the sign is set in constants of a type.
_NEGATIVE = (1 << 31, 1 << 63)


class Target(choices.Choices):
    """The choices for x86-64."""

    RESULT_REGISTER = 0
    PINNED_INTS = PINNED
    PINNED_FLOATS = FLOAT_PINNED
    # Every rule has two integer temporaries and four float temporaries to work with.
    MOST_INTS = 3
    MOST_FLOATS = 4
    HAS_ZERO_REGISTER = False
    NANS_BY_CODE = True
    STAND_INS = (*BYTE_STAND_INS, *WIDE_STAND_INS)

    # -- rules -----------------------------------------------------------------------------------------------------

    FUSED: frozenset[str] = frozenset()

    def configure(
        self, bmi1: bool, bmi2: bool, lzcnt: bool, avx: bool = False, avx2: bool = False, fma: bool = False
    ) -> None:
        """Say which processor extensions to use, and forget choices made for others."""
        from . import features

        features.configure(bmi1, bmi2, lzcnt, avx, avx2, fma)
        self._forget()

    def variant(self) -> int:
        """Bit 0 for BMI1, bit 1 for BMI2, bit 2 for LZCNT: no usual choice has vectors."""
        from . import features

        return features.BMI1 | features.BMI2 << 1 | features.LZCNT << 2

    def load_all(self) -> None:
        """The same, and ask the processor what it has."""
        super().load_all()
        from . import features

        _ = features.BMI2

    def fusion(self, first: str, second: str, by_constant: bool) -> Rule | None:
        """No two instructions are one here."""
        return None

    def claims(self, name: str) -> int:
        """Divisions and shifts have their operands in registers of their own."""
        if name in DIVISIONS:
            return INT_TEMPORARIES  # rax, rdx, and one for the divisor
        if name in SHIFTS:
            from . import bits

            return bits.claims(name)
        return 0

    # -- constants, and offsets of accesses ------------------------------------------------------------------------

    IMMEDIATE_GROUPS: tuple[int, ...] = (0,) * 17

    def immediate(self, name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]:
        """An immediate does not depend on the registers of its instruction."""
        type_ = constant.type
        if type_ <= I64:
            value = constant.value
            if value >= _NEGATIVE[type_]:
                value -= 2 * _NEGATIVE[type_]
            # Comparisons with zero have an instruction of their own.
            if value and -(1 << 31) <= value < 1 << 31:
                code = (value & 0xFFFF_FFFF).to_bytes(4, "little")
                if -0x80 <= value <= 0x7F:
                    return BYTE_STAND_INS[type_], (code[:1],)
                return WIDE_STAND_INS[type_], (code,)
        return None, ()

    def stored(self, size: int, constant: Operand) -> tuple[Operand, bytes]:
        """What an instruction has as its immediate, of the width that is stored, and 32 bits at most."""
        type_ = constant.type
        if type_ <= I64:
            value = constant.value
            if value >= _NEGATIVE[type_]:
                value -= 2 * _NEGATIVE[type_]
            if -(1 << 31) <= value < 1 << 31:
                return WIDE_STAND_INS[type_], (value & 0xFFFF_FFFF).to_bytes(4, "little")[:size]
        return constant, b""

    FAR_OFFSET = 0x80000000
    #: Forms: 0 no displacement, 1 one of a byte, 2 one of four bytes.
    SHORT_DISPLACEMENTS: tuple[tuple[int, bytes], ...] = ((0, b""), *((1, bytes((byte,))) for byte in range(1, 128)))

    def displacement(self, offset: int) -> tuple[int, bytes]:
        """An offset that takes four bytes."""
        if len(self.DISPLACEMENTS) >= choices.MEMO_LIMIT:
            self.DISPLACEMENTS.clear()
        found = self.DISPLACEMENTS[offset] = (2, offset.to_bytes(4, "little"))
        return found


TARGET = Target(Selection, RULES, mov_ri)
