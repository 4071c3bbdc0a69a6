"""What frames of stubs have in common: those of ``enter``, and of stubs that call out. See ``docs/abi.md``."""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler, raise_trap
from .regs import CONTEXT, R8, R9, R10, R11, RAX, RBP, RDI, RDX, RSI, RSP

#: The size of the frame of ``enter``, and where in it is what STORE_SAVED_SP was before.
ENTER_FRAME = 80
ENTER_SAVED_SP = -72
#: The frames of stubs that call out begin alike: context, previous exit frame, then what the C code may overwrite of
#: the pinned registers.
EXIT_PREVIOUS = -16
EXIT_PINNED_INTS = ((R8, -24), (R9, -32), (R10, -40), (R11, -48))
EXIT_PINNED_FLOATS = tuple((number, -64 - 16 * (number - 8)) for number in range(8, 16))
EXIT_FRAME = 176


def call_out(a: Assembler, call: bytes, store: int = R11) -> None:
    """Call into Python from a frame that :data:`EXIT_FRAME` and so on describe, with the C arguments in place.

    Saves nothing. ``store`` is the register that holds the store block, which the call destroys. Afterwards rsi has
    the store block and rdi the value of the "failed" cell; the flags say whether it is zero; rax has the callback's
    result.
    """
    a.emit(
        asm.mov_mi(1, store, abi.STORE_FAILED, abi.HOST_FAILURE),
        asm.mov_mr(1, store, abi.STORE_EXIT_FP, RBP),
        call,
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RDI, RBP, EXIT_PREVIOUS),
        asm.mov_mr(1, RSI, abi.STORE_EXIT_FP, RDI),
        asm.ldmxcsr_m(RSI, abi.STORE_FLOAT_MODE),
        asm.mov_rm(1, RDI, RSI, abi.STORE_FAILED),
        asm.test_rr(1, RDI, RDI),
    )


def take_interruption(a: Assembler) -> None:
    """Prepare for :func:`call_out` to the poll callback, with the store block in r11; changes rax.

    The callback is told why, and the stack limit is lowered.
    """
    a.emit(
        asm.mov_rm(1, RSI, R11, abi.STORE_INTERRUPT),
        asm.alu_mi(asm.AND, 1, R11, abi.STORE_INTERRUPT, abi.INTERRUPT_WATCH),
        asm.mov_rm(1, RAX, R11, abi.STORE_REAL_LIMIT),
        asm.mov_mr(1, R11, abi.STORE_STACK_LIMIT, RAX),
        asm.mov_rr(1, RDI, CONTEXT),
        asm.zero(RDX),
        # Whoever interrupts sets the word and then the limit; one who has set the word since it was cleared may have
        # set the limit before it was lowered.
        asm.alu_mi(asm.CMP, 1, R11, abi.STORE_INTERRUPT, 0),
    )
    a.jcc(asm.CC_E, "lowered")
    a.emit(asm.mov_mi(1, R11, abi.STORE_STACK_LIMIT, -1))
    a.bind("lowered")


def fail_from_frame() -> bytes:
    """The callback failed, or the trap in rdi is to be raised.

    Unwind, beginning with the frame of this frame's caller.
    """
    code = raise_trap(asm.mov_rm(1, RAX, RBP, 8))
    return code + asm.mov_rm(1, RBP, RBP, 0) + asm.jmp_m(RSI, abi.STORE_UNWIND)


def fail_at_limit(a: Assembler) -> None:
    """What a stub with an exit frame ends with. It jumps to ``limit`` where the stack is too small, with the store
    block in r11; to ``overflow`` where the cell stack is; and to ``failed`` as
    :func:`fail_from_frame` wants it. After an interruption it goes on at ``check``.
    """
    a.bind("limit")
    # An interruption raises the limit to all ones: then the poll stub calls out and lowers it again, or unwinds.
    a.emit(asm.alu_mi(asm.CMP, 1, R11, abi.STORE_STACK_LIMIT, -1))
    a.jcc(asm.CC_NE, "overflow")
    a.emit(asm.call_m(R11, abi.STORE_POLL_STUB))
    a.jmp("check")
    a.bind("overflow")
    a.emit(asm.mov_rr(1, RSI, R11), asm.mov_ri(RDI, abi.TRAP_STACK_OVERFLOW))
    a.bind("failed")
    a.emit(fail_from_frame())


def make_exit_frame(a: Assembler, size: int) -> None:
    """Begin a stub that wasm code calls with the frame of ``EXIT_FRAME`` and so on, and the caller's context."""
    a.emit(
        asm.mov_rm(1, CONTEXT, RBP, -8),
        asm.push_r(RBP),
        asm.mov_rr(1, RBP, RSP),
        asm.alu_ri(asm.SUB, 1, RSP, size),
        asm.mov_mr(1, RBP, -8, CONTEXT),
    )
    for reg, disp in EXIT_PINNED_INTS:
        a.emit(asm.mov_mr(1, RBP, disp, reg))
    for number, disp in EXIT_PINNED_FLOATS:
        a.emit(asm.movups_mr(RBP, disp, number))


def drop_exit_frame(a: Assembler, area: int) -> None:
    """Return from that frame to wasm code, whose ``area`` bytes of parameters go with it."""
    for reg, disp in EXIT_PINNED_INTS:
        a.emit(asm.mov_rm(1, reg, RBP, disp))
    for number, disp in EXIT_PINNED_FLOATS:
        a.emit(asm.movups_rm(number, RBP, disp))
    a.emit(asm.leave_(), asm.ret_imm(area) if area else asm.ret())


__all__ = [
    "ENTER_FRAME",
    "ENTER_SAVED_SP",
    "EXIT_FRAME",
    "EXIT_PINNED_FLOATS",
    "EXIT_PINNED_INTS",
    "EXIT_PREVIOUS",
    "call_out",
    "drop_exit_frame",
    "fail_at_limit",
    "fail_from_frame",
    "make_exit_frame",
    "take_interruption",
]
