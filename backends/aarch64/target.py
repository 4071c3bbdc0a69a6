"""What the compiler asks of a processor: this module is the backend's contract, of the same shape in every backend.

Choosing machine code is a pure function of the instruction, the places of its operands, the free temporaries and the
destination. So every choice is made once and kept in :data:`MEMO`; the compiler looks there itself, since that is its
hottest line, and calls :func:`lower` and its siblings only for what is new.
"""

from __future__ import annotations

from struct import Struct

from ..operand import BARRIER, CONSTANT, F32, F64, FLAGS, I32, I64, Operand, flags, is_float, register
from .addresses import add
from .asm import mov_ri, mov_rr
from .conditions import tested
from .encoding import arithmetic_immediate, logical_immediate, word
from .integers import RULES as _INTEGER_RULES
from .integers import select
from .regs import FLOAT_PINNED as PINNED_FLOATS
from .regs import MEMORY_BASE, SCRATCH, SCRATCH2
from .regs import PINNED as PINNED_INTS
from .selection import ALL_FREE, FLOAT_TEMPORARIES, INT_TEMPORARIES, Selection, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


NAME = "aarch64"
#: Entries of the single result that a label or a call passes in a register, by whether it is a float.
RESULT_REGISTER = 0

#: Choices made so far. A key is a tuple that starts with the opcode; a value is what the function that fills it
#: returns.
MEMO: dict[tuple[object, ...], tuple[object, ...]] = {}
#: A hostile module can ask for any number of different choices, so the memo starts anew at this size.
MEMO_LIMIT = 1 << 18

#: More temporaries in use than these, and the compiler moves the oldest to the frame: every rule has two of each class
#: to work with.
_MOST_INTS = 6
_MOST_FLOATS = 6

_rules: dict[str, Callable[..., Operand]] = dict(_INTEGER_RULES)


#: What :func:`is_tight` said of each mask.
_tight: dict[int, bool] = {}


def is_tight(free: int) -> bool:
    """Whether so many temporaries are in use that a rule might not find enough."""
    found = _tight.get(free)
    if found is None:
        found = _tight[free] = _count_free(free)
    return found


def _count_free(free: int) -> bool:
    used_ints = (INT_TEMPORARIES & ~free).bit_count()
    return used_ints > _MOST_INTS or (FLOAT_TEMPORARIES & ~free).bit_count() > _MOST_FLOATS


#: Modules of rules that are loaded when one of theirs is first needed: most small modules have integers only, and
#: neither shift nor divide.
_OF_INTEGERS = ("bits", "division")
_OF_FLOATS = ("floats", "conversions")


def rule(name: str) -> Callable[..., Operand]:
    """The rule of the simple instruction ``name``; :func:`lower` applies it."""
    for topic in _OF_FLOATS if "f32" in name or "f64" in name else _OF_INTEGERS:
        if name in _rules:
            break
        _load_rules(topic)
    return _rules[name]


def _load_rules(topic: str) -> None:
    _rules.update(__import__(f"{__package__}.{topic}", fromlist=("RULES",)).RULES)


#: Instructions that there are rules for together with the next one.
FUSED = frozenset(f"{type_}.{name}" for type_ in ("i32", "i64") for name in ("shl", "shr_s", "shr_u", "mul"))


def fusion(first: str, second: str, by_constant: bool) -> Callable[..., Operand] | None:
    """The rule for two instructions at once, if there is one, see :mod:`.fused`."""
    from .fused import RULES

    return RULES.get((first, second, by_constant))


def claims(name: str) -> int:
    """Mask of the registers that the instruction ``name`` needs for itself: no instruction does."""
    return 0


def load_all() -> None:
    """Load the rules that are else loaded when an instruction first needs them."""
    for topic in (*_OF_INTEGERS, *_OF_FLOATS):
        _load_rules(topic)
    fusion("", "", False)
    _memory()


def remember(key: tuple[object, ...], value: tuple[object, ...]) -> None:
    """Keep a choice."""
    if len(MEMO) >= MEMO_LIMIT:
        MEMO.clear()
    MEMO[key] = value


