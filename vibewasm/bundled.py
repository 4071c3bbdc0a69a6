"""The code of the modules that every start loads, where an earlier start has left it; see :mod:`vibewasm.bundle`.

As it stands here it holds none. What holds them is this file's bytecode in ``__pycache__``, which
:mod:`vibewasm.bundle` writes: so Python itself checks that it belongs to this interpreter and this file, and it goes
with the other bytecode when the package is removed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    #: Of a module its name, whether it is a package, its file, that file's time of change (ns) and size (bytes) before
    #: it was read, the modules of this package that it imports when it is executed, and its code: itself, or in the
    #: bytecode of several, and the how manieth it is there.
    Row = tuple[str, bool, str, int, int, tuple[str, ...], CodeType | tuple[bytes, int]]

#: What is kept of each module.
MODULES: tuple[Row, ...] = ()
