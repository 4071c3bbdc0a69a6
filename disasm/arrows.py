"""Arrows in the margin of a listing, from jumps to where they lead."""

from __future__ import annotations

from bisect import bisect_left

#: More lanes than these are not drawn: jumps that find none free have their labels only, the longest first.
MOST_LANES = 6

#: Characters by whether they are ASCII: vertical, horizontal, crossing, top corner, bottom corner, tee, arrowhead.
_BOX = ("│", "─", "┼", "┌", "└", "├", "►")
_ASCII = ("|", "-", "+", ",", "'", "+", ">")


def margins(count: int, jumps: dict[int, list[int]], *, ascii_only: bool = False) -> list[str]:
    """The margin of each of ``count`` rows; all have one width, 0 where nothing is drawn.

    Args:
        jumps: rows of jumps by the row that they lead to.
        ascii_only: draw with ASCII characters.
    """
    lanes = _lanes(jumps)
    if not lanes:
        return [""] * count
    vertical, horizontal, crossing, top, bottom, tee, head = _ASCII if ascii_only else _BOX
    width = 2 * (1 + max(lanes.values())) + 1
    cells: dict[int, list[str]] = {}
    # The outermost first, so that inner lines are crossed by what is drawn later.
    for target in sorted(lanes, key=lambda row: -lanes[row]):
        rows = {target, *jumps[target]}
        first, last = min(rows), max(rows)
        column = width - 3 - 2 * lanes[target]
        for row in range(first, last + 1):
            line = cells.get(row)
            if line is None:
                line = cells[row] = [" "] * width
            if row not in rows:
                line[column] = crossing if line[column] == horizontal else vertical
                continue
            line[column] = top if row == first else bottom if row == last else tee
            for place in range(column + 1, width - 1):
                line[place] = crossing if line[place] in (vertical, crossing) else horizontal
            line[width - 1] = head if row == target else horizontal
    blank = " " * width
    return ["".join(cells[row]) if row in cells else blank for row in range(count)]


def _lanes(jumps: dict[int, list[int]]) -> dict[int, int]:
    """Lane of each target whose jumps are drawn; 0 is next to the text. The shortest choose first."""
    spans = []
    for target, sources in jumps.items():
        first, last = min(target, *sources), max(target, *sources)
        if last > first:
            spans.append((last - first, first, last, target))
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for _, first, last, target in sorted(spans):
        for lane in range(MOST_LANES):
            if lane == len(taken):
                taken.append([])
            spaces = taken[lane]
            place = bisect_left(spaces, (first, last))
            before_ends = place == 0 or spaces[place - 1][1] < first
            if before_ends and (place == len(spaces) or spaces[place][0] > last):
                spaces.insert(place, (first, last))
                lanes[target] = lane
                break
    return lanes
