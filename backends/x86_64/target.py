"""What the compiler asks of a processor: this module is the backend's contract, of the same shape in every backend.

Choosing machine code is a pure function of the instruction, the places of its operands, the free temporaries and the
destination. So every choice is made once and kept in :data:`MEMO`; the compiler looks there itself, since that is its
hottest line, and calls :func:`lower` and its siblings only for what is new.
"""

from __future__ import annotations

from ..operand import BARRIER, CONSTANT, I32, I64, Operand, is_float, register
from .asm import mov_ri
from .integers import RULES as _INTEGER_RULES
from .integers import select
from .regs import FLOAT_PINNED as PINNED_FLOATS
from .regs import PINNED as PINNED_INTS
from .selection import ALL_FREE, FLOAT_TEMPORARIES, INT_TEMPORARIES, Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


NAME = "x86_64"
#: Entries of the single result that a label or a call passes in a register, by whether it is a float.
RESULT_REGISTER = 0

#: Choices made so far. A key is a tuple that starts with the opcode; a value is what the function that fills it
#: returns.
MEMO: dict[tuple[object, ...], tuple[object, ...]] = {}
#: A hostile module can ask for any number of different choices, so the memo starts anew at this size.
MEMO_LIMIT = 1 << 18

#: More temporaries in use than these, and the compiler moves the oldest to the frame: every rule has two integer
#: temporaries and four float temporaries to work with.
_MOST_INTS = 3
_MOST_FLOATS = 4

_rules: dict[str, Callable[..., Operand]] = dict(_INTEGER_RULES)


def configure(bmi1: bool, bmi2: bool, lzcnt: bool) -> None:
    """Say which processor extensions to use, and forget choices made for others."""
    from . import features

    features.configure(bmi1, bmi2, lzcnt)
    MEMO.clear()


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


#: Instructions that there are rules for together with the next one: none.
FUSED: frozenset[str] = frozenset()


def fusion(first: str, second: str, by_constant: bool) -> Callable[..., Operand] | None:
    """The rule for two instructions at once, if there is one."""
    return None


def claims(name: str) -> int:
    """Mask of the registers that the instruction ``name`` needs for itself.

    The compiler frees them of all but the operands.
    """
    operation = name[4:]
    if operation in ("div_s", "div_u", "rem_s", "rem_u"):
        return INT_TEMPORARIES  # rax, rdx, and one for the divisor
    if operation in ("shl", "shr_s", "shr_u", "rotl", "rotr"):
        from .bits import claims as claims_of_bits

        return claims_of_bits(operation)
    return 0


def load_all() -> None:
    """Load the rules that are else loaded when an instruction first needs them, and ask the processor what it has."""
    for topic in (*_OF_INTEGERS, *_OF_FLOATS):
        _load_rules(topic)
    _memory()
    from . import features

    _ = features.BMI2


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
    after = selection.free | selection.borrowed
    tight = _tight.get(after)
    return bytes(selection.code), result, after, is_tight(after) if tight is None else tight


#: What an opcode and a constant as its second operand become: the compiler's, see ``choose_constant`` there.
WITH_CONSTANT: dict[tuple[int, Operand], tuple[int, Operand, Operand | None, tuple[bytes, ...]]] = {}
#: What an opcode and a constant that is stored become: the compiler's, see ``choose_stored`` there.
STORED: dict[tuple[int, Operand], tuple[Operand, bytes]] = {}
#: Moves of arguments made so far, by type and register, then by what is moved: the compiler's.
MOVES: dict[tuple[int, int], Any] = {}
_BYTE_STAND_INS = tuple(Operand(CONSTANT, type_, value=0x11) for type_ in (I32, I64))
_WIDE_STAND_INS = tuple(Operand(CONSTANT, type_, value=0x11223344) for type_ in (I32, I64))


#: Offsets of accesses from this one on have no displacement: the address is computed.
FAR_OFFSET = 0x80000000
#: Forms and bytes of the displacements of small offsets, by offset, and of others.
SHORT_DISPLACEMENTS = ((0, b""), *((1, bytes((byte,))) for byte in range(1, 128)))
DISPLACEMENTS: dict[int, tuple[int, bytes]] = {}


def displacement(offset: int) -> tuple[int, bytes]:
    """The form of an offset that takes four bytes, and these, kept in :data:`DISPLACEMENTS`."""
    if len(DISPLACEMENTS) >= MEMO_LIMIT:
        DISPLACEMENTS.clear()
    found = DISPLACEMENTS[offset] = (2, offset.to_bytes(4, "little"))
    return found


