"""From a module to listings: compiles with recording on, reads the machine code back, and gives things their names."""

from __future__ import annotations

from dataclasses import replace

from vibewasm.backends import abi
from vibewasm.backends.operand import I64, V128, is_float
from vibewasm.binary.module_info import FUNC
from vibewasm.errors import DecodeError
from vibewasm.names import hint
from vibewasm.types import type_name

from .machine import MemoryOperand, Reader, Shape
from .model import FunctionListing, Group, Instruction, LocalHome, ModuleListing, trap_message
from .symbols import CONTEXT, FRAME, Cell, Pointer, Symbols, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vibewasm.compiler.record import Record
    from vibewasm.module import Module

#: Locals that get a row of their own in a listing; the others are there as runs.
_MOST_LOCALS = 128
_TABLE_ENTRY = 4
_CELL = 8
#: From a vector register's number to its key.
_VECTORS = 64


def disassemble(
    module: Module, indices: Iterable[int] | None = None, *, target: str | None = None, syntax: str | None = None
) -> ModuleListing:
    """Listings of the functions with these indices (imports counted), or of all that the module defines.

    Args:
        target: name of the backend; ``None`` for the one that the module is compiled for.
        syntax: "intel" or "att", which matters to x86-64 only.

    Raises:
        IndexError: the module defines no such function.
        ValueError: there is no such target or syntax.
        MissingCapstoneError: capstone is not installed.
        ValidationError: when a listing is made, the function's body is invalid.
    """
    info = module.info
    first, end = info.imported_funcs, info.imported_funcs + len(info.bodies)
    wanted = range(first, end) if indices is None else tuple(indices)
    for index in wanted:
        if not first <= index < end:
            raise IndexError(f"function {index} is not defined in this module")
    builder = Builder(module, target, syntax)
    return ModuleListing(wanted, builder.function)


def indices_of(module: Module, functions: Iterable[int | str]) -> list[int] | None:
    """Function indices of functions given by index or name; ``None`` for none given.

    Raises:
        KeyError: there is no function of that name.
    """
    info = module.info
    wanted = []
    names: dict[str, int] = {}
    for function in functions:
        if isinstance(function, str):
            if not names:
                names = {name: index for index, name in info.func_names.items()}
                names |= {export.name: export.index for export in info.exports if export.kind == FUNC}
            if function not in names:
                raise KeyError(f"there is no function {function!r}{hint(function, names)}")
            function = names[function]
        wanted.append(function)
    return wanted or None


class Builder:
    """Makes listings of one module's functions for one target.

    Args:
        module: the module.
        target, syntax: see :func:`disassemble`.
        reader: one of that target and syntax, which has read other modules before and is faster for it.
    """

    def __init__(
        self, module: Module, target: str | None = None, syntax: str | None = None, reader: Reader | None = None
    ) -> None:
        if target is not None and target != module.compiler.target_name:
            module = _compiled_for(module, target)
        self._module = module
        self._info = module.info
        self._reader = reader or Reader(module.compiler.target_name, syntax)
        self._symbols = Symbols(module.info, module.layout)
        self._faulting = not module.compiler.explicit_bounds

    def function(self, index: int) -> FunctionListing:
        """The listing of function ``index``."""
        return _Function(self, index).build()


def _compiled_for(module: Module, target: str) -> Module:
    """The same module for another target."""
    from vibewasm.config import Config
    from vibewasm.engine import Engine
    from vibewasm.module import Module

    config = module.engine.config
    other = Config(
        checked=config.checked, fuel=config.fuel, explicit_bounds=module.compiler.explicit_bounds, target=target
    )
    return Module(Engine(other), module.info.data)


