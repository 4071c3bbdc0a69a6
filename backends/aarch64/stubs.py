"""Code between Python and wasm functions: adapters per signature, and the stubs that wasm code calls.

Every function here returns machine code, position-independent (:mod:`.bulk` has memory.copy and memory.fill,
:mod:`.fault_handler` the signal handler). Signatures are strings of letters, parameters before the colon and results
after it: i32 ``i``, i64 ``l``, f32 ``f``, f64 ``d``, v128 ``v``, reference ``r``.

Frames of all these stubs look like frames of wasm functions where a backtrace looks: the caller's frame pointer at
``[x29]``, the return address above it, an instance context of the store at ``[x29 + 16]``.
"""

from __future__ import annotations

from ... import abi
from ..assembly import late_names
from ..convention import cells, signature_results
from . import asm, signatures
from .addresses import add
from .control import Assembler
from .fault_handler import fault_handler
from .frames import CONTEXT_SLOT
from .processor import LAZY_ENTRY_SIZE
from .regs import (
    CALLEE,
    CONTEXT,
    FRAME,
    LINK,
    MEMORY_BASE,
    SCRATCH,
    SCRATCH2,
    SP,
    X0,
    X1,
    X2,
    X3,
    X4,
    X5,
    X9,
    X10,
    X11,
    X12,
    X13,
    X19,
    X26,
)
from .stub_frames import (
    EXIT_FRAME,
    EXIT_PREVIOUS,
    call_out,
    drop_frame,
    fail_at_limit,
    fail_from_frame,
    load_cell,
    make_frame,
    pairs,
    restore_exit,
    save_exit,
    set_float_mode,
    store_cell,
    take_interruption,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exception_stubs import make_exception, preserved_registers, restore_pinned, throw, throw_reference
else:
    # Few modules have exceptions.
    __getattr__ = late_names(globals(), "exception_stubs")

#: The frame of ``enter``, by offsets from x29, the same for all signatures: ``unwind`` returns from any of them. It
#: keeps what AAPCS64 has a function preserve: x19 to x28, and the lower halves of v8 to v15.
_ENTER_ARGV = 24
ENTER_SAVED_SP = 32
_ENTER_FLOAT_MODE = 40
_ENTER_INTS = 48
_ENTER_FLOATS = 128
_ENTER_FRAME = 192
_ENTER_INT_PAIRS = (*[(first, first + 1) for first in range(X19, X26, 2)], (MEMORY_BASE, CONTEXT))
_ENTER_FLOAT_PAIRS = ((8, 9), (10, 11), (12, 13), (14, 15))

#: The frame of ``leave``.
_LEAVE_FRAME = EXIT_FRAME + 16

#: Behind that, in stubs that take the place of the callee: what parameters travel in.
_PARAMETER_INTS = 352
_PARAMETER_FLOATS = 416
_PARAMETER_FRAME = 544


# -- Python to wasm and back -------------------------------------------------------------------------------------------


def enter(signature: str) -> bytes:
    """Host to wasm, by the C ABI."""
    parameters, _, results = signature.partition(":")
    a = Assembler()
    _begin_entry(a)
    a.emit(asm.mov_rr(1, CALLEE, X0), asm.mov_rr(1, X10, X2))
    places, area = signatures.parameters(parameters)
    if area:
        a.emit(add(SP, SP, -area))
    for place in places:
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, SP, place.area, X10, 8 * place.cell))
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.load(place, X10, 8 * place.cell))
    a.emit(load_cell(SCRATCH, CALLEE, abi.RECORD_CODE), asm.blr(SCRATCH))
    places = signature_results(results)
    if places:
        a.emit(load_cell(X10, FRAME, _ENTER_ARGV))
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.store(place, X10, 8 * place.cell))
    if any(place.reg < 0 for place in places):
        a.emit(load_cell(X11, FRAME, CONTEXT_SLOT), load_cell(X11, X11, abi.CTX_STORE))
    for place in places:
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, X10, 8 * place.cell, X11, place.area))
    _end_entry(a)
    return a.finish()


