"""Values of type v128 in Python: what is taken for one, what comes back, and what is said of the rest."""

from __future__ import annotations

import array
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from tests.api.test_arguments import Index
from vibewasm.api.type_stubs import type_stub
from vibewasm.instances.context import ContextLayout
from vibewasm.wat import wat2wasm

STORE = vw.Store(vw.Engine())
TYPE = vw.FuncType(["v128"], ["v128"])
#: Lanes 1, 2, 3, 4 of i32x4.
BYTES = bytes.fromhex("01000000 02000000 03000000 04000000")
NUMBER = 0x00000004_00000003_00000002_00000001


def through(value: object) -> Any:
    """A value, as an argument and as the result of a Python function."""
    return vw.Func(STORE, TYPE, lambda vector: vector)(value)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (0, 0),
        (1 << 127, 1 << 127),
        ((1 << 128) - 1, (1 << 128) - 1),
        (-1, (1 << 128) - 1),
        (-(1 << 127), 1 << 127),
        (True, 1),
        (Index(7), 7),
        (BYTES, NUMBER),
        (bytearray(BYTES), NUMBER),
        (memoryview(BYTES), NUMBER),
        (memoryview(b"".join(bytes((byte, 0xFF)) for byte in BYTES))[::2], NUMBER),
        (array.array("I", [1, 2, 3, 4]), NUMBER),
        (memoryview(BYTES).cast("B", (4, 4)), NUMBER),
    ],
)
def test_an_int_or_sixteen_bytes_are_a_vector_and_come_back_as_an_unsigned_int(given: object, number: int) -> None:
    results = [
        through(given),
        vw.Func(STORE, vw.FuncType([], ["v128"]), lambda: given)(),
        vw.Func(STORE, vw.FuncType([], ["i32", "v128", "i64"]), lambda: (5, given, -6))()[1],
        vw.Global(STORE, vw.GlobalType("v128"), given).value,
        vw.Global(STORE, vw.GlobalType("v128"), given).raw,
    ]
    assert results == [number] * 5
    assert {type(result) for result in results} == {int}


def test_an_array_of_numpy_is_a_vector_if_it_has_sixteen_bytes() -> None:
    numpy = pytest.importorskip("numpy")
    for made in (numpy.array([1, 2, 3, 4], "int32"), numpy.array([[1, 2], [3, 4]], "uint32"), numpy.frombuffer(BYTES)):
        assert through(made) == NUMBER
    assert through(numpy.uint8(200)) == 200
    with pytest.raises(ValueError, match="wants an int or 16 bytes, not 8 bytes"):
        through(numpy.zeros(8, "uint8"))


@given(st.binary(min_size=16, max_size=16))
def test_bytes_are_lanes_from_the_first_to_the_last(data: bytes) -> None:
    assert through(data).to_bytes(16, "little") == data
    assert through(int.from_bytes(data, "little", signed=True)) == through(data)


WRONG: list[tuple[object, type[Exception], str]] = [
    (1 << 128, OverflowError, r"wants an int from -2\*\*127 to 2\*\*128-1, not a number of 129 bits"),
    (-(1 << 127) - 1, OverflowError, r"wants an int from -2\*\*127 to 2\*\*128-1, not "),
    (1.0, TypeError, "wants an int or 16 bytes, not float 1.0"),
    ("x" * 16, TypeError, "wants an int or 16 bytes, not str "),
    (None, TypeError, "wants an int or 16 bytes, not None"),
    ([1, 2, 3, 4], TypeError, "wants an int or 16 bytes, not list"),
    (b"", ValueError, "wants an int or 16 bytes, not 0 bytes"),
    (b"x", ValueError, "wants an int or 16 bytes, not 1 byte$"),
    (bytearray(15), ValueError, "wants an int or 16 bytes, not 15 bytes"),
    (memoryview(bytes(17)), ValueError, "wants an int or 16 bytes, not 17 bytes"),
    (array.array("I", [1, 2, 3, 4, 5]), ValueError, "wants an int or 16 bytes, not 20 bytes"),
]


