"""C functions as imports: wasm code calls them without Python. Native code is not sandboxed, see docs/native.md.

python examples/native.py
"""

from __future__ import annotations

import ctypes

import vibewasm

#: The guest imports a cosine, and what tells the length of the text at the beginning of its memory.
TEXT = """(module
  (import "math" "cos" (func $cos (param f64) (result f64)))
  (import "env" "length" (func $length (result i64)))
  (memory 1)
  (data (i32.const 0) "a text of the guest")
  (func (export "length") (result i64) (call $length))
  (func (export "sum_of_cosines") (param $count i32) (result f64) (local $sum f64)
    (loop
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (local.set $sum (f64.add (local.get $sum) (call $cos (f64.convert_i32_s (local.get $count)))))
      (br_if 0 (local.get $count)))
    (local.get $sum)))"""


def main() -> None:
    """Print what the guest computes with the C library's functions."""
    libc = ctypes.CDLL(None)
    # What ctypes knows of a function says which type it has in wasm.
    libc.cos.argtypes, libc.cos.restype = [ctypes.c_double], ctypes.c_double
    libc.strnlen.argtypes, libc.strnlen.restype = [ctypes.c_void_p, ctypes.c_size_t], ctypes.c_size_t
    cosine = vibewasm.Native(libc.cos)
    # The first two parameters are base and length of the caller's memory, so it looks nowhere else.
    length = vibewasm.Native(libc.strnlen, memory=True)
    print(cosine, length)

    guest = vibewasm.instantiate(TEXT, {"math": {"cos": cosine}, "env": {"length": length}}).exports
    print(f"{guest.sum_of_cosines(1000):.6f}")
    print(guest.length())


if __name__ == "__main__":
    main()
