"""Tags in the binary format: their section, imports and exports."""

from __future__ import annotations

import copy
import pickle

import pytest

from tests.binary.encode import (
    func_type,
    module,
    null,
    raw_func_type,
    rec_group,
    ref,
    section,
    sub_type,
    unsigned,
    vector,
)
from tests.binary.judge import refused, wasmtime_accepts, wasmtime_says
from vibewasm.binary import validate
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import TAG
from vibewasm.errors import DecodeError, ValidationError
from vibewasm.extern_types import TagType
from vibewasm.types import FuncType, ValType

FUNC = func_type()
TYPES = section("type", vector([FUNC, func_type(["i32", "f64"]), func_type([], ["i32"])]))


def tag(type_index: int, attribute: int = 0) -> bytes:
    return bytes([attribute]) + unsigned(type_index)


def tags(*encoded: bytes) -> bytes:
    return section("tag", vector(encoded))


def imported(type_index: int) -> bytes:
    return b"\1m\1t\4" + tag(type_index)


def invalid(wasm: bytes) -> ValidationError:
    return refused(wasm, ValidationError)


def malformed(wasm: bytes) -> DecodeError:
    return refused(wasm, DecodeError)


def test_tags_are_imported_defined_and_exported() -> None:
    wasm = module(
        TYPES,
        section("import", vector([imported(1), b"\1m\1f\0\0", imported(0)])),
        tags(tag(1), tag(0)),
        section("export", vector([b"\1a\4\0", b"\1b\4\3", b"\1c\4\3", b"\1f\0\0"])),
    )
    info = decode(wasm)
    assert wasmtime_accepts(wasm)
    assert [type_.params for type_ in info.tags] == [(ValType.i32, ValType.f64), (), (ValType.i32, ValType.f64), ()]
    assert info.imported_tags == 2
    assert [import_.kind for import_ in info.imports] == [TAG, 0, TAG]
    assert info.imports[0].desc == TagType(["i32", "f64"])
    assert [(export.name, export.kind, export.index) for export in info.exports] == [
        ("a", TAG, 0),
        ("b", TAG, 3),
        ("c", TAG, 3),
        ("f", 0, 0),
    ]


def test_a_tag_may_carry_references_and_as_many_values_as_a_function_has_parameters() -> None:
    types = section(
        "type",
        vector(
            [
                rec_group(sub_type(raw_func_type([null(0), ref("func"), b"\x69"])), raw_func_type([ref(0)])),
                func_type(["v128"] * 1000),
            ]
        ),
    )
    wasm = module(types, section("import", vector([imported(2)])), tags(tag(0), tag(1), tag(2)))
    info = decode(wasm)
    assert wasmtime_accepts(wasm)
    first = info.types[0]
    assert info.tags[1].func is first
    assert info.tags[1].params == (ValType.ref(first), ValType("(ref func)"), ValType.exnref)
    assert info.tags[3].params == (ValType.v128,) * 1000


@pytest.mark.parametrize("attribute", [1, 2, 0x40, 0x60, 0x80, 0xFF])
def test_the_only_attribute_is_that_of_exceptions(attribute: int) -> None:
    for wasm in (
        module(TYPES, tags(tag(0), tag(0, attribute))),
        module(TYPES, section("import", vector([b"\1m\1t\4" + tag(0, attribute)]))),
    ):
        error = malformed(wasm)
        assert error.message == f"malformed tag attribute {attribute:#04x}"
        assert error.offset == len(wasm) - 2


@pytest.mark.parametrize("index", [3, 127, 128, 2**32 - 1])
def test_a_tag_has_a_type_that_is_there(index: int) -> None:
    for wasm in (
        module(TYPES, tags(tag(1), tag(index))),
        module(TYPES, section("import", vector([imported(index)]))),
    ):
        error = invalid(wasm)
        assert error.message == f"unknown type {index} of a tag"
        assert error.offset == len(wasm) - 1 - len(unsigned(index))
    assert invalid(module(tags(tag(0)))).message == "unknown type 0 of a tag"


def test_a_tag_has_no_results() -> None:
    for wasm in (module(TYPES, tags(tag(0), tag(2))), module(TYPES, section("import", vector([imported(2)])))):
        error = invalid(wasm)
        assert error.message == "non-empty tag result type: () -> i32"
        assert error.offset == len(wasm) - 2


def test_exports_of_tags_that_are_not_there() -> None:
    for before, count in ((b"", 0), (tags(tag(0), tag(1)), 2)):
        for index in (count, 2**32 - 1):
            wasm = module(TYPES, before, section("export", vector([b"\1t\4" + unsigned(index)])))
            error = invalid(wasm)
            assert error.message == f"unknown tag {index} in export 't'"
            assert error.offset == len(wasm) - 3 - len(unsigned(index))


def test_a_tag_shares_its_name_with_no_other_export() -> None:
    wasm = module(TYPES, tags(tag(0)), section("export", vector([b"\1t\4\0", b"\1t\4\0"])))
    assert invalid(wasm).message == "duplicate export name 't'"
    wasm = module(
        TYPES, section("memory", b"\1\0\0"), tags(tag(0)), section("export", vector([b"\1t\2\0", b"\1t\4\0"]))
    )
    assert invalid(wasm).message == "duplicate export name 't'"


