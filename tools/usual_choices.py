#!/usr/bin/env python3
"""Make the choices of machine code that the package carries (:mod:`vibewasm.backends.usual`).

``python tools/usual_choices.py`` makes them again, for the same cases: to be run when a rule has been changed, so that
what it chooses now is what is carried. ``--check`` only says whether there is a difference.

``python tools/usual_choices.py --programs FILE...`` finds out anew which cases are usual: it compiles whole programs,
for both processors and with and without extensions, and takes what :data:`LEAST` of them at least have in common.
Folders stand for all ``.wasm`` files in them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import pack
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# What is made here must not come from what was made before.
os.environ["VIBEWASM_USUAL_CHOICES"] = "off"

from vibewasm.backends import TARGETS, backend, usual  # noqa: E402
from vibewasm.backends.choices import TIERS  # noqa: E402
from vibewasm.backends.operand import CONSTANT, FIRST_FLOAT_BIT, FLAGS, Operand  # noqa: E402
from vibewasm.compiler.choices import choose_constant, choose_stored  # noqa: E402
from vibewasm.opcodes import ACCESSES, CODE, name_of, signature  # noqa: E402

#: For each tier, how many programs at least have a case in common.
LEAST = (10, 4)
#: Variants of each processor that parts are made for: with all extensions, as most computers have them, and with none.
VARIANTS: dict[str, tuple[int, ...]] = {"x86_64": (0b111, 0b000), "aarch64": (0,)}

#: A table's number, a key and a value.
Row = tuple[int, tuple[Any, ...], tuple[Any, ...]]
#: A table's number, and a key as an atom that can be compared.
Case = tuple[int, tuple[Any, ...]]


# -- making choices ----------------------------------------------------------------------------------------------------

#: Reads and writes of the context by opcode, as the backends call them.
_READS = {
    CODE["global.get"]: "global_get",
    CODE["table.get"]: "table_get",
    CODE["table.size"]: "table_size",
    CODE["memory.size"]: "memory_size",
    CODE["ref.func"]: "context_cell",
}
_WRITES = {CODE["global.set"]: "global_set", CODE["table.set"]: "table_set"}


def configure(name: str, variant: int) -> Any:
    """The target of a processor, told which extensions there are, with nothing in its tables."""
    target: Any = backend(name).target
    for table in usual.TABLES:
        getattr(target, table).clear()
    if name == "x86_64":
        target.configure(bool(variant & 1), bool(variant & 2), bool(variant & 4))
    assert target.variant() == variant
    return target


def choose(target: Any, table: int, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a key has in a table, made as the compiler makes it when the key is not there."""
    if usual.TABLES[table] == "FETCHES":
        return tuple(target.fetch(*key))
    compilation: Any = SimpleNamespace(target=target)
    if usual.TABLES[table] == "WITH_CONSTANT":
        return choose_constant(compilation, *key)
    if usual.TABLES[table] == "STORED":
        return choose_stored(compilation, *key)
    return _choose(target, *key)


def _choose(target: Any, op: int, *rest: Any) -> tuple[Any, ...]:
    """The same for a key of ``MEMO``."""
    name = name_of(op)
    if op == CODE["local.set"]:
        return (target.move_to_local(*rest, target.ALL_FREE),)
    if op == CODE["select"]:
        *operands, free, sink = rest
        return tuple(target.lower_select(tuple(operands), free, sink))
    if op in _READS:
        return tuple(target.lower_read(_READS[op], *rest))
    if op in _WRITES:
        return tuple(target.lower_write(_WRITES[op], *rest))
    if op in ACCESSES:
        lower = target.lower_load if signature(op)[1] else target.lower_store
        return tuple(lower(name, *rest))
    if isinstance(rest[0], int):
        second, *operands, free, sink = rest
        # The first instruction's second operand comes last, but for a mask.
        last = operands[1] if name_of(second).endswith(".const") else operands[2]
        rule = target.fusion(name, name_of(second), last.kind == CONSTANT)
        return tuple(target.lower(rule, tuple(operands), free, sink))
    *operands, free, sink = rest
    rule = target.rule(name)
    if len(operands) == 2 and any(operands[1] is stand_in for stand_in in target.STAND_INS):
        return tuple(target.lower_immediate(rule, *operands, free, sink))
    return tuple(target.lower(rule, tuple(operands), free, sink))


# -- which cases are usual ---------------------------------------------------------------------------------------------


def collect(name: str, variant: int, programs: Iterable[bytes]) -> Counter[Case]:
    """How many programs have each case."""
    from vibewasm import Config, Engine, Module

    found: Counter[Case] = Counter()
    for data in programs:
        target = configure(name, variant)
        Module(Engine(Config(compilation="eager", target=name)), data)
        found.update((number, key) for number, table in enumerate(usual.TABLES) for key in getattr(target, table))
    return found


def split(counts: Counter[Case]) -> list[list[Case]]:
    """The usual cases, by tier."""
    tiers: list[list[Case]] = [[] for _ in LEAST]
    for case, count in counts.items():
        for tier, least in zip(tiers, LEAST, strict=True):
            if count >= least:
                tier.append(case)
                break
    return tiers


def carried(name: str, variant: int) -> list[list[Case]]:
    """The cases that the package has, by tier."""
    target = configure(name, variant)
    tiers = []
    for tier in range(len(TIERS)):
        data = usual.read(name, tier)
        tiers.append(
            [
                (table, key)
                for its, start, end in usual.parts(data)
                if its in (usual.EVERY, variant)
                for table, rows in usual.read_part(target, data[start:end])
                for key, _ in rows
            ]
        )
    return tiers


