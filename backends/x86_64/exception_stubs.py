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
from .regs import CONTEXT, FRAME, MEMORY_BASE, PINNED, R11, R15, RAX, RBP, RCX, RDI, RDX, RSI, RSP
from .stub_frames import (
    ENTER_FRAME,
    EXIT_FRAME,
    EXIT_PINNED_FLOATS,
    EXIT_PINNED_INTS,
    EXIT_PREVIOUS,
    call_out,
    fail_from_frame,
    take_interruption,
)

#: What frames here have after what all have that call out: the frame and the return address that the walk has come to;
#: what is being thrown; and the other pinned registers, where the collector finds the references in them.
_AT_FRAME = -EXIT_FRAME - 8
_AT_ADDRESS = -EXIT_FRAME - 16
_THROWN = ((abi.STORE_THROWN_TAG, -EXIT_FRAME - 24), (abi.STORE_THROWN, -EXIT_FRAME - 32))
_COUNT = -EXIT_FRAME - 40
_OTHER_PINNED = tuple((reg, -EXIT_FRAME - 48 - 8 * index) for index, reg in enumerate(PINNED[:3]))
_FRAME_SIZE = EXIT_FRAME + 64


def _find_landing(a: Assembler, name: str, found: str, missing: str = "") -> None:
    """Look for the landing of the return address in rax: rdx is its address, rsi the store block. Changes rcx.

    Without ``missing`` it is known to be there.
    """
    a.emit(
        asm.imul_rri(1, RCX, RAX, abi.LANDING_FACTOR),
        asm.shift_ri(asm.SHR, 1, RCX, abi.LANDING_SHIFT),
    )
    a.bind(name)
    a.emit(
        asm.alu_rm(asm.AND, 1, RCX, RSI, abi.STORE_LANDINGS_MASK),
        asm.mov_rr(1, RDX, RCX),
        asm.shift_ri(asm.SHL, 1, RDX, abi.LANDING_SIZE.bit_length() - 1),
        asm.alu_rm(asm.ADD, 1, RDX, RSI, abi.STORE_LANDINGS),
        asm.alu_rm(asm.CMP, 1, RAX, RDX, abi.LANDING_ADDRESS),
    )
    a.jcc(asm.CC_E, found)
    if missing:
        a.emit(asm.alu_mi(asm.CMP, 1, RDX, abi.LANDING_ADDRESS, 0))
        a.jcc(asm.CC_E, missing)
    a.emit(asm.alu_ri(asm.ADD, 1, RCX, 1))
    a.jmp(name)


