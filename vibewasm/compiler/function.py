"""The compilation of one function: one pass that reads each instruction once, validates it, and emits its code.

The state is the class :class:`FunctionCompiler`, introduced field by field. Its :meth:`~FunctionCompiler.run` is the
engine's hottest
loop and is written for speed (``benchmarks compile`` shows it): what nearly all code consists of is handled in the loop
itself, everything else by one function an instruction in :mod:`.handlers`.

A validation error needs no check of its own on the hot path: a memoised choice exists only for operands of the right
types, and what
is not in the memo is checked before it is made.
"""

from __future__ import annotations

from ..backends.operand import (
    BARRIER,
    BARRIER_ENTRY,
    CONSTANT,
    CONSTANTS,
    I32,
    INTERN_LIMIT,
    SLOT,
    WANT_FLAGS,
    Operand,
    constant,
    is_float,
    register,
    slot,
)
from ..opcodes import name_of
from .errors import BodyFault, type_mismatch
from .labels import IF, LOOP, Label
from .tables import (
    ALIGNMENTS,
    BINARY,
    BR_IF,
    BY_HANDLER,
    COMPARES,
    END,
    I32_CONST,
    LOAD,
    LOCAL_GET,
    LOCAL_SET,
    SIGNATURES,
    STORE,
    TAKES_FLAGS,
    TAKES_NO_CONSTANT,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .locals import Locals
    from .module import ModuleEnvironment

    #: Code, the result's entry, the temporaries free afterwards, and whether they are few.
    Choice = tuple[bytes, Operand, int, bool]
    #: The same with a gap in the code for a displacement or an immediate.
    SplitChoice = tuple[bytes, bytes, Operand, int, bool]

#: The window of entries that are not in their slots is kept shorter than this, so that searching it takes constant
#: time.
WINDOW = 48
#: An operand stack deeper than this is refused: its frame would not fit any stack, and building it takes memory.
MAX_HEIGHT = 1 << 20
#: More arguments of a call than this are passed in loops.
MANY_ARGUMENTS = 24

#: Constants of one byte by that byte, made when they are first met.
_SMALL_CONSTANTS: list[Operand | None] = [None] * 128
_ZERO_ADDRESS = constant(I32, 0)
#: Operations and comparisons whose second operand may be an immediate.
_TAKES_IMMEDIATE = frozenset(
    (
        *(0x6A, 0x6B, 0x6C, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76),
        *(0x7C, 0x7D, 0x7E, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88),
        *range(0x46, 0x50),
        *range(0x51, 0x5B),
    )
)
#: Shifts, and rotations: with a constant count they claim no register.
_SHIFTS = frozenset((*range(0x74, 0x79), *range(0x86, 0x8B)))


def simplify(op: int, b: Operand) -> tuple[int, Operand]:
    """An operation by a constant as a simpler one.

    Subtracting is adding the negative, multiplying by a power of two shifts, a shift's count is taken modulo the width.
    """
    value = b.value
    if op == 0x6B or op == 0x7D:
        return op - 1, constant(b.type, -value & (0xFFFFFFFF if b.type == I32 else 0xFFFFFFFFFFFFFFFF))
    if (op == 0x6C or op == 0x7E) and value and not value & (value - 1):
        # i32.mul to i32.shl, and i64.mul to i64.shl.
        return op + 8, constant(b.type, value.bit_length() - 1)
    if op in _SHIFTS:
        return op, constant(b.type, value & (31 if op < 0x7C else 63))
    return op, b


def _small_constant(byte: int) -> Operand:
    """The constant that one byte encodes, kept in :data:`_SMALL_CONSTANTS`."""
    found = _SMALL_CONSTANTS[byte] = constant(I32, byte if byte < 64 else (byte - 128) & 0xFFFFFFFF)
    return found


class FunctionCompiler:
    """The state of one compilation.

    Attributes:
        env: what the function's module declares.
        target, patch: the backend's module, and its function that fills in a jump's displacement.
        code: the function's expression: its bytes as a list, which is read faster, with zeros (``unreachable``)
            behind so that reading ahead stays inside.
        base: byte offset of ``code`` in the module.
        end: length of the expression.
        pc: position of the instruction being compiled, for error messages; the loop keeps its own and writes it here
            before it calls.
        out: machine code of the body so far; the prologue comes before it when all is known.
        stack: operand stack entries, with a barrier at the floor of each block. Below an entry in a slot, or a
            barrier, every
            entry is in its own slot; the entries above the topmost of these are the window, of which some are
            elsewhere.
        free: mask of free temporaries; the loop keeps its own copy and exchanges it around calls.
        labels: open blocks, the function's own first.
        slot_base, step: frame offsets such that the entry at index ``i`` under ``d`` labels has its slot at
            ``slot_base + step * (i - d)``.
        deepest: largest ``i - d`` of a slot in use, for the frame's size.
        locals, locals_: homes of locals: all of them, and the list of those with one-byte indices.
        cold: code to be placed behind the body: (fix-up site, trap number or -1 for a poll, position in ``code``,
            return position).
        self_calls: sites of calls to the function itself.
        jump_tables: (site of the displacement to the table, labels or positions of the targets).
        makes_calls: whether the prologue has to look at the stack limit.
        dead: whether the end of the innermost block cannot be reached from inside.
        special: called before every instruction with its position when recording, metering or checking; else ``None``.
        self_index: index of the function.
    """

    __slots__ = (
        "base",
        "code",
        "cold",
        "dead",
        "deepest",
        "end",
        "env",
        "free",
        "handlers",
        "jump_tables",
        "labels",
        "locals",
        "locals_",
        "makes_calls",
        "out",
        "patch",
        "pc",
        "self_calls",
        "self_index",
        "slot_base",
        "special",
        "stack",
        "step",
        "target",
    )

    # Set by the compiler when it has read the declarations of locals.
    locals: Locals
    locals_: list[Operand | None]
    self_index: int
    slot_base: int

    def __init__(self, env: ModuleEnvironment, code: list[int], base: int, end: int) -> None:
        self.env = env
        self.target = env.target
        self.patch = env.control.patch
        self.handlers = env.handlers
        self.step = env.frames.STEP
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
        self.jump_tables: list[tuple[int, list[Label | int]]] = []
        self.makes_calls = False
        self.dead = False
        self.deepest = 0
        self.special: Callable[[int], None] | None = None

    # -- the hot loop -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Compile the whole expression; the state must have been prepared and the function's label pushed."""
        code = self.code
        out = self.out
        stack = self.stack
        pop = stack.pop
        locals_ = self.locals_
        target = self.target
        memo = target.MEMO
        find = memo.get
        displacements = target.DISPLACEMENTS.get
        displacement = target.displacement
        forms = target.SHORT_DISPLACEMENTS
        far = target.FAR_OFFSET
        constants = CONSTANTS[I32].get
        kinds = self.env.kinds
        with_constant = target.WITH_CONSTANT.get
        groups = target.IMMEDIATE_GROUPS
        stored = target.STORED.get
        patch = self.patch
        fixup = self.env.fixup_size
        all_free = target.ALL_FREE
        fetched = target.FETCHES.get
        fetch = target.fetch
        alignments = ALIGNMENTS
        handlers = self.handlers
        branches = self.env.branches.get
        labels = self.labels
        special = self.special
        takes_constant = self.env.takes_constant if special is None else TAKES_NO_CONSTANT
        # Locals are read faster than globals; append is fastest as a method, pop as a bound one.
        local_get, by_handler, i32_const = LOCAL_GET, BY_HANDLER, I32_CONST
        binary, load, local_set, store = BINARY, LOAD, LOCAL_SET, STORE
        br_if, end = BR_IF, END
        constant_kind, slot_kind = CONSTANT, SLOT
        small_constants, takes_flags, compares = _SMALL_CONSTANTS, TAKES_FLAGS, COMPARES
        result: Operand
        free = self.free
        pc = 0
        while True:
            if special is not None:
                self.free = free
                special(pc)
                free = self.free
            op = code[pc]
            kind = kinds[op]
            if kind is local_get:
                entry = locals_[code[pc + 1]]
                if entry is not None:
                    stack.append(entry)
                    pc += 2
                    continue
                pc, entry = self.long_local(pc + 1)
                stack.append(entry)
                continue
            if kind is by_handler:
                self.pc = pc
                self.free = free
                pc = handlers[op](self, pc + 1)
                free = self.free
                continue
            if kind is i32_const:
                byte = code[pc + 1]
                if byte < 128:
                    b = small_constants[byte] or _small_constant(byte)
                    pc += 2
                else:
                    value = byte & 127
                    byte = code[pc + 2]
                    if byte < 128:
                        value |= byte << 7
                        if byte >= 64:
                            value += 0xFFFFC000
                        pc += 3
                    elif code[pc + 3] < 64:
                        value |= (byte & 127) << 7 | code[pc + 3] << 14
                        pc += 4
                    elif code[pc + 3] >= 128 and code[pc + 4] < 64:
                        value |= (byte & 127) << 7 | (code[pc + 3] & 127) << 14 | code[pc + 4] << 21
                        pc += 5
                    else:
                        self.pc = pc
                        pc, value = self.read_signed(pc + 1, 32)
                        value &= 0xFFFFFFFF
                    b = constants(value) or constant(I32, value)
                op = code[pc]
                if not takes_constant[op]:
                    stack.append(b)
                    continue
                # Most constants are the second operand of the next instruction, which is taken along.
                op, b, stand_in, middles = with_constant((op, b)) or self.choose_constant(op, b)
            elif kind is binary:
                b = pop()
                if b.kind == constant_kind:
                    op, b, stand_in, middles = with_constant((op, b)) or self.choose_constant(op, b)
                else:
                    stand_in = None
            elif kind is load:
                start = pc
                offset = code[pc + 2]
                if code[pc + 1] > alignments[op]:
                    pc, offset = self.read_memarg(pc, alignments[op])
                elif offset < 128:
                    pc += 3
                elif code[pc + 3] < 128:
                    offset += (code[pc + 3] << 7) - 128
                    pc += 4
                else:
                    pc, offset = self.read_memarg(pc, alignments[op])
                a = pop()
                if a.reg < 0:
                    if a.kind != constant_kind:
                        text, a, free = fetched((a, free)) or fetch(a, free)
                        out += text
                    elif a.value and a.type == I32:
                        offset += a.value
                        a = _ZERO_ADDRESS
                if offset < 128:
                    form, middle = forms[offset]
                elif offset < far:
                    form, middle = displacements(offset) or displacement(offset)
                else:
                    self.pc = start
                    free = self.far_load(op, a, offset, free)
                    continue
                following = code[pc]
                sink = None
                if following == 0x21 or following == 0x22:
                    sink = locals_[code[pc + 1]]
                    if sink is not None and (sink.reg < 0 or (stack[-1].kind < slot_kind and not self.may_sink(sink))):
                        sink = None
                choice = find((op, a, form, free, sink))
                if choice is None:
                    self.pc = start
                    choice = self.choose_load(op, a, form, free, sink)
                text, tail, result, free, tight = choice
                out += text
                out += middle
                if tail:
                    out += tail
                if result is sink:
                    pc += 2
                    if following == 0x22:
                        stack.append(result)
                else:
                    stack.append(result)
                    if tight:
                        free = self.relieve(free)
                continue
            elif kind is local_set:
                entry = pop()
                local = locals_[code[pc + 1]]
                if local is None:
                    self.pc = pc
                    pc, local = self.long_local(pc + 1)
                else:
                    pc += 2
                if stack[-1].kind < slot_kind:
                    free = self.protect(local, free)
                choice = find((0x21, entry, local))
                if choice is None:
                    self.pc = pc - 2
                    choice = self.choose_assignment(op, entry, local, free)
                out += choice[0]
                if op == 0x21:
                    free |= entry.bit
                elif local.reg >= 0:
                    free |= entry.bit
                    stack.append(local)
                else:
                    stack.append(entry)
                continue
            elif kind is store:
                start = pc
                offset = code[pc + 2]
                if code[pc + 1] > alignments[op]:
                    pc, offset = self.read_memarg(pc, alignments[op])
                elif offset < 128:
                    pc += 3
                elif code[pc + 3] < 128:
                    offset += (code[pc + 3] << 7) - 128
                    pc += 4
                else:
                    pc, offset = self.read_memarg(pc, alignments[op])
                b = pop()
                a = pop()
                if a.reg < 0:
                    if a.kind != constant_kind:
                        text, a, free = fetched((a, free)) or fetch(a, free)
                        out += text
                    elif a.value and a.type == I32:
                        offset += a.value
                        a = _ZERO_ADDRESS
                if offset < 128:
                    form, middle = forms[offset]
                elif offset < far:
                    form, middle = displacements(offset) or displacement(offset)
                else:
                    self.pc = start
                    free = self.far_store(op, a, b, offset, free)
                    continue
                bits = b""
                if b.reg < 0:
                    if b.kind != constant_kind:
                        text, b, free = fetched((b, free)) or fetch(b, free)
                        out += text
                    else:
                        b, bits = stored((op, b)) or self.choose_stored(op, b)
                choice = find((op, a, b, form, free))
                if choice is None:
                    self.pc = start
                    choice = self.choose_store(op, a, b, form, free)
                text, tail, free = choice
                out += text
                out += middle
                if bits:
                    out += bits
                if tail:
                    out += tail
                continue
            elif kind is br_if:
                condition = stack[-1]
                depth = code[pc + 1]
                if condition.type == I32 and depth < len(labels) and depth < 128:
                    label = labels[-1 - depth]
                    branch = branches(condition)
                    if branch and not label.types and label.opcode != LOOP:
                        # The usual branch: forwards, and without values.
                        pop()
                        fixups = label.fixups
                        for text in branch:
                            out += text
                            fixups.append(len(out))
                        free |= condition.bit
                        pc += 2
                        continue
                self.pc = pc
                self.free = free
                pc = handlers[op](self, pc + 1)
                free = self.free
                continue
            elif kind is end:
                if stack[-1] is BARRIER_ENTRY:
                    label = labels[-1]
                    if not label.results and label.depth > 1 and not (label.params and label.opcode == IF):
                        # The usual end: no results, and nothing left on the stack, or the end is not reached at all.
                        position = len(out)
                        for site in label.fixups:
                            patch(out, site - fixup, position - site)
                        for site in label.else_fixups:
                            patch(out, site - fixup, position - site)
                        if label.opcode != LOOP:
                            label.target = position
                        labels.pop()
                        pop()
                        self.dead = False
                        free = all_free
                        pc += 1
                        continue
                self.pc = pc
                self.free = free
                pc = handlers[op](self, pc + 1)
                if not labels:
                    break
                free = self.free
                continue
            else:  # UNARY
                a = pop()
                pc += 1
                following = code[pc]
                sink = None
                if following == 0x21 or following == 0x22:
                    sink = locals_[code[pc + 1]]
                    if sink is not None and (sink.reg < 0 or (stack[-1].kind < slot_kind and not self.may_sink(sink))):
                        sink = None
                elif compares[op] and following in takes_flags:
                    sink = WANT_FLAGS
                choice = find((op, a, free, sink))
                if choice is None:
                    self.pc = pc - 1
                    choice = self.choose_unary(op, a, free, sink)
                text, result, free, tight = choice
                out += text
                if result is sink:
                    pc += 2
                    if following == 0x22:
                        stack.append(result)
                else:
                    stack.append(result)
                    if tight:
                        free = self.relieve(free)
                continue
            a = pop()
            pc += 1
            if a.reg < 0 and a.kind != constant_kind:
                text, a, free = fetched((a, free)) or fetch(a, free)
                out += text
            following = code[pc]
            sink = None
            if following == 0x21 or following == 0x22:
                sink = locals_[code[pc + 1]]
                if sink is not None and (sink.reg < 0 or (stack[-1].kind < slot_kind and not self.may_sink(sink))):
                    sink = None
            elif compares[op] and following in takes_flags:
                sink = WANT_FLAGS
            if stand_in is not None:
                choice = find((op, a, stand_in, free, sink))
                if choice is None:
                    self.pc = pc - 1
                    choice, a = self.choose_immediate(op, a, stand_in, free, sink)
                text, tail, result, free, tight = choice
                out += text
                out += middles[groups[a.reg]]
                if tail:
                    out += tail
            else:
                choice = find((op, a, b, free, sink))
                if choice is None:
                    self.pc = pc - 1
                    choice, free = self.choose_binary(op, a, b, free, sink)
                text, result, free, tight = choice
                out += text
            # The result goes to the local that the next instruction assigns, or onto the stack.
            if result is sink:
                pc += 2
                if following == 0x22:
                    stack.append(result)
            else:
                stack.append(result)
                if tight:
                    free = self.relieve(free)
        self.pc = pc

    # -- choices that are not in the memo -------------------------------------------------------------------------

    def check(self, instruction: str, expected: tuple[int, ...], operands: tuple[Operand, ...]) -> None:
        """Raise the fault of a type mismatch unless the operands have the expected types."""
        for type_, operand in zip(expected, operands, strict=True):
            if operand.type != type_:
                found: list[int | None] = []
                for entry in reversed(operands):
                    if entry.kind == BARRIER:
                        break
                    found.append(entry.type)
                if len(found) < len(expected):
                    found.append(None)
                raise type_mismatch(instruction, expected, found[::-1])

    def choose_binary(self, op: int, a: Operand, b: Operand, free: int, sink: Operand | None) -> tuple[Choice, int]:
        """Validate and choose code for an instruction with two operands.

        Also the temporaries that are free before it.
        """
        env = self.env
        rule, claimed, (type_a, type_b), result = env.rules.get(op) or env.rule(op)
        if a.type != type_a or b.type != type_b:
            self.check(name_of(op), (type_a, type_b), (a, b))
        if claimed and not (b.kind == CONSTANT and op in _SHIFTS):
            free = self.evict(claimed, free, (a, b))
        # With a local of another type as the destination, local.set itself reports the mismatch.
        fits = sink is None or sink is WANT_FLAGS or sink.type == result
        choice: Choice = self.target.lower(rule, (a, b), free, sink if fits else None)
        if fits:
            self.target.remember((op, a, b, free, sink), choice)
        return choice, free

    def choose_constant(self, op: int, b: Operand) -> tuple[int, Operand, Operand | None, tuple[bytes, ...]]:
        """What an instruction whose second operand is the constant ``b`` becomes, kept in the backend's
        ``WITH_CONSTANT``: the opcode and the constant, simplified, and the stand-in and the bytes of an immediate (see
        the backend's ``immediate``).
        """
        target = self.target
        stand_in: Operand | None = None
        middles: tuple[bytes, ...] = ()
        key = op, b
        if op in _TAKES_IMMEDIATE:
            op, b = simplify(op, b)
            stand_in, middles = target.immediate(name_of(op), b)
        if len(target.WITH_CONSTANT) >= INTERN_LIMIT:
            target.WITH_CONSTANT.clear()
        found = target.WITH_CONSTANT[key] = op, b, stand_in, middles
        return found

    def choose_stored(self, op: int, b: Operand) -> tuple[Operand, bytes]:
        """What a store of the constant ``b`` is chosen for, and the bytes of its immediate, kept in the backend's
        ``STORED``.
        """
        target = self.target
        if len(target.STORED) >= INTERN_LIMIT:
            target.STORED.clear()
        found = target.STORED[op, b] = target.stored(name_of(op), b)
        return found

    def choose_immediate(
        self, op: int, a: Operand, stand_in: Operand, free: int, sink: Operand | None
    ) -> tuple[SplitChoice, Operand]:
        """Validate and choose code for an instruction whose second operand is a constant that fits an immediate.

        Also the first operand that it is chosen for.
        """
        rule, _, types, result = self.env.rules.get(op) or self.env.rule(op)
        if a.type != types[0] or stand_in.type != types[1]:
            self.check(name_of(op), types, (a, stand_in))
        if a.kind == CONSTANT:
            # Both are constants, which only unoptimised code has: the first one goes to a register.
            text, a, free = self.target.copy_to_temporary(a, free)
            self.out += text
        fits = sink is None or sink is WANT_FLAGS or sink.type == result
        choice: SplitChoice = self.target.lower_immediate(rule, a, stand_in, free, sink if fits else None)
        if fits:
            self.target.remember((op, a, stand_in, free, sink), choice)
        return choice, a

    def choose_unary(self, op: int, a: Operand, free: int, sink: Operand | None) -> Choice:
        """Validate and choose code for an instruction with one operand."""
        rule, _, types, result = self.env.rules.get(op) or self.env.rule(op)
        if a.type != types[0]:
            self.check(name_of(op), types, (a,))
        fits = sink is None or sink is WANT_FLAGS or sink.type == result
        choice: Choice = self.target.lower(rule, (a,), free, sink if fits else None)
        if fits:
            self.target.remember((op, a, free, sink), choice)
        return choice

    def choose_load(self, op: int, a: Operand, form: int, free: int, sink: Operand | None) -> SplitChoice:
        """Validate and choose code for a load."""
        name = name_of(op)
        if a.type != self.env.address_type:
            self.check(name, (self.env.address_type,), (a,))
        fits = sink is None or sink.type == SIGNATURES[op][1][0]
        choice: SplitChoice = self.target.lower_load(name, a, form, free, sink if fits else None)
        if fits:
            self.target.remember((op, a, form, free, sink), choice)
        return choice

    def choose_store(self, op: int, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
        """Validate and choose code for a store."""
        name = name_of(op)
        types = SIGNATURES[op][0]
        if a.type != self.env.address_type or b.type != types[1]:
            self.check(name, (self.env.address_type, types[1]), (a, b))
        choice: tuple[bytes, bytes, int] = self.target.lower_store(name, a, b, form, free)
        self.target.remember((op, a, b, form, free), choice)
        return choice

    def choose_assignment(self, op: int, entry: Operand, local: Operand, free: int) -> tuple[bytes]:
        """Validate and choose code for ``local.set`` and ``local.tee``."""
        if entry.type != local.type:
            self.check(name_of(op), (local.type,), (entry,))
        choice = (self.target.move_to_local(entry, local, free),)
        if entry.kind == CONSTANT and entry.value > 64:
            return choice
        # What needs a scratch depends on the free temporaries, which the key does not name.
        if entry.reg >= 0 or (not is_float(local.type) if local.reg >= 0 else entry.kind == CONSTANT):
            self.target.remember((0x21, entry, local), choice)
        return choice

    def far_load(self, op: int, a: Operand, offset: int, free: int) -> int:
        """A load whose address has to be computed; pushes the result."""
        name = name_of(op)
        self.check(name, (self.env.address_type,), (a,))
        size = 1 << ALIGNMENTS[op]
        text, entry, free, tight = self.target.lower_far_load(
            name, a, offset, size, self.env.explicit_bounds, free, None
        )
        self.out += text
        self.stack.append(entry)
        return self.relieve(free) if tight else free

    def far_store(self, op: int, a: Operand, b: Operand, offset: int, free: int) -> int:
        """A store whose address has to be computed."""
        name = name_of(op)
        self.check(name, (self.env.address_type, SIGNATURES[op][0][1]), (a, b))
        size = 1 << ALIGNMENTS[op]
        text, free = self.target.lower_far_store(name, a, b, offset, size, self.env.explicit_bounds, free)
        self.out += text
        return free

    # -- immediates -------------------------------------------------------------------------------------------------

    def read_unsigned(self, pc: int, bits: int = 32) -> tuple[int, int]:
        """Decode an unsigned LEB128 (core specification, "Integers"): the position behind it, and the value."""
        code = self.code
        value = shift = 0
        byte = 128
        while byte >= 128 and shift < bits:
            byte = code[pc]
            pc += 1
            value |= (byte & 127) << shift
            shift += 7
        if byte >= 128 or pc > self.end:
            raise self._bad_integer(pc)
        if value >> bits:
            raise BodyFault("integer too large", malformed=True)
        return pc, value

    def read_signed(self, pc: int, bits: int) -> tuple[int, int]:
        """Decode a signed LEB128: the position behind it, and the value."""
        code = self.code
        value = shift = 0
        byte = 128
        while byte >= 128 and shift < bits:
            byte = code[pc]
            pc += 1
            value |= (byte & 127) << shift
            shift += 7
        if byte >= 128 or pc > self.end:
            raise self._bad_integer(pc)
        if byte & 64:
            value -= 1 << shift
        if shift > bits and not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise BodyFault("integer too large", malformed=True)
        return pc, value

    def _bad_integer(self, pc: int) -> BodyFault:
        """What is wrong with a LEB128 that was read up to ``pc``, maybe into the padding behind the body."""
        if pc > self.end:
            return BodyFault("unexpected end", malformed=True)
        return BodyFault("integer representation too long", malformed=True)

    def read_memarg(self, pc: int, natural: int) -> tuple[int, int]:
        """Decode and validate the alignment and offset behind the opcode at ``pc``.

        The position behind them, and the offset.
        """
        self.pc = pc
        after, alignment = self.read_unsigned(pc + 1)
        memory = 0
        if alignment >= 64:
            # Bit 6 announces a memory index; what is above it has no meaning at all.
            if alignment >= 128:
                raise BodyFault("malformed memop flags", malformed=True)
            alignment -= 64
            after, memory = self.read_unsigned(after)
        after, offset = self.read_unsigned(after, 64)
        if alignment > natural:
            raise BodyFault("alignment must not be larger than natural")
        if memory >= len(self.env.info.memories):
            raise BodyFault(f"unknown memory {memory}")
        if offset >> 32:
            raise BodyFault(f"offset out of range: {offset} does not fit 32 bits")
        return after, offset

    def long_local(self, pc: int) -> tuple[int, Operand]:
        """The home of the local whose index takes more than one byte, or the fault of an unknown local."""
        self.pc = pc - 1
        pc, index = self.read_unsigned(pc)
        entry = self.locals.entry(index)
        if entry is None:
            raise BodyFault(f"unknown local {index}")
        return pc, entry

    # -- the operand stack --------------------------------------------------------------------------------------------

    def slot_offset(self, index: int) -> int:
        """Frame offset of the slot of the entry at ``index``."""
        position = index - len(self.labels)
        if position > self.deepest:
            self.deepest = position
            if position > MAX_HEIGHT:
                raise BodyFault("operand stack too deep: at most 1,048,576 entries are supported")
        return self.slot_base + self.step * position

    def window(self) -> int:
        """Index of the first entry of the window; everything is flushed first where the window is long."""
        stack = self.stack
        index = top = len(stack)
        while stack[index - 1].kind < SLOT:
            index -= 1
        if top - index > WINDOW:
            self.flush()
            return top
        return index

    def may_sink(self, local: Operand) -> bool:
        """Whether no entry still refers to the local's old value, so that a result may replace it at once."""
        stack = self.stack
        index = top = len(stack)
        while stack[index - 1].kind < SLOT:
            index -= 1
            if stack[index] is local or top - index > WINDOW:
                return False
        return True

    def protect(self, local: Operand, free: int) -> int:
        """Before a local is assigned, copy its old value for entries that still refer to it."""
        self.free = free
        stack = self.stack
        window = self.window()
        free = self.free
        if local in stack[window:]:
            target = self.target
            for index in range(window, len(stack)):
                if stack[index] is local:
                    text, stack[index], free = target.copy_to_temporary(local, free)
                    self.out += text
                    if target.is_tight(free):
                        free = self.relieve(free)
        return free

    def spill(self, index: int, free: int) -> int:
        """Move the entry at ``index`` to its frame slot; the flags stay as they are."""
        entry = self.stack[index]
        offset = self.slot_offset(index)
        home = self.stack[index] = slot(entry.type, offset)
        # The same code as for a local in the frame.
        choice = self.target.MEMO.get((0x21, entry, home))
        if choice is None:
            choice = (self.target.move_to_slot(entry, offset, free),)
            if entry.reg >= 0:
                self.target.remember((0x21, entry, home), choice)
        self.out += choice[0]
        return free | entry.bit

    def flush(self) -> None:
        """Move every entry to its frame slot."""
        stack = self.stack
        first = top = len(stack)
        while stack[first - 1].kind < SLOT:
            first -= 1
        free = self.free
        for index in range(first, top):
            free = self.spill(index, free)
        self.free = free

    def relieve(self, free: int) -> int:
        """Move the oldest entries to their slots until there are temporaries enough for any rule."""
        self.free = free
        index = self.window()
        free = self.free
        while self.target.is_tight(free):
            free = self.spill(index, free)
            index += 1
        return free

    def evict(self, mask: int, free: int, keep: tuple[Operand, ...]) -> int:
        """Free the registers in ``mask`` of all entries but those in ``keep``, which are off the stack already."""
        held = mask & ~free
        for operand in keep:
            held &= ~operand.bit
        if held:
            self.free = free
            index = self.window()
            free = self.free
            # From the bottom up, since everything below a slot has to be in a slot.
            while held & ~free:
                free = self.spill(index, free)
                index += 1
        return free

    def spill_registers(self) -> None:
        """Free all temporaries, as calls need it; what is above them survives a call where it is."""
        self.free = self.evict(self.target.ALL_FREE, self.free, ())

    def sink(self, pc: int, type_: int) -> Operand | None:
        """The pinned local that the instruction at ``pc`` assigns, if a result of the type can go straight there."""
        if self.code[pc] in (0x21, 0x22):
            local = self.locals_[self.code[pc + 1]]
            if local is not None and local.reg >= 0 and local.type == type_:
                if self.stack[-1].kind >= SLOT or self.may_sink(local):
                    return local
        return None

    def finish(self, pc: int, choice: Choice, sink: Operand | None) -> int:
        """Emit a choice and push its result: the position of the next instruction, behind an assignment that took the
        result.
        """
        text, entry, free, tight = choice
        self.out += text
        if entry is sink:
            if self.code[pc] == 0x22:
                self.stack.append(entry)
            self.free = free
            return pc + 2
        self.stack.append(entry)
        self.free = self.relieve(free) if tight else free
        return pc

    def pop(self, instruction: str, type_: int) -> Operand:
        """Pop an operand of the given type."""
        entry = self.stack[-1]
        if entry.type != type_:
            raise type_mismatch(instruction, (type_,), (None if entry.kind == BARRIER else entry.type,))
        self.stack.pop()
        return entry

    def check_top(self, instruction: str, types: tuple[int, ...]) -> None:
        """Check that the topmost entries have these types, without popping them."""
        if not types:
            return
        stack = self.stack
        count = len(types)
        if count == 1:
            entry = stack[-1]
            if entry.type != types[0]:
                raise type_mismatch(instruction, types, (None if entry.kind == BARRIER else entry.type,))
            return
        top = stack[-count:]
        if [entry.type for entry in top] != list(types):
            found: list[int | None] = []
            for entry in reversed(top):
                if entry.kind == BARRIER:
                    found.append(None)
                    break
                found.append(entry.type)
            raise type_mismatch(instruction, types, found[::-1])

    def push_result(self, type_: int) -> None:
        """Push the single result of a call or a block, which is in the result register."""
        entry = register(type_, self.target.RESULT_REGISTER)
        self.stack.append(entry)
        self.free &= ~entry.bit

    def emit_fixups(self, sites: list[int] | tuple[int, ...], position: int) -> None:
        """Let the jumps at ``sites`` lead to ``position``."""
        patch = self.patch
        fixup = self.env.fixup_size
        out = self.out
        for site in sites:
            patch(out, site - fixup, position - site)
