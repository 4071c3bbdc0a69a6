"""Runs pieces of AArch64 code and says what they left in the registers, on this processor or an emulated one.

``python -m tests.backends.aarch64.executed`` reads pickled cases and writes what :func:`run` returns for them. It needs
nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import subprocess
import sys
from struct import Struct

#: A function, and for each call of it the registers before, and what the frame has at which offsets.
Case = tuple[bytes, list[tuple[bytes, list[tuple[int, bytes]]]]]

#: The registers x0 to x31 and v0 to v31, as the function finds them where its parameter leads, and leaves them.
STATE = Struct("<32Q64Q")
#: Bytes of the frame, which follows them.
FRAME_SIZE = 80_000


def run(cases: list[Case]) -> list[list[bytes]]:
    """Call each function with each state, and return the states after it."""
    starts = [0]
    for code, _ in cases:
        starts.append(starts[-1] + len(code) + 15 & ~15)
    text = mmap.mmap(-1, starts[-1] or 1)
    for start, (code, _) in zip(starts, cases, strict=False):
        text[start : start + len(code)] = code
    base = ctypes.addressof(ctypes.c_char.from_buffer(text))
    # Fetches see what was written before the memory became executable.
    libc = ctypes.CDLL(None, use_errno=True)
    size = starts[-1] + mmap.PAGESIZE - 1 & -mmap.PAGESIZE
    if libc.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "mprotect")
    state = ctypes.create_string_buffer(STATE.size + FRAME_SIZE + 16)
    # The frame is aligned as the compiler's is.
    at = -ctypes.addressof(state) % 16
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    found = []
    for start, (_, calls) in zip(starts, cases, strict=False):
        function = prototype(base + start)
        left = []
        for before, frame in calls:
            ctypes.memmove(ctypes.addressof(state) + at, before, STATE.size)
            for offset, value in frame:
                ctypes.memmove(ctypes.addressof(state) + at + STATE.size + offset, value, len(value))
            function(ctypes.addressof(state) + at)
            left.append(state.raw[at : at + STATE.size])
        found.append(left)
    return found


def run_anywhere(cases: list[Case]) -> list[list[bytes]]:
    """The same, in the emulator where this is another processor."""
    if os.uname().machine == "aarch64":
        return run(cases)
    from tests.spec.suite import PROJECT_ROOT
    from tools import arm64

    line, environment = arm64.command(["-m", __name__])
    done = subprocess.run(
        line,
        env=environment,
        cwd=PROJECT_ROOT,
        input=pickle.dumps(cases),
        capture_output=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[list[bytes]] = pickle.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(run(pickle.load(sys.stdin.buffer))))
