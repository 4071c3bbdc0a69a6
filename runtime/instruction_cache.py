"""Instruction caches that do not see what was written: code becomes visible to them before it is run.

Needed on AArch64 only; the machine code and the reasons are in :mod:`vibewasm.backends.aarch64.instruction_cache`.
That code itself has to be visible to the instruction cache as well. It lies in a mapping of its own that nothing has
executed from, and the kernel makes a page visible when it is first mapped for execution, at the first fault in it.
"""

from __future__ import annotations

from . import system
from .ffi import PYFUNCTYPE, c_char, c_size_t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: ``f(address written to, address executed from, size)``. It keeps the GIL: it takes less than giving that up.
_Function = PYFUNCTYPE(None, c_size_t, c_size_t, c_size_t)


def _publish_maintenance() -> Callable[[int, int, int], None]:
    from ..backends.aarch64.instruction_cache import maintenance

    code = maintenance()
    writable, executable = system.map_code(system.PAGE_SIZE)
    memoryview((c_char * len(code)).from_address(writable)).cast("B")[:] = code
    return _Function(executable)


_maintain = _publish_maintenance()
_has_core_barrier = system.prepare_core_barrier()


def synchronize(writable: int, executable: int, size: int) -> None:
    """Let instruction fetches from ``executable`` see what was written to ``writable``, in all threads."""
    _maintain(writable, executable, size)
    if _has_core_barrier:
        # This core is synchronised by its own barrier; another one may have fetched ahead what was there before.
        system.core_barrier()
