"""Exceptions, tail calls and typed references in text, both ways: every spelling gives the bytes that are meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.binary.encode import section, vector
from tests.growth import assert_linear
from tests.wat.sections import sections
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError
from vibewasm.wat import wasm2wat, wat2wasm
from vibewasm.wat.errors import WatError
from vibewasm.wat.source_map import wat2wasm_with_lines

_TYPE, _TABLE, _ELEM, _CODE = 1, 4, 9, 10

#: Two tags, and function types to name: indices 0 and 1.
HEAD = "(type $t (func)) (type $u (func (param i32))) (tag $e) (tag $v (param i32))"


def body(code: str) -> bytes:
    """The bytes of the instructions of a function that declares no locals."""
    (_, bodies) = next(
        found for found in sections(wat2wasm(f"(module {HEAD} (func (type $t) {code}))")) if found[0] == 10
    )
    (only,) = bodies
    assert isinstance(only, bytes)
    assert (only[0], only[-1]) == (0, 0x0B)
    return only[1:-1]


def of_section(text: str, number: int) -> bytes:
    """A section's contents."""
    (contents,) = [contents for found, contents in sections(wat2wasm(text)) if found == number]
    assert isinstance(contents, bytes)
    return contents


INSTRUCTIONS = {
    "throw $v": "08 01",
    "throw_ref": "0a",
    "return_call 0": "12 00",
    "return_call_indirect (type $u)": "13 01 00",
    "return_call_indirect 3 (param i32)": "13 01 03",
    "call_ref $u": "14 01",
    "return_call_ref $u": "15 01",
    "ref.as_non_null": "d4",
    "ref.null $u": "d0 01",
    "ref.null exn": "d0 69",
    "ref.null noexn": "d0 74",
    "ref.null nofunc": "d0 73",
    "block $a br_on_null $a br_on_non_null 1 end": "02 40 d5 00 d6 01 0b",
    "(call_ref $u (i32.const 1) (ref.null $u))": "41 01 d0 01 14 01",
    "(block $a (drop (br_on_null $a (ref.null func))))": "02 40 d0 70 d5 00 1a 0b",
    # The new form: labels of clauses are of the blocks around it.
    "try_table end": "1f 40 00 0b",
    "try_table $a (result i32) (catch_all_ref 0) i32.const 1 end $a": "1f 7f 01 03 00 41 01 0b",
    "block $a try_table $a (catch_all $a) br $a end end": "02 40 1f 40 01 02 00 0c 00 0b 0b",
    "(block $a (try_table $b (type $u) (catch $e $a) (catch_ref $v 1) (catch_all $a) (catch_all_ref 0)))":
        "02 40 1f 01 04 00 00 00 01 01 01 02 00 03 00 0b 0b",
    "(try_table (catch 1 0) (throw $v (i32.const 5)))": "1f 40 01 00 01 00 41 05 08 01 0b",
    "(try_table (param i32) (result exnref) throw_ref)": "1f 02 00 0a 0b",
    # The older form.
    "try end": "06 40 0b",
    "(try (do))": "06 40 0b",
    "try $a (result i32) i32.const 1 catch $e i32.const 2 catch $v catch_all i32.const 3 end $a":
        "06 7f 41 01 07 00 41 02 07 01 19 41 03 0b",
    "(try $a (result i32) (do (i32.const 1)) (catch $e (i32.const 2)) (catch 1) (catch_all i32.const 3))":
        "06 7f 41 01 07 00 41 02 07 01 19 41 03 0b",
    "(try $a (do (br $a)) (catch_all (rethrow $a) nop))": "06 40 0c 00 19 09 00 01 0b",
    "(try (do (try (do nop) (catch $e (rethrow 1)))) (catch_all))": "06 40 06 40 01 07 00 09 01 0b 19 0b",
    # The label of `delegate` is of the blocks around its `try`, whose own label may be the same.
    "try $a try $a br $a delegate $a end": "06 40 06 40 0c 00 18 00 0b",
    "(try $a (do (try $a (do (br $a)) (delegate $a))))": "06 40 06 40 0c 00 18 00 0b",
    "(block $a (try (do) (delegate 1)))": "02 40 06 40 18 01 0b",
    "if else try delegate 0 end": "04 40 05 06 40 18 00 0b",
    "try if else end catch_all end": "06 40 04 40 0b 19 0b",
}  # fmt: skip


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_instructions_are_encoded_and_written_back(text: str) -> None:
    assert body(text) == bytes.fromhex(INSTRUCTIONS[text])
    module = wat2wasm(f"(module {HEAD} (func $f (type $t) {text}))", names=True)
    assert wat2wasm(wasm2wat(module), names=True) == module


