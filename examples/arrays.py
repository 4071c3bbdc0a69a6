"""A function over whole arrays, here of the standard library; with arrays of NumPy it is the same.

python examples/arrays.py
"""

from __future__ import annotations

from array import array

import vibewasm

#: Quotient and remainder, and Horner's rule for 3x² + 2x + 1.
TEXT = """(module
  (func $divide (export "divide") (param i32 i32) (result i32 i32)
    (i32.div_s (local.get 0) (local.get 1))
    (i32.rem_s (local.get 0) (local.get 1)))
  (func (export "polynomial") (param f64) (result f64)
    (f64.add (f64.mul (f64.add (f64.mul (f64.const 3) (local.get 0)) (f64.const 2)) (local.get 0)) (f64.const 1))))"""


def main() -> None:
    """Print what a few calls give."""
    exports = vibewasm.instantiate(TEXT).exports

    # One call of the engine, and a million of the function.
    xs = array("d", [k / 1000 for k in range(1_000_000)])
    ys = exports.polynomial.map(xs)
    print("polynomial:", ys[0], ys[1000], len(ys))

    quotients, remainders = exports.divide.map(array("i", [17, 18, 19]), 5)
    print("divide:", *quotients, "remainders", *remainders)

    # What was computed before a trap is there.
    out = array("i", [0, 0, 0]), array("i", [0, 0, 0])
    try:
        exports.divide.map(100, array("i", [10, 0, 20]), out=out)
    except vibewasm.Trap as trap:
        print(f"trap at element {trap.element}: {trap.message}; so far {out[0][: trap.element].tolist()}")


if __name__ == "__main__":
    main()
