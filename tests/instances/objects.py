"""What tests of exception objects look at."""

from __future__ import annotations

from vibewasm import abi
from vibewasm.instances.exceptions import Exceptions
from vibewasm.runtime.context import CELL_FREE_EXCEPTION

TABLES = """
(module
  (tag $t (export "t"))
  (table $t (export "table") 8 exnref)
  (global $g (export "global") (mut exnref) (ref.null exn))
  (func $make (export "make") (result exnref)
    (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))
  (func (export "keep") (param i32) (table.set (local.get 0) (call $make)))
  (func (export "set") (global.set $g (call $make)))
  (func (export "drop") (param i32)
    (loop $l (drop (call $make)) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "throws") (throw_ref (global.get $g))))
"""


def look(objects: Exceptions) -> int:
    """How many objects are held."""
    objects._collect(objects._lowest(), False)
    return objects.kept


def total(objects: Exceptions) -> int:
    """How many objects of the usual size there are, free or not."""
    return sum([slab.count for slab in objects._heap[0]])


def free(objects: Exceptions) -> list[int]:
    """The free objects, in the order of their list."""
    found = []
    address = objects._cells[CELL_FREE_EXCEPTION]
    while address:
        found.append(address)
        cells, at = objects.place(address)
        address = cells[at + (abi.EXCEPTION_COUNT >> 3)]
    return found


class Replaceable(Exceptions):
    """Exceptions whose methods can be replaced, which tests get instead."""
