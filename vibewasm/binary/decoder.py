"""Decoding a module: its header, the order of its sections, and their sizes (specification, "Binary Format / Modules").

What a section holds is read in :mod:`vibewasm.binary.sections` and :mod:`vibewasm.binary.definitions`, and checked in
:mod:`vibewasm.binary.validate` when all is read.
"""

from __future__ import annotations

from ..errors import DecodeError
from ..types import MAGIC
from . import sections
from .leb128 import u32
from .module_info import ModuleInfo, Section
from .support import BUILT, sized
from .validate import validate_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .compact import Spread

    #: Takes the module so far and the range of a section's contents, and returns where it stopped.
    Reader = Callable[[ModuleInfo, int, int], int]

__all__ = ["decode"]

_VERSION = b"\1\0\0\0"
#: After the version, which is 13 as long as the component model is not finished, a component has layer 1.
_COMPONENT_LAYER = b"\1\0"

_CUSTOM = 0
#: So many sections are kept as objects, and of others the position: see :mod:`.compact`.
_KEPT = 1024


def _definitions(name: str) -> Reader:
    """A reader in :mod:`.definitions`, which is loaded when it is first needed."""

    def read(info: ModuleInfo, pos: int, end: int) -> int:
        from . import definitions

        reader: Reader = getattr(definitions, name)
        return reader(info, pos, end)

    return read


#: By section number: its name, its place in the order of sections, and what reads it.
_SECTIONS = (
    ("custom", 0, None),
    ("type", 1, sections.type_section),
    ("import", 2, _definitions("import_section")),
    ("function", 3, sections.function_section),
    ("table", 4, _definitions("table_section")),
    ("memory", 5, _definitions("memory_section")),
    ("global", 7, _definitions("global_section")),
    ("export", 8, sections.export_section),
    ("start", 9, sections.start_section),
    ("element", 10, _definitions("element_section")),
    ("code", 12, sections.code_section),
    ("data", 13, _definitions("data_section")),
    ("data count", 11, _definitions("data_count_section")),
    ("tag", 6, _definitions("tag_section")),
)


def decode(data: bytes, features: frozenset[str] = BUILT) -> ModuleInfo:
    """Decode a module and validate all of it but the function bodies.

    Args:
        data: the module's bytes. They are kept, not copied, if they are ``bytes``.
        features: names of proposals to accept, see :mod:`vibewasm.binary.support`.

    Raises:
        DecodeError: malformed bytes.
        ValidationError: an invalid module, one that uses a proposal that is not in ``features``, or one beyond a limit
            of the implementation.
    """
    if type(data) is not bytes:
        data = bytes(data)
    info = ModuleInfo(data, features)
    check_header(data)
    try:
        _read_sections(info)
    except IndexError:
        raise DecodeError(sections.UNEXPECTED_END, len(data)) from None
    validate_module(info)
    return info


def check_header(data: bytes) -> None:
    """Check magic number and version. Raises :class:`DecodeError`."""
    magic = data[:4]
    if magic != MAGIC:
        if len(magic) < 4:
            raise DecodeError("unexpected end: a module begins with eight bytes", len(data))
        from ..lookalikes import describe

        raise DecodeError(f"magic header not detected: {describe(data)}", 0)
    version = data[4:8]
    if version == _VERSION:
        return
    if len(version) < 4:
        raise DecodeError("unexpected end: a module begins with eight bytes", len(data))
    if version[2:] == _COMPONENT_LAYER:
        from ..proposals import message

        raise DecodeError(
            f"unknown binary version: {message('component-model', 'binary layer 1')}",
            4,
        )
    raise DecodeError(f"unknown binary version {int.from_bytes(version, 'little')}, expected 1", 4)


def _read_sections(info: ModuleInfo) -> None:
    data = info.data
    pos = 8
    last_place = 0
    total = len(data)
    kept: list[Section] = []
    info.sections = kept
    rest: Spread[Section] | None = None
    while pos < total:
        number = data[pos]
        if number >= len(_SECTIONS):
            raise DecodeError(f"malformed section id {number}", pos)
        name, place, read = _SECTIONS[number]
        size, start = u32(data, pos + 1)
        end = start + size
        if end > total:
            left = total - start
            raise DecodeError(
                f"length out of bounds: {name} section of {sized(size)}, {left} {'is' if left == 1 else 'are'} left",
                pos + 1,
            )
        if read is None:
            name, after = sections.read_name(data, start)
            if after > end:
                raise DecodeError("unexpected end: the name of a custom section is longer than the section", start)
            section = Section(_CUSTOM, name, start, end, after)
        else:
            if place <= last_place:
                raise DecodeError(
                    f"unexpected content after last section: {name} section is out of order or repeated", pos
                )
            last_place = place
            section = Section(number, name, start, end, start)
            after = read(info, start, end)
            if after != end:
                raise DecodeError(
                    f"section size mismatch: {name} section ends at {end:#x}, its contents at {after:#x}",
                    min(after, end),
                )
        if len(kept) < _KEPT:
            kept.append(section)
        else:
            if rest is None:
                from .compact import Spread

                rest = info.sections = Spread(kept, data, lambda position: _section(data, position))
            rest.append(pos)
        pos = end
    _compare_counts(info)


def _section(data: bytes, pos: int) -> Section:
    """Read the header of a section again."""
    number = data[pos]
    size, start = u32(data, pos + 1)
    name, payload = sections.read_name(data, start) if number == _CUSTOM else (_SECTIONS[number][0], start)
    return Section(number, name, start, start + size, payload)


def _compare_counts(info: ModuleInfo) -> None:
    """Every function has a body, and there are as many data segments as the data count section says."""
    functions = info.defined_funcs
    bodies = len(info.bodies)
    if functions != bodies:
        from ..counting import counted

        raise DecodeError(
            f"function and code section have inconsistent lengths: {counted(functions, 'function')}, "
            f"{bodies} {'body' if bodies == 1 else 'bodies'}",
            _start_of(info, "code"),
        )
    if info.data_count is not None and info.data_count != len(info.datas):
        raise DecodeError(
            "data count and data section have inconsistent lengths: "
            f"{info.data_count} segments announced, {len(info.datas)} there",
            _start_of(info, "data"),
        )


def _start_of(info: ModuleInfo, name: str) -> int:
    """Where a section's contents begin, or the end of the module if there is none."""
    for section in info.sections:
        if section.id and section.name == name:
            return section.start
    return len(info.data)
