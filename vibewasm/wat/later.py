"""Instructions of proposals that are not built yet, so that their text is reported as such and not as unknown words.

An instruction that gets a row in the opcode table is found there first; nothing has to be taken out here.
"""

from __future__ import annotations

import re

from ..binary.support import TITLES

#: Proposals by the names of their instructions.
_INSTRUCTIONS = {
    "simd": r"v128\.\w+|[if](8x16|16x8|32x4|64x2)\.\w+",
    "gc": r"(struct|array|i31)\.\w+|ref\.(eq|test|cast|i31)|br_on_cast(_fail)?|any\.convert_extern|extern\.convert_any",
    "function-references": r"(return_)?call_ref|ref\.as_non_null|br_on_(non_)?null",
    "exceptions": r"throw(_ref)?|try_table",
    "tail-call": r"return_call(_indirect)?",
    "threads": r"(i32|i64|memory)\.atomic\.[\w.]+|atomic\.fence",
}
_PATTERN = re.compile("|".join(f"(?P<{key.replace('-', '_')}>{names})" for key, names in _INSTRUCTIONS.items()))


def proposal_of(word: str) -> str | None:
    """What the proposal is called that an instruction belongs to, or ``None`` if it is known from nowhere."""
    match = _PATTERN.fullmatch(word)
    if match is None:
        return None
    key = next(name for name, text in match.groupdict().items() if text).replace("_", "-")
    return TITLES.get(key, key)
