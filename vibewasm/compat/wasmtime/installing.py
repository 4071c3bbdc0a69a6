"""Making ``import wasmtime`` find this package."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_NAME = "wasmtime"
_OURS = __name__.rpartition(".")[0]
#: Parts of wasmtime-py that are public, or were, and are not here.
_OTHER_PARTS = ("bindgen", "component", "loader")


class _Refuser:
    """A finder of modules that says of wasmtime-py's inner modules, and of its components, that they are not here."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ``ImportError`` for what only wasmtime-py itself has."""
        package, _, name = fullname.rpartition(".")
        inner = name in _OTHER_PARTS or (name.startswith("_") and not name.startswith("__"))
        if package.partition(".")[0] == _NAME or (package == _OURS and inner):
            shown = fullname.removeprefix(_OURS.removesuffix(_NAME))
            raise ImportError(
                f"there is no {shown} here: vibewasm stands in for wasmtime, and has the public names of the package "
                "itself only (docs/wasmtime.md)",
                name=fullname,
            )
        return None


def install() -> None:
    """Let ``import wasmtime`` give this package from now on.

    Raises:
        ImportError: wasmtime itself has been imported already.
    """
    ours = sys.modules[_OURS]
    there = sys.modules.get(_NAME)
    if there is ours:
        return
    if there is not None:
        raise ImportError("wasmtime has been imported already: call install() before anything imports it", name=_NAME)
    sys.modules[_NAME] = ours
    sys.meta_path.insert(0, _Refuser)
