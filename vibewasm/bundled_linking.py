"""What :mod:`vibewasm.bundled` is for every start, for one that links modules, or has memories and tables."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundled import Row

#: The same as :data:`vibewasm.bundled.MODULES`.
MODULES: tuple[Row, ...] = ()
