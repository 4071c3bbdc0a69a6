"""Faults of vector code, which modules rich in it have to find; `tests.differential.planted` has the others."""

from __future__ import annotations

from functools import partial

from tests.differential.planting import Fault

_BITS = "backends/x86_64/vector_bits.py"
_LANES = "backends/x86_64/vector_lanes.py"
_SHUFFLES = "backends/x86_64/vector_shuffles.py"
_INTEGERS = "backends/x86_64/vector_integers.py"
_PRODUCTS = "backends/x86_64/vector_products.py"
_FLOATS = "backends/x86_64/vector_floats.py"
_CONVERSIONS = "backends/x86_64/vector_conversions.py"
_MEMORY = "backends/x86_64/vector_memory.py"
_CALLS = "backends/x86_64/calls.py"
_FRAMES = "backends/x86_64/frames.py"
_SELECTION = "backends/x86_64/selection.py"
_INSTRUCTIONS = "compiler/instructions/vectors.py"
_LITERALS = "compiler/literals.py"

_fault = partial(Fault, simd=True)

FAULTS = [
    # -- lanes --
    _fault(
        "lane-off-by-one",
        "a lane that is taken out of a vector, counted from 1",
        _LANES,
        "packed.emit_1i(s, op, dst, source, lane)",
        "packed.emit_1i(s, op, dst, source, lane + 1 & 7)",
    ),
    _fault(
        "lane-without-its-sign",
        "a lane of 16 bits whose sign is not extended, where it comes out of a register",
        _LANES,
        "lambda dst, base, disp: asm.movsx16_rm(0, dst, base, disp), asm.movsx16_rr",
        "lambda dst, base, disp: asm.movsx16_rm(0, dst, base, disp), asm.movzx16_rr",
    ),
    _fault(
        "replaced-lane-is-another-one",
        "the immediate of insertps: source and destination exchanged",
        _LANES,
        "source, b, lane << 4)",
        "source, b, lane << 6)",
    ),
    _fault(
        "splat-of-wrong-width",
        "a broadcast of the next width",
        _LANES,
        "_integer_splat(16, v.VPBROADCASTW)",
        "_integer_splat(16, v.VPBROADCASTD)",
    ),
    _fault(
        "swizzle-index-modulo",
        "an index out of range that chooses a byte, as the processor's own instruction has it",
        _LANES,
        '"i8x16.swizzle": _swizzle,',
        '"i8x16.swizzle": packed.binary(v.PSHUFB),',
    ),
    _fault(
        "constant-swizzle-index-modulo",
        "the same for indices that are constants, where the compiler is to see to it",
        _INSTRUCTIONS,
        "lane if lane < 16 else 128 for lane",
        "lane for lane",
    ),
    # -- shuffles --
    _fault(
        "rotation-the-wrong-way",
        "the operands of palignr exchanged",
        _SHUFFLES,
        "apply_i(s, sink, v.PALIGNR, b, a, first)",
        "apply_i(s, sink, v.PALIGNR, a, b, first)",
    ),
    _fault(
        "high-words-shuffled-as-low",
        "low and high half exchanged where four lanes stay",
        _SHUFFLES,
        "packed.emit_1i(s, v.PSHUFHW, dst, a, _selectors(high))",
        "packed.emit_1i(s, v.PSHUFLW, dst, a, _selectors(high))",
    ),
    _fault(
        "blend-mask-in-bytes",
        "the order of the bits in a blend's mask",
        _SHUFFLES,
        "sum([bit << at for at, bit in enumerate(words)])",
        "sum([bit << 7 - at for at, bit in enumerate(words)])",
    ),
    # -- bits --
    _fault(
        "bitselect-exchanged",
        "the two values that a mask chooses from exchanged",
        _BITS,
        "        emit(s, v.PANDN, others, mask.reg, b)\n        emit(s, v.PAND, work, first, mask)\n",
        "        emit(s, v.PAND, others, mask.reg, b)\n        emit(s, v.PANDN, work, mask.reg, a)\n",
    ),
    _fault(
        "andnot-exchanged",
        "the processor complements its first operand, WebAssembly the second",
        _BITS,
        '"v128.andnot": packed.swapped(v.PANDN),',
        '"v128.andnot": packed.binary(v.PANDN),',
    ),
    _fault(
        "mask-of-the-wrong-bytes",
        "the bits of low bytes tested for the signs of words",
        _BITS,
        "_bitmask(v.PMOVMSKB, 0xAAAA)",
        "_bitmask(v.PMOVMSKB, 0x5555)",
    ),
    _fault(
        "mask-with-twice-the-bits",
        "a mask of 8 lanes whose upper bits are those of a copy",
        _BITS,
        "            s.code += asm.movzx8_rr(dst, dst)\n",
        "",
    ),
    _fault(
        "all-true-of-bytes",
        "a test of lanes of 64 bits as if they were two of 32",
        _BITS,
        '"i64x2.all_true": _all_true(v.PCMPEQQ)',
        '"i64x2.all_true": _all_true(v.PCMPEQD)',
    ),
    # -- integers --
    _fault(
        "unsigned-words-as-signed",
        "signedness exchanged for one width",
        _INTEGERS,
        '("u", (v.PMINUB, v.PMINUW, v.PMINUD)',
        '("u", (v.PMINUB, v.PMINSW, v.PMINUD)',
    ),
    _fault(
        "saturation-lost",
        "a saturating addition that wraps",
        _INTEGERS,
        '("i8x16.add_sat_u", v.PADDUSB, True)',
        '("i8x16.add_sat_u", v.PADDB, True)',
    ),
    _fault(
        "narrowing-saturates-as-signed",
        "the bounds of the other signedness",
        _INTEGERS,
        '("i16x8.narrow_i32x4_u", v.PACKUSDW, False)',
        '("i16x8.narrow_i32x4_u", v.PACKSSDW, False)',
    ),
    _fault(
        "narrowing-exchanged",
        "two operands exchanged, as if their order did not matter",
        _INTEGERS,
        '("i8x16.narrow_i16x8_s", v.PACKSSWB, False)',
        '("i8x16.narrow_i16x8_s", v.PACKSSWB, True)',
    ),
    _fault(
        "shift-count-not-modulo",
        "a variable count that is as wide as a lane shifts everything out",
        _INTEGERS,
        "asm.alu_ri(asm.AND, 0, reg, bits - 1)",
        "asm.alu_ri(asm.AND, 0, reg, 255)",
    ),
    _fault(
        "constant-shift-count-not-modulo",
        "the same for counts that are constants, where the compiler is to see to it",
        _INSTRUCTIONS,
        "count.value & _COUNTS[op]",
        "count.value & 63",
    ),
    _fault(
        "low-half-for-high",
        "the wrong half made wider",
        _INTEGERS,
        "v.PMOVZXWD, v.PUNPCKHWD)",
        "v.PMOVZXWD, v.PUNPCKLWD)",
    ),
    _fault(
        "q15-saturation-lost",
        "-1 times -1 in Q15, which does not fit",
        _PRODUCTS,
        "    emit(s, v.PXOR, result.reg, result.reg, wrong)\n",
        "",
    ),
    # -- floats --
    _fault(
        "pmin-exchanged",
        "which operand a NaN or a zero of the other sign gives",
        _FLOATS,
        '"pmin": swapped(_MIN[double])',
        '"pmin": binary(_MIN[double])',
    ),
    _fault(
        "minimum-without-nan",
        "a minimum whose NaN is lost in one order",
        _FLOATS,
        "        emit(s, op, other, second, first)\n",
        "        emit(s, op, other, first, second)\n",
    ),
    _fault(
        "truncation-saturates-low",
        "what is too large made the least number",
        _CONVERSIONS,
        "    emit(s, v.PXOR, dst, dst, too_large)\n",
        "",
    ),
    # -- memory --
    _fault(
        "load-extends-the-other-way",
        "a load that extends signs and should not",
        _MEMORY,
        '"v128.load16x4_u": v.PMOVZXWD',
        '"v128.load16x4_u": v.PMOVSXWD',
    ),
    _fault(
        "stored-lane-is-the-first",
        "a lane that is stored without regard to its number",
        _MEMORY,
        'elif name == "v128.store32_lane" and lane == 0:',
        'elif name == "v128.store32_lane" and lane <= 1:',
    ),
    # -- places --
    _fault(
        "literal-of-its-neighbour",
        "a constant beside the code, read 16 bytes off",
        _LITERALS,
        "emit_fixups(c, (site,), place)",
        "emit_fixups(c, (site,), place - 16)",
    ),
    _fault(
        "half-of-a-slot-copied",
        "8 of 16 bytes of a value that a branch takes along",
        _FRAMES,
        "            code += asm.movups_mr(FRAME, target - 16 * index, 0)\n",
        "            code += asm.movs_mr(1, FRAME, target - 16 * index, 0)\n",
    ),
    _fault(
        "half-of-an-argument",
        "the lower half of an argument twice in the argument area",
        _CALLS,
        "asm.push_m(FRAME, operand.offset + 8) + asm.push_m(FRAME, operand.offset)",
        "asm.push_m(FRAME, operand.offset) + asm.push_m(FRAME, operand.offset)",
    ),
    _fault(
        "half-of-a-fetched-argument",
        "an argument that is loaded into its register as an f64",
        _CALLS,
        "    if type_ == V128:\n        return asm.movups_rm(reg, base, offset)",
        "    if type_ == V128:\n        return asm.movs_rm(1, reg, base, offset)",
    ),
    _fault(
        "half-of-a-result",
        "8 of 16 bytes of one of several results",
        _CALLS,
        "asm.movups_rm(1, RCX, cell + 16 * k) + asm.movups_mr(FRAME, slot - 16 * k, 1)",
        "asm.movups_rm(1, RCX, cell + 16 * k) + asm.movs_mr(1, FRAME, slot - 16 * k, 1)",
    ),
    _fault(
        "upper-half-not-saved",
        "a register that a callee restores, but for its upper half",
        _FRAMES,
        "asm.movups_rm(FLOAT_PINNED[j], FRAME, saved_float_offset(j))",
        "asm.movs_rm(1, FLOAT_PINNED[j], FRAME, saved_float_offset(j))",
    ),
    _fault(
        "half-of-the-locals-zeroed",
        "cells counted as if they had 8 bytes",
        _FRAMES,
        "        first += 8\n        count *= 2\n",
        "        first += 8\n",
    ),
    _fault(
        "spilled-vector-in-halves",
        "the upper half of a constant that goes to the frame is its lower one",
        _SELECTION,
        "value=operand.value >> 64 * half & 0xFFFF_FFFF_FFFF_FFFF",
        "value=operand.value >> 32 * half & 0xFFFF_FFFF_FFFF_FFFF",
    ),
    _fault(
        "unaligned-slot",
        "slots of vectors at odd multiples of 8, which instructions that read memory trap on",
        _FRAMES,
        "    return -width - before\n",
        "    return -8 - before\n",
        cpu="baseline",
    ),
]