TYPES = {
    "(ref $a)": "64 00",
    "(ref null $a)": "63 00",
    "(ref 1)": "64 01",
    "(ref func)": "64 70",
    "(ref null func)": "70",
    "(ref extern)": "64 6f",
    "(ref null exn)": "69",
    "(ref exn)": "64 69",
    "exnref": "69",
    "nullexnref": "74",
    "nullfuncref": "73",
    "nullexternref": "72",
    "(ref null noexn)": "74",
    "(ref noexn)": "64 74",
}


@pytest.mark.parametrize("text", TYPES)
def test_reference_types_are_encoded_and_written_back(text: str) -> None:
    wanted = bytes.fromhex(TYPES[text])
    source = f"""(type $a (func)) (type $b (func (param {text}) (result {text})))
        (import "m" "t" (table 1 {text})) (import "m" "g" (global (mut {text})))
        (func (type $b) (local i32 {text}) unreachable select (result {text}) block (result {text}) unreachable end)
        (elem {text})"""
    module = wat2wasm(source)
    contents = dict(sections(module))
    assert contents[_TYPE] == b"\2\x60\0\0\x60\1" + wanted + b"\1" + wanted
    assert contents[2] == b"\2\1m\1t\1" + wanted + b"\0\1\1m\1g\3" + wanted + b"\1"
    if wanted != b"\x64\x70":
        assert contents[_ELEM] == b"\1\5" + wanted + b"\0"
    assert contents[_CODE] == [b"\2\1\x7f\1" + wanted + b"\0\x1c\1" + wanted + b"\2" + wanted + b"\0\x0b\x0b"]
    assert wat2wasm(wasm2wat(module)) == module


DEFINITIONS = {
    "(type (func))": "01 60 00 00",
    "(rec)": "01 4e 00",
    "(rec (type (func)))": "01 60 00 00",
    "(rec (type $a (func (result (ref $b)))) (type $b (func (param (ref null $a)))))":
        "01 4e 02 60 00 01 64 01 60 01 63 00 00",
    "(type (sub (func)))": "01 50 00 60 00 00",
    "(type (sub final (func)))": "01 60 00 00",
    "(type $s (sub (func))) (type (sub $s (func))) (type (sub final 0 (func)))":
        "03 50 00 60 00 00 50 01 00 60 00 00 4f 01 00 60 00 00",
    "(rec (type $s (sub (func))) (type (sub final $s (func))))": "01 4e 02 50 00 60 00 00 4f 01 00 60 00 00",
}  # fmt: skip


@pytest.mark.parametrize("text", DEFINITIONS)
def test_types_are_encoded_and_written_back(text: str) -> None:
    assert of_section(text, _TYPE) == bytes.fromhex(DEFINITIONS[text])
    module = wat2wasm(text, names=True)
    assert wat2wasm(wasm2wat(module), names=True) == module


def test_an_inline_type_is_no_member_of_a_group_and_no_type_that_is_open() -> None:
    text = "(rec (type (func)) (type (func))) (type (sub (func))) (func)"
    assert list(decode(wat2wasm(text)).func_type_indices) == [3]


