"""The table of mechanisms fits the source, the tests and docs/security.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.safety.mechanism import Mechanism, Outcome, copied, outcome
from tests.safety.taken_out import MECHANISMS, line, without


def names_of_tests(path: Path) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def assert_exists(project: Path, test: str) -> None:
    file, _, name = test.partition("::")
    assert (project / file).is_file(), test
    assert name.partition("[")[0] in names_of_tests(project / file), test


@pytest.mark.ci
def test_each_entry_fits_the_source_and_names_tests_that_exist(project: Path) -> None:
    assert len({mechanism.name for mechanism in MECHANISMS}) == len(MECHANISMS) >= 25
    for mechanism in MECHANISMS:
        for file, text in mechanism.changed().items():
            compile(text, file, "exec")
        assert mechanism.tests, mechanism.name
        for test in mechanism.tests:
            assert_exists(project, test)


@pytest.mark.ci
def test_the_page_about_security_has_a_row_for_each_mechanism_and_names_tests_that_exist(project: Path) -> None:
    text = (project / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    named: dict[str, str] = {}
    for row in rows:
        name, _, rest = row[3:].partition("`")
        assert name not in named, name
        named[name] = rest
        tests = re.findall(r"`(tests/[\w/]+\.py::\w+)`", rest)
        assert tests, f"the row of {name} names no test"
        for test in tests:
            assert_exists(project, test)
    missing = [mechanism.name for mechanism in MECHANISMS if mechanism.name not in named]
    assert not missing, f"no row in docs/security.md: {missing}"
    more = named.keys() - {mechanism.name for mechanism in MECHANISMS}
    assert not more, f"rows of docs/security.md for what is never taken out: {more}"
    for mechanism in MECHANISMS:
        wanted = [test.partition("[")[0] for test in mechanism.tests]
        assert any(f"`{test}`" in named[mechanism.name] for test in wanted), mechanism.name


def test_a_text_that_is_not_there_any_more_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"gone: the text stands 0 times in runtime/faults\.py"):
        Mechanism("gone", "nothing", "runtime/faults.py", "no such text", "", ("x",)).changed()


def test_the_report_says_what_failed() -> None:
    failed = ("test_x[1-2]", "test_x[3]", "test_y")
    assert line(MECHANISMS[0], Outcome(failed, False)).endswith(" test_x (2 times), test_y")
    assert "NOT MISSED: nothing" in line(MECHANISMS[0], Outcome((), False))
    assert "all of its tests are skipped" in line(MECHANISMS[0], Outcome((), True))


@pytest.mark.ci
def test_a_mechanism_that_is_taken_out_is_missed() -> None:
    (mechanism,) = [mechanism for mechanism in MECHANISMS if mechanism.name == "max-table-elements"]
    assert without(mechanism).failed == ("test_a_table_is_not_larger_than_its_store_allows",)


@pytest.mark.ci
def test_tests_that_cannot_be_collected_hang_or_crash_are_told_apart() -> None:
    with copied({"tests/safety/test_broken.py": "import nothing_of_this_name\n"}) as copy:
        with pytest.raises(RuntimeError, match="which is no test that fails"):
            outcome(copy, ["tests/safety/test_broken.py"], 60)
    with copied({"tests/safety/test_hangs.py": "def test_x():\n    while True: pass\n"}) as copy:
        assert outcome(copy, ["tests/safety/test_hangs.py"], 5).failed == ("hung for 5 s",)
    with copied({"tests/safety/test_dies.py": "import os\ndef test_x():\n    os.kill(os.getpid(), 11)\n"}) as copy:
        assert outcome(copy, ["tests/safety/test_dies.py"], 60).failed == ("killed by SIGSEGV",)
    with copied({"tests/safety/test_none.py": "import pytest\ndef test_x():\n    pytest.skip('no')\n"}) as copy:
        assert outcome(copy, ["tests/safety/test_none.py"], 60) == Outcome((), True)
