"""The loop that calls a wasm function for each element of arrays, inside the frame of ``enter``."""

from __future__ import annotations

from ... import abi
from ..convention import Place, array_pointer, signature_results, without_arrays
from . import asm, signatures
from .addresses import add, at
from .control import Assembler
from .frames import CONTEXT_SLOT, PAIR_REACH
from .regs import CALLEE, CONTEXT, FRAME, MEMORY_BASE, SCRATCH, SP, X0, X2, X3, X9, X10, X11, X19, X20, X21

#: Wasm functions preserve these: the cells that say where the arrays are, the function record, and the store block.
_ARRAYS, _RECORD, _STORE = X19, X20, X21


def loop(a: Assembler, signature: str) -> None:
    """Code that makes the calls of :meth:`..contract.Stubs.map_arrays`, with the record in x0, the arrays in x2 and the
    store block in x3.
    """
    parameters, _, results = signature.partition(":")
    if without_arrays(parameters + results):
        raise ValueError(f"no arrays of {without_arrays(parameters + results)!r}")
    a.emit(asm.mov_rr(1, _ARRAYS, X2), asm.mov_rr(1, _RECORD, X0), asm.mov_rr(1, _STORE, X3))
    places, area = signatures.parameters(parameters)
    a.bind("next")
    if area:
        a.emit(add(SP, SP, -area))
    for index, place in enumerate(places):
        a.emit(_point(index))
        if place.reg < 0:
            a.emit(signatures.copy(place.letter, SP, place.area, X10, 0))
        else:
            a.emit(signatures.load(place, X10, 0))
        a.emit(_advance(index))
    a.emit(
        asm.mov_rr(1, CALLEE, _RECORD),
        asm.access(asm.LDR_X, CONTEXT, CALLEE, abi.RECORD_CTX),
        asm.access(asm.LDR_X, MEMORY_BASE, CONTEXT, abi.CTX_MEMORY_BASE),
        asm.access(asm.LDR_X, SCRATCH, CALLEE, abi.RECORD_CODE),
        asm.blr(SCRATCH),
    )
    for index, place in enumerate(signature_results(results), len(places)):
        a.emit(_point(index), _store(place), _advance(index))
    a.emit(
        asm.access(asm.LDR_X, X9, _ARRAYS, abi.ARRAYS_LEFT),
        asm.alu_ri(asm.SUB, 1, X9, X9, 1),
        asm.access(asm.STR_X, X9, _ARRAYS, abi.ARRAYS_LEFT),
    )
    a.cbz(1, X9, "done")
    a.emit(asm.access(asm.LDR_W, X9, _STORE, abi.STORE_INTERRUPT))
    a.cbz(0, X9, "next")
    a.emit(
        asm.access(asm.LDR_X, CONTEXT, FRAME, CONTEXT_SLOT),
        asm.access(asm.LDR_X, SCRATCH, _STORE, abi.STORE_POLL_STUB),
        asm.blr(SCRATCH),
    )
    a.b("next")
    a.bind("done")


def _point(index: int) -> bytes:
    """Load the address of an array's next element into x10, and its distance from one to the next into x11."""
    pointer = array_pointer(index)
    if pointer <= PAIR_REACH:
        return asm.pair(asm.LDP_X, X10, X11, _ARRAYS, pointer)
    return at(asm.LDR_X, X10, _ARRAYS, pointer) + at(asm.LDR_X, X11, _ARRAYS, pointer + abi.ARRAYS_STEP)


def _advance(index: int) -> bytes:
    """Go from the element whose address is in x10 to the next one."""
    return asm.alu_rr(asm.ADD, 1, X10, X10, X11) + at(asm.STR_X, X10, _ARRAYS, array_pointer(index))


def _store(place: Place) -> bytes:
    """Write a result to where x10 says."""
    wide = place.letter in "ld"
    if place.reg < 0:
        load, store = (asm.LDR_X, asm.STR_X) if wide else (asm.LDR_W, asm.STR_W)
        return at(load, X9, _STORE, place.area) + asm.access(store, X9, X10, 0)
    if place.letter in "fd":
        return asm.access(asm.STR_D if wide else asm.STR_S, place.reg, X10, 0)
    return asm.access(asm.STR_X if wide else asm.STR_W, place.reg, X10, 0)


__all__ = ["loop"]
