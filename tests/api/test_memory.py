"""Memories as Python sees them."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import zlib
from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const
from tests.native import not_emulated

from .wasm import I32_LOAD, I32_STORE, gets, instance_of


def store() -> vw.Store:
    """A store of its own."""
    return vw.Store(vw.Engine())


def memory(minimum: int = 1, maximum: int | None = None) -> vw.Memory:
    """A memory in a store of its own."""
    return vw.Memory(store(), vw.MemoryType(vw.Limits(minimum, maximum)))


def test_wasm_and_python_see_the_same_bytes() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.func(["i32"], ["i32"], gets(1) + I32_LOAD, export="load")
    m.func(["i32", "i32"], [], gets(2) + I32_STORE, export="store")
    exports = instance_of(m).exports
    exports.store(8, 0x04030201)
    assert exports.memory[8:12] == b"\1\2\3\4"
    exports.memory[8:12] = b"\xff\xff\xff\xff"
    assert exports.load(8) == -1


def test_bytes_are_read_as_they_were_written() -> None:
    mem = memory()
    mem[0:5] = b"hello"
    assert mem[0:5] == b"hello"
    assert mem[:5] == b"hello"
    assert mem[1] == ord("e")
    mem[1] = ord("a")
    assert mem.read(0, 5) == b"hallo"
    mem.write(3, bytearray(b"LO"))
    mem.write(65535, memoryview(b"!"))
    assert mem.read(0, 5) == b"halLO"
    assert mem[65535:] == b"!"
    assert mem[5:5] == b""
    assert mem[65536:65536] == b""
    assert mem[9:3] == b""
    assert mem.read(65536, 0) == b""
    mem.write(65536, b"")
    assert len(mem[:]) == len(mem) == mem.size == 65536
    assert mem.pages == 1


def test_what_lies_outside_is_an_index_error_that_says_the_size() -> None:
    mem = memory()
    for attempt in (
        lambda: mem[65536],
        lambda: mem[65530:65537],
        lambda: mem[70000:],
        lambda: mem.read(65535, 2),
        lambda: mem.write(65535, b"ab"),
        lambda: mem.__setitem__(65536, 1),
        lambda: mem.__setitem__(slice(65530, 65537), b"1234567"),
    ):
        with pytest.raises(IndexError, match="outside the memory of 65536 bytes"):
            attempt()
    assert mem[65530:65536] == bytes(6)


def test_a_negative_address_is_not_counted_from_the_end() -> None:
    mem = memory()
    with pytest.raises(IndexError, match=r"as an unsigned address, -8 is 4294967288"):
        mem[-8]
    with pytest.raises(IndexError, match="-8 to 4 is outside"):
        mem[-8:4]
    with pytest.raises(IndexError):
        mem.read(-1, 1)
    with pytest.raises(ValueError, match="cannot read -1 bytes"):
        mem.read(0, -1)


def test_what_is_written_has_to_fit() -> None:
    mem = memory()
    with pytest.raises(ValueError, match=r"memory\[0:4\] has 4 bytes, the data has 3"):
        mem[0:4] = b"abc"
    with pytest.raises(TypeError, match="takes an int from 0 to 255, not bytes"):
        mem[0] = b"a"
    with pytest.raises(ValueError, match=r"memory\[0\] takes an int from 0 to 255, not int 256"):
        mem[0] = 256
    with pytest.raises(TypeError, match="takes bytes or what is like bytes, not int 5"):
        mem[0:1] = 5
    with pytest.raises(ValueError, match="step 1"):
        mem[0:8:2]


def test_a_view_is_not_a_copy_and_survives_growth() -> None:
    mem = memory(1, 3)
    view = mem.view()
    assert len(view) == 65536
    assert view.format == "B"
    view[5] = 9
    assert mem[5] == 9
    assert mem.grow(1) == 1
    assert len(view) == 65536
    mem[5] = 10
    assert view[5] == 10
    mem[65536] = 1
    assert mem.view()[65536] == 1
    assert len(mem.view()) == 131072


def test_a_view_can_be_of_a_part() -> None:
    memory = vw.Memory(vw.Store(), vw.MemoryType(vw.Limits(1, 2)))
    memory[8:12] = b"wasm"
    with memory.view(8, 12) as part:
        assert hashlib.sha256(part).digest() == hashlib.sha256(b"wasm").digest()
        part[0] = ord("W")
        assert memory[8:12] == b"Wasm"
        memory.grow(1)
        assert len(part) == 4
    for start, stop, size in ((0, None, 131072), (5, None, 131067), (131072, None, 0), (7, 7, 0), (0, 131072, 131072)):
        assert len(memory.view(start, stop)) == size
    for start, stop in ((-1, None), (0, -1), (131073, None), (0, 131073), (2**200, None), (0, -(2**200))):
        with pytest.raises(IndexError, match=r"outside the memory of 131072 bytes|ends before it begins"):
            memory.view(start, stop)
    with pytest.raises(IndexError, match="9 to 8 is no range: it ends before it begins"):
        memory.view(9, 8)
    for wrong in ("1", 1.0, True):
        with pytest.raises(TypeError, match=r"Memory\.view: start has to be a number of bytes"):
            memory.view(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"Memory\.view: stop has to be a number of bytes"):
            memory.view(0, wrong)  # type: ignore[arg-type]
    # No view is left, also none of those that were refused.
    memory.store.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python are buffers from 3.12 on (PEP 688)")
def test_a_memory_is_a_buffer() -> None:
    memory = vw.Memory(vw.Store(), vw.MemoryType(vw.Limits(1, 2)))
    buffer: Any = memory
    with memoryview(buffer) as view:
        view[8:12] = b"\1\2\3\4"
        assert struct.unpack_from("<I", buffer, 8) == (0x04030201,)
        struct.pack_into("<H", buffer, 10, 0xABCD)
        assert memory[8:12] == b"\1\2\xcd\xab"
        assert bytes(view[8:10]) == b"\1\2"
        memory.grow(1)
        assert len(view) == 65536
    assert zlib.crc32(buffer) == zlib.crc32(memory[:])
    other = vw.Memory(memory.store, vw.MemoryType(vw.Limits(2)))
    other.write(0, buffer)
    assert other[:12] == memory[:12]
    with memoryview(buffer) as view:
        with pytest.raises(BufferError):
            memory.store.close()
        assert view[8] == 1
    with pytest.raises(vw.WasmError, match="closed"):
        memoryview(buffer)


def test_growing_gives_the_former_size_and_zeros() -> None:
    mem = memory(0, 3)
    assert mem.size == 0
    assert mem.grow(2) == 0
    assert mem.grow(0) == 2
    assert mem.grow(1) == 2
    assert mem.pages == 3
    assert mem[65536:131072] == bytes(65536)
    assert mem.type == vw.MemoryType(vw.Limits(3, 3))


def test_growing_that_fails_says_why() -> None:
    mem = memory(1, 2)
    with pytest.raises(vw.WasmError, match="memory of 1 page cannot grow by 2: its type allows 2 pages"):
        mem.grow(2)
    with pytest.raises(vw.WasmError, match="at most 65536 pages"):
        memory().grow(65536)
    with pytest.raises(ValueError, match="cannot shrink"):
        mem.grow(-1)
    assert mem.pages == 1


def test_a_store_limits_its_memories_together() -> None:
    limited = vw.Store(vw.Engine(vw.Config(max_memory=4 * 65536)))
    first = vw.Memory(limited, vw.MemoryType(vw.Limits(1)))
    second = vw.Memory(limited, vw.MemoryType(vw.Limits(1)))
    assert first.grow(2) == 1
    with pytest.raises(vw.WasmError, match=r"Store\.max_memory is 262144 bytes, of which 262144 are in use"):
        second.grow(1)
    with pytest.raises(
        vw.LinkError, match=r"a memory of 1 page \(65536 bytes\) is more than Store.max_memory allows"
    ) as caught:
        vw.Memory(limited, vw.MemoryType(vw.Limits(1)))
    assert caught.value.limit == "max_memory"
    limited.max_memory = None
    assert second.grow(1) == 1


@pytest.mark.parametrize("explicit", [False, True])
def test_wasm_code_is_stopped_at_the_limit_and_at_the_end_of_the_memory(explicit: bool) -> None:
    m = ModuleBuilder()
    m.memory(1, 10, export="memory")
    m.func(["i32"], ["i32"], gets(1) + b"\x40\x00", export="grow")
    m.func(["i32"], ["i32"], gets(1) + I32_LOAD, export="load")
    instance = instance_of(m, config=vw.Config(max_memory=2 * 65536, explicit_bounds=explicit))
    exports = instance.exports
    assert exports.grow(2) == -1
    assert exports.grow(-1) == -1
    assert exports.load(65532) == 0
    for outside in (65533, 65536, -1, -4):
        with pytest.raises(vw.Trap, match="out of bounds memory access"):
            exports.load(outside)
    assert exports.grow(1) == 1
    assert exports.load(65536) == 0
    instance.store.max_memory = None
    assert exports.grow(8) == 2
    assert exports.grow(1) == -1


def test_a_memory_that_no_module_can_ask_for_is_refused() -> None:
    with pytest.raises(vw.LinkError, match="at most 65536 pages"):
        memory(65537)
    with pytest.raises(vw.LinkError, match="at most 65536 pages"):
        memory(1, 65537)


def test_a_memory_can_be_had_without_a_byte() -> None:
    mem = memory(0)
    assert mem[:] == b""
    assert len(mem.view()) == 0
    with pytest.raises(IndexError, match="outside the memory of 0 bytes"):
        mem[0]


def test_memory_is_shared_by_instances_that_import_it() -> None:
    m = ModuleBuilder()
    m.import_memory("env", "memory", 1)
    m.export("again", 2, 0)
    m.func(["i32"], ["i32"], i32_const(0) + gets(1) + I32_STORE + b"\x3f\x00", export="put")
    mem = memory()
    first = instance_of(m, {"env": {"memory": mem}})
    second = instance_of(m, {"env": {"memory": mem}})
    assert first.exports.again is mem
    first.exports.put(7)
    assert mem[0] == 7
    mem.grow(1)
    assert second.exports.put(8) == 2
    assert mem[0] == 8
    assert repr(mem) == "<vibewasm.Memory of 2 pages>"
    assert mem.store is first.store


@not_emulated("address space has no limit there")
def test_where_address_space_is_scarce_code_checks_bounds_itself() -> None:
    m = ModuleBuilder()
    m.memory(1, 3, export="memory")
    m.func(["i32"], ["i32"], gets(1) + b"\x40\x00", export="grow")
    m.func(["i32"], ["i32"], gets(1) + I32_LOAD, export="load")
    program = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import vibewasm as vw
instance = vw.instantiate({m.build()!r})
assert instance.store.engine.explicit_bounds
exports = instance.exports
assert exports.load(65532) == 0
for address in (65533, -1):
    try:
        exports.load(address)
    except vw.Trap as trap:
        assert trap.code == "memory_out_of_bounds", trap
    else:
        raise AssertionError(address)
assert exports.grow(2) == 1
assert exports.load(3 * 65536 - 4) == 0
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not vw.Engine().explicit_bounds


def test_messages_about_one_page_know_the_singular() -> None:
    store = vw.Store(vw.Engine(vw.Config(max_memory=65536)))
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1, 1)))
    assert repr(memory) == "<vibewasm.Memory of 1 page>"
    with pytest.raises(vw.WasmError, match=r"^memory of 1 page cannot grow by 1: its type allows 1 page$"):
        memory.grow(1)
    with pytest.raises(vw.LinkError, match=r"^a memory of 1 page \(65536 bytes\) is more than Store\.max_memory"):
        vw.Memory(store, vw.MemoryType(vw.Limits(1)))


def test_a_store_may_limit_each_memory() -> None:
    store = vw.Store(vw.Engine())
    assert store.max_memory_each is None
    store.max_memory_each = 2 * 65536
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(2)))
    # The next has as much again.
    other = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    assert other.grow(1) == 1
    with pytest.raises(vw.WasmError, match=r"cannot grow by 1: Store\.max_memory_each is 131072 bytes$"):
        memory.grow(1)
    with pytest.raises(
        vw.LinkError, match=r"a memory of 3 pages \(196608 bytes\) is more than Store.max_memory_each allows"
    ) as caught:
        vw.Memory(store, vw.MemoryType(vw.Limits(3)))
    assert caught.value.limit == "max_memory_each"
    text = '(module (memory (export "memory") 1) (func (export "f") (result i32) (memory.grow (i32.const 2))))'
    linker = vw.Linker(store.engine)
    instance = linker.instantiate(store, vw.Module(store.engine, text))
    assert instance.exports.f() == -1
    store.max_memory_each = None
    assert instance.exports.f() == 1
    with pytest.raises(ValueError, match="Store: max_memory_each is a number of bytes, 0 or more, not -1"):
        store.max_memory_each = -1
    store.max_memory = 0
    store.max_memory_each = 65536
    with pytest.raises(vw.LinkError) as caught:
        vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    assert caught.value.limit == "max_memory"


def test_a_slice_does_not_end_before_the_memory_begins() -> None:
    memory = vw.Memory(vw.Store(), vw.MemoryType(vw.Limits(1)))
    for end in (-1, -65536, -(1 << 31)):
        with pytest.raises(IndexError, match=f"^{end} is outside the memory of 65536 bytes"):
            memory[3:end]
        with pytest.raises(IndexError, match=f"^{end} is outside the memory of 65536 bytes"):
            memory[0:end] = b""
    # As of a Python sequence.
    assert memory[5:3] == memory[5:0] == b""
