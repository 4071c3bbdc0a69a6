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
    Mechanism(
        "brief-names",
        "logs and memory, from one long name that a message has for each frame",
        "vibewasm/names.py",
        "    if len(name) <= _WHOLE:\n        return escaped(name)\n",
        "    return escaped(name)\n",
        ("tests/safety/test_text.py::test_a_long_name_does_not_fill_a_message",),
    ),
    Mechanism(
        "escaped-titles",
        "pages, and the terminal that they go to, from the names of files",
        "disasm/html.py",
        "    title = escape(escaped(title))\n",
        "    title = escape(title)\n",
        ("tests/safety/test_text.py::test_the_title_of_a_page_may_be_the_name_of_a_file",),
    ),
    Mechanism(
        "escaped-elements",
        "pages, from names with elements of their own",
        "disasm/html.py",
        """data-name="{escape(listing.symbol)}\"""",
        """data-name="{listing.symbol}\"""",
        ("tests/safety/test_text.py::test_what_commands_show_keeps_names_in_their_place",),
        seconds=300,
    ),
    Mechanism(
        "escaped-scripts",
        "pages, from names that end a script",
        "disasm/html.py",
        """.replace("<", "\\\\u003c")""",
        "",
        (
            "tests/safety/test_text.py::test_the_data_in_a_page_has_the_names_whole",
            "tests/safety/test_text.py::test_what_commands_show_keeps_names_in_their_place",
        ),
        seconds=300,
    ),
    Mechanism(
        "escaped-tables",
        "notebooks, from names with elements of their own",
        "disasm/html.py",
        "<caption>{escape(caption)}</caption>",
        "<caption>{caption}</caption>",
        ("tests/safety/test_text.py::test_tables_for_notebooks_have_the_same_elements",),
    ),
    Mechanism(
        "escaped-symbols",
        "string tables for debuggers, from a NUL in a name",
        "runtime/elf.py",
        """.replace(b"\\0", b"?")""",
        "",
        ("tests/safety/test_text.py::test_symbols_for_debuggers_have_their_names_and_no_others",),
    ),
]
