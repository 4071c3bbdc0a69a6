"""The code cache: machine code, and what else a start needs, kept on disk for the next. ``docs/cache.md`` explains it.

``folder`` is where files are kept and when one is trusted; ``writing``, ``contents`` and ``problem`` are parts of it
which a start that finds its file does not load.
"""
