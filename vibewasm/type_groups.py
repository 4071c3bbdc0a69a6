"""What the process knows of function types that references are to, and of types that are more than parameters and
results: each has a number, equal ones the same, and no number is ever given to another type. The code of a reference
to it is twice that and :data:`~.types.FIRST_CONCRETE`, and one more without null.

A *group* is what is equal as a whole: a recursive group, or one function type that says no more than its parameters and
results (a plain one), once a reference is to it. All that has to do with a number holds its group: types, value types,
and groups that refer to it. So a group that only the registry has is given back (:mod:`.giving_back`).

Nothing here is loaded before a module, or Python code, has such a type.
"""

from __future__ import annotations

from _operator import attrgetter
from _thread import RLock
from bisect import bisect_right
from sys import getrefcount

from . import hold_over_fork
from .giving_back import ALONE, give_back
from .types import _BY_CODE, FIRST_CONCRETE, FuncType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    #: A value type inside a group: a code, or the position of a member of the group and whether null belongs to it.
    Inside = int | tuple[int, bool]
    #: A member of a group: whether it is final; its supertype, which may be an earlier member by its position;
    #: parameters and results.
    Member = tuple[bool, "int | FuncType | None", tuple[Inside, ...], tuple[Inside, ...]]
    #: The same with value types in place of codes.
    _PickledMember = tuple[bool, "int | FuncType | None", tuple[object, ...], tuple[object, ...]]

#: Members of larger groups are made when they are asked for.
MOST_KEPT = 1024
#: In place of whether a type is final: it is a plain one, and only the number of parameters comes before the codes.
_PLAIN = 2
#: Numbers before the parameters of each member of a group: whether it is final, its supertype, how many parameters and
#: results there are.
_HEAD = 4
#: Codes of struct, and bits, for numbers in a group.
_WIDTHS = (("b", 7), ("h", 15), ("i", 31), ("q", 63))
#: Numbers that are put into bytes at once.
_AT_ONCE = 1 << 10

#: All groups by what they are equal by, and in the order of their numbers.
_groups: dict[bytes, Plain] = {}
_order: list[Plain] = []
_first = attrgetter("first")
#: Value types that are references to function types, by code.
_val_types: dict[int, ValType] = {}
_next = 0
#: From so many on it is looked for those that nobody needs.
_ROOM = 256
_room = _ROOM
#: For who adds anything.
_lock = RLock()
hold_over_fork(_lock)


