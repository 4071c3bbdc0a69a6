"""What the code cache does for modules: the decoded module and machine code from an earlier process, and keeping them.

``docs/cache.md`` says what is kept, and why it may be trusted.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from ..cache import code, image
from ..cache.container import CODE, Damaged, pack, unpack
from ..cache.folder import Folder, default_path, is_off
from ..cache.key import content_digest, key, source_digest
from ..calls.process import HOST, extensions
from .config import code_settings
from .kept_stubs import save_stubs, use_stubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..binary.module_info import ModuleInfo
    from .engine import Engine
    from .module import Module

#: Modules with code that is not kept yet are at most so many: of more, the first one's is kept at once.
_MOST_UNSAVED = 16
#: Seconds without a compilation after which a module's code is kept while its program runs.
_QUIET = 1.0

#: By identity. That they stay alive until they are kept is why there are few.
_unsaved: dict[int, Module] = {}
#: The process in which what is left is kept at the end.
_process = 0


class KeptModule:
    """What is kept of one module.

    Attributes:
        cache: where it is kept.
        key: of its file, 32 bytes.
        info: the decoded module, or ``None`` if it was not kept.
        image: the same as bytes, once they were read or made.
        code: its functions' machine code in one stretch.
        functions: of each function that is in it, its number (imports not counted), offset and length in bytes.
        sizes: the length of each function's code in memory, by its number.
        saved: how many of ``sizes`` are kept.
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

    def forget_code(self) -> None:
        """Have the module's functions compiled, as if none of their code were kept."""
        self.functions = []
        self.sizes = {}
        self.saved = 0

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
        use_stubs(folder)

    def find(self, data: bytes) -> KeptModule | None:
        """What is kept of the module with these bytes; what is missing in it was not kept, or is damaged. ``None``:
        the module is too long to be kept.
        """
        if len(data) >= image.TOO_LONG:
            return None
        settings = code_settings(self._engine.config).values()
        found = KeptModule(self, key("code", HOST, extensions(), *settings, content_digest(data)))
        sections = self._read(found.key)
        if sections is None:
            return found
        facts, packed_info, packed_code = sections
        try:
            info = image.unpack(packed_info, data, self._engine._features)
            functions = code.unpack_functions(packed_code, packed_info, info.defined_funcs)
        except (Damaged, MemoryError):
            # It will be written anew, if that is possible.
            return found
        # Without functions, no label says that the image is the one that was written.
        if not functions or facts != self._facts(info):
            return found
        found.info = info
        found.image = bytes(packed_info)
        found.code = packed_code
        found.functions = functions
        found.sizes = {number: size for number, _, size in functions}
        found.saved = len(functions)
        return found

    def _read(self, made_for: bytes) -> list[memoryview] | None:
        """The sections of a file; ``None`` if it is not there, or damaged."""
        file = self._folder.read(made_for.hex())
        try:
            return None if file is None else unpack(file, CODE, made_for)
        except Damaged:
            return None

    def _facts(self, info: ModuleInfo) -> bytes:
        """What code depends on that is not known before the module is decoded: whether it checks bounds."""
        return bytes([self._engine.checks_bounds(info)])

    def write(self, module: Module, kept: KeptModule) -> None:
        """Keep a module's code, with what other processes have kept of it meanwhile.

        Raises:
            MemoryError: there is not enough for that.
        """
        if not kept.image:
            kept.image = image.pack(module.info)
        others = self._kept_by_others(module.info, kept)
        if not kept.sizes.keys() <= others.keys():
            # One after the other, so that no second copy of all of the code is made.
            functions = (
                (number, others[number] if number in others else module._code_of(number, kept.sizes[number]))
                for number in sorted({*others, *kept.sizes})
            )
            packed = code.pack_functions(functions, kept.image)
            parts = pack(CODE, kept.key, (self._facts(module.info), kept.image, packed))
            if not self._folder.write(kept.key.hex(), parts):
                return
        kept.saved = len(kept.sizes)

    def _kept_by_others(self, info: ModuleInfo, kept: KeptModule) -> dict[int, memoryview]:
        """Code by number, of a file of the same module and in the same form as one's own would be."""
        sections = self._read(kept.key)
        if sections is None or sections[0] != self._facts(info) or sections[1] != kept.image:
            return {}
        packed = sections[2]
        try:
            functions = code.unpack_functions(packed, kept.image, info.defined_funcs)
        except Damaged:
            return {}
        return {number: packed[at : at + size] for number, at, size in functions}


def code_cache(engine: Engine) -> CodeCache | None:
    """The code cache that an engine's configuration asks for, unless the environment forbids it, or it is not known
    which version of this package could use what is in it.
    """
    path = None
    cache = engine.config.cache
    if cache and not is_off():
        path = cache if isinstance(cache, str) else default_path()
    if path is None:
        return None
    try:
        source_digest()
    except OSError:
        return None  # `vibewasm cache` says why
    return CodeCache(engine, Folder(path))


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
            try:
                kept.cache.write(module, kept)
            except MemoryError:
                pass  # it is kept if more is compiled of it when there is more memory
    finally:
        guard.release()
    return True


def _save_all() -> None:
    for module in [*_unsaved.values()]:
        save(module)
    save_stubs()


def _save_quiet() -> bool:
    """Keep what was compiled a while ago: not every process has an orderly end. Gives whether there is more, which was
    compiled since.
    """
    now = monotonic()
    for module in [*_unsaved.values()]:
        kept = module._kept
        if kept is None or now - kept.changed >= _QUIET:
            save(module)
    return bool(_unsaved)


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
