"""Any bytes at all: an error of ours or a module, in time and memory that the bytes justify."""

from __future__ import annotations

import os
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary import encode
from tests.binary.builder import FUNC, ModuleBuilder
from tests.binary.dense import COMPILED, DECODED, NAMED
from tests.binary.encode import (
    END,
    HEADER,
    func_type,
    i32_const,
    module,
    null,
    raw_func_type,
    rec_group,
    ref,
    section,
    sub_type,
    vector,
)
from tests.binary.judge import rejection, wasmtime_says
from tests.binary.mutate import CODE, mutant, split
from tests.growth import assert_linear
from tests.spec.suite import HOW_TO_GET
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError

SHARED = Path(os.environ.get("VIBEWASM_SHARED") or Path(__file__).parents[3] / "shared")
PROGRAMS = SHARED / "programs"
SQLITE = PROGRAMS / "sqlite3" / "sqlite3.wasm"


def small_modules() -> list[bytes]:
    """Small valid modules that have every section. Their bodies are ``unreachable``, valid whatever the types."""
    trap = b"\0"
    full = ModuleBuilder()
    full.import_func("env", "f", ["i32", "f64"], ["i64"])
    full.import_global("env", "g", "i32")
    full.import_table("env", "t", 1, 5)
    full.import_memory("env", "m", 1, 2)
    full.func([], [], trap, export="run")
    full.func(["funcref", "externref"], ["f32", "i32"], trap)
    full.table(3, element="externref", export="table")
    full.global_("i32", encode.global_get(0) + i32_const(-77) + b"\x6c", export="global")
    full.global_("i64", encode.i64_const(2**40) + encode.i64_const(-1) + b"\x7d", mutable=True)
    full.global_("f32", encode.f32_const(1.5))
    full.global_("f64", encode.f64_const(-2.0))
    full.global_("funcref", encode.ref_func(2))
    full.elem([0, 1, 2], 1)
    full.elem([1], None)
    full.elem([2, 2], declarative=True)
    full.elem_exprs("funcref", [encode.ref_null(), encode.ref_func(1)], encode.global_get(0))
    full.elem_exprs("externref", [encode.ref_null("externref")], 2, table=1)
    full.data(b"hello", 16)
    full.data(b"world", None)
    full.start(1)
    full.custom("other", b"contents")
    plain = ModuleBuilder()
    plain.func(["i32"] * 3, ["i32"], trap, export="a", name="a")
    plain.func([], [], trap)
    plain.memory(1, 65536, export="memory")
    plain.table(2)
    plain.elem([0, 1], 0)
    plain.data(b"\0" * 130, encode.i32_const(1000))
    plain.name("plain")
    return [full.build(), plain.build(), control()]


def control() -> bytes:
    """A module with types of every kind, tags, typed references and tables with a first value."""
    return module(
        section(
            "type",
            vector(
                [
                    func_type(),
                    func_type(["i32"]),
                    rec_group(
                        sub_type(raw_func_type([null(3)], [null("func")])),
                        sub_type(raw_func_type([ref(2)]), final=True),
                    ),
                    sub_type(raw_func_type([null("func")], [ref("func")]), 2),
                    raw_func_type([ref(0), null(5), b"\x69"], [null("exn")]),
                    rec_group(),
                ]
            ),
        ),
        section("import", vector([b"\1m\1t\4\0\1", b"\1m\1f\0\0", b"\1m\1g\3" + ref(0) + b"\0"])),
        section("function", b"\3\0\4\2"),
        section(
            "table",
            vector(
                [
                    b"\x40\0" + ref(0) + b"\0\2" + encode.ref_func(0) + END,
                    b"\x40\0" + null("func") + b"\1\1\3" + encode.global_get(0) + END,
                    null(2) + b"\0\1",
                    b"\x69\0\1",
                ]
            ),
        ),
        section("tag", vector([b"\0\0", b"\0\1"])),
        section(
            "global",
            vector(
                [
                    ref(0) + b"\1" + encode.ref_func(1) + END,
                    null(2) + b"\0" + encode.ref_func(3) + END,
                    null("exn") + b"\1\xd0\x74" + END,
                ]
            ),
        ),
        section("export", vector([b"\1a\4\0", b"\1b\4\2", b"\1c\0\1", b"\1d\1\1", b"\1e\3\2"])),
        section(
            "element",
            vector(
                [
                    b"\2\1" + i32_const(0) + END + b"\0\2\0\2",
                    b"\5" + ref(0) + b"\2" + encode.ref_func(0) + END + encode.global_get(0) + END,
                    b"\6\0" + i32_const(1) + END + ref(0) + b"\1" + encode.ref_func(1) + END,
                    b"\7" + null(2) + b"\1" + b"\xd0\2" + END,
                ]
            ),
        ),
        section("code", b"\3" + b"\3\0\0\x0b" * 3),
    )


MODULES = [split(wasm) for wasm in small_modules()]


@given(wasm=st.binary(max_size=200), header=st.booleans())
def test_arbitrary_bytes_give_our_errors_only(wasm: bytes, header: bool) -> None:
    rejection(HEADER + wasm if header else wasm)


@given(number=st.integers(0, 14), contents=st.binary(max_size=100))
def test_arbitrary_sections_give_our_errors_only(number: int, contents: bytes) -> None:
    wasm = module(section(number, contents))
    error = rejection(wasm)
    assert error is None or error.offset is None or 0 <= error.offset <= len(wasm)


