"""A wasm function over a data set, on a cluster of Dask, here of two processes. Each compiles the module once, and a
trap comes back.

pip install distributed
python examples/dask_pool.py
"""

from __future__ import annotations

from array import array

from distributed import Client, LocalCluster  # pyright: ignore[reportMissingImports]

import vibewasm

#: How often the digits of a number are summed until one is left. Negative numbers have none.
TEXT = """(module
  (func $digits (param $n i64) (result i64)
    (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.rem_u (local.get $n) (i64.const 10))))
      (br_if $next (i64.ne (local.tee $n (i64.div_u (local.get $n) (i64.const 10))) (i64.const 0))))
    (local.get $sum))
  (func $persistence (export "persistence") (param $n i64) (result i32)
    (local $count i32)
    (if (i64.lt_s (local.get $n) (i64.const 0)) (then unreachable))
    (loop $next
      (if (i64.gt_u (local.get $n) (i64.const 9))
        (then
          (local.set $n (call $digits (local.get $n)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br $next))))
    (local.get $count)))"""


def total(chunk: array[int], module: vibewasm.Module) -> int:
    """A task. Its worker has the module, and so its machine code; an instance of its own lets it run in any thread."""
    return sum(vibewasm.instantiate(module).exports.persistence.map(chunk))


def main() -> None:
    """Print what the cluster finds."""
    module = vibewasm.Module(vibewasm.Engine(), TEXT)
    chunks = [array("q", range(start, start + 5_000)) for start in range(0, 100_000, 5_000)]
    # Of this machine alone, and without the dashboard.
    with LocalCluster(n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            # Once to each worker, not with each task.
            there = client.scatter(module, broadcast=True)
            print("sum:", sum(client.gather(client.map(total, chunks, module=there))))

            try:
                client.submit(total, array("q", [7, 38, -1]), module=there).result()
            except vibewasm.Trap as trap:
                print(f"trap at element {trap.element}: {trap.message}, in {trap.frames[0].func_name}")


if __name__ == "__main__":
    main()
