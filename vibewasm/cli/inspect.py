"""``vibewasm inspect``: what a module asks for, gives and consists of."""

from __future__ import annotations

from vibewasm.counting import counted
from vibewasm.names import escaped

from .options import TIMEOUT, Arguments, Command, Option
from .wasmfile import load, refused, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.binary.module_info import ModuleInfo
    from vibewasm.extern_types import ExportType, ImportType


def _inspect(arguments: Arguments) -> int:
    from vibewasm.api.engine import Engine
    from vibewasm.api.module import Module
    from vibewasm.errors import WasmError

    path = arguments.operands[0]
    data = load(path)
    try:
        module = Module(Engine(), data)
        facts = _facts(path, module.info, module.imports, module.exports)
    except WasmError as error:
        raise refused(shown(path), error) from error
    if arguments.flag("--json"):
        import json

        # In ASCII: no name gets at the terminal, and none that its encoding cannot say.
        print(json.dumps(facts, indent=2))
    else:
        print(_text(facts), end="")
    return 0


def _facts(path: str, info: ModuleInfo, imports: list[ImportType], exports: list[ExportType]) -> dict[str, object]:
    from vibewasm.wasi import MODULES

    asked = {item.module for item in imports}
    return {
        "file": path,
        "name": info.name,
        "size": len(info.data),
        "sections": [
            {
                "name": f"custom {section.name!r}" if section.id == 0 else section.name,
                "offset": section.start,
                "size": section.end - section.start,
            }
            for section in info.sections
        ],
        "imports": [
            {"module": item.module, "name": item.name, "kind": _kind(item.type), "type": str(item.type)}
            for item in imports
        ],
        "exports": [{"name": item.name, "kind": _kind(item.type), "type": str(item.type)} for item in exports],
        "functions": {
            "imported": info.imported_funcs,
            "defined": len(info.bodies),
            "code_size": sum(end - start for start, end in info.bodies),
            "largest": max((end - start for start, end in info.bodies), default=0),
        },
        "types": _declared_types(info),
        "exceptions": _first_with(info, "try_table", "throw_ref"),
        "legacy_exceptions": _first_with(info, "try", "rethrow"),
        "start": info.start,
        "wasi": [version for module, version in MODULES.items() if module in asked],
    }


def _declared_types(info: ModuleInfo) -> list[str]:
    """The definitions of types that are more than parameters and results, as text."""
    declared = [type_._identity != 0 for type_ in info.types]
    if not any(declared):
        return []
    from vibewasm.wat.module_writer import ModuleWriter

    found = []
    index = 0
    for text in ModuleWriter(info.data).types():
        after = index + (text.count("\n") if text.startswith("(rec") else 1)
        if any(declared[index:after]):
            found.append(text)
        index = after
    return found


def _first_with(info: ModuleInfo, *words: str) -> int | None:
    """The index of the first function that has one of these instructions, or ``None``."""
    from vibewasm.opcodes import CODE

    return info.first_function_with([CODE[word] for word in words])


def _kind(type: object) -> str:
    """``func``, ``table``, ``memory``, ``global`` or ``tag``, from the name of the type's class."""
    return type.__class__.__name__.removesuffix("Type").lower()


def _text(facts: dict[str, object]) -> str:
    sections, imports, exports = facts["sections"], facts["imports"], facts["exports"]
    functions, wasi, types = facts["functions"], facts["wasi"], facts["types"]
    assert isinstance(sections, list)
    assert isinstance(wasi, list)
    assert isinstance(types, list)
    assert isinstance(imports, list)
    assert isinstance(exports, list)
    assert isinstance(functions, dict)
    named = f", named {facts['name']!r}" if facts["name"] else ""
    lines = [f"{shown(str(facts['file']))}: WebAssembly module, {facts['size']:,} bytes{named}"]
    lines.append(
        f"functions: {functions['imported']} imported, {functions['defined']} defined "
        f"({functions['code_size']:,} bytes of code, the largest {functions['largest']:,})"
    )
    if facts["start"] is not None:
        lines.append(f"start function: {facts['start']}")
    if wasi:
        lines.append(f"WASI: {' and '.join(wasi)}")
    if facts["exceptions"] is not None:
        lines.append(f"exceptions: with try_table (first in function {facts['exceptions']})")
    if facts["legacy_exceptions"] is not None:
        lines.append(
            f"exceptions: in their older form, with try and catch (first in function {facts['legacy_exceptions']})"
        )
    lines += ["", "sections:"]
    width = max((len(section["name"]) for section in sections), default=0)
    for section in sections:
        size = section["size"]
        lines.append(f"  {section['name']:<{width}}  {counted(size, 'byte', '>12,'):<18} at {section['offset']:#x}")
    if types:
        lines += ["", "types that are recursive or have subtypes:"]
        lines += [f"  {line}" for text in types for line in text.splitlines()]
    lines += ["", f"imports: {len(imports)}"]
    lines += _table(
        [(item["kind"], f"{escaped(item['module'])}.{escaped(item['name'])}", item["type"]) for item in imports]
    )
    lines += ["", f"exports: {len(exports)}"]
    lines += _table([(item["kind"], escaped(item["name"]), item["type"]) for item in exports])
    return "\n".join(lines) + "\n"


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    width = min(max((len(name) for _, name, _ in rows), default=0), 48)
    return [f"  {kind:<6}  {name:<{width}}  {type.removeprefix(kind + ' ')}" for kind, name, type in rows]


COMMAND = Command(
    "inspect",
    "FILE",
    "show what a module imports, exports and consists of",
    [
        Option("--json", "", "print it as JSON"),
        TIMEOUT,
    ],
    _inspect,
)
