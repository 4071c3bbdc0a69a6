"""What the writer makes of modules."""

from __future__ import annotations

import pytest

from tests.wat.sections import sections
from vibewasm.errors import DecodeError
from vibewasm.wat import wasm2wat, wat2wasm

# As the writer writes it: sections in the binary's order.
TEXT = r"""(module $m
  (type $binary (func (param i32 i32) (result i32)))
  (type (;1;) (func))
  (import "env" "log" (func $log (type 1)))
  (table $t 1 10 funcref)
  (memory $memory 1)
  (global $g (mut i32) (i32.const 1) (i32.const 2) (i32.add))
  (export "add \"now\"" (func $add))
  (start $add)
  (elem (;0;) (offset (i32.const 0)) func $log $add)
  (elem (;1;) declare funcref (item (ref.null func)) (item (ref.func $add)))
  (func $add (type $binary) (param $a i32) (param i32) (result i32)
    (local $sum i32) (local i64 f32)
    block (result i32)  ;; label = @1
      loop  ;; label = @2
        local.get $a
        br_if 1 (;@1;)
        br 0 (;@2;)
      end
      local.get 1
      i32.load8_u offset=4
      i32.load align=1
      select (result i32)
    end
    if (type 1)  ;; label = @1
      call $log
    else
      i64.const -1
      f32.const 0.1
      f64.const nan:0x1
      call_indirect (type $binary)
      br_table 0 (;@1;) 1
      i32.const 0
      i32.const 0
      i32.const 0
      memory.init $bytes
      drop
    end)
  (data $bytes "a\00\ff\22b\5c"))
"""


def test_text_that_was_written_is_written_the_same_again() -> None:
    module = wat2wasm(TEXT, names=True)
    assert wasm2wat(module) == TEXT


def test_names_that_are_no_plain_identifiers_are_quoted_and_equal_ones_told_apart() -> None:
    module = wat2wasm('(func $"a b") (func $c) (func $d) (func $"ä")', names=True)
    twice = module.replace(b"\x01d", b"\x01c")
    heads = [line.split(" (type")[0].strip() for line in wasm2wat(twice).splitlines() if "(func $" in line]
    assert heads == ['(func $"a b"', "(func $c", "(func $c.1", '(func $"ä"']
    assert sections(wat2wasm(wasm2wat(twice))) == sections(module)


def test_deep_nesting_is_written_in_linear_space() -> None:
    deep = 20_000
    module = wat2wasm(f"(func {'block ' * deep}{'end ' * deep})")
    text = wasm2wat(module)
    assert len(text) < 250 * deep
    assert wat2wasm(text) == module


def test_an_empty_module_is_a_module() -> None:
    assert wasm2wat(b"\0asm\1\0\0\0") == "(module)\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0asm",
        b"(module)",
        b"\0asm\1\0\0\0\1",
        b"\0asm\1\0\0\0\1\5\1\x60",
        b"\0asm\1\0\0\0\x55\0",
        b"\0asm\1\0\0\0\1\2\0\0",
        b"\0asm\1\0\0\0\5\3\1\x09\0",
        b"\0asm\1\0\0\0\x08\1\0\x08\1\0",
        b"\0asm\1\0\0\0\4\4\1\x7f\0\0",
        b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a\5\1\3\0\5\x0b",
    ],
)
def test_malformed_modules_are_rejected(data: bytes) -> None:
    with pytest.raises(DecodeError):
        wasm2wat(data)


def test_a_few_bytes_do_not_become_gigabytes_of_text() -> None:
    module = wat2wasm("(func (local i32))")
    assert module.count(b"\1\1\x7f") == 1
    # One group of two billion locals: the body is four bytes longer, and so is the section.
    bomb = module.replace(b"\x0a\6\1\4\1\1\x7f\x0b", b"\x0a\x0a\1\x08\1\xff\xff\xff\xff\7\x7f\x0b")
    assert bomb != module
    with pytest.raises(DecodeError, match="too many locals"):
        wasm2wat(bomb)
