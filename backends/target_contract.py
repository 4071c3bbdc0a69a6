"""What every backend offers for choosing machine code; other parts, and the words of both, are in :mod:`.contract`."""

from __future__ import annotations

from typing import Any, Protocol

from .operand import Operand
from .types import Choice, Rule, SplitChoice, VectorChoice


class Vectors(Protocol):
    """Which machine code is chosen for vector instructions."""

    def rule(self, name: str, deterministic: bool = False) -> Rule:
        """The rule of an instruction; ``deterministic``: of a relaxed one that by which it does the same on every
        processor.
        """

    def lower(self, rule: Rule, operands: tuple[object, ...], free: int, sink: Operand | None) -> VectorChoice:
        """Choose code for an instruction by its rule.

        Args:
            operands: what the rule takes: its operands, of which one at most is a constant (as
                :data:`~.operand.LITERAL` unless none or all of its bits are set), and then its lane or lanes.

        The constants beside the code that it reads are at multiples of 16 unless they are far.
        """

    def load(
        self, name: str, a: Operand, rest: tuple[Any, ...], form: int, free: int, sink: Operand | None
    ) -> SplitChoice:
        """Choose code for a load with a displacement of the given form.

        Args:
            rest: the vector and the lane of a load into a lane, else empty.
        """

    def store(self, name: str, a: Operand, rest: tuple[Any, ...], form: int, free: int) -> tuple[bytes, bytes, int]:
        """Choose code for a store of a vector, the first of ``rest``, or of its lane, the second."""

    def far_load(
        self, name: str, a: Operand, rest: tuple[Any, ...], offset: int, size: int, checked: bool, free: int
    ) -> Choice:
        """Choose code for a load whose address has to be computed: a large offset, or an explicit check of bounds."""

    def far_store(
        self, name: str, a: Operand, rest: tuple[Any, ...], offset: int, size: int, checked: bool, free: int
    ) -> tuple[bytes, int]:
        """Choose code for such a store."""


