"""Runs modules in a process of their own, which is locked down before it looks at them: :func:`run`.

Nothing of this is loaded unless it is imported: ``import vibewasm.sandbox``. docs/isolation.md describes it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import SandboxCrash, SandboxError, SandboxLimit, SandboxWarning
    from .outcome import Outcome, Resources
    from .running import run

__all__ = [
    "Outcome",
    "Resources",
    "SandboxCrash",
    "SandboxError",
    "SandboxLimit",
    "SandboxWarning",
    "run",
]

#: Where each name comes from. The process of a run needs none of them.
_HOMES = {
    "Outcome": "outcome",
    "Resources": "outcome",
    "SandboxCrash": "errors",
    "SandboxError": "errors",
    "SandboxLimit": "errors",
    "SandboxWarning": "errors",
    "run": "running",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(__import__(f"{__name__}.{home}", fromlist=(name,)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
