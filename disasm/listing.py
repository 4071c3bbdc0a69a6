"""One function's machine code as text: a header, then one line an instruction.

Reading machine code back is capstone's job. Only this folder depends on it: ``pip install 'vibewasm[disasm]'``.
"""

from __future__ import annotations

from vibewasm.errors import TRAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from vibewasm.module import Module

__all__ = ["MissingCapstoneError", "disassemble_function", "listing"]

#: Bytes of an instruction that a line shows; of longer ones (x86-64 has up to fifteen) the rest is marked by a plus.
_BYTES_SHOWN = 11

#: What a trap in code looks like: ``ud1 eax, [rax + disp8]``, with the trap number as the displacement. capstone would
#: take its two opcode bytes for the whole instruction; Intel's manual (volume 2, UD) says that a ModRM byte follows.
_UD1 = b"\x0f\xb9\x40"


class MissingCapstoneError(ImportError):
    """capstone, which reads machine code back, is not installed."""


def disassemble_function(module: Module, func_index: int) -> str:
    """The machine code of one defined function as text that ends in a newline.

    ``func_index`` counts in the module's function index space, imports first. The function is compiled for this, which
    gives the very bytes that run, since compiling depends on nothing but the module, the target and the configuration.

    Raises:
        IndexError: the module defines no such function.
        ValidationError: its body is invalid.
        MissingCapstoneError: capstone is not installed.
    """
    info = module.info
    defined = func_index - info.imported_funcs
    if not 0 <= defined < len(info.bodies):
        raise IndexError(f"function {func_index} is not defined in this module")
    lines = listing(code := module.compiler.compile(defined))
    start, end = info.bodies[defined]
    name = module.func_name(func_index)
    header = (
        f"function {func_index}{f' {name!r}' if name else ''}: {info.func_type(func_index)}\n"
        f"; {end - start} bytes of wasm at {start:#x}, {len(code)} bytes of machine code\n"
    )
    return header + "".join(line + "\n" for line in lines)


def listing(code: bytes) -> Iterator[str]:
    """The machine code of one function (x86-64) as lines: offset, bytes, text.

    Traps are named. Jump tables, which stand behind all code, are shown as the distances that they hold, with the
    targets; bytes that are no instruction are shown as such.

    Raises:
        MissingCapstoneError: capstone is not installed.
    """
    decoder = _decoder()
    return _lines(decoder, code)


def _lines(decoder: Any, code: bytes) -> Iterator[str]:
    tables: set[int] = set()
    # Where the first jump table starts. A table's address is taken in code that stands before it.
    limit = len(code)
    offset = 0
    while offset < limit:
        if limit < len(code) and limit - offset < 4 and not any(code[offset:limit]):
            yield _line(offset, code[offset:limit], "; padding")
            break
        raw, text = _instruction(decoder, code, offset)
        target = _table_address(raw, offset)
        if target is not None and offset < target < len(code):
            tables.add(target)
            limit = min(limit, target)
            text += f"  ; jump table at {target:#x}"
        yield _line(offset, raw, text)
        offset += len(raw)
    table = limit
    for entry in range(limit, len(code) - 3, 4):
        table = entry if entry in tables else table
        distance = int.from_bytes(code[entry : entry + 4], "little", signed=True)
        yield _line(entry, code[entry : entry + 4], f".long {distance:#x}  ; {table + distance:#x}")


def _instruction(decoder: Any, code: bytes, offset: int) -> tuple[bytes, str]:
    """The bytes and the text of the instruction at ``offset``."""
    if code.startswith(_UD1, offset) and offset + 3 < len(code):
        raw = code[offset : offset + 4]
        number = raw[3]
        remark = f"  ; trap: {TRAPS[number][1]}" if number in TRAPS else ""
        return raw, f"ud1 eax, dword ptr [rax + {number:#x}]{remark}"
    # One at a time, so that what it takes for no instruction is met here.
    for _, size, mnemonic, operands in decoder.disasm_lite(code[offset : offset + 15], offset, 1):
        return code[offset : offset + size], f"{mnemonic} {operands}".rstrip()
    return code[offset : offset + 1], f".byte {code[offset]:#04x}"


def _table_address(raw: bytes, offset: int) -> int | None:
    """The address that ``lea r64, [rip + disp32]`` takes; ``None`` for any other instruction."""
    if len(raw) == 7 and raw[0] & 0xFB == 0x48 and raw[1] == 0x8D and raw[2] & 0xC7 == 0x05:
        return offset + 7 + int.from_bytes(raw[3:7], "little", signed=True)
    return None


def _line(offset: int, raw: bytes, text: str) -> str:
    shown = raw[:_BYTES_SHOWN].hex(" ") + ("+" if len(raw) > _BYTES_SHOWN else "")
    return f"{offset:6x}  {shown:<{3 * _BYTES_SHOWN}} {text}"


def _decoder() -> Any:
    try:
        import capstone
    except ImportError as error:
        raise MissingCapstoneError(
            "a listing of machine code needs capstone: pip install 'vibewasm[disasm]'"
        ) from error
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
