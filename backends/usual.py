"""Choices that the package carries: those that programs usually need, made before by ``python tools/usual_choices.py``.

They stand in a few files a processor, the *tiers*, from what most programs need to what some do, each some times larger
than the one before. A tier is loaded as a whole once so many choices had to be made since the last one that loading it
costs no more than making them has cost (:class:`~.choices.Choices` counts). So a small module loads none, a choice is
found where all others are, and nothing is added to looking one up. Loading one takes a tenth of the time of making it,
since no line of Python runs for it: rows are numbers of atoms, which ``itemgetter`` and ``zip`` make tuples.

A file consists of numbers, little-endian. The first are the number of its parts, and of each part the :meth:`variant
<.contract.Target.variant>` of the processor that it is for, or :data:`EVERY`, and its end. A part has *atoms*, which
are what keys and values of the tables consist of, and *rows*, which are the numbers of a key's atoms and then those of
its value's. Before them stands how many there are of what:

====================  ==================================================================================================
six 32-bit numbers    how many integers, entries, bytes of all byte strings, kinds of tuples, and kinds of rows; what
                      stands between two byte strings
four for each kind    of tuples: length, how many, 0, 0; of rows: number in :data:`TABLES`, length of a key, length of a
                      value, how many
integers              64 bits each
entries               all kinds (8 bits), all types (8 bits), all registers (8 bits), all frame offsets (32 bits,
                      signed), all values (64 bits); see :func:`_entry`
byte strings          with two bytes between them that are found nowhere else
tuples, rows          numbers of atoms, 16 bits each
====================  ==================================================================================================

Atoms are counted from :func:`fixed_atoms` on, in this order.
"""

from __future__ import annotations

from _operator import itemgetter  # operator itself takes longer to load than a tier
from gc import disable, enable, isenabled
from sys import byteorder

from ..errors import WasmError
from .operand import (
    CONSTANT,
    FLAGS,
    LOCAL,
    REGISTER,
    WANT_FLAGS,
    constant,
    flags,
    frame_local,
    pinned_local,
    register,
    slot,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

    from .operand import Operand
    from .types import Carrying

#: The tables that have usual entries; a row says which one by its number here.
TABLES = ("MEMO", "WITH_CONSTANT", "STORED", "FETCHES")
#: Variant of a part that is for every variant of its processor.
EVERY = 0xFFFF_FFFF
#: In place of a register's number where there is none.
NO_REGISTER = 0xFF


def fixed_atoms(target: Carrying) -> list[object]:
    """The atoms that every part begins with."""
    return [None, False, True, (), WANT_FLAGS, *target.STAND_INS]


def read(backend: str, tier: int) -> bytes:
    """A tier of a backend.

    Raises:
        OSError: it is not there.
    """
    path = f"{__file__.rpartition('/')[0]}/{backend}/usual_choices.{tier}"
    # The package may be in an archive, which its loader can read.
    loader: Any = __spec__.loader
    found: bytes = loader.get_data(path)
    return found


def parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each part of a tier the variant, where it begins, and where it ends."""
    view = memoryview(data)
    count = view[:4].cast("I")[0]
    start = 4 + 8 * count
    head = view[4:start].cast("I").tolist()
    for variant, end in zip(head[::2], head[1::2], strict=True):
        yield variant, start, end
        start = end


def load(target: Carrying, tier: int) -> None:
    """Enter the choices of a tier into the target's tables, if the environment does not forbid it."""
    from os import environ

    if environ.get("VIBEWASM_USUAL_CHOICES") == "off" or byteorder != "little":
        return
    try:
        data = read(target.folder, tier)
    except OSError:
        # Who packs programs into one file may leave out what is no code. Then all choices are made.
        return
    collects = isenabled()
    # All that is made here stays.
    disable()
    try:
        for variant, start, end in parts(data):
            if variant == EVERY or variant == _variant(target):
                for table, rows in read_part(target, data[start:end]):
                    getattr(target, TABLES[table]).update(rows)
    finally:
        if collects:
            enable()


def _variant(target: Carrying) -> int | None:
    try:
        return target.variant()
    except (OSError, WasmError):
        # The processor cannot be asked where executable memory is forbidden; the rule that has to know says so.
        return None


def read_part(
    target: Carrying, data: bytes
) -> Iterator[tuple[int, zip[tuple[tuple[object, ...], tuple[object, ...]]]]]:
    """Of each kind of rows of a part the number of its table, and keys and values."""
    view = memoryview(data)
    integers, entries, strings, tuple_kinds, row_kinds, between = view[:24].cast("I").tolist()
    at = 24 + 16 * (tuple_kinds + row_kinds)
    kinds = view[24:at].cast("I").tolist()
    quadruples = list(zip(kinds[::4], kinds[1::4], kinds[2::4], kinds[3::4], strict=True))
    atoms = fixed_atoms(target)

    def numbers(code: Literal["B", "H", "i", "Q"], width: int, count: int) -> list[int]:
        nonlocal at
        start = at
        at += width * count
        return view[start:at].cast(code).tolist()

    def chosen(length: int, count: int) -> zip[tuple[object, ...]]:
        # Of a single number it would give no tuple, so there is always another one.
        items = iter(itemgetter(0, *numbers("H", 2, length * count))(atoms))
        next(items)
        return zip(*[items] * length, strict=False)

    atoms += numbers("Q", 8, integers)
    kinds_types_registers = [numbers("B", 1, entries) for _ in range(3)]
    atoms += map(_entry, *kinds_types_registers, numbers("i", 4, entries), numbers("Q", 8, entries))
    start = at
    at += strings
    atoms += data[start:at].split(between.to_bytes(2, "little"))
    for length, count, _, _ in quadruples[:tuple_kinds]:
        atoms += chosen(length, count)
    for table, key, value, count in quadruples[tuple_kinds:]:
        yield table, zip(chosen(key, count), chosen(value, count), strict=False)


def _entry(kind: int, type_: int, reg: int, offset: int, value: int) -> Operand:
    """The interned entry; one of :data:`~.operand.FLAGS` has the number of its bit in place of a register's."""
    if kind == REGISTER:
        return register(type_, reg)
    if kind == CONSTANT:
        return constant(type_, value)
    if kind == FLAGS:
        return flags(value, 0 if reg == NO_REGISTER else 1 << reg)
    if kind == LOCAL:
        return frame_local(type_, offset) if reg == NO_REGISTER else pinned_local(type_, reg)
    return slot(type_, offset)
