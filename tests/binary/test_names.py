"""The name section: decoded when asked for, never an error."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.binary.builder import ModuleBuilder
from tests.binary.encode import custom, module, name, section, unsigned, vector
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import ModuleInfo

name_maps = st.dictionaries(st.integers(0, 2**32 - 1), st.text(max_size=10), max_size=5)


def name_map(names: dict[int, str]) -> bytes:
    return vector(unsigned(index) + name(text) for index, text in names.items())


def with_names(contents: bytes) -> ModuleInfo:
    return decode(module(custom("name", contents)))


@given(names=name_maps, locals=st.dictionaries(st.integers(0, 300), name_maps, max_size=3), title=st.text())
def test_names_round_trip(names: dict[int, str], locals: dict[int, dict[int, str]], title: str) -> None:
    indirect = vector(unsigned(index) + name_map(inner) for index, inner in locals.items())
    info = with_names(
        section(0, name(title))
        + section(1, name_map(names))
        + section(2, indirect)
        + section(3, indirect)
        + b"".join(section(number, name_map(names)) for number in (4, 5, 6, 7, 8, 9))
        + section(10, indirect)
        + section(11, name_map(names))
        + section(99, b"ignored")
    )
    inner_names = {index: inner for index, inner in locals.items() if inner}
    assert info.name == title
    assert info.func_names == names
    assert info.local_names == inner_names
    assert info.has_local_names
    for kind in ("global", "type", "table", "memory", "elem", "data", "tag"):
        assert info.names.of(kind) == names
    assert info.names.within("label") == info.names.within("field") == inner_names
    assert len(info.names.kinds) == 12


def test_a_module_without_names_has_none() -> None:
    info = decode(module())
    assert (info.name, info.func_names, info.local_names) == (None, {}, {})


def test_the_builder_writes_names() -> None:
    m = ModuleBuilder()
    m.import_func("env", "f")
    m.func(name="main")
    m.name("program")
    info = decode(m.build())
    assert (info.name, info.func_names) == ("program", {1: "main"})


def test_what_can_be_read_of_a_broken_section_is_used() -> None:
    functions = b"\4" + b"\0" + name("a") + b"\1" + name(b"\xff") + b"\2" + name("c") + b"\3\x7fz"
    info = with_names(section(0, name(b"\xff")) + section(1, functions) + b"\2\x7f")
    assert info.name is None
    assert info.func_names == {0: "a", 2: "c"}
    assert info.local_names == {}


def test_a_subsection_that_breaks_off_keeps_what_stands_before() -> None:
    locals = b"\2" + b"\0" + name_map({0: "x", 1: "y"}) + b"\1\5\0" + name("z")
    assert with_names(section(2, locals)).local_names == {0: {0: "x", 1: "y"}, 1: {0: "z"}}


def test_of_equal_indices_and_subsections_the_first_counts_and_of_sections_the_last() -> None:
    twice = vector([b"\0" + name("first"), b"\0" + name("second")])
    contents = section(1, twice) + section(1, name_map({0: "third"}))
    assert with_names(contents).func_names == {0: "first"}
    info = decode(module(custom("name", section(0, name("old"))), custom("name", section(0, name("new")))))
    assert info.name == "new"


@settings(max_examples=300)
@given(contents=st.binary(max_size=60))
def test_no_bytes_are_an_error(contents: bytes) -> None:
    for prefix in (b"", b"\0\x10", b"\1\x20\5", b"\2\x30\3\0\2"):
        info = with_names(prefix + contents)
        assert info.has_local_names or not info.local_names
        assert info.name is None or isinstance(info.name, str)
        for kind in info.names.kinds:
            info.names.of(kind)
            info.names.within(kind)


def test_a_huge_count_costs_nothing() -> None:
    info = with_names(section(1, b"\xff\xff\xff\xff\x0f\0" + name("a")) + section(2, b"\xff\xff\xff\xff\x0f"))
    assert (info.func_names, info.local_names) == ({0: "a"}, {})


def test_whether_locals_have_names_is_known_without_decoding_them() -> None:
    long = section(1, name_map({0: "x" * 300}))
    assert with_names(section(0, name("m")) + long + section(2, vector([]))).has_local_names
    assert not with_names(section(0, name("m")) + long + section(3, vector([]))).has_local_names
    assert not decode(module()).has_local_names
    # A size that never ends takes no time, however long the section is.
    assert not with_names(b"\1" + b"\x80" * 10**6).has_local_names
