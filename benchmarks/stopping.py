"""How long after its deadline everything ends that is done on a guest's behalf: modules, texts, tables, files and
waits that would each take much longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from time import monotonic

import vibewasm

from .report import Figure, Report
from .session import Session

#: Seconds after the deadline.
BAR = 0.1

_HEADER = b"\0asm\1\0\0\0"
_I32, _FUNCREF = b"\x7f", b"\x70"


# -- modules that take long --------------------------------------------------------------------------------------------


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _section(number: int, contents: bytes) -> bytes:
    return bytes((number,)) + _unsigned(len(contents)) + contents


def _vector(items: list[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _sized(contents: bytes) -> bytes:
    return _unsigned(len(contents)) + contents


def _type(params: int, results: int) -> bytes:
    return b"\x60" + _unsigned(params) + _I32 * params + _unsigned(results) + _I32 * results


def _module(
    types: list[bytes], bodies: list[bytes], *, before: bytes = b"", after: bytes = b"", type: int = 0
) -> bytes:
    """A module whose functions all have one type and of which the first is exported as ``run``."""
    return (
        _HEADER
        + _section(1, _vector(types))
        + _section(3, _unsigned(len(bodies)) + _unsigned(type) * len(bodies))
        + before
        + _section(7, _vector([_sized(b"run") + b"\0\0"]))
        + after
        + _section(10, _vector([_sized(b"\0" + body + b"\x0b") for body in bodies]))
    )


def _blocks(count: int = 2_000_000) -> bytes:
    """Blocks from 1,000 values to 1,000."""
    body = b"\x41\0" * 1000 + b"\x02\1\x0b" * count + b"\x1a" * 1000
    return _module([_type(0, 0), _type(1000, 1000)], [body])


def _code(size: int = 7_000_000) -> bytes:
    """One function of usual instructions."""
    return _module([_type(0, 0)], [b"\x41\1\x41\2\x6a\x1a" * (size // 6)])


def _jump_table(size: int = 3_000_000) -> bytes:
    """One br_table of many targets."""
    return _module([_type(0, 0)], [b"\x41\0\x0e" + _unsigned(size) + b"\0" * (size + 1)])


def _functions(count: int = 900_000) -> bytes:
    """As many functions as there may be, nearly."""
    return _module([_type(0, 0)], [b""] * count)


def _types(count: int = 900_000) -> bytes:
    """Types of functions, all different."""
    kinds = (b"\x7f", b"\x7e", b"\x7d", b"\x7c")
    types = []
    for index in range(count):
        digits = []
        while index:
            index, digit = divmod(index, 4)
            digits.append(kinds[digit])
        types.append(b"\x60" + _unsigned(len(digits)) + b"".join(digits) + b"\0")
    return _HEADER + _section(1, _vector(types))


def _customs(count: int = 3_000_000) -> bytes:
    """Custom sections."""
    return _HEADER + _section(0, b"\0") * count


def _imports(count: int = 300_000) -> bytes:
    entries = [_sized(b"m") + _sized(b"%d" % index) + b"\0\0" for index in range(count)]
    return _HEADER + _section(1, _vector([_type(0, 0)])) + _section(2, _vector(entries))


def _exports(count: int = 900_000) -> bytes:
    entries = [_sized(b"%d" % index) + b"\0\0" for index in range(count)]
    return (
        _HEADER
        + _section(1, _vector([_type(0, 0)]))
        + _section(3, b"\1\0")
        + _section(7, _vector(entries))
        + _section(10, b"\1\2\0\x0b")
    )


def _elements(count: int = 9_900_000, segments: int = 5, *, passive: bool = False, body: bytes = b"") -> bytes:
    """Element segments of many items, active ones at offset 0 of one table."""
    segment = (b"\1\0" if passive else b"\0\x41\0\x0b") + _unsigned(count) + b"\0" * count
    table = _section(4, b"\1" + _FUNCREF + b"\0" + _unsigned(count))
    return _module([_type(0, 0)], [body], before=table, after=_section(9, _vector([segment] * segments)))


def _expressions(count: int = 2_000_000) -> bytes:
    """An element segment of expressions."""
    segment = b"\4\x41\0\x0b" + _unsigned(count) + b"\xd0\x70\x0b" * count
    table = _section(4, b"\1" + _FUNCREF + b"\0" + _unsigned(count))
    return _module([_type(0, 0)], [b""], before=table, after=_section(9, b"\1" + segment))


def _datas(count: int = 1, size: int = 900_000_000) -> bytes:
    """Data segments, all of which lie at offset 0 of a memory."""
    data = b"\0\x41\0\x0b" + _sized(b"x" * size)
    return _HEADER + _section(5, b"\1\0" + _unsigned(14_000) + b"") + _section(11, _unsigned(count) + data * count)


def _globals(count: int = 900_000) -> bytes:
    return _HEADER + _section(6, _unsigned(count) + b"\x7f\0\x41\0\x0b" * count)


def _table_code(instructions: bytes, *, size: int = 9_900_000) -> bytes:
    """A function with a table of funcref and a passive segment, of a tenth of its size."""
    body = b"\x03\x40" + instructions + b"\x0c\0\x0b"
    segment = b"\1\0" + _unsigned(size // 10) + b"\0" * (size // 10)
    table = _section(4, b"\1" + _FUNCREF + b"\0" + _unsigned(size))
    return _module([_type(0, 0)], [body], before=table, after=_section(9, b"\1" + segment))


def _constant(value: int) -> bytes:
    """i32.const of a number below 2**31."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return b"\x41" + bytes((*out, value & 0x7F))


