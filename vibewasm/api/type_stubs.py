"""What type checkers and editors are told of one module: the text of a ``.pyi`` file.

Its names are the module's exports, as :mod:`vibewasm.importer` makes them attributes of what is imported; a class
``Exports`` that ``instance.exports`` can be cast to; and a ``TypedDict`` ``Imports`` for what it is instantiated with.

Names of modules are any Unicode that a stranger chose: what is no identifier stands in string literals of ASCII only.
"""

from __future__ import annotations

from ..extern_types import GlobalType, MemoryType, TagType
from ..reference_types import top
from ..types import EXNREF, EXTERNREF, FUNCREF, FuncType
from .introspection import NUMBERS, is_python_name, is_special_name, names_of_parameters, typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..extern_types import ExternType, ImportType
    from ..types import ValType
    from .module import Module

#: What the text needs of other modules. It has them under names of its own: an export may have any.
_HELPERS = {
    "builtins": ("bool", "bytearray", "bytes", "float", "int", "memoryview", "object", "property", "str", "tuple"),
    "collections.abc": ("Callable", "Iterator"),
    "typing": ("Any", "Literal", "TypedDict", "overload", "type_check_only"),
    "vibewasm": ("ExceptionRef", "Func", "Global", "Memory", "Native", "Table", "Tag", "WasmException"),
}
#: What references are, by the kind of what they refer to.
_REFERENCES = {FUNCREF: "Func", EXTERNREF: "object", EXNREF: "ExceptionRef"}
#: Exports that are no identifiers and yet typed one by one: type checkers compare each with each.
_MOST_LITERALS = 100
#: Parameters of a function whose names are written: others of its type would not share its class, and a small module
#: may have very many of both.
_MOST_NAMED = 100
#: Characters of a name that becomes part of another.
_LONGEST = 40


def type_stub(module: Module, source: str) -> str:
    """The text of a ``.pyi`` file for a module.

    Args:
        source: what the text calls the file that the module comes from.
    """
    return _Stub(module).text(source)