def enter_ready() -> bytes:
    """Host to wasm, by the C ABI, with the words of ``enter`` in a block."""
    a = Assembler()
    a.emit(
        load_cell(SCRATCH, X0, abi.READY_ENTER),
        load_cell(X1, X0, abi.READY_ARGC),
        load_cell(X2, X0, abi.READY_ARGV),
        load_cell(X0, X0, abi.READY_RECORD),
        asm.br(SCRATCH),
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
    x0 and the third argument in x2; x3 has the store block afterwards.
    """
    a.emit(
        asm.pair_pre(asm.STP_X, FRAME, LINK, SP, -_ENTER_FRAME),
        asm.mov_sp(FRAME, SP),
        pairs(asm.STP_X, _ENTER_INT_PAIRS, _ENTER_INTS),
        pairs(asm.STP_D, _ENTER_FLOAT_PAIRS, _ENTER_FLOATS),
        load_cell(CONTEXT, X0, abi.RECORD_CTX),
        asm.pair(asm.STP_X, CONTEXT, X2, FRAME, CONTEXT_SLOT),
        load_cell(MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        load_cell(X3, CONTEXT, abi.CTX_STORE),
        load_cell(X4, X3, abi.STORE_FLOAT_MODE),
        asm.mrs(X5, asm.FPCR),
        store_cell(X5, FRAME, _ENTER_FLOAT_MODE),
        asm.cmp_rr(1, X4, X5),
        asm.b_cond(asm.CC_EQ, 8),
        asm.msr(asm.FPCR, X4),
        load_cell(X4, X3, abi.STORE_SAVED_SP),
        store_cell(X4, FRAME, ENTER_SAVED_SP),
        store_cell(FRAME, X3, abi.STORE_SAVED_SP),
        # The stack limit is that of this thread, unless an interruption is due. Whoever interrupts sets the word and
        # then the limit, so one that comes in between here is seen: the limit is written before the word is read.
        load_cell(X4, X3, abi.STORE_REAL_LIMIT),
        store_cell(X4, X3, abi.STORE_STACK_LIMIT),
        asm.dmb_ish(),
        load_cell(X4, X3, abi.STORE_INTERRUPT),
    )
    a.cbnz(1, X4, "interrupted")
    a.bind("ready")


def _end_entry(a: Assembler) -> None:
    """Return 0 from the frame of ``enter``; after that comes what :func:`_begin_entry` jumps to."""
    a.emit(asm.mov_ri(X0, 0), _leave_enter())
    a.bind("interrupted")
    a.emit(asm.mov_ri(X4, -1), store_cell(X4, X3, abi.STORE_STACK_LIMIT))
    a.b("ready")


def _leave_enter() -> bytes:
    """Return from the frame of ``enter`` at x29 to Python, with the result in x0."""
    return b"".join(
        (
            load_cell(X1, FRAME, CONTEXT_SLOT),
            load_cell(X1, X1, abi.CTX_STORE),
            load_cell(X2, FRAME, ENTER_SAVED_SP),
            store_cell(X2, X1, abi.STORE_SAVED_SP),
            # Callbacks of this activation have cleared it; one that called `enter` has yet to.
            asm.mov_ri(X2, abi.HOST_FAILURE),
            store_cell(X2, X1, abi.STORE_FAILED),
            load_cell(X2, FRAME, _ENTER_FLOAT_MODE),
            set_float_mode(X2, X3),
            pairs(asm.LDP_X, _ENTER_INT_PAIRS, _ENTER_INTS),
            pairs(asm.LDP_D, _ENTER_FLOAT_PAIRS, _ENTER_FLOATS),
            asm.mov_sp(SP, FRAME),
            asm.pair_post(asm.LDP_X, FRAME, LINK, SP, _ENTER_FRAME),
            asm.ret(),
        )
    )


def unwind() -> bytes:
    """Give up the running activation; at entry x28 is any context of the store, x29 the innermost frame to record."""
    a = Assembler()
    a.emit(
        load_cell(X0, CONTEXT, abi.CTX_STORE),
        load_cell(X1, X0, abi.STORE_TRAP),
        asm.cmp_ri(1, X1, abi.HOST_EXCEPTION),
    )
    a.b_cond(asm.CC_EQ, "thrown")
    a.emit(
        load_cell(X1, X0, abi.STORE_SAVED_SP),
        load_cell(X2, X0, abi.STORE_TRAP_PC),
        asm.alu_ri(asm.ADD, 1, X3, X0, abi.STORE_FRAMES),
        asm.mov_ri(X4, 0),
    )
    a.bind("frame")
    a.emit(asm.cmp_rr(1, FRAME, X1))
    a.b_cond(asm.CC_EQ, "walked")
    a.emit(asm.cmp_ri(0, X4, abi.MAX_FRAMES))
    a.b_cond(asm.CC_EQ, "walked")
    a.emit(
        load_cell(X5, FRAME, CONTEXT_SLOT),
        asm.pair_post(asm.STP_X, X2, X5, X3, 16),
        asm.alu_ri(asm.ADD, 1, X4, X4, 1),
        asm.pair(asm.LDP_X, FRAME, X2, FRAME, 0),
        # The return address may be the first byte of another instruction's code.
        asm.alu_ri(asm.SUB, 1, X2, X2, 1),
    )
    a.b("frame")
    a.bind("walked")
    a.emit(
        store_cell(X4, X0, abi.STORE_FRAME_COUNT),
        asm.mov_rr(1, FRAME, X1),
        load_cell(X0, X0, abi.STORE_TRAP),
        _leave_enter(),
    )
    # A host function throws: its `leave` has come here, whose frame is at the stack pointer still. Its caller gets back
    # what that frame keeps, and throws.
    a.bind("thrown")
    a.emit(
        load_cell(SCRATCH, X0, abi.STORE_THROW),
        asm.mov_sp(FRAME, SP),
        restore_exit(),
        drop_frame(_LEAVE_FRAME),
        asm.br(SCRATCH),
    )
    return a.finish()


# -- wasm to Python and back -------------------------------------------------------------------------------------------


def leave(signature: str, caller: bool = False) -> bytes:
    """Wasm to host; at entry x8 is the record, and ``[x29 + 16]`` the caller's context."""
    parameters, _, results = signature.partition(":")
    a = Assembler()
    places, area = signatures.parameters(parameters)
    room = (8 * max(cells(parameters), cells(results)) + 15) & -16
    argv = EXIT_FRAME
    size = _LEAVE_FRAME
    a.emit(load_cell(CONTEXT, FRAME, CONTEXT_SLOT), make_frame(size), save_exit())
    a.bind("check")
    a.emit(
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X12, X11, abi.STORE_STACK_LIMIT),
        asm.cmp_rr(1, FRAME, X12),
    )
    a.b_cond(asm.CC_LO, "limit")
    a.emit(load_cell(X10, X11, abi.STORE_CELLS_TOP))
    if room:
        a.emit(add(X12, X10, room), load_cell(X13, X11, abi.STORE_CELLS_END), asm.cmp_rr(1, X12, X13))
        a.b_cond(asm.CC_HI, "overflow")
        a.emit(store_cell(X12, X11, abi.STORE_CELLS_TOP))
    a.emit(
        store_cell(X10, FRAME, argv),
        load_cell(X12, X11, abi.STORE_EXIT_FP),
        store_cell(X12, FRAME, EXIT_PREVIOUS),
    )
    for place in places:
        if place.reg >= 0:
            a.emit(signatures.store(place, X10, 8 * place.cell))
        else:
            a.emit(signatures.copy(place.letter, X10, 8 * place.cell, FRAME, size + place.area))
    a.emit(
        asm.mov_rr(1, X0, CONTEXT),
        asm.mov_ri(X1, cells(parameters)),
        asm.mov_rr(1, X2, X10),
        load_cell(SCRATCH, CALLEE, abi.RECORD_CALLBACK),
    )
    if caller:
        a.emit(
            load_cell(X12, CALLEE, abi.RECORD_CALLER),
            load_cell(X13, CALLEE, abi.RECORD_OTHERS),
            asm.cmp_rr(1, CONTEXT, X12),
            asm.csel(asm.CC_EQ, 1, SCRATCH, SCRATCH, X13),
        )
    call_out(a)
    a.emit(load_cell(X10, FRAME, argv), store_cell(X10, X1, abi.STORE_CELLS_TOP))
    a.cbnz(1, X9, "failed")
    result_places = signature_results(results)
    for place in result_places:
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, X1, place.area, X10, 8 * place.cell))
    for place in result_places:
        if place.reg >= 0:
            a.emit(signatures.load(place, X10, 8 * place.cell))
    a.emit(restore_exit(), drop_frame(size + area), asm.ret())
    fail_at_limit(a)
    return a.finish()


