"""Offsets of what machine code reads and writes in memory: the same for every processor.

Three kinds of block: the *instance context*, whose address is pinned in a register; the *store block*, which its first
cell leads to; and small shared records (functions, memories, tables). The fourth is the *fault table*, which only the
signal handler reads. Every cell has 8 bytes. :mod:`vibewasm.runtime.context` gives Python access to the same cells.
"""

from __future__ import annotations

#: Header of an instance context, of which the last cell is free; the rest is laid out per module.
CTX_STORE = 0
CTX_MEMORY_BASE = 8
CTX_MEMORY_DESCRIPTOR = 16
CTX_HEADER = 32

#: Function record: code address, the context that the code runs in, canonical type (u32), defined function (u32),
#: host callback.
RECORD_CODE = 0
RECORD_CTX = 8
RECORD_TYPE = 16
RECORD_INDEX = 20
RECORD_CALLBACK = 24
RECORD_SIZE = 32
#: The record of a host function that is given its caller goes on: the context of the caller that the callback is for,
#: and the callback for all others.
RECORD_CALLER = 32
RECORD_OTHERS = 40
RECORD_WITH_CALLER_SIZE = 48

#: A call from Python that is made ready once: the code of ``enter`` and the three words that it takes.
READY_ENTER = 0
READY_RECORD = 8
READY_ARGC = 16
READY_ARGV = 24
READY_SIZE = 32

#: Bytes of a page of linear memory, and how many a memory has at most whose addresses have 32 bits.
PAGE_SIZE = 0x10000
MAX_PAGES = 0x10000

#: Memory descriptor: base, present size in bytes, reserved bytes.
MEMORY_BASE = 0
MEMORY_SIZE = 8
MEMORY_RESERVED = 16
MEMORY_DESCRIPTOR_SIZE = 32

#: Table descriptor: base of the cells, present number of elements.
TABLE_BASE = 0
TABLE_LENGTH = 8
TABLE_DESCRIPTOR_SIZE = 16

#: What data segments are copied by, see :meth:`vibewasm.backends.contract.Stubs.copy_data`: base and size of the
#: memory, addresses of the segments' places, and of where each begins and ends in the module, the first one, how many
#: there are, and where the module lies.
COPIES_BASE = 0
COPIES_SIZE = 8
COPIES_OFFSETS = 16
COPIES_STARTS = 24
COPIES_ENDS = 32
COPIES_FIRST = 40
COPIES_COUNT = 48
COPIES_MODULE = 56
COPIES_CELLS = 8

#: What a function is mapped over arrays by, see :meth:`vibewasm.backends.contract.Stubs.map_arrays`: how many calls are
#: left; then for each parameter and each result the address of the next value, and its distance from one to the next.
ARRAYS_LEFT = 0
ARRAYS_FIRST = 8
ARRAYS_STEP = 8
ARRAYS_SIZE = 16

#: Store block. The limit that prologues compare with is the real one, or all ones while the interrupt word is not 0.
STORE_STACK_LIMIT = 0
STORE_INTERRUPT = 8
STORE_FUEL = 16
#: Stack pointer of the innermost ``enter``, where unwinding ends; 0 where no wasm code is active.
STORE_SAVED_SP = 24
#: What trapped: the trap's number, the address of the code, and the address that could not be accessed.
STORE_TRAP = 32
STORE_TRAP_PC = 40
STORE_FAULT_ADDRESS = 48
#: Set to HOST_FAILURE before each callback, and again when an activation inside it ends; the callback clears it last,
#: or leaves a trap's number in it.
STORE_FAILED = 56
#: Callbacks into Python.
STORE_LAZY = 64
STORE_POLL = 72
#: Stubs.
STORE_UNWIND = 80
STORE_LAZY_COMMON = 88
STORE_MEMORY_COPY = 96
STORE_MEMORY_FILL = 104
STORE_POLL_STUB = 112
#: Frame pointer of the innermost stub that has called out; 0 where none has.
STORE_EXIT_FP = 120
#: Pointers to the function records of the builtins.
STORE_BUILTINS = 128
STORE_BUILTIN_COUNT = 32
#: Which instruction each builtin carries out, by number.
BUILTINS = (
    "memory.grow",
    "memory.init",
    "data.drop",
    "table.init",
    "elem.drop",
    "table.copy",
    "table.fill",
    "table.grow",
)
#: The general registers at a fault, by hardware number, and the signal's number (0 for a trap that a stub raised).
STORE_REGISTERS = 384
MAX_REGISTERS = 32
STORE_SIGNAL = 640
#: The frames at a trap, innermost first: pairs of a code address inside the instruction, and an instance context.
STORE_FRAME_COUNT = 648
STORE_FRAMES = 656
MAX_FRAMES = 64
STORE_REAL_LIMIT = 1680
#: The part of the cell stack that is free, as addresses.
STORE_CELLS_TOP = 1688
STORE_CELLS_END = 1696
#: The floating-point mode of wasm code, to be loaded from here.
STORE_FLOAT_MODE = 1704
#: The identity of the thread that the store runs in, for the watcher.
STORE_THREAD = 1712
#: Not 0 where the watcher leaves the store alone.
STORE_UNWATCHED = 1720
#: The header of an instance context that stands for no instance, as that of host functions.
STORE_HOST_CONTEXT = 1728
#: Stubs: throw what is described below; throw an exception object; make an exception object of what was thrown; what a
#: function returns to that another instance's function has tail-called; and how a tail call leaves its instance.
STORE_THROW = 1760
STORE_THROW_REF = 1768
STORE_MAKE_EXCEPTION = 1776
STORE_RETURN = 1784
STORE_TAIL_OUT = 1792
#: What is being thrown: the address that is the tag's identity, and the exception object if there is one, else 0. The
#: values are in the results area, 16 bytes each, in their order.
STORE_THROWN_TAG = 1800
STORE_THROWN = 1808
#: Landings by return address (see below): address of the first, and the mask of their hash.
STORE_LANDINGS = 1816
STORE_LANDINGS_MASK = 1824
#: The first free exception object, or 0.
STORE_FREE_EXCEPTION = 1832
#: Callbacks into Python: find the landing of a return address, and make room for exception objects.
STORE_FIND_LANDING = 1840
STORE_ALLOCATE_EXCEPTION = 1848
#: Address of the supertypes of the types that have some (see below), or 0.
STORE_SUPERTYPES = 1856
#: How many values there are of what is being thrown.
STORE_THROWN_COUNT = 1864
#: Results that do not return in registers, 16 bytes each, or the values of what is being thrown.
STORE_RESULTS = 2048
MAX_RESULTS = 1000
#: Cells for parameters and results of host functions, used as a stack.
STORE_CELLS = 20480
STORE_CELLS_SIZE = 1 << 20
STORE_SIZE = STORE_CELLS + STORE_CELLS_SIZE

