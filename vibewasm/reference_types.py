"""Types of references, and types of functions that refer to each other or have subtypes (specification 3.0, "Structure
/ Types", "Validation / Types / Rolling and Unrolling", "Matching").

A reference type is an int, like every value type inside the engine. The abstract ones have fixed codes: the nullable
ones from :data:`~.types.FUNCREF` on, those without null :data:`~.types.NOT_NULL` above. A reference to a function type
of its own has a code from :data:`FIRST_CONCRETE` on, an even one where null belongs to it: two equal types have one
code in the whole process, so codes are compared where types are.

Function types are equal by their parameters and results. One that a module declares in a recursive group, with a
supertype, or open to subtypes has an identity besides: groups are equal as a whole, and each is made once
(:func:`group`).

Nothing here is loaded before a module, or Python code, has such a type.
"""

from __future__ import annotations

import _thread

from . import hold_over_fork
from .types import _BY_CODE, EXNREF, EXTERNREF, FUNCREF, NOT_NULL, FuncType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    #: A value type inside a group: a code, or the position of a member of the group and whether null belongs to it.
    Inside = int | tuple[int, bool]
    #: A member of a group: whether it is final; its supertype, which may be an earlier member by its position;
    #: parameters and results.
    Member = tuple[bool, "int | FuncType | None", tuple[Inside, ...], tuple[Inside, ...]]
    #: The same with value types in place of codes.
    _PickledMember = tuple[bool, "int | FuncType | None", tuple[object, ...], tuple[object, ...]]

#: The bottom of each hierarchy: no value but null has these types.
NULLFUNCREF, NULLEXTERNREF, NULLEXNREF = 8, 9, 10
#: From here on are references to function types.
FIRST_CONCRETE = 64

#: Abstract heap types, by code of the nullable reference: the text format's word, and the top of the hierarchy.
_ABSTRACT = {
    FUNCREF: ("func", FUNCREF),
    EXTERNREF: ("extern", EXTERNREF),
    EXNREF: ("exn", EXNREF),
    NULLFUNCREF: ("nofunc", FUNCREF),
    NULLEXTERNREF: ("noextern", EXTERNREF),
    NULLEXNREF: ("noexn", EXNREF),
}
_BY_WORD = {word: code for code, (word, _) in _ABSTRACT.items()}
_SHORT_NAMES = {NULLFUNCREF: "nullfuncref", NULLEXTERNREF: "nullexternref", NULLEXNREF: "nullexnref"}
_BY_SHORT_NAME = {name: code for code, name in _SHORT_NAMES.items()}
#: Names of types in the name of a type: so many of the parameters, and of the results, at each depth.
_NAMED = (8, 2)

#: The function types that references are to, by number, and the numbers of those that have no identity: an identity is
#: a number and 1.
_types: list[FuncType] = []
_numbers: dict[FuncType, int] = {}
_groups: dict[tuple[Member, ...], tuple[FuncType, ...]] = {}
_lock = _thread.RLock()
hold_over_fork(_lock)
#: Whether the first of two nullable references to function types matches the second: what has been asked lately, since
#: an instruction of few bytes may ask of a thousand values, each of a type with many supertypes.
_known: dict[tuple[int, int], bool] = {}
_MOST_KNOWN = 1 << 14


# -- codes -------------------------------------------------------------------------------------------------------------


def concrete(type_: FuncType, nullable: bool) -> int:
    """The code of a reference to functions of a type."""
    number = _numbers.get(type_) if not type_._identity else type_._identity - 1
    if number is None:
        with _lock:
            number = _numbers.get(type_)
            if number is None:
                number = len(_types)
                _types.append(type_)
                _numbers[type_] = number
    return FIRST_CONCRETE + 2 * number + (not nullable)


def is_nullable(code: int) -> bool:
    """Whether null belongs to a reference type."""
    return not code & 1 if code >= FIRST_CONCRETE else code < NOT_NULL


