"""A start loads some sixty modules of this package, and finding, opening and locking each of them takes more time than
running most. So the first start leaves the code of what it has loaded in files, and later ones load it from there.

The files are bytecode, of :mod:`vibewasm.bundled` and its like, and follow all rules of bytecode: there are none
where Python may not write any (``-B``, ``PYTHONDONTWRITEBYTECODE``, a folder of somebody else), and a module whose file
has changed since is loaded from its file. Nothing depends on them but time; how much of it is in ``docs/design.md``.

A file is read as a whole, since most names in modules' code are the same: one reading takes a quarter less time than
reading each module's. With a module's code stands what it imports, which is executed first. There is a file for each
kind of start: what all need, what linking and memories add, what the command and WASI do, and what decodes and
compiles, which a start that finds its code in the code cache does without. What a later start adds to a file is read
by those alone that need something of it: the first may have been of a command that does little, or of one that does
much.
"""

from __future__ import annotations

import sys
from posix import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder, SourceFileLoader
    from types import CodeType, ModuleType

    from .bundled import Row

    _lock_of: Callable[[str], AbstractContextManager[None]] | None
else:
    # The import system's own names, without the modules that offer them to others.
    from _frozen_importlib import BuiltinImporter, FrozenImporter, ModuleSpec
    from _frozen_importlib_external import PathFinder, SourceFileLoader

    try:
        # Not public, and the only way to import in the presence of other threads as the import system does.
        from _frozen_importlib import _ModuleLockManager as _lock_of
    except ImportError:
        # A Python that does it in another way loads from files, as ever.
        _lock_of = None

#: What every start needs of a backend.
_OF_BACKENDS = tuple(
    [
        f"vibewasm.backends.{target}{part}"
        for target in ("aarch64", "x86_64")
        for part in ("", ".built_stubs", ".processor")
    ]
)
#: By file, how the names of the modules begin that it is for; :mod:`.bundled` has the others.
_FILES = {
    "bundled_compiler": (
        "vibewasm.backends.",
        "vibewasm.binary.const_expr",
        "vibewasm.binary.decoder",
        "vibewasm.binary.definitions",
        "vibewasm.binary.leb128",
        "vibewasm.binary.sections",
        "vibewasm.binary.validate",
        "vibewasm.binary.value_types",
        "vibewasm.compiler",
        "vibewasm.opcodes",
        "vibewasm.runtime.instruction_cache",
    ),
    "bundled_linking": (
        "vibewasm.api.deadline",
        "vibewasm.api.exception",
        "vibewasm.api.global_",
        "vibewasm.api.linker",
        "vibewasm.api.memory",
        "vibewasm.api.table",
        "vibewasm.api.tag",
        "vibewasm.api.typed_references",
        "vibewasm.calls.callbacks",
        "vibewasm.calls.packed",
        "vibewasm.extern_types",
        "vibewasm.instances.arithmetic",
        "vibewasm.instances.backtrace",
        "vibewasm.instances.builtins",
        "vibewasm.instances.bulk",
        "vibewasm.instances.constants",
        "vibewasm.instances.data_copies",
        "vibewasm.instances.exception",
        "vibewasm.instances.landings",
        "vibewasm.instances.matching",
        "vibewasm.instances.references",
        "vibewasm.instances.segments",
        "vibewasm.instances.supertypes",
        "vibewasm.giving_back",
        "vibewasm.reference_types",
        "vibewasm.type_groups",
        "vibewasm.runtime.linear_memory",
        "vibewasm.runtime.reservations",
        "vibewasm.runtime.watcher",
        "vibewasm.traps",
    ),
    "bundled_command": (
        "vibewasm.api.code_cache",
        "vibewasm.background",
        "vibewasm.cache",
        "vibewasm.cli",
        "vibewasm.wasi",
    ),
}
#: What no start needs, though it may be loaded at an end, or is for those who look at code rather than run it.
_LEFT_OUT = (
    "vibewasm.aside",
    "vibewasm.bundle",
    "vibewasm.cache.contents",
    "vibewasm.cache.packing",
    "vibewasm.cache.problem",
    "vibewasm.cache.summary",
    "vibewasm.cache.writing",
    "vibewasm.cli.disasm",
    "vibewasm.cli.explore",
    "vibewasm.disasm",
    "vibewasm.wat",
)

