"""``python -m vibewasm.compat.wasmtime PROGRAM ARGUMENT...``: run a Python program with vibewasm in place of wasmtime.

``-m MODULE`` runs a module as a program, as Python's own option does.
"""

from __future__ import annotations

import os
import sys

_USAGE = """\
usage: python -m vibewasm.compat.wasmtime PROGRAM [ARGUMENT...]
       python -m vibewasm.compat.wasmtime -m MODULE [ARGUMENT...]

Run a Python program, in which `import wasmtime` gives vibewasm. PROGRAM is a file, or a command on the PATH that is a
Python program. docs/wasmtime.md says what is the same and what differs.
"""


def main() -> None:
    """Run the program that the command line names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        sys.exit(0 if arguments else 2)
    import runpy

    from .children import install_in_children
    from .installing import install

    install()
    install_in_children()
    if arguments[0] == "-m":
        if len(arguments) == 1:
            print(f"{_USAGE}\n-m wants the name of a module", file=sys.stderr)
            sys.exit(2)
        _become(arguments[1:])
        # What this was started with stands in its place already: the working directory.
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    program = _found(arguments[0])
    _become([program, *arguments[1:]])
    if not os.path.exists(program):
        print(f"{_USAGE}\nthere is no file {program!r}, and no such command on the PATH", file=sys.stderr)
        sys.exit(2)
    if not os.path.isdir(program) and not sys.flags.safe_path:
        # The program's folder comes first, as where Python starts it; of a folder or archive, runpy sees to that.
        sys.path[0] = os.path.dirname(os.path.realpath(program))
    runpy.run_path(program, run_name="__main__")


def _become(arguments: list[str]) -> None:
    """Let these be the arguments that the program sees."""
    sys.argv[:] = arguments
    sys.orig_argv[:] = [sys.orig_argv[0] if sys.orig_argv else sys.executable, *arguments]


def _found(program: str) -> str:
    """The file of a program, looked for on the PATH if the name is no file's."""
    if os.path.exists(program) or os.sep in program:
        return program
    import shutil

    return shutil.which(program) or program


if __name__ == "__main__":
    main()