def with_null(code: int) -> int:
    """The reference type that has null besides."""
    if code >= FIRST_CONCRETE:
        return code & ~1
    return code - NOT_NULL if code >= NOT_NULL else code


def without_null(code: int) -> int:
    """The reference type without null."""
    if code >= FIRST_CONCRETE:
        return code | 1
    return code if code >= NOT_NULL else code + NOT_NULL


def func_type_of(code: int) -> FuncType | None:
    """The type of the functions that references of this type refer to, or ``None`` of an abstract one."""
    return _types[code - FIRST_CONCRETE >> 1] if code >= FIRST_CONCRETE else None


def top(code: int) -> int:
    """What kind of thing references of this type refer to: ``FUNCREF``, ``EXTERNREF`` or ``EXNREF``."""
    return FUNCREF if code >= FIRST_CONCRETE else _ABSTRACT[with_null(code)][1]


# -- matching ----------------------------------------------------------------------------------------------------------


def matches(sub: int, super_: int) -> bool:
    """Whether every value of the type ``sub`` has the type ``super_`` too (specification, "Matching"). Codes of any
    value types will do.
    """
    if sub == super_:
        return True
    if sub < FUNCREF or super_ < FUNCREF or (is_nullable(sub) and not is_nullable(super_)):
        return False
    sub, super_ = with_null(sub), with_null(super_)
    if sub == super_:
        return True
    if super_ < FIRST_CONCRETE:
        return top(sub) == super_
    if sub < FIRST_CONCRETE:
        return sub == NULLFUNCREF
    found = _known.get((sub, super_))
    if found is None:
        found = is_subtype(_types[sub - FIRST_CONCRETE >> 1], _types[super_ - FIRST_CONCRETE >> 1])
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[sub, super_] = found
    return found


def all_match(subs: tuple[int, ...], supers: tuple[int, ...]) -> bool:
    """Whether there are as many of both, and each matches."""
    return subs == supers or (
        len(subs) == len(supers) and all(matches(*pair) for pair in {*zip(subs, supers, strict=True)})
    )


def is_subtype(sub: FuncType, super_: FuncType) -> bool:
    """Whether a function type is another one, or is declared to be a subtype of it."""
    if not super_._identity:
        # A plain type is final.
        return sub == super_
    type_: FuncType | None = sub
    while type_ is not None:
        # One object is made of each declared type.
        if type_ is super_:
            return True
        type_ = type_.supertype
    return False


def may_be_subtype(sub: FuncType, super_: FuncType) -> bool:
    """Whether a function type may be declared to be a subtype of another one."""
    return (
        not super_.final
        and all_match(super_.param_codes, sub.param_codes)
        and all_match(sub.result_codes, super_.result_codes)
    )


# -- groups ------------------------------------------------------------------------------------------------------------


class DeclaredType(FuncType):
    """A function type that is more than its parameters and results: a member of a group."""

    __slots__ = ("_group", "_identity", "_position", "final", "supertype")

    _group: tuple[Member, ...]
    _position: int

    def __reduce__(self) -> tuple[Callable[..., FuncType], tuple[object, ...]]:
        members = [
            (final, super_, *[tuple([_BY_CODE[t] if isinstance(t, int) else t for t in types]) for types in lists])
            for final, super_, *lists in self._group
        ]
        return _from_pickle, (members, self._position)


def _from_pickle(members: list[_PickledMember], at: int) -> FuncType:
    described = [
        (final, super_, *[tuple([t.code if isinstance(t, ValType) else t for t in types]) for types in lists])
        for final, super_, *lists in members
    ]
    return group(tuple(described))[at]  # type: ignore[arg-type]  # built as above


def group(members: tuple[Member, ...]) -> tuple[FuncType, ...]:
    """The types of a recursive group: the same objects for equal groups. Whether supertypes are valid is for the
    caller to say.
    """
    if len(members) == 1:
        final, super_, params, results = members[0]
        if final and super_ is None and not any(isinstance(type_, tuple) for type_ in (*params, *results)):
            return (FuncType.from_codes(params, results),)  # type: ignore[arg-type]  # all are codes
    found = _groups.get(members)
    if found is None:
        with _lock:
            found = _groups.get(members)
            if found is None:
                found = _make_group(members)
                _groups[members] = found
    return found


