"""Typed references in what a module defines: tables with a first value, globals, element segments and imports."""

from __future__ import annotations

import pytest

from tests.binary import encode
from tests.binary.encode import (
    END,
    func_type,
    heap_type,
    i32_const,
    i64_const,
    module,
    null,
    raw_func_type,
    ref,
    ref_func,
    section,
    sub_type,
    vector,
)
from tests.binary.judge import refused, wasmtime_accepts
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import ModuleInfo
from vibewasm.constant_opcodes import GLOBAL_GET, REF_FUNC, REF_NULL
from vibewasm.errors import DecodeError, ValidationError
from vibewasm.reference_types import NULLEXNREF, concrete, matches, without_null
from vibewasm.types import EXNREF, EXTERNREF, FUNCREF, I32, NOT_NULL, FuncType, ValType

#: 0 is open to subtypes, 1 is one of it, 2 a plain type of another shape.
TYPES = section("type", vector([sub_type(func_type()), sub_type(func_type(), 0), func_type(["i32"])]))
#: Functions 0, 1 and 2 of these types, and globals: 0 to 3.
GLOBALS = (ref(1) + b"\0", null(0) + b"\0", b"\x70\1", b"\x6f\0")
IMPORTS = section(
    "import", vector([*[b"\1m\1f\0" + bytes([index]) for index in range(3)], *[b"\1m\1g\3" + g for g in GLOBALS]])
)


def null_of(heap: str | int) -> bytes:
    return b"\xd0" + heap_type(heap)


#: First values, by what they are: the encoding, and the type of the value as it is encoded.
VALUES = {
    "a function of 0": (ref_func(0), ref(0)),
    "a function of 1": (ref_func(1), ref(1)),
    "a function of 2": (ref_func(2), ref(2)),
    "null of 0": (null_of(0), null(0)),
    "null of 1": (null_of(1), null(1)),
    "null of func": (null_of("func"), null("func")),
    "null of extern": (null_of("extern"), null("extern")),
    "null of exn": (null_of("exn"), null("exn")),
    "null of noexn": (null_of("noexn"), null("noexn")),
    "a global of 1": (encode.global_get(0), ref(1)),
    "a global of 0 or null": (encode.global_get(1), null(0)),
    "a global of extern": (encode.global_get(3), null("extern")),
}
WANTED = {
    "funcref": b"\x70",
    "externref": b"\x6f",
    "exnref": b"\x69",
    "null noexn": null("noexn"),
    "null func": null("func"),
    "func": ref("func"),
    "extern": ref("extern"),
    "exn": ref("exn"),
    "null 0": null(0),
    "0": ref(0),
    "null 1": null(1),
    "1": ref(1),
    "null 2": null(2),
    "2": ref(2),
}


def fitting(value: str, wanted: str) -> bool:
    """Whether a value is one of the wanted type, by the types that a type section says."""
    pair = raw_func_type([VALUES[value][1]], [WANTED[wanted]])
    *_, last = decode(module(section("type", vector([*_type_entries(), pair])))).types
    return matches(last.param_codes[0], last.result_codes[0])


def _type_entries() -> list[bytes]:
    return [sub_type(func_type()), sub_type(func_type(), 0), func_type(["i32"])]


def decoded(*sections: bytes) -> ModuleInfo:
    wasm = module(TYPES, IMPORTS, *sections)
    info = decode(wasm)
    assert wasmtime_accepts(wasm)
    return info


def invalid(*sections: bytes) -> ValidationError:
    wasm = module(TYPES, IMPORTS, *sections)
    error = refused(wasm, ValidationError)
    assert error.offset is None or 8 < error.offset < len(wasm)
    return error


def malformed(*sections: bytes) -> DecodeError:
    return refused(module(TYPES, IMPORTS, *sections), DecodeError)


