"""Stubs of exceptions: who catches what is thrown, and exception objects. See ``docs/abi.md``.

Walking the stack needs no frame and changes no register that a function relies on, until it is known who catches.
Where the walk has to ask Python, or an object has to be made there, a frame like that of other stubs that call out is
made, below which what is being thrown is kept: wasm code that Python calls meanwhile may throw as well.
"""

from __future__ import annotations

from ... import abi
from . import asm, frames
from .control import Assembler, raise_trap
from .frames import CONTEXT_SLOT
from .regs import (
    CONTEXT,
    FRAME,
    LINK,
    MEMORY_BASE,
    PINNED,
    SCRATCH,
    SCRATCH2,
    SP,
    X0,
    X1,
    X2,
    X3,
    X4,
    X5,
    X6,
    X7,
    X8,
    X9,
    X11,
)
from .stub_frames import (
    EXIT_FRAME,
    EXIT_PREVIOUS,
    call_out,
    drop_frame,
    fail_from_frame,
    load_cell,
    make_frame,
    pairs,
    restore_exit,
    save_exit,
    store_cell,
    take_interruption,
)

#: What frames here have after what all have that call out: the frame and the return address that the walk has come to;
#: what is being thrown; and the other pinned registers, where the collector finds the references in them.
_WALK = EXIT_FRAME
_THROWN = EXIT_FRAME + 16
_COUNT = EXIT_FRAME + 32
_OTHER_PINNED = EXIT_FRAME + 48
_OTHER_PAIRS = tuple(zip(PINNED[:8:2], PINNED[1:8:2], strict=True))
_FRAME_SIZE = EXIT_FRAME + 48 + 64


def _find_landing(a: Assembler, name: str, found: str, missing: str = "") -> None:
    """Look for the landing of the return address in x1: x4 is its address, x2 the store block, x7 LANDING_FACTOR.
    Changes x3, x5, x6 and x16.

    Without ``missing`` it is known to be there.
    """
    a.emit(
        asm.mul(1, X3, X1, X7),
        asm.shift_ri(asm.LSR, 1, X3, X3, abi.LANDING_SHIFT),
        load_cell(X5, X2, abi.STORE_LANDINGS),
        load_cell(X6, X2, abi.STORE_LANDINGS_MASK),
    )
    a.bind(name)
    a.emit(
        asm.alu_rr(asm.AND, 1, X3, X3, X6),
        asm.alu_rrs(asm.ADD, 1, X4, X5, X3, asm.LSL, abi.LANDING_SIZE.bit_length() - 1),
        load_cell(SCRATCH, X4, abi.LANDING_ADDRESS),
        asm.cmp_rr(1, SCRATCH, X1),
    )
    a.b_cond(asm.CC_EQ, found)
    if missing:
        a.cbz(1, SCRATCH, missing)
    a.emit(asm.alu_ri(asm.ADD, 1, X3, X3, 1))
    a.b(name)


