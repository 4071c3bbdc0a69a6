;; What listings of a few typical functions look like: tests/disasm/golden.py
(module $shapes
  (type $unary (func (param i32) (result i32)))
  (import "env" "log" (func $log (param i32)))
  (memory $heap 1)
  (table $handlers 2 funcref)
  (elem (i32.const 0) $twice)
  (global $count (mut i32) (i32.const 0))

  (func $twice (export "twice") (param $n i32) (result i32)
    (i32.shl (local.get $n) (i32.const 1)))

  (func $sum (export "sum") (param $from i32) (param $length i32) (result i32)
    (local $total i32)
    (loop $next
      (local.set $total (i32.add (local.get $total) (i32.load (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))
      (br_if $next (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
    (local.get $total))

  (func $dispatch (export "dispatch") (param $which i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (call $log (local.get $which))
    (call_indirect $handlers (type $unary) (local.get $which) (local.get $which)))

  (func $switch (export "switch") (param $way i32) (result i32)
    (block $two
      (block $one
        (block $zero
          (br_table $zero $one $two (local.get $way)))
        (return (i32.const 10)))
      (return (i32.const 11)))
    (unreachable))

  (func $mean (export "mean") (param $a f64) (param $b f64) (result f64)
    (f64.mul (f64.add (local.get $a) (local.get $b)) (f64.const 0.5)))

  (func $factorial (export "factorial") (param $n i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (i64.const 1))
      (else (i64.mul (local.get $n) (call $factorial (i64.sub (local.get $n) (i64.const 1)))))))

  (func $divide (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1))))
