"""Every encoder of a vector instruction, against keystone (it assembles the same instruction) and capstone (it reads it
back), and what each refuses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibewasm.backends.aarch64 import asm, asm_vector, regs

from .judges import assemble, disassemble, plain

#: The shapes of 128 and of 64 bits by the size of a lane, and the letter of one lane.
WHOLE = ("16b", "8h", "4s", "2d")
HALF = ("8b", "4h", "2s")
LETTERS = "bhsd"
REG = st.integers(0, 31)
CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")


def _named(names: str) -> dict[int, str]:
    """The instruction of each operation, by its constant."""
    return {getattr(asm_vector, name): name.lower() for name in names.split()}


def _zero(names: str) -> dict[int, str]:
    return {getattr(asm_vector, f"{name}_ZERO"): name.lower() for name in names.split()}


#: The operations of each form, with the sizes of lanes that they have.
THREE = {
    **dict.fromkeys(
        _named("ADD SUB SQADD UQADD SQSUB UQSUB CMGT CMHI CMGE CMHS CMTST CMEQ SSHL USHL ADDP").items(), (0, 3)
    ),
    **dict.fromkeys(_named("URHADD SMAX UMAX SMIN UMIN SMAXP UMAXP SMINP UMINP MUL MLA MLS").items(), (0, 2)),
    **dict.fromkeys(_named("SQDMULH SQRDMULH").items(), (1, 2)),
}
BITWISE = _named("AND BIC ORR ORN EOR BSL BIT BIF")
FLOAT_THREE = _named("FADD FSUB FMUL FDIV FMAX FMIN FMAXNM FMINNM FMLA FMLS FCMEQ FCMGE FCMGT FADDP")
TWO = {
    **dict.fromkeys(_named("ABS NEG").items(), (0, 3)),
    **dict.fromkeys(_zero("CMGT CMGE CMEQ CMLE CMLT").items(), (0, 3)),
    **dict.fromkeys(_named("REV64 SADDLP UADDLP SADALP UADALP").items(), (0, 2)),
    **dict.fromkeys(_named("REV32").items(), (0, 1)),
    **dict.fromkeys(_named("REV16 CNT NOT RBIT").items(), (0, 0)),
}
PAIRWISE = ("saddlp", "uaddlp", "sadalp", "uadalp")
FLOAT_TWO = _named("FABS FNEG FSQRT FRINTN FRINTM FRINTP FRINTZ FCVTZS FCVTZU SCVTF UCVTF")
FLOAT_ZERO = _zero("FCMGT FCMGE FCMEQ FCMLE FCMLT")
NARROW = _named("XTN SQXTN SQXTUN UQXTN")
LONG = _named("SADDL UADDL SADDW UADDW SSUBL USUBL SMLAL UMLAL SMULL UMULL")
ACROSS = _named("ADDV SADDLV UADDLV SMAXV UMAXV SMINV UMINV")
SHIFT_LEFT = _named("SHL SLI")
SHIFT_RIGHT = _named("SSHR USHR SSRA USRA SRI")
SHIFT_LONG = _named("SSHLL USHLL")
SHIFT_NARROW = _named("SHRN SQSHRN SQSHRUN UQSHRN")
PERMUTE = _named("ZIP1 ZIP2 UZP1 UZP2 TRN1 TRN2")
TABLE = _named("TBL TBX")
IMMEDIATE = {
    asm_vector.MOVI: "movi",
    asm_vector.MVNI: "mvni",
    asm_vector.ORR_I: "orr",
    asm_vector.BIC_I: "bic",
}
ACCESS_LANE = _named("ST1 LD1")


def _form(forms: dict[tuple[int, str], tuple[int, int]], op: int) -> tuple[str, tuple[int, int]]:
    """The name of an operation and the sizes of lanes that it has."""
    return next((name, sizes) for (number, name), sizes in forms.items() if number == op)


def v(number: int, shape: str) -> str:
    return f"v{number}.{shape}"


def general(wide: object, number: int) -> str:
    return (regs.NAMES_64 if wide else regs.NAMES_32)[number]


def base(number: int) -> str:
    return "sp" if number == 31 else f"x{number}"


def _three(op: int, size: int, dst: int, a: int, b: int) -> str:
    name, _ = _form(THREE, op)
    shape = WHOLE[size]
    return f"{name} {v(dst, shape)}, {v(a, shape)}, {v(b, shape)}"


def _two(op: int, size: int, dst: int, src: int) -> str:
    name, _ = _form(TWO, op)
    to = WHOLE[size + 1] if name in PAIRWISE else WHOLE[size]
    end = ", #0" if op in _zero("CMGT CMGE CMEQ CMLE CMLT") else ""
    return f"{name} {v(dst, to)}, {v(src, WHOLE[size])}{end}"


def _float_two(op: int, d: int, dst: int, src: int) -> str:
    shape = WHOLE[2 + d]
    name, end = (FLOAT_ZERO[op], ", #0.0") if op in FLOAT_ZERO else (FLOAT_TWO[op], "")
    return f"{name} {v(dst, shape)}, {v(src, shape)}{end}"


def _float_three(op: int, d: int, dst: int, a: int, b: int) -> str:
    shape = WHOLE[2 + d]
    return f"{FLOAT_THREE[op]} {v(dst, shape)}, {v(a, shape)}, {v(b, shape)}"


def part(size: int, high: int) -> str:
    """The shape of half a register, or of a whole one where its upper half is meant."""
    return WHOLE[size] if high else HALF[size]


def _second(name: str, high: int) -> str:
    return f"{name}2" if high else name


def _long(op: int, size: int, high: int, dst: int, a: int, b: int) -> str:
    name = LONG[op]
    first = WHOLE[size + 1] if name.endswith("w") else part(size, high)
    return f"{_second(name, high)} {v(dst, WHOLE[size + 1])}, {v(a, first)}, {v(b, part(size, high))}"


def _across(op: int, size: int, dst: int, src: int) -> str:
    name = ACROSS[op]
    return f"{name} {LETTERS[size + name.endswith('lv')]}{dst}, {v(src, WHOLE[size])}"


def _shifted(names: dict[int, str]) -> Callable[..., str]:
    return lambda op, size, dst, src, count: f"{names[op]} {v(dst, WHOLE[size])}, {v(src, WHOLE[size])}, #{count}"


def _immediate(op: int, size: int, dst: int, imm8: int, shift: int) -> str:
    return f"{IMMEDIATE[op]} {v(dst, WHOLE[size])}, #{imm8}" + (f", lsl #{shift}" if shift else "")


def _float(imm8: int) -> float:
    exponent = (imm8 >> 4 & 7 ^ 4) - 3
    return (-1 if imm8 >> 7 else 1) * (16 + (imm8 & 15)) / 16 * 2.0**exponent


def _mask(imm8: int) -> int:
    return sum(255 << 8 * bit for bit in range(8) if imm8 >> bit & 1)


def _table(op: int, count: int, dst: int, first: int, indices: int) -> str:
    registers = ", ".join(v((first + number) % 32, "16b") for number in range(count))
    return f"{TABLE[op]} {v(dst, '16b')}, {{{registers}}}, {v(indices, '16b')}"


#: The text of what each encoder has to encode, by its arguments.
CASES: dict[str, Callable[..., str]] = {
    "three": _three,
    "bitwise": lambda op, dst, a, b: f"{BITWISE[op]} {v(dst, '16b')}, {v(a, '16b')}, {v(b, '16b')}",
    "float_three": _float_three,
    "two": _two,
    "float_two": _float_two,
    "narrow": lambda op, size, high, dst, src: (
        f"{_second(NARROW[op], high)} {v(dst, part(size, high))}, {v(src, WHOLE[size + 1])}"
    ),
    "fcvtl": lambda high, dst, src: f"{_second('fcvtl', high)} {v(dst, '2d')}, {v(src, part(2, high))}",
    "fcvtn": lambda high, dst, src: f"{_second('fcvtn', high)} {v(dst, part(2, high))}, {v(src, '2d')}",
    "shll": lambda size, high, dst, src: (
        f"{_second('shll', high)} {v(dst, WHOLE[size + 1])}, {v(src, part(size, high))}, #{8 << size}"
    ),
    "long": _long,
    "across": _across,
    "addp_scalar": lambda dst, src: f"addp d{dst}, {v(src, '2d')}",
    "shift_left": _shifted(SHIFT_LEFT),
    "shift_right": _shifted(SHIFT_RIGHT),
    "shift_long": lambda op, size, high, dst, src, count: (
        f"{_second(SHIFT_LONG[op], high)} {v(dst, WHOLE[size + 1])}, {v(src, part(size, high))}, #{count}"
    ),
    "shift_narrow": lambda op, size, high, dst, src, count: (
        f"{_second(SHIFT_NARROW[op], high)} {v(dst, part(size, high))}, {v(src, WHOLE[size + 1])}, #{count}"
    ),
    "dup": lambda size, dst, src: f"dup {v(dst, WHOLE[size])}, {general(size == 3, src)}",
    "dup_lane": lambda size, dst, src, lane: f"dup {v(dst, WHOLE[size])}, {v(src, LETTERS[size])}[{lane}]",
    "dup_scalar": lambda size, dst, src, lane: f"mov {LETTERS[size]}{dst}, {v(src, LETTERS[size])}[{lane}]",
    "ins": lambda size, dst, lane, src: f"ins {v(dst, LETTERS[size])}[{lane}], {general(size == 3, src)}",
    "ins_lane": lambda size, dst, lane, src, source_lane: (
        f"ins {v(dst, LETTERS[size])}[{lane}], {v(src, LETTERS[size])}[{source_lane}]"
    ),
    "umov": lambda size, dst, src, lane: f"umov {general(size == 3, dst)}, {v(src, LETTERS[size])}[{lane}]",
    "smov": lambda size, w, dst, src, lane: f"smov {general(w, dst)}, {v(src, LETTERS[size])}[{lane}]",
    "permute": lambda op, size, dst, a, b: (
        f"{PERMUTE[op]} {v(dst, WHOLE[size])}, {v(a, WHOLE[size])}, {v(b, WHOLE[size])}"
    ),
    "ext": lambda dst, a, b, first: f"ext {v(dst, '16b')}, {v(a, '16b')}, {v(b, '16b')}, #{first}",
    "table": _table,
    "immediate": _immediate,
    "movi_b": lambda dst, imm8: f"movi {v(dst, '16b')}, #{imm8}",
    "movi_mask": lambda dst, imm8: f"movi {v(dst, '2d')}, #{_mask(imm8):#x}",
    "fmov_lanes": lambda d, dst, imm8: f"fmov {v(dst, WHOLE[2 + d])}, #{_float(imm8):.8f}",
    "access_lane": lambda op, size, reg, lane, address: (
        f"{ACCESS_LANE[op]} {{{v(reg, LETTERS[size])}}}[{lane}], [{base(address)}]"
    ),
    "ld1r": lambda size, dst, address: f"ld1r {{{v(dst, WHOLE[size])}}}, [{base(address)}]",
    "csetm": lambda cc, dst: f"csetm {general(True, dst)}, {CONDITIONS[cc]}",
}

OPERATIONS: dict[str, Any] = {
    "three": [op for op, _ in THREE],
    "bitwise": BITWISE,
    "float_three": FLOAT_THREE,
    "two": [op for op, _ in TWO],
    "float_two": FLOAT_TWO | FLOAT_ZERO,
    "narrow": NARROW,
    "long": LONG,
    "across": ACROSS,
    "shift_left": SHIFT_LEFT,
    "shift_right": SHIFT_RIGHT,
    "shift_long": SHIFT_LONG,
    "shift_narrow": SHIFT_NARROW,
    "permute": PERMUTE,
    "table": TABLE,
    "immediate": IMMEDIATE,
    "access_lane": ACCESS_LANE,
}


def encoders() -> dict[str, Callable[..., bytes]]:
    """Every public encoder of the module."""
    return {
        name: value
        for name, value in vars(asm_vector).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == asm_vector.__name__
    }


PARAMETERS = {name: tuple(inspect.signature(encoder).parameters) for name, encoder in encoders().items()}


def sizes(name: str, values: dict[str, Any]) -> tuple[int, int]:
    """The least and the largest size of a lane."""
    if name in ("three", "two"):
        return _form(THREE if name == "three" else TWO, values["op"])[1]
    if name in ("narrow", "long", "across", "shift_long", "shift_narrow", "shll"):
        return (0, 2)
    return (1, 2) if name == "immediate" else (0, 3)


def limits(name: str, parameter: str, values: dict[str, Any]) -> tuple[int, int]:
    """The least and the greatest number that a parameter may be, those before it given."""
    size = values.get("size", 0)
    if parameter in ("d", "high", "w"):
        # With 32 bits there is no sign extension to 32.
        return (1, 1) if name == "smov" and size == 2 else (0, 1)
    if parameter == "size":
        return (0, 2) if name == "smov" else sizes(name, values)
    if parameter == "count":
        if name == "table":
            return (1, 4)
        return (1, 8 << size) if name in ("shift_right", "shift_narrow") else (0, (8 << size) - 1)
    if parameter in ("lane", "source_lane"):
        return (0, (16 >> size) - 1)
    if parameter == "first" and name == "ext":
        return (0, 15)
    if parameter == "cc":
        return (0, 13)
    if parameter == "imm8":
        return (0, 255)
    return (0, 31)


def draw_values(data: st.DataObject, name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in PARAMETERS[name]:
        if parameter == "op":
            values["op"] = data.draw(st.sampled_from([*OPERATIONS[name]]), "op")
        elif parameter == "shift":
            values["shift"] = 8 * data.draw(st.integers(0, (1 << values["size"]) - 1), "shift")
        else:
            values[parameter] = data.draw(st.integers(*limits(name, parameter, values)), parameter)
    return values


def test_every_encoder_has_a_case() -> None:
    assert set(encoders()) == set(CASES)


def test_every_operation_belongs_to_a_form() -> None:
    named = {value for name, value in vars(asm_vector).items() if name.isupper() and name[0] != "_" and value}
    accesses = {asm_vector.LDR_B, asm_vector.LDR_H, asm_vector.STR_B, asm_vector.STR_H}
    assert named == set().union(*OPERATIONS.values()) | accesses


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_encoding_is_what_keystone_makes_and_capstone_reads(name: str, data: st.DataObject) -> None:
    values = draw_values(data, name)
    wanted = CASES[name](*values.values())
    code = encoders()[name](*values.values())
    assert code.hex(" ") == assemble(wanted).hex(" "), wanted
    (read,) = disassemble(code)
    assert read == plain(wanted) or assemble(read) == code, (read, wanted)


@pytest.mark.parametrize("op", ["STR_B", "LDR_B", "STR_H", "LDR_H"])
@given(reg=REG, address=REG, index=st.integers(0, 30), offset=st.integers(0, 4095), scaled=st.booleans())
def test_accesses_of_bytes_and_halves_have_each_form(
    op: str, reg: int, address: int, index: int, offset: int, scaled: bool
) -> None:
    size = "BH".index(op[-1])
    name = f"{op[:3].lower()} {LETTERS[size]}{reg}, [{base(address)}, "
    number = getattr(asm_vector, op)
    assert asm.access(number, reg, address, offset << size) == assemble(f"{name}#{offset << size}]")
    if not size and scaled:
        return  # A shift by 0 has a bit of its own, which keystone does not write.
    amount = f" #{size}" if scaled else ""
    assert asm.access_u(number, reg, address, index, scaled) == assemble(f"{name}w{index}, uxtw{amount}]")
    wide = f"{name}x{index}, lsl{amount}]" if scaled else f"{name}x{index}]"
    assert asm.access_x(number, reg, address, index, scaled) == assemble(wide)


def _refused() -> list[tuple[str, str, int, dict[str, Any]]]:
    """For each parameter the numbers just beyond its limits, with the arguments that they are refused beside."""
    bad: list[tuple[str, str, int, dict[str, Any]]] = []
    for name in encoders():
        operations = OPERATIONS.get(name, [0])
        for op in operations:
            values: dict[str, Any] = {}
            for parameter in PARAMETERS[name]:
                if parameter == "op":
                    values["op"] = op
                    continue
                least, most = limits(name, parameter, values)
                if parameter == "shift":
                    bad += [(name, "shift", value, {}) for value in (-8, 4, 8 << values["size"])]
                    values["shift"] = 0
                    continue
                values[parameter] = most if parameter == "size" else least
                if parameter not in ("d", "high", "w"):
                    bad += [(name, parameter, value, values) for value in (least - 1, most + 1)]
            for entry in bad:
                if not entry[3]:
                    entry[3].update(values)
    return bad


@pytest.mark.parametrize(("name", "parameter", "value", "values"), _refused())
def test_an_operand_out_of_range_is_a_value_error(
    name: str, parameter: str, value: int, values: dict[str, Any]
) -> None:
    encoder = encoders()[name]
    encoder(**values)
    with pytest.raises(ValueError, match=r"no such|does not fit|no shift"):
        encoder(**(values | {parameter: value}))
