"""Identities of types in an engine, and the supertypes that code of a store finds."""

from __future__ import annotations

from ctypes import c_uint32
from threading import Thread
from typing import Any

import vibewasm as vw
from vibewasm import abi
from vibewasm.reference_types import group
from vibewasm.runtime.context import (
    CELL_POLL_STUB,
    CELL_RETURN,
    CELL_SUPERTYPES,
    CELL_TAIL_OUT,
)
from vibewasm.types import I32, I64, FuncType


def open_type(parameters: int) -> FuncType:
    """A type that is open to subtypes, another one for each number."""
    (made,) = group(((False, None, (I32,) * parameters, ()),))
    return made


def subtype(above: FuncType, final: bool = False) -> FuncType:
    """A subtype of a type; one that is final is another one."""
    (made,) = group(((final, above, above.param_codes, ()),))
    return made


def table(store: vw.Store) -> list[int]:
    """The table that code of a store finds, by identity."""
    address = store._cells[CELL_SUPERTYPES]
    if not address:
        return []
    count = c_uint32.from_address(address + abi.SUPERTYPES_COUNT).value
    return [*(c_uint32 * count).from_address(address + abi.SUPERTYPES_FIRST)]


def met(store: vw.Store, type_: FuncType) -> int:
    """Let a host function of a type come into a store; gives the type's identity."""
    vw.Func(store, type_, lambda *_: None)
    return store.engine._type_id(type_)


def test_types_that_differ_by_their_declaration_have_identities_of_their_own() -> None:
    engine = vw.Engine()
    plain, opened = FuncType(["i32"]), open_type(1)
    types = [plain, opened, subtype(opened), subtype(opened, True), FuncType(["i64"])]
    identities = [engine._type_id(type_) for type_ in types]
    assert len(set(identities)) == len(types)
    assert [engine._type_id(type_) for type_ in types] == identities
    assert engine._type_id(FuncType.from_codes((I64,), ())) == identities[-1]
    assert engine._type_id(open_type(1)) == identities[1]


def test_the_table_has_the_supertype_of_each_type_that_has_one() -> None:
    store = vw.Store(vw.Engine())
    above = open_type(2)
    types = [FuncType([]), above, subtype(above), subtype(subtype(above)), FuncType(["i64"])]
    first, second, third, fourth, fifth = [met(store, type_) for type_ in types]
    found = table(store)
    assert found[third] == second
    assert found[fourth] == third
    assert [found[identity] for identity in (0, first, second, fifth)] == [0] * 4


def test_a_supertype_that_nobody_has_met_gets_its_identity_with_the_subtype() -> None:
    store = vw.Store(vw.Engine())
    type_ = subtype(subtype(open_type(3)))
    identity = met(store, type_)
    found = table(store)
    assert type_.supertype is not None
    assert found[identity] == store.engine._type_id(type_.supertype)
    assert found[found[identity]] == store.engine._type_id(open_type(3))
    assert found[found[found[identity]]] == 0


def test_a_store_without_such_types_has_no_table() -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    met(store, FuncType(["i32"]))
    met(store, open_type(1))
    assert table(store) == []
    assert engine._supertypes is None


def test_a_table_that_grows_stays_right_in_stores_that_have_the_old_one() -> None:
    engine = vw.Engine()
    old, new = vw.Store(engine), vw.Store(engine)
    early = subtype(open_type(4))
    identity = met(old, early)
    address = old._cells[CELL_SUPERTYPES]
    before = table(old)
    pairs = {}
    for number in range(5, 200):
        type_ = subtype(open_type(number))
        pairs[met(new, type_)] = engine._type_id(open_type(number))
    assert old._cells[CELL_SUPERTYPES] == address
    assert len(table(old)) == len(before)
    assert table(old)[identity] == before[identity]
    found = table(new)
    assert len(found) > len(before)
    assert {identity: found[identity] for identity in pairs} == pairs
    assert found[identity] == before[identity] == engine._type_id(open_type(4))
    # As soon as a type comes in, the store has the new one.
    met(old, subtype(open_type(199)))
    assert table(old) == found
    # All tables together are not much larger than the last one.
    assert engine._supertypes is not None
    assert sum(block.size for block in engine._supertypes._blocks) < 3 * engine._supertypes._blocks[-1].size


def test_threads_that_meet_types_at_once_agree() -> None:
    engine = vw.Engine()
    types = [subtype(open_type(number)) for number in range(1, 300)]
    found: list[dict[int, int]] = []

    def meet() -> None:
        store = vw.Store(engine)
        pairs = {}
        for type_ in types:
            identity = met(store, type_)
            assert type_.supertype is not None
            pairs[identity] = engine._type_id(type_.supertype)
            assert table(store)[identity] == pairs[identity]
        found.append(pairs)

    threads = [Thread(target=meet) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert found.count(found[0]) == 4
    assert len(found[0]) == len(types)


def test_stubs_of_tail_calls_are_made_for_who_calls_out_without_an_interruption() -> None:
    store = vw.Store(vw.Engine())
    cells = store._cells
    assert cells[CELL_TAIL_OUT] == cells[CELL_POLL_STUB] != 0
    assert cells[CELL_RETURN] == 0
    poll: Any = store._callbacks[1]
    poll(0, abi.INTERRUPT_SIGNAL, 0)
    assert cells[CELL_RETURN] == 0
    poll(0, 0, 0)
    assert cells[CELL_TAIL_OUT] not in (0, cells[CELL_POLL_STUB], cells[CELL_RETURN])
    assert cells[CELL_RETURN]
