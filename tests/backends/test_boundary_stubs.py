"""Stubs of array calls and of C functions as bytes, for both processors; tests/api and tests/runtime run them."""

from __future__ import annotations

import capstone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibewasm.backends import TARGETS, backend
from vibewasm.backends.convention import C_INTEGERS

NUMBERS = st.text("ilfd", max_size=40)
C_LETTERS = "".join(C_INTEGERS) + "lfd"
C_SIGNATURES = st.builds(
    lambda memory, parameters, result: f"{memory}{parameters}:{result}",
    st.sampled_from(["", "m"]),
    st.text(C_LETTERS, max_size=40),
    st.sampled_from(["", *C_LETTERS]),
)
DECODERS = {
    "x86_64": capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "aarch64": capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
}
#: Jumps and calls to a place that the instruction names.
JUMPS = {"x86_64": ("j", "call"), "aarch64": ("b", "cb", "tb")}


def decode(target: str, code: bytes) -> list[tuple[int, str, str]]:
    """All instructions; fails if a byte belongs to none, or if a jump leads to no instruction."""
    found = [*DECODERS[target].disasm(code, 0)]
    assert sum(instruction.size for instruction in found) == len(code)
    starts = {instruction.address for instruction in found}
    for instruction in found:
        place = instruction.op_str.rpartition("#" if target == "aarch64" else " ")[2]
        if instruction.mnemonic.startswith(JUMPS[target]) and place.startswith("0x") and place[-1] != "]":
            assert int(place, 16) in starts
    return [(instruction.address, instruction.mnemonic, instruction.op_str) for instruction in found]


@pytest.mark.parametrize("target", TARGETS)
@given(NUMBERS, NUMBERS)
@pytest.mark.ci
def test_loops_decode_and_depend_on_the_signature_alone(target: str, params: str, results: str) -> None:
    make = backend(target).stubs.map_arrays
    code = make(f"{params}:{results}")
    decode(target, code)
    assert make(f"{params}:{results}") == code


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_has_no_limit_of_parameters_and_results(target: str) -> None:
    decode(target, backend(target).stubs.map_arrays("ilfd" * 250 + ":" + "dfli" * 250))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signature", ["v:", "r:", "i:r", "i:iv"])
def test_there_are_no_arrays_of_vectors_and_references(target: str, signature: str) -> None:
    with pytest.raises(ValueError, match=r"no arrays of '[vr]'"):
        backend(target).stubs.map_arrays(signature)


@pytest.mark.parametrize(("target", "most"), [("x86_64", 20), ("aarch64", 23)])
def test_an_element_of_add_takes_few_instructions(target: str, most: int) -> None:
    """Beside those of the function itself; speed is for ``python -m benchmarks arrays``."""
    code = decode(target, backend(target).stubs.map_arrays("ii:i"))
    last = {"x86_64": "je", "aarch64": "cbz"}[target]
    # The loop goes back to its beginning with the only conditional jump backwards.
    ends = [
        (address, int(place.rpartition("#" if target == "aarch64" else " ")[2], 16))
        for address, mnemonic, place in code
        if mnemonic == last
    ]
    ((end, begin),) = [(address, place) for address, place in ends if place < address]
    assert sum(begin <= address <= end for address, _, _ in code) <= most


@pytest.mark.parametrize("target", TARGETS)
@given(C_SIGNATURES, st.sampled_from([0, 1, 65536, (1 << 30) - 1]))
def test_calls_of_c_functions_decode_and_depend_on_their_arguments_alone(
    target: str, signature: str, stack: int
) -> None:
    make = backend(target).stubs.native
    code = make(signature, stack)
    decode(target, code)
    assert make(signature, stack) == code


@pytest.mark.parametrize(
    ("target", "letter", "instruction"),
    [
        ("x86_64", "b", ("movsx", "edi, dil")),
        ("x86_64", "B", ("movzx", "edi, dil")),
        ("x86_64", "h", ("movsx", "edi, di")),
        ("x86_64", "H", ("and", "edi, 0xffff")),
        ("x86_64", "?", ("setne", "dil")),
        ("x86_64", "i", ("mov", "edi, edi")),
        ("aarch64", "b", ("sxtb", "w0, w0")),
        ("aarch64", "B", ("uxtb", "w0, w0")),
        ("aarch64", "h", ("sxth", "w0, w0")),
        ("aarch64", "H", ("uxth", "w0, w0")),
        ("aarch64", "?", ("cset", "w0, ne")),
        ("aarch64", "i", ("mov", "w0, w0")),
    ],
)
def test_narrow_integers_are_extended(target: str, letter: str, instruction: tuple[str, str]) -> None:
    code = decode(target, backend(target).stubs.native(f"{letter}:", 0))
    assert instruction in [(mnemonic, text) for _, mnemonic, text in code]


@pytest.mark.parametrize("target", TARGETS)
def test_parameters_that_are_where_c_has_them_are_not_moved(target: str) -> None:
    """Floats are in the same registers by both conventions, and on AArch64 integers too."""
    stubs = backend(target).stubs
    none = len(stubs.native(":", 0))
    assert len(stubs.native("dddddddd:d", 0)) == none
    if target == "aarch64":
        assert len(stubs.native("llllllll:l", 0)) == none
