"""Types of values and of functions (specification, "Structure / Types"); :mod:`.extern_types` has the others.

Inside the engine a value type is an int, one of the constants below or what :mod:`.reference_types` makes of the
others; users meet it as a :class:`ValType`. Codes from :data:`FUNCREF` on are references.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar

    from .binary.many_types import Types
    from .type_groups import Plain

__all__ = [
    "EXNREF",
    "EXTERNREF",
    "F32",
    "F64",
    "FUNCREF",
    "I32",
    "I64",
    "V128",
    "VALUE_TYPES",
    "FuncType",
    "ValType",
    "type_name",
    "val_type",
]

I32 = 0
I64 = 1
F32 = 2
F64 = 3
V128 = 4
FUNCREF = 5
EXTERNREF = 6
EXNREF = 7
#: From an abstract reference type to the one without null.
NOT_NULL = 16
#: From here on are the codes of references to function types: see :mod:`.type_groups`.
FIRST_CONCRETE = 64
#: What elements are that are written as indices of functions, and what a clause of ``try_table`` catches.
FUNCREF_NOT_NULL, EXNREF_NOT_NULL = FUNCREF + NOT_NULL, EXNREF + NOT_NULL

#: How every binary module starts; the version follows (specification, "Binary Format / Modules").
MAGIC = b"\0asm"
#: In place of a block's type, the byte that says: no parameters and no results.
EMPTY_BLOCK_TYPE = 0x40
#: The codes of value types by their byte in the binary format.
VALUE_TYPES = {0x7F: I32, 0x7E: I64, 0x7D: F32, 0x7C: F64, 0x7B: V128, 0x70: FUNCREF, 0x6F: EXTERNREF, 0x69: EXNREF}


class ValType:
    """A value type. There is one object of each, so ``is`` compares them: ``ValType("i32") is ValType.i32``.

    Attributes:
        code: the engine's small int for it.
        name: as in the text format, ``"i32"``.

    Raises:
        ValueError: there is no value type of that name.
    """

    __slots__ = ("_group", "code", "name")

    i32: ClassVar[ValType]
    i64: ClassVar[ValType]
    f32: ClassVar[ValType]
    f64: ClassVar[ValType]
    v128: ClassVar[ValType]
    funcref: ClassVar[ValType]
    externref: ClassVar[ValType]
    exnref: ClassVar[ValType]

    code: int
    name: str
    #: Of a reference to functions of a type, what keeps the type.
    _group: Plain

    def __new__(cls, name: str) -> ValType:
        """The value type called ``name``."""
        if not isinstance(name, str):
            from .arguments import wrong

            raise wrong("ValType", "name", "a str", name)
        found = _BY_NAME.get(name)
        if found is None and name[:1] in ("(", "n"):
            from .reference_types import by_name

            found = by_name(name)
        if found is None:
            from .arguments import shown

            raise ValueError(f"unknown value type {shown(name)[4:]}: known are {', '.join(_BY_NAME)}")
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> str:
            # Called where an attribute is missing. A module may have a million types, and few names are asked for.
            if attribute != "name":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
            from .reference_types import name_of

            self.name = name_of(self.code)
            return self.name

    @property
    def is_ref(self) -> bool:
        """Whether this is a reference type."""
        return self.code >= FUNCREF

    @property
    def nullable(self) -> bool:
        """Whether this is a reference type that null belongs to."""
        if self.code < NOT_NULL:
            return self.is_ref
        from .reference_types import is_nullable

        return is_nullable(self.code)

    @property
    def heap(self) -> str | FuncType | None:
        """What references of this type refer to: the text format's word for it, such as ``"func"``, or the type of
        functions; ``None`` of a number or a vector.
        """
        from .reference_types import heap_of

        return heap_of(self.code) if self.is_ref else None

    @classmethod
    def ref(cls, heap: str | FuncType, nullable: bool = True) -> ValType:
        """The type of references to ``heap``: the text format's word for it (``"func"``, ``"extern"``, ``"exn"``), or
        a function type.

        Raises:
            TypeError: ``heap`` is neither.
            ValueError: there is no such word.
        """
        from .reference_types import reference_to

        return _BY_CODE[reference_to(heap, nullable)]

    def __reduce__(self) -> tuple[Callable[..., ValType], tuple[object, ...]]:
        if self.code > EXNREF:
            return ValType.ref, (self.heap, self.nullable)
        return ValType, (self.name,)

    def __repr__(self) -> str:
        return f"ValType({self.name!r})"

    def __str__(self) -> str:
        return self.name


class _ByCode(dict[int, ValType]):
    """Value types by code, made when they are first asked for. Those of references to function types are not here."""

    __slots__ = ()

    def __missing__(self, code: int) -> ValType:
        if code >= FIRST_CONCRETE:
            from .type_groups import val_type_at

            return val_type_at(code)
        from .reference_types import is_reference

        if not is_reference(code):
            raise IndexError(code)
        made = object.__new__(ValType)
        made.code = code
        return self.setdefault(code, made)


_BY_CODE = _ByCode()
_BY_NAME: dict[str, ValType] = {}


def _intern(name: str) -> ValType:
    """Make the next value type."""
    made = object.__new__(ValType)
    made.code = len(_BY_CODE)
    made.name = name
    _BY_CODE[made.code] = made
    _BY_NAME[name] = made
    return made


# In the order of their codes.
ValType.i32 = _intern("i32")
ValType.i64 = _intern("i64")
ValType.f32 = _intern("f32")
ValType.f64 = _intern("f64")
ValType.v128 = _intern("v128")
ValType.funcref = _intern("funcref")
ValType.externref = _intern("externref")
ValType.exnref = _intern("exnref")


def val_type(which: object) -> ValType:
    """The value type meant by an object, a code or a name.

    Raises:
        ValueError: there is no such value type.
        TypeError: ``which`` is of another Python type.
    """
    if isinstance(which, ValType):
        return which
    if isinstance(which, str):
        return ValType(which)
    if not isinstance(which, int) or isinstance(which, bool):
        from .arguments import shown

        raise TypeError(f"expected a ValType, its name or its code, not {shown(which)}")
    try:
        return _BY_CODE[which]
    except IndexError:
        raise ValueError(f"unknown value type code {which}: known are 0 to {EXNREF}") from None


def val_type_of(parameter: str, which: object) -> ValType:
    """As :func:`val_type`; an error's message begins with the name of the parameter."""
    try:
        return val_type(which)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{parameter}: {error}") from None


