"""What :mod:`vibewasm.bundled` is for every start, for one that decodes and compiles."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundled import Row

#: The same as :data:`vibewasm.bundled.MODULES`.
MODULES: tuple[Row, ...] = ()
