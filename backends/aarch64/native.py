"""Calls of C functions: from the convention of wasm functions to that of AAPCS64 ("Parameter Passing").

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
from .addresses import add, at
from .control import Assembler
from .frames import CONTEXT_SLOT
from .regs import CALLEE, CONTEXT, FLOAT_PARAMS, FRAME, INT_PARAMS, SCRATCH, SP, X0, X1, X9, X10, X11, X12
from .stub_frames import (
    EXIT_FRAME,
    drop_frame,
    fail_at_limit,
    load_cell,
    make_frame,
    restore_exit,
    save_exit,
    set_float_mode,
)


def _transfer(signature: str, incoming: int) -> tuple[bytes, bytes, int, int]:
    """What a call of a C function is made of, in a frame above the stack pointer that ends there, or above what it has
    room for as the third of the results says.

    Args:
        incoming: where wasm's parameters in memory are, in bytes from the frame pointer.

    Returns:
        code that moves the parameters from where wasm code has them to where C code has them; code that brings the
        result, which is in the same register in both, into its form; bytes of parameters on C's side of the stack, and
        on wasm's side, where the callee frees them.

    The code before the call may change x10 and what C code takes parameters in; x8, which has the function record,
    stays.
    """
    with_memory, parameters, result = c_signature(signature)
    sources, area = signatures.parameters(wasm_letters(parameters))
    targets, room = c_places("ll" * with_memory + parameters, INT_PARAMS, FLOAT_PARAMS)
    a = Assembler()
    a.emit(_move_parameters(sources, targets[2 * with_memory :], incoming))
    if with_memory:
        a.emit(
            asm.access(asm.LDR_X, X0, CONTEXT, abi.CTX_MEMORY_BASE),
            asm.access(asm.LDR_X, X1, CONTEXT, abi.CTX_MEMORY_DESCRIPTOR),
        )
        a.cbz(1, X1, "no memory")
        a.emit(asm.access(asm.LDR_X, X1, X1, abi.MEMORY_SIZE))
        a.bind("no memory")
    return a.finish(), _extend(result, X0) if result and result in C_INTEGERS else b"", room, area


def _move_parameters(sources: list[Place], targets: list[Place], incoming: int) -> bytes:
    """Code that moves parameters from where wasm code has them to where C code has them. Changes x10, which holds
    none.
    """
    to_stack = load = extend = b""
    moves: dict[int, int] = {}
    for source, target in zip(sources, targets, strict=True):
        letter = target.letter
        if target.reg < 0:
            to_stack += _to_stack(source, target, incoming)
        elif letter in FLOATS:
            continue
        else:
            if source.reg < 0:
                load += at(asm.LDR_X, target.reg, FRAME, incoming + source.area)
            else:
                moves[target.reg] = source.reg
            if letter in C_INTEGERS:
                extend += _extend(letter, target.reg)
    between = b""
    for to, source_reg, exchange in parallel_moves(moves):
        if exchange:
            raise AssertionError("parameters of C and of wasm go the same way, so they make no circle")
        between += asm.mov_rr(1, to, source_reg)
    return to_stack + between + load + extend


def _to_stack(source: Place, target: Place, incoming: int) -> bytes:
    """Code that stores a parameter that goes to the stack."""
    letter = target.letter
    if source.reg < 0:
        code = at(asm.LDR_X, X10, FRAME, incoming + source.area)
    elif letter in FLOATS:
        code = asm.fmov_from(1, X10, source.reg)
    else:
        code = asm.mov_rr(1, X10, source.reg)
    if letter in C_INTEGERS:
        code += _extend(letter, X10)
    return code + at(asm.STR_X, X10, SP, target.area)


def _extend(letter: str, reg: int) -> bytes:
    """Code that extends an integer to 32 bits, in a register whose upper half is zero then."""
    bits, signed = C_INTEGERS[letter]
    if bits == 32:
        return asm.mov_rr(0, reg, reg)
    if bits == 1:
        return asm.cmp_ri(0, reg, 0) + asm.cset(asm.CC_NE, reg)
    extend = asm.sbfm if signed else asm.ubfm
    return extend(0, reg, reg, 0, bits - 1)


def stub(signature: str, stack: int) -> bytes:
    """The code of a C function's record; at entry x8 is the record, and ``[x29 + 16]`` the caller's context."""
    before, after, room, area = _transfer(signature, EXIT_FRAME)
    a = Assembler()
    a.emit(load_cell(CONTEXT, FRAME, CONTEXT_SLOT), make_frame(EXIT_FRAME), save_exit())
    if room:
        a.emit(add(SP, SP, -room))
    a.bind("check")
    a.emit(
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X12, X11, abi.STORE_STACK_LIMIT),
        add(X10, SP, -stack),
        asm.cmp_rr(1, X10, X12),
    )
    a.b_cond(asm.CC_LO, "limit")
    a.emit(
        before,
        load_cell(SCRATCH, CALLEE, abi.RECORD_CALLBACK),
        asm.blr(SCRATCH),
        after,
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X9, X11, abi.STORE_FLOAT_MODE),
        set_float_mode(X9, X10),
        load_cell(X9, X11, abi.STORE_INTERRUPT),
    )
    a.cbnz(1, X9, "interrupted")
    a.bind("over")
    if room:
        a.emit(add(SP, SP, room))
    a.emit(restore_exit(), drop_frame(EXIT_FRAME + area), asm.ret())
    a.bind("interrupted")
    a.emit(load_cell(SCRATCH, X11, abi.STORE_POLL_STUB), asm.blr(SCRATCH))
    a.b("over")
    fail_at_limit(a)
    return a.finish()


__all__ = ["stub"]
