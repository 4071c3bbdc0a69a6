"""What mutants are made from: real programs cut down to a few functions, and the official suite's modules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random

from tests.fuzz.instructions import (
    BLOCK,
    CALL,
    END,
    F32_CONST,
    F64_CONST,
    I32_CONST,
    I64_CONST,
    IF,
    KINDS,
    LOOP,
    REF_FUNC,
    REF_NULL,
    V128_CONST,
    Body,
    Instruction,
    NotParsed,
    read_body,
    uleb,
)
from tests.fuzz.operations import CALL_REF, RETURN_CALL, RETURN_CALL_INDIRECT, RETURN_CALL_REF
from tests.fuzz.parts import (
    CODE,
    DATA,
    ELEMENT,
    EXPORT,
    FUNC_KIND,
    FUNCTION,
    GLOBAL,
    GLOBAL_KIND,
    IMPORT,
    MEMORY,
    MEMORY_KIND,
    TABLE,
    TYPE,
    Index,
    Parts,
    Section,
    Signature,
    read_parts,
)
from tests.spec import sexpr, suite
from vibewasm.opcodes import CODE as CODES

# Larger modules are cut into slices of a few functions, so that judging one takes about a millisecond.
LARGE_BYTES = 4000
FUNCTIONS_PER_SLICE = 2
SLICES_PER_MODULE = 14
BODY_BYTES = range(16, 1200)
MEMORY_PAGES = 32

_FUNCREF = 0x70
# An active segment at 1024, where programs have theirs.
_SOME_DATA = b"\0\x41\x80\x08\x0b" + uleb(200) + Random("data").randbytes(200)
_ZERO = {
    0x7F: Instruction(I32_CONST, (0,)),
    0x7E: Instruction(I64_CONST, (0,)),
    0x7D: Instruction(F32_CONST, (0,)),
    0x7C: Instruction(F64_CONST, (0,)),
    0x7B: Instruction(V128_CONST, (0,)),
    0x70: Instruction(REF_NULL, (-0x10,)),
    0x6F: Instruction(REF_NULL, (-0x11,)),
}


class Corpus:
    """Seeds by kind: `programs` (slices of real programs), `suite` (valid modules) and `invalid` (rejected by it)."""

    def __init__(self, programs: list[bytes], suite_modules: list[bytes], invalid: list[bytes]) -> None:
        self.programs = programs
        self.suite = suite_modules
        self.invalid = invalid
        self.valid = programs + suite_modules


@lru_cache(maxsize=4096)  # mutants read the same seeds again and again
def _parts(data: bytes) -> Parts:
    return read_parts(data)


def parts_of(data: bytes) -> Parts:
    """The parts of a seed, free to be changed; raises `NotParsed`."""
    return _parts(data).copy()


def load() -> Corpus:
    """Reads the corpus from the shared folder; kinds whose files are missing stay empty."""
    folder = suite.shared_folder()
    programs: dict[bytes, None] = {}  # in order, without doubles
    seen: set[bytes] = set()
    for path in sorted([*folder.glob("programs/**/*.wasm"), *folder.glob("wasi/**/*.wasm")]):
        programs.update(dict.fromkeys(_slices(path.read_bytes(), seen)))
    valid: dict[bytes, None] = {}
    invalid: dict[bytes, None] = {}
    for script in suite.scripts():
        if script.waits_for:
            continue
        for is_valid, data in _script_modules(script.path):
            if len(data) > LARGE_BYTES:
                valid.update(dict.fromkeys(_slices(data, seen)))
            else:
                (valid if is_valid else invalid)[data] = None
    return Corpus(list(programs), list(filter(_readable, valid)), list(filter(_readable, invalid)))


def _readable(data: bytes) -> bool:
    try:
        Index(_parts(data))
    except (NotParsed, IndexError):
        return False
    return True


def _script_modules(path: Path) -> Iterator[tuple[bool, bytes]]:
    for _, form in sexpr.read(path.read_text(encoding="utf-8")):
        match form:
            case [("assert_invalid" | "assert_malformed"), ["module", *rest], bytes(_)]:
                yield False, _joined(rest)
            case ["module", "definition", *rest]:
                yield True, _joined(rest)


def _joined(nodes: list[sexpr.Node]) -> bytes:
    return b"".join(node for node in nodes if isinstance(node, bytes))


def _slices(data: bytes, seen: set[bytes]) -> Iterator[bytes]:
    """Cuts a large module into small ones; `seen` are function bodies that some slice has already."""
    parts = read_parts(data)
    index = Index(parts)
    chosen: list[int] = []
    for defined, body in enumerate(parts.items(CODE)):
        if len(body) in BODY_BYTES and body not in seen:
            seen.add(body)
            chosen.append(index.imported_funcs + defined)
    step = max(1, len(chosen) // (SLICES_PER_MODULE * FUNCTIONS_PER_SLICE))
    chosen = chosen[::step]
    for start in range(0, len(chosen), FUNCTIONS_PER_SLICE):
        try:
            yield cut(parts, index, chosen[start : start + FUNCTIONS_PER_SLICE]).encode()
        except NotParsed:
            continue


def _kept(signature: Signature) -> Signature:
    if not {*signature.params, *signature.results} <= _ZERO.keys():
        raise NotParsed("types that name types are not kept")
    return signature


class Renumbering:
    """Gives items of one module's index space numbers in another, in the order in which they are asked for."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def __call__(self, old: int) -> int:
        return self.numbers.setdefault(old, len(self.numbers))


