"""The one-pass compiler: validates a function body and emits machine code for it in a single reading.

This file is what users of the package see, and drives a compilation: declarations of locals, the loop, then prologue,
body, cold code and jump tables put together. From here on down, each file knows only those below it:

* :mod:`.loop`: the pass over a function's instructions;
* :mod:`.modes`: what happens before each of them in the rarer modes;
* :mod:`.environment`: what a module's functions share;
* :mod:`.instructions`: those that the loop leaves to others, one function each;
* :mod:`.choices`, :mod:`.operand_stack`: which machine code, and where operands are;
* :mod:`.control_state`: what functions with tail calls, exceptions or unset locals keep;
* :mod:`.immediates`, :mod:`.index_spaces`, :mod:`.locals`: what bytes mean, and what indices name;
* :mod:`.state`: the state that all of them work on.
"""

from __future__ import annotations

from ..abi import TRAP_STACK_OVERFLOW
from ..backends import OutOfReach, backend
from ..backends.convention import MANY_VALUES
from ..backends.operand import BARRIER_ENTRY
from ..errors import DecodeError, ValidationError, WasmError
from ..types import NOT_NULL, V128, VALUE_TYPES
from . import instructions
from .environment import ModuleEnvironment
from .locals import SHORT_INDICES, Locals, rank
from .loop import run
from .state import FUNCTION, POLL, BodyFault, Compilation, Label, Late, NeedsRetyping, NeedsRuns, Types, emit_fixups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..backends import Backend
    from ..backends.types import Places
    from ..binary.module_info import ModuleInfo
    from ..instances.context import ContextLayout
    from . import control_state as _control_state
    from . import immediates as _immediates
    from . import literals as _literals
    from . import modes as _modes
    from . import vectors_needed as _vectors_needed
    from .control_state import Landings
    from .locals import ManyParameters
    from .modes.recording import Record, Recording
else:
    _control_state = Late("control_state")
    _immediates = Late("immediates")
    _literals = Late("literals")
    _modes = Late("modes")
    _vectors_needed = Late("vectors_needed")

__all__ = ["Compiler", "load_all"]

#: Most locals of one function, parameters included: the limit that other engines share.
MAX_LOCALS = 50_000
#: So many entries of a jump table are made at once: it may have millions.
_ENTRIES_AT_ONCE = 1 << 12
#: After a body: reading ahead meets ``unreachable``, which notices that it is outside.
_PADDING = b"\0" * 16
#: A body of so many bytes is read in pieces, so that it takes no time in which nothing else can happen.
_LARGE = 1 << 18


def _bytes_of(data: bytes, start: int, end: int) -> list[int]:
    """The bytes of a large body, and the padding."""
    code: list[int] = []
    for at in range(start, end, _LARGE):
        code += data[at : min(at + _LARGE, end)]
    code += _PADDING
    return code


def load_all(backend: Backend) -> None:
    """Load everything that compiling may need, which else is loaded when it is first needed."""
    instructions.load_all()
    backend.target.load_all()
    # Reading these attributes loads the modules.
    _ = backend.control, backend.frames, backend.calls


