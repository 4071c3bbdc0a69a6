"""What bounds what a guest takes of the host's memory."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

MECHANISMS = [
    Mechanism(
        "max-memory",
        "the host's memory, from a module that begins with much",
        "vibewasm/api/memory.py",
        "        if store.max_memory is not None and store._memory_used + wanted > store.max_memory:\n"
        "            raise",
        "        if False:\n            raise",
        ("tests/api/test_memory.py::test_a_store_limits_its_memories_together",),
    ),
    Mechanism(
        "max-memory-growing",
        "the host's memory, from memory.grow",
        "vibewasm/api/memory.py",
        "        if store.max_memory is not None and store._memory_used + added > store.max_memory:\n"
        "            return",
        "        if False:\n            return",
        ("tests/api/test_memory.py::test_wasm_code_is_stopped_at_the_limit_and_at_the_end_of_the_memory",),
    ),
    Mechanism(
        "max-table-elements",
        "the host's memory, from large tables",
        "vibewasm/api/table.py",
        "        if size > store.max_table_elements:\n",
        "        if False:\n",
        ("tests/safety/test_limits.py::test_a_table_is_not_larger_than_its_store_allows",),
    ),
    Mechanism(
        "max-table-elements-growing",
        "the host's memory, from table.grow",
        "vibewasm/api/table.py",
        "        if size > min(MAX_ELEMENTS, self._store.max_table_elements):\n",
        "        if size > MAX_ELEMENTS:\n",
        ("tests/api/test_tables_and_globals.py::test_a_store_limits_table_grow",),
    ),
    Mechanism(
        "max-references",
        "the host's memory, from objects that a guest holds",
        "vibewasm/instances/references.py",
        "            if self.full:\n",
        "            if False:\n",
        ("tests/api/test_references.py::test_a_host_function_that_returns_one_object_too_many_traps",),
    ),
    Mechanism(
        "memory-directory-size",
        "the host's memory, from files of a directory in memory",
        "vibewasm/wasi/memory_files.py",
        "        end = min(end, max(len(data), len(data) + tree.max_size - tree.used))\n",
        "",
        ("tests/wasi/test_memory_dir.py::test_a_program_cannot_take_more_than_there_is",),
    ),
]