class _Stub:
    """The text of one module's stub, as far as it is written.

    Attributes:
        taken: names that no further class may have.
        helpers: what each of :data:`_HELPERS` is called here, of those that are used.
        classes: the text of the classes of functions and globals.
        class_names: the names of those classes, by what is in them: exports alike share one.
        of_types: those of functions whose parameters have no names, by their types.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.taken = {export.name for export in module.exports}
        self.helpers: dict[str, str] = {}
        self.classes: list[str] = []
        self.class_names: dict[str, str] = {}
        self.of_types: dict[FuncType, str] = {}

    def text(self, source: str) -> str:
        """All of it."""
        exports = self.exports()
        imports = self.imports()
        lines = [f"# Made by `vibewasm stubs` of {source!a}: what type checkers know of that WebAssembly module."]
        for home, names in _HELPERS.items():
            used = sorted([f"{name} as {self.helpers[name]}" for name in names if name in self.helpers])
            lines += [f"from {home} import {', '.join(used)}"] if used else []
        return "\n".join([*lines, *self.classes, *exports, *imports]) + "\n"

    def use(self, name: str) -> str:
        """What one of :data:`_HELPERS` is called here."""
        if name not in self.helpers:
            self.helpers[name] = self.unique(f"_{name}")
        return self.helpers[name]

    def unique(self, name: str) -> str:
        """A name that nothing here has, like this one."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    # -- exports ----------------------------------------------------------------------------------------------------

    def exports(self) -> list[str]:
        """The class ``Exports``, and the exports as attributes of a Python module."""
        index = self.module._export_index
        kinds = {export.name: self.exported(export.type, index[export.name].index) for export in self.module.exports}
        attributes = [
            f"{name}: {kind}" for name, kind in kinds.items() if is_python_name(name) and not is_special_name(name)
        ]
        literal = [name for name in kinds if not is_python_name(name) or is_special_name(name)][:_MOST_LITERALS]
        any_, str_, iterator = self.use("Any"), self.use("str"), self.use("Iterator")
        name = self.unique("Exports")
        lines = [
            "",
            f"@{self.use('type_check_only')}",
            f"class {name}:",
            '    """What an instance exports: `cast("Exports", instance.exports)`."""',
            "",
            *[f"    {attribute}" for attribute in attributes],
        ]
        overload = f"    @{self.use('overload')}" if literal else ""
        for given in literal:
            key = f"{self.use('Literal')}[{given!a}]"
            lines += [overload, f"    def __getitem__(self, name: {key}, /) -> {kinds[given]}: ..."]
        lines += [overload] if literal else []
        return [
            *lines,
            f"    def __getitem__(self, name: {str_}, /) -> {any_}: ...",
            f"    def __iter__(self) -> {iterator}[{str_}]: ...",
            f"    def __len__(self) -> {self.use('int')}: ...",
            f"    def __contains__(self, name: {self.use('object')}, /) -> {self.use('bool')}: ...",
            "",
            *attributes,
        ]

    def exported(self, type: ExternType, index: int) -> str:
        """The class of an export."""
        if isinstance(type, FuncType):
            return self.function(type, index)
        if isinstance(type, GlobalType):
            return self.global_(type)
        return self.other(type)

    def other(self, type: ExternType) -> str:
        """The class of a memory, table or tag."""
        if isinstance(type, TagType):
            return self.use("Tag")
        return self.use("Memory" if isinstance(type, MemoryType) else "Table")

    def function(self, type: FuncType, index: int) -> str:
        """The class of functions of this type whose parameters have the names of those of function ``index``."""
        count = len(type.params)
        names = names_of_parameters(self.module.info, index, count) if count <= _MOST_NAMED else None
        if names is None:
            shared = self.of_types.get(type)
            if shared is None:
                shared = self.of_types[type] = self.function_named(type, None)
            return shared
        return self.function_named(type, names)

    def function_named(self, type: FuncType, names: list[str] | None) -> str:
        """The class of functions of this type whose parameters have these names."""
        shown = typed(type, names)
        if names is not None and any(name.startswith("__") for name in names):
            # Type checkers take these for names of parameters that are given by position.
            names = None
        params = [
            f"{f'p{at}' if names is None else names[at]}: {self.accepted(param)}"
            for at, param in enumerate(type.params)
        ]
        if params and names is None:
            params.append("/")
        receiver = "self" if names is None or "self" not in names else "_self"
        while names is not None and receiver in names:
            receiver += "_"
        call = f"    def __call__({', '.join([receiver, *params])}) -> {self.result(type.results)}: ..."
        return self.class_of("Function", "Func", [f"    {shown!a}", "", call])

    def global_(self, type: GlobalType) -> str:
        """The class of globals of this type."""
        value = self.value(type.content)
        getter = f"    def value(self) -> {value}: ..."
        lines = [f"    {str(type)!a}", "", f"    @{self.use('property')}"]
        if type.mutable:
            object_ = self.use("object")
            setter = f"    def value(self, value: {object_}) -> None: ..."
            return self.class_of("Global", "Global", [*lines, getter, "    @value.setter", setter])
        # What can only be read overrides what can be set in the base class: wrong in general, and right here.
        lines[-1] += "  # type: ignore[misc]"
        getter += "  # pyright: ignore[reportIncompatibleMethodOverride]"
        return self.class_of("Global", "Global", [*lines, getter])

    def class_of(self, name: str, base: str, body: Sequence[str]) -> str:
        """The name of a class with this body, which is written unless it has been."""
        text = "\n".join(body)
        found = self.class_names.get(text)
        if found is None:
            found = self.class_names[text] = self.unique(f"_{name}{len(self.class_names)}")
            decorator = f"@{self.use('type_check_only')}"
            self.classes += ["", decorator, f"class {found}({self.use(base)}):", text]
        return found

    def value(self, type: ValType) -> str:
        """The Python type of values of a type."""
        if not type.is_ref:
            return self.use(NUMBERS[type.name].__name__)
        name = self.use(_REFERENCES[top(type.code)])
        return f"{name} | None" if type.nullable and top(type.code) != EXTERNREF else name

    def accepted(self, type: ValType) -> str:
        """The Python type of what may be given for a value of a type."""
        if type.name == "v128":
            return " | ".join([self.use(name) for name in ("int", "bytes", "bytearray", "memoryview")])
        if type.is_ref and top(type.code) == EXNREF:
            return f"{self.use('WasmException')} | {self.value(type)}"
        return self.value(type)

    def result(self, types: Sequence[ValType], accepted: bool = False) -> str:
        """The Python type of what a function gives; with ``accepted`` a Python function that wasm code calls."""
        if not types:
            return "None"
        values = [self.accepted(type) if accepted else self.value(type) for type in types]
        return values[0] if len(values) == 1 else f"{self.use('tuple')}[{', '.join(values)}]"

    # -- imports ----------------------------------------------------------------------------------------------------

    def imports(self) -> list[str]:
        """A ``TypedDict`` for each module that is imported from, and ``Imports`` of them all."""
        from ..wasi import MODULES

        wanted: dict[str, dict[str, set[str]]] = {}
        wasi = False
        for item in self.module.imports:
            if item.module in MODULES:
                wasi = True
                continue
            wanted.setdefault(item.module, {}).setdefault(item.name, set()).add(self.imported(item))
        lines = ["", "# What WASI is to be is said with instantiate(..., wasi=WasiConfig(...))."] if wasi else []
        if not wanted:
            return lines
        dicts: dict[str, str] = {}
        for module, items in wanted.items():
            part = module[:_LONGEST] if module.isascii() and f"_{module}".isidentifier() else ""
            dicts[module] = self.unique(f"Imports_{part}" if part else f"Imports_{len(dicts)}")
            lines += self.typed_dict(
                dicts[module],
                # One name may be imported with several types, and nothing that is written down here is all of them.
                {name: types.pop() if len(types) == 1 else self.use("Any") for name, types in items.items()},
            )
        return lines + self.typed_dict(self.unique("Imports"), dicts)

    def typed_dict(self, name: str, items: dict[str, str]) -> list[str]:
        """A ``TypedDict``, as a call: keys may be any text."""
        typed_dict = self.use("TypedDict")
        return [
            "",
            f'{name} = {typed_dict}("{name}", {{',
            *[f"    {key!a}: {type}," for key, type in items.items()],
            "})",
        ]

    def imported(self, item: ImportType) -> str:
        """The Python type of what an import may be."""
        type = item.type
        if isinstance(type, FuncType):
            params = ", ".join([self.value(param) for param in type.params])
            # What a function without results returns is ignored.
            result = self.result(type.results, accepted=True) if type.results else self.use("object")
            return f"{self.use('Callable')}[[{params}], {result}] | {self.use('Native')}"
        if isinstance(type, GlobalType):
            numbers = not type.mutable and type.content.name in NUMBERS
            return self.use("Global") + (f" | {self.accepted(type.content)}" if numbers else "")
        return self.other(type)