class Plain:
    """A plain function type that references are to.

    Attributes:
        first: its number; of a recursive group, that of the first member.
        numbers: what it is equal by, as bytes: see :func:`packed`.
        uses: a group, or groups, that it refers to.
    """

    __slots__ = ("first", "numbers", "uses")

    first: int
    members: tuple[DeclaredType, ...] | None = None
    depths: bytes = b"\0"

    def __init__(self, numbers: bytes, uses: Iterable[Plain]) -> None:
        self.numbers = numbers
        self.uses: object = (*uses,)
        if len(self.uses) == 1:
            # Of most, and there may be hundreds of thousands.
            self.uses = self.uses[0]

    def _numbers(self) -> memoryview[int]:
        return memoryview(self.numbers)[1:].cast(chr(self.numbers[0]))  # type: ignore[call-overload, no-any-return]

    def codes(self, position: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Parameters and results of a member."""
        numbers = self._numbers()
        params = numbers[1]
        return tuple(numbers[2 : 2 + params]), tuple(numbers[2 + params :])

    def super_number(self, position: int) -> int:
        """The number of the supertype of a member, or -1."""
        return -1

    def forget(self) -> None:
        """Let the members go, which have this."""

    def member(self, position: int) -> FuncType:
        """A member's type."""
        made = FuncType.from_codes(*self.codes(0))
        made._named = self
        return made


class _Gone(Plain):
    """In the place of a group that is given back."""

    __slots__ = ()

    depths = b""

    def __init__(self, first: int) -> None:
        self.first = first


class Group(Plain):
    """A recursive group, or a type that is more than its parameters and results.

    Attributes:
        depths: how many supertypes each member has.
        starts: where each member begins among the numbers.
        members: the types, where these are kept.
    """

    __slots__ = ("depths", "members", "starts")

    def __init__(self, numbers: bytes, uses: Iterable[Plain], starts: Sequence[int], depths: bytes) -> None:
        Plain.__init__(self, numbers, uses)
        self.starts = starts
        self.depths = depths
        self.members = None

    def codes(self, position: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        numbers = self._numbers()
        start = self.starts[position]
        middle = start + _HEAD + numbers[start + 2]
        first = FIRST_CONCRETE + 2 * self.first
        lists = (numbers[start + _HEAD : middle], numbers[middle : middle + numbers[start + 3]])
        params, results = [
            tuple([number if number >= 0 else first + ~number for number in numbers]) for numbers in lists
        ]
        return params, results

    def _head(self, position: int) -> tuple[int, int]:
        numbers = self._numbers()
        start = self.starts[position]
        return numbers[start], numbers[start + 1]

    def is_final(self, position: int) -> bool:
        """Whether a member is final."""
        return self._head(position)[0] == 1

    def super_number(self, position: int) -> int:
        above = self._head(position)[1]
        if above < 0:
            return self.first + ~above
        return above - FIRST_CONCRETE >> 1 if above else -1

    def member(self, position: int) -> DeclaredType:
        kept = self.members
        return DeclaredType._of(self, position) if kept is None else kept[position]

    def forget(self) -> None:
        self.members = None

    def types(self) -> tuple[DeclaredType, ...]:
        """All members, which are kept from now on if they are not too many."""
        kept = self.members
        if kept is None:
            kept = tuple([DeclaredType._of(self, position) for position in range(len(self.depths))])
            if len(kept) <= MOST_KEPT:
                with _lock:
                    if self.members is None:
                        self.members = kept
                    kept = self.members
        return kept

    def described(self) -> list[_PickledMember]:
        """The members as :func:`group` takes them, with value types in place of codes."""
        found: list[_PickledMember] = []
        end = FIRST_CONCRETE + 2 * self.first + 2 * len(self.depths)
        for position in range(len(self.depths)):
            lists: list[tuple[object, ...]] = []
            for codes in self.codes(position):
                inside: list[object] = []
                for code in codes:
                    at = code - FIRST_CONCRETE - 2 * self.first
                    inside.append((at >> 1, not at & 1) if at >= 0 and code < end else _BY_CODE[code])
                lists.append(tuple(inside))
            number = self.super_number(position)
            own = self.first <= number < self.first + len(self.depths)
            above = None if number < 0 else number - self.first if own else type_at(number)
            found.append((self.is_final(position), above, lists[0], lists[1]))
        return found


class DeclaredType(FuncType):
    """A function type that is more than its parameters and results: a member of a group."""

    __slots__ = ("_group", "_identity", "final")

    _group: Group

    @classmethod
    def _of(cls, group: Group, position: int) -> DeclaredType:
        made = cls.__new__(cls)
        made._group = group
        # Whatever refers to it does so by its number.
        made._hash = made._identity = group.first + position + 1
        made.final = group.is_final(position)
        made.param_codes, made.result_codes = group.codes(position)
        return made

    @property
    def _position(self) -> int:
        return self._identity - 1 - self._group.first

    @property
    def supertype(self) -> FuncType | None:  # type: ignore[override]  # it is computed, and nobody sets it
        """The type that it is declared to be a subtype of, or ``None``."""
        number = self._group.super_number(self._position)
        return None if number < 0 else type_at(number)

    if not TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> tuple[ValType, ...]:
            # Not kept, since a value type may have the group, which has this: that would stay for ever.
            if attribute != "params" and attribute != "results":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
            return tuple([_BY_CODE[code] for code in getattr(self, f"{attribute[:-1]}_codes")])

    def __reduce__(self) -> tuple[Callable[..., FuncType], tuple[object, ...]]:
        return _from_pickle, (self._group.described(), self._position)


def _from_pickle(members: list[_PickledMember], at: int) -> FuncType:
    described = [
        (final, super_, *[tuple([t.code if isinstance(t, ValType) else t for t in types]) for types in lists])
        for final, super_, *lists in members
    ]
    return group(tuple(described))[at]  # type: ignore[arg-type]  # built as above


# -- making them -------------------------------------------------------------------------------------------------------


def packed(numbers: Sequence[int]) -> bytes:
    """The numbers of a group, as few bytes each as will do: for each member its head and the codes of its parameters
    and results. Below 0 are members of the group itself: of supertypes, the position as ``~position``, and of
    references ``~(2 * position)``, or one less without null.
    """
    least, most = min(numbers), max(numbers)
    code, bits = next(width for width in _WIDTHS if -1 << width[1] <= least and most < 1 << width[1])
    size = bits + 1 >> 3
    made = bytearray(code.encode())
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        made += b"".join([number.to_bytes(size, "little", signed=True) for number in some])
    return bytes(made)


def declared(numbers: Sequence[int], uses: Iterable[Plain], starts: Sequence[int], depths: bytes) -> Group:
    """The group that these make, one for equal ones.

    Args:
        numbers: see :func:`packed`.
        uses: the groups that it refers to.
        starts, depths: by member, as of :class:`Group`.
    """
    key = packed(numbers)
    found = _groups.get(key)
    if found is None:
        with _lock:
            found = _groups.get(key)
            if found is None:
                found = _add(Group(key, uses, starts, depths), len(depths))
    assert isinstance(found, Group)
    return found


def group_of(type_: FuncType) -> Plain:
    """The group of a type, which the type keeps."""
    if type_._identity:
        assert isinstance(type_, DeclaredType)
        return type_._group
    found: Plain | None = getattr(type_, "_named", None)
    if found is None:
        params, results = type_.param_codes, type_.result_codes
        key = packed((_PLAIN, len(params), *params, *results))
        found = _groups.get(key)
        if found is None:
            with _lock:
                found = _groups.get(key)
                if found is None:
                    found = _add(Plain(key, {*groups_in((*params, *results))}), 1)
        keeper = getattr(type_, "_uses", None)
        if keeper is None or isinstance(keeper, tuple):
            type_._named = found
        else:
            # The type was made for this moment only; what made it keeps the group.
            keeper.own(found)
    return found


def groups_in(codes: Iterable[int]) -> Iterable[Plain]:
    """The groups that references are to."""
    return [find(code - FIRST_CONCRETE >> 1)[0] for code in codes if code >= FIRST_CONCRETE]


def _add(made: Plain, count: int) -> Plain:
    """Give a group its numbers. The lock is held."""
    global _next, _room
    if len(_groups) + len(_val_types) >= _room:
        _sweep()
        _room = 2 * (len(_groups) + len(_val_types)) + _ROOM
    made.first = _next
    _next += count
    _order.append(made)
    _groups[made.numbers] = made
    return made


def _sweep() -> None:
    """Give back what nobody needs. The lock is held."""
    global _order
    give_back(_val_types)
    groups = _order
    taken: list[Plain] = []
    # Groups refer to earlier ones.
    for at in range(len(groups) - 1, -1, -1):
        members = groups[at].members or ()
        # What refers to it: the two registries, and its members, of which each has no more than its place.
        if getrefcount(groups[at]) != ALONE + 1 + len(members) or not _alone(members):
            continue
        taken.append(_groups.pop(groups[at].numbers))
        if getrefcount(taken[0]) != ALONE + 1 + len(members) or not _alone(members):
            # Another thread has found it meanwhile.
            _groups.setdefault(taken[0].numbers, taken[0])
        else:
            # Its members have it, too.
            taken[0].forget()
            groups[at] = _Gone(taken[0].first)
        del members
        taken.clear()
    # Whoever looks for a number meanwhile has the list as it was.
    _order = [group for group in groups if group.depths]


def _alone(members: tuple[DeclaredType, ...]) -> bool:
    return all(getrefcount(members[at]) == ALONE for at in range(len(members)))


def group(members: tuple[Member, ...]) -> tuple[FuncType, ...]:
    """The types of a recursive group: the same objects for equal groups, if they are not too many. Whether supertypes
    are valid is for the caller to say.
    """
    if len(members) == 1:
        final, super_, params, results = members[0]
        if final and super_ is None and not any(isinstance(type_, tuple) for type_ in (*params, *results)):
            return (plain_type(params, results),)  # type: ignore[arg-type]  # all are codes
    numbers: list[int] = []
    uses: set[Plain] = set()
    starts: list[int] = []
    depths = bytearray()
    for final, super_, params, results in members:
        starts.append(len(numbers))
        above = depth = 0
        if isinstance(super_, int):
            above, depth = ~super_, depths[super_] + 1
        elif super_ is not None:
            group_above = group_of(super_)
            uses.add(group_above)
            number = super_._identity - 1 if super_._identity else group_above.first
            above, depth = FIRST_CONCRETE + 2 * number, depth_of(super_) + 1
        numbers += (int(final), above, len(params), len(results))
        for inside in (*params, *results):
            if isinstance(inside, int):
                numbers.append(inside)
                uses.update(groups_in((inside,)))
            else:
                numbers.append(~(2 * inside[0] + (not inside[1])))
        depths.append(depth)
    return declared(numbers, uses, starts, bytes(depths)).types()


def plain_type(params: tuple[int, ...], results: tuple[int, ...]) -> FuncType:
    """A function type that says no more than these codes, and keeps what they refer to."""
    made = FuncType.from_codes(params, results)
    uses = groups_in((*params, *results))
    if uses:
        made._uses = (*uses,)
    return made


# -- numbers -----------------------------------------------------------------------------------------------------------


def find(number: int) -> tuple[Plain, int]:
    """The group that has a number, and the member's position in it.

    Raises:
        IndexError: no type has this number, or none has it any more.
    """
    groups = _order
    at = bisect_right(groups, number, key=_first) - 1
    found = groups[at]
    if at < 0 or number - found.first >= len(found.depths):
        raise IndexError(number)
    return found, number - found.first


def type_at(number: int) -> FuncType:
    """The type with a number. Raises :class:`IndexError`."""
    found, position = find(number)
    return found.member(position)


def depth_of(type_: FuncType) -> int:
    """How many supertypes a type has."""
    return type_._group.depths[type_._position] if isinstance(type_, DeclaredType) else 0


def is_subnumber(sub: int, super_: int) -> bool:
    """Whether the type with one number is that with another, or is declared to be a subtype of it."""
    while sub != super_:
        found, position = find(sub)
        sub = found.super_number(position)
        if sub < 0:
            return False
    return True


def val_type_at(code: int) -> ValType:
    """The value type of references to a function type, one object for all who have it.

    Raises:
        IndexError: there is no such function type.
    """
    found = _val_types.get(code)
    if found is None:
        with _lock:
            found = _val_types.get(code)
            if found is None:
                found = object.__new__(ValType)
                found.code = code
                found._group = find(code - FIRST_CONCRETE >> 1)[0]
                _val_types[code] = found
    return found
