"""A vector that goes to a local in the frame stays in its register as well: it is read from there, and never when that
holds something else.
"""

from __future__ import annotations

import random

import capstone
import pytest

import vibewasm
from tests.compiler.test_vector_locals import HOT, code, result, text
from vibewasm.backends import TARGETS

INPUT = 0x0F0E0D0C0B0A09080706050403020100
ONES = (1 << 128) - 1
#: ``$x`` becomes the complement of the input, which is in a temporary then; ``$in`` is hot itself.
SET = "(local.set $x (v128.not (local.get $in)))"
FLOATS = "(f64.add (f64.mul (f64.const 2) (f64.load (i32.const 0))) (f64.sqrt (f64.load (i32.const 8))))"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"{SET} (v128.not (local.get $x))", INPUT),
        ("(v128.xor (local.tee $x (v128.not (local.get $in))) (local.get $x))", 0),
        ("(v128.xor (local.tee $x (v128.not (local.get $in))) (local.get $in))", ONES),
        # Assigned anew, in a register, as a constant, and from another local.
        (f"{SET} (local.set $x (i8x16.add (local.get $x) (local.get $x))) (local.get $x)", None),
        (f"{SET} (local.set $x (v128.const i32x4 1 0 0 0)) (v128.not (local.get $x))", ONES - 1),
        (f"{SET} (local.set $x (local.get $in)) (v128.not (local.get $x))", INPUT ^ ONES),
        # The temporaries are someone else's after each of these.
        (f"{SET} (block (nop)) (f64.store offset=32 (i32.const 0) {FLOATS}) (v128.not (local.get $x))", INPUT),
        (f"(block {SET}) (f64.store offset=32 (i32.const 0) {FLOATS}) (v128.not (local.get $x))", INPUT),
        (f"{SET} (if (i32.load (i32.const 0)) (then (nop)) (else (nop))) (v128.not (local.get $x))", INPUT),
        (f"{SET} (call $f2) (v128.not (local.get $x))", INPUT),
        (f"{SET} (memory.fill (i32.const 64) (i32.const 0) (i32.const 8)) (v128.not (local.get $x))", INPUT),
        # A loop's header is reached with what its end leaves.
        (
            f"{SET} (loop (v128.store offset=64 (i32.const 0) (v128.not (local.get $x)))"
            " (local.set $x (v128.not (local.get $in)))"
            " (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))"
            " (br_if 0 (i32.lt_u (i32.load (i32.const 32)) (i32.const 3)))) (v128.not (local.get $x))",
            INPUT,
        ),
        # A branch that is not taken leaves everything where it is.
        (
            f"(block {SET} (br_if 0 (i32.load (i32.const 32))) {SET} (drop (v128.not (local.get $x)))) (local.get $x)",
            None,
        ),
    ],
)
def test_a_local_in_the_frame_is_what_was_assigned(body: str, expected: int | None) -> None:
    source = text(body, hot=True).replace("(module ", "(module (func $f2) ", 1)
    doubled = bytes([2 * (byte ^ 255) & 255 for byte in INPUT.to_bytes(16, "little")])
    if expected is None:
        expected = int.from_bytes(doubled, "little") if "i8x16.add" in body else INPUT ^ ONES
    assert result(source, INPUT) == expected


def test_more_locals_than_are_kept_and_more_operands_than_there_are_registers() -> None:
    rng = random.Random(14)
    for _ in range(40):
        values = dict.fromkeys(range(1, 21), 0)
        stack: list[int] = []
        lines = []
        for _ in range(120):
            number = rng.randrange(1, 21)
            choice = rng.randrange(5)
            if choice == 0 or not stack:
                lines.append(f"local.get {number}")
                stack.append(values[number])
            elif choice == 1:
                lines.append("v128.not")
                stack[-1] ^= ONES
            elif choice == 2 and len(stack) > 1:
                lines.append("v128.xor")
                stack.append(stack.pop() ^ stack.pop())
            elif choice == 3:
                lines.append(f"local.tee {number}")
                values[number] = stack[-1]
            else:
                lines.append(f"v128.not local.set {number} v128.const i32x4 {number} 0 0 0")
                values[number] = stack.pop() ^ ONES
                stack.append(number)
        lines += ["v128.xor"] * (len(stack) - 1)
        expected = 0
        for value in stack:
            expected ^= value
        # The locals are hot but zero, so that most of them are in the frame.
        assert result(text("\n".join([HOT, *lines]))) == expected, lines


def frame_accesses(source: str, target: str) -> int:
    """How many instructions of the function read or write its frame."""
    if target == "x86_64":
        decoder, base = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64), "[rbp"
    else:
        decoder, base = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM), "[x29"
    decoder.skipdata = True
    return sum(base in instruction.op_str for instruction in decoder.disasm(code(source, target), 0))


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_just_assigned_is_not_loaded_again(target: str) -> None:
    shifted = "(i32x4.shl (local.tee $x (v128.not (local.get $in))) (i32.const 7))"
    rotated = f"(v128.or {shifted} (i32x4.shr_u (local.get $x) (i32.const 25)))"
    assert frame_accesses(text(rotated, hot=True), target) == frame_accesses(text(shifted, hot=True), target)


def test_who_checks_the_compiler_knows_that_temporaries_are_kept() -> None:
    source = text(f"{SET} (i8x16.add (local.get $x) (local.get $x))", hot=True)
    engine = vibewasm.Engine(vibewasm.Config(checked=True))
    assert vibewasm.Module(engine, source).compiler.compile(0)
