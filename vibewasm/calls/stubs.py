"""The stubs and adapters of this processor, as machine code: what the backend makes, or what is known already.

All of them are functions of their arguments alone, so a process can begin with those that an earlier one has made, and
then loads nothing of the backend that makes them.
"""

from __future__ import annotations

from ..backends import backend

#: So many are kept of those that the backend makes: there is no end to signatures.
_MOST_MADE = 1024


class KnownStubs:
    """What a backend has in its ``stubs``, see :class:`vibewasm.backends.contract.Stubs`: each made when it is first
    asked for and not known.

    Attributes:
        made: those that the backend has made in this process: code by what was called, such as ``"enter ild:i"``.
        kept: those that an earlier process has made.
        built: those that the wheel carries, ``None`` before they are asked for.
    """

    def __init__(self, processor: str) -> None:
        self._processor = processor
        self.made: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.built: dict[str, bytes] | None = None

    def __getattr__(self, name: str) -> object:
        def stub(*arguments: object) -> bytes:
            # A signal's context has no other form in one process, nor on one operating system.
            key = " ".join([name, *[str(item) for item in arguments if isinstance(item, (int, str))]])
            code = self.made.get(key)
            if code is None:
                code = self.kept.get(key)
            if code is None:
                built = self.built
                if built is None:
                    built = self.built = self._carried()
                code = built.get(key)
            if code is None:
                code = getattr(backend(self._processor).stubs, name)(*arguments)
                if len(self.made) < _MOST_MADE:
                    self.made[key] = code
            return code

        return stub

    def _carried(self) -> dict[str, bytes]:
        try:
            carried: dict[str, bytes] = backend(self._processor).built_stubs.STUBS
        except ModuleNotFoundError:
            # A checkout.
            return {}
        return carried
