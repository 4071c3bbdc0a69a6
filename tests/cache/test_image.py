"""Images of decoded modules: they say what decoding says, and what is no image is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.binary.builder import ModuleBuilder
from tests.cache import tampering
from tests.cache.equality import facts
from tests.differential.make import drawn
from tests.fuzz import corpus
from tests.fuzz.make import make
from tests.spec.suite import PROJECT_ROOT, shared_folder
from vibewasm import WasmError
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import ModuleInfo
from vibewasm.cache import packing
from vibewasm.cache.image import HEADER, Damaged, pack, unpack
from vibewasm.wat import wat2wasm

SEED = 1
MUTANTS = 400
TAMPERED = 600

#: A module with something of everything.
EVERYTHING = wat2wasm(
    """
(module $everything
  (type $unused (func (param i32 i64 f32 f64 funcref externref) (result i32 i64)))
  (type $again (func (param i32 i64 f32 f64 funcref externref) (result i32 i64)))
  (import "env" "log" (func $log (param i32)))
  (import "env" "größe ☃ 𝄞" (global $size i32))
  (import "env" "double" (global f64))
  (import "env" "var" (global $var (mut i64)))
  (import "env" "table" (table 1 2 externref))
  (import "env" "" (memory 1 3))
  (table $t 10 funcref)
  (table $u 0 0 externref)
  (global $a i32 (i32.const -1))
  (global $b i64 (i64.const 0x8000000000000000))
  (global $c f32 (f32.const nan:0x200000))
  (global $d f64 (f64.const -nan:0xfffffffffffff))
  (global $e funcref (ref.null func))
  (global $f funcref (ref.func $g))
  (global $h externref (ref.null extern))
  (global $i (mut i32) (global.get $size))
  (global $j i64 (i64.mul (i64.sub (i64.const 7) (i64.const -9)) (i64.add (i64.const 1) (i64.const 2))))
  (func $f0)
  (func $g (param $x i32) (result i32) local.get $x)
  (start $f0)
  (export "" (func $g))
  (export "g" (func $g))
  (export "log" (func $log))
  (export "memory" (memory 0))
  (export "table" (table $t))
  (export "size" (global $size))
  (elem (table $t) (i32.const 1) func $g $f0 $g $log)
  (elem func $f0)
  (elem declare func $log)
  (elem (table $t) (global.get $size) funcref (ref.func $f0) (ref.null func) (ref.null func) (global.get $f0ref))
  (elem externref (ref.null extern) (ref.null extern))
  (elem (table $t) (i32.add (i32.const 1) (global.get $size)) funcref)
  (import "env" "f0ref" (global $f0ref funcref))
  (data (i32.const 0) "abc")
  (data (i32.const -1) "")
  (data "passive")
  (data (global.get $size) "def")
  (data (memory 0) (i32.const 70000) "")
)
""".replace('  (import "env" "f0ref" (global $f0ref funcref))\n', "").replace(
        '  (import "env" "table"', '  (import "env" "f0ref" (global $f0ref funcref))\n  (import "env" "table"'
    )
)


def check(data: bytes) -> ModuleInfo:
    """The module from its image, which says what decoding says."""
    decoded = decode(data)
    unpacked = unpack(pack(decoded), data)
    assert facts(unpacked) == facts(decoded)
    assert unpacked.func_names == decoded.func_names
    assert unpacked.name == decoded.name
    return unpacked


def test_a_module_with_something_of_everything_is_the_same() -> None:
    info = check(EVERYTHING)
    assert info.elements
    assert info.datas
    # What is made of an image can be made into one.
    assert pack(info) == pack(decode(EVERYTHING))


@pytest.mark.parametrize("path", sorted(PROJECT_ROOT.glob("examples/*.wasm")), ids=lambda path: path.name)
def test_examples_are_the_same(path: Path) -> None:
    check(path.read_bytes())


def test_programs_and_modules_of_the_suite_are_the_same() -> None:
    paths = sorted(shared_folder().rglob("*.wasm"))
    if not paths:
        pytest.skip("NOT RUN: no modules in the shared folder")
    count = 0
    for data in (*(path.read_bytes() for path in paths), *corpus.load().suite):
        try:
            decode(data)
        except WasmError:
            continue
        check(data)
        count += 1
    assert count > 500


def test_mutants_and_random_modules_are_the_same() -> None:
    modules = corpus.load()
    count = 0
    for number in range(MUTANTS):
        for data in (make(SEED, number, modules).data, drawn(Random(number), number, small=True).data):
            try:
                decode(data)
            except WasmError:
                continue
            check(data)
            count += 1
    assert count > MUTANTS


def test_an_empty_module_is_the_same() -> None:
    check(b"\0asm\1\0\0\0")


def test_an_image_is_of_one_length_of_module_and_one_set_of_features() -> None:
    data = ModuleBuilder().build()
    image = pack(decode(data))
    with pytest.raises(Damaged):
        unpack(image, data + b"\0")
    features = frozenset({"memory64", "simd"})
    with pytest.raises(Damaged):
        unpack(image, data, features)
    with_features = pack(decode(data, features))
    assert facts(unpack(with_features, data, features)) == facts(decode(data, features))
    for others in (frozenset[str](), frozenset({"simd"}), frozenset({"simd", "threads"})):
        with pytest.raises(Damaged):
            unpack(with_features, data, others)


def test_a_part_of_an_image_and_one_with_more_after_it_are_refused() -> None:
    image = pack(decode(EVERYTHING))
    for end in range(len(image)):
        with pytest.raises(Damaged):
            unpack(image[:end], EVERYTHING)
    for more in (b"\0", bytes(4), bytes(64)):
        with pytest.raises(Damaged):
            unpack(image + more, EVERYTHING)


def test_a_count_that_is_too_large_is_refused_before_anything_is_made() -> None:
    image = bytearray(pack(decode(EVERYTHING)))
    for at in range(5 * 4, HEADER, 4):
        changed = image.copy()
        changed[at : at + 4] = b"\xff\xff\xff\xff"
        with pytest.raises(Damaged, match=r"supported|counts|features"):
            unpack(bytes(changed), EVERYTHING)


def test_a_module_too_long_for_its_positions_has_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "TOO_LONG", len(EVERYTHING))
    with pytest.raises(ValueError, match="2 GiB"):
        pack(decode(EVERYTHING))


def test_reading_an_image_loads_no_decoder() -> None:
    data = (PROJECT_ROOT / "examples" / "hello.wasm").read_bytes()
    program = (
        f"import sys; from vibewasm.cache.image import unpack; info = unpack({pack(decode(data))!r}, {data!r}); "
        "info.sections, info.exports, info.datas, info.bodies[0]; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("vibewasm.")}
    assert loaded <= {
        f"vibewasm.{name}"
        for name in (
            "binary binary.module_info binary.support bundle bundled cache cache.image constant_opcodes errors "
            "extern_types types"
        ).split()
    }


@pytest.mark.parametrize("count", [TAMPERED // 4, pytest.param(TAMPERED, marks=pytest.mark.ci)])
def test_tampered_images_are_refused_or_do_no_harm(count: int) -> None:
    print(f"seed {SEED}; python -m tests.cache.tampering --seed {SEED} --only N shows one")
    findings = [*tampering.run(SEED, range(count), 2)]
    assert len(findings) == count
    assert [finding for finding in findings if finding.problem] == []
    assert count // 10 < sum(finding.refused for finding in findings) < count * 19 // 20
