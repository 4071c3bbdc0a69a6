"""Instructions in the text format, folded and unfolded (specification, "Text Format / Instructions").

Bytes are written as instructions are read: an opcode that is folded waits on a stack of open forms until its operands
are written. The stack is a list, so no nesting is too deep.
"""

from __future__ import annotations

from ..opcodes import CODE, natural_alignment, opcode_bytes
from ..types import EMPTY_BLOCK_TYPE
from .cursor import Space
from .encode import signed, unsigned, vector
from .lexer import Tokens
from .literals import float_bits, integer
from .literals import unsigned as unsigned_literal
from .type_reader import TypeReader
from .words import BLOCKS, CATCHES, PLAIN, SELECT, WITH_IMMEDIATES, is_vector

_END, _ELSE = CODE["end"], CODE["else"]
# What an unfolded form began with, or its latest part did.
_IF, _TRY, _CATCH, _CATCH_ALL = (opcode_bytes(CODE[name]) for name in ("if", "try", "catch", "catch_all"))
_DELEGATE = opcode_bytes(CODE["delegate"])
_EMPTY_BLOCK_TYPE = bytes((EMPTY_BLOCK_TYPE,))

# Kinds of open forms. In the first four any instruction may come next; the others hold folded instructions or clauses.
_TOP = 0  # the expression itself
_UNFOLDED = 1  # a block up to `end`
_FOLDED = 2  # a block up to its parenthesis
_CLAUSE = 3  # (then ...), (else ...), (do ...), (catch ...) or (catch_all ...)
_OPERANDS = 4  # of a folded instruction, which is kept with it
_CONDITION = 5  # of a folded `if`, whose label and first bytes are kept with it
_AFTER_THEN = 6
_AFTER_ELSE = 7
_AFTER_DO = 8
_AFTER_CATCH = 9
_AFTER_CATCH_ALL = 10
_AFTER_DELEGATE = 11

#: Forms of which a parenthesis says that the block ends.
_ENDED_BY_PARENTHESIS = frozenset((_FOLDED, _AFTER_THEN, _AFTER_ELSE, _AFTER_DO, _AFTER_CATCH, _AFTER_CATCH_ALL))
#: Which clauses may come next in a folded `try`.
_CLAUSES_OF_TRY = {
    _AFTER_DO: ("catch", "catch_all", "delegate"),
    _AFTER_CATCH: ("catch", "catch_all"),
}
#: Which parts an unfolded block may have next, by how its present part began.
_PARTS: dict[bytes, tuple[str, ...]] = {
    _IF: ("else",),
    _TRY: ("catch", "catch_all", "delegate"),
    _CATCH: ("catch", "catch_all"),
}
#: The clauses of `try_table`: their bytes, and whether they name a tag.
_CATCHES = {word: (bytes((byte,)), has_tag) for byte, (word, has_tag) in enumerate(CATCHES)}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: An open form: its kind, and what has to be kept.
_Form = tuple[int, bytes, "str | None"]

#: Immediates that are indices, by the name of their kind: the attribute with the space.
_SPACES = {
    "func": "funcs",
    "type": "types",
    "table": "tables",
    "memory": "memories",
    "global": "globals",
    "local": "locals",
    "data": "datas",
    "elem": "elems",
    "tag": "tags",
}
#: Kinds of which index 0 is meant where none is written.
_OPTIONAL = ("table", "memory")


