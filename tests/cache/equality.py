"""Decoded modules, compared by all that they say."""

from __future__ import annotations

from collections.abc import Iterable

from vibewasm.binary.module_info import ConstExpr, Data, Element, Export, Import, ModuleInfo, Section

#: Objects without an ``==`` of their own.
_PLAIN = (ConstExpr, Data, Element, Export, Import, Section)


def facts(info: ModuleInfo) -> dict[str, object]:
    """Everything that a module's attributes say, comparable, with which objects are shared among constant
    expressions.
    """
    return {name: _plain(getattr(info, name)) for name in ModuleInfo.__slots__ if name[0] != "_"} | {
        "items": [[id(items[0]) == id(item) for item in items] for items in (e.exprs or [] for e in info.elements)]
    }


def _plain(value: object) -> object:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, frozenset, dict)):
        # A list, or what stands for one.
        return [_plain(item) for item in value]
    if isinstance(value, _PLAIN):
        return type(value), [_plain(getattr(value, name)) for name in type(value).__slots__]
    # Order counts in a dict, and 0 is not False here.
    return (
        (type(value), [(key, _plain(item)) for key, item in value.items()])
        if isinstance(value, dict)
        else (type(value), value)
    )
