"""Dead code is refused with the same words, at the same place, as the same code where it is reached."""

from __future__ import annotations

import pytest

import vibewasm
from tests.binary.encode import unsigned
from tests.compiler import example
from tests.compiler.test_opcodes import compile_
from vibewasm.compiler.immediates import lane_limit
from vibewasm.opcodes import CODE, PREFIXES, VECTOR_PREFIX, Row, opcode_bytes, prefixed, row_of
from vibewasm.proposals import proposal_of
from vibewasm.types import F32, F64, I32
from vibewasm.wat import wat2wasm

UNREACHABLE, BLOCK, END = CODE["unreachable"], CODE["block"], CODE["end"]
_BLOCK, _TRY = bytes((BLOCK, 0x40)), bytes((CODE["try"], 0x40))
_INDICES = ("label", "func", "type", "table", "local", "global", "memory", "data", "elem", "tag")


def refused(body: bytes, *, whole: bool = False) -> tuple[str, str, int]:
    """How a body is refused: the error's class, its message without the place, and the byte in the module."""
    data = example.module(body, whole=whole)
    with pytest.raises(vibewasm.WasmError) as info:
        compile_(data)
    error = info.value
    assert isinstance(error, (vibewasm.DecodeError, vibewasm.ValidationError))
    assert error.offset is not None
    return type(error).__name__, error.message, error.offset - (data.index(body) if body in data else 0)


def compare(bad: bytes) -> str:
    """The message of bad code in a block, which is the same where the block is not reached."""
    live = refused(_BLOCK + bad)
    dead = refused(bytes((UNREACHABLE,)) + _BLOCK + bad)
    assert dead == (live[0], live[1], live[2] + 1), bad.hex(" ")
    return live[1]


def used(row: Row, operands: tuple[int, ...], instruction: bytes | None = None) -> bytes:
    """An instruction with operands in a block that ends."""
    encoded = example.encoded(row) if instruction is None else instruction
    return example.closed(row, example.pushed(operands) + encoded) + bytes((END,))


ROWS = [row for row in example.rows() if row[1] not in ("else", "end")]


@pytest.mark.parametrize("row", ROWS, ids=example.name_of)
def test_operands_of_wrong_types(row: Row) -> None:
    types = example.operands_of(row)
    for at, type_ in enumerate(types):
        if example.name_of(row) in ("drop", "ref.is_null") or (row[1] == "select" and at < 2 and not row[2]):
            continue
        wrong = F64 if type_ != F64 else F32
        assert "type mismatch: " + row[1] in compare(used(row, (*types[:at], wrong, *types[at + 1 :])))


@pytest.mark.parametrize("row", ROWS, ids=example.name_of)
def test_operands_that_are_not_there(row: Row) -> None:
    types = example.operands_of(row)
    for count in range(len(types)):
        message = compare(used(row, types[len(types) - count :] if count else ()))
        assert message.startswith("type mismatch: " + row[1])


def test_operands_of_no_fixed_type() -> None:
    select, is_null = bytes((CODE["select"],)), bytes((CODE["ref.is_null"],))
    compare(example.pushed((I32, F64, I32)) + select + bytes((END,)))
    compare(example.pushed((5, 5, I32)) + select + bytes((END,)))
    compare(example.pushed((I32,)) + is_null + bytes((END,)))
    compare(example.pushed((I32,)) + bytes((END,)))


@pytest.mark.parametrize("row", [row for row in ROWS if set(row[2].split()) & set(_INDICES)], ids=example.name_of)
def test_indices_of_nothing(row: Row) -> None:
    kinds = row[2].split()
    for at, kind in enumerate(kinds):
        instruction = opcode_bytes(row[0])
        for place, _ in enumerate(kinds):
            instruction += b"\x63" if place == at else b"\0"
        message = compare(used(row, example.operands_of(row), instruction))
        assert message.startswith("unknown ") and message.endswith(" 99"), kind  # noqa: PT018


@pytest.mark.parametrize("depth", [2, 3, 5, 127, 128, 2**32 - 1])
def test_a_label_that_is_not_there_has_the_number_that_was_written(depth: int) -> None:
    number = unsigned(depth)
    assert compare(bytes((CODE["br"],)) + number + bytes((END,))) == f"unknown label {depth}"
    assert (
        compare(example.pushed((I32,)) + bytes((CODE["br_if"],)) + number + bytes((END,))) == f"unknown label {depth}"
    )
    table = example.pushed((I32,)) + bytes((CODE["br_table"],))
    assert compare(table + b"\0" + number + bytes((END,))) == f"unknown label {depth}"
    assert compare(table + b"\1" + number + b"\0" + bytes((END,))) == f"unknown label {depth}"


