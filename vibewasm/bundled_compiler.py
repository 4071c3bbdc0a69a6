"""What :mod:`vibewasm.bundled` is for other modules, for those that decode and compile, which a start that finds its
code in the code cache does not need.
"""

from __future__ import annotations

#: The same as :data:`vibewasm.bundled.GROUPS`.
GROUPS: tuple[tuple[tuple[tuple[str, bool, str, int, int, int], ...], bytes], ...] = ()
