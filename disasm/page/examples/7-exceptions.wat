;; Exceptions and tail calls
;; Entering a try_table is no instruction. What it catches lands out of line, and so does what ends in a tail call.
(module
  (tag $negative (param i32))

  (func $root (param $n i32) (result i32)
    (local $r i32)
    (if (i32.lt_s (local.get $n) (i32.const 0))
      (then (throw $negative (local.get $n))))
    (loop $next
      (br_if $next
        (i32.le_u
          (i32.mul (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $r))
          (local.get $n))))
    (i32.sub (local.get $r) (i32.const 1)))

  (func (export "root") (param $n i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $negative $caught)
        (return (call $root (local.get $n))))
      (unreachable))
    (i32.mul (i32.const -1))
    (return_call $root))

  (func (export "older_form") (param $n i32) (result i32)
    (try (result i32)
      (do (call $root (local.get $n)))
      (catch_all (i32.const 0)))))
