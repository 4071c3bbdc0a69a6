"""A module's names are a stranger's: nothing in them commands a terminal, hides, turns text around or forges a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm
from tests.binary.encode import name, section
from vibewasm.binary.decoder import decode
from vibewasm.cli import COMMANDS as NAMES
from vibewasm.cli import _load, main
from vibewasm.names import escaped
from vibewasm.wat import wasm2wat, wat2wasm

#: One of each kind: C0, ESC, BEL, DEL, C1, soft hyphen, no-break space, zero width, marks and overrides of direction,
#: isolates, separators, private use, byte order mark, tags, unassigned; and after a line's end what is to be no line.
CONTROLS = "\x1b]0;t\x07\r\x7f\x85\x9b31m\xad\xa0\u061c\u200b\u200e\u202e\u2066\u2028\u2029\ue000\ufeff\u0378\U000e0041"
FORGED = "FORGED"
PRINTABLE = "naïve→日本語ß🎈"


def hostile(label: str) -> str:
    return f"{label}{PRINTABLE}{CONTROLS}\n{FORGED} {label}"


def quoted(label: str) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in hostile(label).encode()) + '"'


def text(body: str = "unreachable", *, imports: bool = False) -> str:
    """A module in which everything that can have a name has a hostile one, and ASCII is all that the text has."""
    wanted = f"(import {quoted('im')} {quoted('if')} (func ${quoted('i')} (param i32)))" if imports else ""
    return f"""(module ${quoted("m")} (type ${quoted("t")} (func)) {wanted}
        (func ${quoted("f")} (export {quoted("f")}) (param ${quoted("p")} i32) (local ${quoted("l")} i64)
            (local.set ${quoted("l")} (i64.const 1)) (global.set ${quoted("g")} (local.get ${quoted("p")}))
            (i32.store (memory.grow (local.get 0)) (i32.const 1)) (call_indirect (type 0) (i32.const 0))
            (drop (i32.div_s (local.get 0) (local.get 0))) {body})
        (func ${quoted("s")} (export {quoted("s")}) (param i32) (call ${quoted("f")} (local.get 0)))
        (memory ${quoted("me")} (export {quoted("me")}) 1) (table ${quoted("ta")} (export {quoted("ta")}) 1 funcref)
        (global ${quoted("g")} (export {quoted("g")}) (mut i32) (i32.const 0))
        (data ${quoted("d")} (i32.const 0) "") (elem ${quoted("e")} (i32.const 0) func))"""


def binary(body: str = "unreachable", *, imports: bool = False) -> bytes:
    own = name(hostile("c"))
    return wat2wasm(text(body, imports=imports), names=True) + section(0, own)


def malformed() -> bytes:
    """A module whose first function has a byte that is no instruction."""
    module = bytearray(binary())
    module[decode(bytes(module)).bodies[0][1] - 2] = 0xFF
    return bytes(module)


def assert_harmless(shown: str) -> None:
    assert [character for character in shown if not character.isprintable() and character != "\n"] == []
    assert [line for line in shown.split("\n") if line.lstrip().startswith(FORGED)] == []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    contents = {
        "good.wasm": binary(),
        "imports.wasm": binary(imports=True),
        "invalid.wasm": binary("i64.eqz"),
        "malformed.wasm": malformed(),
        "twice.wasm": wat2wasm(f'(func) (export {quoted("x")} (func 0)) (export {quoted("x")} (func 0))'),
        "unknown.wasm": wat2wasm(f'(export {quoted("x")} (func 0))'),
        "float.wasm": wat2wasm('(func (export "float") (param f32))'),
        "good.wat": text().encode(),
        # The characters themselves: in a comment on the line of the fault, and in a token at fault.
        "comment.wat": f"(module (; {CONTROLS.replace(chr(13), '')} ;) (fun)) ;; \u202e\x1b".encode(),
        "token.wat": "(module (start \"\u202e\u200b\x9b31m\"))".encode(),
        "identifier.wat": f"(module (start ${quoted('x')}))".encode(),
        "duplicate.wat": f"(module (func ${quoted('x')}) (func ${quoted('x')}))".encode(),
    }  # fmt: skip
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    return {file: str(folder / file) for file in contents}


COMMANDS = [
    (0, "validate", "good.wasm"),
    (1, "validate", "invalid.wasm"),
    (1, "validate", "malformed.wasm"),
    (1, "validate", "twice.wasm"),
    (1, "validate", "unknown.wasm"),
    (1, "validate", "comment.wat"),
    (1, "validate", "token.wat"),
    (1, "validate", "identifier.wat"),
    (1, "validate", "duplicate.wat"),
    (1, "wat2wasm", "identifier.wat"),
    (0, "inspect", "good.wasm"),
    (0, "inspect", "imports.wasm"),
    (0, "inspect", "imports.wasm", "--json"),
    (1, "run", "good.wasm"),
    (1, "run", "imports.wasm"),
    (1, "run", "--invoke", hostile("f"), "imports.wasm", "0"),
    (1, "run", "--invoke", hostile("f"), "invalid.wasm", "1"),
    (1, "run", "--invoke", hostile("f"), "malformed.wasm", "1"),
    (1, "run", "--eager", "--invoke", hostile("f"), "malformed.wasm", "1"),
    (134, "run", "--invoke", hostile("f"), "good.wasm", "1"),
    (134, "run", "--invoke", hostile("s"), "good.wasm", "0"),
    (2, "run", "--invoke", hostile("g"), "good.wasm"),
    (2, "run", "--invoke", hostile("x"), "good.wasm"),
    (2, "run", "--invoke", hostile("f"), "good.wasm"),
    (2, "run", "--invoke", hostile("f"), "good.wasm", "x"),
    (0, "wasm2wat", "imports.wasm"),
    (0, "stubs", "imports.wasm"),
    (0, "stubs", "good.wasm"),
    (0, "disasm", "imports.wasm"),
    (0, "disasm", "imports.wasm", "--bytes"),
    (0, "disasm", "imports.wasm", "--summary"),
    (0, "disasm", "imports.wasm", "--summary", "--format", "json"),
    (0, "disasm", "imports.wasm", "--format", "json"),
    (0, "disasm", "imports.wasm", "--format", "html"),
    (0, "disasm", "imports.wasm", "--diff", "x86_64", "aarch64"),
    (0, "disasm", "good.wasm", "--func", hostile("f")),
    (2, "disasm", "good.wasm", "--func", hostile("x")),
    (1, "disasm", "invalid.wasm"),
    (1, "disasm", "malformed.wasm"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=str)
def test_no_command_lets_a_name_at_the_terminal(
    words: tuple[int, str], files: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    if words[1] == "disasm":
        pytest.importorskip("capstone")
    code, *line = words
    assert main([files.get(word, word) for word in line]) == code
    out, err = capfd.readouterr()
    assert out + err
    assert_harmless(out + err)


@pytest.mark.parametrize(
    "command", ["validate", "inspect", "run", "wasm2wat", "stubs", "wat2wasm", "disasm", "explore"]
)
def test_no_command_lets_the_name_of_a_file_at_the_terminal(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / f"{hostile('bad')}.wasm"
    bad.write_bytes(b"\0asm\1\0\0\0\1")
    for path in (bad, tmp_path / hostile("missing"), tmp_path, tmp_path / hostile("folder") / "x.wasm"):
        assert main([command, str(path)]) == 1
        assert_harmless(capfd.readouterr().err)


#: Command lines that are wrong, in each place where a word may stand, and are told so.
WORDS = [
    *(
        [name, *option]
        for name in NAMES
        for known in _load(name).options
        if known.value and known.name != "--output"
        for option in (
            [known.name, hostile("v"), "good.wasm"],
            [known.name, hostile("v")],
            [f"{known.name}={hostile('v')}", "good.wasm"],
            [known.name, *[hostile("v")] * len(known.value.split()), "good.wasm"],
        )
        # Nothing is wrong with a variable.
        if (name, known.name) != ("run", "--env")
    ),
    *([name, hostile("--x"), "good.wasm"] for name in NAMES),
    *([name, "good.wasm", hostile("w"), hostile("w")] for name in NAMES if name not in ("run", "validate")),
    [hostile("unknown")],
    [hostile("--unknown")],
    [hostile("unknown") + ".wasm"],
    ["run", "--dir", f"{hostile('d')}::{hostile('g')}", "good.wasm"],
    ["run", "--dir", "folder", "--dir", f"folder::{hostile('g')}", "--dir", f"folder::{hostile('g')}", "good.wasm"],
    ["run", "--env", f"={hostile('e')}", "good.wasm"],
    # What int() and float() take for white space.
    *(["run", "--invoke", hostile("f"), "good.wasm", f"{space}{2**64}"] for space in "\x0b\x1c\x85\u2028\n"),
    *(["run", "--invoke", "float", "float.wasm", f"{space}1e39"] for space in "\x0b\x1c\x85\u2028\n"),
]


@pytest.mark.parametrize("words", WORDS, ids=ascii)
def test_no_command_echoes_what_commands_the_terminal(
    words: list[str], files: dict[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if words[0] == "disasm":
        pytest.importorskip("capstone")
    line = [files.get(word, word).replace("folder", str(tmp_path), 1) for word in words]
    assert main(line) in (1, 2)
    out, err = capfd.readouterr()
    assert out + err
    assert_harmless(out + err)


def test_the_explorer_is_told_of_names_that_print() -> None:
    pytest.importorskip("capstone")
    from vibewasm.disasm.explorer.answers import Explorer

    error = Explorer().answer(text("i64.eqz"))["error"]
    assert isinstance(error, dict)
    assert_harmless(error["message"])
    assert escaped(hostile("f")) in error["message"]


def test_names_in_listings_are_whole_and_printable_ones_as_they_are(
    files: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", files["imports.wasm"]]) == 0
    out = capfd.readouterr().out
    for label in ("f", "s", "me", "ta", "g"):
        assert f" {escaped(hostile(label))} " in out
    assert f"{escaped(hostile('im'))}.{escaped(hostile('if'))}" in out
    assert main(["inspect", "--json", files["imports.wasm"]]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["name"] == hostile("m")
    assert facts["imports"][0]["module"] == hostile("im")
    assert main(["run", "--invoke", hostile("s"), files["good.wasm"], "0"]) == 134
    err = capfd.readouterr().err
    assert err.count("\n") == 3
    assert f"  at {escaped(hostile('m'))}!{escaped(hostile('f'))} (at byte offset " in err


def test_text_of_hostile_names_is_read_back(files: dict[str, str]) -> None:
    module = binary(imports=True)
    shown = wasm2wat(module)
    assert_harmless(shown)
    assert PRINTABLE in shown
    assert wasm2wat(wat2wasm(shown, names=True)) == shown


def test_a_caret_is_below_what_it_means(files: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", files["comment.wat"]]) == 1
    _, shown, caret = capfd.readouterr().err.splitlines()
    assert shown[caret.index("^") :].startswith("fun))")


def messages() -> list[str]:
    """What Python's users meet: representations and errors."""
    store = vibewasm.Store(vibewasm.Engine())
    module = vibewasm.Module(store.engine, binary())
    importing = vibewasm.Module(store.engine, binary(imports=True))
    passing = vibewasm.Module(
        store.engine, f'(import {quoted("im")} {quoted("if")} (func)) (func (export "x") (call 0))'
    )
    instance = linked(store, module)
    function = instance.exports[hostile("f")]
    found = [repr(item) for item in (store, module, instance, instance.exports, *instance.exports.values())]
    found += [repr(item) + str(item) for item in (*importing.imports, *importing.exports, *importing.info.sections)]
    host = vibewasm.Func(store, vibewasm.FuncType([], ["i32"]), lambda: "x", name=hostile("h"))
    wrong = vibewasm.Func(store, vibewasm.FuncType(["i32"], ["i32"]), lambda number: "x", name=hostile("h"))
    calls: list[Callable[[], object]] = [
        lambda: function(),
        lambda: function("x"),
        lambda: function(0),
        lambda: function.call_raw([]),
        lambda: getattr(instance.exports, hostile("x")),
        lambda: setattr(instance.exports, hostile("x"), 1),
        lambda: instance.exports[hostile("x")],
        lambda: host(),
        lambda: vibewasm.Func(store, vibewasm.FuncType([], []), lambda number: None, name=hostile("h"))(),
        lambda: linked(store, passing, lambda number: None).exports["x"](),
        lambda: linked(store, passing, min).exports["x"](),
        lambda: vibewasm.Linker(store.engine).define(hostile("im"), hostile("if"), None),  # type: ignore[arg-type]
        lambda: vibewasm.Linker(store.engine).define(hostile("im"), hostile("if"), 1, vibewasm.FuncType([], [])),
        lambda: vibewasm.Module.validate(store.engine, malformed()),
        lambda: wrong(1),
        lambda: host.disassemble(),
        lambda: linked(store, importing),
        lambda: linked(store, importing, 3),
        lambda: linked(store, importing, host),
        lambda: linked(store, importing, instance.exports[hostile("g")]),
        lambda: define_twice(store, hostile("x")),
        lambda: linked(vibewasm.Store(store.engine), importing, function),
        lambda: vibewasm.Module.validate(store.engine, binary("i64.eqz")),
        lambda: vibewasm.Module(store.engine, f"(module (start ${quoted('x')}))"),
    ]
    for call in calls:
        with pytest.raises(Exception) as caught:  # noqa: PT011  (of many kinds; what counts is their words)
            call()
        found += [str(caught.value), repr(caught.value)]
        found += map(repr, getattr(caught.value, "frames", ()))
    return found


