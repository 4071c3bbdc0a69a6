"""How many locals each function of a module has, where there is a limit: see :mod:`vibewasm.limits`."""

from __future__ import annotations

from ..errors import WasmError
from .leb128 import u32
from .value_types import value_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .module_info import ModuleInfo


def local_counts(info: ModuleInfo) -> Iterator[tuple[int, int]]:
    """The index of each defined function and how many locals it has, parameters included.

    Bodies are checked when they are compiled, so what is malformed here is left for that: locals that come after it do
    not count.
    """
    data = info.data
    for index, (pos, end) in enumerate(info.bodies, info.imported_funcs):
        count = len(info.func_type(index).param_codes)
        try:
            groups, pos = u32(data, pos)
            # Each group takes two bytes at least.
            for _ in range(min(groups, end - pos)):
                number, pos = u32(data, pos)
                _, pos = value_type(data, pos, info.types)
                count += number
        except (IndexError, WasmError):
            pass  # as above
        yield index, count
