"""Values, and what Python objects are as values of a type."""

from __future__ import annotations

from ...types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, val_type
from .errors import WasmtimeError
from .types import ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .func import Func

    #: From a Python object or a ``Val`` to what our own API takes.
    Converter = Callable[[Any], Any]


class Val:
    """A value with its type. It equals another one of the same type and value, and any object that equals its value."""

    def __init__(self, kind: int, val: Any) -> None:
        self._kind = kind
        self._val = val

    @classmethod
    def i32(cls, val: int) -> Val:
        """An i32, from the low bits of an int."""
        return Val(I32, _wrapped(val, 32))

    @classmethod
    def i64(cls, val: int) -> Val:
        """An i64, from the low bits of an int."""
        return Val(I64, _wrapped(val, 64))

    @classmethod
    def f32(cls, val: float) -> Val:
        """An f32, rounded from a float."""
        if not isinstance(val, float):
            raise TypeError("expected a float")
        from ...runtime.ffi import c_float

        return Val(F32, c_float(val).value)

    @classmethod
    def f64(cls, val: float) -> Val:
        """An f64."""
        if not isinstance(val, float):
            raise TypeError("expected a float")
        return Val(F64, val)

    @classmethod
    def externref(cls, extern: Any | None) -> Val:
        """A reference to any object; ``None`` is null."""
        return Val(EXTERNREF, extern)

    @classmethod
    def funcref(cls, f: Func | None) -> Val:
        """A reference to a function; ``None`` is null."""
        return Val(FUNCREF, f)

    @classmethod
    def ref_null(cls, ty: ValType) -> Val:
        """A null reference.

        Raises:
            WasmtimeError: ``ty`` is no type of references.
        """
        if ty == ValType.externref():
            return Val.externref(None)
        if ty == ValType.funcref():
            return Val.funcref(None)
        raise WasmtimeError(f"Invalid reference type for `ref_null`: {ty}")

    def __eq__(self, rhs: object) -> bool:
        if isinstance(rhs, Val):
            return bool(self._kind == rhs._kind and self._val == rhs._val)
        return bool(self._val == rhs)

    __hash__ = None  # type: ignore[assignment]  # as in wasmtime-py

    @property
    def value(self) -> Any:
        """The value: an int, a float, a :class:`Func`, an object, or ``None`` for null."""
        return self._val

    @property
    def type(self) -> ValType:
        """The type."""
        return ValType._of(val_type(self._kind))

    def as_i32(self) -> int | None:
        """The value of an i32, and ``None`` of any other."""
        return self._val if self._kind == I32 else None

    def as_i64(self) -> int | None:
        """The value of an i64, and ``None`` of any other."""
        return self._val if self._kind == I64 else None

    def as_f32(self) -> float | None:
        """The value of an f32, and ``None`` of any other."""
        return self._val if self._kind == F32 else None

    def as_f64(self) -> float | None:
        """The value of an f64, and ``None`` of any other."""
        return self._val if self._kind == F64 else None

    def as_externref(self) -> Any | None:
        """The object of an externref, and ``None`` of null or any other."""
        return self._val if self._kind == EXTERNREF else None

    def as_funcref(self) -> Func | None:
        """The function of a funcref, and ``None`` of null or any other."""
        return self._val if self._kind == FUNCREF else None


def _wrapped(value: object, bits: int) -> int:
    """The signed int with the low bits of ``value``."""
    if not isinstance(value, int):
        raise TypeError("expected an integer")
    sign = 1 << bits - 1
    return ((int(value) + sign) & ((sign << 1) - 1)) - sign


def _inside(value: Val, code: int) -> Any:
    """The value of a ``Val`` that is to be of this type."""
    if value._kind != code:
        raise TypeError("wrong type of `Val` provided")
    return value._val


def _unknown(value: object, code: int) -> TypeError:
    return TypeError(f"don't know how to convert {value!r} to {ValType._of(val_type(code))}")


def _to_int(code: int, bits: int) -> Converter:
    lowest, end, mask = -(1 << bits - 1), 1 << bits, (1 << bits) - 1

    def convert(value: Any) -> Any:
        if isinstance(value, int):
            # Of what does not fit, wasmtime-py takes the low bits.
            return value if lowest <= value < end else int(value) & mask
        if isinstance(value, Val):
            return _inside(value, code)
        raise _unknown(value, code)

    return convert


def _to_float(code: int) -> Converter:
    def convert(value: Any) -> Any:
        if isinstance(value, float):
            return value
        if isinstance(value, Val):
            return _inside(value, code)
        raise _unknown(value, code)

    return convert


def _to_externref(value: Any) -> Any:
    return _inside(value, EXTERNREF) if isinstance(value, Val) else value


def _to_funcref(value: Any) -> Any:
    from .func import Func

    if isinstance(value, Val):
        value = _inside(value, FUNCREF)
    if value is None:
        return None
    if isinstance(value, Func):
        return value._ours
    raise _unknown(value, FUNCREF)


def _no_v128(value: Any) -> Any:
    raise TypeError("wasmtime-py has no values of type v128")


_CONVERTERS: dict[int, Converter] = {
    I32: _to_int(I32, 32),
    I64: _to_int(I64, 64),
    F32: _to_float(F32),
    F64: _to_float(F64),
    V128: _no_v128,
    FUNCREF: _to_funcref,
    EXTERNREF: _to_externref,
}


def converter(code: int) -> Converter:
    """What makes values of this type of Python objects."""
    found = _CONVERTERS.get(code)
    if found is None:
        # wasmtime-py has no values of these types; here they are what they are to our own API.
        found = _to_funcref if _top(code) == FUNCREF else _to_externref
    return found


def _top(code: int) -> int:
    from ...reference_types import top

    return top(code)


def converters(codes: Sequence[int]) -> tuple[Converter, ...]:
    """The same for several values."""
    return tuple([converter(code) for code in codes])


def gives_funcs(codes: Sequence[int]) -> bool:
    """Whether some of these types have functions for values."""
    return any(code == FUNCREF or (code > EXTERNREF and _top(code) == FUNCREF) for code in codes)


def from_ours(code: int, value: Any) -> Any:
    """What our own API gives as a value of this type, as wasmtime-py gives it."""
    if value is not None and gives_funcs((code,)):
        from .func import Func

        return Func._of(value)
    return value
