"""Which processor extensions beyond Armv8.0-A the emitted code may use: none, so the processor is never asked."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: As in the other backends; nothing calls it.
run_code: Callable[[bytes], int] | None = None
