"""How every processor's machine code is chosen: once for each case, and then kept.

Choosing machine code is a pure function of the instruction, the places of its operands, the free temporaries and the
destination. So every choice is made once and kept in :attr:`Choices.MEMO`; the compiler looks there itself, since that
is its hottest line, and calls :meth:`Choices.lower` and its siblings only for what is new.

:class:`Choices` is what processors share. A backend derives its ``Target`` from it, and says there which registers it
has and what becomes of constants and offsets; how an instruction is done is said by the rules in its other modules.
"""

from __future__ import annotations

from .operand import BARRIER, CONSTANT, F32, F64, V128, Operand, is_float, register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .assembly import Selection
    from .types import Choice, Rule, SplitChoice
    from .vector_choices import VectorChoices

#: A hostile module can ask for any number of different choices, so each table of them starts anew at this size.
MEMO_LIMIT = 1 << 18

#: Modules of rules by what they are about, each of which is loaded when one of its rules is first needed: most small
#: modules have integers only, and neither shift nor divide.
_OF_INTEGERS = ("bits", "division")
_OF_FLOATS = ("floats", "conversions")

#: After how many choices made since the last one the package's next tier of usual choices is loaded, see :mod:`.usual`:
#: so many take about as long to make as the tier to load.
TIERS = (32, 300)

#: What the compiler reads for each function.
_READ_OFTEN = ("FAR_OFFSET", "IMMEDIATE_GROUPS", "RESULT_REGISTER", "SHORT_DISPLACEMENTS")

#: Names of the rules of ``select`` by the type that is selected, where they differ from the one for integers.
_SELECT = "select"
_FLOAT_SELECTS = {F32: "f32.select", F64: "f64.select"}


#: Types of one class, with what tells the wider one.
INT_TYPES = ((0, "i32"), (1, "i64"))
FLOAT_TYPES = ((0, "f32"), (1, "f64"))


def integer_rules(
    conditions: dict[str, int],
    compare: Callable[[int, int], Rule],
    is_zero: Callable[[int], Rule],
    extend: Callable[[str, int, int], Rule],
) -> dict[str, Rule]:
    """Rules of comparisons of integers, and of conversions between them.

    Args:
        conditions: the backend's condition for each comparison.
        compare: makes the rule of a condition and whether 64 bits are compared.
        is_zero: makes the rule of whether 64 bits are tested.
        extend: makes the rule of what becomes of the upper bits ("sign", "zero", or "wrap" where these are dropped), of
            the number of bits that are kept, and of whether the result has 64 bits.
    """
    rules = {}
    for wide, type_ in INT_TYPES:
        for name, condition in conditions.items():
            rules[f"{type_}.{name}"] = compare(condition, wide)
        rules[f"{type_}.eqz"] = is_zero(wide)
        rules[f"{type_}.extend8_s"] = extend("sign", 8, wide)
        rules[f"{type_}.extend16_s"] = extend("sign", 16, wide)
    rules["i64.extend32_s"] = extend("sign", 32, 1)
    rules["i64.extend_i32_s"] = extend("sign", 32, 1)
    rules["i64.extend_i32_u"] = extend("zero", 32, 1)
    rules["i32.wrap_i64"] = extend("wrap", 32, 0)
    return rules


