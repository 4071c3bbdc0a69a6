"""What is said about arguments that cannot be used: the parameter, what was expected, and what was given."""

from __future__ import annotations

import datetime
import decimal
import fractions
import math
from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw

ENGINE = vw.Engine()
STORE = vw.Store(ENGINE)
MODULE = vw.Module(ENGINE, "(module)")
#: The API as users without a type checker call it.
api: Any = vw

FAULTS: list[tuple[Callable[[], object], str]] = [
    (lambda: api.Store(3), "Store: engine has to be an Engine, not int 3"),
    (lambda: api.Config(1), "Config: settings are given by name, as in Config(fuel=True), not int 1"),
    (lambda: api.Config(vw.Config()), "Config: settings are given by name, as in Config(fuel=True), not Config"),
    (
        lambda: api.Module.func_name(MODULE, bytearray(b"x")),
        "Module.func_name: index has to be the index of a function, an int, not bytearray",
    ),
    (lambda: MODULE.func_name(True), "Module.func_name: index has to be the index of a function, an int, not bool"),
    (lambda: api.WasmError(3), "WasmError: message has to be a str, not int 3"),
    (lambda: api.LinkError(None), "LinkError: message has to be a str, not None"),
    (lambda: api.Interrupted(b"x"), "Interrupted: message has to be a str, not bytes b'x'"),
    (lambda: api.DecodeError("x", "y"), "DecodeError: offset has to be an int, not str 'y'"),
    (lambda: api.ValidationError("x", "y"), "ValidationError: offset has to be an int or None, not str 'y'"),
    (lambda: api.ValidationError("x", 1, "y"), "ValidationError: func_index has to be an int or None, not str 'y'"),
    (lambda: api.ValidationError("x", 1, 1, 3), "ValidationError: func_name has to be a str or None, not int 3"),
    (lambda: api.WatError("x", 1, 2, 3, 5), "WatError: source_line has to be a str, not int 5"),
    (lambda: api.Trap("x", 1, ()), "Trap: code has to be a str, not int 1"),
    (lambda: api.Trap("x", "y", 3), "Trap: frames has to be a sequence of Frame objects, not int 3"),
    (lambda: api.Trap("x", "y", "z"), "Trap: frames has to be a sequence of Frame objects, not str 'z'"),
    (lambda: api.Interrupted("x", 0), "Interrupted: frames has to be a sequence of Frame objects, not int 0"),
    (lambda: api.OutOfFuel("x", "y", 3), "OutOfFuel: frames has to be a sequence of Frame objects, not int 3"),
    (lambda: api.OutOfFuel("x", "y", [None]), "OutOfFuel: frames[0] has to be a Frame, not None"),
    (lambda: api.Frame(1, 2), "Frame: func_name has to be a str or None, not int 2"),
    (lambda: api.Frame("x"), "Frame: func_index has to be an int, not str 'x'"),
    (lambda: api.ExitTrap("x"), "ExitTrap: code has to be an int, not str 'x'"),
    (lambda: api.Store(0), "Store: engine has to be an Engine, not int 0"),
    (lambda: api.Store(vw.Config()), "Store: engine has to be an Engine, not Config (Engine(config) makes one)"),
    (lambda: api.Store(vw.Engine), "Store: engine has to be an Engine, not the class Engine (make one: Engine(...))"),
    (lambda: api.Engine({}), "Engine: config has to be a Config, not dict (Config(**settings) makes one)"),
    (lambda: api.Linker(ENGINE).define_wasi({}), "Linker.define_wasi: config has to be a WasiConfig, not dict"),
    (
        lambda: api.instantiate("(module)", wasi={}),
        "instantiate: wasi has to be a WasiConfig, not dict (WasiConfig(**settings) makes one)",
    ),
    (
        lambda: api.instantiate("(module)", wasi=True),
        "instantiate: wasi has to be a WasiConfig, not bool True (WasiConfig() makes one)",
    ),
    (lambda: api.Engine(0), "Engine: config has to be a Config, not int 0"),
    (lambda: api.Engine(False), "Engine: config has to be a Config, not bool False"),
    (lambda: api.Module("x", b"\0asm\1\0\0\0"), "Module: engine has to be an Engine, not str 'x'"),
    (
        lambda: api.Module(STORE, "(module)"),
        "Module: engine has to be an Engine, not Store (its attribute engine is one)",
    ),
    (
        lambda: api.Module.deserialize(ENGINE),
        "Module.deserialize: data is missing: write Module.deserialize(data) or Module.deserialize(engine, data)",
    ),
    (lambda: api.Module.deserialize(b"x", ENGINE), "Module.deserialize: engine has to be an Engine, not bytes b'x'"),
    (
        lambda: api.Module.deserialize_file(ENGINE),
        "Module.deserialize_file: path is missing: write Module.deserialize_file(path) or "
        "Module.deserialize_file(engine, path)",
    ),
    (
        lambda: api.Module.deserialize_file("x", ENGINE),
        "Module.deserialize_file: engine has to be an Engine, not str 'x'",
    ),
    (
        lambda: api.Module.from_text(ENGINE),
        "Module.from_text: text is missing: write Module.from_text(text) or Module.from_text(engine, text)",
    ),
    (
        lambda: api.Module.from_file(),
        "Module.from_file: path is missing: write Module.from_file(path) or Module.from_file(engine, path)",
    ),
    (
        lambda: api.Module.validate(),
        "Module.validate: source is missing: write Module.validate(source) or Module.validate(engine, source)",
    ),
    (lambda: api.Module.validate(STORE, "(module)"), "Module.validate: engine has to be an Engine, not Store"),
    (lambda: api.Module.from_text(None, "(module)"), "Module.from_text: engine has to be an Engine, not None"),
    (lambda: api.Linker(STORE), "Linker: engine has to be an Engine, not Store (its attribute engine is one)"),
    (lambda: api.Linker(ENGINE, allow_shadowing=1), "Linker: allow_shadowing has to be True or False, not int 1"),
    (lambda: api.Global(3, vw.GlobalType("i32")), "Global: store has to be a Store, not int 3"),
    (lambda: api.Global(STORE, "i32"), "Global: type has to be a GlobalType, not str 'i32'"),
    (lambda: api.Global(STORE, vw.GlobalType("i32"), None), "a global of type i32 wants an int, not None"),
    (lambda: api.Global(STORE, vw.GlobalType("f64"), None), "a global of type f64 wants a number, not None"),
    (lambda: api.Memory(STORE, 3), "Memory: type has to be a MemoryType, not int 3 (MemoryType(Limits(1)) makes one)"),
    (lambda: api.Memory(ENGINE, vw.MemoryType(vw.Limits(1))), "Memory: store has to be a Store, not Engine"),
    (
        lambda: api.Memory(STORE, vw.TableType("funcref", vw.Limits(1))),
        "Memory: type has to be a MemoryType, not TableType",
    ),
    (lambda: api.Table(STORE, 3), "Table: type has to be a TableType, not int 3"),
    (lambda: api.Table(MODULE, 3), "Table: store has to be a Store, not Module"),
    (lambda: api.Func(STORE, 3, print), "Func: type has to be a FuncType, not int 3"),
    (
        lambda: api.Func(STORE, ["i32"], print),
        "Func: type has to be a FuncType, not list (FuncType(['i32'], []) makes one)",
    ),
    (
        lambda: api.Func(ENGINE, vw.FuncType(), print),
        "Func: store has to be a Store, not Engine (Store(engine) makes one)",
    ),
    (lambda: api.Func(STORE, vw.FuncType(), 3), "Func: function has to be a callable, not int 3"),
    (lambda: api.Func(STORE, vw.FuncType(), print, name=3), "Func: name has to be a str or None, not int 3"),
    (lambda: api.FuncType("i32"), "params has to be a sequence of value types: write ['i32'] rather than 'i32'"),
    (lambda: api.FuncType([], "i32"), "results has to be a sequence of value types: write ['i32'] rather than 'i32'"),
    (lambda: api.FuncType(b"\0\1"), "FuncType: params has to be a sequence of value types, not bytes"),
    (lambda: api.FuncType(None), "FuncType: params has to be a sequence of value types, not None"),
    (lambda: api.FuncType([], 3), "FuncType: results has to be a sequence of value types, not int 3"),
    (lambda: api.FuncType(vw.ValType.i32), "FuncType: params has to be a sequence of value types, not ValType"),
    (
        lambda: api.FuncType(["i32", 1.5]),
        "FuncType: params[1]: expected a ValType, its name or its code, not float 1.5",
    ),
    (
        lambda: api.FuncType(["i32"], [True]),
        "FuncType: results[0]: expected a ValType, its name or its code, not bool True",
    ),
    (lambda: api.ValType(3), "ValType: name has to be a str, not int 3"),
    (lambda: api.ValType([]), "ValType: name has to be a str, not list"),
    (
        lambda: api.MemoryType(1),
        "MemoryType: limits has to be a Limits, not int 1 (Limits(minimum, maximum) makes one)",
    ),
    (lambda: api.TableType("funcref", (1, 2)), "TableType: limits has to be a Limits, not tuple"),
    (
        lambda: api.TableType(None, vw.Limits(1)),
        "TableType: element: expected a ValType, its name or its code, not None",
    ),
    (lambda: api.GlobalType(b"i32"), "GlobalType: content: expected a ValType, its name or its code, not bytes b'i32'"),
    (lambda: api.GlobalType("i32", "mut"), "GlobalType: mutable has to be a bool, not str 'mut'"),
    (lambda: api.ImportType("a", 2, vw.FuncType()), "ImportType: name has to be a str, not int 2"),
    (lambda: api.ImportType(b"a", "b", vw.FuncType()), "ImportType: module has to be a str, not bytes b'a'"),
    (
        lambda: api.ExportType("a", "func"),
        "ExportType: type has to be a FuncType, TableType, MemoryType, GlobalType or TagType, not",
    ),
    (lambda: api.Limits("1"), "Limits: minimum has to be a number of pages or elements, an int, not str '1'"),
    (lambda: api.Limits(True), "Limits: minimum has to be a number of pages or elements, an int, not bool True"),
    (lambda: api.Limits(1, 2.0), "Limits: maximum has to be a number of pages or elements, an int, not float 2.0"),
    (lambda: api.Limits(1, 2, 1), "Limits: shared has to be a bool, not int 1"),
    (lambda: api.Limits(1, is64=None), "Limits: is64 has to be a bool, not None"),
    (lambda: api.Limits(min=1, max=2), ""),
    (lambda: api.Limits(1, maximun=2), "Limits has no parameter 'maximun'; did you mean 'maximum'?"),
    (lambda: api.GlobalType("i32", mutabel=True), "GlobalType has no parameter 'mutabel'; did you mean 'mutable'?"),
    (lambda: api.Config(feul=True), "Config has no parameter 'feul'; did you mean 'fuel'?"),
    (lambda: api.Config(zzz=True), "Config has no parameter 'zzz'; there are cache, checked, compilation, "),
    (lambda: api.WasiConfig(envs={}), "WasiConfig has no parameter 'envs'; did you mean 'env'"),
    (
        lambda: api.Linker(ENGINE, allow_shadow=True),
        "Linker has no parameter 'allow_shadow'; did you mean 'allow_shadowing'?",
    ),
    (lambda: api.Func(STORE, vw.FuncType(), print, nam="f"), "Func has no parameter 'nam'; did you mean 'name'?"),
    (
        lambda: api.instantiate("(module)", import_={}),
        "instantiate has no parameter 'import_'; did you mean 'imports'?",
    ),
    (lambda: api.instantiate("(module)", [1]), "instantiate: imports has to be a dict of dicts, not list"),
    (lambda: api.instantiate("(module)", 0), "instantiate: imports has to be a dict of dicts, not int 0"),
    (
        lambda: api.instantiate("(module)", {"a": print}),
        "instantiate: imports['a'] has to be a dict, an Exports or an object with public methods, not",
    ),
    (
        lambda: api.instantiate("(module)", {"a": vw.instantiate("(module)")}),
        "imports['a'] has to be a dict, an Exports or an object with public methods, not Instance "
        "(its attribute exports is one)",
    ),
    (lambda: api.instantiate("(module)", {2: {"a": print}}), "Linker.define: module has to be a str, not int 2"),
    (lambda: api.instantiate("(module)", config={"fuel": True}), "Engine: config has to be a Config, not dict"),
    (lambda: api.Linker(ENGINE).define(2, "", print), "Linker.define: module has to be a str, not int 2"),
    (lambda: api.Linker(ENGINE).define("", b"f", print), "Linker.define: name has to be a str, not bytes b'f'"),
    (lambda: api.Linker(ENGINE).define("", "", print, ["i32"]), "Linker.define: type has to be a FuncType, not list"),
    (
        lambda: api.Linker(ENGINE).define_instance("a", MODULE),
        "define_instance: instance has to be an Instance, not Module",
    ),
    (
        lambda: api.Linker(ENGINE).define("a", "b", vw.instantiate(MODULE)),
        "a.b: an import is a function, Func, Memory, Table, Global, Tag or number, not Instance; define_instance",
    ),
    (lambda: api.instantiate(MODULE).exports.get([]), "Exports: the name of an export has to be a str, not list"),
    (lambda: api.Linker(ENGINE).define_instance(1, MODULE), "Linker.define_instance: name has to be a str, not int 1"),
    (lambda: api.Linker(ENGINE).define_wasi(None), "Linker.define_wasi: config has to be a WasiConfig, not None"),
    (lambda: api.Linker(ENGINE).define_unknown_imports_as_zero("m"), "module has to be a Module, not str 'm'"),
    (
        lambda: api.Linker(ENGINE).instantiate(MODULE),
        "Linker.instantiate: store has to be a Store, not Module (write linker.instantiate(store, module))",
    ),
    (
        lambda: api.Linker(ENGINE).instantiate(ENGINE, MODULE),
        "Linker.instantiate: store has to be a Store, not Engine (Store(engine) makes one)",
    ),
    (
        lambda: api.Linker(ENGINE).instantiate(STORE),
        "Linker.instantiate: module is missing (write linker.instantiate(store, module))",
    ),
    (
        lambda: api.Linker(ENGINE).instantiate(STORE, "(module)"),
        "Linker.instantiate: module has to be a Module, not str '(module)' (Module(engine, source) makes one)",
    ),
    (lambda: api.Instance(STORE, MODULE), "an Instance is made by vibewasm.instantiate(source) or by Linker(engine)"),
    (lambda: api.Exports(STORE), "Exports: instance has to be an Instance, not Store"),
    (lambda: api.instantiate(MODULE).exports[0], "Exports: the name of an export has to be a str, not int 0"),
    (lambda: api.instantiate(MODULE).exports.get(0), "Exports: the name of an export has to be a str, not int 0"),
    (lambda: STORE.deadline(api.Store), "Store.deadline: seconds has to be a number or None, not the class Store"),
]


