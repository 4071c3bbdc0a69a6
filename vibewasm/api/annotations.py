"""The wasm type of a Python function, from its annotations. Loaded only where a function is defined by a decorator."""

from __future__ import annotations

import inspect
from ast import literal_eval

from ..types import FuncType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def annotated_type(function: Callable[..., Any], skipped: int) -> FuncType | None:
    """The type that a function's annotations say: of each parameter and of the result a :class:`ValType` or its name,
    a tuple of these for several results, and ``None`` or nothing for no result.

    Args:
        skipped: how many parameters at the beginning do not count.

    Returns:
        ``None`` where no parameter and no result is annotated with such a type.

    Raises:
        TypeError: some are, and others are not.
    """
    try:
        parameters = [*inspect.signature(function).parameters.values()][skipped:]
    except (TypeError, ValueError):
        return None  # of a function in C that does not tell
    annotations = inspect.get_annotations(function) if hasattr(function, "__annotations__") else {}
    params = [_val_type(annotations.get(parameter.name)) for parameter in parameters]
    results = _results(annotations.get("return"))
    known = [type_ for type_ in params if type_ is not None]
    if not known and not results:
        return None
    if results is None or len(known) < len(params):
        name = getattr(function, "__name__", "the function")
        unclear = [parameter.name for parameter, type_ in zip(parameters, params, strict=True) if type_ is None]
        missing = f"parameter {unclear[0]!r}" if unclear else "the result"
        raise TypeError(
            f"{name}: {missing} is not annotated with a wasm type as others are: annotate all, as in "
            "def f(x: 'i32') -> 'i64', or none, then the type is that of the import"
        )
    return FuncType(known, results)


def _val_type(annotation: object) -> ValType | None:
    """The value type that an annotation is or names; as it stands, or as source code (PEP 563)."""
    if isinstance(annotation, ValType):
        return annotation
    if not isinstance(annotation, str):
        return None
    name = annotation.strip()
    if name[:1] in "'\"":
        name = _literal(name)
    # As vw.ValType.i32 is written.
    _, dot, last = name.rpartition(".")
    try:
        return ValType(last if dot and name.endswith(f"ValType.{last}") else name)
    except ValueError:
        return None


def _results(annotation: object) -> list[ValType] | None:
    """The types of the results; ``None`` if that is not what the annotation says."""
    if annotation is None or annotation == "None":
        return []
    if isinstance(annotation, str) and annotation[:1] in "([":
        inside = annotation[1:-1].split(",")
        annotation = [item for item in inside if item.strip()]
    items = annotation if isinstance(annotation, (tuple, list)) else [annotation]
    found = [_val_type(item) for item in items]
    return None if None in found else [type_ for type_ in found if type_ is not None]


def _literal(source: str) -> str:
    try:
        found = literal_eval(source)
    except (SyntaxError, ValueError):
        return source
    return found if isinstance(found, str) else source
