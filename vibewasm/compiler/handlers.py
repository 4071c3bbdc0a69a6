"""Instructions that the hot loop does not handle itself, one function each, and the table of all of them."""

from __future__ import annotations

from ..backends.operand import BARRIER, CONSTANT, F32, F64, I32, I64, REFERENCE, SLOT, Operand, constant, register, slot
from ..opcodes import TABLE, name_of
from ..types import FUNCREF
from . import control_flow
from .errors import BodyFault, type_mismatch
from .function import FunctionCompiler
from .tables import ALIGNMENTS, SIGNATURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[FunctionCompiler, int], int]

TRAP_BAD_SIGNATURE = 5
TRAP_UNDEFINED_ELEMENT = 10

#: More arguments than this are passed in loops.
MANY = 24
#: Numbers of the store's builtins, see ``docs/abi.md``.
MEMORY_GROW, MEMORY_INIT, DATA_DROP, TABLE_INIT, ELEM_DROP, TABLE_COPY, TABLE_FILL, TABLE_GROW = range(8)


# -- constants
# ----------------------------------------------------------------------------------------------------------


def i64_const(c: FunctionCompiler, pc: int) -> int:
    """``i64.const n``."""
    pc, value = c.read_signed(pc, 64)
    c.stack.append(constant(I64, value & 0xFFFF_FFFF_FFFF_FFFF))
    return pc


def f32_const(c: FunctionCompiler, pc: int) -> int:
    """``f32.const z``."""
    if pc + 4 > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.stack.append(constant(F32, int.from_bytes(c.code[pc : pc + 4], "little")))
    return pc + 4


def f64_const(c: FunctionCompiler, pc: int) -> int:
    """``f64.const z``."""
    if pc + 8 > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.stack.append(constant(F64, int.from_bytes(c.code[pc : pc + 8], "little")))
    return pc + 8


# -- reads and writes of the context ----------------------------------------------------------------------------------


def _read(c: FunctionCompiler, pc: int, op: int, kind: str, type_: int, *arguments: object) -> int:
    """Push what the backend reads from the context."""
    sink = c.sink(pc, type_)
    free = c.free
    key = (op, free, sink, *arguments)
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_read(kind, free, sink, *arguments)
        c.target.remember(key, choice)
    return c.finish(pc, choice, sink)


def global_get(c: FunctionCompiler, pc: int) -> int:
    """``global.get x``."""
    pc, index = c.read_unsigned(pc)
    type_ = c.env.global_type(index, False)
    layout = c.env.layout
    return _read(c, pc, 0x23, "global_get", type_, type_, layout.global_(index), layout.global_by_pointer(index))


def global_set(c: FunctionCompiler, pc: int) -> int:
    """``global.set x``."""
    pc, index = c.read_unsigned(pc)
    value = c.pop("global.set", c.env.global_type(index, True))
    layout = c.env.layout
    key = (0x24, c.free, value, layout.global_(index), layout.global_by_pointer(index))
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_write("global_set", *key[1:])
        c.target.remember(key, choice)
    text, c.free = choice
    c.out += text
    return pc


def table_get(c: FunctionCompiler, pc: int) -> int:
    """``table.get x``."""
    pc, index = c.read_unsigned(pc)
    type_ = c.env.table_type(index)
    entry = c.pop("table.get", I32)
    return _read(c, pc, 0x25, "table_get", type_, type_, c.env.layout.table(index), entry)


def table_set(c: FunctionCompiler, pc: int) -> int:
    """``table.set x``."""
    pc, index = c.read_unsigned(pc)
    type_ = c.env.table_type(index)
    c.check_top("table.set", (I32, type_))
    value = c.stack.pop()
    entry = c.stack.pop()
    text, c.free = c.target.lower_write("table_set", c.free, c.env.layout.table(index), entry, value)
    c.out += text
    return pc


def table_size(c: FunctionCompiler, pc: int) -> int:
    """``table.size x``."""
    pc, index = c.read_unsigned(pc)
    c.env.table_type(index)
    return _read(c, pc, 0xFC010, "table_size", I32, c.env.layout.table(index))


def memory_size(c: FunctionCompiler, pc: int) -> int:
    """``memory.size x``."""
    pc, index = c.env.memory_immediate(c, pc)
    return _read(c, pc, 0x3F, "memory_size", I32, c.env.layout.memory(index))


# -- references
# ----------------------------------------------------------------------------------------------------------


def ref_null(c: FunctionCompiler, pc: int) -> int:
    """``ref.null t``: the cell 0."""
    pc, type_ = c.env.heap_type(c, pc)
    c.stack.append(constant(type_, 0))
    return pc


