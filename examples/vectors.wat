;; Vectors of f64 for docs/numpy.md: memory that the guest gives away piece by piece, and loops over it.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  ;; Room for so many bytes at a multiple of 16, which is never given back; 0 where there is none.
  (func (export "alloc") (param $size i32) (result i32)
    (local $address i32) (local $end i64) (local $missing i64)
    (local.set $address (global.get $free))
    (local.set $end (i64.and
      (i64.add (i64.add (i64.extend_i32_u (local.get $address)) (i64.extend_i32_u (local.get $size))) (i64.const 15))
      (i64.const -16)))
    (local.set $missing (i64.sub (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then
        (if (i32.eq
              (memory.grow (i32.wrap_i64 (i64.shr_u (i64.add (local.get $missing) (i64.const 65535)) (i64.const 16))))
              (i32.const -1))
          (then (return (i32.const 0))))))
    (if (i64.ge_u (local.get $end) (i64.const 0xffff_ffff)) (then (return (i32.const 0))))
    (global.set $free (i32.wrap_i64 (local.get $end)))
    (local.get $address))

  (func (export "scale") (param $vector i32) (param $count i32) (param $factor f64)
    (local $end i32)
    (local.set $end (i32.add (local.get $vector) (i32.shl (local.get $count) (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $vector) (local.get $end)))
        (f64.store (local.get $vector) (f64.mul (f64.load (local.get $vector)) (local.get $factor)))
        (local.set $vector (i32.add (local.get $vector) (i32.const 8)))
        (br $next))))

  (func (export "sum") (param $vector i32) (param $count i32) (result f64)
    (local $end i32) (local $sum f64)
    (local.set $end (i32.add (local.get $vector) (i32.shl (local.get $count) (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $vector) (local.get $end)))
        (local.set $sum (f64.add (local.get $sum) (f64.load (local.get $vector))))
        (local.set $vector (i32.add (local.get $vector) (i32.const 8)))
        (br $next)))
    (local.get $sum)))
