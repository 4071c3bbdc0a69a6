"""Vector constants that go to locals, and shuffles that look at one operand only: right, and without idle loads."""

from __future__ import annotations

import pytest

import vibewasm
from vibewasm.backends import TARGETS

VALUE = 0x0F0E0D0C0B0A09080706050403020100
CONST = "(v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)"
#: Makes a local so hot that ``$x`` has no register where there are this many.
HOT = (
    "".join(f"(local.set {number} (v128.or (local.get {number}) (local.get {number})))" for number in range(1, 21)) * 3
)


def text(body: str, hot: bool = False) -> str:
    """A function that stores a vector at 0; ``$in`` is one from 16, and the last of 21 others is ``$x``."""
    return f"""(module (memory (export "memory") 1) (func (export "f")
        (local $in v128) (local{" v128" * 20}) (local $x v128)
        (local.set $in (v128.load offset=16 (i32.const 0))) {HOT if hot else ""}
        (i32.const 0) {body} (v128.store)))"""


def result(source: str, argument: int = 0, checked: bool = True) -> int:
    """What the function stores, as the bits of a vector."""
    exports = vibewasm.instantiate(source, config=vibewasm.Config(checked=checked)).exports
    exports.memory[16:32] = argument.to_bytes(16, "little")
    exports.f()
    return int.from_bytes(exports.memory[0:16], "little")


def code(source: str, target: str) -> bytes:
    module = vibewasm.Module(vibewasm.Engine(vibewasm.Config(target=target)), source)
    return module.compiler.compile(0)


@pytest.mark.parametrize("hot", [False, True], ids=["pinned", "in the frame"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"(local.set $x {CONST}) (local.get $x)", VALUE),
        (f"(local.tee $x {CONST}) (v128.xor (local.get $x))", 0),
        (f"(i8x16.add (local.tee $x {CONST}) (local.get $x))", VALUE * 2),
        # The old value, which an operand still refers to, outlives the assignment.
        (f"(local.set $x (v128.not (local.get $in))) (local.get $x) (local.set $x {CONST}) (v128.not)", 0),
        ("(local.set $x (i8x16.splat (i32.const 7))) (local.get $x)", int.from_bytes(b"\7" * 16, "little")),
        ("(local.set $x (i64x2.splat (i64.const 7))) (local.get $x)", 7 << 64 | 7),
        ("(local.set $x (i32x4.splat (i32.const -1))) (local.get $x)", (1 << 128) - 1),
    ],
)
def test_a_constant_goes_to_a_local(body: str, expected: int, hot: bool) -> None:
    assert result(text(body, hot)) == expected


def test_a_constant_for_a_local_of_another_type_is_refused() -> None:
    for word in ("set", "tee"):
        source = f"(module (func (local i32) (local.{word} 0 {CONST}) {'drop' if word == 'tee' else ''}))"
        with pytest.raises(vibewasm.ValidationError, match=f"local.{word}"):
            vibewasm.Module(vibewasm.Engine(vibewasm.Config(compilation="eager")), source)


LANES = [*range(0, 16, 2), *range(1, 16, 2)]
SHUFFLED = int.from_bytes(bytes(LANES), "little")


@pytest.mark.parametrize("hot", [False, True], ids=["pinned", "in the frame"])
@pytest.mark.parametrize(
    "body",
    [
        f"(local.set $x {CONST}) (i8x16.shuffle {{first}} (local.get $x) (local.get $in))",
        f"(local.set $x {CONST}) (i8x16.shuffle {{second}} (local.get $in) (local.get $x))",
        f"(i8x16.shuffle {{first}} (local.tee $x {CONST}) (local.get $x))",
        f"(i8x16.shuffle {{second}} {CONST} (v128.not (v128.not {CONST})))",
        f"(i8x16.shuffle {{first}} {CONST} (local.get $in))",
        f"(i8x16.shuffle {{second}} (local.get $in) {CONST})",
    ],
)
def test_a_shuffle_of_one_operand(body: str, hot: bool) -> None:
    first, second = (" ".join(str(lane + base) for lane in LANES) for base in (0, 16))
    source = text(body.format(first=first, second=second), hot)
    assert result(source, argument=0x55 * (VALUE // 0xFF)) == SHUFFLED


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("operands", ["(i32.const 1) (local.get 0)", "(local.get 0) (i32.const 1)"])
def test_what_a_shuffle_does_not_look_at_has_a_type_all_the_same(operands: str, target: str) -> None:
    source = f"(module (func (param v128) (drop (i8x16.shuffle {'0 ' * 16} {operands}))))"
    with pytest.raises(vibewasm.ValidationError, match=r"i8x16\.shuffle"):
        vibewasm.Module(vibewasm.Engine(vibewasm.Config(compilation="eager", target=target)), source)


@pytest.mark.parametrize("target", TARGETS)
def test_a_shuffle_does_not_load_what_it_does_not_look_at(target: str) -> None:
    lanes = " ".join(map(str, LANES))
    one = code(text(f"(i8x16.shuffle {lanes} (v128.not (local.get $in)) (local.get $x))", hot=True), target)
    other = code(text(f"(i8x16.shuffle {lanes} (v128.not (local.get $in)) (v128.const i64x2 0 0))", hot=True), target)
    assert len(one) == len(other)
