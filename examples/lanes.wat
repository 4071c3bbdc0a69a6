;; The sum of a vector's four lanes: docs/simd.md shows its machine code.
(module
  (func $total (export "total") (param $lanes v128) (result i32)
    ;; Exchange the halves, then neighbours, so that every lane has the whole sum.
    (local.set $lanes (i32x4.add (local.get $lanes)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $lanes) (local.get $lanes))))
    (local.set $lanes (i32x4.add (local.get $lanes)
      (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $lanes) (local.get $lanes))))
    (i32x4.extract_lane 0 (local.get $lanes))))
