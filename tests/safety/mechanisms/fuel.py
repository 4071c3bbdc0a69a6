"""What makes fuel bound time."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_TESTS = "tests/api/test_fuel_costs.py"

MECHANISMS = [
    Mechanism(
        "fuel-of-memory-bulk",
        "the host's time, from memory.fill and memory.copy of gigabytes for a few units of fuel",
        "vibewasm/compiler/instructions/operations.py",
        "    if c.special is not None and c.special.meter is not None:\n",
        "    if False:\n",
        (f"{_TESTS}::test_with_a_unit_too_little_nothing_is_done",),
    ),
    Mechanism(
        "fuel-of-builtins",
        "the same, from table instructions, memory.init and growth",
        "vibewasm/instances/builtins.py",
        "        if store.engine.config.fuel:\n",
        "        if False:\n",
        (f"{_TESTS}::test_with_a_unit_too_little_nothing_is_done",),
    ),
    Mechanism(
        "fuel-of-host-calls",
        "the same, from calls of host functions",
        "vibewasm/calls/callbacks.py",
        "    if store.engine.config.fuel:\n",
        "    if False:\n",
        (f"{_TESTS}::test_a_host_function_that_there_is_too_little_fuel_for_is_not_called",),
    ),
    Mechanism(
        "fuel-of-wasi",
        "the same, from calls of WASI",
        "vibewasm/wasi/preview1.py",
        "                if process.charge is not None:\n",
        "                if False:\n",
        (f"{_TESTS}::test_wasi_takes_the_stores_fuel",),
    ),
    Mechanism(
        "fuel-of-values",
        "the same, from functions of thousands of locals, and from branches and calls that carry thousands of values",
        "vibewasm/compiler/modes/metering.py",
        "            cost += self._values(pc, op) // VALUES\n",
        "            cost += 0\n",
        (f"{_TESTS}::test_what_functions_and_branches_carry_costs",),
        more=(
            (
                "vibewasm/compiler/modes/metering.py",
                "self._entry = (c.locals.count + len(c.labels[0].results)) // VALUES",
                "self._entry = 0",
            ),
        ),
    ),
    Mechanism(
        "fuel-of-assignments",
        "the same fuel on every processor, whichever locals are in registers",
        "vibewasm/compiler/modes/metering.py",
        " and self._taken_along(pc - 2):\n",
        " and False:\n",
        (f"{_TESTS}::test_an_assignment_costs_whether_or_not_it_is_compiled_with_the_instruction_before",),
    ),
]
