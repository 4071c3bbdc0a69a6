"""Which function handles which opcode: found by name in the module of its topic, loaded when it is first needed."""

from __future__ import annotations

from ..opcodes import BY_CODE
from .function import FunctionCompiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[FunctionCompiler, int], int]

#: Instructions by the module of this package that handles them; everything else is in :data:`_DEFAULT`.
_TOPICS = {
    "blocks": "nop block loop if else end",
    "branches": "unreachable br br_if br_table return",
    "parametric": "drop select",
    "calls": "call call_indirect",
    "fusion": "i32.shl i32.shr_s i32.shr_u i32.mul i64.shl i64.shr_s i64.shr_u i64.mul",
    "operations": "memory.grow memory.init data.drop memory.copy memory.fill "
    "table.init elem.drop table.copy table.fill table.grow",
}
_DEFAULT = "context_access"
_TOPIC_OF = {name: topic for topic, names in _TOPICS.items() for name in names.split()}
#: Where the name of the function is not the instruction's with underscores for dots.
_OWN_NAMES: dict[int, str] = {0x04: "if_", 0x05: "else_", 0x0F: "return_", 0x1C: "select_typed"}


def _handler(code: int) -> Handler | None:
    """The function that handles an opcode, or ``None`` for what the hot loop handles itself and for what is no opcode,
    or one of a proposal that is not built.
    """
    row = BY_CODE.get(code)
    if row is None:
        return None
    _, name, immediates, operands, results, _ = row
    topic = _TOPIC_OF.get(name, _DEFAULT)
    if immediates == "memarg":
        function = "load" if results else "store"
    elif topic == "fusion":
        function = "with_next"
    elif not immediates and operands and results:
        return None
    else:
        function = _OWN_NAMES.get(code) or name.replace(".", "_")
    module = __import__(f"{__package__}.{topic}", fromlist=[topic])
    found: Handler = getattr(module, function)
    return found


def _find(c: FunctionCompiler, pc: int) -> int:
    """Stands for each handler until its first use: finds the real one, and gives it its own place."""
    code = c.code[pc - 1]
    handler = _behind_prefix if code == _PREFIX else _handler(code)
    if handler is None:
        if code in _OTHER_PREFIXES:
            from ..later import prefixed

            code = prefixed(code, c.read_unsigned(pc)[1])
        raise c.env.illegal_opcode(code)
    HANDLERS[code] = handler
    return handler(c, pc)


def load_all() -> None:
    """Load the modules of all topics, which else happens when the first instruction of each is met."""
    for topic in (*_TOPICS, _DEFAULT):
        __import__(f"{__package__}.{topic}")


def _behind_prefix(c: FunctionCompiler, pc: int) -> int:
    """The instructions behind the prefix 0xFC."""
    pc, sub = c.read_unsigned(pc)
    if sub < 8:
        from .context_access import saturating_truncation

        return saturating_truncation(c, pc, 0xFC000 + sub)
    # A larger number would run into the numbers of another prefix.
    handler = _prefixed.get(sub) or (_handler(0xFC000 + sub) if sub < 0x1000 else None)
    if handler is None:
        from ..later import prefixed

        raise c.env.illegal_opcode(prefixed(_PREFIX, sub))
    _prefixed[sub] = handler
    return handler(c, pc)


_PREFIX = 0xFC
#: Prefixes of which no instruction is built.
_OTHER_PREFIXES = (0xFB, 0xFD, 0xFE)
#: Handlers by opcode byte, for what the hot loop does not handle itself.
HANDLERS: list[Handler] = [_find] * 256
_prefixed: dict[int, Handler] = {}
