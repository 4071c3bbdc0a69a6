"""Any bytes as a module in text: refused, or assembled, and then it goes there and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.guided.altering import LONGEST, altered
from tests.guided.target import Wrong
from tests.spec.suite import PROJECT_ROOT, shared_folder
from tests.wat.scripts import modules
from vibewasm import Engine, Module, WasmError
from vibewasm.wat import wasm2wat, wat2wasm

#: So many modules of each script of the suite, roughly.
_PER_SCRIPT = 8
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[()]|;;[^\n]*|[^\s()";]+|\s+|.', re.DOTALL)


def seeds() -> list[bytes]:
    """Examples, modules that the differential check has kept, what tests of the text format have, and the suite's."""
    files = [*PROJECT_ROOT.glob("examples/**/*.wat"), *PROJECT_ROOT.glob("tests/**/*.wat")]
    found = [path.read_bytes() for path in sorted(files)]
    for path in sorted(PROJECT_ROOT.glob("tests/wat/test_*.py")):
        found += [part.encode() for part in re.findall(r'"""(\(module.*?)"""', path.read_text("utf-8"), re.DOTALL)]
        found += [part.encode() for part in re.findall(r"'(\(module[^'\n]*)'", path.read_text("utf-8"))]
    for path in sorted((shared_folder() / "spec" / "text").rglob("*.wast")):
        texts = [module.text.encode() for module in modules(path.read_text("utf-8")) if module.kind == "text"]
        found += sorted(texts, key=len)[:: max(1, len(texts) // _PER_SCRIPT)]
    return [data for data in dict.fromkeys(found) if len(data) <= LONGEST]


def start(folder: Path) -> Callable[[bytes], None]:
    """Assemble, validate and take apart."""
    engine = Engine()

    def run(data: bytes) -> None:
        try:
            text = data.decode()
            binary = wat2wasm(text)
        except (WasmError, UnicodeDecodeError):
            return
        try:
            Module(engine, binary)
            valid = True
        except WasmError:
            valid = False
        try:
            shown = wasm2wat(binary)
        except WasmError:
            if valid:
                raise
            return
        again = wat2wasm(shown)
        if again != binary and wat2wasm(wasm2wat(again)) != again:
            raise Wrong("a module in text is another one each time it goes there and back")

    return run


def alter(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """By tokens, or by bytes."""
    if rng.random() < 0.2:
        return altered(data, others, rng)
    tokens = _TOKEN.findall(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not tokens:
            break
        at, kind = rng.randrange(len(tokens)), rng.randrange(6)
        if kind == 0:
            del tokens[at : at + rng.choice((1, 1, 2, 5))]
        elif kind == 1:
            tokens[at:at] = tokens[at : at + rng.choice((1, 2, 5, 20))]
        elif kind == 2:
            tokens[at] = rng.choice(tokens)
        elif kind == 3:
            tokens[at:at] = [b" ", rng.choice(_WORDS), b" "]
        else:
            other = _TOKEN.findall(rng.choice(others))
            if other:
                start = rng.randrange(len(other))
                tokens[at : at + rng.choice((0, 1, 3))] = other[start : start + rng.choice((1, 3, 10, 30))]
    return b"".join(tokens)


def _words() -> list[bytes]:
    from vibewasm.opcodes import CODE

    words = [name.encode() for name in CODE]
    extra = (
        b"module func param result local type import export memory table elem data global mut start offset item rec sub"
    )
    extra += b" final ref null extern exn nan:0x1 -nan inf 0x1p-1074 1_000 $a $b 0xffffffff -1 4294967296"
    extra += b" then else catch catch_all"
    return [
        *words,
        *extra.split(),
        b'"\\u{10ffff}"',
        b'"\\ff\\00"',
        b"(;",
        b";)",
        b";;",
        b"@a",
        b"align=3",
        b"offset=-1",
    ]


_WORDS = _words()
