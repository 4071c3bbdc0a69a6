"""Random valid modules that end whatever is called. They import from `env` and export all that they have."""

from __future__ import annotations

from random import Random

from tests.fuzz.bodies import BodyWriter
from tests.fuzz.instructions import END, REF_FUNC, REF_NULL, Body, encode, sleb, uleb
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32, constant
from tests.fuzz.operations import GLOBAL_GET, I32_ADD, NUMERIC, Repertoire
from tests.fuzz.parts import (
    CODE,
    DATA,
    DATA_COUNT,
    ELEMENT,
    EXPORT,
    FUNC_KIND,
    FUNCTION,
    GLOBAL,
    GLOBAL_KIND,
    IMPORT,
    MEMORY,
    MEMORY_KIND,
    START,
    TABLE,
    TABLE_KIND,
    TYPE,
    Parts,
    Section,
)
from tests.fuzz.surroundings import FUEL, PAGE, Surroundings

#: The export that has to be called before each other one, so that it has fuel.
REFUEL = "refuel"


def generate(rng: Random, *, small: bool = False, repertoire: Repertoire = NUMERIC) -> Parts:
    """A random valid module in parts; it depends on the given random numbers only."""
    module = Surroundings(rng, small=small, repertoire=repertoire)
    bodies = [BodyWriter(module, index).write() for index in range(len(module.imported), len(module.funcs))]
    return assemble(module, bodies)


def assemble(module: Surroundings, bodies: list[Body]) -> Parts:
    """The module with these bodies of its defined functions."""
    rng = module.rng
    start = [i for i, t in enumerate(module.funcs) if t == 0 and i != module.refuel]
    sections = [
        Section(TYPE, [type_.encode() for type_ in module.types]),
        Section(IMPORT, _imports(module)),
        Section(FUNCTION, [uleb(t) for t in module.defined]),
        Section(TABLE, [bytes([t.type]) + limits(t.minimum, t.maximum) for t in module.tables if not t.imported]),
        Section(MEMORY, [limits(m.minimum, m.maximum) for m in [module.memory] if m and not m.imported]),
        Section(GLOBAL, _globals(module)),
        Section(EXPORT, _exports(module)),
        Section(START, raw=uleb(rng.choice(start)) if start and rng.random() < 0.3 else b""),
        Section(ELEMENT, _elements(module)),
        Section(DATA_COUNT, raw=uleb(len(module.datas) + 2 * (module.memory is not None))),
        Section(CODE, [body.encode() for body in bodies]),
        Section(DATA, data_segments(module)),
    ]
    return Parts([s for s in sections if s.items or s.raw])


def _name(letter: str, index: int) -> bytes:
    name = f"{letter}{index}".encode()
    return uleb(len(name)) + name


def limits(minimum: int, maximum: int) -> bytes:
    """Limits with a maximum."""
    return b"\1" + uleb(minimum) + uleb(maximum)


def _imports(module: Surroundings) -> list[bytes]:
    env = b"\3env"
    items = [env + _name("f", i) + bytes([FUNC_KIND]) + uleb(t) for i, t in enumerate(module.imported)]
    items += [
        env + _name("g", i) + bytes([GLOBAL_KIND, t, mutable]) for i, (t, mutable) in enumerate(module.imported_globals)
    ]
    if module.memory and module.memory.imported:
        items.append(env + b"\1m" + bytes([MEMORY_KIND]) + limits(module.memory.minimum, module.memory.maximum))
    items += [
        env + _name("t", i) + bytes([TABLE_KIND, t.type]) + limits(t.minimum, t.maximum)
        for i, t in enumerate(module.tables)
        if t.imported
    ]
    return items


def _exports(module: Surroundings) -> list[bytes]:
    items = [_name("f", i) + bytes([FUNC_KIND]) + uleb(i) for i in module.callable]
    items.append(uleb(len(REFUEL)) + REFUEL.encode() + bytes([FUNC_KIND]) + uleb(module.refuel))
    items += [_name("g", i) + bytes([GLOBAL_KIND]) + uleb(i) for i in range(len(module.globals))]
    items += [_name("t", i) + bytes([TABLE_KIND]) + uleb(i) for i in range(len(module.tables))]
    return items + [b"\1m" + bytes([MEMORY_KIND, 0])] * (module.memory is not None)


