"""Encoders of vector instructions on all lanes of a register (DDI 0487, chapter C4, "Data Processing - Scalar
Floating-Point and Advanced SIMD"), with the conventions of :mod:`.asm`; modules of vector rules alone load them.

Instructions of one form differ in a few bits, so one encoder writes a form and takes the operation: a constant with the
opcode bits of the form on 128 bits. ``size`` is the base-2 logarithm of the bytes of a lane; ``d`` is 0 for lanes that
are f32 and 1 for those that are f64. ``high`` is 1 where of the vector with the narrower lanes the upper half counts
(the instructions whose names end with 2), and 0 for the lower half.
"""

from __future__ import annotations

from .encoding import condition, one_register, three_registers, two_registers, unsigned

_Q, _U = 1 << 30, 1 << 29


def _lane_size(size: int, least: int = 0, most: int = 3) -> int:
    """The field of a size that is within the limits."""
    if not least <= size <= most:
        raise ValueError(f"{size} is no such size of lanes")
    return size << 22


# -- three registers of the same shape -----------------------------------------------------------------------------


def _three_same(opcode: int, u: int = 0, size: int = 0) -> int:
    return 0x0E20_0400 | _Q | u * _U | size << 22 | opcode << 11


#: Operations of ``three`` on integers. What is not said to end at 32 bits has lanes of 64 bits too.
ADD, SUB = _three_same(16), _three_same(16, 1)
SQADD, UQADD = _three_same(1), _three_same(1, 1)
SQSUB, UQSUB = _three_same(5), _three_same(5, 1)
CMGT, CMHI = _three_same(6), _three_same(6, 1)
CMGE, CMHS = _three_same(7), _three_same(7, 1)
CMTST, CMEQ = _three_same(17), _three_same(17, 1)
SSHL, USHL = _three_same(8), _three_same(8, 1)
ADDP = _three_same(23)
#: Up to 32 bits.
URHADD = _three_same(2, 1)
SMAX, UMAX = _three_same(12), _three_same(12, 1)
SMIN, UMIN = _three_same(13), _three_same(13, 1)
SMAXP, UMAXP = _three_same(20), _three_same(20, 1)
SMINP, UMINP = _three_same(21), _three_same(21, 1)
MUL, MLA, MLS = _three_same(19), _three_same(18), _three_same(18, 1)
#: Of 16 and 32 bits.
SQDMULH, SQRDMULH = _three_same(22), _three_same(22, 1)
#: Operations of ``bitwise``. BSL selects by the destination's bits, as V_BSL of :mod:`.asm_floats`; BIT puts the first
#: source's bits in where the second one has ones, BIF where it has zeros.
AND, BIC, ORR, ORN = (_three_same(3, 0, size) for size in range(4))
EOR, BSL, BIT, BIF = (_three_same(3, 1, size) for size in range(4))
#: Operations of ``float_three``. FMAX and FMIN give NaN if either is one, FMAXNM and FMINNM the number; FMLA and FMLS
#: add the product to the destination, or subtract it from there, rounding once.
FADD, FSUB = _three_same(26), _three_same(26, 0, 2)
FMUL, FDIV = _three_same(27, 1), _three_same(31, 1)
FMAX, FMIN = _three_same(30), _three_same(30, 0, 2)
FMAXNM, FMINNM = _three_same(24), _three_same(24, 0, 2)
FMLA, FMLS = _three_same(25), _three_same(25, 0, 2)
FCMEQ, FCMGE, FCMGT = _three_same(28), _three_same(28, 1), _three_same(28, 1, 2)
FADDP = _three_same(26, 1)

_NOT_64 = frozenset({URHADD, SMAX, UMAX, SMIN, UMIN, SMAXP, UMAXP, SMINP, UMINP, MUL, MLA, MLS})
_DOUBLING = frozenset({SQDMULH, SQRDMULH})


