"""Code that cannot be reached: validated, not compiled (core specification, appendix "Validation Algorithm").

After an unconditional branch the operand stack is polymorphic: an operand below what the dead code itself pushed may
be of any type. So
dead code has a type stack of its own here, driven by the opcode table; it ends at the ``end`` or ``else`` of the
block in
which it began, which is left for the compiler.
"""

from __future__ import annotations

from ..backends.operand import I32, REFERENCE
from ..opcodes import BY_CODE
from ..types import FUNCREF
from .errors import BodyFault, type_mismatch
from .labels import IF, LOOP
from .tables import SIGNATURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .function import FunctionCompiler

#: The type of an operand that dead code takes from below what it pushed: it fits everything.
UNKNOWN = -1


class _Block:
    """A block opened in dead code, or the remainder of the one in which it began."""

    __slots__ = ("height", "opcode", "params", "polymorphic", "results", "types")

    def __init__(
        self, opcode: int, height: int, params: tuple[int, ...], results: tuple[int, ...], polymorphic: bool
    ) -> None:
        self.opcode = opcode
        self.height = height
        self.params = params
        self.results = results
        self.types = params if opcode == LOOP else results
        self.polymorphic = polymorphic


class _DeadCode:
    """The type stack and the blocks of a stretch of dead code."""

    def __init__(self, c: FunctionCompiler) -> None:
        self.c = c
        label = c.labels[-1]
        self.types: list[int] = []
        self.blocks = [_Block(label.opcode, 0, label.params, label.results, True)]

    def pop(self, name: str, expected: int = UNKNOWN) -> int:
        """Pop an operand, of the expected type where one is given."""
        block = self.blocks[-1]
        if len(self.types) == block.height:
            if block.polymorphic:
                return UNKNOWN
            raise type_mismatch(name, (expected,) if expected != UNKNOWN else (), (None,))
        found = self.types.pop()
        if expected not in (found, UNKNOWN) and found != UNKNOWN:
            raise type_mismatch(name, (expected,), (found,))
        return found

    def pop_all(self, name: str, expected: tuple[int, ...]) -> None:
        """Pop operands of these types, the last one first."""
        for type_ in reversed(expected):
            self.pop(name, type_)

    def target(self, depth: int) -> tuple[int, ...]:
        """Types that a branch to the label carries, which may be outside the dead code."""
        if depth < len(self.blocks):
            return self.blocks[-1 - depth].types
        depth -= len(self.blocks) - 1
        if depth >= len(self.c.labels):
            raise BodyFault(f"unknown label {depth}")
        return self.c.labels[-1 - depth].types

    def become_polymorphic(self) -> None:
        """After an unconditional branch."""
        block = self.blocks[-1]
        del self.types[block.height :]
        block.polymorphic = True

    def close(self, name: str) -> _Block:
        """Check the results at the end of the innermost block and remove it."""
        block = self.blocks[-1]
        self.pop_all(name, block.results)
        if len(self.types) != block.height:
            raise BodyFault("type mismatch: values remain on the stack at the end of the block")
        return self.blocks.pop()


def skip_unreachable(c: FunctionCompiler, pc: int) -> int:
    """Validate dead code from ``pc`` on: the position of the ``end`` or ``else`` that ends it."""
    dead = _DeadCode(c)
    code = c.code
    while True:
        c.pc = pc
        if pc >= c.end:
            raise BodyFault("unexpected end", malformed=True)
        op = code[pc]
        if len(dead.blocks) == 1 and op in (0x0B, 0x05):
            if op == 0x05 and dead.blocks[0].opcode != IF:
                raise BodyFault("else without if: unexpected else", malformed=True)
            dead.close("end" if op == 0x0B else "else")
            return pc
        pc = _step(dead, c, op, pc + 1)


def _step(dead: _DeadCode, c: FunctionCompiler, op: int, pc: int) -> int:
    """Validate one instruction: the position behind it."""
    row = BY_CODE.get(op)
    if 0xFB <= op <= 0xFE:
        prefix, (pc, sub) = op, c.read_unsigned(pc)
        op = prefix << 12 | sub
        row = BY_CODE.get(op) if sub < 0x1000 else None
        if row is None:
            from ..later import prefixed

            raise c.env.illegal_opcode(prefixed(prefix, sub))
    if row is None:
        raise c.env.illegal_opcode(op)
    name = row[1]
    rule = _RULES.get(name if op != 0x1C else "select t")
    if rule is not None:
        return rule(dead, c, pc, name)
    for kind in row[2].split():
        pc = c.env.skip_immediate(c, pc, kind, op)
    operands, results = SIGNATURES[op]
    dead.pop_all(name, operands)
    dead.types += results
    return pc


