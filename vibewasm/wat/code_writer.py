"""Instructions as text, one a line, blocks indented."""

from __future__ import annotations

from ..binary.leb128 import opcode
from ..errors import DecodeError, ValidationError
from ..opcodes import codes_with, name_of, natural_alignment, row_of
from ..proposals import not_in_table
from .binary_reader import BinaryReader
from .quoting import float_text
from .words import CATCHES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCKS = frozenset(map(name_of, codes_with("opens")))
_END, _SELECT = "end", "select"
_TRY_TABLE, _DELEGATE = "try_table", "delegate"
#: What begins a further part of a block, or ends it in another way: the parts that it may come after.
_PARTS = {
    "else": ("if",),
    "catch": ("try", "catch"),
    "catch_all": ("try", "catch"),
    _DELEGATE: ("try",),
}

#: Deeper blocks are not indented further, or text would grow with the square of the depth.
_DEEPEST = 40

#: Kinds of immediates that are indices, by the index space that names them.
_SPACES = frozenset(("func", "type", "table", "memory", "global", "data", "elem", "tag"))


class CodeWriter(BinaryReader):
    """Writes expressions as text.

    Attributes:
        names: identifiers by index of everything that has one, by kind.
        local_names: those of the function being written.
    """

    __slots__ = ("_readers", "local_names", "names")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.names: dict[str, dict[int, str]] = {kind: {} for kind in _SPACES}
        self.local_names: dict[int, str] = {}
        self._readers: dict[str, Callable[[], str]] = {
            "i32": lambda: f" {self.signed(32)}",
            "i64": lambda: f" {self.signed(64)}",
            "f32": lambda: " " + float_text(int.from_bytes(self.take(4), "little"), 32),
            "f64": lambda: " " + float_text(int.from_bytes(self.take(8), "little"), 64),
            "v128": self._vector,
            "lane": lambda: f" {self.byte()}",
            "lanes": lambda: "".join([f" {lane}" for lane in self.take(16)]),
            "heap": lambda: f" {self.heap_type()}",
            "types": self._types,
            "type table": self._type_and_table,
            "memory memory": lambda: self._two("memory"),
            "table table": lambda: self._two("table"),
            "data memory": lambda: self._segment("data", "memory"),
            "elem table": lambda: self._segment("elem", "table"),
        }

    def named(self, kind: str, index: int) -> str:
        """How the text names the thing of a kind that has this index."""
        return self.names[kind].get(index) or str(index)

    def lines(self, indent: int) -> list[str]:
        """An expression up to its end, each line indented."""
        margins = ["  " * (indent + depth) for depth in range(_DEEPEST + 1)]
        lines = [margins[depth] + text for _, depth, text in self.instructions()]
        # The expression's own end is its closing parenthesis.
        del lines[-1]
        return lines

    def instructions(self) -> Iterator[tuple[int, int, str]]:
        """The instructions of an expression, its own ``end`` included.

        Of each its byte offset in the module, how deep in blocks it stands (at most :data:`_DEEPEST`), and its text.
        """
        blocks: list[str] = []
        while True:
            start = self.position
            depth = len(blocks)
            word, kinds = self._opcode()
            if word == _END:
                yield start, min(max(depth - 1, 0), _DEEPEST), word
                if not depth:
                    return
                blocks.pop()
            elif word in _PARTS:
                before = _PARTS[word]
                if not depth or blocks[-1] not in before:
                    raise DecodeError(f"{word} without {' or '.join(before)} before it", start)
                # The label of `delegate` is one of those around its block.
                inside = depth - (word == _DELEGATE)
                yield start, min(depth - 1, _DEEPEST), word + (self._immediates(word, kinds, inside) if kinds else "")
                if word == _DELEGATE:
                    blocks.pop()
                else:
                    blocks[-1] = word
            elif word in _BLOCKS:
                text = word + self.block_type()
                if word == _TRY_TABLE:
                    text += self._catches(depth)
                yield start, min(depth, _DEEPEST), f"{text}  ;; label = @{depth + 1}"
                blocks.append(word)
            elif kinds:
                yield start, min(depth, _DEEPEST), word + self._immediates(word, kinds, depth)
            else:
                yield start, min(depth, _DEEPEST), word

    def folded(self) -> str:
        """A constant expression on one line: each instruction in parentheses, without nesting."""
        parts: list[str] = []
        while True:
            word, kinds = self._opcode()
            if word == _END:
                return " ".join(parts)
            if word in _PARTS or word in _BLOCKS:
                raise self.error(f"{word} in a constant expression")
            parts.append(f"({word}{self._immediates(word, kinds, 0) if kinds else ''})")

    def _opcode(self) -> tuple[str, str]:
        start = self.position
        code, self.position = opcode(self.data, start)
        row = row_of(code)
        if row is None:
            why, malformed = not_in_table(code)
            raise DecodeError(why, start) if malformed else ValidationError(why, start)
        return row[1], row[2]

    def _immediates(self, word: str, kinds: str, depth: int) -> str:
        """The text after an instruction's name, with a space before each part."""
        if kinds == "local":
            index = self.u32()
            return " " + (self.local_names.get(index) or str(index))
        if kinds == "memarg":
            return self._memarg(word)
        if kinds == "memarg lane":
            return self._memarg(word) + self._readers["lane"]()
        if kinds in ("label", "labels"):
            count = 1 if kinds == "label" else self.u32() + 1
            return "".join([self._label(self.u32(), depth) for _ in range(count)])
        reader = self._readers.get(kinds)
        if reader is not None:
            return reader()
        text = ""
        for kind in kinds.split():
            if kind in _SPACES:
                index = self.u32()
                if index or kind not in ("table", "memory"):
                    text += " " + self.named(kind, index)
            elif kind in self._readers:
                text += self._readers[kind]()
            else:
                raise self.error(f"{word} has an immediate {kind}, which cannot be written yet")
        return text

    def _vector(self) -> str:
        """A constant in the one shape that wasm-tools writes as well, whatever shape it was written in."""
        bits = [int.from_bytes(self.take(4), "little") for _ in range(4)]
        return f" i32x4 {' '.join([f'{lane:#010x}' for lane in bits])}"

    def _label(self, index: int, depth: int) -> str:
        return f" {index} (;@{depth - index};)" if index < depth else f" {index}"

    def _catches(self, depth: int) -> str:
        """The clauses of a ``try_table``, whose labels are of the blocks around it."""
        text = ""
        for _ in range(self.u32()):
            kind = self.byte()
            if kind >= len(CATCHES):
                raise self.error(f"malformed catch clause {kind:#04x}")
            word, has_tag = CATCHES[kind]
            tag = f" {self.named('tag', self.u32())}" if has_tag else ""
            text += f" ({word}{tag}{self._label(self.u32(), depth)})"
        return text

    def _types(self) -> str:
        return f" (result{''.join([' ' + type_ for type_ in self.value_types()])})"

    def _type_and_table(self) -> str:
        type_, table = self.u32(), self.u32()
        where = f" {self.named('table', table)}" if table else ""
        return f"{where} (type {self.type_index(type_)})"

    def _two(self, kind: str) -> str:
        target, source = self.u32(), self.u32()
        return f" {self.named(kind, target)} {self.named(kind, source)}" if target or source else ""

    def _segment(self, kind: str, place: str) -> str:
        segment, where = self.u32(), self.u32()
        return (f" {self.named(place, where)}" if where else "") + f" {self.named(kind, segment)}"

    def _memarg(self, word: str) -> str:
        flags = self.u32()
        text = ""
        if flags & 0x40:
            text = f" {self.named('memory', self.u32())}"
            flags -= 0x40
        offset = self.u64()
        if offset:
            text += f" offset={offset}"
        if flags != natural_alignment(word):
            if flags >= 64:
                raise self.error("malformed memop flags")
            text += f" align={1 << flags}"
        return text