@settings(max_examples=1000)
@given(rng=st.randoms(use_true_random=False))
def test_mutants_are_accepted_and_rejected_as_by_wasmtime(rng: random.Random) -> None:
    wasm = mutant(rng, MODULES, spare=(CODE,))
    ours = rejection(wasm)
    if ours is not None and ours.message.startswith("compact import section"):
        # wasmtime has this proposal on, and no switch for it.
        return
    theirs = wasmtime_says(wasm, gc=ours is None or not ours.message.startswith("garbage collection"))
    assert (ours is None) == (theirs is None), f"{wasm.hex()}: {ours!s} / {theirs}"


@pytest.mark.skipif(not PROGRAMS.is_dir(), reason=f"no real programs in ../shared/programs: {HOW_TO_GET}")
def test_mutants_of_real_programs_give_our_errors_only() -> None:
    smallest = sorted(PROGRAMS.glob("*/*.wasm"), key=lambda path: path.stat().st_size)[:5]
    modules = [split(path.read_bytes()) for path in smallest]
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for number in range(300):
        wasm = mutant(rng, modules)
        try:
            info = decode(wasm)
        except (DecodeError, ValidationError):
            continue
        except Exception as error:
            raise AssertionError(f"mutant {number} of seed {seed}") from error
        assert all(start < end <= len(wasm) for start, end in info.bodies)


@pytest.mark.skipif(not PROGRAMS.is_dir(), reason=f"no real programs in ../shared/programs: {HOW_TO_GET}")
def test_all_real_programs_decode() -> None:
    for path in PROGRAMS.glob("*/*.wasm"):
        wasm = path.read_bytes()
        info = decode(wasm)
        assert info.bodies
        assert all(wasm[end - 1] == END[0] for _, end in info.bodies)
        assert info.func_names is info.func_names


NUMBER = 10_000
#: Bytes of memory for a byte of module, and what else a module may take.
MOST, BESIDES = 40, 300_000


def read_names(wasm: bytes) -> None:
    """Ask for names that are not there."""
    info = decode(wasm)
    assert info.func_names.get(1 << 31) is None
    assert info.local_names.get(1 << 31) is None
    assert info.names.of("tag").get(1 << 31) is None


@pytest.mark.parametrize("what", DECODED)
def test_memory_is_in_proportion_to_the_bytes(what: str) -> None:
    assert_little_memory(DECODED[what], rejection)


@pytest.mark.parametrize("what", NAMED)
def test_names_take_memory_in_proportion_to_the_bytes(what: str) -> None:
    assert_little_memory(NAMED[what], read_names)


@pytest.mark.parametrize("what", ["br_table", "br_table with long depths", "br_table to loops", "functions"])
def test_compiling_takes_memory_in_proportion_to_the_bytes(what: str) -> None:
    engine = vw.Engine(vw.Config(compilation="eager"))
    assert_little_memory(lambda n: COMPILED[what](10 * n), lambda wasm: vw.Module(engine, wasm))


@pytest.mark.ci
@pytest.mark.parametrize("what", [*DECODED, *NAMED])
def test_time_is_in_proportion_to_the_bytes(what: str) -> None:
    # Some are invalid; what counts is what it took to find out.
    if what in NAMED:
        assert_linear(NAMED[what], read_names, NUMBER)
    else:
        assert_linear(DECODED[what], rejection, NUMBER)


def assert_little_memory(make: Callable[[int], bytes], work: Callable[[bytes], object]) -> None:
    # What is loaded or made once is not the module's.
    work(make(1000))
    wasm = make(NUMBER)
    tracemalloc.start()
    made = work(wasm)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del made
    assert peak < MOST * len(wasm) + BESIDES


@pytest.mark.parametrize("count", [b"\xff\xff\xff\xff\x0f", b"\xff\xff\x3f"])
def test_the_word_of_a_count_allocates_nothing(count: bytes) -> None:
    tracemalloc.start()
    for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13):
        for tail in (b"", bytes(1000)):
            with pytest.raises(DecodeError):
                decode(module(section(number, count + tail)))
    with pytest.raises(DecodeError):
        decode(module(section("type", b"\1\x60" + count)))
    for before in (b"\x4e", b"\x4e\1\x60", b"\x50\0\x60\1\x70", b"\x60\1\x64\x70", b"\x50\0\x5f"):
        with pytest.raises(DecodeError):
            decode(module(section("type", b"\1" + before + count)))
    with pytest.raises(DecodeError):
        decode(module(section("element", b"\1\1\0" + count)))
    with pytest.raises(DecodeError):
        decode(module(section("import", b"\1" + count)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_many_exports_of_one_name_are_found_in_linear_time() -> None:
    def make(number: int) -> bytes:
        m = ModuleBuilder()
        m.func()
        for i in range(number):
            m.export(str(i % (number - 1)), FUNC, 0)
        return m.build()

    def refuse(wasm: bytes) -> None:
        with pytest.raises(ValidationError, match="duplicate export name '0'"):
            decode(wasm)

    assert_linear(make, refuse, 5_000)


@pytest.mark.skipif(not SQLITE.is_file(), reason=f"no sqlite3/sqlite3.wasm in ../shared/programs: {HOW_TO_GET}")
def test_decoding_a_large_program_leaves_its_bodies_alone() -> None:
    wasm = SQLITE.read_bytes()
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        info = decode(wasm)
    finally:
        sys.setprofile(before)
    # A function costs some calls, whatever it does; its bytes cost none.
    assert calls < 12 * (len(info.bodies) + len(info.types) + len(info.exports)) < len(wasm) // 4
