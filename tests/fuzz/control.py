"""Random valid modules about control: exceptions, tail calls, references to functions of a type, and two instances.

Such a module is instantiated twice. What it imports from `other` the second instance gets from the first one, and the
first one from the host: so calls, exceptions and tables go to and fro between two instances of one module.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.fuzz.control_bodies import ControlWriter
from tests.fuzz.generate import REFUEL, data_segments, initial, limits
from tests.fuzz.instructions import END, I32_CONST, REF_FUNC, REF_NULL, sleb, uleb
from tests.fuzz.legacy_bodies import LegacyWriter
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32, V128
from tests.fuzz.operations import GLOBAL_GET, NUMERIC, Repertoire
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
    TAG,
    TAG_KIND,
    TYPE,
    Parts,
    Section,
    Signature,
)
from tests.fuzz.surroundings import FUEL, MemoryPlan, Surroundings, TablePlan
from tests.fuzz.value_types import (
    EXNREF,
    encode_type,
    has_no_default,
    heap,
    is_function,
    not_null,
    nullable,
    type_number,
)

_PARAMETERS = [0, 1, 1, 2, 3, 4, 6, 9, 14, 30, 60]


class Origin(NamedTuple):
    """Where an import comes from."""

    module: str
    name: str

    def encode(self) -> bytes:
        return _named(self.module) + _named(self.name)


class TypedTable(NamedTuple):
    """A table: as :class:`~tests.fuzz.surroundings.TablePlan`; where it is imported from; if it has a first value."""

    type: int
    imported: bool
    minimum: int
    maximum: int
    origin: Origin | None = None
    first: bool = False


class ControlSurroundings(Surroundings):
    """What functions about control may refer to.

    Attributes, beside those of :class:`~tests.fuzz.surroundings.Surroundings`:
        legacy: exceptions are those of the older form, and nothing is there that came with the newer one.
        supertypes: number of a function type → that of its supertype, or None for one that may have subtypes.
        group: numbers of the types that refer to each other, in one recursive group.
        targets: numbers of the types that references are to; there is a function of each.
        tags: type numbers of all tags.
        throwers: a function for each tag, which takes the tag's values and throws them, mostly.
        keepers: for each tag that carries a reference to an exception, a function that gives an exception with that
            tag which carries another one.
        foreign_throwers: such functions of the other instance, by those of its tags that are imported.
        origins: where imported functions, globals and tags come from.
        other_refuel: index of the imported function that refuels the other instance, or None.
    """

    def __init__(
        self, rng: Random, *, small: bool = False, repertoire: Repertoire = NUMERIC, legacy: bool = False
    ) -> None:
        # Not that of the base class: its order of draws is that of the campaigns that have been.
        self.rng = rng
        self.repertoire = repertoire
        self.legacy = legacy
        plain = repertoire.types + bytes([FUNCREF, EXTERNREF])
        self.values = plain
        self.types = [Signature(b"", b""), Signature(b"", bytes([I32]))]
        self._type_numbers = {signature: number for number, signature in enumerate(self.types)}
        self.supertypes: dict[int, int | None] = {}
        self.group: list[int] = []
        # Few lists of results, so that there are functions to tail-call.
        self._results = [self._some_types(rng.choice([0, 1, 1, 2, 3, 12])) for _ in range(2)]
        plain_numbers = [
            0,
            1,
            *[self.type_number(self.signature()) for _ in range(rng.randrange(2, 4 if small else 6))],
        ]
        self._draw_targets(plain_numbers)
        typed = [] if legacy and rng.random() < 0.5 else [nullable(t) for t in self.targets]
        typed += [not_null(t) for t in self.targets] if typed else []
        # Where there are references to exceptions, there are some at the same time.
        self.values = plain + bytes(typed) + (b"" if legacy else bytes([EXNREF] * 3))
        rich_numbers = [self.type_number(self.signature()) for _ in range(rng.randrange(1, 3 if small else 5))]
        self.with_other = not legacy and rng.random() < 0.7
        self._draw_tags(plain)
        self._draw_functions(plain_numbers, rich_numbers, small)
        self._draw_globals(plain)
        self._draw_tables()
        self.memory = None
        if rng.random() < 0.8:
            self.memory = MemoryPlan(not legacy and rng.random() < 0.2, rng.choice([1, 1, 1, 2, 0]), 3)
        choices = [FUNCREF, EXTERNREF, *[code for code in self.values if type_number(code) is not None]]
        self.elements = [rng.choice(choices) for _ in range(rng.randrange(3))]
        self.element_size = 4
        self.datas = [rng.randrange(1, 40) for _ in range(rng.randrange(3))] if self.memory else []
        sizes = [(20, 3), (40, 3)] if small else [(40, 4), (60, 4), (120, 5), (250, 5)]
        self.budget, self.depth = rng.choice(sizes)

    def signature(self) -> Signature:
        """Parameters of any number, and results that others have as well, mostly."""
        rng = self.rng
        params = self._some_types(rng.choice(_PARAMETERS) if rng.random() < 0.97 else 200)
        results = rng.choice(self._results) if rng.random() < 0.7 else self._some_types(rng.choice([0, 1, 1, 2, 5]))
        return Signature(params, results)

    def function_of(self, number: int) -> int | None:
        """A function that references to type `number` may be to, or None where there is none."""
        fitting = [f for f in self.referable if self.is_subtype(self.funcs[f], number)]
        return self.rng.choice(fitting) if fitting else None

    def is_subtype(self, number: int | None, wanted: int) -> bool:
        """Whether function type `number` is `wanted`, or has it as a supertype."""
        while number is not None and number != wanted:
            number = self.supertypes.get(number)
        return number == wanted

    def is_plain(self, number: int) -> bool:
        """Whether the host can make all values of a function type, and the type is final and in no group."""
        signature = self.types[number]
        known = {*self.repertoire.types, FUNCREF, EXTERNREF}
        return {*signature.params, *signature.results} <= known and number not in (*self.supertypes, *self.group)

    def is_callable_from_outside(self, number: int) -> bool:
        """Whether the harness can give arguments and take results."""
        signature = self.types[number]
        if EXNREF in signature.params + signature.results:
            return False
        if self.legacy and V128 in signature.params + signature.results:
            # JavaScript has no such values.
            return False
        return not any(has_no_default(code) for code in signature.params)

    def _draw_targets(self, plain: list[int]) -> None:
        rng = self.rng
        self.targets = sorted({*rng.sample(plain, min(len(plain), rng.randrange(1, 4)))})
        if not self.legacy and rng.random() < 0.4:
            # A type that may have subtypes, and one of these.
            base = len(self.types)
            signature = self.signature()
            self.types += [signature, signature]
            self.supertypes |= {base: None, base + 1: base}
            self.targets += [base, base + 1]
        if rng.random() < 0.3:
            first = len(self.types)
            self.group = [first, first + 1]
            self.types.append(Signature(bytes([nullable(first + 1), I32]), bytes([I32])))
            self.types.append(Signature(bytes([nullable(first), nullable(first + 1)]), bytes([I32])))
            self.targets += self.group

    def _draw_functions(self, plain: list[int], rich: list[int], small: bool) -> None:
        rng = self.rng
        hosted = [number for number in plain if self.is_plain(number)]
        self.defined = [0, 0, *[rng.choice(plain + rich) for _ in range(rng.randrange(1, 3 if small else 5))]]
        self.defined += [t for t in [*self.targets, *rich] if t not in self.defined]
        with_other = self.with_other
        env = [] if self.legacy else [rng.choice("fbbhh") for _ in range(rng.choice([0, 1, 2, 3]))]
        shared = [at for at in range(2, len(self.defined)) if self.is_plain(self.defined[at])]
        others = rng.sample(shared, min(len(shared), rng.randrange(4))) if with_other else []
        # What throws there, with the tags that are imported.
        others += [len(self.defined) + len(self.imported_tags) + at for at in self._shared_tags]
        self.defined += self.tags
        self.imported = [rng.choice(hosted) for _ in env] + [self.defined[at] for at in others] + [0] * with_other
        count = len(self.imported)
        first = count + len(self.defined) - len(self.tags)
        self.throwers = [*range(first, first + len(self.tags))]
        # Of tags that carry nothing but a reference to an exception.
        carriers = [at for at, t in enumerate(self.tags) if self.types[t].params == bytes([EXNREF])]
        self.keepers = {tag: count + len(self.defined) + at for at, tag in enumerate(carriers)}
        self.defined += [self.type_number(Signature(b"", bytes([EXNREF]))) for _ in carriers]
        # The last ones of the imported tags, and the last but one of the imported functions.
        tags = range(len(self.imported_tags) - len(self._shared_tags), len(self.imported_tags))
        self.foreign_throwers = {tag: count - with_other - (tags.stop - tag) for tag in tags}
        self.origins = [Origin("env", f"{letter}{at}") for at, letter in enumerate(env)]
        self.origins += [Origin("other", f"f{count + at}") for at in others]
        self.origins += [Origin("other", REFUEL)] * with_other
        self.other_refuel = count - 1 if with_other else None
        self.refuel, self.idle = count, count + 1
        self.funcs = self.imported + self.defined
        # Code that could fill up the fuel would not end.
        self.callable = [f for f in range(len(self.funcs)) if f not in (self.refuel, self.other_refuel)]
        self.referable = self.callable

    def _draw_tags(self, plain: bytes) -> None:
        rng = self.rng

        def number(types: bytes) -> int:
            return self.type_number(Signature(types, b""))

        def drawn(types: bytes) -> int:
            return number(bytes([rng.choice(types) for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 6, 20]))]))

        env = 0 if self.legacy else rng.randrange(3)
        own = [drawn(self.values if rng.random() < 0.5 else plain) for _ in range(rng.randrange(1, 4))]
        if not self.legacy and rng.random() < 0.4:
            # One that carries another exception.
            own.append(number(bytes([EXNREF])))
        shared = [at for at, type_ in enumerate(own) if self.is_plain(type_)]
        others = rng.sample(shared, min(len(shared), rng.randrange(3))) if self.with_other else []
        self._shared_tags = others
        self.imported_tags = [drawn(plain) for _ in range(env)]
        self.tag_origins = [Origin("env", f"x{at}") for at in range(env)]
        if env and rng.random() < 0.4:
            # One tag that is imported twice.
            self.imported_tags.append(self.imported_tags[0])
            self.tag_origins.append(self.tag_origins[0])
        self.imported_tags += [own[at] for at in others]
        # Own ones come after all imported ones.
        self.tag_origins += [Origin("other", f"x{len(self.imported_tags) + at}") for at in others]
        self.tags = self.imported_tags + own

    def _draw_globals(self, plain: bytes) -> None:
        rng = self.rng
        env = 0 if self.legacy else rng.randrange(2)
        own = [(rng.choice(self.values), rng.random() < 0.8) for _ in range(rng.randrange(1, 8))]
        hosted = [at for at, (type_, _) in enumerate(own) if type_ in plain]
        others = rng.sample(hosted, min(len(hosted), rng.randrange(3))) if self.other_refuel is not None else []
        count = env + len(others)
        self.imported_globals = [(rng.choice(plain), rng.random() < 0.5) for _ in range(env)]
        self.imported_globals += [own[at] for at in others]
        self.global_origins = [Origin("env", f"g{at}") for at in range(env)]
        self.global_origins += [Origin("other", f"g{count + 1 + at}") for at in others]
        self.fuel = count
        self.globals = [*self.imported_globals, (I32, True), *own]

    def _draw_tables(self) -> None:
        rng = self.rng
        typed = [code for code in self.values if type_number(code) is not None or code == EXNREF]
        own = []
        for _ in range(rng.randrange(1, 4)):
            type_ = rng.choice([FUNCREF, FUNCREF, EXTERNREF, *typed])
            first = is_function(type_) and (has_no_default(type_) or rng.random() < 0.2)
            own.append(TypedTable(type_, False, rng.randrange(1, 9), 12, None, first))
        imported: list[TypedTable] = []
        if not self.legacy and rng.random() < 0.2:
            imported.append(
                TypedTable(rng.choice([FUNCREF, EXTERNREF]), True, rng.randrange(1, 9), 12, Origin("env", "t0"))
            )
        if self.other_refuel is not None:
            hosted = [at for at, table in enumerate(own) if table.type in (FUNCREF, EXTERNREF)]
            chosen = [at for at in hosted if rng.random() < 0.7]
            count = len(imported) + len(chosen)
            imported += [own[at]._replace(imported=True, origin=Origin("other", f"t{count + at}"), first=False)
                         for at in chosen]  # fmt: skip
        self.plans = imported + own
        self.tables = [TablePlan(table.type, table.imported, table.minimum, table.maximum) for table in self.plans]


def generate_control(
    rng: Random, *, small: bool = False, repertoire: Repertoire = NUMERIC, legacy: bool = False
) -> Parts:
    """A random valid module about control; of the older exceptions, and without an import, if `legacy`."""
    module = ControlSurroundings(rng, small=small, repertoire=repertoire, legacy=legacy)
    writer = LegacyWriter if legacy else ControlWriter
    bodies = [writer(module, index).write() for index in range(len(module.imported), len(module.funcs))]
    start = [i for i, t in enumerate(module.funcs) if t == 0 and i in module.callable]
    sections = [
        Section(TYPE, _types(module)),
        Section(IMPORT, _imports(module)),
        Section(FUNCTION, [uleb(t) for t in module.defined]),
        Section(TABLE, [_table(module, table) for table in module.plans if not table.imported]),
        Section(MEMORY, [limits(m.minimum, m.maximum) for m in [module.memory] if m and not m.imported]),
        Section(TAG, [b"\0" + uleb(t) for t in module.tags[len(module.imported_tags) :]]),
        Section(GLOBAL, _globals(module)),
        Section(EXPORT, _exports(module)),
        Section(START, raw=uleb(rng.choice(start)) if start and rng.random() < 0.08 else b""),
        Section(ELEMENT, _elements(module)),
        Section(DATA_COUNT, raw=uleb(len(module.datas) + 2 * (module.memory is not None))),
        Section(CODE, [body.encode() for body in bodies]),
        Section(DATA, data_segments(module)),
    ]
    return Parts([s for s in sections if s.items or s.raw])


def _named(name: str) -> bytes:
    return uleb(len(name)) + name.encode()


def _types(module: ControlSurroundings) -> list[bytes]:
    items: list[bytes] = []
    for number, signature in enumerate(module.types):
        item = signature.encode()
        if number in module.supertypes:
            supertype = module.supertypes[number]
            item = b"\x50" + (b"\0" if supertype is None else b"\1" + uleb(supertype)) + item
        if number in module.group[1:]:
            items[-1] += item
            continue
        items.append(b"\x4e" + uleb(len(module.group)) + item if number in module.group else item)
    return items


def _imports(module: ControlSurroundings) -> list[bytes]:
    items = [o.encode() + bytes([FUNC_KIND]) + uleb(t) for o, t in zip(module.origins, module.imported, strict=True)]
    items += [
        origin.encode() + bytes([GLOBAL_KIND]) + encode_type(type_) + bytes([mutable])
        for origin, (type_, mutable) in zip(module.global_origins, module.imported_globals, strict=True)
    ]
    if module.memory and module.memory.imported:
        memory = limits(module.memory.minimum, module.memory.maximum)
        items.append(Origin("env", "m").encode() + bytes([MEMORY_KIND]) + memory)
    items += [
        table.origin.encode() + bytes([TABLE_KIND]) + encode_type(table.type) + limits(table.minimum, table.maximum)
        for table in module.plans
        if table.origin is not None
    ]
    return items + [
        origin.encode() + bytes([TAG_KIND, 0]) + uleb(t)
        for origin, t in zip(module.tag_origins, module.imported_tags, strict=True)
    ]


def _exports(module: ControlSurroundings) -> list[bytes]:
    outside = [f for f in module.callable if module.is_callable_from_outside(module.funcs[f])]
    items = [_named(f"f{f}") + bytes([FUNC_KIND]) + uleb(f) for f in outside]
    items.append(_named(REFUEL) + bytes([FUNC_KIND]) + uleb(module.refuel))
    items += [
        _named(f"g{g}") + bytes([GLOBAL_KIND]) + uleb(g)
        for g, (type_, _) in enumerate(module.globals)
        if type_ != EXNREF
    ]
    items += [
        _named(f"t{t}") + bytes([TABLE_KIND]) + uleb(t) for t, table in enumerate(module.tables) if table.type != EXNREF
    ]
    items += [_named(f"x{x}") + bytes([TAG_KIND]) + uleb(x) for x in range(len(module.tags))]
    return items + [_named("m") + bytes([MEMORY_KIND, 0])] * (module.memory is not None)


def _table(module: ControlSurroundings, table: TypedTable) -> bytes:
    plain = encode_type(table.type) + limits(table.minimum, table.maximum)
    return b"\x40\0" + plain + _reference(module, table.type, always=True) + bytes([END]) if table.first else plain


def _globals(module: ControlSurroundings) -> list[bytes]:
    items = [bytes([I32, 1, I32_CONST]) + sleb(FUEL) + bytes([END])]
    for type_, mutable in module.globals[module.fuel + 1 :]:
        value = _reference(module, type_) if is_function(type_) or type_ == EXNREF else initial(module, type_)
        items.append(encode_type(type_) + bytes([mutable]) + value + bytes([END]))
    return items


def _reference(module: ControlSurroundings, type_: int, always: bool = False) -> bytes:
    """A constant expression without its end; one that is not null if `always`, or if the type has no null."""
    rng = module.rng
    if is_function(type_) and (always or has_no_default(type_) or rng.random() < 0.6):
        number = type_number(type_)
        func = rng.choice(module.referable) if number is None else module.function_of(number)
        if func is not None:
            return bytes([REF_FUNC]) + uleb(func)
    same = [i for i, g in enumerate(module.imported_globals) if g == (type_, False)]
    if same and rng.random() < 0.5:
        return bytes([GLOBAL_GET]) + uleb(rng.choice(same))
    return bytes([REF_NULL]) + sleb(heap(type_))


def _elements(module: ControlSurroundings) -> list[bytes]:
    rng = module.rng
    # Segments that code names come first.
    items = [b"\5" + encode_type(type_) + _expressions(module, type_, module.element_size) for type_ in module.elements]
    for index, table in enumerate(module.tables):
        if rng.random() < 0.2:
            continue
        # A null stays at the end of most tables.
        count = max(0, table.minimum - rng.randrange(3))
        offset = bytes([I32_CONST]) + sleb(0) + bytes([END])
        if table.type == FUNCREF and rng.random() < 0.5:
            functions = b"".join([uleb(rng.choice(module.referable)) for _ in range(count)])
            items.append(b"\2" + uleb(index) + offset + b"\0" + uleb(count) + functions)
        else:
            head = b"\6" + uleb(index) + offset + encode_type(table.type)
            items.append(head + _expressions(module, table.type, count))
    everything = b"".join(map(uleb, module.referable))
    return [*items, b"\3\0" + uleb(len(module.referable)) + everything]  # so that ref.func may name any


def _expressions(module: ControlSurroundings, type_: int, count: int) -> bytes:
    return uleb(count) + b"".join([_reference(module, type_) + bytes([END]) for _ in range(count)])
