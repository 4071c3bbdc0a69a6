"""What keeps the faults of the world around us from becoming crashes, hangs and leaks."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_FORKING = "tests/api/test_forking.py"
_FINALISERS = (
    "tests/runtime/test_finalisers.py::test_an_exception_at_any_bytecode_of_a_finaliser_leaves_no_mapping_behind"
)
_SMALL_STACKS = "tests/runtime/test_small_stacks.py"
_SANDBOXES = "tests/runtime/test_sandboxes.py"
_REFUSED = f"{_SANDBOXES}::test_what_a_sandbox_refuses_is_done_otherwise_or_told"

MECHANISMS = [
    Mechanism(
        "fork-waits-for-imports",
        "children, from modules that another thread had loaded by half",
        "vibewasm/__init__.py",
        "        wait_for_imports()\n",
        "        pass\n",
        (f"{_FORKING}::test_a_fork_waits_for_a_thread_that_loads_a_module",),
    ),
    Mechanism(
        "half-loaded-in-child",
        "children, from waiting for ever for a thread that they do not have",
        "vibewasm/__init__.py",
        "        drop_half_loaded()\n",
        "        pass\n",
        (f"{_FORKING}::test_what_is_half_loaded_in_a_child_all_the_same_is_loaded_anew",),
    ),
    Mechanism(
        "locks-over-fork",
        "children, from locks that a thread holds which they do not have",
        "vibewasm/__init__.py",
        "    _locks.append(lock)\n",
        "    pass\n",
        (f"{_FORKING}::test_a_fork_waits_for_a_lock_that_another_thread_holds",),
    ),
    Mechanism(
        "room-in-files",
        "the process, from a SIGBUS where there is no room for a page of code",
        "runtime/code_files.py",
        "            os.posix_fallocate(fd, 0, size)\n",
        "            os.ftruncate(fd, size)\n",
        (f"{_SANDBOXES}::test_a_full_file_system_is_an_error_and_no_signal",),
    ),
    Mechanism(
        "code-in-files",
        "programs in sandboxes that refuse executable memory that belongs to no file",
        "runtime/os_linux.py",
        "    return map_file_code(size, populate, made, refusal)\n",
        "    raise refusal\n",
        (_REFUSED,),
    ),
    Mechanism(
        "unknown-limits",
        "what lies below the stack, where the system does not tell how far that may grow",
        "runtime/os_linux.py",
        "    return bool(_getrlimit(_RLIMIT_AS, byref(limits))) or bool(limits[0] != _RLIM_INFINITY)\n",
        "    return not _getrlimit(_RLIMIT_AS, byref(limits)) and bool(limits[0] != _RLIM_INFINITY)\n",
        (_REFUSED,),
    ),
    Mechanism(
        "unmapped-in-one-step",
        "mappings, from being left or unmapped twice where a signal's handler raises in between",
        "runtime/os_linux.py",
        "        if any(map(_munmap, map(made.pop, (-1,)), (size,))):\n",
        "        address = made.pop()\n        if _munmap(address, size):\n",
        (_FINALISERS,),
    ),
    Mechanism(
        "notes-of-code",
        "mappings of code, from being left where a finaliser is ended before its first line",
        "runtime/code_memory.py",
        "            settle(_gone, _give_back)\n",
        "            pass\n",
        (_FINALISERS,),
    ),
    Mechanism(
        "dirty-reservations",
        "what one guest left in its memory, from the next, where a finaliser was ended",
        "runtime/reservations.py",
        "            if self._clean(taken[0]):\n",
        "            taken[0].clean = taken[0].clean or bool(addresses)\n            if self._clean(taken[0]):\n",
        (_FINALISERS,),
    ),
    Mechanism(
        "accessible-is-not-known",
        "the process, from zeroing or using a memory of which an interrupted change has made less or more accessible",
        "runtime/reservations.py",
        "    accessible.pop(address, None)\n    try:\n",
        "    try:\n",
        (
            "tests/runtime/test_finalisers.py::"
            "test_after_an_exception_at_any_bytecode_of_making_or_growing_a_memory_what_is_accessible_is_its_size",
        ),
    ),
    Mechanism(
        "unguarded-is-not-promised",
        "the host's memory, from memories with explicit bounds that count as what they could become",
        "runtime/os_linux.py",
        "    map_into(made, size, _PROT_NONE, _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE)\n",
        "    map_into(made, size, _PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE)\n",
        (f"{_SANDBOXES}::test_only_memory_that_is_used_counts_where_promises_are_counted",),
    ),
    Mechanism(
        "small-stacks",
        "the process, from Python code below wasm code where a thread's stack has no room for it",
        "runtime/calls.py",
        "min(STACK_RESERVE, (end - low) // 4 * _STACK_PART)\n",
        "0\n",
        (f"{_SMALL_STACKS}::test_a_thread_with_a_small_stack_traps_where_it_ends",),
    ),
    Mechanism(
        "least-stack",
        "the same, from threads whose stack is so small that no part of it would do",
        "runtime/calls.py",
        "        if end - low < _LEAST_STACK:\n",
        "        if False:\n",
        (f"{_SMALL_STACKS}::test_a_thread_with_too_small_a_stack_is_told_of",),
    ),
]
