"""Which instruction is compiled where: by the loop itself, or by a function in this package, in the module of its
topic.

A handler takes the compilation and the position after the opcode, and returns the position of the next instruction.
It is found by name, and its module loaded, when an instruction of that kind is first met.
"""

from __future__ import annotations

from ...opcodes import ACCESSES, PREFIXES, TABLE, VECTOR_PREFIX, codes_with, name_of, row_of
from ..state import Compilation, Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .. import immediates

    Handler = Callable[[Compilation, int], int]
else:
    immediates = Late("immediates")

# -- what the loop handles itself --------------------------------------------------------------------------------------

#: How the loop handles an opcode byte: by a handler, or in one of the ways that it knows itself. They are compared by
#: identity, which CPython does faster where a jump is far.
LOCAL_GET, LOCAL_SET, I32_CONST, LOAD, STORE = "local.get", "local.set", "i32.const", "load", "store"
BINARY, UNARY, BR_IF, END, BY_HANDLER = "binary", "unary", "br_if", "end", "by handler"

#: Those that are no group by their columns.
_KINDS_BY_NAME = {
    "local.get": LOCAL_GET,
    "local.set": LOCAL_SET,
    "local.tee": LOCAL_SET,
    "i32.const": I32_CONST,
    # Of these the loop handles the usual form, and leaves the others to their handlers.
    "br_if": BR_IF,
    "end": END,
}


def _find_kinds() -> dict[int, str]:
    kinds = {}
    for code, name, immediates, operands, results, _, _ in TABLE:
        if name in _KINDS_BY_NAME:
            kinds[code] = _KINDS_BY_NAME[name]
        elif not operands:
            pass
        elif immediates == "memarg":
            kinds[code] = LOAD if results else STORE
        elif not immediates and results:
            kinds[code] = BINARY if len(operands) == 2 else UNARY
    return kinds


def _by_byte(values: dict[int, Any], default: Any) -> tuple[Any, ...]:
    """A table by opcode byte."""
    table = [default] * 256
    for code, value in values.items():
        if code < 256:
            table[code] = value
    return tuple(table)


#: Kind of each opcode byte.
KINDS: tuple[str, ...] = _by_byte(_find_kinds(), BY_HANDLER)
#: The same where loads and stores need more than a displacement: explicit bounds checks, or no memory at all.
KINDS_WITHOUT_PLAIN_ACCESS = tuple([BY_HANDLER if kind is LOAD or kind is STORE else kind for kind in KINDS])
#: By opcode byte, base-2 logarithm of the size of a load or store, 255 for others.
ALIGNMENTS: tuple[int, ...] = _by_byte(ACCESSES, 255)
#: By opcode byte, whether it is a comparison, whose outcome may stay in the flags.
COMPARES: tuple[bool, ...] = _by_byte(dict.fromkeys(codes_with("compares"), True), False)
#: What takes it from there.
TAKES_FLAGS = codes_with("tests")
#: By opcode byte, whether it has two operands, the second of which may be a constant; and where none is to be taken
#: along.
TAKES_CONSTANT = tuple([kind is BINARY for kind in KINDS])
TAKES_NO_CONSTANT = (False,) * 256


def with_handlers(kinds: tuple[str, ...], codes: frozenset[int]) -> tuple[str, ...]:
    """The same kinds, but for some opcodes that are left to their handlers."""
    return tuple([BY_HANDLER if code in codes else kind for code, kind in enumerate(kinds)])


# -- handlers ----------------------------------------------------------------------------------------------------------

