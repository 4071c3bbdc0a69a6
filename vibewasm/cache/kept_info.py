"""A decoded module as it comes from its image (:mod:`.image`), some of whose lists are made when they are asked for."""

from __future__ import annotations

from ..binary.module_info import ModuleInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KeptInfo"]


class KeptInfo(ModuleInfo):
    """A module from its image. Some of its lists are made when they are first asked for."""

    __slots__ = ("_makers",)

    #: What makes them.
    _makers: dict[str, Callable[[], object]]

    def __init__(self, data: bytes, features: frozenset[str]) -> None:
        # Everything else is set, or made, later.
        self.data = data
        self.features = features
        self._export_index = None
        self._name_range = None
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
