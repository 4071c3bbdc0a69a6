"""Limits of the implementation: at a limit a module is accepted, beyond it rejected; and wasmtime says the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.binary.encode import func_type, module, section, unsigned, value_types
from tests.binary.judge import wasmtime_accepts
from vibewasm.binary.decoder import decode
from vibewasm.errors import ValidationError

TYPE = section("type", b"\1" + func_type())


def repeated(number: int, item: bytes) -> bytes:
    return unsigned(number) + item * number


def with_name(size: int) -> bytes:
    return module(TYPE, section("import", b"\1" + unsigned(size) + b"a" * size + b"\0\0\0"))


def with_body(size: int) -> bytes:
    body = b"\0" + b"\1" * (size - 2) + b"\x0b"
    return module(TYPE, section("function", b"\1\0"), section("code", b"\1" + unsigned(size) + body))


def with_elements(number: int) -> bytes:
    return module(TYPE, section("import", b"\1\0\0\0\0"), section("element", b"\1\1\0" + repeated(number, b"\0")))


CASES: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "params": (1000, lambda n: module(section("type", b"\1\x60" + value_types(["i32"] * n) + b"\0"))),
    "results": (1000, lambda n: module(section("type", b"\1\x60\0" + value_types(["i32"] * n)))),
    "tables": (100, lambda n: module(section("table", repeated(n, b"\x70\0\0")))),
    "element segments": (100_000, lambda n: module(section("element", repeated(n, b"\1\0\0")))),
    "data segments": (100_000, lambda n: module(section("data", repeated(n, b"\1\0")))),
    "name": (100_000, with_name),
    "function body": (7_654_321, with_body),
}


@pytest.mark.parametrize("what", CASES)
def test_at_the_limit_and_beyond(what: str) -> None:
    limit, build = CASES[what]
    fits, too_many = build(limit), build(limit + 1)
    decode(fits)
    with pytest.raises(ValidationError, match=r"^implementation limit: "):
        decode(too_many)
    assert wasmtime_accepts(fits)
    assert not wasmtime_accepts(too_many)


def test_counts_beyond_a_limit_that_the_bytes_could_hold() -> None:
    for which, item, limit in (("type", b"\x60\0\0", 1_000_000), ("function", b"\0", 1_000_000)):
        with pytest.raises(ValidationError, match=r"^implementation limit: 1000001 "):
            decode(module(section(which, repeated(limit + 1, item))))
    with pytest.raises(ValidationError, match=r"^implementation limit: 10000001 items"):
        decode(with_elements(10_000_001))


def test_the_sum_of_types_of_imports_and_exports() -> None:
    # A type of 1000 parameters and 1000 results is 2002 for each import: 499 of them fit.
    large = section("type", b"\1" + func_type(["i32"] * 1000, ["i32"] * 1000))
    fits, too_many = (module(large, section("import", repeated(n, b"\0\0\0\0"))) for n in (499, 500))
    decode(fits)
    with pytest.raises(ValidationError, match="implementation limit: types of imports and exports"):
        decode(too_many)
    assert wasmtime_accepts(fits)
    assert not wasmtime_accepts(too_many)
