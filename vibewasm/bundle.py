"""A start loads some sixty modules of this package, and finding, opening and locking each of them takes more time than
running most. So the first start leaves the code of what it has loaded in files, and later ones load it from there.

The files are bytecode, of :mod:`vibewasm.bundled` and its like, and follow all rules of bytecode: there are none
where Python may not write any (``-B``, ``PYTHONDONTWRITEBYTECODE``, a folder of somebody else), and a module whose file
has changed since is loaded from its file. Nothing depends on them but time; how much of it is in ``docs/design.md``.

A file is read as a whole, since most names in modules' code are the same: one reading takes a quarter less time than
reading each module's. So there is one for each kind of start: what all need, what linking and memories add, what the
command and WASI do, and what decodes and compiles, which a start that finds its code in the code cache does without.
"""

from __future__ import annotations

import sys
from posix import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder, SourceFileLoader
    from types import CodeType, ModuleType

    #: What is kept of a module, see :data:`vibewasm.bundled.MODULES`.
    Row = tuple[str, bool, str, int, int, int, CodeType]
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
        "vibewasm.binary.decoder",
        "vibewasm.binary.definitions",
        "vibewasm.binary.leb128",
        "vibewasm.binary.sections",
        "vibewasm.binary.validate",
        "vibewasm.compiler",
        "vibewasm.opcodes",
        "vibewasm.runtime.instruction_cache",
    ),
    "bundled_linking": (
        "vibewasm.api.deadline",
        "vibewasm.api.global_",
        "vibewasm.api.linker",
        "vibewasm.api.memory",
        "vibewasm.api.table",
        "vibewasm.calls.callbacks",
        "vibewasm.calls.packed",
        "vibewasm.constant_opcodes",
        "vibewasm.extern_types",
        "vibewasm.instances.b",
        "vibewasm.instances.constants",
        "vibewasm.instances.matching",
        "vibewasm.instances.references",
        "vibewasm.instances.segments",
        "vibewasm.runtime.linear_memory",
        "vibewasm.runtime.reservations",
        "vibewasm.runtime.watcher",
        "vibewasm.traps",
    ),
    "bundled_command": ("vibewasm.api.code_cache", "vibewasm.cache", "vibewasm.cli", "vibewasm.wasi"),
}
#: For those who look at code rather than run it: these modules are large, and a start needs none of them.
_LEFT_OUT = ("vibewasm.disasm", "vibewasm.wat", "vibewasm.cli.disasm", "vibewasm.cli.explore", "vibewasm.bundle")
#: Modules that one file keeps at most: reading it must stay cheaper than what it saves.
_MOST = 100


class _Loaded:
    """A module that was loaded from its own file."""

    __slots__ = ("before", "code", "loader", "name")

    def __init__(self, name: str, loader: SourceFileLoader, code: CodeType, before: int) -> None:
        self.name = name
        self.loader = loader
        self.code = code
        #: How many modules just before it were executed because it imports them.
        self.before = before


_installed = False
#: By module, the rows of the file that it is in, and its place in there.
_kept: dict[str, tuple[tuple[Row, ...], int]] = {}
#: The rows of each file, once it was read.
_files: dict[str, tuple[Row, ...]] = {}
#: In the order in which their execution ended.
_loaded: list[_Loaded] = []


class _Kept(SourceFileLoader):
    """Executes code that is at hand, after that of the modules which it will import."""

    def get_code(self, fullname: str) -> CodeType | None:
        rows, place = _kept[fullname]
        return rows[place][-1]

    def exec_module(self, module: ModuleType) -> None:
        rows, place = _kept[module.__name__]
        row = rows[place]
        for needed in rows[place - row[-2] : place]:
            if needed[0] not in sys.modules:
                _execute(needed)
        exec(row[-1], module.__dict__)


class _Noting(SourceFileLoader):
    """Loads from a file, and notes what was loaded."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        code = self.get_code(name)
        assert code is not None  # it would be None for an extension module
        before = len(_loaded)
        exec(code, module.__dict__)
        _loaded.append(_Loaded(name, self, code, len(_loaded) - before))


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
        kept = _kept.get(name)
        if kept is None and (file := _file_for(name)) not in _files:
            _read(file)
            kept = _kept.get(name)
        if kept is not None:
            row = kept[0][kept[1]]
            if _is_fresh(row):
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


def _is_fresh(row: Row) -> bool:
    """Whether a module's file is the one whose code is kept."""
    try:
        found = stat(row[2])
    except OSError:
        return False
    return found.st_mtime_ns == row[3] and found.st_size == row[4]