TABLES = {
    "(table 1 (ref func) (ref.func 0))": "40 00 64 70 00 01 d2 00 0b",
    "(table 1 2 (ref $t) (global.get 0))": "40 00 64 00 01 01 02 23 00 0b",
    "(table 1 (ref null $t) ref.func 0)": "40 00 63 00 00 01 d2 00 0b",
    # The default value is the default, but nothing that only begins like it.
    "(table 1 funcref (ref.null func))": "70 00 01",
    "(table 1 (ref null $t) (ref.null $t))": "63 00 00 01",
    "(table 1 funcref (ref.null nofunc))": "40 00 70 00 01 d0 73 0b",
    "(table 1 funcref (ref.null func) (unreachable))": "40 00 70 00 01 d0 70 00 0b",
    "(table 1 1 funcref (ref.null func) (nop))": "40 00 70 01 01 01 d0 70 01 0b",
    "(table 3 exnref)": "69 00 03",
}


@pytest.mark.parametrize("text", TABLES)
def test_tables_are_encoded_and_written_back(text: str) -> None:
    source = f"(type $t (func)) (func (type $t)) {text}"
    assert of_section(source, _TABLE) == b"\1" + bytes.fromhex(TABLES[text])
    module = wat2wasm(source)
    assert wat2wasm(wasm2wat(module)) == module


def test_a_tables_own_segment_has_its_type() -> None:
    source = """(type $t (func)) (func $f (type $t))
        (table $a (ref null $t) (elem (ref.func $f) (ref.null $t)))
        (table (ref $t) (elem $f)) (table exnref (elem (ref.null exn)))"""
    assert of_section(source, _TABLE) == bytes.fromhex("03 63 00 01 02 02 64 00 01 01 01 69 01 01 01")
    assert of_section(source, _ELEM) == bytes.fromhex(
        "03 06 00 41 00 0b 63 00 02 d2 00 0b d0 00 0b 06 01 41 00 0b 64 00 01 d2 00 0b 06 02 41 00 0b 69 01 d0 69 0b"
    )
    module = wat2wasm(source)
    assert wat2wasm(wasm2wat(module)) == module


def test_element_segments_of_typed_references_are_encoded_and_written_back() -> None:
    source = """(type $t (func)) (func $f (type $t)) (table 9 (ref null $t)) (global $g (ref $t) (ref.func $f))
        (elem (ref $t) (ref.func $f) (item global.get $g)) (elem declare (ref null $t) (ref.null $t))
        (elem (i32.const 1) (ref $t) (ref.func 0)) (elem (table 0) (offset i32.const 2) func $f)
        (elem (ref func) (ref.func $f) (ref.func $f)) (elem (ref func) (global.get $g))"""
    assert of_section(source, _ELEM) == bytes.fromhex(
        "06"
        "05 64 00 02 d2 00 0b 23 00 0b"
        "07 63 00 01 d0 00 0b"
        "06 00 41 01 0b 64 00 01 d2 00 0b"
        "00 41 02 0b 01 00"
        # Of references to functions without null the indices are enough.
        "01 00 02 00 00"
        "05 64 70 01 23 00 0b"
    )
    module = wat2wasm(source, names=True)
    assert wat2wasm(wasm2wat(module), names=True) == module


TAGS = """(module
  (type $t (func (param i32 i64)))
  (import "m" "a" (tag $a (param i32)))
  (tag $b (export "b") (export "c") (import "m" "b") (type $t))
  (import "m" "c" (tag (type $t)))
  (tag $d (export "d") (param i32 i64))
  (tag)
  (export "e" (tag $d)) (export "f" (tag 4))
  (func (throw $d (i32.const 1) (i64.const 2))))"""


