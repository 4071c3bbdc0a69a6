"""Recursive groups, supertypes, and references to types: what is read, what is malformed, and what is invalid."""

from __future__ import annotations

import copy
import pickle

import pytest

from tests.binary.encode import (
    func_type,
    heap_type,
    module,
    null,
    raw_func_type,
    rec_group,
    ref,
    section,
    signed,
    sub_type,
    unsigned,
    vector,
)
from tests.binary.judge import refused, wasmtime_accepts
from vibewasm.binary import recursive_types
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError
from vibewasm.reference_types import is_subtype
from vibewasm.types import FuncType, ValType

I32 = b"\x7f"
FUNC = func_type()


def with_types(*types: bytes) -> bytes:
    return module(section("type", vector(types)))


def types_of(*types: bytes) -> list[FuncType]:
    return decode(with_types(*types)).types


def invalid(*types: bytes) -> ValidationError:
    return refused(with_types(*types), ValidationError)


# -- what is read ------------------------------------------------------------------------------------------------------


def test_members_of_a_group_refer_to_each_other_in_both_directions_and_to_what_came_before() -> None:
    first, a, b = types_of(
        func_type(["i32"]),
        rec_group(raw_func_type([null(2)], [ref(1)]), raw_func_type([ref(1), ref(0)], [null(2), null("exn")])),
    )
    assert a.params == (ValType.ref(b),)
    assert a.results == (ValType.ref(a, nullable=False),)
    assert b.params == (ValType.ref(a, nullable=False), ValType.ref(first, nullable=False))
    assert b.results == (ValType.ref(b), ValType.exnref)
    assert (a.final, a.supertype, b.final, b.supertype) == (True, None, True, None)


def test_a_type_that_stands_for_itself_may_refer_to_itself_and_is_a_group_of_one() -> None:
    alone, plain, grouped = types_of(
        raw_func_type([null(0)], [I32]), raw_func_type([null(0)], [I32]), rec_group(raw_func_type([null(2)], [I32]))
    )
    assert alone.params == (ValType.ref(alone),)
    assert alone is grouped
    # This one refers to the first, so it is what the first is when that is unrolled once: another type.
    assert plain.params == alone.params
    assert plain != alone


def test_what_says_no_more_than_parameters_and_results_is_the_plain_type() -> None:
    for encoded in (FUNC, rec_group(FUNC), sub_type(FUNC, final=True), rec_group(sub_type(FUNC, final=True))):
        (found,) = types_of(encoded)
        assert found == FuncType()
        assert hash(found) == hash(FuncType())
    (found,) = types_of(rec_group(raw_func_type([ref("func")], [null("noexn")])))
    assert found == FuncType([ValType("(ref func)")], [ValType.ref("noexn")])
    assert str(found) == "((ref func)) -> nullexnref"


def test_what_tells_groups_apart() -> None:
    opened, same, final, pair, other, swapped = (
        types_of(*encoded)
        for encoded in (
            [sub_type(FUNC)],
            [rec_group(sub_type(FUNC))],
            [sub_type(FUNC, final=True)],
            [rec_group(FUNC, FUNC)],
            [rec_group(FUNC, func_type(["i32"]))],
            [rec_group(func_type(["i32"]), FUNC)],
        )
    )
    assert opened[0] is same[0]
    assert not opened[0].final
    everything = [opened[0], final[0], *pair, *other, *swapped]
    assert len(set(everything)) == len(everything) == 8
    for a in everything:
        for b in everything:
            assert (a == b) == (a is b)
            assert is_subtype(a, b) == (a is b)


def test_the_same_supertypes_make_the_same_type() -> None:
    base = sub_type(FUNC)
    one = types_of(base, sub_type(FUNC, 0), sub_type(FUNC, 1, final=True))
    # With other types between them, in other groups, and a supertype twice.
    other = types_of(func_type(["i64"]), base, base, rec_group(sub_type(FUNC, 2)), sub_type(FUNC, 3, final=True))
    assert one == [other[1], other[3], other[4]]
    assert other[1] is other[2]
    assert one[2].supertype is one[1] and one[1].supertype is one[0]  # noqa: PT018
    # In one group they are others.
    whole = types_of(rec_group(base, sub_type(FUNC, 0), sub_type(FUNC, 1, final=True)))
    assert not set(whole) & set(one)
    assert whole[2].supertype is whole[1]


