"""Functions by hand on x86-64, piece by piece; :mod:`.aarch64` has the same."""

from __future__ import annotations

from vibewasm import abi
from vibewasm.backends.x86_64 import asm
from vibewasm.backends.x86_64.regs import R8, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP
from vibewasm.runtime.blocks import Block

#: Makes and leaves a frame: the context at [rbp-8], the stack pointer aligned.
PROLOGUE = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + asm.push_r(R14) + asm.push_r(R14)
EPILOGUE = asm.leave_() + asm.ret()
RETURN = asm.ret()

#: Where integer parameters travel, and roles of registers.
INT_PARAMETERS = (RCX, RDX, RSI, RDI)
CONTEXT = R14
MEMORY_BASE = R15
FRAME = RBP
STACK = RSP
#: From the stack pointer up to the frame pointer, in a frame of PROLOGUE.
FRAME_ABOVE_STACK = 16
#: Registers that hold anything.
SPARE = tuple(reg for reg in range(14) if reg not in (RSP, RBP))

#: No instruction, and no trap either: ``ud2``.
ILLEGAL = b"\x0f\x0b"
#: ``call rax``, which the engine has no use for.
CALL_RAX = b"\xff\xd0"


def trap(number: int) -> bytes:
    """Raise a trap."""
    return asm.ud1(number)


def set_register(reg: int, value: int) -> bytes:
    """Put a number into a register."""
    return asm.mov_ri(reg, value)


def set_result(value: int) -> bytes:
    """Make a number the result."""
    return asm.mov_ri(RAX, value)


def add_to_result(value: int) -> bytes:
    """Add a number to the result."""
    return asm.alu_ri(asm.ADD, 1, RAX, value)


def set_parameter(value: int) -> bytes:
    """Make a number the first parameter of a call."""
    return asm.mov_ri(RCX, value)


def keep(value: int) -> bytes:
    """Put a number into a register that functions preserve."""
    return asm.mov_ri(RBX, value)


def add_kept() -> bytes:
    """Add that number to the result."""
    return asm.lea_rx(1, RAX, RAX, RBX, 0, 0)


def load(address: int) -> bytes:
    """Read 8 bytes at an address."""
    return asm.mov_ri(RAX, address) + asm.mov_rm(1, RAX, RAX, 0)


def load_parameter() -> bytes:
    """Read 8 bytes at the address that is the first parameter."""
    return asm.mov_rm(1, RAX, RCX, 0)


def compare_with_type_of_null() -> bytes:
    """Read the type of the null record, as an indirect call does."""
    return asm.zero(RAX) + asm.alu_rm(asm.CMP, 0, RCX, RAX, abi.RECORD_TYPE)


def accesses(offset: int) -> tuple[bytes, ...]:
    """A load, a store and a load of 16 bytes at the first parameter and an offset in memory 0."""
    return (
        asm.mov_rx(0, RAX, R15, RCX, 0, offset),
        asm.mov_xr(0, R15, RCX, 0, offset, RAX),
        asm.movups_rx(0, R15, RCX, 0, offset),
    )


def farthest_access() -> bytes:
    """A load of 16 bytes at the first parameter and the largest offset."""
    return asm.mov_ri(RDX, 0xFFFF_FFFF) + asm.alu_rr(asm.ADD, 1, RCX, RDX) + asm.movups_rx(0, R15, RCX, 0, 0)


def c_call(function: int, *arguments: int) -> bytes:
    """Wasm code that calls a function of the C library, out of order, to make something happen exactly here."""
    code = b"".join(asm.mov_ri(reg, value) for reg, value in zip((RDI, RSI), arguments, strict=False))
    return code + asm.mov_ri(RAX, function) + CALL_RAX


def call_record(record: Block) -> bytes:
    """Call through a record, and come back to the frame's own instance."""
    code = asm.mov_ri(0, record.address) + asm.mov_rm(1, R14, 0, 8) + asm.mov_rm(1, 15, R14, 8)
    return code + asm.call_m(0, 0) + asm.mov_rm(1, R14, RBP, -8) + asm.mov_rm(1, 15, R14, 8)


def failing_callback(store: int, number: int) -> bytes:
    """A callback in C code that leaves the number of a trap in the "failed" cell."""
    return asm.mov_ri(RAX, store) + asm.mov_mi(1, RAX, abi.STORE_FAILED, number) + asm.ret()


def stack_pointer() -> bytes:
    """A function whose result is the stack pointer at its entry."""
    return stack_pointer_as_result() + asm.ret()


def stack_pointer_as_result() -> bytes:
    """Make the stack pointer the result."""
    return asm.mov_rr(1, RAX, RSP)


def unless_parameter(code: bytes) -> bytes:
    """Do something if the first parameter is 0; else make it less by one."""
    count = asm.alu_ri(asm.SUB, 1, RCX, 1)
    skip = asm.jmp_rel8(len(count))
    test = asm.test_rr(1, RCX, RCX) + asm.jcc_rel32(asm.CC_NE, len(code) + len(skip))
    return test + code + skip + count


