"""What the writer makes of modules."""

from __future__ import annotations

import pytest

from tests.binary.encode import custom, name, section, unsigned, vector
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


#: Kinds of things in the order of their subsections of names, from 4 on.
KINDS = ("type", "table", "memory", "global", "elem", "data")
#: References to one thing of each kind that there is, and to the next one, which there is not.
BEYOND = """(module
  (type (func (param i32))) (type (struct (field i32)))
  (import "m" "f" (func (type 9))) (import "m" "t" (table 1 funcref)) (import "m" "g" (global i32))
  (func (type 0) (local i64)
    local.get 0 local.set 1 local.get 2 local.set 3 local.tee 4 global.get 0 global.set 1
    call 1 call 2 call_indirect 1 (type 2) table.get 0 table.set 1 block (type 2) end
    elem.drop 0 elem.drop 1 data.drop 0 data.drop 1 table.init 1 1 memory.init 1 ref.func 2)
  (func (type 2) local.get 0)
  (memory 1)
  (export "f" (func 3)) (export "g" (global 1)) (export "t" (table 1)) (export "m" (memory 1)) (start 3)
  (elem (table 1) (offset (global.get 1)) func 0 3) (data (memory 1) (offset (i32.const 0)) ""))"""


def test_what_does_not_exist_is_not_written_by_the_name_that_it_has_all_the_same() -> None:
    def names(kind: str) -> bytes:
        return vector([unsigned(index) + name(f"{kind}{index}") for index in range(20)])

    module = wat2wasm(BEYOND)
    of = section(2, vector([unsigned(index) + names("local") for index in range(20)]))
    of += b"".join(section(4 + place, names(kind)) for place, kind in enumerate(KINDS))
    of += section(1, names("func")) + section(10, vector([unsigned(1) + names("field")]))
    text = wasm2wat(module + custom("name", of))
    assert sections(wat2wasm(text)) == sections(module)
    assert wasm2wat(wat2wasm(text, names=True)) == text
    # What exists has its name.
    assert {word.strip("()") for word in text.split() if word.startswith("$")} == {
        "$type0", "$type1", "$func0", "$func1", "$func2", "$table0", "$memory0", "$global0", "$elem0", "$data0",
        "$local0", "$local1", "$field0",
    }  # fmt: skip


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
