"""What a processor is: one folder each, with the same contract. Backends know registers and bytes only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .contract import BuiltinStubs, Calls, Control, Features, Frames, Stubs, Target

#: The processors that code can be made for, by the names that the operating system has for them.
TARGETS = ("x86_64", "aarch64")


class OutOfReach(Exception):
    """A jump cannot reach its target: the function has to be compiled again with jumps of a longer reach."""


class Backend:
    """The modules of one processor, each loaded when it is first asked for; :mod:`.contract` says what they offer.

    Attributes:
        name: one of :data:`TARGETS`.
    """

    target: Target
    control: Control
    frames: Frames
    calls: Calls
    stubs: Stubs
    builtin_stubs: BuiltinStubs
    features: Features

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> object:
        if name not in Backend.__annotations__:
            raise AttributeError(name)
        module = __import__(f"{__name__}.{self.name}.{name}", fromlist=("*",))
        # Kept, so that this is not called for it again.
        setattr(self, name, module)
        return module


_backends: dict[str, Backend] = {}


def backend(name: str) -> Backend:
    """The backend of a processor, one of :data:`TARGETS`."""
    found = _backends.get(name)
    if found is None:
        found = _backends[name] = Backend(name)
    return found
