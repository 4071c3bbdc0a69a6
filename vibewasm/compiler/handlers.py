"""Which function handles which opcode: found by name in the module of its topic, loaded when it is first needed."""

from __future__ import annotations

from ..opcodes import TABLE
from .function import FunctionCompiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[FunctionCompiler, int], int]

#: Instructions by the module of this package that handles them; everything else is in :data:`_DEFAULT`.
_TOPICS = {
    "control_flow": "unreachable nop block loop if else end br br_if br_table return drop select",
    "calls": "call call_indirect",
    "fusion": "i32.shl i32.shr_s i32.shr_u i32.mul i64.shl i64.shr_s i64.shr_u i64.mul",
    "operations": "memory.grow memory.init data.drop memory.copy memory.fill "
    "table.init elem.drop table.copy table.fill table.grow",
}
_DEFAULT = "context_access"
_TOPIC_OF = {name: topic for topic, names in _TOPICS.items() for name in names.split()}
_FUSED = frozenset(_TOPICS["fusion"].split())
#: Where the name of the function is not the instruction's with underscores for dots.
_OWN_NAMES: dict[int, str] = {0x04: "if_", 0x05: "else_", 0x0F: "return_", 0x1C: "select_typed"}


def _unknown(c: FunctionCompiler, pc: int) -> int:
    """A byte that is no opcode, or that of a proposal that is not built."""
    raise c.env.illegal_opcode(c.code[pc - 1])


def _late(code: int, name: str, access: str) -> Handler:
    """A handler that finds the real one at its first use, and gives it its own place."""

    def find(c: FunctionCompiler, pc: int) -> int:
        topic = _TOPIC_OF.get(name, _DEFAULT)
        module = __import__(f"{__package__}.{topic}", fromlist=[topic])
        found: Handler = getattr(module, access or _OWN_NAMES.get(code, name.replace(".", "_")))
        if code < 256:
            HANDLERS[code] = found
        else:
            _prefixed[code - 0xFC000] = found
        return found(c, pc)

    return find


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
    handler = _prefixed.get(sub)
    if handler is None:
        raise c.env.illegal_opcode(0xFC000 + sub)
    return handler(c, pc)


#: Handlers by opcode byte, for what the hot loop does not handle itself.
HANDLERS: list[Handler] = [_unknown] * 256
_prefixed: dict[int, Handler] = {}


def _fill() -> None:
    for code, name, immediates, operands, results, _ in TABLE:
        access = ""
        if immediates == "memarg":
            access = "load" if results else "store"
        elif name in _FUSED:
            access = "with_next"
        elif not immediates and operands and results:
            continue
        handler = _late(code, name, access)
        if code < 256:
            HANDLERS[code] = handler
        else:
            _prefixed[code - 0xFC000] = handler
    HANDLERS[0xFC] = _behind_prefix


_fill()
