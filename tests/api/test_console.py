"""``Console``: what it gives guests, and that hostile ones get nothing else."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from typing import Any

import pytest

import vibewasm as vw

#: The imports of a console, and an export for each that calls it.
NAMES = {
    "print": "i32 i32 -> i32",
    "error": "i32 i32 -> i32",
    "read_line": "i32 i32 -> i32",
    "args_count": "-> i32",
    "arg": "i32 i32 i32 -> i32",
    "time": "-> i64",
    "monotonic": "-> i64",
}
OUTSIDE_MEMORY, NO_SUCH = -1, -2
PAGE = 65536


def guest(memory: str = '(memory (export "memory") 1)') -> str:
    imports, functions = [], []
    for name, type_ in NAMES.items():
        params, result = type_.split("->")
        given = f"(param {params})" if params.strip() else ""
        arguments = " ".join(f"(local.get {index})" for index in range(len(params.split())))
        imports.append(f'(import "console" "{name}" (func ${name} {given} (result {result})))')
        functions.append(f'(func (export "{name}") {given} (result {result}) (call ${name} {arguments}))')
    return f"(module {' '.join(imports)} {memory} {' '.join(functions)})"


def exports(console: vw.Console, memory: str = '(memory (export "memory") 1)') -> Any:
    return vw.instantiate(guest(memory), {"console": console}).exports


class Guest:
    """A guest whose output is kept."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        settings = {"stdout": self.out, "stderr": self.err, **settings}
        self.exports = exports(vw.Console(*args, **settings))
        self.memory: vw.Memory = self.exports.memory

    def print(self, data: bytes, name: str = "print") -> int:
        self.memory.write(100, data)
        found: int = self.exports[name](100, len(data))
        return found

    def read_line(self, capacity: int, address: int = 0) -> bytes:
        return self.memory.read(address, self.exports.read_line(address, capacity))


def test_print_and_error_write_text() -> None:
    guest = Guest()
    assert guest.print("héllo\n".encode()) == 0
    assert guest.print(b"oh") == 0
    assert guest.print(b"no", "error") == 0
    assert guest.print(b"") == 0
    assert (guest.out.getvalue(), guest.err.getvalue()) == ("héllo\noh", "no")


@pytest.mark.parametrize(
    ("address", "size"),
    [(PAGE, 1), (PAGE - 1, 2), (0, PAGE + 1), (-1, 1), (-1, 0), (0, -1), (-1, -1), (1, -1), (1 << 31, 1 << 31)],
)
def test_no_address_outside_the_memory_is_touched(address: int, size: int) -> None:
    guest = Guest(["argument"], stdin="line\n")
    for name in ("print", "error", "read_line"):
        assert guest.exports[name](address, size) == OUTSIDE_MEMORY
    assert guest.exports.arg(0, address, size) == OUTSIDE_MEMORY
    assert guest.out.getvalue() + guest.err.getvalue() == ""
    assert guest.memory.read(0, PAGE) == bytes(PAGE)
    # And nothing is lost.
    assert guest.read_line(PAGE) == b"line\n"


def test_the_last_byte_of_the_memory_can_be_used() -> None:
    guest = Guest(["x"], stdin="y")
    guest.memory[PAGE - 1] = ord("z")
    assert guest.exports.print(PAGE - 1, 1) == 0
    assert guest.out.getvalue() == "z"
    assert guest.exports.print(PAGE, 0) == 0
    assert guest.read_line(1, PAGE - 1) == b"y"
    assert guest.exports.arg(0, PAGE - 1, 1) == 1
    assert guest.memory[PAGE - 1] == ord("x")


def test_a_guest_without_a_memory_has_no_addresses() -> None:
    found = exports(vw.Console(["x"], stdin="y"), "")
    assert [found.print(0, 1), found.error(8, 1), found.read_line(0, 1)] == [OUTSIDE_MEMORY] * 3
    assert found.arg(0, 0, 1) == OUTSIDE_MEMORY
    assert (found.print(0, 0), found.arg(0, 0, 0), found.args_count()) == (0, 1, 1)


def test_memory_above_two_gigabytes_has_unsigned_addresses() -> None:
    out = io.StringIO()
    found = exports(vw.Console(stdout=out), '(memory (export "memory") 32769)')
    high = 1 << 31
    found.memory.write(high, b"high")
    assert found.print(high, 4) == 0
    assert out.getvalue() == "high"


