"""What frames of stubs have in common: those of ``enter``, and of stubs that call out. See ``docs/abi.md``."""

from __future__ import annotations

from ... import abi
from . import asm
from .addresses import add
from .control import Assembler, raise_trap
from .frames import CONTEXT_SLOT
from .regs import CALLEE, CONTEXT, FRAME, LINK, SCRATCH, SP, X0, X1, X2, X9, X10, X11, X12, X15

#: The frames of stubs that call out begin alike: context, previous exit frame, then what the C code may overwrite of
#: the registers that wasm functions preserve, and x8.
EXIT_PREVIOUS = 24
_EXIT_INTS = 32
_EXIT_FLOATS = 96
EXIT_FRAME = 352
_EXIT_INT_PAIRS = ((CALLEE, X9), *[(first, first + 1) for first in range(X10, X15, 2)])
_EXIT_FLOAT_PAIRS = tuple((first, first + 1) for first in range(8, 24, 2))


def pairs(op: tuple[int, int], registers: tuple[tuple[int, int], ...], offset: int) -> bytes:
    """Load or store pairs of registers from an offset of the frame on."""
    step = 2 * op[1]
    return b"".join([asm.pair(op, a, b, FRAME, offset + step * index) for index, (a, b) in enumerate(registers)])


def make_frame(size: int) -> bytes:
    """A frame of ``size`` bytes with the context in its place."""
    code = add(SP, SP, -size) + asm.pair(asm.STP_X, FRAME, LINK, SP, 0) + asm.mov_sp(FRAME, SP)
    return code + asm.access(asm.STR_X, CONTEXT, FRAME, CONTEXT_SLOT)


def drop_frame(size: int) -> bytes:
    """The reverse, with the return address back in x30."""
    return asm.pair(asm.LDP_X, FRAME, LINK, SP, 0) + add(SP, SP, size)


def set_float_mode(mode: int, scratch: int) -> bytes:
    """Write FPCR, which takes long, unless it has that value already."""
    code = asm.mrs(scratch, asm.FPCR) + asm.cmp_rr(1, scratch, mode)
    return code + asm.b_cond(asm.CC_EQ, 8) + asm.msr(asm.FPCR, mode)


def load_cell(dst: int, base: int, offset: int) -> bytes:
    """Load a cell at a fixed offset."""
    return asm.access(asm.LDR_X, dst, base, offset)


def store_cell(src: int, base: int, offset: int) -> bytes:
    """Store a cell at a fixed offset."""
    return asm.access(asm.STR_X, src, base, offset)


def call_out(a: Assembler) -> None:
    """Call into Python, at the address in x16, from a frame that :data:`EXIT_FRAME` and so on describe, with the C
    arguments in place.

    Saves nothing. x11 is the store block. Afterwards x1 is the store block, x9 the value of its "failed" cell, and x0
    the callback's result.
    """
    a.emit(
        asm.mov_ri(X12, abi.HOST_FAILURE),
        store_cell(X12, X11, abi.STORE_FAILED),
        store_cell(FRAME, X11, abi.STORE_EXIT_FP),
        asm.blr(SCRATCH),
        load_cell(X1, CONTEXT, abi.CTX_STORE),
        load_cell(X9, FRAME, EXIT_PREVIOUS),
        store_cell(X9, X1, abi.STORE_EXIT_FP),
        load_cell(X9, X1, abi.STORE_FLOAT_MODE),
        set_float_mode(X9, X10),
        load_cell(X9, X1, abi.STORE_FAILED),
    )


def take_interruption(a: Assembler) -> None:
    """Prepare for :func:`call_out` to the poll callback; x11 is the store block. Changes x12.

    The callback is told why, and the stack limit is lowered.
    """
    a.emit(
        load_cell(X1, X11, abi.STORE_INTERRUPT),
        asm.logic_ri(asm.AND, 1, X12, X1, abi.INTERRUPT_WATCH),
        store_cell(X12, X11, abi.STORE_INTERRUPT),
        load_cell(X12, X11, abi.STORE_REAL_LIMIT),
        store_cell(X12, X11, abi.STORE_STACK_LIMIT),
        asm.mov_rr(1, X0, CONTEXT),
        asm.mov_ri(X2, 0),
        # Whoever interrupts sets the word and then the limit; one who has set the word since it was cleared may have
        # set the limit before it was lowered.
        asm.dmb_ish(),
        load_cell(X12, X11, abi.STORE_INTERRUPT),
    )
    a.cbz(1, X12, "lowered")
    a.emit(asm.mov_ri(X12, -1), store_cell(X12, X11, abi.STORE_STACK_LIMIT))
    a.bind("lowered")
    a.emit(load_cell(SCRATCH, X11, abi.STORE_POLL))


def fail_from_frame() -> bytes:
    """The callback failed, or the trap in x9 is to be raised; x1 is the store block.

    Unwind, beginning with the frame of this frame's caller.
    """
    code = asm.pair(asm.LDP_X, FRAME, X10, FRAME, 0) + raise_trap(X9, X10, X1)
    return code + load_cell(SCRATCH, X1, abi.STORE_UNWIND) + asm.br(SCRATCH)


def save_exit() -> bytes:
    """Save in such a frame what the C code may overwrite."""
    return pairs(asm.STP_X, _EXIT_INT_PAIRS, _EXIT_INTS) + pairs(asm.STP_Q, _EXIT_FLOAT_PAIRS, _EXIT_FLOATS)


def restore_exit() -> bytes:
    """The reverse."""
    return pairs(asm.LDP_X, _EXIT_INT_PAIRS, _EXIT_INTS) + pairs(asm.LDP_Q, _EXIT_FLOAT_PAIRS, _EXIT_FLOATS)


def fail_at_limit(a: Assembler) -> None:
    """What a stub with an exit frame ends with. It jumps to ``limit`` where the stack is too small, with the store
    block in x11 and the limit in x12; to ``overflow`` where the cell stack is; and to ``failed`` as
    :func:`fail_from_frame` wants it. After an interruption it goes on at ``check``.
    """
    a.bind("limit")
    # An interruption raises the limit to all ones: then the poll stub calls out and lowers it again, or unwinds.
    a.emit(asm.cmp_ri(1, X12, -1))
    a.b_cond(asm.CC_NE, "overflow")
    a.emit(load_cell(SCRATCH, X11, abi.STORE_POLL_STUB), asm.blr(SCRATCH))
    a.b("check")
    a.bind("overflow")
    a.emit(asm.mov_rr(1, X1, X11), asm.mov_ri(X9, abi.TRAP_STACK_OVERFLOW))
    a.bind("failed")
    a.emit(fail_from_frame())


__all__ = [
    "EXIT_FRAME",
    "EXIT_PREVIOUS",
    "call_out",
    "drop_frame",
    "fail_at_limit",
    "fail_from_frame",
    "load_cell",
    "make_frame",
    "pairs",
    "restore_exit",
    "save_exit",
    "set_float_mode",
    "store_cell",
    "take_interruption",
]