def ref_is_null(c: FunctionCompiler, pc: int) -> int:
    """``ref.is_null``."""
    entry = c.stack[-1]
    if entry.type < REFERENCE:
        if entry.kind == BARRIER:
            raise type_mismatch("ref.is_null", (FUNCREF,), (None,))
        raise BodyFault("type mismatch: ref.is_null expects a reference")
    c.stack.pop()
    sink = c.sink(pc, I32)
    return c.finish(pc, c.target.lower(c.target.rule("ref.is_null"), (entry,), c.free, sink), sink)


def ref_func(c: FunctionCompiler, pc: int) -> int:
    """``ref.func x``."""
    pc, index = c.read_unsigned(pc)
    dense = c.env.declared_reference(index)
    return _read(c, pc, 0xD2, "context_cell", FUNCREF, FUNCREF, c.env.layout.ref(dense))


# -- loads and stores that need more than a displacement ---------------------------------------------------------------


def _access(c: FunctionCompiler, pc: int) -> tuple[int, int, int]:
    op = c.code[pc - 1]
    after, offset = c.read_memarg(pc - 1, ALIGNMENTS[op])
    c.env.require_memory()
    return op, after, offset


def load(c: FunctionCompiler, pc: int) -> int:
    """Any load, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    entry = c.pop(name_of(op), c.env.address_type)
    c.free = c.far_load(op, entry, offset, c.free)
    return pc


def store(c: FunctionCompiler, pc: int) -> int:
    """Any store, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    c.check_top(name_of(op), (c.env.address_type, SIGNATURES[op][0][1]))
    value = c.stack.pop()
    entry = c.stack.pop()
    c.free = c.far_store(op, entry, value, offset, c.free)
    return pc


# -- calls
# -----------------------------------------------------------------------------------------------------------------


def _pass_arguments(
    c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None = None
) -> None:
    """Check and pop the arguments, move everything else out of the temporaries, and put the arguments in their
    places.
    """
    if len(params) > MANY:
        _pass_many(c, params, instruction, index)
        return
    text, plan = c.env.argument_plan(params)
    arguments = c.stack[-len(params) :] if params else []
    if index is not None:
        arguments.append(index)
        plan = (c.env.index_plan, *plan)
    c.makes_calls = True
    if _pass_one_by_one(c, arguments, text, plan, len(params)):
        return
    stack = c.stack
    target = c.target
    if params:
        c.check_top(instruction, params)
        del stack[-len(params) :]
    held = 0
    for argument in arguments:
        held |= argument.bit
    if c.free | held != target.ALL_FREE:
        c.free = c.evict(target.ALL_FREE & ~held, c.free, tuple(arguments))
    if index is not None:
        arguments.pop()
    c.out += c.env.control.arguments(tuple(arguments), c.free, params, index)
    c.free = target.ALL_FREE


def _pass_many(c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None) -> None:
    """Pass many arguments: all go to their slots, and from there in loops, so that code stays small."""
    c.makes_calls = True
    c.check_top(instruction, params)
    control = c.env.control
    if index is not None:
        # The arguments need every temporary: the index waits in the slot beyond them.
        waiting = c.slot_offset(len(c.stack))
        c.out += c.target.move_to_slot(index, waiting, c.free)
        c.free |= index.bit
    c.flush()
    first = len(c.stack) - len(params)
    c.out += c.env.piece(control.arguments_from_slots, params, c.slot_offset(first))
    del c.stack[first:]
    if index is not None:
        c.out += c.target.move_to_register(slot(I32, waiting), control.INDEX_PLAN[1], 0)
    c.free = c.target.ALL_FREE


def _pass_one_by_one(
    c: FunctionCompiler, arguments: list[Operand], text: bytes, plan: tuple[tuple[int, int, int], ...], count: int
) -> bool:
    """The usual call, with no argument in the way of another: each move is looked up by itself.

    Args:
        arguments: the topmost ``count`` entries of the stack, and the index of an indirect call if there is one.
        text, plan: how arguments of these types are passed, see the backend's ``argument_plan``.

    Returns:
        whether it was one; if not, nothing has happened.
    """
    if len(arguments) != len(plan):
        return False
    pending = 0
    for argument in arguments:
        pending |= argument.bit
    held = pending
    find = c.target.MEMO.get
    # From the last to the first: temporaries are given out in the order of parameters, one behind.
    arguments.reverse()
    for argument, (type_, reg, bit) in zip(arguments, plan):  # noqa: B905  (the lengths are equal, and this is hot)
        pending &= ~argument.bit
        if pending & bit or argument.type != type_:
            arguments.reverse()
            return False
        choice = find((0x10, argument, reg))
        if choice is None:
            move = c.env.control.argument(argument, reg)
            if move is None:
                arguments.reverse()
                return False
            choice = (move,)
            if argument.kind != CONSTANT or argument.value < 64:
                c.target.remember((0x10, argument, reg), choice)
        text += choice[0]
    if count:
        del c.stack[-count:]
    all_free = c.target.ALL_FREE
    if c.free | held != all_free:
        c.evict(all_free & ~held, c.free, tuple(arguments))
    c.out += text
    c.free = all_free
    return True


