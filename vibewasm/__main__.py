"""``python -m vibewasm`` is the command ``vibewasm``."""

from __future__ import annotations

import sys

from . import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return load(_command_line)()


def _command_line() -> Callable[[], int]:
    from .cli import main

    return main


if __name__ == "__main__":
    sys.exit(main())
