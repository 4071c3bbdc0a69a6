"""From addresses of machine code back to instructions, for modules: a function is compiled once more, with notes."""

from __future__ import annotations

from time import monotonic

from ..errors import Interrupted, Work, deadlines_here, guest_work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..compiler.modes.recording import Record
    from .module import Module
    from .store import Store

#: Seconds that finding a name may take where something was stopped already.
_SOON = 0.03


def located(module: Module, pc: int, store: Store, until: float) -> tuple[int, int | None] | None:
    """Function index and byte offset in the module of the instruction whose machine code holds an address.

    Args:
        module: the module.
        pc: the address.
        store: in which that was met.
        until: by when it has to be found, by ``time.monotonic``; 0 for as long as the store may take.

    Returns:
        ``None`` where there is no code of the module's; no offset where there is no time to find it.
    """
    imported = module.info.imported_funcs
    if not _has_lock(module, store, until):
        defined = _function_before(module, pc)
        return None if defined is None else (imported + defined, None)
    with module._guard(store):
        found = module._function_at(pc)
        if found is None:
            return None
        start, defined = found
        record = module._records.get(defined) or _record(module, defined, store, until)
        if record is None:
            return imported + defined, None
        if pc - start >= len(record.code):
            return None
        return imported + defined, record.wasm_offset(pc - start)


def _has_lock(module: Module, store: Store, until: float) -> bool:
    """Whether no other thread compiles for the module, or one gives the lock back in time."""
    if not module._others_work():
        return True
    from .stopping import given_back

    work = Work(None, (), until) if until else Work(store, deadlines_here[0]() if deadlines_here else ())
    return given_back(module._lock, work)


def _function_before(module: Module, pc: int) -> int | None:
    """The function whose code begins last before an address in the module's code, found without the lock."""
    code = module._code
    if code is None or not any(start <= pc < start + size for start, size in code.ranges()):
        return None
    starts = [(address, defined) for defined, address in enumerate(module._addresses) if 0 < address <= pc]
    return max(starts)[1] if starts else None


def func_name(module: Module, index: int, store: Store, until: float, soon: dict[Module, bool]) -> str | None:
    """The name of a function, if it has one and there is time to find it.

    Args:
        module: the module.
        index: of the function.
        store: in which it was met.
        until: as for :func:`located`. There is a little time even if that is over, once.
        soon: for each module whether the first name was found in time, for which all are gone through.
    """
    if soon.get(module):
        return module.func_name(index)
    if module in soon:
        return None
    found: tuple[str | None] | None = None
    if not until:
        try:
            found = guest_work(store, "looking for names", _func_name, module, index)
        except Interrupted:
            # What has happened is said nevertheless.
            until = monotonic()
    if found is None:
        from .stopping import within

        left = until - monotonic()
        found = within(left if soon else max(left, _SOON / 3), _func_name, module, index)
    soon[module] = found is not None
    return found[0] if found else None


def _func_name(module: Module, index: int) -> tuple[str | None]:
    return (module.func_name(index),)


def named(module: Module, defined: int) -> str:
    """Words for a defined function: its index and its name, if that is known soon."""
    from ..names import escaped
    from .stopping import within

    index = module.info.imported_funcs + defined
    name = within(_SOON, module.func_name, index)
    return f"function {index}" + (f" <{escaped(name)}>" if name else "")


def _record(module: Module, defined: int, store: Store, until: float) -> Record | None:
    compile = module.compiler.record
    record: Record | None
    if until:
        from .stopping import within

        record = within(until - monotonic(), compile, defined)
    else:
        try:
            record = module._compute(store, "compiling", compile, defined)
        except Interrupted:
            # What has happened is said nevertheless.
            record = None
    if record is not None:
        module._records[defined] = record
    return record
