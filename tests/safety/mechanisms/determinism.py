"""What keeps a deterministic program from telling one run or machine from another."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_TESTS = "tests/api/test_deterministic.py"
_WASI = "tests/wasi/test_determinism.py"

MECHANISMS = [
    Mechanism(
        "canonical-nans",
        "the result, from the bits that a processor gives a NaN",
        "vibewasm/compiler/environment.py",
        "        if deterministic and self.target.NANS_BY_CODE:\n",
        "        if False:\n",
        (f"{_TESTS}::test_scalar_instructions_make_the_canonical_nan_or_keep_bits",),
        processor="x86_64",
    ),
    Mechanism(
        "canonical-nan-mode",
        "the same, where the processor has a mode for it",
        "runtime/adapters.py",
        "        if deterministic:\n",
        "        if False:\n",
        (f"{_TESTS}::test_scalar_instructions_make_the_canonical_nan_or_keep_bits",),
        processor="aarch64",
    ),
    Mechanism(
        "growth-refused-by-limits-only",
        "the result, from how much memory the system has left",
        "vibewasm/instances/bulk.py",
        "    if why == NO_MORE_MEMORY and instance.store.engine.config.deterministic:\n",
        "    if False:\n",
        (f"{_WASI}::test_deterministic_code_is_refused_growth_by_limits_only",),
    ),
    Mechanism(
        "stable-clocks",
        "the time of day, and how long things take",
        "vibewasm/wasi/process.py",
        "            clock = START if clock is None else clock\n",
        "",
        (f"{_WASI}::test_clocks_and_random_bytes_that_are_left_open_are_the_same_in_every_run",),
    ),
    Mechanism(
        "stable-random-bytes",
        "the result, from random bytes of the system",
        "vibewasm/wasi/process.py",
        "            seed = SEED if seed is None else seed\n",
        "",
        (f"{_WASI}::test_clocks_and_random_bytes_that_are_left_open_are_the_same_in_every_run",),
    ),
    Mechanism(
        "stable-files",
        "inodes, devices, times and sizes of directories",
        "vibewasm/wasi/process.py",
        "return status if self.stable is None else self.stable.status(status)",
        "return status",
        (f"{_WASI}::test_files_are_said_to_be_the_same_wherever_they_lie",),
    ),
    Mechanism(
        "stable-streams",
        "whether a standard stream is a terminal, a file or a pipe",
        "vibewasm/wasi/process.py",
        "                stream.file_type = abi.UNKNOWN\n",
        "                pass\n",
        (f"{_WASI}::test_standard_streams_do_not_say_what_they_are",),
    ),
]
