"""The explorer's answers, and the server that gives them: from outside, over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.disasm import golden
from vibewasm.backends import TARGETS
from vibewasm.cli import main
from vibewasm.disasm.explorer import answers
from vibewasm.disasm.explorer.answers import MOST_CODE, MOST_TEXT, Explorer
from vibewasm.disasm.explorer.server import ExploreServer
from vibewasm.disasm.html import examples
from vibewasm.wat import wat2wasm
from vibewasm.wat.source_map import wat2wasm_with_lines


def answer(source: str, **settings: Any) -> Any:
    return json.loads(json.dumps(Explorer().answer(source, **settings)))


# -- answers


@pytest.mark.parametrize("title", [title for title, _ in examples()])
def test_examples_compile_for_every_target(title: str) -> None:
    found = answer(dict(examples())[title])
    assert found["error"] is None
    assert [target["name"] for target in found["targets"]] == list(TARGETS)
    for target in found["targets"]:
        assert target["functions"]


def test_every_instruction_knows_its_line() -> None:
    source = golden.SOURCE.read_text()
    found = answer(source)
    lines = source.splitlines()
    for target in found["targets"]:
        for function in target["functions"]:
            for kind, offset, _, wasm, _ in function["groups"]:
                if kind == "body" and wasm != "end":
                    line = lines[found["lines"][str(offset)] - 1]
                    # What is written and what is read are one instruction, so its name stands in that line.
                    assert wasm.split()[0] in line or wasm == "else", (wasm, line)


def test_assembling_with_lines_gives_the_same_module() -> None:
    for _, source in examples():
        assert wat2wasm_with_lines(source)[0] == wat2wasm(source, names=True)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("(module\n (func\n (loop $l\n (br_if $l\n (i32.eqz\n (i32.const 1))))))", {"br_if": 4}),
        ("(module (func\n i32.const 1\n if\n nop\n else\n nop\n nop\n end))", {"if": 3, "else": 5, "nop": 7, "end": 8}),
        ("(module (func\n (if\n (i32.const 1)\n (then\n nop)\n (else nop))))", {"if": 2, "else": 5}),
    ],
)  # fmt: skip
def test_lines_of_folded_and_plain_instructions(source: str, line: dict[str, int]) -> None:
    found = answer(source)
    assert found["error"] is None
    of: dict[str, list[int]] = {}
    for _, offset, _, wasm, _ in found["targets"][0]["functions"][0]["groups"]:
        if wasm:
            of.setdefault(wasm.split()[0], []).append(found["lines"][str(offset)])
    for word, expected in line.items():
        assert expected in of[word], (word, of)


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("(module\n  (func (i32.cnst 1)))", "unknown operator i32.cnst", 2),
        ("(module\n  (func\n    (drop (i32.add (i32.const 1)))))", "type mismatch", 3),
        ("(module\n  (func $f\n    (call $g)))", "unknown function", 3),
        ("(module (func (result i32)\n))", "type mismatch", 1),
        ("(module (memory 1) (memory 99999999))", "memory size", None),
        ("(module", "unexpected token", 1),
        ("", "", None),
        ("\0", "illegal character", 1),
        ("(module binary \"\\00asm\")", "unexpected end", None),
        ("(module\n (func\n (f16x8.abs (v128.const i32x4 0 0 0 0)) drop))", "half precision", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_message_with_its_line(source: str, message: str, line: int | None) -> None:
    error = answer(source)["error"]
    if not source:
        # No fields at all are an empty module.
        assert error is None
        return
    assert message in error["message"]
    assert line is None or error["line"] == line


def test_what_is_too_large_is_refused() -> None:
    assert "characters" in answer(" " * (MOST_TEXT + 1))["error"]["message"]
    many = "(func)" * 1000
    assert "more than the explorer shows" in answer(f"(module {many})")["error"]["message"]
    # Few characters may mean many bytes.
    body = "(br_table " + "0 " * (MOST_CODE + 1) + "(i32.const 0))"
    assert "more than the explorer shows" in answer(f"(module (func {body}))")["error"]["message"]


def test_compiling_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SECONDS", -1.0)
    assert "took more than" in answer("(module (func))")["error"]["message"]


def test_deep_nesting_is_no_crash() -> None:
    assert answer("(module (func " + "(block " * 5000 + ")" * 5000 + "))")["error"] is None
    error = answer("(" * 100_000)["error"]
    assert error["message"]


def test_settings_change_the_code() -> None:
    source = dict(examples())["Sum of an array"]
    plain = answer(source)["targets"][0]["functions"][0]["machine_size"]
    assert answer(source, fuel=True)["targets"][0]["functions"][0]["machine_size"] > plain
    assert answer(source, explicit_bounds=True)["targets"][0]["functions"][0]["machine_size"] > plain
    assert "%r14" in json.dumps(answer(source, syntax="att")["targets"][0])


# -- the server


@pytest.fixture(scope="module")
def server() -> Iterator[ExploreServer]:
    with ExploreServer("(module (func $mine))") as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def request(
    server: ExploreServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def compile_(server: ExploreServer, body: object, **headers: str) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(server, "POST", "/compile", data, **{"Content_Type": "application/json", **headers})


def test_it_serves_on_the_loopback_interface_only(server: ExploreServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("path", ["/", "/style.css", "/explore.css", "/listing.js", "/explore.js", "/start.json"])
def test_the_page_is_served_with_a_strict_policy(server: ExploreServer, path: str) -> None:
    status, headers, body = request(server, "GET", path)
    assert status == 200
    assert body
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_begins_with_the_file_that_was_given(server: ExploreServer) -> None:
    start = json.loads(request(server, "GET", "/start.json")[2])
    assert start["source"] == "(module (func $mine))"
    assert len(start["examples"]) >= 5


def test_texts_are_compiled(server: ExploreServer) -> None:
    status, _, body = compile_(server, {"source": '(module (func $f (export "f")))'})
    found = json.loads(body)
    assert status == 200
    assert [function["symbol"] for function in found["targets"][0]["functions"]] == ["$f"]


@pytest.mark.parametrize("path", ["/../server.py", "/explore.py", "/page/style.css", "/favicon.ico", "/compile"])
def test_nothing_else_is_served(server: ExploreServer, path: str) -> None:
    assert request(server, "GET", path)[0] == 404


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "127.0.0.1:1", "localhost.example.com:{port}", ""])
def test_another_host_is_refused(server: ExploreServer, host: str) -> None:
    host = host.format(port=server.server_port)
    for status, _, body in (
        request(server, "GET", "/start.json", Host=host),
        compile_(server, {"source": "(module)"}, Host=host),
    ):
        assert status == 403
        assert b"own name" in body


def test_two_hosts_or_none_are_refused(server: ExploreServer) -> None:
    own = f"Host: 127.0.0.1:{server.server_port}\r\n"
    for head in ("", own + "Host: example.com\r\n", own + own):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
            connection.sendall(f"GET /start.json HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            assert connection.makefile("rb").readline().split()[1] in (b"403", b"400")


def test_other_pages_are_refused(server: ExploreServer) -> None:
    own = f"http://127.0.0.1:{server.server_port}"
    assert compile_(server, {"source": "(module)"}, Origin=own)[0] == 200
    for headers in ({"Origin": "http://example.com"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        assert compile_(server, {"source": "(module)"}, **headers)[0] == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"3", b'{"source": 3}', b'{"sauce": ""}', b'{"source": "", "syntax": "masm"}',
     b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_a_request_that_is_none_is_refused(server: ExploreServer, body: bytes) -> None:
    status, _, answer = compile_(server, body)
    assert status == 400
    assert json.loads(answer)["refused"]


def test_a_request_of_another_type_or_size_is_refused(server: ExploreServer) -> None:
    good = b'{"source": "(module)"}'
    assert compile_(server, good, Content_Type="text/plain")[0] == 415
    assert compile_(server, good, Content_Length="99999999999999999999")[0] == 413
    assert compile_(server, good, Content_Length=str(10_000_000))[0] == 413
    assert compile_(server, good, Content_Length="-1")[0] == 411
    assert compile_(server, good, Transfer_Encoding="chunked")[0] == 411
    assert request(server, "DELETE", "/compile")[0] == 501
    # A text that is too long in characters, not in bytes, is a message on the page.
    status, _, body = compile_(server, {"source": " " * (MOST_TEXT + 1)})
    assert status == 200
    assert "characters" in json.loads(body)["error"]["message"]


def test_it_goes_on_after_what_broke_off(server: ExploreServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(b"POST /compile HTTP/1.1\r\nContent-Le")
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01" + bytes(100) + b"\r\n\r\n")
        assert b"Bad request" in connection.recv(1000)
    assert request(server, "GET", "/")[0] == 200


def test_a_fault_of_ours_is_a_message(
    server: ExploreServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(server.explorer, "answer", fail)
    status, _, body = compile_(server, {"source": "(module)"})
    assert status == 500
    assert json.loads(body)["refused"] == "the compiler failed: ZeroDivisionError"
    assert capsys.readouterr().err == "vibewasm explore: ZeroDivisionError: a bug\n"


def test_several_clients_at_once(server: ExploreServer) -> None:
    results: list[int] = []

    def ask(number: int) -> None:
        source = f'(module (func (export "f") (result i32) (i32.const {number})))'
        results.append(compile_(server, {"source": source})[0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 12


# -- the command


def test_the_command_refuses_what_it_cannot_do(capsys: pytest.CaptureFixture[str], server: ExploreServer) -> None:
    assert main(["explore", "--port", "70000"]) == 2
    assert main(["explore", "--port", str(server.server_port)]) == 1
    assert f"cannot serve on port {server.server_port}" in capsys.readouterr().err
    assert main(["explore", "no-such-file.wat"]) == 1
    assert "no such file" in capsys.readouterr().err
