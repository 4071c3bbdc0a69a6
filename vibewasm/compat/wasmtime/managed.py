"""What objects of wasmtime-py have in common: most can be closed, since there each holds an object of C. Here they hold
one of our own API.
"""

from __future__ import annotations

from typing import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import GenericAlias
    from typing import NoReturn, Self

Ours = TypeVar("Ours")


class Wrapper(Generic[Ours]):
    """What stands for an object of our own API, which is its attribute ``_ours``."""

    _ours: Ours

    @classmethod
    def _of(cls, ours: Ours) -> Self:
        """One for an object that there is; the constructor makes new ones."""
        self = cls.__new__(cls)
        self._ours = ours
        return self


class Managed:
    """An object that can be closed, by :meth:`close` or at the end of a ``with`` block; using it then raises
    ``ValueError``.
    """

    _closed = False

    if not TYPE_CHECKING:
        # ``Managed[T]`` is what wasmtime-py's own classes derive from.
        def __class_getitem__(cls, item: object) -> GenericAlias:
            from types import GenericAlias

            return GenericAlias(cls, item)

    def close(self) -> None:
        """Close it, for good. Closing again does nothing."""
        if not self._closed:
            self._closed = True
            self._delete()

    def _delete(self) -> None:
        """Give up what it holds."""

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("already closed")

    def _consume(self) -> None:
        """Give what it holds to another object: from here on it counts as closed."""
        self._check_open()
        self._closed = True

    def ptr(self) -> NoReturn:
        """In wasmtime-py, the pointer to an object of its C library. There is none here.

        Raises:
            ValueError: it is closed.
            WasmtimeError: it is not.
        """
        self._check_open()
        from .errors import WasmtimeError

        raise WasmtimeError(
            "vibewasm has no C library, so there is no pointer to an object of it: use what the object's class has"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
