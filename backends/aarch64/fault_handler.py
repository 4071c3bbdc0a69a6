"""The signal handler, in machine code: no Python can run in a signal.

It takes a fault as a trap of wasm code only if the program counter is in code of a module, an activation is running,
and the fault is one that such code can have: the trap instruction, or a failed access to a reservation or to the null
page. (Divisions do not fault here: code tests for what traps.) Then it fills in the trap record and lets the thread go
on at the unwinding stub. Everything else goes to whoever handled the signal before, so that a bug of the engine crashes
and does not look like a trap.
"""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .regs import CONTEXT, LINK, SP, X0, X1, X2, X9, X10, X11, X12, X13, X14, X15, X16, X17, ZR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import SignalContext

#: The largest number that a trap instruction of ours carries: the next ones say that a callback throws, or failed.
_LARGEST_TRAP = abi.HOST_EXCEPTION - 1
#: The upper six bits of an unconditional jump.
_JUMP = 0b000101


def fault_handler(context: SignalContext) -> bytes:
    """The handler of the signals that traps and interruptions arrive as."""
    a = Assembler()
    for level in range(abi.FAULT_LEVELS):
        start = level * abi.FAULT_ENTRY_SIZE
        a.emit(asm.adr(X9, abi.FAULT_ENTRY_PREVIOUS), asm.access(asm.LDR_X, X9, X9, 0))
        a.b("handle")
        a.emit(asm.nop() * ((start + abi.FAULT_ENTRY_PREVIOUS - len(a.code)) // 4), bytes(8))
        a.emit(abi.FAULT_MARK)

    # x0 is the signal's number, x1 siginfo_t and x2 ucontext_t: they stay, for the one who handled the signal before.
    a.bind("handle")
    a.emit(asm.access(asm.LDR_X, X10, X9, abi.FAULT_LEVEL_TABLE))
    # si_code is 1 or 2 for what the processor found; 0 and less is another process or raise(), 0x80 the kernel.
    a.emit(asm.access(asm.LDR_W, X11, X1, context.code), asm.alu_ri(asm.SUB, 0, X11, X11, 1), asm.cmp_ri(0, X11, 1))
    a.b_cond(asm.CC_HI, "pass on")
    a.emit(asm.access(asm.LDR_X, X12, X2, context.pc))
    _look_up(a, "code", abi.FAULT_CODE, X12)
    a.emit(
        asm.access(asm.LDR_X, X13, X2, context.registers[CONTEXT]),
        asm.access(asm.LDR_X, X13, X13, abi.CTX_STORE),
        asm.access(asm.LDR_X, X11, X13, abi.STORE_SAVED_SP),
    )
    a.cbz(1, X11, "pass on")
    for number, offset in enumerate(context.registers):
        a.emit(
            asm.access(asm.LDR_X, X11, X2, offset),
            asm.access(asm.STR_X, X11, X13, abi.STORE_REGISTERS + 8 * number),
        )
    a.emit(asm.cmp_ri(0, X0, context.sigill))
    a.b_cond(asm.CC_EQ, "illegal")
    a.emit(asm.cmp_ri(0, X0, context.sigfpe))
    a.b_cond(asm.CC_EQ, "pass on")

    a.emit(
        asm.access(asm.LDR_X, X14, X1, context.address),
        asm.mov_ri(X11, abi.TRAP_NULL),
        asm.mov_ri(X15, abi.NULL_PAGE),
        asm.cmp_rr(1, X14, X15),
    )
    a.b_cond(asm.CC_LO, "trap")
    _look_up(a, "memory", abi.FAULT_RESERVATIONS, X14)
    a.emit(asm.mov_ri(X11, abi.TRAP_MEMORY_OUT_OF_BOUNDS))

    # x13 is the store block, x11 the trap, x12 the program counter, x14 the address.
    a.bind("trap")
    a.emit(
        asm.access(asm.STR_X, X11, X13, abi.STORE_TRAP),
        asm.access(asm.STR_X, X12, X13, abi.STORE_TRAP_PC),
        asm.access(asm.STR_X, X14, X13, abi.STORE_FAULT_ADDRESS),
        asm.access(asm.STR_X, X0, X13, abi.STORE_SIGNAL),
        asm.access(asm.LDR_X, X11, X13, abi.STORE_UNWIND),
        asm.access(asm.STR_X, X11, X2, context.pc),
        asm.ret(),
    )

    _illegal(a, context)
    _pass_on(a, context)
    return a.finish()


def _look_up(a: Assembler, name: str, head: int, address: int) -> None:
    """Look for ``address`` in ranges: go on if it is in one, else pass the signal on. Destroys x11, x15, x16 and
    x17.
    """
    a.emit(asm.access(asm.LDR_X, X15, X10, head))
    a.bind(f"{name} chunk")
    a.cbz(1, X15, "pass on")
    a.emit(asm.access(asm.LDR_X, X11, X15, abi.CHUNK_COUNT), asm.access(asm.LDR_X, X17, X15, abi.CHUNK_NEXT))
    a.emit(asm.alu_ri(asm.ADD, 1, X15, X15, abi.CHUNK_PAIRS))
    a.bind(f"{name} pair")
    a.cbz(1, X11, f"{name} next")
    a.emit(asm.alu_ri(asm.SUB, 1, X11, X11, 1), asm.access_post(asm.LDR_X, X16, X15, 16), asm.cmp_rr(1, address, X16))
    a.b_cond(asm.CC_LO, f"{name} pair")
    a.emit(asm.access(asm.LDR_X, X16, X15, -8), asm.cmp_rr(1, address, X16))
    a.b_cond(asm.CC_HS, f"{name} pair")
    a.b(f"{name} found")
    a.bind(f"{name} next")
    a.emit(asm.mov_rr(1, X15, X17))
    a.b(f"{name} chunk")
    a.bind(f"{name} found")


def _illegal(a: Assembler, context: SignalContext) -> None:
    """SIGILL: a trap if the instruction is the trap instruction, UDF, whose number is all that it consists of."""
    a.bind("illegal")
    a.emit(
        asm.access(asm.LDR_W, X11, X12, 0),
        asm.mov_ri(X14, 0),
        asm.alu_ri(asm.SUB, 0, X15, X11, 1),
        asm.cmp_ri(0, X15, _LARGEST_TRAP - 1),
    )
    a.b_cond(asm.CC_HI, "pass on")
    a.emit(asm.cmp_ri(0, X11, abi.TRAP_STACK_OVERFLOW))
    a.b_cond(asm.CC_NE, "trap")
    # Interrupting raises the stack limit to all ones, so this may be no overflow.
    a.emit(asm.access(asm.LDR_X, X15, X13, abi.STORE_STACK_LIMIT), asm.cmp_ri(1, X15, -1))
    a.b_cond(asm.CC_NE, "trap")
    a.emit(asm.access(asm.LDR_W, X15, X12, 4), asm.shift_ri(asm.LSR, 0, X15, X15, 26), asm.cmp_ri(0, X15, _JUMP))
    a.b_cond(asm.CC_NE, "interrupted")
    # A jump back to the check follows: do as if the poll stub had been called from before the jump. The prologue has
    # saved the return address that was in x30.
    a.emit(
        asm.alu_ri(asm.ADD, 1, X12, X12, 4),
        asm.access(asm.STR_X, X12, X2, context.registers[LINK]),
        asm.access(asm.LDR_X, X11, X13, abi.STORE_POLL_STUB),
        asm.access(asm.STR_X, X11, X2, context.pc),
        asm.ret(),
    )
    a.bind("interrupted")
    a.emit(asm.mov_ri(X11, abi.TRAP_INTERRUPTED))
    a.b("trap")


def _pass_on(a: Assembler, context: SignalContext) -> None:
    """Jump to whoever handled the signal before, as if the kernel had called him, or do what the kernel would have
    done.
    """
    a.bind("pass on")
    # x9 is the address of what the level passes on to.
    a.emit(
        asm.alu_rrs(asm.ADD, 1, X11, X9, X0, asm.LSL, 4),
        asm.access(asm.LDR_X, X16, X11, 0),
        asm.cmp_ri(1, X16, 1),
    )
    a.b_cond(asm.CC_LS, "by default")
    # SA_RESETHAND, the sign bit of the flags: that handler is for one time.
    a.emit(asm.access(asm.LDR_W, X12, X11, 8), asm.tbz(X12, 31, 8), asm.access(asm.STR_X, ZR, X11, 0), asm.br(X16))

    a.bind("by default")
    # A signal that was sent may be ignored; the processor's own cannot, the kernel acts by default then.
    a.emit(asm.access(asm.LDR_W, X12, X1, context.code), asm.cmp_ri(0, X12, 0))
    a.b_cond(asm.CC_GT, "reset")
    a.cbnz(1, X16, "ignore")
    a.bind("reset")
    a.emit(
        asm.pair_pre(asm.STP_X, X0, LINK, SP, -32),
        asm.pair(asm.STP_X, X12, X10, SP, 16),
        asm.mov_ri(X1, 0),
        asm.access(asm.LDR_X, X16, X10, abi.FAULT_SIGNAL),
        asm.blr(X16),
        asm.pair(asm.LDP_X, X12, X10, SP, 16),
        asm.pair_post(asm.LDP_X, X0, LINK, SP, 32),
        asm.cmp_ri(0, X12, 0),
    )
    # A fault comes again when this returns; a signal that was sent must be sent again.
    a.b_cond(asm.CC_GT, "ignore")
    a.emit(asm.access(asm.LDR_X, X16, X10, abi.FAULT_RAISE), asm.br(X16))
    a.bind("ignore")
    a.emit(asm.ret())
