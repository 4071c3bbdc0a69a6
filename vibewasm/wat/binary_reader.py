"""Reading a binary module for what the text says of it.

Unlike :mod:`vibewasm.binary`, which decodes for the engine and rejects what the engine does not run, this keeps what
the text format can say, whether it is valid or not.
"""

from __future__ import annotations

from ..binary.leb128 import signed, u32, u64
from ..binary.support import unsupported
from ..binary.value_types import MAYBE_NULL, NOT_NULL
from ..errors import DecodeError, ValidationError
from ..proposals import PAGE_SIZE_FLAG, TYPES
from ..types import EMPTY_BLOCK_TYPE
from .words import HEAP_TYPES, NUMBER_TYPES

_HEAP_WORDS = {byte[0]: word for word, byte in HEAP_TYPES.items()}
#: The text of value types that are one byte.
_TYPE_WORDS = {byte[0]: word for word, byte in NUMBER_TYPES.items()} | {
    byte: "funcref" if word == "func" else f"{word}ref" if not word.startswith("no") else f"(ref null {word})"
    for byte, word in _HEAP_WORDS.items()
}
_PACKED = {0x78: "i8", 0x77: "i16"}


class BinaryReader:
    """A place in the bytes of a module.

    Readers raise IndexError at the end of the bytes, ``DecodeError`` for what has no text, and ``ValidationError`` for
    what belongs to a proposal that is not built.
    """

    __slots__ = ("data", "position", "type_names")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        #: What types are called in text.
        self.type_names: dict[int, str] = {}

    def error(self, message: str) -> DecodeError:
        """The error for the byte before the current position."""
        return DecodeError(message, self.position - 1)

    def byte(self) -> int:
        """A byte."""
        self.position += 1
        return self.data[self.position - 1]

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        value, self.position = u32(self.data, self.position)
        return value

    def u64(self) -> int:
        """An unsigned 64-bit integer."""
        value, self.position = u64(self.data, self.position)
        return value

    def signed(self, bits: int) -> int:
        """A signed integer."""
        value, self.position = signed(self.data, self.position, bits)
        return value

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        start, end = self.position, self.position + size
        if end > len(self.data):
            raise IndexError
        self.position = end
        return self.data[start:end]

    def byte_string(self) -> bytes:
        """A byte string with its length before it."""
        return self.take(self.u32())

    def name(self) -> str:
        """A name."""
        start = self.position
        try:
            return self.byte_string().decode()
        except UnicodeDecodeError:
            raise DecodeError("malformed UTF-8 encoding of a name", start) from None

    # -- types, as text

    def type_index(self, index: int) -> str:
        """How the text names a type."""
        return self.type_names.get(index) or str(index)

    def value_type(self) -> str:
        """A value type."""
        byte = self.byte()
        word = _TYPE_WORDS.get(byte)
        if word is not None:
            return word
        if byte == MAYBE_NULL:
            return f"(ref null {self.heap_type()})"
        if byte == NOT_NULL:
            return f"(ref {self.heap_type()})"
        raise self.unknown("value type", byte, TYPES)

    def reference_type(self) -> str:
        """A reference type."""
        text = self.value_type()
        if "ref" not in text:
            raise self.error("malformed reference type")
        return text

    def heap_type(self) -> str:
        """A heap type."""
        word = _HEAP_WORDS.get(self.data[self.position])
        if word is not None:
            self.position += 1
            return word
        index = self.signed(33)
        if index < 0:
            raise self.unknown("heap type", index & 0x7F, TYPES)
        return self.type_index(index)

    def unknown(self, what: str, byte: int, proposals: dict[int, tuple[str, str]]) -> DecodeError | ValidationError:
        """The error for the byte before the current position, which may belong to a proposal that is not built."""
        if byte in proposals:
            return unsupported(*proposals[byte], self.position - 1)
        return self.error(f"malformed {what} {byte:#04x}")

    def block_type(self) -> str:
        """A block type, with a space before it if it says anything."""
        byte = self.data[self.position]
        if byte == EMPTY_BLOCK_TYPE:
            self.position += 1
            return ""
        if byte in _TYPE_WORDS or byte in (MAYBE_NULL, NOT_NULL) or byte in TYPES:
            return f" (result {self.value_type()})"
        index = self.signed(33)
        if index < 0:
            raise self.error("malformed block type")
        return f" (type {self.type_index(index)})"

    def memory_type(self) -> str:
        """The type of a memory."""
        # What page sizes there are is for the other reader to say.
        if self.data[self.position] & PAGE_SIZE_FLAG:
            from ..binary.definitions import memory_type

            memory_type(self.data, self.position)
        return self.limits()

    def limits(self) -> str:
        """The sizes of a table or a memory."""
        flags = self.byte()
        if flags > 7:
            raise self.error(f"malformed limits flags {flags:#04x}")
        text = f"i64 {self.u64()}" if flags & 4 else str(self.u64())
        if flags & 1:
            text += f" {self.u64()}"
        return text + (" shared" if flags & 2 else "")

    def table_type(self) -> str:
        """The type of a table."""
        element = self.reference_type()
        return f"{self.limits()} {element}"

    def global_type(self) -> str:
        """The type of a global."""
        return self._mutable(self.value_type())

    def _mutable(self, content: str) -> str:
        flag = self.byte()
        if flag > 1:
            raise self.error(f"malformed mutability {flag:#04x}")
        return f"(mut {content})" if flag else content

    def field_type(self) -> str:
        """The type of a structure's field or an array's element."""
        packed = _PACKED.get(self.data[self.position])
        if packed is None:
            return self._mutable(self.value_type())
        self.position += 1
        return self._mutable(packed)

    def value_types(self) -> list[str]:
        """A vector of value types."""
        return [self.value_type() for _ in range(self.u32())]
