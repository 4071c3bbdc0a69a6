"""What keeps machine code on disk that of its owner, and whole; and names of strangers from terminals."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_FOLDER = "vibewasm/cache/folder.py"
_CONTAINER = "vibewasm/cache/container.py"

MECHANISMS = [
    Mechanism(
        "cache-folder-owner",
        "the process, from code in a folder of another user",
        _FOLDER,
        "            if status.st_uid != os.geteuid():\n",
        "            if False:\n",
        ("tests/cache/test_trust.py::test_a_folder_of_somebody_else",),
    ),
    Mechanism(
        "cache-folder-mode",
        "the process, from code in a folder that others may use",
        _FOLDER,
        "            if status.st_mode & _OTHERS:\n",
        "            if False:\n",
        ("tests/cache/test_trust.py::test_a_folder_that_others_may_use",),
    ),
    Mechanism(
        "cache-file",
        "the process, from files in the cache that others own, may write, or know by another name",
        _FOLDER,
        "    if not S_ISREG(status.st_mode) or status.st_mode & _OTHERS or status.st_uid != os.geteuid() or "
        "status.st_nlink != 1:\n        return None\n",
        "",
        ("tests/cache/test_trust.py::test_a_file_that_is_not_to_be_trusted",),
    ),
    Mechanism(
        "cache-links",
        "the process, from links in the cache",
        _FOLDER,
        "_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | ",
        "_FILE_FLAGS = os.O_RDONLY | ",
        ("tests/cache/test_trust.py::test_a_file_that_is_not_to_be_trusted",),
    ),
    Mechanism(
        "cache-checksum",
        "the process, from code that a disk or a killed writer has changed",
        _CONTAINER,
        "    if checksum([view[16:]]) != view[12:16]:\n",
        "    if False:\n",
        ("tests/api/test_precompiled.py::test_damage_is_found_whatever_it_is",),
    ),
    Mechanism(
        "cache-key",
        "the process, from code that was made for another module or processor",
        _CONTAINER,
        "    if key_of(data, kind) != key:\n",
        "    if False and key_of(data, kind) != key:\n",
        ("tests/api/test_code_cache.py::test_a_damaged_file_is_ignored_and_written_anew",),
    ),
    Mechanism(
        "escaped-names",
        "the terminal, from control characters in names",
        "vibewasm/names.py",
        "    if name.isprintable():\n        return name\n",
        "    return name\n",
        ("tests/cli/test_hostile_names.py::test_every_character_that_does_not_print_is_escaped_and_no_other",),
    ),
]
