"""Finalisers that use what the collector is about to take apart."""

from __future__ import annotations

from tests.runtime.machine import python

SOURCE = """
import gc
import vibewasm as vw

TEXT = '''(module (memory 1)
    (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))'''

class Late:
    def __del__(self):
        # Others may be given what has been finalised by now.
        others = [vw.instantiate(TEXT) for _ in range(3)]
        exports = self.instance.exports
        print(exports.add(1), [other.exports.add(2) for other in others])
        for address in (65532, 65536):
            try:
                print(exports.load(address))
            except vw.Trap as trap:
                print(trap.code)

late = Late() if {first} else None
engine = vw.Engine()
module = vw.Module.from_text(engine, TEXT)
instance = vw.Linker(engine).instantiate(vw.Store(engine), module)
if {called}:
    instance.exports.add(1)
late = late or Late()
late.instance = instance
late.itself = late
del late, instance, module
gc.collect()
print("done")
"""


def test_a_finaliser_may_call_functions_of_a_module_that_goes_with_it() -> None:
    # The collector finalises what is older first.
    for first in (True, False):
        for called in (True, False):
            done = python(SOURCE.format(first=first, called=called))
            assert done.stderr == ""
            assert done.stdout.split("\n") == ["2 [3, 3, 3]", "0", "memory_out_of_bounds", "done", ""], (first, called)
