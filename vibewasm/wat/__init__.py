"""The text format: ``wat2wasm`` reads it, ``wasm2wat`` writes it (specification, "Text Format").

Nothing here is imported before text is met.
"""

from __future__ import annotations

from .reader import wat2wasm
from .writer import wasm2wat

__all__ = ["wasm2wat", "wat2wasm"]
