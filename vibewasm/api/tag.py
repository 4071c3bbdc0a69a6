"""Tags: what tells exceptions of one kind from those of others (specification 3.0, "Tag Instances")."""

from __future__ import annotations

from ..binary.module_info import TAG
from ..extern_types import TagType
from ..instances.exceptions import exceptions_of
from ..instances.references import defined_tag
from ..runtime.ffi import addressof, c_uint64
from .extern import Extern
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .instance import Instance

#: What exceptions with these tags are, by the names that toolchains give the tags.
KNOWN = {"__cpp_exception": "a C++ exception or a Rust panic", "__c_longjmp": "longjmp"}


class Tag(Extern):
    """A tag: exceptions are thrown with one, and caught by it.

    Args:
        store: the store that the tag belongs to.
        type: what exceptions with this tag carry.
        name: what messages call it; without one, it has the name by which a module imports or exports it.

    Raises:
        TypeError: an argument is of another type.
        LinkError: the store may have no more tags.
        WasmError: the store is closed, or runs in another thread.

    Two ``Tag`` objects of one tag of a store are the same object. Like a function, a tag lives as long as its store.
    """

    __slots__ = ("__weakref__", "_address", "_index", "_instance", "_keep", "_name", "_store", "_type")

    _kind = TAG

    def __init__(self, store: Store, type: TagType, *, name: str | None = None) -> None:
        from ..arguments import wrong

        if not isinstance(store, Store):
            raise wrong("Tag", "store", "a Store", store)
        if not isinstance(type, TagType):
            raise wrong("Tag", "type", "a TagType", type)
        if name is not None and not isinstance(name, str):
            raise wrong("Tag", "name", "a str or None", name)
        store._check_usable()
        if store._given_limits is not None:
            from .taking import check_made

            check_made(store, "max_tags", "tag")
        # Its identity is the address of a cell that holds this very address, as that of an instance's tag is.
        cell = c_uint64()
        cell.value = addressof(cell)
        self._keep: object = cell
        self._instance: Instance | None = None
        self._index = -1
        self._init(store, type, cell.value, name)

    def _init(self, store: Store, type: TagType, address: int, name: str | None) -> None:
        exceptions_of(store)
        self._store = store
        self._type = type
        self._address = address
        self._name = name
        store._tags[address] = self

    @classmethod
    def _of_instance(cls, instance: Instance, index: int) -> Tag:
        """The tag ``index`` of an instance that defines it."""
        store = instance._store
        address = instance._address + instance._module.layout.tag(index)
        found = store._tags.get(address)
        if found is None:
            found = cls.__new__(cls)
            found._keep = None
            found._instance = instance
            found._index = index
            found._init(store, instance._module.info.tags[index], address, None)
        return found

    @property
    def store(self) -> Store:
        """The store that the tag belongs to."""
        return self._store

    @property
    def type(self) -> TagType:
        """What exceptions with this tag carry."""
        return self._type

    @property
    def name(self) -> str | None:
        """The name that it was made with; else, by which a module exports or imports it, or what a name section calls
        it; else ``None``.
        """
        if self._name is None:
            self._name = next(self._names(), None)
        return self._name

    def _names(self) -> Iterator[str]:
        own = self._instance
        instances = ([own] if own is not None else []) + [other for other in self._store._instances if other is not own]
        for instance in instances:
            info = instance._module.info
            # An instance that has not been asked for a tag of its own may have it nevertheless, but only as its owner.
            indices = [index for index, tag in enumerate(instance._tags) if tag is self]
            indices += [self._index] if instance is own and self._index not in indices else []
            yield from [item.name for item in info.exports if item.kind == TAG and item.index in indices]
            imported = [item.name for item in info.imports if item.kind == TAG]
            yield from [imported[index] for index in indices if index < len(imported)]
            known = info.names.of("tag")
            yield from [known[index] for index in indices if index in known]

    @property
    def _shown(self) -> str:
        """The tag as messages have it."""
        from ..names import brief

        name = self.name
        if name is None:
            return "tag" if self._index < 0 else f"tag {self._index}"
        return f"tag {brief(name)}"

    def __repr__(self) -> str:
        return f"<vibewasm.Tag {self._shown.partition(' ')[2]}({', '.join([type.name for type in self._type.params])})>"


def tag_at(store: Store, address: int) -> Tag:
    """The tag of a store whose identity this is."""
    found = store._tags.get(address)
    if found is None:
        store._check_open()
        instance, index = defined_tag(store, address)
        found = instance._tag(index)
    return found


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Tag.__init__.__defaults__ = (..., ...)