def lower(
    rule: Callable[..., Operand], operands: tuple[Operand, ...], free: int, sink: Operand | None
) -> tuple[bytes, Operand, int, bool]:
    """Choose code for an instruction with a result by its rule.

    Returns:
        the code, the result's entry, the temporaries free afterwards, and whether they are few.
    """
    selection = Selection(free)
    result = rule(selection, sink, *operands)
    after = selection.free | selection.released
    tight = _tight.get(after)
    return bytes(selection.code), result, after, is_tight(after) if tight is None else tight


# -- constants, and offsets of accesses ----------------------------------------------------------------------------

#: What an opcode and a constant as its second operand become: the compiler's, see ``choose_constant`` there.
WITH_CONSTANT: dict[tuple[int, Operand], tuple[int, Operand, Operand | None, tuple[bytes, ...]]] = {}
#: What an opcode and a constant that is stored become: the compiler's, see ``choose_stored`` there.
STORED: dict[tuple[int, Operand], tuple[Operand, bytes]] = {}
#: Moves of arguments made so far, by type and register, then by what is moved: the compiler's.
MOVES: dict[tuple[int, int], Any] = {}
#: Stand-ins for constants by type: those that go into the instruction itself, as an addend, a negative one, a logical
#: immediate or a shift's count, and those that go into the second scratch first.
_ADDEND, _NEGATIVE, _LOGICAL, _COUNT, _OTHER = (
    (Operand(CONSTANT, I32, value=value & 0xFFFF_FFFF), Operand(CONSTANT, I64, value=value & 0xFFFF_FFFF_FFFF_FFFF))
    for value in (0x123, -0x123, 0xFF, 3, 0x1234_5679)
)
#: Stands for whatever is stored by way of the second scratch, by type.
_STORED = tuple(Operand(CONSTANT, type_, value=1) for type_ in (I32, I64, F32, F64))


#: What :func:`_in_word` gave for each field: 8192 of them exist.
_words: dict[int, tuple[bytes, ...]] = {}
_two_bytes = Struct("<H").pack


def _in_word(field: int) -> tuple[bytes, ...]:
    """The second and third byte of an instruction whose immediate is in bits 22 to 10, by its first source's number
    divided by 8; the last one is for an operand that comes by way of a scratch.
    """
    found = _words.get(field)
    if found is None:
        half = field >> 8
        scratch = _two_bytes(half | SCRATCH >> 3)
        found = (_two_bytes(half), _two_bytes(half | 1), scratch, _two_bytes(half | 3), scratch)
        _words[field] = found
    return found


def immediate(name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]:
    """A constant as the second operand of the instruction ``name``.

    Returns:
        the stand-in that a memoised choice is made for, and the bytes that go in its place, by the number of the first
        operand's register shifted right by 3 (the last item: it is in none). ``None`` and nothing if the constant
        needs a choice of its own.
    """
    type_ = constant.type
    if type_ not in (I32, I64):
        return None, ()
    operation = name[4:]
    bits = 64 if type_ == I64 else 32
    value = constant.value
    if operation in ("shl", "shr_s", "shr_u"):
        count = value & bits - 1
        # UBFM and SBFM: the rotation, and the number of the highest bit taken.
        immr, imms = (-count & bits - 1, bits - 1 - count) if operation == "shl" else (count, bits - 1)
        return _COUNT[type_], _in_word((1 << 22 if type_ == I64 else 0) | immr << 16 | imms << 10)
    if value == 0:
        # Zero has a register of its own, and comparisons with it have instructions of their own.
        return None, ()
    if operation in ("and", "or", "xor"):
        field = logical_immediate(value, type_)
        if field >= 0:
            return _LOGICAL[type_], _in_word(field)
        if value == (1 << bits) - 1:
            return None, ()
    elif operation != "mul":
        number = signed(value, bits)
        field = arithmetic_immediate(abs(number))
        if field >= 0:
            return (_ADDEND if number > 0 else _NEGATIVE)[type_], _in_word(field)
    return _OTHER[type_], (mov_ri(SCRATCH2, value),) * 5


def stored(name: str, constant: Operand) -> tuple[Operand, bytes]:
    """A constant that ``name`` stores: the stand-in that a memoised choice is made for, or the constant itself, and the
    bytes that go behind the displacement.
    """
    value = constant.value
    if value == 0 or constant.type > F64:
        return constant, b""
    if name.endswith("8"):
        value &= 0xFF
    elif name.endswith("16"):
        value &= 0xFFFF
    elif name.endswith("32"):
        value &= 0xFFFF_FFFF
    return _STORED[constant.type], mov_ri(SCRATCH2, value)


