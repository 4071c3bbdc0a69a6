"""What each section says is what the decoder finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.binary import encode
from tests.binary.builder import FUNC, GLOBAL, MEMORY, TABLE, ModuleBuilder
from vibewasm.binary import definitions
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError
from vibewasm.extern_types import GlobalType, Limits, MemoryType, TableType
from vibewasm.types import EXTERNREF, FUNCREF, NOT_NULL, FuncType

NUMBERS = ["i32", "i64", "f32", "f64"]
TYPES = [*NUMBERS, "funcref", "externref"]
type_lists = st.lists(st.sampled_from(TYPES), max_size=5)


@given(signatures=st.lists(st.tuples(type_lists, type_lists), max_size=6))
def test_types_round_trip(signatures: list[tuple[list[str], list[str]]]) -> None:
    contents = encode.vector(encode.func_type(params, results) for params, results in signatures)
    info = decode(encode.module(encode.section("type", contents)))
    assert info.types == [FuncType(params, results) for params, results in signatures]


def test_types_of_equal_encoding_are_one_object() -> None:
    type_ = encode.func_type(["i32"], ["i64"])
    info = decode(encode.module(encode.section("type", encode.vector([type_, type_]))))
    assert info.types[0] is info.types[1]


def test_the_long_forms_of_plain_types_are_the_plain_types() -> None:
    # A final sub type without supertypes, and (ref null func), (ref null extern).
    contents = encode.vector([b"\x4f\0\x60\2\x63\x70\x63\x6f\0", encode.func_type()])
    info = decode(encode.module(encode.section("type", contents)))
    assert info.types == [FuncType(["funcref", "externref"]), FuncType()]


def test_imports_come_first_in_every_index_space() -> None:
    m = ModuleBuilder()
    assert m.import_func("env", "f", ["i32"], ["i64"]) == 0
    assert m.import_table("env", "t", 1, 9, "externref") == 0
    assert m.import_global("env", "g", "f64", mutable=True) == 0
    assert m.import_func("", "é") == 1
    assert m.table(2) == 1
    assert m.global_("i32", encode.i32_const(5)) == 1
    assert m.func(["i64"]) == 2
    m.memory(1, 3)
    info = decode(m.build())
    assert [(i.module, i.name, i.kind) for i in info.imports] == [
        ("env", "f", FUNC),
        ("env", "t", TABLE),
        ("env", "g", GLOBAL),
        ("", "é", FUNC),
    ]
    assert info.imports[0].desc == 0
    assert info.imports[1].desc == TableType("externref", Limits(1, 9))
    assert info.imports[2].desc == GlobalType("f64", True)
    assert [info.func_type(index) for index in range(3)] == [
        FuncType(["i32"], ["i64"]),
        FuncType(),
        FuncType(["i64"]),
    ]
    assert info.tables == [TableType("externref", Limits(1, 9)), TableType("funcref", Limits(2))]
    assert info.globals == [GlobalType("f64", True), GlobalType("i32")]
    assert info.memories == [MemoryType(Limits(1, 3))]
    assert (info.imported_funcs, info.imported_tables, info.imported_memories, info.imported_globals) == (2, 1, 0, 1)
    assert len(info.global_inits) == 1


def test_an_imported_memory_is_memory_0() -> None:
    m = ModuleBuilder()
    m.import_memory("env", "memory", 1, 65536)
    info = decode(m.build())
    assert (info.memories, info.imported_memories) == ([MemoryType(Limits(1, 65536))], 1)


def test_exports_and_start() -> None:
    m = ModuleBuilder()
    f = m.func(export="run")
    m.table(1, export="t")
    m.memory(0, export="")
    m.global_("i64", encode.i64_const(-1), mutable=True, export="g\0")
    m.export("again", FUNC, f)
    m.start(f)
    info = decode(m.build())
    assert [(e.name, e.kind, e.index) for e in info.exports] == [
        ("run", FUNC, 0),
        ("t", TABLE, 0),
        ("", MEMORY, 0),
        ("g\0", GLOBAL, 0),
        ("again", FUNC, 0),
    ]
    assert info.start == 0


@settings(max_examples=50)
@given(sizes=st.lists(st.sampled_from([0, 1, 120, 124, 125, 126, 127, 128, 16380, 16381, 16382, 70_000]), max_size=5))
def test_bodies_are_found_whatever_the_length_of_their_sizes(sizes: list[int]) -> None:
    m = ModuleBuilder()
    bodies = [b"\0" + b"\1" * size + b"\x0b" for size in sizes]
    for body in bodies:
        m.raw_func(m.type(), body)
    info = decode(m.build())
    assert [info.data[start:end] for start, end in info.bodies] == bodies


def test_a_body_size_may_be_padded_as_linkers_do() -> None:
    body = b"\0\x0b"
    for length in (1, 2, 3, 5):
        code = encode.section("code", b"\1" + encode.unsigned(len(body), length) + body)
        wasm = encode.module(encode.section("type", b"\1\x60\0\0"), encode.section("function", b"\1\0"), code)
        info = decode(wasm)
        assert [wasm[start:end] for start, end in info.bodies] == [body]


@given(indices=st.lists(st.integers(0, 299), max_size=300))
def test_type_indices_of_functions_of_any_length(indices: list[int]) -> None:
    types = encode.vector([encode.func_type(["i32"] * (n % 3)) for n in range(300)])
    contents = encode.vector(encode.unsigned(index) for index in indices)
    code = encode.vector([b"\2\0\x0b"] * len(indices))
    wasm = encode.module(
        encode.section("type", types), encode.section("function", contents), encode.section("code", code)
    )
    assert decode(wasm).func_type_indices == indices


def element_module() -> ModuleBuilder:
    m = ModuleBuilder()
    m.table(10)
    m.table(10, element="externref")
    m.table(10)
    for _ in range(4):
        m.func()
    return m


def test_all_eight_forms_of_element_segments() -> None:
    m = element_module()
    null = encode.ref_null()
    m.elem([0, 1], 3)
    m.elem([1], None)
    m.elem([2], 4, table=2)
    m.elem([3], declarative=True)
    m.elem_exprs("funcref", [null, encode.ref_func(1)], 5)
    m.elem_exprs("externref", [encode.ref_null("externref")], None)
    m.elem_exprs("externref", [encode.ref_null("externref")] * 2, 6, table=1)
    m.elem_exprs("funcref", [null], declarative=True)
    found = decode(m.build()).elements
    assert [(e.mode, e.table, e.type) for e in found] == [
        ("active", 0, FUNCREF + NOT_NULL),
        ("passive", 0, FUNCREF + NOT_NULL),
        ("active", 2, FUNCREF + NOT_NULL),
        ("declarative", 0, FUNCREF + NOT_NULL),
        ("active", 0, FUNCREF),
        ("passive", 0, EXTERNREF),
        ("active", 1, EXTERNREF),
        ("declarative", 0, FUNCREF),
    ]
    assert [e.offset.ops if e.offset else None for e in found] == [
        [(0x41, 3)],
        None,
        [(0x41, 4)],
        None,
        [(0x41, 5)],
        None,
        [(0x41, 6)],
        None,
    ]
    assert [e.funcs for e in found] == [[0, 1], [1], [2], [3], None, None, None, None]
    assert [[expr.ops for expr in e.exprs] if e.exprs else None for e in found[4:]] == [
        [[(0xD0, FUNCREF)], [(0xD2, 1)]],
        [[(0xD0, EXTERNREF)]],
        [[(0xD0, EXTERNREF)]] * 2,
        [[(0xD0, FUNCREF)]],
    ]


@given(indices=st.lists(st.integers(0, 3), max_size=20))
def test_items_of_nothing_but_ref_func_are_function_indices(indices: list[int]) -> None:
    m = element_module()
    m.elem(indices, as_exprs=True)
    m.elem(indices)
    as_exprs, plain = decode(m.build()).elements
    assert as_exprs.funcs == plain.funcs == indices


@given(segments=st.lists(st.tuples(st.binary(max_size=300), st.none() | st.integers(0, 2**31 - 1)), max_size=5))
def test_data_segments_stay_where_they_are(segments: list[tuple[bytes, int | None]]) -> None:
    m = ModuleBuilder()
    m.memory(1)
    for contents, offset in segments:
        m.data(contents, offset)
    info = decode(m.build())
    assert [info.data[d.start : d.end] for d in info.datas] == [contents for contents, _ in segments]
    assert [d.offset.ops[0][1] if d.offset else None for d in info.datas] == [offset for _, offset in segments]
    assert [d.mode for d in info.datas] == ["passive" if offset is None else "active" for _, offset in segments]
    assert info.data_count == (len(segments) or None)


def read_datas(wasm: bytes) -> object:
    """What the decoder says of a module with data segments, or how it refuses it."""
    try:
        info = decode(wasm)
    except (DecodeError, ValidationError) as error:
        return type(error), str(error)
    found = []
    for index, data in enumerate(info.datas):
        offset = data.offset and (data.offset.ops, data.offset.offset)
        assert (info.datas.starts[index], info.datas.ends[index]) == (data.start, data.end)
        assert info.datas.active[index] == (data.mode == "active")
        found.append((data.mode, data.memory, offset, data.start, data.end, data.position))
    return found


#: An i32 in any number of bytes that it may have.
padded = st.builds(encode.signed, st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70), st.integers(0, 5))
segment = st.one_of(
    st.tuples(padded, st.binary(max_size=200)).map(
        lambda pair: b"\0\x41" + pair[0] + b"\x0b" + encode.unsigned(len(pair[1])) + pair[1]
    ),
    st.binary(max_size=5).map(lambda contents: b"\1" + encode.unsigned(len(contents)) + contents),
    st.sampled_from([b"\0\x23\0\x0b\1x", b"\2\0\x41\5\x0b\1x", b"\0\x41\1\x41\2\x6a\x0b\0", b"\0\x0b", b"\3"]),
)


@settings(max_examples=400)
@given(segments=st.lists(segment, max_size=4), data=st.data(), memories=st.integers(0, 1))
def test_data_segments_are_read_alike_whatever_their_form(
    segments: list[bytes], data: st.DataObject, memories: int
) -> None:
    contents = bytearray(encode.unsigned(len(segments)) + b"".join(segments))
    for _ in range(data.draw(st.integers(0, 2))):
        contents[data.draw(st.integers(0, len(contents) - 1))] = data.draw(st.integers(0, 255))
    imports = encode.section("import", b"\1\0\0\3\x7f\0")
    memory = encode.section("memory", b"\1\0\1") if memories else b""
    wasm = encode.module(imports, memory, encode.section("data", bytes(contents)))
    wasm = wasm[: data.draw(st.integers(max(0, len(wasm) - 4), len(wasm)))]
    found = read_datas(wasm)
    with pytest.MonkeyPatch.context() as patch:
        # Then none is of the form that is read at once.
        patch.setattr(definitions, "I32_CONST", -1)
        assert read_datas(wasm) == found


def test_the_explicit_form_of_an_active_data_segment() -> None:
    wasm = encode.module(
        encode.section("memory", b"\1\0\1"),
        encode.section("data", b"\1\2\0" + encode.i32_const(8) + encode.END + b"\1x"),
    )
    (segment,) = decode(wasm).datas
    assert (segment.mode, segment.memory, wasm[segment.start : segment.end]) == ("active", 0, b"x")


def test_sections_are_listed_with_their_places() -> None:
    wasm = encode.module(
        encode.custom("a", b"123"), encode.section("type", b"\0"), encode.custom("a"), encode.section("data", b"\0")
    )
    info = decode(wasm)
    assert [(s.id, s.name, wasm[s.start : s.end], wasm[s.payload : s.end]) for s in info.sections] == [
        (0, "a", b"\1a123", b"123"),
        (1, "type", b"\0", b"\0"),
        (0, "a", b"\1a", b""),
        (11, "data", b"\0", b"\0"),
    ]
    assert info.custom_sections("a") == [info.sections[0], info.sections[2]]


def test_declared_references_are_numbered_in_the_order_in_which_they_occur() -> None:
    m = ModuleBuilder()
    for _ in range(7):
        m.func()
    m.table(9)
    m.export("b", FUNC, 3)
    m.export("a", FUNC, 1)
    m.global_("funcref", encode.ref_func(5))
    m.elem([1, 2], declarative=True)
    m.elem_exprs("funcref", [encode.ref_null(), encode.ref_func(6)], None)
    m.start(0)
    assert decode(m.build()).declared_refs == {3: 0, 1: 1, 5: 2, 2: 3, 6: 4}


@st.composite
def builders(draw: st.DrawFn) -> tuple[ModuleBuilder, dict[str, object]]:
    """A valid module, and what its decoded form has to say."""
    m = ModuleBuilder()
    facts: dict[str, object] = {}
    imported = draw(st.lists(st.tuples(type_lists, type_lists), max_size=3))
    for number, (params, results) in enumerate(imported):
        m.import_func("m", str(number), params, results)
    defined = draw(st.lists(st.tuples(type_lists, type_lists, st.binary(max_size=20)), min_size=1, max_size=4))
    for params, results, body in defined:
        m.func(params, results, body)
    signatures = [*imported, *((params, results) for params, results, _ in defined)]
    facts["funcs"] = [FuncType(params, results) for params, results in signatures]
    facts["bodies"] = [b"\0" + body + b"\x0b" for _, _, body in defined]
    table = draw(st.integers(0, 100))
    m.table(table, draw(st.none() | st.just(table + 1)))
    items = draw(st.lists(st.integers(0, len(signatures) - 1), max_size=4))
    m.elem(items, draw(st.none() | st.integers(-1, 5)), as_exprs=draw(st.booleans()))
    facts["items"] = items
    exports = draw(st.dictionaries(st.text(max_size=5), st.integers(0, len(signatures) - 1), max_size=4))
    for field, index in exports.items():
        m.export(field, FUNC, index)
    facts["exports"] = exports
    values = draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3))
    for value in values:
        m.global_("i64", encode.i64_const(value))
    facts["globals"] = values
    return m, facts


@given(built=builders())
def test_whole_modules_round_trip(built: tuple[ModuleBuilder, dict[str, object]]) -> None:
    m, facts = built
    wasm = m.build()
    info = decode(wasm)
    assert info.data is wasm
    assert [info.func_type(index) for index in range(len(info.func_type_indices))] == facts["funcs"]
    assert [wasm[start:end] for start, end in info.bodies] == facts["bodies"]
    assert info.elements[0].items == facts["items"]
    assert {export.name: export.index for export in info.exports} == facts["exports"]
    assert [init.ops[0][1] for init in info.global_inits] == facts["globals"]
