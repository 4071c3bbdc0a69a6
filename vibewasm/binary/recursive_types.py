"""Reading types that are more than functions of the usual types: recursive groups, types with subtypes, and types whose
parameters and results are references to types (specification 3.0, "Binary Format / Types / Recursive Types").

A type that stands for itself is a group of one, so it may refer to itself. Nothing of the module's other parts is known
yet, so what is malformed here comes before what is invalid in them only within this section.
"""

from __future__ import annotations

from ..errors import DecodeError, ValidationError
from ..reference_types import group, may_be_subtype, without_null
from ..types import VALUE_TYPES
from .leb128 import signed, u32
from .sections import FUNC_FORM, read_count
from .support import MAX_PARAMS, MAX_RESULTS, MAX_SUBTYPING_DEPTH, MAX_TYPES, unsupported
from .value_types import MAYBE_NULL, NOT_NULL, any_heap_type, mutability, value_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..reference_types import Inside, Member
    from ..types import FuncType
    from .module_info import ModuleInfo

_STRUCT_FORM = 0x5F
_ARRAY_FORM = 0x5E
_SUB_FORM = 0x50
_FINAL_SUB_FORM = 0x4F
_GROUP_FORM = 0x4E

#: Bytes of i16 and i8 as types of fields.
_PACKED = (0x77, 0x78)


def recursive_types(info: ModuleInfo, pos: int) -> int:
    """Read a recursive group, or a type that stands for itself, into ``types``.

    Raises:
        DecodeError: malformed bytes.
        ValidationError: a reference to a type that is not there, a supertype that cannot be one, or a type of a
            proposal that is not on.
    """
    data = info.data
    count = 1
    if data[pos] == _GROUP_FORM:
        count, pos = read_count(data, pos + 1, len(data), MAX_TYPES - len(info.types), "types")
    first = len(info.types)
    reader = _Reader(info, first, count)
    members: list[Member] = []
    #: Where those are that have supertypes.
    positions: dict[int, int] = {}
    for position in range(count):
        start = pos
        member, pos = reader.member(pos, first + position)
        members.append(member)
        if member[1] is not None:
            positions[position] = start
    types = group(tuple(members)) if members else ()
    info.types.extend(types)
    # Matching follows supertypes, also those of members that come later: first there have to be few of them.
    for position, where in positions.items():
        _check_depth(types[position], where)
    for position, where in positions.items():
        type_ = types[position]
        supertype = type_.supertype
        if supertype is not None and not may_be_subtype(type_, supertype):
            why = "is final" if supertype.final else "does not match"
            raise ValidationError(f"sub type {type_} does not match super type: {supertype} {why}", where)
    return pos


def _check_depth(type_: FuncType, where: int) -> None:
    depth = 0
    above = type_.supertype
    while above is not None:
        depth += 1
        if depth > MAX_SUBTYPING_DEPTH:
            raise ValidationError(
                f"implementation limit: a type with more than {MAX_SUBTYPING_DEPTH} supertypes", where
            )
        above = above.supertype


class _Reader:
    """Reads the members of one group, of which the first has the index ``first``."""

    def __init__(self, info: ModuleInfo, first: int, count: int) -> None:
        self._types = info.types
        self._data = info.data
        self._first = first
        self._end = first + count

    def member(self, pos: int, index: int) -> tuple[Member, int]:
        """A member, with or without its supertypes."""
        data = self._data
        form = data[pos]
        final = True
        supertype: int | FuncType | None = None
        if form in (_SUB_FORM, _FINAL_SUB_FORM):
            final = form == _FINAL_SUB_FORM
            start = pos
            count, pos = u32(data, pos + 1)
            if count > 1:
                raise ValidationError(f"a type has one supertype at most, not {count}", start)
            if count:
                above, pos = u32(data, pos)
                if above >= index:
                    raise ValidationError(f"unknown type {above}: a supertype comes before its subtypes", start)
                supertype = above - self._first if above >= self._first else self._types[above]
            form = data[pos]
        if form != FUNC_FORM:
            raise self._other_form(form, pos)
        params, pos = self._value_types(pos + 1, MAX_PARAMS, "parameters")
        results, pos = self._value_types(pos, MAX_RESULTS, "results")
        return (final, supertype, params, results), pos

    def _value_types(self, pos: int, most: int, what: str) -> tuple[tuple[Inside, ...], int]:
        data = self._data
        count, pos = read_count(data, pos, len(data), most, what)
        types: list[Inside] = []
        for _ in range(count):
            type_, pos = self._value_type(pos)
            types.append(type_)
        return tuple(types), pos

    def _value_type(self, pos: int) -> tuple[Inside, int]:
        data = self._data
        byte = data[pos]
        code = VALUE_TYPES.get(byte)
        if code is not None:
            return code, pos + 1
        if byte not in (MAYBE_NULL, NOT_NULL):
            return value_type(data, pos, self._types)
        heap, after = any_heap_type(data, pos + 1)
        nullable = byte == MAYBE_NULL
        if heap < 0:
            return -heap if nullable else without_null(-heap), after
        if heap < self._first:
            return value_type(data, pos, self._types)
        if heap >= self._end:
            raise ValidationError(f"unknown type {heap}", pos)
        return (heap - self._first, nullable), after

    def _other_form(self, form: int, pos: int) -> DecodeError | ValidationError:
        """The error for a type that is no function. What is malformed comes before what is not supported, where that
        shows at once.
        """
        data = self._data
        signed(data, pos, 7)
        if form == _ARRAY_FORM:
            self._field_type(pos + 1)
            return unsupported("gc", "array type", pos)
        if form == _STRUCT_FORM:
            count, field = u32(data, pos + 1)
            for _ in range(count):
                field = self._field_type(field)
            return unsupported("gc", "struct type", pos)
        from ..proposals import FORMS

        if form in FORMS:
            return unsupported(*FORMS[form], pos)
        return DecodeError(f"malformed definition type {form:#04x}", pos)

    def _field_type(self, pos: int) -> int:
        """Skip the type of a struct's field or an array's elements."""
        if self._data[pos] in _PACKED:
            pos += 1
        else:
            _, pos = self._value_type(pos)
        return mutability(self._data, pos)[1]
