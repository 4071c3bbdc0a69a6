"""Fuel as users give it; what code uses is tested with :mod:`.test_stopping`."""

from __future__ import annotations

from typing import Any

import pytest

import vibewasm as vw
from vibewasm import fuel_costs

STARTS = """(module
  (func $start (local i32)
    (loop (br_if 0 (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3)))))
  (start $start)
  (func (export "spin") (loop (br 0))))"""
COUNTS = vw.Config(fuel=True)


def test_a_store_that_was_given_no_fuel_says_so() -> None:
    with pytest.raises(vw.OutOfFuel, match=r"^all fuel consumed: the store was given no fuel: set store\.fuel"):
        vw.instantiate(STARTS, config=COUNTS)
    instance = vw.instantiate(STARTS.replace("(start $start)", ""), config=COUNTS)
    instance.store.fuel = 0
    with pytest.raises(vw.OutOfFuel, match=r"the store was given no fuel: set store\.fuel"):
        instance.exports.spin()
    instance.store.fuel = 100
    for _ in range(2):
        with pytest.raises(vw.OutOfFuel) as caught:
            instance.exports.spin()
        assert caught.value.message == "all fuel consumed"


def test_fuel_can_be_given_before_the_start_function_runs() -> None:
    instance = vw.instantiate(STARTS, config=COUNTS, fuel=1000)
    assert 900 < instance.store.fuel < 1000
    host = vw.Func(instance.store, vw.FuncType(), lambda: None)
    same = vw.instantiate(
        '(module (import "m" "f" (func)) (func (loop (call 0))) (start 1))', {"m": {"f": host}}, fuel=777
    )
    assert same.store is instance.store
    assert 0 < same.store.fuel < 777 - fuel_costs.HOST_CALL


def test_fuel_that_cannot_be_given_is_refused() -> None:
    instantiate: Any = vw.instantiate
    with pytest.raises(vw.WasmError, match=r"^this engine does not count fuel: make it with Config\(fuel=True\)$"):
        instantiate("(module)", fuel=5)
    with pytest.raises(TypeError, match="fuel has to be an amount, an int, not str '5'"):
        instantiate("(module)", config=COUNTS, fuel="5")
    with pytest.raises(ValueError, match=r"fuel is an amount from 0 to 2\*\*63 - 1, not -1"):
        instantiate("(module)", config=COUNTS, fuel=-1)
