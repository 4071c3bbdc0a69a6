"""memory.copy and memory.fill: stubs that wasm code calls with operands in rdi, rsi and rdx.

They may destroy all temporaries. Accesses are checked before anything is written, as the specification wants it since
2.0. Moves are of 16 bytes: short runs are loaded as a whole before anything is stored, and long ones are moved in
steps of 64 bytes, upwards or downwards, where the 64 bytes of the far end are loaded before the loop and stored after
it.
"""

from __future__ import annotations

from .. import abi
from . import asm
from .control import Assembler, raise_trap
from .encoding import reg_reg
from .regs import CONTEXT, MEMORY_BASE, RAX, RBP, RCX, RDI, RDX, RSI, RSP

#: Bytes between two looks at the interrupt word.
CHUNK = 1 << 20
#: The pinned memory base serves as a scratch, and is loaded anew at the end.
_SCRATCH = MEMORY_BASE


def _check_bounds(a: Assembler, index: int, descriptor: int) -> None:
    """Trap unless ``index + rdx`` is within the memory."""
    a.emit(asm.mov_rr(1, _SCRATCH, index), asm.alu_rr(asm.ADD, 1, _SCRATCH, RDX))
    a.jcc(asm.CC_B, "out of bounds")
    a.emit(asm.alu_rm(asm.CMP, 1, _SCRATCH, descriptor, abi.MEMORY_SIZE))
    a.jcc(asm.CC_A, "out of bounds")


def _make_frame(a: Assembler) -> None:
    """A frame like that of a wasm function, so that the caller's can be seen from the poll callback."""
    a.emit(asm.push_r(RBP), asm.mov_rr(1, RBP, RSP), asm.push_r(CONTEXT), asm.push_r(CONTEXT))


def _return(a: Assembler) -> None:
    a.emit(asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE), asm.ret())


def _finish(a: Assembler) -> bytes:
    """Add the parts that both stubs end with."""
    a.bind("poll")
    a.emit(asm.mov_rm(1, RCX, CONTEXT, abi.CTX_STORE), asm.alu_mi(asm.CMP, 0, RCX, abi.STORE_INTERRUPT, 0))
    a.jcc(asm.CC_NE, "interrupted")
    a.emit(asm.ret())
    a.bind("interrupted")
    a.emit(asm.jmp_m(RCX, abi.STORE_POLL_STUB))
    a.bind("out of bounds")
    a.emit(
        asm.mov_rm(1, RSI, CONTEXT, abi.CTX_STORE),
        asm.mov_ri(RDI, abi.TRAP_MEMORY_OUT_OF_BOUNDS),
        raise_trap(asm.mov_rm(1, RAX, RSP, 0)),
        asm.jmp_m(RSI, abi.STORE_UNWIND),
    )
    return a.finish()


def _load(first: int, base: int) -> bytes:
    """Load 64 bytes into four vector registers."""
    return b"".join(asm.movups_rm(first + k, base, 16 * k) for k in range(4))


def _load_end(first: int) -> bytes:
    """Load the last 64 of the source's rdx bytes."""
    return b"".join(asm.movups_rx(first + k, RSI, RDX, 0, 16 * k - 64) for k in range(4))


def _store(first: int, base: int) -> bytes:
    return b"".join(asm.movups_mr(base, 16 * k, first + k) for k in range(4))


def _store_end(first: int) -> bytes:
    return b"".join(asm.movups_xr(RDI, RDX, 0, 16 * k - 64, first + k) for k in range(4))


