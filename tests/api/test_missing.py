"""What is said to who leaves an argument out, or gives one that is somewhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw

ENGINE = vw.Engine()
STORE = vw.Store(ENGINE)
#: The API as users without a type checker call it.
api: Any = vw

FAULTS: list[tuple[Callable[[], object], str]] = [
    (lambda: api.Exports(), "Exports: instance is missing: write instance.exports"),
    (lambda: api.Module(), "Module: source is missing: write Module(source) or Module(engine, source)"),
    (lambda: api.Module(ENGINE), "Module: source is missing: write Module(source) or Module(engine, source)"),
    (lambda: api.Module(engine=ENGINE), "Module: source is missing: write Module(source) or Module(engine, source)"),
    (
        lambda: api.Module.validate(ENGINE),
        "Module.validate: source is missing: write Module.validate(source) or Module.validate(engine, source)",
    ),
    (lambda: api.Memory(STORE), "Memory: type is missing: write Memory(store, MemoryType(Limits(1)))"),
    (lambda: api.Memory(), "Memory: store is missing: write Memory(store, MemoryType(Limits(1)))"),
    (lambda: api.Table(STORE), "Table: type is missing: write Table(store, TableType('funcref', Limits(1)))"),
    (lambda: api.Global(STORE), "Global: type is missing: write Global(store, GlobalType('i32'), 0)"),
    (lambda: api.Func(), "Func: store is missing: write Func(store, FuncType(params, results), function)"),
    (
        lambda: api.Func(STORE, print),
        "Func: type has to be a FuncType, not builtin_function_or_method "
        "(write Func(store, FuncType(params, results), function))",
    ),
    (
        lambda: api.Func(STORE, print, vw.FuncType()),
        "Func: type has to be a FuncType, not builtin_function_or_method "
        "(write Func(store, FuncType(params, results), function))",
    ),
    (
        lambda: api.Func(STORE, vw.FuncType()),
        "Func: function is missing: write Func(store, FuncType(params, results), function)",
    ),
    (lambda: api.Engine(fuel=True), "Engine has no parameter 'fuel': write Engine(Config(fuel=...))"),
    (lambda: api.Engine(confg=None), "Engine has no parameter 'confg'; did you mean 'config'?"),
    (
        lambda: api.instantiate("(module)", linker=5),
        "instantiate has no parameter 'linker'; there are source, imports, config, wasi, fuel, store, engine",
    ),
    (lambda: api.instantiate("(module)", imprts={}), "instantiate has no parameter 'imprts'; did you mean 'imports'?"),
]


@pytest.mark.parametrize(("attempt", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_what_is_missing_is_said_with_what_to_write(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        attempt()
    assert str(caught.value) == message
