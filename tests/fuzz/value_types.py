"""Types of values as bytes: what is encoded in one byte is that byte, other references have codes from 0x80 on.

So a list of types is a `bytes`, whatever is in it. The codes are those of one module: they name its types by number.
"""

from __future__ import annotations

#: Reference to an exception.
EXNREF = 0x69
_NULLABLE, _NOT_NULL = 0x63, 0x64
# Codes of references to the function types 0, 1, …, with null and without.
_FIRST_NULLABLE, _FIRST_NOT_NULL, _LAST = 0x80, 0xC0, 0xFC
#: References without null to any function, any host object, any exception.
REF_FUNC_TYPE, REF_EXTERN_TYPE, REF_EXN_TYPE = 0xFD, 0xFE, 0xFF
_HEAPS = {REF_FUNC_TYPE: 0x70, REF_EXTERN_TYPE: 0x6F, REF_EXN_TYPE: EXNREF}
_BY_HEAP = {heap: code for code, heap in _HEAPS.items()}
#: How many types of a module may have codes: as many as there are of both kinds.
TYPES_WITH_CODES = _LAST - _FIRST_NOT_NULL + 1


def nullable(type_number: int) -> int:
    """The code of ``(ref null $type_number)``."""
    return _FIRST_NULLABLE + type_number


def not_null(type_number: int) -> int:
    """The code of ``(ref $type_number)``."""
    return _FIRST_NOT_NULL + type_number


def has_no_default(code: int) -> bool:
    """Whether a local of the type has to be set before it is read."""
    return code >= _FIRST_NOT_NULL


def type_number(code: int) -> int | None:
    """The number of the function type that a reference is to, or None where it is to no certain one."""
    if _FIRST_NULLABLE <= code <= _LAST:
        return code - (_FIRST_NULLABLE if code < _FIRST_NOT_NULL else _FIRST_NOT_NULL)
    return None


def is_reference(code: int) -> bool:
    """Whether values of the type are references."""
    return code <= 0x74 or code >= _FIRST_NULLABLE


def is_function(code: int) -> bool:
    """Whether values of the type are references to functions."""
    return code in (0x70, REF_FUNC_TYPE) or type_number(code) is not None


def with_null(code: int) -> int:
    """The same reference type with null."""
    number = type_number(code)
    return nullable(number) if number is not None else _HEAPS.get(code, code)


def without_null(code: int) -> int:
    """The same reference type without null."""
    number = type_number(code)
    return not_null(number) if number is not None else _BY_HEAP.get(code, code)


def heap(code: int) -> int:
    """The heap type of a reference type as a signed number."""
    number = type_number(code)
    return number if number is not None else _HEAPS.get(code, code) - 0x80


def encode_type(code: int) -> bytes:
    """A type as it stands in a module."""
    if code < _FIRST_NULLABLE:
        return bytes([code])
    head = _NULLABLE if code < _FIRST_NOT_NULL else _NOT_NULL
    number = type_number(code)
    if number is None:
        return bytes([head, _HEAPS[code]])
    # A signed number: from 64 on it takes two bytes, but codes end before.
    return bytes([head, number])


def encode_types(codes: bytes) -> bytes:
    """Types one after another, without their number."""
    return b"".join(map(encode_type, codes))


def block_type(code: int) -> int:
    """What stands for a block with one result of this type where a number of a type could stand."""
    return code - 0x80 if code < _FIRST_NULLABLE else code - 0x200


def code_of_block_type(number: int) -> int | None:
    """The result's type where :func:`block_type` gave the number, else None."""
    return number + 0x200 if number < -0x40 else number + 0x80 if -0x40 < number < 0 else None


def read_type(data: bytes, position: int) -> tuple[int, int]:
    """The code of the type at `position` and the position after it; raises `ValueError` where it has none."""
    head = data[position : position + 1]
    if not head:
        raise ValueError("no type")
    if head[0] not in (_NULLABLE, _NOT_NULL):
        if head[0] >= _FIRST_NULLABLE:
            raise ValueError("no type")
        return head[0], position + 1
    at = data[position + 1 : position + 2]
    if not at or at[0] >= 0x80:
        raise ValueError("a reference to a type that has no code")
    if at[0] >= 0x40:
        # Nullable ones have a shorter form, which means the same.
        if head[0] == _NOT_NULL and at[0] not in _BY_HEAP:
            raise ValueError("a reference to a type that has no code")
        return at[0] if head[0] == _NULLABLE else _BY_HEAP[at[0]], position + 2
    if at[0] >= TYPES_WITH_CODES:
        raise ValueError("a reference to a type that has no code")
    return (nullable if head[0] == _NULLABLE else not_null)(at[0]), position + 2