def memory_copy() -> bytes:
    """``memory.copy``: rdi and rsi index the memories whose descriptors are at rax and rcx; rdx is the size."""
    a = Assembler()
    _check_bounds(a, RDI, RAX)
    _check_bounds(a, RSI, RCX)
    a.emit(
        asm.alu_rm(asm.ADD, 1, RDI, RAX, abi.MEMORY_BASE),
        asm.alu_rm(asm.ADD, 1, RSI, RCX, abi.MEMORY_BASE),
        asm.alu_ri(asm.CMP, 1, RDX, 16),
    )
    a.jcc(asm.CC_B, "below 16")
    a.emit(asm.alu_ri(asm.CMP, 1, RDX, 32))
    a.jcc(asm.CC_A, "above 32")
    a.emit(
        asm.movups_rm(0, RSI, 0),
        asm.movups_rx(1, RSI, RDX, 0, -16),
        asm.movups_mr(RDI, 0, 0),
        asm.movups_xr(RDI, RDX, 0, -16, 1),
    )
    _return(a)

    a.bind("below 16")
    a.emit(asm.alu_ri(asm.CMP, 0, RDX, 8))
    a.jcc(asm.CC_B, "below 8")
    a.emit(
        asm.mov_rm(1, RAX, RSI, 0),
        asm.mov_rx(1, RCX, RSI, RDX, 0, -8),
        asm.mov_mr(1, RDI, 0, RAX),
        asm.mov_xr(1, RDI, RDX, 0, -8, RCX),
    )
    _return(a)
    a.bind("below 8")
    a.emit(asm.alu_ri(asm.CMP, 0, RDX, 4))
    a.jcc(asm.CC_B, "below 4")
    a.emit(
        asm.mov_rm(0, RAX, RSI, 0),
        asm.mov_rx(0, RCX, RSI, RDX, 0, -4),
        asm.mov_mr(0, RDI, 0, RAX),
        asm.mov_xr(0, RDI, RDX, 0, -4, RCX),
    )
    _return(a)
    a.bind("below 4")
    a.emit(asm.test_rr(0, RDX, RDX))
    a.jcc(asm.CC_E, "nothing")
    # 1 to 3 bytes: the first, the last, and the one in the middle, which may be one of those.
    a.emit(
        asm.mov_rr(0, MEMORY_BASE, RDX),
        asm.shift_ri(asm.SHR, 0, MEMORY_BASE, 1),
        asm.movzx8_rx(RAX, RSI, MEMORY_BASE, 0, 0),
        asm.movzx8_rx(RCX, RSI, RDX, 0, -1),
        asm.movzx8_rm(RSI, RSI, 0),
        asm.mov8_mr(RDI, 0, RSI),
        asm.mov8_xr(RDI, MEMORY_BASE, 0, 0, RAX),
        asm.mov8_xr(RDI, RDX, 0, -1, RCX),
    )
    a.bind("nothing")
    _return(a)

    a.bind("above 32")
    a.emit(asm.alu_ri(asm.CMP, 1, RDX, 64))
    a.jcc(asm.CC_A, "above 64")
    a.emit(
        asm.movups_rm(0, RSI, 0),
        asm.movups_rm(1, RSI, 16),
        asm.movups_rx(2, RSI, RDX, 0, -32),
        asm.movups_rx(3, RSI, RDX, 0, -16),
        asm.movups_mr(RDI, 0, 0),
        asm.movups_mr(RDI, 16, 1),
        asm.movups_xr(RDI, RDX, 0, -32, 2),
        asm.movups_xr(RDI, RDX, 0, -16, 3),
    )
    _return(a)
    a.bind("above 64")
    a.emit(asm.alu_ri(asm.CMP, 1, RDX, 128))
    a.jcc(asm.CC_A, "above 128")
    a.emit(_load(0, RSI), _load_end(4), _store(0, RDI), _store_end(4))
    _return(a)

    a.bind("above 128")
    _make_frame(a)
    # Downwards if the destination begins inside the source: then its end must be read before it is overwritten.
    a.emit(asm.mov_rr(1, RAX, RDI), asm.alu_rr(asm.SUB, 1, RAX, RSI), asm.alu_rr(asm.CMP, 1, RAX, RDX))
    a.jcc(asm.CC_B, "downwards")

    a.emit(_load_end(4), asm.lea_rx(1, _SCRATCH, RDI, RDX, 0, -64))
    a.bind("upwards")
    a.emit(
        asm.lea_rm(1, RAX, RDI, CHUNK),
        asm.alu_rr(asm.CMP, 1, RAX, _SCRATCH),
        asm.cmovcc_rr(asm.CC_A, 1, RAX, _SCRATCH),
    )
    a.bind("up")
    a.emit(_load(0, RSI), _store(0, RDI), asm.alu_ri(asm.ADD, 1, RSI, 64), asm.alu_ri(asm.ADD, 1, RDI, 64))
    a.emit(asm.alu_rr(asm.CMP, 1, RDI, RAX))
    a.jcc(asm.CC_B, "up")
    a.emit(asm.alu_rr(asm.CMP, 1, RDI, _SCRATCH))
    a.jcc(asm.CC_AE, "up end")
    a.call("poll")
    a.jmp("upwards")
    a.bind("up end")
    a.emit(_store(4, _SCRATCH), asm.leave_())
    _return(a)

    a.bind("downwards")
    a.emit(_load(4, RSI))
    a.bind("next down")
    # rax = max(rdx - CHUNK, 64)
    a.emit(
        asm.lea_rm(1, RAX, RDX, -CHUNK),
        asm.mov_ri(RCX, 64),
        asm.alu_rr(asm.CMP, 1, RAX, RCX),
        asm.cmovcc_rr(asm.CC_L, 1, RAX, RCX),
    )
    a.bind("down")
    a.emit(_load_end(0), _store_end(0), asm.alu_ri(asm.SUB, 1, RDX, 64), asm.alu_rr(asm.CMP, 1, RDX, RAX))
    a.jcc(asm.CC_A, "down")
    a.emit(asm.alu_ri(asm.CMP, 1, RDX, 64))
    a.jcc(asm.CC_BE, "down end")
    a.call("poll")
    a.jmp("next down")
    a.bind("down end")
    a.emit(_store(4, RDI), asm.leave_())
    _return(a)
    return _finish(a)


