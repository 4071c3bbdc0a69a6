"""Forks while another thread loads modules of this package. Loaded only when that happens.

A child is a copy of one thread. What another thread was importing stays half imported there, and its lock stays locked
by a thread that does not exist, so that the next import of it waits for ever. CPython leaves that to whoever forks. So
a fork waits a while for threads that load modules of this package, which takes them some milliseconds each; and what
is half loaded in a child all the same is forgotten there, and loaded anew when it is needed.
"""

from __future__ import annotations

import sys
from _frozen_importlib import _module_locks  # type: ignore[attr-defined]
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: How many milliseconds a fork waits. It takes longer only if whoever loads waits for whoever forks.
_PATIENCE = 2000


def _is_ours(name: object) -> bool:
    return isinstance(name, str) and (name == __package__ or name.startswith(f"{__package__}."))


def _held_by_others() -> Iterator[tuple[str, int]]:
    """Modules that other threads import, and the threads."""
    me = get_ident()
    for name, reference in [*_module_locks.items()]:
        owner = getattr(reference(), "owner", None)
        if owner is not None and owner != me:
            yield name, owner


def _is_in_ours(frame: Any) -> bool:
    """Whether a thread has come to where it is through this package."""
    while frame is not None:
        if _is_ours(frame.f_globals.get("__name__")):
            return True
        frame = frame.f_back
    return False


def _others_import() -> bool:
    """Whether another thread imports a module of this package, or another module for this package."""
    held = [*_held_by_others()]
    if not held:
        return False
    if any(_is_ours(name) for name, _ in held):
        return True
    frames = sys._current_frames()
    return any(_is_in_ours(frames.get(owner)) for _, owner in held)


def wait_for_imports() -> None:
    """Before a fork: wait until no other thread loads modules for this package, for two seconds at most."""
    pause = allocate_lock()
    pause.acquire()
    for _ in range(_PATIENCE):
        if not _others_import():
            return
        pause.acquire(timeout=0.001)


def drop_half_loaded() -> None:
    """In a forked child: forget what another thread was loading in the moment of the fork."""
    me = get_ident()
    for name in [name for name in [*sys.modules] if _is_ours(name)]:
        spec = getattr(sys.modules[name], "__spec__", None)
        reference = _module_locks.get(name)
        owner = getattr(reference(), "owner", None) if reference is not None else None
        if getattr(spec, "_initializing", False) and owner != me:
            del sys.modules[name]
    for name in [name for name in [*_module_locks] if _is_ours(name)]:
        reference = _module_locks.get(name)
        if reference is not None and getattr(reference(), "owner", None) != me:
            # Whoever is next to import it makes a new lock.
            _module_locks.pop(name, None)
    bundle = sys.modules.get(f"{__package__}.bundle")
    if bundle is not None:
        bundle.stop_noting()