@pytest.mark.parametrize("row", [row for row in ROWS if row[2]], ids=example.name_of)
def test_immediates_that_are_malformed(row: Row) -> None:
    opcode = opcode_bytes(row[0])
    if row[2] not in ("f32", "f64"):
        compare(used(row, example.operands_of(row), opcode + b"\x80" * 10 + b"\0"))
        compare(used(row, example.operands_of(row), opcode + b"\xff" * 4 + b"\x7f" + b"\xff" * 6))
    # The body ends inside the instruction, which live code may only notice at the next one.
    head = (_TRY if "ends" in row[6].split() else _BLOCK) + example.pushed(example.operands_of(row))
    live = refused(head + opcode, whole=True)
    dead = refused(bytes((UNREACHABLE,)) + head + opcode, whole=True)
    assert dead[:2] == live[:2] == ("DecodeError", "unexpected end in function 1")


@pytest.mark.parametrize("row", [row for row in ROWS if "memarg" in row[2]], ids=example.name_of)
def test_accesses_that_are_wrong(row: Row) -> None:
    opcode, types = opcode_bytes(row[0]), example.operands_of(row)
    assert compare(used(row, types, opcode + b"\x05\0")) == "alignment must not be larger than natural"
    assert "malformed memop flags" in compare(used(row, types, opcode + b"\x80\x01\0"))
    assert compare(used(row, types, opcode + b"\x40\x01\0")) == "unknown memory 1"
    assert compare(used(row, types, opcode + b"\0\x80\x80\x80\x80\x10")).startswith("offset out of range: 4294967296")


NO_INSTRUCTIONS = [
    code for code in range(256) if code not in PREFIXES and not any(r[0] == code for r in example.rows())
]
NO_SUBS = [0x12, 0x13, 0x17, 0xFF, 0x100, 0xFFF, 0x1000, 0x2000, 2**28, 2**31, 2**32 - 1]


@pytest.mark.parametrize("code", NO_INSTRUCTIONS)
def test_bytes_that_are_no_instruction(code: int) -> None:
    message = compare(bytes((code, END)))
    assert f"opcode {code:02x}" in message


NO_CODES = [
    (prefix, sub) for prefix in sorted(PREFIXES) for sub in NO_SUBS if row_of(prefixed(prefix, sub)) is None
] + [(VECTOR_PREFIX, 0xA2), (VECTOR_PREFIX, 0x114), (VECTOR_PREFIX, 0x120)]


@pytest.mark.parametrize(("prefix", "sub"), NO_CODES, ids=lambda number: f"{number:x}")
def test_what_is_after_a_prefix_is_named_as_it_was_written(prefix: int, sub: int) -> None:
    written = opcode_bytes(prefixed(prefix, sub))
    message = compare(written + bytes((END,)))
    assert f"opcode {written.hex(' ')}" in message
    assert "-1" not in message
    if proposal_of(prefixed(prefix, sub)) is None:
        assert message.startswith(f"illegal opcode {written.hex(' ')}")


def test_a_number_after_a_prefix_that_is_malformed() -> None:
    for prefix in PREFIXES:
        assert compare(bytes((prefix,)) + b"\x80" * 5 + b"\0").startswith("integer representation too long")
        assert compare(bytes((prefix,)) + b"\xff" * 4 + b"\x1f").startswith("integer too large")
        assert refused(bytes((prefix,)), whole=True)[1] == "unexpected end in function 1"
        assert refused(bytes((UNREACHABLE, prefix)), whole=True)[1] == "unexpected end in function 1"


def test_a_longer_encoding_than_need_be_is_the_same_instruction() -> None:
    copy = example.pushed((I32, I32, I32)) + b"\xfc\x8a\x80\x80\x00\0\0"
    compile_(example.module(copy))
    compile_(example.module(bytes((UNREACHABLE,)) + copy))


@pytest.mark.parametrize("body", [b"\x05", b"\x02\x40\x05\x0b", b"\x03\x40\x05\x0b"])
def test_an_else_without_an_if(body: bytes) -> None:
    assert "else without if" in compare(body + bytes((END,)))


