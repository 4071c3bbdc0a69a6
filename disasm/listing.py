"""One function's machine code as text: a header, then one line an instruction.

Reading machine code back is capstone's job. Only this folder depends on it: ``pip install 'vibewasm[disasm]'``.
"""

from __future__ import annotations

from vibewasm.errors import TRAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from vibewasm.module import Module

__all__ = ["MissingCapstoneError", "disassemble_function", "listing"]

#: Bytes of an instruction that a line shows; of longer ones (x86-64 has up to fifteen) the rest is marked by a plus.
_BYTES_SHOWN = 11

if TYPE_CHECKING:

    class Processor(Protocol):
        """What is particular to one processor: the modules of this package that are named as targets are."""

        LONGEST: int

        def decoder(self, capstone: Any) -> Any: ...

        def trap(self, code: bytes, offset: int) -> tuple[bytes, str, int] | None: ...

        def datum(self, code: bytes, offset: int) -> bool: ...

        def no_instruction(self, code: bytes, offset: int) -> tuple[bytes, str]: ...

        def table_address(self, code: bytes, offset: int) -> int | None: ...


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
    lines = listing(code := module.compiler.compile(defined), module.engine.target)
    start, end = info.bodies[defined]
    name = module.func_name(func_index)
    header = (
        f"function {func_index}{f' {name!r}' if name else ''}: {info.func_type(func_index)}\n"
        f"; {end - start} bytes of wasm at {start:#x}, {len(code)} bytes of machine code\n"
    )
    return header + "".join(line + "\n" for line in lines)


def listing(code: bytes, target: str) -> Iterator[str]:
    """The machine code of one function as lines: offset, bytes, text.

    Traps are named. Jump tables, which stand behind all code, are shown as the distances that they hold, with the
    targets; bytes that are no instruction are shown as such.

    Args:
        code: the machine code.
        target: the processor that it is for, as :attr:`vibewasm.Engine.target` has it.

    Raises:
        MissingCapstoneError: capstone is not installed.
    """
    processor = _processor(target)
    return _lines(processor, processor.decoder(_capstone()), code)


def _processor(target: str) -> Processor:
    processor: Processor
    if target == "aarch64":
        from . import aarch64 as processor
    else:
        from . import x86_64 as processor
    return processor


def _lines(processor: Processor, decoder: Any, code: bytes) -> Iterator[str]:
    tables: set[int] = set()
    # Where the first jump table starts. A table's address is taken in code that stands before it.
    limit = len(code)
    offset = 0
    while offset < limit:
        if limit < len(code) and limit - offset < 4 and not any(code[offset:limit]):
            yield _line(offset, code[offset:limit], "; padding")
            break
        raw, text = _instruction(processor, decoder, code, offset)
        target = processor.table_address(code, offset)
        if target is not None and offset < target < len(code):
            tables.add(target)
            limit = min(limit, target)
            text += f"  ; jump table at {target:#x}"
        yield _line(offset, raw, text)
        offset += len(raw)
    table = limit
    for entry in range(limit, len(code) - 3, 4):
        table = entry if entry in tables else table
        raw = code[entry : entry + 4]
        distance = int.from_bytes(raw, "little", signed=True)
        yield _line(entry, raw, f".long {distance:#x}  ; {table + distance:#x}")


def _instruction(processor: Processor, decoder: Any, code: bytes, offset: int) -> tuple[bytes, str]:
    """The bytes and the text of the instruction at ``offset``."""
    if processor.datum(code, offset):
        raw = code[offset : offset + 4]
        return raw, f".long {int.from_bytes(raw, 'little', signed=True):#x}"
    trap = processor.trap(code, offset)
    if trap is not None:
        raw, text, number = trap
        return raw, text + (f"  ; trap: {TRAPS[number][1]}" if number in TRAPS else "")
    # One at a time, so that what it takes for no instruction is met here.
    for _, size, mnemonic, operands in decoder.disasm_lite(code[offset : offset + processor.LONGEST], offset, 1):
        return code[offset : offset + size], f"{mnemonic} {operands}".rstrip()
    return processor.no_instruction(code, offset)


def _line(offset: int, raw: bytes, text: str) -> str:
    shown = raw[:_BYTES_SHOWN].hex(" ") + ("+" if len(raw) > _BYTES_SHOWN else "")
    return f"{offset:6x}  {shown:<{3 * _BYTES_SHOWN}} {text}"


def _capstone() -> Any:
    try:
        import capstone
    except ImportError as error:
        raise MissingCapstoneError(
            "a listing of machine code needs capstone: pip install 'vibewasm[disasm]'"
        ) from error
    return capstone