def test_groups_of_two_modules_are_equal_wherever_they_stand_and_however_indices_are_written() -> None:
    def group(first: int, length: int) -> bytes:
        return rec_group(
            sub_type(raw_func_type([ref(first + 1, True, length)], [ref(0, False, length)])),
            b"\x50" + vector([unsigned(first, length)]) + raw_func_type([null(first + 1)], [ref(0, False, length)]),
        )

    base = raw_func_type([ref("func")])
    here = types_of(base, group(1, 0))
    there = types_of(base, FUNC, rec_group(), rec_group(FUNC, FUNC), group(4, 5))
    assert here[1] is there[4]
    assert here[2] is there[5]
    # One that refers to another type outside is another group.
    assert types_of(raw_func_type([null("func")]), group(1, 0))[1] != here[1]


@pytest.mark.parametrize("number", [1, 2, 1000])
def test_groups_without_members_are_no_types(number: int) -> None:
    wasm = with_types(*[rec_group()] * number, FUNC, *[rec_group()] * number, raw_func_type([ref(0)]))
    types = decode(wasm).types
    assert types == [FuncType(), FuncType([ValType.ref(FuncType(), False)])]
    assert wasmtime_accepts(wasm)
    assert decode(with_types(*[rec_group()] * number)).types == []
    assert "unknown type 1" in invalid(*[rec_group()] * number, raw_func_type([ref(1)])).message


def test_types_come_back_from_another_process() -> None:
    types = types_of(
        sub_type(FUNC),
        sub_type(FUNC, 0),
        rec_group(FUNC, raw_func_type([null(2), ref(1)])),
        raw_func_type([null(4)]),
        raw_func_type([ref(4), I32, b"\x70"]),
        raw_func_type([ref("noexn")], [null(5)]),
    )
    for type_ in types:
        for twin in (pickle.loads(pickle.dumps(type_)), copy.deepcopy(type_), copy.copy(type_)):
            assert twin == type_
            assert hash(twin) == hash(type_)
            assert (twin.final, twin.supertype) == (type_.final, type_.supertype)
            assert twin.params == type_.params
        for code in (ValType.ref(type_), ValType.ref(type_, nullable=False)):
            assert pickle.loads(pickle.dumps(code)) is code
            assert copy.deepcopy(code) is code


def test_the_names_of_types_that_refer_to_each_other_end() -> None:
    a, b = types_of(rec_group(raw_func_type([null(1)] * 20, [ref(1)]), raw_func_type([null(0)] * 20, [ref(0)])))
    assert str(ValType.ref(a)).startswith(
        "(ref null ((ref null ((ref null ...), (ref null ...), ...) -> ((ref ...))), ("
    )
    assert len(str(a)) < 20 * 1_000
    assert len(str(ValType.ref(b))) < 1_000
    # As long as it is short it is whole.
    (c,) = types_of(raw_func_type([I32, b"\x70"], [b"\x69"]))
    assert str(ValType.ref(c, nullable=False)) == "(ref (i32, funcref) -> (exnref))"


# -- what is invalid ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "index"),
    [
        ([raw_func_type([null(1)])], 1),
        ([raw_func_type([], [ref(1)])], 1),
        ([raw_func_type([ref(63)])], 63),
        ([raw_func_type([ref(2**32 - 1)])], 2**32 - 1),
        ([raw_func_type([ref(2**32 - 1, True)])], 2**32 - 1),
        # The next type comes too late: it is not in this group.
        ([raw_func_type([ref(1)]), FUNC], 1),
        ([FUNC, rec_group(raw_func_type([ref(1)]), raw_func_type([ref(3)])), FUNC], 3),
        ([rec_group(FUNC, raw_func_type([], [null(2)]))], 2),
        ([rec_group(), raw_func_type([ref(1)])], 1),
        ([sub_type(FUNC, 0)], 0),
        ([sub_type(FUNC, 1), sub_type(FUNC)], 1),
        ([sub_type(FUNC, 2**32 - 1)], 2**32 - 1),
        ([rec_group(sub_type(FUNC, 1), sub_type(FUNC))], 1),
        ([rec_group(sub_type(FUNC), sub_type(FUNC, 1))], 1),
        ([FUNC, rec_group(sub_type(FUNC), sub_type(FUNC, 3), sub_type(FUNC))], 3),
    ],
)
def test_types_that_are_not_there(types: list[bytes], index: int) -> None:
    error = invalid(*types)
    assert error.message.startswith(f"unknown type {index}")
    assert error.offset is not None


