"""What the operands of a function's machine instructions stand for."""

from __future__ import annotations

from vibewasm import abi
from vibewasm.traps import NULLS

from .model import Instruction, trap_message
from .symbols import CONTEXT, FRAME, Cell, Pointer, Symbols, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.compiler.modes.recording import Record

    from .frame import FrameNames
    from .machine import MemoryOperand, Reader, Shape
    from .model import FunctionListing

    #: Offset, bytes and meaning of a machine instruction.
    Item = tuple[int, bytes, Shape]

#: What instructions follow references to that wasm code has, or that their tails call.
_CALLEE: Pointer = ("record", "callee")
_EXCEPTION: Pointer = ("exception", "exception")
_FOLLOWED = {
    "call_ref": _CALLEE,
    "return_call": _CALLEE,
    "return_call_indirect": _CALLEE,
    "return_call_ref": _CALLEE,
    "rethrow": _EXCEPTION,
    "throw_ref": _EXCEPTION,
}


class Naming:
    """Gives the operands of one function's instructions their names.

    Args:
        symbols: names of the module's things.
        frame: names of what is in the function's registers and frame.
        reader: how the target's code is read.
        record: the recorded compilation.
        listing: the function's listing, with what the function is called, its labels and its landing pads.
        faulting: whether an access out of bounds is a fault of the access itself.

    Attributes:
        spills, reloads: instructions so far that store to and load from slots of the operand stack.
    """

    def __init__(
        self,
        symbols: Symbols,
        frame: FrameNames,
        reader: Reader,
        record: Record,
        listing: FunctionListing,
        faulting: bool,
    ) -> None:
        self.spills = 0
        self.reloads = 0
        self._context = symbols.context
        self._frame = frame
        self._cold = record.cold
        self._symbol = listing.symbol
        self._labels = listing.labels
        self._pads = listing.pads
        self._faulting = faulting
        registers = reader.registers
        #: What the registers with a role in all code point to.
        self._roles: dict[int, Pointer] = {
            registers.FRAME: FRAME,
            registers.CONTEXT: CONTEXT,
            registers.MEMORY_BASE: ("linear", ""),
        }
        #: What registers point to at the beginning of code out of line, by its address.
        self._pointers_at: dict[int, dict[int, Pointer]] = {}
        self._messages: dict[tuple[tuple[int, ...], str], tuple[str, ...]] = {}
        #: In which register references are that lead to a kind of block.
        self._references = {"record": reader.target.CALLEE, "exception": reader.target.RESULT}

    def instructions(self, items: list[Item], wasm_offset: int | None, wasm: str) -> list[Instruction]:
        """The machine instructions of one wasm instruction.

        Registers hold pointers from one instruction to the next, but beyond one wasm instruction only those with a role
        in all code do. So what they point to is followed here, and nowhere else.
        """
        roles = self._roles
        # Code out of line goes on where a branch left.
        pointers = self._pointers_at.get(items[0][0]) or dict(roles)
        names = self._frame.registers
        result = []
        for offset, raw, shape in items:
            symbols = [names[key] for key in shape.registers if key in names]
            faults = shape.faults
            memory = shape.memory
            if memory is not None:
                base = pointers.get(memory.base)
                if base is None and memory.reads:
                    base, null = self._follow(pointers, memory, wasm.partition(" ")[0])
                    # Tails, out of line, follow what has been looked at.
                    faults = (*faults, abi.TRAP_NULL_REFERENCE) if null and offset < self._cold else faults
                if base is not None:
                    symbols, faults = self._access(base, memory, symbols, faults)
                if memory.loads:
                    self._load_pointers(pointers, base, memory)
            if shape.written and len(pointers) > len(roles) and not (memory is not None and memory.loads):
                if shape.flow == "call" and memory is None:
                    symbols += [pointers[key][1] for key in shape.registers if pointers.get(key, CONTEXT)[0] == "code"]
                for key in shape.written:
                    if key not in roles:
                        pointers.pop(key, None)
            operands = shape.operands
            leads = None
            if shape.target is not None:
                leads = offset + shape.target
                if shape.flow == "call":
                    # A function calls itself only, all others go through memory.
                    operands = self._with(operands, self._symbol if leads == 0 else hex(leads))
                    leads = None
                elif memory is None:
                    operands = self._with(operands, self._labels[leads])
                    if shape.flow == "branch" and leads >= self._cold and len(pointers) > len(roles):
                        self._pointers_at[leads] = dict(pointers)
                else:
                    symbols.append(self._labels[leads])
            if shape.trap:
                faults = (shape.trap,)
            traps = self._traps(faults, wasm) if faults else ()
            if offset in self._pads:
                symbols = [self._pads[offset], *symbols]
            named = tuple(dict.fromkeys(symbols)) if symbols else ()
            result.append(
                Instruction(offset, raw, shape.mnemonic, operands, named, traps, shape.flow, leads, wasm_offset)
            )
        return result

    def _follow(self, pointers: dict[int, Pointer], memory: MemoryOperand, word: str) -> tuple[Pointer | None, bool]:
        """What the reference leads to that an instruction follows here for the first time, if it does, and whether it
        may be null.
        """
        base = _FOLLOWED.get(word)
        if base is None or self._references[base[0]] != memory.base or self._cell(base, memory.displacement) is None:
            return None, False
        pointers[memory.base] = base
        # A null reference is the address 0, whose page is not mapped.
        return base, word in NULLS

    @staticmethod
    def _with(operands: str, target: str) -> str:
        return f"{operands}, {target}" if operands else target

    def _access(
        self, base: Pointer, memory: MemoryOperand, symbols: list[str], faults: tuple[int, ...]
    ) -> tuple[list[str], tuple[int, ...]]:
        """What an instruction's operands stand for, that in memory included, and the traps that it can raise."""
        kind, label = base
        if kind == "linear":
            if self._faulting and (memory.reads or memory.writes):
                faults = (*faults, abi.TRAP_MEMORY_OUT_OF_BOUNDS)
            return symbols, faults
        if kind == "record" and memory.displacement == abi.RECORD_TYPE and label.startswith("element of"):
            # A null reference is the address 0, whose page is not mapped.
            faults = (*faults, abi.TRAP_NULL)
        found = []
        kept = False
        for place in range(max(len(memory.moved), 1)):
            offset = memory.displacement + memory.step * place
            cell = self._cell(base, offset)
            if cell is not None:
                found.append(cell[0])
            elif base is FRAME:
                slot = self._frame.slot(offset)
                if slot is not None:
                    found.append(f"slot {slot}")
                    self.spills += memory.writes
                    self.reloads += memory.reads
                elif place < len(memory.moved) and memory.moved[place] in self._frame.kept:
                    # What else lies in a frame is what the function saves and restores.
                    found.append(self._frame.kept[memory.moved[place]])
                    kept = True
        # A register that is saved or restored holds the caller's value, not the local.
        return found if kept else symbols + found, faults

    def _cell(self, base: Pointer, offset: int) -> Cell | None:
        """What lies at an offset of the block that a pointer leads to; ``None`` if it has no name."""
        if base is FRAME:
            return self._frame.cell(offset)
        if base is CONTEXT:
            return self._context.get(offset)
        return field(base, offset)

    def _load_pointers(self, pointers: dict[int, Pointer], base: Pointer | None, memory: MemoryOperand) -> None:
        """Note what registers point to that have been loaded."""
        found = []
        for place, key in enumerate(memory.moved):
            cell = self._cell(base, memory.displacement + memory.step * place) if base is not None else None
            found.append((key, cell[1] if cell is not None else None))
        for key, pointer in found:
            if pointer is not None:
                pointers[key] = pointer
            else:
                pointers.pop(key, None)

    def _traps(self, faults: tuple[int, ...], wasm: str) -> tuple[str, ...]:
        """Messages of traps that an instruction of this wasm instruction raises."""
        if "rem_" in wasm:
            # A remainder has no quotient that could be too large: code sees to the one that would be.
            faults = tuple(number for number in faults if number != abi.TRAP_INTEGER_OVERFLOW)
        null = NULLS.get(wasm.partition(" ")[0], "") if abi.TRAP_NULL_REFERENCE in faults else ""
        found = self._messages.get((faults, null))
        if found is None:
            found = self._messages[faults, null] = tuple(
                [
                    null if null and number == abi.TRAP_NULL_REFERENCE else trap_message(number)
                    for number in dict.fromkeys(faults)
                ]
            )
        return found
