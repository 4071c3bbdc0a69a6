"""The digest of this package's source, for where it is no wheel that carries it, and for making that wheel."""

from __future__ import annotations

import os
from _blake2 import blake2b
from errno import ENOENT

#: What a wheel has in addition, in the package and in each backend.
BUILT, BUILT_STUBS = "built.py", "built_stubs.py"


def digest_of_source(package: str) -> bytes:
    """32 bytes for the names and contents of all Python files in the folder ``package`` and below it.

    Raises:
        OSError: a file cannot be read, or there is none: the package is in an archive, or only its bytecode is there.
    """
    made = blake2b(digest_size=32)
    names = _python_files(package, "")
    if not names:
        raise FileNotFoundError(ENOENT, "there is no source", package)
    for name in sorted(names):
        with open(os.path.join(package, name), "rb") as file:
            contents = file.read()
        for part in (name.encode(), contents):
            made.update(len(part).to_bytes(8, "little") + part)
    return made.digest()


def _python_files(folder: str, below: str) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    found += _python_files(entry.path, f"{below}{entry.name}/")
            elif entry.name.endswith(".py") and entry.name not in (BUILT, BUILT_STUBS):
                found.append(below + entry.name)
    return found
