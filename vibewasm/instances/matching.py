"""Whether what is given for an import has the type that the module wants (core specification, "External Typing",
"Matching").
"""

from __future__ import annotations

from ..extern_types import GlobalType, MemoryType, TableType, TagType
from ..types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.extern import Extern
    from ..extern_types import ExternType, Limits
    from ..types import ValType


def mismatch(wanted: ExternType, item: Extern) -> str | None:
    """Why ``item`` does not match the type ``wanted``, or ``None`` if it does.

    A memory or table counts with its present size.
    """
    given = item.type
    why = ""
    if isinstance(wanted, FuncType) and isinstance(given, FuncType):
        fits = given == wanted or (given.supertype is not None and _is_subtype(given, wanted))
    elif isinstance(wanted, GlobalType) and isinstance(given, GlobalType):
        fits = given == wanted
        if not fits and given.mutable == wanted.mutable and given.content.is_ref:
            # What can be set has to be the same for both sides.
            fits = not wanted.mutable and _matches(given.content, wanted.content)
            why = "" if fits or not wanted.mutable else ": what can be set has the same type on both sides"
    elif isinstance(wanted, TableType) and isinstance(given, TableType):
        fits = given.element is wanted.element and _limits_match(given.limits, wanted.limits)
    elif isinstance(wanted, MemoryType) and isinstance(given, MemoryType):
        fits = given.limits.shared == wanted.limits.shared and _limits_match(given.limits, wanted.limits)
    elif isinstance(wanted, TagType) and isinstance(given, TagType):
        fits = given == wanted
    else:
        return f"it is a {_kind(given)}, not a {_kind(wanted)}"
    if fits:
        return None
    if str(given) == str(wanted):
        return f"it is a {given}, declared with another supertype or in another group of types than the one wanted"
    return f"it is a {given}, not a {wanted}{why}"


def _is_subtype(given: FuncType, wanted: FuncType) -> bool:
    from ..reference_types import is_subtype  # few modules get here

    return is_subtype(given, wanted)


def _matches(given: ValType, wanted: ValType) -> bool:
    from ..reference_types import matches  # the same

    return matches(given.code, wanted.code)


def _kind(type_: ExternType) -> str:
    for kind, name in _KINDS:
        if isinstance(type_, kind):
            return name
    raise AssertionError(type_)


_KINDS: tuple[tuple[type, str], ...] = (
    (FuncType, "function"),
    (TableType, "table"),
    (MemoryType, "memory"),
    (GlobalType, "global"),
    (TagType, "tag"),
)


def _limits_match(given: Limits, wanted: Limits) -> bool:
    if given.is64 != wanted.is64 or given.minimum < wanted.minimum:
        return False
    return wanted.maximum is None or (given.maximum is not None and given.maximum <= wanted.maximum)
