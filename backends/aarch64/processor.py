"""What the runtime has to know of the processor and of operating systems on it."""

from __future__ import annotations

#: The floating-point mode of wasm code: round to nearest, subnormals as they are, no trap. FPCR enables exceptions by
#: ones.
FLOAT_MODE = 0

#: Numbers of system calls of Linux (include/uapi/asm-generic/unistd.h).
CALL_NUMBERS = {"membarrier": 283, "rt_sigprocmask": 135}

#: ``e_machine`` of ELF files for this processor.
ELF_MACHINE = 183

#: Where the operating system, by its name in ``sys.platform``, keeps what a signal has interrupted: offsets in
#: ``ucontext_t`` of the general registers, by hardware number, and of the program counter. On Linux: x0 ... x30, sp,
#: and pc (sys/ucontext.h of both C libraries, arch/arm64/include/uapi/asm/sigcontext.h).
SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linux": ((*range(184, 184 + 31 * 8, 8), 432), 440),
}

#: Bytes from one lazy entry to the next, see :func:`.stubs.lazy_table`.
LAZY_ENTRY_SIZE = 8

__all__ = ["CALL_NUMBERS", "ELF_MACHINE", "FLOAT_MODE", "LAZY_ENTRY_SIZE", "SIGNAL_CONTEXTS"]
