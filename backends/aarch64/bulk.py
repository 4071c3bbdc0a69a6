"""memory.copy and memory.fill: stubs that wasm code calls with operands in x0, x1 and x2.

They may destroy all temporaries and scratches. Accesses are checked before anything is written, as the specification
wants it since 2.0. Moves are of 16 bytes: short runs are loaded as a whole before anything is stored, and long ones are
moved in steps of 64 bytes, upwards or downwards, where the 64 bytes of the far end are loaded before the loop and
stored after it.
"""

from __future__ import annotations

from .. import abi
from . import asm
from .control import Assembler, raise_trap
from .frames import CONTEXT_SLOT
from .regs import CONTEXT, FRAME, LINK, SCRATCH, SCRATCH2, SP, X0, X1, X2, X3, X4, X5, X6

#: Bytes between two looks at the interrupt word.
CHUNK = 1 << 20

_FRAME_SIZE = 32


def _check_bounds(a: Assembler, index: int, descriptor: int) -> None:
    """Trap unless ``index + x2`` is within the memory."""
    a.emit(asm.alu_rr(asm.ADDS, 1, SCRATCH, index, X2))
    a.b_cond(asm.CC_HS, "out of bounds")
    a.emit(asm.ldr(1, SCRATCH2, descriptor, abi.MEMORY_SIZE), asm.cmp_rr(1, SCRATCH, SCRATCH2))
    a.b_cond(asm.CC_HI, "out of bounds")


def _add_base(index: int, descriptor: int) -> bytes:
    """Turn an index into an address."""
    return asm.ldr(1, SCRATCH, descriptor, abi.MEMORY_BASE) + asm.alu_rr(asm.ADD, 1, index, index, SCRATCH)


def _make_frame(a: Assembler) -> None:
    """A frame like that of a wasm function, so that the caller's can be seen from the poll callback."""
    a.emit(
        asm.pair_pre(asm.STP_X, FRAME, LINK, SP, -_FRAME_SIZE),
        asm.mov_sp(FRAME, SP),
        asm.access(asm.STR_X, CONTEXT, FRAME, CONTEXT_SLOT),
    )


def _return_from_frame(a: Assembler) -> None:
    a.emit(asm.pair_post(asm.LDP_X, FRAME, LINK, SP, _FRAME_SIZE), asm.ret())


def _poll(a: Assembler, name: str) -> None:
    """Call the poll stub if the interrupt word says so."""
    a.emit(asm.ldr(1, SCRATCH, CONTEXT, abi.CTX_STORE), asm.access(asm.LDR_W, SCRATCH2, SCRATCH, abi.STORE_INTERRUPT))
    a.cbz(0, SCRATCH2, name)
    a.emit(asm.ldr(1, SCRATCH, SCRATCH, abi.STORE_POLL_STUB), asm.blr(SCRATCH))
    a.b(name)


def _finish(a: Assembler) -> bytes:
    """Add the part that both stubs end with. There is no frame of the stub's yet."""
    a.bind("out of bounds")
    a.emit(
        asm.ldr(1, X1, CONTEXT, abi.CTX_STORE),
        asm.mov_ri(X0, abi.TRAP_MEMORY_OUT_OF_BOUNDS),
        raise_trap(X0, LINK, X1),
        asm.ldr(1, SCRATCH, X1, abi.STORE_UNWIND),
        asm.br(SCRATCH),
    )
    return a.finish()


def _load(first: int, base: int, offset: int = 0) -> bytes:
    """Load 64 bytes into four vector registers."""
    code = asm.pair(asm.LDP_Q, first, first + 1, base, offset)
    return code + asm.pair(asm.LDP_Q, first + 2, first + 3, base, offset + 32)


def _store(first: int, base: int, offset: int = 0) -> bytes:
    code = asm.pair(asm.STP_Q, first, first + 1, base, offset)
    return code + asm.pair(asm.STP_Q, first + 2, first + 3, base, offset + 32)


def _ends(a: Assembler) -> None:
    """The ends of the source and of the destination in x5 and x6."""
    a.emit(asm.alu_rr(asm.ADD, 1, X5, X1, X2), asm.alu_rr(asm.ADD, 1, X6, X0, X2))


