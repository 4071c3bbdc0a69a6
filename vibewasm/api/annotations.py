"""The wasm type of a Python function, from its annotations, and whether it wants its caller. Loaded only where
functions are defined by a decorator, or as methods of an object.
"""

from __future__ import annotations

import inspect
from ast import literal_eval

from ..types import FuncType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def takes_caller(function: Callable[..., Any], label: str = "") -> bool:
    """Whether a function's first parameter is annotated with :class:`vibewasm.Caller`.

    Args:
        label: what messages call the function; its name, if that is left out.

    Raises:
        TypeError: another parameter is.
    """
    try:
        parameters = [*inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return False  # of a function in C that does not tell
    annotations = _annotations(function)
    wanted = [name for name in parameters if _is_caller(function, annotations.get(name))]
    if wanted and wanted != parameters[:1]:
        label = label or getattr(function, "__name__", "the function")
        raise TypeError(f"{label}: parameter {wanted[-1]!r} is annotated as a Caller, which is only given first")
    return bool(wanted)


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    return inspect.get_annotations(function) if hasattr(function, "__annotations__") else {}


def _is_caller(function: Callable[..., Any], annotation: object) -> bool:
    """Whether an annotation is :class:`vibewasm.Caller`; as it stands, or as source code (PEP 563)."""
    from .caller import Caller

    if not isinstance(annotation, str):
        return annotation is Caller
    name = annotation.strip()
    if name[:1] in "'\"":
        name = _literal(name)
    first, *rest = name.split(".")
    missing = object()
    # Type checkers alone may know the name: then it is only a name.
    found: object = getattr(inspect.unwrap(function), "__globals__", {}).get(first, missing)
    for part in rest:
        found = missing if found is missing else getattr(found, part, missing)
    return name.rpartition(".")[2] == "Caller" if found is missing else found is Caller


def annotated_type(function: Callable[..., Any], skipped: int, label: str = "") -> FuncType | None:
    """The type that a function's annotations say: of each parameter and of the result a :class:`ValType` or its name,
    a tuple of these for several results, and ``None`` or nothing for no result.

    Args:
        skipped: how many parameters at the beginning do not count.
        label: what messages call the function; its name, if that is left out.

    Returns:
        ``None`` where no parameter and no result is annotated with such a type.

    Raises:
        TypeError: some are, and others are not.
    """
    try:
        parameters = [*inspect.signature(function).parameters.values()][skipped:]
    except (TypeError, ValueError):
        return None  # of a function in C that does not tell
    annotations = _annotations(function)
    params = [_val_type(annotations.get(parameter.name)) for parameter in parameters]
    results = _results(annotations.get("return"))
    known = [type_ for type_ in params if type_ is not None]
    if not known and not results:
        return None
    if results is None or len(known) < len(params):
        label = label or getattr(function, "__name__", "the function")
        unclear = [parameter.name for parameter, type_ in zip(parameters, params, strict=True) if type_ is None]
        missing = f"parameter {unclear[0]!r}" if unclear else "the result"
        raise TypeError(
            f"{label}: {missing} is not annotated with a wasm type as others are: annotate all, as in "
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
    if isinstance(annotation, str) and annotation[:1] in ("'", '"'):
        # Quoted where all annotations are source code already (PEP 563).
        annotation = _literal(annotation)
    if annotation is None or (isinstance(annotation, str) and annotation == "None"):
        return []
    single = _val_type(annotation)
    if single is not None:
        # The name of a reference type may begin as a tuple does.
        return [single]
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