def test_values_that_remain_at_the_end_of_a_block() -> None:
    for end in (b"\x0b", b"\x05\x0b"):
        for remaining in ((I32, I32), (F64,)):
            then = example.pushed((I32,)) + b"\x04\x40" + example.pushed(remaining) + end
            assert "values remain on the stack" in compare(then + bytes((END,)))
    few: list[tuple[int, ...]] = [(), (F64,)]
    for types in few:
        for end in (b"\x0b", b"\x05\x41\x00\x0b"):
            then = example.pushed((I32,)) + b"\x04\x7f" + example.pushed(types) + end
            assert compare(then + bytes((END,))).startswith("type mismatch: ")


@pytest.mark.parametrize("row", [row for row in ROWS if "lane" in row[2]], ids=example.name_of)
def test_lanes_that_are_not_there(row: Row) -> None:
    types = example.operands_of(row)
    access = b"\0\0" if "memarg" in row[2] else b""
    limit = lane_limit(row[0])
    others = bytes(15) if row[2] == "lanes" else b""
    for lane in (limit, 255):
        instruction = opcode_bytes(row[0]) + access + others + bytes((lane,))
        assert compare(used(row, types, instruction)) == f"invalid lane index {lane}: there are {limit} lanes"
    last = example.pushed(types) + opcode_bytes(row[0]) + access + others + bytes((limit - 1,))
    compile_(example.module(last + bytes((UNREACHABLE,))))


# -- exceptions, tail calls and typed references -----------------------------------------------------------------------

TRY_TABLE = bytes((CODE["try_table"], 0x40))


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        (b"\1\0\x63\0", "unknown tag 99"),
        (b"\1\1\x63\0", "unknown tag 99"),
        (b"\1\0\0\x63", "unknown label 99"),
        (b"\1\1\0\x63", "unknown label 99"),
        (b"\1\2\x63", "unknown label 99"),
        (b"\1\3\x63", "unknown label 99"),
        # The block and the function are there; the try_table's own label is not.
        (b"\1\2\2", "unknown label 2"),
        (b"\2\2\0\2\5", "unknown label 5"),
        (b"\1\4\0\0", "malformed catch kind 0x04 in function 1"),
        (b"\2\2\0\xff\0", "malformed catch kind 0xff in function 1"),
        (b"\xff\xff\xff\xff\x0f", "unexpected end in function 1"),
        (b"\x7f", "unexpected end in function 1"),
        (b"\x80\x80\x80\x80\x80\0", "integer representation too long in function 1"),
        (b"\1\0\x80\x80\x80\x80\x80\0\0", "integer representation too long in function 1"),
        (b"\1\2\xff\xff\xff\xff\x1f", "integer too large in function 1"),
    ],
)
def test_clauses_that_are_wrong(clauses: bytes, message: str) -> None:
    assert compare(TRY_TABLE + clauses + bytes((END, END))) == message


@pytest.mark.parametrize("size", range(9))
def test_clauses_that_end_with_the_body(size: int) -> None:
    clauses = b"\4\0\0\0\1\0\0\2\0\3\0"[:size]
    live = refused(_BLOCK + TRY_TABLE + clauses, whole=True)
    dead = refused(bytes((UNREACHABLE,)) + _BLOCK + TRY_TABLE + clauses, whole=True)
    assert dead[:2] == live[:2] == ("DecodeError", "unexpected end in function 1")


@pytest.mark.parametrize("opener", ["block", "loop", "if", "try_table", "try catch_all", "function"])
@pytest.mark.parametrize("handler", ["catch", "catch_all", "delegate"])
@pytest.mark.parametrize("immediate", [b"\0", b"\x63", b"\xff\xff\xff\xff\x1f"], ids=bytes.hex)
def test_a_handler_without_a_try(opener: str, handler: str, immediate: bytes) -> None:
    """It is malformed, whatever its immediate."""
    before = {
        "block": _BLOCK,
        "loop": b"\x03\x40",
        "if": example.pushed((I32,)) + b"\x04\x40",
        "try_table": TRY_TABLE + b"\0",
        "try catch_all": _TRY + bytes((CODE["catch_all"],)),
        "function": b"",
    }[opener]
    message = compare(before + bytes((CODE[handler],)) + immediate + bytes((END, END)))
    assert message == f"{handler} without try: unexpected {handler} in function 1"


