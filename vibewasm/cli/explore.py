"""``vibewasm explore``: a page that shows the machine code of what is typed."""

from __future__ import annotations

from vibewasm.lookalikes import describe
from vibewasm.types import MAGIC

from .options import Arguments, Command, CommandError, Option
from .wasmfile import read, refused, shown


def _explore(arguments: Arguments) -> int:
    port = arguments.number("--port") or 0
    if port > 65535:
        raise arguments.error(f"--port is a number up to 65535, not {port}")
    source = _text(arguments.operands[0]) if arguments.operands else None

    try:
        import capstone  # noqa: F401  (asked for before the page is)
    except ImportError as error:
        raise CommandError("the explorer needs capstone: pip install 'vibewasm[disasm]'") from error

    from vibewasm.disasm.explorer.server import ExploreServer

    try:
        server = ExploreServer(source, port)
    except OSError as error:
        raise CommandError(f"cannot serve on port {port}: {error.strerror}") from error
    print(f"{server.url}  (Ctrl-C ends it)", flush=True)
    if arguments.flag("--open"):
        import webbrowser

        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


def _text(path: str) -> str:
    """The text of a module, which may be a binary one."""
    from vibewasm.errors import WasmError
    from vibewasm.wat import wasm2wat

    data = read(path, text=True)
    if data[:1] == b"\0" and data[:4] != MAGIC:
        raise CommandError(f"{shown(path)} is not a WebAssembly module: {describe(data)}")
    try:
        return wasm2wat(data) if data[:4] == MAGIC else data.decode()
    except (WasmError, UnicodeDecodeError) as error:
        raise refused(shown(path), error) from error


COMMAND = Command(
    "explore",
    "[FILE]",
    "serve a page that shows the machine code of what is typed",
    [
        Option("--port", "N", "serve on this port of 127.0.0.1; else on any that is free", wants="a number"),
        Option("--open", "", "open the page in a browser"),
    ],
    _explore,
    minimum=0,
    notes="Nothing that is typed is run. Needs capstone: pip install 'vibewasm[disasm]'",
)
