"""Constant expressions: first values of globals, offsets of segments, items of element segments.

Reading and checking are apart, because what is malformed anywhere in the module comes before what is invalid.
Constant are (specification, "Validation / Instructions / Constant Expressions"): the five ``const`` instructions,
``ref.null``, ``ref.func``, ``global.get`` of an immutable imported global, and ``add``, ``sub`` and ``mul`` of i32 and
i64.
"""

from __future__ import annotations

from ..constant_opcodes import F32_CONST, F64_CONST, GLOBAL_GET, I32_CONST, I64_CONST, REF_FUNC, REF_NULL, V128_CONST
from ..errors import DecodeError, ValidationError
from ..opcodes import CODE, VECTOR_PREFIX, codes_with, has_signature, row_of, signature, spelled
from ..types import V128, type_name
from . import leb128
from .leb128 import signed, u32
from .module_info import ConstExpr
from .value_types import heap_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .compact import Source
    from .module_info import ModuleInfo

END = CODE["end"]

#: The constant instructions, of which this reads all that there are.
CONSTANT = codes_with("constant")
#: The type that each constant has.
_CONSTANTS = {code: signature(code)[1][0] for code in (I32_CONST, I64_CONST, F32_CONST, F64_CONST)}
# Its row is not loaded for this.
_CONSTANTS[V128_CONST] = V128
#: The type of operands and result of ``add``, ``sub`` and ``mul``.
ARITHMETIC = {code: signature(code)[1][0] for code in CONSTANT if has_signature(code) and len(signature(code)[0]) == 2}

#: Without an immediate: one object of each, since an expression may be megabytes of them.
_ARITHMETIC_OPS = {code: (code, 0) for code in ARITHMETIC}


def read_const_expr(info: ModuleInfo | Source, pos: int, end: int) -> tuple[ConstExpr, int]:
    """Read a constant expression and the ``end`` after it.

    Args:
        info: the module, whose types have been read.
        pos: where the expression begins.
        end: where its section ends.

    Raises:
        DecodeError: malformed bytes or an opcode that does not exist.
        ValidationError: an instruction that is not constant, or a null of a type that is not there.
    """
    data = info.data
    start = pos
    ops: list[tuple[int, int]] = []
    while pos < end:
        opcode = data[pos]
        if opcode == END:
            return ConstExpr(ops, start), pos + 1
        value = 0
        if opcode == I32_CONST:
            value, after = signed(data, pos + 1, 32)
        elif opcode == REF_FUNC or opcode == GLOBAL_GET:
            value, after = u32(data, pos + 1)
        elif opcode == REF_NULL:
            value, after = heap_type(data, pos + 1, info.types)
        elif opcode == I64_CONST:
            value, after = signed(data, pos + 1, 64)
        elif opcode == F64_CONST or opcode == F32_CONST:
            after = pos + (9 if opcode == F64_CONST else 5)
            if after > end:
                break
            value = int.from_bytes(data[pos + 1 : after], "little")
        elif opcode in ARITHMETIC:
            ops.append(_ARITHMETIC_OPS[opcode])
            pos += 1
            continue
        elif opcode == VECTOR_PREFIX:
            opcode, after = leb128.opcode(data, pos)
            if opcode != V128_CONST:
                raise _not_constant(data, pos)
            start_of_value, after = after, after + 16
            if after > end:
                break
            value = int.from_bytes(data[start_of_value:after], "little")
        else:
            raise _not_constant(data, pos)
        ops.append((opcode, value))
        pos = after
    raise DecodeError("unexpected end of section or function: constant expression without end", end)


def _not_constant(data: bytes, pos: int) -> DecodeError | ValidationError:
    """The error for an opcode that is not read here."""
    from ..proposals import TITLES, may_be_constant, not_in_table, proposal_of

    opcode, _ = leb128.opcode(data, pos)
    row = row_of(opcode)
    if row is None:
        why, malformed = not_in_table(opcode)
        if malformed:
            return DecodeError(why, pos)
        feature = proposal_of(opcode)
        if feature and may_be_constant(opcode):
            return ValidationError(why, pos, feature=TITLES[feature])
    name = row[1] if row else f"opcode {spelled(opcode)}"
    return ValidationError(f"constant expression required: {name} is not constant", pos)


def check_const_expr(info: ModuleInfo, expr: ConstExpr, expected: int, visible_globals: int) -> None:
    """Check that an expression is valid and gives one value of the type ``expected``.

    Args:
        info: the module.
        expr: the expression.
        expected: code of the value's type.
        visible_globals: how many of the module's globals exist for it; of a global's first value those before it do.

    Raises:
        ValidationError: it is not.
    """
    stack: list[int] = []
    for opcode, value in expr.ops:
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode == REF_FUNC:
            if value >= len(info.func_type_indices):
                raise ValidationError(f"unknown function {value}", expr.offset)
            from ..reference_types import concrete

            stack.append(concrete(info.func_type(value), False))
        elif opcode == REF_NULL:
            stack.append(value)
        elif opcode == GLOBAL_GET:
            stack.append(_global_type(info, value, expr, visible_globals))
        else:
            operand = ARITHMETIC[opcode]
            if stack[-2:] != [operand, operand]:
                raise ValidationError(
                    f"type mismatch: two operands of type {type_name(operand)} expected in a constant expression",
                    expr.offset,
                )
            stack.pop()
    if stack != [expected] and (len(stack) != 1 or not _matches(stack[0], expected)):
        # A long expression is not worth its whole list of types.
        found = " ".join(type_name(code) for code in stack[:4]) + (" ..." if len(stack) > 4 else "")
        raise ValidationError(
            f"type mismatch: constant expression of type [{found}] where [{type_name(expected)}] is expected",
            expr.offset,
        )


def _matches(found: int, expected: int) -> bool:
    from ..reference_types import matches  # few modules get here

    return matches(found, expected)


def declare_refs(expr: ConstExpr, refs: dict[int, int]) -> None:
    """Number the functions that ``ref.func`` names in an expression and that have no number in ``refs`` yet."""
    for opcode, value in expr.ops:
        if opcode == REF_FUNC:
            refs.setdefault(value, len(refs))


def _global_type(info: ModuleInfo, index: int, expr: ConstExpr, visible: int) -> int:
    """The type of a global that a constant expression reads."""
    if index >= visible:
        raise ValidationError(f"unknown global {index}", expr.offset)
    # WebAssembly 2.0 allows imported globals only. 3.0 adds all globals before, with GC: wasmtime 50 does without its
    # gc feature what is done here.
    if info.globals[index].mutable:
        raise ValidationError(f"constant expression required: global {index} is mutable", expr.offset)
    if index >= info.imported_globals:
        from ..proposals import TITLES

        message = f"constant expression required: global {index} is not an imported one"
        raise ValidationError(message, expr.offset, feature=TITLES["gc"])
    return info.globals[index].content.code
