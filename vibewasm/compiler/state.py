"""The state of one compilation: what it holds, its labels, and its faults.

Everything that compiles takes a :class:`Compilation` and changes it: :mod:`.loop` and the handlers in
:mod:`.instructions`, with the help of :mod:`.immediates`, :mod:`.operand_stack` and :mod:`.choices`. This file knows
none of them.
"""

from __future__ import annotations

from ..opcodes import CODE
from ..types import FUNCREF, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..backends.operand import Operand
    from .control_state import ControlState
    from .environment import ModuleEnvironment
    from .locals import Locals
    from .modes import Special

#: Types of values, as a block, a function or an instruction takes or gives them.
Types = tuple[int, ...]

BLOCK, LOOP, IF, ELSE = CODE["block"], CODE["loop"], CODE["if"], CODE["else"]
#: Stands for an opcode in the label of a function.
FUNCTION = -1
#: Stands for a trap number where the cold code is the interrupt poll of a loop.
POLL = -1


class Label:
    """One open block (core specification, "Structured Control Instructions").

    Attributes:
        opcode: BLOCK, LOOP, IF (before its ``else``), ELSE (after it) or FUNCTION.
        height: index of the block's barrier on the operand stack.
        params, results: the block's type.
        types: what a branch to the label carries: the parameters of a loop, else the results.
        fixups: sites of jumps to the label, to be filled in at its end.
        else_fixups: sites of jumps to the ``else`` part.
        depth: how many blocks are open with it, less the values that entries below it stand for besides one each.
        target: position of a loop's header, or of the end of any other block once that is reached; -1 before.
    """

    __slots__ = ("depth", "else_fixups", "fixups", "height", "opcode", "params", "results", "target", "types")

    def __init__(self, opcode: int, height: int, depth: int, params: Types, results: Types) -> None:
        self.opcode = opcode
        self.depth = depth
        self.height = height
        self.params = params
        self.results = results
        self.types = params if opcode == LOOP else results
        self.fixups: list[int] = []
        self.else_fixups: list[int] | tuple[()] = ()
        self.target = -1

    def in_register(self) -> bool:
        """Whether it takes a single value, in the result register; everything else that it takes is in slots."""
        return len(self.types) == 1 and self.opcode != LOOP


class Compilation:
    """The state of one compilation.

    Attributes:
        env: what the function's module declares.
        target, patch: the backend's module, and its function that fills in a jump's displacement.
        handlers: the function of each opcode byte that the loop leaves to one, see :mod:`.instructions`.
        code: the function's expression: its bytes as a list, which is read faster, with zeros (``unreachable``)
            after so that reading ahead stays inside.
        base: byte offset of ``code`` in the module.
        end: length of the expression.
        pc: position of the instruction being compiled, for error messages; the loop keeps its own and writes it here
            before it calls.
        out: machine code of the body so far; the prologue comes before it when all is known.
        stack: operand stack entries, with a barrier at the floor of each block. Below an entry in a slot, or a
            barrier, every entry is in its own slot; the entries above the topmost of these are the window, of which
            some are elsewhere.
        free: mask of free temporaries; the loop keeps its own copy and exchanges it around calls.
        labels: open blocks, the function's own first.
        slot_base, step: frame offsets such that the entry at index ``i`` under ``d`` labels has its slot at
            ``slot_base + step * (i - d)``.
        deepest: largest ``i - d`` of a slot in use, for the frame's size.
        runs: whether entries may stand for many values, see :mod:`.runs`.
        folded: how many values more than entries the operand stack has; to be added to ``i`` above.
        locals, locals_: homes of locals: all of them, and the list of those with one-byte indices.
        cold: code to be placed after the body: (fix-up site, trap number or -1 for a poll or another negative number
            of ``env.traps`` for what goes on, position in ``code``, return position).
        self_calls: sites of calls to the function itself.
        jump_tables: (site of the displacement to the table, depth of the label that each entry leads to, label or
            position by depth).
        kept, kept_under: temporaries that hold what locals in the frame hold, by these, and the innermost label then:
            see :mod:`.instructions.vector_locals`.
        literals: (site of the displacement to it, bits) of each vector constant that code reads from beside itself.
        makes_calls: whether the prologue has to look at the stack limit.
        dead: whether the end of the innermost block cannot be reached from inside.
        control: what tail calls, exceptions and locals without a first value keep, see :mod:`.control_state`; ``None``
            in most functions.
        special: called before every instruction with its position when recording, metering or checking, see
            :mod:`.modes`; else ``None``.
        self_index: index of the function.
    """

    __slots__ = (
        "base",
        "code",
        "cold",
        "control",
        "dead",
        "deepest",
        "end",
        "env",
        "folded",
        "free",
        "handlers",
        "jump_tables",
        "kept",
        "kept_under",
        "labels",
        "literals",
        "locals",
        "locals_",
        "makes_calls",
        "out",
        "patch",
        "pc",
        "runs",
        "self_calls",
        "self_index",
        "slot_base",
        "special",
        "stack",
        "step",
        "target",
    )

    # Set by the driver when it has read the declarations of locals.
    locals: Locals
    locals_: list[Operand | None]
    self_index: int
    slot_base: int

    def __init__(self, env: ModuleEnvironment, code: list[int], base: int, end: int) -> None:
        self.env = env
        self.target = env.target
        self.patch = env.control.patch
        self.handlers = env.handlers
        self.step = env.step
        self.code = code
        self.base = base
        self.end = end
        self.pc = 0
        self.out = bytearray()
        self.stack: list[Operand] = []
        self.free = env.target.ALL_FREE
        self.labels: list[Label] = []
        self.cold: list[tuple[int, int, int, int]] = []
        self.self_calls: list[int] = []
        self.jump_tables: list[tuple[int, Sequence[int], dict[int, Label | int]]] = []
        self.literals: list[tuple[int, int]] = []
        self.kept: dict[Operand, Operand] = {}
        self.kept_under: Label | None = None
        self.makes_calls = False
        self.dead = False
        self.deepest = 0
        self.runs = False
        self.folded = 0
        self.control: ControlState | None = None
        self.special: Special | None = None


