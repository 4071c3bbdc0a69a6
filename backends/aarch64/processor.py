"""What the runtime has to know of AArch64 and of operating systems on it: :class:`.contract.Processor` says what."""

from __future__ import annotations

#: FPCR enables exceptions by ones.
FLOAT_MODE = 0
#: Bit 25, DN: every NaN that is made is the default one, which is the canonical one.
DETERMINISTIC_FLOAT_MODE = 1 << 25

#: include/uapi/asm-generic/unistd.h.
CALL_NUMBERS = {"membarrier": 283, "rt_sigprocmask": 135}

ELF_MACHINE = 183
#: ``ret``.
RETURN = b"\xc0\x03\x5f\xd6"
DWARF_RETURN = 30
#: With registers as the psABI numbers them, x29 29, x30 30, and the frame counting as made: DW_CFA_def_cfa x29 16,
#: DW_CFA_offset x29 at 2 and x30 at 1.
CFA_AT_ENTRY = bytes((0x0C, 29, 16, 0x80 | 29, 2, 0x80 | 30, 1))
#: Nothing, see above.
CFA_STEPS = b""

#: x0 ... x30, sp, and pc (sys/ucontext.h of both C libraries, arch/arm64/include/uapi/asm/sigcontext.h).
SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linux": ((*range(184, 184 + 31 * 8, 8), 432), 440),
}

#: Two instructions, see :func:`.stubs.lazy_table`.
LAZY_ENTRY_SIZE = 8

#: In the frame of ``enter``, see :mod:`.stubs`.
OUTER_ENTRY = 32
PRESERVED_REGISTERS = 8

__all__ = [
    "CALL_NUMBERS",
    "CFA_AT_ENTRY",
    "CFA_STEPS",
    "DETERMINISTIC_FLOAT_MODE",
    "DWARF_RETURN",
    "ELF_MACHINE",
    "FLOAT_MODE",
    "LAZY_ENTRY_SIZE",
    "OUTER_ENTRY",
    "PRESERVED_REGISTERS",
    "RETURN",
    "SIGNAL_CONTEXTS",
]
