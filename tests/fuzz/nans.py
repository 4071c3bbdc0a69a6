"""Code whose results do not depend on the bits of NaNs: what makes a NaN is followed by what gives it known bits.

The specification leaves the sign and the payload of most NaNs open, so engines differ in them rightly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.instructions import (
    F32_CONST,
    F64_CONST,
    LOCAL_GET,
    LOCAL_TEE,
    SELECT,
    V128_CONST,
    Body,
    Instruction,
    read_body,
)
from tests.fuzz.numbers import F32, F64, V128, splat
from tests.fuzz.operations import BY_CODE, F32_EQ, F64_EQ
from tests.fuzz.parts import CODE, Index, read_parts
from tests.fuzz.steps import Step, Trace, first_difference
from vibewasm.opcodes import CODE as OPCODE

if TYPE_CHECKING:
    from tests.fuzz.peer import Peer

#: The bits of the canonical NaN of each type, and others that nothing else gives.
CANONICAL = {F32: 0x7FC0_0000, F64: 0x7FF8_0000_0000_0000}
OTHER = {F32: 0xFFED_CBA9, F64: 0xFFFE_DCBA_9876_5432}
#: How many times as many instructions a module may execute with :func:`with_nans`.
LONGER = 7
_CONST = {F32: F32_CONST, F64: F64_CONST}
_EQ = {F32: F32_EQ, F64: F64_EQ}
_LANES_EQ = {F32: OPCODE["f32x4.eq"], F64: OPCODE["f64x2.eq"]}
_BITS = {F32: 32, F64: 64}


def depends_on_nans(peer: Peer, data: bytes, planned: list[Step]) -> bool:
    """Whether the module does otherwise in wasmtime when the NaNs that it makes have other bits.

    The peer must grant the fuel of :data:`LONGER` times as many instructions.
    """
    # Both are equally long, so that offsets in traces mean the same.
    modules = [with_nans(data, nans) for nans in (CANONICAL, OTHER)]
    first, second = [peer.run(module, planned) for module in modules]
    if first_difference(planned, modules[0], first, second) is not None:
        return True
    # Where a NaN keeps bits that no other has, the module may do a third thing, which nobody promises either.
    as_it_is = _without_frames(peer.run(data, planned))
    return first_difference(planned, data, as_it_is, _without_frames(first)) is not None


def _without_frames(trace: Trace) -> Trace:
    return trace._replace(results=[result._replace(frames=()) for result in trace.results])


def with_nans(data: bytes, nans: dict[int, int]) -> bytes:
    """The module with ``x == x ? x : nan`` after each instruction that may make a NaN, or the same lane by lane.

    Raises `NotParsed`.
    """
    parts = read_parts(data)
    index = Index(parts)
    changed = parts.copy()
    bodies = changed.items(CODE)
    for defined, raw in enumerate(bodies):
        params = index.signature(index.imported_funcs + defined).params
        bodies[defined] = _with_nans(read_body(raw), len(params), nans).encode()
    return changed.encode()


def _with_nans(body: Body, params: int, nans: dict[int, int]) -> Body:
    first = params + sum(count for count, _ in body.locals)
    temporaries = {F32: first, F64: first + 1, V128: first + 2}
    after = {(type_, type_): _after(type_, temporaries[type_], nans[type_]) for type_ in (F32, F64)}
    after |= {(V128, type_): _lanes_after(type_, temporaries[V128], nans[type_]) for type_ in (F32, F64)}
    out: list[Instruction] = []
    found = vectors = False
    for instruction in body.instructions:
        out.append(instruction)
        op = BY_CODE.get(instruction.code)
        if op is not None and op.makes_nan:
            out += after[op.results[0], op.makes_nan]
            found = True
            vectors |= op.results[0] == V128
    return Body((*body.locals, (1, F32), (1, F64), *[(1, V128)] * vectors), tuple(out)) if found else body


def _after(type_: int, local: int, nan: int) -> tuple[Instruction, ...]:
    read = Instruction(LOCAL_GET, (local,))
    return (
        Instruction(LOCAL_TEE, (local,)),
        Instruction(_CONST[type_], (nan,)),
        read,
        read,
        Instruction(_EQ[type_]),
        Instruction(SELECT),
    )


def _lanes_after(type_: int, local: int, nan: int) -> tuple[Instruction, ...]:
    read = Instruction(LOCAL_GET, (local,))
    return (
        Instruction(LOCAL_TEE, (local,)),
        Instruction(V128_CONST, (splat(nan, _BITS[type_]),)),
        read,
        read,
        Instruction(_LANES_EQ[type_]),
        Instruction(OPCODE["v128.bitselect"]),
    )
