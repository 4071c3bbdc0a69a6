"""Refusing vector instructions where ``Config.wasm_simd`` or ``Config.wasm_relaxed_simd`` is off.

Loaded for engines that have one of them off. Function bodies are read once more then, those that may have any.
"""

from __future__ import annotations

from ...errors import DecodeError, ValidationError
from ...opcodes import BY_CODE, CODE, VECTOR_PREFIX
from ...types import V128, VALUE_TYPES
from ...wat.code_writer import CodeWriter
from .errors import WasmtimeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...binary.module_info import ModuleInfo

#: What messages call the proposals, by the opcode table's names.
_TITLES = {"simd": "SIMD", "relaxed-simd": "relaxed SIMD"}
_TYPE = next(byte for byte, code in VALUE_TYPES.items() if code == V128)


def refuse(info: ModuleInfo, off: frozenset[str]) -> None:
    """Refuse a module that uses what is off.

    Args:
        off: names of proposals: ``relaxed-simd``, and ``simd`` or not.

    Raises:
        WasmtimeError: it does.
    """
    if "simd" in off:
        if any(V128 in type_.param_codes + type_.result_codes for type_ in info.types):
            raise _refusal("simd", "type section")
        if any(type_.content.code == V128 for type_ in info.globals):
            raise _refusal("simd", "type of a global")
    for index, (start, end) in enumerate(info.bodies, info.imported_funcs):
        body = info.data[start:end]
        if VECTOR_PREFIX in body or (_TYPE in body and "simd" in off):
            try:
                used = _used(info.data, start) & off
            except (IndexError, DecodeError, ValidationError):
                continue  # what is wrong with it is said when it is compiled
            if used:
                raise _refusal("simd" if "simd" in used else "relaxed-simd", f"function {index}")


def _used(data: bytes, start: int) -> set[str]:
    """Proposals of the instructions and the types in a function's body."""
    reader = CodeWriter(data)
    reader.position = start
    types = []
    for _ in range(reader.u32()):
        reader.u32()
        types.append(reader.value_type())
    used = {"simd"} if "v128" in types else set()
    for _, _, text in reader.instructions():
        name = text.partition(" ")[0]
        used.add(BY_CODE[CODE[name]][5])
        # Of a block, or of a select.
        if "(result v128)" in text:
            used.add("simd")
    return used


def _refusal(proposal: str, where: str) -> WasmtimeError:
    return WasmtimeError(f"{_TITLES[proposal]} support is not enabled (in {where})")
