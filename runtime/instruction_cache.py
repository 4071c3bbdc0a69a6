"""Instruction caches that do not see what was written: code becomes visible to them before it is run.

Which processors need that, and the machine code that does it, is the backend's knowledge. That code itself has to be
visible to the instruction cache as well. It lies in a mapping of its own that nothing has executed from, and the kernel
makes a page visible when it is first mapped for execution, at the first fault in it.
"""

from __future__ import annotations

from . import code_memory, system
from .ffi import PYFUNCTYPE, c_char, c_size_t

#: ``f(address written to, address executed from, size)``. It keeps the GIL: it takes less than giving that up.
_Function = PYFUNCTYPE(None, c_size_t, c_size_t, c_size_t)


def maintain(code: bytes) -> None:
    """Have all code that is published made visible, by ``code`` and, to other cores, by a system call.

    Raises:
        OSError: executable memory cannot be had.
    """
    writable, executable = system.map_code(system.PAGE_SIZE)
    memoryview((c_char * len(code)).from_address(writable)).cast("B")[:] = code
    visible = _Function(executable)
    has_core_barrier = system.prepare_core_barrier()

    def synchronize(writable: int, executable: int, size: int) -> None:
        visible(writable, executable, size)
        if has_core_barrier:
            # This core is synchronised by its own barrier; another one may have fetched ahead what was there before.
            system.core_barrier()

    code_memory.synchronize[:] = [synchronize]
