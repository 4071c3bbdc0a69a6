"""Code whose results do not depend on the bits of NaNs: what makes a NaN is followed by what makes it canonical.

The specification leaves the sign and the payload of most NaNs open, so engines differ in them rightly.
"""

from __future__ import annotations

from tests.fuzz.instructions import F32_CONST, F64_CONST, LOCAL_GET, LOCAL_TEE, SELECT, Body, Instruction
from tests.fuzz.numbers import F32, F64
from tests.fuzz.operations import BY_CODE, F32_EQ, F64_EQ

CANONICAL = {F32: 0x7FC0_0000, F64: 0x7FF8_0000_0000_0000}
_CONST = {F32: F32_CONST, F64: F64_CONST}
_EQ = {F32: F32_EQ, F64: F64_EQ}


def canonical(body: Body, params: int) -> Body:
    """The body with ``x == x ? x : canonical NaN`` behind each instruction that may make a NaN."""
    first = params + sum(count for count, _ in body.locals)
    temporaries = {F32: first, F64: first + 1}
    behind = {type_: _behind(type_, local) for type_, local in temporaries.items()}
    out: list[Instruction] = []
    found = False
    for instruction in body.instructions:
        out.append(instruction)
        op = BY_CODE.get(instruction.code)
        if op is not None and op.makes_nan:
            out += behind[op.results[0]]
            found = True
    return Body((*body.locals, (1, F32), (1, F64)), tuple(out)) if found else body


def _behind(type_: int, local: int) -> tuple[Instruction, ...]:
    read = Instruction(LOCAL_GET, (local,))
    return (
        Instruction(LOCAL_TEE, (local,)),
        Instruction(_CONST[type_], (CANONICAL[type_],)),
        read,
        read,
        Instruction(_EQ[type_]),
        Instruction(SELECT),
    )
