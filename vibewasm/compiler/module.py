"""What all functions of a module share while they are compiled, and the compiler that users of this package see."""

from __future__ import annotations

from ..abi import TRAP_STACK_OVERFLOW
from ..backends import OutOfReach, backend
from ..backends.operand import BARRIER_ENTRY, CONSTANT, INTERN_LIMIT, NO_TYPE, Operand, is_float, register
from ..errors import DecodeError, ValidationError, WasmError
from ..opcodes import TABLE, name_of
from ..types import FUNCREF, I32, VALUE_TYPES
from .errors import BodyFault
from .function import MANY_ARGUMENTS, FunctionCompiler
from .handlers import HANDLERS
from .handlers import load_all as load_all_handlers
from .labels import FUNCTION, Label
from .locals import SHORT_INDICES, Locals, Pins, rank
from .tables import KINDS, KINDS_WITHOUT_PLAIN_ACCESS, SIGNATURES, TAKES_CONSTANT, with_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..backends import Backend
    from ..backends.contract import Calls
    from ..binary.module_info import ModuleInfo
    from ..instances.context import ContextLayout
    from .calls import Moves
    from .record import Record, Recording

    #: Code that precedes the arguments; then of each, the last one first, its moves, and the bits of the registers of
    #: those behind it, which are passed before it.
    Plan = tuple[bytes, tuple[tuple[Moves, int], ...]]
    #: Parameter and result types, the arguments' plan (where they are too many one that fits nothing), the call itself,
    #: and the entry of a single result with the temporaries that are free besides.
    Callee = tuple[tuple[int, ...], tuple[int, ...], Plan, bytes, Operand | None, int]

#: Most locals of one function, parameters included: the limit that other engines share.
MAX_LOCALS = 50_000
#: The first byte of an index of a type, as a signed number, has neither of the two upper bits.
_NEGATIVE = 0x40

Types = tuple[int, ...]
_NOTHING: Types = ()
#: Behind a body: reading ahead meets ``unreachable``, which notices that it is outside.
_PADDING = b"\0" * 16
#: Different pieces of code that are kept of each kind.
PIECE_LIMIT = 10_000


def load_all(backend: Backend) -> None:
    """Load everything that compiling may need, which else is loaded when it is first needed."""
    load_all_handlers()
    backend.target.load_all()
    # Reading these attributes loads the modules.
    _ = backend.control, backend.frames, backend.calls


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


