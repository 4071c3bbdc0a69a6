;; Module 530 of seed 1.
;; mode: fuel
;; step: ["", [], ["values", [], []]]
;; step: ["f7", [["f64", 9223372036854775808], ["i64", 0], ["f64", 4614256656552045848], ["externref", 2], ["i64", 81985529216486895], ["i32", 4294966934], ["f64", 14114281232179134464], ["f32", 0], ["i32", 65535]], ["values", [["i32", 0], ["i32", 1], ["f32", 537286936]], []]]
;; step: ["f7", [["f64", 0], ["i64", 4294967296], ["f64", 0], ["externref", 2], ["i64", 32], ["i32", 0], ["f64", 4614256656552045848], ["f32", 2147483648], ["i32", 84]], ["values", [["i32", 0], ["i32", 1], ["f32", 537286936]], []]]
;; step: ["f7", [["f64", 9221120237041090560], ["i64", 65], ["f64", 8732026366730049272], ["externref", null], ["i64", 0], ["i32", 33], ["f64", 4751297606875873280], ["f32", 3191472950], ["i32", 33]], ["values", [["i32", 0], ["i32", 1], ["f32", 537286936]], []]]
;; step: ["f7", [["f64", 4890909195324358656], ["i64", 96633938746171710], ["f64", 13830554455654793215], ["externref", null], ["i64", 4990429], ["i32", 65536], ["f64", 0], ["f32", 2711566964], ["i32", 0]], ["values", [["i32", 0], ["i32", 1], ["f32", 537286936]], []]]
;; state: [{"m": "65536 bytes 81ce1b31ec06f850aa0e325278f1a376"}, {}, {}, []]
(module
  (type (;0;) (func))
  (type (;1;) (func (result i32)))
  (type (;2;) (func (param f64 i64 f64 externref i64 i32 f64 f32 i32) (result i32 i32 f32)))
  (type (;3;) (func (param f32 i64 f64 f64 f64 f32 f64 i64 f32 i32 i64 f64 f32 f64) (result f64 f64 f64 i64 f32 i64 i64 f32 f64 f32 i64 i32 f64 f32 i64 i64 f32 f64 f32 i32 i32 f64 f64 i32)))
  (type (;4;) (func (param i64 funcref externref funcref) (result i32 i32 i64 f32 i64)))
  (type (;5;) (func (result i64 i32)))
  (type (;6;) (func (param i32 f32 f64 i64) (result i32)))
  (type (;7;) (func (param f64) (result funcref)))
  (import "env" "f0" (func (;0;) (type 0)))
  (import "env" "f1" (func (;1;) (type 2)))
  (import "env" "f2" (func (;2;) (type 4)))
  (import "env" "g0" (global (;0;) f32))
  (table (;0;) 1 12 funcref)
  (memory (;0;) 1 3)
  (global (;1;) (mut i32) (i32.const 60))
  (global (;2;) (mut i64) (i64.const -2147483649))
  (global (;3;) (mut i64) (i64.const -1))
  (global (;4;) funcref (ref.null func))
  (global (;5;) (mut i32) (i32.const 127))
  (export "f7" (func 7))
  (export "m" (memory 0))
  (func (;3;) (type 0)
    i32.const 60
    global.set 1)
  (func (;4;) (type 0))
  (func (;5;) (type 0)
    (local f32)
    i32.const 8
    i32.const 63
    f32.const -0.99999994
    i64.trunc_sat_f32_u
    i64.eqz
    select
    f32.const 9.223372e+18
    i32.const 65536
    i64.load32_u offset=13 align=1
    f64.const nan
    f64.const 9.223372036854776e+18
    i32.const -13212942
    if (result f64)  ;; label = @1
      f64.const 1
    else
      f64.const 2147483648
    end
    f32.const -1.3662911e+30
    f64.const -9.223372036854776e+18
    i32.const 2147483647
    i64.extend_i32_s
    f32.const -2.1474836e+09
    f64.const 4294967296
    f64.const -1.092809716608756e+187
    f64.eq
    i64.const -59593
    i32.const 32
    f64.load align=4
    local.get 0
    f64.const -0.9999999999999999
    call 6
    global.set 5
    drop
    drop
    i32.sub
    global.set 5
    drop
    drop
    drop
    global.set 3
    global.set 3
    drop
    drop
    global.set 5
    global.set 3
    drop
    drop
    drop
    drop
    global.set 3
    drop
    global.set 3
    f64.add
    drop
    i64.trunc_sat_f64_u
    i64.store32 offset=16384 align=2)
  (func (;6;) (type 3) (param f32 i64 f64 f64 f64 f32 f64 i64 f32 i32 i64 f64 f32 f64) (result f64 f64 f64 i64 f32 i64 i64 f32 f64 f32 i64 i32 f64 f32 i64 i64 f32 f64 f32 i32 i32 f64 f64 i32)
    (local externref i32 externref i32 f64 f32 f32 f32 f64 i32 f64 i64 i64 i32 f32)
    local.get 2
    local.get 2
    f64.const 2147483647
    local.get 25
    local.get 8
    local.get 10
    local.get 25
    local.get 28
    f64.const inf
    local.get 0
    local.get 1
    local.get 9
    f64.const 4.839231636579874e-259
    local.get 20
    local.get 1
    i64.const 9223372036854775807
    local.get 12
    local.get 18
    f32.const -0
    local.get 17
    i32.const 64
    local.get 2
    f64.const -inf
    i32.const 255)
  (func (;7;) (type 2) (param f64 i64 f64 externref i64 i32 f64 f32 i32) (result i32 i32 f32)
    (local f64 funcref f64 i32 funcref f64 i32 f32 i64 externref funcref funcref i64 f32 i32 i64 i32 f64 f32 f32 externref f64 i32 f32 i32 externref f64 externref f64)
    local.get 23
    local.get 37
    local.get 5
    if (type 7)  ;; label = @1
      drop
      ref.func 7
    else
      local.set 0
      i32.const 255
      local.get 5
      local.tee 8
      i32.sub
      local.set 8
      local.get 13
    end
    i32.const 2
    table.grow
    local.get 8
    i32.const 63
    i32.and
    i64.const -2147483649
    i64.store16 offset=11
    local.get 23
    local.get 5
    i32.const 0
    local.get 15
    local.get 15
    local.get 31
    i32.const 1
    local.get 25
    i32.const 2
    local.get 25
    local.get 31
    i32.const -53
    local.get 15
    i32.const 305419896
    local.get 12
    local.get 12
    local.get 31
    i32.const 2147483647
    i32.const -1
    local.get 23
    local.get 15
    i32.const 8
    local.get 15
    local.get 5
    local.get 12
    local.get 23
    local.get 5
    local.get 8
    i32.shr_u
    i32.add
    i32.ne
    i32.eq
    i32.ne
    i32.rotr
    i32.lt_u
    i32.ge_u
    i32.le_s
    i32.and
    i32.gt_s
    i32.ne
    i32.sub
    i32.gt_u
    i32.gt_u
    i32.sub
    i32.le_u
    i32.gt_u
    i32.xor
    i32.shr_s
    i32.lt_s
    i32.le_u
    i32.lt_u
    i32.ge_s
    i32.xor
    i32.gt_s
    i32.and
    i32.ne
    f32.const 1.137972e-19))