def test_tags_are_imported_exported_and_named_in_every_way() -> None:
    module = wat2wasm(TAGS, names=True)
    info = decode(module)
    assert [str(tag) for tag in info.tags] == [
        "tag (i32)", "tag (i32, i64)", "tag (i32, i64)", "tag (i32, i64)", "tag ()",
    ]  # fmt: skip
    assert info.imported_tags == 3
    assert [(export.name, export.kind, export.index) for export in info.exports] == [
        ("b", 4, 1), ("c", 4, 1), ("d", 4, 3), ("e", 4, 3), ("f", 4, 4),
    ]  # fmt: skip
    assert info.names.of("tag") == {0: "a", 1: "b", 3: "d"}
    assert info.names.of("type") == {0: "t"}
    text = wasm2wat(module)
    assert "(tag $d (type $t))" in text
    assert '(export "d" (tag $d))' in text
    assert "throw $d" in text
    assert wat2wasm(text, names=True) == module


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("(tag $e) (tag $e)", "duplicate tag $e", 15),
        ("(func throw $e)", "unknown tag $e", 13),
        ('(tag) (import "a" "b" (tag))', "import after tag", 7),
        ("(export \"a\" (tag $x))", "unknown tag $x", 18),
        ("(func (try_table (catch 0)))", "unexpected token )", 26),
        ("(func (try_table (catch $e 0)))", "unknown tag $e", 25),
        ("(func (try_table $l (catch_all $l)))", "unknown label $l", 32),
        ("(func (try_table (catch_al 0)))", "unknown operator catch_al", 19),
        ("(func (try_table (catch_all 0) (result i32)))", "unexpected token result", 33),
        ("(func (try_table (nop) (catch_all 0)))", "unexpected token catch_all", 25),
        ("(func try_table catch_all end)", "unexpected token catch_all", 17),
        ("(func catch_all)", "unexpected token catch_all", 7),
        ("(func block catch_all end)", "unexpected token catch_all", 13),
        ("(func block delegate 0)", "unexpected token delegate", 13),
        ("(func try else end)", "unexpected token else", 11),
        ("(func try catch_all catch_all end)", "unexpected token catch_all", 21),
        ("(func try catch_all catch 0 end)", "unexpected token catch", 21),
        ("(func try catch_all delegate 0)", "unexpected token delegate", 21),
        ("(func try catch 0 delegate 0)", "unexpected token delegate", 19),
        ("(func try delegate 0 end)", "unexpected token end", 22),
        ("(func try catch end)", "unexpected token end", 17),
        ("(func try $a end $b)", "mismatching label $b", 18),
        ("(func try)", "unexpected token )", 10),
        ("(func (try))", "unexpected token )", 11),
        ("(func (try nop))", "unexpected token nop", 12),
        ("(func (try (nop)))", "unexpected token (", 12),
        ("(func (try (catch_all)))", "unexpected token (", 12),
        ("(func (try (do) (do)))", "unexpected token (", 17),
        ("(func (try (do) nop))", "unexpected token nop", 17),
        ("(func (try (do) (nop)))", "unexpected token (", 17),
        ("(func (try (do) (catch_all) (catch 0)))", "unexpected token (", 29),
        ("(func (try (do) (catch 0) (delegate 0)))", "unexpected token (", 27),
        ("(func (try (do) (delegate 0) (catch_all)))", "unexpected token (", 30),
        ("(func (try (do) (delegate 0 nop)))", "unexpected token nop", 29),
        ("(func (try $a (do) (delegate $a)))", "unknown label $a", 30),
        ("(func (do))", "unexpected token do", 8),
        ("(func (delegate 0))", "unexpected token delegate", 8),
        ("(func (call_ref))", "unexpected token )", 16),
        ("(func (call_ref $x))", "unknown type $x", 17),
        ("(func (param (ref null)))", "unexpected token )", 23),
        ("(func (param (ref $x)))", "unknown type $x", 19),
        ("(func (param (ref i32)))", "unexpected token i32", 19),
        ("(type (sub))", "unexpected token )", 11),
        ("(type (sub final $x (func)))", "unknown type $x", 18),
        ("(rec (func))", "unexpected token func", 7),
        ("(table 1 i32)", "unexpected token i32", 10),
    ],
)  # fmt: skip
def test_faults_are_named_and_placed(text: str, message: str, column: int) -> None:
    with pytest.raises(WatError) as caught:
        wat2wasm(text)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("07 00", "catch without try or catch before it"),
        ("19", "catch_all without try or catch before it"),
        ("18 00", "delegate without try before it"),
        ("02 40 19 0b", "catch_all without"),
        ("06 40 19 07 00 0b", "catch without"),
        ("06 40 07 00 18 00", "delegate without"),
        ("06 40 05 0b", "else without if before it"),
        ("1f 40 01 04 00 0b", "malformed catch clause 0x04"),
    ],
)
def test_what_text_cannot_say_is_malformed(code: str, message: str) -> None:
    bodies = vector([bytes((len(bytes.fromhex(code)) + 2, 0)) + bytes.fromhex(code) + b"\x0b"])
    module = b"\0asm\1\0\0\0" + section(_TYPE, b"\1\x60\0\0") + section(3, b"\1\0") + section(_CODE, bodies)
    with pytest.raises(DecodeError, match=message):
        wasm2wat(module)