def _globals(module: Surroundings) -> list[bytes]:
    items = [bytes([I32, 1]) + b"\x41" + sleb(FUEL) + bytes([END])]
    for type_, mutable in module.globals[module.fuel + 1 :]:
        items.append(bytes([type_, mutable]) + initial(module, type_) + bytes([END]))
    return items


def initial(module: Surroundings, type_: int) -> bytes:
    """A constant expression for a global, without its end."""
    rng = module.rng
    if type_ == FUNCREF and rng.random() < 0.5:
        return bytes([REF_FUNC]) + uleb(rng.choice(module.referable))
    if type_ in (FUNCREF, EXTERNREF):
        return bytes([REF_NULL, type_])
    same = [i for i, g in enumerate(module.imported_globals) if g == (type_, False)]
    if same and rng.random() < 0.5:
        return bytes([GLOBAL_GET, rng.choice(same)])
    value = encode(constant(rng, type_))
    if type_ == I32 and rng.random() < 0.1:
        value += encode(constant(rng, type_)) + bytes([I32_ADD])
    return value


def _elements(module: Surroundings) -> list[bytes]:
    rng = module.rng
    items: list[bytes] = []
    # Segments that code names come first.
    for type_ in module.elements:
        if type_ == FUNCREF and rng.random() < 0.5:
            items.append(b"\1\0" + _functions(module, module.element_size))
        else:
            items.append(bytes([5, type_]) + _expressions(module, type_, module.element_size))
    for index, table in enumerate(module.tables):
        if rng.random() < 0.2:
            continue
        # A null stays at the end of most tables.
        count = max(0, table.minimum - rng.randrange(-1 if rng.random() < 0.05 else 0, 3))
        if table.type == EXTERNREF or rng.random() < 0.3:
            active = bytes([6]) + uleb(index) + b"\x41\0\x0b" + bytes([table.type])
            items.append(active + _expressions(module, table.type, count))
        elif index == 0 and rng.random() < 0.5:
            items.append(b"\0\x41\0\x0b" + _functions(module, count))
        else:
            items.append(b"\2" + uleb(index) + b"\x41\0\x0b\0" + _functions(module, count))
    everything = b"".join(map(uleb, module.referable))
    return [*items, b"\3\0" + uleb(len(module.referable)) + everything]  # so that ref.func may name any


def _functions(module: Surroundings, count: int) -> bytes:
    return uleb(count) + b"".join([uleb(module.rng.choice(module.referable)) for _ in range(count)])


def _expressions(module: Surroundings, type_: int, count: int) -> bytes:
    rng = module.rng
    items = []
    for _ in range(count):
        if type_ == FUNCREF and rng.random() < 0.7:
            items.append(bytes([REF_FUNC]) + uleb(rng.choice(module.referable)) + bytes([END]))
        else:
            items.append(bytes([REF_NULL, type_, END]))
    return uleb(count) + b"".join(items)


def data_segments(module: Surroundings) -> list[bytes]:
    """Passive data segments, and two that fill the memory's first and last bytes."""
    rng = module.rng
    datas = [b"\1" + uleb(size) + rng.randbytes(size) for size in module.datas]
    if module.memory is not None:
        datas.append(b"\0\x41\x08\x0b" + uleb(250) + rng.randbytes(250))
        near_end = max(0, module.memory.minimum * PAGE - 64)
        size = 64 if module.memory.minimum and rng.random() > 0.01 else rng.choice([0, 64, 65])
        datas.append(b"\0\x41" + sleb(near_end) + b"\x0b" + uleb(size) + rng.randbytes(size))
        if not module.memory.minimum:
            datas[-2] = b"\0\x41\0\x0b\0"
    return datas