#: A landing: a return address; the address of its innermost scope, or 0; the address of code that restores what the
#: function that returns there has saved; and how far its stack pointer is below its frame pointer. A return address is
#: looked for from its hash on, up to an empty landing; the hash is
#: ((address * LANDING_FACTOR modulo 2**64) >> LANDING_SHIFT) & mask.
LANDING_ADDRESS = 0
LANDING_SCOPE = 8
LANDING_RESTORE = 16
LANDING_FRAME = 24
LANDING_SIZE = 32
LANDING_FACTOR = 0x3C6EF35F
LANDING_SHIFT = 20
#: A scope: the address of the scope around it, or 0; then its clauses: the context offset of a tag's cell, or all ones
#: for any tag, and the address of the code that catches; after the last one two zeros.
SCOPE_OUTER = 0
SCOPE_CLAUSES = 8
SCOPE_CLAUSE_SIZE = 16

#: An exception object: the tag, the next free object or how many values there are, and the values, 16 bytes each. Free
#: objects have room for so many values; those with more are not made again.
EXCEPTION_TAG = 0
EXCEPTION_COUNT = 8
EXCEPTION_VALUES = 16
EXCEPTION_ROOM = 7
EXCEPTION_SIZE = EXCEPTION_VALUES + 16 * EXCEPTION_ROOM

#: Supertypes: how many entries (u32 each) there are, then by identity of a type that of its supertype, or 0.
SUPERTYPES_COUNT = 0
SUPERTYPES_FIRST = 4

#: Trap numbers: what a trap instruction in code names, and what the store block has afterwards. ``vibewasm/traps.py``
#: says what users are told of each.
TRAP_UNREACHABLE = 1
TRAP_MEMORY_OUT_OF_BOUNDS = 2
TRAP_TABLE_OUT_OF_BOUNDS = 3
TRAP_NULL = 4
TRAP_BAD_SIGNATURE = 5
TRAP_INTEGER_OVERFLOW = 6
TRAP_DIVIDE_BY_ZERO = 7
TRAP_BAD_CONVERSION = 8
TRAP_STACK_OVERFLOW = 9
TRAP_UNDEFINED_ELEMENT = 10
TRAP_OUT_OF_FUEL = 11
TRAP_INTERRUPTED = 12
TRAP_NULL_REFERENCE = 13
TRAP_UNALIGNED_ATOMIC = 14
TRAP_INVARIANT = 15
#: Left by the callback of a host function whose result would be one object too many.
TRAP_TOO_MANY_REFERENCES = 16
#: An exception that nobody catches left wasm code.
TRAP_EXCEPTION = 17
#: Left by the callback of a host function that throws what the store block describes.
HOST_EXCEPTION = 254
#: A callback failed: an exception is pending on the Python side.
HOST_FAILURE = 255

#: A builtin that is called for the first time has its number told counted from here. No module has so many functions.
FIRST_BUILTIN = 1 << 30

#: Bits of the interrupt word: somebody wants the code to stop; Python code has to run, since signals may be waiting for
#: it; and nobody watches the store, so the poll callback has to see to that. Only the callback clears the last one.
INTERRUPT_REQUEST = 1
INTERRUPT_SIGNAL = 2
INTERRUPT_WATCH = 4

#: Fault table: first chunks of the address ranges of code and of reservations, and functions of the C library.
FAULT_CODE = 0
FAULT_RESERVATIONS = 8
FAULT_SIGNAL = 16
FAULT_RAISE = 24
FAULT_TABLE_SIZE = 32
#: What handled signals before: a number of levels, in each 16 bytes per signal (handler, flags).
FAULT_LEVELS = 8
FAULT_SIGNALS = 16
FAULT_LEVEL_SIZE = 16 * FAULT_SIGNALS
#: There is no signal 0: in its place a level has the address of the fault table.
FAULT_LEVEL_TABLE = 0
#: The handler begins with an entry per level, so many bytes apart. At the end of an entry stand the address of what
#: the level passes on to, and a mark: by these the handlers of several interpreters of a process know each other.
FAULT_ENTRY_SIZE = 48
FAULT_ENTRY_PREVIOUS = 32
FAULT_ENTRY_MARK = 40
FAULT_MARK = b"vibewasm"
#: A chunk of ranges: the next chunk's address, the number of pairs, then pairs of first address and end (both 0: none).
CHUNK_NEXT = 0
CHUNK_COUNT = 8
CHUNK_PAIRS = 16

#: Addresses below this are never mapped: an access there followed a null reference.
NULL_PAGE = 4096
