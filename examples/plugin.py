"""A host with a plug-in: it gives the plug-in a function, writes into its memory and calls what it exports.

python examples/plugin.py [TEXT]
"""

from __future__ import annotations

import os
import sys

import vibewasm

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.wasm")


def count_words(text: str) -> int:
    """The number of words in ``text``, as the plug-in counts them."""
    messages: list[tuple[int, int]] = []
    plugin = vibewasm.instantiate(PLUGIN, {"env": {"log": lambda address, size: messages.append((address, size))}})
    exports = plugin.exports

    data = text.encode()
    if len(data) > exports.input_size():
        raise ValueError(f"the plug-in takes {exports.input_size()} bytes of text at most")
    address = exports.input()
    exports.memory[address : address + len(data)] = data
    words: int = exports.count_words(len(data))

    for start, size in messages:
        print("plug-in says:", exports.memory[start : start + size].decode())
    return words


if __name__ == "__main__":
    text = " ".join(sys.argv[1:]) or "the quick brown fox jumps over the lazy dog"
    print(count_words(text), "words")