class Target(Protocol):
    """Which machine code is chosen for an instruction, by its name as the specification has it.

    What starts with ``lower`` is a pure function, whose result the compiler keeps with :meth:`remember`: code with a
    *gap* is given as the parts before and after it, and for stores and writes the last item is what is free then.
    """

    #: Number of the registers, one of each class, that a single result returns in.
    RESULT_REGISTER: int
    #: Mask of all temporaries.
    ALL_FREE: int
    #: Mask of the integer temporaries.
    INT_TEMPORARIES: int
    #: Mask of the float temporaries.
    FLOAT_TEMPORARIES: int
    #: Registers that hold integer and reference locals, in the order in which they are given out.
    PINNED_INTS: tuple[int, ...]
    #: Registers that hold float locals, in the order in which they are given out.
    PINNED_FLOATS: tuple[int, ...]
    #: What was chosen before; the compiler's loop looks here itself. The object stays the same.
    MEMO: dict[tuple[object, ...], Any]
    #: A note of the compiler's: what an instruction becomes by a constant.
    WITH_CONSTANT: dict[tuple[int, Operand], tuple[int, Operand, Operand | None, tuple[bytes, ...]]]
    #: A note of the compiler's: what :meth:`stored` said.
    STORED: dict[tuple[int, Operand], tuple[Operand, bytes]]
    #: A note of the compiler's: moves of arguments, by type and place.
    MOVES: dict[tuple[int, int], Any]
    #: What :meth:`displacement` said.
    DISPLACEMENTS: dict[int, tuple[int, bytes]]
    #: What :meth:`fetch` said.
    FETCHES: dict[tuple[Operand, int], tuple[bytes, Operand, int]]
    #: Which of the bytes that :meth:`immediate` gives belong into an instruction, by the number of its first operand's
    #: register; the last item (at -1) is for an operand that is in none.
    IMMEDIATE_GROUPS: tuple[int, ...]
    #: Forms and bytes of the displacements of offsets below 128, as :meth:`displacement` gives them.
    SHORT_DISPLACEMENTS: tuple[tuple[int, bytes], ...]
    #: An offset of an access from this one on has no displacement: its address is computed.
    FAR_OFFSET: int
    #: Instructions that :meth:`fusion` may have a rule for together with the next one.
    FUSED: frozenset[str]
    #: Whether it takes :meth:`canonical_nans` to have canonical NaNs, and not only a mode of the processor.
    NANS_BY_CODE: bool

    @property
    def vectors(self) -> Vectors:
        """The choices of vector instructions, loaded when they are first asked for."""

    def load_all(self) -> None:
        """Load what is else loaded when an instruction first needs it, but for vectors, and ask what the processor has.

        Raises:
            OSError: the processor cannot be asked, as executable memory is forbidden.
        """

    def is_tight(self, free: int) -> bool:
        """Whether so many temporaries are in use that a rule might not find enough."""

    def rule(self, name: str) -> Rule:
        """The rule of a simple instruction, whose operands and result are all that it has, for :meth:`lower`.

        Raises:
            KeyError: there is none.
        """

    def claims(self, name: str) -> int:
        """Mask of the registers that the simple instruction needs for itself. The compiler frees them of all but its
        operands before the choice.
        """

    def canonical_nans(self, shape: str, reg: int, scratch: int) -> tuple[bytes, bytes]:
        """A test of whether a float register has a NaN, as a piece whose end leads to code out of line, and that code,
        which makes it the canonical one, but for its jump back.

        Args:
            shape: ``f32``, ``f64``, ``f32x4`` or ``f64x2``.
            scratch: a float temporary that it may change.
        """

    def remember(self, key: tuple[object, ...], value: tuple[object, ...]) -> None:
        """Keep a choice in :attr:`MEMO`, which starts anew when it is large."""

    def fusion(self, first: str, second: str, by_constant: bool) -> Rule | None:
        """The rule for two instructions at once, ``None`` if there is none; ``by_constant`` says whether the second
        operand of the first one is a constant.
        """

    def immediate(self, name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]:
        """A constant as the second operand of the instruction ``name``. It saves a choice for every constant.

        Returns:
            the stand-in that a memoised choice is made for, and the bytes that go into its gap, see
            :attr:`IMMEDIATE_GROUPS`. ``None`` and nothing if the constant needs a choice of its own.
        """

    def stored(self, size: int, constant: Operand) -> tuple[Operand, bytes]:
        """A constant of which ``size`` bytes are stored: the stand-in that a memoised choice is made for, or the
        constant itself, and the bytes that go after the displacement.
        """

    def displacement(self, offset: int) -> tuple[int, bytes]:
        """The form of an offset of an access, which the choice depends on, and the bytes that go into its gap; kept in
        :attr:`DISPLACEMENTS`.
        """

    def lower(self, rule: Rule, operands: tuple[Operand, ...], free: int, sink: Operand | None) -> Choice:
        """Choose code for an instruction with a result by its rule.

        Returns:
            the code, the result's entry, the temporaries free afterwards, and whether they are few.
        """

    def lower_immediate(
        self, rule: Rule, a: Operand, stand_in: Operand, free: int, sink: Operand | None
    ) -> SplitChoice:
        """Choose code, with a gap, for an instruction whose second operand stands for constants."""

    def lower_select(self, operands: tuple[Operand, Operand, Operand], free: int, sink: Operand | None) -> Choice:
        """Choose code for ``select``; the operands are the two values and the condition."""

    def lower_load(self, name: str, a: Operand, form: int, free: int, sink: Operand | None) -> SplitChoice:
        """Choose code, with a gap, for a load from memory 0 at ``a`` and an offset of the given form."""

    def lower_store(self, name: str, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
        """Choose code, with a gap, for a store of ``b``, which may be a stand-in, at ``a`` and an offset of the given
        form.
        """

    def lower_far_load(
        self, name: str, a: Operand, offset: int, size: int, checked: bool, free: int, sink: Operand | None
    ) -> Choice:
        """Choose code for a load of ``size`` bytes that needs its address computed: a large offset (below 2**32), or
        an explicit check of bounds.
        """

    def lower_far_store(
        self, name: str, a: Operand, b: Operand, offset: int, size: int, checked: bool, free: int
    ) -> tuple[bytes, int]:
        """Choose code for a store that needs its address computed."""

    def lower_read(self, kind: str, free: int, sink: Operand | None, *arguments: object) -> Choice:
        """Choose code that reads the context.

        Args:
            kind: with its arguments ``global_get`` (type, context offset, whether a pointer is there),
                ``memory_size`` (context offset of the descriptor), ``context_cell`` (type, context offset),
                ``table_size`` (context offset of the descriptor) or ``table_get`` (type, the same, index operand).
        """

    def lower_write(self, kind: str, free: int, *arguments: object) -> tuple[bytes, int]:
        """Choose code that writes through the context.

        Args:
            kind: with its arguments ``global_set`` (operand, context offset, whether a pointer is there) or
                ``table_set`` (context offset of the descriptor, index operand, operand).
        """

    def move_to_local(self, operand: Operand, local: Operand, free: int) -> bytes:
        """Code that assigns an operand to a local. Leaves the flags as they are."""

    def move_to_slot(self, operand: Operand, offset: int, free: int) -> bytes:
        """Code that stores an operand into the slot at a frame offset. Leaves the flags as they are."""

    def move_to_register(self, operand: Operand, reg: int, free: int) -> bytes:
        """Code that puts an operand into a register of its class. Leaves the flags as they are."""

    def fetch(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]:
        """Move an operand that is in no register into a temporary, unless that would leave too few: code, the entry,
        and what is free then; kept in :attr:`FETCHES`. Leaves the flags as they are.
        """

    def copy_to_temporary(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]:
        """Copy an operand into a free temporary, which there has to be: code, the entry, and what is free then.
        Leaves the flags as they are.
        """
