"""What every vector instruction computes, in Python on integers of 128 bits: the model that backends are tested
against.

:func:`expected` says for an instruction and its operands which results the specification allows. Operands are the bits
of values, unsigned; after them come the lane or the 16 lanes of an instruction that has such, and where it loads, the
bytes that it loads instead of its address. Source: WebAssembly core specification 3.0, "Execution / Numerics".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

#: Bits of a lane, or of a scalar, by the name of its shape.
BITS = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}
LANES = {f"{kind}{bits}x{128 // bits}": bits for kind in "if" for bits in (8, 16, 32, 64)}
#: Of the fraction of a float.
_FRACTION = {32: 23, 64: 52}


class Nan:
    """Which NaNs may be a lane: ``canonical`` ones, or any arithmetic ones."""

    def __init__(self, bits: int, canonical: bool) -> None:
        self.bits = bits
        self.canonical = canonical

    def accepts(self, value: int) -> bool:
        quiet = canonical_nan(self.bits)
        value &= (1 << self.bits - 1) - 1
        return value == quiet if self.canonical else value & quiet == quiet

    def __repr__(self) -> str:
        return f"nan:{'canonical' if self.canonical else 'arithmetic'}"


#: What a lane may be: any of these numbers or NaNs.
Lane = tuple[int | Nan, ...]


@dataclass
class Expected:
    """The results that are allowed: for each lane, the first one in the lowest bits."""

    bits: int
    lanes: list[Lane]

    def accepts(self, value: int) -> bool:
        """Whether the bits of a result are allowed."""
        if value >> self.bits * len(self.lanes):
            return False
        return all(
            any(one.accepts(got) if isinstance(one, Nan) else one == got for one in lane)
            for lane, got in zip(self.lanes, split(value, self.bits, len(self.lanes)), strict=True)
        )

    @property
    def value(self) -> int:
        """One of the results that are allowed."""
        first = [canonical_nan(self.bits) if isinstance(lane[0], Nan) else lane[0] for lane in self.lanes]
        return join(first, self.bits)

    def __repr__(self) -> str:
        shown = [[hex(one) if isinstance(one, int) else repr(one) for one in lane] for lane in self.lanes]
        return " ".join(lane[0] if len(lane) == 1 else f"({'|'.join(lane)})" for lane in shown)


# -- lanes -----------------------------------------------------------------------------------------------------------


def split(value: int, bits: int, count: int = 0) -> list[int]:
    """The lanes of a vector, the lowest first."""
    return [value >> at & (1 << bits) - 1 for at in range(0, bits * (count or 128 // bits), bits)]


def join(lanes: Sequence[int], bits: int) -> int:
    """The vector of lanes, of which only the lowest bits count."""
    return sum((lane & (1 << bits) - 1) << bits * at for at, lane in enumerate(lanes))


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def saturated(value: int, bits: int, sign: bool) -> int:
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if sign else (0, (1 << bits) - 1)
    return max(least, min(most, value)) & (1 << bits) - 1


def _read(value: int, bits: int, sign: bool) -> list[int]:
    return [signed(lane, bits) if sign else lane for lane in split(value, bits)]


def _exact(values: Sequence[int], bits: int) -> Expected:
    return Expected(bits, [(value & (1 << bits) - 1,) for value in values])


def _scalar(value: int, bits: int = 32) -> Expected:
    return _exact([value], bits)


# -- floats ----------------------------------------------------------------------------------------------------------


def canonical_nan(bits: int) -> int:
    """The positive one."""
    return (1 << bits - 1) - (1 << _FRACTION[bits] - 1)


def is_nan(value: int, bits: int) -> bool:
    return value & (1 << bits - 1) - 1 > infinity(bits)


def infinity(bits: int) -> int:
    return (1 << bits - 1) - (1 << _FRACTION[bits])


def is_infinite(value: int, bits: int) -> bool:
    return value & (1 << bits - 1) - 1 == infinity(bits)


def exact(value: int, bits: int) -> Fraction:
    """The number that the bits of a finite float stand for."""
    fraction = _FRACTION[bits]
    exponent = value >> fraction & (1 << bits - 1 - fraction) - 1
    significand = value & (1 << fraction) - 1
    if exponent:
        significand |= 1 << fraction
    else:
        exponent = 1
    bias = (1 << bits - 2 - fraction) - 1
    number = significand * Fraction(2) ** (exponent - bias - fraction)
    return -number if value >> bits - 1 else number


def rounded(number: Fraction, bits: int, negative_zero: bool = False) -> int:
    """The bits of the float that is nearest to a number, to even if there are two."""
    if number == 0:
        return 1 << bits - 1 if negative_zero else 0
    sign = 1 << bits - 1 if number < 0 else 0
    number = abs(number)
    fraction = _FRACTION[bits]
    bias = (1 << bits - 2 - fraction) - 1
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    if Fraction(2) ** exponent > number:
        exponent -= 1
    exponent = max(exponent, 1 - bias)
    # round() of a Fraction rounds halves to even.
    significand = round(number / Fraction(2) ** (exponent - fraction))
    # A significand that became a bit longer carries into the exponent, as it has to, and a subnormal has none.
    code = significand + (exponent + bias - 1 << fraction)
    return sign | min(code, infinity(bits))


def _propagated(bits: int, *values: int) -> Lane:
    """The NaN of an operation that had these operands: canonical if its NaNs are."""
    nans = [value & (1 << bits - 1) - 1 for value in values if is_nan(value, bits)]
    return (Nan(bits, all(nan == canonical_nan(bits) for nan in nans)),)


def _add(a: int, b: int, bits: int) -> Lane:
    top = 1 << bits - 1
    if is_nan(a, bits) or is_nan(b, bits) or (is_infinite(a, bits) and b == a ^ top):
        return _propagated(bits, a, b)
    if is_infinite(a, bits) or is_infinite(b, bits):
        return (a if is_infinite(a, bits) else b,)
    return (rounded(exact(a, bits) + exact(b, bits), bits, a == b == top),)


def _sub(a: int, b: int, bits: int) -> Lane:
    if is_nan(b, bits):
        return _propagated(bits, a, b)
    return _add(a, b ^ 1 << bits - 1, bits)


def _mul(a: int, b: int, bits: int) -> Lane:
    top = 1 << bits - 1
    sign = (a ^ b) & top
    if is_nan(a, bits) or is_nan(b, bits):
        return _propagated(bits, a, b)
    if is_infinite(a, bits) or is_infinite(b, bits):
        return _propagated(bits, a, b) if a & top - 1 == 0 or b & top - 1 == 0 else (sign | infinity(bits),)
    return (rounded(exact(a, bits) * exact(b, bits), bits, bool(sign)),)


def _div(a: int, b: int, bits: int) -> Lane:
    top = 1 << bits - 1
    sign = (a ^ b) & top
    if is_nan(a, bits) or is_nan(b, bits):
        return _propagated(bits, a, b)
    if is_infinite(a, bits):
        return _propagated(bits, a, b) if is_infinite(b, bits) else (sign | infinity(bits),)
    if is_infinite(b, bits):
        return (sign,)
    if b & top - 1 == 0:
        return _propagated(bits, a, b) if a & top - 1 == 0 else (sign | infinity(bits),)
    return (rounded(exact(a, bits) / exact(b, bits), bits, bool(sign)),)


def _fused(a: int, b: int, c: int, bits: int) -> Lane:
    """``a * b + c``, rounded once."""
    top = 1 << bits - 1
    product = _mul(a, b, bits)
    if any(is_nan(value, bits) for value in (a, b, c)) or isinstance(product[0], Nan):
        return _propagated(bits, a, b, c)
    if any(is_infinite(value, bits) for value in (a, b)):
        return _add(product[0], c, bits)
    if is_infinite(c, bits):
        return (c,)
    negative = bool((a ^ b) & c & top)
    return (rounded(exact(a, bits) * exact(b, bits) + exact(c, bits), bits, negative),)


def _order(a: int, b: int, bits: int) -> int | None:
    """Less than, equal to or greater than 0, or ``None`` for a NaN."""
    if is_nan(a, bits) or is_nan(b, bits):
        return None
    # Bits of floats in the order of what they stand for, with one code for both zeros.
    x, y = (-(value & (1 << bits - 1) - 1) if value >> bits - 1 else value for value in (a, b))
    return (x > y) - (x < y)


def _min(a: int, b: int, bits: int) -> Lane:
    order = _order(a, b, bits)
    if order is None:
        return _propagated(bits, a, b)
    return (a | b if order == 0 else a if order < 0 else b,)


def _max(a: int, b: int, bits: int) -> Lane:
    order = _order(a, b, bits)
    if order is None:
        return _propagated(bits, a, b)
    return (a & b if order == 0 else a if order > 0 else b,)


def _relaxed(lane: Callable[[int, int, int], Lane]) -> Callable[[int, int, int], Lane]:
    """Of a NaN, or of zeros of different signs, a minimum may be either operand as well."""

    def relaxed(a: int, b: int, bits: int) -> Lane:
        result = lane(a, b, bits)
        return (*result, a, b) if not _order(a, b, bits) else result

    return relaxed


def _square_root(a: int, bits: int) -> Lane:
    if is_nan(a, bits) or (a >> bits - 1 and a & (1 << bits - 1) - 1):
        return _propagated(bits, a)
    if is_infinite(a, bits) or a & (1 << bits - 1) - 1 == 0:
        return (a,)
    number = exact(a, bits)
    # With so many more bits that what is cut off cannot change how it is rounded: a root is no tie.
    scale = 2 ** (2 * (1200 if bits == 64 else 200))
    scaled = number * scale
    root = math.isqrt(scaled.numerator // scaled.denominator)
    sticky = root * root != scaled
    return (rounded(Fraction(2 * root + sticky, 2) / math.isqrt(scale), bits),)


def _to_integer(rounding: Callable[[Fraction], int]) -> Callable[[int, int], Lane]:
    def lane(a: int, bits: int) -> Lane:
        if is_nan(a, bits):
            return _propagated(bits, a)
        if is_infinite(a, bits):
            return (a,)
        return (rounded(Fraction(rounding(exact(a, bits))), bits, bool(a >> bits - 1)),)

    return lane


def _convert(a: int, bits: int, to: int) -> Lane:
    """Demote or promote."""
    if is_nan(a, bits):
        canonical = a & (1 << bits - 1) - 1 == canonical_nan(bits)
        return (Nan(to, canonical),)
    sign = a >> bits - 1
    if is_infinite(a, bits):
        return (sign << to - 1 | infinity(to),)
    # What is too small for the other type keeps its sign.
    result = rounded(exact(a, bits), to, bool(sign))
    return (result,)


def _truncated(a: int, bits: int, sign: bool) -> tuple[int, bool]:
    """A float as an integer of 32 bits, saturated, and whether it was in range."""
    if is_nan(a, bits):
        return 0, False
    if is_infinite(a, bits):
        return saturated(-(1 << 40) if a >> bits - 1 else 1 << 40, 32, sign), False
    number = math.trunc(exact(a, bits))
    result = saturated(number, 32, sign)
    return result, number == (signed(result, 32) if sign else result)


# -- instructions ----------------------------------------------------------------------------------------------------

_INTEGER_ORDERS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "ge": lambda a, b: a >= b,
}
_FLOAT_UNARY: dict[str, Callable[[int, int], Lane]] = {
    "abs": lambda a, bits: (a & (1 << bits - 1) - 1,),
    "neg": lambda a, bits: (a ^ 1 << bits - 1,),
    "sqrt": _square_root,
    "ceil": _to_integer(math.ceil),
    "floor": _to_integer(math.floor),
    "trunc": _to_integer(math.trunc),
    "nearest": _to_integer(round),
}
_FLOAT_BINARY: dict[str, Callable[[int, int, int], Lane]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "min": _min,
    "max": _max,
    "pmin": lambda a, b, bits: (b if (_order(b, a, bits) or 0) < 0 else a,),
    "pmax": lambda a, b, bits: (b if (_order(a, b, bits) or 0) < 0 else a,),
    "relaxed_min": _relaxed(_min),
    "relaxed_max": _relaxed(_max),
}
#: Of the integers that lanes are, signed where a name says so, before they are cut to the lane's width.
_INTEGER_UNARY: dict[str, Callable[[int], int]] = {"abs": abs, "neg": lambda a: -a, "popcnt": int.bit_count}
_INTEGER_BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
    "avgr": lambda a, b: (a + b + 1) // 2,
    "q15mulr_sat": lambda a, b: min(a * b + 0x4000 >> 15, 0x7FFF),
}
_BITWISE: dict[str, Callable[..., int]] = {
    "not": lambda a: ~a & (1 << 128) - 1,
    "and": lambda a, b: a & b,
    "andnot": lambda a, b: a & ~b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "bitselect": lambda a, b, mask: a & mask | b & ~mask,
}


def expected(name: str, *operands: int | bytes, deterministic: bool = False) -> Expected:
    """The results that an instruction may have.

    Args:
        name: the instruction.
        operands: bits of its operands; instead of the address where it loads the bytes there; for a store its vector
            alone, and the result is what it stores. Then the lane, or the lanes.
        deterministic: relaxed instructions have only what the deterministic profile allows.
    """
    shape, operation = name.split(".")
    arguments: tuple[int, ...] = operands  # type: ignore[assignment]  # where they are bytes says the name
    if shape == "v128":
        if operation in _BITWISE:
            return _exact([_BITWISE[operation](*arguments)], 128)
        if operation == "any_true":
            return _scalar(arguments[0] != 0)
        return _accessed(operation, operands)
    bits = BITS[shape]
    special = _SPECIAL.get(name) or _SPECIAL.get(operation)
    if special is not None:
        return special(bits, *operands)
    if operation.startswith("relaxed_"):
        return _relaxed_result(shape, operation, arguments, deterministic)
    if "x" in operation.replace("max", "").replace("extract", ""):
        return _between_shapes(shape, operation, arguments)
    if shape[0] == "f":
        return _on_floats(bits, operation, arguments)
    return _on_integers(bits, operation, arguments)


def _on_floats(bits: int, operation: str, operands: Sequence[int]) -> Expected:
    lanes = [split(operand, bits) for operand in operands]
    if operation in _FLOAT_UNARY:
        return Expected(bits, [_FLOAT_UNARY[operation](a, bits) for a in lanes[0]])
    pairs = [*zip(*lanes, strict=True)]
    if operation in _FLOAT_BINARY:
        return Expected(bits, [_FLOAT_BINARY[operation](a, b, bits) for a, b in pairs])
    holds = _INTEGER_ORDERS[operation]
    orders = [_order(a, b, bits) for a, b in pairs]
    # A NaN differs from everything, and nothing else holds of it.
    return _exact([-(operation == "ne" if order is None else holds(order, 0)) for order in orders], bits)


def _on_integers(bits: int, operation: str, operands: Sequence[int]) -> Expected:
    stem, _, last = operation.rpartition("_")
    if last not in ("s", "u"):
        stem, last = operation, "u"
    sign = last == "s" or stem in ("abs", "neg")
    if stem in _INTEGER_UNARY:
        return _exact([_INTEGER_UNARY[stem](a) for a in _read(operands[0], bits, sign)], bits)
    if stem in ("shl", "shr"):
        count = operands[1] % bits
        lanes = _read(operands[0], bits, sign)
        return _exact([a << count if stem == "shl" else a >> count for a in lanes], bits)
    pairs = [*zip(*[_read(operand, bits, sign) for operand in operands], strict=True)]
    if stem in _INTEGER_ORDERS:
        return _exact([-_INTEGER_ORDERS[stem](a, b) for a, b in pairs], bits)
    if stem in ("add_sat", "sub_sat"):
        return _exact([saturated(_INTEGER_BINARY[stem[:3]](a, b), bits, sign) for a, b in pairs], bits)
    return _exact([_INTEGER_BINARY[stem](a, b) for a, b in pairs], bits)


def _between_shapes(shape: str, operation: str, operands: Sequence[int]) -> Expected:
    """Instructions whose names have the shape of their operands as well."""
    bits = BITS[shape]
    found = re.fullmatch(r"([a-z_]+?)_(?:(low|high)_)?([if]\d+x\d+)(?:_([su]))?(_zero)?", operation)
    assert found, operation
    stem, half, source, sign, _ = found.groups()
    width = LANES[source]
    read = [_read(operand, width, sign == "s") for operand in operands]
    if half or stem == "promote":
        read = [lanes[len(lanes) // 2 :] if half == "high" else lanes[: 128 // bits] for lanes in read]
    if stem == "extend":
        return _exact(read[0], bits)
    if stem == "extmul":
        return _exact([a * b for a, b in zip(*read, strict=True)], bits)
    if stem == "extadd_pairwise":
        return _exact([a + b for a, b in zip(read[0][::2], read[0][1::2], strict=True)], bits)
    if stem == "narrow":
        wide = [lane for operand in operands for lane in _read(operand, width, True)]
        return _exact([saturated(lane, bits, sign == "s") for lane in wide], bits)
    if stem == "dot":
        products = [a * b for a, b in zip(*read, strict=True)]
        return _exact([a + b for a, b in zip(products[::2], products[1::2], strict=True)], bits)
    if stem == "convert":
        return _exact([rounded(Fraction(a), bits) for a in read[0]], bits)
    lanes = split(operands[0], width)
    if stem == "trunc_sat":
        values = [_truncated(a, width, sign == "s")[0] for a in lanes]
        return _exact(values + [0] * (4 - len(values)), 32)
    assert stem in ("demote", "promote"), operation
    converted = [_convert(a, width, bits) for a in (lanes if stem == "demote" else lanes[:2])]
    return Expected(bits, converted + [(0,)] * (128 // bits - len(converted)))


def _dot(a: int, b: int, b_signed: bool, saturating: bool) -> list[int]:
    products = [x * y for x, y in zip(_read(a, 8, True), _read(b, 8, b_signed), strict=True)]
    sums = [x + y for x, y in zip(products[::2], products[1::2], strict=True)]
    return [signed(saturated(one, 16, True) if saturating else one & 0xFFFF, 16) for one in sums]


def _relaxed_result(shape: str, operation: str, operands: Sequence[int], deterministic: bool) -> Expected:
    bits = BITS[shape]
    # The result of the deterministic profile is always the first.
    results = _relaxed_results(shape, bits, operation.removeprefix("relaxed_"), operands)
    if deterministic:
        # Of a minimum, NaN or the zero that the strict instruction has.
        lanes: list[Lane] = [lane[:1] for lane in results.lanes]
        return Expected(results.bits, lanes)
    return results


def _relaxed_results(shape: str, bits: int, operation: str, operands: Sequence[int]) -> Expected:
    lanes = [split(operand, bits) for operand in operands]
    if operation in ("min", "max"):
        strict = _FLOAT_BINARY[f"relaxed_{operation}"]
        return Expected(bits, [strict(a, b, bits) for a, b in zip(*lanes, strict=True)])
    if operation in ("madd", "nmadd"):
        flip = 1 << bits - 1 if operation == "nmadd" else 0
        results: list[Lane] = []
        for a, b, c in zip(*lanes, strict=True):
            if any(is_nan(value, bits) for value in (a, b, c)):
                results.append(_propagated(bits, a, b, c))
                continue
            product = _mul(a ^ flip, b, bits)[0]
            twice = _propagated(bits, a, b, c) if isinstance(product, Nan) else _add(product, c, bits)
            results.append(twice + _fused(a ^ flip, b, c, bits))
        return Expected(bits, results)
    if operation == "swizzle":
        source = lanes[0]
        return Expected(8, [(source[i],) if i < 16 else (0,) if i > 127 else (0, source[i % 16]) for i in lanes[1]])
    if operation == "laneselect":
        return _laneselect(bits, *operands)
    if operation == "q15mulr_s":
        strict_product = _on_integers(16, "q15mulr_sat_s", operands)
        least = [a == b == 0x8000 for a, b in zip(*lanes, strict=True)]
        results = [(0x7FFF, 0x8000) if low else lane for low, lane in zip(least, strict_product.lanes, strict=True)]
        return Expected(16, results)
    if operation.startswith("dot"):
        ways = [
            _dot(operands[0], operands[1], *way) for way in ((True, True), (False, True), (True, False), (False, False))
        ]
        if len(operands) == 2:
            return Expected(16, [tuple(way[lane] & 0xFFFF for way in ways) for lane in range(8)])
        # A processor may have an instruction for all four products, without sums of 16 bits.
        for sign in (True, False):
            products = [x * y for x, y in zip(_read(operands[0], 8, True), _read(operands[1], 8, sign), strict=True)]
            ways.append([x + y for x, y in zip(products[::2], products[1::2], strict=True)])
        return Expected(
            32,
            [
                tuple(way[2 * lane] + way[2 * lane + 1] + lanes[2][lane] & 0xFFFF_FFFF for way in ways)
                for lane in range(4)
            ],
        )
    found = re.fullmatch(r"trunc_(f\d+x\d)_([su])(_zero)?", operation)
    assert found, operation
    width = LANES[found[1]]
    others = (1 << 31,) if found[2] == "s" else ((1 << 32) - 1, (1 << 32) - 2, 1 << 31)
    results = []
    for value in split(operands[0], width):
        result, in_range = _truncated(value, width, found[2] == "s")
        results.append((result,) if in_range else (result, *others))
    return Expected(32, results + [(0,)] * (4 - len(results)))


def _laneselect(bits: int, a: int, b: int, mask: int) -> Expected:
    """By bits, by the top bit of each lane, or, of 16 bits, by the top bit of each byte."""
    ways = [split(_BITWISE["bitselect"](a, b, mask), bits)]
    for width in {bits, 8 if bits == 16 else bits}:
        chosen = zip(split(a, width), split(b, width), split(mask, width), strict=True)
        ways.append(split(join([x if m >> width - 1 else y for x, y, m in chosen], width), bits))
    return Expected(bits, [*zip(*ways, strict=True)])


# -- instructions that are like no other, by name or operation ---------------------------------------------------------


def _shuffle(_: int, a: int, b: int, lanes: bytes) -> Expected:
    source = split(a, 8) + split(b, 8)
    return _exact([source[lane] for lane in lanes], 8)


def _swizzle(_: int, a: int, b: int) -> Expected:
    source = split(a, 8)
    return _exact([source[lane] if lane < 16 else 0 for lane in split(b, 8)], 8)


def _extract(sign: bool) -> Callable[[int, int, int], Expected]:
    def extract(bits: int, a: int, lane: int) -> Expected:
        return _scalar(_read(a, bits, sign)[lane], max(bits, 32))

    return extract


def _replace(bits: int, a: int, b: int, lane: int) -> Expected:
    lanes = split(a, bits)
    lanes[lane] = b
    return _exact(lanes, bits)


def _bitmask(bits: int, a: int) -> Expected:
    return _scalar(join([lane >> bits - 1 for lane in split(a, bits)], 1))


_SPECIAL: dict[str, Callable[..., Expected]] = {
    "i8x16.shuffle": _shuffle,
    "i8x16.swizzle": _swizzle,
    "splat": lambda bits, a: _exact([a] * (128 // bits), bits),
    "extract_lane": _extract(False),
    "extract_lane_s": _extract(True),
    "extract_lane_u": _extract(False),
    "replace_lane": _replace,
    "all_true": lambda bits, a: _scalar(all(split(a, bits))),
    "bitmask": _bitmask,
}


def _accessed(operation: str, operands: Sequence[int | bytes]) -> Expected:
    """The vector that is loaded, or the bytes that are stored."""
    found = re.fullmatch(r"(load|store)(\d+)?(?:x(\d+)_([su])|_(splat|zero|lane))?", operation)
    assert found, operation
    access, width, count, sign, kind = found.groups()
    bits = int(width or 128)
    if access == "store":
        vector = operands[0]
        assert isinstance(vector, int)
        if kind == "lane":
            lane = operands[1]
            assert isinstance(lane, int)
            vector = split(vector, bits)[lane]
        return _scalar(vector, bits)
    data = operands[0]
    assert isinstance(data, bytes), "a load is given what it loads"
    number = int.from_bytes(data, "little")
    if count:
        lanes = split(number, bits, int(count))
        return _exact([signed(lane, bits) if sign == "s" else lane for lane in lanes], 2 * bits)
    if kind == "splat":
        return _exact([number] * (128 // bits), bits)
    if kind == "lane":
        vector, lane = operands[1:]
        assert isinstance(vector, int)
        assert isinstance(lane, int)
        return _replace(bits, vector, number, lane)
    return _exact([number], 128)
