"""Giving back what registries keep: entries that nobody but the registry refers to any more.

What is alike has one object in a registry, and whoever needs that it stays the same holds the object. So an entry may
go when only the registry has it: then nobody can compare with it. This is found by counting references, and not with
weak references, since those are cleared before finalisers run, which may bring back what holds the object.

A registry looks for such entries when it has become twice as large as it was after the last time, so it keeps at most
about as many again as are needed, and looking costs a step for each entry that is made.
"""

from __future__ import annotations

from sys import getrefcount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import TypeVar

    Key = TypeVar("Key", bound=Hashable)
    Value = TypeVar("Value")

__all__ = ["ALONE", "give_back"]

_probe = [object()]
#: The count of an object that one container refers to and that was taken out of it as an argument.
ALONE = getrefcount(_probe[0])


def give_back(registry: dict[Key, Value]) -> int:
    """Drop the entries whose values only the registry refers to, and return how many are left.

    Whoever adds an entry, or looks for one again that he did not find, has to hold the lock that the caller holds.
    """
    taken: list[Value] = []
    for key in [*registry]:
        if getrefcount(registry[key]) == ALONE:
            taken.append(registry.pop(key))
            if getrefcount(taken[0]) != ALONE:
                # Another thread has found it meanwhile.
                registry.setdefault(key, taken[0])
            taken.clear()
    return len(registry)
