"""A module in which every instruction of the opcode table has something to refer to, and how each is used in it."""

from __future__ import annotations

from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, local_get
from tests.fuzz.instructions import CATCH, CATCH_ALL, Instruction, encode
from vibewasm.opcodes import BY_CODE, CODE, VECTOR_PREFIX, Row, has_signature, load_vectors, signature
from vibewasm.types import EXNREF, EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, FuncType, ValType

load_vectors()

#: An immediate of each kind that is right in :func:`module`; index 0 is there in every index space.
IMMEDIATES: dict[str, object] = {
    **dict.fromkeys(("label", "func", "type", "table", "local", "global", "memory", "data", "elem", "tag"), 0),
    **dict.fromkeys(("i32", "i64", "f32", "f64"), 1),
    "block": -0x40,
    "heap": -0x10,
    "labels": (0, 0),
    "memarg": (0, 0),
    **dict.fromkeys(("v128", "lane", "lanes"), 1),
    "types": (0x7F,),
    "catches": ((CATCH, 0, 0), (CATCH_ALL, 0, 0)),
}
#: A reference to a function of type 0, which has no parameters and no results.
TO_FUNCTION = ValType.ref(FuncType()).code
#: Types of the operands of instructions that take what their immediates or the stack say, in :func:`module`.
OPERANDS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("unreachable", "block", "loop", "else", "end", "br", "return", "call"), ()),
    **dict.fromkeys(("local.get", "global.get", "ref.null", "ref.func"), ()),
    **dict.fromkeys(("try_table", "try", "catch", "catch_all", "delegate", "throw", "rethrow", "return_call"), ()),
    **dict.fromkeys(("ref.as_non_null", "br_on_null", "br_on_non_null"), (FUNCREF,)),
    **dict.fromkeys(("call_ref", "return_call_ref"), (TO_FUNCTION,)),
    "return_call_indirect": (I32,),
    "throw_ref": (EXNREF,),
    **dict.fromkeys(("if", "br_if", "br_table", "call_indirect", "drop", "local.set", "local.tee"), (I32,)),
    **dict.fromkeys(("global.set", "table.get"), (I32,)),
    **dict.fromkeys(("select", "select t"), (I32, I32, I32)),
    "table.set": (I32, FUNCREF),
    "table.grow": (FUNCREF, I32),
    "table.fill": (I32, FUNCREF, I32),
    "ref.is_null": (FUNCREF,),
}
#: Parameters of the function: one of each type, and which it is.
PARAMS = ("i32", "i64", "f32", "f64", "funcref", "externref", "exnref")
#: The same with a vector, which makes another function of it.
PARAMS_WITH_VECTOR = (*PARAMS, "v128")
LOCALS = {I32: 0, I64: 1, F32: 2, F64: 3, FUNCREF: 4, EXTERNREF: 5, EXNREF: 6, V128: 7}
_END, _ELSE, _IF = (bytes((CODE[name],)) for name in ("end", "else", "if"))
_TRY, _CATCH_ALL = bytes((CODE["try"], 0x40)), bytes((CODE["catch_all"],))
_BLOCK_OF_REFERENCE = bytes((CODE["block"], 0x70))
_DROP, _NULL = bytes((CODE["drop"],)), bytes((CODE["ref.null"],))
_EMPTY_IF = _IF + b"\x40"


def module(body: bytes, results: tuple[str, ...] = (), *, whole: bool = False) -> bytes:
    """A module whose function 1 has this body, without its ``end`` unless it is ``whole``; function 0 does nothing."""
    # Where it may have vectors, a parameter is one.
    params = PARAMS_WITH_VECTOR if VECTOR_PREFIX in body else PARAMS
    builder = ModuleBuilder()
    first = builder.func((), ())
    builder.table(4)
    builder.memory(1, 2)
    builder.tag(())
    builder.global_("i32", i32_const(0), mutable=True)
    builder.elem([first], None)
    builder.data(b"data", None)
    if whole:
        builder.raw_func(builder.type(params, results), b"\0" + body)
    else:
        builder.func(params, results, body, export="f")
    return builder.build()


def name_of(row: Row) -> str:
    """The instruction's name in :data:`~vibewasm.opcodes.CODE`."""
    return "select t" if row[2] == "types" else row[1]


def operands_of(row: Row) -> tuple[int, ...]:
    """Types of the operands that it takes in :func:`module`; ``KeyError`` where nobody has said so."""
    return signature(row[0])[0] if has_signature(row[0]) else OPERANDS[name_of(row)]


def encoded(row: Row) -> bytes:
    """The instruction with right immediates; ``KeyError`` for a kind that nobody has given one for."""
    return encode(Instruction(row[0], tuple(IMMEDIATES[kind] for kind in row[2].split())))


def pushed(types: tuple[int, ...]) -> bytes:
    """Instructions that push values of these types."""
    return b"".join(_NULL + b"\0" if type_ == TO_FUNCTION else local_get(LOCALS[type_]) for type_ in types)


def closed(row: Row, instruction: bytes) -> bytes:
    """An instruction and what else belongs to it: the end of a block, or the block that it ends."""
    name = row[1]
    if name == "else":
        # Each part needs an instruction, or assembling leaves the else out.
        return pushed((I32,)) + _EMPTY_IF + b"\x01" + instruction + b"\x01" + _END
    if name == "end":
        return pushed((I32,)) + _EMPTY_IF + instruction
    if name in ("catch", "catch_all"):
        return _TRY + instruction + _END
    if name == "delegate":
        return _TRY + instruction
    if name == "rethrow":
        return _TRY + _CATCH_ALL + instruction + _END
    if name == "br_on_non_null":
        # Its label takes the reference.
        return _BLOCK_OF_REFERENCE + instruction + pushed((FUNCREF,)) + _END + _DROP
    return instruction + _END if "opens" in row[6].split() else instruction


def rows() -> list[Row]:
    """All rows of the opcode table."""
    return list(BY_CODE.values())
