"""From a module to listings: compiles with recording on, reads the machine code back, and gives things their names."""

from __future__ import annotations

from vibewasm import abi
from vibewasm.binary.module_info import FUNC
from vibewasm.errors import DecodeError, guest_work
from vibewasm.names import hint

from .frame import FrameNames
from .machine import Reader
from .model import FunctionListing, Group, Instruction, ModuleListing
from .naming import Naming
from .symbols import Symbols

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vibewasm.api.module import Module
    from vibewasm.compiler.modes.recording import Record

    from .naming import Item

#: Bytes of an entry of a jump table, and of a vector constant.
_TABLE_ENTRY, _LITERAL = 4, 16


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
            raise IndexError(f"function {index} is not defined in this module, which {_defined(first, end)}")
    builder = Builder(module, target, syntax)
    return ModuleListing(wanted, builder.function)


def _defined(first: int, end: int) -> str:
    """Which functions there are, as a message says it."""
    if first == end:
        defined = "defines none"
    else:
        defined = f"defines function {first}" if first + 1 == end else f"defines functions {first} to {end - 1}"
    if not first:
        return defined
    return f"imports function 0 and {defined}" if first == 1 else f"imports functions 0 to {first - 1} and {defined}"


def indices_of(module: Module, functions: Iterable[int | str]) -> list[int] | None:
    """Function indices of functions given by index or name; ``None`` for none given.

    Raises:
        KeyError: there is no function of that name.
        TypeError: one is neither an index nor a name.
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
        elif type(function) is not int:
            from vibewasm.arguments import whole

            function = whole("Module.disassemble", "a function", "its name, a str, or its index", function)
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
        self._module = module
        self._compiler = compiler = module.compiler_for(target)
        self._reader = reader or Reader(compiler.target_name, syntax)
        self._symbols = Symbols(module.info, module.layout)
        self._faulting = not compiler.explicit_bounds

    def function(self, index: int) -> FunctionListing:
        """The listing of function ``index``.

        Raises:
            ValidationError: its body is invalid.
            Interrupted: a deadline is over.
        """
        return guest_work(None, f"listing function {index}", self._listing, index)

    def _listing(self, index: int) -> FunctionListing:
        module, symbols, reader = self._module, self._symbols, self._reader
        info = module.info
        defined = index - info.imported_funcs
        record = self._compiler.record(defined)
        frame = FrameNames(record, reader, symbols.locals_of(index))
        listing = FunctionListing(
            index=index,
            name=module.func_name(index),
            symbol=symbols.name("func", index),
            type=info.func_type(index),
            target=reader.target.NAME,
            target_title=reader.target.TITLE,
            wasm_range=info.bodies[defined],
            code=record.code,
            frame_size=record.frame_size,
            locals=frame.homes,
        )
        listing.tables = {entries: targets for _, entries, targets in record.tables}
        items = _read(record, reader)
        led_to = {
            shape.target + offset for offset, _, shape in items if shape.target is not None and shape.flow != "call"
        }
        led_to.update(*listing.tables.values())
        writer = symbols.writer(index)
        writer.position = record.expression
        wasm = list(writer.instructions())
        if writer.position != listing.wasm_end:
            raise DecodeError("the text of a function ends elsewhere than its code", writer.position)
        if any(text.startswith("try") for _, _, text in wasm):
            listing.pads = self._pads(defined)
            led_to.update(listing.pads)
        listing.labels = {address: f"L{number}" for number, address in enumerate(sorted(led_to), 1)}
        naming = Naming(symbols, frame, reader, record, listing, self._faulting)
        listing.groups = _groups(record, items, wasm, naming)
        listing.groups += _tables(record, listing)
        if record.literals:
            _add_literals(record, listing)
        listing.spills, listing.reloads = naming.spills, naming.reloads
        return listing

    def _pads(self, defined: int) -> dict[int, str]:
        """What is said of each landing pad, by its address: nothing jumps there."""
        context = self._symbols.context
        found: dict[int, list[str]] = {}
        for _, clauses in self._compiler.landings(defined).scopes:
            for tag, position in clauses:
                found.setdefault(position, []).append(context[tag][0] if tag >= 0 else "any exception")
        return {position: f"catches {' or '.join(dict.fromkeys(tags))}" for position, tags in found.items()}


def _read(record: Record, reader: Reader) -> list[Item]:
    """All instructions; jump tables and vector constants are left out."""
    found: list[Item] = []
    position = 0
    data = [(start, entries + _TABLE_ENTRY * len(targets)) for start, entries, targets in record.tables]
    data += [(start, bits + _LITERAL) for start, bits in record.literals]
    for start, end in sorted(data):
        found += reader.read(record.code, position, start)
        position = end
    found += reader.read(record.code, position, len(record.code))
    return found


def _groups(record: Record, items: list[Item], wasm: list[tuple[int, int, str]], naming: Naming) -> list[Group]:
    """Share the machine instructions out to the wasm instructions that they belong to."""
    prologue, body, cold = _stretches(record, items)
    groups = []
    if prologue:
        groups.append(Group("prologue", None, 0, "", naming.instructions(prologue, None, "")))
    texts = {}
    nothing: tuple[Instruction, ...] = ()
    for offset, depth, text in wasm:
        texts[offset] = text
        found = body.get(offset)
        machine = naming.instructions(found, offset, text) if found else nothing
        groups.append(Group("body", offset, depth, text, machine))
    jumpers: dict[int, int] = {}
    for offset, found in cold:
        if offset not in texts:
            # The tail of tail calls, which several may share.
            jumpers = jumpers or _jumpers(body)
            offset = jumpers[found[0][0]]
        if found[0][2].trap == abi.TRAP_STACK_OVERFLOW:
            # It belongs to the check in the prologue.
            groups.append(Group("cold", None, 0, "", naming.instructions(found, None, "")))
        else:
            text = texts[offset]
            groups.append(Group("cold", offset, 0, text, naming.instructions(found, offset, text)))
    return groups


def _jumpers(body: dict[int, list[Item]]) -> dict[int, int]:
    """By where jumps lead: the first wasm instruction that jumps there."""
    found: dict[int, int] = {}
    for wasm, items in body.items():
        for offset, _, shape in items:
            if shape.target is not None:
                found.setdefault(shape.target + offset, wasm)
    return found


def _stretches(
    record: Record, items: list[Item]
) -> tuple[list[Item], dict[int, list[Item]], list[tuple[int, list[Item]]]]:
    """The instructions of the prologue; those of the body by offsets of wasm instructions; those out of line."""
    prologue: list[Item] = []
    body: dict[int, list[Item]] = {}
    cold: list[tuple[int, list[Item]]] = []
    marks = record.marks
    mark = 0
    current = prologue
    following = marks[0][0]
    for item in items:
        offset = item[0]
        if offset >= following:
            # Of equal marks the last one counts: the others are of instructions that left no code.
            while mark < len(marks) and marks[mark][0] <= offset:
                mark += 1
            following = marks[mark][0] if mark < len(marks) else len(record.code)
            current = []
            if offset >= record.cold:
                cold.append((marks[mark - 1][1], current))
            else:
                current = body.setdefault(marks[mark - 1][1], current)
        current.append(item)
    return prologue, body, cold


def _tables(record: Record, listing: FunctionListing) -> list[Group]:
    """Jump tables, which belong to the instructions that take their addresses."""
    users = {
        item.target: group
        for group in listing.groups
        for item in group.machine
        if item.flow == "" and item.target is not None
    }
    groups = []
    code = record.code
    for start, entries, targets in sorted(record.tables, key=lambda table: table[0]):
        user = users[entries]
        wasm = user.wasm_offset
        machine = []
        if entries > start:
            machine.append(_padding(code, start, entries, wasm))
        for place, leads in enumerate(targets):
            offset = entries + _TABLE_ENTRY * place
            text = f"{listing.labels[leads]} - {listing.labels[entries]}"
            raw = code[offset : offset + _TABLE_ENTRY]
            machine.append(Instruction(offset, raw, ".long", text, (), (), "", leads, wasm))
        groups.append(Group("table", wasm, 0, user.wasm, machine))
    return groups


def _padding(code: bytes, start: int, end: int, wasm: int | None) -> Instruction:
    zeros = ", ".join(["0x00"] * (end - start))
    return Instruction(start, code[start:end], ".byte", zeros, (), (), "", None, wasm)


def _add_literals(record: Record, listing: FunctionListing) -> None:
    """Put vector constants in their places: after the code, or amid it where they would be out of reach there.

    A constant may be several instructions': it counts as the first one's.
    """
    users: dict[int | None, int | None] = {}
    for group in listing.groups:
        for item in group.machine:
            users.setdefault(item.target, item.wasm_offset)
    runs: list[list[Instruction]] = []
    code = record.code
    for start, bits in sorted(record.literals):
        if not runs or runs[-1][-1].address + _LITERAL != start:
            runs.append([])
        wasm = users.get(bits)
        if bits > start:
            runs[-1].append(_padding(code, start, bits, wasm))
        raw = code[bits : bits + _LITERAL]
        lanes = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, _LITERAL, 4)]
        remark = f"i32x4 {' '.join([f'{lane:#010x}' for lane in lanes])}"
        value = f"{int.from_bytes(raw, 'little'):#034x}"
        runs[-1].append(Instruction(bits, raw, ".octa", value, (remark,), (), "", None, wasm))
    for run in runs:
        start = run[0].address
        place = max(
            at for at, group in enumerate(listing.groups, 1) if group.machine and group.machine[0].address < start
        )
        listing.groups.insert(place, Group("literals", None, 0, "", run))
