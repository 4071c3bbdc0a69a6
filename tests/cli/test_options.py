"""The option parser that all commands share."""

from __future__ import annotations

import pytest

from vibewasm.cli import COMMANDS, _load
from vibewasm.cli.options import Arguments, Command, Option, UsageError, help_text, parse


def table(*, program: bool = False, maximum: int | None = 1) -> Command:
    options = [
        Option("--flag", "", "a flag"),
        Option("--one", "VALUE", "at most once"),
        Option("--many", "VALUE", "any number of times", repeat=True),
        Option("--two", "VALUE VALUE", "two numbers", wants="two numbers"),
        Option("--number", "N", "a number", wants="a number"),
    ]
    return Command("test", "FILE", "test something", options, lambda _: 0, program=program, maximum=maximum)


def test_a_value_stands_in_the_next_word_or_after_an_equals_sign() -> None:
    given = parse(table(), ["--one", "a", "--many=b", "--many", "c=d", "file"])
    assert given.one("--one") == "a"
    assert given.many("--many") == ["b", "c=d"]
    assert given.operands == ["file"]
    assert not given.flag("--flag")


def test_a_value_may_look_like_an_option() -> None:
    assert parse(table(), ["--one", "--flag", "file"]).one("--one") == "--flag"


def test_options_may_follow_the_operand_unless_it_is_a_program() -> None:
    assert parse(table(), ["file", "--flag"]).flag("--flag")
    given = parse(table(program=True), ["--flag", "file", "--flag", "--other", "-h", "--"])
    assert given.operands == ["file", "--flag", "--other", "-h", "--"]


def test_two_dashes_end_the_options() -> None:
    assert parse(table(), ["--", "--flag"]).operands == ["--flag"]


def test_a_single_dash_is_an_operand() -> None:
    assert parse(table(), ["-"]).operands == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--flg", "f"], "unknown option --flg; did you mean '--flag'?"),
        (["--zzzzzz=3", "f"], "unknown option --zzzzzz"),
        (["-x", "f"], "unknown option -x"),
        (["--flag=1", "f"], "--flag takes no value"),
        (["--one"], "--one wants a value: --one VALUE"),
        (["--one", "a", "--one", "b", "f"], "--one may be given once only"),
        (["f", "g"], "one operand too many: 'g'"),
        ([], "no FILE given"),
        (["--flag"], "no FILE given"),
        (["--number", "f.wasm"], "--number wants a number, not 'f.wasm'"),
        (["--number", "f.wat", "--flag"], "--number wants a number, not 'f.wat'"),
        (["--number", "-", "--one", "a"], "--number wants a number, not '-'"),
        (["--number", __file__], f"--number wants a number, not {__file__!r}"),
        (["--number", "7"], "no FILE given; '7' is the value of --number"),
        (["--number=f.wasm"], "no FILE given"),
        (["--one", "f.wasm"], "no FILE given; 'f.wasm' is the value of --one"),
        (["--two", "1", "f.wasm"], "--two wants two numbers, not '1' and 'f.wasm'"),
        (["--two=1", "f.wasm"], "--two wants two numbers, not '1' and 'f.wasm'"),
        (["--two", "f.wasm"], "--two wants two numbers: --two VALUE VALUE"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(table(), words)
    assert str(caught.value) == message
    assert caught.value.command == "test"


def test_help_needs_no_operand() -> None:
    assert parse(table(), ["--help"]).flag("--help")
    assert parse(table(), ["-h"]).flag("--help")


def given(name: str, text: str) -> Arguments:
    arguments = Arguments("test")
    arguments.values[name] = [text]
    return arguments


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("65536", 65536), ("64K", 65536), ("64k", 65536), ("2M", 2 << 20), ("3G", 3 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert given("--size", text).size("--size") == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5M", "1T", "1 K", "²", "0x10"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--size wants a number of bytes"):
        given("--size", text).size("--size")


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), ("0.5", 0.5), ("1.5s", 1.5), (".1", 0.1)])
def test_seconds(text: str, seconds: float) -> None:
    assert given("--time", text).seconds("--time") == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "-inf", "1m", "s"])
def test_what_are_no_seconds(text: str) -> None:
    with pytest.raises(UsageError, match="--time wants a positive number of seconds"):
        given("--time", text).seconds("--time")


@pytest.mark.parametrize("text", ["inf", "1e300", "1e999", "1e9", "1000000000s"])
def test_too_many_seconds(text: str) -> None:
    with pytest.raises(UsageError, match=f"^--time is too large: '{text}'; fewer than 1e9 seconds"):
        given("--time", text).seconds("--time")


@pytest.mark.parametrize("text", ["", "-1", "1e3", "x", "²"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(UsageError, match="--fuel wants a whole number"):
        given("--fuel", text).number("--fuel")


@pytest.mark.parametrize("text", [str(1 << 63), "9" * 5000])
def test_a_number_that_is_too_large(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--fuel is too large: "):
        given("--fuel", text).number("--fuel")
    assert given("--fuel", "0" * 5000 + "7").number("--fuel") == 7
    assert (given("--size", text).size("--size") or 0) >= 1 << 63


def test_an_absent_option_has_no_value() -> None:
    nothing = Arguments("test")
    assert [nothing.number("--n"), nothing.seconds("--n"), nothing.size("--n"), nothing.one("--n")] == [None] * 4
    assert nothing.many("--n") == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_of_a_command_what_its_own_help_says(name: str) -> None:
    command = _load(name)
    assert command.name == name
    assert command.summary == COMMANDS[name]
    text = help_text(command)
    assert text.startswith(f"usage: vibewasm {name} ")
    assert all(option.name in text for option in command.options)
    assert max(map(len, text.splitlines())) <= 120