def native(signature: str, stack: int) -> bytes:
    """Wasm to C, see :mod:`.native`."""
    from . import native as calls  # few programs import C functions

    return calls.stub(signature, stack)


_PARAMETER_INT_PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7))


def _save_all() -> bytes:
    """A frame in which all registers are that a wasm function may rely on, but for the scratches."""
    code = make_frame(_PARAMETER_FRAME) + save_exit() + pairs(asm.STP_X, _PARAMETER_INT_PAIRS, _PARAMETER_INTS)
    return code + pairs(asm.STP_Q, _PARAMETER_INT_PAIRS, _PARAMETER_FLOATS)


def _restore_all() -> bytes:
    code = restore_exit() + pairs(asm.LDP_X, _PARAMETER_INT_PAIRS, _PARAMETER_INTS)
    return code + pairs(asm.LDP_Q, _PARAMETER_INT_PAIRS, _PARAMETER_FLOATS) + drop_frame(_PARAMETER_FRAME)


def poll() -> bytes:
    """Call the poll callback; the scratches x16 and x17 do not survive."""
    a = Assembler()
    a.emit(
        _save_all(),
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X12, X11, abi.STORE_EXIT_FP),
        store_cell(X12, FRAME, EXIT_PREVIOUS),
    )
    take_interruption(a)
    call_out(a)
    a.cbnz(1, X9, "failed")
    a.emit(_restore_all(), asm.ret())
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