@pytest.mark.parametrize(("attempt", "message"), FAULTS, ids=[message[:60] or "missing" for _, message in FAULTS])
def test_a_wrong_argument_is_a_type_error_that_names_it(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        attempt()
    assert message in str(caught.value)


def test_what_is_refused_leaves_nothing_in_the_store() -> None:
    store = vw.Store(ENGINE)
    for attempt in (
        lambda: vw.Global(store, vw.GlobalType("i32"), "x"),
        lambda: vw.Table(store, vw.TableType("funcref", vw.Limits(1)), 5),
    ):
        with pytest.raises(TypeError):
            attempt()
    assert (store._globals, store._tables, store._memories, store._funcs) == ([], [], [], {})


def test_long_values_are_cut_and_escaped() -> None:
    for value in ("x" * 10**6, b"\x1b" * 10**6, 10**6000, "\x1b]0;a\n", "\u202e"):
        with pytest.raises(TypeError) as caught:
            api.Store(value)
        assert len(str(caught.value)) < 120
        assert str(caught.value).isprintable()


#: For each setting what is of another type, and what is of the right one and no value of it.
SETTINGS: dict[str, tuple[list[object], list[object]]] = {
    "compilation": ([3, True, []], ["lazily", "", None]),
    "checked": ([1, 0, None, "yes", []], []),
    "fuel": ([1, 0, 10.5, None, "yes"], []),
    "explicit_bounds": ([1, None, "no"], []),
    "deterministic": ([1, None, "no"], []),
    "legacy_exceptions": ([1, None, "no"], []),
    "target": ([3, True, b"x86_64", []], []),
    "max_memory": ([1.5, math.nan, math.inf, "65536", True, False, []], [-1, -(1 << 20000)]),
    "max_table_elements": ([1.5, math.nan, "1", True, None], [-1]),
    "max_references": ([1.5, math.nan, "1", True, None], [-1]),
    "limits": ([3, {}, vw.Limits(1)], []),
    "profile": ([True, 3, []], ["perf", "", "x" * 1000]),
    "debug": ([True, 3, []], ["lldb", ""]),
    "cache": ([3, None, b"folder", "", []], ["off"]),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_checked(setting: str) -> None:
    for kind, values in zip((TypeError, ValueError), SETTINGS[setting], strict=True):
        for value in values:
            with pytest.raises(kind, match=f"^Config: {setting} (has to be|is) .*, not ") as caught:
                api.Config(**{setting: value})
            assert len(str(caught.value)) < 150


def test_every_setting_is_tested() -> None:
    assert set(SETTINGS) == set(vw.Config.__slots__)


def test_the_limits_of_a_store_are_checked_when_they_are_set() -> None:
    store: Any = vw.Store(vw.Engine(vw.Config(max_memory=65536)))
    assert (store.max_memory, store.max_table_elements) == (65536, 10_000_000)
    for name in ("max_memory", "max_table_elements", "max_references"):
        for wrong in (1.5, "1", True):
            with pytest.raises(TypeError, match=f"Store: {name} has to be a number of .*, an int, not "):
                setattr(store, name, wrong)
        with pytest.raises(ValueError, match=f"Store: {name} is a number of .*, 0 or more, not -1"):
            setattr(store, name, -1)
        setattr(store, name, 7)
        assert getattr(store, name) == 7
    store.max_memory = None
    with pytest.raises(TypeError, match="max_table_elements"):
        store.max_table_elements = None


def test_limits_are_sizes_in_order() -> None:
    with pytest.raises(ValueError, match="the minimum, 2, is above the maximum, 1"):
        vw.Limits(2, 1)
    with pytest.raises(ValueError, match=r"minimum is a number from 0 to 2\*\*64 - 1, not -1"):
        vw.Limits(-1)
    with pytest.raises(ValueError, match=r"maximum is a number from 0 to 2\*\*64 - 1, not 18446744073709551616"):
        vw.Limits(1, 2**64)
    with pytest.raises(ValueError, match="not a number of 19932 bits"):
        vw.Limits(10**6000)
    assert vw.Limits(2, 2).maximum == 2
    assert vw.Limits(0, 2**64 - 1).minimum == 0


@pytest.mark.parametrize(("flag", "proposal"), [("shared", "threads"), ("is64", "memory64")])
def test_memories_and_tables_of_proposals_that_are_not_built_are_refused_by_name(flag: str, proposal: str) -> None:
    options: Any = {flag: True}
    limits = vw.Limits(1, 2, **options)
    with pytest.raises(
        vw.WasmError, match=rf"memory \({flag}=True\) takes the {proposal} proposal, which is not supported"
    ):
        vw.Memory(STORE, vw.MemoryType(limits))
    with pytest.raises(
        vw.WasmError, match=rf"table \({flag}=True\) takes the {proposal} proposal, which is not supported"
    ):
        vw.Table(STORE, vw.TableType("funcref", limits))


@pytest.mark.parametrize(
    "text", ["(memory 1 2 shared)", "(memory i64 1)", "(memory 2 1)", "(table 2 1 funcref)", "(table i64 1 funcref)"]
)
def test_a_module_with_such_limits_is_invalid_as_before(text: str) -> None:
    with pytest.raises(vw.ValidationError, match=r"not supported|must not be greater than maximum"):
        vw.Module(ENGINE, f"(module {text})")


def test_a_table_may_not_be_larger_than_its_indices_reach() -> None:
    store = vw.Store(ENGINE)
    store.max_table_elements = 2**40
    with pytest.raises(vw.LinkError, match="a table has at most 4294967295 elements, not 1 4294967296"):
        vw.Table(store, vw.TableType("funcref", vw.Limits(1, 2**32)))
    with pytest.raises(vw.LinkError, match="a table has at most 4294967295 elements"):
        vw.Table(store, vw.TableType("funcref", vw.Limits(2**32)))


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "first"),
    [("i32", 0), ("i64", 0), ("f32", 0.0), ("f64", 0.0), ("v128", 0), ("funcref", None), ("externref", None)],
)
def test_a_global_that_is_made_without_a_value_is_zero_or_null(content: str, first: object) -> None:
    variable = vw.Global(STORE, vw.GlobalType(content, True))
    assert variable.value == first
    assert type(variable.value) is type(first)
    assert variable.raw == 0


