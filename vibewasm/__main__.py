"""``python -m vibewasm`` is the command ``vibewasm``."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal is made of; it is there from the start
import sys

from . import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def main() -> int:
    """Run the command line of this process and return its exit code.

    Afterwards Ctrl-C ends the process at once, as it does programs that know nothing of it: what is left to do can be
    left, and Python would show where its exit functions were. Whoever handles or ignores it otherwise, goes on to.
    """
    try:
        code = load(_command_line)()
        _end_at_interrupts()
    except KeyboardInterrupt:
        # While the command line was being loaded, or after it has caught all that it could.
        _end_at_interrupts()
        code = 128 + _signal.SIGINT
    return code


def _end_at_interrupts() -> None:
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        try:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        except ValueError:
            pass  # not the main thread, where no signal is handled


def _command_line() -> Callable[[], int]:
    from .cli import main

    return main


def script() -> NoReturn:
    """Run the command line of this process, and end the process.

    The interpreter would first take apart all that the process has made, one object after the other, which takes longer
    than compiling a small program; the system takes it all back at once. What is to happen at an end happens before:
    the exit functions, and what the standard streams still hold is written.
    """
    code = main()
    # Who debugs, traces or profiles has things to do afterwards, and threads are waited for.
    watched = sys.flags.inspect or sys.gettrace() is not None or sys.getprofile() is not None
    if watched or "threading" in sys.modules:
        sys.exit(code)
    import atexit
    import os

    watcher = sys.modules.get("vibewasm.runtime.watcher")
    if watcher is not None:
        # Nobody has to wait for its thread where no interpreter is taken apart.
        atexit.unregister(watcher.at_exit)
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            # A process may be started without them.
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        # The interpreter says what it says of this.
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
