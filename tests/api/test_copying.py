"""Objects that belong to this process are not copied and not pickled; types, settings and errors are."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED


def objects() -> dict[str, tuple[Any, str]]:
    """One of each kind by the name of its class, and what to do instead of copying it."""
    instance = vw.instantiate(
        '(module (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g") i32 (i32.const 1))'
        '(func (export "f")))'
    )
    store, e = instance.store, instance.exports
    return {
        "Store": (store, r"make another with Store\(engine\)"),
        "Engine": (store.engine, r"make another with Engine\(engine\.config\)"),
        "Instance": (instance, "instantiate its module again"),
        "Exports": (e, "instantiate the module again"),
        "Func": (e.f, "share the object itself"),
        "Memory": (e.m, r"memory\[:\] is a copy of its bytes"),
        "Table": (e.t, r"list\(table\) is a copy of its elements"),
        "Global": (e.g, r"make another with Global\(store, type, value\)"),
        "Linker": (vw.Linker(store.engine), r"make another with Linker\(engine\)"),
        "Deadline": (store.deadline(1), r"make another with store\.deadline\(seconds\)"),
    }


@pytest.mark.parametrize("name", objects())
def test_what_belongs_to_a_process_is_neither_copied_nor_pickled(name: str) -> None:
    item, instead = objects()[name]
    article = "an" if name[0] in "EI" else "a"
    message = f"^{article} {name} cannot be copied or pickled, because it belongs to this process: .*{instead}"
    for attempt in (copy.copy, copy.deepcopy, lambda item: copy.deepcopy([{1: item}])):
        with pytest.raises(TypeError, match=message):
            attempt(item)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=message):
            pickle.dumps(item, protocol)
        with pytest.raises(TypeError, match=message):
            # The one that is written in Python.
            pickle._dumps(item, protocol)  # type: ignore[attr-defined]  # typeshed does not know it


def test_a_copy_of_a_subclass_is_refused_too() -> None:
    class Named(vw.Store):
        pass

    with pytest.raises(TypeError, match=r"a Named cannot be copied .* make another with Store\(engine\)"):
        copy.copy(Named(vw.Engine()))


def test_exports_with_the_names_of_the_protocol_are_refused_too() -> None:
    names = ("__copy__", "__deepcopy__", "__reduce_ex__", "__reduce__", "__getstate__")
    text = "".join(f'(func (export "{name}") (result i32) (i32.const 1))' for name in names)
    exports = vw.instantiate(f"(module {text})").exports
    with pytest.raises(TypeError, match="an Exports cannot be copied"):
        copy.copy(exports)
    with pytest.raises(TypeError, match="an Exports cannot be copied"):
        copy.deepcopy(exports)
    with pytest.raises(TypeError, match="an Exports cannot be copied"):
        pickle.dumps(exports)
    assert exports["__deepcopy__"]() == exports["__copy__"]() == exports.__copy__() == 1


def test_types_and_settings_are_copied_and_pickled() -> None:
    limits = vw.Limits(1, 2)
    for item in (
        limits,
        vw.MemoryType(limits),
        vw.TableType("funcref", limits),
        vw.GlobalType("i64", True),
        vw.FuncType(["i32"], ["f64"]),
        vw.ValType.externref,
        vw.ImportType("a", "b", vw.FuncType()),
        vw.ExportType("a", vw.MemoryType(limits)),
    ):
        assert copy.copy(item) == copy.deepcopy(item) == item
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(item, protocol)) == item
    config = vw.Config(fuel=True, max_memory=65536)
    assert repr(copy.copy(config)) == repr(copy.deepcopy(config)) == repr(pickle.loads(pickle.dumps(config)))
    wasi = vw.WasiConfig(["a", b"b"], {"X": "1"}, {"/": "."}, b"in", "out")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert repr(pickle.loads(pickle.dumps(config, protocol))) == repr(config)
        assert repr(pickle.loads(pickle.dumps(wasi, protocol))) == repr(wasi)
        assert pickle.loads(pickle.dumps(wasi, protocol)).env == wasi.env
    assert repr(copy.copy(wasi)) == repr(copy.deepcopy(wasi)) == repr(wasi)


def test_a_copy_of_a_module_is_the_module() -> None:
    module = vw.instantiate("(module)").module
    assert copy.copy(module) is module
    assert copy.deepcopy([module])[0] is module


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_module_is_its_bytes_and_settings(protocol: int) -> None:
    engine = vw.Engine(vw.Config(fuel=True))
    module = vw.Module(engine, '(module (func (export "f") (result i32) (i32.const 7)))')
    pickled = pickle.dumps(module, protocol)
    assert module.info.data in pickled or protocol < 3
    first, second = pickle.loads(pickled), pickle.loads(pickled)
    assert first.engine is second.engine is not engine
    assert first.engine.config == engine.config
    assert vw.instantiate(first, fuel=100).exports.f() == 7


class Named(vw.Module):
    """A module with more."""

    def __init__(self, engine: vw.Engine, source: str, name: str) -> None:
        super().__init__(engine, source)
        self.given = name


class Slotted(vw.Module):
    __slots__ = ("given",)

    given: str


def test_a_pickled_module_of_a_subclass_is_one_again_with_what_that_has_added() -> None:
    engine = vw.Engine()
    slotted = Slotted(engine, '(module (func (export "f") (result i32) (i32.const 3)))')
    slotted.given = "this"
    named = Named(engine, '(module (func (export "f") (result i32) (i32.const 3)))', "this")
    for module in (named, slotted):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(module, protocol))
            assert type(again) is type(module)
            assert again.given == "this"
            assert vw.instantiate(again).exports.f() == 3
    bare = Slotted(engine, "(module)")
    assert type(pickle.loads(pickle.dumps(bare))) is Slotted


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_modules_go_to_processes(method: str, project: Path, tmp_path: Path) -> None:
    if EMULATED and method != "fork":
        pytest.skip("multiprocessing starts the interpreter itself, without the emulator")
    # A program of its own: processes that are spawned import the one that has started them.
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing\n"
        "import vibewasm\n"
        "def call(module, number):\n"
        "    return vibewasm.instantiate(module).exports.f(number)\n"
        "if __name__ == '__main__':\n"
        "    text = '(module (func (export \"f\") (param i32) (result i32) (local.get 0)))'\n"
        "    module = vibewasm.Module(vibewasm.Engine(), text)\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        assert pool.starmap(call, [(module, number) for number in range(20)]) == list(range(20))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(project)}
    subprocess.run([sys.executable, str(program)], env=environment, check=True, timeout=60)