def memory_copy() -> bytes:
    """``memory.copy``: x0 and x1 index the memories whose descriptors are at x3 and x4; x2 is the size."""
    a = Assembler()
    _check_bounds(a, X0, X3)
    _check_bounds(a, X1, X4)
    a.emit(_add_base(X0, X3), _add_base(X1, X4))
    _ends(a)
    a.emit(asm.cmp_ri(1, X2, 16))
    a.b_cond(asm.CC_LO, "below 16")
    a.emit(asm.cmp_ri(1, X2, 32))
    a.b_cond(asm.CC_HI, "above 32")
    a.emit(
        asm.access(asm.LDR_Q, 0, X1, 0),
        asm.access(asm.LDR_Q, 1, X5, -16),
        asm.access(asm.STR_Q, 0, X0, 0),
        asm.access(asm.STR_Q, 1, X6, -16),
        asm.ret(),
    )

    a.bind("below 16")
    a.emit(asm.cmp_ri(0, X2, 8))
    a.b_cond(asm.CC_LO, "below 8")
    a.emit(
        asm.access(asm.LDR_X, X3, X1, 0),
        asm.access(asm.LDR_X, X4, X5, -8),
        asm.access(asm.STR_X, X3, X0, 0),
        asm.access(asm.STR_X, X4, X6, -8),
        asm.ret(),
    )
    a.bind("below 8")
    a.emit(asm.cmp_ri(0, X2, 4))
    a.b_cond(asm.CC_LO, "below 4")
    a.emit(
        asm.access(asm.LDR_W, X3, X1, 0),
        asm.access(asm.LDR_W, X4, X5, -4),
        asm.access(asm.STR_W, X3, X0, 0),
        asm.access(asm.STR_W, X4, X6, -4),
        asm.ret(),
    )
    a.bind("below 4")
    a.cbz(0, X2, "nothing")
    # 1 to 3 bytes: the first, the last, and the one in the middle, which may be one of those.
    a.emit(
        asm.shift_ri(asm.LSR, 0, X2, X2, 1),
        asm.access_x(asm.LDRB, X3, X1, X2),
        asm.access(asm.LDRB, X4, X5, -1),
        asm.access(asm.LDRB, X1, X1, 0),
        asm.access(asm.STRB, X1, X0, 0),
        asm.access_x(asm.STRB, X3, X0, X2),
        asm.access(asm.STRB, X4, X6, -1),
    )
    a.bind("nothing")
    a.emit(asm.ret())

    a.bind("above 32")
    a.emit(asm.cmp_ri(1, X2, 64))
    a.b_cond(asm.CC_HI, "above 64")
    a.emit(
        asm.pair(asm.LDP_Q, 0, 1, X1, 0),
        asm.pair(asm.LDP_Q, 2, 3, X5, -32),
        asm.pair(asm.STP_Q, 0, 1, X0, 0),
        asm.pair(asm.STP_Q, 2, 3, X6, -32),
        asm.ret(),
    )
    a.bind("above 64")
    a.emit(asm.cmp_ri(1, X2, 128))
    a.b_cond(asm.CC_HI, "above 128")
    a.emit(_load(0, X1), _load(4, X5, -64), _store(0, X0), _store(4, X6, -64), asm.ret())

    a.bind("above 128")
    _make_frame(a)
    # Downwards if the destination begins inside the source: then its end must be read before it is overwritten.
    a.emit(asm.alu_rr(asm.SUB, 1, X3, X0, X1), asm.cmp_rr(1, X3, X2))
    a.b_cond(asm.CC_LO, "downwards")

    a.emit(_load(4, X5, -64), asm.alu_ri(asm.SUB, 1, X6, X6, 64))
    a.bind("upwards")
    a.emit(
        asm.alu_ri(asm.ADD, 1, X3, X0, CHUNK),
        asm.cmp_rr(1, X3, X6),
        asm.csel(asm.CC_HI, 1, X3, X6, X3),
    )
    a.bind("up")
    a.emit(_load(0, X1), _store(0, X0), asm.alu_ri(asm.ADD, 1, X1, X1, 64), asm.alu_ri(asm.ADD, 1, X0, X0, 64))
    a.emit(asm.cmp_rr(1, X0, X3))
    a.b_cond(asm.CC_LO, "up")
    a.emit(asm.cmp_rr(1, X0, X6))
    a.b_cond(asm.CC_HS, "up end")
    _poll(a, "upwards")
    a.bind("up end")
    a.emit(_store(4, X6))
    _return_from_frame(a)

    a.bind("downwards")
    # x5 and x6 come down from the ends; the first 64 bytes come last.
    a.emit(_load(4, X1), asm.alu_ri(asm.ADD, 1, X1, X0, 64))
    a.bind("next down")
    # x3 = max(x6 - CHUNK, x0 + 64), in an address space that has room for the difference.
    a.emit(
        asm.alu_ri(asm.SUB, 1, X3, X6, CHUNK),
        asm.cmp_rr(1, X3, X1),
        asm.csel(asm.CC_LT, 1, X3, X1, X3),
    )
    a.bind("down")
    a.emit(
        _load(0, X5, -64),
        _store(0, X6, -64),
        asm.alu_ri(asm.SUB, 1, X5, X5, 64),
        asm.alu_ri(asm.SUB, 1, X6, X6, 64),
        asm.cmp_rr(1, X6, X3),
    )
    a.b_cond(asm.CC_HI, "down")
    a.emit(asm.cmp_rr(1, X6, X1))
    a.b_cond(asm.CC_LS, "down end")
    _poll(a, "next down")
    a.bind("down end")
    a.emit(_store(4, X0))
    _return_from_frame(a)
    return _finish(a)


