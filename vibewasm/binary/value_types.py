"""Reading value types, reference types and heap types (specification, "Binary Format / Types")."""

from __future__ import annotations

from ..errors import DecodeError, ValidationError
from ..types import FUNCREF, VALUE_TYPES
from .leb128 import signed
from .support import unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..types import FuncType

#: Abstract heap types by the text format's word for them: the byte, and the proposal where it is not built.
HEAP_TYPES = {
    "func": (0x70, ""),
    "extern": (0x6F, ""),
    "any": (0x6E, "gc"),
    "eq": (0x6D, "gc"),
    "i31": (0x6C, "gc"),
    "struct": (0x6B, "gc"),
    "array": (0x6A, "gc"),
    "exn": (0x69, ""),
    "noexn": (0x74, ""),
    "nofunc": (0x73, "gc"),
    "noextern": (0x72, "gc"),
    "none": (0x71, "gc"),
}
#: What a reference to a heap type begins with that is no abstract one, or that null does not belong to.
MAYBE_NULL, NOT_NULL = 0x63, 0x64

_ABSTRACT = {byte: VALUE_TYPES[byte] for byte in VALUE_TYPES if VALUE_TYPES[byte] >= FUNCREF}
_NOEXN = HEAP_TYPES["noexn"][0]
_LATER_HEAP_TYPES = {byte: (feature, word) for word, (byte, feature) in HEAP_TYPES.items() if feature}
#: Bytes that a reference type begins with.
_REFERENCES = frozenset((*_ABSTRACT, _NOEXN, *_LATER_HEAP_TYPES, MAYBE_NULL, NOT_NULL))


def value_type(data: Sequence[int], pos: int, types: Sequence[FuncType], what: str = "value type") -> tuple[int, int]:
    """The engine's code of a value type.

    Args:
        data: the module, or a function's body.
        pos: where the type begins.
        types: the module's types, which references may be to.
        what: how an error calls what should be here.

    Raises:
        DecodeError: no value type begins with this byte.
        ValidationError: a value type of a proposal that is not on, or a reference to a type that is not there.
    """
    byte = data[pos]
    code = VALUE_TYPES.get(byte)
    if code is not None:
        return code, pos + 1
    if byte in _REFERENCES:
        return reference_type(data, pos, types)
    raise _unknown(what, byte, pos)


def reference_type(data: Sequence[int], pos: int, types: Sequence[FuncType]) -> tuple[int, int]:
    """The engine's code of a reference type. Arguments and errors are those of :func:`value_type`."""
    byte = data[pos]
    code = _ABSTRACT.get(byte)
    if code is not None:
        return code, pos + 1
    if byte == MAYBE_NULL:
        # (ref null func) and (ref null extern) are the long way to write funcref and externref.
        return heap_type(data, pos + 1, types)
    if byte == NOT_NULL:
        from ..reference_types import without_null

        code, after = heap_type(data, pos + 1, types)
        return without_null(code), after
    if byte == _NOEXN:
        return heap_type(data, pos, types)
    if byte in _LATER_HEAP_TYPES:
        feature, word = _LATER_HEAP_TYPES[byte]
        raise unsupported(feature, f"{word}ref", pos)
    raise _unknown("reference type", byte, pos)


def heap_type(data: Sequence[int], pos: int, types: Sequence[FuncType]) -> tuple[int, int]:
    """A heap type, as the engine's code of the nullable reference to it. Arguments and errors are those of
    :func:`value_type`.
    """
    heap, after = any_heap_type(data, pos)
    if heap < 0:
        return -heap, after
    if heap >= len(types):
        raise ValidationError(f"unknown type {heap}", pos)
    return reference_to_type(types, heap), after


def reference_to_type(types: Sequence[FuncType], index: int) -> int:
    """The code of the nullable reference to one of a module's types."""
    if isinstance(types, list):
        from ..reference_types import concrete

        return concrete(types[index], True)
    return types.reference(index)  # type: ignore[attr-defined, no-any-return]  # see .many_types


def any_heap_type(data: Sequence[int], pos: int) -> tuple[int, int]:
    """A heap type: the index of a type, or the negative code of the nullable reference to an abstract one.

    Raises:
        DecodeError: no heap type.
        ValidationError: a heap type of a proposal that is not on.
    """
    byte = data[pos]
    code = _ABSTRACT.get(byte)
    if code is not None:
        return -code, pos + 1
    if byte == _NOEXN:
        from ..reference_types import NULLEXNREF

        return -NULLEXNREF, pos + 1
    if byte in _LATER_HEAP_TYPES:
        feature, word = _LATER_HEAP_TYPES[byte]
        raise unsupported(feature, f"heap type {word}", pos)
    index, after = signed(data, pos, 33)
    if index < 0:
        raise _unknown("heap type", byte, pos)
    return index, after


def _unknown(what: str, byte: int, pos: int) -> DecodeError | ValidationError:
    """The error for a type that begins with a byte which begins none that is known here."""
    from ..proposals import TYPES

    later = TYPES.get(byte)
    return unsupported(*later, pos) if later else DecodeError(f"malformed {what} {byte:#04x}", pos)


def mutability(data: bytes, pos: int) -> tuple[bool, int]:
    """Whether a global or a field is mutable.

    Raises:
        DecodeError: neither of the two bytes that say so.
    """
    flag = data[pos]
    if flag > 1:
        raise DecodeError(f"malformed mutability {flag:#04x}", pos)
    return flag == 1, pos + 1
