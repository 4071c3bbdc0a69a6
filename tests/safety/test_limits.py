"""Limits that no other test meets at their edge."""

from __future__ import annotations

import pytest

import vibewasm as vw


def test_a_table_is_not_larger_than_its_store_allows() -> None:
    store = vw.Store(vw.Engine(vw.Config(max_table_elements=1000)))
    vw.instantiate("(module (table 1000 funcref))", store=store)
    with pytest.raises(vw.LinkError, match=r"1001 elements is more than Store\.max_table_elements allows") as caught:
        vw.instantiate("(module (table 1001 funcref))", store=store)
    assert caught.value.limit == "max_table_elements"
