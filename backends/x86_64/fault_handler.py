"""The signal handler, in machine code: no Python can run in a signal.

It takes a fault as a trap of wasm code only if the program counter is in code of a module, an activation is running,
and the fault is one that such code can have: the trap instruction, a failed access to a reservation or to the null
page, or a division. Then it fills in the trap record and lets the thread go on at the unwinding stub. Everything else
goes to whoever handled the signal before, so that a bug of the engine crashes and does not look like a trap.
"""

from __future__ import annotations

from ... import abi
from . import asm
from .control import Assembler
from .regs import R8, R9, R10, R11, R14, RAX, RCX, RDI, RDX, RSI, RSP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import SignalContext

#: The trap instruction, ``ud1 eax, [rax + number]``, as the lower three of four bytes; the number is the fourth.
_UD1 = int.from_bytes(asm.ud1(0)[:3], "little")
_JMP_REL8 = 0xEB
_JMP_REL32 = 0xE9


def fault_handler(context: SignalContext) -> bytes:
    """The handler of the signals that traps and interruptions arrive as."""
    a = Assembler()
    for level in range(abi.FAULT_LEVELS):
        start = level * abi.FAULT_ENTRY_SIZE
        a.emit(asm.lea_rip(R11, abi.FAULT_ENTRY_PREVIOUS - len(asm.lea_rip(R11, 0))), asm.mov_rm(1, R11, R11, 0))
        a.jmp("handle")
        a.emit(asm.nop(start + abi.FAULT_ENTRY_PREVIOUS - len(a.code)), bytes(8))
        a.emit(abi.FAULT_MARK)

    # rdi is the signal's number, rsi siginfo_t and rdx ucontext_t: they stay, for the one who handled the signal
    # before.
    a.bind("handle")
    a.emit(asm.mov_rm(1, R10, R11, abi.FAULT_LEVEL_TABLE))
    # si_code is 1 or 2 for what the processor found; 0 and less is another process or raise(), 0x80 an address that
    # is none.
    a.emit(
        asm.mov_rm(0, RAX, RSI, context.code),
        asm.alu_ri(asm.SUB, 0, RAX, 1),
        asm.alu_ri(asm.CMP, 0, RAX, 1),
    )
    a.jcc(asm.CC_A, "pass on")
    a.emit(asm.mov_rm(1, R8, RDX, context.pc))
    _look_up(a, "code", abi.FAULT_CODE, R8, "ours")
    a.bind("ours")
    a.emit(
        asm.mov_rm(1, RCX, RDX, context.registers[R14]),
        asm.mov_rm(1, RCX, RCX, abi.CTX_STORE),
        asm.alu_mi(asm.CMP, 1, RCX, abi.STORE_SAVED_SP, 0),
    )
    a.jcc(asm.CC_E, "pass on")
    for number, offset in enumerate(context.registers):
        a.emit(asm.mov_rm(1, RAX, RDX, offset), asm.mov_mr(1, RCX, abi.STORE_REGISTERS + 8 * number, RAX))
    a.emit(asm.alu_ri(asm.CMP, 0, RDI, context.sigill))
    a.jcc(asm.CC_E, "illegal")
    a.emit(asm.alu_ri(asm.CMP, 0, RDI, context.sigfpe))
    a.jcc(asm.CC_E, "division")

    a.emit(
        asm.push_r(RCX),
        asm.mov_rm(1, R9, RSI, context.address),
        asm.mov_ri(RAX, abi.TRAP_NULL),
        asm.alu_ri(asm.CMP, 1, R9, abi.NULL_PAGE),
    )
    a.jcc(asm.CC_B, "access")
    _look_up(a, "memory", abi.FAULT_RESERVATIONS, R9, "out of bounds", balance=asm.pop_r(RCX))
    a.bind("out of bounds")
    a.emit(asm.mov_ri(RAX, abi.TRAP_MEMORY_OUT_OF_BOUNDS))
    a.bind("access")
    a.emit(asm.pop_r(RCX))

    # rcx is the store block, eax the trap, r8 the program counter, r9 the address.
    a.bind("trap")
    a.emit(
        asm.mov_mr(1, RCX, abi.STORE_TRAP, RAX),
        asm.mov_mr(1, RCX, abi.STORE_TRAP_PC, R8),
        asm.mov_mr(1, RCX, abi.STORE_FAULT_ADDRESS, R9),
        asm.mov_mr(1, RCX, abi.STORE_SIGNAL, RDI),
    )
    a.emit(asm.mov_rm(1, RAX, RCX, abi.STORE_UNWIND), asm.mov_mr(1, RDX, context.pc, RAX), asm.ret())

    _illegal(a, context)
    _division(a)
    _pass_on(a, context)
    return a.finish()


