"""What an instance takes of its store's limits, and how it is given back where instantiation fails."""

from __future__ import annotations

from ..errors import WasmError, guest_work
from ..limits import check_module, refused, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..binary.module_info import ModuleInfo
    from ..limits import ResourceLimits
    from .instance import Instance
    from .store import Store


def check_whole(limits: ResourceLimits, info: ModuleInfo, store: Store | None = None) -> None:
    """See that a module has no more of anything than it may, for a store if it is to be instantiated.

    Raises:
        ValidationError: it has.
        Interrupted: a deadline is over.
    """
    guest_work(store, "comparing the module with limits", _check_whole, limits, info)


def _check_whole(limits: ResourceLimits, info: ModuleInfo) -> None:
    check_module(limits, info)
    if limits.max_locals is not None:
        from ..binary.local_counts import local_counts
        from ..counting import counted

        for index, count in local_counts(info):
            if count > limits.max_locals:
                where = f"function {index} has {counted(count, 'local')}, parameters included"
                raise too_large(where, "max_locals", limits.max_locals)


def check_instance(store: Store, limits: ResourceLimits, info: ModuleInfo) -> None:
    """Before an instance of a module is made: see that the store may have what comes with it.

    Bytes of memories and elements of tables are looked at when these are made.

    Raises:
        LinkError: it may not.
        ValidationError: the module has more of something than the store's limits allow.
    """
    if limits is not store._engine._config.limits:
        # Those have been looked at when the module was made.
        check_whole(limits, info, store)
    globals_, tags = _defined(store)
    for name, noun, used, more in (
        ("max_instances", "instance", len(store._instances), 1),
        ("max_memories", "memory", len(store._memories), len(info.memories) - info.imported_memories),
        ("max_tables", "table", len(store._tables), len(info.tables) - info.imported_tables),
        ("max_globals", "global", globals_, len(info.global_inits)),
        ("max_tags", "tag", tags, len(info.tags) - info.imported_tags),
    ):
        most = getattr(limits, name)
        if most is not None and more and used + more > most:
            raise refused(f"an instance that adds {_number(more, noun)}", name, most, used)


def _number(count: int, noun: str) -> str:
    plural = f"{noun}s" if noun != "memory" else "memories"
    return f"{count} {noun if count == 1 else plural}"


def _defined(store: Store) -> tuple[int, int]:
    """How many globals and tags there are: those that instances define, and those that Python code has made."""
    looked_at = store._looked_at
    instances = store._instances[looked_at[0] :]
    infos = [instance._module._info for instance in instances]
    # Made anew as a whole, so that it is right wherever this is left.
    store._looked_at = looked_at = [
        looked_at[0] + len(instances),
        looked_at[1] + sum([len(info.global_inits) for info in infos]),
        looked_at[2] + sum([len(info.tags) - info.imported_tags for info in infos]),
    ]
    made = sum([tag._instance is None for tag in store._tags.values()])
    return looked_at[1] + len(store._globals), looked_at[2] + made


def check_made(store: Store, name: str, noun: str) -> None:
    """Before Python code makes a global, a tag or a function: see that the store may have one more.

    Raises:
        LinkError: it may not.
    """
    limits = store._given_limits
    most = getattr(limits, name, None)
    if most is None:
        return
    if name == "max_host_functions":
        if store._taking:
            store._count_anew()
        used = store._host_functions
    else:
        used = _defined(store)[0 if name == "max_globals" else 1]
    if used >= most:
        raise refused(f"one more {noun}", name, most, used)


def check_code(limits: ResourceLimits, used: int, size: int) -> None:
    """Before machine code of a module is published.

    Args:
        used: bytes that the module has.
        size: bytes that come to them.

    Raises:
        WasmError: these are more than it may have.
    """
    most = limits.max_code
    if most is not None and used + size > most:
        error = WasmError(
            f"{size} bytes more of machine code would be more than ResourceLimits.max_code allows a module: {most}, of "
            f"which {used} are in use"
        )
        error.limit = "max_code"
        raise error


def take_back(instance: Instance) -> None:
    """Give back what an instance has taken whose making has failed, if nothing can reach it.

    Its memories and tables go when nothing refers to them any more: the exception's traceback may.
    """
    store, info = instance._store, instance._module._info
    if store._closed:
        return
    if instance in store._instances:
        if not _unreachable(instance):
            return
        # A reference to one of its functions that Python code has met would make code of the instance run again.
        for address in [address for address, func in store._funcs.items() if func._instance is instance]:
            del store._funcs[address]
        store._by_context.pop(instance._address, None)
        store._looked_at = [0, 0, 0]
        store._instances.remove(instance)
    store._taking = True
    memories, tables = instance._memories[info.imported_memories :], instance._tables[info.imported_tables :]
    for memory in memories:
        if memory in store._memories:
            store._memories.remove(memory)
    for table in tables:
        if table in store._tables:
            store._tables.remove(table)


def _unreachable(instance: Instance) -> bool:
    """Whether no wasm code can have a reference to anything of an instance, whatever of it has run.

    A reference could have been passed to an imported function, put in an imported table or global, or thrown.
    """
    info = instance._module._info
    return not (info.imported_funcs or info.imported_tables or info.imported_globals or info.tags)