def _block(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, params, results = c.env.block_type(c, pc)
    if name == "if":
        dead.pop(name, I32)
    dead.pop_all(name, params)
    dead.blocks.append(_Block({"block": 2, "loop": 3, "if": 4}[name], len(dead.types), params, results, False))
    dead.types += params
    return pc


def _else(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    if dead.blocks[-1].opcode != IF:
        raise BodyFault("else without if: unexpected else", malformed=True)
    block = dead.close(name)
    dead.blocks.append(_Block(5, len(dead.types), block.params, block.results, False))
    dead.types += block.params
    return pc


def _end(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    block = dead.close(name)
    if block.opcode == IF and block.params != block.results:
        raise type_mismatch("if without else", block.results, block.params)
    dead.types += block.results
    return pc


def _br(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, depth = c.read_unsigned(pc)
    dead.pop_all(name, dead.target(depth))
    dead.become_polymorphic()
    return pc


def _br_if(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, depth = c.read_unsigned(pc)
    dead.pop(name, I32)
    types = dead.target(depth)
    dead.pop_all(name, types)
    dead.types += types
    return pc


def _br_table(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, count = c.read_unsigned(pc)
    if count > c.end - pc:
        raise BodyFault("unexpected end", malformed=True)
    depths = set()
    depth = 0
    for _ in range(count + 1):
        pc, depth = c.read_unsigned(pc)
        depths.add(depth)
    dead.pop(name, I32)
    arity = len(dead.target(depth))
    for other in depths:
        types = dead.target(other)
        if len(types) != arity:
            raise BodyFault("type mismatch: the labels of br_table take different numbers of values")
        # The operands stay what they are: an unknown one fits every label.
        popped = [dead.pop(name, type_) for type_ in reversed(types)]
        dead.types += reversed(popped)
    dead.pop_all(name, dead.target(depth))
    dead.become_polymorphic()
    return pc


def _branch_away(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    if name == "return":
        dead.pop_all(name, c.labels[0].results)
    dead.become_polymorphic()
    return pc


def _call(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, index = c.read_unsigned(pc)
    params, results = c.env.function_type(index)
    dead.pop_all(name, params)
    dead.types += results
    return pc


def _call_indirect(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, type_index, _ = c.env.call_indirect_immediates(c, pc)
    params, results = c.env.type_at(type_index)
    dead.pop(name, I32)
    dead.pop_all(name, params)
    dead.types += results
    return pc


def _drop(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    dead.pop(name)
    return pc


def _select(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    dead.pop(name, I32)
    b = dead.pop(name)
    a = dead.pop(name)
    if max(a, b) >= REFERENCE or (a != b and UNKNOWN not in (a, b)):
        raise BodyFault("type mismatch: select expects two numeric operands of the same type")
    dead.types.append(max(a, b))
    return pc


def _select_typed(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, type_ = c.env.select_type(c, pc)
    dead.pop(name, I32)
    dead.pop_all(name, (type_, type_))
    dead.types.append(type_)
    return pc


def _local(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, index = c.read_unsigned(pc)
    entry = c.locals.entry(index)
    if entry is None:
        raise BodyFault(f"unknown local {index}")
    if name != "local.get":
        dead.pop(name, entry.type)
    if name != "local.set":
        dead.types.append(entry.type)
    return pc


def _global(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, index = c.read_unsigned(pc)
    type_, _, _ = c.env.global_at(index, name == "global.set")
    if name == "global.get":
        dead.types.append(type_)
    else:
        dead.pop(name, type_)
    return pc


def _table_access(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, index = c.read_unsigned(pc)
    element = c.env.table_type(index)
    if name == "table.get":
        dead.pop(name, I32)
        dead.types.append(element)
    elif name == "table.set":
        dead.pop_all(name, (I32, element))
    elif name == "table.grow":
        dead.pop_all(name, (element, I32))
        dead.types.append(I32)
    else:
        dead.pop_all(name, (I32, element, I32))
    return pc


def _table_init(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, _, _ = c.env.table_init_immediates(c, pc) if name == "table.init" else c.env.table_copy_immediates(c, pc)
    dead.pop_all(name, (I32, I32, I32))
    return pc


def _ref_null(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, type_ = c.env.heap_type(c, pc)
    dead.types.append(type_)
    return pc


def _ref_is_null(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    type_ = dead.pop(name)
    if type_ != UNKNOWN and type_ < REFERENCE:
        raise BodyFault("type mismatch: ref.is_null expects a reference")
    dead.types.append(I32)
    return pc


def _ref_func(dead: _DeadCode, c: FunctionCompiler, pc: int, name: str) -> int:
    pc, index = c.read_unsigned(pc)
    c.env.declared_reference(index)
    dead.types.append(FUNCREF)
    return pc


_RULES = {
    "block": _block,
    "loop": _block,
    "if": _block,
    "else": _else,
    "end": _end,
    "br": _br,
    "br_if": _br_if,
    "br_table": _br_table,
    "return": _branch_away,
    "unreachable": _branch_away,
    "call": _call,
    "call_indirect": _call_indirect,
    "drop": _drop,
    "select": _select,
    "select t": _select_typed,
    "local.get": _local,
    "local.set": _local,
    "local.tee": _local,
    "global.get": _global,
    "global.set": _global,
    "table.get": _table_access,
    "table.set": _table_access,
    "table.grow": _table_access,
    "table.fill": _table_access,
    "table.init": _table_init,
    "table.copy": _table_init,
    "ref.null": _ref_null,
    "ref.is_null": _ref_is_null,
    "ref.func": _ref_func,
}
