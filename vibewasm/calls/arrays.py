"""Calls of a function over arrays: what :meth:`vibewasm.Func.map` does. ``docs/arrays.md`` says what it promises.

The loop is machine code. It is told for each parameter and each result where the next element lies and how far it is
from one to the next: 0 for a single value, which lies in a cell here.
"""

from __future__ import annotations

import sys

from ..abi import ARRAYS_FIRST, ARRAYS_SIZE
from ..errors import WasmError
from ..runtime.blocks import Block
from ..runtime.buffers import first_element
from ..runtime.calls import argument
from ..types import F32, F64, I32, I64
from .process import adapters
from .values import prefixed, signature, to_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.func import Func
    from ..types import ValType


class _Elements:
    """What the elements of arrays are for a type of values.

    Attributes:
        size: bytes of one.
        formats: letters that a buffer's format may be.
        dtypes: what NumPy calls them. Results have the first.
        code: what ``array.array`` and :meth:`memoryview.cast` call them.
    """

    __slots__ = ("code", "dtypes", "formats", "size")

    def __init__(self, size: int, formats: str, dtypes: tuple[str, ...], code: str) -> None:
        self.size = size
        self.formats = formats
        self.dtypes = dtypes
        self.code = code


#: Which of these has 4 bytes and which 8 depends on the platform, and on whether the format is a standard one.
_INTEGERS = "iIlLqQnN"
_ELEMENTS = {
    I32: _Elements(4, _INTEGERS, ("int32", "uint32"), "i"),
    I64: _Elements(8, _INTEGERS, ("int64", "uint64"), "q"),
    F32: _Elements(4, "f", ("float32",), "f"),
    F64: _Elements(8, "d", ("float64",), "d"),
}


class _Array:
    """The elements of one parameter or result.

    Attributes:
        address: of the first element, good until the view is released.
        step: bytes from one element to the next.
        shape: how many elements there are, by dimension.
    """

    __slots__ = ("address", "shape", "step")

    def __init__(self, view: memoryview, shape: tuple[int, ...], step: int) -> None:
        self.address = first_element(view)
        self.shape = shape
        self.step = step


