"""Serves the explorer on the loopback interface.

What a browser is asked to send here by another site is refused: the ``Host`` has to be this server's own, which a name
that is made to lead to 127.0.0.1 is not (DNS rebinding), and so has the ``Origin``. The page may load and ask nothing
but this server (Content-Security-Policy). A request has a bounded size and time, and one text is compiled at a time.
"""

from __future__ import annotations

import json
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from vibewasm.names import escaped

from .as_json import dumps
from .explore import MOST_TEXT, Explorer
from .html import asset, examples

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOST = "127.0.0.1"
#: Bytes of a request's body: JSON may spell a character with six.
_MOST_BODY = 6 * MOST_TEXT + 1024
#: Seconds that a client may take to send a request, and that a request waits for others.
_PATIENCE = 10
#: Connections at a time.
_MOST_CONNECTIONS = 32

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "/": ("explore.html", "text/html"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/style.css": ("style.css", "text/css"),
    "/explore.css": ("explore.css", "text/css"),
    "/listing.js": ("listing.js", "text/javascript"),
    "/explore.js": ("explore.js", "text/javascript"),
}


class ExploreServer(ThreadingHTTPServer):
    """The server; ``serve_forever`` serves, ``url`` says where.

    Args:
        source: the text that the page begins with; ``None`` for an example.
        port: which port to take; 0 for any that is free.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, source: str | None = None, port: int = 0) -> None:
        self.explorer = Explorer()
        self.compiling = threading.Lock()
        self.connections = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self.start = dumps({"source": source, "examples": examples()}).encode()
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, if there are not too many."""
        if not self.connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What the thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is nothing to tell of; anything else is a fault of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"vibewasm explore: {type(error).__name__}: {escaped(str(error))}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ExploreServer
    protocol_version = "HTTP/1.1"
    server_version = "vibewasm"
    sys_version = ""
    timeout = _PATIENCE
    # A head and a body leave as two packets, and the second must not wait for the first's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """A file of the page, or what it begins with."""
        if not self._is_own():
            return
        path = self.path.partition("?")[0]
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(HTTPStatus.OK, asset(name).encode(), kind)
        elif path == "/start.json":
            self._send(HTTPStatus.OK, self.server.start, "application/json")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def do_POST(self) -> None:
        """Compile a text."""
        if not self._is_own():
            return
        if self.path != "/compile":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")
            return
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a request is JSON")
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or self.headers.get("Transfer-Encoding"):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "a request says how long it is")
            return
        if len(length) > 10 or int(length) > _MOST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has up to {_MOST_BODY} bytes")
            return
        body = self.rfile.read(int(length))
        try:
            wanted = json.loads(body)
            source, syntax = wanted["source"], wanted.get("syntax", "intel")
            if not isinstance(source, str) or syntax not in ("intel", "att"):
                raise ValueError("the source is a string, the syntax intel or att")
            fuel, bounds = bool(wanted.get("fuel")), bool(wanted.get("bounds"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "a request has a source and maybe a syntax, fuel and bounds")
            return
        if not self.server.compiling.acquire(timeout=_PATIENCE):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy with other texts")
            return
        try:
            found = self.server.explorer.answer(source, syntax=syntax, fuel=fuel, explicit_bounds=bounds)
        except Exception as error:
            # A fault of ours: it is told where the server was started, and the page says that it happened.
            print(f"vibewasm explore: {type(error).__name__}: {escaped(str(error))}", file=sys.stderr)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the compiler failed: {type(error).__name__}")
            return
        finally:
            self.server.compiling.release()
        self._send(HTTPStatus.OK, dumps(found).encode(), "application/json")

    def _is_own(self) -> bool:
        """Whether a request comes from this server's own page, or from no page; if not, it has been refused."""
        hosts = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        if self.server.server_port == 80:
            hosts |= {HOST, "localhost"}
        host = self.headers.get_all("Host") or []
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if len(host) != 1 or host[0].lower() not in hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers to its own name only")
        elif origin is not None and origin.lower() not in {f"http://{name}" for name in hosts}:
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers its own page only")
        elif site not in ("none", "same-origin") and self.path != "/":
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers its own page only")
        else:
            return True
        return False

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        # Whatever of the request has not been read would be taken for the next one.
        self.close_connection = True
        self._send(status, dumps({"refused": message}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses, in the same form."""
        status = HTTPStatus(code)
        self._refuse(status, message or status.phrase)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: there is one for every keystroke."""
