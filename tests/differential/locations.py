"""Which instruction met its operands where: in a temporary register, a frame slot, a constant, a local, the flags.

What is observed: a module's functions are compiled once more with recording on, which calls a hook before every
instruction that is translated. At that moment the instruction's operands are the topmost entries of the compiler's
operand stack, and nothing has been fetched, moved or folded for the instruction yet, so their kinds are the places in
which the instruction meets its operands. Recording gives the same machine code as the compilation that runs (a test
compares them), so what is seen here is what ran, and the hot loop does no work for it. Two things are not seen, and
not counted: dead code, which is not translated, and a `local.set` or `local.tee` that the instruction before it has
done itself by putting its result into a pinned local.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from vibewasm import compiler
from vibewasm.api.engine import default_engine
from vibewasm.backends.operand import CONSTANT, FLAGS, LOCAL, REGISTER, SLOT, V128, Operand, is_float, slot
from vibewasm.binary.decoder import decode
from vibewasm.compiler import Compiler
from vibewasm.compiler.immediates import block_type, read_opcode, read_unsigned
from vibewasm.compiler.index_spaces import function_type, type_at
from vibewasm.compiler.modes import Special
from vibewasm.compiler.runs import Run
from vibewasm.compiler.state import Compilation
from vibewasm.instances.context import ContextLayout
from vibewasm.opcodes import CODE, TABLE, all_rows, has_signature, signature

LOCATIONS = ("register", "slot", "constant", "pinned local", "frame local", "flags")


class Place(NamedTuple):
    """An instruction's opcode, which of its operands, and where that was."""

    code: int
    operand: str
    location: str


def _location(entry: Operand) -> str:
    if entry.kind == LOCAL:
        return "pinned local" if entry.reg >= 0 else "frame local"
    return {REGISTER: "register", SLOT: "slot", CONSTANT: "constant", FLAGS: "flags"}[entry.kind]


#: Operands of the instructions whose operands depend on something, by code: those of fixed number from the bottom up.
#: A name that ends with `*` stands for as many as there are. Where a value can be of any type, its class is noted too.
_VARIABLE: dict[int, tuple[str, ...]] = {
    CODE[name]: operands
    for names, operands in (
        ("block loop", ("parameter*",)),
        ("if", ("parameter*", "condition")),
        ("else end", ("result*",)),
        ("br return drop local.set local.tee global.set", ("value*",)),
        ("br_if", ("value*", "condition")),
        ("br_table", ("value*", "index")),
        ("call", ("argument*",)),
        ("call_indirect", ("argument*", "index")),
        ("select", ("first*", "second*", "condition")),
        ("table.get ref.is_null", ("0",)),
        ("table.set table.grow", ("0", "1")),
        ("table.fill", ("0", "1", "2")),
    )
    for name in names.split()
}
_VARIABLE[CODE["select t"]] = _VARIABLE[CODE["select"]]
_BLOCKS = tuple(CODE[name] for name in ("block", "loop", "if"))
_ENDS = (CODE["else"], CODE["end"])
_BRANCHES = (CODE["br"], CODE["br_if"])
#: What takes values of any type, and how many of them.
_ONE_OF_ANY = tuple(CODE[name] for name in ("drop", "select", "select t", "local.set", "local.tee", "global.set"))
#: What takes a comparison from the flags, and as which operand.
_FROM_FLAGS = (
    (CODE["if"], "condition"),
    (CODE["br_if"], "condition"),
    (CODE["select"], "condition"),
    (CODE["i32.eqz"], "0"),
)
_CLASSES = ("integer", "float")
_VECTOR = "vector"


def operands_of(code: int, classes: tuple[str, ...] = _CLASSES) -> tuple[str, ...]:
    """Names of an instruction's operands; a value that can be of any type is once there for each of the classes."""
    if code in _VARIABLE:
        names: list[str] = []
        for name in _VARIABLE[code]:
            names += [f"{name[:-1]} ({kind})" for kind in classes] if name.endswith("*") else [name]
        return tuple(names)
    return tuple([str(index) for index in range(len(signature(code)[0]))]) if has_signature(code) else ()