def throw() -> bytes:
    """Throw what the store block describes, as if the code at the return address on the stack had called this, whose
    frame is at rbp.
    """
    a = Assembler()
    # rdi is the frame that is being asked, rax the address in its function, r15 the frame of `enter`.
    a.emit(
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, R15, RSI, abi.STORE_SAVED_SP),
        asm.alu_ri(asm.ADD, 1, R15, ENTER_FRAME),
        asm.mov_rr(1, RDI, RBP),
        asm.mov_rm(1, RAX, RSP, 0),
    )
    a.bind("frame")
    a.emit(asm.alu_rr(asm.CMP, 1, RDI, R15))
    a.jcc(asm.CC_E, "uncaught")
    # There may be many frames, and many clauses in each.
    a.emit(asm.alu_mi(asm.CMP, 1, RSI, abi.STORE_INTERRUPT, 0))
    a.jcc(asm.CC_NE, "interrupted")
    a.bind("look")
    _find_landing(a, "probe", "found", "missing")
    a.bind("found")
    a.emit(asm.mov_rm(1, RDX, RDX, abi.LANDING_SCOPE))
    a.bind("scope")
    a.emit(asm.test_rr(1, RDX, RDX))
    a.jcc(asm.CC_E, "up")
    a.emit(asm.lea_rm(1, RCX, RDX, abi.SCOPE_CLAUSES))
    a.bind("clause")
    a.emit(asm.alu_mi(asm.CMP, 1, RCX, 8, 0))
    a.jcc(asm.CC_E, "outer")
    a.emit(asm.mov_rm(1, RAX, RCX, 0), asm.alu_ri(asm.CMP, 1, RAX, -1))
    a.jcc(asm.CC_E, "catches")
    a.emit(
        asm.alu_rm(asm.ADD, 1, RAX, RDI, CONTEXT_SLOT),
        asm.mov_rm(1, RAX, RAX, 0),
        asm.alu_rm(asm.CMP, 1, RAX, RSI, abi.STORE_THROWN_TAG),
    )
    a.jcc(asm.CC_E, "catches")
    a.emit(asm.alu_ri(asm.ADD, 1, RCX, abi.SCOPE_CLAUSE_SIZE))
    a.jmp("clause")
    a.bind("outer")
    a.emit(asm.mov_rm(1, RDX, RDX, abi.SCOPE_OUTER))
    a.jmp("scope")
    a.bind("up")
    a.emit(asm.mov_rm(1, RAX, RDI, 8), asm.mov_rm(1, RDI, RDI, 0))
    a.jmp("frame")

    # From the throw once more, as far as the frame at rdi, whose code at r15 catches. The stack below the frames that
    # are passed stays as it is.
    a.bind("catches")
    a.emit(asm.mov_rm(1, R15, RCX, 8), asm.mov_rm(1, RAX, RSP, 0))
    a.bind("pass")
    _find_landing(a, "again", "passing")
    a.bind("passing")
    a.emit(asm.alu_rr(asm.CMP, 1, RBP, RDI))
    a.jcc(asm.CC_E, "there")
    a.emit(
        asm.call_m(RDX, abi.LANDING_RESTORE),
        asm.mov_rm(1, RAX, RBP, 8),
        asm.mov_rm(1, RBP, RBP, 0),
    )
    a.jmp("pass")
    a.bind("there")
    a.emit(
        asm.alu_rm(asm.SUB, 1, RDI, RDX, abi.LANDING_FRAME),
        asm.mov_rr(1, RSP, RDI),
        asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT),
        asm.mov_rr(1, RAX, R15),
        asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.jmp_r(RAX),
    )

    a.bind("uncaught")
    a.emit(
        asm.mov_ri(RDI, abi.TRAP_EXCEPTION),
        raise_trap(asm.mov_rm(1, RAX, RSP, 0)),
        asm.jmp_m(RSI, abi.STORE_UNWIND),
    )

    a.bind("missing")
    _make_frame(a)
    a.emit(
        asm.mov_mr(1, RBP, _AT_FRAME, RDI),
        asm.mov_mr(1, RBP, _AT_ADDRESS, RAX),
        _keep_thrown(),
        asm.mov_rm(1, RDI, RBP, _AT_FRAME),
        asm.mov_rm(1, RDI, RDI, CONTEXT_SLOT),
        asm.mov_rm(1, RSI, RBP, _AT_ADDRESS),
        asm.zero(RDX),
    )
    _call(a, abi.STORE_FIND_LANDING)
    a.bind("on")
    a.emit(asm.mov_rm(1, RDI, RBP, _AT_FRAME), asm.mov_rm(1, RAX, RBP, _AT_ADDRESS), asm.leave_())
    a.jmp("look")

    a.bind("interrupted")
    _make_frame(a)
    a.emit(asm.mov_mr(1, RBP, _AT_FRAME, RDI), asm.mov_mr(1, RBP, _AT_ADDRESS, RAX), _keep_thrown())
    take_interruption(a)
    _call(a, abi.STORE_POLL)
    a.jmp("on")
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def throw_reference() -> bytes:
    """Throw the exception object in rax, whose tag the caller has seen."""
    a = Assembler()
    a.emit(
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RDX, RAX, abi.EXCEPTION_TAG),
        asm.mov_mr(1, RSI, abi.STORE_THROWN_TAG, RDX),
        asm.mov_mr(1, RSI, abi.STORE_THROWN, RAX),
        asm.mov_rm(1, RCX, RAX, abi.EXCEPTION_COUNT),
        asm.mov_mr(1, RSI, abi.STORE_THROWN_COUNT, RCX),
        asm.lea_rm(1, RDX, RSI, abi.STORE_RESULTS),
        asm.alu_ri(asm.ADD, 1, RAX, abi.EXCEPTION_VALUES),
    )
    _copy_values(a, RDX, RAX)
    a.emit(asm.jmp_m(RSI, abi.STORE_THROW))
    return a.finish()


def make_exception() -> bytes:
    """Load into rax a reference to what was thrown, of which an object is made unless there is one."""
    a = Assembler()
    a.emit(
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RAX, RSI, abi.STORE_THROWN),
        asm.test_rr(1, RAX, RAX),
    )
    a.jcc(asm.CC_NE, "done")
    a.emit(asm.mov_rm(1, RCX, RSI, abi.STORE_THROWN_COUNT), asm.alu_ri(asm.CMP, 1, RCX, abi.EXCEPTION_ROOM))
    a.jcc(asm.CC_A, "allocate")
    a.emit(asm.mov_rm(1, RAX, RSI, abi.STORE_FREE_EXCEPTION), asm.test_rr(1, RAX, RAX))
    a.jcc(asm.CC_E, "allocate")
    a.emit(asm.mov_rm(1, RDX, RAX, abi.EXCEPTION_COUNT), asm.mov_mr(1, RSI, abi.STORE_FREE_EXCEPTION, RDX))
    a.bind("fill")
    a.emit(
        asm.mov_rm(1, RDX, RSI, abi.STORE_THROWN_TAG),
        asm.mov_mr(1, RAX, abi.EXCEPTION_TAG, RDX),
        asm.mov_mr(1, RAX, abi.EXCEPTION_COUNT, RCX),
        asm.lea_rm(1, RDX, RAX, abi.EXCEPTION_VALUES),
        asm.alu_ri(asm.ADD, 1, RSI, abi.STORE_RESULTS),
    )
    _copy_values(a, RDX, RSI)
    a.bind("done")
    a.emit(asm.ret())
    a.bind("allocate")
    _make_frame(a)
    for reg, disp in _OTHER_PINNED:
        a.emit(asm.mov_mr(1, RBP, disp, reg))
    a.emit(
        _keep_thrown(),
        asm.mov_rr(1, RDI, CONTEXT),
        asm.mov_rm(1, RSI, RBP, _COUNT),
        asm.mov_rr(1, RDX, RSP),
    )
    _call(a, abi.STORE_ALLOCATE_EXCEPTION)
    a.emit(
        asm.leave_(),
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RCX, RSI, abi.STORE_THROWN_COUNT),
    )
    a.jmp("fill")
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def _copy_values(a: Assembler, target: int, source: int) -> None:
    """Copy rcx values, each of 16 bytes; changes the three registers and xmm0."""
    a.emit(asm.test_rr(1, RCX, RCX))
    a.jcc(asm.CC_E, "copied")
    a.bind("value")
    a.emit(
        asm.movups_rm(0, source, 0),
        asm.movups_mr(target, 0, 0),
        asm.alu_ri(asm.ADD, 1, source, 16),
        asm.alu_ri(asm.ADD, 1, target, 16),
        asm.alu_ri(asm.SUB, 1, RCX, 1),
    )
    a.jcc(asm.CC_NE, "value")
    a.bind("copied")


