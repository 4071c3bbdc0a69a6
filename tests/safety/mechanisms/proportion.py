"""What keeps the time and the machine code of compiling in proportion to a module's bytes."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_CONVENTION = "backends/convention.py"
_TESTS = "tests/fuzz/test_bombs.py"
_BOMBS = f"{_TESTS}::test_many_values_cost_what_the_bytes_that_name_them_cost"

MECHANISMS = [
    Mechanism(
        "many-values",
        "the host's time, from blocks, branches and calls with a thousand values",
        _CONVENTION,
        "MANY_VALUES = 16\n",
        "MANY_VALUES = 1 << 20\n",
        (f"{_TESTS}::test_a_thousand_values_take_as_many_steps_as_sixty",),
    ),
    Mechanism(
        "shared-by-type",
        "the host's time, from functions whose type says a thousand parameters",
        "vibewasm/compiler/environment.py",
        "        found = self._found.get(id(types))\n",
        "        found = None\n",
        (f"{_TESTS}::test_a_thousand_values_take_as_many_steps_as_sixty",),
    ),
    Mechanism(
        "results-in-loops",
        "the host's memory, from calls whose results are moved one by one",
        _CONVENTION,
        "FEW_OF_CALL = 4\n",
        "FEW_OF_CALL = 8\n",
        (f"{_BOMBS}[calls of 8 to 8]",),
    ),
    Mechanism(
        "arguments-in-loops",
        "the host's memory, from calls that pass what another call has returned one by one",
        "vibewasm/compiler/instructions/calls.py",
        "_MANY_IN_SLOTS = 10\n",
        "_MANY_IN_SLOTS = 24\n",
        (f"{_BOMBS}[calls of 16 to 16]",),
    ),
    Mechanism(
        "arguments-out-of-line",
        "the host's memory, from calls whose arguments travel in many registers and places",
        _CONVENTION,
        "_MOST_IN_LINE = 12\n",
        "_MOST_IN_LINE = 1 << 10\n",
        (f"{_BOMBS}[calls of many to many in turn]",),
    ),
    Mechanism(
        "branches-in-loops",
        "the host's memory, from a br_table that takes values to very many labels",
        "vibewasm/compiler/instructions/branches.py",
        "    few = FEW_CELLS if len(distinct) <= _FEW_LABELS else _FEW_FOR_MANY_LABELS\n",
        "    few = FEW_CELLS\n",
        (f"{_BOMBS}[br_tables of 8 values to 120 labels]",),
    ),
    Mechanism(
        "checked-mode-linear",
        "the time of tests: checked mode looks at the top of a deep operand stack only",
        "vibewasm/compiler/modes/checking.py",
        "            if index == deepest:\n",
        "            if False:\n",
        ("tests/compiler/test_runs.py::test_checked_mode_takes_time_in_proportion_to_the_depth_of_the_stack",),
    ),
]
