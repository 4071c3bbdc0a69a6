"""What becomes of a coroutine that a Python function returns to wasm code. Loaded where the first one is met."""

from __future__ import annotations

from .area import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_coroutine(result: object) -> bool:
    """Whether this is a coroutine. Futures and tasks are none: they run whether or not somebody waits for them."""
    cls = type(result)
    return hasattr(cls, "__await__") and hasattr(cls, "send") and hasattr(cls, "close")


def awaited(coroutine: Any, label: str) -> Any:
    """What a coroutine returns, which the event loop runs that waits for the call of this thread.

    Args:
        label: what messages call the function that has made the coroutine.

    Raises:
        TypeError: no event loop waits for the call, or the coroutine returned another one; it is closed then.
        what the coroutine raises.
    """
    wait = current.wait
    if wait is None:
        coroutine.close()
        raise TypeError(
            f"{label}: the Python function for it returned a coroutine, and a call that is not awaited cannot wait for "
            "it: call the wasm function with await function.run_async(...)"
        ) from None
    result = wait(coroutine, label)
    if is_coroutine(result):
        result.close()
        raise TypeError(
            f"{label}: the coroutine for it returned another coroutine: an await is missing in it"
        ) from None
    return result
