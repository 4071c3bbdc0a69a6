"""Every encoder, against keystone (it assembles the same instruction) and capstone (it reads it back)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vibewasm.backends.aarch64 import asm, asm_floats, encoding, regs

from .judges import assemble, disassemble, plain

Values = Mapping[str, int]

ALU = {
    asm.ADD: "add", asm.ADDS: "adds", asm.SUB: "sub", asm.SUBS: "subs",
    asm.AND: "and", asm.ORR: "orr", asm.EOR: "eor", asm.ANDS: "ands",
    asm.BIC: "bic",
    asm.ORN: "orn",
}  # fmt: skip
ARITHMETIC = (asm.ADD, asm.ADDS, asm.SUB, asm.SUBS)
OPPOSITE = {asm.ADD: "sub", asm.ADDS: "subs", asm.SUB: "add", asm.SUBS: "adds"}
LOGIC = (asm.AND, asm.ORR, asm.EOR, asm.ANDS)
SHIFTS = ("lsl", "lsr", "asr", "ror")
EXTENDS = ("uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx")
CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al")
SYSTEM = {
    asm.FPCR: "fpcr",
    asm.CTR_EL0: "ctr_el0",
}
#: Accesses: the name, the name of the form without scaling, the register's letter, and the size in bytes.
ACCESSES = {
    asm.STRB: ("strb", "w", 1), asm.LDRB: ("ldrb", "w", 1), asm.LDRSB_X: ("ldrsb", "x", 1),
    asm.LDRSB_W: ("ldrsb", "w", 1), asm.STRH: ("strh", "w", 2), asm.LDRH: ("ldrh", "w", 2),
    asm.LDRSH_X: ("ldrsh", "x", 2), asm.LDRSH_W: ("ldrsh", "w", 2), asm.STR_W: ("str", "w", 4),
    asm.LDR_W: ("ldr", "w", 4), asm.LDRSW: ("ldrsw", "x", 4), asm.STR_X: ("str", "x", 8), asm.LDR_X: ("ldr", "x", 8),
    asm.STR_S: ("str", "s", 4), asm.LDR_S: ("ldr", "s", 4), asm.STR_D: ("str", "d", 8), asm.LDR_D: ("ldr", "d", 8),
    asm.STR_Q: ("str", "q", 16), asm.LDR_Q: ("ldr", "q", 16),
}  # fmt: skip
PAIRS = {
    asm.STP_X: ("stp", "x"), asm.LDP_X: ("ldp", "x"),
    asm.STP_D: ("stp", "d"), asm.LDP_D: ("ldp", "d"),
    asm.STP_Q: ("stp", "q"), asm.LDP_Q: ("ldp", "q"),
}  # fmt: skip
FP_RR = {
    asm.FMUL: "fmul",
    asm.FDIV: "fdiv",
    asm.FADD: "fadd",
    asm.FSUB: "fsub",
    asm.FMAX: "fmax",
    asm.FMIN: "fmin",
}
FP_R = {
    asm.FMOV: "fmov", asm.FABS: "fabs", asm.FNEG: "fneg", asm.FSQRT: "fsqrt",
    asm.FRINTN: "frintn", asm.FRINTP: "frintp", asm.FRINTM: "frintm", asm.FRINTZ: "frintz",
}  # fmt: skip
VECTOR = {
    asm.V_AND: "and",
    asm.V_ORR: "orr",
    asm.V_BSL: "bsl",
}


def r(w: int, number: int) -> str:
    """A general register, where 31 is zero."""
    return (regs.NAMES_64 if w else regs.NAMES_32)[number]


def sp(w: int, number: int) -> str:
    """A general register, where 31 is the stack pointer."""
    return ("sp" if w else "wsp") if number == 31 else r(w, number)


def f(d: int, number: int) -> str:
    """A vector register as a scalar."""
    return f"{'sd'[d]}{number}"


def reg(letter: str, number: int) -> str:
    """A register by the letter of its view."""
    return r(letter == "x", number) if letter in "wx" else f"{letter}{number}"


def _alu_ri(op: int, w: int, dst: int, a: int, imm: int) -> str:
    name = OPPOSITE[op] if imm < 0 else ALU[op]
    flags = op in (asm.ADDS, asm.SUBS)
    imm = abs(imm)
    number = f"#{imm}" if imm < 4096 else f"#{imm >> 12}, lsl #12"
    return f"{name} {r(w, dst) if flags else sp(w, dst)}, {sp(w, a)}, {number}"


def _access(op: int, reg_: int, base: int, offset: int) -> str:
    name, letter, size = ACCESSES[op]
    if offset < 0 or offset % size:
        name = f"{name[:2]}u{name[2:]}"
    return f"{name} {reg(letter, reg_)}, [{sp(1, base)}, #{offset}]"


def _indexed(op: int, reg_: int, base: int, index: int, scaled: int, extend: str) -> str:
    name, letter, size = ACCESSES[op]
    shift = size.bit_length() - 1
    amount = f" #{shift}" if scaled else ""
    how = f", {extend}{amount}" if extend != "lsl" or scaled else ""
    return f"{name} {reg(letter, reg_)}, [{sp(1, base)}, {r(extend == 'lsl', index)}{how}]"


def _pair(op: object, a: int, b: int, base: int, address: str) -> str:
    name, letter = PAIRS[op]  # type: ignore[index]
    return f"{name} {reg(letter, a)}, {reg(letter, b)}, {address.format(sp(1, base))}"


def _float(d: int, imm8: int) -> float:
    exponent = (imm8 >> 4 & 7 ^ 4) - 3
    return (-1 if imm8 >> 7 else 1) * (16 + (imm8 & 15)) / 16 * 2.0**exponent


#: The text of what each encoder has to encode, by its arguments.
CASES: dict[str, Callable[..., str]] = {
    "alu_rr": lambda op, w, dst, a, b: f"{ALU[op]} {r(w, dst)}, {r(w, a)}, {r(w, b)}",
    "alu_rrs": lambda op, w, dst, a, b, shift, count: (
        f"{ALU[op]} {r(w, dst)}, {r(w, a)}, {r(w, b)}, {SHIFTS[shift]} #{count}"
    ),
    "alu_rrx": lambda op, w, dst, a, b, extend, count: (
        f"{ALU[op]} {(r if op in (asm.ADDS, asm.SUBS) else sp)(w, dst)}, {sp(w, a)}, "
        f"{r(w and extend in (asm.UXTX, asm.SXTX), b)}, {EXTENDS[extend]} #{count}"
    ),
    "alu_ri": _alu_ri,
    "logic_ri": lambda op, w, dst, a, imm: f"{ALU[op]} {(r if op == asm.ANDS else sp)(w, dst)}, {r(w, a)}, #{imm}",
    "cmp_rr": lambda w, a, b: f"cmp {r(w, a)}, {r(w, b)}",
    "cmp_ri": lambda w, a, imm: _alu_ri(asm.SUBS, w, 31, a, imm),
    "tst_ri": lambda w, a, imm: f"tst {r(w, a)}, #{imm}",
    "neg": lambda w, dst, src: f"neg {r(w, dst)}, {r(w, src)}",
    "mvn": lambda w, dst, src: f"mvn {r(w, dst)}, {r(w, src)}",
    "madd": lambda w, dst, a, b, addend: f"madd {r(w, dst)}, {r(w, a)}, {r(w, b)}, {r(w, addend)}",
    "msub": lambda w, dst, a, b, minuend: f"msub {r(w, dst)}, {r(w, a)}, {r(w, b)}, {r(w, minuend)}",
    "mul": lambda w, dst, a, b: f"mul {r(w, dst)}, {r(w, a)}, {r(w, b)}",
    "sdiv": lambda w, dst, a, b: f"sdiv {r(w, dst)}, {r(w, a)}, {r(w, b)}",
    "udiv": lambda w, dst, a, b: f"udiv {r(w, dst)}, {r(w, a)}, {r(w, b)}",
    "shift_rr": lambda op, w, dst, src, count: f"{SHIFTS[op]} {r(w, dst)}, {r(w, src)}, {r(w, count)}",
    "shift_ri": lambda op, w, dst, src, count: f"{SHIFTS[op]} {r(w, dst)}, {r(w, src)}, #{count}",
    "ubfm": lambda w, dst, src, immr, imms: f"ubfm {r(w, dst)}, {r(w, src)}, #{immr}, #{imms}",
    "sbfm": lambda w, dst, src, immr, imms: f"sbfm {r(w, dst)}, {r(w, src)}, #{immr}, #{imms}",
    "extr": lambda w, dst, high, low, count: f"extr {r(w, dst)}, {r(w, high)}, {r(w, low)}, #{count}",
    "clz": lambda w, dst, src: f"clz {r(w, dst)}, {r(w, src)}",
    "rbit": lambda w, dst, src: f"rbit {r(w, dst)}, {r(w, src)}",
    "csel": lambda cc, w, dst, a, b: f"csel {r(w, dst)}, {r(w, a)}, {r(w, b)}, {CONDITIONS[cc]}",
    "cset": lambda cc, dst: f"cset {r(0, dst)}, {CONDITIONS[cc]}",
    "ccmp_ri": lambda cc, w, a, imm, nzcv: f"ccmp {r(w, a)}, #{imm}, #{nzcv}, {CONDITIONS[cc]}",
    "b": lambda rel: f"b #{rel}",
    "bl": lambda rel: f"bl #{rel}",
    "b_cond": lambda cc, rel: f"b.{CONDITIONS[cc]} #{rel}",
    "cbz": lambda w, reg, rel: f"cbz {r(w, reg)}, #{rel}",
    "cbnz": lambda w, reg, rel: f"cbnz {r(w, reg)}, #{rel}",
    "tbz": lambda reg, bit, rel: f"tbz {r(bit > 31, reg)}, #{bit}, #{rel}",
    "tbnz": lambda reg, bit, rel: f"tbnz {r(bit > 31, reg)}, #{bit}, #{rel}",
    "br": lambda target: f"br {r(1, target)}",
    "blr": lambda target: f"blr {r(1, target)}",
    "ret": lambda target: f"ret {r(1, target)}" if target != 30 else "ret",
    "adr": lambda dst, rel: f"adr {r(1, dst)}, #{rel}",
    "nop": lambda: "nop",
    "mrs": lambda dst, register: f"mrs {r(1, dst)}, {SYSTEM[register]}",
    "msr": lambda register, src: f"msr {SYSTEM[register]}, {r(1, src)}",
    "dmb_ish": lambda: "dmb ish",
    "dsb_ish": lambda: "dsb ish",
    "isb": lambda: "isb",
    "dc_cvau": lambda address: f"dc cvau, {r(1, address)}",
    "ic_ivau": lambda address: f"ic ivau, {r(1, address)}",
    "mov_rr": lambda w, dst, src: f"mov {r(w, dst)}, {r(w, src)}",
    "mov_sp": lambda dst, src: f"add {sp(1, dst)}, {sp(1, src)}, #0",
    "movz": lambda w, dst, imm, shift: f"movz {r(w, dst)}, #{imm}, lsl #{shift}",
    "movk": lambda w, dst, imm, shift: f"movk {r(w, dst)}, #{imm}, lsl #{shift}",
    "access": _access,
    "access_post": lambda op, reg_, base, offset: (
        f"{ACCESSES[op][0]} {reg(ACCESSES[op][1], reg_)}, [{sp(1, base)}], #{offset}"
    ),
    "access_pre": lambda op, reg_, base, offset: (
        f"{ACCESSES[op][0]} {reg(ACCESSES[op][1], reg_)}, [{sp(1, base)}, #{offset}]!"
    ),
    "access_x": lambda op, reg_, base, index, scaled: _indexed(op, reg_, base, index, scaled, "lsl"),
    "access_u": lambda op, reg_, base, index, scaled: _indexed(op, reg_, base, index, scaled, "uxtw"),
    "ldr": lambda w, dst, base, offset: _access(asm.LDR_X if w else asm.LDR_W, dst, base, offset),
    "pair": lambda op, a, b, base, offset: _pair(op, a, b, base, f"[{{}}, #{offset}]"),
    "pair_pre": lambda op, a, b, base, offset: _pair(op, a, b, base, f"[{{}}, #{offset}]!"),
    "pair_post": lambda op, a, b, base, offset: _pair(op, a, b, base, f"[{{}}], #{offset}"),
    "fp_rr": lambda op, d, dst, a, b: f"{FP_RR[op]} {f(d, dst)}, {f(d, a)}, {f(d, b)}",
    "fp_r": lambda op, d, dst, src: f"{FP_R[op]} {f(d, dst)}, {f(d, src)}",
    "fcmp": lambda d, a, b: f"fcmp {f(d, a)}, {f(d, b)}",
    "fcmp_zero": lambda d, a: f"fcmp {f(d, a)}, #0.0",
    "fccmp": lambda cc, d, a, b, nzcv: f"fccmp {f(d, a)}, {f(d, b)}, #{nzcv}, {CONDITIONS[cc]}",
    "fcsel": lambda cc, d, dst, a, b: f"fcsel {f(d, dst)}, {f(d, a)}, {f(d, b)}, {CONDITIONS[cc]}",
    "fcvt": lambda d, dst, src: f"fcvt {f(1 - d, dst)}, {f(d, src)}",
    "fcvtzs": lambda d, w, dst, src: f"fcvtzs {r(w, dst)}, {f(d, src)}",
    "fcvtzu": lambda d, w, dst, src: f"fcvtzu {r(w, dst)}, {f(d, src)}",
    "scvtf": lambda d, w, dst, src: f"scvtf {f(d, dst)}, {r(w, src)}",
    "ucvtf": lambda d, w, dst, src: f"ucvtf {f(d, dst)}, {r(w, src)}",
    "fmov_to": lambda d, dst, src: f"fmov {f(d, dst)}, {r(d, src)}",
    "fmov_from": lambda d, dst, src: f"fmov {r(d, dst)}, {f(d, src)}",
    "fmov_i": lambda d, dst, imm8: f"fmov {f(d, dst)}, #{_float(d, imm8):.8f}",
    "movi_ones": lambda dst: f"movi v{dst}.2d, #0xffffffffffffffff",
    "ldr_q_literal": lambda dst, distance: f"ldr q{dst}, #{distance}",
    "ins_d": lambda dst, lane, src: f"ins v{dst}.d[{lane}], {r(1, src)}",
    "movi_zero": lambda dst: f"movi v{dst}.2d, #0",
    "movi_sign": lambda dst: f"movi v{dst}.2s, #128, lsl #24",
    "mov_v": lambda dst, src: f"mov v{dst}.16b, v{src}.16b",
    "vector_rr": lambda op, dst, a, b: f"{VECTOR[op]} v{dst}.16b, v{a}.16b, v{b}.16b",
    "cnt": lambda dst, src: f"cnt v{dst}.8b, v{src}.8b",
    "addv": lambda dst, src: f"addv b{dst}, v{src}.8b",
    "dup_b": lambda dst, src: f"dup v{dst}.16b, {r(0, src)}",
}
#: Encoders that have a test of their own, and functions that encode nothing.
SPECIAL = {"mov_ri", "udf"}
NO_ENCODERS = {"size_of", "fits_access", "float_immediate"}

# -- arguments -------------------------------------------------------------------------------------------------------


def encoders() -> dict[str, Callable[..., bytes]]:
    """Every public encoder that :mod:`asm` offers."""
    return {
        name: value
        for name, value in (vars(asm) | vars(asm_floats)).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and ".asm" in value.__module__
        and name not in NO_ENCODERS
    }


PARAMETERS = {name: tuple(inspect.signature(encoder).parameters) for name, encoder in encoders().items()}


def _multiples(low: int, high: int, step: int) -> st.SearchStrategy[int]:
    return st.sampled_from([low, high, 0, step]) | st.integers(low // step, high // step).map(lambda n: n * step)


#: Every logical immediate of each width, made from their definition: a run of ones in an element, rotated, repeated.
def _logical_immediates(width: int) -> list[int]:
    found = set()
    for size in (2, 4, 8, 16, 32, 64):
        if size <= width:
            for ones in range(1, size):
                run = (1 << ones) - 1
                for rotation in range(size):
                    element = (run >> rotation | run << size - rotation) & (1 << size) - 1
                    found.add(int(f"{element:0{size}b}" * (width // size), 2))
    return sorted(found)


LOGICAL = (_logical_immediates(32), _logical_immediates(64))


def _operations(name: str) -> list[object]:
    return list(
        {
            "alu_rr": ALU,
            "alu_rrs": ALU,
            "alu_rrx": ARITHMETIC,
            "alu_ri": ARITHMETIC,
            "logic_ri": LOGIC,
            "shift_rr": range(4),
            "shift_ri": range(4),
            "fp_rr": FP_RR,
            "fp_r": FP_R,
            "vector_rr": VECTOR,
            "pair": PAIRS,
            "pair_pre": PAIRS,
            "pair_post": PAIRS,
        }.get(name, ACCESSES)
    )


def _size(name: str, values: Mapping[str, object]) -> int:
    """Bytes of one register of an access."""
    if "pair" in name:
        return values["op"][1]  # type: ignore[index,no-any-return]
    if name == "ldr":
        return 8 if values["w"] else 4
    return ACCESSES[values["op"]][2]  # type: ignore[index]


def _argument(name: str, parameter: str, values: Mapping[str, object]) -> st.SearchStrategy[object]:
    width = 64 if values.get("w", 1) else 32
    if parameter in ("w", "d", "scaled"):
        return st.integers(0, 1)
    if parameter == "op":
        return st.sampled_from(_operations(name))
    if parameter == "cc":
        # The opposite of "always" is a second "always", which nothing may ask for.
        return st.integers(0, 13 if name == "cset" else 14)
    if parameter == "register":
        return st.sampled_from([number for number in SYSTEM if name == "mrs" or number != asm.CTR_EL0])
    if parameter == "nzcv":
        return st.integers(0, 15)
    if parameter == "extend":
        return st.integers(0, 7)
    if parameter == "shift":
        if name == "alu_rrs":
            return st.integers(0, 2 if values["op"] in ARITHMETIC else 3)
        return st.integers(0, width // 16 - 1).map(lambda n: n * 16)
    if parameter == "count" and name != "shift_rr":
        return st.integers(0, 4 if name == "alu_rrx" else width - 1)
    if parameter in ("immr", "imms"):
        return st.integers(0, width - 1)
    if parameter == "bit":
        return st.integers(0, 63)
    if parameter == "lane":
        return st.integers(0, 1)
    if parameter == "distance":
        return _multiples(-(1 << 20), (1 << 20) - 4, 4)
    if parameter == "imm8":
        return st.integers(0, 255)
    if parameter == "imm":
        if name in ("logic_ri", "tst_ri"):
            return st.sampled_from(LOGICAL[width == 64])
        if name in ("alu_ri", "cmp_ri"):
            small = st.integers(-4095, 4095)
            return small | small.map(lambda n: n << 12)
        return st.integers(0, 31 if name == "ccmp_ri" else 0xFFFF)
    if parameter == "rel":
        bits = {"b": 28, "bl": 28, "tbz": 16, "tbnz": 16}.get(name, 21)
        return _multiples(-(1 << bits - 1), (1 << bits - 1) - 4, 1 if name == "adr" else 4)
    if parameter == "offset":
        size = _size(name, values)
        if "pair" in name:
            return _multiples(-64 * size, 63 * size, size)
        near = st.integers(-256, 255)
        return near if name in ("access_post", "access_pre") else near | _multiples(0, 4095 * size, size)
    return st.integers(0, 31)


def draw_values(data: st.DataObject, name: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for parameter in PARAMETERS[name]:
        values[parameter] = data.draw(_argument(name, parameter, values), parameter)
    return values


def _is_defined(name: str, values: Mapping[str, object]) -> bool:
    """Whether the manual gives the combination a meaning; it leaves a base open that is also loaded or stored."""
    if name in ("access_post", "access_pre"):
        return values["base"] != values["reg"] or values["base"] == 31
    if name.startswith("pair"):
        base, a, b = values["base"], values["a"], values["b"]
        writes = name != "pair"
        loads = PAIRS[values["op"]][0] == "ldp"  # type: ignore[index]
        return not (writes and base != 31 and base in (a, b)) and not (loads and a == b)
    return True


# -- tests -----------------------------------------------------------------------------------------------------------


def test_every_encoder_has_a_case() -> None:
    assert set(encoders()) == set(CASES) | SPECIAL


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_encoding_is_what_keystone_makes_and_capstone_reads(name: str, data: st.DataObject) -> None:
    values = draw_values(data, name)
    assume(_is_defined(name, values))
    wanted = CASES[name](*values.values())
    code = encoders()[name](*values.values())
    assert code.hex(" ") == assemble(wanted).hex(" "), wanted
    # Capstone names some instructions by an alias: what it reads has to be the same text, or assemble to the same word.
    (read,) = disassemble(code)
    if read.startswith("mov ") and wanted.startswith("orr ") and "#" in read:
        # A move of a constant, which keystone makes in its own way: the number is what counts.
        width = 64 if values["w"] else 32
        assert (int(read.partition("#")[2]) - int(wanted.partition("#")[2])) % (1 << width) == 0
        return
    assert read == plain(wanted) or assemble(read) == code, (read, wanted)


@pytest.mark.parametrize("number", [0, 1, 9, 255, 0xFFFF])
def test_udf_carries_its_number(number: int) -> None:
    # Keystone does not know it, nor do all versions of capstone.
    assert asm.udf(number) == number.to_bytes(4, "little")


def _logical_number(field: int, w: int) -> int:
    """What the field of a logical immediate stands for (DDI 0487, ``DecodeBitMasks``)."""
    n = field >> 22 & 1
    rotation = field >> 16 & 0x3F
    imms = field >> 10 & 0x3F
    size = 1 << (n << 6 | ~imms & 0x3F).bit_length() - 1
    run = (1 << (imms & size - 1) + 1) - 1
    rotation &= size - 1
    element = (run >> rotation | run << size - rotation) & (1 << size) - 1
    return int(f"{element:0{size}b}" * ((64 if w else 32) // size), 2)


def _value(code: bytes) -> int:
    """What a register holds after the moves in ``code``, by the manual's definitions of them."""
    value = 0
    for position in range(0, len(code), 4):
        word = int.from_bytes(code[position : position + 4], "little")
        wide = word >> 31
        mask = (1 << (64 if wide else 32)) - 1
        shift = (word >> 21 & 3) * 16
        part = (word >> 5 & 0xFFFF) << shift
        kind = word >> 23 & 0xFF
        if kind == 0b10100101:
            value = part
        elif kind == 0b00100101:
            value = ~part & mask
        elif kind == 0b11100101:
            value = (value & ~(0xFFFF << shift) | part) & mask
        else:
            assert kind == 0b01100100
            assert word >> 5 & 31 == 31
            value = _logical_number(word & 0x7F_FC00, wide)
    return value


