"""How an x86-64 instruction is put together: prefix, REX, opcode, ModRM, SIB, displacement (SDM volume 2, chapter 2).

Instructions themselves are in :mod:`.asm`. ``rex`` arguments are the bits of the REX prefix that the instruction itself
asks for: 8 for REX.W, and 0x40 for a REX prefix that must be there although it says nothing (:func:`rex_of_byte`). A
register number out of range is a :class:`ValueError`: its bits would run over into other fields and make another
instruction, which would then run.
"""

from __future__ import annotations

#: Each byte, for prefixes and ModRM and SIB bytes: looking it up takes a fifth of the time of making it.
BYTES = tuple(map(bytes, zip(range(256))))

#: Addressing bytes made so far, by registers: what they consist of is the same for most instructions of a program.
_two_registers: dict[tuple[int, int], tuple[int, bytes]] = {}
_bases: dict[tuple[int, int], tuple[int, bytes, bytes, bytes]] = {}
_indices: dict[tuple[int, int, int, int], tuple[int, bytes, bytes, bytes]] = {}


def bad_register(*registers: int) -> ValueError:
    """The error for a register number out of range."""
    return ValueError(f"no such register, or rsp as an index, or a bad scale, in {registers}")


def imm8(value: int) -> bytes:
    """One byte, of a signed or unsigned number."""
    if not -0x80 <= value <= 0xFF:
        raise ValueError(f"{value} does not fit 8 bits")
    return BYTES[value & 0xFF]


def rel8(value: int) -> bytes:
    """One byte, signed."""
    if not -0x80 <= value <= 0x7F:
        raise ValueError(f"{value} does not fit 8 bits as a signed number")
    return BYTES[value & 0xFF]


def imm16(value: int) -> bytes:
    """Two bytes, of a signed or unsigned number."""
    if not -0x8000 <= value <= 0xFFFF:
        raise ValueError(f"{value} does not fit 16 bits")
    return (value & 0xFFFF).to_bytes(2, "little")


def imm32(value: int) -> bytes:
    """Four bytes, signed: immediates, displacements and relative targets."""
    if not -0x8000_0000 <= value <= 0x7FFF_FFFF:
        raise ValueError(f"{value} does not fit 32 bits as a signed number")
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def rex_of_byte(reg: int) -> int:
    """REX bits that a byte register asks for: without any REX prefix, numbers 4 to 7 are ah, ch, dh and bh."""
    return 0x40 if 4 <= reg <= 7 else 0


def _of_two_registers(reg: int, rm: int) -> tuple[int, bytes]:
    """The REX bits and the ModRM byte of two registers."""
    if (reg | rm) & -16:
        raise bad_register(reg, rm)
    found = _two_registers[reg, rm] = reg >> 1 & 4 | rm >> 3, BYTES[0xC0 | (reg & 7) << 3 | rm & 7]
    return found


def reg_reg(prefix: bytes, rex: int, opcode: bytes, reg: int, rm: int) -> bytes:
    """An instruction on two registers; ``reg`` may be an opcode extension (``/0`` to ``/7``)."""
    bits, modrm = _two_registers.get((reg, rm)) or _of_two_registers(reg, rm)
    rex |= bits
    if rex:
        return prefix + BYTES[0x40 | rex] + opcode + modrm
    return prefix + opcode + modrm


def reg_only(rex: int, opcode: int, rm: int) -> bytes:
    """An instruction whose register is in the last three bits of its one opcode byte."""
    if rm & -16:
        raise bad_register(rm)
    rex |= rm >> 3
    if rex:
        return bytes((0x40 | rex, opcode | rm & 7))
    return BYTES[opcode | rm]


def of_base(reg: int, base: int) -> tuple[int, bytes, bytes, bytes]:
    """The REX bits, and the ModRM and SIB bytes without a displacement (empty where there has to be one), with one of
    8 bits, and with one of 32 bits.

    As a base, rsp and r12 need a SIB byte, and rbp and r13 a displacement: their plain encodings mean other things.
    """
    if (reg | base) & -16:
        raise bad_register(reg, base)
    low = base & 7
    modrm = (reg & 7) << 3 | low
    sib = b"\x24" if low == 4 else b""
    plain = b"" if low == 5 else BYTES[modrm] + sib
    found = reg >> 1 & 4 | base >> 3, plain, BYTES[0x40 | modrm] + sib, BYTES[0x80 | modrm] + sib
    _bases[reg, base] = found
    return found


def reg_mem(prefix: bytes, rex: int, opcode: bytes, reg: int, base: int, disp: int) -> bytes:
    """An instruction on a register and ``[base + disp]``."""
    bits, address, short, long = _bases.get((reg, base)) or of_base(reg, base)
    rex |= bits
    if disp or not address:
        address = short + BYTES[disp & 0xFF] if -0x80 <= disp <= 0x7F else long + imm32(disp)
    if rex:
        return prefix + BYTES[0x40 | rex] + opcode + address
    return prefix + opcode + address


def of_index(reg: int, base: int, index: int, scale: int) -> tuple[int, bytes, bytes, bytes]:
    """What :func:`of_base` says of a base, with an index as well."""
    if (reg | base | index) & -16 or index == 4 or scale & -4:
        raise bad_register(reg, base, index, scale)
    low = base & 7
    modrm = (reg & 7) << 3 | 4
    sib = BYTES[scale << 6 | (index & 7) << 3 | low]
    plain = b"" if low == 5 else BYTES[modrm] + sib
    found = reg >> 1 & 4 | index >> 2 & 2 | base >> 3, plain, BYTES[0x40 | modrm] + sib, BYTES[0x80 | modrm] + sib
    _indices[reg, base, index, scale] = found
    return found


def reg_index(prefix: bytes, rex: int, opcode: bytes, reg: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """An instruction on a register and ``[base + (index << scale) + disp]``."""
    bits, address, short, long = _indices.get((reg, base, index, scale)) or of_index(reg, base, index, scale)
    rex |= bits
    if disp or not address:
        address = short + BYTES[disp & 0xFF] if -0x80 <= disp <= 0x7F else long + imm32(disp)
    if rex:
        return prefix + BYTES[0x40 | rex] + opcode + address
    return prefix + opcode + address


def reg_rip(rex: int, opcode: bytes, reg: int, rel32: int) -> bytes:
    """An instruction on a register and ``[rip + rel32]``, where rip is the end of the instruction."""
    if reg & -16:
        raise bad_register(reg)
    rex |= reg >> 1 & 4
    address = bytes(((reg & 7) << 3 | 5,)) + imm32(rel32)
    if rex:
        return BYTES[0x40 | rex] + opcode + address
    return opcode + address


def vex_reg_reg(map_: int, pp: int, w: int, opcode: int, reg: int, vvvv: int, rm: int) -> bytes:
    """A VEX instruction on general registers, L = 0, in the three-byte form that maps 0F38 (2) and 0F3A (3) need."""
    if (reg | vvvv | rm) & -16:
        raise bad_register(reg, vvvv, rm)
    return bytes(
        (
            0xC4,
            (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | map_,
            w << 7 | (~vvvv & 15) << 3 | pp,
            opcode,
            0xC0 | (reg & 7) << 3 | rm & 7,
        )
    )