class _Mapping:
    """One call of :meth:`vibewasm.Func.map`."""

    def __init__(self, func: Func) -> None:
        self.func = func
        self.label = f"{func._shown}{func._type}.map"
        #: They keep the buffers where they are.
        self.views: list[memoryview] = []
        #: The arrays that say how many calls there are: the first one's shape, and what messages call it.
        self.shape: tuple[int, ...] | None = None
        self.first = ""

    def run(self, arguments: tuple[object, ...], out: object) -> Any:
        """Look at what was given, make the calls, and give the results."""
        func = self.func
        type_ = func._type
        for value_type in (*type_.params, *type_.results):
            if value_type.code > F64:
                raise TypeError(
                    f"{self.label}: there are no arrays of {value_type}, only of i32, i64, f32 and f64: call the "
                    "function for each element"
                )
        if len(arguments) != len(type_.params):
            from ..counting import counted

            wanted = counted(len(type_.params), "argument")
            raise TypeError(f"{self.label} takes {wanted}, {len(arguments)} given")
        sources = [
            self._source(argument, type_.params[at], f"argument {at + 1}") for at, argument in enumerate(arguments)
        ]
        given = self._given(out)
        targets = [
            None if item is None else self._target(item, type_.results[at], self._out_name(at))
            for at, item in enumerate(given)
        ]
        shape = self.shape
        if shape is None:
            raise TypeError(
                f"{self.label}: how many calls there are to be is said by an array, and none was given: call the "
                "function itself, or give out="
            )
        count = 1
        for length in shape:
            count *= length
        results = list(given)
        for at, target in enumerate(targets):
            if target is None:
                results[at] = made = self._new(type_.results[at].code, shape, count, arguments)
                targets[at] = self._target(made, type_.results[at], "")
        # Of no calls no array has an address that counts.
        if count:
            self._call(count, sources, [target for target in targets if target is not None])
        else:
            func._store._check_usable()
        if not results:
            return None
        return results[0] if len(results) == 1 else tuple(results)

    def _call(self, count: int, sources: list[_Array | int], targets: list[_Array]) -> None:
        """Make so many calls."""
        func = self.func
        first = ARRAYS_FIRST >> 3
        per = ARRAYS_SIZE >> 3
        arrays = first + per * (len(sources) + len(targets))
        block = Block(8 * (arrays + len(sources)))
        cells = block.cells
        cells[0] = count
        for at, item in enumerate([*sources, *targets]):
            if isinstance(item, int):
                cells[arrays + at] = item
                cells[first + per * at] = block.address + 8 * (arrays + at)
            else:
                cells[first + per * at] = item.address
                cells[first + per * at + 1] = item.step & 0xFFFF_FFFF_FFFF_FFFF
        type_ = func._type
        loop = adapters().map_arrays(signature(type_.param_codes, type_.result_codes))
        store = func._store
        may_start = func._take_store()
        try:
            number = loop(argument(func._address), argument(0), argument(block.address))
            if number:
                raise self._failed(store._failure(number), count, count - cells[0])
        finally:
            store._state[0] = may_start and store._state[3]

    def _failed(self, error: BaseException, count: int, element: int) -> BaseException:
        """The error of a call, which says which one it was."""
        if isinstance(error, WasmError):
            error.element = element
        written = " (the results of those before it are written)" if self.func._type.results else ""
        error.add_note(f"{self.label}: at element {element} of {count}, counted from 0{written}")
        return error

    # -- what was given ---------------------------------------------------------------------------------------------

    def _source(self, value: object, type: ValType, name: str) -> _Array | int:
        """An argument: an array, or the bits of a single value."""
        view = self._view(value, name)
        if view is not None and view.ndim:
            return self._array(value, view, type, name)
        try:
            return to_bits(self.func._store, type.code, value)
        except (TypeError, OverflowError, ValueError) as error:
            advice = ""
            if isinstance(value, (list, tuple, range)):
                code = _ELEMENTS[type.code].code
                advice = f", or a buffer: array.array({code!r}, ...) or numpy.array(...) makes one"
            elif view is None and hasattr(value, "__array__"):
                advice = ", or a buffer: numpy.asarray(...) makes one"
            better = prefixed(f"{self.label}: {name}", error)
            raise TypeError(f"{better}{advice}") if advice else better from None

    def _given(self, out: object) -> Sequence[object]:
        """What is given for each result: a buffer, or ``None`` where an array is to be made."""
        count = len(self.func._type.results)
        if out is None:
            return [None] * count
        if count == 0:
            raise TypeError(f"{self.label}: the function has no results, so there is nothing to write to out")
        if count == 1:
            return [out]
        # A copy counts what is there: a class derived from tuple may say anything about its length.
        items = [*out] if isinstance(out, (tuple, list)) else None
        if items is None or len(items) != count:
            from ..arguments import shown

            what = shown(out) if items is None else f"{len(items)} items"
            raise TypeError(f"{self.label}: out has to be a tuple of {count} buffers, one a result, not {what}")
        return items

    def _out_name(self, at: int) -> str:
        return f"out[{at}]" if len(self.func._type.results) > 1 else "out"

    def _target(self, value: object, type: ValType, name: str) -> _Array:
        """What results are written to."""
        view = self._view(value, name)
        if view is None:
            from ..arguments import shown

            raise TypeError(f"{self.label}: {name} has to be a writable buffer, not {shown(value)}")
        if view.readonly:
            raise TypeError(f"{self.label}: {name} is read-only, and results are written to it")
        if not view.ndim:
            raise TypeError(f"{self.label}: {name} is a single value, and has to be an array")
        return self._array(value, view, type, name)

    def _view(self, value: object, name: str) -> memoryview | None:
        """A view of a buffer, or ``None`` for what is none."""
        masked = sys.modules.get("numpy.ma")
        if masked is not None and isinstance(value, masked.MaskedArray):
            raise TypeError(
                f"{self.label}: {name} is a masked array, and masks are not looked at: give its data or filled()"
            )
        try:
            view = memoryview(value)  # type: ignore[arg-type]  # what is no buffer raises TypeError: that is the check
        except TypeError:
            return None
        except (ValueError, BufferError) as error:
            # NumPy says so of element types that no buffer can have.
            raise TypeError(f"{self.label}: {name} gives no buffer: {error}") from None
        self.views.append(view)
        return view

    def _array(self, value: object, view: memoryview, type: ValType, name: str) -> _Array:
        """Where the elements of a view lie, once they are known to be of this type."""
        elements = _ELEMENTS[type.code]
        size = elements.size
        shape: tuple[int, ...]
        if isinstance(value, (bytes, bytearray)) and view.c_contiguous:
            # Bytes as such have no element type of their own. How many there are is asked of the view: a class derived
            # from bytes may say anything about its length.
            if view.nbytes % size:
                raise ValueError(
                    f"{self.label}: {name} has {view.nbytes} bytes, which is no multiple of the {size} of {type}"
                )
            shape, step = (view.nbytes // size,), size
        else:
            format = view.format
            letter = format[1:] if format[:1] in "@=<" else format
            if len(letter) != 1 or letter not in elements.formats or view.itemsize != size:
                advice = ""
                if hasattr(value, "astype"):
                    advice = f"; .astype({elements.dtypes[0]!r}) makes one"
                elif letter in ("b", "B", "c"):
                    advice = f"; memoryview(...).cast({elements.code!r}) makes one of bytes"
                raise TypeError(
                    f"{self.label}: {name} has elements of the format {format!r} with {view.itemsize} bytes, and {type}"
                    f" takes {' or '.join(elements.dtypes)}{advice}"
                )
            if view.suboffsets:
                raise TypeError(f"{self.label}: the elements of {name} lie behind pointers, which is not supported")
            shape = tuple(view.shape or ())
            step = self._step(view, name)
        if self.shape is None:
            self.shape, self.first = shape, name
        elif shape != self.shape and name:
            raise ValueError(
                f"{self.label}: {self.first} has {_sized(self.shape)}, and {name} {_sized(shape)}: only single values "
                "go with arrays of any length"
            )
        return _Array(view, shape, step)

    def _step(self, view: memoryview, name: str) -> int:
        """Bytes from one element to the next, in the order of C."""
        shape = view.shape or ()
        if 0 in shape:
            return 0
        step: int | None = None
        # From the first element of a dimension to where the next element of the outer one has to be.
        reach = 0
        for length, stride in zip(reversed(shape), reversed(view.strides or ()), strict=True):
            if length == 1:
                continue
            if step is None:
                step = stride
            elif stride != reach:
                raise ValueError(
                    f"{self.label}: the elements of {name} do not lie at one distance from each other: make a copy, as "
                    "numpy.ascontiguousarray does"
                )
            reach = stride * length
        return step or 0

    def _new(self, code: int, shape: tuple[int, ...], count: int, arguments: tuple[object, ...]) -> object:
        """An array for results: of NumPy where an argument is one."""
        elements = _ELEMENTS[code]
        numpy = sys.modules.get("numpy")
        if numpy is not None and any(isinstance(argument, numpy.ndarray) for argument in arguments):
            return numpy.empty(shape, elements.dtypes[0])
        from array import array

        return array(elements.code, bytes(elements.size * count))


def _sized(shape: tuple[int, ...]) -> str:
    from ..counting import counted

    return counted(shape[0], "element") if len(shape) == 1 else f"the shape {shape}"


def map_arrays(func: Func, arguments: tuple[object, ...], out: object) -> Any:
    """Call a function for each element of arrays, see :meth:`vibewasm.Func.map`."""
    mapping = _Mapping(func)
    try:
        return mapping.run(arguments, out)
    finally:
        for view in mapping.views:
            view.release()
