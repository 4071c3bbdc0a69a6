"""Functions that a linker makes itself: for imports that nothing is defined for, and for the exports of commands.

Loaded only where a linker is asked for one of them.
"""

from __future__ import annotations

from ..errors import LinkError
from ..traps import Trap
from .instance import Instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..types import FuncType
    from .linker import Linker
    from .module import Module
    from .store import Store


class StandIn:
    """What makes a function of whatever type an import wants."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[FuncType, str], Callable[..., Any]]) -> None:
        self.make = make


def _zeros(type: FuncType, shown: str) -> Callable[..., Any]:
    """A function that returns zeros of the result types."""
    for given in type.results:
        if given.is_ref and not given.nullable:
            raise LinkError(f"{shown} cannot be defined as zero: null does not belong to its result type {given}")
    zeros = tuple(None if result.is_ref else 0 for result in type.results)
    result = zeros[0] if len(zeros) == 1 else zeros or None

    def zero(*arguments: object) -> object:
        return result

    return zero


def _traps(type: FuncType, shown: str) -> Callable[..., Any]:
    """A function that raises a trap which names the import."""

    def trap(*arguments: object) -> object:
        raise Trap(f"unknown import: {shown} was called, and nothing is defined for it", "unknown_import")

    return trap


ZEROS = StandIn(_zeros)
TRAPS = StandIn(_traps)


def in_an_instance_of_its_own(linker: Linker, store: Store, module: Module, name: str) -> Callable[..., Any]:
    """A function that instantiates a module, and calls its export of this name."""

    def run(*arguments: object) -> object:
        instance: Instance = linker.instantiate(store, module)
        return instance.exports[name](*arguments)

    return run