class _Function(Builder):
    """The making of one listing.

    Attributes:
        record: the recorded compilation.
        frame: what lies at each offset from the frame pointer, but for the operand stack.
        local_registers: names of the locals that live in registers, by the registers' keys.
        _kept: what is saved of the caller's in this frame, by the registers' keys.
        _pointers_at: what registers point to at the beginning of code out of line, by its address.
    """

    def __init__(self, of: Builder, index: int) -> None:
        self.__dict__.update(of.__dict__)
        info = self._info
        self._index = index
        self._defined = index - info.imported_funcs
        self._type = info.func_type(index)
        self.record: Record = self._module.compiler.record(self._defined)
        self._local_names = self._symbols.locals_of(index)
        self.frame: dict[int, Cell] = {}
        self.local_registers: dict[int, str] = {}
        self._kept: dict[int, str] = {}
        self._pointers_at: dict[int, dict[int, Pointer]] = {}
        self._traps: dict[tuple[int, ...], tuple[str, ...]] = {}

    def build(self) -> FunctionListing:
        """The listing."""
        record = self.record
        target = self._reader.target
        info = self._info
        homes = self._find_homes()
        self._name_frame()
        symbol = self._symbols.name("func", self._index)
        listing = FunctionListing(
            self._index,
            self._module.func_name(self._index),
            symbol,
            self._type,
            target.NAME,
            target.TITLE,
            info.bodies[self._defined],
            record.code,
            record.frame_size,
            homes,
        )
        listing.tables = {entries: targets for _, entries, targets in record.tables}
        read = self._read_code()
        led_to = {
            shape.target + offset for offset, _, shape in read if shape.target is not None and shape.flow != "call"
        }
        for targets in listing.tables.values():
            led_to.update(targets)
        listing.labels = {address: f"L{number}" for number, address in enumerate(sorted(led_to), 1)}
        self._group(listing, read)
        return listing

    # -- what lies where

    def _find_homes(self) -> list[LocalHome]:
        """Where locals live, and the names of what lies in their places."""
        locals_ = self.record.homes
        rows = []
        target = self._reader.target
        shown = min(locals_.count, _MOST_LOCALS)
        for index in range(shown):
            entry = locals_.entry(index)
            assert entry is not None
            name = self._local_names.get(index) or f"local {index}"
            if entry.reg >= 0:
                key = entry.reg + (_VECTORS if is_float(entry.type) else 0)
                self.local_registers[key] = name
                register: str | None = target.register_name(entry.type, entry.reg)
            else:
                self.frame[entry.offset] = (name, None)
                register = None
            rows.append(LocalHome(index, 1, name, type_name(entry.type), register, entry.offset))
        return rows + self._runs(shown)

    def _runs(self, index: int) -> list[LocalHome]:
        """Locals from ``index`` on, as runs: there may be tens of thousands."""
        rows: list[LocalHome] = []
        locals_ = self.record.homes
        while index < locals_.count:
            entry = locals_.entry(index)
            assert entry is not None
            name = self._local_names.get(index) or f"local {index}"
            self.frame[entry.offset] = (name, None)
            last = rows[-1] if rows else None
            if (
                last is not None
                and last.type == type_name(entry.type)
                and entry.offset == last.offset + self._reader.frames.STEP * last.count
            ):
                rows[-1] = replace(last, count=last.count + 1)
            else:
                rows.append(LocalHome(index, 1, name, type_name(entry.type), None, entry.offset))
            index += 1
        return rows

    def _name_frame(self) -> None:
        """What else lies in the frame."""
        self.frame[self._reader.frames.CONTEXT_SLOT] = ("context", CONTEXT)
        registers = self._reader.registers
        locals_ = self.record.homes
        name = self._reader.target.register_name
        for type_, kept in (
            (I64, registers.PINNED[: locals_.pinned_ints]),
            (V128, registers.FLOAT_PINNED[: locals_.pinned_floats]),
        ):
            for number in kept:
                self._kept[number + (_VECTORS if is_float(type_) else 0)] = f"caller's {name(type_, number)}"

    # -- reading the code

    def _read_code(self) -> list[tuple[int, bytes, Shape]]:
        """All instructions; jump tables are left out."""
        found: list[tuple[int, bytes, Shape]] = []
        position = 0
        for start, entries, targets in sorted(self.record.tables, key=lambda table: table[0]):
            found += self._reader.read(self.record.code, position, start)
            position = entries + _TABLE_ENTRY * len(targets)
        found += self._reader.read(self.record.code, position, len(self.record.code))
        return found

    def _group(self, listing: FunctionListing, read: list[tuple[int, bytes, Shape]]) -> None:
        """Share the machine instructions out to the wasm instructions that they belong to."""
        record = self.record
        writer = self._symbols.writer(self._index)
        writer.position = record.expression
        stretches: dict[int, list[tuple[int, bytes, Shape]]] = {}
        cold: list[tuple[int, list[tuple[int, bytes, Shape]]]] = []
        prologue: list[tuple[int, bytes, Shape]] = []
        marks = record.marks
        mark = 0
        current = prologue
        # Where the next stretch begins; equal marks are of instructions that left no code but for the last.
        following = marks[0][0] if marks else len(record.code)
        for item in read:
            offset = item[0]
            if offset >= following:
                while mark < len(marks) and marks[mark][0] <= offset:
                    mark += 1
                wasm = marks[mark - 1][1]
                following = marks[mark][0] if mark < len(marks) else len(record.code)
                current = []
                if offset >= record.cold:
                    cold.append((wasm, current))
                else:
                    current = stretches.setdefault(wasm, current)
            current.append(item)
        instructions = list(writer.instructions())
        if writer.position != listing.wasm_end:
            raise DecodeError("the text of a function ends elsewhere than its code", writer.position)
        name = self._instructions
        groups = listing.groups
        if prologue:
            groups.append(Group("prologue", None, 0, "", name(listing, prologue, None, "")))
        texts = {}
        nothing: tuple[Instruction, ...] = ()
        for wasm, depth, text in instructions:
            texts[wasm] = text
            found = stretches.get(wasm)
            machine = name(listing, found, wasm, text) if found else nothing
            groups.append(Group("body", wasm, depth, text, machine))
        for wasm, items in cold:
            if items[0][2].trap == abi.TRAP_STACK_OVERFLOW:
                # Belongs to the check in the prologue.
                groups.append(Group("cold", None, 0, "", name(listing, items, None, "")))
            else:
                groups.append(Group("cold", wasm, 0, texts[wasm], name(listing, items, wasm, texts[wasm])))
        groups += self._tables(listing, texts)

    def _tables(self, listing: FunctionListing, texts: dict[int, str]) -> list[Group]:
        """Jump tables, which belong to the instructions that take their addresses."""
        users = {
            item.target: item.wasm_offset
            for group in listing.groups
            for item in group.machine
            if item.flow == "" and item.target is not None
        }
        groups = []
        code = self.record.code
        for start, entries, targets in sorted(self.record.tables, key=lambda table: table[0]):
            wasm = users.get(entries)
            machine = []
            if entries > start:
                zeros = ", ".join(["0x00"] * (entries - start))
                machine.append(Instruction(start, code[start:entries], ".byte", zeros, (), (), "", None, wasm))
            for offset, leads in zip(range(entries, len(code), _TABLE_ENTRY), targets, strict=False):
                raw = code[offset : offset + _TABLE_ENTRY]
                text = f"{listing.labels[leads]} - {listing.labels.get(entries, hex(entries))}"
                machine.append(Instruction(offset, raw, ".long", text, (), (), "", leads, wasm))
            groups.append(Group("table", wasm, 0, texts[wasm] if wasm is not None else "", machine))
        return groups

    # -- giving names

    def _instructions(
        self,
        listing: FunctionListing,
        items: list[tuple[int, bytes, Shape]],
        wasm: int | None,
        text: str,
    ) -> list[Instruction]:
        """Machine instructions of one wasm instruction, their operands named.

        Registers hold pointers from one instruction to the next, never beyond one wasm instruction but for the pinned
        ones; so what a register points to is followed here and nowhere else.
        """
        registers = self._reader.registers
        roles: dict[int, Pointer] = {
            registers.FRAME: FRAME,
            registers.CONTEXT: CONTEXT,
            registers.MEMORY_BASE: ("linear", ""),
        }
        pinned = frozenset(roles)
        # Code out of line goes on where a branch left.
        pointers = self._pointers_at.get(items[0][0]) or dict(roles)
        result = []
        names = self.local_registers
        labels = listing.labels
        for offset, raw, shape in items:
            symbols = [names[key] for key in shape.registers if key in names]
            faults = shape.faults
            memory = shape.memory
            if memory is not None:
                base = pointers.get(memory.base)
                if base is not None:
                    symbols, faults = self._access(listing, base, memory, symbols, faults)
                if memory.loads:
                    self._load_pointers(pointers, base, memory)
                elif shape.written and len(pointers) > len(roles):
                    self._forget(pointers, shape.written - pinned)
            elif shape.written and len(pointers) > len(roles):
                if shape.flow == "call":
                    symbols += [pointers[key][1] for key in shape.registers if pointers.get(key, CONTEXT)[0] == "code"]
                self._forget(pointers, shape.written - pinned)
            operands = shape.operands
            leads: int | None = None
            if shape.target is not None:
                leads = offset + shape.target
                if shape.flow == "call":
                    where = listing.symbol if leads == 0 else f"{leads:#x}"
                    operands = f"{operands}, {where}" if operands else where
                    leads = None
                elif memory is None:
                    operands = f"{operands}, {labels[leads]}" if operands else labels[leads]
                else:
                    symbols.append(labels[leads])
                if (
                    shape.flow == "branch"
                    and leads is not None
                    and leads >= self.record.cold
                    and len(pointers) > len(roles)
                ):
                    self._pointers_at[leads] = dict(pointers)
            number = shape.trap
            if number:
                traps: tuple[str, ...] = (trap_message(number),)
            elif faults:
                traps = self._messages(faults, text)
            else:
                traps = ()
            result.append(
                Instruction(
                    offset,
                    raw,
                    shape.mnemonic,
                    operands,
                    tuple(dict.fromkeys(symbols)) if symbols else (),
                    traps,
                    shape.flow,
                    leads,
                    wasm,
                )
            )
        return result

    @staticmethod
    def _forget(pointers: dict[int, Pointer], written: frozenset[int]) -> None:
        for key in written:
            pointers.pop(key, None)

    def _access(
        self,
        listing: FunctionListing,
        base: Pointer,
        memory: MemoryOperand,
        symbols: list[str],
        faults: tuple[int, ...],
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
            offset = memory.displacement + _CELL * place
            cell = self._cell(base, offset)
            if cell is not None:
                found.append(cell[0])
            elif kind == "frame":
                slot, rest = divmod(offset - self.record.first_slot, self._reader.frames.STEP)
                if slot >= 0 and not rest:
                    found.append(f"slot {slot}")
                    listing.spills += memory.writes
                    listing.reloads += memory.reads
                elif place < len(memory.moved) and memory.moved[place] in self._kept:
                    # What else lies in a frame is what the function saves and restores.
                    found.append(self._kept[memory.moved[place]])
                    kept = True
        # A register that is saved or restored holds the caller's value, not the local.
        return found if kept else symbols + found, faults

    def _cell(self, base: Pointer, offset: int) -> Cell | None:
        """What lies at an offset of the block that a pointer leads to; ``None`` if it has no name."""
        if base is FRAME:
            return self.frame.get(offset)
        if base is CONTEXT:
            return self._symbols.context.get(offset)
        return field(base, offset)

    def _load_pointers(self, pointers: dict[int, Pointer], base: Pointer | None, memory: MemoryOperand) -> None:
        """Note what registers point to that have been loaded."""
        found = []
        for place, key in enumerate(memory.moved):
            cell = self._cell(base, memory.displacement + _CELL * place) if base is not None else None
            found.append((key, cell[1] if cell is not None else None))
        for key, pointer in found:
            if pointer is not None:
                pointers[key] = pointer
            else:
                pointers.pop(key, None)

    def _messages(self, faults: tuple[int, ...], wasm: str) -> tuple[str, ...]:
        if "rem_" in wasm and abi.TRAP_INTEGER_OVERFLOW in faults:
            # A remainder has no quotient that could be too large: code sees to the one that would be.
            faults = tuple(number for number in faults if number != abi.TRAP_INTEGER_OVERFLOW)
        found = self._traps.get(faults)
        if found is None:
            found = self._traps[faults] = tuple(map(trap_message, dict.fromkeys(faults)))
        return found
