"""What keeps a WASI program in its folders and in its memory."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

MECHANISMS = [
    Mechanism(
        "no-way-up",
        "files outside a preopen, from paths with too many ..",
        "vibewasm/wasi/paths.py",
        "                if not held:\n                    raise Errno(EPERM)\n",
        "                if not held:\n                    held.append(os.open(b'..', _STEP, dir_fd=here))\n"
        "                    if not last:\n                        continue\n"
        "                    return name, slash, False\n",
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
        "_STEP = _BENEATH | os.O_NOFOLLOW\n",
        "_STEP = _BENEATH\n",
        (
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
            "tests/wasi/test_sandbox.py::test_swapping_a_directory_for_a_link_while_it_is_walked_never_leads_out",
        ),
    ),
    Mechanism(
        "kernel-follows-no-links-at-the-end",
        "files outside a preopen, from links in a path's last place, and links of /proc",
        "vibewasm/wasi/opening.py",
        "os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)",
        "os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=directory)",
        (
            "tests/wasi/test_sandbox.py::test_no_operation_takes_a_way_out",
            "tests/wasi/test_sandbox.py::test_links_of_the_kernel_to_open_files_are_not_followed",
        ),
    ),
    Mechanism(
        "kernel-walk-stays-below",
        "files outside a preopen, where the kernel walks",
        "runtime/openat2.py",
        "_RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)",
        "0)",
        (
            "tests/wasi/test_walks.py::test_no_trick_leads_out",
            "tests/wasi/test_walks.py::test_nothing_outside_is_touched_while_directories_are_exchanged",
        ),
    ),
    Mechanism(
        "kernel-walk-refused",
        "programs in a sandbox or on a kernel that does not know the call",
        "vibewasm/wasi/paths.py",
        "one file: a walk from here finds out.\n                    break\n",
        "\n                    raise\n",
        (
            "tests/wasi/test_walks.py::test_a_sandbox_that_refuses_the_call_is_no_obstacle",
            "tests/wasi/test_walks.py::test_what_the_kernel_does_not_walk_is_walked_here",
        ),
    ),
    Mechanism(
        "special-files",
        "devices and FIFOs of the host, and its time, from opening them",
        "vibewasm/wasi/opening.py",
        "    if not special_files:\n        raise Errno(EACCES)\n",
        "",
        ("tests/wasi/test_special_files.py::test_a_device_is_opened_only_where_the_host_allows_it",),
    ),
    Mechanism(
        "special-files-exchanged",
        "the same, from a name that comes to mean a device after the look",
        "vibewasm/wasi/opening.py",
        "        opened = _open(_LINKS % seen, flags, None, status, check)\n",
        "        return os.open(name, flags, dir_fd=directory)\n",
        ("tests/wasi/test_special_files.py::test_a_file_that_becomes_a_fifo_while_it_is_opened_is_not_opened",),
        seconds=20,
    ),
    Mechanism(
        "special-files-compared",
        "the same, where there is no /proc",
        "vibewasm/wasi/opening.py",
        "    if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):\n        return opened\n",
        "    return opened\n",
        ("tests/wasi/test_special_files.py::test_without_proc_the_name_is_opened_and_compared",),
        seconds=20,
    ),
    Mechanism(
        "overlap-walked",
        "a read-only preopen in a writable one, from paths through that one",
        "vibewasm/wasi/paths.py",
        "                if guard is not None and not read_only and guard.holds(held[-1]):\n"
        "                    read_only = len(held)\n",
        "",
        ("tests/wasi/test_overlaps.py::test_what_is_read_only_cannot_be_changed_through_what_is_around_it",),
    ),
    Mechanism(
        "overlap-opened",
        "the same, from the directory itself, opened",
        "vibewasm/wasi/path_calls.py",
        "    directory.read_only = through.guard is not None and through.guard.holds(host)\n",
        "",
        (
            "tests/wasi/test_overlaps.py::test_what_is_read_only_cannot_be_changed_through_what_is_around_it",
            "tests/wasi/test_overlaps.py::test_rights_do_not_come_back",
        ),
    ),
    Mechanism(
        "overlap-moved",
        "the place of a read-only preopen, from moving or removing it or what it is in",
        "vibewasm/wasi/paths.py",
        "            if (status.st_dev, status.st_ino) in self._guard.fixed:\n                raise Errno(EBUSY)\n",
        "",
        (
            "tests/wasi/test_overlaps.py::test_it_cannot_be_moved_nor_what_it_is_in",
            "tests/wasi/test_overlaps.py::test_an_empty_one_cannot_be_removed_or_replaced",
        ),
    ),
    Mechanism(
        "overlap-mounted",
        "a read-only preopen, from a bind mount of a part of it",
        "vibewasm/wasi/overlaps.py",
        "                    roots.add(identity(fd))\n",
        "                    pass\n",
        ("tests/wasi/test_overlaps.py::test_a_bind_mount_is_no_way_around_it",),
    ),
    Mechanism(
        "overlap-refused",
        "the truth of a configuration that gives one directory in both ways",
        "vibewasm/wasi/overlaps.py",
        "        if same is not None:\n",
        "        if False:\n",
        ("tests/wasi/test_overlaps.py::test_one_directory_given_in_both_ways_is_refused",),
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
        " or directory.read_only or place.read_only\n",
        "\n",
        (
            "tests/wasi/test_read_only.py::test_whatever_changes_something_is_not_permitted",
            "tests/wasi/test_read_only.py::test_an_open_file_can_be_read_and_not_written",
        ),
    ),
    Mechanism(
        "stdin-on-request",
        "what others want to read from the process's standard input",
        "vibewasm/wasi/streams.py",
        "ProcessStream(0, check) if inherit else InputStream(io.BytesIO())",
        "ProcessStream(0, check)",
        ("tests/wasi/test_stdio.py::test_nothing_is_read_from_the_process_unless_that_is_asked_for",),
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
        "        if links > MAX_LINKS:\n            raise Errno(ELOOP)\n        pending +=",
        "        pending +=",
        ("tests/wasi/test_paths.py::test_a_chain_of_forty_links_is_followed_and_no_longer_one",),
        seconds=20,
    ),
    Mechanism(
        "walk-steps",
        "the host's time, from links that say very long paths",
        "vibewasm/wasi/paths.py",
        "        left -= 1\n",
        "",
        ("tests/wasi/test_paths.py::test_links_do_not_make_a_path_longer_than_is_walked",),
        seconds=20,
    ),
]
