"""Modules that were pickled, in the process that they came to.

A pickled module is its bytes and its settings. Processes of a pool get the same one with each task, so the last few are
kept, and compiled once.
"""

from __future__ import annotations

from .engine import Engine
from .module import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Config

#: The engines of unpickled modules, by their settings: a process has one of each.
_engines: dict[Config, Engine] = {}
#: The modules that were unpickled last, by bytes and settings, the latest at the end.
_last: dict[tuple[bytes, Config], Module] = {}
_MOST_KEPT = 4


def unpickled(data: bytes, config: Config) -> Module:
    """The module that was pickled, which belongs to this process's engine for unpickled modules of these settings.

    Raises:
        DecodeError, ValidationError: as making a module does.
    """
    engine = _engine_of(config)
    # Whoever pickles can pickle anything, so that Python's own hash, of bytes that it keeps, will do.
    found = _last.pop((data, config), None)
    if found is None:
        found = Module(engine, data)
    _last[data, config] = found
    for oldest in [*_last][:-_MOST_KEPT]:
        _last.pop(oldest, None)
    return found


def unpickled_as(kind: type[Module], data: bytes, config: Config) -> Module:
    """The module of a subclass that was pickled, before what the subclass has added is set again.

    Raises:
        DecodeError, ValidationError: as making a module does.
    """
    module = kind.__new__(kind)
    Module.__init__(module, _engine_of(config), data)
    return module


def _engine_of(config: Config) -> Engine:
    return _engines.get(config) or _engines.setdefault(config, Engine(config))