class ModuleEnvironment:
    """What a function body may refer to, and what the backend emits for it again and again.

    Attributes:
        info, layout: the module, and where its instances keep things.
        backend: the processor to compile for.
        target, control, frames: the backend's modules.
        reach: how far the function's jumps have to reach, a number of the backend's: greater means further.
        kinds: how the hot loop handles each opcode byte in this configuration.
        takes_constant: whether the loop takes a constant along with the instruction behind it, by that one's opcode.
        jump, fixup_size, poll, pads: the backend's jump, how many bytes of it are filled in, its poll of the interrupt
            word, and its padding by length.
        address_type: type of addresses of memory 0.
        explicit_bounds: whether accesses are checked by code.
        callees, branches, opposite_branches, rules, result_moves, traps: what :meth:`callee`, :meth:`branch_if`,
            :meth:`branch_unless`, :meth:`rule`, :meth:`move_to_result` and :meth:`trap` said before, for those who ask
            often.
        pieces: what functions of the backend returned before, which depend on nothing but their arguments: called if
            need be, and memoised, by ``pieces[function][arguments]``.
    """

    def __init__(
        self, info: ModuleInfo, layout: ContextLayout, backend: Backend, reach: int, *, explicit_bounds: bool
    ) -> None:
        self.info = info
        self.layout = layout
        self.backend = backend
        self.target = backend.target
        self.control = control = backend.control
        self.frames = backend.frames
        self.reach = reach
        self.explicit_bounds = explicit_bounds
        self.kinds = KINDS if info.memories and not explicit_bounds else KINDS_WITHOUT_PLAIN_ACCESS
        self.takes_constant = TAKES_CONSTANT
        if self.target.FUSED:
            fused = frozenset([code for code, name, *_ in TABLE if name in self.target.FUSED])
            self.kinds = with_handlers(self.kinds, fused)
            self.takes_constant = tuple([takes and code not in fused for code, takes in enumerate(self.takes_constant)])
        self._fusions: dict[tuple[int, int, bool], Callable[..., Operand] | None] = {}
        self.handlers = HANDLERS
        self.address_type = I32
        self.jump = control.jump()
        self.fixup_size = control.FIXUP_SIZE
        self.poll = control.poll(reach)
        self.pads = [control.pad(count) for count in range(control.LOOP_ALIGNMENT)]
        self._globals = [
            (type_.content.code, layout.global_(index), layout.global_by_pointer(index))
            for index, type_ in enumerate(info.globals)
        ]
        self._types = [(t.param_codes, t.result_codes) for t in info.types]
        self._func_types = info.func_type_indices
        self._jumps: dict[int, tuple[bytes, ...]] = {}
        self._tests: dict[Operand, tuple[bytes, int]] = {}
        self.branches: dict[Operand, tuple[bytes, ...]] = {}
        self.opposite_branches: dict[Operand, tuple[bytes, ...]] = {}
        self.result_moves: dict[Operand, bytes] = {}
        self.traps: dict[int, bytes] = {}
        self._plans: dict[Types, Plan] = {}
        self._places: dict[Types, tuple[tuple[tuple[int, int], ...], int]] = {}
        self._pins = Pins(self.target.PINNED_INTS, self.target.PINNED_FLOATS)
        self.pieces = _AllPieces()
        self.callees: dict[int, Callee] = {}
        self.rules: dict[int, tuple[Callable[..., Operand], int, Types, int]] = {}

    def share(self, other: ModuleEnvironment) -> None:
        """Take over what an environment for another reach has memoised and what does not depend on the reach."""
        self._fusions = other._fusions
        self._tests = other._tests
        self.result_moves = other.result_moves
        self.traps = other.traps
        self._plans = other._plans
        self._places = other._places
        self.pieces = other.pieces
        self.callees = other.callees
        self.rules = other.rules

    @property
    def calls(self) -> Calls:
        """The backend's module that passes arguments and calls, loaded when a function first calls another."""
        return self.backend.calls

    # -- what a body may refer to ---------------------------------------------------------------------------------

    def type_at(self, index: int) -> tuple[Types, Types]:
        """Parameter and result types of function type ``index``."""
        if index >= len(self._types):
            raise BodyFault(f"unknown type {index}")
        return self._types[index]

    def function_type(self, index: int) -> tuple[Types, Types]:
        """Parameter and result types of function ``index``."""
        if index >= len(self._func_types):
            raise BodyFault(f"unknown function {index}")
        return self._types[self._func_types[index]]

    def global_at(self, index: int, written: bool) -> tuple[int, int, bool]:
        """Of global ``index``, which has to be mutable to be written, its type, its offset in the context, and whether
        a pointer to it is there instead.
        """
        if index >= len(self.info.globals):
            raise BodyFault(f"unknown global {index}")
        found = self._globals[index]
        if written and not self.info.globals[index].mutable:
            raise BodyFault(f"global is immutable: global {index} cannot be set")
        return found

    def table_type(self, index: int) -> int:
        """Element type of table ``index``."""
        if index >= len(self.info.tables):
            raise BodyFault(f"unknown table {index}")
        return self.info.tables[index].element.code

    def require_memory(self) -> None:
        """There has to be a memory 0."""
        if not self.info.memories:
            raise BodyFault("unknown memory 0")

    def memory_immediate(self, c: FunctionCompiler, pc: int) -> tuple[int, int]:
        """Decode a memory index; only memory 0 can exist as yet."""
        pc, index = c.read_unsigned(pc)
        if index >= len(self.info.memories):
            raise BodyFault(f"unknown memory {index}")
        return pc, index

    def data_segment(self, index: int) -> None:
        """Check the index of a data segment, which takes the data count section."""
        if self.info.data_count is None:
            raise BodyFault("data count section required", malformed=True)
        if index >= self.info.data_count:
            raise BodyFault(f"unknown data segment {index}")

    def element_segment(self, index: int) -> int:
        """Type of element segment ``index``."""
        if index >= len(self.info.elements):
            raise BodyFault(f"unknown elem segment {index}")
        return self.info.elements[index].type

    def table_init_immediates(self, c: FunctionCompiler, pc: int) -> tuple[int, int, int]:
        """Decode and check the segment and the table of ``table.init``."""
        pc, segment = c.read_unsigned(pc)
        pc, table = c.read_unsigned(pc)
        element = self.table_type(table)
        if self.element_segment(segment) != element:
            raise BodyFault("type mismatch: the element segment's type is not the table's")
        return pc, segment, table

    def table_copy_immediates(self, c: FunctionCompiler, pc: int) -> tuple[int, int, int]:
        """Decode and check the tables of ``table.copy``."""
        pc, destination = c.read_unsigned(pc)
        pc, source = c.read_unsigned(pc)
        if self.table_type(destination) != self.table_type(source):
            raise BodyFault("type mismatch: the tables hold different types")
        return pc, destination, source

    def call_indirect_immediates(self, c: FunctionCompiler, pc: int) -> tuple[int, int, int]:
        """Decode and check the type and the table of ``call_indirect``."""
        pc, type_index = c.read_unsigned(pc)
        pc, table = c.read_unsigned(pc)
        if self.table_type(table) != FUNCREF:
            raise BodyFault("type mismatch: call_indirect takes a table of functions")
        self.type_at(type_index)
        return pc, type_index, table

    def declared_reference(self, index: int) -> int:
        """Dense number of a function that ``ref.func`` may name."""
        if index >= len(self._func_types):
            raise BodyFault(f"unknown function {index}")
        dense = self.info.declared_refs.get(index)
        if dense is None:
            raise BodyFault(f"undeclared function reference {index}")
        return dense

    # -- immediates that are types --------------------------------------------------------------------------------

    def block_type(self, c: FunctionCompiler, pc: int) -> tuple[int, Types, Types]:
        """Decode a block type: the position behind it, parameters, and results."""
        byte = c.code[pc]
        if byte == 0x40:
            return pc + 1, _NOTHING, _NOTHING
        if byte in VALUE_TYPES:
            return pc + 1, _NOTHING, _ONE_RESULT[byte]
        if byte & 0xC0 == _NEGATIVE and pc < c.end:
            pc, type_ = self.rare_type(c, pc, "block")
            return pc, _NOTHING, (type_,)
        pc, index = c.read_signed(pc, 33)
        if index < 0:
            raise BodyFault("malformed block type", malformed=True)
        params, results = self.type_at(index)
        return pc, params, results

    def value_type(self, c: FunctionCompiler, pc: int) -> tuple[int, int]:
        """Decode a value type."""
        byte = c.code[pc]
        if pc >= c.end:
            raise BodyFault("unexpected end", malformed=True)
        type_ = VALUE_TYPES.get(byte)
        return (pc + 1, type_) if type_ is not None else self.rare_type(c, pc, "value")

    def select_type(self, c: FunctionCompiler, pc: int) -> tuple[int, int]:
        """Decode the vector of types of ``select t*``, which holds one."""
        pc, count = c.read_unsigned(pc)
        if count != 1:
            raise BodyFault("invalid result arity: select takes one type")
        return self.value_type(c, pc)

    def heap_type(self, c: FunctionCompiler, pc: int) -> tuple[int, int]:
        """Decode a heap type: the code of the nullable reference type to it."""
        byte = c.code[pc]
        if byte in (0x70, 0x6F):
            return pc + 1, VALUE_TYPES[byte]
        return self.rare_type(c, pc, "heap")

    def rare_type(self, c: FunctionCompiler, pc: int, kind: str) -> tuple[int, int]:
        """Decode a type that is not just a usual byte: long forms, and types of proposals, with their faults."""
        from ..binary import value_types

        try:
            if kind == "heap":
                type_, after = value_types.heap_type(c.code, pc)
            else:
                type_, after = value_types.value_type(c.code, pc, self.info.features)
        except DecodeError as error:
            why = (
                "malformed block type" if kind == "block" and "malformed value type" in error.message else error.message
            )
            raise BodyFault(why if pc < c.end else "unexpected end", malformed=True) from None
        except ValidationError as error:
            raise BodyFault(error.message, feature=error.feature) from None
        if after > c.end:
            raise BodyFault("unexpected end", malformed=True)
        return after, type_

    def skip_immediate(self, c: FunctionCompiler, pc: int, kind: str, op: int) -> int:
        """Decode and check an immediate of the given kind in dead code."""
        if kind == "memarg":
            from .tables import ALIGNMENTS

            self.require_memory()
            return c.read_memarg(pc - 1, ALIGNMENTS[op])[0]
        if kind == "memory":
            return self.memory_immediate(c, pc)[0]
        if kind == "i32":
            return c.read_signed(pc, 32)[0]
        if kind == "i64":
            return c.read_signed(pc, 64)[0]
        if kind in ("f32", "f64"):
            after = pc + (4 if kind == "f32" else 8)
            if after > c.end:
                raise BodyFault("unexpected end", malformed=True)
            return after
        pc, index = c.read_unsigned(pc)
        if kind == "data":
            self.data_segment(index)
        elif kind == "elem":
            self.element_segment(index)
        elif kind == "table":
            self.table_type(index)
        else:
            raise AssertionError(f"no rule for the immediate {kind} of {name_of(op)}")
        return pc

    def illegal_opcode(self, code: int) -> BodyFault:
        """The fault of an opcode that is not in the table: a byte, or what ``later.prefixed`` gives."""
        from ..later import TITLES, not_in_table, proposal_of

        feature = proposal_of(code)
        return BodyFault(*not_in_table(code), feature=TITLES[feature] if feature else None)

    def rule(self, op: int) -> tuple[Callable[..., Operand], int, Types, int]:
        """The backend's rule for a simple instruction, the registers it claims, its operand types and its result
        type; memoised.
        """
        name = name_of(op)
        operands, results = SIGNATURES[op]
        found = self.rules[op] = (self.target.rule(name), self.target.claims(name), operands, results[0])
        return found

    def fusion(self, first: int, second: int, by_constant: bool) -> Callable[..., Operand] | None:
        """The backend's rule for two instructions at once, if it has one; memoised.

        ``by_constant`` says whether the first one's second operand is a constant.
        """
        key = (first, second, by_constant)
        try:
            return self._fusions[key]
        except KeyError:
            found = self._fusions[key] = self.target.fusion(name_of(first), name_of(second), by_constant)
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

    def callee(self, index: int) -> Callee:
        """What a call of function ``index`` takes: its types, how its arguments are passed, and the calling code;
        memoised.
        """
        params, results = self.function_type(index)
        defined = index - self.info.imported_funcs
        if defined < 0:
            code = self.calls.call_record(self.layout.imported_func(index))
        else:
            code = self.calls.call_slot(self.layout.slot(defined))
        plan = self.argument_plan(params)
        result = None
        free = self.target.ALL_FREE
        if len(results) == 1:
            result = register(results[0], self.target.RESULT_REGISTER)
            free &= ~result.bit
        found = self.callees[index] = (params, results, plan, code, result, free)
        return found

    def argument_plan(self, params: Types) -> Plan:
        """How to pass arguments of these types one by one, or a plan that nothing fits if they are many; memoised."""
        found = self._plans.get(params)
        if found is None:
            text, plan = self.calls.argument_plan(params)
            planned = []
            behind = 0
            for type_, reg, bit in plan if len(params) <= MANY_ARGUMENTS else ((NO_TYPE, 0, 0),):
                planned.append((self.moves(type_, reg), behind))
                behind |= bit
            found = self._plans[params] = text, tuple(planned)
        return found

    def moves(self, type_: int, reg: int) -> Moves:
        """Moves of arguments of a type to the register ``reg``, or to the argument area if that is -1."""
        found: Moves | None = self.target.MOVES.get((type_, reg))
        if found is None:
            from .calls import Moves  # loaded already, as only calls ask

            found = self.target.MOVES[type_, reg] = Moves(type_, reg, self.calls.argument)
        return found

    def parameter_places(self, params: Types) -> tuple[tuple[tuple[int, int], ...], int]:
        """Where parameters arrive, memoised."""
        found = self._places.get(params)
        if found is None:
            found = self._places[params] = self.frames.parameter_places(params)
        return found

    def homes(
        self, params: Types, places: tuple[tuple[int, int], ...], runs: list[tuple[int, int]], count: int, body: bytes
    ) -> Locals:
        """The homes of a function's ``count`` locals."""
        hottest = rank(body, count if count < SHORT_INDICES else SHORT_INDICES)
        return Locals(params, places, runs, count, hottest, self._pins, self.frames)

    def align_loop(self, c: FunctionCompiler) -> None:
        """Pad so that a loop's header does not straddle a fetch block."""
        padding = -len(c.out) & self.control.LOOP_ALIGNMENT - 1
        if padding:
            c.out += self.pads[padding]


