"""A program that uses much of the API. Type checkers read it, and find nothing; a test runs it."""

from __future__ import annotations

import io
from array import array

import vibewasm
from vibewasm import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    import_name,
)

TEXT = """(module $sample
  (import "env" "log" (func $log (param $address i32) (param $size i32)))
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (table (export "table") 2 funcref)
  (global (export "count") (mut i32) (i32.const 7))
  (data (i32.const 8) "hello")
  (func $add (export "add") (param $left i32) (param $right i32) (result i32)
    (call $log (i32.const 8) (i32.const 5))
    (call $twice (i32.add (local.get $left) (local.get $right)))))"""


def log(caller: Caller, address: int, size: int) -> None:
    """Print a text of the guest's."""
    print(caller.read_str(address, size))


def long_way() -> int:
    """With an engine, a store and a linker."""
    engine = Engine(Config(fuel=True, max_memory=1 << 20))
    module = Module(engine, TEXT)
    linker = Linker(engine)
    linker.define("env", "log", log, caller=True)

    @linker.function("env")
    def twice(x: int) -> int:
        return 2 * x

    class Counter:
        """Methods as imports."""

        @import_name("add-one")
        def add_one(self, caller: Caller) -> int:
            return caller.memory.size + 1

        @import_name("add-two")
        @staticmethod
        def add_two() -> int:
            return 2

    linker.define_object("counter", Counter())
    counted: int = Counter.add_two()
    assert counted == 2

    with Store(engine) as store:
        store.fuel = 100_000
        instance = linker.instantiate(store, module)
        add = instance.exports.add
        assert isinstance(add, Func)
        found: int = add(left=1, right=2)
        assert found == twice(3)
        assert list(add.map(array("i", [3, 4]), 5)) == [16, 18]
        memory = instance.exports.memory
        assert isinstance(memory, Memory)
        memory[0:2] = b"ab"
        first: int = memory[0]
        text: bytes = memory[0:2]
        assert (first, text) == (97, b"ab")
        with memory.view(8, 13) as view:
            assert bytes(view) == b"hello"
        assert memory.grow(1) == 1
        names: list[str] = [export.name for export in module.exports]
        assert "table" in names
        return store.fuel


def short_way() -> None:
    """What most programs need."""
    output = io.BytesIO()
    wasi = vibewasm.WasiConfig(args=["sample"], stdout=output, preopens={"/data": vibewasm.Dir(".", read_only=True)})
    with vibewasm.instantiate('(module (func (export "f") (result f64) (f64.const 1.5)))', wasi=wasi) as instance:
        result: float = instance.exports.f()
        assert result == 1.5
    try:
        vibewasm.instantiate("(module (func unreachable) (start 0))")
    except vibewasm.Trap as trap:
        print(trap.code, trap.frames[0].func_index)
    square = Func(Store(), FuncType(["i64"], ["i64"]), lambda x: x * x)
    assert square(9) == 81
    assert Memory(square.store, MemoryType(Limits(1))).pages == 1


if __name__ == "__main__":
    assert long_way() > 0
    short_way()
