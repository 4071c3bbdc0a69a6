"""The command line: ``vibewasm COMMAND ...``.

Start-up time is part of the product, so each command is imported only when it is asked for, and nothing here imports
``argparse``.
"""

from __future__ import annotations

import io
import os
import sys

from vibewasm import load
from vibewasm.names import escaped, hint

from .options import Command, CommandError, UsageError, help_text, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["guarded", "main"]

#: Commands and what ``vibewasm --help`` says of each; a test keeps the summaries equal to the commands' own.
COMMANDS = {
    "run": "run a WASI program, or call one export with --invoke",
    "compile": "compile a whole module to machine code, to be run later",
    "validate": "check modules, function bodies included",
    "inspect": "show what a module imports, exports and consists of",
    "disasm": "show the machine code that functions become",
    "explore": "serve a page that shows the machine code of what is typed",
    "wat2wasm": "make a binary module of text",
    "wasm2wat": "show a binary module as text",
    "stubs": "write a typed .pyi file for a module",
    "cache": "show what is kept of compiled code; clean or limit it",
}

#: Exit codes that are not the program's own; docs/cli.md explains them.
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return the exit code of the process.

    ``argv`` holds the arguments after the program's name; ``None`` means those of this process.
    """
    arguments = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _dispatch(arguments))


def guarded(action: Callable[[], int]) -> int:
    """Do what a command line asks for, say what went wrong, and return the exit code of the process."""
    try:
        # A name in a module or of a file may hold what the terminal's encoding cannot say.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        code = action()
        # Not sys.stdout.flush(): a process may be started without a standard output.
        print(end="", flush=True)
    except UsageError as error:
        command = f"vibewasm {error.command}" if error.command else "vibewasm"
        return _fail(EXIT_USAGE, f"{command}: {error}\nTry '{command} --help'.")
    except CommandError as error:
        return _fail(EXIT_FAILURE, f"vibewasm: {error}")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except MemoryError:
        return _fail(EXIT_FAILURE, "vibewasm: there is not enough memory; free some, or raise the limit (ulimit -v)")
    except OSError as error:
        _discard_output()
        if isinstance(error, BrokenPipeError):
            return EXIT_BROKEN_PIPE
        if _is_of_output(error):
            return _fail(EXIT_FAILURE, f"vibewasm: standard output could not be written: {error.strerror}")
        return _fail(EXIT_FAILURE, f"vibewasm: {error}")
    return code


def _is_of_output(error: OSError) -> bool:
    """Whether writing standard output failed: only this package does, by calls that raise where they stand and name no
    file. What the engine opens and writes fails in modules of its own.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return error.filename is None and trace is not None and trace.tb_frame.f_globals.get("__package__") == __name__


def _discard_output() -> None:
    """Let what standard output still holds go nowhere: the interpreter tries once more to write it when it ends."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _fail(code: int, message: str) -> int:
    print(message, file=sys.stderr)
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        if arguments and len(arguments) > 1 and arguments[1] in COMMANDS:
            print(help_text(_load(arguments[1])), end="")
            return 0
        print(_overview(), end="")
        return 0 if arguments else EXIT_USAGE
    name = arguments[0]
    if name in ("--version", "-V"):
        from vibewasm import __version__

        print(f"vibewasm {__version__}")
        return 0
    if name not in COMMANDS:
        raise UsageError(_unknown(name, arguments[1:]))
    command = load(_load, name)
    given = parse(command, arguments[1:])
    if given.flag("--help"):
        print(help_text(command), end="")
        return 0
    if given.flag("--timeout"):
        from .timed import run_timed

        seconds = given.seconds("--timeout")
        assert seconds is not None
        return run_timed(command, given, seconds)
    return command.action(given)


def _load(name: str) -> Command:
    """Import one command's module, which has the command's name, and no other."""
    command: Command = __import__(f"{__name__}.{name}", fromlist=("COMMAND",)).COMMAND
    return command


def _after_a_command(option: str, words: list[str]) -> str:
    """Where an option belongs that stands in the place of the command; nothing where no command has it."""
    having = [name for name in COMMANDS if any(option == known.name for known in _load(name).options)]
    meant = next((word for word in words if word in having), having[0] if having else None)
    return "" if meant is None else f"; options come after the command: vibewasm {meant} {option} ..."


def _overview() -> str:
    lines = ["usage: vibewasm COMMAND [OPTIONS] FILE ...", "", "WebAssembly at machine speed, from pure Python.", ""]
    lines.append("commands:")
    lines += [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    lines += ["", "options:", "  --help    show this, or with a command its options", "  --version show the version"]
    return "\n".join(lines) + "\n"


def _unknown(name: str, words: list[str]) -> str:
    if name.startswith("-"):
        return f"unknown option {escaped(name)}{_after_a_command(name.partition('=')[0], words)}"
    if name.endswith((".wasm", ".wat")) or os.path.isfile(name):
        return f"{name!r} is not a command; to run that file: vibewasm run {escaped(name)}"
    return f"unknown command {name!r}{hint(name, COMMANDS)}"