def test_what_is_no_utf_8_is_replaced_and_split_characters_are_joined() -> None:
    guest = Guest()
    assert guest.print(b"a\xff\xc0b\xed\xa0\x80") == 0
    assert guest.out.getvalue() == "a\ufffd\ufffdb\ufffd\ufffd\ufffd"
    for byte in "é€😀".encode():
        assert guest.print(bytes([byte])) == 0
    assert guest.out.getvalue().endswith("\ufffdé€😀")
    # Each of the two streams has its own characters.
    guest.print(b"\xc3")
    guest.print(b"e", "error")
    guest.print(b"\xa9")
    assert (guest.out.getvalue()[-1], guest.err.getvalue()) == ("é", "e")


def test_long_texts_are_written_in_pieces() -> None:
    pieces: list[str] = []
    found = exports(vw.Console(stdout=pieces.append), '(memory (export "memory") 100)')
    text = "x" + "é" * 3_000_000
    found.memory.write(0, text.encode())
    assert found.print(0, 6_000_001) == 0
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 1 << 20


def test_lines_are_read_whole_or_in_parts() -> None:
    guest = Guest(stdin="one\n\ncarriage\r\nlong lines\ré\nlast")
    assert [guest.read_line(64) for _ in range(3)] == [b"one\n", b"\n", b"carriage\r\n"]
    assert [guest.read_line(6) for _ in range(3)] == [b"long l", b"ines\r\xc3", b"\xa9\n"]
    assert guest.exports.read_line(0, 0) == NO_SUCH
    assert [guest.read_line(2) for _ in range(4)] == [b"la", b"st", b"", b""]


def test_lines_come_from_streams_and_functions() -> None:
    given = iter(["one\n", "two", ""])
    for stdin in (io.StringIO("one\ntwo"), io.TextIOWrapper(io.BytesIO(b"one\ntwo")), lambda: next(given)):
        guest = Guest(stdin=stdin)
        assert [guest.read_line(9) for _ in range(3)] == [b"one\n", b"two", b""]


def test_standard_streams_are_those_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    console = exports(vw.Console())
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("line\n"))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        size = console.read_line(0, 100)
        assert console.print(0, size) == 0
        assert console.error(0, size - 1) == 0
    assert (out.getvalue(), err.getvalue()) == ("line\n", "line")
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert (console.read_line(0, 9), console.print(0, 1), console.error(0, 1)) == (0, 0, 0)


def test_input_and_print_do_what_they_mean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n\n"))
    guest = Guest(stdin=input, stdout=print, stderr=print)
    assert [guest.read_line(9) for _ in range(3)] == [b"one\n", b"\n", b""]
    guest.print(b"a")
    guest.print(b"b\n", "error")
    assert capsys.readouterr().out == "ab\n"


def test_text_that_the_hosts_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    guest = Guest(stdout=io.TextIOWrapper(raw, "ascii", write_through=True))
    assert guest.print("snow ☃\n".encode()) == 0
    assert raw.getvalue() == b"snow \\u2603\n"


def test_arguments_are_counted_and_copied() -> None:
    guest = Guest(iter(["first", "", "zwölf\0", "\udcff"]))
    assert guest.exports.args_count() == 4
    for index, data in enumerate([b"first", b"", "zwölf\0".encode(), b"\xff"]):
        assert guest.exports.arg(index, 0, 0) == len(data)
        assert guest.exports.arg(index, 8, 64) == len(data)
        assert guest.memory.read(8, len(data)) == data
    guest.memory.write(0, b"........")
    assert guest.exports.arg(0, 0, 3) == 5
    assert guest.memory.read(0, 8) == b"fir....."
    for index in (4, -1, 1 << 31):
        assert guest.exports.arg(index, 0, 8) == NO_SUCH
    assert Guest().exports.args_count() == 0


def test_clocks_tell_the_hosts_time_or_what_they_are_told() -> None:
    found = Guest().exports
    before, now, after = time.time_ns(), found.time(), time.time_ns()
    assert before <= now <= after
    before, now, after = time.monotonic_ns(), found.monotonic(), time.monotonic_ns()
    assert before <= now <= after
    found = Guest(clock=lambda: 7).exports
    assert (found.time(), found.monotonic()) == (7, 7)
    with pytest.raises(TypeError, match=r"console\.time = Console\.time\(\) -> i64: result 1 wants an int, not str"):
        Guest(clock=lambda: "late").exports.time()


