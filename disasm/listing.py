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

#: Bytes of an instruction that a line shows; longer ones are cut, with a mark. Fifteen is the longest that x86-64 has.
_BYTES_SHOWN = 11

#: What a trap in code looks like: ``ud1 eax, [rax + disp8]``, with the trap number as the displacement.
_UD1 = b"\x0f\xb9\x40"


class MissingCapstoneError(ImportError):
    """capstone, which reads machine code back, is not installed."""


def disassemble_function(module: Module, func_index: int) -> str:
    """The machine code of one defined function as text, ending in a newline.

    ``func_index`` counts in the module's function index space, imports first. The function is compiled for this, which
    gives the very bytes that run, since compiling depends on nothing but the module, the target and the configuration.

    Raises :class:`IndexError` where the module defines no such function, :class:`~vibewasm.errors.ValidationError`
    where its body is invalid, and :class:`MissingCapstoneError` where capstone is not installed.
    """
    info = module.info
    defined = func_index - info.imported_funcs
    if not 0 <= defined < len(info.bodies):
        raise IndexError(f"function {func_index} is not defined in this module")
    code = module.compiler.compile(defined)
    start, end = info.bodies[defined]
    name = _name(module, func_index)
    type = info.types[info.func_type_indices[func_index]]
    header = (
        f"function {func_index}{f' {name!r}' if name else ''}: {type}\n"
        f"; {end - start} bytes of wasm at {start:#x}, {len(code)} bytes of machine code\n"
    )
    return header + "".join(line + "\n" for line in listing(code))


def listing(code: bytes) -> Iterator[str]:
    """``code`` (x86-64) as lines: offset, bytes, text; traps are named, and bytes that are no instruction are data."""
    decoder = _decoder()
    offset = 0
    while offset < len(code):
        for address, size, mnemonic, operands in decoder.disasm_lite(code[offset:], offset):
            raw = code[address : address + size]
            text = f"{mnemonic} {operands}".rstrip()
            yield _line(address, raw, text + _remark(raw))
            offset = address + size
        if offset < len(code):
            # capstone stops at what it cannot read. Show one byte as data and go on after it.
            raw = code[offset : offset + 1]
            yield _line(offset, raw, f".byte {raw[0]:#04x}")
            offset += 1


def _line(address: int, raw: bytes, text: str) -> str:
    shown = raw[:_BYTES_SHOWN].hex(" ") + ("+" if len(raw) > _BYTES_SHOWN else "")
    return f"{address:6x}  {shown:<{3 * _BYTES_SHOWN}} {text}"


def _remark(raw: bytes) -> str:
    if raw.startswith(_UD1) and raw[3] in TRAPS:
        return f"  ; trap: {TRAPS[raw[3]][1]}"
    return ""


def _name(module: Module, func_index: int) -> str | None:
    name = module.info.func_names.get(func_index)
    if name is not None:
        return name
    for export in module.info.exports:
        if export.kind == 0 and export.index == func_index:
            return export.name
    return None


def _decoder() -> Any:
    try:
        import capstone
    except ImportError as error:
        raise MissingCapstoneError(
            "a listing of machine code needs capstone: pip install 'vibewasm[disasm]'"
        ) from error
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