def _text(count: int = 400_000) -> str:
    return "(module (func " + "(drop (i32.add (i32.const 1) (i32.const 2)))" * count + "))"


def _nested_text(depth: int = 300_000) -> str:
    return "(module (func " + "(block " * depth + ")" * depth + "))"


# -- what is measured --------------------------------------------------------------------------------------------------


def _late(action: Callable[[], object], seconds: float = 0.2) -> float:
    """How long after a deadline an action ends."""
    begun = monotonic()
    try:
        with vibewasm.deadline(seconds):
            action()
    except vibewasm.Interrupted:
        return monotonic() - begun - seconds
    took = monotonic() - begun
    raise AssertionError(f"it was to take long, and was over after {took:.2f} seconds")


def _made(data: bytes | str, **settings: object) -> Callable[[], object]:
    engine = vibewasm.Engine(vibewasm.Config(**settings))  # type: ignore[arg-type]  # names of settings
    return lambda: vibewasm.Module(engine, data)


def _instantiated(data: bytes) -> Callable[[], object]:
    engine = vibewasm.Engine()
    module = vibewasm.Module(engine, data)
    return lambda: vibewasm.Linker(engine).instantiate(vibewasm.Store(engine), module)


def _called(data: bytes) -> Callable[[], object]:
    instance = vibewasm.instantiate(data)
    run: Callable[[], object] = instance.exports.run
    return run


def _wasi(call: str, results: str, config: vibewasm.WasiConfig, pages: int = 40) -> Callable[[], object]:
    """A program that calls a function of WASI again and again, with 1 MiB at 64 KiB for its buffer."""
    text = f"""(module (import "wasi_snapshot_preview1" "{call}" (func $call (param {results}) (result i32)))
        (memory (export "memory") {pages})
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 1048576))
            (loop (drop (call $call {_ARGUMENTS[call]})) (br 0))))"""
    start: Callable[[], object] = vibewasm.instantiate(text, wasi=config).exports._start
    return start


_ARGUMENTS = {
    "fd_write": "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)",
    "fd_read": "(i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)",
    "random_get": "(i32.const 0) (i32.const 0xFFFF0000)",
    "poll_oneoff": "(i32.const 128) (i32.const 65536) (i32.const 1) (i32.const 8)",
}
_FOUR = "i32 i32 i32 i32"


def _fifo() -> str:
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    # Somebody has it open, and says nothing.
    os.open(path, os.O_RDWR)
    return path


def _listed(count: int = 100_000) -> Callable[[], object]:
    folder = tempfile.mkdtemp()
    for index in range(count):
        os.close(os.open(f"{folder}/{index}", os.O_CREAT | os.O_WRONLY))
    text = """(module
        (import "wasi_snapshot_preview1" "fd_readdir" (func $call (param i32 i32 i32 i64 i32) (result i32)))
        (memory (export "memory") 200)
        (func (export "_start")
            (loop
                (drop (call $call (i32.const 3) (i32.const 0) (i32.const 13000000) (i64.const 0) (i32.const 13000000)))
                (br 0))))"""
    config = vibewasm.WasiConfig(stdin=b"", preopens={"/": folder})
    start: Callable[[], object] = vibewasm.instantiate(text, wasi=config).exports._start
    return start


def _many_objects() -> Callable[[], object]:
    """Looks for objects that are held, again and again, in a table that is full of them."""
    text = """(module (table $t 0 externref)
        (func (export "fill") (param externref) (drop (table.grow $t (local.get 0) (i32.const 9900000)))))"""
    exports = vibewasm.instantiate(text).exports
    exports.fill(object())

    def look() -> None:
        while True:
            exports.fill.store.gc()

    return look


def _many_exceptions() -> Callable[[], object]:
    """Throws for ever while a table is full of exceptions, in which the collector looks."""
    text = """(module (tag $e) (table $t 0 exnref)
        (func (export "run") (local $x exnref)
            (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e)) unreachable)
            (local.set $x)
            (drop (table.grow $t (local.get $x) (i32.const 9900000)))
            (loop
                (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e)) unreachable)
                drop (br 0))))"""
    run: Callable[[], object] = vibewasm.instantiate(text).exports.run
    return run


