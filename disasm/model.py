"""What a listing is: functions, the wasm instructions in them, and the machine instructions that these became.

Renderers stand beside this file: :mod:`.text`, :mod:`.as_json`, :mod:`.html`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

from vibewasm.traps import TRAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from vibewasm.types import FuncType

    Written = TypeVar("Written")


#: Kinds of groups that hold data.
DATA = ("table", "literals")


class Instruction(NamedTuple):
    """One machine instruction, or data: an entry of a jump table (mnemonic ``.long``), a vector constant (``.octa``),
    or padding (``.byte``).

    Attributes:
        address: offset in the function's code.
        bytes: its encoding.
        mnemonic: what it does.
        operands: its operands as text, targets as labels.
        symbols: what the operands stand for: locals by name, parts of the frame, globals, functions and so on.
        traps: messages of the traps that it can raise.
        flow: how control goes on, see :class:`vibewasm.disasm.machine.Shape`.
        target: address that a jump leads to, or that is taken of data in the code; ``None`` for other instructions.
        wasm_offset: byte offset in the module of the instruction that it belongs to; ``None`` in the prologue.
    """

    address: int
    bytes: bytes
    mnemonic: str
    operands: str
    symbols: tuple[str, ...]
    traps: tuple[str, ...]
    flow: str
    target: int | None
    wasm_offset: int | None

    @property
    def text(self) -> str:
        """Mnemonic and operands."""
        return f"{self.mnemonic} {self.operands}".rstrip()

    @property
    def remark(self) -> str:
        """What the operands stand for, and the traps, as one line; may be empty."""
        parts = [", ".join(self.symbols)] if self.symbols else []
        if self.traps:
            parts.append("trap: " + " or ".join(self.traps))
        return "; ".join(parts)

    def __str__(self) -> str:
        remark = self.remark
        return f"{self.address:x}: {self.text}" + (f"  ; {remark}" if remark else "")


class Group(NamedTuple):
    """Machine instructions that stand together, and the wasm instruction that they belong to.

    Attributes:
        kind: "prologue"; "body"; "cold" for code out of line; "table" for a jump table; "literals" for vector
            constants that stand together.
        wasm_offset: byte offset of the wasm instruction in the module; ``None`` in the prologue and of constants.
        depth: how deep in blocks the wasm instruction stands.
        wasm: its text; empty where there is none.
        machine: the machine instructions, none for an instruction that leaves no code.
    """

    kind: str
    wasm_offset: int | None
    depth: int
    wasm: str
    machine: Sequence[Instruction]


@dataclass(frozen=True, slots=True)
class LocalHome:
    """Where locals live for the whole function; ``count`` neighbours of one type in consecutive slots are one row.

    Attributes:
        index: of the first local.
        count: how many locals.
        name: identifier or index.
        type: its type.
        register: the register's name, or ``None``.
        offset: bytes from the frame pointer where there is no register.
    """

    index: int
    count: int
    name: str
    type: str
    register: str | None
    offset: int

    @property
    def place(self) -> str:
        """The register or the slot."""
        return self.register or f"[fp{self.offset:+d}]"


class Block(NamedTuple):
    """A basic block: instructions that are always executed from first to last.

    Attributes:
        start, end: range of addresses.
        successors: ``(address, kind)`` of each block that may come next; kinds are "next", "jump", "taken" (of a
            branch) and "table".
    """

    start: int
    end: int
    successors: Sequence[tuple[int, str]]


class FunctionListing:
    """The machine code of one function. ``str`` is the listing as text, and notebooks show it as a table.

    Attributes:
        index: in the module's function index space, imports first.
        name: from the name section, an export or an import; ``None`` without any.
        symbol: how listings name it: an identifier, or its kind and index.
        type: its signature.
        target: name of the target, such as "x86_64".
        target_title: the processor's name.
        wasm_start, wasm_end: range of its body in the module.
        code: the machine code.
        frame_size: bytes of its frame below the frame pointer.
        locals: where its locals live.
        spills, reloads: how many instructions store to and load from slots of the operand stack.
        groups: everything, in the order of addresses.
        labels: names of addresses that are led to.
        tables: addresses where jump tables begin, and where their entries lead.
        pads: addresses where exceptions land that the function catches, and what is said of them. Nothing jumps there.
    """

    __slots__ = (
        "code",
        "frame_size",
        "groups",
        "index",
        "labels",
        "locals",
        "name",
        "pads",
        "reloads",
        "spills",
        "symbol",
        "tables",
        "target",
        "target_title",
        "type",
        "wasm_end",
        "wasm_start",
    )

    def __init__(
        self,
        index: int,
        name: str | None,
        symbol: str,
        type: FuncType,
        target: str,
        target_title: str,
        wasm_range: tuple[int, int],
        code: bytes,
        frame_size: int,
        locals: list[LocalHome],
    ) -> None:
        self.index = index
        self.name = name
        self.symbol = symbol
        self.type = type
        self.target = target
        self.target_title = target_title
        self.wasm_start, self.wasm_end = wasm_range
        self.code = code
        self.frame_size = frame_size
        self.locals = locals
        self.spills = 0
        self.reloads = 0
        self.groups: list[Group] = []
        self.labels: dict[int, str] = {}
        self.tables: dict[int, list[int]] = {}
        self.pads: dict[int, str] = {}

    @property
    def heading(self) -> str:
        """How the text format would begin it: its identifier if it has one, its index, and its type."""
        name = f"{self.symbol} " if self.symbol.startswith("$") else ""
        return f"func {name}(;{self.index};): {self.type}"

    @property
    def wasm_size(self) -> int:
        """Bytes of the body in the module."""
        return self.wasm_end - self.wasm_start

    @property
    def expansion(self) -> float:
        """Bytes of machine code per byte of wasm."""
        return len(self.code) / self.wasm_size

    @property
    def instructions(self) -> list[Instruction]:
        """The machine instructions in the order of addresses, without data and padding."""
        return [item for group in self.groups if group.kind not in DATA for item in group.machine]

    @property
    def blocks(self) -> list[Block]:
        """The basic blocks, in the order of addresses: the nodes of the control-flow graph."""
        return basic_blocks(self)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)

    def __str__(self) -> str:
        from .text import TextRenderer

        return self._written(TextRenderer().function)

    def __repr__(self) -> str:
        return f"<FunctionListing {self.symbol} for {self.target}: {len(self.code)} bytes>"

    def _repr_html_(self) -> str:
        from .html import notebook

        return self._written(lambda listing: notebook([listing]))

    def _written(self, write: Callable[[FunctionListing], Written]) -> Written:
        """What writes the listing in one way or another. It takes long where the function is long."""
        from vibewasm.errors import guest_work

        return guest_work(None, f"writing the listing of function {self.index}", write, self)

    def as_dict(self) -> dict[str, object]:
        """The listing as plain data, as ``vibewasm disasm --format json`` prints it."""
        from .as_json import function

        return self._written(function)


class ModuleListing:
    """Listings of functions of a module, each made when it is asked for.

    Iterate over it, index it by position, or take one by :meth:`function`. ``str`` is all of it as text.

    Attributes:
        indices: function indices, in the order of the listing.
    """

    __slots__ = ("_make", "indices")

    #: Notebooks show so many functions of a module.
    _SHOWN = 20

    def __init__(self, indices: Sequence[int], make: Callable[[int], FunctionListing]) -> None:
        self.indices = tuple(indices)
        self._make = make

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[FunctionListing]:
        return map(self._make, self.indices)

    def __getitem__(self, position: int) -> FunctionListing:
        return self._make(self.indices[position])

    def function(self, index: int) -> FunctionListing:
        """The listing of the function with this index.

        Raises:
            KeyError: it is not in this listing.
        """
        if index not in self.indices:
            raise KeyError(index)
        return self._make(index)

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def __repr__(self) -> str:
        return f"<ModuleListing of {len(self)} functions>"

    def _repr_html_(self) -> str:
        from .html import notebook

        shown = [self[position] for position in range(min(len(self), self._SHOWN))]
        return notebook(shown, len(self) - len(shown))


def trap_message(number: int) -> str:
    """What the trap ``number`` is called."""
    return TRAPS[number][1]


def basic_blocks(listing: FunctionListing) -> list[Block]:
    """The basic blocks of a function. A call does not end a block; a trap does."""
    items = listing.instructions
    if not items:
        return []
    leaders = {items[0].address}
    for place, item in enumerate(items):
        if item.flow in ("jump", "branch", "return", "trap") and place + 1 < len(items):
            leaders.add(items[place + 1].address)
        if item.flow in ("jump", "branch") and item.target is not None:
            leaders.add(item.target)
    for targets in listing.tables.values():
        leaders.update(targets)
    leaders.update(listing.pads)
    addresses = [item.address for item in items]
    starts = sorted(leaders.intersection(addresses))
    code_end = items[-1].address + len(items[-1].bytes)
    blocks = []
    table: list[int] = []
    for place, start in enumerate(starts):
        end = starts[place + 1] if place + 1 < len(starts) else code_end
        first, last = bisect_left(addresses, start), bisect_left(addresses, end) - 1
        for item in items[first : last + 1]:
            if item.flow == "" and item.target in listing.tables:
                # The address of a table is taken right before the jump through it.
                table = listing.tables[item.target]
        item = items[last]
        successors: list[tuple[int, str]] = []
        if item.flow == "jump":
            if item.target is not None:
                successors.append((item.target, "jump"))
            else:
                successors += [(target, "table") for target in dict.fromkeys(table)]
        elif item.flow not in ("return", "trap"):
            if item.flow == "branch" and item.target is not None:
                successors.append((item.target, "taken"))
            if end < code_end:
                successors.append((end, "next"))
        blocks.append(Block(start, end, successors))
    return blocks