#: Numbers that take few instructions, by how many, for a look at the shortest plan: any first instruction, then MOVK.
_HALVES = st.sampled_from([0, 0xFFFF, 0x5555, 0x00FF, 0x8000, 1]) | st.integers(0, 0xFFFF)


@settings(max_examples=400)
@given(parts=st.tuples(_HALVES, _HALVES, _HALVES, _HALVES) | st.tuples(_HALVES, _HALVES, st.just(0), st.just(0)))
def test_mov_ri_gives_the_constant_and_takes_the_fewest_instructions(parts: tuple[int, int, int, int]) -> None:
    imm = sum(part << 16 * index for index, part in enumerate(parts))
    code = asm.mov_ri(3, imm)
    assert _value(code) == imm
    assert all(text.split()[1] in ("x3,", "w3,") for text in disassemble(code))
    if imm >> 63:
        assert asm.mov_ri(3, imm - (1 << 64)) == code
    assert len(code) // 4 == _fewest(parts)


def _fewest(parts: tuple[int, ...]) -> int:
    """The length of the shortest sequence, by looking at all logical immediates."""
    best = min(_different(parts, (0,) * 4), _different(parts, (0xFFFF,) * 4)) or 1
    if parts[2] == parts[3] == 0:
        # In 32 bits the upper half is zero in any case.
        best = min(best, _different(parts[:2], (0xFFFF,) * 2) or 1)
        best = min(best, min(1 + _different(parts[:2], halves) for halves in _LOGICAL_PARTS[0]))
    return min(best, min(1 + _different(parts, halves) for halves in _LOGICAL_PARTS[1]))