#: No offset of an access is as large as this, and all smaller ones have a displacement: the sum of two 32-bit numbers.
FAR_OFFSET = 1 << 33
#: Forms and bytes of the displacements of small offsets, by offset, and of others: instructions that put the offset, or
#: its sum with the memory's base, into the first scratch; see :mod:`.memory`.
SHORT_DISPLACEMENTS = (
    (0, b""),
    *((1, word(0x9100_0000 | n << 10 | MEMORY_BASE << 5 | SCRATCH)) for n in range(1, 128)),
)
DISPLACEMENTS: dict[int, tuple[int, bytes]] = {}


def displacement(offset: int) -> tuple[int, bytes]:
    """The form of an offset, and its bytes, kept in :data:`DISPLACEMENTS`."""
    if len(DISPLACEMENTS) >= MEMO_LIMIT:
        DISPLACEMENTS.clear()
    # Where adding takes two instructions, one is enough for the offset alone, up to 16 bits.
    if arithmetic_immediate(offset) < 0 and offset < 1 << 16:
        found = 2, mov_ri(SCRATCH, offset)
    else:
        found = 1, add(SCRATCH, MEMORY_BASE, offset)
    DISPLACEMENTS[offset] = found
    return found


def lower_immediate(
    rule: Callable[..., Operand], a: Operand, stand_in: Operand, free: int, sink: Operand | None
) -> tuple[bytes, bytes, Operand, int, bool]:
    """Choose code for an instruction with an immediate: the parts before and behind it, and what :func:`lower`
    returns besides.
    """
    selection = Selection(free)
    result = rule(selection, sink, a, stand_in)
    after = selection.free | selection.released
    start, end = selection.immediate
    code = bytes(selection.code)
    return code[:start], code[end:], result, after, is_tight(after)


def lower_select(
    operands: tuple[Operand, Operand, Operand], free: int, sink: Operand | None
) -> tuple[bytes, Operand, int, bool]:
    """Choose code for ``select``."""
    if is_float(operands[0].type):
        from .floats import select_float

        return lower(select_float, operands, free, sink)
    return lower(select, operands, free, sink)


_memory_rules: ModuleType | None = None


def _memory() -> ModuleType:
    """The rules of memory accesses, loaded when a module first has one."""
    global _memory_rules
    if _memory_rules is None:
        from . import memory

        _memory_rules = memory
    return _memory_rules


def lower_load(
    name: str, a: Operand, form: int, free: int, sink: Operand | None
) -> tuple[bytes, bytes, Operand, int, bool]:
    """Choose code for a load with a displacement of the given form."""
    selection = Selection(free)
    head, tail, result = _memory().load(selection, sink, name, a, form)
    after = selection.free | selection.released
    return head, tail, result, after, is_tight(after)


