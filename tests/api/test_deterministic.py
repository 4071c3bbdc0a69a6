"""Config(deterministic=True): every NaN that an instruction makes is the canonical one, on every processor."""

from __future__ import annotations

import struct
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from vibewasm.opcodes import all_rows

CANONICAL = {"f32": 0x7FC0_0000, "f64": 0x7FF8_0000_0000_0000}
#: NaNs of either sign, quiet and signalling, and other numbers.
BITS = {
    "f32": (0xFFC0_1234, 0x7FC0_0001, 0xFF80_0001, 0x7F80_1000, 0x3F80_0000, 0xFF80_0000, 0x7F80_0000, 0x8000_0000, 0),
    "f64": (
        0xFFF8_0000_0000_1234,
        0x7FF8_0000_0000_0001,
        0xFFF0_0000_0000_0001,
        0x7FF0_0000_1000_0000,
        0x3FF0_0000_0000_0000,
        0xFFF0_0000_0000_0000,
        0x7FF0_0000_0000_0000,
        0x8000_0000_0000_0000,
        0,
    ),
}
_WORDS = {"f32": "i32", "f64": "i64"}
_LETTERS = {"f": "f32", "d": "f64", "v": "v128"}
#: What moves bits and does no arithmetic.
KEEPS = {"abs", "neg", "copysign", "pmin", "pmax", "relaxed_laneselect"}
MODES: dict[str, dict[str, Any]] = {
    "lazy": {},
    "eager": {"compilation": "eager"},
    "checked": {"checked": True},
    "fuel": {"fuel": True},
}


def is_nan(type_: str, bits: int) -> bool:
    """Whether these are the bits of a NaN."""
    return bits & (1 << {"f32": 31, "f64": 63}[type_]) - 1 > {"f32": 0x7F80_0000, "f64": 0x7FF0 << 48}[type_]


def exports(text: str, **settings: Any) -> Any:
    settings = {"deterministic": True, "explicit_bounds": EMULATED} | settings
    store = vw.Store(vw.Engine(vw.Config(**settings)))
    if settings.get("fuel"):
        store.fuel = 1 << 50
    return vw.instantiate(text, store=store).exports


def scalars() -> list[tuple[str, list[str], str]]:
    """Name, operand types and result type of instructions on floats that give floats."""
    found = []
    for _, name, immediates, operands, results, _, _ in all_rows():
        if not immediates and operands and results and set(operands) <= {"f", "d"} and results in ("f", "d"):
            found.append((name, [_LETTERS[letter] for letter in operands], _LETTERS[results]))
    return found


def vectors() -> list[tuple[str, int, str]]:
    """Name, number of operands and shape of the result of vector instructions on floats that give floats."""
    found = []
    for _, name, immediates, operands, results, _, _ in all_rows():
        shape, _, operation = name.partition(".")
        if shape in ("f32x4", "f64x2") and not immediates and results == "v" and set(operands or "") == {"v"}:
            if operation not in ("eq", "ne", "lt", "gt", "le", "ge") and not operation.startswith("convert"):
                found.append((name, len(operands or ""), shape[:3]))
    return found


def word(type_: str, bits: int) -> int:
    """Bits as an argument of an integer type."""
    number: int = struct.unpack("<i" if type_ == "f32" else "<q", struct.pack("<I" if type_ == "f32" else "<Q", bits))[
        0
    ]
    return number


@pytest.mark.parametrize("mode", MODES)
def test_scalar_instructions_make_the_canonical_nan_or_keep_bits(mode: str) -> None:
    functions = []
    for name, operands, result in scalars():
        params = " ".join([_WORDS[type_] for type_ in operands])
        gets = [f"({type_}.reinterpret_{_WORDS[type_]} (local.get {n}))" for n, type_ in enumerate(operands)]
        apply = f"({name} {' '.join(gets)})"
        word_, last = _WORDS[result], len(operands)
        for way, body in (
            ("", f"({word_}.reinterpret_{result} {apply})"),
            (" local", f"(local.set {last} {apply}) ({word_}.reinterpret_{result} (local.get {last}))"),
            (" stored", f"({result}.store (i32.const 8) {apply}) ({word_}.load (i32.const 8))"),
            # As the operand of what makes the same of every NaN.
            (" chain", f"({word_}.reinterpret_{result} ({result}.mul ({result}.sqrt {apply}) ({result}.const 2)))"),
        ):
            functions.append(f'(func (export "{name}{way}") (param {params}) (result {word_}) (local {result}) {body})')
    guest = exports(f"(module (memory 1) {' '.join(functions)})", **MODES[mode])
    made = 0
    for name, operands, result in scalars():
        ones = (1 << (32 if result == "f32" else 64)) - 1
        firsts, seconds = BITS[operands[0]], BITS[operands[-1]] if len(operands) == 2 else (0,)
        for bits in [(a, b) for a in firsts for b in seconds]:
            arguments = [word(type_, value) for type_, value in zip(operands, bits, strict=False)]
            for way in ("", " local", " stored", " chain"):
                found = guest[name + way](*arguments) & ones
                if name.partition(".")[2] in KEEPS and way != " chain":
                    # But for the sign.
                    assert (found ^ bits[0]) & ones >> 1 == 0, (name, way)
                elif is_nan(result, found):
                    made += 1
                    assert found == CANONICAL[result], (name, way, [hex(value) for value in bits])
    assert made > 1000


