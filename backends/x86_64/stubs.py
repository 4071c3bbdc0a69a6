"""Code between Python and wasm functions: adapters per signature, and the stubs that wasm code calls.

Every function here returns machine code, position-independent (:mod:`.bulk` has memory.copy and memory.fill,
:mod:`.fault_handler` the signal handler). Signatures are strings of letters, parameters before the colon and results
after it: i32 ``i``, i64 ``l``, f32 ``f``, f64 ``d``, v128 ``v``, reference ``r``.

Frames of all these stubs look like frames of wasm functions where a backtrace looks: the caller's frame pointer at
``[rbp]``, the return address above it, an instance context of the store at ``[rbp - 8]``.
"""

from __future__ import annotations

from ... import abi
from ..assembly import late_names
from ..convention import cells, signature_results
from . import asm, signatures
from .control import Assembler
from .fault_handler import fault_handler
from .processor import LAZY_ENTRY_SIZE
from .regs import (
    CONTEXT,
    MEMORY_BASE,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R15,
    RAX,
    RBP,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
    RSP,
)
from .stub_frames import (
    ENTER_FRAME,
    ENTER_SAVED_SP,
    EXIT_FRAME,
    EXIT_PINNED_FLOATS,
    EXIT_PINNED_INTS,
    EXIT_PREVIOUS,
    call_out,
    drop_exit_frame,
    fail_at_limit,
    fail_from_frame,
    make_exit_frame,
    restore_exit,
    take_interruption,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exception_stubs import make_exception, preserved_registers, restore_pinned, throw, throw_reference
else:
    # Few modules have exceptions.
    __getattr__ = late_names(globals(), "exception_stubs")

#: The frame of ``enter``, by offsets from rbp, the same for all signatures: ``unwind`` returns from any of them.
_ENTER_RBX = -16
_ENTER_R12 = -24
_ENTER_R13 = -32
_ENTER_R14 = -40
_ENTER_R15 = -48
_ENTER_ARGV = -56
_ENTER_FLOAT_MODE = -64
_ENTER_SAVES = ((RBX, _ENTER_RBX), (R12, _ENTER_R12), (R13, _ENTER_R13), (CONTEXT, _ENTER_R14), (R15, _ENTER_R15))

#: The frame of ``leave``.
_LEAVE_FRAME = EXIT_FRAME + 16


# -- Python to wasm and back -------------------------------------------------------------------------------------------


def enter(signature: str) -> bytes:
    """Host to wasm, by the C ABI."""
    parameters, _, results = signature.partition(":")
    a = Assembler()
    _begin_entry(a)
    a.emit(asm.mov_rr(1, RAX, RDI), asm.mov_rr(1, R10, RDX))
    places, area = signatures.parameters(parameters)
    in_area = [place for place in places if place.reg < 0]
    if area:
        a.emit(asm.alu_ri(asm.SUB, 1, RSP, area))
        for place in in_area:
            a.emit(signatures.copy(place.letter, RSP, place.area, R10, 8 * place.cell, R11))
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.load(place, R10, 8 * place.cell))
    a.emit(asm.call_m(RAX, abi.RECORD_CODE))
    places = signature_results(results)
    if places:
        a.emit(asm.mov_rm(1, R10, RBP, _ENTER_ARGV))
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.store(place, R10, 8 * place.cell))
    if any(place.reg < 0 for place in places):
        a.emit(asm.mov_rm(1, RCX, RBP, -8), asm.mov_rm(1, RCX, RCX, abi.CTX_STORE))
    for place in places:
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, R10, 8 * place.cell, RCX, place.area, R11))
    _end_entry(a)
    return a.finish()


def enter_ready() -> bytes:
    """Host to wasm, by the C ABI, with the words of ``enter`` in a block."""
    a = Assembler()
    a.emit(
        asm.mov_rm(1, RAX, RDI, abi.READY_ENTER),
        asm.mov_rm(1, RSI, RDI, abi.READY_ARGC),
        asm.mov_rm(1, RDX, RDI, abi.READY_ARGV),
        asm.mov_rm(1, RDI, RDI, abi.READY_RECORD),
        asm.jmp_r(RAX),
    )
    return a.finish()


