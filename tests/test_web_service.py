"""The example of a web service keeps what docs/web-service.md promises, asked by real clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["fastapi==0.165.0", "uvicorn==0.54.0"]
#: Runs the example with other limits, on a socket that is given as a descriptor.
SERVER = """
import functools, sys, uvicorn, web_service
web_service.Guests = functools.partial(web_service.Guests, running=2, waiting=2, seconds=float(sys.argv[2]))
uvicorn.run(web_service.make_app(), fd=int(sys.argv[1]), log_level="warning")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the packages."""
    folder = tmp_path_factory.mktemp("service")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"packages cannot be installed here, so NO service was run: {done.stderr.strip()[-300:]}")
    return python


@contextmanager
def service(python: Path, seconds: float) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The service with a time limit: its port and its process."""
    environment = {
        "HOME": str(python.parents[1]),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}",
    }
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        line = [str(python), "-c", SERVER, str(listening.fileno()), str(seconds)]
        process = subprocess.Popen(
            line, env=environment, pass_fds=[listening.fileno()], stderr=subprocess.PIPE, text=True
        )
        try:
            yield listening.getsockname()[1], process
        finally:
            process.kill()
            process.communicate(timeout=60)


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, object]:
    """Status and answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_requests_are_answered_whatever_guests_do(python: Path) -> None:
    with service(python, 0.5) as (port, process):
        assert ask(port, "/count", b"how many words") == (200, {"words": 3})
        assert ask(port, "/count", bytes(5000)) == (413, {"error": "too long"})
        assert ask(port, "/divide/8") == (200, {"result": 125})
        assert ask(port, "/divide/0") == (422, {"error": "integer divide by zero"})
        assert ask(port, "/divide/99999999999") == (400, {"error": "no number of 32 bits"})
        assert ask(port, "/spin") == (504, {"error": "took too long"})
        with ThreadPoolExecutor(12) as threads:
            answers = [*threads.map(lambda _: ask(port, "/spin"), range(12))]
        assert set(map(str, answers)) == {str((504, {"error": "took too long"})), str((503, {"error": "busy"}))}
        assert ask(port, "/divide/8") == (200, {"result": 125})
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_a_client_that_goes_away_stops_its_guest(python: Path) -> None:
    with service(python, 600) as (port, process):
        assert ask(port, "/divide/8") == (200, {"result": 125})
        for _ in range(3):
            # As many as may run and wait; nobody else gets a turn before they are gone.
            clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(4)]
            for client in clients:
                client.sendall(b"GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
            while ask(port, "/divide/8") != (503, {"error": "busy"}):
                time.sleep(0.01)
            for client in clients:
                client.close()
            while (answer := ask(port, "/divide/8")) != (200, {"result": 125}):
                assert answer == (503, {"error": "busy"})
                time.sleep(0.01)
        # A server that stops does not wait for guests either, once it was told twice.
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(b"GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
