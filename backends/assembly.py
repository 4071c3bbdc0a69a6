"""Machine code being put together: one choice of the compiler (:class:`Selection`), and a stub (:class:`Assembler`).

This is what all processors share; the classes that each backend derives from these know its registers and encoders,
some of which are loaded late (:func:`late_names`).
"""

from __future__ import annotations

from .operand import FIRST_FLOAT_BIT, LITERAL, Operand, register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def late_names(here: dict[str, object], module: str) -> Callable[[str], object]:
    """The ``__getattr__`` of a module that has all names of another as well, which is loaded at the first use of one.

    Args:
        here: the globals of the module that gets it.
        module: the other one's name, in the same package.
    """

    def find(name: str) -> object:
        # The import system asks every module for "__path__".
        if not name.startswith("__"):
            late = __import__(f"{here['__package__']}.{module}", fromlist=("*",))
            here.update([(name, getattr(late, name)) for name in late.__all__])
            # CPython reads names more slowly from a module that has this function.
            here.pop("__getattr__", None)
        if name not in here:
            raise AttributeError(f"module {here['__name__']!r} has no attribute {name!r}")
        return here[name]

    return find


def signed(value: int, bits: int) -> int:
    """``value``'s low ``bits`` as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Selection:
    """Code being chosen for one instruction.

    A selection lives for one memoised choice: it starts with the mask of free temporaries, collects code, and ends with
    the mask that is free after that code, which is ``free | released``.

    Attributes:
        code: the machine code so far.
        free: mask of free temporaries, see :attr:`Operand.bit <vibewasm.backends.operand.Operand>`.
        released: mask of temporaries that are in use now and free when the code has run.
        immediate: where in ``code`` the bytes of the constant operand are: their first position and their end; twice 0
            if none were emitted.
        literals: vector constants that the code reads from beside itself: for each the end in ``code`` of the
            instruction that does, whose displacement is to be filled in, and its bits, ``None`` for those of
            :data:`~.operand.LITERAL`. ``None`` where code cannot refer to any, so that instructions make them.
    """

    __slots__ = ("code", "free", "immediate", "literals", "released")

    #: Masks of the temporaries of each class: a backend's.
    INT_TEMPORARIES: int
    FLOAT_TEMPORARIES: int

    def __init__(self, free: int) -> None:
        self.code = bytearray()
        self.free = free
        self.released = 0
        self.immediate = (0, 0)
        self.literals: list[tuple[int, int | None]] | None = None

    def literal(self, instruction: bytes, constant: Operand) -> None:
        """Append an instruction that reads a vector constant from beside the code: its displacement is its end."""
        assert self.literals is not None
        self.code += instruction
        self.literals.append((len(self.code), None if constant is LITERAL else constant.value))

    # -- temporaries --------------------------------------------------------------------------------------------

    def take(self, avoid: int = 0) -> int:
        """Claim a free integer temporary that is not in the mask ``avoid``."""
        available = self.free & self.INT_TEMPORARIES & ~avoid
        bit = available & -available
        if not bit:
            raise AssertionError("no free integer temporary")
        self.free ^= bit
        return bit.bit_length() - 1

    def take_float(self) -> int:
        """Claim a free float temporary."""
        available = self.free & self.FLOAT_TEMPORARIES
        bit = available & -available
        if not bit:
            raise AssertionError("no free float temporary")
        self.free ^= bit
        return bit.bit_length() - 1 - FIRST_FLOAT_BIT

    def release(self, operand: Operand) -> None:
        """Give an operand's temporary back after this instruction."""
        self.released |= operand.bit

    def result(self, type_: int, dst: int, sink: Operand | None, bits: int) -> Operand:
        """Release the operands' temporaries ``bits`` and name the result in ``dst``: the sink itself, or a temporary's
        entry.
        """
        if sink is not None:
            self.released |= bits
            return sink
        kept = register(type_, dst)
        self.released |= bits & ~kept.bit
        return kept

    if TYPE_CHECKING:
        # Moves: a backend's, and none of them changes the flags.

        def load(self, dst: int, operand: Operand) -> None:
            """Put an integer or reference operand into the register ``dst``."""

        def load_float(self, dst: int, operand: Operand) -> None:
            """Put a float operand into the vector register ``dst``."""

        def store(self, offset: int, operand: Operand) -> None:
            """Store an operand into the 8-byte cell of the frame at ``offset``; an i32 is zero-extended."""


class Assembler:
    """Code that is written by hand, with loops and jumps both ways.

    Labels are strings, and may be used before they are bound. A backend adds a method for each kind of instruction that
    leads to a label. These take the form that reaches everything a stub can hold, so a position never changes once it
    is known.
    """

    __slots__ = ("_bound", "_uses", "code")

    def __init__(self) -> None:
        self.code = bytearray()
        self._bound: dict[str, int] = {}
        self._uses: list[tuple[int, str]] = []

    def emit(self, *instructions: bytes) -> None:
        """Append instructions."""
        for instruction in instructions:
            self.code += instruction

    def bind(self, label: str) -> None:
        """Let ``label`` name the present position.

        Raises:
            ValueError: it names another one already.
        """
        if label in self._bound:
            raise ValueError(f"label {label!r} is bound already")
        self._bound[label] = len(self.code)

    def use(self, instruction: bytes, label: str) -> None:
        """Append an instruction that is to lead to ``label``, and whose distance is 0 as yet."""
        self.code += instruction
        self._uses.append((len(self.code), label))

    if TYPE_CHECKING:

        def lead(self, site: int, distance: int) -> None:
            """Let the instruction that ends at ``site`` lead ``distance`` bytes beyond its end: a backend's."""

    def finish(self) -> bytes:
        """The code, with every use of a label filled in.

        Raises:
            KeyError: a label was used but never bound.
        """
        for site, label in self._uses:
            self.lead(site, self._bound[label] - site)
        return bytes(self.code)
