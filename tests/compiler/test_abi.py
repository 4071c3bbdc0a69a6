"""What machine code relies on is said once, in ``vibewasm/abi.py``; everything else that says it says the same."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.compiler.test_opcodes import compile_
from vibewasm import abi
from vibewasm.binary.decoder import decode
from vibewasm.instances.builtins import SIGNATURES
from vibewasm.instances.context import ContextLayout
from vibewasm.opcodes import CODE
from vibewasm.runtime import context
from vibewasm.traps import TRAPS

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "abi.md").read_text(encoding="utf-8")
#: Rows of its tables: name, number, and what is said of it.
ROWS = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \| (.*) \|$", DOCUMENT, re.MULTILINE)
BLOCKS = (
    "RECORD_",
    "READY_",
    "CTX_",
    "MEMORY_",
    "TABLE_",
    "ARRAYS_",
    "STORE_",
    "SUPERTYPES_",
    "TRAP_",
    "LANDING_",
    "SCOPE_",
    "EXCEPTION_",
)
NAMES = {name: value for name, value in vars(abi).items() if name.startswith(BLOCKS)}
#: Sizes of what a block has inside: they stand in the text of its row.
COUNTS = {"STORE_BUILTIN_COUNT", "STORE_CELLS_SIZE", "ARRAYS_STEP", "LANDING_FACTOR", "LANDING_SHIFT", "EXCEPTION_ROOM"}


def test_the_document_has_every_number_of_the_module_and_the_same() -> None:
    said = {name: int(number) for name, number, _ in ROWS}
    assert len(said) == len(ROWS), "a name stands twice in docs/abi.md"
    assert said == {name: value for name, value in NAMES.items() if name not in COUNTS}


def test_numbers_in_the_documents_text_are_those_of_the_module() -> None:
    said = re.findall(r"`([A-Z_]+)` \((\d+)\)", DOCUMENT)
    assert len(said) >= 6
    assert [(name, getattr(abi, name)) for name, _ in said] == [(name, int(number)) for name, number in said]


def test_the_document_says_what_users_are_told_of_each_trap() -> None:
    said = {int(number): what for name, number, what in ROWS if name.startswith("TRAP_")}
    assert said == {number: f"`{code}`: {message}" for number, (code, message) in TRAPS.items()}


def test_every_trap_number_has_a_name_a_code_and_a_message() -> None:
    numbers = [value for name, value in vars(abi).items() if re.fullmatch(r"TRAP_[A-Z_]+", name)]
    assert sorted(numbers) == sorted(TRAPS), "give the number a name in vibewasm/abi.py and a row in vibewasm/traps.py"
    assert len(set(numbers)) == len(numbers)
    # One byte of an instruction has it, beside what callbacks leave that fail or throw.
    assert all(0 < number < abi.HOST_EXCEPTION < abi.HOST_FAILURE for number in numbers)


def test_cells_of_a_block_are_apart() -> None:
    for prefix, size in (("CTX_", 8), ("STORE_", 8)):
        offsets = sorted(
            value
            for name, value in NAMES.items()
            if name.startswith(prefix) and name not in COUNTS and name not in ("STORE_SIZE",)
        )
        assert all(b - a >= size for a, b in itertools.pairwise(offsets))
    assert abi.STORE_BUILTINS + 8 * abi.STORE_BUILTIN_COUNT <= abi.STORE_REGISTERS
    assert abi.STORE_REGISTERS + 8 * abi.MAX_REGISTERS <= abi.STORE_SIGNAL
    assert abi.STORE_FRAMES + 16 * abi.MAX_FRAMES <= abi.STORE_REAL_LIMIT
    assert abi.STORE_HOST_CONTEXT + abi.CTX_HEADER <= abi.STORE_RESULTS
    assert abi.STORE_RESULTS + 16 * abi.MAX_RESULTS <= abi.STORE_CELLS


def test_the_layout_begins_after_the_header() -> None:
    assert ContextLayout(decode(b"\0asm\x01\0\0\0")).memories == abi.CTX_HEADER


def test_cells_of_the_store_block_have_the_names_of_their_offsets() -> None:
    cells = {name: value for name, value in vars(context).items() if name.startswith("CELL_")}
    assert len(cells) > 20
    assert {name: 8 * value for name, value in cells.items()} == {
        name: getattr(abi, name.replace("CELL_", "STORE_", 1)) for name in cells
    }


def test_the_store_has_the_builtins_that_code_calls_by_number() -> None:
    assert SIGNATURES.keys() == set(abi.BUILTINS)
    assert len(abi.BUILTINS) <= abi.STORE_BUILTIN_COUNT
    assert set(abi.BUILTINS) <= CODE.keys()


@pytest.mark.parametrize("name", abi.BUILTINS)
def test_each_builtin_is_called_at_its_place_in_the_store_block(name: str) -> None:
    from tests.compiler import example
    from vibewasm.opcodes import BY_CODE

    row = BY_CODE[CODE[name]]
    used = example.pushed(example.operands_of(row)) + example.encoded(row) + bytes((CODE["unreachable"],))
    code = compile_(example.module(used))[1]
    place = abi.STORE_BUILTINS + 8 * abi.BUILTINS.index(name)
    assert place.to_bytes(4, "little") in code
