"""Whether what is given for an import has the type that the module wants (core specification, "External Typing",
"Matching").
"""

from __future__ import annotations

from ..extern_types import GlobalType, MemoryType, TableType
from ..types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.extern import Extern
    from ..extern_types import ExternType, Limits


def mismatch(wanted: ExternType, item: Extern) -> str | None:
    """Why ``item`` does not match the type ``wanted``, or ``None`` if it does.

    A memory or table counts with its present size.
    """
    given = item.type
    if type(given) is not type(wanted):
        return f"it is a {_KINDS[type(given)]}, not a {_KINDS[type(wanted)]}"
    if isinstance(wanted, FuncType):
        fits = given == wanted
    elif isinstance(wanted, GlobalType):
        # Immutable globals may hold a subtype of what is wanted; no two types here are in such a relation.
        fits = given == wanted
    elif isinstance(wanted, TableType):
        assert isinstance(given, TableType)
        fits = given.element is wanted.element and _limits_match(given.limits, wanted.limits)
    else:
        assert isinstance(given, MemoryType)
        fits = given.limits.shared == wanted.limits.shared and _limits_match(given.limits, wanted.limits)
    return None if fits else f"it is a {given}, not a {wanted}"


_KINDS = {FuncType: "function", TableType: "table", MemoryType: "memory", GlobalType: "global"}


def _limits_match(given: Limits, wanted: Limits) -> bool:
    if given.is64 != wanted.is64 or given.minimum < wanted.minimum:
        return False
    return wanted.maximum is None or (given.maximum is not None and given.maximum <= wanted.maximum)
