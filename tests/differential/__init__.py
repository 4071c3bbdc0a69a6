"""The differential check: random valid modules must do in vibewasm what they do in wasmtime, bit for bit.

`python -m tests.differential --count 50000` is the long run; :mod:`tests.differential.faults` shows that the check
finds what it is for; `docs/testing.md` says how a found case is made again.
"""
