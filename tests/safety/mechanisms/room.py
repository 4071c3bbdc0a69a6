"""What keeps the memory that a module's bytes take in proportion to them, and gives back what is not needed."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_MEMORY = "tests/binary/test_hostile.py::test_memory_is_in_proportion_to_the_bytes"
_COMPILING = "tests/binary/test_hostile.py::test_compiling_takes_memory_in_proportion_to_the_bytes"
_GIVING_BACK = "tests/api/test_giving_back.py"

MECHANISMS = [
    Mechanism(
        "room-of-many-things",
        "the host's memory, from modules with very many globals, element segments, expressions and data segments",
        "vibewasm/binary/definitions.py",
        "\nKEPT = 1024\n",
        "\nKEPT = 1 << 30\n",
        (_MEMORY,),
    ),
    Mechanism(
        "room-of-sections",
        "the host's memory, from modules of very many sections",
        "vibewasm/binary/decoder.py",
        "        if len(kept) < _KEPT:\n",
        "        if True:\n",
        (_MEMORY,),
    ),
    Mechanism(
        "room-of-jump-tables",
        "the host's memory, from a br_table of millions of entries",
        "vibewasm/compiler/instructions/branches.py",
        "    c.jump_tables.append((table_site, depths[:-1], stubs))\n",
        "    c.jump_tables.append((table_site, [depth + 300 for depth in depths[:-1]],"
        " {depth + 300: stub for depth, stub in stubs.items()}))\n",
        (_COMPILING,),
    ),
    Mechanism(
        "imports-shared",
        "the host's memory, from modules that import one function very often",
        "vibewasm/api/many_imports.py",
        "made.get(key) or linker._resolve(store, wanted)",
        "linker._resolve(store, wanted)",
        ("tests/api/test_stopping_work.py::test_imports_of_one_name_and_type_share_a_function_where_there_are_many",),
    ),
    Mechanism(
        "types-given-back",
        "the host's memory, from modules each of which brings other types",
        "vibewasm/api/engine.py",
        "        if len(known) >= self._type_ids_room:\n",
        "        if False:\n",
        (f"{_GIVING_BACK}::test_identities_of_types_go_with_the_modules_that_have_them",),
    ),
    Mechanism(
        "types-kept-by-records",
        "control flow: the type of a host function in a table is not given out again while it is there",
        "vibewasm/calls/callbacks.py",
        "    keeps.add(identity)\n",
        "",
        (f"{_GIVING_BACK}::test_the_identity_of_a_type_stays_while_anything_has_it",),
    ),
    Mechanism(
        "types-kept-by-modules",
        "control flow: the types of functions in a table are not given out again while they are there",
        "vibewasm/instances/context.py",
        "        self._type_ids = type_ids = [",
        "        self._type_ids, type_ids = [], [",
        (f"{_GIVING_BACK}::test_the_identity_of_a_type_stays_while_anything_has_it",),
    ),
    Mechanism(
        "reference-types-given-back",
        "the host's memory, from modules each of which brings other types that refer to types",
        "vibewasm/type_groups.py",
        "    if len(_groups) + len(_val_types) >= _room:\n",
        "    if False:\n",
        (f"{_GIVING_BACK}::test_without_being_asked_to_the_registry_stays_small",),
    ),
    Mechanism(
        "reference-types-kept-by-value-types",
        "the truth of types: the number of a type that a value type refers to stays",
        "vibewasm/type_groups.py",
        "                found._group = find(code - FIRST_CONCRETE >> 1)[0]\n",
        "                find(code - FIRST_CONCRETE >> 1)\n",
        (f"{_GIVING_BACK}::test_the_numbers_of_types_stay_while_anything_has_them",),
    ),
    Mechanism(
        "reference-types-kept-by-types",
        "the truth of types: the numbers of types that a type refers to stay",
        "vibewasm/type_groups.py",
        "        self.uses: object = (*uses,)\n",
        "        self.uses: object = ((),)\n",
        (f"{_GIVING_BACK}::test_the_numbers_of_types_stay_while_anything_has_them",),
    ),
    Mechanism(
        "adapters-given-back",
        "the host's memory, from modules each of which brings other signatures",
        "runtime/rare_adapters.py",
        "\n_MOST = 64\n",
        "\n_MOST = 1 << 30\n",
        (f"{_GIVING_BACK}::test_adapters_of_rare_signatures_go_with_who_uses_them",),
    ),
    Mechanism(
        "adapters-kept-while-used",
        "control flow: the code by which wasm calls a host function stays as long as its record",
        "runtime/adapters.py",
        "        keeper.add(batch)\n",
        "",
        (f"{_GIVING_BACK}::test_code_that_calls_a_host_function_stays_with_the_store",),
    ),
]
