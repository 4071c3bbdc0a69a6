"""Look at machine code from Python: where locals live, what a loop became, which instructions can trap.

python examples/listing.py [FILE [FUNCTION]]        (needs capstone: pip install 'vibewasm[disasm]')
"""

from __future__ import annotations

import os
import sys

import vibewasm

SUM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sum.wat")


def report(path: str, function: str) -> None:
    """Print a few facts about what a function is compiled to."""
    listing = vibewasm.Module(vibewasm.Engine(), path).disassemble(function)[0]
    print(f"{listing.wasm_size} bytes of wasm, {len(listing)} instructions of {listing.target_title}")
    for local in listing.locals:
        print(f"{local.name} ({local.type}) lives in {local.place}")
    for instruction in listing:
        if instruction.traps:
            print(f"{instruction.text} may trap: {' or '.join(instruction.traps)}")


if __name__ == "__main__":
    report(*(sys.argv[1:] or [SUM, "sum"]))
