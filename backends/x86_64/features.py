"""Which processor extensions beyond x86-64-v2 the emitted code may use.

``BMI1`` (``tzcnt``, which is defined for 0), ``BMI2`` (``shlx``, ``shrx``, ``sarx`` and ``rorx``: shifts whose count is
in any register) and ``LZCNT`` (``lzcnt``, which is defined for 0); of the rules of vectors ``AVX`` (instructions with a
destination of their own), ``AVX2`` (``vpbroadcastb`` and its siblings) and ``FMA``. Rules read them as attributes of
this module when they are applied. The processor is asked at the first of these reads, since most small modules have no
instruction that could use them; tests, and those who compile for another machine, set them before with
:meth:`vibewasm.backends.x86_64.target.Target.configure`.
"""

from __future__ import annotations

from .. import backend

#: In the order of their bits.
_NAMES = ("BMI1", "BMI2", "LZCNT", "AVX", "AVX2", "FMA")
#: The bits of those that choices without vectors depend on.
SCALAR = 0b111


def __getattr__(name: str) -> bool:
    """Ask the processor for its extensions, at the first read of one."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Where this is not the processor of this process, code is made for any x86-64-v2 processor.
    ask = backend("x86_64").ask
    found = ask() if ask is not None else 0
    configure(*[bool(found >> bit & 1) for bit in range(len(_NAMES))])
    return bool(globals()[name])


def configure(bmi1: bool, bmi2: bool, lzcnt: bool, avx: bool = False, avx2: bool = False, fma: bool = False) -> None:
    """Say which extensions the processor has. There is neither AVX2 nor FMA without AVX.

    Choices that were memoised for others have to be forgotten too, see
    :meth:`vibewasm.backends.x86_64.target.Target.configure`.
    """
    globals().update(BMI1=bmi1, BMI2=bmi2, LZCNT=lzcnt, AVX=avx, AVX2=avx and avx2, FMA=avx and fma)


def cpuid_code() -> bytes:
    """Machine code of ``u64 f(void)``: bit 0 BMI1, bit 1 BMI2, bit 2 LZCNT, bit 3 AVX, bit 4 AVX2, bit 5 FMA.

    ``cpuid`` leaf 7 gives BMI1 in ebx bit 3, AVX2 in ebx bit 5 and BMI2 in ebx bit 8, leaf 0x80000001 gives LZCNT in
    ecx bit 5, and leaf 1 gives FMA in ecx bit 12 and AVX in ecx bit 28 (Intel SDM volume 2, CPUID). The extensions of
    general registers work wherever the processor reports them. Those of vectors need an operating system that saves
    the whole vector registers: it has said so in bits 1 and 2 of XCR0, which can be read where leaf 1 has ecx bit 27,
    OSXSAVE (SDM volume 1, "Detection of Intel AVX Instructions").
    """
    from . import asm
    from .regs import R8, RAX, RBX, RCX, RDX

    def add(bit: int, source: int, at: int) -> bytes:
        """Add bit ``at`` of ``source`` to the result, as its bit ``bit``."""
        return b"".join(
            (
                asm.mov_rr(0, RDX, source),
                asm.shift_ri(asm.SHR, 0, RDX, at - bit),
                asm.alu_ri(asm.AND, 0, RDX, 1 << bit),
                asm.alu_rr(asm.OR, 0, R8, RDX),
            )
        )

    without_vectors = asm.alu_ri(asm.AND, 0, R8, SCALAR)
    saved = b"".join(
        (
            asm.zero(RCX),
            asm.xgetbv(),
            asm.alu_ri(asm.AND, 0, RAX, 6),
            asm.alu_ri(asm.CMP, 0, RAX, 6),
            asm.jcc_rel8(asm.CC_E, len(without_vectors)),
        )
    )
    return b"".join(
        (
            asm.push_r(RBX),
            asm.zero(R8),
            asm.mov_ri(RAX, 7),
            asm.zero(RCX),
            asm.cpuid(),
            add(0, RBX, 3),
            add(1, RBX, 8),
            add(4, RBX, 5),
            asm.mov_ri(RAX, 0x8000_0001),
            asm.cpuid(),
            add(2, RCX, 5),
            asm.mov_ri(RAX, 1),
            asm.cpuid(),
            add(3, RCX, 28),
            add(5, RCX, 12),
            asm.test_ri(0, RCX, 1 << 27),
            asm.jcc_rel8(asm.CC_E, len(saved)),
            saved,
            without_vectors,
            asm.mov_rr(0, RAX, R8),
            asm.pop_r(RBX),
            asm.ret(),
        )
    )
