"""Encoders of packed vector instructions, against keystone and capstone, in all their forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibewasm.backends.x86_64 import asm_vector as v
from vibewasm.backends.x86_64 import regs

from .judges import Immediate, Instruction, Memory, Operand, Register, assemble, read_back

#: Every operation. Which mnemonic an operation has says its name, but for those below.
OPERATIONS = {name: op for name, op in vars(v).items() if name.isupper() and isinstance(op, int) and name != "W"}
del OPERATIONS["EXTENSION"]
#: Where an operation's name says more than the mnemonic.
MNEMONICS = {
    "MOVD_TO": "movd",
    "MOVD_FROM": "movd",
    "MOVQ_TO": "movq",
    "MOVQ_FROM": "movq",
    "PEXTRW_TO": "pextrw",
}
#: Shapes of operands that are not xmm, xmm/m128, as ``first second``: x a vector register, r32 and r64 a general one,
#: m and bits memory alone, x/m and bits either, and r32/m and bits.
SHAPES = {
    **dict.fromkeys(["MOVSS", "INSERTPS", "VBROADCASTSS", "VPBROADCASTD", "PMOVZXBD"], "x x/m32"),
    **dict.fromkeys(["MOVSD", "MOVDDUP", "CVTDQ2PD", "CVTPS2PD", "VPBROADCASTQ", "MOVQ"], "x x/m64"),
    **dict.fromkeys(["PMOVSXBW", "PMOVSXWD", "PMOVSXDQ", "PMOVZXBW", "PMOVZXWD", "PMOVZXDQ"], "x x/m64"),
    "PMOVZXWQ": "x x/m32",
    "PMOVZXBQ": "x x/m16",
    "VPBROADCASTB": "x x/m8",
    "VPBROADCASTW": "x x/m16",
    "MOVSS_STORE": "x m32",
    **dict.fromkeys(["MOVLPS_STORE", "MOVHPS_STORE"], "x m64"),
    "MOVUPS_STORE": "x m128",
    **dict.fromkeys(["MOVLPS", "MOVHPS"], "x m64"),
    **dict.fromkeys(["MOVLHPS", "MOVHLPS"], "x x"),
    **dict.fromkeys(["MOVD_TO", "MOVD_FROM", "PINSRD", "PEXTRD"], "x r32/m32"),
    **dict.fromkeys(["MOVQ_TO", "MOVQ_FROM"], "x r64"),
    **dict.fromkeys(["PINSRQ", "PEXTRQ"], "x r64/m64"),
    **dict.fromkeys(["PINSRB", "PEXTRB"], "x r32/m8"),
    **dict.fromkeys(["PINSRW", "PEXTRW"], "x r32/m16"),
    **dict.fromkeys(["PMOVMSKB", "MOVMSKPS", "MOVMSKPD", "PEXTRW_TO"], "r32 x"),
}
#: Operations whose r/m operand comes first in text.
STORES = {
    *[name for name in OPERATIONS if name.endswith("_STORE")],
    *("MOVD_FROM", "MOVQ_FROM", "PEXTRB", "PEXTRW", "PEXTRD", "PEXTRQ"),
}
WITH_IMMEDIATE = {
    *("PINSRB", "PINSRW", "PINSRD", "PINSRQ", "INSERTPS", "PEXTRB", "PEXTRW", "PEXTRW_TO", "PEXTRD", "PEXTRQ"),
    *("PALIGNR", "PSHUFD", "PSHUFLW", "PSHUFHW", "SHUFPS", "PBLENDW", "BLENDPS"),
    *("CMPPS", "CMPPD", "ROUNDPS", "ROUNDPD", "VPBLENDD"),
}
#: Those that have one source in the VEX form too.
ONE_SOURCE = {
    *("MOVUPS", "MOVD_TO", "MOVQ_TO", "MOVQ", "MOVDDUP", "MOVSHDUP"),
    *("PMOVMSKB", "MOVMSKPS", "MOVMSKPD", "PEXTRW_TO", "PTEST", "PABSB", "PABSW", "PABSD", "PSHUFD", "PSHUFLW"),
    *("PSHUFHW", "SQRTPS", "SQRTPD", "ROUNDPS", "ROUNDPD", "CVTDQ2PS", "CVTTPS2DQ", "CVTDQ2PD", "CVTTPD2DQ"),
    *("CVTPD2PS", "CVTPS2PD"),
    *[name for name in OPERATIONS if name.startswith(("PMOVSX", "PMOVZX", "VPBROADCAST", "VBROADCAST"))],
    *STORES,
}
BY_REGISTER = {"VPBLENDVB", "VBLENDVPS", "VBLENDVPD"}
VEX_ONLY = {name for name in OPERATIONS if name.startswith("V")}
SHIFTS = {name for name, op in OPERATIONS.items() if op >> v.EXTENSION}
PLAIN = sorted(OPERATIONS.keys() - SHIFTS)

_BOUNDARIES = (-0x8000_0000, -0x81, -0x80, -1, 0, 1, 0x7F, 0x80, 0x7FFF_FFFF)
REGISTER = st.integers(0, 15)
DISPLACEMENT = st.sampled_from(_BOUNDARIES) | st.integers(-0x8000_0000, 0x7FFF_FFFF)


def mnemonic(name: str) -> str:
    found = MNEMONICS.get(name) or name.lower().removesuffix("_store").removesuffix("_i")
    return found.removeprefix("v") if name in VEX_ONLY else found


def general(bits: int, reg: int) -> Register:
    return Register((regs.NAMES_64 if bits == 64 else regs.NAMES_32)[reg])


def xmm(reg: int) -> Register:
    return Register(f"xmm{reg}")


def shape(name: str) -> tuple[str, str, int]:
    """What the first register is, what a second one is ("" for none), and the bits of memory (0 for none)."""
    first, _, second = SHAPES.get(name, "x x/m128").partition(" ")
    registers, _, memory = second.rpartition("/m") if "m" in second else (second, "", "0")
    if second.startswith("m"):
        registers, memory = "", second[1:]
    return first, registers, int(memory)


def named(kind: str, reg: int) -> Register:
    return xmm(reg) if kind == "x" else general(int(kind[1:]), reg)


def draw_memory(data: st.DataObject, bits: int) -> tuple[Memory, str, tuple[int, ...]]:
    """A memory operand, the suffix of the encoder for it, and that one's arguments."""
    suffix = data.draw(st.sampled_from(["rm", "rx", "rip"]))
    disp = data.draw(DISPLACEMENT)
    if suffix == "rip":
        return Memory("rip", "", 1, disp, bits), suffix, (disp,)
    base = data.draw(REGISTER)
    if suffix == "rm":
        return Memory(regs.NAMES_64[base], "", 1, disp, bits), suffix, (base, disp)
    index, scale = data.draw(REGISTER.filter(lambda reg: reg != regs.RSP)), data.draw(st.integers(0, 3))
    found = Memory(regs.NAMES_64[base], regs.NAMES_64[index], 1 << scale, disp, bits)
    return found, suffix, (base, index, scale, disp)


