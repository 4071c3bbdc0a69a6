"""How faults in a function body are reported."""

from __future__ import annotations

from ..types import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class BodyFault(Exception):
    """A fault at a byte of the body that is being compiled; the compiler turns it into a ``ValidationError`` or
    ``DecodeError``.

    Attributes:
        message: what is wrong, beginning with the official suite's words for it.
        malformed: whether the bytes are malformed rather than invalid.
        feature: the proposal that is not built and that the body needs, or ``None``.
    """

    def __init__(self, message: str, malformed: bool = False, feature: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.malformed = malformed
        self.feature = feature


def type_mismatch(instruction: str, expected: Sequence[int], found: Sequence[int | None]) -> BodyFault:
    """The fault of operands of the wrong types; ``None`` stands for a missing operand."""
    want = " ".join(type_name(code) for code in expected)
    have = " ".join("nothing" if code is None else type_name(code) for code in found)
    return BodyFault(f"type mismatch: {instruction} expects [{want}] but the stack has [{have}]")
