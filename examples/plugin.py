"""A host with a plug-in: it gives the plug-in a function, writes into its memory and calls what it exports.

python examples/plugin.py [TEXT]
"""

from __future__ import annotations

import os
import sys

import vibewasm

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.wasm")


def log(caller: vibewasm.Caller, address: int, size: int) -> None:
    """What the plug-in calls: it passes a text in its own memory."""
    print("plug-in says:", caller.read_str(address, size))


def count_words(text: str) -> int:
    """The number of words in ``text``, as the plug-in counts them."""
    engine = vibewasm.Engine()
    linker = vibewasm.Linker(engine)
    linker.define("env", "log", log, caller=True)
    exports = linker.instantiate(vibewasm.Store(engine), vibewasm.Module(engine, PLUGIN)).exports

    data = text.encode()
    if len(data) > exports.input_size():
        raise ValueError(f"the plug-in takes {exports.input_size()} bytes of text at most")
    address = exports.input()
    exports.memory[address : address + len(data)] = data
    words: int = exports.count_words(len(data))
    return words


if __name__ == "__main__":
    text = " ".join(sys.argv[1:]) or "the quick brown fox jumps over the lazy dog"
    print(count_words(text), "words")