#: What keystone 0.9.2 cannot assemble: conversions from memory in the VEX form.
UNKNOWN = ("vcvtpd2ps", "vcvttpd2dq")


def judged(code: bytes, wanted: Instruction) -> None:
    """Capstone reads the instruction. Keystone has another encoding of some, which is a byte shorter at most: that of a
    move with the registers exchanged, and that of ``pextrw`` that cannot store.
    """
    assert read_back(code, wanted) == wanted
    if wanted.mnemonic not in UNKNOWN:
        assert len(code) <= len(assemble(str(wanted))) + 1, str(wanted)


#: Capstone has names of their own for comparisons with a predicate.
CASES = [
    (name, form)
    for name in PLAIN
    if name not in ("CMPPS", "CMPPD")
    for form in ("sse", "vex")
    if form == "vex" or name not in VEX_ONLY
]


@pytest.mark.parametrize(("name", "form"), CASES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_operation_is_its_instruction_in_both_forms(name: str, form: str, data: st.DataObject) -> None:
    vex = form == "vex"
    op = OPERATIONS[name]
    first_kind, second_kind, bits = shape(name)
    dst = data.draw(REGISTER)
    immediate = (data.draw(st.integers(0, 255)),) if name in WITH_IMMEDIATE else ()
    chooser: Operand | None = None
    if name in BY_REGISTER:
        reg = data.draw(REGISTER)
        chooser, immediate = xmm(reg), (reg << 4,)
    second: Operand
    if bits and (not second_kind or data.draw(st.booleans())):
        second, suffix, arguments = draw_memory(data, bits)
        if suffix != "rm" and immediate:
            return
    else:
        src = data.draw(REGISTER)
        second, suffix, arguments = named(second_kind, src), "rr", (src,)
    first = named(first_kind, dst)
    # A move between registers merges, and has two sources in the VEX form.
    merges = name in ("MOVSS", "MOVSD") and suffix == "rr"
    sources = [second]
    a = 0
    if vex and name not in ONE_SOURCE and (merges or name not in ("MOVSS", "MOVSD")):
        a = data.draw(REGISTER)
        sources = [xmm(a), second]
    operands: list[Operand] = [second, first] if name in STORES else [first, *sources]
    if chooser is not None:
        operands.append(chooser)
    elif immediate:
        operands.append(Immediate(immediate[0], 8))
    encoder: Callable[..., bytes] = getattr(v, ("vex_" if vex else "packed_") + suffix + ("i" if immediate else ""))
    code = encoder(op, dst, *((a,) if vex else ()), *arguments, *immediate)
    judged(code, Instruction(("v" if vex else "") + mnemonic(name), tuple(operands)))


@pytest.mark.parametrize("name", sorted(SHIFTS))
@given(dst=REGISTER, src=REGISTER, count=st.integers(0, 255))
def test_a_shift_by_a_constant_is_its_instruction_in_both_forms(name: str, dst: int, src: int, count: int) -> None:
    op = OPERATIONS[name]
    wanted = Instruction(mnemonic(name), (xmm(dst), Immediate(count, 8)))
    assert v.packed_shift(op, dst, count).hex(" ") == assemble(str(wanted)).hex(" ")
    judged(v.packed_shift(op, dst, count), wanted)
    wanted = Instruction("v" + mnemonic(name), (xmm(dst), xmm(src), Immediate(count, 8)))
    judged(v.vex_shift(op, dst, src, count), wanted)


@pytest.mark.parametrize("name", ["CMPPS", "CMPPD"])
@given(dst=REGISTER, a=REGISTER, src=REGISTER, predicate=st.integers(0, 7))
def test_a_comparison_is_its_instruction_in_both_forms(name: str, dst: int, a: int, src: int, predicate: int) -> None:
    names = ("eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord")
    op, kind = OPERATIONS[name], name[3:].lower()
    judged(v.packed_rri(op, dst, src, predicate), Instruction(f"cmp{names[predicate]}{kind}", (xmm(dst), xmm(src))))
    wanted = Instruction(f"vcmp{names[predicate]}{kind}", (xmm(dst), xmm(a), xmm(src)))
    judged(v.vex_rri(op, dst, a, src, predicate), wanted)


@pytest.mark.parametrize("op", [v.PADDB, v.PSHUFB, v.PINSRQ])
@given(a=REGISTER, b=REGISTER, c=REGISTER)
def test_a_prefix_of_two_bytes_is_used_where_it_can_be(op: int, a: int, b: int, c: int) -> None:
    short = op == v.PADDB and c < 8
    assert v.vex_rr(op, a, b, c)[0] == (0xC5 if short else 0xC4)
    assert v.vex_rip(op, a, b, 0)[0] == (0xC5 if op == v.PADDB else 0xC4)


@pytest.mark.parametrize("form", ["packed_", "vex_"])
@pytest.mark.parametrize("suffix", ["rr", "rm", "rx", "rip", "rri", "rmi", "shift"])
def test_an_operand_out_of_range_is_a_value_error(form: str, suffix: str) -> None:
    encoder: Callable[..., bytes] = getattr(v, form + suffix)
    good = {
        "rr": (1,),
        "rm": (1, 1),
        "rx": (1, 1, 1, 1),
        "rip": (1,),
        "rri": (1, 1),
        "rmi": (1, 1, 1),
        "shift": (1,),
    }[suffix]
    op = v.PSLLW_I if suffix == "shift" else v.PADDB
    arguments = [1, *([1] if form == "vex_" else []), *good]
    encoder(op, *arguments)
    for at in range(len(arguments)):
        for bad in (-(1 << 40), 1 << 40):
            with pytest.raises(ValueError, match=r"no such register|does not fit"):
                encoder(op, *arguments[:at], bad, *arguments[at + 1 :])
