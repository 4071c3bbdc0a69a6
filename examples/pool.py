"""A wasm function over a data set, in a pool of processes. Each worker compiles the module once, and a trap comes back.

python examples/pool.py [fork | spawn | forkserver]
"""

from __future__ import annotations

import multiprocessing
import sys
from array import array
from concurrent.futures import ProcessPoolExecutor

import vibewasm

#: In how many steps a number comes to 1, if it is halved when even, else trebled and increased. There is no way from 0.
TEXT = """(module
  (func $steps (export "steps") (param $n i64) (result i32)
    (local $count i32)
    (if (i64.eqz (local.get $n)) (then unreachable))
    (block $done
      (loop $next
        (br_if $done (i64.eq (local.get $n) (i64.const 1)))
        (local.set $n
          (if (result i64) (i64.eqz (i64.and (local.get $n) (i64.const 1)))
            (then (i64.shr_u (local.get $n) (i64.const 1)))
            (else (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count)))"""

#: The instance of a worker process.
instance: vibewasm.Instance


def prepare(module: vibewasm.Module) -> None:
    """Begin a worker: instantiate the module, once for all of the worker's tasks."""
    global instance
    instance = vibewasm.instantiate(module)


def longest(chunk: array[int]) -> tuple[int, int]:
    """A task: the most steps of these numbers, and which number takes them."""
    steps: array[int] = instance.exports.steps.map(chunk)
    most = max(steps)
    return most, chunk[steps.index(most)]


def main(method: str = "spawn") -> None:
    """Print what the pool finds."""
    # Functions are compiled by their first call, so here none is.
    module = vibewasm.Module(vibewasm.Engine(), TEXT)
    chunks = [array("q", range(start, start + 5_000)) for start in range(1, 100_000, 5_000)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context, initializer=prepare, initargs=(module,)) as pool:
        most, number = max(pool.map(longest, chunks))
        print(f"{number} takes {most} steps")

        try:
            pool.submit(longest, array("q", [3, 2, 1, 0])).result()
        except vibewasm.Trap as trap:
            print(f"trap at element {trap.element}: {trap.message}, in {trap.frames[0].func_name}")

        # The worker goes on.
        print(f"27 takes {pool.submit(longest, array('q', [27])).result()[0]} steps")


# Workers import this file, and must not begin a pool of their own.
if __name__ == "__main__":
    main(*sys.argv[1:])
