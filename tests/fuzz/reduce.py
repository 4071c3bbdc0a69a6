"""Makes a module smaller as long as it keeps showing the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.fuzz.instructions import CLOSERS, OPENERS, Body, NotParsed, read_body
from tests.fuzz.parts import CODE, FUNCTION, Index, Parts, read_parts
from vibewasm.opcodes import name_of


def reduce(data: bytes, shows_it: Callable[[bytes], bool]) -> bytes:
    """The smallest module found that `shows_it`. `data` itself is returned where it cannot be taken apart."""
    try:
        parts = read_parts(data)
    except NotParsed:
        return data
    if not shows_it(parts.encode()):
        return data
    smaller = True
    while smaller:
        smaller = False
        for candidates in (_without_functions, _without_sections_and_items, _with_less_code):
            while (found := next((c for c in candidates(parts) if shows_it(c.encode())), None)) is not None:
                parts = found
                smaller = True
    return parts.encode()


def listing(data: bytes) -> str:
    """The module in hexadecimal, and its bodies as far as they can be read."""
    lines = [data.hex()]
    try:
        parts = read_parts(data)
        index = Index(parts)
        for number, raw in enumerate(parts.items(CODE), index.imported_funcs):
            signature = index.signature(number)
            body = read_body(raw)
            code = "; ".join(" ".join([name_of(x.code), *map(str, x.immediates)]) for x in body.instructions)
            locals_ = ", ".join(f"{count} x {type_:#x}" for count, type_ in body.locals)
            lines.append(f"  func {number} {signature.params.hex()}:{signature.results.hex()} ({locals_}) {code}")
    except (NotParsed, IndexError) as error:
        lines.append(f"  not read further: {error}")
    return "\n".join(lines)


def _without_functions(parts: Parts) -> Iterator[Parts]:
    for at in reversed(range(len(parts.items(CODE)))):
        smaller = parts.copy()
        if len(smaller.items(FUNCTION)) > at:
            del smaller.items(CODE)[at], smaller.items(FUNCTION)[at]
            yield smaller


def _without_sections_and_items(parts: Parts) -> Iterator[Parts]:
    for at in reversed(range(len(parts.sections))):
        smaller = parts.copy()
        del smaller.sections[at]
        yield smaller
    for at, section in enumerate(parts.sections):
        for item in reversed(range(len(section.items or []))):
            smaller = parts.copy()
            del smaller.sections[at].items[item]  # type: ignore[union-attr]  # the range is empty where it is None
            yield smaller


def _with_less_code(parts: Parts) -> Iterator[Parts]:
    for at, raw in enumerate(parts.items(CODE)):
        try:
            body = read_body(raw)
        except NotParsed:
            continue
        for less in _less_code(body):
            smaller = parts.copy()
            smaller.items(CODE)[at] = less.encode()
            if _is_read(smaller.items(CODE)[at]):
                yield smaller


def _is_read(body: bytes) -> bool:
    """Whether a body is still one: what cannot be read cannot be reduced further."""
    try:
        read_body(body)
    except NotParsed:
        return False
    return True


def _less_code(body: Body) -> Iterator[Body]:
    instructions = body.instructions
    size = len(instructions) // 2
    while size:
        for start in range(0, len(instructions), max(1, size // 2)):
            yield Body(body.locals, instructions[:start] + instructions[start + size :])
        size = min(size - 1, size * 2 // 3)
    for start, (code, _) in enumerate(instructions):
        if code in OPENERS:
            ends = [i for i in range(start + 1, len(instructions)) if instructions[i].code in CLOSERS][:20]
            for end in ends:
                inside = instructions[start + 1 : end]
                yield Body(body.locals, instructions[:start] + inside + instructions[end + 1 :])
    for run in range(len(body.locals)):
        yield Body(body.locals[:run] + body.locals[run + 1 :], instructions)
