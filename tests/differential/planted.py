"""The faults that the differential check and the suite have to find, each like a bug that compilers have had."""

from __future__ import annotations

from tests.differential.planting import Fault

_INTEGERS = "backends/x86_64/integers.py"
_BITS = "backends/x86_64/bits.py"
_DIVISION = "backends/x86_64/division.py"
_FLOATS = "backends/x86_64/floats.py"
_CONVERSIONS = "backends/x86_64/conversions.py"
_MEMORY = "backends/x86_64/memory.py"
_CONTROL = "backends/x86_64/control.py"
_CALLS = "backends/x86_64/calls.py"
_FRAMES = "backends/x86_64/frames.py"
_SELECTION = "backends/x86_64/selection.py"
_BULK = "backends/x86_64/bulk.py"
_STUBS = "backends/x86_64/stubs.py"
_OPERAND_STACK = "compiler/operand_stack.py"
_RUNS = "compiler/runs.py"
_BLOCKS = "compiler/instructions/blocks.py"
_BRANCHES = "compiler/instructions/branches.py"
_CALLS_OF_COMPILER = "compiler/instructions/calls.py"

#: Their names are what `python -m tests.differential.faults NAME` takes.
FAULTS = [
    # -- integers --
    Fault(
        "unsigned-less-is-signed",
        "a wrong condition code in the table of comparisons",
        _INTEGERS,
        '"lt_u": asm.CC_B,',
        '"lt_u": asm.CC_L,',
    ),
    Fault(
        "exchanged-comparison",
        "operands of a comparison exchanged for a better encoding, and its condition kept",
        _INTEGERS,
        "            holds = SWAPPED[holds]\n",
        "",
    ),
    Fault(
        "subtraction-swapped",
        "b - a where the result replaces the second operand",
        _INTEGERS,
        "            if commutative:\n                a, b = b, a\n            else:\n                scratch = s.scr",
        "            if True:\n                a, b = b, a\n            else:\n                scratch = s.scr",
    ),
    Fault(
        "remainder-by-minus-one",
        "the most negative number modulo -1 left to idiv, which traps",
        _DIVISION,
        "            if remainder and not (",
        "            if False and not (",
    ),
    Fault(
        "wide-shift-count",
        "the count of a 64-bit shift taken modulo 32",
        _BITS,
        "    mask = 63 if wide else 31\n",
        "    mask = 31\n",
    ),
    Fault(
        "divide-by-power",
        "a strength reduction that is off by one",
        _DIVISION,
        "b.value.bit_length() - 1)",
        "b.value.bit_length())",
    ),
    Fault(
        "clz-of-zero",
        "the special value for a count of leading zeros of 0 is off by one",
        _BITS,
        "2 * bits - 1)\n            s.code += asm.cmovcc_rr",
        "2 * bits - 2)\n            s.code += asm.cmovcc_rr",
    ),
    Fault(
        "eqz-of-flags",
        "a test of a pending comparison that does not invert its condition",
        _INTEGERS,
        "materialise(s, sink, invert(a.value), 0)",
        "materialise(s, sink, a.value, 0)",
    ),
    Fault(
        "wrap-keeps-upper-half",
        "a missing zero-extension: an i32 whose upper half is not zero",
        _INTEGERS,
        '            s.code += asm.mov_rr(0, dst, source)\n        elif name == "zero"',
        '            s.code += asm.mov_rr(1, dst, source)\n        elif name == "zero"',
    ),
    Fault(
        "shift-count-in-rcx",
        "a register that an instruction needs for itself, and that nobody is moved out of",
        _BITS,
        " else _RCX\n",
        " else 0\n",
    ),
    # -- floats and conversions --
    Fault(
        "equal-to-nan",
        "a jump on equality of floats that does not ask for parity",
        _CONTROL,
        "return (asm.jcc_rel8(asm.CC_P, len(taken)) + taken,)",
        "return (taken,)",
    ),
    Fault(
        "minimum-of-zeros",
        "the sign of the minimum of 0 and -0",
        _FLOATS,
        "(asm.orps_rr if op == asm.SSE_MIN else asm.andps_rr)",
        "(asm.orps_rr if op != asm.SSE_MIN else asm.andps_rr)",
    ),
    Fault(
        "nearest-truncates",
        "a wrong rounding mode",
        _FLOATS,
        '("nearest", _ROUND_NEAREST)',
        '("nearest", _ROUND_TO_ZERO)',
    ),
    Fault(
        "copysign-swapped",
        "the sign of the first operand with the magnitude of the second",
        _FLOATS,
        "        s.code += asm.andnps_rr(work, s.in_float_register(a))\n"
        "        s.code += asm.andps_rr(mask, s.in_float_register(b))\n",
        "        s.code += asm.andnps_rr(work, s.in_float_register(b))\n"
        "        s.code += asm.andps_rr(mask, s.in_float_register(a))\n",
    ),
    Fault(
        "u64-to-float-rounds-twice",
        "the lowest bit lost before a conversion rounds",
        _CONVERSIONS,
        "            halved += asm.alu_rr(asm.OR, 1, half, low)\n",
        "",
    ),
    Fault(
        "u32-to-float-signed",
        "a conversion of an unsigned number as a signed one of the same width",
        _CONVERSIONS,
        "            s.code += asm.cvtsi2s(double, 1, dst, source)\n",
        "            s.code += asm.cvtsi2s(double, 0, dst, source)\n",
    ),
    Fault(
        "truncation-bound",
        "a bound that is exclusive where it has to be inclusive: -2**31 is refused",
        _CONVERSIONS,
        "(0xCF000001, 0xC1E0000000200000)",
        "(0xCF000000, 0xC1E0000000200000)",
    ),
    Fault(
        "saturated-nan",
        "a NaN that is taken for a large negative number",
        _CONVERSIONS,
        "            fix.code += asm.jcc_rel8(asm.CC_P, len(not_nan))\n",
        "            fix.code += asm.jcc_rel8(asm.CC_O, len(not_nan))\n",
    ),
    Fault(
        "trap-of-nan",
        "the wrong trap for the conversion of a NaN",
        _CONVERSIONS,
        "    s.code += asm.ud1(TRAP_BAD_CONVERSION)\n",
        "    s.code += asm.ud1(TRAP_INTEGER_OVERFLOW)\n",
    ),
    # -- memory --
    Fault(
        "load16-zero-extends",
        "a signed load that extends with zeros",
        _MEMORY,
        '"i32.load16_s": (I32, asm.movsx16_rx, asm.movsx16_rm, (0,))',
        '"i32.load16_s": (I32, asm.movzx16_rx, asm.movzx16_rm, ())',
    ),
    Fault(
        "bounds-off-by-one",
        "an explicit bounds check that refuses the last byte",
        _MEMORY,
        "        s.code += asm.jcc_rel8(asm.CC_BE, 4)\n",
        "        s.code += asm.jcc_rel8(asm.CC_B, 4)\n",
    ),
    Fault(
        "address-wraps",
        "index and offset added up in 32 bits",
        _MEMORY,
        "        s.code += asm.alu_ri(asm.ADD, 1, reg, step)\n",
        "        s.code += asm.alu_ri(asm.ADD, 0, reg, step)\n",
    ),
    Fault(
        "copy-never-downwards",
        "memory.copy upwards where the destination begins inside the source",
        _BULK,
        '    a.jcc(asm.CC_B, "downwards")\n',
        "",
    ),
    Fault(
        "fill-with-more-than-a-byte",
        "memory.fill with a value that is not cut to a byte",
        _BULK,
        "        asm.movzx8_rr(RSI, RSI),\n        asm.mov_ri(RCX",
        "        asm.mov_ri(RCX",
    ),
    # -- locals, spills, select --
    Fault(
        "stale-local",
        "an entry that refers to a local's old value when the local is assigned",
        _OPERAND_STACK,
        "    if local in stack[window:]:\n",
        "    if False:\n",
    ),
    Fault(
        "sink-over-old-value",
        "a result put into a local at once though its old value is still on the stack",
        _OPERAND_STACK,
        "        if stack[index] is local or top - index > WINDOW:\n",
        "        if top - index > WINDOW:\n",
    ),
    Fault(
        "f64-spilled-as-f32",
        "a spill of 4 bytes of 8",
        _SELECTION,
        "asm.movs_mr(0 if operand.type == F32 else 1, base",
        "asm.movs_mr(0, base",
    ),
    Fault(
        "lost-spill-at-call",
        "temporaries that nobody saves before a call",
        _CALLS_OF_COMPILER,
        "        evict(c, all_free & ~held, c.free, ())\n    c.out += text",
        "        pass\n    c.out += text",
    ),
    Fault(
        "local-not-zeroed",
        "one pair of locals too few is zeroed at entry",
        _FRAMES,
        "        for _ in range(count // 2):\n",
        "        for _ in range(count // 2 - 1):\n",
    ),
    Fault(
        "pinned-not-restored",
        "the last callee-saved register is not restored",
        _FRAMES,
        'saved_int_offset(i)) for i in range(ints))\n    return code + b"".join(asm.movups_rm(',
        'saved_int_offset(i)) for i in range(ints - 1))\n    return code + b"".join(asm.movups_rm(',
    ),
    Fault(
        "select-not-inverted",
        "a conditional move whose operands were exchanged and whose condition was not",
        _INTEGERS,
        "            opposite = (invert(opposite[0]),)\n",
        "            opposite = (opposite[0],)\n",
    ),
    # -- control --
    Fault(
        "jump-table-bound",
        "an index that is one too large reads past a jump table",
        _CONTROL,
        "asm.jcc_rel32(asm.CC_AE, 0),\n        asm.lea_rip",
        "asm.jcc_rel32(asm.CC_A, 0),\n        asm.lea_rip",
    ),
    Fault(
        "branch-values-from-wrong-slots",
        "values of a branch that are read one entry too deep",
        _BRANCHES,
        "    source = slot_offset(c, len(c.stack) - count)\n",
        "    source = slot_offset(c, len(c.stack) - count - 1)\n",
    ),
    Fault(
        "overlapping-slots",
        "slots that overlap copied in the wrong order",
        _FRAMES,
        "        for index in range(count):\n            code += asm.mov_rm(1, RAX, FRAME, source",
        "        for index in reversed(range(count)):\n            code += asm.mov_rm(1, RAX, FRAME, source",
    ),
    Fault(
        "result-register-not-freed",
        "a br_if whose value takes the result register from another operand",
        _BRANCHES,
        "    c.free = evict(c, wanted.bit, c.free, (condition, c.stack[-1]))\n",
        "",
    ),
    Fault(
        "br-to-wrong-label",
        "a br past an enclosing block that leads to the next one out",
        _BRANCHES,
        "    label = labels[-1 - depth] if depth < len(labels) else label_at(c, depth)\n    if label.types or",
        "    label = labels[-1 - depth] if depth < len(labels) else label_at(c, depth)\n"
        "    if 0 < depth < len(labels) - 1 and not label.types + labels[-2 - depth].types:\n"
        "        label = labels[-2 - depth]\n    if label.types or",
    ),
    Fault(
        "result-of-dead-end",
        "a block whose end is not reached from inside, taken for one whose result is where it was",
        _BLOCKS,
        " or opcode == FUNCTION or c.dead\n",
        " or opcode == FUNCTION\n",
    ),
    # -- calls --
    Fault(
        "argument-cycle",
        "two arguments in each other's registers moved as if they were not",
        _CALLS,
        "            code += asm.xchg_rr(1, dst, src)\n",
        "            code += asm.mov_rr(1, dst, src)\n",
    ),
    Fault(
        "many-values-taken-from-the-bottom",
        "the topmost of many values taken from where the first ones are",
        _RUNS,
        "    first = run.offset + c.step * rest\n",
        "    first = run.offset\n",
    ),
    Fault(
        "many-parameters-a-place-too-low",
        "a block with many parameters whose label expects values where those below it are",
        _BLOCKS,
        "            depth += len(params) - 1\n",
        "",
    ),
    Fault(
        "many-values-kept-where-others-lie-below",
        "values put together as if those below them were not there",
        _RUNS,
        "        first += c.step * before\n",
        "        first += 0\n",
    ),
    Fault(
        "arguments-out-of-line-without-memory",
        "the memory's base not loaded again after arguments were passed out of line, which takes its register",
        _CALLS,
        "        asm.mov_rm(1, MEMORY_BASE, CONTEXT, CTX_MEMORY_BASE),\n    )\n",
        '        b"",\n    )\n',
    ),
    Fault(
        "float-result-slot",
        "the float among several results stored in the first one's place",
        _CALLS,
        "        offset = first_slot - width * index\n",
        "        offset = first_slot\n",
    ),
    Fault(
        "argument-area-not-aligned",
        "arguments on the stack 8 bytes from where the callee looks for them",
        _CALLS,
        'return asm.alu_ri(asm.SUB, 1, RSP, 8) if in_area & 1 and step == 8 else b"", tuple(plan[::-1])',
        'return b"", tuple(plan[::-1])',
    ),
    Fault(
        "call-indirect-type",
        "a call through a table that does not compare types",
        _CALLS,
        "        return bound, check + asm.jcc_rel32(asm.CC_NE, 0)\n",
        "        return bound, check + asm.jcc_rel32(asm.CC_O, 0)\n",
    ),
    Fault(
        "call-indirect-bound",
        "a call of the element after the last one",
        _CALLS,
        "    bound += asm.jcc_rel32(asm.CC_AE, 0)\n",
        "    bound += asm.jcc_rel32(asm.CC_A, 0)\n",
    ),
    Fault(
        "host-call-loses-pinned",
        "registers that C code may overwrite are not restored after a call of the host",
        _STUBS,
        "    drop_exit_frame(a, area)\n    fail_at_limit(a)\n",
        "    a.emit(asm.leave_(), asm.ret_imm(area))\n    fail_at_limit(a)\n",
    ),
    Fault(
        "lazy-stub-loses-argument",
        "a parameter that the stub of a function not compiled yet does not keep",
        _STUBS,
        "        restore = [asm.mov_rm(1, reg, RBP, disp) for reg, disp in ints]\n",
        "        restore = [asm.mov_rm(1, reg, RBP, disp) for reg, disp in ints if reg != RCX]\n",
    ),
    # -- globals, tables, segments --
    Fault(
        "imported-global-by-value",
        "an imported mutable global written as if its value, not a pointer, were in the context",
        _MEMORY,
        "        offset = 0\n    s.store(offset, value, base)\n",
        "        offset, base = 0, CONTEXT\n    s.store(offset, value, base)\n",
    ),
    Fault(
        "table-bound",
        "table.get and table.set of the element after the last one",
        _MEMORY,
        "    s.code += asm.jcc_rel8(asm.CC_B, 4)\n",
        "    s.code += asm.jcc_rel8(asm.CC_BE, 4)\n",
    ),
    Fault(
        "null-of-half-a-cell",
        "null written with 4 bytes of 8",
        _MEMORY,
        "asm.mov_xi(1, base, index, 3, 0, 0)",
        "asm.mov_xi(0, base, index, 3, 0, 0)",
    ),
    Fault(
        "table-copy-swapped",
        "table.copy with source and destination exchanged",
        "instances/bulk.py",
        "destination._copy(source, start, target, count)",
        "source._copy(destination, target, start, count)",
    ),
    Fault(
        "data-not-dropped",
        "data.drop that does nothing",
        "instances/bulk.py",
        "    instance._dropped_datas[segment] = 1\n",
        "",
    ),
]
