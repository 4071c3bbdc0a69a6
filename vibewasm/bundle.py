"""A start loads some sixty modules of this package, and finding, opening and locking each of them takes more time than
running most. So the first start leaves the code of what it has loaded in two files, and later ones load it from there.

The files are bytecode, of :mod:`vibewasm.bundled` and :mod:`vibewasm.bundled_compiler`, and follow all rules of
bytecode: there are none where Python may not write any (``-B``, ``PYTHONDONTWRITEBYTECODE``, a folder of somebody
else), and a module whose file has changed since is loaded from its file. Nothing depends on them but time; how much of
it is in ``docs/design.md``.

Modules that were executed one for the other are a group, and read at once: the last of them was asked for, the others
are what it imports, in the order in which their execution ended. Most names in their code are the same, so that one
reading takes a quarter less time than reading each.
"""

from __future__ import annotations

import sys
from marshal import loads
from posix import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
    from types import CodeType, ModuleType

    #: What is kept of a module: as in :mod:`.bundled`.
    Row = tuple[str, bool, str, int, int, int]
    _lock_of: Callable[[str], AbstractContextManager[None]] | None
else:
    # The import system's own names, without the modules that offer them to others.
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import PathFinder, SourceFileLoader

    try:
        # Not public, and the only way to import in the presence of other threads as the import system does.
        from _frozen_importlib import _ModuleLockManager as _lock_of
    except ImportError:
        # A Python that does it in another way loads from files, as ever.
        _lock_of = None

#: Modules that belong into :mod:`.bundled_compiler`, and the last word of those that do not though they begin so.
_COMPILING = (
    "vibewasm.backends.aarch64.",
    "vibewasm.backends.x86_64.",
    "vibewasm.binary.decoder",
    "vibewasm.binary.definitions",
    "vibewasm.compiler",
    "vibewasm.opcodes",
)
_RUNNING = (".processor", ".built_stubs")
#: For those who look at code rather than run it: these modules are large, and a start needs none of them.
_LEFT_OUT = ("vibewasm.disasm", "vibewasm.wat", "vibewasm.cli.disasm", "vibewasm.cli.explore", "vibewasm.bundle")
#: Bytes of code that are kept at most in each file: reading them must stay cheaper than what it saves.
_MOST = 1 << 20


class _Group:
    """Modules whose code is read at once."""

    __slots__ = ("_data", "codes", "rows")

    def __init__(self, rows: tuple[Row, ...], data: bytes) -> None:
        self.rows = rows
        self._data = data
        self.codes: Sequence[CodeType] = ()

    def code(self, place: int) -> CodeType:
        """The code of one of the modules."""
        if not self.codes:
            self.codes = loads(self._data)
        return self.codes[place]


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
#: By module, its group and its place in there.
_kept: dict[str, tuple[_Group, int]] = {}
#: By file, the groups that are in it, once it was read.
_files: dict[str, list[_Group]] = {}
#: In the order in which their execution ended.
_loaded: list[_Loaded] = []


class _Kept(SourceFileLoader):
    """Executes code that is at hand, after that of the modules which it will import."""

    def get_code(self, fullname: str) -> CodeType | None:
        group, place = _kept[fullname]
        return group.code(place)

    def exec_module(self, module: ModuleType) -> None:
        group, place = _kept[module.__name__]
        for needed in range(place - group.rows[place][-1], place):
            if group.rows[needed][0] not in sys.modules:
                _execute(group, needed)
        exec(group.code(place), module.__dict__)


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
    """Finds this package's modules before the import system does."""

    def __init__(self, noting: bool) -> None:
        self._noting = noting

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """What the import system asks for each module that is not loaded yet."""
        if not name.startswith("vibewasm.") or name.startswith(_LEFT_OUT):
            return None
        kept = _kept.get(name)
        if kept is None and "bundled_compiler" not in _files and _file_for(name) == "bundled_compiler":
            _read("bundled_compiler")
            kept = _kept.get(name)
        if kept is not None:
            row = kept[0].rows[kept[1]]
            if _is_fresh(row):
                return _spec(row)
        if not self._noting:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Noting(name, spec.loader.path)
        return spec


def _file_for(name: str) -> str:
    """Which file a module belongs to, with those that it imports."""
    return "bundled_compiler" if name.startswith(_COMPILING) and not name.endswith(_RUNNING) else "bundled"


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


def _execute(group: _Group, place: int) -> None:
    """Do what importing a module does, without asking who can find it."""
    row = group.rows[place]
    name = row[0]
    parent, _, child = name.rpartition(".")
    if parent not in sys.modules:
        __import__(parent)
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
                exec(group.code(place), module.__dict__)
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
    spec = _read("bundled").__spec__
    noting = not sys.dont_write_bytecode and spec is not None and spec.cached is not None
    sys.meta_path.insert(0, _Finder(noting))
    if noting:
        import atexit

        atexit.register(_keep)


def _read(file: str) -> ModuleType:
    """Know what one of the two files has."""
    module: ModuleType = __import__(f"{__package__}.{file}", fromlist=("*",))
    _files[file] = groups = [_Group(*group) for group in module.GROUPS]
    for group in groups:
        for place, row in enumerate(group.rows):
            _kept[row[0]] = group, place
    return module


# -- keeping -----------------------------------------------------------------------------------------------------------


def _keep() -> None:
    """Leave what came from files, with what was kept before, for the next start; nothing if that is not allowed."""
    if not _loaded:
        return
    from marshal import dumps

    new: dict[str, list[tuple[tuple[Row, ...], bytes]]] = {}
    end = len(_loaded)
    while end:
        start = end - 1 - _loaded[end - 1].before
        rows = []
        for place in range(start, end):
            loaded = _loaded[place]
            try:
                found = stat(loaded.loader.path)
            except OSError:
                return
            is_package = loaded.loader.is_package(loaded.name)
            before = min(loaded.before, place - start)
            rows.append((loaded.name, is_package, loaded.loader.path, found.st_mtime_ns, found.st_size, before))
        data = dumps(tuple([loaded.code for loaded in _loaded[start:end]]))
        new.setdefault(_file_for(rows[-1][0]), []).insert(0, (tuple(rows), data))
        end = start
    _loaded.clear()
    for file, groups in new.items():
        if file not in _files:
            _read(file)
        # A group with a file that has changed is of no use any more.
        old = [(group.rows, group._data) for group in _files[file] if all(map(_is_fresh, group.rows))]
        table = []
        size = 0
        for group in old + groups:
            size += len(group[1])
            if size <= _MOST:
                table.append(group)
        if len(table) > len(old):
            _write(file, tuple(table))


def _write(file: str, groups: tuple[tuple[tuple[Row, ...], bytes], ...]) -> None:
    """Make one of the two files hold these groups."""
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
        code = compile("GROUPS = 0", source, "exec", dont_inherit=True)
        code = code.replace(co_consts=tuple([groups if value == 0 else value for value in code.co_consts]))
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
