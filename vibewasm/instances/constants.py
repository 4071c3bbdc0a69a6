"""Values of constant expressions (core specification, "Constant Expressions")."""

from __future__ import annotations

from ..calls.values import MASK32, MASK64
from ..constant_opcodes import F32_CONST, F64_CONST, GLOBAL_GET, I32_CONST, I64_CONST, REF_FUNC, REF_NULL, V128_CONST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.instance import Instance
    from ..binary.module_info import ConstExpr


def is_constant(expr: ConstExpr) -> bool:
    """Whether an expression has the same value in all instances."""
    return all(opcode != GLOBAL_GET and opcode != REF_FUNC for opcode, _ in expr.ops)


def evaluate(instance: Instance | None, expr: ConstExpr) -> int:
    """The bits of a valid constant expression's value, in an instance whose functions and whose globals before this
    one are there; it needs none where :func:`is_constant`.
    """
    if len(expr.ops) == 1:
        return _constant(instance, *expr.ops[0])
    from ..binary.const_expr import ARITHMETIC
    from .arithmetic import arithmetic

    stack: list[int] = []
    for opcode, immediate in expr.ops:
        if opcode in ARITHMETIC:
            b = stack.pop()
            a = stack.pop()
            stack.append(arithmetic(opcode, a, b))
        else:
            stack.append(_constant(instance, opcode, immediate))
    return stack.pop()


def _constant(instance: Instance | None, opcode: int, immediate: int) -> int:
    if opcode == I32_CONST:
        return immediate & MASK32
    if opcode == I64_CONST:
        return immediate & MASK64
    if opcode == F32_CONST or opcode == F64_CONST or opcode == V128_CONST:
        return immediate
    if opcode == REF_NULL:
        return 0
    assert instance is not None
    if opcode == GLOBAL_GET:
        return instance._global(immediate).raw
    assert opcode == REF_FUNC
    return instance._record(immediate)