def why_unreachable(place: Place) -> str | None:
    """Why an instruction cannot meet an operand there; None where it can."""
    if place.location == "flags":
        if (place.code, place.operand) in _FROM_FLAGS:
            return None
        return "an outcome stays in the flags only for br_if, if, select or i32.eqz right after it"
    return None


def all_places(vectors: bool = False) -> list[Place]:
    """Every instruction with each operand in each location, reachable or not.

    With `vectors` these are vector instructions, and vectors as operands of those that take values of any type.
    """
    if not vectors:
        operands = [(row[0], operand) for row in TABLE for operand in operands_of(row[0])]
    else:
        operands = [(row[0], operand) for row in all_rows()[len(TABLE) :] for operand in operands_of(row[0])]
        operands += [
            (code, operand)
            for code in _VARIABLE
            for operand in operands_of(code, (_VECTOR,))
            if operand.endswith(f"({_VECTOR})")
        ]
    return [Place(code, operand, location) for code, operand in operands for location in LOCATIONS]


class _Tracer(Special):
    """Special that looks at the operands of every instruction."""

    places: set[Place]

    def __call__(self, pc: int) -> None:
        super().__call__(pc)
        c = self.c
        _, code = read_opcode(c, pc)
        names = _VARIABLE.get(code) or operands_of(code)
        if not names or (code in _ENDS and c.dead):
            return
        spread = _spread(c, code, pc)
        stack = _values(c)
        entries = stack[len(stack) - spread - sum(not name.endswith("*") for name in names) :]
        if code in _ONE_OF_ANY:
            entries = stack[-len(names) :]
            spread = 1
        at = 0
        for name in names:
            if not name.endswith("*"):
                self.places.add(Place(code, name, _location(entries[at])))
                at += 1
                continue
            for entry in entries[at : at + spread]:
                kind = _VECTOR if entry.type == V128 else _CLASSES[is_float(entry.type)]
                self.places.add(Place(code, f"{name[:-1]} ({kind})", _location(entry)))
            at += spread


def _values(c: Compilation) -> list[Operand]:
    """The operand stack, with an entry for each value."""
    values: list[Operand] = []
    for entry in c.stack:
        if isinstance(entry, Run):
            types = entry.types[entry.start : entry.start + entry.count]
            values += [slot(type_, entry.offset + c.step * index) for index, type_ in enumerate(types)]
        else:
            values.append(entry)
    return values


def _spread(c: Compilation, code: int, pc: int) -> int:
    """How many operands stand for the name with the star."""
    env = c.env
    if code in _BLOCKS:
        return len(block_type(c, pc + 1)[1])
    if code in _ENDS:
        return len(c.labels[-1].results)
    if code == CODE["return"]:
        return len(c.labels[0].types)
    if code in _BRANCHES:
        return len(c.labels[-1 - read_unsigned(c, pc + 1)[1]].types)
    if code == CODE["br_table"]:
        # All labels take as many values as the first one.
        after, _ = read_unsigned(c, pc + 1)
        return len(c.labels[-1 - read_unsigned(c, after)[1]].types)
    if code == CODE["call"]:
        return len(function_type(env, read_unsigned(c, pc + 1)[1])[0])
    if code == CODE["call_indirect"]:
        return len(type_at(env, read_unsigned(c, pc + 1)[1])[0])
    return 0


@contextmanager
def tracing(found: set[Place]) -> Iterator[None]:
    """Puts the places of what is recorded inside into `found`."""

    class Tracer(_Tracer):
        places = found

    # The driver keeps what it has used of its modes there.
    driver = compiler._modes
    before = driver.Special
    driver.Special = Tracer  # type: ignore[misc]  # recording looks the class up there
    try:
        yield
    finally:
        driver.Special = before  # type: ignore[misc]


def met(data: bytes) -> set[Place]:
    """The places that the module's functions meet."""
    info = decode(data)
    compiler_ = Compiler(info, ContextLayout(info), target=default_engine().target)
    places: set[Place] = set()
    with tracing(places):
        for defined in range(len(info.bodies)):
            compiler_.record(defined)
    return places


__all__ = ["LOCATIONS", "TABLE", "Place", "all_places", "met", "operands_of", "tracing", "why_unreachable"]
