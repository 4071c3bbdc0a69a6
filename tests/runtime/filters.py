"""Filters of system calls (seccomp(2)), for tests of what a sandbox refuses: source for a process of its own."""

from __future__ import annotations

#: ``refuse((call, error), (call, error, argument, mask), ...)`` has the kernel refuse system calls from here on; with a
#: mask, only where the argument of this index has one of its bits. Where the system takes no filters "no filters" is
#: printed, and the process ends.
FILTERS = """
import ctypes, errno, os, sys
class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.POINTER(Instruction))]
NUMBERS = {  # asm/unistd_64.h, asm-generic/unistd.h
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "memfd_create": (319, 279), "mprotect": (10, 226),
    "mmap": (9, 222), "mremap": (25, 216), "madvise": (28, 233), "munmap": (11, 215), "msync": (26, 227),
    "membarrier": (324, 283), "openat": (257, 56), "fallocate": (285, 47), "userfaultfd": (323, 282),
    "getrlimit": (97, 163), "prlimit64": (302, 261), "clone": (56, 220), "clone3": (435, 435), "gettid": (186, 178),
    "getrandom": (318, 278), "sigaltstack": (131, 132), "ftruncate": (77, 46),
}
def refuse(*rules):
    lines = []
    for call, error, *where in rules:
        number = NUMBERS[call][os.uname().machine == "aarch64"]
        test = []
        if where:
            # Load the lower half of the argument; go on if it has none of the bits.
            test = [(0x20, 0, 0, 16 + 8 * where[0]), (0x45, 0, 1, where[1])]
        # Load the number; if it is this one, the error; else go on.
        lines += [(0x20, 0, 0, 0), (0x15, 0, 1 + len(test), number), *test, (0x06, 0, 0, 0x00050000 | error)]
    lines += [(0x06, 0, 0, 0x7FFF0000)]
    program = Program(len(lines), (Instruction * len(lines))(*[Instruction(*line) for line in lines]))
    prctl = ctypes.CDLL(None).prctl
    if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(program), 0, 0):
        print("no filters")
        sys.exit()
EXECUTE = 4
"""