class Choices:
    """Which machine code is chosen for an instruction; :class:`.contract.Target` documents what the compiler uses.

    Attributes:
        MEMO: choices made so far. A key is a tuple that starts with the opcode; a value is what the method that fills
            it returns.
        WITH_CONSTANT, STORED, MOVES: the compiler's own notes, which differ from one processor to the other: what an
            opcode and a constant as its second operand become, what an opcode and a constant that is stored become,
            and moves of arguments by type and register.
        DISPLACEMENTS: forms and bytes of the displacements of offsets that are not small.
        FETCHES: moves of entries into temporaries, by entry and free temporaries: the code, the new entry, and what is
            free then.
    """

    # -- what a backend says, see the contract -----------------------------------------------------------------------

    #: More temporaries of each class in use than these, and the compiler moves the oldest to the frame, so that every
    #: rule finds enough to work with.
    MOST_INTS: int
    MOST_FLOATS: int
    #: Whether a register of its own holds the integer 0, so that this constant is in a register wherever it is used.
    HAS_ZERO_REGISTER: bool
    #: Whether NaNs are made canonical by code, for which there is a module ``nans`` then.
    NANS_BY_CODE: bool
    #: What choices are made for in place of constants; these entries are told from others by identity alone.
    STAND_INS: tuple[Operand, ...]

    # -- what processors share -----------------------------------------------------------------------------------

    def __init__(
        self, selection: type[Selection], integer_rules: dict[str, Rule], constant: Callable[[int, int], bytes]
    ) -> None:
        """Take what the backend's other modules say: its class, its rules that are loaded at once, and its encoder of
        moves of integers to registers.
        """
        self.MEMO: dict[tuple[object, ...], Any] = {}
        self.WITH_CONSTANT: dict[tuple[int, Operand], tuple[int, Operand, Operand | None, tuple[bytes, ...]]] = {}
        self.STORED: dict[tuple[int, Operand], tuple[Operand, bytes]] = {}
        self.MOVES: dict[tuple[int, int], Any] = {}
        self.DISPLACEMENTS: dict[int, tuple[int, bytes]] = {}
        self.FETCHES: dict[tuple[Operand, int], tuple[bytes, Operand, int]] = {}
        self.INT_TEMPORARIES = selection.INT_TEMPORARIES
        self.FLOAT_TEMPORARIES = selection.FLOAT_TEMPORARIES
        self.ALL_FREE = self.INT_TEMPORARIES | self.FLOAT_TEMPORARIES
        # CPython reads fast what is in the instance itself, and does not look like a method where it is called.
        self._new = self.new_selection = selection
        for name in _READ_OFTEN:
            setattr(self, name, getattr(self, name))
        self._rules = dict(integer_rules)
        self._constant = constant
        # The rules of memory accesses, once a module has had one.
        self._memory_rules: ModuleType | None = None
        self._vectors: VectorChoices | None = None
        # What is_tight said of each mask.
        self._tight: dict[int, bool] = {}
        self._forget()

    def remember(self, key: tuple[object, ...], value: tuple[object, ...]) -> None:
        """Keep a choice."""
        if len(self.MEMO) >= self._room:
            self._make_room()
        self.MEMO[key] = value

    def _forget(self) -> None:
        """Begin as in a new process, where no choice has been made."""
        self.MEMO.clear()
        self._tiers = list(range(len(TIERS)))
        # At so many choices it is time to do something.
        self._room = TIERS[0]

    def _make_room(self) -> None:
        """Load the next usual choices; after the last, the memo starts anew."""
        # Where threads meet here, each takes another tier.
        tier = self._tiers.pop(0) if self._tiers else None
        if tier is None:
            if len(self.MEMO) >= MEMO_LIMIT:
                self.MEMO.clear()
            self._room = MEMO_LIMIT
            return
        from .usual import load

        load(self, tier)
        # Another thread may have taken the next one meanwhile.
        following = self._tiers[:1]
        self._room = len(self.MEMO) + TIERS[following[0]] if following else MEMO_LIMIT

    def variant(self) -> int:
        """A number for the extensions of the processor, if choices depend on any."""
        return 0

    def is_tight(self, free: int) -> bool:
        """Whether so many temporaries are in use that a rule might not find enough."""
        found = self._tight.get(free)
        if found is None:
            found = self._tight[free] = self._count_free(free)
        return found

    def _count_free(self, free: int) -> bool:
        used_ints = (self.INT_TEMPORARIES & ~free).bit_count()
        used_floats = (self.FLOAT_TEMPORARIES & ~free).bit_count()
        return used_ints > self.MOST_INTS or used_floats > self.MOST_FLOATS

    # -- rules -----------------------------------------------------------------------------------------------------

    def load_all(self) -> None:
        """Load the rules that are else loaded when an instruction first needs them, but for those of vectors."""
        for topic in (*_OF_INTEGERS, *_OF_FLOATS):
            self._load_rules(topic)
        self._memory()

    def rule(self, name: str) -> Rule:
        """The rule of the simple instruction ``name``; :meth:`lower` applies it."""
        rules = self._rules
        for topic in _OF_FLOATS if "f32" in name or "f64" in name else _OF_INTEGERS:
            if name in rules:
                break
            self._load_rules(topic)
        return rules[name]

    def _load_rules(self, topic: str) -> None:
        self._rules.update(self.module(topic).RULES)

    def canonical_nans(self, shape: str, reg: int, scratch: int) -> tuple[bytes, bytes]:
        """What makes NaNs canonical, loaded when deterministic code first needs it."""
        found: tuple[bytes, bytes] = self.module("nans").canonical(shape, reg, scratch)
        return found

    @property
    def vectors(self) -> VectorChoices:
        """The choices of vector instructions, loaded when a module first has one."""
        found = self._vectors
        if found is None:
            from .vector_choices import VectorChoices

            found = self._vectors = VectorChoices(self)
        return found

    def module(self, name: str) -> Any:
        """A module of the backend."""
        return __import__(f"{type(self).__module__.rpartition('.')[0]}.{name}", fromlist=("*",))

    @property
    def folder(self) -> str:
        """Name of the backend's folder."""
        return type(self).__module__.split(".")[-2]

    def _memory(self) -> Any:
        """The rules of memory accesses, loaded when a module first has one."""
        found = self._memory_rules
        if found is None:
            found = self._memory_rules = self.module("memory")
        return found

    # -- choices of instructions -----------------------------------------------------------------------------------

    def lower(self, rule: Rule, operands: tuple[Operand, ...], free: int, sink: Operand | None) -> Choice:
        """Choose code for an instruction with a result by its rule."""
        new = self._new
        selection = new(free)
        result = rule(selection, sink, *operands)
        after = selection.free | selection.released
        tight = self._tight.get(after)
        return bytes(selection.code), result, after, self.is_tight(after) if tight is None else tight

    def lower_immediate(
        self, rule: Rule, a: Operand, stand_in: Operand, free: int, sink: Operand | None
    ) -> SplitChoice:
        """Choose code for an instruction with an immediate: the parts before and after it, and what :meth:`lower`
        returns besides.
        """
        new = self._new
        selection = new(free)
        result = rule(selection, sink, a, stand_in)
        after = selection.free | selection.released
        start, end = selection.immediate
        code = bytes(selection.code)
        return code[:start], code[end:], result, after, self.is_tight(after)

    def lower_select(self, operands: tuple[Operand, Operand, Operand], free: int, sink: Operand | None) -> Choice:
        """Choose code for ``select``."""
        type_ = operands[0].type
        if type_ == V128:
            return self.lower(self.vectors.rule("v128.select"), operands, free, sink)
        return self.lower(self.rule(_FLOAT_SELECTS.get(type_, _SELECT)), operands, free, sink)

    # -- choices of accesses ---------------------------------------------------------------------------------------

    def lower_load(self, name: str, a: Operand, form: int, free: int, sink: Operand | None) -> SplitChoice:
        """Choose code for a load with a displacement of the given form."""
        new = self._new
        selection = new(free)
        head, tail, result = self._memory().load(selection, sink, name, a, form)
        after = selection.free | selection.released
        return head, tail, result, after, self.is_tight(after)

    def lower_store(self, name: str, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
        """Choose code for a store with a displacement of the given form; what is stored may be a constant's stand-in,
        whose bytes are left out.
        """
        new = self._new
        selection = new(free)
        head, tail = self._memory().store(selection, name, a, b, form)
        return head, tail, selection.free | selection.released

    def lower_far_load(
        self, name: str, a: Operand, offset: int, size: int, checked: bool, free: int, sink: Operand | None
    ) -> Choice:
        """Choose code for a load that needs its address computed: a large offset, or an explicit bounds check."""
        new = self._new
        selection = new(free)
        memory = self._memory()
        index = memory.address(selection, a, offset, size, checked)
        selection.release(a)
        result = memory.far_load(selection, sink, name, index)
        after = selection.free | selection.released
        return bytes(selection.code), result, after, self.is_tight(after)

    def lower_far_store(
        self, name: str, a: Operand, b: Operand, offset: int, size: int, checked: bool, free: int
    ) -> tuple[bytes, int]:
        """Choose code for a store that needs its address computed."""
        new = self._new
        selection = new(free)
        memory = self._memory()
        index = memory.address(selection, a, offset, size, checked)
        selection.release(a)
        memory.far_store(selection, name, index, b)
        return bytes(selection.code), selection.free | selection.released

    def lower_read(self, kind: str, free: int, sink: Operand | None, *arguments: object) -> Choice:
        """Choose code that reads the context."""
        new = self._new
        selection = new(free)
        result = getattr(self._memory(), kind)(selection, sink, *arguments)
        after = selection.free | selection.released
        return bytes(selection.code), result, after, self.is_tight(after)

    def lower_write(self, kind: str, free: int, *arguments: object) -> tuple[bytes, int]:
        """Choose code that writes through the context."""
        new = self._new
        selection = new(free)
        getattr(self._memory(), kind)(selection, *arguments)
        return bytes(selection.code), selection.free | selection.released

    # -- moves -----------------------------------------------------------------------------------------------------

    def move_to_local(self, operand: Operand, local: Operand, free: int) -> bytes:
        """Code that assigns an operand to a local."""
        if local.reg < 0:
            return self.move_to_slot(operand, local.offset, free)
        return self.move_to_register(operand, local.reg, free)

    def move_to_slot(self, operand: Operand, offset: int, free: int) -> bytes:
        """Code that stores an operand into the frame slot at ``offset``; the flags stay as they are."""
        new = self._new
        selection = new(free)
        selection.store(offset, operand)
        return bytes(selection.code)

    def move_to_register(self, operand: Operand, reg: int, free: int) -> bytes:
        """Code that puts an operand into a register of its class; the flags stay as they are."""
        if operand.kind == CONSTANT and not is_float(operand.type):
            return self._constant(reg, operand.value)
        new = self._new
        selection = new(free)
        if is_float(operand.type):
            selection.load_float(reg, operand)
        else:
            selection.load(reg, operand)
        return bytes(selection.code)

    def fetch(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]:
        """Move an operand that is in no register into a temporary, kept in :attr:`FETCHES`; the flags stay as they are.

        Most instructions would do so themselves; done before them, their choices need not tell frame offsets or
        constants apart. What is no value at all (a barrier) is left alone, for the type check to find, and so is what
        has a register of its own.
        """
        if operand.kind == BARRIER:
            return b"", operand, free
        if len(self.FETCHES) >= MEMO_LIMIT:
            self.FETCHES.clear()
        found = (b"", operand, free)
        is_zero = operand.kind == CONSTANT and operand.value == 0 and not is_float(operand.type)
        if not (is_zero and self.HAS_ZERO_REGISTER):
            moved = self.copy_to_temporary(operand, free)
            # Else there would be too few temporaries left for the instruction itself: it takes the operand from the
            # frame.
            if not self.is_tight(moved[2]):
                found = moved
        self.FETCHES[operand, free] = found
        return found

    def copy_to_temporary(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]:
        """Copy an operand into a free temporary; the caller has made sure that there is one."""
        new = self._new
        selection = new(free)
        if is_float(operand.type):
            reg = selection.take_float()
            selection.load_float(reg, operand)
        else:
            reg = selection.take()
            selection.load(reg, operand)
        return bytes(selection.code), register(operand.type, reg), selection.free | selection.released