def map_arrays(signature: str) -> bytes:
    """A loop of calls, host to wasm, by the C ABI; see :mod:`.arrays`."""
    from . import arrays  # few programs map functions

    a = Assembler()
    _begin_entry(a)
    arrays.loop(a, signature)
    _end_entry(a)
    return a.finish()


def _begin_entry(a: Assembler) -> None:
    """Make the frame of ``enter``, from which :func:`unwind` returns, and get ready for wasm code, with the record in
    rdi and the third argument in rdx; rcx has the store block afterwards.
    """
    a.emit(asm.push_r(RBP), asm.mov_rr(1, RBP, RSP), asm.alu_ri(asm.SUB, 1, RSP, ENTER_FRAME))
    for reg, disp in _ENTER_SAVES:
        a.emit(asm.mov_mr(1, RBP, disp, reg))
    a.emit(
        asm.mov_rm(1, CONTEXT, RDI, abi.RECORD_CTX),
        asm.mov_mr(1, RBP, -8, CONTEXT),
        asm.mov_mr(1, RBP, _ENTER_ARGV, RDX),
        asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.mov_rm(1, RCX, CONTEXT, abi.CTX_STORE),
        asm.stmxcsr_m(RBP, _ENTER_FLOAT_MODE),
        asm.ldmxcsr_m(RCX, abi.STORE_FLOAT_MODE),
        asm.mov_rm(1, RAX, RCX, abi.STORE_SAVED_SP),
        asm.mov_mr(1, RBP, ENTER_SAVED_SP, RAX),
        asm.mov_mr(1, RCX, abi.STORE_SAVED_SP, RSP),
        # The stack limit is that of this thread, unless an interruption is due. Whoever interrupts sets the word and
        # then the limit, so one that comes in between here is seen.
        asm.mov_rm(1, RAX, RCX, abi.STORE_REAL_LIMIT),
        asm.mov_mr(1, RCX, abi.STORE_STACK_LIMIT, RAX),
        asm.alu_mi(asm.CMP, 1, RCX, abi.STORE_INTERRUPT, 0),
    )
    a.jcc(asm.CC_NE, "interrupted")
    a.bind("ready")


def _end_entry(a: Assembler) -> None:
    """Return 0 from the frame of ``enter``; after that comes what :func:`_begin_entry` jumps to."""
    a.emit(asm.zero(RAX), _leave_enter())
    a.bind("interrupted")
    a.emit(asm.mov_mi(1, RCX, abi.STORE_STACK_LIMIT, -1))
    a.jmp("ready")


def _leave_enter() -> bytes:
    """Return from the frame of ``enter`` at rbp to Python, with the result in rax."""
    code = asm.mov_rm(1, RCX, RBP, -8) + asm.mov_rm(1, RCX, RCX, abi.CTX_STORE)
    code += asm.mov_rm(1, RDX, RBP, ENTER_SAVED_SP) + asm.mov_mr(1, RCX, abi.STORE_SAVED_SP, RDX)
    # Callbacks of this activation have cleared it; one that called `enter` has yet to.
    code += asm.mov_mi(1, RCX, abi.STORE_FAILED, abi.HOST_FAILURE)
    code += asm.ldmxcsr_m(RBP, _ENTER_FLOAT_MODE)
    code += b"".join(asm.mov_rm(1, reg, RBP, disp) for reg, disp in _ENTER_SAVES)
    return code + asm.leave_() + asm.ret()