def test_an_unknown_type_has_the_place_where_it_is_named() -> None:
    assert invalid(FUNC, raw_func_type([I32, ref(9)])).offset == 8 + 2 + 1 + 3 + 2 + 1


@pytest.mark.parametrize("number", [2, 3, 127])
def test_a_type_has_one_supertype_at_most(number: int) -> None:
    error = invalid(sub_type(FUNC), sub_type(FUNC, *[0] * number))
    assert error.message == f"a type has one supertype at most, not {number}"
    assert invalid(sub_type(FUNC), rec_group(sub_type(FUNC, *[0] * number, final=True))).offset is not None


FUNCS = {
    "none": raw_func_type(),
    "i32": raw_func_type([I32]),
    "to i32": raw_func_type([], [I32]),
    "takes func": raw_func_type([b"\x70"]),
    "takes func not null": raw_func_type([ref("func")]),
    "takes f": raw_func_type([ref(0)]),
    "takes f or null": raw_func_type([null(0)]),
    "takes extern": raw_func_type([ref("extern")]),
    "gives func": raw_func_type([], [b"\x70"]),
    "gives func not null": raw_func_type([], [ref("func")]),
    "gives f": raw_func_type([], [ref(0)]),
    "gives f or null": raw_func_type([], [null(0)]),
    "gives g": raw_func_type([], [ref(1)]),
    "gives exn": raw_func_type([], [null("exn")]),
    "gives noexn": raw_func_type([], [null("noexn")]),
    "both": raw_func_type([ref(1)], [ref(0)]),
    "both wider": raw_func_type([null(0)], [ref(1)]),
}


@pytest.mark.parametrize("sub", FUNCS)
@pytest.mark.parametrize("above", FUNCS)
def test_supertypes_match_as_wasmtime_says(sub: str, above: str) -> None:
    """Parameters may be wider, results narrower: 0 is a type of functions, and 1 a subtype of it."""
    types = [sub_type(FUNC), sub_type(FUNC, 0), sub_type(FUNCS[above]), sub_type(FUNCS[sub], 2)]
    wasm = with_types(*types)
    try:
        decode(wasm)
        error = None
    except ValidationError as caught:
        error = caught
        assert error.message.startswith("sub type ")
        assert error.message.endswith(" does not match")
        assert "does not match super type" in error.message
        assert error.offset == len(wasm) - len(types[3])
    assert (error is None) == wasmtime_accepts(wasm)
    # Matching goes through the group as well.
    grouped = with_types(rec_group(*types))
    assert wasmtime_accepts(grouped) == (error is None)
    if error is None:
        decode(grouped)
    else:
        with pytest.raises(ValidationError, match="does not match super type"):
            decode(grouped)


@pytest.mark.parametrize("above", [FUNC, sub_type(FUNC, final=True), rec_group(FUNC), rec_group(FUNC, FUNC)])
def test_a_final_type_has_no_subtypes(above: bytes) -> None:
    error = invalid(above, sub_type(FUNC, 0))
    assert error.message == "sub type () -> () does not match super type: () -> () is final"
    error = invalid(rec_group(sub_type(FUNC, final=True), sub_type(FUNC, 0)))
    assert error.message.endswith("is final")


def chain(supertypes: int) -> list[bytes]:
    return [sub_type(FUNC), *[sub_type(FUNC, index) for index in range(supertypes)]]


