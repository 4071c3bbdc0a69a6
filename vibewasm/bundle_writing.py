"""Writing the files that :mod:`.bundle` reads, when a process ends that has loaded what is not in them."""

from __future__ import annotations

import os
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from time import time

from .aside import ASIDE, is_abandoned, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from .bundled import Row


def write(module: ModuleType, rows: tuple[Row, ...]) -> None:
    """Make the bytecode of :mod:`.bundled`, or of its like, hold these rows; nothing where that cannot be written."""
    spec = module.__spec__
    assert spec is not None
    source, target = spec.origin, spec.cached
    assert source is not None
    assert target is not None
    place, _, name = target.rpartition("/")
    try:
        found = os.stat(source)
        # The constant 0 of this program becomes the table: bytecode may hold constants that no source can spell.
        code = compile("MODULES = 0", source, "exec", dont_inherit=True)
        code = code.replace(co_consts=tuple([rows if value == 0 else value for value in code.co_consts]))
        words = (0, int(found.st_mtime), found.st_size)
        header = MAGIC_NUMBER + b"".join([(word & 0xFFFF_FFFF).to_bytes(4, "little") for word in words])
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _remove_abandoned(folder, f"{name}.")
            # Who may read the module may read its bytecode, as with all of it.
            mode = found.st_mode & 0o666 | 0o200
            replace(folder, name, [header, dumps(code)], mode, f"{name}.")
        finally:
            os.close(folder)
    except OSError:
        # A full disk, or a folder of somebody else: as with all bytecode, what comes of it is that the next start is
        # as slow as this one.
        pass


def _remove_abandoned(folder: int, prefix: str) -> None:
    """Remove what killed writers of a file have left."""
    now = time()
    for file in os.listdir(folder):
        if file.startswith(prefix) and file.endswith(ASIDE):
            try:
                if is_abandoned(os.stat(file, dir_fd=folder, follow_symlinks=False).st_mtime, now):
                    os.unlink(file, dir_fd=folder)
            except OSError:
                pass  # renamed into place or removed meanwhile, or not ours to remove: it is in nobody's way
