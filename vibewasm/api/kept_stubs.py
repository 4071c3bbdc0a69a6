"""The stubs of this processor that are kept on disk: an earlier process has made them, and this one makes more.

What is read from a folder is written to no other: each has what processes made that were to keep it there.
"""

from __future__ import annotations

import os

from ..cache.code import pack_stubs, unpack_stubs
from ..cache.container import STUBS, Damaged, pack, unpack
from ..cache.folder import Folder
from ..cache.key import key
from ..calls.process import HOST, known_stubs

#: Stubs depend on signatures, which a module can have any number of. Not more than so many are kept, and none whose
#: code or name has more bytes than this.
_MOST = 512
_LONGEST = 1 << 15
_LONGEST_NAME = 200

#: By path: folders that stubs were read from, and how many of those that were made in this process are kept there.
_folders: dict[str, tuple[Folder, int]] = {}


def use_stubs(folder: Folder) -> None:
    """Begin with the stubs that are kept in a folder, and keep there what comes to them."""
    if folder.path not in _folders:
        _folders[folder.path] = (folder, 0)
        known_stubs.kept = _stubs_in(folder, _key()) | known_stubs.kept


def save_stubs() -> None:
    """Keep the stubs that were made in this process, in each folder that is used."""
    made = known_stubs.made
    for path, (folder, kept) in [*_folders.items()]:
        if len(made) > kept and _save(folder, {**made}):
            _folders[path] = (folder, len(made))


def _save(folder: Folder, made: dict[str, bytes]) -> bool:
    made_for = _key()
    stubs = _stubs_in(folder, made_for)
    before = len(stubs)
    for name, stub in made.items():
        if len(stubs) >= _MOST:
            break
        if len(stub) <= _LONGEST and len(name) <= _LONGEST_NAME:
            stubs.setdefault(name, stub)
    return len(stubs) == before or folder.write(made_for.hex(), pack(STUBS, made_for, pack_stubs(stubs)))


def _stubs_in(folder: Folder, made_for: bytes) -> dict[str, bytes]:
    file = folder.read(made_for.hex())
    if file is None:
        return {}
    try:
        return unpack_stubs(*unpack(file, STUBS, made_for))
    except Damaged:
        # What is missing is made, and then it is written anew.
        return {}


def _key() -> bytes:
    return key("stubs", HOST, os.name)
