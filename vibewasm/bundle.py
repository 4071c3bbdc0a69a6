"""A start loads some sixty modules of this package, and finding, opening and locking each of them takes more time than
running most. So the first start leaves the code of what it has loaded in one file, and later ones load it from there.

The file is bytecode, :mod:`vibewasm.bundled`'s, and follows all rules of bytecode: there is none where Python may not
write any (``-B``, ``PYTHONDONTWRITEBYTECODE``, a folder of somebody else), and a module whose file has changed since is
loaded from its file. Nothing depends on it but time.

How much it saves stands in ``docs/performance.md``.
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

    Kept = tuple[bool, str, int, int, tuple[str, ...], bytes]
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

#: For those who look at code rather than run it: their modules are large, and a start needs none of them.
_LEFT_OUT = ("vibewasm.disasm", "vibewasm.wat", "vibewasm.cli.disasm", "vibewasm.cli.explore", "vibewasm.bundle")
#: Bytes of code that are kept at most: reading them must stay cheaper than what it saves.
_MOST = 1 << 20

_installed = False
#: What :mod:`.bundled` says of each module but its name.
_kept: dict[str, Kept] = {}
#: Modules that were loaded from files of their own, the first to end first: name, loader, code, and what ended while it
#: was executed.
_loaded: list[tuple[str, SourceFileLoader, CodeType, tuple[str, ...]]] = []


class _Kept(SourceFileLoader):
    """Executes code that is at hand, after that of the modules which it will import."""

    def get_code(self, fullname: str) -> CodeType | None:
        code: CodeType = loads(_kept[fullname][-1])
        return code

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        for needed in _kept[name][-2]:
            if needed not in sys.modules:
                _execute(needed)
        exec(loads(_kept[name][-1]), module.__dict__)


class _Noting(SourceFileLoader):
    """Loads from a file, and notes what was loaded."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        code = self.get_code(name)
        assert code is not None  # it would be None for an extension module
        before = len(_loaded)
        exec(code, module.__dict__)
        _loaded.append((name, self, code, tuple([loaded[0] for loaded in _loaded[before:]])))


class _Finder:
    """Finds this package's modules before the import system does."""

    def __init__(self, noting: bool) -> None:
        self._noting = noting

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """What the import system asks for each module that is not loaded yet."""
        if not name.startswith("vibewasm."):
            return None
        if _is_fresh(name):
            return _spec(name)
        if not self._noting or name.startswith(_LEFT_OUT):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Noting(name, spec.loader.path)
        return spec


def _is_fresh(name: str) -> bool:
    """Whether a module is kept, and its file is the one whose code that is."""
    entry = _kept.get(name)
    if entry is None:
        return False
    try:
        found = stat(entry[1])
    except OSError:
        return False
    return found.st_mtime_ns == entry[2] and found.st_size == entry[3]


def _spec(name: str) -> ModuleSpec:
    is_package, file = _kept[name][:2]
    spec = ModuleSpec(name, _Kept(name, file), origin=file, is_package=is_package)
    spec.has_location = True
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(file.rpartition("/")[0])
    return spec


def _execute(name: str) -> None:
    """Do what importing a module does, without asking who can find it."""
    parent, _, child = name.rpartition(".")
    if parent not in sys.modules:
        __import__(parent)
    assert _lock_of is not None
    # Another thread that imports it waits here, and so does this one for another.
    with _lock_of(name):
        if name in sys.modules or not _is_fresh(name):
            return
        spec = _spec(name)
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
                exec(loads(_kept[name][-1]), module.__dict__)
            except BaseException:
                sys.modules.pop(name, None)
                raise
        finally:
            spec._initializing = False  # type: ignore[attr-defined]
    setattr(sys.modules[parent], child, module)


def install() -> None:
    """From here on load this package's modules from :mod:`.bundled`, and note which come from their own files."""
    global _installed
    if _installed or _lock_of is None or type(__spec__.loader) is not SourceFileLoader:
        return
    _installed = True
    from . import bundled

    for name, *entry in bundled.MODULES:
        _kept[name] = tuple(entry)  # type: ignore[assignment]
    noting = not sys.dont_write_bytecode and bundled.__spec__.cached is not None
    sys.meta_path.insert(0, _Finder(noting))
    if noting:
        import atexit

        atexit.register(_keep)


def _keep() -> None:
    """Leave what came from files, with what was kept before, for the next start; nothing if that is not allowed."""
    if not _loaded:
        return
    from importlib.util import MAGIC_NUMBER
    from marshal import dumps
    from os import getpid, replace, unlink

    from . import bundled

    for name, loader, code, ended in _loaded:
        try:
            found = stat(loader.path)
        except OSError:
            continue
        _kept[name] = (loader.is_package(name), loader.path, found.st_mtime_ns, found.st_size, ended, dumps(code))
    _loaded.clear()
    size = 0
    modules = []
    for name, entry in _kept.items():
        size += len(entry[-1])
        if size <= _MOST:
            modules.append((name, *entry))
    if len(modules) == len(bundled.MODULES) and tuple(modules) == bundled.MODULES:
        return
    source, target = bundled.__spec__.origin, bundled.__spec__.cached
    assert source is not None
    assert target is not None
    new = f"{target}.{getpid()}"
    try:
        found = stat(source)
        # The constant 0 of this program becomes the table: bytecode may hold constants that no source can spell.
        code = compile("MODULES = 0", source, "exec", dont_inherit=True)
        code = code.replace(co_consts=tuple([tuple(modules) if value == 0 else value for value in code.co_consts]))
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
