"""Worker processes of :mod:`multiprocessing` that begin anew: they import the program, so they have to be told, too."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_SPAWN = "multiprocessing.spawn"


class _Installed:
    """What installs this package where it is unpickled: the first thing that a worker process does."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        from .installing import install

        return install, ()


class _Finder:
    """A finder for one module, of which a program may never make use, and which would cost its start something."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module as others find it, with :func:`_tell` called when it has been executed."""
        if fullname != _SPAWN:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(_Finder)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _tell(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this loader only
        return spec


def install_in_children() -> None:
    """Have worker processes that this one starts from now on install this package before they import the program."""
    if _SPAWN in sys.modules:
        _tell(sys.modules[_SPAWN])
    else:
        sys.meta_path.insert(0, _Finder)


def _tell(spawn: Any) -> None:
    prepare: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepare(name)
        if name == "ignore":
            # For the server of forks, which unpickles nothing: it must not import the program for its workers.
            for main in ("init_main_from_name", "init_main_from_path"):
                data.pop(main, None)
        # Whoever gets it looks at the keys that it knows.
        data[__name__] = _Installed()
        return data

    spawn.get_preparation_data = get_preparation_data
