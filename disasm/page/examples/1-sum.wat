;; Sum of an array
;; Locals live in registers for the whole function, so the loop touches memory for the load only.
(module
  (memory (export "memory") 1)
  (func $sum (export "sum") (param $from i32) (param $length i32) (result i32)
    (local $total i32)
    (block $done
      (br_if $done (i32.eqz (local.get $length)))
      (loop $next
        (local.set $total
          (i32.add (local.get $total) (i32.load (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (br_if $next
          (local.tee $length (i32.sub (local.get $length) (i32.const 1))))))
    (local.get $total)))
