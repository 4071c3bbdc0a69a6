"""What calling conventions of all processors have in common: registers are given out in order, the rest goes to memory.

A backend says which registers these are.
"""

from __future__ import annotations

from .. import abi
from .operand import V128, is_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


#: A frame up to this size is checked after it is made: the stack's reserve below the limit has room for it.
SMALL_FRAME = 0x8000
#: Cells that are moved one by one; more are moved in a loop.
FEW_CELLS = 8
#: The same of results that return in the results area, and of arguments that are all in slots: a call takes two bytes,
#: and what it passes may be what another one has returned.
FEW_OF_CALL = 4
#: More parameters than this, and more values of a block, are looked at as a whole rather than one by one: what a type
#: says of them is found once for each module.
MANY_VALUES = 16
#: Arguments that are in slots are passed out of line where more than so many have registers of their own, a stretch in
#: the argument area counting for three.
_MOST_IN_LINE = 12


def parameter_places(
    types: tuple[int, ...], int_registers: tuple[int, ...], float_registers: tuple[int, ...]
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Where parameters of these types arrive: for each ``(register or -1, byte offset in the argument area)``, and
    the area's size. Memoised, since a module has few signatures, and each is asked for several times.
    """
    if len(types) > MANY_VALUES:
        # Too long to be a key; who asks for these again and again keeps a :class:`ParameterPlaces`.
        return _find_places(types, int_registers, float_registers)
    key = types, int_registers
    found = _places.get(key)
    if found is None:
        found = _find_places(types, int_registers, float_registers)
        _kept[0] += len(types) + 1
        if _kept[0] > _PLACES_KEPT:
            _places.clear()
            _kept[0] = len(types) + 1
        _places[key] = found
    return found


#: Parameters whose places are kept, summed over signatures: there is no end to signatures, and one has up to 1,000.
_PLACES_KEPT = 1 << 14
_kept = [0]
_places: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[tuple[int, int], ...], int]] = {}


def _find_places(
    types: tuple[int, ...], int_registers: tuple[int, ...], float_registers: tuple[int, ...]
) -> tuple[tuple[tuple[int, int], ...], int]:
    ints = 0
    floats = 0
    area = 0
    places = []
    step = 8
    for type_ in types:
        if is_float(type_):
            if floats < len(float_registers):
                places.append((float_registers[floats], 0))
                floats += 1
                continue
            if type_ == V128:
                step = 16
        elif ints < len(int_registers):
            places.append((int_registers[ints], 0))
            ints += 1
            continue
        places.append((-1, area))
        area += 8
    if step == 16:
        # Where one of them takes 16 bytes all do, so that they are copied alike.
        places = [(reg, 2 * offset) for reg, offset in places]
        area *= 2
    return tuple(places), (area + 15) & -16


def area_step(types: tuple[int, ...], places: tuple[tuple[int, int], ...]) -> int:
    """From a parameter in the argument area to the next one, in bytes: 16 if one of those there is a vector, else 8."""
    if V128 in types:
        for type_, (reg, _) in zip(types, places, strict=True):
            if type_ == V128 and reg < 0:
                return 16
    return 8


def split_results(types: tuple[int, ...]) -> tuple[int, int, list[int]]:
    """Which result returns in the integer register, which in the vector register (indices or -1), and the indices of
    those in the results area.
    """
    first_int = first_float = -1
    rest = []
    for index, type_ in enumerate(types):
        if is_float(type_):
            if first_float < 0:
                first_float = index
                continue
        elif first_int < 0:
            first_int = index
            continue
        rest.append(index)
    return first_int, first_float, rest


def runs(indices: list[int]) -> Iterator[tuple[int, int]]:
    """Stretches of neighbours in a rising list: the position of the first of each, and how many there are."""
    start = 0
    while start < len(indices):
        end = start + 1
        while end < len(indices) and indices[end] == indices[end - 1] + 1:
            end += 1
        yield start, end - start
        start = end


class ParameterPlaces:
    """Where parameters of some types arrive, in a form that is short also where they are many.

    Attributes:
        area: bytes of the argument area, a multiple of 16.
        step: from a parameter in the area to the next one, in bytes.
        in_registers: index, type and register of each that arrives in one.
        stretches: of each stretch of neighbours that arrive in the area the position of the first in the area, its
            index, and how many there are.
        scattered: whether code that passes arguments there is long, so that functions have it once for all calls.
    """

    __slots__ = ("area", "in_registers", "scattered", "step", "stretches")

    def __init__(
        self, types: tuple[int, ...], int_registers: tuple[int, ...], float_registers: tuple[int, ...]
    ) -> None:
        places, self.area = parameter_places(types, int_registers, float_registers)
        self.step = area_step(types, places)
        self.in_registers = [(index, types[index], reg) for index, (reg, _) in enumerate(places) if reg >= 0]
        in_area = [index for index, (reg, _) in enumerate(places) if reg < 0]
        self.stretches = _stretches(in_area)
        self.scattered = len(self.in_registers) + 3 * len(self.stretches) > _MOST_IN_LINE

    def position(self, index: int) -> int:
        """Position in the area of a parameter that arrives there."""
        return index - sum([other < index for other, _, _ in self.in_registers])


class ResultPlaces:
    """Where several results of a call return, in a form that is short also where they are many.

    Attributes:
        first_int, first_float: index and type of the result that returns in the integer register, and of that in the
            vector register; ``None`` where there is none.
        stretches: of each stretch of neighbours in the results area the position of the first there, its index, and
            how many there are.
    """

    __slots__ = ("first_float", "first_int", "stretches")

    def __init__(self, types: tuple[int, ...]) -> None:
        first_int, first_float, rest = split_results(types)
        self.first_int = (first_int, types[first_int]) if first_int >= 0 else None
        self.first_float = (first_float, types[first_float]) if first_float >= 0 else None
        self.stretches = _stretches(rest)


def _stretches(indices: list[int]) -> list[tuple[int, int, int]]:
    """Stretches of neighbours in a rising list: the position of the first of each, the first, and how many."""
    return [(start, indices[start], count) for start, count in runs(indices)]


#: A step of :func:`parallel_moves` that exchanges the two registers.
EXCHANGE = True


def parallel_moves(moves: dict[int, int]) -> Iterator[tuple[int, int, bool]]:
    """Steps that move registers to registers as if all at once.

    Args:
        moves: the source of each destination.

    Yields:
        destination, source, and whether the two are to be exchanged.
    """
    pending = {dst: src for dst, src in moves.items() if dst != src}
    while pending:
        sources = set(pending.values())
        ready = [dst for dst in pending if dst not in sources]
        if ready:
            for dst in ready:
                yield dst, pending.pop(dst), False
            continue
        # Only cycles are left: exchanging two registers of one settles one of them.
        dst, src = next(iter(pending.items()))
        yield dst, src, EXCHANGE
        del pending[dst]
        for other, source in pending.items():
            if source == dst:
                pending[other] = src
        pending = {d: s for d, s in pending.items() if d != s}


# -- the boundary to the host: signatures are strings of letters, parameters before the colon and results after it: i32
# ``i``, i64 ``l``, f32 ``f``, f64 ``d``, v128 ``v``, reference ``r``

#: Letters of types that take two cells, and of those that live in vector registers.
WIDE = "v"
FLOATS = "fdv"


class Place:
    """Where a value is: its first cell, and a register, or -1 and an offset in the argument or results area."""

    __slots__ = ("area", "cell", "letter", "reg")

    def __init__(self, letter: str, cell: int, reg: int, area: int) -> None:
        self.letter = letter
        self.cell = cell
        self.reg = reg
        self.area = area


def without_arrays(letters: str) -> str:
    """The first of the letters of a signature whose type has no size that elements of arrays have, or nothing."""
    return next((letter for letter in letters if letter in "vr"), "")


def array_pointer(index: int) -> int:
    """Offset, in what a function is mapped over arrays by, of the address of an array's next element."""
    return abi.ARRAYS_FIRST + abi.ARRAYS_SIZE * index


def cells(letters: str) -> int:
    """How many cells these values take."""
    return len(letters) + letters.count(WIDE)


def signature_parameters(
    letters: str, int_registers: tuple[int, ...], float_registers: tuple[int, ...]
) -> tuple[list[Place], int]:
    """Where parameters travel, and the size of the argument area."""
    ints = list(int_registers)
    floats = list(float_registers)
    places = []
    in_area = []
    cell = 0
    for letter in letters:
        free = floats if letter in FLOATS else ints
        place = Place(letter, cell, free.pop(0) if free else -1, -1)
        if place.reg < 0:
            in_area.append(place)
        places.append(place)
        cell += 2 if letter == WIDE else 1
    # As :func:`parameter_places` says it of types.
    step = 16 if any(place.letter == WIDE for place in in_area) else 8
    for position, place in enumerate(in_area):
        place.area = step * position
    return places, (step * len(in_area) + 15) & -16


def signature_results(letters: str) -> list[Place]:
    """Where results travel: the first of each class in register 0, the others in the store's results area."""
    used = {False: False, True: False}
    places = []
    cell = rest = 0
    for letter in letters:
        is_vector = letter in FLOATS
        if used[is_vector]:
            places.append(Place(letter, cell, -1, abi.STORE_RESULTS + 16 * rest))
            rest += 1
        else:
            used[is_vector] = True
            places.append(Place(letter, cell, 0, -1))
        cell += 2 if letter == WIDE else 1
    return places


# -- C functions: letters as above, and those of narrow integers, which are i32 on wasm's side

#: Integers of C that an i32 stands for, by letter: how many bits they have, and whether they are signed. ``?`` is
#: ``_Bool``, which is 0 or 1.
C_INTEGERS = {"b": (8, True), "B": (8, False), "h": (16, True), "H": (16, False), "i": (32, True), "?": (1, False)}
#: Stands before the parameters of a C function that gets the caller's memory.
C_MEMORY = "m"


def c_signature(signature: str) -> tuple[bool, str, str]:
    """Whether a C function gets the caller's memory, and its parameters and its result, as letters."""
    parameters, _, result = signature.partition(":")
    return parameters.startswith(C_MEMORY), parameters.removeprefix(C_MEMORY), result


def wasm_letters(letters: str) -> str:
    """What wasm code has for values of C."""
    return "".join(["i" if letter in C_INTEGERS else letter for letter in letters])


def c_places(letters: str, int_registers: tuple[int, ...], float_registers: tuple[int, ...]) -> tuple[list[Place], int]:
    """Where a C function has its parameters: registers, or 8 bytes each on the stack; and how many bytes there, a
    multiple of 16. Both System V's ABI and AAPCS64 do it so, for values of these types (their sections "Parameter
    Passing").
    """
    return signature_parameters(letters, int_registers, float_registers)
