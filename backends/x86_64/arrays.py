"""The loop that calls a wasm function for each element of arrays, inside the frame of ``enter``."""

from __future__ import annotations

from ... import abi
from ..convention import Place, array_pointer, signature_results, without_arrays
from . import asm, signatures
from .control import Assembler
from .regs import CONTEXT, MEMORY_BASE, R10, R11, R12, R13, RAX, RBP, RBX, RCX, RDI, RDX, RSP

#: Wasm functions preserve these: the cells that say where the arrays are, the function record, and the store block.
_ARRAYS, _RECORD, _STORE = RBX, R12, R13


def loop(a: Assembler, signature: str) -> None:
    """Code that makes the calls of :meth:`..contract.Stubs.map_arrays`, with the record in rdi, the arrays in rdx and
    the store block in rcx.
    """
    parameters, _, results = signature.partition(":")
    if without_arrays(parameters + results):
        raise ValueError(f"no arrays of {without_arrays(parameters + results)!r}")
    a.emit(asm.mov_rr(1, _ARRAYS, RDX), asm.mov_rr(1, _RECORD, RDI), asm.mov_rr(1, _STORE, RCX))
    places, area = signatures.parameters(parameters)
    a.bind("next")
    if area:
        a.emit(asm.alu_ri(asm.SUB, 1, RSP, area))
    # Those of the area come first, since moving them takes a register.
    for index, place in enumerate(places):
        if place.reg < 0:
            a.emit(
                asm.mov_rm(1, R10, _ARRAYS, array_pointer(index)),
                asm.mov_rm(int(place.letter in "ld"), R11, R10, 0),
                asm.mov_mr(1, RSP, place.area, R11),
                _advance(index),
            )
    for index, place in enumerate(places):
        if place.reg >= 0:
            a.emit(asm.mov_rm(1, R10, _ARRAYS, array_pointer(index)), signatures.load(place, R10, 0), _advance(index))
    a.emit(
        asm.mov_rr(1, RAX, _RECORD),
        asm.mov_rm(1, CONTEXT, RAX, abi.RECORD_CTX),
        asm.mov_rm(1, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.call_m(RAX, abi.RECORD_CODE),
    )
    for index, place in enumerate(signature_results(results), len(places)):
        a.emit(asm.mov_rm(1, R10, _ARRAYS, array_pointer(index)), _store(place), _advance(index))
    a.emit(asm.alu_mi(asm.SUB, 1, _ARRAYS, abi.ARRAYS_LEFT, 1))
    a.jcc(asm.CC_E, "done")
    a.emit(asm.alu_mi(asm.CMP, 1, _STORE, abi.STORE_INTERRUPT, 0))
    a.jcc(asm.CC_E, "next")
    a.emit(asm.mov_rm(1, CONTEXT, RBP, -8), asm.call_m(_STORE, abi.STORE_POLL_STUB))
    a.jmp("next")
    a.bind("done")


def _advance(index: int) -> bytes:
    """Go from the element whose address is in r10 to the next one."""
    pointer = array_pointer(index)
    return asm.alu_rm(asm.ADD, 1, R10, _ARRAYS, pointer + abi.ARRAYS_STEP) + asm.mov_mr(1, _ARRAYS, pointer, R10)


def _store(place: Place) -> bytes:
    """Write a result to where r10 says."""
    wide = int(place.letter in "ld")
    if place.reg < 0:
        return asm.mov_rm(wide, R11, _STORE, place.area) + asm.mov_mr(wide, R10, 0, R11)
    if place.letter in "fd":
        return asm.movs_mr(wide, R10, 0, place.reg)
    return asm.mov_mr(wide, R10, 0, place.reg)


__all__ = ["loop"]
