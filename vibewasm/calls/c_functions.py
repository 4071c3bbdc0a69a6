"""C functions that wasm code calls: what ctypes, cffi and numba say about a pointer, as letters of a C signature
(:data:`vibewasm.backends.convention.C_INTEGERS`), and the record by which it is called.
"""

from __future__ import annotations

import sys

from ..abi import RECORD_CALLBACK, RECORD_SIZE
from ..runtime.blocks import Block
from ..types import F32, F64, I32, I64, FuncType, val_type
from .callbacks import fill_record
from .process import HOST, adapters
from .values import letters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.store import Store

#: Letters of integers by their size in bytes and whether they are signed.
_INTEGERS = {(1, True): "b", (1, False): "B", (2, True): "h", (2, False): "H", (4, True): "i", (4, False): "i"}
#: Types of wasm by letter; all others are narrow integers.
_TYPES = {"l": I64, "f": F32, "d": F64}
#: FUNCFLAG_PYTHONAPI of ctypes: a function that is called with the GIL.
_WITH_GIL = 4
#: A plain char is signed on x86-64 and unsigned on AArch64, by their ABIs.
_CHAR = "b" if HOST == "x86_64" else "B"


class Unfit(Exception):
    """Why a pointer is none to a function that wasm code can call; the message goes on after what it is."""


class CFunction:
    """What is known of a C function.

    Attributes:
        address: of its code.
        name: what it is called, or "".
        parameters, result: letters; ``None`` where nobody has said what it takes.
    """

    __slots__ = ("address", "name", "parameters", "result")

    def __init__(self, address: int, name: str, parameters: str | None, result: str) -> None:
        self.address = address
        self.name = name
        self.parameters = parameters
        self.result = result


def c_function(pointer: object) -> CFunction:
    """What a pointer leads to: an address, a function of ctypes or cffi, or a ``numba.cfunc``.

    Raises:
        TypeError: it is something else.
        Unfit: its parameters or its result are what no type of wasm stands for, or it is a function of Python.
    """
    if isinstance(pointer, int) and not isinstance(pointer, bool):
        return CFunction(pointer, "", None, "")
    # Whoever has such a pointer has loaded these.
    ctypes = sys.modules.get("_ctypes")
    if ctypes is not None:
        if isinstance(pointer, ctypes.CFuncPtr):
            return _of_ctypes(pointer)
        # As numba's compiled functions have it.
        compiled = getattr(pointer, "ctypes", None)
        if isinstance(compiled, ctypes.CFuncPtr) and isinstance(getattr(pointer, "address", None), int):
            found = _of_ctypes(compiled)
            found.name = str(getattr(pointer, "__name__", "") or found.name)
            return found
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and type(pointer).__module__ == "_cffi_backend" and isinstance(pointer, cffi._CDataBase):
        return _of_cffi(cffi, pointer)
    raise TypeError


def wasm_type(parameters: str, result: str) -> FuncType:
    """The type of wasm of a C function with these letters."""
    return FuncType(
        [val_type(_TYPES.get(letter, I32)) for letter in parameters],
        [val_type(_TYPES.get(letter, I32)) for letter in result],
    )


def plain_letters(type: FuncType) -> tuple[str, str]:
    """Parameters and result of a C function that has ``int32_t``, ``int64_t``, ``float`` and ``double`` for a type of
    wasm.

    Raises:
        Unfit: C has no such function.
    """
    for value_type in (*type.params, *type.results):
        if value_type.code > F64:
            raise Unfit(f"{type} has {value_type}, and C functions get i32, i64, f32 and f64 only")
    if len(type.results) > 1:
        raise Unfit(f"{type} has {len(type.results)} results, and C functions have one or none")
    return letters(type.param_codes), letters(type.result_codes)


def record(store: Store, type: FuncType, signature: str, stack: int, address: int) -> Block:
    """The function record of a C function.

    Args:
        signature: what :func:`vibewasm.backends.convention.c_signature` takes apart.
        stack: bytes of stack that it has at least.
    """
    block = Block(RECORD_SIZE)
    fill_record(block, store, type, adapters().native(signature, stack, store._keeps))
    block.cells[RECORD_CALLBACK >> 3] = address
    return block


# -- ctypes ------------------------------------------------------------------------------------------------------------


def is_prototype(kind: object) -> bool:
    """Whether this is a class of C functions, as ``ctypes.CFUNCTYPE`` makes them. To be asked with ctypes loaded."""
    return isinstance(kind, type) and issubclass(kind, sys.modules["_ctypes"].CFuncPtr)