def test_exceptions_of_streams_pass_through() -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Guest(stdout=full).print(b"x")
    with pytest.raises(TypeError, match=r"^Console: stdin has to give a line as a str, not bytes"):
        Guest(stdin=lambda: b"line").read_line(4)


def test_instances_with_one_console_share_it() -> None:
    console = vw.Console(stdin="one\ntwo\n")
    first, second = exports(console), exports(console)
    assert (first.read_line(0, 2), second.read_line(0, 9), first.read_line(0, 9)) == (2, 2, 4)


def test_another_type_of_an_import_is_an_error_that_names_it() -> None:
    text = '(module (import "console" "print" (func (param i64 i32))))'
    with pytest.raises(
        vw.LinkError, match=r"console\.print = Console\.print: it is a \(i32, i32\) -> i32, not a \(i64"
    ):
        vw.instantiate(text, {"console": vw.Console()})
    linker, store = vw.Linker(), vw.Store()
    linker.define_object("console", vw.Console())
    for name, type_ in NAMES.items():
        params, result = type_.split("->")
        assert linker.get(store, "console", name).type == vw.FuncType(params.split(), result.split())
    with pytest.raises(vw.WasmError, match="called by Python code"):
        linker.get(store, "console", "print")(0, 0)  # type: ignore[operator]


def test_there_are_no_other_imports() -> None:
    from vibewasm.api.objects import methods

    assert list(methods("console", vw.Console())) == list(NAMES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"args": "one"}, "args has to be a sequence of strings, not str 'one'"),
        ({"args": 3}, "args has to be a sequence of strings, not int 3"),
        ({"args": ["a", b"b"]}, r"args\[1\] has to be a str, not bytes"),
        ({"stdin": 3}, "stdin has to be None, a str, a text stream or a function, not int 3"),
        ({"stdin": io.StringIO}, "stdin has to be None, a str, a text stream or a function, not"),
        ({"stdin": io.BytesIO()}, "stdin has to be a text stream, not BytesIO"),
        ({"stdout": io.BytesIO()}, "stdout has to be a text stream, not BytesIO"),
        ({"stdout": "file"}, "stdout has to be None, a text stream or a function, not str"),
        ({"stderr": 2}, "stderr has to be None, a text stream or a function, not int 2"),
        ({"clock": 2}, "clock has to be a function that gives nanoseconds, not int 2"),
    ],
)
def test_settings_of_wrong_types_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^Console: {message}"):
        vw.Console(**settings)


def test_an_argument_that_utf_8_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^Console: args\[0\] is no text that UTF-8 has: '\\ud800'"):
        vw.Console(["\ud800"])


def test_nothing_that_threads_read_from_one_console_is_lost() -> None:
    lines = 500
    console = vw.Console(stdin="abcdef\n" * lines)
    readers = [exports(console) for _ in range(4)]
    counts = [0] * len(readers)

    def read(index: int) -> None:
        while size := readers[index].read_line(0, 3):
            counts[index] += size

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(readers))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert sum(counts) == 7 * lines


def test_a_standard_stream_needs_no_more_than_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kept:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def write(self, text: str) -> None:
            self.texts.append(text)

    kept = Kept()
    monkeypatch.setattr(sys, "stdout", kept)
    monkeypatch.setattr(sys, "stderr", kept)
    own = exports(vw.Console())
    own.memory.write(0, b"both")
    assert own.print(0, 2) == own.error(2, 2) == 0
    assert kept.texts == ["bo", "th"]


def test_a_long_text_can_be_interrupted() -> None:
    with vw.Store() as store:
        pieces = []

        def write(text: str) -> None:
            pieces.append(len(text))
            store.interrupt()

        linker = vw.Linker(store.engine)
        linker.define_object("console", vw.Console(stdout=write))
        own = linker.instantiate(store, vw.Module(store.engine, guest("(memory 1024)"))).exports
        with pytest.raises(vw.Interrupted):
            own.print(0, 1024 * PAGE)
        assert pieces == [1 << 20]


def test_a_line_that_utf_8_lacks_is_an_error_that_names_stdin() -> None:
    own = Guest(stdin="half \ud800\nnext\n")
    with pytest.raises(ValueError, match=r"^Console: stdin gave a line that is no text that UTF-8 has"):
        own.read_line(20)
    assert own.read_line(20) == b"next\n"