def table(element: bytes, value: bytes | None = None, limits: bytes = b"\0\1") -> bytes:
    if value is None:
        return element + limits
    return b"\x40\0" + element + limits + value + END


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("value", VALUES)
def test_first_values_fit_their_table_their_global_and_their_segment(value: str, wanted: str) -> None:
    encoded, type_ = VALUES[value][0], WANTED[wanted]
    places = {
        "table": [section("table", vector([table(b"\x70"), table(type_, encoded)]))],
        "global": [section("global", b"\1" + type_ + b"\0" + encoded + END)],
        "mutable global": [section("global", b"\1" + type_ + b"\1" + encoded + END)],
        "passive segment": [section("element", b"\1\5" + type_ + b"\1" + encoded + END)],
        "declarative segment": [section("element", b"\1\7" + type_ + b"\1" + encoded + END)],
    }
    fits = fitting(value, wanted)
    for where, sections in places.items():
        if fits:
            decoded(*sections)
        else:
            message = invalid(*sections).message
            assert message.startswith("type mismatch: constant expression of type ["), where
    # An active segment: its items have its type, and that matches the table's.
    if fits and wanted not in ("extern", "exn"):
        decoded(
            section("table", b"\1" + table(type_, encoded)),
            section("element", b"\1\6\0" + i32_const(0) + END + type_ + b"\1" + encoded + END),
        )


@pytest.mark.parametrize("wanted", WANTED)
def test_a_table_without_a_first_value_has_nulls(wanted: str) -> None:
    sections = section("table", vector([table(b"\x70"), table(WANTED[wanted])]))
    if wanted in ("func", "extern", "exn", "0", "1", "2"):
        error = invalid(sections)
        assert error.message.startswith("type mismatch: a table of (ref ")
        assert error.message.endswith(", which has no null, takes a first value")
        wasm = module(TYPES, IMPORTS, sections)
        assert error.offset == len(wasm) - len(table(WANTED[wanted]))
    else:
        info = decoded(sections)
        assert info.table_inits == {}
    # One that is imported has what it has; and whether it has elements does not count.
    empty = table(WANTED[wanted], limits=b"\1\0\0")
    imports = section("import", vector([b"\1m\1t\1" + WANTED[wanted] + b"\0\1"]))
    assert decode(module(TYPES, imports)).imported_tables == 1
    assert wasmtime_accepts(module(TYPES, imports))
    if wanted in ("func", "extern", "exn", "0", "1", "2"):
        assert "takes a first value" in invalid(section("table", b"\1" + empty)).message


def test_first_values_are_kept_by_the_index_of_their_table() -> None:
    imports = section("import", vector([b"\1m\1t\1\x70\0\1", b"\1m\1f\0\0", b"\1m\1g\3\x70\0"]))
    wasm = module(
        TYPES,
        imports,
        section(
            "table",
            vector(
                [
                    table(b"\x70"),
                    table(ref(0), ref_func(0), b"\1\2\5"),
                    table(b"\x70", encode.global_get(0)),
                    table(b"\x69"),
                    table(null("exn"), null_of("noexn")),
                ]
            ),
        ),
    )
    info = decode(wasm)
    assert wasmtime_accepts(wasm)
    assert {index: init.ops for index, init in info.table_inits.items()} == {
        2: [(REF_FUNC, 0)],
        3: [(GLOBAL_GET, 0)],
        5: [(REF_NULL, NULLEXNREF)],
    }
    own = concrete(info.types[0], False)
    assert [type_.element.code for type_ in info.tables] == [FUNCREF, FUNCREF, own, FUNCREF, EXNREF, EXNREF]
    assert (info.tables[2].limits.minimum, info.tables[2].limits.maximum) == (2, 5)
    # ref.func of a body may name it.
    assert info.declared_refs == {0: 0}


def test_functions_of_first_values_are_declared_before_those_of_globals_and_segments() -> None:
    info = decoded(
        section("table", b"\1" + table(b"\x70", ref_func(2))),
        section("global", b"\1\x70\0" + ref_func(1) + END),
        section("export", b"\1\1f\0\0"),
        section("element", b"\1\1\0\2\2\1"),
    )
    assert info.declared_refs == {0: 0, 2: 1, 1: 2}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ref_func(3), "unknown function 3"),
        (encode.global_get(4), "unknown global 4"),
        (encode.global_get(2), "constant expression required: global 2 is mutable"),
        (b"", "type mismatch: constant expression of type []"),
        (ref_func(0) * 2, "type mismatch: constant expression of type [(ref () -> ()) (ref () -> ())]"),
        (i32_const(0), "type mismatch: constant expression of type [i32]"),
        (null_of(3), "unknown type 3"),
        (b"\xd1", "constant expression required: ref.is_null"),
        (b"\xd4", "constant expression required: ref.as_non_null"),
        (b"\x0a", "constant expression required: throw_ref"),
        (b"\x14\0", "constant expression required: call_ref"),
    ],
)
def test_first_values_are_constant_expressions(value: bytes, message: str) -> None:
    assert invalid(section("table", b"\1" + table(b"\x70", value))).message.startswith(message)
    assert invalid(section("global", b"\1\x70\0" + value + END)).message.startswith(message)
    assert invalid(section("element", b"\1\5\x70\1" + value + END)).message.startswith(message)


