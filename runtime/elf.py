"""ELF files that debuggers read: a shared object with gdb's hooks, and descriptions of functions in memory.

Source: System V ABI, "Object Files" and "Dynamic Linking"; DWARF 5, section 6.4 (call frame information).
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Processor(Protocol):
        """What files for a processor say of it."""

        #: ``e_machine``.
        ELF_MACHINE: int
        #: Code of a function that does nothing.
        RETURN: bytes
        #: DWARF's number of the return address.
        DWARF_RETURN: int
        #: Call frame instructions that hold at a function's start, and what the instructions that make a frame change.
        CFA_AT_ENTRY: bytes
        CFA_STEPS: bytes


_ET_EXEC, _ET_DYN = 2, 3
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _SHT_HASH, _SHT_DYNAMIC, _SHT_NOBITS, _SHT_DYNSYM = 1, 2, 3, 5, 6, 8, 11
_WRITE, _ALLOC, _EXEC = 1, 2, 4
_GLOBAL_OBJECT, _GLOBAL_FUNC = 0x11, 0x12
_HEADER_SIZE, _PROGRAM_HEADER_SIZE, _SECTION_HEADER_SIZE, _SYMBOL_SIZE = 64, 56, 64, 24

#: Pages are no larger than this on any system.
_PAGE = 0x10000


class _Section:
    """One section: name, type, flags, address, contents, and the fields that tables have."""

    __slots__ = ("address", "align", "contents", "entry", "flags", "info", "link", "name", "offset", "size", "type")

    def __init__(
        self, name: str, type_: int, flags: int, address: int, contents: bytes, *, size: int = -1, align: int = 8
    ) -> None:
        self.name = name
        self.type = type_
        self.flags = flags
        self.address = address
        self.contents = contents
        self.size = len(contents) if size < 0 else size
        self.align = align
        self.offset = 0
        self.link = self.info = self.entry = 0

    def table(self, link: int, info: int, entry: int) -> _Section:
        """Say which section belongs to a table, and how large its entries are."""
        self.link, self.info, self.entry = link, info, entry
        return self


def _strings(names: Sequence[str]) -> tuple[bytes, list[int]]:
    """A string table, and where each name is in it."""
    data = bytearray(b"\0")
    places = []
    for name in names:
        places.append(len(data))
        data += name.encode(errors="replace").replace(b"\0", b"?") + b"\0"
    return bytes(data), places


def _header(kind: int, machine: int, programs: int, sections_at: int, sections: int) -> bytes:
    ident = b"\x7fELF\2\1\1" + bytes(9)
    return ident + pack(
        "<HHIQQQIHHHHHH",
        *(kind, machine, 1, 0, _HEADER_SIZE if programs else 0, sections_at, 0, _HEADER_SIZE),
        *(_PROGRAM_HEADER_SIZE, programs, _SECTION_HEADER_SIZE, sections, sections - 1),
    )


def _section_headers(sections: list[_Section], names: list[int]) -> bytes:
    data = bytes(_SECTION_HEADER_SIZE)
    for section, name in zip(sections, names, strict=True):
        data += pack(
            "<IIQQQQIIQQ",
            *(name, section.type, section.flags, section.address, section.offset, section.size),
            *(section.link, section.info, section.align, section.entry),
        )
    return data


def _symbol(name: int, info: int, section: int, value: int, size: int) -> bytes:
    return pack("<IBBHQQ", name, info, 0, section, value, size)


def functions_object(processor: Processor, functions: Sequence[tuple[str, int, int]]) -> bytes:
    """A description of functions that are in memory already: their names, and how to find their callers.

    Args:
        processor: whose code they are.
        functions: name, address and size of each.
    """
    start = min(address for _, address, _ in functions)
    end = max(address + size for _, address, size in functions)
    strings, places = _strings([name for name, _, _ in functions])
    symbols = bytes(_SYMBOL_SIZE)
    for (_, address, size), place in zip(functions, places, strict=True):
        symbols += _symbol(place, _GLOBAL_FUNC, 1, address, size)
    sections = [
        _Section(".text", _SHT_NOBITS, _ALLOC | _EXEC, start, b"", size=end - start, align=16),
        _Section(".debug_frame", _SHT_PROGBITS, 0, 0, frames(processor, functions)),
        _Section(".symtab", _SHT_SYMTAB, 0, 0, symbols).table(4, 1, _SYMBOL_SIZE),
        _Section(".strtab", _SHT_STRTAB, 0, 0, strings, align=1),
    ]
    names, name_places = _strings([section.name for section in sections] + [".shstrtab"])
    sections.append(_Section(".shstrtab", _SHT_STRTAB, 0, 0, names, align=1))
    body = b""
    for section in sections:
        body += bytes(-len(body) % section.align)
        section.offset = _HEADER_SIZE + len(body)
        body += section.contents
    body += bytes(-len(body) % 8)
    head = _header(_ET_EXEC, processor.ELF_MACHINE, 0, _HEADER_SIZE + len(body), len(sections) + 1)
    return head + body + _section_headers(sections, name_places)


def frames(processor: Processor, functions: Sequence[tuple[str, int, int]]) -> bytes:
    """Call frame information, as ``.debug_frame`` has it: every function keeps a chain of frame pointers."""
    # Version 4, no augmentation, 8-byte addresses, no segments, code alignment 1, data alignment -8 (as SLEB128).
    information = pack("<IBBBBBB", 0xFFFFFFFF, 4, 0, 8, 0, 1, 0x78) + bytes((processor.DWARF_RETURN,))
    information += processor.CFA_AT_ENTRY
    data = _padded(information)
    for _, address, size in functions:
        data += _padded(pack("<IQQ", 0, address, size) + processor.CFA_STEPS)
    return data


def _padded(contents: bytes) -> bytes:
    """An entry of ``.debug_frame`` with its length before it, filled up with DW_CFA_nop."""
    contents += bytes(-(4 + len(contents)) % 8)
    return pack("<I", len(contents)) + contents


def shared_object(processor: Processor, function: str, variable: str, contents: bytes) -> bytes:
    """A shared object with one function, which only returns, and one variable, for the dynamic linker to load."""
    strings, (function_name, variable_name, own_name) = _strings([function, variable, "vibewasm"])
    # One segment to read and execute, on the first page, and one to write, on the next.
    segment = bytearray(_HEADER_SIZE + 3 * _PROGRAM_HEADER_SIZE)

    def place(contents: bytes, align: int = 8) -> int:
        segment.extend(bytes(-len(segment) % align))
        at = len(segment)
        segment.extend(contents)
        return at

    text_at = place(processor.RETURN, 16)
    symbols = bytes(_SYMBOL_SIZE)
    symbols += _symbol(function_name, _GLOBAL_FUNC, 1, text_at, len(processor.RETURN))
    symbols += _symbol(variable_name, _GLOBAL_OBJECT, 6, _PAGE, len(contents))
    symbols_at = place(symbols)
    strings_at = place(strings)
    # One bucket: the chain goes from symbol 2 to symbol 1 to the end.
    hash_table = pack("<6I", 1, 3, 2, 0, 0, 1)
    hash_at = place(hash_table)
    size = len(segment)
    dynamic_at = _PAGE + (len(contents) + 15 & -16)
    # DT_SONAME, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_NULL.
    dynamic = pack(
        "<14Q",
        *(14, own_name, 4, hash_at, 5, strings_at, 6, symbols_at, 10, len(strings), 11, _SYMBOL_SIZE, 0, 0),
    )
    data = contents + bytes(dynamic_at - _PAGE - len(contents)) + dynamic
    sections = [
        _Section(".text", _SHT_PROGBITS, _ALLOC | _EXEC, text_at, processor.RETURN, align=16),
        _Section(".dynsym", _SHT_DYNSYM, _ALLOC, symbols_at, symbols).table(3, 1, _SYMBOL_SIZE),
        _Section(".dynstr", _SHT_STRTAB, _ALLOC, strings_at, strings, align=1),
        _Section(".hash", _SHT_HASH, _ALLOC, hash_at, hash_table).table(2, 0, 4),
        _Section(".dynamic", _SHT_DYNAMIC, _ALLOC | _WRITE, dynamic_at, dynamic).table(3, 0, 16),
        _Section(".data", _SHT_PROGBITS, _ALLOC | _WRITE, _PAGE, contents),
    ]
    for section in sections:
        section.offset = section.address
    names, name_places = _strings([section.name for section in sections] + [".shstrtab"])
    last = _Section(".shstrtab", _SHT_STRTAB, 0, 0, names, align=1)
    last.offset = _PAGE + len(data)
    sections.append(last)
    tail = names + bytes(-(last.offset + len(names)) % 8)

    def program(kind: int, flags: int, at: int, length: int, align: int) -> bytes:
        return pack("<IIQQQQQQ", kind, flags, at, at, at, length, length, align)

    # PT_LOAD twice, and PT_DYNAMIC; flags are read 4, write 2, execute 1.
    programs = program(1, 5, 0, size, _PAGE) + program(1, 6, _PAGE, len(data), _PAGE)
    programs += program(2, 6, dynamic_at, len(dynamic), 8)
    head = _header(_ET_DYN, processor.ELF_MACHINE, 3, last.offset + len(tail), len(sections) + 1)
    segment[: len(head) + len(programs)] = head + programs
    first_page = bytes(segment) + bytes(_PAGE - size)
    return first_page + data + tail + _section_headers(sections, name_places)
