"""Immediates of vector instructions in the text format: constants, lanes, and memories before lanes."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wat.sections import sections
from vibewasm.opcodes import all_rows
from vibewasm.wat import wasm2wat, wat2wasm
from vibewasm.wat.errors import WatError

SHAPES = {"i8x16": 16, "i16x8": 8, "i32x4": 4, "i64x2": 2, "f32x4": 4, "f64x2": 2}


def constant(literal: str) -> bytes:
    """The bytes of a ``v128.const`` with these immediates."""
    data = wat2wasm(f"(module (global v128 (v128.const {literal})))")
    at = data.index(b"\xfd\x0c") + 2
    assert data[at + 16 :] == b"\x0b"
    return data[at : at + 16]


@given(st.binary(min_size=16, max_size=16), st.sampled_from([shape for shape in SHAPES if shape[0] == "i"]))
def test_lanes_of_ints_stand_from_the_lowest_to_the_highest(data: bytes, shape: str) -> None:
    size = 16 // SHAPES[shape]
    lanes = [data[at : at + size] for at in range(0, 16, size)]
    for signed in (False, True):
        numbers = [int.from_bytes(lane, "little", signed=signed) for lane in lanes]
        assert constant(f"{shape} {' '.join(map(str, numbers))}") == data
        assert constant(f"{shape} {' '.join([f'{number:+#x}' for number in numbers])}") == data


@given(st.binary(min_size=16, max_size=16))
def test_a_constant_is_written_in_one_shape_that_is_read_as_the_same_bits(data: bytes) -> None:
    module = wat2wasm("(module (func (drop (v128.const i64x2 0 0))))").replace(bytes(16), data)
    text = wasm2wat(module)
    lanes = struct.unpack("<4I", data)
    assert f"v128.const i32x4 {' '.join([f'{lane:#010x}' for lane in lanes])}" in text
    assert wat2wasm(text) == module


@pytest.mark.parametrize(
    ("literal", "data"),
    [
        ("f32x4 1 -0 inf -nan", struct.pack("<4I", 0x3F800000, 0x80000000, 0x7F800000, 0xFFC00000)),
        ("f32x4 nan:0x1 nan:0x7f_ffff 0x1p-149 1e-46", struct.pack("<4I", 0x7F800001, 0x7FFFFFFF, 1, 0)),
        ("f64x2 0x1.8p1 -nan:0x4000000000000", struct.pack("<2Q", 0x4008 << 48, 0xFFF4 << 48)),
        ("i16x8 0xffff -1 -0x8000 65_535 0 1 2 3", bytes.fromhex("ffff ffff 0080 ffff 0000 0100 0200 0300")),
        ("i8x16" + " -128 255" * 8, bytes.fromhex("80ff") * 8),
    ],
)
def test_what_lanes_mean(literal: str, data: bytes) -> None:
    assert constant(literal) == data


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        *[
            (f"{shape}{' 0' * (count - 1)}", f"wrong number of lane literals: {shape}")
            for shape, count in SHAPES.items()
        ],
        *[
            (f"{shape}{' 0' * (count + 1)}", f"wrong number of lane literals: {shape}")
            for shape, count in SHAPES.items()
        ],
        ("i8x16" + " 0" * 100000, "wrong number of lane literals: i8x16 has 16"),
        ("i32x4 0 0 0 $x", "wrong number of lane literals"),
        ('i32x4 0 0 0 "0"', "wrong number of lane literals"),
        ("i32x4 0 0 0 nan:canonical", "wrong number of lane literals"),
        ("i32x4 0 0 0 0_", "unknown operator 0_"),
        ("i32x4 0 0 0 zero", "unknown operator zero"),
        ("i32x4 0 0 0 0.5", "unexpected token 0.5"),
        ("i32x4 0 0 0 inf", "unexpected token inf"),
        ("i8x16 256" + " 0" * 15, "constant out of range"),
        ("i16x8 0 0 0 0 0 0 0 -32769", "constant out of range"),
        ("f32x4 0 0 0 1e39", "constant out of range"),
        ("f64x2 0 nan:0x10000000000000", "constant out of range"),
        ("0 0 0 0", "unexpected token 0: before its lanes v128.const has a shape, such as i32x4"),
        ("i32 0", "unexpected token i32"),
        ("i32x5 0", "unknown operator i32x5"),
        ("", "unexpected token )"),
    ],
)
def test_constants_that_are_malformed(literal: str, message: str) -> None:
    with pytest.raises(WatError) as caught:
        constant(literal)
    assert caught.value.message.startswith(message)


def test_a_text_that_ends_amid_lanes_ends_too_early() -> None:
    for text in ("(v128.const", "(v128.const i32x4", "(v128.const i32x4 0 0 0", "(i8x16.shuffle 0 1"):
        with pytest.raises(WatError, match="the text ends too early"):
            wat2wasm(f"(module (func {text}")


def body(instructions: str) -> bytes:
    """The bytes of an expression, in a module with two memories, the second of which is ``$m``."""
    module = wat2wasm(f"(module (memory 1) (memory $m 1) (func {instructions}))")
    [code] = [contents for _, contents in sections(module) if isinstance(contents, list)]
    text = wasm2wat(module)
    assert sections(wat2wasm(text)) == sections(module)
    return code[0][1:-1]


@pytest.mark.parametrize(
    ("immediates", "encoded"),
    [
        ("3", "00 00 03"),
        ("0 3", "00 00 03"),
        ("1 3", "40 01 00 03"),
        ("$m 3", "40 01 00 03"),
        ("offset=5 3", "00 05 03"),
        ("align=1 3", "00 00 03"),
        ("1 offset=5 3", "40 01 05 03"),
        ("1 align=1 3", "40 01 00 03"),
        ("$m offset=5 align=1 3", "40 01 05 03"),
        ("0x1 0x3", "40 01 00 03"),
        ("255", "00 00 ff"),
    ],
)
@pytest.mark.parametrize(("name", "opcode"), [("v128.load8_lane", "fd 54"), ("v128.store8_lane", "fd 58")])
def test_a_memory_may_stand_before_a_lane(immediates: str, encoded: str, name: str, opcode: str) -> None:
    assert body(f"{name} {immediates}") == bytes.fromhex(opcode + encoded)
    assert body(f"{name} {immediates} i32.const 1") == bytes.fromhex(opcode + encoded + "41 01")
    assert body(f"({name} {immediates} (i32.const 1))") == bytes.fromhex("41 01" + opcode + encoded)


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        ("v128.load8_lane", "unexpected token )"),
        ("v128.load8_lane $m", "unexpected token )"),
        ("v128.load8_lane offset=1", "unexpected token )"),
        ("v128.load8_lane 1 offset=1", "unexpected token )"),
        ("v128.load8_lane $n 0", "unknown memory $n"),
        ("v128.load8_lane 256", "i8 constant out of range"),
        ("v128.load8_lane 1 256", "i8 constant out of range"),
        ("v128.load8_lane align=3 0", "alignment must be a power of two"),
        ("i8x16.extract_lane_s", "unexpected token )"),
        ("i8x16.extract_lane_s -1", "unexpected token -1"),
        ("i8x16.extract_lane_s 256", "i8 constant out of range"),
        ("i8x16.shuffle", "invalid lane length"),
        ("i8x16.shuffle" + " 0" * 15, "invalid lane length"),
        ("i8x16.shuffle" + " 0" * 17, "invalid lane length"),
        ("i8x16.shuffle" + " 0" * 15 + " 256", "i8 constant out of range"),
        ("i8x16.shuffle" + " 0" * 15 + " -1", "i8 constant out of range"),
        ("i8x16.shuffle" + " 0" * 15 + " x", "unknown operator x"),
        ("i8x16.foo", "unknown operator i8x16.foo"),
    ],
)
def test_lanes_that_are_malformed(instruction: str, message: str) -> None:
    with pytest.raises(WatError) as caught:
        body(instruction)
    assert caught.value.message.startswith(message)


def test_lanes_of_a_shuffle_are_sixteen_bytes_whether_they_are_there_or_not() -> None:
    lanes = [0, 31, 32, 255, *range(12)]
    assert body(f"i8x16.shuffle {' '.join(map(str, lanes))}") == b"\xfd\x0d" + bytes(lanes)


def test_every_vector_instruction_is_written_as_wasmtime_reads_it() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    examples = {
        "": "",
        "memarg": " offset=16",
        "memarg lane": " offset=16 1",
        "lane": " 1",
        "lanes": " 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31",
        "v128": " i32x4 0x00000001 0x00000002 0x00000003 0x00000004",
    }
    rows = [row for row in all_rows() if row[5] in ("simd", "relaxed-simd")]
    assert len(rows) == 256
    text = "\n".join([f"    {row[1]}{examples[row[2]]}" for row in rows])
    module = wat2wasm(f"(module (memory 1) (func unreachable\n{text}))")
    assert text in wasm2wat(module)
    assert sections(bytes(wasmtime.wat2wasm(wasm2wat(module)))) == sections(module)


def test_a_text_without_vector_instructions_does_not_load_their_rows() -> None:
    program = (
        "import sys; from vibewasm.wat import wat2wasm, wasm2wat; wasm2wat(wat2wasm('(module (func nop))')); "
        "print('vibewasm.vector_opcodes' in sys.modules); wat2wasm('(module (func (drop (v128.const i64x2 1 2))))'); "
        "print('vibewasm.vector_opcodes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