class Compiler:
    """Compiles the functions of one module for one configuration.

    Args:
        info: the decoded module.
        layout: the layout of its instances' contexts.
        checked: emit code that verifies the engine's invariants, for tests.
        fuel: emit code that counts fuel.
        explicit_bounds: check memory bounds by code rather than by guard regions.
        deterministic: let relaxed vector instructions do the same on every processor, and every NaN be canonical.
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
        deterministic: bool = False,
        target: str,
    ) -> None:
        self.info = info
        self.checked = checked
        self.fuel = fuel
        self._layout = layout
        self._backend = backend(target)
        self.explicit_bounds = explicit_bounds
        self.deterministic = deterministic
        #: The functions compiled so far that catch exceptions: where these go depends on each byte of the code.
        self.catching: set[int] = set()
        #: By how far jumps reach, whether there are vectors, and whether entries are given other types.
        self._environments: dict[tuple[int, bool, bool], ModuleEnvironment] = {}

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
        recording = _modes.Recording()
        code, start, base = self._compile(defined, recording)
        return _modes.Record(code, start, base, recording)

    def landings(self, defined: int) -> Landings:
        """Compile once more, for where exceptions that come to the function go."""
        landings = _control_state.Landings()
        landings.code = self._compile(defined, None, landings)[0]
        return landings

    def _compile(
        self, defined: int, recording: Recording | None, landings: Landings | None = None
    ) -> tuple[bytes, int, int]:
        """The code, the length of its prologue, and where the expression begins in the module."""
        info = self.info
        start, end = info.bodies[defined]
        index = info.imported_funcs + defined
        reach = self._backend.control.reach(end - start)
        vectors = retypes = runs = False
        while True:
            env = self._environments.get((reach, vectors, retypes)) or self._environment(reach, vectors, retypes)
            code = [*info.data[start:end], *_PADDING] if end - start < _LARGE else _bytes_of(info.data, start, end)
            c = Compilation(env, code, start, end - start)
            c.runs = runs
            try:
                return self._compile_body(c, defined, index, recording, landings)
            except BodyFault as fault:
                raise self._error(fault, c.base + min(c.pc, c.end), index) from None
            except _vectors_needed.NeedsVectors:
                vectors = True
            except NeedsRetyping:
                retypes = True
            except NeedsRuns:
                runs = True
            except OutOfReach:
                if reach == env.control.LONGEST_REACH:
                    large = BodyFault("function too large: its machine code has jumps that cannot reach their targets")
                    raise self._error(large, c.base, index) from None
                reach += 1
            if recording is not None:
                recording.clear()

    def _environment(self, reach: int, vectors: bool, retypes: bool) -> ModuleEnvironment:
        env = ModuleEnvironment(
            self.info,
            self._layout,
            self._backend,
            reach,
            explicit_bounds=self.explicit_bounds,
            vectors=vectors,
            retypes=retypes,
            deterministic=self.deterministic,
        )
        for other in sorted(self._environments.values(), key=lambda other: other.vectors != vectors):
            env.share(other)
            break
        self._environments[reach, vectors, retypes] = env
        return env

    def _error(self, fault: BodyFault, offset: int, index: int) -> WasmError:
        name = self.info.func_names.get(index)
        if fault.malformed:
            from ..names import escaped  # only what is wrong needs it

            where = f" in function {index}" + (f" <{escaped(name)}>" if name else "")
            return DecodeError(fault.message + where, offset)
        return ValidationError(fault.message, offset, index, name, fault.feature)

    def _read_locals(self, c: Compilation) -> tuple[list[tuple[int, int]], int]:
        """Decode the declarations of locals, and how many there are, and leave ``c.pc`` after them."""
        code = c.code
        pc = 1
        count = code[0]
        if count > 127:
            pc, count = _immediates.read_unsigned(c, 0)
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
                pc, run = _immediates.read_unsigned(c, pc)
                pc, type_ = _immediates.value_type(c, pc)
                if type_ >= NOT_NULL:
                    # Such a local may have no first value, see below.
                    _control_state.control_state(c)
            total += run
            if total > 0xFFFF_FFFF:
                raise BodyFault("too many locals", malformed=True)
            if run:
                runs.append((run, type_))
        c.pc = pc
        return runs, total

    def _compile_body(
        self,
        c: Compilation,
        defined: int,
        index: int,
        recording: Recording | None,
        landings: Landings | None,
    ) -> tuple[bytes, int, int]:
        env = c.env
        frames = env.frames
        params, results = env.types[env.func_types[index]]
        runs, count = self._read_locals(c)
        count += len(params)
        if count > MAX_LOCALS:
            raise BodyFault("too many locals: at most 50,000 are supported")
        large = len(params) > MANY_VALUES or len(results) > MANY_VALUES
        if not env.vectors:
            if env.has_vector(params) or env.has_vector(results) if large else V128 in params or V128 in results:
                raise _vectors_needed.NeedsVectors
            for run_of_locals in runs:
                if run_of_locals[1] == V128:
                    raise _vectors_needed.NeedsVectors
        # From here on positions are counted from the expression's first byte.
        c.base += c.pc
        c.end -= c.pc
        body = self.info.data[c.base : c.base + c.end]
        del c.code[: c.pc]
        c.pc = 0
        many: ManyParameters | None = None
        places: Places = ()
        if large:
            c.runs = c.runs or len(results) > MANY_VALUES
            many = env.many_parameters(params)
            area = many.places.area
        else:
            places, area = env.parameter_places(params)
        hottest = rank(body, count if count < SHORT_INDICES else SHORT_INDICES)
        width = 16 if env.vectors else 8
        homes = Locals(params, places, runs, count, hottest, env.pins, frames, width, many)
        c.locals = homes
        c.locals_ = homes.entries
        c.self_index = index
        locals_end = homes.base + width * homes.frame_cells
        # Rounded, so that slots of different functions have the same offsets more often, which serves the memo.
        locals_end = (locals_end + 31) & -32
        stack = c.stack
        # Three operands at most are popped before a check, so as many spare barriers stand under the function's own.
        stack += [BARRIER_ENTRY] * 4
        label = Label(FUNCTION, 3, 1, (), results)
        c.labels.append(label)
        # The first entry has index 4 under one label.
        first_slot = frames.cell(locals_end, *env.width)
        c.slot_base = first_slot - 3 * env.step
        c.deepest = 2
        if c.control is not None:
            c.control.unset_locals(len(params))
        if recording is not None or self.checked or self.fuel or c.runs:
            c.special = _modes.Special(c, recording, self.checked, self.fuel)
        run(c)
        if c.control is not None:
            c.control.restore()
            if c.control.scopes:
                self.catching.add(defined)
        operand_cells = c.deepest - 2
        size = (locals_end + width * operand_cells + 15) & -16
        if recording is not None:
            recording.homes = homes
            recording.first_slot = first_slot
            recording.step = env.step
            recording.frame_size = size
        if len(results) > 1:
            c.out += env.pieces[env.calls.return_results][(env.result_places(results), first_slot, *env.width)]
        c.out += env.pieces[frames.epilogue][size, homes.pinned_ints, homes.pinned_floats, area]
        code, start, base = self._assemble(c, homes, params, size, area, recording)
        if landings is not None:
            landings.take(c, homes, size, start)
        return code, start, base

    def _assemble(
        self,
        c: Compilation,
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
        if homes.many is not None:
            prologue += homes.receive(frames, size, 16 if env.vectors else 8)
        elif params:
            own = tuple(homes.entries[: len(params)])
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
                out += poll_cold if number == POLL else env.traps[number]
                out += control.jump_back(len(out) - back)
            else:
                out += env.traps.get(number) or env.trap(number)
        if c.control is not None:
            c.control.emit(size, area, recording)
        if c.self_calls:
            emit_fixups(c, c.self_calls, -start)
        overflow = len(out)
        if limit_site:
            if recording is not None:
                recording.marks.append((overflow, 0))
            # An interruption raises the limit to the top: then the runtime resumes after the trap, and the limit is
            # read again.
            out += env.traps.get(TRAP_STACK_OVERFLOW) or env.trap(TRAP_STACK_OVERFLOW)
            out += control.jump_back(len(out) + start - limit_check)
        for site, depths, stubs in c.jump_tables:
            ends = len(out)
            out += b"\0" * (-ends & control.JUMP_TABLE_ALIGNMENT - 1)
            table = len(out)
            emit_fixups(c, (site,), table)
            targets = {depth: t if isinstance(t, int) else t.target for depth, t in stubs.items()}
            for first in range(0, len(depths), _ENTRIES_AT_ONCE):
                some = [targets[depth] for depth in depths[first : first + _ENTRIES_AT_ONCE]]
                out += control.jump_table_entries(table, some)
            if recording is not None:
                recording.tables.append((ends, table, [targets[depth] for depth in depths]))
        if c.literals:
            _literals.emit(c, start, recording)
        if limit_site:
            head = bytearray(prologue)
            patch(head, limit_site - fixup, start + overflow - limit_site)
            prologue = bytes(head)
        return prologue + out, start, c.base
