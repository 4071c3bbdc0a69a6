"""Functions whose 64-bit parameters come in halves, as programs of Emscripten import them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def in_halves(signature: str, function: Callable[..., int | None]) -> tuple[str, Callable[..., int | None]]:
    """The signature and the function with two i32 for each i64, the low half first.

    JavaScript had no 64-bit numbers, so Emscripten, unless told ``-sWASM_BIGINT``, splits those that cross over.
    """
    params, _, results = signature.partition(":")

    def joined(memory: memoryview, *arguments: int) -> int | None:
        given = iter(arguments)
        whole = [next(given) | (next(given) << 32 if letter == "I" else 0) for letter in params]
        return function(memory, *whole)

    return f"{params.replace('I', 'ii')}:{results}", joined
