"""What a prompt shows and completes of instances and what they export, and what it says of an export that is looked up
in the wrong place.
"""

from __future__ import annotations

import copy
import inspect
import pydoc
import rlcompleter

import pytest

import vibewasm as vw

#: An identifier that Python reads as another name, "fi".
LIGATURE = "\ufb01"


def instance(*names: str) -> vw.Instance:
    exports = "".join(f'(func (export "{name}") (result i32) i32.const {at})' for at, name in enumerate(names))
    return vw.instantiate(f"(module {exports})")


def shown(item: object) -> list[str]:
    return sorted(name for name in dir(item) if not name.startswith("_"))


def test_dir_has_the_names_that_can_stand_after_a_dot() -> None:
    made = instance("divide", "größe", "two words", " index", "1st", "class", LIGATURE, "a.b", "")
    assert shown(made.exports) == ["divide", "größe"]
    # What was asked for becomes an attribute, and stands there once.
    made.exports.divide()
    made.exports["two words"]()
    assert shown(made.exports) == ["divide", "größe"]
    assert sorted(made.exports) == sorted(
        ["divide", "größe", "two words", " index", "1st", "class", LIGATURE, "a.b", ""]
    )


def test_an_export_called_as_a_method_is_in_it_once() -> None:
    assert shown(instance("get", "x").exports) == ["get", "x"]


def test_a_prompt_completes_exports_and_no_inner_names() -> None:
    completer = rlcompleter.Completer({"exports": instance("divide", "div by").exports})
    # Completing asks what a function takes.
    assert completer.attr_matches("exports.di") == ["exports.divide()"]
    # This completer adds what the class has.
    every = {word.partition("(")[0] for word in completer.attr_matches("exports.")}
    assert every == {f"exports.{name}" for name in ("divide", "get", "items", "keys", "values")}


def test_functions_say_what_they_take() -> None:
    every = vw.instantiate(
        """(module
          (func (export "mixed") (param i32 f64 externref) (result i64) (i64.const 1))
          (func (export "nothing"))
          (func (export "two") (result i32 f32) (i32.const 1) (f32.const 2)))"""
    ).exports
    assert str(inspect.signature(every.mixed)) == "(p0: int, p1: float, p2: object, /) -> int"
    assert str(inspect.signature(every.nothing)) == "() -> None"
    assert str(inspect.signature(every.two)) == "() -> tuple[int, float]"
    # Once called, it does what it does by other means.
    every.nothing()
    assert str(inspect.signature(every.nothing)) == "() -> None"
    made = vw.Func(vw.Store(vw.Engine()), vw.FuncType(["i32"], []), print)
    assert str(inspect.signature(made)) == "(p0: int, /) -> None"
    # The class is called with other arguments.
    assert "store" in inspect.signature(vw.Func).parameters
    assert "Func(" in pydoc.render_doc(vw.Func)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("divide", "instance.exports.divide"),
        ("two words", "instance.exports['two words']"),
        ("class", "instance.exports['class']"),
        (LIGATURE, f"instance.exports['{LIGATURE}']"),
        ("get", "instance.exports.get"),
    ],
)
def test_an_export_that_is_looked_up_in_the_instance_is_said_to_be_in_its_exports(name: str, written: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(instance(name), name)
    assert str(caught.value) == f"'Instance' object has no attribute {name!r}: it is an export: {written}"
    assert caught.value.name == name


def test_what_is_no_export_is_said_as_python_says_it() -> None:
    made = instance("divide")
    with pytest.raises(AttributeError, match=r"^'Instance' object has no attribute 'divid'$"):
        made.divid  # noqa: B018
    assert not hasattr(made, "divide")
    # Half made, as copy and pickle make objects.
    with pytest.raises(AttributeError, match=r"^'Instance' object has no attribute 'exports'$"):
        vw.Instance.__new__(vw.Instance).exports  # noqa: B018
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(made)


def test_reprs_count_things_and_know_the_singular() -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    linker = vw.Linker(engine)
    assert repr(store) == "<vibewasm.Store with 0 instances>"
    assert repr(linker) == "<vibewasm.Linker with 0 definitions>"
    linker.define("env", "f", print)
    assert repr(linker) == "<vibewasm.Linker with 1 definition>"
    linker.define("env", "g", print)
    linker.define_wasi(vw.WasiConfig())
    assert repr(linker) == "<vibewasm.Linker with 2 definitions and WASI>"
    one, two = (vw.Module(engine, f"(module {'(func)' * count})") for count in (1, 2))
    assert (repr(one), repr(two)) == ("<vibewasm.Module with 1 function>", "<vibewasm.Module with 2 functions>")
    made = linker.instantiate(store, one)
    assert repr(store) == "<vibewasm.Store with 1 instance>"
    linker.instantiate(store, two)
    assert repr(store) == "<vibewasm.Store with 2 instances>"
    assert repr(made) == "<vibewasm.Instance with 0 exports>"
    assert repr(instance("f")) == "<vibewasm.Instance with 1 export>"


def test_a_deadline_shows_its_seconds_and_whether_it_is_in_use() -> None:
    store = vw.Store(vw.Engine())
    assert repr(store.deadline(1)) == "<vibewasm.Deadline of 1 second>"
    assert repr(store.deadline(0.5)) == "<vibewasm.Deadline of 0.5 seconds>"
    assert repr(store.deadline(None)) == "<vibewasm.Deadline without a limit>"
    with store.deadline(100) as deadline:
        assert repr(deadline) == "<vibewasm.Deadline of 100 seconds, in use>"
    assert repr(deadline) == "<vibewasm.Deadline of 100 seconds>"


def test_messages_count_things_and_know_the_singular() -> None:
    spin = vw.instantiate('(module (func (export "spin") (loop (br 0))))')
    with pytest.raises(vw.Interrupted, match=r"^stopped by a deadline of 0\.01 seconds"), spin.store.deadline(0.01):
        spin.exports.spin()
    store = vw.Store(vw.Engine())
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(1, 1)))
    with pytest.raises(IndexError, match=r"the table of 1 element$"):
        table[1]
    with pytest.raises(vw.WasmError, match=r"table of 1 element cannot grow by 1: its type allows 1 element$"):
        table.grow(1)
    store.max_table_elements = 0
    with pytest.raises(vw.LinkError, match="a table of 1 element is more than"):
        vw.Table(store, vw.TableType("funcref", vw.Limits(1)))
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    with pytest.raises(ValueError, match=r"memory\[0:1\] has 1 byte, the data has 2"):
        memory[0:1] = b"ab"
    store.max_memory = 1
    with pytest.raises(vw.WasmError, match=r"Store\.max_memory is 1 byte, of which"):
        memory.grow(1)
    with pytest.raises(vw.LinkError, match=r"a memory of 1 page .* allows: 1 byte, of which"):
        vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    two = vw.instantiate(
        '(module (import "env" "f" (func $f (result i32 i32))) (func (export "g") call $f drop drop))',
        {"env": {"f": lambda: 1}},
    )
    with pytest.raises(TypeError, match="has 2 results"):
        two.exports.g()
    with pytest.raises(vw.DecodeError, match="type section of 1 byte, 0 are left"):
        vw.Module(vw.Engine(), b"\0asm\1\0\0\0\1\1")
    with pytest.raises(vw.DecodeError, match="custom section of 2 bytes, 1 is left"):
        vw.Module(vw.Engine(), b"\0asm\1\0\0\0\0\2\0")
    with pytest.raises(vw.DecodeError, match="inconsistent lengths: 1 function, 0 bodies"):
        vw.Module(vw.Engine(), b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0")
