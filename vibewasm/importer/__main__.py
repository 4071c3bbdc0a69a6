"""``python -m vibewasm.importer MODULE ARGUMENT...`` is ``python -m MODULE ARGUMENT...`` with the finder installed."""

from __future__ import annotations

import sys
from runpy import run_module

from . import install

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m vibewasm.importer MODULE ARGUMENT...")
    install()
    del sys.argv[0]
    run_module(sys.argv[0], run_name="__main__", alter_sys=True)
