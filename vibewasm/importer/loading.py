"""From a WebAssembly file to a Python module."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.abc import ExecutionLoader
from types import ModuleType

from ..api.extern import Extern
from ..api.func import Func
from ..api.introspection import is_python_name, is_special_name, names_of_parameters, typed
from ..api.linker import Linker
from ..api.module import Module
from ..api.store import Store
from ..errors import Interrupted, WasmError
from ..names import escaped
from ..types import FuncType
from ..wasi import MODULES, WasiConfig
from .finding import FINDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any

    from ..api.instance import Instance
    from ..extern_types import ImportType

#: Names that an error lists.
_MOST_NAMED = 10
#: Exports that ``__doc__`` lists.
_MOST_SHOWN = 100


class WasmModule(ModuleType):
    """What ``import`` makes of a WebAssembly file.

    Its attributes are the exports, but for names that Python gives a meaning (``__init__``).

    Attributes:
        __instance__: the :class:`~vibewasm.Instance`, whose ``exports`` has all of them.
    """

    __instance__: Instance

    def __dir__(self) -> list[str]:
        return sorted([name for name in self.__dict__ if is_python_name(name)])


class Loader(ExecutionLoader):
    """What makes a Python module of one file.

    Attributes:
        name: the name of the Python module.
        path: the file.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module without contents."""
        return WasmModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Instantiate the file, and make its exports attributes of the module.

        A module that is loaded anew loses the exports that it had, once there are new ones.

        Raises:
            ImportError: the file cannot be read, is no valid module, wants what is not there, or trapped.
            Interrupted: a deadline is over.
        """
        wasi = FINDER.wasi or WasiConfig(stdin=b"", stdout=os.devnull, stderr=os.devnull)
        instance = self._instance(wasi)
        try:
            _initialize(instance)
        except Interrupted:
            raise
        except WasmError as error:
            raise self._refused(error) from error
        attributes = module.__dict__
        for name in attributes.get("__all_exports__", ()):
            attributes.pop(name, None)
        names = [name for name in instance.exports if not is_special_name(name)]
        attributes.update({name: instance.exports[name] for name in names})
        attributes["__all_exports__"] = tuple(names)
        attributes["__all__"] = [name for name in names if is_python_name(name) and name[:1] != "_"]
        attributes["__instance__"] = instance
        attributes["__doc__"] = _documentation(instance.module, self.path)

    def run(self) -> None:
        """Run the file as a program, as ``python -m`` does, with what :func:`vibewasm.importer.install` was given as
        WASI, else with the arguments and standard streams of this process.

        Raises:
            ImportError: as :meth:`exec_module`, or it is no program.
            SystemExit: the program has ended with a code.
            Trap: as the program's ``_start``.
        """
        from ..traps import ExitTrap

        arguments = [os.path.basename(self.path), *sys.argv[1:]]
        instance = self._instance(FINDER.wasi or WasiConfig(args=arguments, inherit_stdin=True))
        start = _function(instance, "_start")
        if start is None:
            raise ImportError(
                f"{escaped(self.path)} is no program: it exports no function _start", name=self.name, path=self.path
            )
        try:
            start()
        except ExitTrap as exit_:
            sys.exit(exit_.code)

    def get_code(self, name: str) -> CodeType:
        """What ``python -m`` executes: it runs the file as a program."""
        call = f"from {__name__} import Loader\nLoader({self.name!r}, {self.path!r}).run()\n"
        return compile(call, self.path, "exec", dont_inherit=True)

    def get_source(self, name: str) -> None:
        """There is no Python source."""

    def get_filename(self, name: str) -> str:
        """The file."""
        return self.path

    def is_package(self, name: str) -> bool:
        """No file is a package."""
        return False

    def get_data(self, path: str) -> bytes:
        """The contents of a file."""
        with open(path, "rb") as file:
            return file.read()

    def __eq__(self, other: object) -> bool:
        return (self.name, self.path) == (other.name, other.path) if isinstance(other, Loader) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.path))

    def _instance(self, wasi: WasiConfig) -> Instance:
        try:
            module = Module.from_file(FINDER.engine, self.path)
            store, imports = self._imports(module)
            linker = Linker(module.engine)
            linker.define_wasi(wasi)
            self._define(linker, imports)
            return linker.instantiate(store or Store(module.engine), module)
        except Interrupted:
            # Nothing is wrong with the file, and who tries to import something else instead has no time for that.
            raise
        except (WasmError, OSError) as error:
            raise self._refused(error) from error

    def _define(self, linker: Linker, imports: dict[tuple[str, str], Any]) -> None:
        for (source, name), value in imports.items():
            try:
                linker.define(source, name, value)
            except TypeError as error:
                raise self._refused(error) from error

    def _refused(self, error: Exception) -> ImportError:
        shown = getattr(error, "strerror", None) or str(error)
        return ImportError(f"{escaped(self.path)}: {shown}", name=self.name, path=self.path)

    def _imports(self, module: Module) -> tuple[Store | None, dict[tuple[str, str], Any]]:
        """What a module's imports are, from the Python modules of those names, and the store that they belong to."""
        wanted = [item for item in module.imports if item.module not in MODULES]
        sources = {item.module: None for item in wanted}
        values = {source: self._python_module(source, wanted) for source in sources}
        found: dict[tuple[str, str], Any] = {}
        for item in wanted:
            try:
                found[item.module, item.name] = getattr(values[item.module], item.name)
            except AttributeError:
                raise ImportError(
                    f"{escaped(self.path)} imports {escaped(item.name)!r} from the Python module "
                    f"{item.module!r}, which has none",
                    name=self.name,
                    path=self.path,
                ) from None
        store = next(
            # Functions of other stores can be called. What else belongs to a store cannot be anywhere else.
            (value.store for kind in (False, True) for value in found.values() if _belongs(value, kind)),
            None,
        )
        for item in wanted:
            value = found[item.module, item.name]
            if isinstance(value, Func) and value.store is not store and value.type == item.type:
                found[item.module, item.name] = _called_from_elsewhere(value)
        return store, found

    def _python_module(self, source: str, wanted: list[ImportType]) -> ModuleType:
        allowed = FINDER.imports is None or source in FINDER.imports
        try:
            # A name that begins with a dot is relative to nothing here.
            if not source or source.startswith(".") or not allowed:
                raise ImportError(f"install(imports=...) does not name {source!r}" if not allowed else "it is no name")
            return import_module(source)
        except (ImportError, RecursionError) as error:
            # The latter of a name with very many dots.
            raise ImportError(
                f"{escaped(self.path)} imports from a Python module {source!r}: {escaped(str(error))}"
                + (_what_to_do(source, wanted) if allowed and _is_missing(source, error) else ""),
                name=self.name,
                path=self.path,
            ) from error