def make(name: str, cases: dict[int, list[list[Case]]]) -> list[bytes]:
    """The tiers of a processor, from the cases of each variant: what all variants have in common once."""
    made: list[dict[int, dict[Case, tuple[Any, ...]]]] = [{} for _ in TIERS]
    for variant, tiers in cases.items():
        target = configure(name, variant)
        for tier, wanted in zip(made, tiers, strict=True):
            tier[variant] = {case: choose(target, *case) for case in wanted}
    files = []
    for tier in made:
        first, *others = tier.values()
        common = {case: value for case, value in first.items() if all(o.get(case) == value for o in others)}
        parts = {usual.EVERY: common}
        for variant, values in tier.items():
            own = {case: value for case, value in values.items() if case not in common}
            if own:
                parts[variant] = own
        contents = {
            variant: write_part(target, [(*case, value) for case, value in values.items()])
            for variant, values in parts.items()
        }
        head = pack("<I", len(contents))
        end = 4 + 8 * len(contents)
        for variant, content in contents.items():
            end += len(content)
            head += pack("<II", variant, end)
        files.append(head + b"".join(contents.values()))
    return files


# -- the format --------------------------------------------------------------------------------------------------------


def describe(target: Any, atom: Any) -> tuple[Any, ...]:
    """An atom as something that can be sorted, and that tells from each other what are different atoms."""
    for place, fixed in enumerate(usual.fixed_atoms(target)):
        if atom is fixed or (fixed == () and atom == ()):
            return 0, place
    if isinstance(atom, int):
        return 1, atom
    if isinstance(atom, Operand):
        reg = atom.reg
        if atom.kind == FLAGS and atom.bit:
            reg = atom.bit.bit_length() - 1
            assert reg < FIRST_FLOAT_BIT
        return 2, atom.kind, atom.type, usual.NO_REGISTER if reg < 0 else reg, atom.offset, atom.value
    if isinstance(atom, bytes):
        return 3, atom
    return 4, len(atom), tuple(describe(target, item) for item in atom)


def write_part(target: Any, rows: list[Row]) -> bytes:
    """What :func:`vibewasm.backends.usual.read_part` reads."""
    described = [
        (table, len(key), len(value), tuple(describe(target, atom) for atom in (*key, *value)))
        for table, key, value in rows
    ]
    described.sort()
    atoms = {atom for *_, row in described for atom in row}
    atoms |= {item for atom in atoms if atom[0] == 4 for item in atom[2]}
    fixed = [(0, place) for place in range(len(usual.fixed_atoms(target)))]
    integers, entries, strings, tuples = (sorted(atom for atom in atoms if atom[0] == kind) for kind in range(1, 5))
    numbers = {atom: number for number, atom in enumerate([*fixed, *integers, *entries, *strings, *tuples])}
    kinds_of_tuples = Counter(atom[1] for atom in tuples)
    kinds_of_rows = Counter(row[:3] for row in described)
    between, text = _join([atom[1] for atom in strings])
    kinds = len(kinds_of_tuples), len(kinds_of_rows)
    content = pack("<6I", len(integers), len(entries), len(text), *kinds, int.from_bytes(between, "little"))
    for length, count in kinds_of_tuples.items():
        content += pack("<4I", length, count, 0, 0)
    for kind, count in kinds_of_rows.items():
        content += pack("<4I", *kind, count)
    content += pack(f"<{len(integers)}Q", *(atom[1] for atom in integers))
    for code, column in zip("BBBiQ", range(1, 6), strict=True):
        content += pack(f"<{len(entries)}{code}", *(atom[column] for atom in entries))
    content += text
    indices = [numbers[item] for atom in tuples for item in atom[2]]
    for kind in kinds_of_rows:
        chosen = [row[3] for row in described if row[:3] == kind]
        indices += [numbers[atom] for row in chosen for atom in row[: kind[1]]]
        indices += [numbers[atom] for row in chosen for atom in row[kind[1] :]]
    return content + pack(f"<{len(indices)}H", *indices)


def _join(strings: list[bytes]) -> tuple[bytes, bytes]:
    """Two bytes that are nowhere in the strings, and these with them in between."""
    for number in range(1 << 16):
        between = number.to_bytes(2, "little")
        text = between.join(strings)
        if text.split(between) == strings:
            return between, text
    raise ValueError("no two bytes are nowhere in the code")


# -- the command -------------------------------------------------------------------------------------------------------


def path_of(name: str, tier: int) -> Path:
    """The file of a tier."""
    return ROOT / "backends" / name / f"usual_choices.{tier}"


def _programs(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        for file in sorted(path.rglob("*.wasm")) if path.is_dir() else [path]:
            yield file.read_bytes()


def main() -> int:
    """Do what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if something would be changed")
    parser.add_argument("--programs", type=Path, nargs="+", metavar="FILE", help="find out what is usual")
    options = parser.parse_args()
    programs = list(_programs(options.programs or []))
    differing = 0
    for name in TARGETS:
        cases = {
            variant: split(collect(name, variant, programs)) if programs else carried(name, variant)
            for variant in VARIANTS[name]
        }
        for tier, content in enumerate(make(name, cases)):
            file = path_of(name, tier)
            same = file.exists() and file.read_bytes() == content
            differing += not same
            counts = ", ".join(f"{len(tiers[tier])} of variant {variant}" for variant, tiers in cases.items())
            print(f"{file.relative_to(ROOT)}: {len(content)} bytes, {counts}, {'as it was' if same else 'changed'}")
            if not options.check:
                file.write_bytes(content)
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
