"""What every backend offers: the types of its parts, and what each function takes, gives, may change and raises.

This is what the compiler and the runtime count on. Nothing imports this at run time, and it names no backend;
``tests/backends/test_contract.py`` lets mypy check each one against it, and that a backend offers these names and no
others.

The last part, which chooses machine code, is in :mod:`.target_contract`. Words:

* *Code* is position-independent machine code. A *piece* of it may have a gap at its end, which is filled in later.
* An *operand* is an operand stack entry, see :mod:`.operand`. A *sink* is the pinned local that takes the result, or
  ``None``; a comparison's may be ``WANT_FLAGS``.
* *free* is the mask of free temporaries, see :data:`.operand.FIRST_FLOAT_BIT`. Code may change the temporaries that are
  free before it, those of the operands that it takes, and scratches that belong to no one; besides these, where nothing
  else is said, the flags. It leaves pinned registers but the sink, the frame but its target, and the context as they
  are.
* A *frame offset* counts bytes from the frame pointer, a *context offset* from the start of the instance context.
* A *reach* says how far jumps have to reach; a greater one is further, and takes longer code.

Except for what is named, these functions raise nothing: an ``AssertionError`` or a ``ValueError`` of an encoder is a
mistake of the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .convention import FEW_CELLS, ParameterPlaces, ResultPlaces
from .operand import Operand
from .target_contract import Target
from .types import Places, SignalContext

__all__ = ["Calls", "Control", "Exceptions", "Frames", "Processor", "Stubs", "TailCalls", "Target"]


class Frames(Protocol):
    """Where a function keeps things, its prologue and its epilogue."""

    #: Frame offset of the argument area, where parameters that arrive there may stay; 0 if they may not.
    ARGUMENT_AREA: int
    #: Frame offset of the cell with the instance context.
    CONTEXT_SLOT: int
    #: From a cell of 8 bytes of the frame to the next one: negative where frames grow downwards.
    STEP: int
    #: A frame up to this size needs no look at the stack limit for its size alone.
    SMALL_FRAME: int

    # In what follows, ``width`` says how many bytes a cell of the frame has: 16 in a function that has vectors, where
    # cells are at multiples of 16, and else 8. From one to the next it is ``STEP * width // 8``.

    def locals_base(self, pinned_ints: int, pinned_floats: int, width: int = 8) -> int:
        """How many bytes of the frame come before the unpinned locals, if the first so many registers are pinned."""

    def cell(self, before: int, width: int = 8) -> int:
        """Frame offset of the cell that ``before`` bytes of the frame come before."""

    def parameter_places(self, types: tuple[int, ...]) -> tuple[Places, int]:
        """Where parameters of these types arrive, and the size of the argument area."""

    def receive_parameters(self, types: tuple[int, ...], homes: tuple[Operand, ...], size: int) -> bytes:
        """Code that moves parameters from where they arrive to their homes, which are the first locals.

        Args:
            size: bytes of the frame; it counts only where there is an argument area.

        May change all temporaries.
        """

    def parameters(self, types: tuple[int, ...]) -> ParameterPlaces:
        """The same as :meth:`parameter_places` says, in a form that is short also where there are many."""

    def receive_many(
        self, places: ParameterPlaces, homes: Sequence[tuple[int, int, Operand]], first: int, size: int, width: int = 8
    ) -> bytes:
        """Code that moves many parameters to their homes.

        Args:
            places: where they arrive.
            homes: of each that arrives in a register, and of each that is pinned, the register or -1, the byte offset
                in the argument area, and the home.
            first: frame offset of the first of the neighbouring cells to which the whole argument area is copied, where
                parameters do not stay there (:attr:`ARGUMENT_AREA` is 0).
            size: bytes of the frame; it counts only where there is an argument area.

        May change all temporaries. Its size does not grow with the argument area.
        """

    def zero_slots(self, first: int, count: int, width: int = 8) -> bytes:
        """Code that zeroes ``count`` cells of the frame, the first of them at frame offset ``first``.

        May change all temporaries.
        """

    def zero_pinned(self, homes: tuple[Operand, ...]) -> bytes:
        """Code that zeroes pinned locals."""

    def prologue(self, size: int, ints: int, floats: int, check_limit: bool, reach: int) -> tuple[bytes, int, int]:
        """Code that makes a frame of ``size`` bytes and saves the caller's values of the first pinned registers.

        Returns:
            the code, where its check of the stack limit begins, and the end of that check's jump to the stack-overflow
            trap, which is to be filled in; both 0 if there is no check.

        Leaves the registers that parameters arrive in as they are.
        """

    def epilogue(self, size: int, ints: int, floats: int, area: int) -> bytes:
        """Code that loads the caller's values of the first pinned registers, gives the frame back and returns, freeing
        the argument area of ``area`` bytes. Leaves the registers that results return in as they are.
        """

    def copy_slots(self, count: int, source: int, target: int, width: int = 8, few: int = FEW_CELLS) -> bytes:
        """Code that copies ``count`` cells whose first is at frame offset ``source`` to where the first is at
        ``target``, which is the source itself or a cell before it: they may overlap.

        May change all temporaries: every operand is in a slot.
        """


class Control(Protocol):
    """Conditions, the tests that ready them and the jumps that take them, and traps.

    A *condition* is a number that only the backend understands, the value of a FLAGS entry.
    """

    #: Bytes at the end of a piece that :attr:`patch` reads and fills in.
    FIXUP_SIZE: int
    #: A function begins at a multiple of this many bytes, a power of two.
    FUNCTION_ALIGNMENT: int
    #: Loops and the code after a prologue begin at multiples of this many bytes, a power of two.
    LOOP_ALIGNMENT: int
    #: Jump tables begin at multiples of this many bytes, a power of two.
    JUMP_TABLE_ALIGNMENT: int
    #: The last reach: a function is compiled for what :meth:`reach` gives, and for greater ones up to this.
    LONGEST_REACH: int
    #: From this reach on, vector constants stand right after the instruction that reads them, as they may be too far
    #: from it at the function's end.
    FAR_LITERALS: int
    #: A byte for the space between functions, which nothing reaches: as an instruction it traps.
    FILLER: bytes

    def invert(self, condition: int) -> int:
        """The condition that holds exactly when ``condition`` does not."""

    def test(self, condition: Operand) -> tuple[bytes, int]:
        """Code that readies an i32 operand to be a condition, and the condition under which it is not 0.

        No temporary may be free here; the code may change the flags, and nothing between it and the jump may.
        """

    def reach(self, size: int) -> int:
        """How far the jumps of a function with ``size`` bytes of body have to reach, as a first guess."""

    def jump(self) -> bytes:
        """A jump as a piece whose end is filled in later."""

    def jump_if(self, condition: int, reach: int) -> tuple[bytes, ...]:
        """A conditional jump as pieces, each of whose ends is filled in later. Leaves the flags as they are, but for
        conditions that are no flags.
        """

    def jump_back(self, distance: int) -> bytes:
        """A jump to ``distance`` bytes before its own start.

        Raises:
            OutOfReach: no jump reaches so far.
        """

    def jump_back_if(self, condition: int, distance: int) -> bytes:
        """A conditional jump to ``distance`` bytes before its own start.

        Raises:
            OutOfReach: no jump reaches so far.
        """

    # Not a method: a backend may hand out a function of the standard library.
    @property
    def patch(self) -> Callable[[bytearray, int, int], None]:
        """``patch(code, at, distance)`` lets the jump whose last :attr:`FIXUP_SIZE` bytes are at ``at`` lead
        ``distance`` bytes beyond its end. It may be another function from one call of it to the next.

        Raises:
            OutOfReach: it is too far for this kind of jump: the function is to be compiled for a greater reach.
        """

    def table_index(self, index: Operand) -> tuple[bytes, int, int]:
        """Code that puts the index of a jump table where it may be overwritten, its register then, and a scratch
        register for :meth:`jump_table`. Every other operand is in a slot.
        """

    def jump_table(self, index: int, count: int, scratch: int, reach: int) -> tuple[bytes, bytes, bytes]:
        """A jump through a table of ``count`` entries by the register ``index``; both registers may change.

        Returns:
            three pieces: the end of the first leads to the default target, that of the second to the table, and the
            third jumps.
        """

    def jump_table_entries(self, table: int, targets: list[int]) -> bytes:
        """The entries of the jump table at the position ``table`` that leads to these positions."""

    def pad(self, count: int) -> bytes:
        """``count`` bytes of code that does nothing; ``count`` is what brings an instruction's end to an alignment."""

    def trap(self, number: int) -> bytes:
        """An instruction that raises the trap ``number`` (see :mod:`.abi`) and carries it, so that the signal handler
        and the disassembler can tell.
        """

    def poll(self, reach: int) -> tuple[bytes, bytes]:
        """A test of the interrupt word: a piece whose end leads to the cold part, and the cold part but for its jump
        back. The first may change all temporaries, as every operand is in a slot, and the second nothing else.
        """

    def use_fuel(self, scratch: int, reach: int) -> tuple[bytes, bytes]:
        """Code that takes fuel: it ends with the amount, which :meth:`set_fuel` fills in later, and a piece whose end
        leads to where fuel is short. ``scratch`` is an integer temporary that it may change.
        """

    def set_fuel(self, code: bytearray, site: int, amount: int) -> None:
        """Fill in the amount of fuel (below 2**31) that the code ending at ``site`` takes."""

    def check_zero_extended(self, reg: int, scratch: int) -> bytes:
        """Code that traps unless the upper half of an integer register is zero; for checked mode. It may change the
        integer temporary ``scratch``, and not the flags where these hold an operand.
        """


