"""One piece of code under wasmtime-py and under our stand-in for it: what comes of it has to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import vibewasm.compat.wasmtime as ours

Case = Callable[[Any], object]


def theirs() -> Any:
    """wasmtime-py itself."""
    return pytest.importorskip("wasmtime", reason="wasmtime is not installed: nothing was COMPARED with it")


def described(value: Any) -> Any:
    """A value so that those of both can be compared: an object of the API is its class and what it says of itself."""
    if value is None or isinstance(value, (bool, int, float, str, bytes, bytearray)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(described, value)]
    if isinstance(value, BaseException):
        return type(value).__name__, str(value)
    kind = type(value).__name__
    if kind == "Val":
        return kind, described(value.value)
    return kind


def outcome(case: Case, wasmtime: Any) -> Any:
    """What a case gives or raises."""
    try:
        return described(case(wasmtime))
    except Exception as error:
        return "raised", described(error)


def same(case: Case) -> Callable[[], None]:
    """A test that ``case``, given the module, comes to the same with both."""

    def test() -> None:
        here, there = outcome(case, ours), outcome(case, theirs())
        if here != there:
            pytest.fail(f"not the same:\nvibewasm: {here}\nwasmtime: {there}", pytrace=False)

    test.__name__ = case.__name__
    test.__doc__ = case.__doc__
    return test


def attempts(*cases: Callable[[], object]) -> list[Any]:
    """What each of several attempts gives or raises."""
    return [outcome(lambda _, case=case: case(), None) for case in cases]  # type: ignore[misc]  # mypy sees no default


def kinds(*cases: Callable[[], object]) -> list[Any]:
    """As :func:`attempts`, without the texts of exceptions, where those are each engine's own."""
    return [found[1][0] if found[0] == "raised" else found for found in attempts(*cases)]


def instance(w: Any, text: str, imports: Any = (), store: Any = None) -> tuple[Any, Any]:
    """A store, and the exports of an instance of a module in it."""
    store = store or w.Store()
    made = w.Instance(store, w.Module(store.engine, text), list(imports))
    return store, made.exports(store)


def called(w: Any, text: str, *arguments: Any) -> Any:
    """The result of the first export of a module."""
    store, exports = instance(w, text)
    return exports.by_index[0](store, *arguments)
