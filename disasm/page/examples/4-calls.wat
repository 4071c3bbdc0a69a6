;; Calls: direct, imported, through a table
;; Functions of the same module are called through a slot of the instance, others through a record.
(module
  (type $binary (func (param i32 i32) (result i32)))
  (import "env" "log" (func $log (param i32)))
  (table $operations funcref (elem $add $multiply))

  (func $add (param $a i32) (param $b i32) (result i32)
    (i32.add (local.get $a) (local.get $b)))
  (func $multiply (param $a i32) (param $b i32) (result i32)
    (i32.mul (local.get $a) (local.get $b)))

  (func (export "apply") (param $which i32) (param $a i32) (param $b i32) (result i32)
    (call $log (local.get $which))
    (call_indirect $operations (type $binary)
      (local.get $a) (local.get $b) (local.get $which)))
  (func (export "square") (param $n i32) (result i32)
    (call $multiply (local.get $n) (local.get $n))))
