"""Every encoder, against keystone (it assembles the same instruction) and capstone (it reads it back)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import capstone
import capstone.x86
import keystone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibewasm.backends.x86_64 import asm, regs

# What each encoder has to encode, in Intel's order: a mnemonic, then operands. In a mnemonic, {alu}, {shift}, {sse}, {cc}, {d}
# and {q} stand for what the arguments ``op``, ``cc``, ``d`` and ``w`` say. An operand is the name of an argument and its width in
# bits, where w and d are 32 or 64 as the argument of that name says: ``dst:w`` a general register, ``dst:x`` a vector register,
# ``#imm:w`` an immediate, ``#imm:count`` one below the width of the operation, ``rel+5`` a target counted from the end of an
# instruction of 5 bytes, and ``m:w`` memory at the encoder's base, index, scale and disp.
CASES: dict[str, str] = {
    "alu_rr": "{alu} dst:w, src:w",
    "alu_ri": "{alu} dst:w, #imm:w",
    "alu_rm": "{alu} dst:w, m:w",
    "alu_rx": "{alu} dst:w, m:w",
    "alu_mr": "{alu} m:w, src:w",
    "alu_mi": "{alu} m:w, #imm:w",
    "test_rr": "test a:w, b:w",
    "test_ri": "test a:w, #imm:w",
    "test_mi": "test m:w, #imm:w",
    "mov_rr": "mov dst:w, src:w",
    "mov_ri": "",  # see _expected_mov_ri
    "zero": "xor dst:32, dst:32",
    "mov_rm": "mov dst:w, m:w",
    "mov_rx": "mov dst:w, m:w",
    "mov_rip": "mov dst:w, m:w",
    "mov_mr": "mov m:w, src:w",
    "mov_xr": "mov m:w, src:w",
    "mov_mi": "mov m:w, #imm:w",
    "mov_xi": "mov m:w, #imm:w",
    "mov8_mr": "mov m:8, src:8",
    "mov8_xr": "mov m:8, src:8",
    "mov8_mi": "mov m:8, #imm:8",
    "mov8_xi": "mov m:8, #imm:8",
    "mov16_mr": "mov m:16, src:16",
    "mov16_xr": "mov m:16, src:16",
    "mov16_mi": "mov m:16, #imm:16",
    "mov16_xi": "mov m:16, #imm:16",
    "movzx8_rr": "movzx dst:32, src:8",
    "movzx8_rm": "movzx dst:32, m:8",
    "movzx8_rx": "movzx dst:32, m:8",
    "movzx16_rr": "movzx dst:32, src:16",
    "movzx16_rm": "movzx dst:32, m:16",
    "movzx16_rx": "movzx dst:32, m:16",
    "movsx8_rr": "movsx dst:w, src:8",
    "movsx8_rm": "movsx dst:w, m:8",
    "movsx8_rx": "movsx dst:w, m:8",
    "movsx16_rr": "movsx dst:w, src:16",
    "movsx16_rm": "movsx dst:w, m:16",
    "movsx16_rx": "movsx dst:w, m:16",
    "movsxd_rr": "movsxd dst:64, src:32",
    "movsxd_rm": "movsxd dst:64, m:32",
    "movsxd_rx": "movsxd dst:64, m:32",
    "lea_rm": "lea dst:w, m:0",
    "lea_rx": "lea dst:w, m:0",
    "lea_xs": "lea dst:w, m:0",
    "lea_rip": "lea dst:64, m:0",
    "xchg_rr": "xchg a:w, b:w",
    "bswap_r": "bswap dst:w",
    "imul_rr": "imul dst:w, src:w",
    "imul_rm": "imul dst:w, m:w",
    "imul_rri": "imul dst:w, src:w, #imm:w",
    "mul_r": "mul src:w",
    "imul_r": "imul src:w",
    "div_r": "div src:w",
    "idiv_r": "idiv src:w",
    "neg_r": "neg dst:w",
    "not_r": "not dst:w",
    "cdq": "cdq",
    "cqo": "cqo",
    "shift_rcl": "{shift} dst:w, cl",
    "shift_ri": "{shift} dst:w, #imm:count",
    "shlx": "shlx dst:w, src:w, count:w",
    "shrx": "shrx dst:w, src:w, count:w",
    "sarx": "sarx dst:w, src:w, count:w",
    "rorx": "rorx dst:w, src:w, #imm:count",
    "andn": "andn dst:w, src1:w, src2:w",
    "blsr": "blsr dst:w, src:w",
    "lzcnt": "lzcnt dst:w, src:w",
    "tzcnt": "tzcnt dst:w, src:w",
    "popcnt": "popcnt dst:w, src:w",
    "bsf": "bsf dst:w, src:w",
    "bsr": "bsr dst:w, src:w",
    "bt_ri": "bt src:w, #imm:count",
    "setcc": "set{cc} dst:8",
    "cmovcc_rr": "cmov{cc} dst:w, src:w",
    "cmovcc_rm": "cmov{cc} dst:w, m:w",
    "jcc_rel8": "j{cc} rel+2",
    "jcc_rel32": "j{cc} rel+6",
    "jmp_rel8": "jmp rel+2",
    "jmp_rel32": "jmp rel+5",
    "jmp_r": "jmp target:64",
    "jmp_m": "jmp m:64",
    "jmp_x": "jmp m:64",
    "call_rel32": "call rel+5",
    "call_r": "call target:64",
    "call_m": "call m:64",
    "ret": "ret",
    "ret_imm": "ret #count:16",
    "push_r": "push src:64",
    "push_i": "push #imm:64",
    "push_m": "push m:64",
    "pop_r": "pop dst:64",
    "leave_": "leave",
    "ud2": "ud2",
    "int3": "int3",
    "cld": "cld",
    "std": "std",
    "rep_movsb": "rep movsb",
    "rep_movsq": "rep movsq",
    "rep_stosb": "rep stosb",
    "rep_stosq": "rep stosq",
    "pause": "pause",
    "syscall": "syscall",
    "cpuid": "cpuid",
    "movs_rm": "movs{d} dst:x, m:d",
    "movs_rx": "movs{d} dst:x, m:d",
    "movs_mr": "movs{d} m:d, src:x",
    "movs_xr": "movs{d} m:d, src:x",
    "movaps_rr": "movaps dst:x, src:x",
    "movups_rm": "movups dst:x, m:128",
    "movups_rx": "movups dst:x, m:128",
    "movups_mr": "movups m:128, src:x",
    "movups_xr": "movups m:128, src:x",
    "movd_to_xmm": "mov{q} dst:x, src:w",
    "movd_from_xmm": "mov{q} dst:w, src:x",
    "sse_rr": "{sse}s{d} dst:x, src:x",
    "sse_rm": "{sse}s{d} dst:x, m:d",
    "sse_rx": "{sse}s{d} dst:x, m:d",
    "ucomis_rr": "ucomis{d} a:x, b:x",
    "ucomis_rm": "ucomis{d} a:x, m:d",
    "andps_rr": "andps dst:x, src:x",
    "andnps_rr": "andnps dst:x, src:x",
    "orps_rr": "orps dst:x, src:x",
    "xorps_rr": "xorps dst:x, src:x",
    "rounds_rr": "rounds{d} dst:x, src:x, #mode:8",
    "cvtsi2s": "cvtsi2s{d} dst:x, src:w",
    "cvtts2si": "cvtts{d}2si dst:w, src:x",
    "cvtss2sd_rr": "cvtss2sd dst:x, src:x",
    "cvtsd2ss_rr": "cvtsd2ss dst:x, src:x",
    "pcmpeqd_rr": "pcmpeqd dst:x, src:x",
    "psrlq_ri": "psrlq dst:x, #imm:8",
    "psllq_ri": "psllq dst:x, #imm:8",
    "psrld_ri": "psrld dst:x, #imm:8",
    "pslld_ri": "pslld dst:x, #imm:8",
    "stmxcsr_m": "stmxcsr m:32",
    "ldmxcsr_m": "ldmxcsr m:32",
}
#: Encoders that have a test of their own: keystone does not know the instruction, or there is more than one instruction.
SPECIAL = {"nop", "ud1"}

#: Where keystone may choose another encoding of the same instruction: its bytes are then compared through capstone.
KEYSTONE_DIFFERS = {
    "jcc_rel32": "takes the 8-bit form for a near target",
    "jmp_rel32": "takes the 8-bit form for a near target",
}

ALU = ("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")
SHIFTS = {asm.ROL: "rol", asm.ROR: "ror", asm.SHL: "shl", asm.SHR: "shr", asm.SAR: "sar"}
SSE = {
    asm.SSE_ADD: "add",
    asm.SSE_MUL: "mul",
    asm.SSE_SUB: "sub",
    asm.SSE_MIN: "min",
    asm.SSE_DIV: "div",
    asm.SSE_MAX: "max",
    asm.SSE_SQRT: "sqrt",
}
CONDITIONS = {
    asm.CC_O: "o",
    asm.CC_NO: "no",
    asm.CC_B: "b",
    asm.CC_AE: "ae",
    asm.CC_E: "e",
    asm.CC_NE: "ne",
    asm.CC_BE: "be",
    asm.CC_A: "a",
    asm.CC_S: "s",
    asm.CC_NS: "ns",
    asm.CC_P: "p",
    asm.CC_NP: "np",
    asm.CC_L: "l",
    asm.CC_GE: "ge",
    asm.CC_LE: "le",
    asm.CC_G: "g",
}
REGISTERS = {8: regs.NAMES_8, 16: regs.NAMES_16, 32: regs.NAMES_32, 64: regs.NAMES_64}
SIZES = {0: "", 8: "byte ptr ", 16: "word ptr ", 32: "dword ptr ", 64: "qword ptr ", 128: "xmmword ptr "}

Values = Mapping[str, int]


@dataclass(frozen=True)
class Register:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Immediate:
    """A number; ``bits`` is the width at which it counts, so that -1 and 0xFF are the same byte."""

    value: int
    bits: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Immediate) and (self.value - other.value) % (1 << min(self.bits, other.bits)) == 0

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Memory:
    """``[base + index * scale + disp]``; ``bits`` 0 where no size belongs to it, as in LEA."""

    base: str
    index: str
    scale: int
    disp: int
    bits: int

    def __str__(self) -> str:
        parts = [self.base] if self.base else []
        if self.index:
            parts.append(f"{self.index}*{self.scale}")
        return f"{SIZES[self.bits]}[{' + '.join(parts)} {self.disp:+d}]"


@dataclass(frozen=True)
class Instruction:
    mnemonic: str
    operands: tuple[Register | Immediate | Memory, ...]

    def __str__(self) -> str:
        return f"{self.mnemonic} {', '.join(map(str, self.operands))}"


def _operand(text: str, values: Values) -> Register | Immediate | Memory:
    if text == "cl":
        return Register("cl")
    if text.startswith("rel+"):
        return Immediate(values["rel"] + int(text[4:]), 64)
    name, _, width = text.partition(":")
    if width == "x":
        return Register(f"xmm{values[name]}")
    if width == "count":
        return Immediate(values[name[1:]], 8)
    bits = (64 if values[width] else 32) if width in ("w", "d") else int(width)
    if name == "m":
        if "rel32" in values:
            return Memory("rip", "", 1, values["rel32"], bits)
        base = regs.NAMES_64[values["base"]] if "base" in values else ""
        index = regs.NAMES_64[values["index"]] if "index" in values else ""
        return Memory(base, index, 1 << values.get("scale", 0), values["disp"], bits)
    if name.startswith("#"):
        return Immediate(values[name[1:]], bits)
    return Register(REGISTERS[bits][values[name]])


def _expected_mov_ri(dst: int, imm: int) -> Instruction:
    if 0 <= imm < 1 << 32:
        return Instruction("mov", (Register(regs.NAMES_32[dst]), Immediate(imm, 32)))
    if imm >= 1 << 63:
        imm -= 1 << 64
    mnemonic = "mov" if -(1 << 31) <= imm < 0 else "movabs"
    return Instruction(mnemonic, (Register(regs.NAMES_64[dst]), Immediate(imm, 64)))


def expected(name: str, values: Values) -> Instruction:
    """The instruction that the encoder ``name`` has to make of its arguments."""
    if name == "mov_ri":
        return _expected_mov_ri(**values)
    case = CASES[name]
    if case.startswith("rep "):
        return Instruction(case, ())
    mnemonic, _, operands = case.partition(" ")
    op = values.get("op", -1)
    mnemonic = mnemonic.format(
        alu=ALU[op] if "{alu}" in mnemonic else "",
        shift=SHIFTS.get(op),
        sse=SSE.get(op),
        cc=CONDITIONS.get(values.get("cc", -1)),
        d="sd"[values.get("d", 0)],
        q="dq"[values.get("w", 0)],
    )
    return Instruction(mnemonic, tuple(_operand(text, values) for text in operands.split(", ") if text))


# -- arguments -------------------------------------------------------------------------------------------------------


def domain(name: str, parameter: str, values: Values) -> tuple[int, int]:
    """The least and the greatest value of a numeric argument that the encoder takes."""
    if name == "mov_ri":
        return -(1 << 63), (1 << 64) - 1
    if name == "ret_imm":
        return 0, 0xFFFF
    if parameter == "rel" and name.endswith("rel8"):
        return -0x80, 0x7F
    case = CASES[name]
    if f"#{parameter}:count" in case:
        return 0, 63 if values["w"] else 31
    if f"#{parameter}:8" in case:
        return -0x80, 0xFF
    if f"#{parameter}:16" in case:
        return -0x8000, 0xFFFF
    return -0x8000_0000, 0x7FFF_FFFF


NUMBERS = ("disp", "imm", "rel", "rel32", "mode")
#: Numbers around which an encoding changes its form, or around which a sign or a width might be mistaken.
_BOUNDARIES = sorted(
    {0} | {sign * (1 << bits) + near for bits in (0, 4, 5, 6, 7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for near in (-1, 0, 1)}
)


def _number(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([value for value in _BOUNDARIES if low <= value <= high]) | st.integers(low, high)


def _argument(name: str, parameter: str, values: Values) -> st.SearchStrategy[int]:
    if parameter in ("w", "d"):
        return st.integers(0, 1)
    if parameter == "cc":
        return st.integers(0, 15)
    if parameter == "op":
        return st.sampled_from(list(SSE) if "{sse}" in CASES[name] else list(SHIFTS) if "{shift}" in CASES[name] else range(8))
    if parameter == "scale":
        return st.integers(0, 3)
    if parameter == "index":
        return st.sampled_from([number for number in range(16) if number != regs.RSP])
    if parameter in NUMBERS or name == "ret_imm":
        return _number(*domain(name, parameter, values))
    return st.integers(0, 15)


def encoders() -> dict[str, Callable[..., bytes]]:
    """Every public encoder that :mod:`asm` offers."""
    return {
        name: value
        for name, value in vars(asm).items()
        if inspect.isfunction(value) and not name.startswith("_") and ".asm" in value.__module__
    }


PARAMETERS = {name: tuple(inspect.signature(encoder).parameters) for name, encoder in encoders().items()}


def draw_values(data: st.DataObject, name: str) -> dict[str, int]:
    values: dict[str, int] = {}
    for parameter in PARAMETERS[name]:
        values[parameter] = data.draw(_argument(name, parameter, values), parameter)
    return values


# -- the two judges --------------------------------------------------------------------------------------------------

_keystone = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
_capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_capstone.detail = True


def assemble(text: str) -> bytes:
    return bytes(_keystone.asm(text)[0])


def read_back(code: bytes, like: Instruction) -> Instruction:
    """The one instruction that ``code`` is, with sizes and widths where ``like`` has them."""
    instructions = list(_capstone.disasm(code, 0))
    assert [instruction.size for instruction in instructions] == [len(code)]
    instruction = instructions[0]
    if not like.operands:
        return Instruction(instruction.mnemonic, ())  # capstone shows the implicit operands of some
    operands: list[Register | Immediate | Memory] = []
    for operand in instruction.operands:
        if operand.type == capstone.x86.X86_OP_REG:
            operands.append(Register(instruction.reg_name(operand.reg)))
        elif operand.type == capstone.x86.X86_OP_IMM:
            operands.append(Immediate(operand.imm, 64))
        else:
            mem = operand.mem
            names = [instruction.reg_name(number) if number else "" for number in (mem.base, mem.index)]
            bits = 0 if like.mnemonic == "lea" else 8 * operand.size
            operands.append(Memory(names[0], names[1], mem.scale, mem.disp, bits))
    return Instruction(instruction.mnemonic, tuple(operands))


# -- tests -----------------------------------------------------------------------------------------------------------


def test_every_encoder_has_a_case() -> None:
    assert set(encoders()) == set(CASES) | SPECIAL


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_encoding_is_what_keystone_makes_and_capstone_reads(name: str, data: st.DataObject) -> None:
    values = draw_values(data, name)
    wanted = expected(name, values)
    code = encoders()[name](*values.values())
    assert read_back(code, wanted) == wanted
    theirs = assemble(str(wanted))
    if name in KEYSTONE_DIFFERS:
        assert read_back(theirs, wanted) == wanted
    else:
        assert code.hex(" ") == theirs.hex(" "), str(wanted)
