"""Images of decoded modules: they say what decoding says, and what is no image is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from tests.binary.builder import ModuleBuilder
from tests.cache import tampering
from tests.cache.equality import facts
from tests.differential.make import drawn
from tests.fuzz import corpus
from tests.fuzz.make import make
from tests.spec.suite import PROJECT_ROOT, shared_folder
from vibewasm import FuncType, GlobalType, Limits, ValType, WasmError
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import MEMORY, ModuleInfo
from vibewasm.binary.support import MAX_FUNCTION_SIZE
from vibewasm.cache import packing
from vibewasm.cache.image import COUNTS, HEADER, Damaged, pack, sizes, unpack
from vibewasm.constant_opcodes import V128_CONST
from vibewasm.opcodes import CODE
from vibewasm.types import EXNREF, EXTERNREF, FUNCREF, NOT_NULL
from vibewasm.wat import wat2wasm

SEED = 1
MUTANTS = 400
TAMPERED = 600

#: A module with something of everything.
EVERYTHING = wat2wasm(
    """
(module $everything
  (type $unused (func (param i32 i64 f32 f64 v128 funcref externref) (result i32 i64)))
  (type $again (func (param i32 i64 f32 f64 v128 funcref externref) (result i32 i64)))
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
  (global $v v128 (v128.const i64x2 1 0x8000000000000000))
  (global $w (mut v128) (v128.const i64x2 -1 2))
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


@pytest.mark.ci
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


@pytest.mark.ci
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
    features = frozenset({"memory64", "multi-memory"})
    with pytest.raises(Damaged):
        unpack(image, data, features)
    with_features = pack(decode(data, features))
    assert facts(unpack(with_features, data, features)) == facts(decode(data, features))
    for others in (frozenset[str](), frozenset({"multi-memory"}), frozenset({"multi-memory", "threads"})):
        with pytest.raises(Damaged):
            unpack(with_features, data, others)


def test_a_part_of_an_image_and_one_with_more_after_it_are_refused() -> None:
    image = pack(decode(EVERYTHING))
    for end in range(1, len(image)):
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
            "binary binary.module_info binary.support bundle bundled bundled_command cache cache.container "
            "cache.image cache.kept_info constant_opcodes errors extern_types lookalikes types"
        ).split()
    }