def throw() -> bytes:
    """Throw what the store block describes, as if the code at the return address in x30 had called this, whose frame is
    at x29.
    """
    a = Assembler()
    # x0 is the frame that is being asked, x1 the address in its function, x8 the frame of `enter`.
    a.emit(
        load_cell(X2, CONTEXT, abi.CTX_STORE),
        load_cell(X8, X2, abi.STORE_SAVED_SP),
        asm.mov_rr(1, X0, FRAME),
        asm.mov_rr(1, X1, LINK),
        asm.mov_ri(X7, abi.LANDING_FACTOR),
    )
    a.bind("frame")
    a.emit(asm.cmp_rr(1, X0, X8))
    a.b_cond(asm.CC_EQ, "uncaught")
    # There may be many frames, and many clauses in each.
    a.emit(load_cell(SCRATCH, X2, abi.STORE_INTERRUPT))
    a.cbnz(1, SCRATCH, "interrupted")
    a.bind("look")
    _find_landing(a, "probe", "found", "missing")
    a.bind("found")
    a.emit(load_cell(X4, X4, abi.LANDING_SCOPE))
    a.bind("scope")
    a.cbz(1, X4, "up")
    a.emit(asm.alu_ri(asm.ADD, 1, X3, X4, abi.SCOPE_CLAUSES))
    a.bind("clause")
    a.emit(asm.pair_post(asm.LDP_X, X5, X6, X3, abi.SCOPE_CLAUSE_SIZE))
    a.cbz(1, X6, "outer")
    a.emit(asm.cmp_ri(1, X5, -1))
    a.b_cond(asm.CC_EQ, "catches")
    a.emit(
        load_cell(SCRATCH, X0, CONTEXT_SLOT),
        asm.access_x(asm.LDR_X, SCRATCH, SCRATCH, X5),
        load_cell(SCRATCH2, X2, abi.STORE_THROWN_TAG),
        asm.cmp_rr(1, SCRATCH, SCRATCH2),
    )
    a.b_cond(asm.CC_NE, "clause")

    # From the throw once more, as far as the frame at x0, whose code at x8 catches. The stack below the frames that are
    # passed stays as it is.
    a.bind("catches")
    a.emit(asm.mov_rr(1, X8, X6), asm.mov_rr(1, X1, LINK))
    a.bind("pass")
    _find_landing(a, "again", "passing")
    a.bind("passing")
    a.emit(asm.cmp_rr(1, FRAME, X0))
    a.b_cond(asm.CC_EQ, "there")
    a.emit(
        load_cell(SCRATCH, X4, abi.LANDING_RESTORE),
        asm.blr(SCRATCH),
        asm.pair(asm.LDP_X, FRAME, X1, FRAME, 0),
    )
    a.b("pass")
    a.bind("there")
    a.emit(
        asm.mov_sp(SP, FRAME),
        load_cell(CONTEXT, FRAME, CONTEXT_SLOT),
        load_cell(MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.br(X8),
    )

    a.bind("outer")
    a.emit(load_cell(X4, X4, abi.SCOPE_OUTER))
    a.b("scope")
    a.bind("up")
    a.emit(asm.pair(asm.LDP_X, X0, X1, X0, 0))
    a.b("frame")

    a.bind("uncaught")
    a.emit(
        asm.mov_ri(X3, abi.TRAP_EXCEPTION),
        raise_trap(X3, LINK, X2),
        load_cell(SCRATCH, X2, abi.STORE_UNWIND),
        asm.br(SCRATCH),
    )

    a.bind("missing")
    _make_frame(a)
    a.emit(asm.pair(asm.STP_X, X0, X1, FRAME, _WALK))
    _keep_thrown(a)
    a.emit(
        asm.pair(asm.LDP_X, X0, X1, FRAME, _WALK),
        load_cell(X0, X0, CONTEXT_SLOT),
        asm.mov_ri(X2, 0),
        load_cell(SCRATCH, X11, abi.STORE_FIND_LANDING),
    )
    _call(a)
    a.bind("on")
    a.emit(
        asm.pair(asm.LDP_X, X0, X1, FRAME, _WALK),
        drop_frame(_FRAME_SIZE),
        load_cell(X2, CONTEXT, abi.CTX_STORE),
        asm.mov_ri(X7, abi.LANDING_FACTOR),
    )
    a.b("look")

    a.bind("interrupted")
    _make_frame(a)
    a.emit(asm.pair(asm.STP_X, X0, X1, FRAME, _WALK))
    _keep_thrown(a, "keep too")
    take_interruption(a)
    _call(a, "put back too")
    a.b("on")
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def throw_reference() -> bytes:
    """Throw the exception object in x0, whose tag the caller has seen."""
    a = Assembler()
    a.emit(
        load_cell(X1, CONTEXT, abi.CTX_STORE),
        asm.pair(asm.LDP_X, X3, X2, X0, abi.EXCEPTION_TAG),
        store_cell(X3, X1, abi.STORE_THROWN_TAG),
        store_cell(X0, X1, abi.STORE_THROWN),
        store_cell(X2, X1, abi.STORE_THROWN_COUNT),
        asm.alu_ri(asm.ADD, 1, X3, X1, abi.STORE_RESULTS),
        asm.alu_ri(asm.ADD, 1, X4, X0, abi.EXCEPTION_VALUES),
    )
    _copy_values(a, "values")
    a.emit(load_cell(SCRATCH, X1, abi.STORE_THROW), asm.br(SCRATCH))
    return a.finish()


def make_exception() -> bytes:
    """Load into x0 a reference to what was thrown, of which an object is made unless there is one."""
    a = Assembler()
    a.emit(load_cell(X1, CONTEXT, abi.CTX_STORE), load_cell(X0, X1, abi.STORE_THROWN))
    a.cbnz(1, X0, "done")
    a.emit(load_cell(X2, X1, abi.STORE_THROWN_COUNT), asm.cmp_ri(1, X2, abi.EXCEPTION_ROOM))
    a.b_cond(asm.CC_HI, "allocate")
    a.emit(load_cell(X0, X1, abi.STORE_FREE_EXCEPTION))
    a.cbz(1, X0, "allocate")
    a.emit(load_cell(X3, X0, abi.EXCEPTION_COUNT), store_cell(X3, X1, abi.STORE_FREE_EXCEPTION))
    a.bind("fill")
    a.emit(
        load_cell(X3, X1, abi.STORE_THROWN_TAG),
        asm.pair(asm.STP_X, X3, X2, X0, abi.EXCEPTION_TAG),
        asm.alu_ri(asm.ADD, 1, X3, X0, abi.EXCEPTION_VALUES),
        asm.alu_ri(asm.ADD, 1, X4, X1, abi.STORE_RESULTS),
    )
    _copy_values(a, "values")
    a.bind("done")
    a.emit(asm.ret())
    a.bind("allocate")
    _make_frame(a)
    a.emit(pairs(asm.STP_X, _OTHER_PAIRS, _OTHER_PINNED))
    _keep_thrown(a)
    a.emit(
        asm.mov_rr(1, X0, CONTEXT),
        load_cell(X1, FRAME, _COUNT),
        asm.mov_sp(X2, SP),
        load_cell(SCRATCH, X11, abi.STORE_ALLOCATE_EXCEPTION),
    )
    _call(a)
    a.emit(
        drop_frame(_FRAME_SIZE),
        load_cell(X1, CONTEXT, abi.CTX_STORE),
        load_cell(X2, X1, abi.STORE_THROWN_COUNT),
    )
    a.b("fill")
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def _copy_values(a: Assembler, name: str) -> None:
    """Copy x2 values, each of 16 bytes, from x4 to x3; changes these three and v0."""
    a.cbz(1, X2, f"{name} copied")
    a.bind(name)
    a.emit(
        asm.access_post(asm.LDR_Q, 0, X4, 16),
        asm.access_post(asm.STR_Q, 0, X3, 16),
        asm.alu_ri(asm.SUB, 1, X2, X2, 1),
    )
    a.cbnz(1, X2, name)
    a.bind(f"{name} copied")


def _make_frame(a: Assembler) -> None:
    """Make the frame to call out from; x11 is the store block afterwards. Changes x2."""
    a.emit(
        make_frame(_FRAME_SIZE),
        save_exit(),
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X2, X11, abi.STORE_EXIT_FP),
        store_cell(X2, FRAME, EXIT_PREVIOUS),
    )


