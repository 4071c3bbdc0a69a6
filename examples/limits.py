"""Code that misbehaves is stopped, and the host goes on: a trap, a fuel limit, a deadline.

python examples/limits.py
"""

from __future__ import annotations

import os

import vibewasm

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.wasm")


def load(config: vibewasm.Config) -> vibewasm.Instance:
    """An instance of the plug-in in a store of its own."""
    return vibewasm.instantiate(PLUGIN, {"env": {"log": lambda address, size: None}}, config=config)


def main() -> None:
    """Call what traps and what never returns."""
    plugin = load(vibewasm.Config())
    try:
        plugin.exports.divide(0)
    except vibewasm.Trap as trap:
        print("trap:", trap.message)
        for frame in trap.frames:
            print("  in", frame.func_name)
    print("1000 / 8 =", plugin.exports.divide(8))

    metered = load(vibewasm.Config(fuel=True))
    metered.store.fuel = 1_000_000
    try:
        metered.exports.spin()
    except vibewasm.OutOfFuel as trap:
        print("fuel:", trap.message)

    try:
        with plugin.store.deadline(0.05):
            plugin.exports.spin()
    except vibewasm.Interrupted:
        print("deadline: stopped after 0.05 seconds")


if __name__ == "__main__":
    main()
