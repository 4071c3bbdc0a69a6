"""What a processor is: one folder each, with the same contract. Backends know registers and bytes only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from .contract import Calls, Control, Exceptions, Frames, Processor, Stubs, TailCalls, Target

#: The processors that code can be made for, by the names that the operating system has for them.
TARGETS = ("x86_64", "aarch64")


class OutOfReach(Exception):
    """A jump cannot reach its target: the function has to be compiled again with jumps of a longer reach."""


class Backend:
    """The parts of one processor, each loaded when it is first asked for; :mod:`.contract` says what they offer.

    Attributes:
        name: one of :data:`TARGETS`.
        ask: asks the processor for its extensions, which come as bits, see :meth:`.contract.Stubs.extensions`; set by
            the engine where this is the processor of this process.
    """

    target: Target
    control: Control
    frames: Frames
    calls: Calls
    tail_calls: TailCalls
    exceptions: Exceptions
    stubs: Stubs
    processor: Processor
    #: What tools/built_stubs.py writes, in a wheel.
    built_stubs: ModuleType

    def __init__(self, name: str) -> None:
        self.name = name
        self.ask: Callable[[], int] | None = None

    def __getattr__(self, name: str) -> object:
        if name not in Backend.__annotations__:
            raise AttributeError(name)
        part = __import__(f"{__name__}.{self.name}.{name}", fromlist=("*",))
        if name == "target":
            # An object, as it has a state, and shares most of its code with that of other processors.
            part = part.TARGET
        # Kept, so that this is not called for it again.
        setattr(self, name, part)
        return part


_backends: dict[str, Backend] = {}


def backend(name: str) -> Backend:
    """The backend of a processor, one of :data:`TARGETS`."""
    found = _backends.get(name)
    if found is None:
        # setdefault is atomic, so that two threads get the same one; so it is wherever something is interned.
        found = _backends.setdefault(name, Backend(name))
    return found
