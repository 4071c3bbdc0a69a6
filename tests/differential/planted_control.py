"""Faults of exceptions, tail calls and typed references, which modules about control have to find."""

from __future__ import annotations

from functools import partial

from tests.differential.planting import Fault

_STUBS = "backends/x86_64/exception_stubs.py"
_EXCEPTIONS = "backends/x86_64/exceptions.py"
_TAIL_CALLS = "backends/x86_64/tail_calls.py"
_TAIL_STUBS = "backends/x86_64/tail_stubs.py"
_CALLS = "backends/x86_64/calls.py"
_LANDINGS = "instances/landings.py"
_OBJECTS = "instances/exception_objects.py"
_STATE = "compiler/control_state.py"
_THROWING = "compiler/instructions/exceptions.py"
_REFERENCES = "compiler/instructions/references.py"
_OPERAND_STACK = "compiler/operand_stack.py"

_fault = partial(Fault, control=True)

FAULTS = [
    # -- who catches --
    _fault(
        "scope-of-the-next-instruction",
        "a handler looked for at the return address, where the next block may have begun",
        _LANDINGS,
        "bisect_right(self._positions, address - 1 - self.start) - 1",
        "bisect_right(self._positions, address - self.start) - 1",
    ),
    _fault(
        "outer-blocks-forgotten",
        "a handler looked for in the innermost block only",
        _LANDINGS,
        "self._scopes[outer] if outer >= 0 else 0",
        "0",
    ),
    _fault(
        "last-clause-first",
        "catch_all taken before a catch with the very tag",
        _LANDINGS,
        "for tag, position in clauses:",
        "for tag, position in reversed(clauses):",
    ),
    _fault(
        "tags-by-their-place",
        "tags of two instances told apart by their numbers, not by what they are",
        _STUBS,
        "        asm.alu_rm(asm.ADD, 1, RAX, RDI, CONTEXT_SLOT),\n        asm.mov_rm(1, RAX, RAX, 0),\n",
        "        asm.alu_rr(asm.ADD, 1, RAX, CONTEXT),\n        asm.mov_rm(1, RAX, RAX, 0),\n",
    ),
    _fault(
        "imported-tags-that-are-one",
        "a throw that jumps over a handler for another import of the same tag",
        _THROWING,
        "if looked_at == _CLAUSES_LOOKED_AT or (tag < imported and clause[0] < imported):",
        "if looked_at == _CLAUSES_LOOKED_AT:",
    ),
    # -- at the landing --
    _fault(
        "landing-with-pinned-registers-of-others",
        "registers that passed functions had saved are not restored",
        _STUBS,
        "        asm.call_m(RDX, abi.LANDING_RESTORE),\n",
        "",
    ),
    _fault(
        "landing-with-the-context-of-the-thrower",
        "an exception from another instance, after which code goes on with that one's context",
        _STUBS,
        "        asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT),\n        asm.mov_rr(1, RAX, R15),\n",
        "        asm.mov_rr(1, RAX, R15),\n",
    ),
    _fault(
        "values-in-another-order",
        "values of an exception stored from the last one to the first",
        _EXCEPTIONS,
        "move_results(_all(count), first_slot, False, width)",
        "move_results([(k, count - 1 - k, 1) for k in range(count)], first_slot, False, width)",
    ),
    _fault(
        "values-a-slot-too-low",
        "what is caught is put one slot below where the block's results are expected",
        _STATE,
        "first = label_slot(c, label)",
        "first = label_slot(c, label) + c.step",
    ),
    _fault(
        "wide-value-cut",
        "an i64 that is caught loses its upper half",
        _EXCEPTIONS,
        "asm.mov_rm(0 if type_ == I32 else 1, RAX, RCX, STORE_RESULTS)",
        "asm.mov_rm(0, RAX, RCX, STORE_RESULTS)",
    ),
    # -- exception objects --
    _fault(
        "thrown-as-what-was-before",
        "a throw after one by a reference, which is caught with that reference",
        _EXCEPTIONS,
        "return code + asm.mov_mi(1, RCX, STORE_THROWN, 0) + asm.mov_mi(",
        "return code + asm.mov_mi(",
    ),
    _fault(
        "object-without-a-tag",
        "an object of the free list keeps the tag of what it was before",
        _STUBS,
        "        asm.mov_mr(1, RAX, abi.EXCEPTION_TAG, RDX),\n",
        "",
    ),
    _fault(
        "freed-while-in-a-frame",
        "references that only a frame of the stack holds are freed",
        _OBJECTS,
        "yield words(low & -8, top)",
        "yield words(top, top)",
    ),
    _fault(
        "freed-while-in-a-global",
        "references that only a global of an instance holds are freed",
        _OBJECTS,
        "yield (instance._cells[layout.global_(index) >> 3],)",
        "yield ()",
    ),
    _fault(
        "freed-while-in-an-exception",
        "references that only another exception carries are freed",
        _OBJECTS,
        "note(slab.cells[at + _VALUES : at + _VALUES + 2 * count : 2])",
        "note(())",
    ),
    # -- tail calls --
    _fault(
        "tail-call-a-cell-too-low",
        "an argument area that replaces a larger one, with its end a cell below where that one ended",
        _TAIL_CALLS,
        "    to = 16 + own_area - area\n",
        "    to = 16 + own_area - max(area, 8 * (own_area > area) + area)\n",
    ),
    _fault(
        "tail-call-with-a-late-return-address",
        "an argument area that replaces a smaller one, with the return address read after an argument went there",
        _TAIL_CALLS,
        "            return code + asm.lea_rm(1, RSP, FRAME, to - 16)",
        "            return code + save + asm.lea_rm(1, RSP, FRAME, to - 16)",
    ),
    _fault(
        "tail-call-loses-the-last-cells",
        "an argument area too large to be unrolled, of which a pair of cells is not moved",
        _TAIL_CALLS,
        "code += asm.mov_ri(FRAME, cells + 2)",
        "code += asm.mov_ri(FRAME, cells)",
    ),
    _fault(
        "tail-call-with-its-own-registers",
        "a tail call that does not give the caller its pinned registers back",
        _TAIL_CALLS,
        "    code = restore_pinned(ints, floats)\n    if not area",
        '    code = b""\n    if not area',
    ),
    _fault(
        "return-with-a-stale-context",
        "a tail call into another instance, which returns with that one's context",
        _TAIL_STUBS,
        "code = asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT) + _LOAD_MEMORY_BASE\n",
        "code = _LOAD_MEMORY_BASE\n",
    ),
    _fault(
        "return-with-a-stale-memory",
        "a tail call into another instance, which returns with that one's memory",
        _TAIL_STUBS,
        "code = asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT) + _LOAD_MEMORY_BASE\n    return code",
        "code = asm.mov_rm(1, CONTEXT, FRAME, CONTEXT_SLOT)\n    return code",
    ),
    _fault(
        "never-another-instance",
        "a tail call by a record that takes it for one of the same instance",
        _TAIL_CALLS,
        "code = asm.alu_rm(asm.CMP, 1, CONTEXT, RAX, RECORD_CTX) +",
        "code = asm.alu_rr(asm.CMP, 1, CONTEXT, CONTEXT) +",
    ),
    # -- typed references --
    _fault(
        "no-subtypes",
        "an indirect call that takes the very type only, though that is open",
        _CALLS,
        "    return bound, check + asm.jcc_rel8(asm.CC_E, len(walk)) + walk\n",
        "    return bound, check + asm.jcc_rel32(asm.CC_NE, 0)\n",
    ),
    _fault(
        "slot-above-a-register",
        "a branch on a null that leaves its operand in a slot, above a value in a register",
        _REFERENCES,
        "    if entry.bit & wanted.bit or entry.kind == SLOT:\n",
        "    if entry.bit & wanted.bit:\n",
    ),
    _fault(
        "too-few-temporaries",
        "a reference that gets another type takes the last temporary",
        _OPERAND_STACK,
        "        c.stack[index] = register(type_, moved.reg)\n        if c.target.is_tight(c.free):\n",
        "        c.stack[index] = register(type_, moved.reg)\n        if False:\n",
    ),
    _fault(
        "a-local-stays-set",
        "a local without a first value counts as set after the block in which it was",
        _STATE,
        "while assigned and assigned[-1][1] >= depth:",
        "while assigned and assigned[-1][1] > depth:",
    ),
]