def _of_ctypes(pointer: Any) -> CFunction:
    import ctypes

    if type(pointer)._flags_ & _WITH_GIL:
        raise Unfit("is called with the GIL, which wasm code does not hold (ctypes.PyDLL, pythonapi, PYFUNCTYPE)")
    if any(type(kept).__name__ == "CThunkObject" for kept in (pointer._objects or {}).values()):
        raise Unfit("is a Python function: define the function itself, without ctypes")
    if pointer.errcheck is not None:
        raise Unfit("has an errcheck, which is Python code that nobody would call")
    address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
    name = str(getattr(pointer, "__name__", None) or "")
    if pointer.argtypes is None:
        return CFunction(address, name, None, "")
    parameters = "".join(
        [_ctypes_letter(item, f"parameter {at + 1}", True) for at, item in enumerate(pointer.argtypes)]
    )
    result = "" if pointer.restype is None else _ctypes_letter(pointer.restype, "result", False)
    return CFunction(address, name, parameters, result)


def _ctypes_letter(kind: Any, what: str, is_parameter: bool) -> str:
    """The letter of a type of ctypes."""
    ctypes: Any = sys.modules["ctypes"]
    name = getattr(kind, "__name__", type(kind).__name__)
    if isinstance(kind, type):
        if issubclass(kind, (ctypes._Pointer, ctypes._CFuncPtr)) or (is_parameter and issubclass(kind, ctypes.Array)):
            return "l"
        if issubclass(kind, ctypes._SimpleCData):
            # A number in the other byte order would have to be swapped.
            swapped = getattr(kind, f"__ctype_{'l' if sys.byteorder == 'little' else 'b'}e__", kind) is not kind
            simple: Any = kind
            letter = "" if swapped else _simple_letter(simple._type_, ctypes.sizeof(kind))
            if letter:
                return letter
        elif issubclass(kind, (ctypes.Structure, ctypes.Union)):
            raise Unfit(f"has {name} as its {what}: structures and unions by value are not supported, pointers are")
    raise Unfit(f"has {name} as its {what}, for which wasm has no type: numbers and pointers have one")


def _simple_letter(code: str, size: int) -> str:
    """The letter of one of ctypes' simple types, by its code; nothing where there is none."""
    if code in "fd?":
        return code
    if code == "c":
        return _CHAR
    if code in "PzZ":
        return "l"
    if code in "bhilq":
        return _INTEGERS.get((size, True), "l")
    if code in "BHILQu":
        return _INTEGERS.get((size, False), "l")
    return ""


# -- cffi --------------------------------------------------------------------------------------------------------------


def _of_cffi(cffi: Any, pointer: Any) -> CFunction:
    kind = cffi.typeof(pointer)
    if kind.kind != "function":
        raise Unfit(f"is a {kind.cname}, which is no pointer to a function")
    if type(pointer).__name__ == "__CDataOwnGC":
        raise Unfit("is a Python function: define the function itself, without cffi")
    if kind.ellipsis:
        raise Unfit("takes a varying number of arguments, which is not supported")
    address = int(cffi.cast(cffi.new_primitive_type("uintptr_t"), pointer))
    parameters = "".join([_cffi_letter(cffi, item, f"parameter {at + 1}") for at, item in enumerate(kind.args)])
    result = "" if kind.result.kind == "void" else _cffi_letter(cffi, kind.result, "result")
    return CFunction(address, "", parameters, result)


def _cffi_letter(cffi: Any, kind: Any, what: str) -> str:
    """The letter of a type of cffi."""
    if kind.kind in ("pointer", "array", "function"):
        return "l"
    if kind.kind in ("primitive", "enum"):
        known = {"float": "f", "double": "d", "_Bool": "?", "char": _CHAR}.get(kind.cname)
        if known:
            return known
        try:
            signed = int(cffi.cast(kind, -1)) < 0
        except TypeError:
            # A complex number.
            pass
        else:
            if cffi.sizeof(kind) <= 8:
                return _INTEGERS.get((cffi.sizeof(kind), signed), "l")
    if kind.kind in ("struct", "union"):
        raise Unfit(f"has {kind.cname} as its {what}: structures and unions by value are not supported, pointers are")
    raise Unfit(f"has {kind.cname} as its {what}, for which wasm has no type: numbers and pointers have one")
