"""Why an import does not fit, in wasmtime's words."""

from __future__ import annotations

from ...extern_types import GlobalType, Limits, MemoryType, TableType, TagType
from ...types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...extern_types import ExternType
    from ...types import ValType

_KINDS: dict[type, str] = {GlobalType: "global", MemoryType: "memory", TableType: "table", TagType: "tag"}


def message(module: str, name: str, wanted: ExternType, given: ExternType) -> str:
    """What is said of an import that is to be ``wanted`` and is ``given``."""
    return f"incompatible import type for `{module}::{name}`\n\nCaused by:\n    {_why(wanted, given)}\n"


def _why(wanted: ExternType, given: ExternType) -> str:
    if isinstance(wanted, FuncType) and isinstance(given, FuncType):
        return f"types incompatible: expected type `{_func(wanted)}`, found type `{_func(given)}`"
    if isinstance(wanted, GlobalType) and isinstance(given, GlobalType):
        if wanted.content is given.content:
            words = ("immutable", "mutable")
            return (
                f"global types incompatible: expected {words[wanted.mutable]} global, "
                f"found {words[given.mutable]} global"
            )
        return (
            f"global types incompatible: expected global of type `{wanted.content}`, "
            f"found global of type `{given.content}`"
        )
    if isinstance(wanted, MemoryType) and isinstance(given, MemoryType):
        return f"memory types incompatible: {_limits('memory', wanted.limits, given.limits)}"
    if isinstance(wanted, TableType) and isinstance(given, TableType):
        if wanted.element is not given.element:
            return (
                f"table types incompatible: expected table of type `{wanted.element}`, "
                f"found table of type `{given.element}`"
            )
        return f"table types incompatible: {_limits('table', wanted.limits, given.limits)}"
    if isinstance(wanted, TagType) and isinstance(given, TagType):
        return "incompatible tag types"
    # Of functions there are types of a class of their own.
    return f"expected {_KINDS.get(type(wanted), 'func')}, but found {_KINDS.get(type(given), 'function')}"


def _limits(kind: str, wanted: Limits, given: Limits) -> str:
    return f"expected {kind} limits ({_range(wanted)}) doesn't match provided {kind} limits ({_range(given)})"


def _range(limits: Limits) -> str:
    return f"min: {limits.minimum}, max: {'none' if limits.maximum is None else limits.maximum}"


def _func(type: FuncType) -> str:
    return f"(func{_listed('param', type.params)}{_listed('result', type.results)})"


def _listed(word: str, types: Sequence[ValType]) -> str:
    return f" ({word} {' '.join([type_.name for type_ in types])})" if types else ""
