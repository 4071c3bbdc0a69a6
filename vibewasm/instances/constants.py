"""Values of constant expressions (core specification, "Constant Expressions")."""

from __future__ import annotations

from ..binary.const_expr import F32_CONST, F64_CONST, GLOBAL_GET, I32_CONST, I64_CONST, REF_FUNC, REF_NULL
from ..calls.values import MASK32, MASK64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.instance import Instance
    from ..binary.const_expr import ConstExpr

_I32_ADD, _I32_SUB, _I32_MUL = 0x6A, 0x6B, 0x6C
_I64_ADD, _I64_SUB, _I64_MUL = 0x7C, 0x7D, 0x7E


def evaluate(instance: Instance, expr: ConstExpr) -> int:
    """The bits of a valid constant expression's value, in an instance whose functions and whose globals before this
    one are there.
    """
    if len(expr.ops) == 1:
        return _constant(instance, *expr.ops[0])
    stack: list[int] = []
    for opcode, immediate in expr.ops:
        if opcode in _ARITHMETIC:
            b = stack.pop()
            a = stack.pop()
            stack.append(_arithmetic(opcode, a, b))
        else:
            stack.append(_constant(instance, opcode, immediate))
    return stack.pop()


def _constant(instance: Instance, opcode: int, immediate: int) -> int:
    if opcode == I32_CONST:
        return immediate & MASK32
    if opcode == I64_CONST:
        return immediate & MASK64
    if opcode == F32_CONST or opcode == F64_CONST:
        return immediate
    if opcode == GLOBAL_GET:
        return instance._global(immediate).raw
    if opcode == REF_FUNC:
        return instance._record(immediate)
    assert opcode == REF_NULL
    return 0


_ARITHMETIC = (_I32_ADD, _I32_SUB, _I32_MUL, _I64_ADD, _I64_SUB, _I64_MUL)


def _arithmetic(opcode: int, a: int, b: int) -> int:
    if opcode in (_I32_ADD, _I64_ADD):
        value = a + b
    elif opcode in (_I32_SUB, _I64_SUB):
        value = a - b
    else:
        value = a * b
    return value & (MASK32 if opcode <= _I32_MUL else MASK64)