def _take_results(c: FunctionCompiler, results: tuple[int, ...]) -> None:
    """Push a call's results."""
    if len(results) == 1:
        entry = register(results[0], c.target.RESULT_REGISTER)
        c.stack.append(entry)
        c.free &= ~entry.bit
    elif results:
        stack = c.stack
        if stack[-1].kind < SLOT:
            # The results go to slots, and below a slot everything has to be in one; the first two results are in
            # registers.
            c.free = c.target.ALL_FREE & ~c.env.control.RESULT_BITS
            c.flush()
        height = len(stack)
        first = c.slot_offset(height)
        c.slot_offset(height + len(results) - 1)
        c.out += c.env.piece(c.env.control.fetch_results, results, first)
        stack += c.env.piece(_result_entries, results, first)
        c.free = c.target.ALL_FREE


def _result_entries(results: tuple[int, ...], first: int) -> list[Operand]:
    """Entries of results in consecutive slots."""
    return [slot(type_, first - 8 * index) for index, type_ in enumerate(results)]


def call(c: FunctionCompiler, pc: int) -> int:
    """``call x``."""
    code = c.code
    index = code[pc]
    pc += 1
    if index > 127:
        if code[pc] < 128:
            index += (code[pc] << 7) - 128
            pc += 1
        else:
            pc, index = c.read_unsigned(pc - 1)
    env = c.env
    callee = env.callees.get(index) or env.callee(index)
    params, results, text, plan, going = callee
    count = len(params)
    c.makes_calls = True
    if not count:
        if c.free != c.target.ALL_FREE:
            c.spill_registers()
    elif count > MANY or not _pass_one_by_one(c, c.stack[-count:], text, plan, count):
        _pass_arguments(c, params, "call")
    if index - env.info.imported_funcs == c.self_index:
        c.out += env.control.call_self()
        c.self_calls.append(len(c.out))
    else:
        c.out += going
    if results:
        _take_results(c, results)
    return pc


def call_indirect(c: FunctionCompiler, pc: int) -> int:
    """``call_indirect x y``."""
    env = c.env
    pc, type_index, table = env.call_indirect_immediates(c, pc)
    params, results = env.type_at(type_index)
    index = c.pop("call_indirect", I32)
    _pass_arguments(c, params, "call_indirect", index)
    out = c.out
    bound, check, go = env.piece(env.control.call_table, env.layout.table(table), env.layout.type_id(type_index))
    out += bound
    c.cold.append((len(out), TRAP_UNDEFINED_ELEMENT, c.pc, 0))
    out += check
    c.cold.append((len(out), TRAP_BAD_SIGNATURE, c.pc, 0))
    out += go
    _take_results(c, results)
    return pc


# -- operations of the runtime -----------------------------------------------------------------------------------------


def _builtin(
    c: FunctionCompiler, number: int, instruction: str, immediates: tuple[int, ...], checked: tuple[int, ...]
) -> None:
    """Call a builtin with immediates as its first arguments and operands as the rest."""
    c.check_top(instruction, checked)
    count = len(checked)
    operands = c.stack[len(c.stack) - count :]
    del c.stack[len(c.stack) - count :]
    c.stack += [constant(I32, value) for value in immediates]
    c.stack += operands
    _pass_arguments(c, (I32,) * len(immediates) + checked, instruction)
    c.out += c.env.control.call_builtin(number)


def memory_grow(c: FunctionCompiler, pc: int) -> int:
    """``memory.grow x``."""
    pc, index = c.env.memory_immediate(c, pc)
    _builtin(c, MEMORY_GROW, "memory.grow", (index,), (I32,))
    c.push_result(I32)
    return pc


def memory_init(c: FunctionCompiler, pc: int) -> int:
    """``memory.init y x``."""
    pc, segment = c.read_unsigned(pc)
    pc, index = c.env.memory_immediate(c, pc)
    c.env.data_segment(segment)
    _builtin(c, MEMORY_INIT, "memory.init", (index, segment), (I32, I32, I32))
    return pc


def data_drop(c: FunctionCompiler, pc: int) -> int:
    """``data.drop x``."""
    pc, segment = c.read_unsigned(pc)
    c.env.data_segment(segment)
    _builtin(c, DATA_DROP, "data.drop", (segment,), ())
    return pc


