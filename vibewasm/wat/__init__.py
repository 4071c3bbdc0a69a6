"""The text format: ``wat2wasm`` reads it, ``wasm2wat`` writes it (specification, "Text Format").

Nothing here is imported before text is met.
"""

from __future__ import annotations

from .reader import wat2wasm

__all__ = ["wat2wasm"]
