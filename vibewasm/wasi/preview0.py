"""How ``wasi_unstable`` differs from ``wasi_snapshot_preview1``. What is not named here is the same in both.

https://github.com/WebAssembly/WASI/blob/main/legacy/preview0/witx/typenames.witx
"""

from __future__ import annotations

import os

from . import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What a function is called with for a program of preview 0: keyword arguments, whose defaults are those of preview 1.
DIFFERENCES: dict[str, dict[str, Any]] = {
    "fd_fdstat_get": {"known": abi.PREVIEW0_RIGHTS},
    "fd_filestat_get": {"layout": abi.PREVIEW0_FILESTAT},
    "fd_seek": {"origins": (os.SEEK_CUR, os.SEEK_END, os.SEEK_SET)},
    "path_filestat_get": {"layout": abi.PREVIEW0_FILESTAT},
    "path_open": {"known": abi.PREVIEW0_RIGHTS},
    "poll_oneoff": {"layout": abi.PREVIEW0_SUBSCRIPTION_CLOCK},
}

#: Functions that came later.
MISSING = ("sock_accept",)
