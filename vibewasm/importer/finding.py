"""The finder: which file a name leads to, and with which settings files become modules."""

from __future__ import annotations

import os
import sys
from importlib.util import spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from ..api.config import Config
    from ..api.engine import Engine
    from ..wasi import WasiConfig

#: In this order, in each folder.
SUFFIXES = (".wasm", ".wat")


class Finder:
    """A finder of ``sys.meta_path`` for WebAssembly files; :func:`vibewasm.importer.install` puts it there.

    Attributes:
        wasi: what modules that want WASI are given; ``None`` for nothing.
        imports: names of the Python modules that they may import from; ``None`` for any.
    """

    def __init__(self) -> None:
        self.wasi: WasiConfig | None = None
        self.imports: frozenset[str] | None = None
        self._config: Config | None = None
        self._engine: Engine | None = None

    def use(self, config: Config | None) -> None:
        """Have modules that are imported from now on compiled with this configuration; ``None`` for the usual one."""
        if config != self._config:
            self._config = config
            self._engine = None

    @property
    def engine(self) -> Engine:
        """What modules are compiled by."""
        if self._engine is None:
            from ..api.config import Config
            from ..api.engine import Engine

            self._engine = Engine(self._config or Config(compilation="lazy-translation"))
        return self._engine

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The file that a name leads to, as :class:`importlib.abc.MetaPathFinder` says."""
        name = fullname.rpartition(".")[2]
        if not name or os.path.basename(name) != name:
            return None
        for folder in sys.path if path is None else path:
            if not isinstance(folder, str):
                continue
            for suffix in SUFFIXES:
                file = os.path.join(folder or os.getcwd(), name + suffix)
                if os.path.isfile(file):
                    from .loading import Loader

                    return spec_from_file_location(fullname, file, loader=Loader(fullname, os.path.abspath(file)))
        return None

    def invalidate_caches(self) -> None:
        """Nothing is kept of folders."""

    def __repr__(self) -> str:
        return "<vibewasm.importer.Finder>"


#: The one that there is.
FINDER = Finder()