def linked(store: vibewasm.Store, module: vibewasm.Module, *imports: Any) -> vibewasm.Instance:
    linker = vibewasm.Linker(store.engine)
    for item in imports:
        linker.define(hostile("im"), hostile("if"), item)
    return linker.instantiate(store, module)


def define_twice(store: vibewasm.Store, name: str) -> None:
    linker = vibewasm.Linker(store.engine)
    linker.define(name, name, print)
    linker.define(name, name, print)


def test_no_representation_and_no_message_has_what_does_not_print() -> None:
    for message in messages():
        assert_harmless(message)


@pytest.mark.parametrize("byte", [0x00, 0x0B, 0x41, 0x7F, 0x80, 0xFF])
def test_no_module_that_a_byte_makes_bad_puts_a_name_in_a_message(byte: int) -> None:
    engine = vibewasm.Engine()
    good = binary(imports=True)
    refused = 0
    for place in range(8, len(good)):
        try:
            vibewasm.Module.validate(engine, good[:place] + bytes([byte]) + good[place + 1 :])
        except vibewasm.WasmError as error:
            refused += 1
            assert_harmless(f"{error} {error.args!r}")
    assert refused > 100


def test_the_path_of_a_bad_file_is_shown_escaped(tmp_path: Path) -> None:
    for file, content in ((hostile("x"), b"?"), (hostile("x") + ".wat", b"(module (fun))")):
        bad = tmp_path / file
        bad.write_bytes(content)
        with pytest.raises(vibewasm.DecodeError) as caught:
            vibewasm.Module(vibewasm.Engine(), bad)
        assert_harmless("\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())]))
    for path in (tmp_path / hostile("missing"), tmp_path / hostile("folder") / "x"):
        with pytest.raises(OSError) as missing:  # noqa: PT011  (of many kinds; what counts is their words)
            vibewasm.Module(vibewasm.Engine(), path)
        assert_harmless(str(missing.value))


@pytest.mark.parametrize("profile", ["perfmap", "jitdump"])
def test_profilers_are_told_of_names_that_print(profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vibewasm.runtime import observers

    told: list[str] = []

    class Recorder:
        def published(self, functions: list[tuple[str, int, int]]) -> object:
            told.extend(function for function, _, _ in functions)
            return self

    monkeypatch.setattr(observers, "_observers", {profile: Recorder()})
    vibewasm.Module(vibewasm.Engine(vibewasm.Config(profile=profile, compilation="eager")), binary())
    assert escaped(hostile("f")) in told
    assert_harmless("\n".join(told))


def test_every_character_that_does_not_print_is_escaped_and_no_other() -> None:
    for number in range(0x110000):
        character = chr(number)
        shown = escaped(character)
        assert shown.isprintable(), hex(number)
        assert (shown == character) == character.isprintable(), hex(number)
    assert escaped("a\x1b\u202e\n\ud800\\n") == "a\\x1b\\u202e\\n\\ud800\\n"


def test_an_ordinary_name_is_not_copied() -> None:
    ordinary = "_ZN4core3fmt" + PRINTABLE
    assert escaped(ordinary) is ordinary