# -- compiling at the first call ---------------------------------------------------------------------------------------


def lazy_table(first: int, count: int) -> bytes:
    """Entries that have functions compiled.

    An entry puts its number into x16 and goes on to the end of the table.
    """
    if not 0 < count <= _MOST_LAZY:
        raise ValueError(f"a table of {count} lazy entries; 1 to {_MOST_LAZY} are possible")
    size = count * LAZY_ENTRY_SIZE
    code = b"".join(
        [asm.movz(0, SCRATCH, number, 0) + asm.b(size - LAZY_ENTRY_SIZE * number - 4) for number in range(count)]
    )
    if first:
        code += asm.mov_ri(SCRATCH2, first) + asm.alu_rr(asm.ADD, 1, SCRATCH, SCRATCH, SCRATCH2)
    code += load_cell(SCRATCH2, CONTEXT, abi.CTX_STORE)
    return code + load_cell(SCRATCH2, SCRATCH2, abi.STORE_LAZY_COMMON) + asm.br(SCRATCH2)


_MOST_LAZY = 8192


def lazy_common() -> bytes:
    """Have the defined function whose number is in x16 compiled, and jump to it."""
    a = Assembler()
    a.emit(
        _save_all(),
        asm.mov_rr(1, X1, SCRATCH),
        load_cell(X11, CONTEXT, abi.CTX_STORE),
        load_cell(X12, X11, abi.STORE_EXIT_FP),
        store_cell(X12, FRAME, EXIT_PREVIOUS),
        asm.mov_rr(1, X0, CONTEXT),
        asm.mov_ri(X2, 0),
        load_cell(SCRATCH, X11, abi.STORE_LAZY),
    )
    call_out(a)
    a.cbnz(1, X9, "failed")
    a.emit(asm.mov_rr(1, SCRATCH, X0), _restore_all(), asm.br(SCRATCH))
    a.bind("failed")
    a.emit(fail_from_frame())
    return a.finish()


def instruction_cache() -> bytes:
    """Code that makes written code visible; see :mod:`.instruction_cache`."""
    from .instruction_cache import maintenance  # needed where code is run, not where it is looked at

    return maintenance()


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


def extensions() -> bytes:
    """Nothing: no code here depends on the processor's extensions."""
    return b""


def stack_pointer() -> bytes:
    """Machine code of ``u64 f(void)``, which returns the stack pointer."""
    return asm.mov_sp(X0, SP) + asm.ret()


def builtin_call(number: int) -> bytes:
    """The way to builtin ``number``, see :mod:`.builtin_stubs`."""
    from . import builtin_stubs  # few modules use builtins

    return builtin_stubs.builtin_call(number)


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