def test_no_delegate_after_a_handler_and_no_handler_after_the_last() -> None:
    catch, catch_all, delegate = (bytes((CODE[name],)) for name in ("catch", "catch_all", "delegate"))
    rest = bytes((END, END))
    assert compare(_TRY + catch + b"\0" + delegate + b"\0" + rest).startswith("delegate without try")
    assert compare(_TRY + catch_all + catch + b"\0" + rest).startswith("catch without try")
    assert compare(_TRY + catch_all + catch_all + rest).startswith("catch_all without try")
    # Any number of the others is right, also of the same tag.
    right = _TRY + (catch + b"\0") * 3 + catch_all + bytes((END,))
    compile_(example.module(right))
    compile_(example.module(bytes((UNREACHABLE,)) + right + bytes((UNREACHABLE,))))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("inner", [_BLOCK, TRY_TABLE + b"\0", _TRY], ids=bytes.hex)
def test_rethrow_names_a_handler(inner: bytes, depth: int) -> None:
    """Of a handler in a block: 1 is the handler, 2 the block that ``compare`` puts around all."""
    rethrow = bytes((CODE["rethrow"], depth))
    body = _TRY + bytes((CODE["catch_all"],)) + inner + rethrow + bytes((END, END))
    if depth == 1:
        compile_(example.module(body))
        compile_(example.module(bytes((UNREACHABLE,)) + body + bytes((UNREACHABLE,))))
    else:
        assert compare(body + bytes((END,))) == "invalid rethrow label: it is that of no handler"
    own = _TRY + bytes((CODE["rethrow"], 0, CODE["catch_all"], END, END))
    assert compare(own) == "invalid rethrow label: it is that of no handler"
    assert compare(_TRY + bytes((CODE["catch_all"], CODE["rethrow"], 3, END, END))) == "unknown label 3"


def test_a_label_that_delegate_does_not_find() -> None:
    """The label of its own try does not count: 0 is the block around, 1 the function."""
    delegate = bytes((CODE["delegate"],))
    for depth in (0, 1):
        compile_(example.module(_BLOCK + _TRY + delegate + bytes((depth, END))))
        compile_(example.module(bytes((UNREACHABLE,)) + _BLOCK + _TRY + delegate + bytes((depth, END, UNREACHABLE))))
    for depth in (2, 99):
        assert compare(_TRY + delegate + bytes((depth, END))) == f"unknown label {depth}"


DECLARATIONS = """
  (type $f (func)) (type $g (func (result i32))) (type $s (sub (func))) (type $t (sub $s (func)))
  (tag $none) (tag $one (param i32)) (tag $two (param i32 f64)) (tag $ref (param (ref $f)))
  (func $f) (func $g (result i32) (i32.const 1)) (func $t (type $t)) (func $null (result (ref null $f)) (ref.null $f))
  (func $non-null (result (ref $f)) (ref.func $f))
  (elem declare func $f $g $t)
"""


