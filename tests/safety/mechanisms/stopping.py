"""What ends within its deadline."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_WORK = "tests/api/test_stopping_work.py"
_CUTS = "tests/api/test_cutting_short.py"
_WASI = "tests/wasi/test_stopping.py"
_COMMAND = "tests/cli/test_timeout.py"

MECHANISMS = [
    Mechanism(
        "cutting-short",
        "the host's time, from modules that take long to decode, check, compile or instantiate",
        "vibewasm/api/stopping.py",
        "            _send(thread, Cut)\n    finally:",
        "            pass\n    finally:",
        (f"{_WORK}::test_a_deadline_stops_checking_a_module",),
        seconds=60,
    ),
    Mechanism(
        "not-cutting-others",
        "functions of the program, finalisers and imports, from being left in the middle",
        "vibewasm/api/stopping.py",
        "    if not _may_cut(top):\n        return\n",
        "",
        (
            f"{_CUTS}::test_functions_of_the_program_are_waited_for",
            f"{_CUTS}::test_loading_a_module_is_waited_for",
        ),
    ),
    Mechanism(
        "end-of-work",
        "the program, from an exception that was meant for work that is over",
        "vibewasm/errors.py",
        "            work.undo(thread)\n",
        "            pass\n",
        (f"{_CUTS}::test_what_was_sent_and_has_not_come_up_does_not_come_up_later",),
    ),
    Mechanism(
        "deadline-of-threads",
        "the host's time, from wasm code of any store in the block of vibewasm.deadline",
        "vibewasm/api/deadline.py",
        "                context.wake_all()\n",
        "                pass\n",
        (f"{_WORK}::test_a_deadline_stops_wasm_code_in_any_thread",),
        seconds=60,
    ),
    Mechanism(
        "deadline-of-callers",
        "the host's time, from wasm code that does little but call Python",
        "runtime/context.py",
        "        if cells[CELL_SAVED_SP]:\n            cells[CELL_INTERRUPT] |= INTERRUPT_REQUEST\n",
        "        if _runs(cells):\n            cells[CELL_INTERRUPT] |= INTERRUPT_REQUEST\n",
        (f"{_WORK}::test_a_deadline_that_is_over_while_python_is_called_stops_the_code_that_has_called",),
        seconds=60,
    ),
    Mechanism(
        "linking-in-turns",
        "the host's time, from modules that import very many things",
        "vibewasm/api/many_imports.py",
        '            guest_work(store, "linking the module", _nothing)\n',
        "            pass\n",
        (f"{_WORK}::test_a_deadline_stops_linking",),
        seconds=60,
    ),
    Mechanism(
        "hurried-backtrace",
        "the host's time, from compiling a function again to say where it was stopped",
        "vibewasm/api/places.py",
        "    if hurry:\n",
        "    if False:\n",
        (f"{_WORK}::test_finding_out_where_code_was_stopped_is_not_waited_for",),
        seconds=60,
    ),
    Mechanism(
        "tables-in-pieces",
        "the host's time, from instructions on tables of millions of elements",
        "vibewasm/api/table.py",
        "            if count > 0:\n                self._store._check_interrupt()\n",
        "",
        (f"{_CUTS}::test_a_table_that_could_not_be_filled_has_its_old_size_and_grows_again",),
    ),
    Mechanism(
        "terminals-do-not-wait",
        "the host's time, from output to a terminal that nobody reads",
        "vibewasm/wasi/streams.py",
        "            self._terminal = own_terminal(self.fd)\n",
        "            pass\n",
        (f"{_WASI}::test_a_terminal_that_nobody_reads",),
        seconds=60,
    ),
    Mechanism(
        "files-in-turns",
        "the host's time, from reads and writes of gigabytes",
        "vibewasm/wasi/waiting.py",
        "        if done:\n            check()\n",
        "",
        (f"{_WASI}::test_much_of_a_file_is_read_and_written_in_turns",),
    ),
    Mechanism(
        "devices-in-turns",
        "the host's time, from devices that take or give any number of bytes at once",
        "vibewasm/wasi/fds.py",
        "            return operation(one_turn(buffers), 0)\n",
        "            return operation(buffers, 0)\n",
        (f"{_WASI}::test_a_device_that_takes_and_gives_any_amount_is_asked_for_a_turn_at_most",),
    ),
    Mechanism(
        "devices-written-in-turns",
        "the same, where what is written goes in small pieces",
        "vibewasm/wasi/waiting.py",
        "        if done >= TURN or (done and not is_ready(fd, writing=True)):\n",
        "        if done and not is_ready(fd, writing=True):\n",
        (f"{_WASI}::test_a_device_that_takes_and_gives_any_amount_is_asked_for_a_turn_at_most",),
    ),
    Mechanism(
        "buffers-that-can-be-counted",
        "the host, from buffers that overlap and have more bytes together than a result can say",
        "vibewasm/wasi/guest.py",
        "    left = MAX_BYTES\n",
        "    left = 1 << 64\n",
        (f"{_WASI}::test_buffers_that_overlap_are_no_more_than_can_be_counted",),
    ),
    Mechanism(
        "files-in-memory-in-turns",
        "the host's time, from files of gigabytes in memory",
        "vibewasm/wasi/memory_files.py",
        "                if len(file.data) < size:\n                    self.turn()\n",
        "",
        (f"{_WASI}::test_much_of_a_file_in_memory_is_read_and_written_in_turns",),
    ),
    Mechanism(
        "directories-in-turns",
        "the host's time, from directories of millions of entries",
        "vibewasm/wasi/directories.py",
        "            if not len(entries) % ENTRIES and check is not None:\n                check()\n",
        "",
        (f"{_WASI}::test_a_large_directory_is_listed_in_order_and_can_be_given_up",),
    ),
    Mechanism(
        "timeout-before-reading",
        "the host's time, from a module that comes from a FIFO or standard input without end",
        "vibewasm/cli/wasmfile.py",
        "    return bool(deadlines_here and deadlines_here[0]())\n",
        "    return False\n",
        (f"{_COMMAND}::test_a_module_that_comes_from_a_fifo_without_end",),
        seconds=60,
    ),
]