def three(op: int, size: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b``, lane by lane; those whose names end with P take neighbours as the two operands."""
    if op in _NOT_64:
        return three_registers(op | _lane_size(size, 0, 2), dst, a, b)
    if op in _DOUBLING:
        return three_registers(op | _lane_size(size, 1, 2), dst, a, b)
    return three_registers(op | _lane_size(size), dst, a, b)


def bitwise(op: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b`` on 128 bits."""
    return three_registers(op, dst, a, b)


def float_three(op: int, d: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b``, lane by lane."""
    return three_registers(op | d << 22, dst, a, b)


# -- two registers ---------------------------------------------------------------------------------------------------


def _two_misc(opcode: int, u: int = 0, size: int = 0) -> int:
    return 0x0E20_0800 | _Q | u * _U | size << 22 | opcode << 12


#: Operations of ``two`` on lanes of any size. The comparisons are with 0.
CMGT_ZERO, CMGE_ZERO = _two_misc(8), _two_misc(8, 1)
CMEQ_ZERO, CMLE_ZERO = _two_misc(9), _two_misc(9, 1)
CMLT_ZERO = _two_misc(10)
ABS, NEG = _two_misc(11), _two_misc(11, 1)
#: Each with the sizes of the lanes that it has: REV reverses these lanes in the bits that its name says, and the others
#: add neighbours up into lanes twice as wide, SADALP and UADALP onto what is there.
REV64, REV32, REV16 = _two_misc(0), _two_misc(0, 1), _two_misc(1)
SADDLP, UADDLP = _two_misc(2), _two_misc(2, 1)
SADALP, UADALP = _two_misc(6), _two_misc(6, 1)
#: On bytes alone.
CNT, NOT, RBIT = _two_misc(5), _two_misc(5, 1), _two_misc(5, 1, 1)
#: Operations of ``narrow``: truncated, saturated as signed from signed, unsigned from signed, unsigned from unsigned.
XTN, SQXTN, SQXTUN, UQXTN = (
    opcode & ~_Q for opcode in (_two_misc(18), _two_misc(20), _two_misc(18, 1), _two_misc(20, 1))
)
#: Operations of ``float_two``: comparisons with 0.0, those of one operand, and conversions from and to integers.
FCMGT_ZERO, FCMGE_ZERO = _two_misc(12, 0, 2), _two_misc(12, 1, 2)
FCMEQ_ZERO, FCMLE_ZERO = _two_misc(13, 0, 2), _two_misc(13, 1, 2)
FCMLT_ZERO = _two_misc(14, 0, 2)
FABS, FNEG, FSQRT = _two_misc(15, 0, 2), _two_misc(15, 1, 2), _two_misc(31, 1, 2)
FRINTN, FRINTM = _two_misc(24), _two_misc(25)
FRINTP, FRINTZ = _two_misc(24, 0, 2), _two_misc(25, 0, 2)
FCVTZS, FCVTZU = _two_misc(27, 0, 2), _two_misc(27, 1, 2)
SCVTF, UCVTF = _two_misc(29), _two_misc(29, 1)

#: The largest size of a lane, where it is not 64 bits.
_LARGEST = {REV64: 2, REV32: 1, REV16: 0, SADDLP: 2, UADDLP: 2, SADALP: 2, UADALP: 2, CNT: 0, NOT: 0, RBIT: 0}


def two(op: int, size: int, dst: int, src: int) -> bytes:
    """``dst = op src``, lane by lane; ``size`` is that of the source's lanes."""
    return two_registers(op | _lane_size(size, 0, _LARGEST.get(op, 3)), dst, src)


def float_two(op: int, d: int, dst: int, src: int) -> bytes:
    """``dst = op src``, lane by lane; integers are as wide as the floats."""
    return two_registers(op | d << 22, dst, src)


def narrow(op: int, size: int, high: int, dst: int, src: int) -> bytes:
    """Lanes of ``src`` as ones half as wide, of the size ``size``, in a half of ``dst``: in the lower one with zeros
    above, or in the upper one with what is below kept.
    """
    return two_registers(op | high << 30 | _lane_size(size, 0, 2), dst, src)


def fcvtl(high: int, dst: int, src: int) -> bytes:
    """FCVTL, FCVTL2: two f32 of a half of ``src`` as two f64."""
    return two_registers(0x0E61_7800 | high << 30, dst, src)


def fcvtn(high: int, dst: int, src: int) -> bytes:
    """FCVTN, FCVTN2: two f64 as two f32 in a half of ``dst``, as :func:`narrow`."""
    return two_registers(0x0E61_6800 | high << 30, dst, src)


def shll(size: int, high: int, dst: int, src: int) -> bytes:
    """SHLL, SHLL2: lanes of a half of ``src``, of the size ``size``, as the upper halves of lanes twice as wide."""
    return two_registers(0x2E21_3800 | high << 30 | _lane_size(size, 0, 2), dst, src)


# -- three registers of different shapes -----------------------------------------------------------------------------


def _three_different(opcode: int, u: int = 0) -> int:
    return 0x0E20_0000 | u * _U | opcode << 12


#: Operations of ``long``. A lane of the result is the sum, difference, product, or product and what is there, of lanes
#: half as wide; those with a W add such a lane to one of the result's width.
SADDL, UADDL = _three_different(0), _three_different(0, 1)
SADDW, UADDW = _three_different(1), _three_different(1, 1)
SSUBL, USUBL = _three_different(2), _three_different(2, 1)
SMLAL, UMLAL = _three_different(8), _three_different(8, 1)
SMULL, UMULL = _three_different(12), _three_different(12, 1)


def long(op: int, size: int, high: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b``, where ``size`` is that of the narrower lanes, and ``high`` says which half of these."""
    return three_registers(op | high << 30 | _lane_size(size, 0, 2), dst, a, b)


# -- across lanes ----------------------------------------------------------------------------------------------------


def _across(opcode: int, u: int = 0) -> int:
    return 0x0E30_0800 | _Q | u * _U | opcode << 12


#: Operations of ``across``: the sum, and the sum as a number twice as wide; the greatest and the least.
ADDV, SADDLV, UADDLV = _across(27), _across(3), _across(3, 1)
SMAXV, UMAXV = _across(10), _across(10, 1)
SMINV, UMINV = _across(26), _across(26, 1)


def across(op: int, size: int, dst: int, src: int) -> bytes:
    """One lane from all lanes of ``src``, with zeros above it."""
    return two_registers(op | _lane_size(size, 0, 2), dst, src)


def addp_scalar(dst: int, src: int) -> bytes:
    """ADDP (scalar): the sum of the two lanes of 64 bits, with zeros above it."""
    return two_registers(0x5EF1_B800, dst, src)


# -- shifts by a number ----------------------------------------------------------------------------------------------


def _shift(opcode: int, u: int = 0) -> int:
    return 0x0F00_0400 | _Q | u * _U | opcode << 11


#: Operations of ``shift_left``: SLI keeps the destination's bits where zeros would come in.
SHL, SLI = _shift(10), _shift(10, 1)
#: Operations of ``shift_right``: SSRA and USRA add to the destination, SRI keeps its bits where zeros would come in.
SSHR, USHR = _shift(0), _shift(0, 1)
SSRA, USRA = _shift(2), _shift(2, 1)
SRI = _shift(8, 1)
#: Operations of ``shift_long``.
SSHLL, USHLL = (opcode & ~_Q for opcode in (_shift(20), _shift(20, 1)))
#: Operations of ``shift_narrow``: truncated, then as those of ``narrow``.
SHRN, SQSHRN, SQSHRUN, UQSHRN = (opcode & ~_Q for opcode in (_shift(16), _shift(18), _shift(16, 1), _shift(18, 1)))


def _shift_field(size: int, count: int, right: bool, most: int = 3) -> int:
    """immh:immb: the width of a lane and the count in one number."""
    _lane_size(size, 0, most)
    bits = 8 << size
    if not right <= count < bits + right:
        raise ValueError(f"a shift by {count} does not fit lanes of {bits} bits")
    return (2 * bits - count if right else bits + count) << 16


def shift_left(op: int, size: int, dst: int, src: int, count: int) -> bytes:
    """``dst = src << count``, from 0 to below the width of a lane."""
    return two_registers(op | _shift_field(size, count, False), dst, src)


def shift_right(op: int, size: int, dst: int, src: int, count: int) -> bytes:
    """``dst = src >> count``, from 1 to the width of a lane."""
    return two_registers(op | _shift_field(size, count, True), dst, src)


def shift_long(op: int, size: int, high: int, dst: int, src: int, count: int) -> bytes:
    """Lanes of a half of ``src``, which have the size ``size``, as ones twice as wide, shifted left."""
    return two_registers(op | high << 30 | _shift_field(size, count, False, 2), dst, src)


def shift_narrow(op: int, size: int, high: int, dst: int, src: int, count: int) -> bytes:
    """Lanes of ``src``, shifted right, as ones half as wide, of the size ``size``, in a half of ``dst``, as
    :func:`narrow`.
    """
    return two_registers(op | high << 30 | _shift_field(size, count, True, 2), dst, src)


# -- lanes -----------------------------------------------------------------------------------------------------------


def _lane(size: int, lane: int) -> int:
    """imm5: the size is the lowest one, the lane what is above it."""
    _lane_size(size)
    if not 0 <= lane < 16 >> size:
        raise ValueError(f"no such lane: {lane}")
    return (2 * lane + 1) << size + 16


def dup(size: int, dst: int, src: int) -> bytes:
    """DUP (general): a general register's lower bits in all lanes."""
    return two_registers(0x4E00_0C00 | _lane(size, 0), dst, src)


def dup_lane(size: int, dst: int, src: int, lane: int) -> bytes:
    """DUP (element): one lane in all lanes."""
    return two_registers(0x4E00_0400 | _lane(size, lane), dst, src)


def dup_scalar(size: int, dst: int, src: int, lane: int) -> bytes:
    """DUP (element, scalar): one lane as the lowest, with zeros above it."""
    return two_registers(0x5E00_0400 | _lane(size, lane), dst, src)


def ins(size: int, dst: int, lane: int, src: int) -> bytes:
    """INS (general): a general register's lower bits as one lane; the other lanes stay."""
    return two_registers(0x4E00_1C00 | _lane(size, lane), dst, src)


def ins_lane(size: int, dst: int, lane: int, src: int, source_lane: int) -> bytes:
    """INS (element): one lane as another; the other lanes stay."""
    source = (_lane(size, source_lane) >> size + 17) << size
    return two_registers(0x6E00_0400 | _lane(size, lane) | source << 11, dst, src)


def umov(size: int, dst: int, src: int, lane: int) -> bytes:
    """UMOV: a lane as a general register, with zeros above it."""
    return two_registers(0x0E00_3C00 | (_Q if size == 3 else 0) | _lane(size, lane), dst, src)


def smov(size: int, w: int, dst: int, src: int, lane: int) -> bytes:
    """SMOV: a lane of up to 16 bits, or 32 as 64, as a general register, sign-extended."""
    _lane_size(size, 0, 1 + w)
    return two_registers(0x0E00_2C00 | w << 30 | _lane(size, lane), dst, src)


# -- permutations ----------------------------------------------------------------------------------------------------

#: Operations of ``permute``: even lanes of both and odd ones (UZP), even lanes by turns and odd ones (TRN), lanes of
#: the lower halves by turns and of the upper ones (ZIP); lanes of the first source come first.
UZP1, TRN1, ZIP1 = (0x4E00_0800 | opcode << 12 for opcode in (1, 2, 3))
UZP2, TRN2, ZIP2 = (0x4E00_0800 | opcode << 12 for opcode in (5, 6, 7))
#: Operations of ``table``: an index beyond the table gives 0, or leaves the destination's byte.
TBL, TBX = 0x4E00_0000, 0x4E00_1000


def permute(op: int, size: int, dst: int, a: int, b: int) -> bytes:
    """ZIP1 and its siblings."""
    return three_registers(op | _lane_size(size), dst, a, b)


def ext(dst: int, a: int, b: int, first: int) -> bytes:
    """EXT: 16 bytes of ``a`` and, after it, ``b``, from the byte ``first``, which is below 16."""
    return three_registers(0x6E00_0000 | unsigned(first, 4) << 11, dst, a, b)


def table(op: int, count: int, dst: int, first: int, indices: int) -> bytes:
    """Bytes of a table in ``count`` registers, from 1 to 4: ``first`` and those after it, where v0 comes after v31."""
    if not 1 <= count <= 4:
        raise ValueError(f"no such table of {count} registers")
    return three_registers(op | count - 1 << 13, dst, first, indices)


# -- immediates ------------------------------------------------------------------------------------------------------

#: Operations of ``immediate``: the number, its complement, and OR and AND NOT with the number.
MOVI, MVNI = 0x4F00_0400, 0x6F00_0400
ORR_I, BIC_I = 0x4F00_1400, 0x6F00_1400


def _imm8(imm8: int) -> int:
    """The bits a to c, and d to h."""
    unsigned(imm8, 8)
    return imm8 >> 5 << 16 | (imm8 & 31) << 5


def immediate(op: int, size: int, dst: int, imm8: int, shift: int = 0) -> bytes:
    """A number of 8 bits, shifted left by a multiple of 8 within the lane, in each lane of 16 or 32 bits."""
    _lane_size(size, 1, 2)
    if shift & 7 or not 0 <= shift < 8 << size:
        raise ValueError(f"no shift by {shift}")
    return one_register(op | (0x8000 if size == 1 else 0) | shift >> 3 << 13 | _imm8(imm8), dst)


def movi_b(dst: int, imm8: int) -> bytes:
    """MOVI of a number to all bytes."""
    return one_register(0x4F00_E400 | _imm8(imm8), dst)


def movi_mask(dst: int, imm8: int) -> bytes:
    """MOVI to both lanes of 64 bits: each bit of ``imm8`` makes a byte of ones or zeros, the lowest the lowest."""
    return one_register(0x6F00_E400 | _imm8(imm8), dst)


def fmov_lanes(d: int, dst: int, imm8: int) -> bytes:
    """FMOV (vector, immediate): the number of :func:`.asm_floats.float_immediate` in all lanes."""
    return one_register(0x4F00_F400 | d << 29 | _imm8(imm8), dst)


# -- loads and stores ------------------------------------------------------------------------------------------------

#: Operations for ``access`` of :mod:`.asm_mov` and its siblings; a load clears the rest of the register.
STR_B, LDR_B = 0x3D00_0000, 0x3D40_0000
STR_H, LDR_H = 0x7D00_0000, 0x7D40_0000
#: Operations of ``access_lane``.
ST1, LD1 = 0x0D00_0000, 0x0D40_0000


def access_lane(op: int, size: int, reg: int, lane: int, base: int) -> bytes:
    """A load of one lane, while the others stay, or its store, at ``[base]``, where 31 is the stack pointer."""
    _lane(size, lane)
    place = lane << size
    opcode = (0, 2, 4, 4)[size] << 13 | (0x400 if size == 3 else 0)
    return two_registers(op | place >> 3 << 30 | opcode | (place & 7) << 10, reg, base)


def ld1r(size: int, dst: int, base: int) -> bytes:
    """LD1R: what is at ``[base]`` in all lanes; 31 is the stack pointer."""
    _lane_size(size)
    return two_registers(0x4D40_C000 | size << 10, dst, base)


# -- general registers -------------------------------------------------------------------------------------------------


def csetm(cc: int, dst: int) -> bytes:
    """CSETM: 64 ones if the condition holds, else zeros."""
    return one_register(0xDA9F_03E0 | condition(cc ^ 1, 14), dst)
