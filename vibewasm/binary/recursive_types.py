"""Reading types that are more than functions of the usual types: recursive groups, types with subtypes, and types whose
parameters and results are references to types (specification 3.0, "Binary Format / Types / Recursive Types").

A type that stands for itself is a group of one, so it may refer to itself. Nothing of the module's other parts is known
yet, so what is malformed here comes before what is invalid in them only within this section.
"""

from __future__ import annotations

from ..errors import DecodeError, ValidationError
from ..reference_types import may_be_subtype, without_null
from ..type_groups import MOST_KEPT, declared, depth_of, find, group_of
from ..types import FIRST_CONCRETE, VALUE_TYPES, FuncType
from .leb128 import signed, u32
from .sections import FUNC_FORM, read_count
from .support import MAX_PARAMS, MAX_RESULTS, MAX_SUBTYPING_DEPTH, MAX_TYPES, unsupported
from .value_types import MAYBE_NULL, NOT_NULL, any_heap_type, mutability, reference_to_type, value_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..type_groups import Plain
    from .many_types import Types
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
    start = pos
    count = 1
    if data[pos] == _GROUP_FORM:
        count, pos = read_count(data, pos + 1, len(data), MAX_TYPES - len(info.types), "types")
    reader = _Reader(data, info.types, count)
    for position in range(count):
        pos = reader.member(pos, position)
    if not count:
        return pos
    many = _many_types(info, count)
    if reader.is_plain():
        if many is None:
            made = reader.plain()
            if reader.uses:
                made._uses = (*reader.uses,)
            info.types.append(made)
        else:
            many.append_at(start)
        return pos
    # Matching follows supertypes, also those of members that come later: first there have to be few of them.
    if reader.too_deep is not None:
        raise ValidationError(
            f"implementation limit: a type with more than {MAX_SUBTYPING_DEPTH} supertypes", reader.too_deep
        )
    group = declared(reader.numbers, reader.uses, reader.starts, bytes(reader.depths))
    if many is None:
        info.types += group.types()
    else:
        many.append_group(group)
    wheres = iter(reader.wheres)
    for position in range(count if reader.wheres else 0):
        if group.super_number(position) < 0:
            continue
        type_ = group.member(position)
        where, supertype = next(wheres), type_.supertype
        if supertype is not None and not may_be_subtype(type_, supertype):
            why = "is final" if supertype.final else "does not match"
            raise ValidationError(f"sub type {type_} does not match super type: {supertype} {why}", where)
    return pos


def _many_types(info: ModuleInfo, more: int) -> Types | None:
    """The module's types if they are more than are kept as objects, with the next ones."""
    types = info.types
    if type(types) is list:
        if len(types) + more <= MOST_KEPT:
            return None
        from .many_types import Types

        types = info.types = Types(info.data, types)  # type: ignore[assignment]  # users of the list cannot tell
    return types  # type: ignore[return-value]  # it is one


def plain_type_at(data: bytes, pos: int, types: Sequence[FuncType]) -> FuncType:
    """The plain type at a position of a module whose types have been read."""
    while data[pos] in (_GROUP_FORM, _SUB_FORM, _FINAL_SUB_FORM):
        # A group of one, and a final type without a supertype.
        pos = u32(data, pos + 1)[1]
    reader = _Reader(data, types, 0)
    reader.member(pos, 0)
    return reader.plain()


class _Reader:
    """Reads the members of one group of ``count``, after ``types``.

    Attributes:
        numbers, uses, starts, depths: what :func:`..type_groups.declared` takes.
        wheres: where the members begin that have supertypes.
        too_deep: where the first one begins that has too many, or ``None``.
    """

    def __init__(self, data: bytes, types: Sequence[FuncType], count: int) -> None:
        self._types = types
        self._data = data
        self._first = len(types)
        self._end = self._first + count
        self.uses: set[Plain] = set()
        self.depths = bytearray()
        self.too_deep: int | None = None
        self.numbers: Sequence[int]
        self.starts: Sequence[int]
        self.wheres: Sequence[int]
        if count <= MOST_KEPT:
            self.numbers, self.starts, self.wheres = [], [], []
        else:
            from array import array

            self.numbers, self.starts, self.wheres = array("q"), array("I"), array("Q")
        self._add = self.numbers.append

    def is_plain(self) -> bool:
        """Whether there is one member, which says no more than its parameters and results."""
        numbers = self.numbers
        return len(self.starts) == 1 and numbers[0] == 1 and numbers[1] == 0 and min(numbers) >= 0

    def plain(self) -> FuncType:
        """That as a type."""
        codes = tuple(self.numbers[4:])
        return FuncType.from_codes(codes[: self.numbers[2]], codes[self.numbers[2] :])

    def member(self, pos: int, position: int) -> int:
        """Read a member, with or without its supertypes, and return the position after it."""
        data = self._data
        start = pos
        form = data[pos]
        final = True
        above = depth = 0
        if form in (_SUB_FORM, _FINAL_SUB_FORM):
            final = form == _FINAL_SUB_FORM
            count, pos = u32(data, pos + 1)
            if count > 1:
                raise ValidationError(f"a type has one supertype at most, not {count}", start)
            if count:
                index, pos = u32(data, pos)
                if index >= self._first + position:
                    raise ValidationError(f"unknown type {index}: a supertype comes before its subtypes", start)
                above, depth = self._above(index)
                self.wheres.append(start)  # type: ignore[attr-defined]  # a list or an array
                if depth > MAX_SUBTYPING_DEPTH:
                    if self.too_deep is None:
                        self.too_deep = start
                    depth = MAX_SUBTYPING_DEPTH
            form = data[pos]
        if form != FUNC_FORM:
            raise self._other_form(form, pos)
        at = len(self.numbers)
        self.starts.append(at)  # type: ignore[attr-defined]  # a list or an array
        self.depths.append(depth)
        for number in (int(final), above, 0, 0):
            self._add(number)
        numbers = self.numbers
        numbers[at + 2], pos = self._value_types(pos + 1, MAX_PARAMS, "parameters")  # type: ignore[index]
        numbers[at + 3], pos = self._value_types(pos, MAX_RESULTS, "results")  # type: ignore[index]
        return pos

    def _above(self, index: int) -> tuple[int, int]:
        """A supertype as a number of the group, and how many supertypes its subtype has."""
        if index >= self._first:
            return ~(index - self._first), self.depths[index - self._first] + 1
        type_ = self._types[index]
        self.uses.add(group_of(type_))
        return reference_to_type(self._types, index), depth_of(type_) + 1

    def _value_types(self, pos: int, most: int, what: str) -> tuple[int, int]:
        """Add the numbers of value types; returns how many there are, and the position after them."""
        data = self._data
        count, pos = read_count(data, pos, len(data), most, what)
        for _ in range(count):
            number, pos = self._value_type(pos)
            self._add(number)
        return count, pos

    def _value_type(self, pos: int) -> tuple[int, int]:
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
            code = reference_to_type(self._types, heap)
            self.uses.add(find(code - FIRST_CONCRETE >> 1)[0])
            return code if nullable else without_null(code), after
        if heap >= self._end:
            raise ValidationError(f"unknown type {heap}", pos)
        return ~(2 * (heap - self._first) + (not nullable)), after

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
