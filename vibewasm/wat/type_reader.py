"""Types in the text format (specification, "Text Format / Types")."""

from __future__ import annotations

from .cursor import Cursor, Space
from .encode import signed, unsigned, vector
from .lexer import Tokens
from .words import HEAP_TYPES, VALUE_TYPES

_FUNC = b"\x60"
_STRUCT = b"\x5f"
_ARRAY = b"\x5e"
_SUB = b"\x50"
_SUB_FINAL = b"\x4f"
_REC = b"\x4e"
_PACKED_TYPES = {"i8": b"\x78", "i16": b"\x77"}

#: Parameters and results of a function, each an encoded value type.
Signature = tuple[list[bytes], list[bytes]]


class TypeReader(Cursor):
    """Reads types, and collects the module's type section."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.types = Space("type")
        self.locals = Space("local")
        #: Contents of the type section: recursive types, encoded.
        self.recursive_types: list[bytes] = []
        #: Signature of each type, None for one that is no function's.
        self.signatures: list[Signature | None] = []
        #: The first type that an inline type may mean, by its encoding.
        self.indices: dict[bytes, int] = {}
        #: Uses of inline types that the function body being read is the first to have: see reorder_new_types.
        self.types_before_body = 0
        self.new_in_body: list[int] = []
        #: Field names of each structure type.
        self.fields: dict[int, Space] = {}

    def value_type(self) -> bytes:
        """A value type, encoded."""
        found = VALUE_TYPES.get(self.tokens[self.position])
        if found is None:
            return self.long_reference_type()
        self.position += 1
        return found

    def reference_type(self) -> bytes:
        """A reference type, encoded."""
        token = self.tokens[self.position]
        if token == "(":
            return self.long_reference_type()
        if token[-3:] != "ref" or token not in VALUE_TYPES:
            raise self.unexpected()
        self.position += 1
        return VALUE_TYPES[token]

    def at_reference_type(self) -> bool:
        """Whether a reference type comes next."""
        token = self.tokens[self.position]
        return self.at_form("ref") or (token[-3:] == "ref" and token in VALUE_TYPES)

    def long_reference_type(self) -> bytes:
        """``(ref null? heaptype)``, encoded as short as it can be."""
        if self.tokens[self.position] != "(":
            raise self.unexpected()
        self.position += 1
        self.expect("ref")
        null = self.accept("null")
        abstract = self.tokens[self.position] in HEAP_TYPES
        heap = self.heap_type()
        self.expect(")")
        if null:
            return heap if abstract else b"\x63" + heap
        return b"\x64" + heap

    def heap_type(self) -> bytes:
        """A heap type, encoded."""
        found = HEAP_TYPES.get(self.tokens[self.position])
        if found is None:
            return signed(self.index(self.types))
        self.position += 1
        return found

    def limits(self) -> bytes:
        """The sizes of a table or a memory, with the address type that may stand before them."""
        flags = self.address_type()
        minimum = self.natural(64)
        maximum = b""
        if self.tokens[self.position][:1].isdecimal():
            flags |= 1
            maximum = unsigned(self.natural(64))
        if self.accept("shared"):
            flags |= 2
        return bytes((flags,)) + unsigned(minimum) + maximum

    def address_type(self) -> int:
        """The flag of the limits that an address type stands for."""
        if self.accept("i64"):
            return 4
        self.accept("i32")
        return 0

    def table_type(self) -> bytes:
        """The type of a table, encoded."""
        limits = self.limits()
        return self.reference_type() + limits

    def global_type(self) -> bytes:
        """The type of a global, encoded."""
        if not self.accept_form("mut"):
            return self.value_type() + b"\0"
        content = self.value_type()
        self.expect(")")
        return content + b"\1"

    def signature(self, names: Space | None) -> Signature:
        """Parameters and results. Identifiers are declared in ``names``; without it there may be none."""
        params: list[bytes] = []
        results: list[bytes] = []
        while self.accept_form("param"):
            if names is not None and self.tokens[self.position][:1] == "$":
                self.declare(names)
                params.append(self.value_type())
                self.expect(")")
                continue
            while not self.accept(")"):
                params.append(self.value_type())
                if names is not None:
                    names.count += 1
        while self.accept_form("result"):
            while not self.accept(")"):
                results.append(self.value_type())
        if results and self.at_form("param"):
            raise self.unexpected(self.position + 1)
        return params, results

    def inline_type(self, signature: Signature) -> int:
        """The index of the first type with this signature; a new one goes to the end of the type section."""
        encoded = _FUNC + vector(signature[0]) + vector(signature[1])
        found = self.indices.get(encoded)
        if found is None:
            found = self.indices[encoded] = len(self.signatures)
            self.signatures.append(signature)
            self.recursive_types.append(encoded)
        if found >= self.types_before_body:
            self.new_in_body.append(found)
        return found

    def begin_body(self) -> None:
        """Note that the types from here on are new ones of a function body."""
        self.types_before_body = len(self.signatures)
        self.new_in_body = []

    def reorder_new_types(self) -> bool:
        """Put the types that a body was the first to use into the reference assembler's order; whether any moved.

        The specification leaves open the order of inline types. The reference assembler meets the instructions of a
        body from the last to the first, and numbers their types as it meets them.
        """
        first = self.types_before_body
        if len(self.signatures) < first + 2:
            return False
        order = list(dict.fromkeys(reversed(self.new_in_body)))
        if order == sorted(order):
            return False
        encoded_before = len(self.recursive_types) - len(order)
        signatures = [self.signatures[index] for index in order]
        encodings = [self.recursive_types[encoded_before + index - first] for index in order]
        self.signatures[first:] = signatures
        self.recursive_types[encoded_before:] = encodings
        self.indices.update(zip(encodings, range(first, first + len(order)), strict=True))
        return True

    def type_use(self, names: Space | None = None) -> int:
        """The index of the type that is named, written out, or both. Parameters are declared in ``names``."""
        start = self.position
        if not self.accept_form("type"):
            return self.inline_type(self.signature(names))
        at = self.position
        index = self.index(self.types)
        self.expect(")")
        params, results = self.signature(names)
        known = self.signatures[index] if index < len(self.signatures) else None
        if params or results:
            if index >= len(self.signatures):
                raise self.error("unknown type", at)
            if known != (params, results):
                raise self.error("inline function type does not match the named one", start)
        elif known is not None and names is not None:
            names.count = len(known[0])
        return index

    def define_types(self) -> None:
        """Read the ``type`` or ``rec`` field at the current position, whose identifiers have been declared."""
        index = len(self.signatures)
        subtypes = []
        if self.accept_form("rec"):
            while not self.accept(")"):
                subtypes.append(self._type_field())
        else:
            subtypes.append(self._type_field())
        if len(subtypes) != 1:
            self.recursive_types.append(_REC + vector(subtypes))
            return
        self.recursive_types.append(subtypes[0])
        if self.signatures[index] is not None:
            self.indices.setdefault(subtypes[0], index)

    def _type_field(self) -> bytes:
        if not self.accept_form("type"):
            raise self.unexpected(self.position + (self.tokens[self.position] == "("))
        self.identifier()
        encoded = self._subtype()
        self.expect(")")
        return encoded

    def _subtype(self) -> bytes:
        if not self.accept_form("sub"):
            return self._composite_type()
        final = self.accept("final")
        supertypes = []
        while self.at_index():
            supertypes.append(self.index_bytes(self.types))
        composite = self._composite_type()
        self.expect(")")
        if final and not supertypes:
            return composite
        return (_SUB_FINAL if final else _SUB) + vector(supertypes) + composite

    def _composite_type(self) -> bytes:
        index = len(self.signatures)
        if self.accept_form("func"):
            signature = self.signature(Space("local"))
            self.signatures.append(signature)
            self.expect(")")
            return _FUNC + vector(signature[0]) + vector(signature[1])
        self.signatures.append(None)
        if self.accept_form("struct"):
            names = self.fields[index] = Space("field")
            fields: list[bytes] = []
            while self.accept_form("field"):
                if self.tokens[self.position][:1] == "$":
                    self.declare(names)
                    fields.append(self._field_type())
                    self.expect(")")
                    continue
                while not self.accept(")"):
                    fields.append(self._field_type())
                    names.count += 1
            self.expect(")")
            return _STRUCT + vector(fields)
        if not self.accept_form("array"):
            raise self.unexpected(self.position + (self.tokens[self.position] == "("))
        element = self._field_type()
        self.expect(")")
        return _ARRAY + element

    def _field_type(self) -> bytes:
        if self.accept_form("mut"):
            content = self._storage_type()
            self.expect(")")
            return content + b"\1"
        return self._storage_type() + b"\0"

    def _storage_type(self) -> bytes:
        found = _PACKED_TYPES.get(self.tokens[self.position])
        if found is None:
            return self.value_type()
        self.position += 1
        return found
