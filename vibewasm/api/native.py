"""C functions as imports: called from machine code, without Python. ``docs/native.md`` says what that means."""

from __future__ import annotations

import os

from ..backends.convention import C_MEMORY
from ..calls.c_functions import CFunction, Unfit, c_function, is_prototype, plain_letters, record, wasm_type
from ..errors import LinkError, not_copied
from ..types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never

    from ..runtime.blocks import Block
    from .store import Store

#: Bytes of stack that a C function has at least, where nobody says how many it needs.
STACK = 64 * 1024
#: More than this no thread's stack has.
_MOST_STACK = 1 << 30


class Native:
    """A C function for wasm code to call, by the platform's C convention, without Python and without the GIL.

    **Native code is not sandboxed.** It can do all that the process can, and a fault in it ends the process. It must
    not call Python's C API (it does not hold the GIL), ``longjmp`` over its caller, or let a C++ exception or another
    unwinding out. It is not stopped by deadlines and interrupts: they are noticed when it returns. See
    ``docs/native.md``.

    It is given to :meth:`Linker.define <vibewasm.Linker.define>`, to ``imports`` of :func:`vibewasm.instantiate`, or as
    the function of :class:`vibewasm.Func`.

    Args:
        pointer: a ctypes function with ``argtypes`` (of a library, or made by a ``CFUNCTYPE``), a pointer to a function
            of cffi's, a ``numba.cfunc``, or an address.
        type: the function's type as wasm code has it. It may be left out where ``pointer`` says what it takes: C's
            integers of up to 32 bits and ``_Bool`` are i32, those of 64 bits and pointers (of this process, not of the
            guest) i64, ``float`` f32 and ``double`` f64. A pointer that says nothing is taken for a function of
            ``int32_t``, ``int64_t``, ``float`` and ``double``.
        memory: whether the function's first two parameters, which its type does not have, are ``uint8_t *`` and
            ``size_t``: base and length in bytes of memory 0 of the instance that calls it; 0 and 0 where there is none,
            as in a call from Python.
        stack: bytes of stack that it needs. Where there are fewer the call is a stack overflow trap.
        name: what messages call it.

    Raises:
        TypeError: the pointer is none of these, does not say what it takes while ``type`` is not given, takes or
            returns what wasm has no type for, says something else than ``type``, or is a Python function; or another
            argument is of another type.
        ValueError: the address is 0, or an argument is out of its range.

    The object keeps ``pointer`` alive, and a store that uses it keeps the object. Of an address nobody knows what it
    belongs to: that has to live as long as the store.
    """

    __slots__ = ("_address", "_keep", "_memory", "_name", "_signature", "_stack", "_type")

    __reduce_ex__ = not_copied

    def __init__(
        self,
        pointer: object,
        type: FuncType | None = None,
        *,
        memory: bool = False,
        stack: int = STACK,
        name: str | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Native", unknown, ("pointer", "type", "memory", "stack", "name"))
        if type is not None and not isinstance(type, FuncType):
            raise _wrong("type", "a FuncType or None", type)
        if memory is not True and memory is not False:
            raise _wrong("memory", "True or False", memory)
        if name is not None and not isinstance(name, str):
            raise _wrong("name", "a str or None", name)
        self._stack = _stack(stack)
        self._memory = memory
        self._keep = pointer
        try:
            function = c_function(pointer)
        except TypeError:
            expected = "a function of ctypes or cffi, a numba.cfunc or an address"
            advice = "a Python function is defined as it is" if callable(pointer) else ""
            raise _wrong("pointer", expected, pointer, advice) from None
        except Unfit as why:
            raise TypeError(f"Native: the {_kind(pointer)} {why}") from None
        if not 0 < function.address < 1 << 64:
            from ..arguments import number

            raise ValueError(f"Native: the address of a function is none: {number(function.address)}")
        self._address = function.address
        self._name = name or function.name or f"C function at {function.address:#x}"
        try:
            self._type, letters = _typed(function, type, memory)
        except Unfit as why:
            raise TypeError(f"Native: {why}") from None
        self._signature = C_MEMORY * memory + letters

    @property
    def type(self) -> FuncType:
        """The function's type as wasm code has it."""
        return self._type

    @property
    def memory(self) -> bool:
        """Whether it gets base and length of the caller's memory."""
        return self._memory

    @property
    def stack(self) -> int:
        """Bytes of stack that it has at least."""
        return self._stack

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    @property
    def address(self) -> int:
        """Address of its code."""
        return self._address

    def __repr__(self) -> str:
        from ..names import brief

        return f"<vibewasm.Native {brief(self._name)}{self._type}{' with memory' if self._memory else ''}>"

    def _record(self, store: Store) -> Block:
        """The function record for a store."""
        return record(store, self._type, self._signature, self._stack, self._address)


def _typed(function: CFunction, type: FuncType | None, memory: bool) -> tuple[FuncType, str]:
    """The type of a function as wasm code has it, and the letters of what C has."""
    parameters, result = function.parameters, function.result
    if parameters is None:
        if type is None:
            raise Unfit(
                "what the function takes is not said: give type=, or set argtypes and restype of a ctypes function"
            )
        parameters, result = plain_letters(type)
        return type, f"{parameters}:{result}"
    if memory:
        if parameters[:2] != "ll":
            raise Unfit(
                "with memory=True the function's first two parameters are a pointer and a size_t, and it has others"
            )
        parameters = parameters[2:]
    found = wasm_type(parameters, result)
    if type is not None and type != found:
        raise Unfit(f"the function takes and returns what is {found} in wasm, and type is {type}")
    return found, f"{parameters}:{result}"


def _stack(stack: object) -> int:
    if type(stack) is not int:
        from ..arguments import whole

        stack = whole("Native", "stack", "a number of bytes", stack)
    if not 0 <= stack <= _MOST_STACK:
        from ..arguments import number

        raise ValueError(f"Native: stack is a number of bytes from 0 to 2**30, not {number(stack)}")
    return max(stack, STACK)


def _kind(pointer: object) -> str:
    module = type(pointer).__module__
    return "cffi pointer" if module == "_cffi_backend" else "ctypes function"


def _wrong(parameter: str, expected: str, given: object, advice: str = "") -> TypeError:
    from ..arguments import wrong

    return wrong("Native", parameter, expected, given, advice)


def library(path: str | os.PathLike[str], functions: Mapping[str, Any], memory: bool, stack: int) -> dict[str, Native]:
    """Functions of a shared library by name, see :meth:`vibewasm.Linker.define_library`."""
    from ..arguments import wrong

    where = "Linker.define_library"
    given: object = path
    if isinstance(given, str):
        found = given
    elif hasattr(given, "__fspath__"):
        # A path that is one means a file, which a name without a slash does not.
        found = os.path.abspath(os.fsdecode(path))
    else:
        raise wrong(where, "path", "a str or a path", path)
    if not hasattr(functions, "items"):
        raise wrong(where, "functions", "a dict of types by name", functions)
    import ctypes

    try:
        loaded = ctypes.CDLL(found)
    except (OSError, ValueError) as error:
        raise LinkError(f"the library {found!r} cannot be loaded: {error}") from None
    made = {}
    for name, kind in functions.items():
        if not isinstance(name, str):
            raise wrong(where, "a name of functions", "a str", name)
        try:
            # Not as an attribute: those that ctypes' own object has would come first.
            function: Any = loaded[name]
        except (AttributeError, ValueError):
            # The latter for names that no library can have.
            raise LinkError(f"the library {found!r} has no function {name!r}") from None
        if is_prototype(kind):
            made[name] = Native(kind((name, loaded)), memory=memory, stack=stack, name=name)
        elif isinstance(kind, FuncType):
            made[name] = Native(function, kind, memory=memory, stack=stack, name=name)
        else:
            raise wrong(where, f"functions[{name!r}]", "a FuncType or a CFUNCTYPE", kind)
    return made


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Native.__init__.__defaults__ = (..., None)
