"""The ``name`` section that identifiers give (specification, "Appendix / Custom Sections / Name Section").

The kinds beyond the specification's are those of the extended-name-section proposal, which other tools write too.
"""

from __future__ import annotations

from .encode import section, sized, unsigned, vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .module_reader import ModuleReader

_CUSTOM = 0


def name_section(reader: ModuleReader) -> bytes:
    """The section for what ``reader`` has read, or no bytes where it has met no identifier."""
    local_names = {index: _by_index(names) for index, names in reader.local_names.items()}
    field_names = {index: _by_index(space.names) for index, space in reader.fields.items() if space.names}
    contents = _subsection(0, sized(reader.module_name[1:].encode()) if reader.module_name else b"")
    contents += _subsection(1, _name_map(_by_index(reader.funcs.names)))
    contents += _subsection(2, _indirect_name_map(local_names))
    for number, space in (
        (4, reader.types),
        (5, reader.tables),
        (6, reader.memories),
        (7, reader.globals),
        (8, reader.elems),
        (9, reader.datas),
    ):
        contents += _subsection(number, _name_map(_by_index(space.names)))
    contents += _subsection(10, _indirect_name_map(field_names))
    contents += _subsection(11, _name_map(_by_index(reader.tags.names)))
    return section(_CUSTOM, sized(b"name") + contents) if contents else b""


def _by_index(names: dict[str, int]) -> dict[int, str]:
    return {index: name[1:] for name, index in sorted(names.items(), key=lambda item: item[1])}


def _name_map(names: dict[int, str]) -> bytes:
    if not names:
        return b""
    return vector([unsigned(index) + sized(name.encode()) for index, name in names.items()])


def _indirect_name_map(names: dict[int, dict[int, str]]) -> bytes:
    if not names:
        return b""
    return vector([unsigned(outer) + _name_map(inner) for outer, inner in sorted(names.items())])


def _subsection(number: int, contents: bytes) -> bytes:
    return section(number, contents) if contents else b""