def _different(parts: tuple[int, ...], halves: tuple[int, ...]) -> int:
    return sum(map(int.__ne__, parts, halves))


_LOGICAL_PARTS = tuple(
    [tuple(value >> shift & 0xFFFF for shift in range(0, width, 16)) for value in LOGICAL[width == 64]]
    for width in (32, 64)
)


@pytest.mark.parametrize("w", [0, 1])
def test_exactly_the_logical_immediates_have_a_field_and_each_field_means_its_number(w: int) -> None:
    numbers = LOGICAL[w]
    assert len(numbers) == (1302, 5334)[w]
    fields = {number: encoding.logical_immediate(number, w) for number in numbers}
    assert len(set(fields.values())) == len(numbers)
    for number, field in fields.items():
        assert field & ~0x7F_FC00 == 0
        assert _logical_number(field, w) == number


@given(w=st.integers(0, 1), value=st.integers(0, (1 << 64) - 1), flip=st.integers(0, 63))
def test_other_numbers_are_no_logical_immediates(w: int, value: int, flip: int) -> None:
    mask = (1 << (64 if w else 32)) - 1
    for number in (value & mask, LOGICAL[w][value % len(LOGICAL[w])] ^ (1 << flip) & mask, 0, mask):
        known = number in _KNOWN[w]
        assert (encoding.logical_immediate(number, w) >= 0) == known