@pytest.mark.parametrize(("value", "kind", "words"), WRONG)
def test_what_is_no_vector_is_refused_by_name(value: object, kind: type[Exception], words: str) -> None:
    variable = vw.Global(STORE, vw.GlobalType("v128", True), 3)
    calls: list[tuple[str, Callable[[], object]]] = [
        (r"f\(v128\) -> v128: parameter 1 ", lambda: vw.Func(STORE, TYPE, lambda v: v, name="f")(value)),
        (r"f\(v128\) -> v128: result 1 ", lambda: vw.Func(STORE, TYPE, lambda v: value, name="f")(0)),
        ("a global of type v128 ", lambda: vw.Global(STORE, vw.GlobalType("v128"), value)),
        ("a global of type v128 ", lambda: setattr(variable, "value", value)),
    ]
    for subject, call in calls:
        with pytest.raises(kind, match=f"^{subject}{words}"):
            call()
    assert variable.value == 3


def test_what_an_index_raises_itself_passes() -> None:
    class Broken:
        def __index__(self) -> int:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        through(Broken())


def test_raw_calls_have_two_cells_for_a_vector_low_half_first() -> None:
    swap = vw.Func(STORE, vw.FuncType(["v128", "i32", "v128"], ["v128", "i32", "v128"]), lambda a, i, b: (b, i, a))
    assert swap.call_raw([1, 2, 0xFFFF_FFFF, 3, 4]) == [3, 4, 0xFFFF_FFFF, 1, 2]
    with pytest.raises(TypeError, match="takes 5 cells, 3 were given"):
        swap.call_raw([1, 2, 3])


def test_there_are_no_arrays_and_no_c_functions_of_vectors() -> None:
    func = vw.Func(STORE, TYPE, lambda vector: vector)
    with pytest.raises(TypeError, match="there are no arrays of v128, only of i32, i64, f32 and f64"):
        func.map([BYTES])


def test_annotations_and_signatures_know_vectors() -> None:
    linker = vw.Linker(STORE.engine)

    def twice(v: "v128") -> "v128":  # type: ignore[name-defined]  # noqa: F821, UP037 - a type of wasm
        return v

    linker.define("env", "twice", twice)
    func = vw.Func(STORE, TYPE, lambda vector: vector)
    assert str(func.__signature__) == "(p0: int, /) -> int"


def test_globals_of_vectors_lie_at_multiples_of_16() -> None:
    module = vw.Module(
        STORE.engine,
        """(module (import "e" "a" (global v128)) (import "e" "b" (global (mut v128))) (import "e" "c" (global i32))
        (global i32 (i32.const 1)) (global v128 (v128.const i32x4 1 2 3 4)) (global i64 (i64.const 2))
        (global (mut v128) (v128.const i64x2 5 6)) (global v128 (global.get 0)) (func) (func))""",
    )
    info = module.info
    layout = ContextLayout(info)
    offsets = [layout.global_(index) for index in range(len(info.globals))]
    sizes = [16, 8, 8, 8, 16, 8, 16, 16]
    for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        assert offset % size == 0
        assert offset + size <= [*offsets, layout.slots][index + 1]
    assert layout.slots + 16 <= layout.size


def test_globals_of_vectors_are_imported_exported_and_set() -> None:
    text = """(module (import "e" "a" (global $a v128)) (import "e" "b" (global $b (mut v128)))
        (global i32 (i32.const 1)) (global (export "c") v128 (v128.const i32x4 1 2 3 4))
        (global (export "d") (mut v128) (global.get $a)) (export "a" (global $a)) (export "b" (global $b)))"""
    shared = vw.Global(STORE, vw.GlobalType("v128", True), NUMBER << 1)
    linker = vw.Linker(STORE.engine)
    linker.define("e", "a", (1 << 128) - 2)
    linker.define("e", "b", shared)
    exports = linker.instantiate(STORE, vw.Module(STORE.engine, text)).exports
    assert [exports[name].value for name in "abcd"] == [(1 << 128) - 2, NUMBER << 1, NUMBER, (1 << 128) - 2]
    exports.b.value = BYTES
    assert shared.value == NUMBER
    exports.d.value = 9
    assert exports.d.value == exports.d.raw == 9
    assert repr(exports.c) == f"<vibewasm.Global v128 {NUMBER}>"
    again = vw.Module.deserialize(STORE.engine, vw.Module(STORE.engine, wat2wasm(text)).serialize())
    assert linker.instantiate(STORE, again).exports.c.value == NUMBER