def test_kinds_beyond_tags_are_malformed() -> None:
    for kind in (5, 6, 0x7D, 0x80, 0xFF):
        assert malformed(module(section("export", b"\1\1t" + bytes([kind, 0])))).message.startswith("malformed export")
        assert malformed(module(section("import", b"\1\1m\1t" + bytes([kind, 0])))).message.startswith("malformed impo")


def test_the_tag_section_stands_between_memories_and_globals() -> None:
    after = [section("memory", b"\0"), section("table", b"\0"), section("function", b"\0"), section("import", b"\0")]
    before = [section(which, b"\0") for which in ("global", "export", "element", "data count", "code", "data")]
    for other in (*after, TYPES):
        decode(module(*([] if other is TYPES else [TYPES]), other, tags(tag(0))))
        wasm = module(*([] if other is TYPES else [TYPES]), tags(*[tag(0)] * (other is not TYPES)), other)
        assert "tag" not in malformed(wasm).message.partition("section is out of order")[2]
    for other in before:
        decode(module(TYPES, tags(tag(0)), other))
        error = malformed(module(TYPES, other, tags(tag(0))))
        assert error.message == "unexpected content after last section: tag section is out of order or repeated"
    assert "repeated" in malformed(module(TYPES, tags(tag(0)), tags(tag(0)))).message
    start = section("start", b"\0")
    with_function = (TYPES, section("import", b"\1\1m\1f\0\0"))
    decode(module(*with_function, tags(tag(0)), start))
    assert "tag section is out of order" in malformed(module(*with_function, start, tags(tag(0)))).message


@pytest.mark.parametrize("contents", [b"\2\0\0\0\x81\0", b"\1\0\x82\x80\x80\x80\0"])
def test_tags_that_end_too_early(contents: bytes) -> None:
    types = section("type", vector([FUNC] * 3))
    decode(module(types, section("tag", contents)))
    for size in range(len(contents)):
        malformed(module(types, section("tag", contents[:size])))
    assert "section size mismatch" in malformed(module(types, section("tag", contents + b"\0"))).message


@pytest.mark.parametrize(
    ("number", "message"),
    [(b"\x80" * 5 + b"\0", "integer representation too long"), (b"\xff" * 4 + b"\x1f", "integer too large")],
)
def test_a_type_index_of_a_tag_is_a_number(number: bytes, message: str) -> None:
    assert malformed(module(TYPES, section("tag", b"\1\0" + number))).message.startswith(message)
    assert malformed(module(TYPES, section("tag", number))).message.startswith(message)


def test_limits_of_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    error = invalid(module(TYPES, section("tag", unsigned(1_000_001) + bytes(2_000_002))))
    assert error.message == "implementation limit: 1000001 tags, at most 1000000 are supported"
    # Imported ones count.
    monkeypatch.setattr(validate, "MAX_TAGS", 3)
    decode(module(TYPES, section("import", vector([imported(0)])), tags(tag(0), tag(0))))
    with pytest.raises(ValidationError, match="implementation limit: 4 tags, at most 3 are supported"):
        decode(module(TYPES, section("import", vector([imported(0)])), tags(tag(0), tag(0), tag(0))))


@pytest.mark.parametrize("exports", [False, True])
def test_types_of_tags_count_among_those_of_imports_and_exports(exports: bool) -> None:
    large = section("type", b"\1" + func_type(["i32"] * 1000))

    def with_tags(number: int) -> bytes:
        if exports:
            names = [
                b"\2" + divmod(i, 100)[0].to_bytes(1, "big") + divmod(i, 100)[1].to_bytes(1, "big")
                for i in range(number)
            ]
            return module(large, tags(tag(0)), section("export", vector(name + b"\4\0" for name in names)))
        return module(large, section("import", vector([imported(0)] * number)))

    def fits(number: int) -> bool:
        try:
            decode(with_tags(number))
        except ValidationError:
            return False
        return True

    for number in (900, 997, 998, 999, 1000):
        assert fits(number) == wasmtime_accepts(with_tags(number)), (number, wasmtime_says(with_tags(number)))
    assert fits(997)
    with pytest.raises(ValidationError, match=r"^implementation limit: types of imports and exports"):
        decode(with_tags(1000))


def test_types_of_tags_compare_by_value_and_come_back_from_another_process() -> None:
    type_ = TagType(FuncType(["i32", ValType.ref(FuncType(["i64"]))]))
    for twin in (pickle.loads(pickle.dumps(type_)), copy.deepcopy(type_), TagType(type_.params)):
        assert twin == type_
        assert hash(twin) == hash(type_)
    assert type_ != TagType(["i32"])
    assert type_ != type_.func
    assert str(type_) == "tag (i32, (ref null (i64) -> ()))"
    with pytest.raises(ValueError, match="a tag has no results"):
        TagType(FuncType([], ["i32"]))
