"""What is said where nothing is defined for what a module imports."""

from __future__ import annotations

from ..binary.module_info import FUNC, GLOBAL
from ..names import hint
from ..toolchains import advice as toolchain
from ..wasi import MODULES, names
from .extern import Extern
from .linker import KINDS, VALUES, full_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..extern_types import ImportType
    from .module import Module

#: Imports of which there is a line each.
_MOST = 20


def message(
    module: Module, missing: Sequence[ImportType], items: Mapping[tuple[str, str], Any], wasi: str | None
) -> str:
    """The message of the error.

    Args:
        module: what is to be instantiated.
        missing: its imports that nothing is defined for.
        items: what is defined, by both names.
        wasi: what would define WASI; ``None`` where it is defined.
    """
    defined: dict[int, list[str]] = {}
    for names_, item in items.items():
        defined.setdefault(_kind(item), []).append(".".join(names_))
    lines = []
    for wanted in missing[:_MOST]:
        # What is of another kind would not do, however alike the names are. A function's type may be of a subclass.
        kind = KINDS.get(wanted.type.__class__, FUNC)
        alike = defined.get(kind, [])
        if kind == FUNC and wasi is None:
            alike = [*alike, *(f"{name}.{function}" for name in MODULES for function in names(name))]
        advice = hint(f"{wanted.module}.{wanted.name}", alike)
        lines.append(f"{full_name(wanted.module, wanted.name)} ({wanted.type}){advice}")
    if len(missing) > _MOST:
        lines.append(f"and {len(missing) - _MOST} more")
    advice = ""
    if wasi is not None and any(wanted.module in MODULES for wanted in missing):
        advice = f"; {wasi} defines {'it' if len(missing) == 1 else 'those of WASI'}"
    end = "".join(f"\n{line}" for line in [toolchain(module.imports, missing)] if line)
    if len(missing) == 1:
        return f"unknown import: {lines[0]}{advice}{end}"
    listed = "".join(f"\n  {line}" for line in lines)
    return f"unknown import: {len(missing)} imports are missing{advice}{listed}{end}"


def _kind(item: object) -> int:
    """The kind of import that an item is for, as its number in the binary format."""
    if isinstance(item, Extern):
        return item._kind
    return GLOBAL if isinstance(item, VALUES) else FUNC
