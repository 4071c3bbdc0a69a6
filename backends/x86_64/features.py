"""Which processor extensions beyond x86-64-v2 the emitted code may use.

``BMI1`` (``tzcnt``, which is defined for 0), ``BMI2`` (``shlx``, ``shrx``, ``sarx`` and ``rorx``: shifts whose count is
in any register) and ``LZCNT`` (``lzcnt``, which is defined for 0). Rules read them as attributes of this module when
they are applied. The processor is asked at the first of these reads, since most small modules have no instruction that
could use them; tests, and those who compile for another machine, set them before with
:meth:`vibewasm.backends.x86_64.target.Target.configure`.
"""

from __future__ import annotations

from .. import backend

_NAMES = ("BMI1", "BMI2", "LZCNT")


def __getattr__(name: str) -> bool:
    """Ask the processor for its extensions, at the first read of one."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Where this is not the processor of this process, code is made for any x86-64-v2 processor.
    ask = backend("x86_64").ask
    found = ask() if ask is not None else 0
    configure(bool(found & 1), bool(found & 2), bool(found & 4))
    return bool(globals()[name])


def configure(bmi1: bool, bmi2: bool, lzcnt: bool) -> None:
    """Say which extensions the processor has.

    Choices that were memoised for others have to be forgotten too, see
    :meth:`vibewasm.backends.x86_64.target.Target.configure`.
    """
    globals().update(BMI1=bmi1, BMI2=bmi2, LZCNT=lzcnt)


def cpuid_code() -> bytes:
    """Machine code of ``u64 f(void)``: bit 0 BMI1, bit 1 BMI2, bit 2 LZCNT.

    ``cpuid`` leaf 7 gives BMI1 in ebx bit 3 and BMI2 in ebx bit 8, leaf 0x80000001 gives LZCNT in ecx bit 5 (Intel SDM
    volume 2, CPUID). AVX state is not needed: these extensions use general registers only, and VEX encoding works
    wherever the processor reports them.
    """
    from . import asm
    from .regs import RAX, RBX, RCX, RDX

    return b"".join(
        (
            asm.push_r(RBX),
            asm.mov_ri(RAX, 7),
            asm.zero(RCX),
            asm.cpuid(),
            asm.push_r(RBX),
            asm.mov_ri(RAX, 0x8000_0001),
            asm.cpuid(),
            asm.pop_r(RDX),
            asm.mov_rr(0, RAX, RDX),
            asm.shift_ri(asm.SHR, 0, RAX, 3),
            asm.alu_ri(asm.AND, 0, RAX, 1),
            asm.shift_ri(asm.SHR, 0, RDX, 7),
            asm.alu_ri(asm.AND, 0, RDX, 2),
            asm.alu_rr(asm.OR, 0, RAX, RDX),
            asm.shift_ri(asm.SHR, 0, RCX, 3),
            asm.alu_ri(asm.AND, 0, RCX, 4),
            asm.alu_rr(asm.OR, 0, RAX, RCX),
            asm.pop_r(RBX),
            asm.ret(),
        )
    )
