"""Malformed modules: the message begins with the official suite's words, and says where."""

from __future__ import annotations

import pytest

from tests.binary.encode import HEADER, custom, module, name, section
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError

TYPE = section("type", b"\1\x60\0\0")
FUNCTION = section("function", b"\1\0")
CODE = section("code", b"\1\2\0\x0b")


def fault(wasm: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(wasm)
    assert str(caught.value).endswith(f" (at byte offset {caught.value.offset:#x})")
    return caught.value


@pytest.mark.parametrize(
    ("wasm", "message", "offset"),
    [
        (b"", "unexpected end", 0),
        (b"\0", "unexpected end", 1),
        (b"\1", "unexpected end", 1),
        (b"\0asm", "unexpected end", 4),
        (b"\0asm\1\0\0", "unexpected end", 7),
        (b"asm\0\1\0\0\0", "magic header not detected", 0),
        (b"\0ASM\1\0\0\0", "magic header not detected", 0),
        (b"\0asm\2\0\0\0", "unknown binary version", 4),
        (b"\0asm\0\0\0\1", "unknown binary version", 4),
        (b"\0asm\x0d\0\0\0", "unknown binary version", 4),
    ],
)
def test_header(wasm: bytes, message: str, offset: int) -> None:
    error = fault(wasm)
    assert error.message.startswith(message)
    assert error.offset == offset


def test_a_component_is_named_as_such_with_what_to_do() -> None:
    error = fault(b"\0asm\x0d\0\1\0" + bytes(20))
    assert error.message.startswith("unknown binary version")
    for part in ("this is a component", "wasm-tools component unbundle", "wasm32-wasip1"):
        assert part in error.message


@pytest.mark.parametrize("text", [b"(module)", b"  \n(module)", b";; a comment\n(module)"])
def test_the_text_format_is_named_as_such(text: bytes) -> None:
    error = fault(text)
    assert error.message.startswith("magic header not detected")
    assert "WebAssembly text" in error.message


@pytest.mark.parametrize(
    ("sections", "message", "offset"),
    [
        # The frame of sections.
        (b"\x0e\1\0", "malformed section id", 8),
        (b"\xff\1\0", "malformed section id", 8),
        (b"\1", "unexpected end", 9),
        (b"\1\2\0", "length out of bounds", 9),
        (b"\1\x80\x80\x80\x80\x80\0", "integer representation too long", 13),
        (b"\1\x80\x80\x80\x80\x10", "integer too large", 13),
        (section("type", b"\0\0"), "section size mismatch", 11),
        (section("type", b"\0") * 2, "unexpected content after last section", 11),
        (section("import", b"\0") + section("type", b"\0"), "unexpected content after last section", 11),
        (section("data", b"\0") + section("data count", b"\0"), "unexpected content after last section", 11),
        (section("code", b"\0") + section("data count", b"\0"), "unexpected content after last section", 11),
        (section("start", b"\0") + section("start", b"\0"), "unexpected content after last section", 11),
        # Custom sections.
        (b"\0\0", "unexpected end", 10),
        (b"\0\1\5abcde", "unexpected end", 10),
        (b"\0\1\5abcd", "length out of bounds", 10),
        (custom(b"\xff"), "malformed UTF-8 encoding", 11),
        (custom(b"ab\xed\xa0\x80"), "malformed UTF-8 encoding", 13),
        # Types.
        (section("type", b"\1"), "unexpected end of section or function", 10),
        (section("type", b"\1\x60"), "unexpected end of section or function", 12),
        (section("type", b"\1\x40\0\0"), "malformed definition type", 11),
        (section("type", b"\1\xe0\x7f\0\0"), "integer representation too long", 11),
        (section("type", b"\1\x60\1\x40\0"), "malformed value type", 13),
        (section("type", b"\1\x60\1\x63\x40\0"), "malformed heap type", 14),
        (section("type", b"\1\x5e\x78\2"), "malformed mutability", 13),
        (section("type", b"\1\x5f\2\x7f\1\x77\xff"), "malformed mutability", 16),
        # Imports.
        (section("import", b"\1\0\0\5"), "malformed import kind", 13),
        (section("import", b"\1\0\0\x80"), "malformed import kind", 13),
        (section("import", b"\1\0\1a\x7f\0"), "malformed import kind", 14),
        (section("import", b"\1\1\xff\0\0\0"), "malformed UTF-8 encoding", 12),
        (section("import", b"\1\x7f\0\0\0"), "length out of bounds", 11),
        (section("import", b"\1\0\0\1\x7f\0\0"), "malformed reference type", 14),
        (section("import", b"\1\0\0\2\x08\0"), "malformed limits flags", 14),
        (section("import", b"\1\0\0\3\x7f\2"), "malformed mutability", 15),
        # Tables, memories, globals.
        (section("table", b"\1\x70\x08"), "malformed limits flags", 12),
        (section("table", b"\1\x70\x81\0\0"), "malformed limits flags", 12),
        (section("memory", b"\1\x10\0"), "malformed limits flags", 11),
        (section("memory", b"\1\0" + b"\x82" * 9 + b"\x10"), "integer too large", 21),
        (section("global", b"\1\x7f\2\x41\0\x0b"), "malformed mutability", 12),
        (section("global", b"\1\x7f\0\xff\0\x0b"), "illegal opcode ff", 13),
        (section("global", b"\1\x7f\0\x41\0"), "unexpected end of section or function", 15),
        (section("global", b"\1\x7d\0\x43\0\0"), "unexpected end of section or function", 16),
        (section("global", b"\1\x7f\0\x41\x80\x80\x80\x80\x70\x0b"), "integer too large", 18),
        (section("global", b"\1\x70\0\xd0\x7f\x0b"), "malformed heap type", 14),
        # Exports, elements, data.
        (section("export", b"\1\0\5\0"), "malformed export kind", 12),
        (section("element", b"\1\x08\0\0"), "malformed elements segment kind", 11),
        (section("element", b"\1\1\1\0"), "malformed element kind", 12),
        (section("element", b"\1\5\x7f\0"), "malformed reference type", 12),
        (section("data", b"\1\3\0\0"), "malformed data segment kind", 11),
        (section("data", b"\1\1\2a"), "unexpected end of section or function", 13),
        (section("data count", b"\1"), "data count and data section have inconsistent lengths", 11),
        (
            section("data count", b"\3") + section("data", b"\2\1\0\1\0"),
            "data count and data section have inconsistent lengths",
            13,
        ),
        # Functions and their bodies.
        (TYPE + FUNCTION, "function and code section have inconsistent lengths", 18),
        (CODE, "function and code section have inconsistent lengths", 10),
        (TYPE + FUNCTION + section("code", b"\2\2\0\x0b\2\0\x0b"), "function and code section have inconsistent", 20),
        (TYPE + FUNCTION + section("code", b"\1\3\0\x0b"), "unexpected end of section or function", 22),
        (TYPE + FUNCTION + section("code", b"\1\0"), "unexpected end of section or function", 22),
        (TYPE + FUNCTION + section("code", b"\1\2\0\x0b\0"), "section size mismatch", 24),
    ],
)
def test_sections(sections: bytes, message: str, offset: int) -> None:
    error = fault(module(sections))
    assert error.message.startswith(message)
    assert error.offset == offset


def test_custom_sections_may_stand_anywhere_and_repeat() -> None:
    x = custom("x")
    decode(module(x, TYPE, x, x, FUNCTION, x, CODE, x))


def test_what_is_malformed_comes_before_what_is_invalid() -> None:
    invalid = section("start", b"\7")
    error = fault(module(invalid, section("data", b"\1")))
    assert error.message.startswith("unexpected end")


@pytest.mark.parametrize("which", ["type", "import", "function", "table", "memory", "global", "export", "element"])
def test_a_huge_count_fails_at_once(which: str) -> None:
    error = fault(module(section(which, b"\xff\xff\xff\xff\x0f" + bytes(100))))
    assert error.message.startswith("unexpected end of section or function: 4294967295")
    assert error.offset == 10


@pytest.mark.parametrize("cut", range(8, 60))
def test_every_prefix_of_a_module_is_malformed_or_ends_between_sections(cut: int) -> None:
    wasm = module(
        TYPE, section("memory", b"\1\0\1"), section("data", b"\1\0\x41\0\x0b\3abc"), custom("name", name("x"))
    )
    cut = min(cut, len(wasm))
    ends = {8, 14, 19, 30, len(wasm)}
    if cut in ends:
        decode(wasm[:cut])
    else:
        assert fault(wasm[:cut]).offset <= cut


def test_anything_with_a_buffer_is_decoded() -> None:
    wasm = module(TYPE)
    for data in (bytearray(wasm), memoryview(wasm)):
        assert decode(data).data == wasm  # type: ignore[arg-type]  # beyond the signature, for callers without types
    assert HEADER == wasm[:8]