def _look_up(a: Assembler, name: str, head: int, address: int, found: str, balance: bytes = b"") -> None:
    """Look for ``address`` in ranges: jump to ``found``, or pass the signal on after ``balance``.

    Destroys rax and rcx.
    """
    a.emit(asm.mov_rm(1, RCX, R10, head))
    a.bind(f"{name} chunk")
    a.emit(asm.test_rr(1, RCX, RCX))
    a.jcc(asm.CC_E, f"{name} not found")
    a.emit(
        asm.mov_rm(1, RAX, RCX, abi.CHUNK_COUNT),
        # rax counts down, in units of half a pair, since that is what an index can be scaled to.
        asm.alu_rr(asm.ADD, 1, RAX, RAX),
    )
    a.bind(f"{name} pair")
    a.emit(asm.alu_ri(asm.SUB, 1, RAX, 2))
    a.jcc(asm.CC_B, f"{name} next")
    a.emit(asm.alu_rx(asm.CMP, 1, address, RCX, RAX, 3, abi.CHUNK_PAIRS))
    a.jcc(asm.CC_B, f"{name} pair")
    a.emit(asm.alu_rx(asm.CMP, 1, address, RCX, RAX, 3, abi.CHUNK_PAIRS + 8))
    a.jcc(asm.CC_AE, f"{name} pair")
    a.jmp(found)
    a.bind(f"{name} next")
    a.emit(asm.mov_rm(1, RCX, RCX, abi.CHUNK_NEXT))
    a.jmp(f"{name} chunk")
    a.bind(f"{name} not found")
    a.emit(balance)
    a.jmp("pass on")


def _illegal(a: Assembler, context: SignalContext) -> None:
    """SIGILL: a trap if the instruction is the trap instruction."""
    a.bind("illegal")
    a.emit(
        asm.mov_rm(0, RAX, R8, 0),
        asm.mov_rr(0, R9, RAX),
        asm.shift_ri(asm.SHR, 0, R9, 24),
        asm.alu_ri(asm.AND, 0, RAX, 0xFFFFFF),
        asm.alu_ri(asm.CMP, 0, RAX, _UD1),
    )
    a.jcc(asm.CC_NE, "pass on")
    a.emit(asm.mov_rr(0, RAX, R9), asm.zero(R9), asm.alu_ri(asm.CMP, 0, RAX, abi.TRAP_STACK_OVERFLOW))
    a.jcc(asm.CC_NE, "trap")
    # Interrupting raises the stack limit to all ones, so this may be no overflow.
    a.emit(asm.alu_mi(asm.CMP, 1, RCX, abi.STORE_STACK_LIMIT, -1))
    a.jcc(asm.CC_NE, "trap")
    a.emit(asm.movzx8_rm(RAX, R8, 4), asm.alu_ri(asm.OR, 0, RAX, _JMP_REL8 ^ _JMP_REL32))
    a.emit(asm.alu_ri(asm.CMP, 0, RAX, _JMP_REL8))
    a.jcc(asm.CC_NE, "interrupted")
    # A jump back to the check follows: do as if the poll stub had been called from before the jump.
    stack = context.registers[RSP]
    a.emit(
        asm.alu_ri(asm.ADD, 1, R8, 4),
        asm.mov_rm(1, RAX, RDX, stack),
        asm.alu_ri(asm.SUB, 1, RAX, 8),
        asm.mov_mr(1, RAX, 0, R8),
        asm.mov_mr(1, RDX, stack, RAX),
        asm.mov_rm(1, RAX, RCX, abi.STORE_POLL_STUB),
        asm.mov_mr(1, RDX, context.pc, RAX),
        asm.ret(),
    )
    a.bind("interrupted")
    a.emit(asm.mov_ri(RAX, abi.TRAP_INTERRUPTED))
    a.jmp("trap")