def test_a_global_may_hold_the_int_zero_as_a_reference() -> None:
    assert vw.Global(STORE, vw.GlobalType("externref"), 0).value == 0
    assert vw.Global(STORE, vw.GlobalType("externref"), ...).value is ...


class Index:
    """What counts as an int, as NumPy's integers do."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def test_memories_are_indexed_by_ints() -> None:
    memory: Any = vw.Memory(STORE, vw.MemoryType(vw.Limits(1, 4)))
    memory[0:4] = b"abcd"
    assert memory[Index(1)] == ord("b")
    assert memory[Index(1) : Index(3)] == b"bc"
    assert memory.read(Index(1), Index(2)) == b"bc"
    memory[Index(0)] = Index(65)
    memory.write(Index(1), b"B")
    assert memory[0:4] == b"ABcd"
    assert memory.grow(Index(1)) == 1
    for key in ("a", 1.5, None, (1, 2), b"a"):
        with pytest.raises(TypeError, match="a memory is indexed by ints and slices of ints, not by "):
            memory[key]
        with pytest.raises(TypeError, match="a memory is indexed by ints and slices of ints, not by "):
            memory[key] = 1
    for ends in (("a", None), (0, 1.5), (1.5, 2)):
        with pytest.raises(TypeError, match="a memory is indexed by ints and slices of ints, not by "):
            memory[ends[0] : ends[1]]
        with pytest.raises(TypeError, match="a memory is indexed by ints and slices of ints, not by "):
            memory[ends[0] : ends[1]] = b""
    for step in (2, -1, 0, "x", 1.5):
        with pytest.raises(ValueError, match=r"a slice of a memory has step 1; memory\.view\(\) takes any"):
            memory[0:4:step]
    with pytest.raises(IndexError, match="more than 128 bits is outside the memory"):
        memory[10**6000]


def test_memories_take_bytes() -> None:
    import array

    memory: Any = vw.Memory(STORE, vw.MemoryType(vw.Limits(1)))
    memory[0:4] = array.array("H", [1, 2])
    memory[4:4] = array.array("H")
    memory.write(4, memoryview(b"a-b-")[::2])
    memory.write(6, memoryview(b"abcd").cast("B", (2, 2)))
    memory.write(10, array.array("d"))
    assert memory[0:10] == b"\1\0\2\0ababcd"
    for wrong in ("text", 5, [1, 2], None):
        with pytest.raises(TypeError, match="takes bytes or what is like bytes, not "):
            memory[0:4] = wrong
        with pytest.raises(TypeError, match=r"Memory\.write: data takes bytes or what is like bytes, not "):
            memory.write(0, wrong)
    with pytest.raises(TypeError, match="not str 'text': encode it first"):
        memory.write(0, "text")
    for value, kind in ((256, ValueError), (-1, ValueError), (1.0, TypeError), ("a", TypeError), (None, TypeError)):
        with pytest.raises(kind, match=r"memory\[0\] takes an int from 0 to 255, not "):
            memory[0] = value
    assert bytes(memory) == memory[:]
    assert [*memory][:10] == [*memory[0:10]]


def test_sizes_are_ints() -> None:
    memory: Any = vw.Memory(STORE, vw.MemoryType(vw.Limits(1)))
    table: Any = vw.Table(STORE, vw.TableType("externref", vw.Limits(1)))
    for grow, what in (
        (memory.grow, "Memory.grow: delta has to be a number of pages"),
        (table.grow, "Table.grow: delta has"),
    ):
        for wrong in (1.0, "x", None, True, [1]):
            with pytest.raises(TypeError, match=what):
                grow(wrong)
        with pytest.raises(vw.WasmError, match="cannot grow by a number of 19932 bits"):
            grow(10**6000)
    for wrong in ("a", 1.5, None):
        with pytest.raises(TypeError, match=r"Memory\.read: offset has to be a number of bytes, an int, not "):
            memory.read(wrong, 1)
        with pytest.raises(TypeError, match=r"Memory\.read: size has to be a number of bytes, an int, not "):
            memory.read(1, wrong)
        with pytest.raises(TypeError, match=r"Memory\.write: offset has to be a number of bytes, an int, not "):
            memory.write(wrong, b"")
        with pytest.raises(TypeError, match="a table is indexed by ints, not by "):
            table[wrong]
        with pytest.raises(TypeError, match="a table is indexed by ints, not by "):
            table[wrong] = None
    with pytest.raises(TypeError, match="a table is indexed by ints, not by slice"):
        table[0:1]
    with pytest.raises(IndexError, match="a number of 19932 bits is outside the table"):
        table[10**6000]
    table[Index(0)] = "x"
    assert table[Index(0)] == "x"
    store: Any = vw.Store(vw.Engine(vw.Config(fuel=True)))
    for wrong in (1.5, "1", None, True):
        with pytest.raises(TypeError, match="Store: fuel has to be an amount, an int, not "):
            store.fuel = wrong
    store.fuel = Index(5)
    assert store.fuel == 5


def test_raw_cells_are_ints() -> None:
    f: Any = vw.Func(STORE, vw.FuncType(["i64"], ["i64"]), lambda x: x, name="same")
    assert f.call_raw([Index(5)]) == [5]
    assert f.call_raw((2**64 - 1,)) == [2**64 - 1]
    for wrong in (1.5, "1", None, [1]):
        with pytest.raises(TypeError, match=r"same\.call_raw: a cell has to be the bits of a value, an int, not "):
            f.call_raw([wrong])
    for cell in (-1, 2**64, Index(-1), 10**6000):
        with pytest.raises(OverflowError, match=r"a cell is an int from 0 to 2\*\*64 - 1, not "):
            f.call_raw([cell])
    for wrong in (3, None):
        with pytest.raises(TypeError, match=r"same\.call_raw: cells has to be a list of ints, not "):
            f.call_raw(wrong)


def test_a_deadline_is_a_number_of_seconds() -> None:
    m = vw.instantiate('(module (func (export "spin") (loop br 0)) (func (export "f")))')
    deadline: Any = m.store.deadline
    for wrong in ("1", b"1", True, [1], object(), 1j):
        with pytest.raises(TypeError, match=r"Store\.deadline: seconds has to be a number or None, not "):
            deadline(wrong)
    with pytest.raises(TypeError, match=r"not timedelta \(its total_seconds\(\) is one\)"):
        deadline(datetime.timedelta(seconds=1))
    for nan in (math.nan, -math.nan, decimal.Decimal("nan")):
        with pytest.raises(ValueError, match="seconds has to be a number, and NaN is none; None sets no limit"):
            deadline(nan)
    for over in (0, -0.0, -1, -math.inf, -(10**400)):
        with pytest.raises(vw.Interrupted), deadline(over):
            m.exports.spin()
    for endless in (math.inf, 10**400, 1e300, None):
        with deadline(endless):
            m.exports.f()
    for short in (fractions.Fraction(1, 50), decimal.Decimal("0.02"), 0.02):
        with pytest.raises(vw.Interrupted, match=r"stopped by a deadline of 0\.02 seconds"), deadline(short):
            m.exports.spin()


# -- NumPy -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def np() -> Any:
    """NumPy, where it is installed."""
    return pytest.importorskip("numpy", reason="NumPy is not installed: its arrays over memories are not tested")


def test_an_array_over_a_memory_is_no_copy(np: Any) -> None:
    memory: Any = vw.Memory(STORE, vw.MemoryType(vw.Limits(1, 2)))
    for array in (np.asarray(memory), np.array(memory, copy=None), np.frombuffer(memory.view(), np.uint8)):
        assert (array.dtype, array.shape) == (np.uint8, (65536,))
        array[3] = memory[3] + 1
    assert memory[3] == 3
    copy = np.array(memory)
    assert copy.dtype == np.uint8
    copy[3] = 9
    assert memory[3] == 3
    empty = vw.Memory(STORE, vw.MemoryType(vw.Limits(0)))
    assert np.asarray(empty).shape == (0,)
    memory.grow(1)
    assert np.asarray(memory).shape == (131072,)
    assert memory[np.int64(3)] == 3
    memory[np.int32(3)] = np.uint8(4)
    memory[0:8] = np.arange(2, dtype=np.uint32)
    assert memory[0:8] == b"\0\0\0\0\1\0\0\0"


def test_an_array_over_a_memory_protects_it(np: Any) -> None:
    store = vw.Store(ENGINE)
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    arrays = [np.asarray(memory)]
    arrays[0][5] = 7
    arrays.append(arrays[0][4:8].view(np.uint32))
    del arrays[0]
    with pytest.raises(BufferError, match="a view of one of its memories is in use"):
        store.close()
    assert arrays[0][0] == 7 << 8
    with pytest.raises(vw.WasmError, match="this store is closed"):
        np.asarray(memory)
    del arrays[0]
    store.close()


class Fickle(int):
    """An int that is another one each time that it is asked."""

    def __new__(cls, first: int, then: int) -> Fickle:
        self = super().__new__(cls, first)
        self.then = then
        return self

    then: int
    asked = 0

    def __index__(self) -> int:
        self.asked += 1
        return int.__int__(self) if self.asked == 1 else self.then

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True


class FickleList(list[Any]):
    """A list that has other items each time that it is iterated over."""

    then: list[Any]
    asked = 0

    def __iter__(self) -> Any:
        self.asked += 1
        return super().__iter__() if self.asked == 1 else iter(self.then)


def test_raw_cells_that_are_passed_are_those_that_were_checked() -> None:
    f: Any = vw.Func(STORE, vw.FuncType(["funcref", "i64"], ["i64"]), lambda _, x: x, name="second")
    assert f.call_raw([Fickle(0, 8), Fickle(5, 6)]) == [5]
    cells = FickleList([0, 7])
    cells.then = [16, 8]
    assert f.call_raw(cells) == [7]
    cells = FickleList([0, 7])
    cells.then = [0] * 100_000
    assert f.call_raw(cells) == [7]
    with pytest.raises(ValueError, match="0x8 is no reference of type funcref that this store gave out"):
        f.call_raw([Fickle(8, 0), 5])
