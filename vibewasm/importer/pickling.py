"""Functions of imported modules are pickled by name, as those of Python modules are.

A worker process that unpickles one imports the file there.
"""

from __future__ import annotations

import copyreg
import sys
from importlib import import_module

from ..api.func import Func
from ..arguments import uncopyable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def register() -> None:
    """Have :mod:`pickle` ask here."""
    copyreg.pickle(Func, _reduced)  # type: ignore[arg-type]  # it may raise


def unregister() -> None:
    """Have :mod:`pickle` refuse functions again."""
    copyreg.dispatch_table.pop(Func, None)


def _reduced(function: Func) -> tuple[Callable[[str, str], object], tuple[str, str]]:
    from .loading import WasmModule

    instance = function._instance
    for module_name, module in list(sys.modules.items()):
        if isinstance(module, WasmModule) and instance is not None and module.__dict__.get("__instance__") is instance:
            for name in module.__dict__["__all_exports__"]:
                if module.__dict__.get(name) is function:
                    return _named, (module_name, name)
    raise uncopyable(function)


def _named(module: str, name: str) -> object:
    """The function of that name, in a process that may not have imported its module yet."""
    from . import install
    from .finding import FINDER

    if FINDER not in sys.meta_path:
        install()
    return getattr(import_module(module), name)
