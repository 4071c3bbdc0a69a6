"""Instructions as text and as structure, and the two judges of an encoding: keystone writes it, capstone reads it."""

from __future__ import annotations

from dataclasses import dataclass

import capstone
import capstone.x86
import keystone

SIZES = {0: "", 8: "byte ptr ", 16: "word ptr ", 32: "dword ptr ", 64: "qword ptr ", 128: "xmmword ptr "}


@dataclass(frozen=True)
class Register:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass
class Immediate:
    """A number; ``bits`` is the width at which it counts, so that at 8 bits -1 and 255 are equal."""

    value: int
    bits: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Immediate) and (self.value - other.value) % (1 << min(self.bits, other.bits)) == 0

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Memory:
    """``[base + index * scale + disp]``; ``bits`` 0 where no size belongs to it, as in LEA."""

    base: str
    index: str
    scale: int
    disp: int
    bits: int

    def __str__(self) -> str:
        parts = [self.base] if self.base else []
        if self.index:
            parts.append(f"{self.index}*{self.scale}")
        return f"{SIZES[self.bits]}[{' + '.join(parts)} {self.disp:+d}]"


Operand = Register | Immediate | Memory


@dataclass(frozen=True)
class Instruction:
    mnemonic: str
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return f"{self.mnemonic} {', '.join(map(str, self.operands))}"


_keystone = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
_capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_capstone.detail = True


def assemble(text: str) -> bytes:
    """Keystone's encoding of Intel text, at address 0."""
    return bytes(_keystone.asm(text)[0])


def disassemble(code: bytes) -> list[capstone.CsInsn]:
    """Capstone's reading of ``code`` at address 0, as far as it can read."""
    return list(_capstone.disasm(code, 0))


def read_back(code: bytes, like: Instruction) -> Instruction:
    """The one instruction that ``code`` is, with sizes and widths where ``like`` has them."""
    instructions = disassemble(code)
    assert [instruction.size for instruction in instructions] == [len(code)]
    instruction = instructions[0]
    if not like.operands:
        return Instruction(instruction.mnemonic, ())  # capstone shows the implicit operands of some
    operands: list[Operand] = []
    for operand in instruction.operands:
        if operand.type == capstone.x86.X86_OP_REG:
            operands.append(Register(instruction.reg_name(operand.reg)))
        elif operand.type == capstone.x86.X86_OP_IMM:
            operands.append(Immediate(operand.imm, 64))
        else:
            mem = operand.mem
            names = [instruction.reg_name(number) if number else "" for number in (mem.base, mem.index)]
            bits = 0 if like.mnemonic == "lea" else 8 * operand.size
            operands.append(Memory(names[0], names[1], mem.scale, mem.disp, bits))
    return Instruction(instruction.mnemonic, tuple(operands))
