"""A program that test_threads.py runs: several threads do everything for the first time in a process, all at once.

``python -m tests.api.race SEED`` ends with 0 if each of them gets what it would get alone.
"""

from __future__ import annotations

import random
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import vibewasm as vw

THREADS = 4

#: A module that exports ``f``, how it is called, and what comes out.
CASES: dict[str, tuple[str, Callable[[Any], object], object]] = {
    "integers": (
        """(func (export "f") (param i32) (result i32)
            (i32.add (i32.div_s (i32.mul (local.get 0) (i32.const 7)) (i32.const 3))
                     (i32.shl (local.get 0) (i32.const 3))))""",
        lambda f: f(10),
        103,
    ),
    "floats": (
        '(func (export "f") (param f64) (result f64) (f64.floor (f64.sqrt (f64.mul (local.get 0) (f64.const 2.5)))))',
        lambda f: f(10.0),
        5.0,
    ),
    "loop": (
        """(func (export "f") (param i32) (result i32) (local i32)
            (loop
                (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))""",
        lambda f: f(100),
        5050,
    ),
    "memory": (
        """(memory 1 4) (data (i32.const 8) "abcd")
        (func (export "f") (result i32)
            (drop (memory.grow (i32.const 1)))
            (memory.copy (i32.const 70000) (i32.const 8) (i32.const 4))
            (i32.load (i32.const 70000)))""",
        lambda f: f(),
        0x64636261,
    ),
    "trap": (
        '(memory 1) (func (export "f") (param i32) (result i32) (i32.load (local.get 0)))',
        lambda f: _trapped(f, 1 << 20),
        "out of bounds memory access",
    ),
    "table": (
        """(type $t (func (param i32) (result i32)))
        (table 2 funcref) (elem (i32.const 0) $a $b)
        (func $a (type $t) (i32.add (local.get 0) (i32.const 1)))
        (func $b (type $t) (i32.mul (local.get 0) (i32.const 2)))
        (func (export "f") (param i32) (result i32) (call_indirect (type $t) (i32.const 20) (local.get 0)))""",
        lambda f: (f(0), f(1)),
        (21, 40),
    ),
    # More functions than the first piece of lazy entries has.
    "many functions": (
        "".join(f"(func $f{n} (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))" for n in range(100))
        + '(func (export "f") (result i32) i32.const 0 '
        + " ".join(f"call $f{n}" for n in range(100))
        + ")",
        lambda f: f(),
        4950,
    ),
    "many parameters": (
        '(func (export "f") (param i32 i64 f32 f64 i32 i64) (result i64 i32) (local.get 5) (local.get 4))',
        lambda f: f(1, 2, 3.0, 4.0, 5, 6),
        (6, 5),
    ),
    "host": (
        """(import "host" "double" (func $double (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) (i32.add (call $double (local.get 0)) (i32.const 1)))""",
        lambda f: f(20),
        41,
    ),
}
IMPORTS: dict[str, Any] = {"host": {"double": lambda x: 2 * x}}


def _trapped(f: Callable[..., object], address: int) -> str:
    try:
        return f"returned {f(address)}"
    except vw.Trap as trap:
        return str(trap).partition("\n")[0].partition(" in ")[0].removeprefix("trap: ")


def main(seed: int) -> int:
    """Run the threads; their order of cases is random, and whether they share an engine."""
    rng = random.Random(seed)
    shared = vw.Engine(vw.Config(compilation=rng.choice(("lazy", "eager")))) if rng.random() < 0.5 else None
    orders = [rng.sample(sorted(CASES), len(CASES)) * 2 for _ in range(THREADS)]
    barrier = threading.Barrier(THREADS)
    failures: list[str] = []

    def run(order: list[str]) -> None:
        barrier.wait()
        for name in order:
            fields, call, wanted = CASES[name]
            try:
                text = f"(module {fields})"
                instance = vw.instantiate(text if shared is None else vw.Module(shared, text), IMPORTS)
                found = call(instance.exports.f)
                if found != wanted:
                    failures.append(f"{name}: {found!r} instead of {wanted!r}")
            except Exception:
                failures.append(traceback.format_exc())

    threads = [threading.Thread(target=run, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*failures, sep="\n", end="")
    return 1 if failures else 0


if __name__ == "__main__":
    # Threads take turns as often as they can.
    sys.setswitchinterval(1e-6)
    sys.exit(main(int(sys.argv[1])))
