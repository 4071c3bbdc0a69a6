;; Factorial, recursive and as a loop
;; A function calls itself directly; the prologue of one that calls compares the stack with its limit.
(module
  (func $recursive (export "recursive") (param $n i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (i64.const 1))
      (else
        (i64.mul
          (local.get $n)
          (call $recursive (i64.sub (local.get $n) (i64.const 1)))))))

  (func $loop (export "loop") (param $n i64) (result i64)
    (local $product i64)
    (local.set $product (i64.const 1))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $n)))
        (local.set $product (i64.mul (local.get $product) (local.get $n)))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br $next)))
    (local.get $product)))