def unwind() -> bytes:
    """Give up the running activation; at entry r14 is any context of the store, rbp the innermost frame to record."""
    a = Assembler()
    a.emit(
        # A fault may have come in the middle of a copy downwards.
        asm.cld(),
        asm.mov_rm(1, RDI, CONTEXT, abi.CTX_STORE),
        asm.alu_mi(asm.CMP, 1, RDI, abi.STORE_TRAP, abi.HOST_EXCEPTION),
    )
    a.jcc(asm.CC_E, "thrown")
    a.emit(
        asm.mov_rm(1, RCX, RDI, abi.STORE_SAVED_SP),
        asm.alu_ri(asm.ADD, 1, RCX, ENTER_FRAME),
        asm.mov_rm(1, RSI, RDI, abi.STORE_TRAP_PC),
        asm.lea_rm(1, RDX, RDI, abi.STORE_FRAMES),
        asm.zero(RAX),
    )
    a.bind("frame")
    a.emit(asm.alu_rr(asm.CMP, 1, RBP, RCX))
    a.jcc(asm.CC_E, "walked")
    a.emit(asm.alu_ri(asm.CMP, 0, RAX, abi.MAX_FRAMES))
    a.jcc(asm.CC_E, "walked")
    a.emit(
        asm.mov_mr(1, RDX, 0, RSI),
        asm.mov_rm(1, RSI, RBP, -8),
        asm.mov_mr(1, RDX, 8, RSI),
        asm.alu_ri(asm.ADD, 1, RDX, 16),
        asm.alu_ri(asm.ADD, 0, RAX, 1),
        asm.mov_rm(1, RSI, RBP, 8),
        # The return address may be the first byte of another instruction.
        asm.alu_ri(asm.SUB, 1, RSI, 1),
        asm.mov_rm(1, RBP, RBP, 0),
    )
    a.jmp("frame")
    a.bind("walked")
    a.emit(
        asm.mov_mr(1, RDI, abi.STORE_FRAME_COUNT, RAX),
        asm.mov_rr(1, RBP, RCX),
        asm.mov_rm(1, RAX, RDI, abi.STORE_TRAP),
        _leave_enter(),
    )
    # A host function throws: its `leave` has come here, whose frame ends at the stack pointer still. Its caller gets
    # back what that frame keeps, and throws.
    a.bind("thrown")
    a.emit(
        restore_exit(RSP, _LEAVE_FRAME),
        asm.lea_rm(1, RSP, RSP, _LEAVE_FRAME + 8),
        asm.jmp_m(RDI, abi.STORE_THROW),
    )
    return a.finish()


# -- wasm to Python and back -------------------------------------------------------------------------------------------


def leave(signature: str, caller: bool = False) -> bytes:
    """Wasm to host; at entry rax is the record, and ``[rbp - 8]`` the caller's context."""
    parameters, _, results = signature.partition(":")
    a = Assembler()
    places, area = signatures.parameters(parameters)
    room = (8 * max(cells(parameters), cells(results)) + 15) & -16
    make_exit_frame(a, _LEAVE_FRAME)
    argv = -EXIT_FRAME - 8
    a.bind("check")
    a.emit(
        asm.mov_rm(1, R11, CONTEXT, abi.CTX_STORE),
        asm.alu_rm(asm.CMP, 1, RSP, R11, abi.STORE_STACK_LIMIT),
    )
    a.jcc(asm.CC_B, "limit")
    a.emit(asm.mov_rm(1, R10, R11, abi.STORE_CELLS_TOP))
    if room:
        a.emit(asm.lea_rm(1, R8, R10, room), asm.alu_rm(asm.CMP, 1, R8, R11, abi.STORE_CELLS_END))
        a.jcc(asm.CC_A, "overflow")
        a.emit(asm.mov_mr(1, R11, abi.STORE_CELLS_TOP, R8))
    a.emit(
        asm.mov_mr(1, RBP, argv, R10),
        asm.mov_rm(1, R9, R11, abi.STORE_EXIT_FP),
        asm.mov_mr(1, RBP, EXIT_PREVIOUS, R9),
    )
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.store(place, R10, 8 * place.cell))
        else:
            a.emit(signatures.copy(place.letter, R10, 8 * place.cell, RBP, 16 + place.area, R9))
    a.emit(asm.mov_rr(1, RDI, CONTEXT), asm.mov_ri(RSI, cells(parameters)), asm.mov_rr(1, RDX, R10))
    if caller:
        a.emit(
            asm.lea_rm(1, R9, RAX, abi.RECORD_OTHERS - abi.RECORD_CALLBACK),
            asm.alu_rm(asm.CMP, 1, CONTEXT, RAX, abi.RECORD_CALLER),
            asm.cmovcc_rr(asm.CC_NE, 1, RAX, R9),
        )
    call_out(a, asm.call_m(RAX, abi.RECORD_CALLBACK))
    a.emit(asm.mov_rm(1, RDX, RBP, argv), asm.mov_mr(1, RSI, abi.STORE_CELLS_TOP, RDX))
    a.jcc(asm.CC_NE, "failed")
    result_places = signature_results(results)
    for place in result_places:
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, RSI, place.area, RDX, 8 * place.cell, RCX))
    for place in result_places:
        if place.reg >= 0:
            a.emit(signatures.load(place, RDX, 8 * place.cell))
    drop_exit_frame(a, area)
    fail_at_limit(a)
    return a.finish()


