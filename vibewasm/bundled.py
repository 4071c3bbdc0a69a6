"""The code of the modules that a start loads, where an earlier start has left it; see :mod:`vibewasm.bundle`.

As it stands here it holds none. What holds them is this file's bytecode in ``__pycache__``, which
:mod:`vibewasm.bundle` writes: so Python itself checks that it belongs to this interpreter and this file, and it goes
with the other bytecode when the package is removed. :mod:`vibewasm.bundled_compiler` has the rest.
"""

from __future__ import annotations

#: Of each group its modules, in the order in which they were executed, and the marshalled tuple of their code. Of a
#: module its name, whether it is a package, its file, that file's time of change (ns) and size (bytes), and how many of
#: the modules just before it were executed because it imports them.
GROUPS: tuple[tuple[tuple[tuple[str, bool, str, int, int, int], ...], bytes], ...] = ()
