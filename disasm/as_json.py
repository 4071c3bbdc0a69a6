"""Listings as JSON: plain data, for other tools and for the pages of this folder."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import FunctionListing, Instruction

#: Version of the form below. It changes when what is there changes its meaning; keys may be added without.
FORMAT = 1


def function(listing: FunctionListing) -> dict[str, object]:
    """One function as dictionaries, lists, strings and numbers; bytes are hexadecimal, offsets are numbers."""
    return {
        "index": listing.index,
        "name": listing.name,
        "symbol": listing.symbol,
        "type": str(listing.type),
        "target": listing.target,
        "wasm_start": listing.wasm_start,
        "wasm_size": listing.wasm_size,
        "machine_size": len(listing.code),
        "frame_size": listing.frame_size,
        "spills": listing.spills,
        "reloads": listing.reloads,
        "locals": [
            {
                "index": home.index,
                "count": home.count,
                "name": home.name,
                "type": home.type,
                "register": home.register,
                "frame_offset": None if home.register else home.offset,
            }
            for home in listing.locals
        ],
        "groups": [
            {
                "kind": group.kind,
                "wasm_offset": group.wasm_offset,
                "depth": group.depth,
                "wasm": group.wasm,
                "machine": [_instruction(listing, item) for item in group.machine],
            }
            for group in listing.groups
        ],
        "blocks": [
            {
                "start": block.start,
                "end": block.end,
                "successors": [{"address": address, "kind": kind} for address, kind in block.successors],
            }
            for block in listing.blocks
        ],
    }


def _instruction(listing: FunctionListing, item: Instruction) -> dict[str, object]:
    return {
        "address": item.address,
        "bytes": item.bytes.hex(),
        "label": listing.labels.get(item.address),
        "mnemonic": item.mnemonic,
        "operands": item.operands,
        "symbols": list(item.symbols),
        "traps": list(item.traps),
        "flow": item.flow,
        "target": item.target,
    }


def dumps(value: object) -> str:
    """JSON without spaces, in ASCII: names in a module may hold what an output's encoding cannot."""
    return json.dumps(value, separators=(",", ":"))
