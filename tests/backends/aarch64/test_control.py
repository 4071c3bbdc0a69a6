"""Jumps: what each kind reaches, and what takes its place where it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from vibewasm.backends import OutOfReach
from vibewasm.backends.aarch64 import asm, control
from vibewasm.backends.aarch64.control import bit_clear, invert, zero

capstone = pytest.importorskip("capstone", reason="capstone reads machine code")
DECODER = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)

#: Each kind of jump, and how many bytes it reaches back; forward it is four less.
KINDS = {
    "b": (asm.b(0), 1 << 27),
    "bl": (asm.bl(0), 1 << 27),
    "b.lo": (asm.b_cond(asm.CC_LO, 0), 1 << 20),
    "cbz": (asm.cbz(1, 7, 0), 1 << 20),
    "cbnz": (asm.cbnz(0, 30, 0), 1 << 20),
    "tbz": (asm.tbz(3, 5, 0), 1 << 15),
    "tbnz": (asm.tbnz(3, 63, 0), 1 << 15),
}


def lines(code: bytes, start: int = 0) -> list[str]:
    """The instructions of a piece of code."""
    return [f"{mnemonic} {operands}".strip() for _, _, mnemonic, operands in DECODER.disasm_lite(code, start)]


def target_of(code: bytes, start: int) -> int:
    """Where the jump at ``start`` leads."""
    return int(lines(code, start)[0].rpartition("#")[2], 0)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_jump_leads_to_where_it_is_patched_to(kind: str, data: st.DataObject) -> None:
    instruction, back = KINDS[kind]
    distance = 4 * data.draw(
        st.integers(-back // 4, back // 4 - 1) | st.sampled_from([-back // 4, back // 4 - 1, 0, 1])
    )
    code = bytearray(asm.nop() + instruction)
    control.patch(code, 4, distance - 4)
    start = back + 4
    assert lines(bytes(code[4:]), start)[0].startswith(kind)
    assert target_of(bytes(code[4:]), start) == start + distance


@pytest.mark.parametrize("kind", KINDS)
def test_a_jump_that_does_not_reach_its_target_says_so(kind: str) -> None:
    instruction, back = KINDS[kind]
    for distance in (-back - 4, back, 1 << 40):
        with pytest.raises(OutOfReach):
            control.patch(bytearray(instruction), 0, distance - 4)


@pytest.mark.parametrize("reach", [control.SHORT, control.MIDDLE, control.LONG])
@pytest.mark.parametrize(
    ("condition", "taken", "not_taken"),
    [
        (asm.CC_EQ, "b.eq", "b.ne"),
        (asm.CC_LT, "b.lt", "b.ge"),
        (zero(0, 5), "cbz w5,", "cbnz w5,"),
        (zero(1, 20), "cbz x20,", "cbnz x20,"),
        (bit_clear(5, 3), "tbz w5, #3,", "tbnz w5, #3,"),
        (bit_clear(5, 40), "tbz x5, #0x28,", "tbnz x5, #0x28,"),
    ],
)
def test_a_conditional_jump_of_each_reach(reach: int, condition: int, taken: str, not_taken: str) -> None:
    for holds, jumps, stays in ((condition, taken, not_taken), (invert(condition), not_taken, taken)):
        (piece,) = control.jump_if(holds, reach)
        found = lines(piece)
        if reach == control.LONG:
            assert found[0].startswith(stays)
            assert target_of(piece[:4], 0) == 8
            assert found[1].startswith("b ")
        elif reach == control.MIDDLE and jumps[0] == "t":
            assert found[0].startswith("tst")
            assert found[1].startswith("b.eq" if jumps.startswith("tbz") else "b.ne")
        else:
            assert len(found) == 1
            assert found[0].startswith(jumps)


@pytest.mark.parametrize("distance", [0, 4, 1 << 15, (1 << 15) + 4, 1 << 20, (1 << 20) + 4, (1 << 27) - 4])
@pytest.mark.parametrize("condition", [asm.CC_HI, zero(1, 3), bit_clear(9, 0)])
def test_a_conditional_jump_back_leads_to_its_target(condition: int, distance: int) -> None:
    code = control.jump_back_if(condition, distance)
    start = 1 << 28
    if len(code) == 8:
        assert target_of(code[:4], start) == start + 8
        assert target_of(code[4:], start + 4) == start - distance
    else:
        assert target_of(code, start) == start - distance


def test_a_jump_back_has_an_end_as_well() -> None:
    with pytest.raises(OutOfReach):
        control.jump_back((1 << 27) + 4)
    with pytest.raises(OutOfReach):
        control.jump_back_if(asm.CC_EQ, 1 << 27)


def test_the_distance_of_a_far_jump_table_is_a_number() -> None:
    bound, address, _ = control.jump_table(3, 5000, 16, control.LONG)
    code = bytearray(bound + address)
    control.patch(code, len(code) - 4, (3 << 20) - len(code))
    assert int.from_bytes(code[-4:], "little") == (3 << 20) - (len(code) - 4)


def test_a_function_whose_jumps_reach_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of 128 MiB is, which takes long to make: here jumps of 1 MiB are the longest."""
    monkeypatch.setattr(control, "LONGEST_REACH", control.MIDDLE)
    monkeypatch.setattr(control, "reach", lambda size: control.SHORT)
    m = ModuleBuilder()
    # To a float and back, again and again.
    m.func(["i32"], [], b"\x02\x40\x20\x00\x0d\x00\x20\x00" + b"\xb7\xaa" * 60_000 + b"\x1a\x0b")
    module = vw.Module(vw.Engine(vw.Config(target="aarch64")), m.build())
    with pytest.raises(vw.ValidationError, match="function too large"):
        module.compiler.compile(0)