@pytest.mark.parametrize("count", [TAMPERED // 4, pytest.param(TAMPERED, marks=pytest.mark.ci)])
def test_tampered_images_are_refused_or_do_no_harm(count: int) -> None:
    print(f"seed {SEED}; python -m tests.cache.tampering --seed {SEED} --only N shows one")
    findings = [*tampering.run(SEED, range(count), 2)]
    assert len(findings) == count
    assert [finding for finding in findings if finding.problem] == []
    assert count // 10 < sum(finding.refused for finding in findings) < count * 19 // 20


# -- what is refused ---------------------------------------------------------------------------------------------------


def _limits(info: ModuleInfo, *limits: object) -> None:
    info.tables[1].limits = Limits.unchecked(*limits)  # type: ignore[arg-type]


def _pages(info: ModuleInfo, *limits: object) -> None:
    info.memories[0].limits = Limits.unchecked(*limits)  # type: ignore[arg-type]


def _unknown_parameter(info: ModuleInfo) -> None:
    type_ = FuncType.from_codes((0,), ())
    type_.param_codes = (EXNREF,)
    info.types.append(type_)


def _unknown_global(info: ModuleInfo) -> None:
    info.globals[4] = GlobalType("i32")
    _set(info.globals[4], content=SimpleNamespace(code=EXNREF))


def _first_value(info: ModuleInfo, *ops: tuple[str, int]) -> None:
    info.global_inits[0].ops = [(CODE[name], value) for name, value in ops]


def _set_data(info: ModuleInfo, index: int, **changes: object) -> None:
    """Change a data segment, which is an unusual one then."""
    info.datas._others[index] = segment = info.datas[index]
    _set(segment, **changes)


def _list(numbers: Sequence[int]) -> list[int]:
    """What a decoder has made."""
    assert isinstance(numbers, list)
    return numbers


def _set_item(items: list[int], index: int, value: int) -> None:
    items[index] = value


def _set(thing: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(thing, name, value)


#: What is said, and what is done to a module before its image is made.
WRONG: list[tuple[str, Callable[[ModuleInfo], object]]] = [
    ("type is unknown", lambda info: _unknown_parameter(info)),
    ("more parameters or results", lambda info: info.types.append(FuncType.from_codes((0,) * 1001, ()))),
    ("more parameters or results", lambda info: info.types.append(FuncType.from_codes((), (0,) * 1001))),
    ("type of a function", lambda info: info.func_type_indices.__setitem__(1, len(info.types))),
    ("more of something", lambda info: info.tables.extend(info.tables[1:2] * 100)),
    ("body is too short", lambda info: info.bodies.__setitem__(0, (info.bodies[0][0], info.bodies[0][0] + 1))),
    ("out of order", lambda info: info.bodies.reverse()),
    ("out of order", lambda info: info.bodies.__setitem__(1, (info.bodies[1][0], len(info.data) + 1))),
    ("out of order", lambda info: info.bodies.__setitem__(1, (1 << 31, (1 << 31) + 4))),
    ("start function is stated", lambda info: _set(info, start_position=len(info.data) + 1)),
    ("index is out of range", lambda info: _set(info, start=len(info.func_type_indices))),
    ("parameters or results", lambda info: _set(info, start=2)),
    ("table of what is no", lambda info: _set(info.tables[1], element=ValType("i32"))),
    ("table of a kind", lambda info: _limits(info, 1, None, True, False)),
    ("table of a kind", lambda info: _limits(info, 1, None, False, True)),
    ("limits are too large", lambda info: _limits(info, 3, 2, False, False)),
    ("limits are too large", lambda info: _limits(info, 1 << 32, None, False, False)),
    ("limits are too large", lambda info: _limits(info, 1, 1 << 32, False, False)),
    ("64-bit memory", lambda info: _pages(info, 1, None, False, True)),
    ("shared memory", lambda info: _pages(info, 1, 2, True, False)),
    ("limits are too large", lambda info: _pages(info, 65537, None, False, False)),
    ("more than one memory", lambda info: info.memories.append(info.memories[0])),
    ("positions are out of order", lambda info: info.table_positions.reverse()),
    ("positions are out of order", lambda info: info.table_positions.__setitem__(1, len(info.data) + 1)),
    ("type of a global", lambda info: _unknown_global(info)),
    ("first value of a global", lambda info: info.globals.__setitem__(4, GlobalType("v128"))),
    ("imports of other kinds", lambda info: _set(info.imports[0], kind=MEMORY)),
    ("imports of other kinds", lambda info: info.imports.pop()),
    ("positions are out of order", lambda info: info.imports.reverse()),
    ("not one value", lambda info: _first_value(info)),
    ("not one value", lambda info: _first_value(info, ("i32.const", 1), ("i32.const", 1))),
    ("of more than 32 bits", lambda info: _first_value(info, ("i32.const", 1 << 31))),
    ("of more than 32 bits", lambda info: _first_value(info, ("i32.const", -(1 << 31) - 1))),
    ("of more than 32 bits", lambda info: _first_value(info, ("f32.const", 1 << 32))),
    ("function that is not there", lambda info: _first_value(info, ("ref.func", len(info.func_type_indices)))),
    ("null of what is no", lambda info: _first_value(info, ("ref.null", 0))),
    ("global that is not constant", lambda info: _first_value(info, ("global.get", 2))),
    ("global that is not constant", lambda info: _first_value(info, ("global.get", info.imported_globals))),
    ("not constant", lambda info: _first_value(info, ("i32.const", 1), ("i32.const", 1), ("i32.xor", 0))),
    ("other operands", lambda info: _first_value(info, ("i32.const", 1), ("i64.const", 1), ("i32.add", 0))),
    ("other operands", lambda info: _first_value(info, ("i32.const", 1), ("i32.add", 0))),
    ("other operands", lambda info: _first_value(info, ("i32.const", 1), ("i32.const", 1), ("i32.add", 1))),
    ("lie outside", lambda info: _set(info.global_inits[0], offset=len(info.data) + 1)),
    ("first value of a global", lambda info: _first_value(info, ("i64.const", 1))),
    ("export of what is not", lambda info: _set(info.exports[0], index=len(info.func_type_indices))),
    ("export of what is not", lambda info: _set(info.exports[3], index=1)),
    ("export of what is not", lambda info: _set(info.exports[4], index=len(info.tables))),
    ("index is out of range", lambda info: _set(info.exports[4], kind=4)),
    ("two exports", lambda info: _set(info.exports[1], name="")),
    ("positions are out of order", lambda info: info.exports.reverse()),
    ("element is a function", lambda info: info.elements[0].funcs.append(len(info.func_type_indices))),  # type: ignore[union-attr]
    ("elements of what is no", lambda info: _set(info.elements[4], type=0)),
    ("elements of what is no", lambda info: _set(info.elements[0], type=EXTERNREF)),
    ("elements of what is no", lambda info: _set(info.elements[0], type=EXNREF)),
    ("elements of what is no", lambda info: _set(info.elements[0], type=EXTERNREF + NOT_NULL)),
    ("elements of what is no", lambda info: _set(info.elements[4], type=FUNCREF + NOT_NULL)),
    ("elements of what is no", lambda info: _set(info.elements[4], type=0xFF)),
    ("table of another type", lambda info: _set(info.elements[0], table=2)),
    ("index is out of range", lambda info: _set(info.elements[0], table=len(info.tables))),
    ("element of another type", lambda info: _set(info.elements[4].exprs[0], ops=[(CODE["ref.null"], FUNCREF)])),  # type: ignore[index]
    ("not active has an offset", lambda info: _set(info.elements[1], offset=info.elements[0].offset)),
    ("not active has an offset", lambda info: _set(info.elements[1], table=1)),
    ("no offset", lambda info: _set(info.elements[0], offset=None)),
    ("one of another type", lambda info: _set(info.elements[0], offset=info.global_inits[1])),
    ("positions are out of order", lambda info: _set(info, elements=[*reversed(info.elements)])),
    ("data segments that are not there", lambda info: _set(info, data_count=len(info.datas) + 1)),
    ("data segments that are not there", lambda info: _set(info, data_count=len(info.datas) - 1)),
    ("no offset", lambda info: _set_data(info, 1, offset=None)),
    ("not active has an offset", lambda info: _set_data(info, 2, offset=info.datas[1].offset)),
    ("index is out of range", lambda info: _set_data(info, 2, mode="declarative")),
    ("index is out of range", lambda info: _set_data(info, 1, memory=1)),
    ("out of order", lambda info: _list(info.datas.positions).reverse()),
    ("out of order", lambda info: _set_item(_list(info.datas.ends), 0, info.datas.starts[0] - 1)),
    ("out of order", lambda info: _set_item(_list(info.datas.ends), -1, len(info.data) + 1)),
    ("out of order", lambda info: _set(info.sections[0], payload=info.sections[0].end + 1)),
    ("out of order", lambda info: _set(info.sections[-1], end=len(info.data) + 1)),
]


@pytest.mark.parametrize(("message", "spoil"), WRONG, ids=[f"{at}-{wrong[0]}" for at, wrong in enumerate(WRONG)])
def test_what_no_module_says_is_refused(
    message: str, spoil: Callable[[ModuleInfo], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = decode(EVERYTHING)
    # A plain list, which can be changed.
    _set(info, bodies=[*info.bodies])
    spoil(info)
    # Also what such a module would be decoded anew for.
    monkeypatch.setattr(packing, "_is_usual", lambda _: True)
    with pytest.raises(Damaged, match=message):
        unpack(pack(info), EVERYTHING)


def test_data_segments_of_a_memory_that_is_not_there_are_refused() -> None:
    info = decode(wat2wasm('(module (memory 1) (data (i32.const 1) "a"))'))
    info.memories.clear()
    info.memory_positions.clear()
    with pytest.raises(Damaged, match="memory that is not there"):
        unpack(pack(info), info.data)


def test_a_body_longer_than_functions_may_be_is_refused() -> None:
    info = decode(wat2wasm(f'(module (func) (memory 1) (data "{"a" * (MAX_FUNCTION_SIZE + 1)}"))'))
    (start, _), end = info.bodies[0], len(info.data)
    for size, refused in ((MAX_FUNCTION_SIZE, False), (MAX_FUNCTION_SIZE + 1, True)):
        info.bodies = [(end - size, end)]
        assert start < end - size
        if refused:
            with pytest.raises(Damaged, match="too long"):
                unpack(pack(info), info.data)
        else:
            assert [*unpack(pack(info), info.data).bodies] == info.bodies


def test_types_that_leave_codes_over_are_refused() -> None:
    data = wat2wasm("(module (type (func (param i32))))")
    image = pack(decode(data))
    words = _names(decode(data)) * 4
    assert unpack(_with(image, 2, words, 1), data).types == [FuncType(["i32"], [])]
    with pytest.raises(Damaged, match="types are not as long"):
        unpack(_with(image, 2, words, 0), data)


def test_vectors_are_as_many_as_stated_and_have_two_halves() -> None:
    data = wat2wasm("(module (global v128 (v128.const i64x2 3 4)) (global i64 (i64.const 5)))")
    image = pack(check(data))
    assert [image[HEADER + 8 * quad] for quad in range(3)] == [3, 5, 4]
    made = unpack(_with(image, 1, 16 + 7, 0x80), data).global_inits
    assert [expr.ops for expr in made] == [[(V128_CONST, 3 | (4 | 1 << 63) << 64)], [(CODE["i64.const"], 5)]]
    opcodes = image.index(b"\xfd\x42", HEADER) - HEADER - 8 * 3 - 4 * sum(sizes(_counts(image))[1:3])
    for at, byte in ((opcodes, 0x42), (opcodes + 1, 0xFD)):
        with pytest.raises(Damaged, match="vectors are not as many"):
            unpack(_with(image, 4, at, byte), data)


def _names(info: ModuleInfo) -> int:
    """How many names the image of a module has that exports nothing: those of features and of sections."""
    return len(info.features) + len(info.sections)


def _counts(image: bytes) -> dict[str, int]:
    return dict(zip(COUNTS, memoryview(image)[:HEADER].cast("I").tolist()[5:], strict=True))


def test_elements_that_are_left_over_are_refused() -> None:
    info = decode(wat2wasm("(module (table 1 funcref) (func) (elem func 0 0 0))"))
    image = pack(info)
    # Names, types (two counts, one index), a function, where the table lies; then the segment's table and offset.
    length = 4 * (_names(info) + 3 + 1 + 1 + 2)
    assert image[HEADER + 16 + length] == 3
    with pytest.raises(Damaged, match="elements are not as many"):
        unpack(_with(image, 2, length, 2), info.data)


def _with(image: bytes, part: int, at: int, value: int) -> bytes:
    """An image with another byte in one of its parts: 0 is the header, then come quads, words, ranges, bytes, text."""
    quads, words, ranges, bytes_ = sizes(_counts(image))
    begins = [0, *accumulate((HEADER, 8 * quads, 4 * words, 4 * ranges, bytes_))]
    changed = bytearray(image)
    changed[begins[part] + at] = value
    return bytes(changed)


def test_what_cannot_be_said_of_a_module_is_refused() -> None:
    data = wat2wasm('(module (memory $m 1 2) (export "ab" (memory $m)) (data (i32.const 1) "a"))')
    image = pack(decode(data))
    for part, at, value, message in (
        (0, 0, 0, "not the image"),
        (0, 4 * 29, 1, "not as long as its counts"),
        (2, 0, 1, "names are not as long"),
        (3, 3, 0x80, "offsets of data segments"),
        (4, 0, 9, "unknown limits"),
        (4, 0, 0, "unknown limits"),
        (5, 0, 0xFF, "no text"),
        (5, 0, 0xED, "no text"),
    ):
        with pytest.raises(Damaged, match=message):
            unpack(_with(image, part, at, value), data)


#: What an image does not say.
UNUSUAL = [
    "(tag)",
    '(import "m" "t" (tag))',
    "(table 1 funcref (ref.func $f))",
    "(table 1 (ref func) (ref.func $f))",
    "(table 1 exnref)",
    '(import "m" "t" (table 1 (ref extern)))',
    "(type (func (param exnref)))",
    "(type (func (result (ref func))))",
    "(type $t (func (param (ref null $t))))",
    "(type (sub (func)))",
    "(rec (type (func)) (type (func (param i32))))",
    "(global exnref (ref.null exn))",
    "(global (ref $t) (ref.func $f))",
    "(global (ref func) (ref.func $f))",
    '(import "m" "g" (global (ref null $t)))',
    "(global funcref (ref.null $t))",
    "(table 1 funcref) (elem (i32.const 0) (ref $t) (ref.func $f))",
    "(table 1 funcref) (elem (i32.const 0) (ref null $t) (ref.null $t))",
    "(elem funcref (ref.null $t) (ref.func $f))",
    "(elem declare (ref $t) (ref.func $f))",
]


@pytest.mark.parametrize("fields", UNUSUAL)
def test_what_an_image_does_not_say_has_an_empty_one_and_is_decoded_anew(fields: str) -> None:
    data = wat2wasm(
        f"(module (type $t (func)) {fields} (func $f (type $t)))".replace("(type $t (func)) (type $t", "(type $t")
    )
    assert pack(decode(data)) == b""
    unpacked = check(data)
    assert facts(unpacked) == facts(decode(data))


@pytest.mark.parametrize(
    "fields",
    [
        "(elem declare func $f)",
        "(elem func $f $f)",
        "(table 1 funcref) (elem (i32.const 0) func $f)",
        "(table 1 externref) (table $t 1 funcref) (elem (table $t) (i32.const 0) func $f)",
        "(elem funcref (ref.func $f))",
        "(elem funcref (ref.null func))",
        "(elem funcref)",
        "(elem func)",
        "(elem externref (ref.null extern))",
    ],
)
def test_segments_of_indices_and_of_expressions_keep_their_types(fields: str) -> None:
    data = wat2wasm(f"(module {fields} (func $f))")
    assert pack(decode(data))
    unpacked = check(data)
    assert [segment.type for segment in unpacked.elements] == [segment.type for segment in decode(data).elements]
