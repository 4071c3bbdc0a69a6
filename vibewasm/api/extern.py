"""What all objects that modules import and export have in common."""

from __future__ import annotations

from ..errors import not_copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..extern_types import ExternType
    from .store import Store

#: Stands for the first value of a table's elements that is written when its instance is there.
LATER: object = object()


class Extern:
    """What modules import and export: a :class:`Func`, :class:`Table`, :class:`Memory`, :class:`Global` or
    :class:`Tag`.
    """

    __slots__ = ()

    #: The kind's number in the binary format.
    _kind: int

    __reduce_ex__ = not_copied

    if TYPE_CHECKING:

        @property
        def store(self) -> Store:
            """The store that it belongs to."""

        @property
        def type(self) -> ExternType:
            """Its type."""
