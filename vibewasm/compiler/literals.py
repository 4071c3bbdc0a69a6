"""Vector constants that code reads from beside itself: after the function, or after the instruction where that is too
far.
"""

from __future__ import annotations

from .state import Compilation, emit_fixups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .modes.recording import Recording

_SIZE = 16


def emit(c: Compilation, start: int, recording: Recording | None) -> None:
    """Append the constants, each once and at a multiple of its size, and let the code lead to them.

    Args:
        start: what comes before ``c.out``, in bytes.
        recording: where to note them.
    """
    out = c.out
    places: dict[int, int] = {}
    for site, bits in c.literals:
        place = places.get(bits)
        if place is None:
            before = len(out)
            out += bytes(-(start + before) & _SIZE - 1)
            place = places[bits] = len(out)
            out += bits.to_bytes(_SIZE, "little")
            if recording is not None:
                recording.literals.append((before, place))
        emit_fixups(c, (site,), place)


def emit_at_once(c: Compilation) -> None:
    """The same in the midst of the code, which jumps over them: for a function so long that they would be out of reach.

    Nothing is known of alignment here; the processors for which this is do not need it.
    """
    out = c.out
    out += c.env.jump
    end = len(out)
    emit(c, 0, c.special.recording if c.special is not None else None)
    c.literals.clear()
    emit_fixups(c, (end,), len(out))
