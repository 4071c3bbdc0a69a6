"""A decoded module as it comes from its image (:mod:`.image`), some of whose lists are made when they are asked for."""

from __future__ import annotations

from ..binary.module_info import ModuleInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Bodies", "KeptInfo"]


class Bodies:
    """Where function bodies lie: a sequence of ``(start, end)``.

    Args:
        starts, ends: of 32-bit numbers.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, starts: memoryview, ends: memoryview) -> None:
        self._starts = starts
        self._ends = ends

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self._starts[index], self._ends[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts.tolist(), self._ends.tolist(), strict=True)

    def __repr__(self) -> str:
        return f"<Bodies: {len(self)}>"


class KeptInfo(ModuleInfo):
    """A module from its image. Some of its lists are made when they are first asked for."""

    __slots__ = ("_makers",)

    #: What makes them.
    _makers: dict[str, Callable[[], object]]

    def __init__(self, data: bytes, features: frozenset[str]) -> None:
        # Everything else is set, or made, later.
        self.data = data
        self.features = features
        self._names = None
        self._makers = {}
        # What has some of these is decoded anew.
        self.tags = []
        self.imported_tags = 0
        self.table_inits = {}

    def __getattr__(self, name: str) -> object:
        # Called for what is not there yet.
        maker = self._makers.get(name) if name != "_makers" else None
        if maker is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        made = maker()
        setattr(self, name, made)
        return made
