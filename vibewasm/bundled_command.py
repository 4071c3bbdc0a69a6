"""What :mod:`vibewasm.bundled` is for every start, for one of the command, or of a WASI program."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundled import Row

#: The same as :data:`vibewasm.bundled.MODULES`.
MODULES: tuple[Row, ...] = ()