def test_a_first_value_reads_no_global_of_the_module_itself() -> None:
    """The globals come after the tables."""
    own = section("global", b"\1\x70\0" + null_of("func") + END)
    error = invalid(section("table", b"\1" + table(b"\x70", encode.global_get(4))), own)
    assert error.message == "unknown global 4"
    decoded(section("table", b"\1" + table(b"\x70", encode.global_get(1))), own)


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x40\1\x70\0\1\xd0\x70\x0b",
        b"\x40\x70\0\1\xd0\x70\x0b",
        b"\x40\x80\0\x70\0\1\xd0\x70\x0b",
    ],
)
def test_between_the_mark_of_a_first_value_and_the_type_is_a_zero(encoded: bytes) -> None:
    error = malformed(section("table", b"\1" + encoded))
    assert error.message == f"malformed table {encoded[1]:#04x}"


@pytest.mark.parametrize(
    "type_", [b"\x40", b"\x7f", b"\x7b", b"\x60", b"\0", b"\x63\x7f", b"\x64\x40", b"\x63\xf0\x7f"]
)
def test_elements_are_references(type_: bytes) -> None:
    words = "malformed reference type" if len(type_) == 1 else "malformed heap type"
    for contents in (b"\1" + table(type_), b"\1" + table(type_, null_of("func"))):
        # Alone, this byte is the mark of a first value.
        if type_ != b"\x40" or contents != b"\1" + table(type_):
            assert malformed(section("table", contents)).message.startswith(words)
    assert malformed(section("element", b"\1\5" + type_ + b"\0")).message.startswith(words)
    assert malformed(section("element", b"\1\7" + type_ + b"\0")).message.startswith(words)


def test_tables_with_a_first_value_that_end_too_early() -> None:
    contents = b"\1" + table(ref(0), ref_func(0), b"\1\1\2")
    decoded(section("table", contents))
    for size in range(1, len(contents)):
        malformed(section("table", contents[:size]))
    assert "section size mismatch" in malformed(section("table", contents + b"\0")).message


def test_types_that_are_not_there() -> None:
    for nullable in (False, True):
        bad = ref(3, nullable)
        assert invalid(section("table", b"\1" + table(bad, ref_func(0)))).message == "unknown type 3"
        assert invalid(section("global", b"\1" + bad + b"\0" + ref_func(0) + END)).message == "unknown type 3"
        assert invalid(section("element", b"\1\5" + bad + b"\0")).message == "unknown type 3"
        for desc in (b"\1" + bad + b"\0\0", b"\3" + bad + b"\0"):
            wasm = module(TYPES, section("import", b"\1\1m\1x" + desc))
            with pytest.raises(ValidationError, match=r"^unknown type 3"):
                decode(wasm)
            assert not wasmtime_accepts(wasm)


# -- element segments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_table", WANTED)
@pytest.mark.parametrize("of_segment", WANTED)
def test_the_type_of_an_active_segment_matches_its_tables(of_segment: str, of_table: str) -> None:
    imports = section("import", vector([b"\1m\1f\0\0", b"\1m\1t\1\x70\0\0", b"\1m\1t\1" + WANTED[of_table] + b"\0\1"]))
    segment = b"\6\1" + i32_const(0) + END + WANTED[of_segment] + b"\0"
    wasm = module(TYPES, imports, section("element", b"\1" + segment))
    pair = raw_func_type([WANTED[of_segment]], [WANTED[of_table]])
    *_, last = decode(module(section("type", vector([*_type_entries(), pair])))).types
    fits = matches(last.param_codes[0], last.result_codes[0])
    assert fits == wasmtime_accepts(wasm)
    if fits:
        assert decode(wasm).elements[0].type == last.param_codes[0]
        return
    with pytest.raises(ValidationError) as caught:
        decode(wasm)
    assert caught.value.message == (
        f"type mismatch: an element segment of {last.params[0]} for a table of {last.results[0]}"
    )
    assert caught.value.offset == len(wasm) - len(segment)


