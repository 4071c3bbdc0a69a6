"""Instances, and what they export."""

from __future__ import annotations

from collections.abc import Mapping

from ...api.instantiation import make_instance
from ...instances.matching import mismatch
from .errors import WasmtimeError, attempt
from .externs import unwrapped, wrapped
from .func import wrong_store
from .managed import Managed
from .mismatch import message
from .module import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...api.extern import Extern as OurExtern
    from ...api.instance import Instance as OurInstance
    from ...api.module import Module as OurModule
    from ...extern_types import ImportType
    from .externs import Extern
    from .store import Store, Storelike


class Instance:
    """An instance of a module.

    Args:
        store: the store that it is to belong to.
        module: the module.
        imports: what it imports, in order.

    Raises:
        WasmtimeError: the imports do not fit, or are too many or too few; or the store allows no more.
        Trap: a segment does not fit, or the start function trapped.
    """

    def __init__(self, store: Storelike, module: Module, imports: Sequence[Extern]) -> None:
        externs = [unwrapped(item) for item in imports]
        owner = store._context()
        self._begin(instantiated(owner, module._given(), externs))

    @classmethod
    def _of(cls, ours: OurInstance) -> Instance:
        self = cls.__new__(cls)
        self._begin(ours)
        return self

    def _begin(self, ours: OurInstance) -> None:
        self._ours = ours
        self._exports: InstanceExports | None = None

    def exports(self, store: Storelike) -> InstanceExports:
        """What it exports, by name; :attr:`InstanceExports.by_index` has the same in order."""
        owner = store._context()
        if self._ours.store is not owner._ours:
            raise wrong_store()
        if self._exports is None:
            self._exports = InstanceExports(store, self)
        return self._exports


class InstanceExports(Mapping[str, "Extern"]):
    """What an instance exports, by name. Each is looked up when it is asked for, and stays the same object."""

    def __init__(self, store: Storelike, instance: Instance) -> None:
        self._ours = instance._ours.exports
        self._found: dict[str, Extern] = {}
        self._sequence: tuple[Extern, ...] | None = None

    @property
    def by_index(self) -> Sequence[Extern]:
        """The same in the order of the module's exports."""
        if self._sequence is None:
            self._sequence = tuple([self[name] for name in self._ours])
        return self._sequence

    def __getitem__(self, idx: str) -> Extern:
        found = self._found.get(idx)
        if found is None:
            if idx not in self._ours:
                raise KeyError(idx)
            found = self._found[idx] = wrapped(self._ours[idx])
        return found

    def __contains__(self, idx: object) -> bool:
        return idx in self._ours

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)


class InstancePre(Managed):
    """A module whose imports have been looked up: :meth:`Linker.instantiate_pre` makes one."""

    _module: OurModule
    _resolvers: list[Callable[[Store], OurExtern]]

    @classmethod
    def _of(cls, module: OurModule, resolvers: list[Callable[[Store], OurExtern]]) -> InstancePre:
        self = cls.__new__(cls)
        self._module = module
        self._resolvers = resolvers
        return self

    def instantiate(self, store: Storelike) -> Instance:
        """Make an instance in a store.

        Raises:
            WasmtimeError, Trap: as :class:`Instance` does.
        """
        self._check_open()
        owner = store._context()
        return Instance._of(linked(owner, self._module, self._resolvers))

    @property
    def module(self) -> Module:
        """The module."""
        self._check_open()
        return Module._of(self._module)


def check_type(wanted: ImportType, given: OurExtern) -> None:
    """Raise ``WasmtimeError`` unless an object has the type of an import."""
    if mismatch(wanted.type, given) is not None:
        raise WasmtimeError(message(wanted.module, wanted.name, wanted.type, given.type))


def instantiated(owner: Store, module: OurModule, externs: Sequence[OurExtern]) -> OurInstance:
    """Instantiate with these imports, in order.

    Raises:
        WasmtimeError, Trap: as :class:`Instance` does.
    """
    info = module.info
    store = owner._ours
    if module.engine is not store.engine:
        raise WasmtimeError("cross-`Engine` instantiation is not currently supported")
    if len(externs) != len(info.imports):
        raise WasmtimeError(f"expected {len(info.imports)} imports, found {len(externs)}")
    for wanted, extern in zip(module.imports, externs, strict=True):
        if extern.store is not store:
            raise wrong_store()
        check_type(wanted, extern)
    memories = info.memories[info.imported_memories :]
    tables = info.tables[info.imported_tables :]
    owner._count("instance", 1)
    owner._count("memory", len(memories))
    owner._count("table", len(tables))
    for memory in memories:
        owner._check_pages(memory.limits.minimum)
    for table in tables:
        owner._check_elements(table.limits.minimum)
    if info.start is not None:
        owner._check_call()
    made: OurInstance = attempt(make_instance, store, module, [*externs])
    return made


def linked(owner: Store, module: OurModule, resolvers: Sequence[Callable[[Store], OurExtern]]) -> OurInstance:
    """Instantiate with what each of the resolvers gives for the store, in order.

    Raises:
        WasmtimeError, Trap: as :class:`Instance` does.
    """
    return instantiated(owner, module, [resolve(owner) for resolve in resolvers])
