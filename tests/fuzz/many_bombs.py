"""Bombs of many values: blocks, branches, calls and functions whose types say a thousand parameters and results, each
named by two to five bytes. See :mod:`.bombs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    DROP,
    ELSE,
    END,
    I32_CONST,
    IF,
    LOCAL_GET,
    LOOP,
    REF_NULL,
    SELECT,
    TRY_TABLE,
    UNREACHABLE,
    uleb,
)
from tests.fuzz.parts import CODE, FUNCTION, TABLE, TAG, TYPE, Parts, Section, Signature
from vibewasm.opcodes import CODE as OPCODE

Body = bytes
I32, F32 = 0x7F, 0x7D
ZERO = bytes([I32_CONST, 0])
_EQZ, _BR_TABLE = OPCODE["i32.eqz"], OPCODE["br_table"]
_BR_ON_NULL, _THROW = OPCODE["br_on_null"], OPCODE["throw"]
_RETURN_CALL, _CALL_INDIRECT = OPCODE["return_call"], OPCODE["call_indirect"]


def op(*codes: int) -> bytes:
    """Bytes of instructions whose immediates are single bytes."""
    return bytes(codes)


def ints(count: int) -> bytes:
    """So many types."""
    return bytes([I32]) * count


def in_turn(count: int) -> bytes:
    """Types of two classes in turn, so that what travels in registers stands between what does not."""
    return bytes([I32, F32]) * (count // 2)


def through(count: int) -> Signature:
    """What takes so many values and gives as many."""
    return Signature(ints(count), ints(count))


def module(bodies: Sequence[Body], types: Sequence[Signature], tags: Sequence[int] = (), table: bool = False) -> bytes:
    """A module of functions that all have type 0; bodies begin with their locals, and have no end."""
    sections = [
        Section(TYPE, [type_.encode() for type_ in types]),
        Section(FUNCTION, [b"\0"] * len(bodies)),
        Section(TABLE, [b"\x70\0\1"] if table else []),
        Section(TAG, [b"\0" + uleb(type_) for type_ in tags]),
        Section(CODE, [body + op(END) for body in bodies]),
    ]
    return Parts([section for section in sections if section.items]).encode()


NOTHING = Signature(b"", b"")


class Inside:
    """Again and again something that takes so many values and leaves as many, in a function of nothing."""

    def __init__(self, count: int, inside: bytes) -> None:
        self.count = count
        self.inside = inside

    def __call__(self, size: int) -> bytes:
        body = b"\0" + ZERO * self.count + self.inside * size + op(DROP) * self.count
        return module([body], [NOTHING, through(self.count)])


class Dead(Inside):
    """The same where it is not reached."""

    def __call__(self, size: int) -> bytes:
        body = b"\0" + op(UNREACHABLE) + self.inside * size + op(UNREACHABLE)
        return module([body], [NOTHING, through(self.count)])


class Calls:
    """Again and again a call of the function itself, which takes its own results as arguments."""

    def __init__(self, types: bytes, inside: bytes = b"") -> None:
        self.types = types
        self.inside = inside or op(CALL, 0)

    def __call__(self, size: int) -> bytes:
        gets = b"".join(op(LOCAL_GET) + uleb(index) for index in range(len(self.types)))
        return module([b"\0" + gets + self.inside * size], [Signature(self.types, self.types)], table=True)


class Functions:
    """Functions of one type, whose bodies are all the same and short."""

    def __init__(self, signature: Signature, body: Body = b"\0") -> None:
        self.signature = signature
        self.body = body

    def __call__(self, size: int) -> bytes:
        return module([self.body] * size, [self.signature])


class Heights:
    """What is written for so many values, each time at another height of the operand stack."""

    def __init__(self, count: int, write: Callable[[int, int], bytes]) -> None:
        self.count = count
        self.write = write

    def __call__(self, size: int) -> bytes:
        types = [NOTHING, through(self.count), Signature(b"", ints(self.count))]
        return module([b"\0" + self.write(self.count, size)], types)


def nested_at_other_heights(count: int, size: int) -> bytes:
    """Each of the nested blocks takes a value more from above, and leaves one below."""
    body = ZERO * count + (ZERO + op(BLOCK, 1)) * size
    return body + (op(DROP) + ZERO + op(BR, 0, END)) * size + op(UNREACHABLE)


def branches_at_other_heights(count: int, size: int) -> bytes:
    """Conditional branches, each with the values a place higher than the one before."""
    body = op(BLOCK, 2) + ZERO * count + (ZERO + ZERO + op(BR_IF, 0)) * size
    return body + op(BR, 0, END) + op(DROP) * count


def tables_to_labels(count: int, size: int) -> bytes:
    """Tables of branches to 120 labels, each of which expects the values in other places."""
    labels = 120
    table = op(BLOCK, 1) + ZERO + op(_BR_TABLE) + uleb(labels) + bytes(range(2, labels + 3)) + op(END)
    body = (op(BLOCK, 2) + ZERO) * (labels + 2)
    body += op(BLOCK, 2) + ZERO * count + table * size + op(BR, 0, END, BR, 1)
    return body + op(BR, 0, END) * (labels + 2) + op(DROP) * count


def branches_on_null(count: int, size: int) -> bytes:
    """Branches of two bytes, whose values have to be moved."""
    body = ZERO + op(BLOCK, 2) + ZERO + ZERO * count + op(REF_NULL, 0x70) + op(_BR_ON_NULL, 0) * size
    return body + op(DROP, BR, 0, END) + op(DROP) * (count + 1)


class Results:
    """Calls of the function itself, which takes nothing and gives so many values."""

    def __init__(self, count: int, after: bytes, most: int) -> None:
        self.count = count
        #: What is done with the results of each; and how many calls are in a function, in which all may stay.
        self.after = after
        self.most = most

    def __call__(self, size: int) -> bytes:
        body = b"\0" + (op(CALL, 0) + self.after) * min(size, self.most) + op(UNREACHABLE)
        return module([body] * max(1, size // self.most), [Signature(b"", ints(self.count))])


class Exceptions:
    """Throws of so many values, and clauses that catch them."""

    def __init__(self, count: int, write: Callable[[int, int], bytes]) -> None:
        self.count = count
        self.write = write

    def __call__(self, size: int) -> bytes:
        values = ints(self.count)
        types = [NOTHING, through(self.count), Signature(values, b""), Signature(b"", values)]
        body = b"\0" + self.write(self.count, size) + op(DROP) * self.count
        return module([body], types, tags=[2])


def clauses(count: int, size: int) -> bytes:
    """A ``try_table`` with many clauses."""
    return op(BLOCK, 3, TRY_TABLE, 0x40) + uleb(size) + op(0, 0, 0) * size + op(END) + ZERO * count + op(END)


def try_tables(count: int, size: int) -> bytes:
    """Many, each with one clause."""
    return op(BLOCK, 3) + op(TRY_TABLE, 0x40, 1, 0, 0, 0, END) * size + ZERO * count + op(END)


def throws(count: int, size: int) -> bytes:
    """Throws that nothing here catches."""
    return ZERO * count + op(BLOCK, 1, _THROW, 0, END) * size


def many_bombs(most: int) -> dict[str, Callable[[int], bytes]]:
    """The bombs, of so many values: 1000 is what a type may have."""
    return {
        "functions of 9 parameters": Functions(Signature(ints(9), b"")),
        "functions of many parameters": Functions(Signature(ints(most), b"")),
        "functions of many parameters in turn": Functions(Signature(in_turn(most), b"")),
        "functions of many to many": Functions(through(most), b"\0" + op(UNREACHABLE)),
        "blocks of 16 values with br": Inside(16, op(BLOCK, 1, BR, 0, END)),
        "blocks of 17 values with br": Inside(17, op(BLOCK, 1, BR, 0, END)),
        "blocks of many values with br": Inside(most, op(BLOCK, 1, BR, 0, END)),
        "ifs of 16 values with br": Inside(16, ZERO + op(IF, 1, BR, 0, END)),
        "ifs of many values with br": Inside(most, ZERO + op(IF, 1, BR, 0, END)),
        "ifs of many values with br and else": Inside(most, ZERO + op(IF, 1, BR, 0, ELSE, BR, 0, END)),
        "loops of many values with br": Inside(most, op(LOOP, 1, BR, 0, END)),
        "blocks of many values, one of them new": Inside(most, op(DROP) + ZERO + op(BLOCK, 1, END)),
        "blocks of 17 values, one of them computed": Inside(17, op(_EQZ, BLOCK, 1, END)),
        "nested blocks of many values at other heights": Heights(most, nested_at_other_heights),
        "br_if of many values at other heights": Heights(most, branches_at_other_heights),
        "br_tables of 8 values to 120 labels": Heights(8, tables_to_labels),
        "br_tables of many values to 120 labels": Heights(most, tables_to_labels),
        "br_on_null of many values": Heights(most, branches_on_null),
        "calls of 8 to 8": Calls(ints(8)),
        "calls of 16 to 16": Calls(ints(16)),
        "calls of 17 to 17": Calls(ints(17)),
        "calls of many to many": Calls(ints(most)),
        "calls of 8 to 8 in turn": Calls(in_turn(8)),
        "calls of many to many in turn": Calls(in_turn(most)),
        "indirect calls of many to many": Calls(ints(most), ZERO + op(_CALL_INDIRECT, 0, 0)),
        "tail calls of many": Calls(ints(most), op(BLOCK, 0, _RETURN_CALL, 0, END)),
        "many results that stay": Results(most, b"", 500),
        "many results and select": Results(most, op(SELECT) * ((most - 1) // 2) + op(DROP) * 2, 1 << 20),
        "throws of many": Exceptions(most, throws),
        "try_table with a clause of many": Exceptions(most, try_tables),
        "clauses of many": Exceptions(most, clauses),
        "dead blocks of many values": Dead(most, op(BLOCK, 1, END)),
        "dead blocks of many values with br": Dead(most, op(BLOCK, 1, BR, 0, END)),
        "dead ifs of many values": Dead(most, op(IF, 1, ELSE, END)),
        "dead blocks of many values, one of them new": Dead(most, op(DROP) + ZERO + op(BLOCK, 1, END)),
    }