def lower_store(name: str, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
    """Choose code for a store with a displacement of the given form; what is stored may be a constant's stand-in."""
    selection = Selection(free)
    head, tail = _memory().store(selection, name, a, b, form, b.kind == CONSTANT and b.value != 0)
    return head, tail, selection.free | selection.released


def lower_far_load(
    name: str, a: Operand, offset: int, size: int, checked: bool, free: int, sink: Operand | None
) -> tuple[bytes, Operand, int, bool]:
    """Choose code for a load that needs its address computed: for an explicit bounds check."""
    selection = Selection(free)
    reg = _memory().address(selection, a, offset, size, checked)
    selection.release(a)
    result = _memory().far_load(selection, sink, name, reg)
    after = selection.free | selection.released
    return bytes(selection.code), result, after, is_tight(after)


def lower_far_store(
    name: str, a: Operand, b: Operand, offset: int, size: int, checked: bool, free: int
) -> tuple[bytes, int]:
    """Choose code for a store that needs its address computed."""
    selection = Selection(free)
    reg = _memory().address(selection, a, offset, size, checked)
    selection.release(a)
    _memory().far_store(selection, name, reg, b)
    return bytes(selection.code), selection.free | selection.released


def lower_read(kind: str, free: int, sink: Operand | None, *arguments: object) -> tuple[bytes, Operand, int, bool]:
    """Choose code that reads the context: ``global_get``, ``memory_size``, ``context_cell``, ``table_size`` or
    ``table_get``.
    """
    selection = Selection(free)
    result = getattr(_memory(), kind)(selection, sink, *arguments)
    after = selection.free | selection.released
    return bytes(selection.code), result, after, is_tight(after)


def lower_write(kind: str, free: int, *arguments: object) -> tuple[bytes, int]:
    """Choose code that writes through the context: ``global_set`` or ``table_set``."""
    selection = Selection(free)
    getattr(_memory(), kind)(selection, *arguments)
    return bytes(selection.code), selection.free | selection.released


# -- moves -----------------------------------------------------------------------------------------------------------


def move_to_local(operand: Operand, local: Operand, free: int) -> bytes:
    """Code that assigns an operand to a local."""
    if local.reg < 0:
        return move_to_slot(operand, local.offset, free)
    return move_to_register(operand, local.reg, free)


def move_to_slot(operand: Operand, offset: int, free: int) -> bytes:
    """Code that stores an operand into the frame slot at ``offset``; the flags stay as they are."""
    selection = Selection(free)
    selection.store(offset, operand)
    return bytes(selection.code)


def move_to_register(operand: Operand, reg: int, free: int) -> bytes:
    """Code that puts an operand into a register of its class; the flags stay as they are."""
    selection = Selection(free)
    if is_float(operand.type):
        selection.load_float(reg, operand)
    else:
        selection.load(reg, operand)
    return bytes(selection.code)


#: Moves of entries into temporaries, by entry and free temporaries: the code, the new entry, and what is free then.
FETCHES: dict[tuple[Operand, int], tuple[bytes, Operand, int]] = {}


def fetch(operand: Operand, free: int) -> tuple[bytes, Operand, int]:
    """Move an operand that is in no register into a temporary, kept in :data:`FETCHES`; the flags stay as they are.

    Most instructions would do so themselves; done before them, their choices need not tell frame offsets or constants
    apart. What is no value at all (a barrier) is left alone, for the type check to find, and so is an integer 0, which
    has a register of its own.
    """
    if operand.kind == BARRIER:
        return b"", operand, free
    if len(FETCHES) >= MEMO_LIMIT:
        FETCHES.clear()
    if operand.kind == CONSTANT and operand.value == 0 and not is_float(operand.type):
        found = (b"", operand, free)
    else:
        found = copy_to_temporary(operand, free)
        if is_tight(found[2]):
            # There would be too few temporaries left for the instruction itself: it takes the operand from the frame.
            found = (b"", operand, free)
    FETCHES[operand, free] = found
    return found


def copy_to_temporary(operand: Operand, free: int) -> tuple[bytes, Operand, int]:
    """Copy an operand into a free temporary; the caller has made sure that there is one."""
    selection = Selection(free)
    if operand.kind == FLAGS:
        # The register that a branch is going to test.
        wide, tested_reg, _ = tested(operand.value)
        reg = selection.take()
        condition = operand.value ^ (tested_reg ^ reg) << 1
        return mov_rr(wide, reg, tested_reg), flags(condition, 1 << reg), selection.free | selection.released
    if is_float(operand.type):
        reg = selection.take_float()
        selection.load_float(reg, operand)
    else:
        reg = selection.take()
        selection.load(reg, operand)
    return bytes(selection.code), register(operand.type, reg), selection.free | selection.released


__all__ = [
    "ALL_FREE",
    "DISPLACEMENTS",
    "FAR_OFFSET",
    "FETCHES",
    "FLOAT_TEMPORARIES",
    "FUSED",
    "INT_TEMPORARIES",
    "MEMO",
    "MOVES",
    "NAME",
    "PINNED_FLOATS",
    "PINNED_INTS",
    "RESULT_REGISTER",
    "SHORT_DISPLACEMENTS",
    "STORED",
    "WITH_CONSTANT",
    "claims",
    "copy_to_temporary",
    "displacement",
    "fetch",
    "fusion",
    "immediate",
    "is_tight",
    "load_all",
    "lower",
    "lower_far_load",
    "lower_far_store",
    "lower_immediate",
    "lower_load",
    "lower_read",
    "lower_select",
    "lower_store",
    "lower_write",
    "move_to_local",
    "move_to_register",
    "move_to_slot",
    "remember",
    "rule",
    "stored",
]
