"""``import`` of WebAssembly files, where a program asks for it::

    import vibewasm.importer

    vibewasm.importer.install()

    import fib  # fib.wasm, or fib.wat, on sys.path or in a package
    fib.fib(30)

Its attributes are what the module exports. What it imports comes from Python modules of those names, which are
imported first; WASI gives it nothing unless :func:`install` is told what. Python's own modules come first, and so do
folders of that name (namespace packages).

An imported file is trusted as a Python file is: through its imports it can call the functions of any Python module,
unless ``install(imports=...)`` says of which.
"""

from __future__ import annotations

import sys

from .finding import FINDER, Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Never

    from ..api.config import Config
    from ..wasi import WasiConfig

__all__ = ["Finder", "install", "uninstall"]


def install(
    *,
    wasi: WasiConfig | None = None,
    config: Config | None = None,
    imports: Collection[str] | None = None,
    **unknown: Never,
) -> Finder:
    """Let ``import`` find ``.wasm`` and ``.wat`` files from now on. Called again, it changes the settings for what is
    imported afterwards.

    Args:
        wasi: what modules that want WASI are given. Without it they have no arguments, variables and directories, an
            empty standard input, and nobody reads what they write.
        config: the engine's configuration. Without it function bodies are checked by the import and compiled at their
            first call.
        imports: names of the Python modules that WebAssembly modules may import from; ``None`` for any.

    Returns:
        the finder, which is the last of ``sys.meta_path`` at first.

    Raises:
        TypeError: an argument is of another type.
    """
    from ..api.config import Config
    from ..arguments import unknown_keywords, wrong
    from ..wasi import WasiConfig

    if unknown:
        raise unknown_keywords("install", unknown, ("wasi", "config", "imports"))
    if wasi is not None and not isinstance(wasi, WasiConfig):
        raise wrong("install", "wasi", "a WasiConfig", wasi)
    if config is not None and not isinstance(config, Config):
        raise wrong("install", "config", "a Config", config)
    if imports is not None:
        if isinstance(imports, str) or not hasattr(type(imports), "__iter__"):
            raise wrong("install", "imports", "a collection of names", imports, "such as {'env'}")
        for name in (imports := [*imports]):
            if not isinstance(name, str):
                raise wrong("install", "a name of imports", "a str", name)
        imports = frozenset(imports)
    FINDER.wasi, FINDER.imports = wasi, imports
    FINDER.use(config)
    if FINDER not in sys.meta_path:
        from .pickling import register

        register()
        sys.meta_path.append(FINDER)
    return FINDER


def uninstall() -> None:
    """Let ``import`` find no WebAssembly any more. What has been imported stays."""
    if FINDER in sys.meta_path:
        from .pickling import unregister

        sys.meta_path.remove(FINDER)
        unregister()
