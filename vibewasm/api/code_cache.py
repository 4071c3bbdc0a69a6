"""What the code cache does for modules: the decoded module and machine code from an earlier process, and keeping them.

``docs/cache.md`` says what is kept, and why it may be trusted.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from ..cache import code, image
from ..cache.container import CODE, STUBS, pack, unpack
from ..cache.folder import Folder, default_path, is_off
from ..cache.key import content_digest, key
from ..calls.process import HOST, extensions, known_stubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..binary.module_info import ModuleInfo
    from .config import Config
    from .engine import Engine
    from .module import Module

#: Modules with code that is not kept yet are at most so many: of more, the first one's is kept at once.
_MOST_UNSAVED = 16
#: Stubs depend on signatures, which a module can have any number of. Of more than so many, and of long ones, none
#: is kept.
_MOST_STUBS = 512
_LONGEST_STUB = 1 << 15

#: Seconds without a compilation after which a module's code is kept while its program runs.
_QUIET = 1.0

#: By identity. That they stay alive until they are kept is why there are few.
_unsaved: dict[int, Module] = {}
#: The process in which what is left is kept at the end.
_process = 0
#: Folders that stubs were read from, and are to be kept in.
_stub_folders: list[Folder] = []


class KeptModule:
    """What is kept of one module.

    Attributes:
        info: the decoded module, or ``None`` if it was not kept.
        image: the same as bytes, once they were read or made.
        code: its functions' machine code in one stretch.
        functions: of each function that is in it, its number (imports not counted), offset and length in bytes.
        sizes: the length of each function's code in memory, by its number.
        saved: how many of these are kept.
        changed: when a function was compiled last, in seconds of ``time.monotonic``.
    """

    __slots__ = ("cache", "changed", "code", "functions", "image", "info", "key", "saved", "sizes")

    def __init__(self, cache: CodeCache, key: bytes) -> None:
        self.cache = cache
        self.key = key
        self.info: ModuleInfo | None = None
        self.image = b""
        self.code: memoryview = memoryview(b"")
        self.functions: list[tuple[int, int, int]] = []
        self.sizes: dict[int, int] = {}
        self.saved = 0
        self.changed = 0.0

    def compiled(self, module: Module, defined: int, size: int) -> None:
        """Note that a function was compiled, to keep its code when there is time."""
        self.sizes[defined] = size
        self.changed = monotonic()
        if id(module) not in _unsaved:
            _keep_later()
            _unsaved[id(module)] = module
            if len(_unsaved) > _MOST_UNSAVED:
                # Not one that is being compiled in another thread: that may be waiting for this one.
                for other in [*_unsaved.values()]:
                    if other is not module and save(other, wait=False):
                        break


class CodeCache:
    """The code cache as one engine uses it.

    Args:
        engine: whose settings count.
        folder: where files are.
    """

    __slots__ = ("_engine", "_folder")

    def __init__(self, engine: Engine, folder: Folder) -> None:
        self._engine = engine
        self._folder = folder
        _use_stubs(folder)

    def find(self, data: bytes) -> KeptModule:
        """What is kept of the module with these bytes; what is missing in it was not kept, or is damaged."""
        config = self._engine.config
        found = KeptModule(
            self,
            key(
                "code",
                HOST,
                extensions(),
                int(config.checked),
                int(config.fuel),
                int(config.explicit_bounds),
                content_digest(data),
            ),
        )
        file = self._folder.read(found.key.hex())
        if file is None:
            return found
        try:
            facts, packed_info, packed_code = unpack(file, CODE, found.key)
            info = image.unpack(packed_info, data)
            count = len(info.func_type_indices) - info.imported_funcs
            functions = code.unpack_functions(packed_code, packed_info, count)
        except ValueError:
            # It will be written anew.
            return found
        if bytes(facts) != self._facts(info):
            return found
        found.info = info
        found.image = bytes(packed_info)
        found.code = packed_code
        found.functions = functions
        found.sizes = {number: size for number, _, size in functions}
        found.saved = len(functions)
        return found

    def _facts(self, info: ModuleInfo) -> bytes:
        """What code depends on that is not known before the module is decoded: whether it checks bounds."""
        return bytes([bool(info.memories) and self._engine.explicit_bounds])

    def write(self, module: Module, kept: KeptModule) -> None:
        """Keep a module's code."""
        functions = [(number, module._code_of(number, size)) for number, size in sorted(kept.sizes.items())]
        if not kept.image:
            kept.image = image.pack(module.info)
        sections = (self._facts(module.info), kept.image, code.pack_functions(functions, kept.image))
        if self._folder.write(kept.key.hex(), pack(CODE, kept.key, sections)):
            kept.saved = len(functions)


def code_cache(engine: Engine, config: Config) -> CodeCache | None:
    """The code cache that a configuration asks for, unless the environment forbids it."""
    path = None
    if config.cache and not is_off():
        path = config.cache if isinstance(config.cache, str) else default_path()
    return None if path is None else CodeCache(engine, Folder(path))


def save(module: Module, wait: bool = True) -> bool:
    """Keep what was compiled of a module, if it is not kept yet.

    Returns:
        whether that was done; not if another thread compiles it and ``wait`` is false.
    """
    guard = module._guard()
    if not guard.acquire(blocking=wait):
        return False
    try:
        _unsaved.pop(id(module), None)
        kept = module._kept
        if kept is not None and len(kept.sizes) > kept.saved:
            kept.cache.write(module, kept)
    finally:
        guard.release()
    return True


def _save_all() -> None:
    for module in [*_unsaved.values()]:
        save(module)
    if known_stubs.made:
        for folder in _stub_folders:
            _save_stubs(folder)
        known_stubs.made = 0


def _save_quiet() -> None:
    """Keep what was compiled a while ago: not every process has an orderly end."""
    now = monotonic()
    for module in [*_unsaved.values()]:
        kept = module._kept
        if kept is None or now - kept.changed >= _QUIET:
            save(module)


def _keep_later() -> None:
    """See to it that what is compiled in this process will be kept."""
    global _process
    if _process == os.getpid():
        return
    _process = os.getpid()
    if "multiprocessing.util" in sys.modules:
        # A process of a pool that was forked ends without the interpreter's exit functions.
        from multiprocessing.util import Finalize

        Finalize(None, _save_all, exitpriority=0)
    import atexit

    from ..runtime import watcher

    atexit.unregister(_save_all)
    atexit.register(_save_all)
    if _save_quiet not in watcher.once_a_second:
        watcher.once_a_second.append(_save_quiet)


# -- stubs -------------------------------------------------------------------------------------------------------------


def _stub_key() -> bytes:
    return key("stubs", HOST, os.name)


def _use_stubs(folder: Folder) -> None:
    """Begin with the stubs that are kept in a folder, and keep there what comes to them."""
    if any(known.path == folder.path for known in _stub_folders):
        return
    _stub_folders.append(folder)
    made_for = _stub_key()
    file = folder.read(made_for.hex())
    if file is not None:
        try:
            known_stubs.kept = code.unpack_stubs(*unpack(file, STUBS, made_for)) | known_stubs.kept
        except ValueError:
            # What is missing is made, and then it is written anew.
            pass


def _save_stubs(folder: Folder) -> None:
    known = {name: made for name, made in known_stubs.kept.items() if len(made) <= _LONGEST_STUB and len(name) < 200}
    if len(known) <= _MOST_STUBS:
        made_for = _stub_key()
        folder.write(made_for.hex(), pack(STUBS, made_for, code.pack_stubs(known)))
