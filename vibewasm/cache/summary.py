"""What single files of the cache hold, for people who look into it. That does not count as use."""

from __future__ import annotations

from . import image
from .code import unpack_functions, unpack_stubs
from .container import CODE, STUBS, Damaged, unpack
from .folder import Folder

#: Where an image's header has what is shown, in 32-bit words.
_MODULE_SIZE = 1
_BODIES = image.HEADER // 4 - len(image.COUNTS) + [*image.COUNTS].index("bodies")


class Summary:
    """What one file holds: ``functions`` of the ``defined`` ones of a module with ``module_size`` bytes, or ``stubs``.

    All are ``None`` where the file is not used: it is damaged, or not to be trusted.
    """

    __slots__ = ("defined", "functions", "module_size", "stubs")

    def __init__(self) -> None:
        self.functions: int | None = None
        self.defined: int | None = None
        self.module_size: int | None = None
        self.stubs: int | None = None


def summary(place: Folder, name: str) -> Summary:
    """What the file holds that was written under a name."""
    found = Summary()
    data = place.read(name, noted=False)
    if data is None:
        return found
    try:
        key = bytes.fromhex(name)
        if int.from_bytes(data[8:12], "little") == STUBS:
            names, packed = unpack(data, STUBS, key)
            found.stubs = len(unpack_stubs(names, packed))
            return found
        _, packed_info, packed = unpack(data, CODE, key)
        header = packed_info[: image.HEADER].cast("I")
        if len(header) * 4 != image.HEADER or header[0] != image.MAGIC:
            raise Damaged("there is no image of a module in it")
        count = len(unpack_functions(packed, packed_info, header[_BODIES]))
        found.functions, found.defined, found.module_size = count, header[_BODIES], header[_MODULE_SIZE]
    except (ValueError, TypeError):
        # Damaged, or an image that does not end at a word, which cast refuses.
        return found
    return found
