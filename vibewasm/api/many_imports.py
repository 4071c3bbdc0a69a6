"""Linking a module that imports very many things, which takes a while and may be cut short. A module names an import in
eight bytes, and an object for one takes hundreds; so imports of the same name and type share it.
"""

from __future__ import annotations

from ..errors import LinkError, guest_work
from .linker import check_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .extern import Extern
    from .linker import Linker
    from .module import Module
    from .store import Store

#: Imports after which somebody is asked whether to go on: some milliseconds.
_TURN = 16


def externs(linker: Linker, store: Store, module: Module) -> list[Extern]:
    """As :meth:`.Linker._externs`.

    Raises:
        Interrupted: a deadline is over, or the store was interrupted.
    """
    found: list[Extern] = []
    missing = []
    #: By both names and the identity of the type, which the module keeps.
    made: dict[tuple[str, str, int], Extern] = {}
    for number, wanted in enumerate(module.imports):
        if not number % _TURN:
            guest_work(store, "linking the module", _nothing)
        key = wanted.module, wanted.name, id(wanted.type)
        extern = made.get(key) or linker._resolve(store, wanted)
        if extern is None:
            missing.append(wanted)
            continue
        if key not in made:
            check_import(store, wanted, extern, linker._method(wanted))
            made[key] = extern
        found.append(extern)
    if missing:
        message = guest_work(store, "linking the module", linker._missing, module, missing)
        raise LinkError(message, missing=tuple(missing))
    return found


def _nothing() -> None:
    pass
