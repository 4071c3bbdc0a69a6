"""wasmtime-py's public surface: every name is here, the same or explained, and in the table of docs/wasmtime.md."""

from __future__ import annotations

import pytest

import vibewasm.compat.wasmtime as ours
from tests.compat.both import theirs
from tools.wasmtime_table import BEGIN, DOCUMENT, END, NOTES, OLDER, OURS, surface, table


def test_every_name_is_here_and_of_the_same_kind() -> None:
    here, there = surface(ours), surface(theirs())
    missing = sorted(name for name in there if name not in here)
    assert not missing
    different = {name: (kind, here[name]) for name, kind in there.items() if here[name] != kind and name not in NOTES}
    assert not different


def test_parameters_have_the_same_names_and_defaults_where_notes_do_not_say_otherwise() -> None:
    here, there = surface(ours), surface(theirs())
    different = {name for name, kind in there.items() if here.get(name) != kind}
    # The older parameters come on top.
    assert different == {"WasiConfig.preopen_dir"}


def test_what_is_here_and_not_there_is_said_to_be() -> None:
    there = surface(theirs())
    extra = {name for name in surface(ours) if name not in there}
    assert extra == {*OLDER, *OURS}


def test_star_imports_give_what_they_give_there() -> None:
    assert set(ours.__all__) == {*theirs().__all__, *OLDER}


def test_notes_are_about_names_that_there_are() -> None:
    there = surface(theirs())
    assert sorted(name for name in NOTES if name not in there) == []
    assert {word for word, _ in NOTES.values()} <= {"same", "accepted", "differs", "refused"}


def test_the_table_is_the_one_that_the_command_makes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0]
    assert written == table(surface(theirs())), "run: python -m tools.wasmtime_table"


def test_every_name_in_the_table_is_here() -> None:
    """Also where wasmtime is not installed."""
    rows = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    names = [row.split("`")[1] for row in rows]
    assert len(names) > 200
    here = surface(ours)
    assert sorted(set(names) - here.keys()) == []


@pytest.mark.parametrize("name", ["Store", "Config", "WasiConfig", "Linker"])
def test_what_is_public_has_a_docstring(name: str) -> None:
    cls = getattr(ours, name)
    without = [
        member
        for member in dir(cls)
        if not member.startswith("_") and not getattr(vars(cls).get(member, cls), "__doc__", "")
    ]
    assert not without
