"""From addresses of machine code back to instructions, for modules: a function is compiled once more, with notes."""

from __future__ import annotations

from ..errors import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..compiler.modes.recording import Record
    from .module import Module
    from .store import Store

#: Seconds that may take where code was stopped already.
_HURRY = 0.03


def located(module: Module, pc: int, store: Store, hurry: bool) -> tuple[int, int | None] | None:
    """Function index and byte offset in the module of the instruction whose machine code holds an address.

    Args:
        module: the module.
        pc: the address.
        store: in which that was met.
        hurry: the store was stopped, so this may not take much longer.

    Returns:
        ``None`` where there is no code of the module's; no offset where there is no time to find it.
    """
    with module._guard():
        found = module._function_at(pc)
        if found is None:
            return None
        start, defined = found
        record = module._records.get(defined) or _record(module, defined, store, hurry)
        if record is None:
            return module.info.imported_funcs + defined, None
        if pc - start >= len(record.code):
            return None
        return module.info.imported_funcs + defined, record.wasm_offset(pc - start)


def named(module: Module, defined: int) -> str:
    """Words for a defined function: its index and its name, if that is known soon."""
    from ..names import escaped
    from .stopping import within

    index = module.info.imported_funcs + defined
    name = within(_HURRY, module.func_name, index)
    return f"function {index}" + (f" <{escaped(name)}>" if name else "")


def _record(module: Module, defined: int, store: Store, hurry: bool) -> Record | None:
    compile = module.compiler.record
    record: Record | None
    if hurry:
        from .stopping import within

        record = within(_HURRY, compile, defined)
    else:
        try:
            record = module._compute(store, "compiling", compile, defined)
        except Interrupted:
            # What has happened is said nevertheless.
            record = None
    if record is not None:
        module._records[defined] = record
    return record
