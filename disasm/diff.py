"""Two targets side by side: under each wasm instruction what it became on one and on the other."""

from __future__ import annotations

from itertools import zip_longest

from .text import NOTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import FunctionListing, Group, Instruction

_LEAST = 30


def side_by_side(left: FunctionListing, right: FunctionListing, width: int = 120) -> str:
    """One function for two targets, as lines that end in a newline.

    ``width`` is how many columns there are; what does not fit is cut off.
    """
    column = max((width - 8) // 2, _LEAST)
    lines = [left.heading]
    lines.append(f"{'':6}{_head(left):<{column}}  {_head(right)}".rstrip())
    bodies = (_by_offset(left), _by_offset(right))
    for kind in ("prologue", "body", "cold", "table", "literals"):
        rows = _rows(left, right, kind)
        for group in rows:
            key = (kind, group.wasm_offset)
            if kind == "body":
                lines.append(f"{group.wasm_offset:#6x}  {'  ' * group.depth}{group.wasm}")
            else:
                where = f": {group.wasm_offset:#x} {group.wasm.partition('  ;;')[0]}" if group.wasm else ""
                lines.append(f"{'':6}  ;; {NOTES[kind]}{where}")
            pairs = zip_longest(bodies[0].get(key, ()), bodies[1].get(key, ()))
            for one, other in pairs:
                first = _cell(left, one, column)
                lines.append(f"{'':6}{first:<{column}}  {_cell(right, other, column)}".rstrip())
    return "\n".join(lines) + "\n"


def _head(listing: FunctionListing) -> str:
    return f"{listing.target_title}: {len(listing.code)} bytes, frame {listing.frame_size}"


def _by_offset(listing: FunctionListing) -> dict[tuple[str, int | None], list[Instruction]]:
    """Instructions by group kind and wasm instruction, which may have several groups out of line."""
    found: dict[tuple[str, int | None], list[Instruction]] = {}
    for group in listing.groups:
        found.setdefault((group.kind, group.wasm_offset), []).extend(group.machine)
    return found


def _rows(left: FunctionListing, right: FunctionListing, kind: str) -> list[Group]:
    """Groups of a kind that either has, each once, in the order of the wasm instructions."""
    found = {group.wasm_offset: group for listing in (left, right) for group in listing.groups if group.kind == kind}
    return sorted(found.values(), key=lambda group: -1 if group.wasm_offset is None else group.wasm_offset)


def _cell(listing: FunctionListing, item: Instruction | None, width: int) -> str:
    if item is None:
        return ""
    label = listing.labels.get(item.address, "")
    text = f"{label + ':' if label else '':<5}{item.mnemonic + ' ':<8}{item.operands}"
    remark = f"  ; {item.remark}" if item.remark else ""
    text = text if len(text) + len(remark) > width else text + remark
    return text if len(text) <= width else text[: width - 1] + "…"
