"""Functions by hand on AArch64, piece by piece; :mod:`.x86_64` has the same."""

from __future__ import annotations

from vibewasm import abi
from vibewasm.backends.aarch64 import asm
from vibewasm.runtime.blocks import Block

#: Makes and leaves a frame: the context at [x29+16].
PROLOGUE = asm.pair_pre(asm.STP_X, 29, 30, 31, -32) + asm.mov_sp(29, 31) + asm.access(asm.STR_X, 28, 29, 16)
EPILOGUE = asm.pair_post(asm.LDP_X, 29, 30, 31, 32) + asm.ret()
RETURN = asm.ret()

#: Where integer parameters travel, and roles of registers.
INT_PARAMETERS = tuple(range(8))
CONTEXT = 28
MEMORY_BASE = 27
FRAME = 29
STACK = 31
#: From the stack pointer up to the frame pointer, in a frame of PROLOGUE.
FRAME_ABOVE_STACK = 0
#: Registers that hold anything.
SPARE = (*range(18), *range(19, 27))

#: No instruction, and no trap either.
ILLEGAL = asm.udf(0x1234)


def trap(number: int) -> bytes:
    """Raise a trap."""
    return asm.udf(number)


def set_register(reg: int, value: int) -> bytes:
    """Put a number into a register."""
    return asm.mov_ri(reg, value)


def set_result(value: int) -> bytes:
    """Make a number the result."""
    return asm.mov_ri(0, value)


def add_to_result(value: int) -> bytes:
    """Add a number to the result."""
    return asm.alu_ri(asm.ADD, 1, 0, 0, value)


def set_parameter(value: int) -> bytes:
    """Make a number the first parameter of a call."""
    return asm.mov_ri(0, value)


def keep(value: int) -> bytes:
    """Put a number into a register that functions preserve, and C code does not."""
    return asm.mov_ri(9, value)


def add_kept() -> bytes:
    """Add that number to the result."""
    return asm.alu_rr(asm.ADD, 1, 0, 0, 9)


def load(address: int) -> bytes:
    """Read 8 bytes at an address."""
    return asm.mov_ri(0, address) + asm.access(asm.LDR_X, 0, 0, 0)


def load_parameter() -> bytes:
    """Read 8 bytes at the address that is the first parameter."""
    return asm.access(asm.LDR_X, 0, 0, 0)


def compare_with_type_of_null() -> bytes:
    """Read the type of the null record, as an indirect call does."""
    return asm.mov_ri(8, 0) + asm.access(asm.LDR_W, 16, 8, abi.RECORD_TYPE)


def accesses(offset: int) -> tuple[bytes, ...]:
    """A load, a store and a load of 16 bytes at the first parameter and an offset in memory 0."""
    base = asm.mov_ri(16, offset) + asm.alu_rr(asm.ADD, 1, 16, 16, 27)
    return (
        base + asm.access_u(asm.LDR_W, 0, 16, 0),
        base + asm.access_u(asm.STR_W, 1, 16, 0),
        base + asm.access_u(asm.LDR_Q, 0, 16, 0),
    )


def farthest_access() -> bytes:
    """A load of 16 bytes at the first parameter and the largest offset."""
    return accesses(0xFFFF_FFFF)[2]


def c_call(function: int, *arguments: int) -> bytes:
    """Wasm code that calls a function of the C library, out of order, to make something happen exactly here."""
    code = b"".join(asm.mov_ri(reg, value) for reg, value in enumerate(arguments))
    return code + asm.mov_ri(16, function) + asm.blr(16)


def call_record(record: Block) -> bytes:
    """Call through a record, and come back to the frame's own instance."""
    code = asm.mov_ri(8, record.address) + asm.access(asm.LDR_X, 28, 8, 8) + asm.access(asm.LDR_X, 27, 28, 8)
    code += asm.access(asm.LDR_X, 16, 8, 0) + asm.blr(16)
    return code + asm.access(asm.LDR_X, 28, 29, 16) + asm.access(asm.LDR_X, 27, 28, 8)


def failing_callback(store: int, number: int) -> bytes:
    """A callback in C code that leaves the number of a trap in the "failed" cell."""
    return asm.mov_ri(0, store) + asm.mov_ri(1, number) + asm.access(asm.STR_X, 1, 0, abi.STORE_FAILED) + asm.ret()


def stack_pointer() -> bytes:
    """A function whose result is the stack pointer at its entry."""
    return stack_pointer_as_result() + asm.ret()


def stack_pointer_as_result() -> bytes:
    """Make the stack pointer the result."""
    return asm.mov_sp(0, 31)


def unless_parameter(code: bytes) -> bytes:
    """Do something if the first parameter is 0; else make it less by one."""
    return asm.cbnz(1, 0, len(code) + 8) + code + asm.b(8) + asm.alu_ri(asm.SUB, 1, 0, 0, 1)