@pytest.mark.parametrize("of_table", WANTED)
def test_segments_of_function_indices_have_no_nulls(of_table: str) -> None:
    imports = section("import", vector([b"\1m\1f\0\0", b"\1m\1t\1" + WANTED[of_table] + b"\0\1"]))
    for segment in (b"\0" + i32_const(0) + END + b"\1\0", b"\2\0" + i32_const(0) + END + b"\0\1\0"):
        wasm = module(TYPES, imports, section("element", b"\1" + segment))
        fits = of_table in ("funcref", "null func", "func")
        assert wasmtime_accepts(wasm) == fits
        if fits:
            (found,) = decode(wasm).elements
            assert (found.type, found.funcs, found.exprs) == (FUNCREF + NOT_NULL, [0], None)
        else:
            with pytest.raises(
                ValidationError, match="type mismatch: an element segment of \\(ref func\\) for a table"
            ):
                decode(wasm)


def test_a_segment_written_by_expressions_has_the_type_that_it_says() -> None:
    info = decoded(
        section(
            "element",
            vector(
                [
                    b"\5\x70\1" + ref_func(0) + END,
                    b"\5" + ref("func") + b"\1" + ref_func(0) + END,
                    b"\5" + ref(0) + b"\3" + (ref_func(0) + END) * 2 + encode.global_get(0) + END,
                    b"\5" + null("extern") + b"\1" + encode.global_get(3) + END,
                    b"\1\0\1\1",
                ]
            ),
        )
    )
    own = concrete(info.types[0], False)
    assert [segment.type for segment in info.elements] == [
        FUNCREF,
        FUNCREF + NOT_NULL,
        own,
        EXTERNREF,
        FUNCREF + NOT_NULL,
    ]
    assert [segment.funcs for segment in info.elements] == [[0], None, None, None, [1]]
    assert [[expr.ops for expr in segment.exprs or ()] for segment in info.elements[1:4]] == [
        [[(REF_FUNC, 0)]],
        [[(REF_FUNC, 0)], [(REF_FUNC, 0)], [(GLOBAL_GET, 0)]],
        [[(GLOBAL_GET, 3)]],
    ]
    assert info.declared_refs == {0: 0, 1: 1}


# -- globals and imports -----------------------------------------------------------------------------------------------


def test_a_global_without_null_has_a_function_or_what_another_global_has() -> None:
    info = decoded(
        section(
            "global",
            vector(
                [
                    ref(0) + b"\0" + ref_func(0) + END,
                    ref(0) + b"\1" + encode.global_get(0) + END,
                    ref("func") + b"\0" + ref_func(2) + END,
                    null(1) + b"\1" + encode.global_get(0) + END,
                ]
            ),
        )
    )
    zero, one, _ = info.types
    assert [type_.content for type_ in info.globals[4:]] == [
        ValType.ref(zero, nullable=False),
        ValType.ref(zero, nullable=False),
        ValType("(ref func)"),
        ValType.ref(one),
    ]


def test_offsets_of_segments_are_no_references() -> None:
    tables = section("table", b"\1" + table(b"\x70"))
    for offset in (ref_func(0), null_of("exn"), i64_const(0)):
        message = invalid(tables, section("element", b"\1\0" + offset + END + b"\0")).message
        assert message.startswith("type mismatch: constant expression of type [")
        assert message.endswith("] where [i32] is expected")


def test_imports_have_the_types_that_they_say() -> None:
    imports = section(
        "import",
        vector(
            [
                b"\1m\1f\0\1",
                b"\1m\1t\1" + ref(1) + b"\1\0\x09",
                b"\1m\1g\3" + null(2) + b"\1",
                b"\1m\1h\3\x69\0",
                b"\1m\1i\3" + ref("exn") + b"\0",
            ]
        ),
    )
    wasm = module(TYPES, imports)
    info = decode(wasm)
    assert wasmtime_accepts(wasm)
    _, one, two = info.types
    assert info.tables[0].element is ValType.ref(one, nullable=False)
    assert [type_.content for type_ in info.globals] == [
        ValType.ref(two),
        ValType.exnref,
        ValType.ref("exn", nullable=False),
    ]
    assert without_null(EXNREF) == info.globals[2].content.code
    assert two == FuncType([ValType.i32])
    assert two.param_codes == (I32,)