CASES: dict[str, Callable[[], Callable[[], object]]] = {
    "decode many functions": lambda: _made(_functions()),
    "decode many types": lambda: _made(_types()),
    "decode custom sections": lambda: _made(_customs()),
    "decode exports": lambda: _made(_exports()),
    "decode imports": lambda: _made(_imports()),
    "decode elements": lambda: _made(_elements()),
    "decode elements of expressions": lambda: _made(_expressions()),
    "decode globals": lambda: _made(_globals()),
    "compile blocks of 1,000 values, eager": lambda: _made(_blocks(), compilation="eager"),
    "check blocks of 1,000 values": lambda: _made(_blocks(), compilation="lazy-translation"),
    "compile blocks of 1,000 values, lazy": lambda: _called(_blocks()),
    "compile blocks of 1,000 values, checked": lambda: _made(_blocks(50_000), compilation="eager", checked=True),
    "compile one large function": lambda: _made(_code(), compilation="eager"),
    "compile a br_table": lambda: _made(_jump_table(), compilation="eager"),
    "compile many functions": lambda: _made(_functions(), compilation="eager"),
    "assemble a long text": lambda: _made(_text()),
    "assemble a text nested deep": lambda: _made(_nested_text()),
    "instantiate with element segments": lambda: _instantiated(_elements()),
    "instantiate with elements of expressions": lambda: _instantiated(_expressions()),
    "instantiate with data segments": lambda: _instantiated(_datas()),
    "instantiate with many functions": lambda: _instantiated(_functions()),
    "instantiate with globals": lambda: _instantiated(_globals()),
    "table.init": lambda: _called(_table_code(b"\x41\0\x41\0" + _constant(990_000) + b"\xfc\x0c\0\0")),
    "table.copy": lambda: _called(_table_code(b"\x41\0\x41\1" + _constant(9_899_999) + b"\xfc\x0e\0\0")),
    "look for objects in a full table": _many_objects,
    "look for exceptions in a full table": _many_exceptions,
    "random_get of 4 GiB": lambda: _wasi("random_get", "i32 i32", vibewasm.WasiConfig(stdin=b""), 65535),
    "random_get of 4 GiB, with a seed": lambda: _wasi(
        "random_get", "i32 i32", vibewasm.WasiConfig(stdin=b"", random_seed=1), 65535
    ),
    "fd_write to a pipe": lambda: _wasi("fd_write", _FOUR, vibewasm.WasiConfig(stdin=b"", stdout=os.pipe()[1])),
    "fd_write to a terminal": lambda: _wasi("fd_write", _FOUR, vibewasm.WasiConfig(stdin=b"", stdout=os.openpty()[1])),
    "fd_read from a pipe": lambda: _wasi("fd_read", _FOUR, vibewasm.WasiConfig(stdin=os.pipe()[0])),
    "fd_read from a FIFO": lambda: _wasi("fd_read", _FOUR, vibewasm.WasiConfig(stdin=_fifo())),
    "fd_readdir of 100,000 entries": _listed,
    "table.fill": lambda: _called(_table_code(b"\x41\0\xd2\0" + _constant(9_900_000) + b"\xfc\x11\0")),
}


#: Command lines, and what FILE is: bytes, or a FIFO that nobody writes to.
COMMANDS: dict[str, tuple[tuple[str, ...], Callable[[], bytes] | None]] = {
    "vibewasm run, a FIFO": (("run",), None),
    "vibewasm run, blocks of 1,000 values": (("run", "--no-cache", "--invoke", "run"), _blocks),
    "vibewasm validate, blocks of 1,000 values": (("validate",), _blocks),
    "vibewasm compile, one large function": (("compile", "-o", os.devnull), _code),
    "vibewasm wasm2wat, one large function": (("wasm2wat",), _code),
}


def _late_command(words: tuple[str, ...], path: str, seconds: float) -> float:
    begun = monotonic()
    command = [sys.executable, "-m", "vibewasm", *words[:1], "--timeout", str(seconds), *words[1:], path]
    done = subprocess.run(command, capture_output=True, check=False)
    took = monotonic() - begun
    if done.returncode != 124:
        raise AssertionError(f"it was to take long, and was over after {took:.2f} seconds")
    return took - seconds


def _late_commands(words: tuple[str, ...], make: Callable[[], bytes] | None) -> Callable[[], float]:
    """How much longer a command line takes than one that is stopped at once: the start of Python is none of it."""
    path = _fifo()
    if make is not None:
        path += ".wasm"
        with open(path, "wb") as file:
            file.write(make())
    return lambda: max(_late_command(words, path, 0.5) - _late_command(words, path, 0.001), 0.0)


def measure(session: Session) -> Report:
    """Seconds after the deadline, the worst of the rounds."""
    report = Report("stopping", ["after the deadline"])
    measured: dict[str, Callable[[], float]] = {}
    for name, (words, file) in COMMANDS.items():
        measured[name] = _late_commands(words, file)
    for name, late_command in session.progress.each([*measured.items()]):
        report.rows.append((name, [max(late_command() for _ in range(session.rounds))]))
    for name, make in session.progress.each([*CASES.items()]):
        try:
            action = make()
            late = max(_late(action) for _ in range(session.rounds))
        except AssertionError as error:
            report.notes.append(f"{name}: {error}")
            continue
        report.rows.append((name, [late]))
    report.figures.append(Figure("the latest, in seconds", max(late for _, (late,) in report.rows), BAR))
    return report
