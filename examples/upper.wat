;; A WASI tool: standard input goes to standard output, in capital letters. With two arguments, IN and OUT, it reads and writes
;; files of these names in the first directory that it was given. It exits with WASI's number of the error that it met, or 0.
;;
;;     echo hello | vibewasm run examples/upper.wat
;;     vibewasm run --dir FOLDER examples/upper.wat in.txt out.txt
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  ;; 0: numbers that functions of WASI give; 16: a buffer's address and size; 1024: arguments; 65536: the text
  (global $argv i32 (i32.const 1024))
  (global $text i32 (i32.const 65536))

  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (local.get $error)))))

  (func $length (param $string i32) (result i32) (local $end i32)
    (local.set $end (local.get $string))
    (block $out
      (loop $next
        (br_if $out (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $string)))

  ;; The file that argument $which names: to read, or new and to write. Symbolic links are followed.
  (func $open (param $which i32) (param $flags i32) (param $rights i64) (result i32) (local $path i32)
    (local.set $path (i32.load (i32.add (global.get $argv) (i32.mul (local.get $which) (i32.const 4)))))
    (call $check
      (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (call $length (local.get $path))
        (local.get $flags) (local.get $rights) (local.get $rights) (i32.const 0) (i32.const 0)))
    (i32.load (i32.const 0)))

  (func $capitals (param $at i32) (param $end i32)
    (block $out
      (loop $next
        (br_if $out (i32.eq (local.get $at) (local.get $end)))
        (if (i32.lt_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 26))
          (then
            (i32.store8 (local.get $at) (i32.sub (i32.load8_u (local.get $at)) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  ;; Write all of it: one fd_write may write less.
  (func $write (param $file i32) (param $at i32) (param $end i32)
    (block $out
      (loop $next
        (br_if $out (i32.eq (local.get $at) (local.get $end)))
        (i32.store (i32.const 16) (local.get $at))
        (i32.store (i32.const 20) (i32.sub (local.get $end) (local.get $at)))
        (call $check (call $fd_write (local.get $file) (i32.const 16) (i32.const 1) (i32.const 0)))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 0))))
        (br $next))))

  (func (export "_start") (local $in i32) (local $out i32) (local $end i32)
    (local.set $out (i32.const 1))
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    ;; 28: EINVAL
    (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 32768)) (then (call $proc_exit (i32.const 28))))
    (if (i32.eq (i32.load (i32.const 0)) (i32.const 3))
      (then
        (call $check (call $args_get (global.get $argv) (i32.const 4096)))
        (local.set $in (call $open (i32.const 1) (i32.const 0) (i64.const 2)))    ;; FD_READ
        (local.set $out (call $open (i32.const 2) (i32.const 9) (i64.const 64)))) ;; CREAT, TRUNC; FD_WRITE
      (else (if (i32.ne (i32.load (i32.const 0)) (i32.const 1)) (then (call $proc_exit (i32.const 28))))))
    (loop $more
      (i32.store (i32.const 16) (global.get $text))
      (i32.store (i32.const 20) (i32.const 65536))
      (call $check (call $fd_read (local.get $in) (i32.const 16) (i32.const 1) (i32.const 0)))
      (if (i32.load (i32.const 0))
        (then
          (local.set $end (i32.add (global.get $text) (i32.load (i32.const 0))))
          (call $capitals (global.get $text) (local.get $end))
          (call $write (local.get $out) (global.get $text) (local.get $end))
          (br $more))))))
