"""The peers, and where the shared programs are."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wasmtime

#: The project's root: child processes run there, so that they import this vibewasm.
ROOT = Path(__file__).resolve().parent.parent

#: ``wasmtime_strategy_t`` of wasmtime's C API. Its Python binding does not offer Winch in ``Config.strategy``.
_STRATEGIES = {"cranelift": 1, "winch": 2}


def require_wasmtime() -> None:
    """End the process with a clear message where the peer is not installed."""
    try:
        import wasmtime  # noqa: F401  (only whether it is there)
    except ImportError:
        sys.exit("benchmarks: wasmtime is not installed: pip install 'vibewasm[test]'")


def wasmtime_engine(strategy: str) -> wasmtime.Engine:
    """A new engine that compiles with ``cranelift`` or ``winch``, on one thread."""
    import wasmtime
    from wasmtime._bindings import wasmtime_config_strategy_set

    config = wasmtime.Config()
    config.parallel_compilation = False
    wasmtime_config_strategy_set(config.ptr(), _STRATEGIES[strategy])
    return wasmtime.Engine(config)


def programs() -> Path:
    """The folder of benchmark programs; ends the process with a clear message where it is missing."""
    folder = Path(os.environ.get("VIBEWASM_SHARED") or ROOT.parent / "shared") / "programs"
    if not folder.is_dir():
        sys.exit(f"benchmarks: no {folder}; set VIBEWASM_SHARED to the folder that holds programs/")
    return folder
