"""Modules that hold as many things as possible in as few bytes, a family for each kind of thing: what shows whether
memory and time are in proportion to a module's bytes. Each makes a module of about ``n`` things; some are invalid, and
what counts is what it took to find out.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.binary import encode
from tests.binary.encode import (
    END,
    func_type,
    i32_const,
    module,
    raw_func_type,
    rec_group,
    ref,
    section,
    sub_type,
    unsigned,
    vector,
)

Family = Callable[[int], bytes]

TYPE = section("type", b"\1" + func_type())
ONE_FUNCTION = section("import", b"\1\0\0\0\0")
NULL = b"\xd0\x70\x0b"
ASCII = bytes(range(128)) * 2
NUMBER_TYPES = b"\x7f\x7e\x7d\x7c\x7b\x70\x6f\x69"


def indices(number: int) -> bytes:
    """A vector of that many zeros."""
    return unsigned(number) + b"\0" * number


def types(*encoded: bytes) -> bytes:
    """A module of types."""
    return module(section("type", vector(encoded)))


def other_types(number: int) -> list[bytes]:
    """That many function types, each another one."""
    encoded = []
    for i in range(number):
        digits = bytearray()
        while i:
            i -= 1
            digits.append(NUMBER_TYPES[i & 7])
            i >>= 3
        half = len(digits) // 2
        encoded.append(
            b"\x60" + vector([bytes([b]) for b in digits[:half]]) + vector([bytes([b]) for b in digits[half:]])
        )
    # Halves of another length may come from other digits: what occurs twice is left out.
    return list(dict.fromkeys(encoded))


def functions(number: int, *bodies: bytes) -> bytes:
    """Type, function and code section of functions without parameters and results; empty ones if no body is given."""
    encoded = [unsigned(len(body)) + body for body in bodies] or [b"\2\0\x0b"] * number
    return module(TYPE, section("function", indices(len(encoded))), section("code", vector(encoded)))


def three(i: int) -> bytes:
    """A name of three letters, another for each number."""
    return b"\3" + i.to_bytes(3, "big").translate(ASCII)


def letters(i: int) -> bytes:
    """A short name, another for each number."""
    size = max(1, (i.bit_length() + 6) // 7)
    return bytes([size]) + bytes(i >> 7 * k & 0x7F for k in range(size))


def names(*subsections: tuple[int, bytes]) -> bytes:
    """A module with nothing but a name section."""
    return module(encode.custom("name", b"".join(section(number, contents) for number, contents in subsections)))


def body(code: bytes, locals_: bytes = b"\0") -> bytes:
    """A module of one function."""
    return functions(1, locals_ + code + END)


#: What decoding a module takes, by section.
DECODED: dict[str, Family] = {
    "types": lambda n: types(*[func_type()] * n),
    "other types": lambda n: types(*other_types(n)),
    "types in turn": lambda n: types(*(other_types(n // 8) * 9)[:n]),
    "long types": lambda n: types(*[func_type(["i32"] * 1000)] * (n // 60)),
    "other long types": lambda n: types(
        *[
            raw_func_type([bytes([NUMBER_TYPES[i >> 3 * k & 7]]) for k in range(6)] + [b"\x7f"] * 900)
            for i in range(n // 60)
        ]
    ),
    "imports": lambda n: module(TYPE, section("import", vector([b"\0\0\0\0"] * n))),
    "imports with names": lambda n: module(
        TYPE, section("import", vector(three(i) + three(i) + b"\0\0" for i in range(n)))
    ),
    "imports with wide names": lambda n: module(
        TYPE, section("import", vector((b"\4" + chr(0x10000 + i).encode()) * 2 + b"\0\0" for i in range(n)))
    ),
    "imported globals": lambda n: module(section("import", vector([b"\0\0\3\x7f\0"] * n))),
    "imported tags": lambda n: module(TYPE, section("import", vector([b"\0\0\4\0\0"] * n))),
    "functions": functions,
    "functions without bodies": lambda n: module(TYPE, section("function", indices(n))),
    "globals": lambda n: module(section("global", vector([b"\x7f\0\x41\0\x0b"] * n))),
    "large globals": lambda n: module(
        section("global", vector([b"\x7e\0\x42" + encode.signed(-(1 << 40) - i) + END for i in range(n)]))
    ),
    "globals of functions": lambda n: module(TYPE, ONE_FUNCTION, section("global", vector([b"\x70\0\xd2\0\x0b"] * n))),
    "typed globals": lambda n: module(TYPE, section("global", vector([ref(0, True) + b"\0\xd0\0\x0b"] * n))),
    "exports": lambda n: module(
        section("memory", b"\1\0\0"), section("export", vector(letters(i) + b"\2\0" for i in range(n)))
    ),
    "exported functions": lambda n: module(
        TYPE,
        section("function", indices(n)),
        section("export", vector(letters(i) + b"\0" + unsigned(i) for i in range(n))),
        section("code", vector([b"\2\0\x0b"] * n)),
    ),
    "exports with wide names": lambda n: module(
        section("memory", b"\1\0\0"),
        section("export", vector(b"\3" + chr(0x5000 + i).encode() + b"\2\0" for i in range(min(n, 0x8000)))),
    ),
    "imported globals with wide names": lambda n: module(
        section("import", vector((b"\3" + chr(0x1000 + i % 0x6000).encode()) * 2 + b"\3\x7f\0" for i in range(n)))
    ),
    "exported tags": lambda n: module(
        TYPE, section("tag", b"\1\0\0"), section("export", vector(letters(i) + b"\4\0" for i in range(n)))
    ),
    "tags": lambda n: module(TYPE, section("tag", vector([b"\0\0"] * n))),
    "element segments": lambda n: module(section("element", vector([b"\1\0\0"] * n))),
    "active element segments": lambda n: module(
        section("table", b"\1\x70\0\0"), section("element", vector([b"\0\x41\0\x0b\0"] * n))
    ),
    "function items": lambda n: module(TYPE, ONE_FUNCTION, section("element", b"\1\1\0" + indices(n))),
    "items of many functions": lambda n: module(
        TYPE,
        section("function", indices(n)),
        section("element", b"\1\1\0" + vector(unsigned(i) for i in range(n))),
        section("code", vector([b"\2\0\x0b"] * n)),
    ),
    "items of many imports": lambda n: module(
        TYPE,
        section("import", vector([b"\0\0\0\0"] * n)),
        section("element", b"\1\1\0" + vector(unsigned(i) for i in range(n))),
    ),
    "null items": lambda n: module(section("element", b"\1\5\x70" + vector([NULL] * n))),
    "function expressions": lambda n: module(
        TYPE, ONE_FUNCTION, section("element", b"\1\5\x70" + vector([b"\xd2\0\x0b"] * n))
    ),
    "global items": lambda n: module(
        section("import", vector([b"\0\0\3\x70\0"] * (n // 8))),
        section("element", b"\1\5\x70" + vector(b"\x23" + unsigned(i % (n // 8)) + END for i in range(n))),
    ),
    "typed items of many functions": lambda n: module(
        TYPE,
        section("import", vector([b"\0\0\0\0"] * (n // 4))),
        section("element", b"\1\5\x64\0" + vector(b"\xd2" + unsigned(i % (n // 4)) + END for i in range(n))),
    ),
    "items without a value": lambda n: module(section("element", b"\1\5\x70" + vector([END] * n))),
    "items with long expressions": lambda n: module(
        section("element", b"\1\5\x70" + vector(i32_const(i) + i32_const(i) + b"\x6a\x0b" for i in range(n)))
    ),
    "typed items": lambda n: module(
        TYPE, ONE_FUNCTION, section("element", b"\1\5\x64\0" + vector([b"\xd2\0\x0b"] * n))
    ),
    "data segments": lambda n: module(section("data", vector([b"\1\0"] * n))),
    "active data segments": lambda n: module(
        section("memory", b"\1\0\0"), section("data", vector([b"\0\x41\0\x0b\0"] * n))
    ),
    "data segments at computed places": lambda n: module(
        section("memory", b"\1\0\0"), section("data", vector([b"\0\x41\0\x41\0\x6a\x0b\0"] * n))
    ),
    "data segments of any memory": lambda n: module(
        section("memory", b"\1\0\0"), section("data", vector([b"\2\0\x41\0\x0b\0"] * n))
    ),
    "constant expression": lambda n: module(
        section("global", b"\1\x7f\0" + i32_const(0) + (i32_const(0) + b"\x6a") * n + END)
    ),
    "constants left on the stack": lambda n: module(section("global", b"\1\x7f\0" + i32_const(0) * n + END)),
    "large constants": lambda n: module(
        section("global", b"\1\x7f\0" + i32_const(99) + (i32_const(99) + b"\x6a") * n + END)
    ),
    "additions of nothing": lambda n: module(section("global", b"\1\x7f\0" + b"\x6a" * n + END)),
    "first value of a table": lambda n: module(TYPE, section("table", b"\1\x40\0\x70\0\1" + b"\xd0\0" * n + b"\x0b")),
    "custom sections": lambda n: module(encode.custom("") * n),
    "custom sections with names": lambda n: module(*[section("custom", three(i)) for i in range(n)]),
    "members of a group": lambda n: types(rec_group(*[func_type()] * n)),
    "groups without members": lambda n: types(*[rec_group()] * n),
    "equal groups": lambda n: types(*[rec_group(func_type(), func_type())] * n),
    "other groups": lambda n: types(func_type(), *[rec_group(raw_func_type([ref(i)]), func_type()) for i in range(n)]),
    "references to the type before": lambda n: types(func_type(), *[raw_func_type([ref(i)]) for i in range(n)]),
    "many references to the type before": lambda n: types(
        func_type(), *[raw_func_type([ref(i)] * 8, [ref(i)] * 8) for i in range(n // 16)]
    ),
    "members that refer to all": lambda n: types(
        rec_group(*[raw_func_type([ref(i * 97 % (n // 100)) for i in range(100)]) for _ in range(n // 100)])
    ),
    "supertypes in a group": lambda n: types(
        rec_group(*[sub_type(func_type(), *[i - 1] * (i % 64 > 0)) for i in range(n)])
    ),
    "supertypes without an end": lambda n: types(
        rec_group(sub_type(func_type()), *[sub_type(func_type(), i) for i in range(n)])
    ),
    # The second member's parameters match if the last one is a subtype of the third.
    "supertypes that matching follows": lambda n: types(
        rec_group(
            sub_type(raw_func_type([ref(n + 2)] * 1000)),
            sub_type(raw_func_type([ref(2)] * 1000), 0),
            sub_type(func_type()),
            *[sub_type(func_type(), 2 + i) for i in range(n)],
        )
    ),
    "subtypes of a long type": lambda n: types(
        *[sub_type(raw_func_type([ref("func")] * 1000), *[i - 1] * (i % 64 > 0)) for i in range(n // 500)]
    ),
}

#: What is read of the name section when names are asked for.
NAMED: dict[str, Family] = {
    "names": lambda n: names((1, vector(unsigned(i) + letters(i) for i in range(n)))),
    "empty names": lambda n: names((1, vector(unsigned(i) + b"\0" for i in range(n)))),
    "long names": lambda n: names((1, vector(unsigned(i) + b"\x20" + b"name" * 8 for i in range(n // 8)))),
    "names in any order": lambda n: names((1, vector(unsigned(n - i) + letters(i) for i in range(n)))),
    "names of one function": lambda n: names((1, vector([b"\0\0"] * n))),
    "names of locals": lambda n: names((2, b"\1\0" + vector(unsigned(i) + letters(i) for i in range(n)))),
    "names of locals of each function": lambda n: names((2, vector(unsigned(i) + b"\1\0\1a" for i in range(n)))),
    "functions without names of locals": lambda n: names((2, vector(unsigned(i) + b"\0" for i in range(n)))),
    "subsections": lambda n: names(*[(1 + i % 11, b"") for i in range(n)]),
}

#: What a function's body takes when it is compiled.
COMPILED: dict[str, Family] = {
    "br_table": lambda n: body(i32_const(0) + b"\x0e" + indices(n) + b"\0"),
    "br_table with long depths": lambda n: body(
        b"\2\x40" * 200 + i32_const(0) + b"\x0e" + unsigned(n // 2) + b"\x80\1" * (n // 2) + b"\0" + END * 200
    ),
    "br_table to loops": lambda n: body(
        b"\3\x40" * 100 + i32_const(0) + b"\x0e" + unsigned(n) + bytes(i % 100 for i in range(n)) + b"\0" + END * 100
    ),
    "dead br_table": lambda n: body(b"\0" + i32_const(0) + b"\x0e" + indices(n) + b"\0"),
    "runs of locals": lambda n: body(b"", vector([b"\1\x7f", b"\1\x7c"] * (min(n, 49_000) // 2))),
    "empty runs of locals": lambda n: body(b"", vector([b"\0\x7f"] * n)),
    "nops": lambda n: body(b"\1" * n),
    "constants": lambda n: body(i32_const(0) * n + b"\0"),
    "blocks": lambda n: body(b"\2\x40" * n + END * n),
    "blocks one after another": lambda n: body((b"\2\x40" + END) * n),
    "branches": lambda n: body(b"\2\x40" + (i32_const(0) + b"\x0d\0") * n + END),
    "loops": lambda n: body((b"\3\x40" + END) * n),
    "calls of itself": lambda n: body(b"\x10\0" * n),
    "traps": lambda n: body((i32_const(1) + i32_const(0) + b"\x6d\x1a") * n),
    "functions": functions,
}
