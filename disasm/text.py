"""Listings as text, for terminals and files."""

from __future__ import annotations

from ..counting import counted
from .arrows import margins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import FunctionListing, Group, Instruction

#: Bytes of an instruction that a line shows; of longer ones (x86-64 has up to fifteen) the rest is marked by a plus.
_BYTES_SHOWN = 11
_MNEMONIC = 8
_OPERANDS = 36
#: Runs of locals that a header shows.
_LOCALS_SHOWN = 40

#: What groups are called that are no wasm instruction's.
NOTES = {"prologue": "prologue", "cold": "out of line", "table": "jump table", "literals": "constants"}

#: SGR parameters (ECMA-48) of what is coloured.
_COLOURS = {
    "head": "1",
    "wasm": "36",
    "offset": "2",
    "arrow": "33",
    "label": "33",
    "mnemonic": "1",
    "remark": "32",
    "trap": "31",
    "note": "2",
}


class TextRenderer:
    """Writes listings as text.

    Args:
        colour: with the escape sequences that terminals understand.
        bytes: show the bytes of instructions.
        ascii_only: draw arrows with ASCII characters.
    """

    def __init__(self, *, colour: bool = False, bytes: bool = False, ascii_only: bool = False) -> None:
        self._colour = colour
        self._bytes = bytes
        self._ascii_only = ascii_only

    def function(self, listing: FunctionListing) -> str:
        """One function, as lines that end in a newline."""
        rows: list[str] = []
        jumps: dict[int, list[int]] = {}
        labels = listing.labels
        row_of: dict[int, int] = {}
        sources: list[tuple[int, int]] = []
        offset_width = max(5, len(f"{listing.wasm_end:x}") + 2)
        for group in listing.groups:
            rows.append(self._group_head(group, offset_width))
            if not rows[-1]:
                rows.pop()
            for item in group.machine:
                label = labels.get(item.address)
                if label is not None:
                    row_of[item.address] = len(rows)
                    rows.append(f"{'':{offset_width + 4}}{self._paint('label', label + ':')}")
                if item.flow in ("jump", "branch") and item.target is not None:
                    sources.append((len(rows), item.target))
                rows.append(self._machine(item, offset_width))
        for row, target in sources:
            # A target inside an instruction would have no row; there is none in what the compiler makes.
            if target in row_of:
                jumps.setdefault(row_of[target], []).append(row)
        drawn = margins(len(rows), jumps, ascii_only=self._ascii_only)
        lines = self._head(listing)
        if self._colour:
            drawn = [self._paint("arrow", margin) if margin.strip() else margin for margin in drawn]
        lines += [(margin + row).rstrip() for margin, row in zip(drawn, rows, strict=True)]
        return "\n".join(lines) + "\n"

    def _paint(self, what: str, text: str) -> str:
        return f"\x1b[{_COLOURS[what]}m{text}\x1b[0m" if self._colour and text else text

    def _head(self, listing: FunctionListing) -> list[str]:
        lines = [self._paint("head", listing.heading)]
        notes = [
            f"{listing.wasm_size} bytes of wasm at {listing.wasm_start:#x}, {len(listing.code)} bytes of "
            f"{listing.target_title} ({listing.expansion:.1f} times), frame {listing.frame_size} bytes, "
            f"{counted(listing.spills, 'spill')}, {counted(listing.reloads, 'reload')}"
        ]
        shown = [
            f"{home.name} {home.place}"
            if home.count == 1
            else f"{home.name} and {home.count - 1} more from {home.place} on"
            for home in listing.locals[:_LOCALS_SHOWN]
        ]
        more = sum(home.count for home in listing.locals[_LOCALS_SHOWN:])
        if more:
            shown.append(f"{more} more")
        if shown:
            notes.append("locals: " + ", ".join(shown))
        return lines + [self._paint("note", f";; {note}") for note in notes]

    def _group_head(self, group: Group, width: int) -> str:
        """The line of the wasm instruction; nothing for one without, such as a prologue."""
        if group.kind == "body":
            offset = self._paint("offset", f"{group.wasm_offset:#{width}x}" if group.wasm_offset is not None else "")
            return f"{offset}  {'  ' * group.depth}{self._paint('wasm', group.wasm)}"
        what = NOTES[group.kind]
        if group.kind == "cold" and group.wasm_offset is None:
            what += ": prologue"
        elif group.wasm_offset is not None:
            what += f": {group.wasm_offset:#x} {group.wasm.partition('  ;;')[0]}"
        return f"{'':{width}}  {self._paint('note', f';; {what}')}"

    def _machine(self, item: Instruction, width: int) -> str:
        address = self._paint("offset", f"{item.address:{width + 2}x}:")
        shown = ""
        if self._bytes:
            raw = item.bytes
            shown = raw[:_BYTES_SHOWN].hex(" ") + ("+" if len(raw) > _BYTES_SHOWN else "")
            shown = self._paint("offset", f"{shown:<{3 * _BYTES_SHOWN}}") + " "
        mnemonic = self._paint("mnemonic", f"{item.mnemonic + ' ':<{_MNEMONIC}}")
        line = f"{address}  {shown}{mnemonic}"
        if not item.symbols and not item.traps:
            return line + item.operands
        # A long mnemonic takes of the operands' room.
        line += f"{item.operands:<{_OPERANDS - max(0, len(item.mnemonic) + 1 - _MNEMONIC)}} "
        symbols = f"; {', '.join(item.symbols)}" if item.symbols else ""
        traps = f"; trap: {' or '.join(item.traps)}" if item.traps else ""
        return line + self._paint("remark", symbols) + self._paint("trap", traps)