@pytest.mark.parametrize("mode", MODES)
def test_vector_instructions_make_canonical_nans_in_each_lane_or_keep_bits(mode: str) -> None:
    functions = []
    for name, count, _ in vectors():
        gets = " ".join([f"(v128.load (i32.const {16 * n}))" for n in range(count)])
        functions += [
            f'(func (export "{name}") (v128.store (i32.const 64) ({name} {gets})))',
            f'(func (export "{name} local") (local v128) (local.set 0 ({name} {gets}))'
            " (v128.store (i32.const 64) (local.get 0)))",
            # The other shape must not take bits of a NaN of this one for its own.
            f'(func (export "{name} other") (v128.store (i32.const 64)'
            f" ({'f64x2' if name.startswith('f32') else 'f32x4'}.abs ({name} {gets}))))",
        ]
    guest = exports(f'(module (memory (export "memory") 1) {" ".join(functions)})', **MODES[mode])
    memory = guest.memory
    made = 0
    for name, count, result in vectors():
        operand = "f64" if "demote" in name else "f32" if "promote" in name else result
        lanes = 4 if operand == "f32" else 2
        values = BITS[operand]
        code = {"f32": "I", "f64": "Q"}
        for start in range(len(values)):
            operands = [
                [values[(start * (n + 1) + lane * (n + 2) + n) % len(values)] for lane in range(lanes)]
                for n in range(count)
            ]
            for n, lanes_of in enumerate(operands):
                memory[16 * n : 16 * n + 16] = struct.pack(f"<{lanes}{code[operand]}", *lanes_of)
            for way in ("", " local"):
                guest[f"{name}{way}"]()
                found = struct.unpack(f"<{4 if result == 'f32' else 2}{code[result]}", memory[64:80])
                if name.partition(".")[2] in KEEPS:
                    mask = (1 << (31 if result == "f32" else 63)) - 1
                    given = [[value & mask for value in lane] for lane in zip(*operands, strict=True)]
                    assert all(bits & mask in lane for bits, lane in zip(found, given, strict=True)), name
                    continue
                nans = [bits for bits in found if is_nan(result, bits)]
                made += len(nans)
                assert set(nans) <= {CANONICAL[result]}, (name, way, [hex(bits) for bits in found])
            plain = memory[64:80]
            guest[f"{name} other"]()
            mask128 = int.from_bytes(plain, "little")
            top = 0x7FFF_FFFF_FFFF_FFFF if name.startswith("f32") else 0x7FFF_FFFF_7FFF_FFFF
            assert int.from_bytes(memory[64:80], "little") == mask128 & (top << 64 | top), name
    assert made > 500


def test_nothing_but_arithmetic_changes_the_bits_of_a_nan() -> None:
    guest = exports(
        """(module (memory 1) (global $g (mut f64) (f64.const 0))
          (func $pass (param f64) (result f64) (local.get 0))
          (func (export "f") (param i64) (result i64) (local f64)
            (f64.store (i32.const 0) (f64.reinterpret_i64 (local.get 0)))
            (global.set $g (f64.load (i32.const 0)))
            (local.set 1 (select (call $pass (global.get $g)) (f64.const 1) (i32.const 1)))
            (i64.reinterpret_f64 (block (result f64) (local.get 1)))))"""
    )
    for bits in BITS["f64"]:
        assert guest.f(word("f64", bits)) == word("f64", bits)


def test_many_nans_under_pressure_of_registers_are_canonical() -> None:
    depth = 24
    body = "".join([f"(f64.div (local.get 0) (f64.const {0 if n % 2 else 3}))" for n in range(depth)])
    # All of them are on the stack at once; their bits are or-ed together in the end.
    text = f"""(module (func (export "f") (param f64) (result i64) (local i64 f64)
      {body}
      {"(local.set 2) (local.set 1 (i64.or (local.get 1) (i64.reinterpret_f64 (local.get 2))))" * depth}
      (local.get 1)))"""
    assert exports(text).f(float("nan")) == word("f64", CANONICAL["f64"])


def test_code_that_is_not_deterministic_is_without_tests_of_nans() -> None:
    text = '(module (func (export "f") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1))))'
    sizes = {}
    for deterministic in (False, True):
        for target in ("x86_64", "aarch64"):
            module = vw.Module(vw.Engine(vw.Config(deterministic=deterministic, target=target)), text)
            sizes[target, deterministic] = len(module.compiler.compile(0))
    # AArch64 has a mode for it.
    assert sizes["x86_64", True] > sizes["x86_64", False]
    assert sizes["aarch64", True] == sizes["aarch64", False]


def test_a_result_that_arithmetic_takes_next_is_not_tested() -> None:
    engine = vw.Engine(vw.Config(deterministic=True, target="x86_64"))

    def size(body: str) -> int:
        text = f'(module (func (export "f") (param f64 f64) (result f64) {body}))'
        return len(vw.Module(engine, text).compiler.compile(0))

    one = size("(f64.add (local.get 0) (local.get 1))")
    for chain in (
        "(f64.sqrt (f64.add (local.get 0) (local.get 1)))",
        "(f64.mul (f64.add (local.get 0) (local.get 1)) (local.get 1))",
    ):
        # The instruction that is added, and no second test with what is out of line for it.
        assert size(chain) - one < 16