def emit_fixups(c: Compilation, sites: list[int] | tuple[int, ...], position: int) -> None:
    """Let the jumps at ``sites`` lead to ``position``."""
    patch = c.patch
    fixup = c.env.fixup_size
    out = c.out
    for site in sites:
        patch(out, site - fixup, position - site)


def fits(found: int, expected: int) -> bool:
    """Whether a value of one type may stand where another type is expected (core specification, "Matching")."""
    if found == expected:
        return True
    if found < FUNCREF:
        return False
    from ..reference_types import matches

    return matches(found, expected)


def all_fit(found: Types, expected: Types) -> bool:
    """Whether there are as many values as expected, and each fits."""
    if found == expected:
        return True
    from ..reference_types import all_match

    return all_match(found, expected)


# -- faults ------------------------------------------------------------------------------------------------------------


class BodyFault(Exception):
    """A fault at a byte of the body that is being compiled; the driver turns it into a ``ValidationError`` or
    ``DecodeError``.

    Attributes:
        message: what is wrong, beginning with the official suite's words for it.
        malformed: whether the bytes are malformed rather than invalid.
        feature: the proposal that is not built and that the body needs, or ``None``.
    """

    def __init__(self, message: str, malformed: bool = False, feature: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.malformed = malformed
        self.feature = feature


def type_mismatch(instruction: str, expected: Sequence[int], found: Sequence[int | None]) -> BodyFault:
    """The fault of operands of the wrong types; ``None`` stands for a missing operand."""
    want = " ".join(type_name(code) for code in expected)
    have = " ".join("nothing" if code is None else type_name(code) for code in found)
    return BodyFault(f"type mismatch: {instruction} expects [{want}] but the stack has [{have}]")


class NeedsRuns(Exception):
    """A block, a branch or a call has many values: the function is compiled anew, with entries that stand for many."""


class NeedsRetyping(Exception):
    """What a function leaves on the stack after ``local.tee`` has another type than the local, which takes a handler of
    its own: the function is compiled anew, with that.
    """


# -- parts of the compiler that few functions need ---------------------------------------------------------------------


class Late:
    """A module of this package that is loaded when something in it is first asked for.

    Where it stands for a module, a type checker sees the module itself::

        if TYPE_CHECKING:
            from . import immediates
        else:
            immediates = Late("immediates")
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        module = __import__(f"{__package__}.{self._name}", fromlist=("*",))
        found: object = getattr(module, attribute)
        # Kept, so that this is not called for it again. Not if it belongs to another interpreter, which may go: on
        # Python 3.11 a callback runs in the main interpreter, also where a subinterpreter has made it.
        if __import__("sys").modules.get(__name__).__dict__ is globals():
            setattr(self, attribute, found)
        return found
