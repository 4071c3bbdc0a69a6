;; The sum of an array of 32-bit integers: what docs/disasm.md shows the machine code of.
(module
  (memory (export "memory") 1)
  (func $sum (export "sum") (param $from i32) (param $length i32) (result i32)
    (local $total i32)
    (loop $next
      (local.set $total (i32.add (local.get $total) (i32.load (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))
      (br_if $next (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
    (local.get $total)))