class CodeReader(TypeReader):
    """Reads expressions, and keeps the index spaces that their instructions name things of."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.funcs = Space("function")
        self.tables = Space("table")
        self.memories = Space("memory")
        self.globals = Space("global")
        self.datas = Space("data segment")
        self.elems = Space("elem segment")
        self.tags = Space("tag")
        #: Whether an instruction named a data segment, so that the module needs a data count section.
        self.uses_data_segments = False
        #: Identifiers of the open blocks, outermost first, and the positions of each identifier in that list.
        self.labels: list[str | None] = []
        self.label_positions: dict[str, list[int]] = {}
        #: Where in the bytes of the expression the instructions after the latest ``else`` begin.
        self._after_else = 0
        #: Encoded constants by type and token: programs repeat them.
        self._constants: dict[tuple[str, str], bytes] = {}
        self._readers: dict[str, Callable[[], bytes]] = {
            "label": self._label,
            "labels": self._labels,
            "i32": lambda: self._constant("i32"),
            "i64": lambda: self._constant("i64"),
            "f32": lambda: self._constant("f32"),
            "f64": lambda: self._constant("f64"),
            "v128": self._vector,
            "catches": self._catches,
            "lane": lambda: bytes((self.natural(8),)),
            "lanes": self._shuffled_lanes,
            "heap": self.heap_type,
            "type table": self._table_and_type,
            "memory memory": lambda: self._two(self.memories, self.memories),
            "table table": lambda: self._two(self.tables, self.tables),
            "data memory": lambda: self._segment(self.memories, self.datas),
            "elem table": lambda: self._segment(self.tables, self.elems),
        }

    # -- expressions

    def expression(self, single: bool = False) -> bytearray:
        """An expression up to the parenthesis that ends its field; with ``single`` one folded instruction.

        The end opcode is included.
        """
        out = bytearray()
        self._after_else = 0
        self._instructions(out, single)
        out.append(_END)
        return out

    def _instructions(self, out: bytearray, single: bool) -> None:
        tokens = self.tokens
        plain = PLAIN
        forms: list[_Form] = []
        kind = _OPERANDS if single else _TOP
        bottom = kind
        while True:
            token = tokens[self.position]
            if token == "(":
                word = tokens[self.position + 1]
                code = plain.get(word)
                if code is not None and kind <= _CONDITION:
                    self.position += 2
                    forms.append((kind, code, None))
                    kind = _OPERANDS
                else:
                    kind = self._open(word, kind, forms, out)
            elif token == ")":
                if kind == _OPERANDS and forms:
                    self.position += 1
                    kind, code, _ = forms.pop()
                    out += code
                elif kind == bottom and not forms:
                    if single:
                        raise self.unexpected()
                    return
                else:
                    kind = self._close(kind, forms, out)
                if single and not forms:
                    return
            elif kind > _CLAUSE:
                raise self.unexpected()
            else:
                code = plain.get(token)
                if code is not None:
                    self.position += 1
                    out += code
                elif token in WITH_IMMEDIATES:
                    self.position += 1
                    out += self._immediates(token)
                else:
                    kind = self._structure(token, kind, forms, out)

    def _open(self, word: str, kind: int, forms: list[_Form], out: bytearray) -> int:
        """Begin a folded instruction or a clause that is more than an opcode; the new form's kind."""
        if kind == _CONDITION and word == "then":
            outer, header, label = forms.pop()
            out += header
            self._enter(label)
            forms.append((outer, b"", label))
            forms.append((_AFTER_THEN, b"", None))
        elif kind == _AFTER_THEN and word == "else":
            self._else(out)
            forms.append((_AFTER_ELSE, b"", None))
        elif kind > _CONDITION:
            return self._clause_of_try(word, kind, forms, out)
        elif word in WITH_IMMEDIATES:
            self.position += 2
            forms.append((kind, self._immediates(word), None))
            return _OPERANDS
        elif word in BLOCKS:
            self.position += 2
            label = self.identifier()
            header = self._block_header(word)
            forms.append((kind, header, label))
            if word == "if":
                return _CONDITION
            out += header
            self._enter(label)
            if word != "try":
                return _FOLDED
            if not self.accept_form("do"):
                raise self.unexpected()
            forms.append((_AFTER_DO, b"", None))
            return _CLAUSE
        elif is_vector(word):
            # It is looked at again.
            return kind
        else:
            raise self.unexpected(self.position + 1)
        self.position += 2
        return _CLAUSE

    def _clause_of_try(self, word: str, kind: int, forms: list[_Form], out: bytearray) -> int:
        """Begin a clause of a folded ``try``, or read the ``delegate`` that takes their place; the new form's kind."""
        if word not in _CLAUSES_OF_TRY.get(kind, ()):
            raise self.unexpected()
        self.position += 2
        if word == "delegate":
            self._delegate(out)
            self.expect(")")
            return _AFTER_DELEGATE
        if word == "catch":
            out += _CATCH + self.index_bytes(self.tags)
            forms.append((_AFTER_CATCH, b"", None))
        else:
            out += _CATCH_ALL
            forms.append((_AFTER_CATCH_ALL, b"", None))
        return _CLAUSE

    def _delegate(self, out: bytearray) -> None:
        """The rest of a ``delegate``, which ends its ``try``: the label is one of those around that."""
        self._leave()
        out += _DELEGATE + self._label()

    def _close(self, kind: int, forms: list[_Form], out: bytearray) -> int:
        """Go on after the parenthesis that ends a form; the kind of the one around it."""
        if kind in _ENDED_BY_PARENTHESIS:
            if kind == _AFTER_ELSE:
                self._drop_empty_else(out)
            out.append(_END)
            self._leave()
        elif kind not in (_CLAUSE, _AFTER_DELEGATE):
            raise self.unexpected()
        self.position += 1
        return forms.pop()[0]

    def _structure(self, word: str, kind: int, forms: list[_Form], out: bytearray) -> int:
        """An unfolded ``block``, ``else``, ``end`` and so on; the kind of the innermost form afterwards."""
        if word in BLOCKS:
            self.position += 1
            label = self.identifier()
            out += self._block_header(word)
            self._enter(label)
            forms.append((kind, BLOCKS[word][0], label))
            return _UNFOLDED
        if kind != _UNFOLDED or (word != "end" and word not in _PARTS.get(forms[-1][1], ())):
            if is_vector(word):
                return kind
            raise self.unexpected()
        outer, _, label = forms.pop()
        self.position += 1
        if word == "delegate":
            self._delegate(out)
            return outer
        if word == "catch":
            out += _CATCH + self.index_bytes(self.tags)
            forms.append((outer, _CATCH, label))
            return _UNFOLDED
        if word == "catch_all":
            out += _CATCH_ALL
            forms.append((outer, _CATCH_ALL, label))
            return _UNFOLDED
        again = self.identifier()
        if again is not None and again != label:
            raise self.error(f"mismatching label {again}", self.position - 1)
        if word == "else":
            self._else(out)
            forms.append((outer, b"", label))
            return _UNFOLDED
        self._drop_empty_else(out)
        out.append(_END)
        self._leave()
        return outer

    def _else(self, out: bytearray) -> None:
        out.append(_ELSE)
        self._after_else = len(out)

    def _drop_empty_else(self, out: bytearray) -> None:
        """An ``else`` without instructions says nothing, and the reference assembler leaves it out."""
        if self._after_else == len(out):
            out.pop()

    def _block_header(self, word: str) -> bytes:
        """Opcode and immediates of an instruction that begins a block, whose label has been read."""
        code, kinds = BLOCKS[word]
        header = code + self._block_type()
        for kind in kinds.split()[1:]:
            if kind not in self._readers:
                raise self.error(f"unknown operator {word}: there is no reader of its immediate {kind}")
            header += self._readers[kind]()
        return header

    def _catches(self) -> bytes:
        """The clauses of a ``try_table``. Their labels are of the blocks around it."""
        clauses = []
        while self.tokens[self.position] == "(" and (known := _CATCHES.get(self.tokens[self.position + 1])):
            self.position += 2
            clause, has_tag = known
            if has_tag:
                clause += self.index_bytes(self.tags)
            clauses.append(clause + self._label())
            self.expect(")")
        return vector(clauses)

    def _block_type(self) -> bytes:
        if self.at_form("type"):
            return signed(self.type_use())
        params, results = self.signature(None)
        if params or len(results) > 1:
            return signed(self.inline_type((params, results)))
        return results[0] if results else _EMPTY_BLOCK_TYPE

    # -- labels

    def _enter(self, label: str | None) -> None:
        if label is not None:
            self.label_positions.setdefault(label, []).append(len(self.labels))
        self.labels.append(label)

    def _leave(self) -> None:
        label = self.labels.pop()
        if label is not None:
            self.label_positions[label].pop()

    def _label(self) -> bytes:
        token = self.tokens[self.position]
        if token[:1] != "$":
            return unsigned(self.natural(32))
        positions = self.label_positions.get(token)
        if not positions:
            raise self.unexpected() if token == "$" else self.error(f"unknown label {token}")
        self.position += 1
        return unsigned(len(self.labels) - 1 - positions[-1])

    def _labels(self) -> bytes:
        labels = [self._label()]
        while self.at_index():
            labels.append(self._label())
        return vector(labels[:-1]) + labels[-1]

    # -- immediates

    def _immediates(self, word: str) -> bytes:
        """The bytes of an instruction whose name has been read."""
        code, kinds = WITH_IMMEDIATES[word]
        if kinds == "local":
            return code + self.index_bytes(self.locals)
        if kinds == "memarg":
            return code + self._memarg(word, self.at_index())
        if kinds == "memarg lane":
            return code + self._memarg(word, self._at_memory_before_lane()) + self._readers["lane"]()
        if kinds == "types":
            return self._select(code)
        if "data" in kinds:
            self.uses_data_segments = True
        if kinds in self._readers:
            return code + self._readers[kinds]()
        for kind in kinds.split():
            if kind in self._readers:
                code += self._readers[kind]()
            elif kind in _SPACES:
                code += self._index_of(kind)
            else:
                raise self.error(f"unknown operator {word}: there is no reader of its immediate {kind}")
        return code

    def _index_of(self, kind: str) -> bytes:
        if kind in _OPTIONAL and not self.at_index():
            return b"\0"
        space: Space = getattr(self, _SPACES[kind])
        return self.index_bytes(space)

    def _two(self, target: Space, source: Space) -> bytes:
        if not self.at_index():
            return b"\0\0"
        first = self.index_bytes(target)
        return first + self.index_bytes(source)

    def _segment(self, place: Space, segment: Space) -> bytes:
        """A segment, before which the text may name where it goes; the binary format has them the other way round."""
        start = self.position
        self.position += 1
        two = self.at_index()
        self.position = start
        where = self.index_bytes(place) if two else b"\0"
        return self.index_bytes(segment) + where

    def _table_and_type(self) -> bytes:
        table = self._index_of("table")
        return unsigned(self.type_use()) + table

    def _select(self, code: bytes) -> bytes:
        if not self.at_form("result"):
            return SELECT
        _, results = self.signature(None)
        return code + vector(results)

    def _at_memory_before_lane(self) -> bool:
        """Whether the index that comes next is a memory's, and not the lane itself: then the lane is still to come."""
        token = self.tokens[self.position]
        if not token[:1].isdecimal():
            return token[:1] == "$"
        after = self.tokens[self.position + 1]
        return after[:1].isdecimal() or after.startswith(("offset=", "align="))

    def _memarg(self, word: str, with_memory: bool) -> bytes:
        memory = self.index(self.memories) if with_memory else 0
        offset, token = 0, self.tokens[self.position]
        if token.startswith("offset="):
            offset = self._field(token[7:], 64)
            token = self.tokens[self.position]
        log2 = natural_alignment(word)
        if token.startswith("align="):
            alignment = self._field(token[6:], 64)
            log2 = alignment.bit_length() - 1
            if alignment != 1 << max(log2, 0):
                raise self.error("alignment must be a power of two", self.position - 1)
        if memory:
            return unsigned(log2 | 0x40) + unsigned(memory) + unsigned(offset)
        return unsigned(log2) + unsigned(offset)

    def _field(self, digits: str, bits: int) -> int:
        """The number after ``offset=`` or ``align=``."""
        try:
            value = unsigned_literal(digits, bits)
        except ValueError as error:
            raise self.error(str(error)) from None
        if value is None:
            raise self.error(f"unknown operator {self.tokens[self.position][:60]}")
        self.position += 1
        return value

    def _constant(self, type_: str) -> bytes:
        token = self.tokens[self.position]
        found = self._constants.get((type_, token))
        if found is None:
            found = self._constants[type_, token] = self._encode_constant(type_, token)
        self.position += 1
        return found

    def _encode_constant(self, type_: str, token: str) -> bytes:
        bits = int(type_[1:])
        try:
            value = integer(token, bits) if type_[0] == "i" else float_bits(token, bits)
        except ValueError as error:
            raise self.error(str(error)) from None
        if value is None:
            raise self.unexpected()
        return signed(value) if type_[0] == "i" else value.to_bytes(bits // 8, "little")

    def _vector(self) -> bytes:
        from .vectors import constant

        return constant(self)

    def _shuffled_lanes(self) -> bytes:
        from .vectors import shuffled_lanes

        return shuffled_lanes(self)
