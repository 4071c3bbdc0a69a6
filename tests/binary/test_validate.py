"""Invalid modules: everything but function bodies is checked by the decoder."""

from __future__ import annotations

import pytest

from tests.binary import encode
from tests.binary.builder import FUNC, GLOBAL, MEMORY, TABLE, ModuleBuilder
from tests.binary.encode import END, HEADER, i32_const, i64_const, module, section
from vibewasm.binary.decoder import decode
from vibewasm.constant_opcodes import V128_CONST
from vibewasm.errors import DecodeError, ValidationError


def invalid(wasm: bytes, features: frozenset[str] | None = None) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        decode(wasm) if features is None else decode(wasm, features)
    return caught.value


def base() -> ModuleBuilder:
    """An imported global of each kind, a function, two tables and a memory."""
    m = ModuleBuilder()
    m.import_global("env", "i", "i32")
    m.import_global("env", "m", "i32", mutable=True)
    m.func()
    m.table(1)
    m.table(1, element="externref")
    m.memory(1)
    return m


def test_unknown_type_of_an_import_and_of_a_function_at_its_place() -> None:
    error = invalid(module(section("type", b"\1\x60\0\0"), section("import", b"\2\0\0\0\0\0\0\0\1")))
    assert error.message.startswith("unknown type 1")
    assert error.offset == 21
    wasm = module(
        section("type", b"\1\x60\0\0"), section("function", b"\3\0\x80\1\0"), section("code", b"\3" + b"\2\0\x0b" * 3)
    )
    error = invalid(wasm)
    assert error.message.startswith("unknown type 128")
    assert (error.offset, error.func_index) == (18, 1)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FUNC, "unknown function 1"),
        (TABLE, "unknown table 2"),
        (MEMORY, "unknown memory 1"),
        (GLOBAL, "unknown global 2"),
    ],
)
def test_exports_of_what_does_not_exist(kind: int, message: str) -> None:
    m = base()
    for index in range(int(message[-1])):
        m.export(f"{kind} {index}", kind, index)
    decode(m.build())
    m.export("x", kind, int(message[-1]))
    assert invalid(m.build()).message.startswith(message)


def test_duplicate_export_names_across_kinds_name_the_second_one() -> None:
    m = base()
    m.export("a", FUNC, 0)
    m.export("b", FUNC, 0)
    m.export("a", MEMORY, 0)
    error = invalid(m.build())
    assert error.message == "duplicate export name 'a'"
    assert m.build()[error.offset :].startswith(b"\1a\2\0")


def test_start_function() -> None:
    m = base()
    m.start(1)
    assert invalid(m.build()).message.startswith("unknown function 1")
    m = base()
    m.start(m.func([], ["i32"], i32_const(1)))
    error = invalid(m.build())
    assert error.message == "start function must be of type () -> (), not () -> i32"
    m = base()
    m.start(m.func(["i64"]))
    assert "start function" in invalid(m.build()).message


@pytest.mark.parametrize(
    ("minimum", "maximum", "message"),
    [
        (65537, None, "memory size must be at most 65536 pages (4GiB)"),
        (0, 65537, "memory size must be at most 65536 pages (4GiB)"),
        (2**63, None, "memory size must be at most 65536 pages (4GiB)"),
        (2, 1, "size minimum must not be greater than maximum"),
    ],
)
def test_memory_limits(minimum: int, maximum: int | None, message: str) -> None:
    m = ModuleBuilder()
    m.memory(minimum, maximum)
    error = invalid(m.build())
    assert (error.message, error.offset) == (message, 11)
    m = ModuleBuilder()
    m.import_memory("e", "m", minimum, maximum)
    assert (invalid(m.build()).message, error.offset) == (message, 11)


def test_largest_memory_and_table() -> None:
    m = ModuleBuilder()
    m.memory(65536, 65536)
    m.table(0, 2**32 - 1)
    decode(m.build())


@pytest.mark.parametrize(
    ("minimum", "maximum", "message"),
    [(2**32, None, "table size"), (0, 2**32, "table size"), (2, 1, "size minimum must not be greater than maximum")],
)
def test_table_limits(minimum: int, maximum: int | None, message: str) -> None:
    m = ModuleBuilder()
    m.table(0)
    m.table(minimum, maximum)
    error = invalid(m.build())
    assert error.message.startswith(message)
    assert error.offset == 14


def test_several_memories_need_their_feature() -> None:
    m = ModuleBuilder()
    m.import_memory("e", "m", 1)
    m.memory(1)
    assert invalid(m.build()).message.startswith("multiple memories")
    assert len(decode(m.build(), frozenset({"multi-memory"})).memories) == 2