def text_refused(body: str) -> tuple[str, str, int]:
    with pytest.raises(vibewasm.WasmError) as info:
        compile_(wat2wasm(f"(module {DECLARATIONS} {body})"))
    error = info.value
    assert isinstance(error, (vibewasm.DecodeError, vibewasm.ValidationError))
    assert error.offset is not None
    return type(error).__name__, error.message, error.offset


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # What a clause brings is what its label takes.
        ("(block (try_table (catch $one 0)))", "type mismatch: a catch clause's label expects"),
        (
            "(block (result i32) (try_table (catch $none 0)) (i32.const 1)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        (
            "(block (result f64) (try_table (catch $one 0)) (f64.const 1)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        (
            "(block (result i32) (try_table (catch $two 0)) (i32.const 1)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        (
            "(block (result i32) (try_table (catch_ref $one 0)) (i32.const 1)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        (
            "(block (result i32) (try_table (catch_all 0)) (i32.const 1)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        ("(block (try_table (catch_all_ref 0)))", "type mismatch: a catch clause's label expects"),
        (
            "(block (result (ref null noexn)) (try_table (catch_all_ref 0)) ref.null noexn) drop",
            "type mismatch: a catch clause's label expects",
        ),
        (
            "(block (result (ref $t)) (try_table (catch $ref 0)) (ref.func $t)) drop",
            "type mismatch: a catch clause's label expects",
        ),
        ("(block (try_table (catch_all 0) (catch $one 0)))", "type mismatch: a catch clause's label expects"),
        ("(throw $one (f64.const 1))", "type mismatch: throw"),
        ("(throw $two (i32.const 1))", "type mismatch: throw"),
        ("(throw $ref (ref.null $f))", "type mismatch: throw"),
        ("(throw_ref (ref.null func))", "type mismatch: throw_ref"),
        ("(throw_ref (i32.const 1))", "type mismatch: throw_ref"),
        ("try (result i32) i32.const 1 catch $two end drop", "type mismatch"),
        ("try (result f64) f64.const 1 catch $one end drop", "type mismatch"),
        ("try (result i32) catch_all i32.const 1 end drop", "type mismatch"),
        ("try (result i32) i32.const 1 catch_all end drop", "type mismatch"),
        ("try i32.const 1 catch_all end", "values remain"),
        ("try catch $one end", "values remain"),
        ("try (result i32) delegate 0 drop", "type mismatch"),
        ("(try_table (result i32)) drop", "type mismatch"),
        ("(try_table (i32.const 1))", "values remain"),
        # A tail call's results are those of the function, which has none here.
        ("(return_call $g)", "type mismatch: the results of return_call are not those of the function"),
        ("(return_call_ref $g (ref.func $g))", "type mismatch: the results of return_call_ref are not"),
        ("(call_ref $g (ref.func $f)) drop", "type mismatch: call_ref"),
        ("(call_ref $f (ref.null func))", "type mismatch: call_ref"),
        ("(call_ref $t (ref.null $s))", "type mismatch: call_ref"),
        ("(return_call_ref $f (i32.const 1))", "type mismatch: return_call_ref"),
        ("(drop (ref.as_non_null (i32.const 1)))", "type mismatch: ref.as_non_null"),
        ("(drop (br_on_null 0 (i32.const 1)))", "type mismatch: br_on_null"),
        ("(block (result i32) (drop (br_on_null 0 (ref.func $f))) (i32.const 1)) drop", "type mismatch: br_on_null"),
        ("(block (br_on_non_null 0 (ref.func $f)))", "type mismatch: br_on_non_null takes a label whose last value"),
        (
            "(block (result i32) (br_on_non_null 0 (ref.func $f)) (i32.const 1)) drop",
            "type mismatch: br_on_non_null takes a label whose last value",
        ),
        ("(block (result (ref $g)) (br_on_non_null 0 (call $null)) (ref.func $g)) drop", "type mismatch: br_on_non"),
        ("(block (result (ref $f)) (call $null)) drop", "type mismatch"),
        ("(block (result (ref $t)) (ref.as_non_null (ref.null $s))) drop", "type mismatch"),
        ("(select (ref.func $f) (ref.func $f) (i32.const 1)) drop", "type mismatch: select"),
        ("(select (result (ref $f)) (call $null) (ref.func $f) (i32.const 1)) drop", "type mismatch: select"),
        ("ref.null 99 drop", "unknown type 99"),
        ("(block (result (ref 99)) unreachable) drop", "unknown type 99"),
        ("(select (result (ref null 99)) (unreachable)) drop", "unknown type 99"),
    ],
)
def test_control_that_is_wrong(body: str, message: str) -> None:
    live = text_refused(f"(func (block {body}))")
    assert live[1].startswith("type mismatch: values remain" if message == "values remain" else message)
    for before, more in (("unreachable", 1), ("unreachable nop", 2), ("return", 1), ("ref.null exn throw_ref", 3)):
        assert text_refused(f"(func {before} (block {body}))") == (live[0], live[1], live[2] + more)


@pytest.mark.parametrize(
    "body",
    [
        "(block (result exnref) (try_table (catch_all_ref 0)) (ref.null exn)) drop",
        "(block (result (ref exn)) (try_table (catch_all_ref 0)) unreachable) drop",
        "(block (result i32 exnref) (try_table (catch_ref $one 0)) unreachable) drop drop",
        "(block (result (ref null $f)) (try_table (catch $ref 0)) (ref.null $f)) drop",
        "(block (result funcref) (try_table (catch $ref 0)) (ref.null $f)) drop",
        "(throw $ref (call $non-null))",
        "(throw_ref (ref.null noexn))",
        "try (result i32) i32.const 1 catch $one end drop",
        "try (result i32) i32.const 1 delegate 0 drop",
        "try catch $two drop drop rethrow 0 end",
        "(call_ref $s (ref.func $t))",
        "(call_ref $f (call $null))",
        "(return_call $f)",
        "(return_call_ref $s (ref.null $t))",
        "(block (result (ref $f)) (br_on_non_null 0 (call $null)) (ref.func $f)) drop",
        "(block (result i32 funcref) (i32.const 1) (br_on_non_null 0 (call $null)) (ref.func $f)) drop drop",
        "(drop (br_on_null 0 (call $null)))",
        "(block (result i32) (i32.const 1) (drop (br_on_null 0 (call $null)))) drop",
        "(block (result (ref $f)) (ref.as_non_null (call $null))) drop",
        "(select (result (ref null $f)) (call $null) (ref.func $f) (i32.const 1)) drop",
        "(block (result (ref $s)) (ref.func $t)) drop",
        "(ref.is_null (ref.as_non_null (ref.null extern))) drop",
    ],
)
def test_control_that_is_right(body: str) -> None:
    for before in (
        "",
        "unreachable",
        "return",
        "br 0",
        "(throw $none)",
        "(throw_ref (ref.null exn))",
        "return_call $f",
    ):
        compile_(wat2wasm(f"(module {DECLARATIONS} (func {before} (block {body})))"))