def endless_loop() -> bytes:
    """for (;;) { poll as compiled code does; count in rbx }"""
    load = asm.mov_rm(1, RAX, R14, 0)
    poll = asm.call_m(RAX, abi.STORE_POLL_STUB)
    loop = load + asm.alu_mi(asm.CMP, 0, RAX, 8, 0) + asm.jcc_rel8(asm.CC_E, len(poll)) + poll
    loop += asm.alu_ri(asm.ADD, 1, RBX, 1)
    return loop + asm.jmp_rel8(-len(loop) - 2)


def exponential() -> bytes:
    """f(n) { if (n) { f(n - 1); f(n - 1); } }: takes for ever without a loop and without much stack."""
    code = asm.push_r(RBP) + asm.mov_rr(1, RBP, RSP) + asm.push_r(R14) + asm.push_r(RCX)
    check = asm.mov_rm(1, RAX, R14, 0) + asm.alu_rm(asm.CMP, 1, RSP, RAX, 0)
    trap_size = 6
    back = asm.jmp_rel8(-len(check) - 2 - trap_size)
    code += check + asm.jcc_rel8(asm.CC_AE, trap_size) + asm.ud1(9) + back
    argument = asm.mov_rm(1, RCX, RBP, -16) + asm.alu_ri(asm.SUB, 1, RCX, 1)
    code += asm.test_rr(1, RCX, RCX) + asm.jcc_rel8(asm.CC_E, 2 * (len(argument) + 5))
    for _ in range(2):
        code += argument
        code += asm.call_rel32(-len(code) - 5)
    return code + asm.leave_() + asm.ret()


def endless(jump_back: bool) -> bytes:
    """A function that calls itself for ever, and checks the stack limit as compiled code does."""
    check = asm.mov_rm(1, RAX, R14, 0) + asm.alu_rm(asm.CMP, 1, RSP, RAX, 0)
    body = PROLOGUE + check + asm.jcc_rel8(asm.CC_AE, 4 + 2 * jump_back) + asm.ud1(9)
    if jump_back:
        body += asm.jmp_rel8(len(PROLOGUE) - len(body) - 2)
    return body + asm.call_rel32(-len(body) - 5) + EPILOGUE


def countdown() -> bytes:
    """f(n) = n ? f(n - 1) : unreachable"""
    check = asm.test_rr(1, RCX, RCX) + asm.jcc_rel8(asm.CC_NE, 4) + asm.ud1(1) + asm.alu_ri(asm.SUB, 1, RCX, 1)
    body = PROLOGUE + check
    return body + asm.call_rel32(-len(body) - 5) + EPILOGUE


def recursion(host: Block) -> bytes:
    """f(n) { host(n); f(n + 1); }, with no check of its own"""
    body = PROLOGUE + asm.mov_rr(1, RBX, RCX) + call_record(host) + asm.lea_rm(1, RCX, RBX, 1)
    return body + asm.call_rel32(-len(body) - 5) + EPILOGUE


def bulk(cell: int) -> bytes:
    """The body of f(d, s, n), which calls a bulk stub as compiled code does; the result is 7777 if what the stub has to
    preserve is what it was.
    """
    body = asm.mov_rr(1, R8, RSI) + keep(7777)
    body += asm.mov_rr(1, RDI, RCX) + asm.mov_rr(1, RSI, RDX) + asm.mov_rr(1, RDX, R8)
    body += asm.mov_rm(1, RAX, R14, 16) + asm.mov_rm(1, RCX, R14, 16)
    body += asm.mov_rm(1, R8, R14, 0) + asm.call_m(R8, 8 * cell)
    return body + asm.mov_rr(1, RAX, R15) + asm.alu_rm(asm.SUB, 1, RAX, R14, 8) + add_kept()


#: Registers that a function preserves: context and memory base too, of a function that stays in its instance.
_KEPT = (3, 12, 13, 8, 9, 10, 11, R14, R15)
_KEPT_FLOATS = range(8, 16)


def set_pinned(ints: int, floats: int) -> bytes:
    """Put something else into so many of the registers that functions preserve, in the order in which they are given
    out.
    """
    code = b"".join(asm.mov_ri(reg, 0xBAD0 + reg) for reg in _KEPT[:ints])
    return code + b"".join(asm.pcmpeqd_rr(reg, reg) for reg in _KEPT_FLOATS[:floats])


def kept_registers(load: bool, block: Block) -> bytes:
    """Load the pinned registers from a block, or store them to it, with context, memory base, and how far the stack
    pointer is from the frame pointer.
    """
    code = asm.push_r(RAX) + asm.mov_ri(RAX, block.address)
    for index, reg in enumerate(_KEPT[:7] if load else _KEPT):
        code += asm.mov_rm(1, reg, RAX, 8 * index) if load else asm.mov_mr(1, RAX, 8 * index, reg)
    for index, reg in enumerate(_KEPT_FLOATS):
        code += asm.movups_rm(reg, RAX, 128 + 16 * index) if load else asm.movups_mr(RAX, 128 + 16 * index, reg)
    if not load:
        # rax is on the stack.
        code += asm.lea_rm(1, RCX, RBP, -8) + asm.alu_rr(asm.SUB, 1, RCX, RSP) + asm.mov_mr(1, RAX, 72, RCX)
    return code + asm.pop_r(RAX)


def store_result(address: int) -> bytes:
    """Write the result, or what a slot was loaded into, to an address."""
    return asm.mov_ri(RCX, address) + asm.mov_mr(1, RCX, 0, RAX)
