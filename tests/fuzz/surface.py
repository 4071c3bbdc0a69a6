"""What a module asks of its surroundings, and what it offers them, read from its bytes: in terms of no engine."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.fuzz.instructions import NotParsed, read_uleb
from tests.fuzz.numbers import EXTERNREF, FUNCREF
from tests.fuzz.parts import (
    EXPORT,
    FUNC_KIND,
    GLOBAL_KIND,
    IMPORT,
    TABLE_KIND,
    TAG_KIND,
    Index,
    import_kind,
    read_parts,
)
from tests.fuzz.value_types import EXNREF, REF_EXN_TYPE, REF_EXTERN_TYPE, has_no_default, is_function

#: Where a module that is instantiated twice gets from its first instance what that one gets from the host.
OTHER = "other"

_NAMES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", FUNCREF: "funcref",
          EXTERNREF: "externref", EXNREF: "exnref", REF_EXTERN_TYPE: "externref", REF_EXN_TYPE: "exnref"}  # fmt: skip

#: Types of values that the host can make.
_HOSTED = {0x7F, 0x7E, 0x7D, 0x7C, 0x7B, FUNCREF, EXTERNREF}


class Import(NamedTuple):
    """An import: its names and kind, and codes of types: of what a function takes and gives, of what a tag carries, of
    a global's value or a table's elements.
    """

    module: str
    name: str
    kind: int
    params: bytes
    results: bytes = b""


class Target(NamedTuple):
    """An exported function that host functions may call, with the names of its types."""

    name: str
    params: list[str]
    results: list[str]


class Surface(NamedTuple):
    """Imports in order; exported functions that host functions may call; what exported tags carry, by their names;
    names of exports that hold references to exceptions; the imports that are exported again as functions; and the names
    of all exports.
    """

    imports: list[Import]
    targets: list[Target]
    tags: dict[str, list[str]]
    hidden: frozenset[str] = frozenset()
    passed_on: dict[str, Import] = {}
    exports: frozenset[str] = frozenset()

    @property
    def is_double(self) -> bool:
        """Whether the module is to be instantiated twice."""
        return any(item.module == OTHER for item in self.imports)

    @property
    def host_tags(self) -> dict[str, list[str]]:
        """What tags carry that the host makes for all instances, by their names."""
        return {
            item.name: names_of(item.params) for item in self.imports if item.kind == TAG_KIND and item.module != OTHER
        }

    def beyond_the_host(self) -> str | None:
        """Why the host cannot make what is imported, where that is so."""
        for item in self.imports:
            if not {*item.params, *item.results} <= _HOSTED:
                # Its C interface ends the process when it is asked for them.
                return "an import with references that wasmtime-py has no values of"
        return None

    def function_name(self, prefix: str, export: str) -> str:
        """What an exported function is called: by the instance that defines it, or by the host.

        For wasmtime a function of the host is another one in each instance that imports it.
        """
        item = self.passed_on.get(export)
        if item is None:
            return prefix + export
        return f"{OTHER}.{item.name}" if item.module == OTHER and not prefix else f"the host's {item.name}"


def name_of_type(code: int) -> str:
    """The name of a type; references to functions, and those without null, are not told from wider ones."""
    return "funcref" if is_function(code) else _NAMES.get(code, "another type")


def names_of(codes: bytes) -> list[str]:
    """Names of types."""
    return [name_of_type(code) for code in codes]


def plain_name(name: str) -> str:
    """The same for a type as engines call it."""
    if name in _NAMES.values():
        return name
    referred = re.match(r"\(ref (?:null )?(\w+)\)$", name)
    word = referred[1] if referred else "" if name.startswith("(") else name
    # Of a type of functions the name has all of its types.
    return "externref" if "extern" in word else "exnref" if "exn" in word else "funcref"


def read_surface(data: bytes) -> Surface:
    """Reads it; raises `NotParsed` where a type is of no kind that the campaigns know."""
    parts = read_parts(data)
    try:
        return _surface(Index(parts), parts.items(IMPORT), parts.items(EXPORT))
    except (IndexError, UnicodeDecodeError) as error:
        raise NotParsed("the sections do not fit together") from error


def _surface(index: Index, imports: list[bytes], exports: list[bytes]) -> Surface:
    found: list[Import] = []
    funcs, globals_, tables, tags = iter(index.func_types), iter(index.globals), iter(index.tables), iter(index.tags)
    for item in imports:
        module, at = _name(item, 0)
        name, _ = _name(item, at)
        kind = import_kind(item)
        params = results = b""
        if kind == FUNC_KIND:
            params, results = index.types[next(funcs)]
        elif kind == TAG_KIND:
            params = index.types[next(tags)].params
        elif kind == GLOBAL_KIND:
            params = bytes([next(globals_)[0]])
        elif kind == TABLE_KIND:
            params = bytes([next(tables)])
        found.append(Import(module, name, kind, params, results))
    targets: list[Target] = []
    exported_tags: dict[str, list[str]] = {}
    hidden: set[str] = set()
    passed_on: dict[str, Import] = {}
    functions = [item for item in found if item.kind == FUNC_KIND]
    for item in exports:
        name, at = _name(item, 0)
        number = read_uleb(item, at + 1)[0]
        if item[at] == TAG_KIND:
            exported_tags[name] = names_of(index.types[index.tags[number]].params)
        elif item[at] in (GLOBAL_KIND, TABLE_KIND):
            code = index.globals[number][0] if item[at] == GLOBAL_KIND else index.tables[number]
            if name_of_type(code) == "exnref":
                hidden.add(name)
        elif item[at] == FUNC_KIND and number < index.imported_funcs:
            passed_on[name] = functions[number]
        elif item[at] == FUNC_KIND:
            params, results = index.signature(number)
            if not any(map(has_no_default, params)) and "exnref" not in names_of(params + results):
                targets.append(Target(name, names_of(params), names_of(results)))
    names = frozenset(_name(item, 0)[0] for item in exports)
    return Surface(found, targets, exported_tags, frozenset(hidden), passed_on, names)


def _name(data: bytes, position: int) -> tuple[str, int]:
    size, position = read_uleb(data, position)
    return data[position : position + size].decode(), position + size