_ONE_RESULT = {byte: (type_,) for byte, type_ in VALUE_TYPES.items()}


class Compiler:
    """Compiles the functions of one module for one configuration.

    Args:
        info: the decoded module.
        layout: the layout of its instances' contexts.
        checked: emit code that verifies the engine's invariants, for tests.
        fuel: emit code that counts fuel.
        explicit_bounds: check memory bounds by code rather than by guard regions.
        target: the processor to compile for.

    A compiled function depends on these and on the backend's configuration alone, so compiling again gives the same
    bytes.
    """

    def __init__(
        self,
        info: ModuleInfo,
        layout: ContextLayout,
        *,
        checked: bool = False,
        fuel: bool = False,
        explicit_bounds: bool = False,
        target: str,
    ) -> None:
        self.info = info
        self.checked = checked
        self.fuel = fuel
        self._layout = layout
        self._backend = backend(target)
        self.explicit_bounds = explicit_bounds
        self._environments: dict[int, ModuleEnvironment] = {}

    @property
    def target_name(self) -> str:
        """Name of the processor that code is made for."""
        return self._backend.name

    def compile(self, defined: int) -> bytes:
        """Validate and compile the defined function ``defined`` (imports not counted).

        Returns:
            position-independent machine code; its entry is its first byte.

        Raises:
            DecodeError: the body is malformed.
            ValidationError: the body is invalid.
        """
        return self._compile(defined, None)[0]

    def validate(self, defined: int) -> None:
        """Check a body: the same pass, whose code is dropped. Raises what :meth:`compile` raises."""
        self._compile(defined, None)

    def record(self, defined: int) -> Record:
        """Compile once more, noting which machine code belongs to which instruction."""
        from .record import Record, Recording

        recording = Recording()
        code, start, base = self._compile(defined, recording)
        return Record(code, start, base, recording)

    def _compile(self, defined: int, recording: Recording | None) -> tuple[bytes, int, int]:
        """The code, the length of its prologue, and where the expression begins in the module."""
        info = self.info
        start, end = info.bodies[defined]
        index = info.imported_funcs + defined
        reach = self._backend.control.reach(end - start)
        while True:
            env = self._environments.get(reach) or self._environment(reach)
            c = FunctionCompiler(env, [*info.data[start:end], *_PADDING], start, end - start)
            try:
                return self._compile_body(c, defined, index, recording)
            except BodyFault as fault:
                raise self._error(fault, c.base + min(c.pc, c.end), index) from None
            except OutOfReach:
                if reach == env.control.LONGEST_REACH:
                    large = BodyFault("function too large: its machine code has jumps that cannot reach their targets")
                    raise self._error(large, c.base, index) from None
                reach += 1
                if recording is not None:
                    recording.clear()

    def _environment(self, reach: int) -> ModuleEnvironment:
        env = ModuleEnvironment(self.info, self._layout, self._backend, reach, explicit_bounds=self.explicit_bounds)
        for other in self._environments.values():
            env.share(other)
            break
        self._environments[reach] = env
        return env

    def _error(self, fault: BodyFault, offset: int, index: int) -> WasmError:
        name = self.info.func_names.get(index)
        if fault.malformed:
            where = f" in function {index}" + (f" ({name})" if name else "")
            return DecodeError(fault.message + where, offset)
        return ValidationError(fault.message, offset, index, name, fault.feature)

    def _read_locals(self, c: FunctionCompiler) -> tuple[list[tuple[int, int]], int]:
        """Decode the declarations of locals, and how many there are, and leave ``c.pc`` behind them."""
        code = c.code
        pc = 1
        count = code[0]
        if count > 127:
            pc, count = c.read_unsigned(0)
        runs: list[tuple[int, int]] = []
        total = 0
        for _ in range(count):
            run = code[pc]
            short = VALUE_TYPES.get(code[pc + 1]) if run < 128 and pc + 2 <= c.end else None
            if short is not None:
                type_ = short
                pc += 2
            else:
                c.pc = pc
                pc, run = c.read_unsigned(pc)
                pc, type_ = c.env.value_type(c, pc)
            total += run
            if total > 0xFFFF_FFFF:
                raise BodyFault("too many locals", malformed=True)
            if run:
                runs.append((run, type_))
        c.pc = pc
        return runs, total

    def _compile_body(
        self, c: FunctionCompiler, defined: int, index: int, recording: Recording | None
    ) -> tuple[bytes, int, int]:
        env = c.env
        frames = env.frames
        params, results = env.function_type(index)
        runs, count = self._read_locals(c)
        count += len(params)
        if count > MAX_LOCALS:
            raise BodyFault("too many locals: at most 50,000 are supported")
        # From here on positions are counted from the expression's first byte.
        c.base += c.pc
        c.end -= c.pc
        body = self.info.data[c.base : c.base + c.end]
        del c.code[: c.pc]
        c.pc = 0
        places, area = env.parameter_places(params)
        homes = env.homes(params, places, runs, count, body)
        c.locals = homes
        c.locals_ = homes.entries
        c.self_index = index
        locals_end = homes.base + 8 * homes.frame_cells
        # Rounded, so that slots of different functions have the same offsets more often, which serves the memo.
        locals_end = (locals_end + 31) & -32
        stack = c.stack
        # Three operands at most are popped before a check, so as many spare barriers stand under the function's own.
        stack += [BARRIER_ENTRY] * 4
        label = Label(FUNCTION, 3, 1, (), results)
        c.labels.append(label)
        # The first entry has index 4 under one label.
        first_slot = frames.cell(locals_end)
        c.slot_base = first_slot - 3 * frames.STEP
        c.deepest = 2
        if recording is not None or self.checked or self.fuel:
            from .special import Special

            marks = recording.marks if recording is not None else None
            c.special = Special(c, marks, self.checked, self.fuel)
        c.run()
        operand_cells = c.deepest - 2
        size = (locals_end + 8 * operand_cells + 15) & -16
        if recording is not None:
            recording.homes = homes
            recording.first_slot = first_slot
            recording.frame_size = size
        if len(results) > 1:
            c.out += env.calls.return_results(results, first_slot)
        c.out += env.pieces[frames.epilogue][size, homes.pinned_ints, homes.pinned_floats, area]
        return self._assemble(c, homes, params, size, area, recording)

    def _assemble(
        self,
        c: FunctionCompiler,
        homes: Locals,
        params: Types,
        size: int,
        area: int,
        recording: Recording | None,
    ) -> tuple[bytes, int, int]:
        """Put prologue, body, cold code and jump tables together, and fill in what is known only now."""
        env = c.env
        control = env.control
        frames = env.frames
        out = c.out
        check = c.makes_calls or size > frames.SMALL_FRAME
        pieces = env.pieces
        prologue, limit_check, limit_site = pieces[frames.prologue][
            size, homes.pinned_ints, homes.pinned_floats, check, env.reach
        ]
        if params:
            short = len(params) <= 128
            own = tuple(homes.entries[: len(params)]) if short else tuple(map(homes.entry, range(len(params))))
            # Only parameters in the argument area depend on the size of the frame.
            prologue += pieces[frames.receive_parameters][params, own, size if area else 0]
        zero_cells = homes.zero_cells
        if zero_cells[1]:
            prologue += pieces[frames.zero_slots][zero_cells]
        if homes.zero_pinned:
            prologue += pieces[frames.zero_pinned][tuple(homes.zero_pinned),]
        padding = -len(prologue) & control.LOOP_ALIGNMENT - 1
        if padding:
            prologue += env.pads[padding]
        start = len(prologue)
        poll_cold = env.poll[1]
        if recording is not None:
            recording.cold = len(out)
        patch = c.patch
        fixup = env.fixup_size
        for site, number, pc, back in c.cold:
            patch(out, site - fixup, len(out) - site)
            if recording is not None:
                recording.marks.append((len(out), pc))
            if number < 0:
                out += poll_cold
                out += control.jump_back(len(out) - back)
            else:
                out += env.traps.get(number) or env.trap(number)
        if c.self_calls:
            c.emit_fixups(c.self_calls, -start)
        overflow = len(out)
        if limit_site:
            if recording is not None:
                recording.marks.append((overflow, 0))
            # An interruption raises the limit to the top: then the runtime resumes behind the trap, and the limit is
            # read again.
            out += env.traps.get(TRAP_STACK_OVERFLOW) or env.trap(TRAP_STACK_OVERFLOW)
            out += control.jump_back(len(out) + start - limit_check)
        for site, targets in c.jump_tables:
            ends = len(out)
            out += b"\0" * (-ends & control.JUMP_TABLE_ALIGNMENT - 1)
            table = len(out)
            c.emit_fixups((site,), table)
            positions = [t if isinstance(t, int) else t.target for t in targets]
            out += control.jump_table_entries(table, positions)
            if recording is not None:
                recording.tables.append((ends, table, positions))
        if limit_site:
            head = bytearray(prologue)
            patch(head, limit_site - fixup, start + overflow - limit_site)
            prologue = bytes(head)
        return prologue + out, start, c.base
