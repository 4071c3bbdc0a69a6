"""Engines: settings, and the epoch that all stores of an engine look at."""

from __future__ import annotations

import os
from _thread import RLock
from weakref import WeakSet

from ...api.config import Config as OurConfig
from ...api.engine import Engine as OurEngine
from .config import Config
from .errors import attempt
from .managed import Managed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .store import Store


class Engine(Managed):
    """What stores, modules and linkers that work together are made with. It takes the ``Config`` over."""

    def __init__(self, config: Config | None = None) -> None:
        if config is None:
            settings, self._has_epochs = OurConfig(), False
            self._off: frozenset[str] = frozenset()
        elif not isinstance(config, Config):
            raise TypeError("expected Config")
        else:
            self._has_epochs = config._epochs
            self._off = config._off
            settings = config._made()
        self._ours: OurEngine = attempt(OurEngine, settings)
        self._epoch = 0
        #: Stores whose deadlines count, if any do.
        self._stores: WeakSet[Store] = WeakSet()
        self._lock = RLock()
        self._lock_owner = os.getpid()

    def _given(self) -> OurEngine:
        self._check_open()
        return self._ours

    def _guard(self) -> RLock:
        """The lock for what follows, which a signal's handler may take as well. A fork may have copied it while another
        thread held it, so a child makes its own.
        """
        if self._lock_owner != os.getpid():
            self._lock = RLock()
            self._lock_owner = os.getpid()
        return self._lock

    def _add(self, store: Store) -> None:
        with self._guard():
            self._stores.add(store)

    def increment_epoch(self) -> None:
        """Let the next epoch begin: code of stores whose deadline that is stops. Any thread may call this."""
        self._check_open()
        with self._guard():
            self._epoch += 1
            stores = [*self._stores]
        for store in stores:
            store._look_at_epoch()

    def is_pulley(self) -> bool:
        """Whether code is interpreted by Pulley, wasmtime's interpreter; it is not."""
        self._check_open()
        return False
