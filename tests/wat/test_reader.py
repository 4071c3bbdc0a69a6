"""What the reader makes of text, where the official suite does not look: errors, names, depth, time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.growth import assert_linear
from tests.wat.sections import sections
from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError
from vibewasm.wat import lexer, wasm2wat, wat2wasm
from vibewasm.wat.errors import WatError
from vibewasm.wat.lexer import text_error
from vibewasm.wat.literals import decode_string


def fault(text: str | bytes) -> WatError:
    with pytest.raises(WatError) as caught:
        wat2wasm(text)
    return caught.value


def test_an_error_shows_the_line_with_a_caret() -> None:
    error = fault("(module\n\t(func $f\n    (call $g)))")
    assert (error.message, error.line, error.column) == ("unknown function $g", 3, 11)
    assert error.source_line == "    (call $g)))"
    assert str(error) == "unknown function $g (line 3, column 11)\n      (call $g)))\n            ^"
    assert isinstance(error, DecodeError)


def test_an_error_in_a_very_long_line_shows_a_part_of_it() -> None:
    error = fault("(module " + "(func)" * 10_000 + "(fun))")
    shown, caret = str(error).splitlines()[1:]
    assert len(shown) < 110
    assert shown[caret.index("^") :].startswith("fun)")


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("(module", "unexpected token: the text ends too early", 8),
        ("(module))", "unexpected token )", 9),
        ("(module) (module)", "unexpected token (", 10),
        ("(modul)", "unknown operator modul", 2),
        ("(func", "unexpected token: the text ends too early", 6),
        ("(func i32.const)", "unexpected token )", 16),
        ("(func (i32.const 1 2))", "unexpected token 2", 20),
        ("(func local.get $x)", "unknown local $x", 17),
        ("(func (param $x i32) (local $x i32))", "duplicate local $x", 29),
        ("(func $f) (func $f)", "duplicate function $f", 17),
        ("(func block $a end $b)", "mismatching label $b", 20),
        ("(func end)", "unexpected token end", 7),
        ("(func block)", "unexpected token )", 12),
        ("(func (if (i32.const 1)))", "unexpected token )", 24),
        ("(func block else end)", "unexpected token else", 13),
        ("(func br $x)", "unknown label $x", 10),
        ("(func (i32.load align=3 (i32.const 0)))", "alignment must be a power of two", 17),
        ("(func i32.const 4294967296)", "constant out of range", 17),
        ("(func br 4294967296)", "i32 constant out of range", 10),
        ("(start 0) (start 0)", "multiple start sections", 12),
        ("(func) (import \"a\" \"b\" (func))", "import after function", 8),
        ("(table 0 funcref) (memory (import \"a\" \"b\") 1)", "import after table", 27),
        ("(type $t (func)) (func (type $t) (param i32))", "inline function type", 24),
        ("(func (type 7) (param i32))", "unknown type", 13),
        ('(func (export "\\ff"))', "malformed UTF-8 encoding", 15),
        ('(data "a', "unclosed string", 7),
        ('(data "\\q")', "illegal escape", 8),
        ('(data "\\u{d800}")', "illegal escape", 7),
        ("(; (; ;)", "unclosed comment", 1),
        ("(@a (b)", "unclosed annotation", 1),
        ("(import", "unexpected token: the text ends too early", 8),
        ('(import "a")', "unexpected token )", 12),
        ("(func) ä", "illegal character", 8),
        ("(func) [", "unknown operator [", 8),
        ("(func $)", "empty identifier", 7),
        ("(module binary \"\" nop)", "unexpected token nop", 19),
    ],
)  # fmt: skip
def test_faults_are_named_and_placed(text: str, message: str, column: int) -> None:
    error = fault(text)
    assert error.message.startswith(message)
    assert (error.line, error.column) == (1, column)


def test_bytes_and_text_that_are_no_unicode_are_malformed() -> None:
    assert fault(b"(module)\n ;; \xff").message == "malformed UTF-8 encoding"
    assert (fault(b"(module)\n ;; \xff").line, fault(b"(module)\n ;; \xff").column) == (2, 5)
    assert fault('(data "\ud800")').message == "malformed UTF-8 encoding"


def test_an_instruction_of_a_later_proposal_is_unsupported_rather_than_malformed() -> None:
    with pytest.raises(
        ValidationError, match=r"threads \(i32\.atomic\.load\) are not supported yet \(line 1, column 7\)"
    ):
        wat2wasm("(func i32.atomic.load)")


def test_a_text_may_be_fields_alone_a_binary_or_a_quotation() -> None:
    module = wat2wasm("(module (func))")
    assert wat2wasm("(func)") == module
    assert wat2wasm('(module $m quote "(fu" "nc)")') == module
    assert wat2wasm('(module binary "\\00asm" "\\01\\00\\00\\00")') == wat2wasm("") == wat2wasm("(module)")


def test_folded_and_unfolded_instructions_are_the_same() -> None:
    folded = """(func (param i32) (result i32)
        (block $out (result i32)
            (loop $again (br_if $again (i32.eqz (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
            (if (result i32) (local.get 0) (then (br $out (i32.const 7))) (else (i32.const -8)))))"""
    unfolded = """(func (param i32) (result i32)
        block $out (result i32)
            loop $again local.get 0 i32.const 1 i32.sub local.tee 0 i32.eqz br_if $again end $again
            local.get 0 if (result i32) i32.const 7 br $out else i32.const -8 end
        end)"""
    assert wat2wasm(folded) == wat2wasm(unfolded)


def test_abbreviations_mean_their_long_forms() -> None:
    short = """
        (func $f (export "f") (export "g") (import "m" "f") (param i32))
        (table $t (export "t") funcref (elem $f $f))
        (memory (data "ab" "c"))
        (func (call_indirect (param i32) (i32.const 1) (i32.const 0)) (memory.size) (memory.grow) (drop))
    """
    long = """
        (type (func (param i32))) (type (func))
        (import "m" "f" (func (type 0)))
        (table 2 2 funcref) (memory 1 1)
        (export "f" (func 0)) (export "g" (func 0)) (export "t" (table 0))
        (elem (table 0) (offset i32.const 0) funcref (item ref.func 0) (item ref.func 0))
        (func (type 1) i32.const 1 i32.const 0 call_indirect 0 (type 0) memory.size 0 memory.grow 0 drop)
        (data (memory 0) (offset i32.const 0) "abc")
    """
    assert wat2wasm(short) == wat2wasm(long)


def test_comments_and_annotations_are_space() -> None:
    text = """(; a (; nested ;) " ;) (module (@a "(" (b ;; )
        ) (@c)) $m (func(;;) (@d [ , ; ] x"y") nop) ;; the end
    )"""
    assert wat2wasm(text) == wat2wasm("(module (func nop))")


@pytest.mark.parametrize(
    "after",
    [
        ";; c", ";;", " ;; c\n", ";;;;", ";; (", ";; \"", ";;\r", ";; a\r;; b", ";; a\r\n;; b", "(;;)", "(; ; ;)",
        "(;;;)", "(; (; ;) ;)", "(; ;; ;)", "(;;);;", "(@a)", "(@a ;;)\n)", "(@a (;);) (b))", '(@"a b" ")")',
        "\t", "\r", "\n\n",
    ],
)  # fmt: skip
def test_a_text_may_end_in_any_comment_annotation_or_space(after: str) -> None:
    empty = b"\0asm\1\0\0\0"
    assert wat2wasm("(module)" + after) == wat2wasm(after + "\n(module)") == wat2wasm(after) == empty
    assert wat2wasm("(module (func " + after + "\n))") == wat2wasm("(module (func))")


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("(module)\n (; x", "unclosed comment", 2, 2),
        ("(; (; ;)", "unclosed comment", 1, 1),
        ("(module)(;)", "unclosed comment", 1, 9),
        ("(module)\n(@a (b)", "unclosed annotation", 2, 1),
        ("(@a ;; )", "unclosed annotation", 1, 1),
        ("(@a\n (; )", "unclosed comment", 2, 2),
        ("(module)\n;", "unknown operator ;", 2, 1),
        ("(module) ;)", "unknown operator ;", 1, 10),
        (";; c\r(fun)", "unknown operator fun", 2, 2),
        (";; a\r;; b\r\n\n  (fun)", "unknown operator fun", 4, 4),
        (";; a\r\n(fun)\r;;", "unknown operator fun", 2, 2),
    ],
)
def test_faults_around_comments_have_their_line_and_column(text: str, message: str, line: int, column: int) -> None:
    error = fault(text)
    assert (error.message, error.line, error.column) == (message, line, column)
    assert "\r" not in error.source_line


def test_the_second_half_of_a_lines_end_is_in_that_line() -> None:
    error = text_error("ab\r\ncd", "m", 3)
    assert (error.line, error.column, error.source_line) == (1, 4, "ab\r")


def test_one_expression_finds_tokens_wherever_a_text_is_entered() -> None:
    # If it did not match somewhere, the search for the next token would step over what stands there.
    for text in (";; c", "(;", "\0", "\x7f", '"', "$", "a;; c", "\ud800", "[", " \n"):
        for position in range(len(text) + 1):
            assert lexer._TOKEN.match(text, position), (text, position)


PLACES = [
    "",
    "0",
    "1",
    "0x1",
    "$s",
    "$s 0",
    "$s 1",
    "({0} 1)",
    "$s ({0} $b)",
    "$s $b",
    "0 0",
    "1 $b",
    "$a",
    "99999999999",
]
OFFSETS = ["(i32.const 1)", "(offset i32.const 1)", "(offset (i32.const 1))", "(global.get $g)", ""]
ITEMS = {
    "data": ['"x"', ""],
    "elem": ["$f", "0 $f", "func $f", "funcref (ref.func $f)", "(ref null func) (item ref.func 0)", "(ref.func 0)", ""],
}


@pytest.mark.parametrize("kind", ["data", "elem"])
@pytest.mark.parametrize("place", PLACES)
def test_segments_are_read_as_by_other_tools(kind: str, place: str) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    word = "memory" if kind == "data" else "table"
    rest = "(memory $a 1) (memory $b 1)" if kind == "data" else "(table $a 9 funcref) (table $b 9 funcref) (func $f)"
    for offset in OFFSETS:
        for items in ITEMS[kind]:
            text = f"(module ({kind} {place.format(word)} {offset} {items}) (global $g i32 (i32.const 1)) {rest})"
            try:
                expected = bytes(wasmtime.wat2wasm(text))
            except wasmtime.WasmtimeError:
                with pytest.raises(WatError):
                    wat2wasm(text)
            else:
                # There is more than one way to encode that table 0 is meant.
                assert wasm2wat(wat2wasm(text, names=True)) == wasm2wat(expected), text


def test_segments_of_version_1_name_their_table_or_memory_by_a_bare_number() -> None:
    old = """(memory 1) (table 9 funcref) (func $f) (func $g)
        (data 0 (i32.const 1) "x" "y") (data $d 0 (offset (i32.const 2))) (elem 0 (i32.const 3) $f $g)
        (elem $e 0 (i32.const 4))"""
    new = """(memory 1) (table 9 funcref) (func $f) (func $g)
        (data (memory 0) (i32.const 1) "xy") (data $d (offset i32.const 2)) (elem (i32.const 3) func $f $g)
        (elem $e (table 0) (i32.const 4) func)"""
    assert wat2wasm(old, names=True) == wat2wasm(new, names=True)


def test_identifiers_become_a_name_section_on_request() -> None:
    text = """(module $m (type $t (func)) (import "a" "b" (func $i)) (global $g i32 (i32.const 0)) (memory $mem 1)
        (func $f (param $x i32) (param i32) (local $y i32)) (func)
        (table $tab 0 funcref) (data $d "") (elem $e func))"""
    assert not decode(wat2wasm(text)).names.kinds
    module = decode(wat2wasm(text, names=True))
    assert module.name == "m"
    assert module.func_names == {0: "i", 1: "f"}
    assert module.local_names == {1: {0: "x", 2: "y"}}
    named = {kind: module.names.of(kind) for kind in ("type", "table", "memory", "global", "elem", "data")}
    assert named == {
        "type": {0: "t"}, "table": {0: "tab"}, "memory": {0: "mem"}, "global": {0: "g"}, "elem": {0: "e"},
        "data": {0: "d"},
    }  # fmt: skip


def test_quoted_identifiers_are_the_identifiers_that_they_spell() -> None:
    assert wat2wasm('(func $"a b") (func $c) (func (call $"\\61\\u{20}b") (call $"c"))')


def test_inline_types_of_a_body_are_numbered_as_by_the_reference_interpreter() -> None:
    module = decode(wat2wasm("(func (block (param f32) unreachable) (block (param f64) unreachable))"))
    assert [[str(param) for param in type_.params] for type_ in module.types] == [[], ["f64"], ["f32"]]


@pytest.mark.parametrize(
    ("begin", "end"), [("(block ", ")"), ("block $a ", "end "), ("(i32.eqz ", ")"), ("(if (nop) (then ", "))")]
)
def test_nesting_is_bounded_by_memory_only(begin: str, end: str) -> None:
    deep = 50_000
    module = wat2wasm(f"(func {begin * deep}{end * deep})")
    assert sections(module)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (lambda n: f"(module {'(func (param i32) (drop (i32.add (local.get 0) (i32.const 77))))' * n})", 4_000),
        (lambda n: f"(func {'f64.const 0x1.8p3 drop f32.const 1.25 drop block $a br $a end ' * n})", 4_000),
        (lambda n: f"(module {'(func)' * n})", 40_000),
        (lambda n: '(data "' + "\\00ab" * n + '")', 200_000),
        (lambda n: "(;" * n + ";)" * n, 200_000),
        (lambda n: "(;c;)" * n, 60_000),
        (lambda n: ";; c\n" * n + ";; c", 60_000),
        (lambda n: ";;" + "x" * n, 1_000_000),
        (lambda n: " \n" * n, 200_000),
        (lambda n: "(@a b)" * n, 40_000),
        (lambda n: f"(func (f64.const {'1' * n}e-{n}))", 20_000),
        (lambda n: f"(func (f32.const 0x0.{'0' * n}1p{4 * n}))", 20_000),
    ],
    ids=[
        "folded",
        "floats",
        "functions",
        "string",
        "comments",
        "flat comments",
        "line comments",
        "one comment",
        "space",
        "annotations",
        "decimal digits",
        "hexadecimal digits",
    ],
)
def test_text_is_read_in_linear_time(text: Callable[[int], str], size: int) -> None:
    assert_linear(text, wat2wasm, size)


@pytest.mark.parametrize(
    "text",
    [
        lambda n: '"' + "\\41" * n,
        lambda n: '"' * 3 * n,
        lambda n: "$" * 3 * n,
        lambda n: "(" * 3 * n,
        lambda n: "(@a" * n,
        lambda n: "(@a(" * n,
    ],
    ids=["string", "quotes", "dollars", "parentheses", "annotations", "annotations and parentheses"],
)
def test_malformed_text_is_rejected_in_linear_time(text: Callable[[int], str]) -> None:
    assert_linear(text, fault, 80_000)


def test_names_are_asked_for_by_name() -> None:
    with pytest.raises(TypeError, match="positional"):
        wat2wasm("(module)", True)  # type: ignore[call-arg]  # what must not be taken for a setting


LONG_TOKENS = {
    "space": " " * (1 << 25),
    "lines": "\n;; c" * 4_000_000,
    "line": ";;" + "c" * 10_000,
    "string": '"' + "a" * (1 << 25) + '"',
    "escapes": '"' + "\\41" * 1_000_000 + '"',
    "digits": "1" * 5_000_000,
    "quotes": '"a"' * 1_000_000,
}


@pytest.mark.parametrize("text", LONG_TOKENS.values(), ids=LONG_TOKENS)
def test_no_match_takes_long_since_nothing_can_be_cut_short_within_one(text: str) -> None:
    match = lexer._TOKEN.match(text)
    assert match is not None
    assert match.end() < len(text)


def _tokens(text: str) -> list[str]:
    return lexer.Tokens(text).tokens[:-1]


def test_what_is_not_matched_at_once_is_read_as_a_whole() -> None:
    assert _tokens(" " * (1 << 25) + "a") == ["a"]
    assert _tokens("\n;; c" * 10_000 + "\nb") == ["b"]
    for end in ("\n", "\r", "\r\n"):
        assert _tokens("a;;" + "c" * 10_000 + end + "b ;;" + "c" * 10_000) == ["a", "b"]
    for around in range(-4, 5):
        assert _tokens("a(;" + "(" * (lexer._WINDOW + around) + "(;;);)b") == ["a", "b"]
    escapes = '"' + "\\41\\u{41}\\n" * 60_000 + '"'
    assert _tokens(f"a {escapes} b") == ["a", escapes, "b"]
    assert decode_string(escapes) == b"AA\n" * 60_000
    assert _tokens(f"(@a {escapes} ;;{'c' * 10_000}\n {' ' * 10_000}) b") == ["b"]
    assert _tokens("x" * lexer._LONGEST) == ["x" * lexer._LONGEST]


def test_what_is_wrong_with_long_tokens() -> None:
    escapes = "\\41" * 100_000
    for text, message in (
        (f'"{escapes}', "unclosed string"),
        (f'"{escapes}\\x"', "illegal escape in a string"),
        (f'"{escapes}\x01"', "illegal character in a string"),
        (f'"{escapes}"a', "unknown operator"),
        (f'"{escapes}""', "unknown operator"),
        ('"\\u{' + "0" * 2000 + '41}"', "illegal escape in a string"),
        ("x" * (lexer._LONGEST + 1), "implementation limit: a token of more than 100000 characters"),
        ("(;" + "x" * (2 * lexer._WINDOW), "unclosed comment"),
        (f'(@a "{escapes}', "unclosed string"),
    ):
        with pytest.raises(WatError, match=message):
            _tokens(text)
