"""What keeps a WASI program in its folders and in its memory."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

MECHANISMS = [
    Mechanism(
        "no-way-up",
        "files outside a preopen, from paths with too many ..",
        "vibewasm/wasi/paths.py",
        "                if not held:\n                    raise Errno(EPERM)\n"
        "                system.leave(held.pop())\n",
        "                if held:\n                    system.leave(held.pop())\n"
        "                else:\n                    held.append(os.open(b'..', _STEP, dir_fd=here))\n",
        (
            "tests/wasi/test_paths.py::test_a_path_that_leaves_the_directory_is_not_permitted",
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
        ),
    ),
    Mechanism(
        "no-absolute-paths",
        "files outside a preopen, from absolute paths and links",
        "vibewasm/wasi/paths.py",
        '    if path.startswith(b"/"):\n        raise Errno(EPERM)\n    components = [component for component in '
        'path.split(b"/") if component]\n',
        "    components = [b'../' * 40 + path[1:]] if path.startswith(b'/') else "
        '[component for component in path.split(b"/") if component]\n',
        (
            "tests/wasi/test_paths.py::test_a_path_that_leaves_the_directory_is_not_permitted",
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
        ),
    ),
    Mechanism(
        "kernel-follows-no-links-on-the-way",
        "files outside a preopen, from links to directories",
        "vibewasm/wasi/paths.py",
        " | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC\n",
        " | os.O_DIRECTORY | os.O_CLOEXEC\n",
        (
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
            "tests/wasi/test_sandbox.py::test_swapping_a_directory_for_a_link_while_it_is_walked_never_leads_out",
        ),
    ),
    Mechanism(
        "kernel-follows-no-links-at-the-end",
        "files outside a preopen, from links in a path's last place, and links of /proc",
        "vibewasm/wasi/path_calls.py",
        "_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC",
        "_OPEN = os.O_CLOEXEC",
        (
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
            "tests/wasi/test_sandbox.py::test_links_of_the_kernel_to_open_files_are_not_followed",
        ),
    ),
    Mechanism(
        "read-only-opening",
        "files of a read-only preopen, from opening them for writing",
        "vibewasm/wasi/path_calls.py",
        "    if directory.read_only and rights & abi.FD_WRITE:\n        raise Errno(EPERM)\n",
        "",
        (
            "tests/wasi/test_read_only.py::test_an_open_file_can_be_read_and_not_written",
            "tests/wasi/test_read_only.py::test_whatever_changes_something_is_not_permitted",
        ),
    ),
    Mechanism(
        "read-only-changes",
        "a read-only preopen, from calls that make, change and remove",
        "vibewasm/wasi/fds.py",
        "        if descriptor.read_only and rights & abi.CHANGING:\n            raise Errno(EPERM)\n",
        "",
        ("tests/wasi/test_read_only.py::test_whatever_changes_something_is_not_permitted",),
    ),
    Mechanism(
        "read-only-is-inherited",
        "files of a read-only preopen, through what was opened in it",
        "vibewasm/wasi/path_calls.py",
        "    opened.read_only = directory.read_only\n",
        "",
        (
            "tests/wasi/test_read_only.py::test_whatever_changes_something_is_not_permitted",
            "tests/wasi/test_read_only.py::test_an_open_file_can_be_read_and_not_written",
        ),
    ),
    Mechanism(
        "wasi-pointers",
        "the guest's own memory and the host's exceptions, from pointers out of range",
        "vibewasm/wasi/guest.py",
        "    if size and address + size > len(memory):\n        raise Errno(EFAULT)\n",
        "",
        ("tests/wasi/test_hostile.py::test_a_pointer_out_of_range_is_a_fault_before_anything_is_done",),
    ),
    Mechanism(
        "walk-depth",
        "the host's descriptors, from one path through very many directories",
        "vibewasm/wasi/paths.py",
        "                if len(held) > MAX_DEPTH:\n                    raise Errno(ENAMETOOLONG)\n",
        "",
        ("tests/wasi/test_paths.py::test_a_path_through_very_many_directories_is_too_long",),
    ),
    Mechanism(
        "walk-links",
        "the host's time, from links in a circle",
        "vibewasm/wasi/paths.py",
        "        if links > MAX_LINKS:\n            raise Errno(ELOOP)\n",
        "",
        ("tests/wasi/test_paths.py::test_a_chain_of_forty_links_is_followed_and_no_longer_one",),
        seconds=20,
    ),
]
