"""Calls of C functions: from the convention of wasm functions to that of System V's ABI ("Parameter Passing").

The floating-point parameters of both are in the same registers in the same order.
"""

from __future__ import annotations

from ... import abi
from ..convention import (
    C_INTEGERS,
    FLOATS,
    Place,
    c_places,
    c_signature,
    parallel_moves,
    wasm_letters,
)
from . import asm, signatures
from .control import Assembler
from .regs import CONTEXT, FLOAT_PARAMS, R8, R9, R10, R11, RAX, RBP, RCX, RDI, RDX, RSI, RSP
from .stub_frames import EXIT_FRAME, drop_exit_frame, fail_at_limit, make_exit_frame

#: Where C functions have their integer parameters.
_INT_PARAMS = (RDI, RSI, RDX, RCX, R8, R9)
#: What the caller's parameters in memory are at, from this frame: above its frame pointer and its return address.
_AREA = 16


def _transfer(signature: str) -> tuple[bytes, bytes, int, int]:
    """What a call of a C function is made of, in a frame whose end is the stack pointer.

    Returns:
        code that moves the parameters from where wasm code has them to where C code has them; code that brings the
        result, which is in the same register in both, into its form; bytes of parameters on C's side of the stack, and
        on wasm's side, where the callee frees them.

    The code before the call may change r10, r11 and what C code takes parameters in; rax, which has the function
    record, stays.
    """
    with_memory, parameters, result = c_signature(signature)
    sources, area = signatures.parameters(wasm_letters(parameters))
    targets, room = c_places("ll" * with_memory + parameters, _INT_PARAMS, FLOAT_PARAMS)
    a = Assembler()
    a.emit(_move_parameters(sources, targets[2 * with_memory :]))
    if with_memory:
        a.emit(
            asm.mov_rm(1, RDI, CONTEXT, abi.CTX_MEMORY_BASE),
            asm.mov_rm(1, RSI, CONTEXT, abi.CTX_MEMORY_DESCRIPTOR),
            asm.test_rr(1, RSI, RSI),
        )
        a.jcc(asm.CC_E, "no memory")
        a.emit(asm.mov_rm(1, RSI, RSI, abi.MEMORY_SIZE))
        a.bind("no memory")
    return a.finish(), _extend(result, RAX) if result and result in C_INTEGERS else b"", room, area


def _move_parameters(sources: list[Place], targets: list[Place]) -> bytes:
    """Code that moves parameters from where wasm code has them to where C code has them. Changes r10 and r11, which
    hold none.
    """
    to_stack = load = extend = b""
    moves: dict[int, int] = {}
    for source, target in zip(sources, targets, strict=True):
        letter = target.letter
        if target.reg < 0:
            to_stack += _to_stack(source, target)
        elif letter in FLOATS:
            continue
        else:
            if source.reg < 0:
                load += asm.mov_rm(1, target.reg, RBP, _AREA + source.area)
            else:
                moves[target.reg] = source.reg
            if letter in C_INTEGERS:
                extend += _extend(letter, target.reg)
    between = b"".join(
        [
            asm.xchg_rr(1, to, source) if exchange else asm.mov_rr(1, to, source)
            for to, source, exchange in parallel_moves(moves)
        ]
    )
    return to_stack + between + load + extend


def _to_stack(source: Place, target: Place) -> bytes:
    """Code that stores a parameter that goes to the stack."""
    letter = target.letter
    if source.reg < 0:
        code = asm.mov_rm(1, R10, RBP, _AREA + source.area)
    elif letter in FLOATS:
        code = asm.movd_from_xmm(1, R10, source.reg)
    else:
        code = asm.mov_rr(1, R10, source.reg)
    if letter in C_INTEGERS:
        code += _extend(letter, R10)
    return code + asm.mov_mr(1, RSP, target.area, R10)


def _extend(letter: str, reg: int) -> bytes:
    """Code that extends an integer to 32 bits, in a register whose upper half is zero then."""
    bits, signed = C_INTEGERS[letter]
    if bits == 32:
        return asm.mov_rr(0, reg, reg)
    if bits == 16:
        return asm.movsx16_rr(0, reg, reg) if signed else asm.alu_ri(asm.AND, 0, reg, 0xFFFF)
    if bits == 8:
        return asm.movsx8_rr(0, reg, reg) if signed else asm.movzx8_rr(reg, reg)
    return asm.test_rr(0, reg, reg) + asm.setcc(asm.CC_NE, reg) + asm.movzx8_rr(reg, reg)


def stub(signature: str, stack: int) -> bytes:
    """The code of a C function's record; at entry rax is the record, and ``[rbp - 8]`` the caller's context."""
    before, after, room, area = _transfer(signature)
    a = Assembler()
    make_exit_frame(a, EXIT_FRAME + room)
    a.bind("check")
    a.emit(
        asm.mov_rm(1, R11, CONTEXT, abi.CTX_STORE),
        asm.lea_rm(1, R10, RSP, -stack),
        asm.alu_rm(asm.CMP, 1, R10, R11, abi.STORE_STACK_LIMIT),
    )
    a.jcc(asm.CC_B, "limit")
    a.emit(
        before,
        asm.call_m(RAX, abi.RECORD_CALLBACK),
        after,
        asm.mov_rm(1, R11, CONTEXT, abi.CTX_STORE),
        asm.ldmxcsr_m(R11, abi.STORE_FLOAT_MODE),
        asm.alu_mi(asm.CMP, 1, R11, abi.STORE_INTERRUPT, 0),
    )
    a.jcc(asm.CC_NE, "interrupted")
    a.bind("over")
    drop_exit_frame(a, area)
    a.bind("interrupted")
    a.emit(asm.call_m(R11, abi.STORE_POLL_STUB))
    a.jmp("over")
    fail_at_limit(a)
    return a.finish()


__all__ = ["stub"]