def native(signature: str, stack: int) -> bytes:
    """Wasm to C, see :mod:`.native`."""
    from . import native as calls  # few programs import C functions

    return calls.stub(signature, stack)


def poll() -> bytes:
    """Call the poll callback."""
    a = Assembler()
    a.emit(asm.push_r(RBP), asm.mov_rr(1, RBP, RSP), asm.push_r(CONTEXT), asm.alu_ri(asm.SUB, 1, RSP, _POLL_FRAME - 8))
    a.emit(_all_saves()[0])
    a.emit(
        asm.mov_rm(1, R11, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RAX, R11, abi.STORE_EXIT_FP),
        asm.mov_mr(1, RBP, EXIT_PREVIOUS, RAX),
    )
    take_interruption(a)
    call_out(a, asm.call_m(R11, abi.STORE_POLL))
    a.jcc(asm.CC_NE, "failed")
    a.emit(_all_saves()[1], asm.mov_rm(1, RAX, RBP, _POLL_RAX), asm.leave_(), asm.ret())
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


_POLL_RAX = -184
_POLL_INTS = ((RCX, -192), (RDX, -200), (RSI, -208), (RDI, -216))
_POLL_FLOATS = tuple((number, -240 - 16 * number) for number in range(8))
_POLL_FRAME = 352

#: What :func:`_all_saves` returns, once it has been called.
_saves: list[bytes] = []


def _all_saves() -> list[bytes]:
    """Two pieces of code: save all registers that wasm code may use, in a frame of a poll, and restore all but rax."""
    if not _saves:
        ints = (*EXIT_PINNED_INTS, *_POLL_INTS)
        floats = (*EXIT_PINNED_FLOATS, *_POLL_FLOATS)
        save = [asm.mov_mr(1, RBP, disp, reg) for reg, disp in ((RAX, _POLL_RAX), *ints)]
        save += [asm.movups_mr(RBP, disp, number) for number, disp in floats]
        restore = [asm.mov_rm(1, reg, RBP, disp) for reg, disp in ints]
        restore += [asm.movups_rm(number, RBP, disp) for number, disp in floats]
        _saves[:] = [b"".join(save), b"".join(restore)]
    return _saves


# -- compiling at the first call ---------------------------------------------------------------------------------------


