;; What traps
;; Loads and divisions trap by faulting, without a check; what the processor does not notice is checked.
(module
  (memory 1)
  (func $divide (export "divide") (param $a i32) (param $b i32) (result i32)
    (i32.div_s (local.get $a) (local.get $b)))
  (func $truncate (export "truncate") (param $x f64) (result i32)
    (i32.trunc_f64_s (local.get $x)))
  (func $peek (export "peek") (param $at i32) (result i64)
    (i64.load offset=1024 (local.get $at)))
  (func $never (export "never")
    (unreachable)))