_installed = False
#: What is kept, by module, of the files that were read.
_kept: dict[str, Row] = {}
_read: set[str] = set()
#: The code of modules that a later start has added, by its bytecode.
_added: dict[bytes, tuple[CodeType, ...]] = {}
#: Modules that were loaded from files of their own: loader, that file's time of change (ns) and size (bytes) before it
#: was read, code, and the modules of this package that it has imported.
_loaded: dict[str, tuple[SourceFileLoader, int, int, CodeType, list[str]]] = {}


class _Kept(SourceFileLoader):
    """Executes code that is at hand, after that of the modules which it will import."""

    def get_code(self, fullname: str) -> CodeType | None:
        return _code(_kept[fullname])

    def exec_module(self, module: ModuleType) -> None:
        _run(_kept[module.__name__], module)


class _Noting(SourceFileLoader):
    """Loads from a file, and notes what was loaded."""

    def get_code(self, fullname: str) -> CodeType | None:
        # Before it is read: should the file be exchanged meanwhile, then what is kept is never taken for the new one.
        found = stat(self.path)
        code = super().get_code(fullname)
        assert code is not None  # it would be None for an extension module
        _loaded[fullname] = self, found.st_mtime_ns, found.st_size, code, []
        return code

    def exec_module(self, module: ModuleType) -> None:
        import builtins

        real = builtins.__import__
        if getattr(real, "notes", False):
            super().exec_module(module)
            return
        builtins.__import__ = _noting(real)
        try:
            super().exec_module(module)
        finally:
            builtins.__import__ = real