class Calls(Protocol):
    """Arguments and results where the callee expects them, and the calls themselves.

    A call changes all temporaries; wasm functions preserve the pinned registers.
    """

    #: Mask of the registers that the first integer and the first float of several results return in.
    RESULT_BITS: int
    #: Where an index travels besides arguments: its type, its register, and that register's bit, or 0 where it is no
    #: temporary.
    INDEX_PLAN: tuple[int, int, int]

    def arguments(
        self, operands: tuple[Operand, ...], free: int, types: tuple[int, ...], index: Operand | None = None
    ) -> bytes:
        """Code that puts arguments where a callee of these parameter types expects them, as if all at once, and
        ``index``, if given, where :attr:`INDEX_PLAN` says.
        """

    def arguments_from_slots(self, places: ParameterPlaces, first_slot: int, width: int = 8) -> bytes:
        """Code that passes many arguments, which are in consecutive slots, the first at frame offset ``first_slot``:
        its size does not grow with long runs of them. May change all temporaries.
        """

    def pass_out_of_line(self, first_slot: int) -> tuple[bytes, bytes]:
        """Code that does the same by a call of :meth:`passing_routine`, whose displacement ends the first piece."""

    def passing_routine(self, places: ParameterPlaces, width: int = 8) -> bytes:
        """The routine for it, which serves all calls of a function."""

    def argument_plan(self, types: tuple[int, ...]) -> tuple[bytes, tuple[tuple[int, int, int], ...]]:
        """How to pass arguments one by one: code that comes first, and ``(type, place, bit)`` of each, the last one
        first. A place is a register, with its bit, or a negative number that :meth:`argument` understands, and 0.
        """

    def argument(self, operand: Operand, reg: int) -> bytes | None:
        """Code that passes one argument in a place of :meth:`argument_plan`, and changes no other register that may
        hold an operand; ``None`` if that takes a scratch: then :meth:`arguments` has to pass them all.
        """

    def call_slot(self, offset: int) -> bytes:
        """Call a function of this instance through its call slot at a context offset."""

    def call_self(self) -> bytes:
        """Call the function that is being compiled, as a piece whose end is filled in later."""

    def call_record(self, offset: int) -> bytes:
        """Call a function, maybe of another instance, through the pointer to its record at a context offset."""

    def load_record(self, offset: int) -> bytes:
        """Load the pointer to a function record at a context offset to where :attr:`INDEX_PLAN` has an index."""

    def check_reference(self) -> bytes:
        """Read the record whose address is where :attr:`INDEX_PLAN` has an index: of a null that faults, at an offset
        below that of the type. Changes nothing but scratches and the flags.
        """

    def call_reference(self) -> bytes:
        """Call the function, maybe of another instance, whose record's address is where :attr:`INDEX_PLAN` has an
        index. A null faults as in :meth:`check_reference`.
        """

    def check_table(self, table: int, type_id: int, reach: int, final: bool) -> tuple[bytes, bytes]:
        """Find the table element whose index is where :attr:`INDEX_PLAN` says, and put the address of its record there.

        Args:
            table: context offset of the pointer to the table's descriptor.
            type_id: context offset of the canonical type.
            final: whether that type is final; if not, an element whose type is declared to be a subtype of it will do.

        Returns:
            two pieces: the end of the first leads to the trap "undefined element", that of the second to "type
            mismatch". A null element faults when its type is read.

        Leaves arguments where they are. The memory base has to be loaded again, which calls and :class:`TailCalls` do.
        """

    def call_table(self, table: int, type_id: int, reach: int, final: bool = True) -> tuple[bytes, bytes, bytes]:
        """The pieces of :meth:`check_table`, and a third one that calls."""

    def call_builtin(self, number: int) -> bytes:
        """Call one of the store's builtins, which act on this very instance."""

    def call_bulk(self, fill: bool, destination: int, source: int) -> bytes:
        """Call the store's stub for memory.fill or memory.copy with operands where :meth:`bulk_arguments` puts them.

        Args:
            destination, source: context offsets of the pointers to the memories' descriptors.
        """

    def bulk_arguments(self, operands: tuple[Operand, Operand, Operand]) -> bytes:
        """Code that puts the operands of memory.copy or memory.fill where their stubs expect them."""

    def use_fuel_for_bulk(self, shift: int, reach: int) -> tuple[bytes, bytes]:
        """Code that takes a unit of fuel for each ``1 << shift`` bytes of the memory.copy or memory.fill whose operands
        are in place, and a piece whose end leads to where fuel is short.
        """

    def fetch_results(self, places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
        """Code that stores all results of a call into consecutive slots, the first at frame offset ``first_slot``."""

    def return_results(self, places: ResultPlaces, first_slot: int, width: int = 8) -> bytes:
        """The reverse: code that puts results from slots to where a caller expects several."""


class TailCalls(Protocol):
    """Calls in place of a return. A callee frees its argument area, so that of a tail call has to end where that of the
    function ends which makes it.

    Arguments are passed as for a call, by :class:`Calls`, and so is an index or a record. Then comes
    :meth:`leave_frame`, and then one of the jumps.
    """

    def leave_frame(self, size: int, ints: int, floats: int, own_area: int, area: int) -> bytes:
        """Code that loads the caller's values of the first pinned registers, moves the argument area of ``area`` bytes,
        and gives the frame of ``size`` bytes back, as :meth:`Frames.epilogue` does. ``own_area``: bytes of the
        function's own argument area.

        Leaves arguments, and what is where :attr:`Calls.INDEX_PLAN` has an index, as they are; its size does not grow
        with a large area.
        """

    def jump_slot(self, offset: int) -> bytes:
        """Jump to a function of this instance through its call slot at a context offset."""

    def jump_self(self) -> bytes:
        """Jump to the function that is being compiled, as a piece whose end is filled in later."""

    def jump_record(self, area: int) -> bytes:
        """Jump to a function, maybe of another instance, whose record's address is where :attr:`Calls.INDEX_PLAN` has
        an index, which is not null. ``area``: bytes of its argument area.
        """


class Exceptions(Protocol):
    """What is thrown goes to the store block, and what is caught comes from there.

    The code may change all temporaries, as every operand is in a slot where it begins; what calls is a call as others
    are, and all temporaries are free where an exception is caught.
    """

    def describe(self, count: int, first_slot: int, tag: int, width: int = 8) -> bytes:
        """Code that says in the store block what is being thrown: ``count`` values from consecutive slots, the first at
        frame offset ``first_slot``, and the tag whose cell is at the context offset ``tag``.
        """

    def throw(self) -> bytes:
        """A call that throws what the store block describes. It does not return."""

    def throw_reference(self) -> bytes:
        """A call that throws the exception object in the result register, and does not return. A null faults before
        it, at an address below :data:`vibewasm.abi.RECORD_TYPE`.
        """

    def caught_values(self, count: int, first_slot: int, width: int = 8) -> bytes:
        """Code that stores the ``count`` values of what was caught into consecutive slots, the first at
        ``first_slot``.
        """

    def caught_value(self, type_: int) -> bytes:
        """Code that loads the first value of what was caught, which has this type, into its result register."""

    def caught_reference(self) -> bytes:
        """A call that puts a reference to what was caught, or is described, into the result register. The values of
        what was caught may be fetched before and after it.
        """


class Processor(Protocol):
    """What the runtime has to know of the processor and of operating systems on it."""

    #: Bytes from one lazy entry to the next.
    LAZY_ENTRY_SIZE: int
    #: From the address in the cell STORE_SAVED_SP to where that ``enter`` keeps what was in the cell before.
    OUTER_ENTRY: int
    #: How many registers :meth:`Stubs.preserved_registers` writes.
    PRESERVED_REGISTERS: int
    #: The floating-point mode of wasm code, as the processor's control register takes it: round to nearest, subnormals
    #: as they are, no trap.
    FLOAT_MODE: int
    #: The same for deterministic code: NaNs are canonical where the processor can see to that.
    DETERMINISTIC_FLOAT_MODE: int
    #: ``e_machine`` of ELF files for this processor.
    ELF_MACHINE: int
    #: Code of a function that does nothing.
    RETURN: bytes
    #: DWARF's number of the return address.
    DWARF_RETURN: int
    #: How a caller is found at a function's first instruction, as DWARF's call frame instructions (DWARF 5,
    #: section 6.4.2) with offsets that count by -8.
    CFA_AT_ENTRY: bytes
    #: What the instructions that make a frame change of that, as such instructions.
    CFA_STEPS: bytes
    #: Numbers of the system calls of Linux that the runtime makes by number.
    CALL_NUMBERS: dict[str, int]
    #: Where the operating system, by its name in ``sys.platform``, keeps what a signal has interrupted: offsets in
    #: ``ucontext_t`` of the general registers, by hardware number, and of the program counter.
    SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]]