def _check_limit(jump_back: bool) -> bytes:
    """Compare the stack pointer with the limit, and trap; then compare again."""
    check = asm.access(asm.LDR_X, 16, 28, 0) + asm.access(asm.LDR_X, 16, 16, 0)
    check += asm.alu_rrx(asm.SUBS, 1, 31, 31, 16, asm.UXTX, 0)
    check += asm.b_cond(asm.CC_HS, 12 if jump_back else 8) + asm.udf(9)
    return check + asm.b(-len(check)) if jump_back else check


def endless_loop() -> bytes:
    """for (;;) { poll as compiled code does; count in x9 }"""
    loop = asm.access(asm.LDR_X, 16, 28, 0) + asm.access(asm.LDR_W, 17, 16, abi.STORE_INTERRUPT)
    loop += asm.cbz(0, 17, 12) + asm.access(asm.LDR_X, 16, 16, abi.STORE_POLL_STUB) + asm.blr(16)
    loop += asm.alu_ri(asm.ADD, 1, 9, 9, 1)
    return loop + asm.b(-len(loop))


def exponential() -> bytes:
    """f(n) { if (n) { f(n - 1); f(n - 1); } }: takes for ever without a loop and without much stack."""
    code = PROLOGUE + asm.access(asm.STR_X, 0, 29, 24) + _check_limit(True)
    code += asm.access(asm.LDR_X, 0, 29, 24) + asm.cbz(1, 0, 28)
    for _ in range(2):
        code += asm.access(asm.LDR_X, 0, 29, 24) + asm.alu_ri(asm.SUB, 1, 0, 0, 1)
        code += asm.bl(-len(code))
    return code + EPILOGUE


def endless(jump_back: bool) -> bytes:
    """A function that calls itself for ever, and checks the stack limit as compiled code does."""
    body = PROLOGUE + _check_limit(jump_back)
    return body + asm.bl(-len(body)) + EPILOGUE


def countdown() -> bytes:
    """f(n) = n ? f(n - 1) : unreachable"""
    body = PROLOGUE + asm.cbnz(1, 0, 8) + asm.udf(1) + asm.alu_ri(asm.SUB, 1, 0, 0, 1)
    return body + asm.bl(-len(body)) + EPILOGUE


def recursion(host: Block) -> bytes:
    """f(n) { host(n); f(n + 1); }, with no check of its own"""
    body = PROLOGUE + asm.mov_rr(1, 9, 0) + call_record(host) + asm.alu_ri(asm.ADD, 1, 0, 9, 1)
    return body + asm.bl(-len(body)) + EPILOGUE


def bulk(cell: int) -> bytes:
    """The body of f(d, s, n), which calls a bulk stub as compiled code does; the result is 7777 if what the stub has to
    preserve is what it was.
    """
    body = keep(7777) + asm.access(asm.LDR_X, 3, 28, 16) + asm.access(asm.LDR_X, 4, 28, 16)
    body += asm.access(asm.LDR_X, 16, 28, 0) + asm.access(asm.LDR_X, 16, 16, 8 * cell) + asm.blr(16)
    body += asm.access(asm.LDR_X, 1, 28, 8) + asm.alu_rr(asm.SUB, 1, 0, 27, 1)
    return body + add_kept()


#: Registers that a function preserves: context and memory base too, of a function that stays in its instance.
_KEPT = (*range(19, 27), *range(9, 16), CONTEXT, MEMORY_BASE)
_KEPT_FLOATS = range(8, 24)


def set_pinned(ints: int, floats: int) -> bytes:
    """Put something else into so many of the registers that functions preserve, in the order in which they are given
    out.
    """
    code = b"".join(asm.mov_ri(reg, 0xBAD0 + reg) for reg in _KEPT[:ints])
    return code + b"".join(asm.movi_zero(reg) for reg in _KEPT_FLOATS[:floats])


def kept_registers(load: bool, block: Block) -> bytes:
    """Load the pinned registers from a block, or store them to it, with context, memory base, and how far the stack
    pointer is from the frame pointer.
    """
    code = asm.mov_ri(16, block.address)
    for index, reg in enumerate(_KEPT[:15] if load else _KEPT):
        code += asm.access(asm.LDR_X if load else asm.STR_X, reg, 16, 8 * index)
    for index, reg in enumerate(_KEPT_FLOATS):
        code += asm.access(asm.LDR_Q if load else asm.STR_Q, reg, 16, 256 + 16 * index)
    if not load:
        code += asm.mov_sp(17, 31) + asm.alu_rr(asm.SUB, 1, 17, 29, 17) + asm.access(asm.STR_X, 17, 16, 8 * len(_KEPT))
    return code


def store_result(address: int) -> bytes:
    """Write the result, or what a slot was loaded into, to an address."""
    return asm.mov_ri(16, address) + asm.access(asm.STR_X, 0, 16, 0)
