"""A stranger's names go through every output there is, and none of them gets out of its place there.

What is for terminals has no control characters and no forged lines (:mod:`tests.cli.test_hostile_names` has more of
that); HTML has the elements that it has with an innocent name; JSON, Python, the text format and object files are read
back by others' readers. A command, a format or a class that shows text and has no row here fails a test.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from struct import iter_unpack, unpack_from

import pytest

import vibewasm as vw
from tests.cli.test_hostile_names import assert_harmless
from tests.safety.hostile_names import INNOCENT, NAMES, module
from vibewasm.cli import COMMANDS, main
from vibewasm.names import brief, escaped
from vibewasm.wat import wasm2wat, wat2wasm


class Page(HTMLParser):
    """What a page consists of, and what is in its scripts of data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.data: list[object] = []
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, tuple(key for key, _ in attrs)] += 1
        assert not [key for key, _ in attrs if key.startswith("on")]
        self._script = "" if (tag, ("type", "application/json")) in [(tag, pair) for pair in attrs] else None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._script:
            self.data.append(json.loads(self._script))
        self._script = None

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def check_html(shown: str, innocent: str, name: str) -> None:
    assert Page(shown).elements == Page(innocent).elements
    assert_harmless(shown)


def check_json(shown: str, innocent: str, name: str) -> None:
    assert shown.isascii()
    kinds = [_kinds(json.loads(text)) for text in (shown, innocent)]
    assert kinds[0] == kinds[1]


def _kinds(value: object) -> object:
    """The shape of data: keys and types, not what strings are."""
    if isinstance(value, dict):
        return {key: _kinds(item) for key, item in value.items()}
    return [_kinds(item) for item in value] if isinstance(value, list) else type(value).__name__


def check_python(shown: str, innocent: str, name: str) -> None:
    assert_harmless(shown)
    trees = [ast.parse(text) for text in (shown, innocent)]
    statements = [{type(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)} for tree in trees]
    assert not statements[0] & {ast.Import} or statements[0] == statements[1]
    calls = [node for node in ast.walk(trees[0]) if isinstance(node, ast.Call)]
    assert {ast.unparse(call.func) for call in calls} <= {"_TypedDict"}


def check_wat(shown: str, innocent: str, name: str) -> None:
    assert_harmless(shown)
    assert wasm2wat(wat2wasm(shown, names=True)) == shown


def check_terminal(shown: str, innocent: str, name: str) -> None:
    assert_harmless(shown)


def check_nothing(shown: str, innocent: str, name: str) -> None:
    """No output: it is in a file, of which there is another test."""


Check = Callable[[str, str, str], None]
#: Each command in each form that its output has: exit code, words, check.
COMMAND_ROWS: list[tuple[int, list[str], Check]] = [
    (0, ["validate", "FILE"], check_terminal),
    (0, ["inspect", "FILE"], check_terminal),
    (0, ["inspect", "--json", "FILE"], check_json),
    (0, ["disasm", "FILE"], check_terminal),
    (0, ["disasm", "--format", "text", "--bytes", "FILE"], check_terminal),
    (0, ["disasm", "--format", "json", "FILE"], check_json),
    (0, ["disasm", "--format", "html", "FILE"], check_html),
    (0, ["disasm", "--summary", "FILE"], check_terminal),
    (0, ["disasm", "--summary", "--format", "json", "FILE"], check_json),
    (0, ["disasm", "--diff", "x86_64", "aarch64", "FILE"], check_terminal),
    (2, ["disasm", "--func", "NAME!", "FILE"], check_terminal),
    (0, ["wasm2wat", "FILE"], check_wat),
    (0, ["stubs", "FILE"], check_python),
    (1, ["run", "FILE"], check_terminal),
    (2, ["run", "--invoke", "NAME?", "FILE"], check_terminal),
    (134, ["run", "--no-cache", "--stub-imports", "--invoke", "sNAME", "FILE", "1"], check_terminal),
    (134, ["run", "--no-cache", "--stub-imports", "--invoke", "xNAME", "FILE"], check_terminal),
    (1, ["wat2wasm", "BAD"], check_terminal),
    (0, ["compile", "FILE", "--output", "OUTPUT"], check_nothing),
    (0, ["cache"], check_terminal),
    # What it serves has a test of its own below.
    (1, ["explore", "BROKEN"], check_terminal),
]


