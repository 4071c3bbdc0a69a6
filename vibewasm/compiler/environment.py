"""What all functions of a module share while they are compiled."""

from __future__ import annotations

from ..backends.convention import MANY_VALUES, ResultPlaces
from ..backends.operand import CONSTANT, INTERN_LIMIT, Operand, is_float
from ..opcodes import CODE, name_of, signature
from ..types import I32, V128
from .instructions import HANDLERS, KINDS, KINDS_WITHOUT_PLAIN_ACCESS, TAKES_CONSTANT, with_handlers
from .locals import ManyParameters, Pins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..backends import Backend
    from ..backends.contract import Calls
    from ..binary.module_info import ModuleInfo
    from ..instances.context import ContextLayout
    from .instructions.calls import Callee, Plan
    from .state import Types

_ASSIGNMENTS = frozenset((CODE["local.set"], CODE["local.tee"]))
#: Different pieces of code that are kept of each kind.
PIECE_LIMIT = 10_000


class _Pieces(dict["tuple[object, ...]", "Any"]):
    """What one function returns, by its arguments; it is called for those that are looked up first."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __missing__(self, arguments: tuple[object, ...]) -> object:
        if len(self) >= PIECE_LIMIT:
            self.clear()
        found = self[arguments] = self._make(*arguments)
        return found


class _AllPieces(dict["Callable[..., object]", _Pieces]):
    """The pieces that each function makes."""

    __slots__ = ()

    def __missing__(self, make: Callable[..., object]) -> _Pieces:
        found = self[make] = _Pieces(make)
        return found


class _OfTypes:
    """What a function says of tuples of types. They are the module's own, there as long as it is, and told apart by
    identity: to compare or to hash a thousand of them takes as long as to compile some ten instructions.
    """

    __slots__ = ("_found", "_make")

    def __init__(self, make: Callable[[Types], Any]) -> None:
        self._make = make
        self._found: dict[int, tuple[Any, Types]] = {}

    def __call__(self, types: Types) -> Any:
        found = self._found.get(id(types))
        if found is None:
            found = self._found[id(types)] = self._make(types), types
        return found[0]


def _has_vector(types: Types) -> bool:
    return V128 in types


class ModuleEnvironment:
    """What a function body may refer to, and what the backend emits for it again and again.

    Attributes:
        info, layout: the module, and where its instances keep things.
        backend: the processor to compile for.
        target, control, frames: the backend's modules.
        reach: how far the function's jumps have to reach, a number of the backend's: greater means further.
        vectors: whether the functions have vectors, see :class:`~.vectors_needed.NeedsVectors`.
        width, step: what tells the backend so, after other arguments; and from a cell of the frame to the next one.
        deterministic: whether relaxed instructions do the same on every processor, and NaNs are canonical.
        kinds: how the hot loop handles each opcode byte in this configuration.
        plain_accesses: whether accesses take no more than a displacement, unless the offset is large.
        takes_constant: whether the loop takes a constant along with the instruction after it, by that one's opcode.
        jump, fixup_size, poll, pads: the backend's jump, how many bytes of it are filled in, its poll of the interrupt
            word, and its padding by length.
        handlers: the function of each opcode byte that the loop leaves to one.
        retypes: whether ``local.tee`` is left to a handler, which gives its entry the local's type.
        address_type: type of addresses of memory 0.
        explicit_bounds: whether accesses are checked by code.
        types, func_types: parameters and results of each function type, and the type's index of each function.
        globals: of each global its type, its offset in the context, and whether a pointer to it is there instead.
        pins: the registers that locals of each type may live in.
        branches, opposite_branches, rules, result_moves, traps: what :meth:`branch_if`, :meth:`branch_unless`,
            :meth:`rule`, :meth:`move_to_result` and :meth:`trap` said before, for those who ask often.
        callees, plans: what :func:`~.instructions.calls.callee` and :func:`~.instructions.calls.argument_plan` said.
        fusions: what :func:`~.instructions.fusion.fusion` said.
        many_parameters: what is known of the parameters of a type that has many.
        result_places: where several results return.
        has_vector: whether vectors are among many types.
        fitting: what :func:`~.runs.fit` said before.
        pieces: what functions of the backend returned before, which depend on nothing but their arguments: called if
            need be, and memoised, by ``pieces[function][arguments]``.
    """

    def __init__(
        self,
        info: ModuleInfo,
        layout: ContextLayout,
        backend: Backend,
        reach: int,
        *,
        explicit_bounds: bool,
        vectors: bool = False,
        retypes: bool = False,
        deterministic: bool = False,
    ) -> None:
        self.info = info
        self.layout = layout
        self.backend = backend
        self.target = backend.target
        self.control = control = backend.control
        self.frames = backend.frames
        self.reach = reach
        self.vectors = vectors
        self.deterministic = deterministic
        self.width = (16,) if vectors else ()
        self.step = backend.frames.STEP * 2 if vectors else backend.frames.STEP
        self.explicit_bounds = explicit_bounds
        self.plain_accesses = bool(info.memories) and not explicit_bounds
        self.kinds = KINDS if self.plain_accesses else KINDS_WITHOUT_PLAIN_ACCESS
        self.takes_constant = TAKES_CONSTANT
        if self.target.FUSED:
            fused = frozenset([CODE[name] for name in self.target.FUSED])
            self.kinds = with_handlers(self.kinds, fused)
            self.takes_constant = tuple([takes and code not in fused for code, takes in enumerate(self.takes_constant)])
        self.fusions: dict[tuple[int, int, bool], Callable[..., Operand] | None] = {}
        self.handlers = HANDLERS
        self.retypes = retypes or vectors
        if vectors or retypes:
            from .instructions.vector_locals import VECTOR_HANDLERS

            # Assignments to locals have a handler of their own there.
            self.handlers = VECTOR_HANDLERS
            self.kinds = with_handlers(self.kinds, _ASSIGNMENTS)
        if deterministic and self.target.NANS_BY_CODE:
            from .instructions.canonical import SCALARS, VECTOR_HANDLERS

            self.kinds = with_handlers(self.kinds, frozenset(SCALARS))
            if self.handlers is not HANDLERS:
                self.handlers = VECTOR_HANDLERS
        self.address_type = I32
        self.jump = control.jump()
        self.fixup_size = control.FIXUP_SIZE
        self.poll = control.poll(reach)
        self.pads = [control.pad(count) for count in range(control.LOOP_ALIGNMENT)]
        self.globals = [
            (type_.content.code, layout.global_(index), layout.global_by_pointer(index))
            for index, type_ in enumerate(info.globals)
        ]
        self.types = [(t.param_codes, t.result_codes) for t in info.types]
        self.func_types = info.func_type_indices
        self._jumps: dict[int, tuple[bytes, ...]] = {}
        self._tests: dict[Operand, tuple[bytes, int]] = {}
        self.branches: dict[Operand, tuple[bytes, ...]] = {}
        self.opposite_branches: dict[Operand, tuple[bytes, ...]] = {}
        self.result_moves: dict[Operand, bytes] = {}
        self.traps: dict[int, bytes] = {}
        self.plans: dict[Types, Plan] = {}
        self._places: dict[Types, tuple[tuple[tuple[int, int], ...], int]] = {}
        self.pins = Pins(self.target.PINNED_INTS, self.target.PINNED_FLOATS)
        self.pieces = _AllPieces()
        self.callees: dict[int, Callee] = {}
        self.many_parameters = _OfTypes(lambda types: ManyParameters(types, self.frames.parameters(types)))
        self.result_places = _OfTypes(ResultPlaces)
        self.has_vector = _OfTypes(_has_vector)
        self.fitting: dict[tuple[int, int, int, int, int], tuple[bool, Types, Types]] = {}
        self.rules: dict[int, tuple[Callable[..., Operand], int, Types, int]] = {}

    def share(self, other: ModuleEnvironment) -> None:
        """Take over what an environment for another reach has memoised and what does not depend on the reach."""
        self.fusions = other.fusions
        self._tests = other._tests
        self.result_moves = other.result_moves
        self.traps = other.traps
        self._places = other._places
        self.many_parameters = other.many_parameters
        self.result_places = other.result_places
        self.has_vector = other.has_vector
        self.fitting = other.fitting
        self.pieces = other.pieces
        self.rules = other.rules
        if self.vectors == other.vectors:
            self.plans = other.plans
            self.callees = other.callees

    @property
    def calls(self) -> Calls:
        """The backend's module that passes arguments and calls, loaded when a function first calls another."""
        return self.backend.calls

    def rule(self, op: int) -> tuple[Callable[..., Operand], int, Types, int]:
        """The backend's rule for a simple instruction, the registers it claims, its operand types and its result
        type; memoised.
        """
        name = name_of(op)
        operands, results = signature(op)
        found = self.rules[op] = (self.target.rule(name), self.target.claims(name), operands, results[0])
        return found

    # -- code that is emitted again and again ----------------------------------------------------------------------

    def trap(self, number: int) -> bytes:
        """An instruction that raises a trap, memoised."""
        found = self.traps[number] = self.control.trap(number)
        return found

    def move_to_result(self, entry: Operand, free: int) -> bytes:
        """Code that moves an entry into the result register of its class; memoised unless it may take a scratch."""
        found = self.target.move_to_register(entry, self.target.RESULT_REGISTER, free)
        if entry.kind != CONSTANT or not is_float(entry.type):
            if len(self.result_moves) >= INTERN_LIMIT:
                self.result_moves.clear()
            self.result_moves[entry] = found
        return found

    def test(self, condition: Operand) -> tuple[bytes, int]:
        """Code that puts a condition into the flags, and the flags' condition under which it holds; memoised."""
        found = self._tests.get(condition)
        if found is None:
            found = self._tests[condition] = self.control.test(condition)
        return found

    def jump_if(self, holds: int) -> tuple[bytes, ...]:
        """Pieces of a conditional jump, memoised."""
        found = self._jumps.get(holds)
        if found is None:
            found = self._jumps[holds] = self.control.jump_if(holds, self.reach)
        return found

    def branch_if(self, condition: Operand) -> tuple[bytes, ...]:
        """Pieces of a test and a jump that is taken where the condition holds, memoised."""
        found = self.branches.get(condition)
        if found is None:
            text, holds = self.test(condition)
            first, *rest = self.jump_if(holds)
            found = self.branches[condition] = (text + first, *rest)
        return found

    def branch_unless(self, condition: Operand) -> tuple[bytes, ...]:
        """Pieces of a test and a jump that is taken where the condition does not hold, memoised."""
        found = self.opposite_branches.get(condition)
        if found is None:
            text, holds = self.test(condition)
            first, *rest = self.jump_if(self.control.invert(holds))
            found = self.opposite_branches[condition] = (text + first, *rest)
        return found

    def argument_area(self, params: Types) -> int:
        """Bytes of the argument area of a function with these parameters."""
        if len(params) > MANY_VALUES:
            area: int = self.many_parameters(params).places.area
            return area
        return self.parameter_places(params)[1]

    def parameter_places(self, params: Types) -> tuple[tuple[tuple[int, int], ...], int]:
        """Where parameters arrive, memoised."""
        found = self._places.get(params)
        if found is None:
            found = self._places[params] = self.frames.parameter_places(params)
        return found
