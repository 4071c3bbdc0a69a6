"""Machine code read back: what each encoding says, wherever it stands.

Reading machine code is capstone's job; only this file calls it. What an instruction says depends on its bytes alone
but for the targets of branches, which are kept relative, so each encoding is looked at in detail once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from vibewasm.backends import TARGETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of a register of 64 bits in memory; AArch64 calls a register of twice as many q.
_CELL = 8
#: Encodings that are kept; at this number the table starts anew.
_KEPT = 1 << 16


class MissingCapstoneError(ImportError):
    """capstone, which reads machine code back, is not installed."""


class Frames(Protocol):
    """What a backend's ``frames`` module says of the places in a frame, as offsets from the frame pointer.

    Attributes:
        CONTEXT_SLOT: where the instance context is; what a function saves comes next.
        STEP: from a cell to the next one.
    """

    CONTEXT_SLOT: int
    STEP: int


class Registers(Protocol):
    """What a backend's ``regs`` module says of the registers that have one role in all code.

    Attributes:
        FRAME, CONTEXT, MEMORY_BASE: the frame pointer, the instance context, the base of memory 0.
        PINNED, FLOAT_PINNED: registers that locals are pinned to, in the order in which they are given out.
    """

    FRAME: int
    CONTEXT: int
    MEMORY_BASE: int
    PINNED: tuple[int, ...]
    FLOAT_PINNED: tuple[int, ...]


class Target(Protocol):
    """What reading machine code takes to know of a processor: the modules :mod:`.x86_64` and :mod:`.aarch64`.

    A register's *key* is its hardware number, of a vector register 64 more.

    Attributes:
        NAME, TITLE: the backend's name, and the processor's name for people.
        SYNTAXES: which syntaxes operands can be written in, the default first.
        REGISTERS: keys by the names that registers have in operands.
        CALLEE, RESULT: keys of the registers in which the record of a function that is called travels, and a result
            that is no float.
        MOVES: mnemonics of plain loads and stores.
        FAULTS: traps that an instruction raises for some values of its operands, by mnemonic.
    """

    NAME: str
    TITLE: str
    SYNTAXES: tuple[str, ...]
    REGISTERS: dict[str, int]
    CALLEE: int
    RESULT: int
    MOVES: frozenset[str]
    FAULTS: dict[str, tuple[int, ...]]

    def capstone_mode(self, capstone: Any) -> tuple[int, int]:
        """capstone's architecture and mode."""

    def register_name(self, type_: int, number: int) -> str:
        """What a register that holds a value of the type is called."""

    def accesses(self, mnemonic: str, reads: bool, writes: bool) -> tuple[bool, bool]:
        """Whether an instruction reads and writes its memory operand; capstone's opinion is given."""

    def trap(self, raw: bytes, syntax: str) -> tuple[int, str, str] | None:
        """The trap that an instruction is made to raise: its number, the mnemonic and the operands."""

    def spans(self, decoder: Any, code: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Offset and size of each instruction, and whether it is none but the distance from there to a jump table."""


@dataclass(frozen=True, slots=True)
class MemoryOperand:
    """A memory operand.

    Attributes:
        base, index: keys of registers, or -1.
        displacement: in bytes.
        reads, writes: what the instruction does there; neither for one that takes the address only.
        moved: keys of the registers that are loaded from or stored to neighbouring cells, one cell each; empty where
            what is there is an operand of something else.
        step: bytes from one of these cells to the next.
        loads: whether these registers are loaded, whole, so that they may hold pointers afterwards.
    """

    base: int
    index: int
    displacement: int
    reads: bool
    writes: bool
    moved: tuple[int, ...]
    step: int
    loads: bool


class Shape(NamedTuple):
    """What one encoding says.

    Attributes:
        mnemonic, operands: the text; where there is a target, that is the last operand and left out.
        registers: keys of the registers in operands, in their order.
        written: keys of the registers that change, unmentioned ones too.
        memory: the memory operand, or ``None``.
        flow: "" for an instruction that goes on to the next one, "jump", "branch" (a jump that may not be taken),
            "call", "return" or "trap"; "bad" for bytes that are no instruction.
        target: where a jump, a branch or a call leads to, or what address is taken, from the instruction's own start;
            ``None`` where operands do not say.
        trap: number of the trap that the instruction is there to raise, or 0.
        faults: numbers of traps that some operands raise.
    """

    mnemonic: str
    operands: str
    registers: tuple[int, ...]
    written: frozenset[int]
    memory: MemoryOperand | None
    flow: str
    target: int | None
    trap: int
    faults: tuple[int, ...]


def target_named(name: str) -> Target:
    """How code of the target is read.

    Raises:
        ValueError: there is no such target.
    """
    if name not in TARGETS:
        raise ValueError(f"there is no target {name!r}; {' and '.join(TARGETS)} can be read")
    found: Any = import_module(f".{name}", __package__)
    return found  # type: ignore[no-any-return]  # a module with the attributes of the protocol


class Reader:
    """Reads the machine code of a target.

    Args:
        target: its name.
        syntax: one of the target's syntaxes; ``None`` for the usual one.

    Raises:
        ValueError: the target or its syntax does not exist.
        MissingCapstoneError: capstone is not installed.
    """

    def __init__(self, target: str, syntax: str | None = None) -> None:
        self.target = target_named(target)
        #: The backend's own modules, which say what registers and places in a frame are for.
        self.registers: Registers = _backend_module(target, "regs")
        self.frames: Frames = _backend_module(target, "frames")
        syntaxes = self.target.SYNTAXES
        if syntax is not None and syntax not in syntaxes and (syntax not in ("intel", "att") or len(syntaxes) > 1):
            raise ValueError(f"there is no syntax {syntax!r}; {', '.join(syntaxes)} can be written")
        #: A processor with one syntax only is written in that one.
        self.syntax = syntax if syntax in syntaxes else syntaxes[0]
        capstone = _capstone()
        arch, mode = self.target.capstone_mode(capstone)
        self._capstone = capstone
        self._lite = capstone.Cs(arch, mode)
        self._detailed = capstone.Cs(arch, mode)
        self._detailed.detail = True
        if self.syntax == "att":
            self._detailed.syntax = capstone.CS_OPT_SYNTAX_ATT
        self._shapes: dict[bytes, Shape] = {}

    def read(self, code: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, Shape]]:
        """Offset, bytes and meaning of each instruction from ``start`` to ``end``."""
        shapes = self._shapes
        for offset, size, is_data in self.target.spans(self._lite, code, start, end):
            raw = code[offset : offset + size]
            if is_data:
                distance = int.from_bytes(raw, "little", signed=True)
                yield offset, raw, Shape(".long", "", (), frozenset(), None, "", distance, 0, ())
                continue
            shape = shapes.get(raw)
            if shape is None:
                if len(shapes) >= _KEPT:
                    shapes.clear()
                shape = shapes[raw] = self._shape(raw)
            yield offset, raw, shape

    def _shape(self, raw: bytes) -> Shape:
        trap = self.target.trap(raw, self.syntax)
        nothing: frozenset[int] = frozenset()
        if trap is not None:
            number, mnemonic, operands = trap
            return Shape(mnemonic, operands, (), nothing, None, "trap", None, number, ())
        for instruction in self._detailed.disasm(raw, 0, 1):
            if instruction.size == len(raw):
                return self._detail(instruction)
        return Shape(".byte", ", ".join(f"{byte:#04x}" for byte in raw), (), nothing, None, "bad", None, 0, ())

    def _detail(self, instruction: Any) -> Shape:
        cs = self._capstone
        target = self.target
        keys = target.REGISTERS
        name_of = instruction.reg_name
        mnemonic: str = instruction.mnemonic
        registers: list[int] = []
        memory: MemoryOperand | None = None
        immediate: int | None = None
        of_data: int | None = None
        if mnemonic.startswith("nop"):
            # Its operands only make it longer.
            return Shape(mnemonic, instruction.op_str, (), frozenset(), None, "", None, 0, ())
        for operand in instruction.operands:
            if operand.type == cs.CS_OP_REG:
                registers.append(keys.get(name_of(operand.reg), -1))
            elif operand.type == cs.CS_OP_IMM:
                immediate = operand.imm
            elif operand.type == cs.CS_OP_MEM:
                place = operand.mem
                base = keys.get(name_of(place.base) or "", -1)
                index = keys.get(name_of(place.index) or "", -1)
                access = operand.access
                reads, writes = target.accesses(mnemonic, bool(access & cs.CS_AC_READ), bool(access & cs.CS_AC_WRITE))
                memory = MemoryOperand(base, index, place.disp, reads, writes, (), _CELL, False)
                if name_of(place.base) == "rip":
                    of_data = place.disp + instruction.size
        if memory is not None:
            moves = mnemonic in target.MOVES and memory.reads != memory.writes
            if moves:
                step = 2 * _CELL if instruction.op_str[:1] == "q" else _CELL
                memory = replace(memory, moved=tuple(registers), step=step, loads=memory.reads)
            registers += [memory.base, memory.index]
        written = frozenset(keys.get(name_of(number), -1) for number in instruction.regs_access()[1])
        flow, relative = self._flow(instruction, immediate, memory)
        if not flow and of_data is not None:
            relative = of_data
        text: str = instruction.op_str
        if relative is not None and memory is None:
            # The target stands last, and is written as a label instead.
            text = text.rpartition(",")[0]
        shown = tuple(dict.fromkeys(key for key in registers if key >= 0))
        faults = target.FAULTS.get(mnemonic, ())
        return Shape(mnemonic, text, shown, written, memory, flow, relative, 0, faults)

    def _flow(self, instruction: Any, immediate: int | None, memory: MemoryOperand | None) -> tuple[str, int | None]:
        """How control goes on, and the distance to the target if operands say it."""
        cs = self._capstone
        mnemonic = instruction.mnemonic
        if mnemonic in ("adr", "adrp") or (mnemonic == "ldr" and memory is None):
            # The address of data in code, or what is there.
            return "", immediate
        if instruction.group(cs.CS_GRP_RET):
            return "return", None
        relative = immediate if memory is None else None
        if instruction.group(cs.CS_GRP_CALL) or mnemonic in ("bl", "blr"):
            return "call", relative
        if instruction.group(cs.CS_GRP_JUMP):
            always = mnemonic in ("jmp", "jmpq", "b", "br")
            return ("jump" if always else "branch"), relative
        return "", None


def _backend_module(target: str, name: str) -> Any:
    return import_module(f"vibewasm.backends.{target}.{name}")


def _capstone() -> Any:
    try:
        import capstone
    except ImportError as error:
        raise MissingCapstoneError(
            "a listing of machine code needs capstone: pip install 'vibewasm[disasm]'"
        ) from error
    return capstone
