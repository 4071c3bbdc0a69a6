"""Values of reference types other than funcref and externref, between Python and wasm code.

Wasm code trusts the types of references, and nothing looks at one again once it is inside, so what Python code gives is
checked here: whether null belongs to the type, and whether a function's own type is a subtype of the one that is
wanted.
"""

from __future__ import annotations

from ..calls.values import kind_of
from ..reference_types import (
    NULLEXNREF,
    NULLEXTERNREF,
    NULLFUNCREF,
    func_type_of,
    is_nullable,
    is_subtype,
    top,
    with_null,
)
from ..types import EXTERNREF, FUNCREF, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .store import Store


def bits_of(store: Store, code: int, value: object) -> int:
    """The bits of a value of a reference type.

    Raises:
        TypeError, ValueError: it has none; see :func:`vibewasm.calls.values.to_bits` about the messages.
        ReferenceLimit: the store holds as many objects as it may.
    """
    if _is_null(code, value):
        return 0
    kind = top(code)
    if kind == EXTERNREF:
        return store._handle_of(value)
    if kind == FUNCREF:
        return _address(store, code, value)
    from .exception import reference_bits

    return reference_bits(store, value)


def check(store: Store, code: int, value: object) -> None:
    """Raise what :func:`bits_of` raises of a value of the wrong type, without handing it in."""
    if _is_null(code, value):
        return
    kind = top(code)
    if kind == FUNCREF:
        _address(store, code, value)
    elif kind != EXTERNREF:
        from .exception import check_exception

        check_exception(store, value)


def value_of(store: Store, code: int, bits: int) -> object:
    """The Python value of the bits of a reference that is not null."""
    kind = top(code)
    if kind == FUNCREF:
        return store._func_at(bits)
    if kind == EXTERNREF:
        return store._object_at(bits)
    from .exception import ExceptionRef

    return ExceptionRef._at(store, bits)


def knows(store: Store, code: int, bits: int) -> bool:
    """Whether these are the bits of a reference of this type that Python code can have from the store."""
    if not bits:
        return is_nullable(code)
    if with_null(code) in (NULLFUNCREF, NULLEXTERNREF, NULLEXNREF):
        return False
    kind = top(code)
    if kind == FUNCREF:
        func = store._funcs.get(bits)
        wanted = func_type_of(code)
        return func is not None and (wanted is None or is_subtype(func._type, wanted))
    if kind == EXTERNREF:
        return store._references is not None and store._references.knows(bits)
    return store._exceptions is not None and store._exceptions.knows(bits)


def _is_null(code: int, value: object) -> bool:
    """Whether the value is null, which the type has to have."""
    if value is None:
        if is_nullable(code):
            return True
        raise TypeError(f"wants {_wanted(code)}, not None: null does not belong to {type_name(code)}")
    if with_null(code) in (NULLFUNCREF, NULLEXTERNREF, NULLEXNREF):
        raise TypeError(f"wants None, the only value of {type_name(with_null(code))}, not {kind_of(value)}")
    return False


def _address(store: Store, code: int, value: object) -> int:
    """The address of a function's record."""
    from .func import Func

    if not isinstance(value, Func):
        raise TypeError(f"wants {_wanted(code)}{' or None' if is_nullable(code) else ''}, not {kind_of(value)}")
    address = store._address_of(value)
    wanted = func_type_of(code)
    if wanted is not None and not is_subtype(value._type, wanted):
        given = f"{value._shown}{value._type}"
        if str(value._type) == str(wanted):
            raise TypeError(
                f"wants a function of a type {wanted} that a module declares with more than parameters and results, "
                f"and {given} is of another one"
            )
        raise TypeError(f"wants a function of type {wanted}, not {given}")
    return address


def _wanted(code: int) -> str:
    """What a value of this type may be, other than null."""
    kind = top(code)
    if kind == EXTERNREF:
        return "an object"
    if kind != FUNCREF:
        return "a vibewasm.ExceptionRef or WasmException"
    wanted = func_type_of(code)
    return "a vibewasm.Func" if wanted is None else f"a vibewasm.Func of type {wanted}"
