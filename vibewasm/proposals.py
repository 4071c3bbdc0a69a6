"""Proposals that are not built: what each is called, and by what it is recognised in a binary module and in text.

A module that uses one is no malformed module, so it gets an error that names the proposal: the same name whether it is
validated, run, or taken from one format to the other. What no proposal has stays malformed. Whatever gets a row in
:mod:`.opcodes` is found there first, and whatever the readers of types know is read there; then its entry here goes.

Nothing here is loaded before something is met that the engine does not know. Branch hints and compilation hints are
custom sections and annotations, which are stepped over, so they are not here. Sources: the proposals' own overviews
(github.com/WebAssembly); what wasmparser 0.261 knows and what it calls illegal is what a test compares with.
"""

from __future__ import annotations

import re

from .opcodes import spelled

#: What each proposal is called in messages. A title is plural if it ends in s.
TITLES = {
    "compact-imports": "compact import section",
    "component-model": "component model",
    "custom-descriptors": "custom descriptors",
    "custom-page-sizes": "custom page sizes",
    "gc": "garbage collection",
    "half-precision": "half precision",
    "legacy-exceptions": "legacy exception handling",
    "memory-control": "memory control",
    "memory64": "64-bit memories and tables",
    "multi-memory": "multiple memories",
    "shared-everything-threads": "shared-everything threads",
    "stack-switching": "stack switching",
    "stringref": "reference-typed strings",
    "threads": "threads",
    "wide-arithmetic": "wide arithmetic",
}

#: What to do with a component.
COMPONENT_ADVICE = (
    "this is a component, and vibewasm runs core modules; take the core module out of it with "
    "`wasm-tools component unbundle`, or build the program for wasm32-wasip1"
)

#: Opcodes of one byte.
_OPCODES = {
    0xD3: "gc",
    **dict.fromkeys(range(0xE0, 0xE7), "stack-switching"),
}

#: Opcodes after a prefix: the prefix, and the first and the last of a stretch.
_AFTER_PREFIXES = (
    (0xFB, 0x00, 0x1E, "gc"),
    (0xFB, 0x20, 0x26, "custom-descriptors"),
    (0xFB, 0x80, 0xB7, "stringref"),
    (0xFC, 0x12, 0x12, "memory-control"),
    (0xFC, 0x13, 0x16, "wide-arithmetic"),
    (0xFC, 0x30, 0x31, "half-precision"),
    (0xFD, 0x120, 0x14D, "half-precision"),
    (0xFE, 0x00, 0x03, "threads"),
    (0xFE, 0x10, 0x4E, "threads"),
    (0xFE, 0x4F, 0x72, "shared-everything-threads"),
)
#: Opcodes that may stand in a constant expression: GC's that make a value or convert one.
_CONSTANT = {0xFB: frozenset((0x00, 0x01, 0x06, 0x07, 0x08, 0x1A, 0x1B, 0x1C, 0x20, 0x21))}

#: First bytes of types that the readers of types do not know: the proposal, and what begins with it.
TYPES = {
    0x61: ("stringref", "stringview_iter"),
    0x62: ("custom-descriptors", "exact reference"),
    0x65: ("shared-everything-threads", "shared reference"),
    0x66: ("stringref", "stringview_wtf8"),
    0x67: ("stringref", "stringref"),
    0x68: ("stack-switching", "contref"),
    0x75: ("stack-switching", "nullcontref"),
}

#: First bytes of type definitions, the same way.
FORMS = {
    0x4C: ("custom-descriptors", "type that a descriptor describes"),
    0x4D: ("custom-descriptors", "descriptor of a type"),
    0x5D: ("stack-switching", "continuation type"),
    0x65: ("shared-everything-threads", "shared type"),
}

#: The bit of a memory's limits that announces the size of its pages.
PAGE_SIZE_FLAG = 8

#: Words of the text format. The first line that has a word counts.
_WORDS = (
    ("component-model", r"component|core"),
    ("custom-page-sizes", r"pagesize"),
    ("half-precision", r"f16x8\.\w+|f32\.(load|store)_f16|i16x8\.trunc_sat_f16x8_[su]|f32x4\.promote_low_f16x8|f16"),
    (
        "custom-descriptors",
        r"struct\.new(_default)?_desc|ref\.get_desc|ref\.cast_desc(_eq)?|br_on_cast_desc(_eq)?(_fail)?"
        r"|descriptor|describes|exact",
    ),
    ("gc", r"(struct|array|i31)\.\w+|ref\.(eq|test|cast|i31)|br_on_cast(_fail)?|any\.convert_extern"
           r"|extern\.convert_any"),
    ("threads", r"(i32|i64|memory)\.atomic\.[\w.]+|atomic\.fence"),
    (
        "shared-everything-threads",
        r"(global|table|struct|array)\.atomic\.[\w.]+|ref\.i31_shared|pause|seq_cst|acq_rel|shared",
    ),
    ("memory-control", r"memory\.discard"),
    ("wide-arithmetic", r"i64\.((add|sub)128|mul_wide_[su])"),
    ("stack-switching", r"cont\.(new|bind)|suspend|resume(_throw(_ref)?)?|switch|(null)?contref|(no)?cont"),
    ("stringref", r"string\.\w+|stringview_\w+(\.\w+)?|string(ref)?"),
)  # fmt: skip
_PATTERNS: list[tuple[str, re.Pattern[str]]] = []


def message(feature: str, what: str) -> str:
    """What is said of a module that uses ``what`` of the proposal ``feature``."""
    if feature == "component-model":
        return f"{TITLES[feature]} ({what}) is not supported: {COMPONENT_ADVICE}"
    title = TITLES[feature]
    return f"{title} ({what}) {'are' if title.endswith('s') else 'is'} not supported yet"


def advice_without(title: str) -> str:
    """What to do with a module that needs what is not built, or what the command line refuses; ``title`` is what
    :data:`TITLES` calls that.
    """
    if title == TITLES["legacy-exceptions"]:
        return (
            "Leave out --no-legacy-exceptions, or make the form of the specification of it: Binaryen's "
            "wasm-opt --translate-to-exnref does, and so do newer compilers when they are told."
        )
    return f"Compile the program without {title}; the README lists what else is missing, under 'What is not there yet'."


def proposal_of_word(word: str) -> str | None:
    """The proposal that has this word of the text format, or ``None``."""
    if not _PATTERNS:
        _PATTERNS.extend((feature, re.compile(words)) for feature, words in _WORDS)
    return next((feature for feature, pattern in _PATTERNS if pattern.fullmatch(word)), None)


def proposal_of(code: int) -> str | None:
    """The proposal that an opcode of :mod:`.opcodes`' numbering belongs to, or ``None``."""
    prefix, sub = code >> 32, code & 0xFFFFFFFF
    if not prefix:
        return _OPCODES.get(code)
    for known, first, last, feature in _AFTER_PREFIXES:
        if prefix == known and first <= sub <= last:
            return feature
    return None


def may_be_constant(code: int) -> bool:
    """Whether an opcode that is not built may stand in a constant expression."""
    return code & 0xFFFFFFFF in _CONSTANT.get(code >> 32, ())


def not_in_table(code: int) -> tuple[str, bool]:
    """What is wrong with an opcode that the engine's table does not have, and whether that makes a module malformed."""
    feature = proposal_of(code)
    if feature is None:
        return f"illegal opcode {spelled(code)}", True
    return message(feature, f"opcode {spelled(code)}"), False
