"""Stubs as bytes: they decode as a whole, and tables have the shape that callers count on; tests/runtime runs them."""

from __future__ import annotations

import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from hypothesis import given
from hypothesis import strategies as st

from vibewasm import abi
from vibewasm.backends.x86_64 import asm, processor, stubs
from vibewasm.backends.x86_64.control import Assembler
from vibewasm.runtime.os_linux import SignalContext

LETTERS = st.text("ilfdvr", max_size=30)


def decode(code: bytes) -> list[tuple[int, str, str]]:
    """All instructions; fails if a byte belongs to none."""
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    found = [(i.address, i.mnemonic, i.op_str) for i in decoder.disasm(code, 0)]
    assert sum(i.size for i in decoder.disasm(code, 0)) == len(code)
    return found


def check_jumps(code: bytes) -> None:
    """Jumps and calls inside the code lead to instructions of it."""
    instructions = decode(code)
    starts = {address for address, _, _ in instructions}
    for _, mnemonic, operand in instructions:
        if (mnemonic.startswith("j") or mnemonic == "call") and operand.startswith("0x"):
            assert int(operand, 16) in starts


@given(LETTERS, LETTERS)
def test_adapters_decode_and_depend_on_the_signature_alone(params: str, results: str) -> None:
    for make in (stubs.enter, stubs.leave):
        code = make(f"{params}:{results}")
        check_jumps(code)
        assert make(f"{params}:{results}") == code


def test_references_travel_like_64_bit_integers() -> None:
    assert stubs.enter("rlr:r") == stubs.enter("lll:l")
    assert stubs.leave("rlr:r") == stubs.leave("lll:l")


@pytest.mark.parametrize(
    "make", [stubs.unwind, stubs.lazy_common, stubs.poll, stubs.memory_copy, stubs.memory_fill, stubs.copy_data]
)
def test_fixed_stubs_decode(make: object) -> None:
    assert callable(make)
    check_jumps(make())


def test_the_callee_frees_the_argument_area() -> None:
    for params, size in (("llll", 0), ("lllll", 16), ("llllll", 16), ("lllllll", 32), ("d" * 9, 16), ("v" * 10, 32)):
        returns = [operand for _, mnemonic, operand in decode(stubs.leave(f"{params}:")) if mnemonic == "ret"]
        assert returns == ([hex(size)] if size > 9 else [""])


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 32), (32, 1024), (1 << 20, 8192)])
def test_each_lazy_entry_calls_the_end_of_its_table(first: int, count: int) -> None:
    code = stubs.lazy_table(first, count)
    instructions = decode(code)
    end = count * processor.LAZY_ENTRY_SIZE
    assert instructions[:count] == [
        (k * processor.LAZY_ENTRY_SIZE, "call", hex(end) if end > 9 else str(end)) for k in range(count)
    ]
    assert code[end:].startswith(asm.pop_r(0))


def test_a_lazy_table_has_a_largest_size() -> None:
    for count in (0, 8193):
        with pytest.raises(ValueError, match="lazy entries"):
            stubs.lazy_table(0, count)


def test_the_number_of_a_lazy_entry_is_computed_right_for_every_entry() -> None:
    # As the end of a table does: multiply by a rounded 2**18 / 5, in 32 bits, and shift.
    for entry in range(8192):
        assert ((5 * (entry + 1) * 0xCCCD) & 0xFFFFFFFF) >> 18 == entry + 1


def test_the_fault_handler_begins_with_an_entry_per_level() -> None:
    code = stubs.fault_handler(SignalContext(*processor.SIGNAL_CONTEXTS["linux"]))
    end = abi.FAULT_LEVELS * abi.FAULT_ENTRY_SIZE
    check_jumps(code[end:])
    for level in range(abi.FAULT_LEVELS):
        entry = code[level * abi.FAULT_ENTRY_SIZE :][: abi.FAULT_ENTRY_SIZE]
        first, load, second, *rest = decode(entry[: abi.FAULT_ENTRY_PREVIOUS])
        assert first[1:] == ("lea", f"r11, [rip + {hex(abi.FAULT_ENTRY_PREVIOUS - 7)}]")
        assert load[1:] == ("mov", "r11, qword ptr [r11]")
        assert second[1:] == ("jmp", hex(end - level * abi.FAULT_ENTRY_SIZE))
        assert {mnemonic for _, mnemonic, _ in rest} == {"nop"}
        assert entry[abi.FAULT_ENTRY_PREVIOUS :] == bytes(8) + abi.FAULT_MARK


def test_labels_work_forwards_and_backwards() -> None:
    a = Assembler()
    a.bind("top")
    a.jmp("end")
    a.jcc(asm.CC_E, "top")
    a.call("end")
    a.bind("end")
    a.emit(asm.ret(), asm.nop(1))
    code = a.finish()
    assert [(mnemonic, operand) for _, mnemonic, operand in decode(code)] == [
        ("jmp", "0x10"),
        ("je", "0"),
        ("call", "0x10"),
        ("ret", ""),
        ("nop", ""),
    ]


def test_a_label_must_be_bound_once() -> None:
    a = Assembler()
    a.bind("here")
    with pytest.raises(ValueError, match="bound already"):
        a.bind("here")
    a.jmp("nowhere")
    with pytest.raises(KeyError, match="nowhere"):
        a.finish()