def _make_frame(a: Assembler) -> None:
    """Make the frame to call out from, with the store block in rsi; rax and rdi stay."""
    a.emit(
        asm.push_r(RBP),
        asm.mov_rr(1, RBP, RSP),
        asm.alu_ri(asm.SUB, 1, RSP, _FRAME_SIZE),
        asm.mov_mr(1, RBP, CONTEXT_SLOT, CONTEXT),
        asm.mov_rm(1, RCX, RSI, abi.STORE_EXIT_FP),
        asm.mov_mr(1, RBP, EXIT_PREVIOUS, RCX),
    )
    for reg, disp in EXIT_PINNED_INTS:
        a.emit(asm.mov_mr(1, RBP, disp, reg))
    for number, disp in EXIT_PINNED_FLOATS:
        a.emit(asm.movups_mr(RBP, disp, number))


def _keep_thrown() -> bytes:
    """Keep in the frame, and below it, what is being thrown; r11 is the store block afterwards."""
    code = b"".join(
        asm.mov_rm(1, RCX, RSI, cell) + asm.mov_mr(1, RBP, disp, RCX)
        for cell, disp in (*_THROWN, (abi.STORE_THROWN_COUNT, _COUNT))
    )
    code += asm.mov_rr(1, R11, RSI)
    # rcx is the number of values, of two quadwords each.
    code += asm.shift_ri(asm.SHL, 1, RCX, 4) + asm.alu_rr(asm.SUB, 1, RSP, RCX) + asm.shift_ri(asm.SHR, 1, RCX, 3)
    return code + asm.alu_ri(asm.ADD, 1, RSI, abi.STORE_RESULTS) + asm.mov_rr(1, RDI, RSP) + asm.rep_movsq()


def _call(a: Assembler, callback: int) -> None:
    """Call Python, with the C arguments in place, and put everything back but the frame; rax is the result. Jumps to
    ``failed`` as :func:`.stubs.fail_from_frame` wants it.
    """
    call_out(a, asm.call_m(R11, callback))
    a.jcc(asm.CC_NE, "failed")
    a.emit(asm.mov_rm(1, RCX, RBP, _COUNT), asm.mov_mr(1, RSI, abi.STORE_THROWN_COUNT, RCX))
    for cell, disp in _THROWN:
        a.emit(asm.mov_rm(1, RDX, RBP, disp), asm.mov_mr(1, RSI, cell, RDX))
    a.emit(
        asm.mov_rr(1, R11, RSI),
        asm.lea_rm(1, RDI, RSI, abi.STORE_RESULTS),
        asm.mov_rr(1, RSI, RSP),
        asm.alu_rr(asm.ADD, 1, RCX, RCX),
        asm.rep_movsq(),
        asm.mov_rr(1, RSI, R11),
    )
    for reg, disp in EXIT_PINNED_INTS:
        a.emit(asm.mov_rm(1, reg, RBP, disp))
    for number, disp in EXIT_PINNED_FLOATS:
        a.emit(asm.movups_rm(number, RBP, disp))


def restore_pinned(ints: int, floats: int) -> bytes:
    """Load what a function with the frame at rbp has saved of so many pinned registers; nothing else changes."""
    return frames.restore_pinned(ints, floats) + asm.ret()


def preserved_registers() -> bytes:
    """``u64 f(u64 *cells)``: writes the pinned registers that C functions preserve, and returns the stack pointer."""
    code = b"".join(asm.mov_mr(1, RDI, 8 * index, reg) for index, reg in enumerate(PINNED[:3]))
    return code + asm.mov_rr(1, RAX, RSP) + asm.ret()


__all__ = ["make_exception", "preserved_registers", "restore_pinned", "throw", "throw_reference"]