def _division(a: Assembler) -> None:
    """SIGFPE: a trap at ``div r`` or ``idiv r``; by zero if the register is zero, else the quotient does not fit."""
    a.bind("division")
    # r9 becomes the REX prefix or 0, eax begins with the opcode.
    a.emit(
        asm.mov_rm(0, RAX, R8, 0),
        asm.zero(R9),
        asm.push_r(RCX),
        asm.mov_rr(0, RCX, RAX),
        asm.alu_ri(asm.AND, 0, RCX, 0xF0),
        asm.alu_ri(asm.CMP, 0, RCX, 0x40),
        asm.pop_r(RCX),
    )
    a.jcc(asm.CC_NE, "no prefix")
    a.emit(asm.movzx8_rr(R9, RAX), asm.shift_ri(asm.SHR, 0, RAX, 8))
    a.bind("no prefix")
    # F7 with a ModRM byte of F0 to FF: /6 or /7, on a register.
    a.emit(
        asm.alu_ri(asm.AND, 0, RAX, 0xFFFF),
        asm.alu_ri(asm.SUB, 0, RAX, 0xF0F7),
        asm.test_ri(0, RAX, 0xF0FF),
    )
    a.jcc(asm.CC_NE, "pass on")
    a.emit(asm.shift_ri(asm.SHR, 0, RAX, 8), asm.alu_ri(asm.AND, 0, RAX, 7), asm.test_ri(0, R9, 1))
    a.jcc(asm.CC_E, "low register")
    a.emit(asm.alu_ri(asm.OR, 0, RAX, 8))
    a.bind("low register")
    a.emit(asm.mov_rx(1, RAX, RCX, RAX, 3, abi.STORE_REGISTERS))
    a.emit(asm.test_ri(0, R9, 8))
    a.jcc(asm.CC_NE, "wide")
    a.emit(asm.mov_rr(0, RAX, RAX))
    a.bind("wide")
    a.emit(
        asm.zero(R9),
        asm.test_rr(1, RAX, RAX),
        asm.mov_ri(RAX, abi.TRAP_DIVIDE_BY_ZERO),
    )
    a.jcc(asm.CC_E, "trap")
    a.emit(asm.mov_ri(RAX, abi.TRAP_INTEGER_OVERFLOW))
    a.jmp("trap")


def _pass_on(a: Assembler, context: SignalContext) -> None:
    """Jump to whoever handled the signal before, as if the kernel had called him, or do what the kernel would have
    done.
    """
    a.bind("pass on")
    # r11 is the address of what the level passes on to.
    a.emit(
        asm.mov_rr(0, R9, RDI),
        asm.shift_ri(asm.SHL, 0, R9, 4),
        asm.alu_rr(asm.ADD, 1, R9, R11),
        asm.mov_rm(1, RAX, R9, 0),
        asm.alu_ri(asm.CMP, 1, RAX, 1),
    )
    a.jcc(asm.CC_BE, "by default")
    # SA_RESETHAND, the sign bit of the flags: that handler is for one time.
    a.emit(asm.mov_rm(0, RCX, R9, 8), asm.test_rr(0, RCX, RCX))
    a.jcc(asm.CC_NS, "for ever")
    a.emit(asm.mov_mi(1, R9, 0, 0))
    a.bind("for ever")
    a.emit(asm.jmp_r(RAX))

    a.bind("by default")
    # A signal that was sent may be ignored; the processor's own cannot, the kernel acts by default then.
    a.emit(asm.mov_rm(0, RCX, RSI, context.code), asm.test_rr(0, RCX, RCX))
    a.jcc(asm.CC_G, "reset")
    a.emit(asm.test_rr(1, RAX, RAX))
    a.jcc(asm.CC_NE, "ignore")
    a.bind("reset")
    a.emit(asm.push_r(RDI), asm.push_r(RCX), asm.push_r(R10), asm.zero(RSI), asm.call_m(R10, abi.FAULT_SIGNAL))
    a.emit(asm.pop_r(R10), asm.pop_r(RCX), asm.pop_r(RDI), asm.test_rr(0, RCX, RCX))
    # A fault comes again when this returns; a signal that was sent must be sent again.
    a.jcc(asm.CC_G, "ignore")
    a.emit(asm.jmp_m(R10, abi.FAULT_RAISE))
    a.bind("ignore")
    a.emit(asm.ret())