def memory_fill() -> bytes:
    """``memory.fill``: x0 indexes the memory whose descriptor is at x3, w1 holds the byte, x2 the number of bytes."""
    a = Assembler()
    _check_bounds(a, X0, X3)
    a.emit(_add_base(X0, X3), asm.dup_b(0, X1), asm.fmov_from(1, X1, 0))
    a.emit(asm.alu_rr(asm.ADD, 1, X6, X0, X2), asm.cmp_ri(1, X2, 16))
    a.b_cond(asm.CC_LO, "below 16")
    a.emit(asm.cmp_ri(1, X2, 64))
    a.b_cond(asm.CC_HI, "above 64")
    a.emit(asm.access(asm.STR_Q, 0, X0, 0), asm.access(asm.STR_Q, 0, X6, -16), asm.cmp_ri(1, X2, 32))
    a.b_cond(asm.CC_LS, "done")
    a.emit(asm.access(asm.STR_Q, 0, X0, 16), asm.access(asm.STR_Q, 0, X6, -32))
    a.bind("done")
    a.emit(asm.ret())

    a.bind("below 16")
    a.emit(asm.cmp_ri(0, X2, 8))
    a.b_cond(asm.CC_LO, "below 8")
    a.emit(asm.access(asm.STR_X, X1, X0, 0), asm.access(asm.STR_X, X1, X6, -8), asm.ret())
    a.bind("below 8")
    a.emit(asm.cmp_ri(0, X2, 4))
    a.b_cond(asm.CC_LO, "below 4")
    a.emit(asm.access(asm.STR_W, X1, X0, 0), asm.access(asm.STR_W, X1, X6, -4), asm.ret())
    a.bind("below 4")
    a.cbz(0, X2, "done")
    a.emit(
        asm.shift_ri(asm.LSR, 0, X2, X2, 1),
        asm.access(asm.STRB, X1, X0, 0),
        asm.access_x(asm.STRB, X1, X0, X2),
        asm.access(asm.STRB, X1, X6, -1),
        asm.ret(),
    )

    a.bind("above 64")
    _make_frame(a)
    # Both pairs of a step store the same register twice.
    a.emit(asm.alu_ri(asm.SUB, 1, X6, X6, 64))
    a.bind("next")
    a.emit(
        asm.alu_ri(asm.ADD, 1, X3, X0, CHUNK),
        asm.cmp_rr(1, X3, X6),
        asm.csel(asm.CC_HI, 1, X3, X6, X3),
    )
    a.bind("up")
    a.emit(_fill(X0), asm.alu_ri(asm.ADD, 1, X0, X0, 64), asm.cmp_rr(1, X0, X3))
    a.b_cond(asm.CC_LO, "up")
    a.emit(asm.cmp_rr(1, X0, X6))
    a.b_cond(asm.CC_HS, "end")
    _poll(a, "next")
    a.bind("end")
    a.emit(_fill(X6))
    _return_from_frame(a)
    return _finish(a)


def _fill(base: int) -> bytes:
    return asm.pair(asm.STP_Q, 0, 0, base, 0) + asm.pair(asm.STP_Q, 0, 0, base, 32)
