"""What is supported: which proposals, and how much of anything one module may have.

WebAssembly 2.0 is always on, and so are relaxed SIMD, extended constant expressions, tail calls, typed function
references and exceptions. A module that uses a known proposal which is not built is well-formed, so it gets a
``ValidationError`` that names the proposal.

The limits are those that wasmtime 50 (wasmparser 0.261) has, so that both accept and reject the same modules; most of
them are also what the web's engines agreed upon (WebAssembly JavaScript Interface, "Implementation-defined Limits").
"""

from __future__ import annotations

from ..errors import ValidationError

#: What is built of them, and thus on where no other set is given.
BUILT: frozenset[str] = frozenset(("legacy-exceptions",))


def unsupported(feature: str, what: str, offset: int) -> ValidationError:
    """The error for a module that uses ``what`` of a proposal that is not on."""
    from ..proposals import TITLES, message

    return ValidationError(message(feature, what), offset, feature=TITLES[feature])


def sized(size: int) -> str:
    """A number of bytes, for a message."""
    from ..counting import counted

    return counted(size, "byte")


# -- limits ------------------------------------------------------------------------------------------------------------

MAX_TYPES = 1_000_000
MAX_FUNCTIONS = 1_000_000
MAX_IMPORTS = 1_000_000
MAX_EXPORTS = 1_000_000
MAX_GLOBALS = 1_000_000
MAX_ELEMENT_SEGMENTS = 100_000
MAX_DATA_SEGMENTS = 100_000
MAX_TABLES = 100
MAX_MEMORIES = 100
MAX_TAGS = 1_000_000
MAX_SUBTYPING_DEPTH = 63
MAX_PARAMS = 1000
MAX_RESULTS = 1000
#: Bytes of one function's entry in the code section.
MAX_FUNCTION_SIZE = 7_654_321
#: Bytes of a name.
MAX_STRING_SIZE = 100_000
#: Items of one element segment.
MAX_ELEMENT_ITEMS = 10_000_000
#: Pages of a memory with 32-bit addresses: 4 GiB.
MAX_MEMORY32_PAGES = 1 << 16
#: Pages of a memory with 64-bit addresses: 2**64 bytes.
MAX_MEMORY64_PAGES = 1 << 48
#: Summed over all imports and exports: one for each, and for a function one more and one for each parameter and result.
MAX_TYPE_SIZE = 999_998