def _spec(row: Row) -> ModuleSpec:
    name, is_package, file = row[:3]
    spec = ModuleSpec(name, _Kept(name, file), origin=file, is_package=is_package)
    spec.has_location = True
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(file.rpartition("/")[0])
    return spec


def _execute(row: Row) -> None:
    """Do what importing a module does, without asking who can find it."""
    name = row[0]
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
        if name in sys.modules or not _is_fresh(row):
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
                exec(row[-1], module.__dict__)
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
    spec = _read("bundled").__spec__
    noting = not sys.dont_write_bytecode and spec is not None and spec.cached is not None
    sys.meta_path.insert(sys.meta_path.index(PathFinder), _Finder(noting))
    if noting:
        import atexit

        atexit.register(_keep)


def _read(file: str) -> ModuleType:
    """Know what one of the files has."""
    module: ModuleType = __import__(f"{__package__}.{file}", fromlist=("*",))
    _files[file] = rows = module.MODULES
    for place, row in enumerate(rows):
        _kept[row[0]] = rows, place
    return module


# -- keeping -----------------------------------------------------------------------------------------------------------


def _keep() -> None:
    """Leave what came from files, with what was kept before, for the next start; nothing if that is not allowed."""
    if not _loaded:
        return
    new: dict[str, list[Row]] = {}
    # For each module that was loaded, how many of each file's modules were loaded before it.
    counts: list[dict[str, int]] = []
    for place, loaded in enumerate(_loaded):
        try:
            found = stat(loaded.loader.path)
        except OSError:
            return
        file = _file_for(loaded.name)
        rows = new.setdefault(file, [])
        counts.append({name: len(known) for name, known in new.items()})
        before = len(rows) - counts[place - loaded.before].get(file, 0)
        is_package = loaded.loader.is_package(loaded.name)
        path = loaded.loader.path
        rows.append((loaded.name, is_package, path, found.st_mtime_ns, found.st_size, before, loaded.code))
    _loaded.clear()
    for file, rows in new.items():
        if file not in _files:
            _read(file)
        rows = _still_fresh(_files[file]) + rows
        if len(rows) <= _MOST:
            _write(file, tuple(rows))


def _still_fresh(rows: tuple[Row, ...]) -> list[Row]:
    """The rows of a file without those of modules that have changed."""
    kept: list[Row] = []
    # By place, how many rows before it were left out.
    gone = [0]
    for place, row in enumerate(rows):
        fresh = _is_fresh(row)
        if fresh:
            before = row[-2] - (gone[place] - gone[place - row[-2]])
            kept.append((*row[:-2], before, row[-1]))
        gone.append(gone[place] + (not fresh))
    return kept


def _write(file: str, rows: tuple[Row, ...]) -> None:
    """Make one of the files hold these modules."""
    from importlib.util import MAGIC_NUMBER
    from marshal import dumps
    from os import getpid, replace, unlink

    spec = sys.modules[f"{__package__}.{file}"].__spec__
    assert spec is not None
    source, target = spec.origin, spec.cached
    assert source is not None
    assert target is not None
    new = f"{target}.{getpid()}"
    try:
        found = stat(source)
        # The constant 0 of this program becomes the table: bytecode may hold constants that no source can spell.
        code = compile("MODULES = 0", source, "exec", dont_inherit=True)
        code = code.replace(co_consts=tuple([rows if value == 0 else value for value in code.co_consts]))
        words = (0, int(found.st_mtime), found.st_size)
        header = MAGIC_NUMBER + b"".join([(word & 0xFFFF_FFFF).to_bytes(4, "little") for word in words])
        with open(new, "xb") as output:
            output.write(header + dumps(code))
        replace(new, target)
    except OSError:
        # A full disk, or a folder of somebody else: as with all bytecode, what comes of it is that the next start is
        # as slow as this one.
        try:
            unlink(new)
        except OSError:
            pass