def test_segments_of_what_does_not_exist() -> None:
    m = base()
    m.elem([], 0, table=2)
    assert invalid(m.build()).message == "unknown table 2"
    m = ModuleBuilder()
    m.data(b"")
    assert invalid(m.build()).message == "unknown memory 0"
    m = base()
    m.elem([0, 0, 1])
    assert invalid(m.build()).message == "unknown function 1 as item 2 of an element segment"
    m = base()
    m.elem_exprs("funcref", [encode.ref_null(), encode.ref_func(1)])
    assert invalid(m.build()).message == "unknown function 1"


def test_segments_of_another_type_than_their_table() -> None:
    m = base()
    m.elem([0], 0, table=1)
    assert invalid(m.build()).message.startswith(
        "type mismatch: an element segment of (ref func) for a table of externref"
    )
    m = base()
    m.elem_exprs("externref", [], 0)
    assert invalid(m.build()).message.startswith("type mismatch")


VALID_I32 = [
    i32_const(-5),
    encode.global_get(0),
    i32_const(1) + i32_const(2) + b"\x6a",
    i32_const(1) + encode.global_get(0) + b"\x6b" + i32_const(7) + b"\x6c",
    i32_const(1) + i32_const(2) + i32_const(3) + b"\x6c\x6a",
]
INVALID_I32 = [
    (b"", "type mismatch"),
    (i64_const(0), "type mismatch"),
    (encode.f32_const(0), "type mismatch"),
    (i32_const(0) * 2, "type mismatch"),
    (i32_const(0) + b"\x6a", "type mismatch"),
    (b"\x6a", "type mismatch"),
    (i32_const(0) + i64_const(0) + b"\x6a", "type mismatch"),
    (i64_const(0) * 2 + b"\x7c", "type mismatch"),
    (encode.ref_null(), "type mismatch"),
    (encode.ref_func(0), "type mismatch"),
    (encode.ref_func(9), "unknown function 9"),
    (encode.global_get(9), "unknown global 9"),
    (encode.global_get(1), "constant expression required"),
    (encode.global_get(2), "constant expression required"),
    (i32_const(0) + b"\x01", "constant expression required: nop"),
    (i32_const(0) + b"\x45", "constant expression required: i32.eqz"),
    (i32_const(0) + b"\x68", "constant expression required: i32.ctz"),
    (b"\0", "constant expression required: unreachable"),
    (b"\xfd\x0c" + bytes(16), "type mismatch"),
    (b"\xfd\x8c\x00" + bytes(16) + b"\xfd\xae\x01", "constant expression required: i32x4.add"),
    (b"\xfd\xa0\x02", "constant expression required: opcode fd a0 02"),
    (b"\xfb\x1c", "garbage collection (opcode fb 1c) is not supported yet"),
]


@pytest.mark.parametrize("expr", VALID_I32)
def test_constant_expressions(expr: bytes) -> None:
    m = base()
    m.global_("i32", expr)
    m.elem([0], expr)
    m.data(b"", expr)
    info = decode(m.build())
    assert info.global_inits[0].ops == info.elements[0].offset.ops == info.datas[0].offset.ops  # type: ignore[union-attr]  # active


@pytest.mark.parametrize(("expr", "message"), INVALID_I32)
def test_what_is_no_constant_expression_of_type_i32(expr: bytes, message: str) -> None:
    for which in range(3):
        m = base()
        m.global_("i32", i32_const(0))
        if which == 0:
            m.global_("i32", expr)
        elif which == 1:
            m.elem([0], expr)
        else:
            m.data(b"", expr)
        error = invalid(m.build())
        assert error.message.startswith(message)
        assert error.offset is not None


def test_a_global_reads_no_other_of_its_own_module() -> None:
    # As in WebAssembly 2.0; 3.0 allows the ones before.
    m = ModuleBuilder()
    m.global_("i32", i32_const(1))
    m.global_("i32", encode.global_get(0))
    assert invalid(m.build()).message.startswith("constant expression required")
    m = ModuleBuilder()
    m.global_("i32", encode.global_get(0))
    assert invalid(m.build()).message.startswith("unknown global 0")


@pytest.mark.parametrize(
    ("type_", "expr"),
    [
        ("i64", i64_const(-(2**63)) + i64_const(1) + b"\x7c" + i64_const(3) + b"\x7e" + i64_const(9) + b"\x7d"),
        ("f32", encode.f32_const(1.5)),
        ("f64", encode.f64_const(-0.0)),
        ("v128", b"\xfd\x0c" + bytes(range(16))),
        ("funcref", encode.ref_func(0)),
        ("funcref", encode.ref_null()),
        ("externref", encode.ref_null("externref")),
    ],
)
def test_first_values_of_globals_of_every_type(type_: str, expr: bytes) -> None:
    for declared in ("i32", "i64", "f32", "f64", "v128", "funcref", "externref"):
        m = base()
        m.global_(declared, expr)
        if declared == type_:
            decode(m.build())
        else:
            assert invalid(m.build()).message.startswith("type mismatch")


