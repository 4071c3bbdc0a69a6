"""Small modules."""

from __future__ import annotations

from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const, local_get


def _add() -> bytes:
    module = ModuleBuilder()
    module.func(["i32", "i32"], ["i32"], local_get(0) + local_get(1) + b"\x6a", export="add")
    return module.build()


def _call_loop() -> bytes:
    module = ModuleBuilder()
    f = module.import_func("env", "f", ["i32", "i32"], ["i32"])
    work = local_get(0) + i32_const(7) + call(f) + b"\x1a"  # drop
    count_down = local_get(0) + i32_const(1) + b"\x6b\x22\x00"  # i32.sub, local.tee 0
    module.func(["i32"], [], b"\x03\x40" + work + count_down + b"\x0d\x00\x0b", export="loop")  # loop ... br_if 0 end
    return module.build()


def table_of(count: int) -> bytes:
    """A module with a page of memory and that many functions, all of them in a table."""
    module = ModuleBuilder()
    module.memory(1, export="memory")
    module.table(count)
    functions = [module.func(["i32"], ["i32"], local_get(0) + i32_const(number) + b"\x6a") for number in range(count)]
    module.elem(functions)
    for name, function in (("first", functions[0]), ("second", functions[1]), ("last", functions[-1])):
        module.export(name, 0, function)
    return module.build()


#: A module with nothing in it.
EMPTY = ModuleBuilder().build()

#: Exports ``add (i32, i32) -> i32``.
ADD = _add()

#: Imports ``env.f (i32, i32) -> i32``; its ``loop(n)`` calls that n times.
CALL_LOOP = _call_loop()