def _keep_thrown(a: Assembler, name: str = "keep") -> None:
    """Keep in the frame, and below it, what is being thrown."""
    a.emit(
        load_cell(X3, X11, abi.STORE_THROWN_TAG),
        load_cell(X4, X11, abi.STORE_THROWN),
        asm.pair(asm.STP_X, X3, X4, FRAME, _THROWN),
        load_cell(X2, X11, abi.STORE_THROWN_COUNT),
        store_cell(X2, FRAME, _COUNT),
        # Scaled by 16.
        asm.alu_rrx(asm.SUB, 1, SP, SP, X2, asm.UXTX, 4),
        asm.mov_sp(X3, SP),
        asm.alu_ri(asm.ADD, 1, X4, X11, abi.STORE_RESULTS),
    )
    _copy_values(a, name)


def _call(a: Assembler, name: str = "put back") -> None:
    """Call Python, at the address in x16, with the C arguments in place, and put everything back but the frame; x0 is
    the result. Jumps to ``failed`` as :func:`.stubs.fail_from_frame` wants it.
    """
    call_out(a)
    a.cbnz(1, X9, "failed")
    a.emit(
        load_cell(X2, FRAME, _COUNT),
        store_cell(X2, X1, abi.STORE_THROWN_COUNT),
        asm.pair(asm.LDP_X, X3, X4, FRAME, _THROWN),
        store_cell(X3, X1, abi.STORE_THROWN_TAG),
        store_cell(X4, X1, abi.STORE_THROWN),
        asm.alu_ri(asm.ADD, 1, X3, X1, abi.STORE_RESULTS),
        asm.mov_sp(X4, SP),
    )
    _copy_values(a, name)
    a.emit(restore_exit(), asm.mov_sp(SP, FRAME))


def restore_pinned(ints: int, floats: int) -> bytes:
    """Load what a function with the frame at x29 has saved of so many pinned registers; nothing else changes, but that
    x28 may be its context.
    """
    return frames.restore_pinned(ints, floats) + asm.ret()


def preserved_registers() -> bytes:
    """``u64 f(u64 *cells)``: writes the pinned registers that C functions preserve, and returns the stack pointer."""
    code = b"".join(asm.pair(asm.STP_X, a, b, X0, 16 * index) for index, (a, b) in enumerate(_OTHER_PAIRS))
    return code + asm.mov_sp(X0, SP) + asm.ret()


__all__ = ["make_exception", "preserved_registers", "restore_pinned", "throw", "throw_reference"]
