"""Types of references: codes, matching and equality, for types of functions that refer to each other at random."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.binary import encode
from tests.binary.encode import END, module, raw_func_type, rec_group, section, sub_type, unsigned, vector
from tests.binary.judge import wasmtime_accepts
from vibewasm import type_groups
from vibewasm.binary.decoder import decode
from vibewasm.errors import ValidationError
from vibewasm.reference_types import (
    FIRST_CONCRETE,
    NULLEXNREF,
    NULLEXTERNREF,
    NULLFUNCREF,
    all_match,
    concrete,
    func_type_of,
    group,
    heap_of,
    is_nullable,
    is_reference,
    is_subtype,
    matches,
    may_be_subtype,
    reference_to,
    top,
    with_null,
    without_null,
)
from vibewasm.types import EXNREF, EXTERNREF, FUNCREF, I32, NOT_NULL, V128, FuncType, ValType, type_name, val_type

if TYPE_CHECKING:
    from vibewasm.type_groups import Inside, Member

NUMBERS = tuple(range(V128 + 1))
TOPS = (FUNCREF, EXTERNREF, EXNREF)
#: What any type may have among its parameters and results.
ANYWHERE = (I32, FUNCREF, FUNCREF + NOT_NULL, EXNREF, NULLEXNREF)
BOTTOMS = {FUNCREF: NULLFUNCREF, EXTERNREF: NULLEXTERNREF, EXNREF: NULLEXNREF}
ABSTRACT = tuple(code + null for code in (*TOPS, *BOTTOMS.values()) for null in (0, NOT_NULL))


@st.composite
def groups(draw: st.DrawFn) -> list[tuple[FuncType, ...]]:
    """Groups of valid types, in which there are many subtypes: parameters and results are references to each other."""
    made: list[tuple[FuncType, ...]] = []
    for _ in range(draw(st.integers(1, 4))):
        known = [type_ for types in made for type_ in types]
        size = draw(st.integers(1, 3))
        members: list[Member] = []
        for position in range(size):
            outside = [concrete(type_, null) for type_ in known for null in (False, True)]
            inside = [(other, null) for other in range(size) for null in (False, True)]
            value: st.SearchStrategy[Inside] = st.sampled_from([*ANYWHERE, *outside, *inside])
            above: int | FuncType | None = draw(st.none() | st.sampled_from([*range(position), *known, None]))
            params, results = draw(st.lists(value, max_size=2)), draw(st.lists(value, max_size=2))
            if isinstance(above, int) and draw(st.booleans()):
                params, results = list(members[above][2]), list(members[above][3])
            elif isinstance(above, FuncType) and draw(st.booleans()):
                params, results = list(above.param_codes), list(above.result_codes)
            members.append((draw(st.integers(0, 3)) == 0, above, tuple(params), tuple(results)))
        types = group(tuple(members))
        if all(type_.supertype is None or may_be_subtype(type_, type_.supertype) for type_ in types):
            made.append(types)
    return made or [group(((False, None, (), ()),))]


def codes_of(made: list[tuple[FuncType, ...]]) -> list[int]:
    concretes = [concrete(type_, null) for types in made for type_ in types for null in (False, True)]
    return [*NUMBERS, *ABSTRACT, *dict.fromkeys(concretes)]


# -- order -------------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_matching_is_a_partial_order(made: list[tuple[FuncType, ...]]) -> None:
    codes = codes_of(made)
    above = {code: {other for other in codes if matches(code, other)} for code in codes}
    for code in codes:
        assert code in above[code]
        for other in above[code]:
            assert above[other] <= above[code]
            assert code == other or code not in above[other]


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_hierarchies_have_one_top_and_one_bottom_and_nothing_in_common(made: list[tuple[FuncType, ...]]) -> None:
    codes = codes_of(made)
    for code in codes:
        if code in NUMBERS:
            assert [other for other in codes if matches(code, other) or matches(other, code)] == [code]
            continue
        highest = top(code)
        assert matches(code, highest)
        assert matches(without_null(BOTTOMS[highest]), code)
        assert matches(BOTTOMS[highest], code) == is_nullable(code)
        for other in codes:
            if other in NUMBERS or top(other) != highest:
                assert not matches(code, other)


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_null_belongs_to_a_type_or_does_not(made: list[tuple[FuncType, ...]]) -> None:
    codes = codes_of(made)[len(NUMBERS) :]
    for code in codes:
        nullable, other = with_null(code), without_null(code)
        assert code in (nullable, other)
        assert is_nullable(nullable) and not is_nullable(other)  # noqa: PT018
        assert (with_null(other), without_null(nullable)) == (nullable, other)
        assert matches(other, nullable) and not matches(nullable, other)  # noqa: PT018
        assert func_type_of(nullable) == func_type_of(other)
        assert top(nullable) == top(other)
        for super_ in codes:
            # Null apart, both say the same.
            assert matches(other, super_) == matches(other, with_null(super_)) == matches(nullable, with_null(super_))
            assert not matches(nullable, without_null(super_))


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_a_subtype_may_stand_for_each_of_its_supertypes(made: list[tuple[FuncType, ...]]) -> None:
    types = [type_ for types in made for type_ in types]
    for sub in types:
        assert is_subtype(sub, sub)
        for super_ in types:
            declared = is_subtype(sub, super_)
            assert declared == matches(concrete(sub, False), concrete(super_, True))
            if declared:
                assert all_match(super_.param_codes, sub.param_codes)
                assert all_match(sub.result_codes, super_.result_codes)
                assert sub == super_ or not super_.final
            if declared and is_subtype(super_, sub):
                assert sub == super_
            assert not may_be_subtype(sub, super_) or not super_.final


def test_lists_of_types_match_by_their_lengths_and_one_by_one() -> None:
    assert all_match((), ())
    assert all_match((I32, NULLFUNCREF), (I32, FUNCREF))
    assert not all_match((I32,), ())
    assert not all_match((), (I32,))
    assert not all_match((FUNCREF, NULLFUNCREF), (NULLFUNCREF, FUNCREF))


# -- equality ----------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_equal_types_have_one_code_and_others_have_others(made: list[tuple[FuncType, ...]]) -> None:
    types = [type_ for types in made for type_ in types]
    for a in types:
        twins = [a, copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))]
        if not a._identity:
            twins.append(FuncType(a.params, a.results))
        for twin in twins:
            assert twin == a
            assert hash(twin) == hash(a)
            assert concrete(twin, True) == concrete(a, True)
            assert concrete(twin, False) == concrete(a, False)
        for b in types:
            assert (a == b) == (concrete(a, True) == concrete(b, True)) == (concrete(a, False) == concrete(b, False))
            assert concrete(a, True) != concrete(b, False)


@settings(max_examples=200, deadline=None)
@given(made=groups())
def test_codes_and_value_types_are_one_to_one(made: list[tuple[FuncType, ...]]) -> None:
    codes = codes_of(made)
    found = [val_type(code) for code in codes]
    assert len(set(map(id, found))) == len(codes)
    for code, type_ in zip(codes, found, strict=True):
        assert type_.code == code
        assert type_.is_ref == (code not in NUMBERS)
        assert pickle.loads(pickle.dumps(type_)) is type_
        assert str(type_) == type_.name == type_name(code)
        if code in NUMBERS:
            assert (type_.heap, type_.nullable) == (None, False)
            continue
        assert is_reference(code)
        assert type_.nullable == is_nullable(code)
        assert type_.heap == heap_of(code)
        assert type_.heap is not None
        assert ValType.ref(type_.heap, type_.nullable) is type_
        assert reference_to(type_.heap, type_.nullable) == code
        if code < FIRST_CONCRETE:
            assert ValType(type_.name) is type_
            assert isinstance(type_.heap, str)
        else:
            assert type_.heap == func_type_of(code)


def test_no_other_number_is_a_code() -> None:
    known = {*NUMBERS, *ABSTRACT}
    for code in range(-40, FIRST_CONCRETE):
        assert is_reference(code) == (code in ABSTRACT)
        if code not in known:
            with pytest.raises(ValueError, match=f"unknown value type code {code}"):
                val_type(code)
    last = FIRST_CONCRETE + 2 * type_groups._next
    kept = FuncType(fresh())
    assert concrete(kept, False) == last + 1
    assert is_reference(last + 1)
    last += 2
    for code in (last, last + 1, 2**40):
        assert not is_reference(code)
        with pytest.raises(ValueError, match="unknown value type code"):
            val_type(code)


def test_a_value_type_has_no_attributes_but_its_own() -> None:
    with pytest.raises(AttributeError, match="object has no attribute 'size'"):
        ValType.ref(FuncType(["f64"])).size  # type: ignore[attr-defined]  # this is the point  # noqa: B018


_FRESH = count(1)


def fresh() -> tuple[int, ...]:
    """Parameters that no type had before."""
    number = next(_FRESH)
    return tuple(number >> bit & 1 for bit in range(number.bit_length())) + (V128,) * 5


def test_threads_that_make_a_type_at_once_make_one() -> None:
    for _ in range(20):
        members = ((False, None, fresh(), ((0, True), (1, False))), (True, 0, (), ()))
        plain = fresh()
        found: list[tuple[object, ...]] = []
        barrier = threading.Barrier(4)

        def make(
            members: object = members,
            plain: tuple[int, ...] = plain,
            found: list[tuple[object, ...]] = found,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait()
            types = group(tuple(members))  # type: ignore[arg-type]  # built above
            found.append((id(types[0]), id(types[1]), concrete(FuncType.from_codes(plain, ()), True)))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len(set(found)) == 1


# -- what wasmtime says ------------------------------------------------------------------------------------------------


def encodings(made: list[tuple[FuncType, ...]]) -> tuple[list[bytes], dict[FuncType, int]]:
    """The groups as entries of a type section, and the index of each type in it."""
    index: dict[FuncType, int] = {}
    entries = []
    numbers: Iterator[int] = count()
    for types in made:
        own = {type_: next(numbers) for type_ in types}
        # A type that was there before is one that the section has twice.
        places = index | own
        members = []
        for type_ in types:
            func = raw_func_type(
                [value(code, places) for code in type_.param_codes],
                [value(code, places) for code in type_.result_codes],
            )
            above = () if type_.supertype is None else (places[type_.supertype],)
            members.append(sub_type(func, *above, final=type_.final))
        entries.append(rec_group(*members))
        index = own | index
    return entries, index


def value(code: int, index: dict[FuncType, int]) -> bytes:
    type_ = func_type_of(code) if code >= FIRST_CONCRETE else None
    if type_ is not None:
        return encode.ref(index[type_], is_nullable(code))
    if code in NUMBERS:
        return bytes([0x7F - code])
    word = heap_of(code)
    assert isinstance(word, str)
    return encode.ref(word, is_nullable(code))


@settings(max_examples=150, deadline=None)
@given(made=groups(), data=st.data())
def test_a_value_of_one_type_is_a_value_of_another_as_wasmtime_says(
    made: list[tuple[FuncType, ...]], data: st.DataObject
) -> None:
    entries, index = encodings(made)
    types = decode(module(section("type", vector(entries)))).types
    assert types == [type_ for types in made for type_ in types]
    codes = codes_of(made)
    found, wanted = data.draw(st.sampled_from(codes)), data.draw(st.sampled_from(codes))
    if func_type_of(found) and data.draw(st.booleans()):
        wanted = data.draw(st.sampled_from(codes[len(NUMBERS) + len(ABSTRACT) :]))
    identity = raw_func_type([value(found, index)], [value(wanted, index)])
    wasm = module(
        section("type", vector([*entries, identity])),
        section("function", b"\1" + unsigned(len(types))),
        section("code", b"\1\4\0\x20\0" + END),
    )
    assert wasmtime_accepts(wasm) == matches(found, wanted)


@settings(max_examples=150, deadline=None)
@given(made=groups(), data=st.data())
@pytest.mark.ci
def test_types_may_be_declared_subtypes_as_wasmtime_says(made: list[tuple[FuncType, ...]], data: st.DataObject) -> None:
    entries, index = encodings(made)
    types = [type_ for types in made for type_ in types]
    sub, above = data.draw(st.sampled_from(types)), data.draw(st.sampled_from(types))
    func = raw_func_type(
        [value(code, index) for code in sub.param_codes], [value(code, index) for code in sub.result_codes]
    )
    wasm = module(section("type", vector([*entries, sub_type(func, index[above])])))
    valid = may_be_subtype(sub, above)
    assert valid == wasmtime_accepts(wasm)
    if valid:
        decode(wasm)
    else:
        with pytest.raises(ValidationError, match="does not match super type"):
            decode(wasm)
