"""Other people's names for what this engine does, so that programs written for other engines run on it.

:mod:`vibewasm.compat.wasmtime` has those of wasmtime-py. Nothing here is loaded unless it is asked for.
"""