def output_of(words: list[str], folder: Path, name: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What a command says, with the module of this name as FILE."""
    (folder / "m.wasm").write_bytes(module(name))
    bad = "".join(character if character.isprintable() and character not in '"\\' else "?" for character in name)
    (folder / "bad.wat").write_text(f'(module (func (export "{bad}")) (fun))\n')
    (folder / "broken.wasm").write_bytes(module(name)[:-1] + b"\xff\xff")
    places = {
        "FILE": str(folder / "m.wasm"),
        "BAD": str(folder / "bad.wat"),
        "BROKEN": str(folder / "broken.wasm"),
        "OUTPUT": str(folder / "out"),
    }
    # The word of a command line has no NUL.
    line = [places.get(word, word.replace("NAME", name.replace("\0", ""))) for word in words]
    code = main(line)
    out, err = capfd.readouterr()
    return code, out + err


def test_every_command_has_a_row() -> None:
    assert {words[0] for _, words, _ in COMMAND_ROWS} == set(COMMANDS)
    from vibewasm.cli.disasm import _FORMATS

    shown = {words[words.index("--format") + 1] for _, words, _ in COMMAND_ROWS if "--format" in words}
    assert shown == set(_FORMATS)


@pytest.fixture(params=COMMAND_ROWS, ids=lambda row: " ".join(row[1]))
def row(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str], Check]:
    """A command, with a cache of its own."""
    found: tuple[int, list[str], Check] = request.param
    if found[1][0] in ("disasm", "explore"):
        pytest.importorskip("capstone")
    monkeypatch.setenv("VIBEWASM_CACHE", str(tmp_path / "cache"))
    return found


def test_what_commands_show_keeps_names_in_their_place(
    row: tuple[int, list[str], Check], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, words, check = row
    _, innocent = output_of(words, tmp_path, INNOCENT, capfd)
    for label, name in NAMES.items():
        if "\0" in name and "NAME" in " ".join(words) and code == 134:
            continue
        found, shown = output_of(words, tmp_path, name, capfd)
        assert found == code, (label, shown)
        check(shown, innocent, name)


#: Names of files: without slashes and NULs, not too long, and one that is no UTF-8.
FILE_NAMES = [*(name[:60].replace("/", "∕") for name in NAMES.values() if name and "\0" not in name), "\udcff\udc80"]


@pytest.mark.ci
def test_what_commands_show_keeps_the_names_of_files_in_their_place(
    row: tuple[int, list[str], Check], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, words, check = row
    (tmp_path / INNOCENT).mkdir()
    _, innocent = output_of(words, tmp_path / INNOCENT, INNOCENT, capfd)
    for name in FILE_NAMES:
        folder = tmp_path / f"d{name}"
        folder.mkdir()
        (folder / "m.wasm").symlink_to(folder / f"{name}.wasm")
        file = folder / f"{name}.wasm"
        output_of(words, folder, INNOCENT, capfd)
        line = [
            {"FILE": str(file), "BAD": str(folder / "bad.wat"), "OUTPUT": str(folder / "out")}.get(w, w) for w in words
        ]
        found = main([word.replace("NAME", INNOCENT) for word in line])
        out, err = capfd.readouterr()
        assert found == code, (name, out, err)
        check(out + err, innocent, name)


# -- Python ------------------------------------------------------------------------------------------------------------


def instance_of(name: str) -> vw.Instance:
    store = vw.Store(vw.Engine())
    linker = vw.Linker(store.engine)
    linker.define(f"m{name}", f"i{name}", lambda number: None)
    return linker.instantiate(store, vw.Module(store.engine, module(name)))


def caught(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as found:  # noqa: PT011  (of many kinds; what counts is their words)
        call()
    return found.value


def exported(name: str) -> vw.Func:
    function = instance_of(name).exports[f"s{name}"]
    assert isinstance(function, vw.Func)
    return function


def trapped(name: str) -> vw.Trap:
    error = caught(lambda: exported(name)(1))
    assert isinstance(error, vw.Trap)
    return error


def refused(name: str) -> BaseException:
    return caught(lambda: vw.Module.validate(vw.Engine(), module(name, "(drop (i64.eqz (local.get 0))) unreachable")))


#: Public classes that show text which may be a stranger's: an object of each. What is not here shows no names.
SHOWN: dict[str, Callable[[str], object]] = {
    "Exports": lambda name: instance_of(name).exports,
    "ExportType": lambda name: vw.Module(vw.Engine(), module(name)).exports[0],
    "ImportType": lambda name: vw.Module(vw.Engine(), module(name)).imports[0],
    "Instance": instance_of,
    "Module": lambda name: vw.Module(vw.Engine(), module(name)),
    "Func": exported,
    "Native": lambda name: vw.Native(0x1000, vw.FuncType([], []), name=name),
    "Tag": lambda name: instance_of(name).exports[f"e{name}"],
    "Frame": lambda name: trapped(name).frames[0],
    "Trap": lambda name: trapped(name),
    "WasmException": lambda name: caught(lambda: instance_of(name).exports[f"x{name}"]()),
    "LinkError": lambda name: caught(lambda: vw.instantiate(module(name))),
    "DecodeError": lambda name: caught(lambda: vw.Module.validate(vw.Engine(), module(name) + b"\x63\0")),
    "ValidationError": refused,
    "WasmError": lambda name: caught(lambda: vw.instantiate(module(name), {f"m{name}": {f"i{name}": 3}})),
    "WatError": lambda name: caught(lambda: wat2wasm(f"(module (start ${escaped(name) or 'x'}))")),
    "Dir": lambda name: vw.Dir(name or "x"),
    "WasiConfig": lambda name: vw.WasiConfig([name.replace("\0", "")], preopens={name.replace("\0", "") or "x": {}}),
    "MemoryDir": lambda name: vw.MemoryDir({(name[:200].replace("/", "").replace("\0", "") or "x"): b""}),
}
#: Classes whose representations are of the host's own making: numbers, types, settings.
PLAIN = {
    *("Caller", "Config", "Engine", "ExceptionRef", "ExitTrap", "FuncType", "Global", "GlobalType", "Interrupted"),
    *(
        "Limits",
        "Linker",
        "Memory",
        "MemoryType",
        "OutOfFuel",
        "ResourceLimits",
        "Store",
        "Table",
        "TableType",
        "TagType",
        "ValType",
    ),
}


def test_every_class_that_shows_something_has_a_row() -> None:
    showing = set()
    for label in vw.__all__:
        item = getattr(vw, label)
        if isinstance(item, type):
            ours = [base for base in item.__mro__ if base.__module__.startswith("vibewasm")]
            if any(method in base.__dict__ for base in ours for method in ("__repr__", "__str__", "_repr_html_")):
                showing.add(label)
    assert showing - PLAIN - set(SHOWN) == set(), "say what it shows of strangers' names: in SHOWN or in PLAIN"


@pytest.mark.parametrize("kind", SHOWN)
def test_what_objects_and_errors_show_keeps_names_in_their_place(kind: str) -> None:
    for label, name in NAMES.items():
        item = SHOWN[kind](name)
        assert kind in [base.__name__ for base in type(item).__mro__], label
        texts = [repr(item), str(item)]
        if isinstance(item, BaseException):
            texts += ["".join(traceback.format_exception_only(item)), *getattr(item, "__notes__", ())]
            assert str(pickle.loads(pickle.dumps(item))) == str(item)
        for text in texts:
            assert_harmless(text)


def test_the_traceback_of_a_host_function_keeps_names_in_their_place() -> None:
    for name in NAMES.values():
        store = vw.Store(vw.Engine())
        linker = vw.Linker(store.engine)

        def fail(number: int) -> None:
            raise LookupError("the host's own")

        linker.define(f"m{name}", f"i{name}", fail)
        function = linker.instantiate(store, vw.Module(store.engine, module(name))).exports[f"s{name}"]
        error = caught(lambda function=function: function(1))  # type: ignore[misc]
        assert_harmless("".join(traceback.format_exception(error)))
        assert brief(f"s{name}") in error.__notes__[0]


def test_a_long_name_does_not_fill_a_message() -> None:
    long = "n" * 200_000
    recursive = wat2wasm(f'(module $"{long}" (func $"{long}" (export "f") (call $"{long}")))', names=True)
    trap = caught(lambda: vw.instantiate(recursive).exports.f())
    assert isinstance(trap, vw.Trap)
    assert trap.frames[0].func_name == long
    assert len(str(trap)) < 60_000
    assert f"{'n' * 750}[... 200000 characters ...]{'n' * 250} (at byte offset" in str(trap)
    for name in ("n" * 30_000, "\x1b" * 30_000):
        for kind in ("LinkError", "ValidationError", "Trap", "WasmException", "Func", "Tag", "Native"):
            assert len(str(SHOWN[kind](name))) < 20_000, kind
    # As names have that compilers make.
    assert brief("n" * 1000) == "n" * 1000


# -- files and pages ---------------------------------------------------------------------------------------------------


def test_tables_for_notebooks_have_the_same_elements() -> None:
    pytest.importorskip("capstone")
    innocent = vw.Module(vw.Engine(), module(INNOCENT)).disassemble()._repr_html_()
    for name in NAMES.values():
        check_html(vw.Module(vw.Engine(), module(name)).disassemble()._repr_html_(), innocent, name)


def test_the_data_in_a_page_has_the_names_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("capstone")
    for name in NAMES.values():
        _, page = output_of(["disasm", "--format", "html", "FILE"], tmp_path, name, capfd)
        data = Page(page).data
        assert len(data) == 3
        assert all(isinstance(item, dict) and item["symbol"].isprintable() for item in data)


_PROFILED = """
import sys
import vibewasm as vw
from tests.safety.hostile_names import NAMES, module
engine = vw.Engine(vw.Config(profile=sys.argv[1], compilation="eager"))
kept = [vw.Module(engine, module(name, imports=False)) for name in NAMES.values()]
"""


@pytest.mark.parametrize("profile", ["perfmap", "jitdump"])
def test_files_for_profilers_have_one_record_for_each_function(profile: str, tmp_path: Path) -> None:
    done = subprocess.Popen(
        [sys.executable, "-c", _PROFILED, profile],
        env=os.environ | {"JITDUMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
    )
    _, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors
    names: list[str] = []
    if profile == "perfmap":
        path = Path(f"/tmp/perf-{done.pid}.map")
        text = path.read_text()
        path.unlink()
        for line in text.splitlines():
            address, size, function = line.split(" ", 2)
            assert int(address, 16)
            assert int(size, 16)
            names.append(function)
    else:
        data = (tmp_path / f"jit-{done.pid}.dump").read_bytes()
        at = 40
        while at < len(data):
            kind, total, _ = unpack_from("<IIQ", data, at)
            size = unpack_from("<Q", data, at + 40)[0]
            assert kind == 0
            text_of = data[at + 56 : at + total - size]
            assert text_of.count(b"\0") == 1
            names.append(text_of[:-1].decode())
            at += total
        assert at == len(data)
    assert len([name for name in names if not name.startswith("vibewasm adapters")]) == 3 * len(NAMES)
    for name in names:
        assert name.isprintable()
    for name in NAMES.values():
        assert any(escaped(f"f{name}") in found for found in names)


def test_symbols_for_debuggers_have_their_names_and_no_others() -> None:
    from vibewasm.backends import backend
    from vibewasm.calls.process import HOST
    from vibewasm.runtime.elf import functions_object

    functions = [(name, 0x1000 + 16 * index, 16) for index, name in enumerate(NAMES.values())]
    data = functions_object(backend(HOST).processor, functions)
    at, count = unpack_from("<Q", data, 40)[0], unpack_from("<H", data, 60)[0]
    sections = [unpack_from("<IIQQQQIIQQ", data, at + 64 * index) for index in range(count)]
    (symbols,) = (section for section in sections if section[1] == 2)
    strings = sections[symbols[6]]
    text = data[strings[4] : strings[4] + strings[5]]
    rows = list(iter_unpack("<IBBHQQ", data[symbols[4] : symbols[4] + symbols[5]]))
    found = [text[row[0] : text.index(b"\0", row[0])].decode() for row in rows[1:]]
    assert found == [name.replace("\0", "?") for name, _, _ in functions]
    assert text.count(b"\0") == len(functions) + 1


def test_the_explorers_answers_are_data() -> None:
    pytest.importorskip("capstone")
    from vibewasm.disasm.explorer.server import ExploreServer

    source = f";; {''.join(NAMES.values())}"
    with ExploreServer(source) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            texts = [text for name in NAMES.values() for text in (f"(module (fun {name}))", name)]
            texts += [wasm2wat(module(name)) for name in NAMES.values() if len(name) < 1000]
            for text in texts:
                link.request("POST", "/compile", json.dumps({"source": text}), {"Content-Type": "application/json"})
                answer = link.getresponse()
                assert answer.getheader("Content-Type") == "application/json; charset=utf-8"
                assert answer.getheader("X-Content-Type-Options") == "nosniff"
                policy = answer.getheader("Content-Security-Policy") or ""
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                body = answer.read()
                assert body.isascii()
                error = json.loads(body).get("error")
                if error:
                    assert_harmless(error["message"])
            link.request("GET", "/start.json")
            assert json.loads(link.getresponse().read())["source"] == source
            # What is not there is not said back.
            link.request("GET", "/%3Cscript%3Ealert(1)%3C/script%3E")
            assert b"script" not in link.getresponse().read()
            link.close()
        finally:
            server.shutdown()
            thread.join()


def test_the_title_of_a_page_may_be_the_name_of_a_file() -> None:
    from vibewasm.disasm.html import document

    innocent = "".join(document(INNOCENT, []))
    for name in NAMES.values():
        check_html("".join(document(name, [])), innocent, name)


def test_no_script_of_the_pages_makes_elements_of_text() -> None:
    from vibewasm.disasm import html

    scripts = sorted((Path(html.__file__).parent / "page").glob("*.js"))
    assert len(scripts) >= 4
    for script in scripts:
        text = script.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
        ):
            assert way not in text, (script.name, way)
