;; A switch
;; br_table becomes a bounds check and a jump through a table of distances, which stands after the code.
(module
  (func $days (export "days") (param $month i32) (result i32)
    (block $long
      (block $short
        (block $february
          (br_table $long $february $long $short $long $short
                    $long $long $short $long $short $long
            (local.get $month)))
        (return (i32.const 28)))
      (return (i32.const 30)))
    (i32.const 31)))
