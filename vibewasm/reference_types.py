"""Types of references, and types of functions that refer to each other or have subtypes (specification 3.0, "Structure
/ Types", "Validation / Types / Rolling and Unrolling", "Matching").

A reference type is an int, like every value type inside the engine. The abstract ones have fixed codes: the nullable
ones from :data:`~.types.FUNCREF` on, those without null :data:`~.types.NOT_NULL` above. A reference to a function type
of its own has a code from :data:`FIRST_CONCRETE` on, an even one where null belongs to it: two equal types have one
code in the whole process, so codes are compared where types are.

Function types are equal by their parameters and results. One that a module declares in a recursive group, with a
supertype, or open to subtypes has an identity besides: groups are equal as a whole, see :mod:`.type_groups`.

Nothing here is loaded before a module, or Python code, has such a type.
"""

from __future__ import annotations

from .type_groups import find, group, group_of, is_subnumber, type_at
from .types import _BY_CODE, EXNREF, EXTERNREF, FIRST_CONCRETE, FUNCREF, NOT_NULL, FuncType, ValType

__all__ = ["FIRST_CONCRETE", "group"]

#: The bottom of each hierarchy: no value but null has these types.
NULLFUNCREF, NULLEXTERNREF, NULLEXNREF = 8, 9, 10
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

#: Whether the first of two nullable references to function types matches the second: what has been asked lately, since
#: an instruction of few bytes may ask of a thousand values, each of a type with many supertypes.
_known: dict[tuple[int, int], bool] = {}
_MOST_KNOWN = 1 << 14


# -- codes -------------------------------------------------------------------------------------------------------------


def concrete(type_: FuncType, nullable: bool) -> int:
    """The code of a reference to functions of a type. It is good as long as the type is there, or another one that is
    equal and was asked for its code: that keeps what has the number.
    """
    number = type_._identity - 1
    if number < 0:
        number = group_of(type_).first
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
    return type_at(code - FIRST_CONCRETE >> 1) if code >= FIRST_CONCRETE else None


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
        found = is_subnumber(sub - FIRST_CONCRETE >> 1, super_ - FIRST_CONCRETE >> 1)
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
    return sub._identity != 0 and is_subnumber(sub._identity - 1, super_._identity - 1)


def may_be_subtype(sub: FuncType, super_: FuncType) -> bool:
    """Whether a function type may be declared to be a subtype of another one."""
    return (
        not super_.final
        and all_match(super_.param_codes, sub.param_codes)
        and all_match(sub.result_codes, super_.result_codes)
    )


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
        try:
            find(code - FIRST_CONCRETE >> 1)
        except IndexError:
            return False
        return True
    return code in _ABSTRACT or code - NOT_NULL in _ABSTRACT


def name_of(code: int) -> str:
    """The name of a reference type: as in the text format, and for functions their type."""
    return _name(code, 0)


def _name(code: int, depth: int) -> str:
    null = "null " if is_nullable(code) else ""
    if code < FIRST_CONCRETE:
        plain = with_null(code)
        return _SHORT_NAMES[code] if code in _SHORT_NAMES else f"(ref {null}{_ABSTRACT[plain][0]})"
    type_ = type_at(code - FIRST_CONCRETE >> 1)
    if depth >= len(_NAMED):
        return f"(ref {null}...)"
    lists = []
    for codes in (type_.param_codes, type_.result_codes):
        names = [_name(each, depth + 1) if each > EXNREF else _BY_CODE[each].name for each in codes[: _NAMED[depth]]]
        lists.append(", ".join(names + ["..."] * (len(codes) > len(names))))
    return f"(ref {null}({lists[0]}) -> ({lists[1]}))"