@pytest.mark.parametrize(
    "body",
    [
        # An operand from below dead code has every type, and every number of them.
        "throw $two",
        "throw_ref",
        "call_ref $g drop",
        "return_call_ref $f",
        "ref.as_non_null drop",
        "ref.as_non_null throw_ref",
        "ref.as_non_null ref.is_null drop",
        "ref.as_non_null call_ref $f",
        "br_on_null 0 drop",
        "br_on_null 0 call_ref $f",
        "br_on_null 0 throw_ref",
        "block (result i32 funcref) unreachable br_on_non_null 0 unreachable end drop drop",
        "rethrow_in_a_try",
        "select (result (ref $f)) drop",
        "call_ref $s",
    ],
)
def test_operands_that_dead_code_does_not_push(body: str) -> None:
    if body == "rethrow_in_a_try":
        body = "try unreachable catch_all rethrow 0 end"
    for before in ("unreachable", "return", "br 0", "throw_ref_", "return_call $f"):
        before = before.replace("throw_ref_", "ref.null exn throw_ref")
        compile_(wat2wasm(f"(module {DECLARATIONS} (func {before} {body}))"))


def test_what_may_only_be_a_reference_is_no_number() -> None:
    for body in ("ref.as_non_null i32.eqz drop", "br_on_null 0 i32.eqz drop", "ref.as_non_null f64.neg drop"):
        name, message, _ = text_refused(f"(func unreachable {body})")
        assert name == "ValidationError"
        assert message.startswith("type mismatch: ")


@pytest.mark.parametrize(
    ("before", "inside", "valid"),
    [
        ("", "(drop (local.get $r))", False),
        ("(local.set $r (ref.func $f))", "(drop (local.get $r))", True),
        ("(drop (local.tee $r (ref.func $f)))", "(drop (local.get $r))", True),
        ("(block (local.set $r (ref.func $f)))", "(drop (local.get $r))", False),
        ("(try_table (local.set $r (ref.func $f)))", "(drop (local.get $r))", False),
        ("try local.set_r catch_all end", "(drop (local.get $r))", False),
        ("try catch_all local.set_r end", "(drop (local.get $r))", False),
        ("try local.set_r catch_all local.get_r end", "", False),
        ("try local.set_r catch $none local.get_r end", "", False),
        ("try local.set_r local.get_r delegate 0", "", True),
        ("try local.set_r delegate 0", "(drop (local.get $r))", False),
        ("", "(local.set $r (ref.func $f)) (drop (local.get $r))", True),
        ("(if (i32.const 1) (then local.set_r) (else local.set_r))", "(drop (local.get $r))", False),
    ],
)
@pytest.mark.parametrize("others", ["", "i32 " * 300], ids=["short", "long"])
def test_locals_without_a_value_are_unset_in_dead_code_as_elsewhere(
    before: str, inside: str, valid: bool, others: str
) -> None:
    body = f"{before} (block {inside})".replace("local.set_r", "(local.set $r (ref.func $f))")
    body = body.replace("local.get_r", "(drop (local.get $r))")
    declared = f"(local {others}) (local $r (ref $f))"
    if valid:
        for start in ("", "unreachable"):
            compile_(wat2wasm(f"(module {DECLARATIONS} (func {declared} {start} {body}))"))
        return
    live = text_refused(f"(func {declared} {body})")
    assert live[1].startswith("uninitialized local: local ")
    assert text_refused(f"(func {declared} unreachable {body})") == (*live[:2], live[2] + 1)