def test_clauses_and_blocks_are_written_with_the_labels_that_they_mean() -> None:
    text = """(module
  (type (;0;) (func))
  (tag $e (type 0))
  (func (;0;) (type 0)
    block  ;; label = @1
      try_table (catch $e 0 (;@1;)) (catch_all 1)  ;; label = @2
        try  ;; label = @3
          throw $e
        catch $e
          try  ;; label = @4
            rethrow 1 (;@3;)
          delegate 1 (;@2;)
        catch_all
        end
      end
    end))
"""
    assert wasm2wat(wat2wasm(text, names=True)) == text


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("(func\n(try_table\n(result i32)\n(catch_all\n0)\n(catch_all 0)\ni32.const 1)\ndrop)", [2, 7, 7, 8]),
        ("(tag $e)(func\n(try $a\n(result i32)\n(do\n(nop))\n(catch\n$e)\n(catch_all\n)))", [2, 5, 7, 8, 9]),
        ("(func\ntry\nnop\ndelegate\n0\nnop)", [2, 3, 5, 6]),
        ("(func\n(try\n(do)\n(delegate\n0))\n(nop))", [2, 5, 6]),
        ("(func\n(return_call_indirect\n(type 0)\n(i32.const\n1)))", [4, 2]),
    ],
)
def test_every_instruction_knows_its_line(source: str, lines: list[int]) -> None:
    _, (found,) = wat2wasm_with_lines(source)
    # The expression's own end is the last one.
    assert [line for _, line in found][: len(lines)] == lines
    assert len(found) == len(lines) + 1


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("(try (do ", ") (catch_all))"),
        ("(try_table (catch_all 0) ", ")"),
        ("try $a ", "delegate $a "),
        ("(try (do) (catch_all ", "))"),
    ],
)
def test_nesting_is_bounded_by_memory_only(begin: str, end: str) -> None:
    deep = 20_000
    code = begin * deep + end * deep
    if end == "delegate $a ":
        code = f"block $a {code} end"
    module = wat2wasm(f"(func {code})")
    text = wasm2wat(module)
    assert len(text) < 300 * deep
    assert wat2wasm(text) == module


@pytest.mark.parametrize(
    "text",
    [
        lambda n: f"(func (try_table {'(catch_all 0)' * n}))",
        lambda n: f"(tag $e) (func (try (do) {'(catch $e)' * n}))",
        lambda n: f"(func {'(try (do) (delegate 0))' * n})",
        lambda n: f"(rec {'(type (func (param (ref 0))))' * n})",
    ],
    ids=["clauses", "catches", "delegates", "types"],
)
def test_text_is_read_and_written_in_linear_time(text: Callable[[int], str]) -> None:
    assert_linear(text, lambda source: wasm2wat(wat2wasm(source)), 4_000)


def test_wasmtime_reads_the_same_from_what_is_written() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    codes = [code for code in INSTRUCTIONS if "3" not in code]
    functions = " ".join([f"(func (type $t) {code})" for code in codes])
    module = wat2wasm(f"(module {HEAD} (table 1 funcref) {functions})")
    assert sections(bytes(wasmtime.wat2wasm(wasm2wat(module)))) == sections(module)
