"""The code of the modules that a start loads, where an earlier start has left it; see :mod:`vibewasm.bundle`.

As it stands here it holds none. What holds them is this file's bytecode in ``__pycache__``, which
:func:`vibewasm.bundle.keep` writes: so Python itself checks that it belongs to this interpreter and this file, and it
goes with the other bytecode when the package is removed.
"""

from __future__ import annotations

#: Of each module its name, whether it is a package, its file, that file's time of change (ns) and size (bytes), the
#: modules whose execution ended while this one was executed, in their order, and its marshalled code.
MODULES: tuple[tuple[str, bool, str, int, int, tuple[str, ...], bytes], ...] = ()
