"""Random valid modules."""

from __future__ import annotations

from random import Random

from tests.fuzz.bodies import GLOBAL_GET, BodyWriter, Surroundings
from tests.fuzz.instructions import REF_NULL, encode, uleb
from tests.fuzz.numbers import EXTERNREF, FUNCREF, constant
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


def generate(rng: Random) -> Parts:
    """A random valid module in parts; it depends on the given random numbers only."""
    module = Surroundings(rng)
    bodies = [BodyWriter(module, index).write().encode() for index in range(len(module.imported), len(module.funcs))]
    imports = [b"\3env\2f" + bytes([48 + i]) + b"\0" + uleb(t) for i, t in enumerate(module.imported)]
    imports += [b"\3env\2g" + bytes([48 + i, 3, t, mutable]) for i, (t, mutable) in enumerate(module.imported_globals)]
    exports = [b"\2f" + bytes([48 + i, FUNC_KIND]) + uleb(i) for i in range(len(module.funcs))]
    exports += [b"\2g" + bytes([48 + i, GLOBAL_KIND, i]) for i in range(len(module.globals))]
    exports += [b"\2t" + bytes([48 + i, TABLE_KIND, i]) for i in range(len(module.tables))]
    exports += [b"\1m" + bytes([MEMORY_KIND, 0])] * module.memory
    everything = uleb(len(module.funcs)) + b"".join(map(uleb, range(len(module.funcs))))
    elements = [b"\1\0" + everything for _ in range(module.elements)]
    for index, type_ in enumerate(module.tables):
        if type_ == FUNCREF:
            some = [rng.randrange(len(module.funcs)) for _ in range(rng.randrange(module.table_size + 1))]
            elements.append(b"\2" + uleb(index) + b"\x41\0\x0b\0" + uleb(len(some)) + b"".join(map(uleb, some)))
    elements.append(b"\3\0" + everything)  # so that ref.func may name any
    datas = [b"\1" + uleb(size) + rng.randbytes(size) for size in [rng.randrange(1, 40) for _ in range(module.datas)]]
    if module.memory:
        datas.append(b"\0\x41\x08\x0b" + uleb(250) + rng.randbytes(250))
    start = [i for i, t in enumerate(module.funcs) if module.types[t] == (b"", b"")]
    sections = [
        Section(TYPE, [type_.encode() for type_ in module.types]),
        Section(IMPORT, imports),
        Section(FUNCTION, [uleb(t) for t in module.defined]),
        Section(TABLE, [bytes([t, 1, module.table_size, 12]) for t in module.tables]),
        Section(MEMORY, [b"\1\1\3"] * module.memory),
        Section(GLOBAL, [bytes([t, mutable]) + _initial(module, t) + b"\x0b" for t, mutable in
                         module.globals[len(module.imported_globals):]]),
        Section(EXPORT, exports),
        Section(START, raw=uleb(rng.choice(start)) if start and rng.random() < 0.3 else b""),
        Section(ELEMENT, elements),
        Section(DATA_COUNT, raw=uleb(len(datas))),
        Section(CODE, bodies),
        Section(DATA, datas),
    ]  # fmt: skip
    return Parts([s for s in sections if s.items or s.raw])


def _initial(module: Surroundings, type_: int) -> bytes:
    if type_ in (FUNCREF, EXTERNREF):
        return bytes([REF_NULL, type_])
    same = [i for i, g in enumerate(module.imported_globals) if g == (type_, False)]
    if same and module.rng.random() < 0.5:
        return bytes([GLOBAL_GET, module.rng.choice(same)])
    return encode(constant(module.rng, type_))