def test_bits_of_vector_constants_are_kept_with_the_first_lane_lowest() -> None:
    m = ModuleBuilder()
    m.global_("v128", b"\xfd\x0c" + bytes(range(0xF0, 0x100)))
    # The number after the prefix may be longer than it has to be.
    m.global_("v128", b"\xfd\x8c\x80\x00" + bytes(15) + b"\x80")
    inits = decode(m.build()).global_inits
    value = 0xFFFEFDFC_FBFAF9F8_F7F6F5F4_F3F2F1F0
    assert [init.ops for init in inits] == [[(V128_CONST, value)], [(V128_CONST, 1 << 127)]]


@pytest.mark.parametrize("size", range(16))
def test_a_vector_constant_that_ends_too_early_is_malformed(size: int) -> None:
    data = module(section("global", b"\1\x7b\0\xfd\x0c" + b"\x0b" * size))
    with pytest.raises(DecodeError, match="unexpected end"):
        decode(data)


def test_bits_of_float_constants_are_kept() -> None:
    m = ModuleBuilder()
    m.global_("f32", b"\x43\x01\x00\xa0\x7f")
    m.global_("f64", b"\x44\x01\x00\x00\x00\x00\x00\xf4\x7f")
    inits = decode(m.build()).global_inits
    assert [init.ops for init in inits] == [[(0x43, 0x7FA00001)], [(0x44, 0x7FF4000000000001)]]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (section("type", b"\1\x60\0\1\x6e"), "garbage collection (anyref)"),
        (section("type", b"\1\x60\1\x64\x6e\0"), "garbage collection (heap type any)"),
        (section("type", b"\1\x60\1\x63\x73\0"), "garbage collection (heap type nofunc)"),
        (section("type", b"\1\x60\1\x72\0"), "garbage collection (noexternref)"),
        (section("type", b"\1\x60\1\x63\x6d\0"), "garbage collection (heap type eq)"),
        (section("type", b"\1\x5f\0"), "garbage collection (struct type)"),
        (section("type", b"\1\x5e\x7f\1"), "garbage collection (array type)"),
        (section("type", b"\1\x5f\2\x7f\0\x78\1"), "garbage collection (struct type)"),
        (section("type", b"\1\x50\0\x5f\0"), "garbage collection (struct type)"),
        (section("type", b"\1\x4f\0\x5e\x78\0"), "garbage collection (array type)"),
        (section("type", b"\1\x4e\2\x60\0\0\x5f\1\x63\1\1"), "garbage collection (struct type)"),
        (section("import", b"\1\0\0\x7f\0"), "compact import section"),
        (section("table", b"\1\x40\0\x6e\0\1\xd0\x71\x0b"), "garbage collection (anyref)"),
        (section("table", b"\1\x64\x6b\0\1"), "garbage collection (heap type struct)"),
        (section("table", b"\1\x70\4\1"), "64-bit memories and tables (64-bit table)"),
        (section("table", b"\1\x70\3\1\1"), "shared-everything threads (shared table)"),
        (section("memory", b"\1\4\1"), "64-bit memories and tables (64-bit memory)"),
        (section("memory", b"\1\3\1\1"), "threads (shared memory)"),
        (section("global", b"\1\x70\0\xd0\x73\x0b"), "garbage collection (heap type nofunc)"),
        (section("global", b"\1\x70\0\xd0\x6c\x0b"), "garbage collection (heap type i31)"),
    ],
)
def test_what_is_not_built_is_named(sections: bytes, words: str) -> None:
    error = invalid(module(sections))
    assert error.message.startswith(words)
    assert error.message.endswith(("is not supported yet", "are not supported yet"))
    assert error.offset is not None
    assert error.offset > len(HEADER)


def test_features_let_their_types_pass() -> None:
    memory64 = module(section("memory", b"\1\5\1\x80\x80\x80\x80\x80\x80\x40"))
    limits = decode(memory64, frozenset({"memory64"})).memories[0].limits
    assert (limits.is64, limits.minimum, limits.maximum) == (True, 1, 2**48)
    too_large = module(section("memory", b"\1\4\x81\x80\x80\x80\x80\x80\x40"))
    assert invalid(too_large, frozenset({"memory64"})).message.startswith("memory size must be at most 2**48 pages")
    table64 = module(section("table", b"\1\x70\4\1"), section("element", b"\1\4" + i64_const(0) + END + b"\0"))
    decode(table64, frozenset({"memory64"}))
    shared = module(section("memory", b"\1\3\1\2"))
    assert decode(shared, frozenset({"threads"})).memories[0].limits.shared
    assert invalid(module(section("memory", b"\1\2\1")), frozenset({"threads"})).message.startswith(
        "shared memory must"
    )