def _make_group(members: tuple[Member, ...]) -> tuple[FuncType, ...]:
    first = len(_types)
    made: list[DeclaredType] = [DeclaredType.__new__(DeclaredType) for _ in members]
    for position, type_ in enumerate(made):
        # It is looked up before it is whole: whatever refers to it does so by its number.
        type_._identity = first + position + 1
        type_._hash = type_._identity
        _types.append(type_)
    for position, (type_, (final, super_, params, results)) in enumerate(zip(made, members, strict=True)):
        type_._group = members
        type_._position = position
        type_.final = final
        type_.supertype = made[super_] if isinstance(super_, int) else super_
        type_.param_codes, type_.result_codes = (
            tuple(
                [
                    inside if isinstance(inside, int) else FIRST_CONCRETE + 2 * (first + inside[0]) + (not inside[1])
                    for inside in types
                ]
            )
            for types in (params, results)
        )
    return tuple(made)


# -- what users see ----------------------------------------------------------------------------------------------------


def heap_of(code: int) -> str | FuncType:
    """What references of this type refer to: the text format's word, or a function type."""
    return func_type_of(code) or _ABSTRACT[with_null(code)][0]


def reference_to(heap: object, nullable: bool) -> int:
    """The code of a reference to what the text format has a word for, or to functions of a type.

    Raises:
        TypeError: it is neither.
        ValueError: there is no such word.
    """
    if isinstance(heap, FuncType):
        return concrete(heap, nullable)
    if not isinstance(heap, str):
        from .arguments import wrong

        raise wrong("ValType.ref", "heap", "a FuncType, or a word such as 'func'", heap)
    code = _BY_WORD.get(heap)
    if code is None:
        raise ValueError(f"ValType.ref: unknown heap type {heap!r}: known are {', '.join(_BY_WORD)}")
    return code if nullable else without_null(code)


def by_name(name: str) -> ValType | None:
    """The value type with this name, if it is an abstract reference type: ``(ref func)``, ``(ref null exn)``,
    ``nullexnref``.
    """
    if name in _BY_SHORT_NAME:
        return _BY_CODE[_BY_SHORT_NAME[name]]
    words = name.removeprefix("(").removesuffix(")").split()
    if words[:1] != ["ref"] or name != f"({' '.join(words)})" or words[-1] not in _BY_WORD:
        return None
    if len(words) == 2:
        return _BY_CODE[without_null(_BY_WORD[words[1]])]
    return _BY_CODE[_BY_WORD[words[2]]] if len(words) == 3 and words[1] == "null" else None


def is_reference(code: int) -> bool:
    """Whether a reference type has this code."""
    if code >= FIRST_CONCRETE:
        return code - FIRST_CONCRETE >> 1 < len(_types)
    return code in _ABSTRACT or code - NOT_NULL in _ABSTRACT


def name_of(code: int) -> str:
    """The name of a reference type: as in the text format, and for functions their type."""
    return _name(code, 0)


def _name(code: int, depth: int) -> str:
    null = "null " if is_nullable(code) else ""
    if code < FIRST_CONCRETE:
        plain = with_null(code)
        return _SHORT_NAMES[code] if code in _SHORT_NAMES else f"(ref {null}{_ABSTRACT[plain][0]})"
    type_ = _types[code - FIRST_CONCRETE >> 1]
    if depth >= len(_NAMED):
        return f"(ref {null}...)"
    lists = []
    for codes in (type_.param_codes, type_.result_codes):
        names = [_name(each, depth + 1) if each > EXNREF else _BY_CODE[each].name for each in codes[: _NAMED[depth]]]
        lists.append(", ".join(names + ["..."] * (len(codes) > len(names))))
    return f"(ref {null}({lists[0]}) -> ({lists[1]}))"
