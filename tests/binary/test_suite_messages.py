"""The official suite's words: what the decoder rejects is rejected with the message that the script expects.

The runner in ``tests/spec`` checks that every faulty module is rejected, and as what; the words are checked here.
"""

from __future__ import annotations

import pytest

from tests.binary.judge import rejection
from tests.spec import sexpr, suite
from vibewasm.errors import DecodeError

SCRIPTS = (
    "binary-leb128.wast",
    "binary.wast",
    "custom.wast",
    "data.wast",
    "elem.wast",
    "exports.wast",
    "global.wast",
    "imports.wast",
    "memory.wast",
    "start.wast",
    "table.wast",
    "utf8-custom-section-id.wast",
    "utf8-import-field.wast",
    "utf8-import-module.wast",
)

#: In these the declared size of a body cuts an integer in it short. The reference interpreter reads on and complains of
#: the integer; the decoder finds that no section follows before anything looks into the body. Both are malformed.
OTHER_WORDS = {("binary-leb128.wast", "malformed section id 128"): 6}


@pytest.mark.skipif(suite.missing() is not None, reason=str(suite.missing()))
def test_messages_begin_with_the_words_of_the_suite() -> None:
    checked = 0
    other: dict[tuple[str, str], int] = {}
    for script in suite.scripts():
        if script.name not in SCRIPTS:
            continue
        for line, form in sexpr.read(script.text()):
            match form:
                case [("assert_malformed" | "assert_invalid") as kind, ["module", *rest], bytes(expected)]:
                    wasm = b"".join(part for part in rest if isinstance(part, bytes))
                case _:
                    continue
            if "quote" in rest:
                continue
            error = rejection(wasm)
            if error is None or error.message.endswith(" not supported yet"):
                continue
            checked += 1
            assert isinstance(error, DecodeError) == (kind == "assert_malformed"), (script.name, line)
            if not error.message.startswith(expected.decode()):
                key = (script.name, error.message)
                other[key] = other.get(key, 0) + 1
    assert other == OTHER_WORDS
    # A reader that finds no modules must not pass for success.
    assert checked > 700
