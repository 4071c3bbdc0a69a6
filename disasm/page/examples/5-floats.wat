;; Floats: a polynomial
;; Constants have no place in memory: they pass through an integer register.
(module
  (func $horner (export "horner") (param $x f64) (result f64)
    (local $y f64)
    (local.set $y (f64.const 0.5))
    (local.set $y (f64.add (f64.mul (local.get $y) (local.get $x)) (f64.const -1.25)))
    (local.set $y (f64.add (f64.mul (local.get $y) (local.get $x)) (f64.const 3)))
    (local.get $y))
  (func $hypotenuse (export "hypotenuse") (param $a f64) (param $b f64) (result f64)
    (f64.sqrt
      (f64.add
        (f64.mul (local.get $a) (local.get $a))
        (f64.mul (local.get $b) (local.get $b))))))