def _noting(real: Callable[..., ModuleType]) -> Callable[..., ModuleType]:
    """``__import__`` that notes what modules import while they are executed."""

    def noting(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        found = real(name, globals, locals, fromlist, level)
        # Functions have other local variables than global ones.
        importer = _loaded.get(str(globals["__name__"])) if globals is not None and locals is globals else None
        if importer is not None and fromlist:
            # Of "from .a import b", b may be a module or something in one.
            names = [found.__name__, *[f"{found.__name__}.{item}" for item in fromlist]]
            importer[-1].extend([one for one in names if one.startswith(f"{__package__}.") and one in sys.modules])
        return found

    noting.notes = True  # type: ignore[attr-defined]
    noting.real = real  # type: ignore[attr-defined]
    return noting


def stop_noting() -> None:
    """In a forked child: another thread may have been noting, which is not there to put an end to it."""
    import builtins

    builtins.__import__ = getattr(builtins.__import__, "real", builtins.__import__)


class _Finder:
    """Finds this package's modules where the import system would look for their files, and not before somebody else
    who changes what is imported.
    """

    def __init__(self, noting: bool) -> None:
        self._noting = noting

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """What the import system asks for each module that is not loaded yet."""
        if not name.startswith("vibewasm.") or name.startswith(_LEFT_OUT):
            return None
        row = _row(name)
        if row is not None:
            return _spec(row)
        if not self._noting:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Noting(name, spec.loader.path)
        return spec


def _file_for(name: str) -> str:
    """Which file a module belongs to."""
    if name not in _OF_BACKENDS:
        for file, beginnings in _FILES.items():
            if name.startswith(beginnings):
                return file
    return "bundled"


def _row(name: str) -> Row | None:
    """What is kept of a module, if that is of the file that is there now."""
    row = _kept.get(name)
    if row is None:
        file = _file_for(name)
        if file in _read:
            return None
        _know(file)
        row = _kept.get(name)
    return row if row is not None and _is_fresh(row) else None


def _know(file: str) -> ModuleType:
    """Read one of the files."""
    module: ModuleType = __import__(f"{__package__}.{file}", fromlist=("*",))
    _read.add(file)
    for row in module.MODULES:
        _kept[row[0]] = row
    return module


def _is_fresh(row: Row) -> bool:
    try:
        found = stat(row[2])
    except OSError:
        return False
    return found.st_mtime_ns == row[3] and found.st_size == row[4]


def _code(row: Row) -> CodeType:
    kept = row[-1]
    if not isinstance(kept, tuple):
        return kept
    bytecode, at = kept
    codes = _added.get(bytecode)
    if codes is None:
        from marshal import loads

        codes = _added[bytecode] = loads(bytecode)
    return codes[at]


def _spec(row: Row) -> ModuleSpec:
    name, is_package, file = row[:3]
    spec = ModuleSpec(name, _Kept(name, file), origin=file, is_package=is_package)
    spec.has_location = True
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(file.rpartition("/")[0])
    return spec


def _run(row: Row, module: ModuleType) -> None:
    """Execute a module's code."""
    loaded = sys.modules
    for needed in row[-2]:
        if needed not in loaded:
            _execute(needed)
    exec(_code(row), module.__dict__)


def _execute(name: str) -> None:
    """Do what importing a module does, without asking who can find it; nothing if nothing is kept of it."""
    parent, _, child = name.rpartition(".")
    if parent not in sys.modules:
        __import__(parent)
    for finder in sys.meta_path:
        if type(finder) is _Finder:
            break
        others = finder is not BuiltinImporter and finder is not FrozenImporter
        if others and finder.find_spec(name, sys.modules[parent].__path__) is not None:
            __import__(name)
            return
    assert _lock_of is not None
    # Another thread that imports it waits here, and so does this one for another.
    with _lock_of(name):
        row = _row(name)
        if row is None or name in sys.modules:
            return
        spec = _spec(row)
        module = type(sys)(name)
        module.__spec__ = spec
        module.__loader__ = spec.loader
        module.__file__ = spec.origin
        module.__package__ = spec.parent
        if spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        spec._initializing = True  # type: ignore[attr-defined]
        try:
            sys.modules[name] = module
            try:
                _run(row, module)
            except BaseException:
                sys.modules.pop(name, None)
                raise
        finally:
            spec._initializing = False  # type: ignore[attr-defined]
    setattr(sys.modules[parent], child, module)


def install() -> None:
    """From here on load this package's modules from what is kept, and note which come from their own files."""
    global _installed
    if _installed or _lock_of is None or type(__spec__.loader) is not SourceFileLoader:
        return
    _installed = True
    if PathFinder not in sys.meta_path:
        return
    spec = _know("bundled").__spec__
    noting = not sys.dont_write_bytecode and spec is not None and spec.cached is not None
    sys.meta_path.insert(sys.meta_path.index(PathFinder), _Finder(noting))
    if noting:
        import atexit

        atexit.register(_keep)


# -- keeping -----------------------------------------------------------------------------------------------------------


def _keep() -> None:
    """Leave what came from files, with what was kept before, for the next start; nothing if that is not allowed."""
    if not _loaded:
        return
    from marshal import dumps

    from .bundle_writing import write

    new: dict[str, list[str]] = {}
    for name in _loaded:
        if name in sys.modules:  # else executing it has failed
            new.setdefault(_file_for(name), []).append(name)
    for file, names in new.items():
        if file not in _read:
            _know(file)
        # All are modules of this package whose files are there now, so that there are never more than it has.
        rows = {name: row for name, row in _kept.items() if _file_for(name) == file and _is_fresh(row)}
        added = dumps(tuple([_loaded[name][3] for name in names])) if rows else None
        for at, name in enumerate(names):
            loader, changed, size, code, imported = _loaded[name]
            facts = name, loader.is_package(name), loader.path, changed, size, tuple(dict.fromkeys(imported))
            row = *facts, code if added is None else (added, at)
            if _is_fresh(row):
                rows[name] = row
        write(sys.modules[f"{__package__}.{file}"], tuple(rows.values()))
    _loaded.clear()