@pytest.mark.parametrize("given", [BYTES, bytearray(BYTES), memoryview(BYTES), NUMBER])
def test_an_imported_global_is_given_as_an_int_or_sixteen_bytes(given: Any) -> None:
    text = """(module (import "e" "g" (global v128)) (func (export "f") (result v128) (global.get 0)))"""
    assert vw.instantiate(text, {"e": {"g": given}}).exports.f() == NUMBER


@pytest.mark.parametrize(
    ("type", "given", "words"),
    [
        ("global v128", bytes(15), "a global of type v128 wants an int or 16 bytes, not 15 bytes"),
        ("global v128", 1.5, "a global of type v128 wants an int or 16 bytes, not float 1.5"),
        ("global i32", BYTES, "a global of type i32 wants an int, not bytes"),
        ("global (mut v128)", BYTES, "it is a value (bytes), not a global (mut v128)"),
        ("func", memoryview(BYTES), "it is a value (memoryview), not a () -> ()"),
        ("memory 1", bytearray(1), "it is a value (bytearray), not a memory"),
    ],
)
def test_bytes_that_are_no_global_of_the_import_are_a_link_error(type: str, given: Any, words: str) -> None:
    with pytest.raises(vw.LinkError, match="^incompatible import type: e.g: " + re.escape(words)):
        vw.instantiate(f"""(module (import "e" "g" ({type})))""", {"e": {"g": given}})


def test_type_checkers_are_told_what_is_taken_for_a_vector() -> None:
    text = """(module (import "e" "f" (func (param v128) (result v128))) (import "e" "g" (global v128))
        (func (export "h") (param v128) (result v128) (local.get 0)))"""
    stub = type_stub(vw.Module(STORE.engine, text), "a.wasm")
    taken = "_int | _bytes | _bytearray | _memoryview"
    assert f"def __call__(self, p0: {taken}, /) -> _int: ..." in stub
    assert f'"f": _Callable[[_int], {taken}] | _Native,' in stub.replace("'", '"')
    assert f'"g": _Global | {taken},' in stub.replace("'", '"')


def test_vectors_go_through_wasm_code_and_back() -> None:
    text = """(module (import "e" "swap" (func $swap (param v128 i32 v128) (result v128 v128)))
        (func (export "f") (param v128 i32 v128) (result v128 v128)
            (call $swap (local.get 0) (local.get 1) (local.get 2))))"""
    exports = vw.instantiate(text, {"e": {"swap": lambda a, _, b: (b.to_bytes(16, "little"), a)}}).exports
    assert exports.f(BYTES, 1, -1) == ((1 << 128) - 1, NUMBER)
    assert exports.f.call_raw([1, 2, 0, 3, 4]) == [3, 4, 1, 2]


@pytest.mark.parametrize("explicit_bounds", [False, True])
def test_a_store_across_the_end_of_the_memory_writes_nothing(explicit_bounds: bool) -> None:
    stores = {
        size: f"(v128.store{'' if size == 16 else f'{8 * size}_lane'} offset=OFFSET {'' if size == 16 else lane} "
        for size, lane in ((16, ""), (8, "1"), (4, "3"), (2, "0"))
    }
    value = f"(v128.const i64x2 {' '.join(['-1'] * 2)})"
    functions = "".join(
        f'(func (export "{size}+{offset}") (param i32) {start.replace("OFFSET", str(offset))} (local.get 0) {value}))'
        for size, start in stores.items()
        for offset in (0, 100, 20000, 0x12345)
    )
    engine = vw.Engine(vw.Config(explicit_bounds=explicit_bounds))
    source = wat2wasm(f'(module (memory (export "m") 2) {functions})')
    exports = vw.Linker(engine).instantiate(vw.Store(engine), vw.Module(engine, source)).exports
    for size in stores:
        for offset in (0, 100, 20000, 0x12345):
            for beyond in range(1, size):
                with pytest.raises(vw.Trap):
                    exports[f"{size}+{offset}"](131072 - size + beyond - offset)
                assert not any(exports["m"].read(131072 - 16, 16)), (size, offset, beyond)