def test_a_type_has_63_supertypes_at_most() -> None:
    for fits in ([*chain(63)], [rec_group(*chain(63))], [*chain(62), sub_type(FUNC, 62, final=True)]):
        wasm = with_types(*fits)
        types = decode(wasm).types
        assert wasmtime_accepts(wasm)
        assert is_subtype(types[-1], types[0])
        assert not is_subtype(types[0], types[-1])
        twin = pickle.loads(pickle.dumps(types[-1]))
        assert twin is types[-1]
    for too_deep in ([*chain(64)], [rec_group(*chain(64))], [*chain(63), rec_group(FUNC, sub_type(FUNC, 63))]):
        assert invalid(*too_deep).message == "implementation limit: a type with more than 63 supertypes"


def test_limits_of_numbers_of_types_hold_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match=r"^implementation limit: 1000001 types"):
        decode(module(section("type", b"\1\x4e" + unsigned(1_000_001) + bytes(1_000_001))))
    monkeypatch.setattr(recursive_types, "MAX_TYPES", 3)
    decode(with_types(rec_group(FUNC, FUNC), rec_group(FUNC), rec_group()))
    with pytest.raises(ValidationError, match="implementation limit: 2 types, at most 1 are supported"):
        decode(with_types(rec_group(FUNC, FUNC), rec_group(FUNC, FUNC)))


@pytest.mark.parametrize("what", ["parameters", "results"])
def test_limits_of_parameters_and_results_hold_for_references(what: str) -> None:
    def func(number: int) -> bytes:
        types = [ref("func")] * number
        return raw_func_type(types) if what == "parameters" else raw_func_type([], types)

    wasm = with_types(rec_group(func(1000), FUNC), func(1000))
    decode(wasm)
    assert wasmtime_accepts(wasm)
    for too_many in (func(1001), rec_group(func(1001)), sub_type(func(1001))):
        assert invalid(too_many).message == f"implementation limit: 1001 {what}, at most 1000 are supported"


# -- what is malformed -------------------------------------------------------------------------------------------------

SAMPLES = {
    "references": raw_func_type([null(0), ref("func"), I32], [ref(0), null("exn")]),
    "group": rec_group(raw_func_type([null(1)]), raw_func_type([ref(0)], [I32])),
    "sub": sub_type(raw_func_type([b"\x70"], [ref("extern")])),
    "group with a supertype": rec_group(sub_type(FUNC), sub_type(FUNC, 0, final=True)),
    "long numbers": b"\x4e\x81\x80\x00\x50\x80\x80\x80\x80\x00\x60\x81\x00\x63\x80\x80\x80\x80\x00\x80\x00",
}


@pytest.mark.parametrize("what", SAMPLES)
def test_types_that_end_too_early_are_malformed(what: str) -> None:
    whole = SAMPLES[what]
    decode(module(section("type", b"\1" + whole)))
    for size in range(len(whole)):
        with pytest.raises(DecodeError, match="unexpected end"):
            decode(module(section("type", b"\1" + whole[:size])))
        # What follows is read as if it belonged to the section, so it may be invalid before its end shows.
        with pytest.raises((DecodeError, ValidationError)):
            decode(module(section("type", b"\1" + whole[:size]), section("function", b"\0")))
    with pytest.raises(DecodeError, match="section size mismatch"):
        decode(module(section("type", b"\1" + whole + b"\0")))


#: What may begin a type, and what is known of those that are not built.
_FORMS = {0x60, 0x50, 0x4F}
_LATER = {0x5F: "garbage", 0x5E: "garbage", 0x5D: "stack sw", 0x4C: "custom", 0x4D: "custom", 0x65: "shared-e"}


