"""``python -m vibewasm.importer MODULE ARGUMENT...`` is ``python -m MODULE ARGUMENT...`` with the finder installed."""

from __future__ import annotations

import sys
from os.path import isfile
from runpy import run_module

from . import install

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m vibewasm.importer MODULE ARGUMENT...")
    install()
    del sys.argv[0]
    if sys.argv[0].endswith((".wasm", ".wat")) and isfile(sys.argv[0]):
        sys.exit(
            f"{sys.argv[0]} is a file, and MODULE is a name, as after `import`: leave the suffix out, and the folder, "
            f"which has to be in sys.path; or run the file: vibewasm run {sys.argv[0]}"
        )
    run_module(sys.argv[0], run_name="__main__", alter_sys=True)
