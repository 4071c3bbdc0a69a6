"""What fuel is taken for, to the unit, in every mode; how much is in `vibewasm/fuel_costs.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests import deterministic
from tests.native import EMULATED
from tests.wasi.program import Program
from vibewasm import fuel_costs as costs
from vibewasm.opcodes import CODE
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.preview1 import FUNCTIONS

PLENTY = 1 << 40
MODES: dict[str, dict[str, Any]] = {**deterministic.MODES, "deterministic": {"deterministic": True}}
BULK = """(module
  (import "host" "f" (func $host (param i32 i64) (result f64)))
  (memory (export "memory") 4 10)
  (table $t (export "table") 1000 2000 funcref)
  (elem $e func $nothing $nothing $nothing $nothing $nothing)
  (data $d "0123456789abcdef0123456789abcdef0123456789abcdef")
  (func $nothing (export "nothing"))
  (func (export "memory.fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "memory.copy") (param i32) (memory.copy (i32.const 1) (i32.const 0) (local.get 0)))
  (func (export "memory.init") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "memory.grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "data.drop") (param i32) (data.drop $d))
  (func (export "table.fill") (param i32) (table.fill $t (i32.const 0) (ref.null func) (local.get 0)))
  (func (export "table.copy") (param i32) (table.copy $t $t (i32.const 1) (i32.const 0) (local.get 0)))
  (func (export "table.init") (param i32) (table.init $t $e (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "table.grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
  (func (export "elem.drop") (param i32) (elem.drop $e))
  (func (export "host") (param i32) (drop (call $host (local.get 0) (i64.const 1))))
)"""
#: By export: how many instructions it has besides, and what it costs by its argument.
BY_SIZE: dict[str, tuple[int, Callable[[int], int]]] = {
    "memory.fill": (3, lambda n: n // costs.BYTES),
    "memory.copy": (3, lambda n: n // costs.BYTES),
    "memory.init": (3, lambda n: n // costs.BYTES),
    "memory.grow": (1, lambda n: n * 65536 // costs.BYTES),
    "data.drop": (0, lambda n: 0),
    "table.fill": (3, lambda n: n // costs.ELEMENTS),
    "table.copy": (3, lambda n: n // costs.ELEMENTS),
    "table.init": (3, lambda n: n * costs.SEGMENT_ELEMENT),
    "table.grow": (2, lambda n: n // costs.ELEMENTS),
    "elem.drop": (0, lambda n: 0),
}
HOST = costs.HOST_CALL + 3 * costs.HOST_VALUE


class Guest:
    """An instance of a module, and what its functions use up."""

    def __init__(self, text: str, imports: Any = None, **settings: Any) -> None:
        settings = {"fuel": True, "explicit_bounds": EMULATED} | settings
        self.store = vw.Store(vw.Engine(vw.Config(**settings)))
        self.store.fuel = PLENTY
        self.instance = vw.instantiate(text, imports, store=self.store)

    def __call__(self, name: str, *arguments: int) -> Any:
        return self.instance.exports[name](*arguments)

    def used(self, name: str, *arguments: int) -> int:
        self.store.fuel = PLENTY
        self(name, *arguments)
        return PLENTY - self.store.fuel


def bulk(**settings: Any) -> Guest:
    return Guest(BULK, {"host": {"f": lambda a, b: 1.5}}, **settings)


@pytest.mark.parametrize("mode", MODES)
def test_bulk_instructions_and_host_calls_cost_what_they_do(mode: str) -> None:
    guest = bulk(**MODES[mode])
    for name, (others, by_size) in BY_SIZE.items():
        for size in (0, 1, 2, 5) if name in ("memory.grow", "table.init") else (0, 1, 15, 16, 33):
            expected = others + costs.INSTRUCTIONS[name] + by_size(size)
            if name == "memory.grow":
                guest = bulk(**MODES[mode])
            assert guest.used(name, size) == expected, (name, size)
    assert guest.used("host", 5) == 3 + HOST


@pytest.mark.parametrize("mode", MODES)
def test_with_a_unit_too_little_nothing_is_done(mode: str) -> None:
    for name, size in (
        ("memory.fill", 64),
        ("memory.copy", 64),
        ("memory.init", 48),
        ("table.fill", 20),
        ("table.copy", 20),
        ("table.init", 5),
    ):
        guest = bulk(**MODES[mode])
        if name != "table.init":
            guest("table.init", 5)
        guest.instance.exports.memory[0:4] = b"abcd"
        exports = guest.instance.exports
        before = (exports.memory[0:100], len(exports.memory), [item is None for item in exports.table])
        others, by_size = BY_SIZE[name]
        enough = others + costs.INSTRUCTIONS[name] + by_size(size)
        guest.store.fuel = enough - 1
        with pytest.raises(vw.OutOfFuel, match=rf"^all fuel consumed\n  at {re.escape(name)} ") as caught:
            guest(name, size)
        assert [frame.func_name for frame in caught.value.frames] == [name]
        assert guest.store.fuel == 0
        assert before == (exports.memory[0:100], len(exports.memory), [item is None for item in exports.table]), name
        guest.store.fuel = enough
        guest(name, size)
        assert guest.store.fuel == 0
        assert before != (exports.memory[0:100], len(exports.memory), [item is None for item in exports.table]), name


@pytest.mark.parametrize("mode", MODES)
def test_what_is_asked_for_costs_before_it_is_checked(mode: str) -> None:
    guest = bulk(**MODES[mode])
    for name in ("memory.fill", "memory.copy", "memory.init", "table.fill", "table.copy", "table.init"):
        guest.store.fuel = 1_000_000
        with pytest.raises(vw.OutOfFuel):
            guest(name, -1)
        assert guest.store.fuel == 0
        others, by_size = BY_SIZE[name]
        most = others + costs.INSTRUCTIONS[name] + by_size(0xFFFF_FFFF)
        guest.store.fuel = most + 1
        with pytest.raises(vw.Trap, match="out of bounds"):
            guest(name, -1)
        assert guest.store.fuel == 1


@pytest.mark.parametrize("mode", MODES)
def test_growth_that_cannot_be_paid_for_ends_the_guest_after_it(mode: str) -> None:
    guest = bulk(**MODES[mode])
    exports = guest.instance.exports
    for name, size, grown in (("memory.grow", 1, exports.memory), ("table.grow", 20, exports.table)):
        others, by_size = BY_SIZE[name]
        enough = others + costs.INSTRUCTIONS[name] + by_size(size)
        for fuel, done in ((others + costs.INSTRUCTIONS[name] - 1, False), (enough - 1, True)):
            before = len(grown)
            guest.store.fuel = fuel
            with pytest.raises(vw.OutOfFuel, match=rf"^all fuel consumed\n  at {re.escape(name)} "):
                guest(name, size)
            assert guest.store.fuel == 0
            assert (len(grown) > before) == done
        guest.store.fuel = enough
        guest(name, size)
        assert guest.store.fuel == 0


def test_growth_that_is_refused_costs_no_more_than_the_instruction() -> None:
    guest = bulk(max_memory=5 << 16)
    for name in ("memory.grow", "table.grow"):
        for size in (-1, 6, 70_000, 3_000_000) if name == "memory.grow" else (-1, 1001, 3_000_000):
            assert guest.used(name, size) == BY_SIZE[name][0] + costs.INSTRUCTIONS[name]
            assert guest(name, size) == -1


def test_exhaustion_by_the_largest_amounts_again_and_again_does_not_wrap_around() -> None:
    guest = bulk()
    guest.store.fuel = 1_000_000
    for _ in range(100):
        for name in ("memory.fill", "table.init"):
            with pytest.raises(vw.OutOfFuel):
                guest(name, -1)
            assert guest.store.fuel == 0
    guest.store.fuel = 2**63 - 1
    guest("memory.fill", 16)
    assert guest.store.fuel == 2**63 - 1 - 3 - costs.INSTRUCTIONS["memory.fill"] - 1


def test_a_host_function_that_there_is_too_little_fuel_for_is_not_called() -> None:
    called: list[int] = []

    def host(a: int, b: int) -> float:
        called.append(a)
        return 1.5

    guest = Guest(BULK, {"host": {"f": host}})
    guest.store.fuel = 3 + HOST - 1
    with pytest.raises(vw.OutOfFuel, match=r"^all fuel consumed\n  at host "):
        guest("host", 1)
    assert (called, guest.store.fuel) == ([], 0)
    guest.store.fuel = 3 + HOST
    guest("host", 2)
    assert (called, guest.store.fuel) == ([2], 0)


def test_a_host_function_that_knows_its_caller_costs_the_same() -> None:
    linker = vw.Linker(vw.Engine(vw.Config(fuel=True, explicit_bounds=EMULATED)))
    linker.define("host", "f", lambda caller, a, b: 1.5, caller=True)
    store = vw.Store(linker.engine)
    store.fuel = PLENTY
    instance = linker.instantiate(store, vw.Module(linker.engine, BULK))
    for _ in range(3):
        # The first call, the second, and those after that go different ways.
        store.fuel = PLENTY
        instance.exports.host(1)
        assert PLENTY - store.fuel == 3 + HOST
    store.fuel = HOST
    with pytest.raises(vw.OutOfFuel):
        instance.exports.host(1)


def test_a_host_function_reads_adds_and_takes_fuel_exactly() -> None:
    seen: list[int] = []

    def look(change: int) -> None:
        seen.append(store.fuel)
        store.fuel += change

    guest = Guest(
        """(module (import "host" "look" (func $look (param i32)))
          (func (export "f") (param i32)
            (call $look (i32.const 0)) (call $look (i32.const 1000))
            (call $look (i32.const -500)) (call $look (i32.const 0))))""",
        {"host": {"look": look}},
    )
    store = guest.store
    call = 2 + costs.HOST_CALL + costs.HOST_VALUE
    store.fuel = 10_000
    guest("f", 0)
    left = 10_000
    for amount, change in zip(seen, (0, 1000, -500, 0), strict=True):
        left -= call
        assert amount == left
        left += change
    assert store.fuel == left


def test_fuel_that_a_host_function_takes_away_or_gives_decides_what_comes_after() -> None:
    refused: list[str] = []

    def change(amount: int) -> None:
        try:
            store.fuel = amount
        except ValueError as error:
            refused.append(str(error))

    guest = Guest(
        """(module (import "host" "set" (func $set (param i64)))
          (func (export "f") (param i64) (call $set (local.get 0)) (loop (br 0))))""",
        {"host": {"set": change}},
    )
    store = guest.store
    for amount in (0, 1, 1000):
        store.fuel = PLENTY
        with pytest.raises(vw.OutOfFuel):
            guest("f", amount)
        assert store.fuel == 0
    store.fuel = 1000
    with pytest.raises(vw.OutOfFuel):
        guest("f", -1)
    assert refused == ["fuel is an amount from 0 to 2**63 - 1, not -1"]


def test_a_host_function_may_catch_the_end_of_fuel_of_a_call_within_and_refuel() -> None:
    def rescue() -> int:
        with pytest.raises(vw.OutOfFuel):
            guest("spin")
        assert store.fuel == 0
        store.fuel += 100
        return store.fuel

    guest = Guest(
        """(module (import "host" "rescue" (func $rescue (result i32)))
          (func (export "spin") (loop (br 0))) (func (export "f") (result i32) (call $rescue)))""",
        {"host": {"rescue": rescue}},
    )
    store = guest.store
    store.fuel = 10_000
    assert guest("f") == 100
    assert store.fuel == 100


@pytest.mark.parametrize("mode", MODES)
def test_what_functions_and_branches_carry_costs(mode: str) -> None:
    many = " ".join(["i64"] * 40)
    values = "(i64.const 1)" * 40
    guest = Guest(
        f"""(module
          (type $t (func (param {many}) (result {many})))
          (func (export "locals") (local {many}))
          (func $pass (export "pass") (type $t) {"".join(f"(local.get {n})" for n in range(40))})
          (func (export "call") {values} (call $pass) {"(drop)" * 40})
          (func (export "br") (block (result {many}) {values} (br 0)) {"(drop)" * 40})
          (func (export "table") (block (result {many}) {values} (br_table 0 0 0 (i32.const 1))) {"(drop)" * 40})
          (func (export "loop") (param i32)
            {values}
            (loop (param {many}) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) {"(drop)" * 40}))
          (func (export "end") (block (result {many}) {values}) {"(drop)" * 40}))""",
        **MODES[mode],
    )
    assert guest.used("locals") == 40 // costs.VALUES
    assert guest.used("pass", *[1] * 40) == 40 + 80 // costs.VALUES + 40 // costs.VALUES
    assert guest.used("call") == 40 + 1 + guest.used("pass", *[1] * 40)
    assert guest.used("br") == 40 + 1 + 40 // costs.VALUES
    assert guest.used("table") == 40 + 2 + 40 // costs.VALUES
    assert guest.used("loop", 7) == 40 + 7 * (5 + 40 // costs.VALUES)
    assert guest.used("end") == 40 + 40 // costs.VALUES


def test_an_instruction_whose_number_is_written_at_length_costs_the_same() -> None:
    """What comes after a prefix is a LEB128 number, which may have more bytes than it needs."""
    from vibewasm.wat import wat2wasm

    short = wat2wasm(
        '(module (memory 1) (func (export "f") (memory.fill (i32.const 0) (i32.const 1) (i32.const 160))))'
    )
    at = short.index(b"\xfc\x0b\x00")
    long = bytearray(short[:at] + b"\xfc\x8b\x80\x00\x00" + short[at + 3 :])
    section = short.index(b"\x0a", 0, at)
    while section + 2 + short[section + 1] < len(short) or short[section] != 10:
        section = short.index(b"\x0a", section + 1, at)
    long[section + 1] += 2
    long[section + 3] += 2
    used = []
    for module in (short, bytes(long)):
        store = vw.Store(vw.Engine(vw.Config(fuel=True, explicit_bounds=EMULATED)))
        store.fuel = 1000
        vw.instantiate(module, store=store).exports.f()
        used.append(1000 - store.fuel)
    assert used == [3 + costs.INSTRUCTIONS["memory.fill"] + 10] * 2


@pytest.mark.parametrize("mode", MODES)
def test_an_assignment_costs_whether_or_not_it_is_compiled_with_the_instruction_before(mode: str) -> None:
    """Which ones are depends on the registers that there are."""
    values = {
        "i32": [
            "(i32.add (local.get 0) (i32.const 33))",
            "(i32.load offset=34 (local.get 0))",
            "(i32.load offset=4386 (local.get 0))",
            "(i32.load offset=100000 (i32.const 33))",
            "(global.get 33)",
            "(memory.size)",
            "(table.size 0)",
            "(i32.eqz (local.get 33))",
            "(i32.trunc_sat_f32_s (f32.const 33))",
            "(select (result i32) (local.get 33) (local.get 34) (i32.const 33))",
            "(i32.and (i32.shr_u (local.get 0) (i32.const 33)) (i32.const 1))",
            "(i32x4.extract_lane 1 (v128.const i32x4 33 34 0x22212221 0x21222122))",
        ],
        "f64": [
            "(f64.add (f64.const 33) (f64.const 1e-300))",
            "(f64.load offset=33 (local.get 33))",
            "(f64.const 0.1)",
        ],
        "v128": [
            "(i8x16.add (local.get 44) (v128.load offset=33 (i32.const 34)))",
            "(v128.const i32x4 1 2 3 0x21212121)",
        ],
        "externref": ["(table.get 33 (i32.const 0))", "(ref.null extern)"],
    }
    first = {"i32": 0, "f64": 40, "v128": 44, "externref": 48}
    functions = []
    for type_, bodies in values.items():
        for number, body in enumerate(bodies):
            # Some of the locals are in registers, and some are not.
            sets = [f"(local.{'set' if n % 2 else 'tee'} {first[type_] + n} {body})" for n in range(4)]
            hot = f"(drop (local.get {first[type_] + 1}))" * 30
            functions.append(
                f'(func (export "{type_} {number}") (local{" i32" * 40}{" f64" * 4}{" v128" * 4}{" externref" * 4})'
                f" {' '.join([text + ' drop' * (not n % 2) for n, text in enumerate(sets)])} {hot})"
            )
    tables = "(table 0 externref)" * 33 + "(table 1 externref)"
    guest = Guest(
        f"(module (memory 4) {tables} {'(global i32 (i32.const 1))' * 40} {' '.join(functions)})", **MODES[mode]
    )
    for type_, bodies in values.items():
        for number, body in enumerate(bodies):
            folded = body.count("(") - body.count("(result")
            assert guest.used(f"{type_} {number}") == 52 // costs.VALUES + 4 * (folded + 1) + 30, (mode, body)


def test_throwing_costs() -> None:
    guest = Guest(
        """(module (tag $e (param i32))
          (func (export "f")
            (block $h (result i32) (try_table (catch $e $h) (throw $e (i32.const 1))) (i32.const 0)) (drop)))"""
    )
    assert guest.used("f") == 1 + costs.INSTRUCTIONS["throw"]


# -- WASI --------------------------------------------------------------------------------------------------------------


class Counted(Program):
    """A program that pays for its calls."""

    def __init__(self, config: WasiConfig, fuel: int = PLENTY) -> None:
        self.fuel = fuel
        super().__init__(config)
        self.process.charge = self.charge

    def charge(self, units: int) -> None:
        if units > self.fuel:
            raise vw.OutOfFuel
        self.fuel -= units

    def used(self, name: str, *arguments: int) -> int:
        before = self.fuel
        self.raw(name, *arguments)
        return before - self.fuel


def iovecs(program: Program, *lengths: int, at: int = 0x100) -> None:
    for index, length in enumerate(lengths):
        abi.IOVEC.pack_into(program.memory, at + abi.IOVEC.size * index, 0x1000, length)


def test_calls_of_wasi_cost_what_they_do(tmp_path: Path) -> None:
    program = Counted(WasiConfig(stdin=b"x" * 5000, stdout=str(tmp_path / "out"), preopens={"/": str(tmp_path)}))
    call = costs.WASI_CALL
    assert program.used("sched_yield") == call
    assert program.used("clock_time_get", 0, 0, 0) == call
    assert program.used("random_get", 0x1000, 300) == call + 300 * costs.WASI_RANDOM
    iovecs(program, 100, 0, 1000, 16)
    for name, fd in (("fd_write", 1), ("fd_read", 0)):
        expected = call + 4 * costs.WASI_BUFFER + 1116 // costs.BYTES
        assert program.used(name, fd, 0x100, 4, 0x80) == expected
    program.memory[0:8] = b"name.txt"
    for name, arguments in (
        ("path_create_directory", (3, 0, 8)),
        ("path_filestat_get", (3, 0, 0, 8, 0x80)),
        ("path_remove_directory", (3, 0, 8)),
        ("path_unlink_file", (3, 0, 8)),
        ("path_open", (3, 0, 0, 8, 0, 0, 0, 0, 0x80)),
    ):
        assert program.used(name, *arguments) == call + costs.WASI_PATH, name
    assert program.used("path_rename", 3, 0, 8, 3, 0, 8) == call + 2 * costs.WASI_PATH
    assert program.used("path_create_directory", 3, 0, 4096) == call + costs.WASI_PATH + 4096 // costs.BYTES
    program.memory[0:8] = b"a//../b/"
    assert program.used("path_filestat_get", 3, 0, 0, 8, 0x80) == call + costs.WASI_PATH + 4 * costs.WASI_SLASH
    program.process.args, program.process.environ = [b"x" * 20] * 3, [b"a=b"] * 2
    for name in ("args_get", "args_sizes_get"):
        assert program.used(name, 0x1000, 0x2000) == call + 3 * costs.WASI_STRING + 60 // costs.BYTES
    for name in ("environ_get", "environ_sizes_get"):
        assert program.used(name, 0x1000, 0x2000) == call + 2 * costs.WASI_STRING
    for name in ("one", "two"):
        (tmp_path / name).touch()
    entries = len({"one", "two", "out", ".", ".."})
    listing = call + 160 // costs.BYTES
    used = listing + entries * costs.WASI_ENTRY + 5 * costs.WASI_LISTED
    assert program.used("fd_readdir", 3, 0x1000, 160, 0, 0x80) == used
    assert program.used("fd_readdir", 3, 0x1000, 160, 1, 0x80) == listing + 4 * costs.WASI_LISTED
    assert program.used("fd_allocate", 3, 0, 10_240) == call + 10_240 // costs.FILE_BYTES
    assert program.used("fd_sync", 0) == call + costs.WASI_SYNC


def test_the_largest_numbers_cost_without_wrapping_around_before_anything_is_done() -> None:
    program = Counted(WasiConfig(stdin=b"abc"), fuel=10**9)
    for name, arguments in (
        ("random_get", (0, 0xFFFF_FFFF)),
        ("fd_read", (0, 0x100, 0xFFFF_FFFF, 0x80)),
        ("fd_allocate", (0, 0, (1 << 64) - 1)),
        ("poll_oneoff", (0, 0, 0xFFFF_FFFF, 0x80)),
    ):
        program.fuel = 10**8
        with pytest.raises(vw.OutOfFuel):
            program.raw(name, *arguments)
    iovecs(program, *[0xFFFF_FFFF] * 1024)
    program.fuel = 10**9
    with pytest.raises(vw.OutOfFuel):
        program.raw("fd_read", 0, 0x100, 1024, 0x80)
    iovecs(program, 3)
    program.call("fd_read", 0, 0x100, 1, 0x80)
    assert bytes(program.memory[0x1000:0x1003]) == b"abc"


PRINTS = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 8) "\\10\\00\\00\\00\\20\\00\\00\\00")
  (func (export "print") (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"""


def test_wasi_takes_the_stores_fuel() -> None:
    engine = vw.Engine(vw.Config(fuel=True, explicit_bounds=EMULATED))
    written: list[str] = []
    instance = vw.instantiate(PRINTS, wasi=vw.WasiConfig(stdout=written.append), engine=engine)
    cost = 5 + costs.WASI_CALL + costs.WASI_BUFFER + 32 // costs.BYTES
    instance.store.fuel = cost - 1
    with pytest.raises(vw.OutOfFuel, match=r"^all fuel consumed\n  at print ") as caught:
        instance.exports.print()
    assert [frame.func_name for frame in caught.value.frames] == ["print"]
    assert (written, instance.store.fuel) == ([], 0)
    instance.store.fuel = cost
    instance.exports.print()
    assert (len("".join(written)), instance.store.fuel) == (32, 0)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_names_what_there_is() -> None:
    assert set(costs.INSTRUCTIONS) <= set(CODE)
    assert set(costs.WASI) <= set(FUNCTIONS)
    assert costs.BYTES & costs.BYTES - 1 == 0
    for name, parts in costs.WASI.items():
        params = FUNCTIONS[name][0].partition(":")[0]
        assert all(position < len(params) for _, position in parts), name


def test_the_document_has_the_table(project: Path) -> None:
    text = (project / "docs" / "fuel.md").read_text(encoding="utf-8")
    instructions = dict(re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \| (\d+) \|$", text, re.MULTILINE))
    assert {name: int(cost) for name, cost in instructions.items()} == costs.INSTRUCTIONS
    constants = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", text, re.MULTILINE))
    numbers = {name: value for name, value in vars(costs).items() if isinstance(value, int) and name.isupper()}
    assert {name: int(cost) for name, cost in constants.items()} == numbers
    words = {
        "arguments": "arguments",
        "variables": "variables",
        "buffers": "buffers",
        "bytes": "bytes",
        "file": "file bytes",
        "path": "path",
        "random": "random bytes",
        "subscriptions": "subscriptions",
        "sync": "the disk",
    }
    rows = {
        name: row
        for names, row in re.findall(r"^\| (`(?:args|environ|fd|path|poll|random)_.*`) \| (.*) \|$", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(rows) == set(costs.WASI)
    for name, parts in costs.WASI.items():
        assert all(words[kind] in rows[name] for kind, _ in parts), name
        assert ("two paths" in rows[name]) == (len([kind for kind, _ in parts if kind == "path"]) == 2)