@pytest.mark.parametrize("around", ["alone", "group", "sub", "final sub", "sub in a group"])
def test_what_begins_no_type_is_malformed(around: str) -> None:
    for byte in range(256):
        encoded = bytes([byte]) + (b"\0\x60" if byte in (0x50, 0x4F) else b"") + b"\0\0\0\0\0\0\0"
        if byte == 0x5E:
            encoded = b"\x5e\x7f\0"
        inside = encoded
        if "sub" in around:
            inside = (b"\x4f\0" if "final" in around else b"\x50\0") + inside
        if "group" in around:
            inside = b"\x4e\1" + inside
        wasm = module(section("type", b"\1" + inside))
        if byte in _LATER:
            with pytest.raises(ValidationError, match=_LATER[byte]):
                decode(wasm)
            continue
        with pytest.raises(DecodeError) as caught:
            decode(wasm)
        is_type = (byte in _FORMS and "sub" not in around) or byte == 0x60 or (byte == 0x4E and around == "alone")
        # What is read stops before the bytes that are too many here.
        assert is_type == ("section size mismatch" in caught.value.message), hex(byte)
        if not is_type and byte < 0x80:
            assert caught.value.message == f"malformed definition type {byte:#04x}", hex(byte)
            assert caught.value.offset == 11 + len(inside) - len(encoded), hex(byte)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        # Counts and indices that are no numbers.
        (b"\x4e" + b"\x80" * 5 + b"\0", "integer representation too long"),
        (b"\x4e" + b"\xff" * 4 + b"\x1f", "integer too large"),
        (b"\x50" + b"\x80" * 5 + b"\0", "integer representation too long"),
        (b"\x50\1" + b"\x80" * 5 + b"\0", "integer representation too long"),
        (b"\x50\1" + b"\xff" * 4 + b"\x1f", "integer too large"),
        (b"\x60\1\x63" + b"\x80" * 5 + b"\0\0", "integer representation too long"),
        (b"\x60\1\x63" + b"\xff" * 4 + b"\x1f\0", "integer too large"),
        # As long as can be, and negative.
        (b"\x60\1\x63" + b"\xff" * 4 + b"\x7f\0", "malformed heap type 0xff"),
        (b"\x60\1\x64\xf0\x7f\0", "malformed heap type 0xf0"),
        (b"\x60\1\x63\x40\0", "malformed heap type 0x40"),
        (b"\x60\1\x63\x7f\0", "malformed heap type 0x7f"),
        (b"\x60\1\x64\x7b\0", "malformed heap type 0x7b"),
        (b"\x60\1\x64\x64\0\0", "malformed heap type 0x64"),
        (b"\x60\1\x63\x63\0\0", "malformed heap type 0x63"),
        (b"\x60\2\x63\0\x40\0", "malformed value type 0x40"),
        (b"\x60\2\x63\0\x60\0", "malformed value type 0x60"),
        (b"\x60\2\x63\0\0\0", "malformed value type 0x00"),
        # More members than there are bytes.
        (b"\x4e\x7f\x60\0\0", "unexpected end of section or function: 127 types"),
        (b"\x4e\xff\xff\xff\xff\x0f", "unexpected end of section or function: 4294967295 types"),
        (b"\x60\1\x63\0\x7f", "unexpected end of section or function: 127 results"),
        (b"\x50\0\x60\x7f", "unexpected end of section or function: 127 parameters"),
        # Fields of what is not built.
        (b"\x5f\1\x7f\2", "malformed mutability 0x02"),
        (b"\x50\0\x5e\x78\x40", "malformed mutability 0x40"),
        (b"\x4e\1\x5f\2\x7f\0\x40\0", "malformed value type 0x40"),
        (b"\x4e\1\x5e\x63\x40\0", "malformed heap type 0x40"),
    ],
)
def test_malformed_types(encoded: bytes, message: str) -> None:
    wasm = module(section("type", b"\1" + encoded))
    with pytest.raises(DecodeError) as caught:
        decode(wasm)
    assert caught.value.message.startswith(message)
    assert caught.value.offset is not None
    assert 11 <= caught.value.offset <= len(wasm)
    assert not wasmtime_accepts(wasm)


@pytest.mark.parametrize("index", [0, 1, 63, 64, 65, 8191, 8192])
def test_indices_of_types_in_references_are_signed_numbers(index: int) -> None:
    """A byte from 0x40 on would be negative, so an index from 64 on takes two."""
    assert heap_type(index) == signed(index)
    types = types_of(*[FUNC] * index, func_type(["i32"]), raw_func_type([null(index)]))
    assert types[-1].params == (ValType.ref(FuncType(["i32"])),)