def lazy_table(first: int, count: int) -> bytes:
    """Entries that have functions compiled.

    An entry calls the end of the table, which finds the function's number from the return address.
    """
    if not 0 < count <= _MOST_LAZY:
        raise ValueError(f"a table of {count} lazy entries; 1 to {_MOST_LAZY} are possible")
    size = count * LAZY_ENTRY_SIZE
    code = b"".join([asm.call_rel32(rel) for rel in range(size - LAZY_ENTRY_SIZE, -1, -LAZY_ENTRY_SIZE)])
    lea_size = len(asm.lea_rip(RAX, 0))
    code += asm.pop_r(RAX)
    code += asm.lea_rip(MEMORY_BASE, -len(code) - lea_size)
    # rax = 5 * (number + 1). The multiplication divides numbers below 43,691 by 5.
    code += asm.alu_rr(asm.SUB, 1, RAX, MEMORY_BASE)
    code += asm.imul_rri(0, RAX, RAX, 0xCCCD) + asm.shift_ri(asm.SHR, 0, RAX, 18)
    code += asm.alu_ri(asm.ADD, 0, RAX, first - 1)
    # The pinned memory base served as a scratch; it is loaded anew.
    code += asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_STORE)
    return code + asm.jmp_m(MEMORY_BASE, abi.STORE_LAZY_COMMON)


_MOST_LAZY = 8192


def lazy_common() -> bytes:
    """Have the defined function whose number is in rax compiled, and jump to it."""
    a = Assembler()
    a.emit(
        asm.push_r(RBP),
        asm.mov_rr(1, RBP, RSP),
        asm.push_r(CONTEXT),
        asm.alu_ri(asm.SUB, 1, RSP, _POLL_FRAME - 8),
        asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
    )
    a.emit(_all_saves()[0])
    a.emit(
        asm.mov_rr(1, RSI, RAX),
        asm.mov_rm(1, R11, CONTEXT, abi.CTX_STORE),
        asm.mov_rm(1, RAX, R11, abi.STORE_EXIT_FP),
        asm.mov_mr(1, RBP, EXIT_PREVIOUS, RAX),
        asm.mov_rr(1, RDI, CONTEXT),
        asm.zero(RDX),
    )
    call_out(a, asm.call_m(R11, abi.STORE_LAZY))
    a.jcc(asm.CC_NE, "failed")
    a.emit(_all_saves()[1], asm.leave_(), asm.jmp_r(RAX))
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def instruction_cache() -> bytes:
    """Nothing: instruction fetches see what was written (Intel SDM volume 3, "Self-Modifying Code")."""
    return b""


def extensions() -> bytes:
    """Machine code of ``u64 f(void)``: which extensions the processor has, see :mod:`.features`."""
    from . import features  # asked once in a process

    return features.cpuid_code()


def stack_pointer() -> bytes:
    """Machine code of ``u64 f(void)``, which returns the stack pointer."""
    return asm.mov_rr(1, RAX, RSP) + asm.ret()


def builtin_call(number: int) -> bytes:
    """The way to builtin ``number``, see :mod:`.builtin_stubs`."""
    from . import builtin_stubs  # few modules use builtins

    return builtin_stubs.builtin_call(number)


def copy_data() -> bytes:
    """What copies data segments, see :mod:`.data_segments`."""
    from . import data_segments  # only modules with many of them need it

    return data_segments.copy_data()


def memory_copy() -> bytes:
    """The stub of ``memory.copy``, see :mod:`.bulk`."""
    from . import bulk  # only instances with a memory need it

    return bulk.memory_copy()


def memory_fill() -> bytes:
    """The stub of ``memory.fill``, see :mod:`.bulk`."""
    from . import bulk

    return bulk.memory_fill()


def return_frame() -> bytes:
    """What a function returns to that was tail-called from another instance, see :mod:`.tail_stubs`."""
    from . import tail_stubs  # few programs have tail calls

    return tail_stubs.return_frame()


def tail_out() -> bytes:
    """How a tail call leaves its instance, see :mod:`.tail_stubs`."""
    from . import tail_stubs

    return tail_stubs.tail_out()


__all__ = [
    "builtin_call",
    "copy_data",
    "enter",
    "enter_ready",
    "extensions",
    "fault_handler",
    "instruction_cache",
    "lazy_common",
    "lazy_table",
    "leave",
    "make_exception",
    "map_arrays",
    "memory_copy",
    "memory_fill",
    "native",
    "poll",
    "preserved_registers",
    "restore_pinned",
    "return_frame",
    "stack_pointer",
    "tail_out",
    "throw",
    "throw_reference",
    "unwind",
]
