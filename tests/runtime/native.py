"""Functions by hand for the processor that the tests run on."""

from __future__ import annotations

import os

from . import x86_64 as native

if os.uname().machine == "aarch64":
    from . import aarch64 as native  # type: ignore[no-redef]

__all__ = ["native"]