def immediate(name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]:
    """A constant as the second operand of the instruction ``name``. It saves a choice for every constant.

    Returns:
        the stand-in that a memoised choice is made for, and the bytes that go in its place, by the number of the first
        operand's register shifted right by 3 (the last item: it is in none); these are all equal here. ``None`` and
        nothing if the constant fits no immediate.
    """
    type_ = constant.type
    if type_ <= I64:
        value = constant.value
        if value >= (1 << 31 if type_ == I32 else 1 << 63):
            value -= 1 << 32 if type_ == I32 else 1 << 64
        # Comparisons with zero have an instruction of their own.
        if value and -(1 << 31) <= value < 1 << 31:
            code = (value & 0xFFFF_FFFF).to_bytes(4, "little")
            if -128 <= value < 128:
                return _BYTE_STAND_INS[type_], (code[:1],) * 3
            return _WIDE_STAND_INS[type_], (code,) * 3
    return None, ()


def stored(name: str, constant: Operand) -> tuple[Operand, bytes]:
    """A constant that ``name`` stores: the stand-in that a memoised choice is made for, and the bytes that go behind
    the displacement; the constant itself, and none, if it fits no immediate.
    """
    type_ = constant.type
    if type_ <= I64:
        value = constant.value
        if value >= (1 << 31 if type_ == I32 else 1 << 63):
            value -= 1 << 32 if type_ == I32 else 1 << 64
        if -(1 << 31) <= value < 1 << 31:
            width = 1 if name.endswith("8") else 2 if name.endswith("16") else 4
            return _WIDE_STAND_INS[type_], (value & 0xFFFF_FFFF).to_bytes(4, "little")[:width]
    return constant, b""


def lower_immediate(
    rule: Callable[..., Operand], a: Operand, stand_in: Operand, free: int, sink: Operand | None
) -> tuple[bytes, bytes, Operand, int, bool]:
    """Choose code for an instruction with an immediate: the parts before and behind it, and what :func:`lower`
    returns besides.
    """
    selection = Selection(free)
    result = rule(selection, sink, a, stand_in)
    after = selection.free | selection.borrowed
    end = selection.immediate_end
    width = 1 if stand_in.value == 0x11 else 4
    code = bytes(selection.code)
    return code[: end - width], code[end:], result, after, is_tight(after)


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
    after = selection.finish()
    return head, tail, result, after, is_tight(after)


def lower_store(name: str, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
    """Choose code for a store with a displacement of the given form; what is stored may be a constant's stand-in, which
    is left out.
    """
    selection = Selection(free)
    head, tail = _memory().store(selection, name, a, b, form)
    return head, b"" if b in _WIDE_STAND_INS else tail, selection.finish()


def lower_far_load(
    name: str, a: Operand, offset: int, size: int, checked: bool, free: int, sink: Operand | None
) -> tuple[bytes, Operand, int, bool]:
    """Choose code for a load that needs its address computed: a large offset, or an explicit bounds check."""
    selection = Selection(free)
    reg = _memory().address(selection, a, offset, size, checked)
    selection.release(a)
    head, tail, result = _memory().load(selection, sink, name, Operand(1, a.type, reg), 0)
    after = selection.finish()
    return head + tail, result, after, is_tight(after)


def lower_far_store(
    name: str, a: Operand, b: Operand, offset: int, size: int, checked: bool, free: int
) -> tuple[bytes, int]:
    """Choose code for a store that needs its address computed."""
    selection = Selection(free)
    reg = _memory().address(selection, a, offset, size, checked)
    selection.release(a)
    head, tail = _memory().store(selection, name, Operand(1, a.type, reg), b, 0)
    return head + tail, selection.finish()


def lower_read(kind: str, free: int, sink: Operand | None, *arguments: object) -> tuple[bytes, Operand, int, bool]:
    """Choose code that reads the context: ``global_get``, ``memory_size``, ``context_cell``, ``table_size`` or
    ``table_get``.
    """
    selection = Selection(free)
    result = getattr(_memory(), kind)(selection, sink, *arguments)
    after = selection.finish()
    return bytes(selection.code), result, after, is_tight(after)


def lower_write(kind: str, free: int, *arguments: object) -> tuple[bytes, int]:
    """Choose code that writes through the context: ``global_set`` or ``table_set``."""
    selection = Selection(free)
    getattr(_memory(), kind)(selection, *arguments)
    return bytes(selection.code), selection.finish()


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
    if operand.kind == CONSTANT and not is_float(operand.type):
        return mov_ri(reg, operand.value)
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
    apart. What is no value at all (a barrier) is left alone, for the type check to find.
    """
    if operand.kind == BARRIER:
        return b"", operand, free
    if len(FETCHES) >= MEMO_LIMIT:
        FETCHES.clear()
    found = copy_to_temporary(operand, free)
    if is_tight(found[2]):
        # There would be too few temporaries left for the instruction itself: it takes the operand from the frame.
        found = (b"", operand, free)
    FETCHES[operand, free] = found
    return found


def copy_to_temporary(operand: Operand, free: int) -> tuple[bytes, Operand, int]:
    """Copy an operand into a free temporary; the caller has made sure that there is one."""
    selection = Selection(free)
    if is_float(operand.type):
        reg = selection.take_float()
        selection.load_float(reg, operand)
    else:
        reg = selection.take()
        selection.load(reg, operand)
    return bytes(selection.code), register(operand.type, reg), selection.finish()


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
    "configure",
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
