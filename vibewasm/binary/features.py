"""Proposals that may be off, and how their absence is reported.

WebAssembly 2.0 without SIMD is always on, and so are extended constant expressions.

A module that uses a known proposal which is not built is well-formed, so it gets a ``ValidationError`` that names the
proposal.
"""

from __future__ import annotations

from ..errors import ValidationError

#: What is built of them, and thus on where no other set is given.
BUILT: frozenset[str] = frozenset()

#: What each proposal is called in messages.
TITLES = {
    "compact-imports": "compact import section",
    "exceptions": "exception handling",
    "function-references": "typed function references",
    "gc": "garbage collection",
    "memory64": "64-bit memories and tables",
    "multi-memory": "several memories in one module",
    "simd": "SIMD",
    "threads": "threads",
}


def unsupported(feature: str, what: str, offset: int) -> ValidationError:
    """The error for a module that uses ``what`` of a proposal that is not on."""
    return ValidationError(f"{TITLES[feature]} ({what}) is not supported yet", offset)
