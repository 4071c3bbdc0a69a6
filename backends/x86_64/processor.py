"""What the runtime has to know of x86-64 and of operating systems on it: :class:`.contract.Processor` says what."""

from __future__ import annotations

#: MXCSR masks exceptions by ones.
FLOAT_MODE = 0x1F80
#: There is no mode that makes NaNs canonical.
DETERMINISTIC_FLOAT_MODE = FLOAT_MODE

#: arch/x86/entry/syscalls/syscall_64.tbl.
CALL_NUMBERS = {"membarrier": 324, "rt_sigprocmask": 14}

ELF_MACHINE = 62
#: ``ret``.
RETURN = b"\xc3"
DWARF_RETURN = 16
#: With registers as the psABI numbers them, rbp 6, rsp 7, return address 16: DW_CFA_def_cfa rsp 8, DW_CFA_offset 16 at
#: 1.
CFA_AT_ENTRY = bytes((0x0C, 7, 8, 0x80 | 16, 1))
#: After the 1 byte of ``push rbp`` DW_CFA_def_cfa_offset 16 and DW_CFA_offset
#: rbp at 2, after the 3 bytes of ``mov rbp, rsp`` DW_CFA_def_cfa_register rbp.
CFA_STEPS = bytes((0x41, 0x0E, 16, 0x80 | 6, 2, 0x43, 0x0D, 6))

#: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15, and rip (sys/ucontext.h of both C libraries,
#: arch/x86/include/uapi/asm/sigcontext.h).
SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linux": ((144, 152, 136, 128, 160, 120, 112, 104, 40, 48, 56, 64, 72, 80, 88, 96), 168),
}

#: One instruction, see :func:`.stubs.lazy_table`.
LAZY_ENTRY_SIZE = 5

#: In the frame of ``enter``, see :mod:`.stubs`, whose end is there.
OUTER_ENTRY = 8
PRESERVED_REGISTERS = 3

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
