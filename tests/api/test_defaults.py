"""What may be left out: engines, stores, and the end of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw

TEXT = '(module (memory (export "memory") 1) (func (export "one") (result i32) (i32.const 1)))'
WASM = b"\0asm\1\0\0\0"


def test_engines_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.wat"
    path.write_text(TEXT)
    engine = vw.Store().engine
    assert vw.Linker().engine is engine
    assert vw.instantiate(TEXT).store.engine is engine
    precompiled = tmp_path / "m.vwc"
    precompiled.write_bytes(vw.Module(TEXT).serialize())
    for module in (
        vw.Module(TEXT),
        vw.Module(WASM),
        vw.Module(path),
        vw.Module(source=TEXT),
        vw.Module.from_text(TEXT),
        vw.Module.from_text(text=TEXT),
        vw.Module.from_file(path),
        vw.Module.from_file(path=path),
        vw.Module.deserialize(precompiled.read_bytes()),
        vw.Module.deserialize(data=precompiled.read_bytes()),
        vw.Module.deserialize_file(precompiled),
        vw.Module.deserialize_file(path=precompiled),
    ):
        assert module.engine is engine
        vw.Linker().instantiate(vw.Store(), module)
    vw.Module.validate(TEXT)
    vw.Module.validate(source=TEXT)
    with pytest.raises(vw.ValidationError):
        vw.Module.validate("(module (func (result i32)))")


def test_engines_can_be_given_by_name() -> None:
    engine = vw.Engine()
    assert vw.Store(engine=engine).engine is engine
    assert vw.Linker(engine=engine).engine is engine
    assert vw.Module(engine=engine, source=TEXT).engine is engine
    assert vw.instantiate(TEXT, engine=engine).store.engine is engine


def test_an_instance_closes_the_store_that_was_made_for_it() -> None:
    with vw.instantiate(TEXT) as instance:
        assert instance.exports.one() == 1
    with pytest.raises(vw.WasmError, match="closed"):
        instance.exports.one()
    with pytest.raises(vw.WasmError, match="closed"), instance:
        pass
    # Also with imports, which are linked.
    with vw.instantiate('(module (import "env" "f" (func)))', {"env": {"f": print}}) as instance:
        store = instance.store
    assert repr(store).endswith("closed>")


def test_an_instance_leaves_other_stores_open() -> None:
    store = vw.Store()
    with vw.instantiate(TEXT, store=store) as instance:
        assert instance.store is store
    assert instance.exports.one() == 1
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    with vw.instantiate('(module (import "env" "m" (memory 1)))', {"env": {"m": memory}}) as instance:
        assert instance.store is store
    with vw.Linker().instantiate(store, vw.Module(TEXT)) as instance:
        pass
    assert instance.exports.one() == 1


def test_a_view_that_is_left_is_told_at_the_end() -> None:
    with pytest.raises(BufferError), vw.instantiate(TEXT) as instance:
        view = instance.exports.memory.view()

    def fails() -> None:
        with vw.instantiate(TEXT) as instance:
            views.append(instance.exports.memory.view())
            raise ZeroDivisionError

    views = [view]
    with pytest.raises(ZeroDivisionError) as caught:
        fails()
    assert "at the end of the store's with block" in caught.value.__notes__[0]


def test_engines_that_do_not_fit_are_refused() -> None:
    engine, config = vw.Engine(), vw.Config()
    store = vw.Store(engine)
    module = vw.Module(engine, TEXT)
    assert vw.instantiate(module, store=store, engine=engine).store is store
    clashes: list[tuple[dict[str, Any], str]] = [
        ({"config": config, "engine": engine}, "cannot both be given"),
        ({"config": config, "store": store}, "config cannot be given"),
        ({"engine": vw.Engine(), "store": store}, "another engine cannot be given"),
    ]
    for given, message in clashes:
        with pytest.raises(ValueError, match=message):
            vw.instantiate(TEXT, **given)
    others: list[dict[str, Any]] = [{"config": config}, {"engine": vw.Engine()}]
    for given in others:
        with pytest.raises(ValueError, match="cannot be given with a Module, a store or its objects"):
            vw.instantiate(module, **given)
    with pytest.raises(vw.WasmError, match="engine"):
        vw.instantiate(module, store=vw.Store())
    with pytest.raises(TypeError, match="instantiate: store has to be a Store, not Engine"):
        vw.instantiate(TEXT, store=engine)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="instantiate: engine has to be an Engine, not Store"):
        vw.instantiate(TEXT, engine=store)  # type: ignore[arg-type]