class Stubs(Protocol):
    """Code between Python and wasm functions.

    Signatures are strings of letters, see :mod:`.convention`. Where a backtrace looks, frames of stubs are like frames
    of wasm functions.
    """

    def enter(self, signature: str) -> bytes:
        """From the host to a wasm function, by the C ABI: ``u64 f(record *, size_t argc, cell *argv)``.

        It reads the parameters from ``argv`` and writes the results to it, from its first cell on. It returns 0, or by
        way of :meth:`unwind` the number of a trap or HOST_FAILURE, and then ``argv`` is unchanged.
        """

    def enter_ready(self) -> bytes:
        """The same for functions of every signature, as ``u64 f(ready *)``: the block says which code of :meth:`enter`
        to go on with, and what with, see :data:`vibewasm.abi.READY_ENTER`.
        """

    def leave(self, signature: str, caller: bool = False) -> bytes:
        """From a wasm function to the host: the code of a host function's record, called as wasm functions are.

        It calls the record's callback by the C ABI as ``f(caller's context, argc, argv)``. ``argv`` lies on the store's
        cell stack; the callback reads parameters there and writes results from the first cell on. The stack pointer is
        checked against the limit here, so that every callback has the reserve below it.

        Args:
            caller: the record has two callbacks: one for the caller whose context it names, one for all others.
        """

    def map_arrays(self, signature: str) -> bytes:
        """A loop of calls of a wasm function, by the C ABI: ``u64 f(record *, size_t ignored, arrays *)``.

        The arrays are the cells at :data:`vibewasm.abi.ARRAYS_LEFT` and so on: how many calls are left, one at least,
        and for each parameter and then each result where its next value lies, and how many bytes it is from one to the
        next. A value has the size of its type, and any alignment. The parameters of a call are read before it, its
        results are written after it in their order, and then the count goes down. It polls between two calls, and
        returns as :meth:`enter` does; then the count says how many calls have not been made in full.

        Raises:
            ValueError: a type that arrays cannot have: ``v`` or ``r``.
        """

    def native(self, signature: str, stack: int) -> bytes:
        """From a wasm function to a C function, whose address is the record's callback: the code of such a record,
        called as wasm functions are.

        Args:
            signature: letters, parameters before the colon and the result after it, see
                :data:`vibewasm.backends.convention.C_INTEGERS`; ``m`` at its beginning stands for the base of the
                caller's memory 0, or 0 where there is none, and its size in bytes.
            stack: bytes that have to be free between the C function's frame and the stack limit, else it traps.

        Narrow values are extended to 32 bits on both ways, whatever the callee may count on. Where an interruption is
        due it polls after the call.
        """

    def unwind(self) -> bytes:
        """Give up the running activation: return the store's trap number from its ``enter``, and note the frames that
        are left. The trap record is filled in but for these. Those frames hold nothing that needs cleaning up.
        """

    def poll(self) -> bytes:
        """Call the poll callback as ``f(context, interrupt word, 0)``. Preserves all registers but the flags and the
        scratches that belong to no one.

        The word is cleared and the stack limit lowered to the real one before the call, so that what comes in during it
        is seen. INTERRUPT_WATCH stays until the callback has done what it asks for.
        """

    def lazy_table(self, first: int, count: int) -> bytes:
        """Entries, LAZY_ENTRY_SIZE bytes each, for the defined functions ``first`` to ``first + count - 1`` of any
        instance, which have the number of their function compiled.

        Raises:
            ValueError: more entries than one table can have, or none.
        """

    def lazy_common(self) -> bytes:
        """What lazy entries share: have a function compiled, and jump to it, everything else being as at the call.

        It calls the lazy callback as ``f(context of the function's instance, number, 0)``, which returns the code's
        address.
        """

    def tail_out(self) -> bytes:
        """How a tail call goes on that leaves its instance, see :meth:`TailCalls.jump_record`.

        It puts a *return frame* below the target's argument area, which is like a function's frame: the function
        returns to :meth:`return_frame`. Where the return address is that already, and the target is no host function,
        there is a return frame, which will do: so any number of tail calls between instances takes no more.
        """

    def return_frame(self) -> bytes:
        """What functions return to that have a return frame: load the context that is in it, and the memory base, drop
        the frame, and return. Results stay where they are.
        """

    def throw(self) -> bytes:
        """Throw what the store block describes, as if the calling code had thrown it: go on where it is caught, with
        the registers that functions preserve as they are there; or trap where nobody does.

        For a return address without a landing it calls STORE_FIND_LANDING as ``f(context of the frame, return address,
        0)``, and looks again. What is thrown survives what wasm code does meanwhile.
        """

    def throw_reference(self) -> bytes:
        """Throw the exception object in the result register, as :meth:`throw` does."""

    def make_exception(self) -> bytes:
        """Load an exception object into the result register: that which was thrown, or a new one of what the store
        block describes, which stays as it is. Preserves pinned registers only.

        Where there is no free one it calls STORE_ALLOCATE_EXCEPTION as ``f(context, number of values, stack pointer)``,
        which returns an address. All references that wasm code has in registers are above the stack pointer then.
        """

    def restore_pinned(self, ints: int, floats: int) -> bytes:
        """What :meth:`throw` calls, with the frame pointer at the frame of a function that saves so many pinned
        registers: it loads what is saved there, and changes nothing else that matters.
        """

    def preserved_registers(self) -> bytes:
        """Code of ``u64 f(u64 *cells)``, which writes the pinned registers that C functions preserve to cells, and
        returns the stack pointer.
        """

    def memory_copy(self) -> bytes:
        """The stub of ``memory.copy``. It traps before it writes anything, or not at all."""

    def memory_fill(self) -> bytes:
        """The stub of ``memory.fill``. It traps before it writes anything, or not at all."""

    def builtin_call(self, number: int) -> bytes:
        """What the entry of a builtin in a lazy table leads to: code that jumps to the code of the builtin's record
        with everything where a call through that record has it.
        """

    def copy_data(self) -> bytes:
        """Code of ``u64 f(const u8 *module, u64 *copies)``, which copies active data segments to a memory.

        ``copies`` are the cells at :data:`vibewasm.abi.COPIES_BASE` and so on: where the memory begins, and its size;
        addresses of 32-bit numbers, which say by segment where in the memory it goes, and where in the module its bytes
        begin and end; the first segment to copy; and how many there are. The last cell is the code's own. The result is
        the first segment that was not copied, which does not fit, or whose place has its highest bit set; or how many
        there are.
        """

    def instruction_cache(self) -> bytes:
        """What makes written code visible to instruction fetches: code of ``void f(address written to, address
        executed from, size)``. Nothing where fetches see what was written.
        """

    def extensions(self) -> bytes:
        """Code of ``u64 f(void)`` that asks the processor for its extensions, one bit each. Nothing where no code
        depends on them.
        """

    def stack_pointer(self) -> bytes:
        """Code of ``u64 f(void)``, which returns the stack pointer."""

    def fault_handler(self, context: SignalContext) -> bytes:
        """The handler of the signals that traps and interruptions arrive as. It begins with one entry for each of
        :mod:`.abi`'s fault levels, FAULT_ENTRY_SIZE bytes apart; whoever publishes it writes the address of the level's
        cells to FAULT_ENTRY_PREVIOUS of each.

        Args:
            context: where the operating system keeps what was interrupted.
        """