def type_name(code: int) -> str:
    """The name of the value type with this code, for messages; "unknown" for the bottom types of unreachable code."""
    return _BY_CODE[code].name if code >= 0 else "unknown"


def _val_types(parameter: str, given: Iterable[ValType | int | str]) -> tuple[ValType, ...]:
    """The value types of the parameters or the results of a function."""
    if isinstance(given, str):
        raise TypeError(f"FuncType: {parameter} has to be a sequence of value types: write ['i32'] rather than 'i32'")
    if isinstance(given, (bytes, bytearray, ValType)) or not hasattr(given, "__iter__"):
        from .arguments import wrong

        raise wrong("FuncType", parameter, "a sequence of value types", given, "such as ['i32', 'i64']")
    return tuple([val_type_of(f"FuncType: {parameter}[{index}]", which) for index, which in enumerate(given)])


def _listed(types: tuple[ValType, ...]) -> str:
    return f"({', '.join(type_.name for type_ in types)})"


class FuncType:
    """The type of a function. Hashable; equal when parameters and results are, unless a module declares otherwise: see
    :mod:`vibewasm.reference_types` about types that have subtypes or refer to each other.

    Attributes:
        params, results: tuples of :class:`ValType`.
        param_codes, result_codes: the same as tuples of the engine's codes.
        final: whether there are no subtypes of it.
        supertype: the type that it is declared to be a subtype of, or ``None``.

    Args:
        params, results: :class:`ValType` objects, names such as ``"i32"``, or codes.

    Raises:
        TypeError: an argument is no sequence, or has members of another type.
        ValueError: a value type that does not exist.
    """

    __slots__ = ("_hash", "_named", "_uses", "param_codes", "params", "result_codes", "results")

    final: bool = True
    supertype: FuncType | None = None
    #: Of a type that parameters and results do not tell from others a number that does, else 0.
    _identity: int = 0
    #: What keeps the type's number, once it has one, and those of types that its codes refer to: see .type_groups.
    _named: Plain
    _uses: tuple[Plain, ...] | Types

    def __init__(self, params: Iterable[ValType | int | str] = (), results: Iterable[ValType | int | str] = ()) -> None:
        self.params = _val_types("params", params)
        self.results = _val_types("results", results)
        self.param_codes = tuple([type_.code for type_ in self.params])
        self.result_codes = tuple([type_.code for type_ in self.results])
        self._hash = hash((self.param_codes, self.result_codes))

    @classmethod
    def from_codes(cls, params: tuple[int, ...], results: tuple[int, ...]) -> FuncType:
        """The type with these codes, which are not checked: the decoder's way."""
        made = cls.__new__(cls)
        made.param_codes = params
        made.result_codes = results
        made._hash = hash((params, results))
        return made

    if not TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> tuple[ValType, ...]:
            # Called where an attribute is missing. Of most types only the codes are ever asked for.
            if attribute != "params" and attribute != "results":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
            codes = self.param_codes if attribute == "params" else self.result_codes
            made = tuple([_BY_CODE[code] for code in codes])
            setattr(self, attribute, made)
            return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FuncType):
            return NotImplemented
        # What tells most types apart comes first: a type may have two thousand parameters and results.
        return (
            self._hash == other._hash
            and self._identity == other._identity
            and self.param_codes == other.param_codes
            and self.result_codes == other.result_codes
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable[..., FuncType], tuple[object, ...]]:
        return FuncType, (self.params, self.results)

    def __repr__(self) -> str:
        return f"FuncType({[type_.name for type_ in self.params]}, {[type_.name for type_ in self.results]})"

    def __str__(self) -> str:
        results = self.results[0].name if len(self.results) == 1 else _listed(self.results)
        return f"{_listed(self.params)} -> {results}"