#: Names of instructions by the module of this package that handles them. Each is here, or the loop handles it, or its
#: columns say which function it takes.
TOPICS = {
    "blocks": "nop block loop if else end",
    "branches": "unreachable br br_if br_table return",
    "parametric": "drop select select_t",
    "calls": "call call_indirect",
    "context_access": "i64.const f32.const f64.const global.get global.set table.get table.set table.size "
    "memory.size ref.null ref.is_null ref.func",
    "references": "call_ref ref.as_non_null br_on_null br_on_non_null",
    "tail_calls": "return_call return_call_indirect return_call_ref",
    "exceptions": "try_table throw throw_ref",
    "legacy_exceptions": "try catch catch_all delegate rethrow",
    "operations": "memory.grow memory.init data.drop memory.copy memory.fill "
    "table.init elem.drop table.copy table.fill table.grow",
}
#: Topics of instructions that few modules have.
_RARE = ("references", "tail_calls", "exceptions", "legacy_exceptions")
_TOPIC_OF = {name: topic for topic, names in TOPICS.items() for name in names.split()}
#: The module, and its function, for all that stands after the prefix of vector instructions.
_VECTORS = "vectors"
#: The module of what a backend may take together with the next instruction: the backend says which (``FUSED``).
_FUSION = "fusion"
#: The module of what makes NaNs, where they have to be canonical.
_CANONICAL = "canonical"
#: Where the name of the function is not the instruction's with underscores for dots.
_OWN_NAMES = {"if": "if_", "else": "else_", "return": "return_", "try": "try_"}


def handler_of(code: int) -> Handler | None:
    """The function that handles an opcode, or ``None`` for what the loop alone handles and for what has no row."""
    row = row_of(code)
    if row is None:
        return None
    if code >> 32 == VECTOR_PREFIX:
        vector: Handler = _load(_VECTORS).vector
        return vector
    _, name, immediates, operands, results, *_ = row
    topic = _TOPIC_OF.get("select_t" if immediates == "types" else name)
    if immediates == "memarg":
        topic, function = "context_access", "load" if results else "store"
    elif topic is not None:
        function = "select_t" if immediates == "types" else _OWN_NAMES.get(name) or name.replace(".", "_")
    elif code < 256 and KINDS[code] is BINARY:
        # The loop handles these, but for those that the backend may take together with the next one.
        topic, function = (_CANONICAL, "scalar") if operands in ("ff", "dd") else (_FUSION, "with_next")
    elif code < 256 and KINDS[code] is UNARY and results in ("f", "d"):
        topic, function = _CANONICAL, "scalar"
    elif code > 255 and not immediates and operands and results:
        # Its handler has to be told which instruction it is.
        unary = _load("context_access").unary
        return lambda c, pc: unary(c, pc, code)
    else:
        return None
    found: Handler = getattr(_load(topic), function)
    return found


def rare_rule(code: int) -> Callable[[Any, Compilation, int, str], int]:
    """The rule in dead code of an instruction that few modules have."""
    rule: Callable[[Any, Compilation, int, str], int] = _load("unreachable_control").RULES[name_of(code)]
    return rule


def _load(topic: str) -> Any:
    name = f"{__package__}.{topic}"
    module = __import__(name, fromlist=("*",))
    # Python hands out what is not finished where another thread's import of it fails while this one waits for that: an
    # exception of a signal handler may come up anywhere. The modules are those of the interpreter that runs this.
    while module is not __import__("sys").modules.get(name):
        module = __import__(name, fromlist=("*",))
    return module


def load_all() -> None:
    """Load the modules of all topics, which else happens when the first instruction of each is met.

    Those that few modules have any instructions of are left for that.
    """
    for topic in (*TOPICS, _FUSION):
        if topic not in _RARE:
            _load(topic)


def _find(c: Compilation, pc: int) -> int:
    """Stands for each handler until its first use: finds the real one, and gives it its own place."""
    code = c.code[pc - 1]
    handler: Handler | None
    if code == VECTOR_PREFIX:
        handler = _load(_VECTORS).first_vector
    else:
        handler = _after_prefix if code in PREFIXES else handler_of(code)
    if handler is None:
        raise immediates.illegal_opcode(code)
    HANDLERS[code] = handler
    return handler(c, pc)


def _after_prefix(c: Compilation, pc: int) -> int:
    """The instructions after a prefix."""
    pc, code = immediates.read_opcode(c, pc - 1)
    handler = _prefixed.get(code)
    if handler is None:
        handler = handler_of(code)
        if handler is None:
            raise immediates.illegal_opcode(code)
        _prefixed[code] = handler
    return handler(c, pc)


#: Handlers by opcode byte, for what the loop does not handle itself, and by code for what is after a prefix.
HANDLERS: list[Handler] = [_find] * 256
_prefixed: dict[int, Handler] = {}