def memory_fill() -> bytes:
    """``memory.fill``: rdi indexes the memory whose descriptor is at rax, sil is the byte, rdx the number of bytes."""
    a = Assembler()
    _check_bounds(a, RDI, RAX)
    a.emit(
        asm.alu_rm(asm.ADD, 1, RDI, RAX, abi.MEMORY_BASE),
        asm.movzx8_rr(RSI, RSI),
        asm.mov_ri(RCX, 0x0101_0101_0101_0101),
        asm.imul_rr(1, RSI, RCX),
        asm.alu_ri(asm.CMP, 1, RDX, 16),
    )
    a.jcc(asm.CC_B, "below 16")
    a.emit(asm.movd_to_xmm(1, 0, RSI), _double(0), asm.alu_ri(asm.CMP, 1, RDX, 64))
    a.jcc(asm.CC_A, "above 64")
    a.emit(asm.movups_mr(RDI, 0, 0), asm.movups_xr(RDI, RDX, 0, -16, 0), asm.alu_ri(asm.CMP, 1, RDX, 32))
    a.jcc(asm.CC_BE, "done")
    a.emit(asm.movups_mr(RDI, 16, 0), asm.movups_xr(RDI, RDX, 0, -32, 0))
    a.bind("done")
    _return(a)

    a.bind("below 16")
    a.emit(asm.alu_ri(asm.CMP, 0, RDX, 8))
    a.jcc(asm.CC_B, "below 8")
    a.emit(asm.mov_mr(1, RDI, 0, RSI), asm.mov_xr(1, RDI, RDX, 0, -8, RSI))
    _return(a)
    a.bind("below 8")
    a.emit(asm.alu_ri(asm.CMP, 0, RDX, 4))
    a.jcc(asm.CC_B, "below 4")
    a.emit(asm.mov_mr(0, RDI, 0, RSI), asm.mov_xr(0, RDI, RDX, 0, -4, RSI))
    _return(a)
    a.bind("below 4")
    a.emit(asm.test_rr(0, RDX, RDX))
    a.jcc(asm.CC_E, "done")
    a.emit(
        asm.mov_rr(0, RCX, RDX),
        asm.shift_ri(asm.SHR, 0, RCX, 1),
        asm.mov8_mr(RDI, 0, RSI),
        asm.mov8_xr(RDI, RCX, 0, 0, RSI),
        asm.mov8_xr(RDI, RDX, 0, -1, RSI),
    )
    _return(a)

    a.bind("above 64")
    _make_frame(a)
    a.emit(asm.lea_rx(1, _SCRATCH, RDI, RDX, 0, -64))
    a.bind("next")
    a.emit(
        asm.lea_rm(1, RAX, RDI, CHUNK),
        asm.alu_rr(asm.CMP, 1, RAX, _SCRATCH),
        asm.cmovcc_rr(asm.CC_A, 1, RAX, _SCRATCH),
    )
    a.bind("up")
    a.emit(_fill(RDI), asm.alu_ri(asm.ADD, 1, RDI, 64), asm.alu_rr(asm.CMP, 1, RDI, RAX))
    a.jcc(asm.CC_B, "up")
    a.emit(asm.alu_rr(asm.CMP, 1, RDI, _SCRATCH))
    a.jcc(asm.CC_AE, "end")
    a.call("poll")
    a.jmp("next")
    a.bind("end")
    a.emit(_fill(_SCRATCH), asm.leave_())
    _return(a)
    return _finish(a)


def _fill(base: int) -> bytes:
    return b"".join(asm.movups_mr(base, 16 * k, 0) for k in range(4))


def _double(xmm: int) -> bytes:
    """PUNPCKLQDQ xmm, xmm (66 0F 6C /r): copy the lower 8 bytes to the upper."""
    return reg_reg(b"\x66", 0, b"\x0f\x6c", xmm, xmm)