def _is_missing(source: str, error: Exception) -> bool:
    """Whether there is no such Python module, rather than one whose own import fails."""
    return not isinstance(error, ModuleNotFoundError) or error.name == source


def _what_to_do(source: str, wanted: list[ImportType]) -> str:
    """How to give a module what it imports, as lines to follow the message."""
    from ..toolchains import advice

    toolchain = advice(wanted, [item for item in wanted if item.module == source])
    if toolchain:
        return f"\n{toolchain}"
    names = [escaped(item.name) for item in wanted if item.module == source]
    listed = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        listed += f" and {len(names) - _MOST_NAMED} more"
    if source.isidentifier():
        return f"\nWrite a module {source} that defines {listed}, or use vibewasm.instantiate(path, imports)."
    return (
        "\nNo Python module can have that name: use vibewasm.instantiate(path, imports), "
        f"which takes {listed} from a dict."
    )


def _belongs(value: object, function: bool) -> bool:
    return isinstance(value, Extern) and isinstance(value, Func) == function


def _called_from_elsewhere(function: Func) -> Any:
    """A Python function that calls a function of another store."""

    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


def _initialize(instance: Instance) -> None:
    """Call what libraries of WASI want to be called first (WASI, "Application ABI", reactors)."""
    initialize = _function(instance, "_initialize")
    if initialize is not None:
        initialize()


def _function(instance: Instance, name: str) -> Func | None:
    """An export, if it is a function that takes nothing and gives nothing."""
    # Not with get(), which may be an export.
    found = instance.exports[name] if name in instance.exports else None
    return found if isinstance(found, Func) and found.type == FuncType([], []) else None


def _documentation(module: Module, path: str) -> str:
    """``__doc__``: what it is, and the types of what it exports."""
    named = f" {module.name!r}" if module.name else ""
    lines = [f"The WebAssembly module{named} in {escaped(os.path.basename(path))}."]
    exports = module.exports
    lines += ["", "Exports:"] if exports else []
    for export in exports[:_MOST_SHOWN]:
        shown = str(export.type)
        if isinstance(export.type, FuncType):
            index = module._export_index[export.name].index
            shown = typed(export.type, names_of_parameters(module.info, index, len(export.type.params)))
            lines.append(f"  {escaped(export.name)}{shown}")
        else:
            lines.append(f"  {escaped(export.name)}: {shown}")
    if len(exports) > _MOST_SHOWN:
        lines.append(f"  and {len(exports) - _MOST_SHOWN} more")
    return "\n".join(lines)