def memory_copy(c: FunctionCompiler, pc: int) -> int:
    """``memory.copy x y``."""
    pc, destination = c.env.memory_immediate(c, pc)
    pc, source = c.env.memory_immediate(c, pc)
    _bulk(c, "memory.copy", False, destination, source)
    return pc


def memory_fill(c: FunctionCompiler, pc: int) -> int:
    """``memory.fill x``."""
    pc, index = c.env.memory_immediate(c, pc)
    _bulk(c, "memory.fill", True, index, index)
    return pc


def _bulk(c: FunctionCompiler, instruction: str, fill: bool, destination: int, source: int) -> None:
    c.makes_calls = True
    c.check_top(instruction, (I32, I32, I32))
    stack = c.stack
    n = stack.pop()
    middle = stack.pop()
    first = stack.pop()
    operands = (first, middle, n)
    free = c.evict(c.target.ALL_FREE & ~(first.bit | middle.bit | n.bit), c.free, operands)
    c.free = free
    control = c.env.control
    layout = c.env.layout
    c.out += control.bulk_arguments(operands)
    c.out += control.call_bulk(fill, layout.memory(destination), layout.memory(source))
    c.free = c.target.ALL_FREE


def table_init(c: FunctionCompiler, pc: int) -> int:
    """``table.init y x``."""
    pc, segment, table = c.env.table_init_immediates(c, pc)
    _builtin(c, TABLE_INIT, "table.init", (table, segment), (I32, I32, I32))
    return pc


def elem_drop(c: FunctionCompiler, pc: int) -> int:
    """``elem.drop x``."""
    pc, segment = c.read_unsigned(pc)
    c.env.element_segment(segment)
    _builtin(c, ELEM_DROP, "elem.drop", (segment,), ())
    return pc


def table_copy(c: FunctionCompiler, pc: int) -> int:
    """``table.copy x y``."""
    pc, destination, source = c.env.table_copy_immediates(c, pc)
    _builtin(c, TABLE_COPY, "table.copy", (destination, source), (I32, I32, I32))
    return pc


def table_fill(c: FunctionCompiler, pc: int) -> int:
    """``table.fill x``."""
    pc, table = c.read_unsigned(pc)
    type_ = c.env.table_type(table)
    _builtin(c, TABLE_FILL, "table.fill", (table,), (I32, type_, I32))
    return pc


def table_grow(c: FunctionCompiler, pc: int) -> int:
    """``table.grow x``."""
    pc, table = c.read_unsigned(pc)
    type_ = c.env.table_type(table)
    _builtin(c, TABLE_GROW, "table.grow", (table,), (type_, I32))
    c.push_result(I32)
    return pc


# -- the table ---------------------------------------------------------------------------------------------------------


def saturating_truncation(c: FunctionCompiler, pc: int, op: int) -> int:
    """The eight ``trunc_sat`` conversions."""
    operands, results = SIGNATURES[op]
    name = name_of(op)
    entry = c.pop(name, operands[0])
    sink = c.sink(pc, results[0])
    return c.finish(pc, c.target.lower(c.target.rule(name), (entry,), c.free, sink), sink)


def prefixed(c: FunctionCompiler, pc: int) -> int:
    """The instructions behind the prefix 0xFC."""
    pc, sub = c.read_unsigned(pc)
    if sub < 8:
        return saturating_truncation(c, pc, 0xFC000 + sub)
    handler = _PREFIXED.get(sub)
    if handler is None:
        raise c.env.illegal_opcode(0xFC000 + sub)
    return handler(c, pc)


def unknown(c: FunctionCompiler, pc: int) -> int:
    """A byte that is no opcode, or that of a proposal that is not built."""
    raise c.env.illegal_opcode(c.code[pc - 1])


_OWN_NAMES: dict[int, str] = {0x04: "if_", 0x05: "else_", 0x0F: "return_", 0x1C: "select_typed"}


def _handlers() -> tuple[list[Handler], dict[int, Handler]]:
    handlers: list[Handler] = [unknown] * 256
    behind_prefix: dict[int, Handler] = {}
    for code, name, immediates, _, results, _ in TABLE:
        if immediates == "memarg":
            handler: Handler | None = load if results else store
        else:
            own = _OWN_NAMES.get(code, name.replace(".", "_"))
            handler = globals().get(own) or getattr(control_flow, own, None)
        if handler is None:
            continue
        if code < 256:
            handlers[code] = handler
        else:
            behind_prefix[code - 0xFC000] = handler
    handlers[0xFC] = prefixed
    return handlers, behind_prefix


HANDLERS, _PREFIXED = _handlers()