def cut(parts: Parts, index: Index, funcs: list[int]) -> Parts:
    """A module with the functions `funcs`; those that they call return zeros. Raises `NotParsed`."""
    bodies = [read_body(parts.items(CODE)[func - index.imported_funcs]) for func in funcs]
    referenced = {
        instruction.immediates[0]
        for body in bodies
        for instruction in body.instructions
        if instruction.code in (CALL, REF_FUNC)
    } - set(funcs)
    if any(code not in _ZERO for body in bodies for _, code in body.locals):
        raise NotParsed("locals of types that are not kept")
    if not {*index.tables} <= _ZERO.keys() or any(item[0] not in _ZERO for item in parts.items(TABLE)):
        raise NotParsed("tables of types that are not kept")
    number, type_number = Renumbering(), Renumbering()
    imports = [item for item in parts.items(IMPORT) if not _is_func_import(item)]
    for func in sorted(referenced):
        if func < index.imported_funcs:
            number(func)
            imports.append(
                b"\1i\1" + bytes([48 + len(number.numbers) % 64]) + b"\0" + uleb(type_number(index.func_types[func]))
            )
    called = [func for func in sorted(referenced) if func >= index.imported_funcs]
    for func in funcs + called:
        number(func)
    all_types = [type_number(index.func_types[func]) for func in funcs + called]
    new_bodies = [renumber(body, number, type_number) for body in bodies]
    new_bodies += [zero_body(index.signature(func)) for func in called]
    own_globals = [item for item in parts.items(GLOBAL) if item[0] in _ZERO and item[2] != REF_FUNC]
    if len(own_globals) != len(parts.items(GLOBAL)):
        raise NotParsed("globals that name functions")
    exports = [b"\2f" + bytes([48 + i, FUNC_KIND]) + uleb(number(func)) for i, func in enumerate(funcs)]
    exports += [b"\1m" + bytes([MEMORY_KIND, 0])] * bool(index.memories)
    exports += [b"\2g" + bytes([48 + i, GLOBAL_KIND, i]) for i in range(len(index.globals))][:40]
    everything = uleb(len(number.numbers)) + b"".join(map(uleb, range(len(number.numbers))))
    elements = [b"\3\0" + everything]
    if index.tables[:1] == [_FUNCREF]:
        elements.append(b"\0\x41\0\x0b" + everything)
    sections = [
        Section(TYPE, [_kept(index.types[old]).encode() for old in type_number.numbers]),
        Section(IMPORT, imports),
        Section(FUNCTION, [uleb(type_) for type_ in all_types]),
        Section(TABLE, [bytes([item[0], 0]) + uleb(len(number.numbers) + 2) for item in parts.items(TABLE)]),
        Section(MEMORY, [b"\1" + uleb(MEMORY_PAGES) + uleb(2 * MEMORY_PAGES) for _ in parts.items(MEMORY)]),
        Section(GLOBAL, own_globals),
        Section(EXPORT, exports),
        Section(ELEMENT, elements),
        Section(CODE, [body.encode() for body in new_bodies]),
        Section(DATA, [_SOME_DATA] * bool(parts.items(MEMORY))),
    ]
    return Parts([section for section in sections if section.items])


def renumber(body: Body, number: Renumbering, type_number: Renumbering) -> Body:
    """The body with function and type indices replaced; raises `NotParsed` for what a slice does not keep."""
    out: list[Instruction] = []
    for instruction in body.instructions:
        code, immediates = instruction
        if immediates:
            if code in (CALL, REF_FUNC):
                instruction = Instruction(code, (number(immediates[0]),))
            elif code == CODES["call_indirect"]:
                instruction = Instruction(code, (type_number(immediates[0]), immediates[1]))
            elif "tag" in KINDS[code] or "catches" in KINDS[code] or code in (CALL_REF, RETURN_CALL_REF):
                raise NotParsed("tags and references to types are not kept")
            elif code in (RETURN_CALL, RETURN_CALL_INDIRECT):
                raise NotParsed("tail calls are not kept")
            elif code in (BLOCK, LOOP, IF) and immediates[0] >= 0:  # a type index
                instruction = Instruction(code, (type_number(immediates[0]),))
            elif "data" in KINDS[code] or "elem" in KINDS[code]:
                raise NotParsed("segments are not kept")
        out.append(instruction)
    return Body(body.locals, tuple(out))


def zero_body(signature: Signature) -> Body:
    """A body that returns zeros and nulls."""
    if not {*signature.results} <= _ZERO.keys():
        raise NotParsed("a result that has no zero")
    return Body((), (*(_ZERO[type_] for type_ in signature.results), Instruction(END)))


def _is_func_import(item: bytes) -> bool:
    module_size = item[0]
    name_at = 1 + module_size
    return item[name_at + 1 + item[name_at]] == FUNC_KIND
