"""Modules with many data segments, which machine code copies: as those with few, which Python does."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from vibewasm.instances import segments

#: A data segment: whether it is active and where, and its bytes. One whose place is a global's value is not usual.
SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from(["i32.const", "i32.const", "i32.const", "global.get", "passive"]),
        st.integers(0, 300) | st.integers(65_000, 65_600) | st.just(0xFFFF_FFFF),
        st.binary(max_size=40),
    ),
    max_size=12,
)


def text_of(found: list[tuple[str, int, bytes]]) -> str:
    datas, imports = [], []
    for number, (kind, at, data) in enumerate(found):
        place = {"i32.const": f"(i32.const {at})", "global.get": f"(global.get {number})", "passive": ""}[kind]
        imports.append(f'(import "env" "{at}" (global i32))')
        literal = "".join(f"\\{byte:02x}" for byte in data)
        datas.append(f'(data {place} "{literal}")')
    inits = "".join(
        f'(func (export "init{number}") (memory.init {number} (i32.const 9) (i32.const 0) (i32.const 1)))'
        for number in range(len(found))
    )
    return f'(module {"".join(imports)} (memory (export "memory") 1) {"".join(datas)} {inits})'


def outcome(module: vw.Module, many: int) -> tuple[bytes, str, list[bool]]:
    """The memory after an instantiation, the trap that ended it, and which segments are dropped."""
    module._template = None
    seen: list[Any] = []
    begin = segments.Segments.begin

    def noted(self: segments.Segments, instance: vw.Instance) -> None:
        seen.append(instance)
        begin(self, instance)

    with mock.patch.object(segments, "_MANY", many), mock.patch.object(segments.Segments, "begin", noted):
        store = vw.Store(module.engine)
        linker = vw.Linker(module.engine)
        for name in {item.name for item in module.imports}:
            linker.define("env", name, vw.Global(store, vw.GlobalType("i32"), int(name)))
        try:
            linker.instantiate(store, module)
            trap = ""
        except vw.Trap as error:
            trap = str(error)
    if not seen:
        return b"", trap, []
    [instance] = seen
    return bytes(instance._memories[0].view()), trap, [*map(bool, instance._dropped_datas)]


@given(SEGMENTS)
def test_few_and_many_are_the_same(found: list[tuple[str, int, bytes]]) -> None:
    module = vw.Module(vw.Engine(), text_of(found))
    assert outcome(module, 0) == outcome(module, 1000)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4096, 70_000])
def test_sizes(size: int) -> None:
    data = bytes(number * 7 % 251 for number in range(size))
    module = vw.Module(vw.Engine(), text_of([("i32.const", 3, b"x"), ("i32.const", 5, data[: 65_536 - 5])]))
    memory, trap, _ = outcome(module, 0)
    assert not trap
    assert memory[3:4] == b"x"
    assert memory[5 : 5 + size] == data[: 65_536 - 5]


def test_a_memory_that_is_empty() -> None:
    texts = '(data (i32.const 0) "")' * 100
    module = vw.Module(vw.Engine(), f'(module (memory (export "memory") 0) {texts})')
    assert outcome(module, 64)[1] == ""
    module = vw.Module(vw.Engine(), f'(module (memory (export "memory") 0) {texts} (data (i32.const 0) "x"))')
    assert "data segment 100 (0 to 1 in a memory of 0 bytes)" in outcome(module, 64)[1]


def test_a_memory_that_is_imported_keeps_what_is_between() -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    memory.view()[:] = b"." * 65_536
    linker = vw.Linker(engine)
    linker.define("env", "memory", memory)
    datas = "".join(f'(data (i32.const {3 * number}) "ab")' for number in range(100))
    linker.instantiate(store, vw.Module(engine, f'(module (import "env" "memory" (memory 1)) {datas})'))
    assert bytes(memory.view()[:303]) == b"ab." * 100 + b"..."