_KNOWN = tuple(map(set, LOGICAL))


@pytest.mark.parametrize("d", [0, 1])
def test_exactly_256_floats_are_immediates(d: int) -> None:
    import struct

    pack, unpack = ("<d", "<Q") if d else ("<f", "<I")
    for imm8 in range(256):
        (bits,) = struct.unpack(unpack, struct.pack(pack, _float(d, imm8)))
        assert asm.float_immediate(d, bits) == imm8
        assert asm.float_immediate(d, bits ^ 1) == -1
    for number in (0.0, -0.0, 0.1, 32.0, 0.0625, float("inf"), float("nan"), 1e-310):
        (bits,) = struct.unpack(unpack, struct.pack(pack, number))
        assert asm.float_immediate(d, bits) == -1


#: What each parameter refuses, with the arguments that it is refused beside.
def _refused(name: str) -> list[tuple[str, object]]:
    bad: list[tuple[str, object]] = []
    for parameter in PARAMETERS[name]:
        if parameter in ("op", "w", "d", "scaled"):
            continue  # constants in the caller's source, not operands
        if parameter == "rel":
            bits = {"b": 28, "bl": 28, "tbz": 16, "tbnz": 16}.get(name, 21)
            bad += [("rel", 1 << bits - 1), ("rel", -(1 << bits - 1) - (1 if name == "adr" else 4))]
            if name != "adr":
                bad.append(("rel", 2))
        elif parameter == "offset":
            if "pair" in name:
                bad += [("offset", value) for value in (512, -520, 4)]
            elif name in ("access_post", "access_pre"):
                bad += [("offset", value) for value in (256, -257)]
            else:
                bad += [("offset", value) for value in (32768, 257, -257)]
        elif parameter == "imm":
            if name in ("logic_ri", "tst_ri"):
                bad += [("imm", value) for value in (0, -1, (1 << 64) - 1, 5)]
            elif name in ("alu_ri", "cmp_ri"):
                bad += [("imm", value) for value in (4097, -4097, 1 << 24)]
            elif name == "mov_ri":
                bad += [("imm", value) for value in (1 << 64, -(1 << 63) - 1)]
            else:
                bad += [("imm", value) for value in (-1, 32 if name == "ccmp_ri" else 0x1_0000)]
        elif parameter == "distance":
            bad += [("distance", value) for value in (1 << 20, -(1 << 20) - 4, 2)]
        elif parameter == "register":
            bad += [("register", 0), ("register", 0x8000)]
        else:
            least_bad = {"lane": 2, "cc": 15, "nzcv": 16, "extend": 8, "bit": 64, "imm8": 256, "immr": 64, "imms": 64}
            last = least_bad.get(parameter, 32)
            if parameter == "count" and name != "shift_rr":
                last = 5 if name == "alu_rrx" else 64
            if parameter == "shift":
                last = 4 if name == "alu_rrs" else 64
            bad += [(parameter, -1), (parameter, last)]
    return bad


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [(name, *argument) for name in encoders() for argument in _refused(name)],
)
def test_an_operand_out_of_range_is_a_value_error(name: str, parameter: str, value: object) -> None:
    arguments: dict[str, object] = dict.fromkeys(PARAMETERS[name], 1)
    arguments |= {
        "op": next(iter(_operations(name))),
        "offset": 0,
        "rel": 0,
        "distance": 0,
        "register": asm.FPCR,
        "b": 2,
    }
    if "access" in name:
        arguments["op"] = asm.LDR_X
    if "pair" in name:
        arguments["op"] = asm.LDP_X
    if name.startswith("mov") and "shift" in PARAMETERS[name]:
        arguments["shift"] = 16
    arguments = {key: arguments[key] for key in PARAMETERS[name]}
    encoders()[name](**arguments)
    with pytest.raises(
        ValueError, match=r"no such|does not fit|is no |fits no|no shift|no extended|no system|no distance|no multiple"
    ):
        encoders()[name](**(arguments | {parameter: value}))
