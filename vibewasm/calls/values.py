"""Between Python values and cells: the bits that machine code reads and writes.

A cell has 8 bytes. An i32 has its upper half zero, which the sandbox rests on; of an f32 it does not count. A v128
takes two cells, and a reference is the address of a function record or of an exception object, or the handle of a
Python object that the store keeps. Null is 0.
"""

from __future__ import annotations

from ..types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..api.store import Store

MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF

#: Letters of types in the signatures that backends get.
_LETTERS = {I32: "i", I64: "l", F32: "f", F64: "d", V128: "v"}

#: How the cell of each numeric type is packed: i32 and f32 are in the lower half.
NUMBER_FORMATS = {I32: "i4x", I64: "q", F32: "f4x", F64: "d"}


def letters(codes: Sequence[int]) -> str:
    """One letter a type: i, l, f, d, v, and r for any reference."""
    return "".join([_LETTERS.get(code, "r") for code in codes])


def signature(params: Sequence[int], results: Sequence[int]) -> str:
    """What adapters are made from: the letters of the parameters, a colon, those of the results."""
    return f"{letters(params)}:{letters(results)}"


def cell_count(codes: Sequence[int]) -> int:
    """How many cells values of these types take."""
    return len(codes) + codes.count(V128)


def kind_of(value: object) -> str:
    """The value and its class, for an error message."""
    from ..arguments import shown

    return shown(value)


def prefixed(prefix: str, error: Exception) -> Exception:
    """An error that :func:`to_bits` raised, with a subject; an error of the value's own methods is left as it is."""
    kind = type(error)
    return kind(f"{prefix} {error}") if kind in (TypeError, OverflowError, ValueError) else error


def _int_bits(value: object, bits: int) -> int:
    try:
        if type(value) is int:
            number = value
        else:
            from _operator import index

            number = index(value)  # type: ignore[arg-type]  # what is no integer raises TypeError: that is the check
    except TypeError:
        raise TypeError(f"wants an int, not {kind_of(value)}") from None
    if not -(1 << bits - 1) <= number < 1 << bits:
        from ..arguments import number as in_full

        raise OverflowError(f"wants an int from -2**{bits - 1} to 2**{bits}-1, not {in_full(number)}")
    return number & ((1 << bits) - 1)


def _float_bits(value: object, single: bool) -> int:
    from ..runtime.ffi import c_double, c_float, c_uint32, c_uint64

    try:
        # ctypes converts as C does: anything with __float__ or __index__ but no text, and too large an f32 becomes
        # infinite.
        if single:
            return c_uint32.from_buffer(c_float(value)).value  # type: ignore[arg-type]  # checked by ctypes
        return c_uint64.from_buffer(c_double(value)).value  # type: ignore[arg-type]  # checked by ctypes
    except TypeError:
        raise TypeError(f"wants a number, not {kind_of(value)}") from None
    except OverflowError:
        raise OverflowError("wants a number, not an int that is too large for any float") from None


def _vector_bits(value: object) -> int:
    """The bits of a v128: an int, or 16 bytes, of which the first is the lowest. What is both counts as an int."""
    if type(value) is not int:
        try:
            from _operator import index

            value = index(value)  # type: ignore[arg-type]  # what is no integer raises TypeError: that is the check
        except TypeError:
            try:
                # In C's order, whatever the shape.
                data = memoryview(value).tobytes()  # type: ignore[arg-type]  # the same
            except TypeError:
                raise TypeError(f"wants an int or 16 bytes, not {kind_of(value)}") from None
            if len(data) != 16:
                from ..counting import counted

                raise ValueError(f"wants an int or 16 bytes, not {counted(len(data), 'byte')}") from None
            return int.from_bytes(data, "little")
    return _int_bits(value, 128)


def to_bits(store: Store, code: int, value: object) -> int:
    """The bits of ``value`` as type ``code``: 64 bits, or 128 of a v128.

    Raises:
        TypeError: the value has the wrong class; the message starts with "wants", for :func:`prefixed` to put a
            subject before it.
        OverflowError: an integer that does not fit.
        ValueError: a function or an exception of another store, or bytes that are not 16.
    """
    if code == I32:
        return _int_bits(value, 32)
    if code == I64:
        return _int_bits(value, 64)
    if code == F32 or code == F64:
        return _float_bits(value, code == F32)
    if code == V128:
        return _vector_bits(value)
    if code == EXTERNREF:
        return 0 if value is None else store._handle_of(value)
    if code == FUNCREF:
        return 0 if value is None else store._address_of(value)
    bits: int = store._typed.bits_of(store, code, value)
    return bits


def from_bits(store: Store, code: int, bits: int) -> object:
    """The Python value of these bits of type ``code``: integers are signed, but a v128 is not."""
    if code == I32:
        bits &= MASK32
        return bits - (1 << 32) if bits >> 31 else bits
    if code == I64:
        return bits - (1 << 64) if bits >> 63 else bits
    if code == F32:
        from ..runtime.ffi import c_float, c_uint32

        return c_float.from_buffer(c_uint32(bits)).value
    if code == F64:
        from ..runtime.ffi import c_double, c_uint64

        return c_double.from_buffer(c_uint64(bits)).value
    if code == V128:
        return bits
    if not bits:
        return None
    if code == EXTERNREF:
        return store._object_at(bits)
    return store._func_at(bits) if code == FUNCREF else store._typed.value_of(store, code, bits)


def to_cells(store: Store, codes: Sequence[int], values: Iterable[object]) -> list[int]:
    """Cells of several values. An error's message starts with the position of the value, counted from 1."""
    cells = []
    for position, (code, value) in enumerate(zip(codes, values, strict=True), 1):
        try:
            bits = to_bits(store, code, value)
        except (TypeError, OverflowError, ValueError) as error:
            raise prefixed(str(position), error) from None
        cells.append(bits & MASK64)
        if code == V128:
            cells.append(bits >> 64)
    return cells


def from_cells(store: Store, codes: Sequence[int], cells: Sequence[int]) -> list[object]:
    """Python values of consecutive cells."""
    values = []
    at = 0
    for code in codes:
        bits = cells[at]
        at += 1
        if code == V128:
            bits |= cells[at] << 64
            at += 1
        values.append(from_bits(store, code, bits))
    return values
