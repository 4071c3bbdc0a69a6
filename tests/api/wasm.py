"""Small modules and instructions that several tests of the API use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const, local_get, unsigned

UNREACHABLE = b"\x00"
DROP = b"\x1a"
I32_ADD = b"\x6a"
I32_SUB = b"\x6b"
I32_DIV_S = b"\x6d"
I32_LOAD = b"\x28\x02\x00"
I32_STORE = b"\x36\x02\x00"
#: ``loop br 0 end``
FOREVER = b"\x03\x40\x0c\x00\x0b"


def local_set(index: int) -> bytes:
    """``local.set``."""
    return b"\x21" + unsigned(index)


def global_set(index: int) -> bytes:
    """``global.set``."""
    return b"\x24" + unsigned(index)


def table_get(index: int) -> bytes:
    """``table.get``."""
    return b"\x25" + unsigned(index)


def table_set(index: int) -> bytes:
    """``table.set``."""
    return b"\x26" + unsigned(index)


def call_indirect(type_index: int, table: int = 0) -> bytes:
    """``call_indirect``."""
    return b"\x11" + unsigned(type_index) + unsigned(table)


def bulk(sub_opcode: int, *immediates: int) -> bytes:
    """An instruction with the prefix 0xFC."""
    return b"\xfc" + unsigned(sub_opcode) + b"".join(map(unsigned, immediates))


def gets(count: int) -> bytes:
    """``local.get`` of the first ``count`` locals."""
    return b"".join(map(local_get, range(count)))


def instance_of(builder: ModuleBuilder, imports: Any = None, **options: Any) -> vw.Instance:
    """An instance of what a builder built, in a store of its own."""
    return vw.instantiate(builder.build(), imports, **options)


def identity(*types: str, config: vw.Config | None = None) -> Any:
    """A wasm function that returns its parameters, which have these types."""
    m = ModuleBuilder()
    m.func(types, types, gets(len(types)), export="f")
    return instance_of(m, config=config).exports.f


def calls_host(
    params: list[str], results: list[str], function: Callable[..., Any], config: vw.Config | None = None
) -> Any:
    """A wasm function of this type that passes its arguments to ``function`` and returns what that does."""
    m = ModuleBuilder()
    host = m.import_func("env", "host", params, results)
    m.func(params, results, gets(len(params)) + call(host), export="f")
    return instance_of(m, {"env": {"host": function}}, config=config).exports.f


def adder() -> bytes:
    """A module that exports ``add``."""
    m = ModuleBuilder()
    m.func(["i32", "i32"], ["i32"], gets(2) + I32_ADD, export="add")
    return m.build()


def divider(name: str | None = "divide") -> ModuleBuilder:
    """A module whose export ``outer`` calls ``divide``, which divides its two parameters."""
    m = ModuleBuilder()
    inner = m.func(["i32", "i32"], ["i32"], gets(2) + I32_DIV_S, name=name)
    m.func(["i32", "i32"], ["i32"], gets(2) + call(inner) + i32_const(1) + I32_ADD, export="outer")
    return m
