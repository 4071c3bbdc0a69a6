"""What the runtime has to know of the processor and of operating systems on it."""

from __future__ import annotations

#: The floating-point mode of wasm code: round to nearest, subnormals as they are, no trap. FPCR enables exceptions by
#: ones.
FLOAT_MODE = 0

#: Numbers of system calls of Linux (include/uapi/asm-generic/unistd.h).
CALL_NUMBERS = {"membarrier": 283, "rt_sigprocmask": 135}

#: ``e_machine`` of ELF files for this processor.
ELF_MACHINE = 183
#: Code of a function that does nothing: ``ret``.
RETURN = b"\xc0\x03\x5f\xd6"
#: DWARF's number of the return address.
DWARF_RETURN = 30
#: Call frame information at a function's first instruction (DWARF 5, section 6.4.2; registers as the psABI numbers
#: them: x29 29, x30 30), where the frame counts as made: DW_CFA_def_cfa x29 16, DW_CFA_offset x29 at 2 and x30 at 1.
#: Offsets count by -8.
CFA_AT_ENTRY = bytes((0x0C, 29, 16, 0x80 | 29, 2, 0x80 | 30, 1))
#: What the first instructions change: nothing, see above.
CFA_STEPS = b""

#: On Linux: x0 ... x30, sp, and pc (sys/ucontext.h of both C libraries, arch/arm64/include/uapi/asm/sigcontext.h).
SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linux": ((*range(184, 184 + 31 * 8, 8), 432), 440),
}

#: Bytes from one lazy entry to the next, see :func:`.stubs.lazy_table`.
LAZY_ENTRY_SIZE = 8

__all__ = [
    "CALL_NUMBERS",
    "CFA_AT_ENTRY",
    "CFA_STEPS",
    "DWARF_RETURN",
    "ELF_MACHINE",
    "FLOAT_MODE",
    "LAZY_ENTRY_SIZE",
    "RETURN",
    "SIGNAL_CONTEXTS",
]
