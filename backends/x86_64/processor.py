"""What the runtime has to know of the processor and of operating systems on it."""

from __future__ import annotations

#: The floating-point mode of wasm code: round to nearest, subnormals as they are, no trap. MXCSR masks exceptions by
#: ones.
FLOAT_MODE = 0x1F80

#: Numbers of system calls of Linux (arch/x86/entry/syscalls/syscall_64.tbl).
CALL_NUMBERS = {"membarrier": 324, "rt_sigprocmask": 14}

#: ``e_machine`` of ELF files for this processor.
ELF_MACHINE = 62

#: Where the operating system, by its name in ``sys.platform``, keeps what a signal has interrupted: offsets in
#: ``ucontext_t`` of the general registers, by hardware number, and of the program counter. On Linux: rax rcx rdx rbx
#: rsp rbp rsi rdi r8 ... r15, and rip (sys/ucontext.h of both C libraries, arch/x86/include/uapi/asm/sigcontext.h).
SIGNAL_CONTEXTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linux": ((144, 152, 136, 128, 160, 120, 112, 104, 40, 48, 56, 64, 72, 80, 88, 96), 168),
}

#: Bytes from one lazy entry to the next, see :func:`.stubs.lazy_table`.
LAZY_ENTRY_SIZE = 5

__all__ = ["CALL_NUMBERS", "ELF_MACHINE", "FLOAT_MODE", "LAZY_ENTRY_SIZE", "SIGNAL_CONTEXTS"]
