"""A command's options as a table, and what is made from it: the parse and the usage text.

``argparse`` takes longer to import than a small module takes to compile and run, hence this.
"""

from __future__ import annotations

import os

from vibewasm.names import escaped, hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vibewasm.limits import ResourceLimits

#: The largest number that an option takes, as the engine's counters are 64 bits and signed.
_MOST = (1 << 63) - 1
_MOST_SECONDS = 1e9


class CommandError(Exception):
    """What the user asked for cannot be done, for instance because the file is bad (exit code 1)."""


class UsageError(Exception):
    """The command line itself is wrong (exit code 2). ``command`` is whose options are, ``""`` if it is none's."""

    def __init__(self, message: str, command: str = "") -> None:
        super().__init__(message)
        self.command = command


class Option:
    """One ``--name``. ``value`` names its value in the usage text, ``""`` for a flag; ``repeat`` allows several.

    An option takes as many values as ``value`` has words. ``wants`` says what they are to be, where no file will do:
    a command line with one value too few is then told from one without a file. The usage text has those of one
    ``group`` together, under this title.
    """

    __slots__ = ("group", "help", "name", "repeat", "value", "wants")

    def __init__(
        self, name: str, value: str, help: str, *, repeat: bool = False, wants: str = "", group: str = "options"
    ) -> None:
        self.group = group
        self.name = name
        self.value = value
        self.help = help
        self.repeat = repeat
        self.wants = wants


#: What commands have that compile or check modules.
NO_LEGACY_EXCEPTIONS = Option(
    "--no-legacy-exceptions", "", "refuse the older form of exceptions, which is not in the specification"
)

#: What the limits of ``vibewasm run`` are about, see :data:`vibewasm.limits.LIMITS`.
_LIMITS = {
    "max_memory": "memories, tables, and what is held for the program, together",
    "max_memory_each": "each memory",
    "max_table_elements": "elements of all tables together",
    "max_table_elements_each": "elements of each table",
    "max_references": "objects and exceptions that the program holds",
    "max_instances": "instances",
    "max_memories": "memories",
    "max_tables": "tables",
    "max_globals": "globals",
    "max_tags": "tags",
    "max_host_functions": "functions that the module imports",
    "max_stack": "stack that functions use",
    "max_module_size": "FILE, and the module that its text is",
    "max_functions": "functions of the module",
    "max_types": "types of the module",
    "max_params": "parameters of each type",
    "max_results": "results of each type",
    "max_locals": "locals of each function",
    "max_code": "machine code",
    "max_open_files": "open files and directories, those that it begins with included",
    "max_directory_entries": "entries of directories that it reads at a time",
    "max_host_memory": "what is held for the program outside of its memory",
    "max_arguments": "arguments and environment",
    "max_written": "what it writes to files and streams, in total",
    "max_created": "files, directories and links that it makes, in total",
}
#: Title of their group.
_LIMITS_TITLE = "limits (BYTES may end in K, M or G; none is no limit; see docs/limits.md)"


def option_of(limit: str) -> str:
    """The option that sets a limit."""
    return "--" + limit.replace("_", "-")


def limit_options() -> list[Option]:
    """An option for each limit, and one for none of them."""
    from vibewasm.limits import LIMITS

    options = []
    for name, (unit, default) in LIMITS.items():
        value = "BYTES" if unit == "a number of bytes" else "N"
        usual = "" if default is None else f" [{_size(default) if value == 'BYTES' else default}]"
        text = _LIMITS[name] + usual
        options.append(Option(option_of(name), value, text, wants=f"{unit} or none", group=_LIMITS_TITLE))
    return [*options, Option("--no-limits", "", "begin with none of these", group=_LIMITS_TITLE)]


def _size(number: int) -> str:
    for unit in "GMK":
        if number and not number % _UNITS[unit]:
            return f"{number // _UNITS[unit]}{unit}"
    return str(number)


def in_options(error: Exception) -> str:
    """What an error says, with the option in place of the limit, which is what the reader can change."""
    text, limit = str(error), getattr(error, "limit", None)
    if limit is not None:
        for owner in ("Store", "ResourceLimits"):
            text = text.replace(f"{owner}.{limit}", option_of(limit))
    return text


#: What all commands have that read a module.
TIMEOUT = Option("--timeout", "SECONDS", "stop after so long (exit code 124)", wants="a number of seconds")


class Command:
    """One command: its options, and ``action``, which gets the :class:`Arguments` and returns the exit code.

    ``operands`` is the usage text of what follows the options, and ``minimum`` how many operands are needed. With
    ``program`` set the first operand ends the options: everything after it belongs to the program that is run.
    """

    __slots__ = ("action", "maximum", "minimum", "name", "notes", "operands", "options", "program", "summary")

    def __init__(
        self,
        name: str,
        operands: str,
        summary: str,
        options: list[Option],
        action: Callable[[Arguments], int],
        *,
        minimum: int = 1,
        maximum: int | None = 1,
        program: bool = False,
        notes: str = "",
    ) -> None:
        self.name = name
        self.operands = operands
        self.summary = summary
        self.options = [*options, Option("--help", "", "show this")]
        self.action = action
        self.minimum = minimum
        self.maximum = maximum
        self.program = program
        self.notes = notes


class Arguments:
    """What one command line said: the values of each option in the order given, and the operands."""

    __slots__ = ("command", "operands", "values")

    def __init__(self, command: str) -> None:
        self.command = command
        self.values: dict[str, list[str]] = {}
        self.operands: list[str] = []

    def flag(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self.values

    def one(self, name: str) -> str | None:
        """The value of an option that may be given once."""
        values = self.values.get(name)
        return values[0] if values else None

    def many(self, name: str) -> list[str]:
        """The values of an option that may be repeated."""
        return self.values.get(name, [])

    def error(self, message: str) -> UsageError:
        """A :class:`UsageError` of this command, to be raised."""
        return UsageError(message, self.command)

    def choice(self, name: str, among: tuple[str, ...]) -> str | None:
        """The option's value, which has to be one of a few; ``None`` where the option is absent."""
        value = self.one(name)
        if value is not None and value not in among:
            raise self.error(f"{name} is {' or '.join(among)}, not {value!r}{hint(value, among)}")
        return value

    def number(self, name: str, *, least: int = 0, most: int = _MOST) -> int | None:
        """The option's value as a decimal number from ``least`` to ``most``; ``None`` where the option is absent."""
        text = self.one(name)
        if text is None:
            return None
        number = _decimal(text)
        if number is None or number < least:
            raise self.error(f"{name} wants a whole number of at least {least}, not {text!r}")
        if number > most:
            raise self.error(f"{name} is too large: {text}; it takes numbers up to {most}")
        return number

    def seconds(self, name: str) -> float | None:
        """The option's value as a positive number of seconds, which may have a fraction and an ``s`` after it."""
        text = self.one(name)
        if text is None:
            return None
        try:
            seconds = float(text.removesuffix("s"))
        except ValueError:
            seconds = 0.0
        if seconds >= _MOST_SECONDS:
            raise self.error(f"{name} is too large: {text!r}; fewer than 1e9 seconds, or leave it out for no limit")
        if not seconds > 0:  # refuses NaN too
            raise self.error(f"{name} wants a positive number of seconds, such as 2 or 0.5, not {text!r}")
        return seconds

    def size(self, name: str) -> int | None:
        """The option's value as a number of bytes; the suffixes K, M and G (powers of 1024) are understood."""
        text = self.one(name)
        if text is None:
            return None
        digits, unit = text, 1
        if text[-1:].upper() in _UNITS:
            digits, unit = text[:-1], _UNITS[text[-1].upper()]
        number = _decimal(digits)
        if number is None:
            raise self.error(f"{name} wants a number of bytes, such as 65536, 512K, 64M or 1G, not {text!r}")
        return number * unit

    def limits(self) -> ResourceLimits:
        """The limits that the options say, and the usual ones where they say nothing."""
        from vibewasm.limits import LIMITS, ResourceLimits

        usual = not self.flag("--no-limits")
        found: dict[str, Any] = {}
        for name, (unit, default) in LIMITS.items():
            option = option_of(name)
            text = self.one(option)
            if text is None:
                found[name] = default if usual else None
            elif text != "none":
                found[name] = self.size(option) if unit == "a number of bytes" else self.number(option)
        return ResourceLimits(**found)


def _decimal(text: str) -> int | None:
    """The number that decimal digits say; ``None`` for other text. What no machine has is cut off at 10^100."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    # int() refuses thousands of digits.
    return int(digits or "0") if len(digits) <= 100 else 10**100


#: Short names of options.
_SHORT = {"-h": "--help", "-o": "--output"}
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse(command: Command, words: list[str]) -> Arguments:
    """Sort ``words`` into options and operands. Raises :class:`UsageError`.

    A value may stand in the next word or after ``=``; ``--`` ends the options.
    """
    options = {option.name: option for option in command.options}
    given = Arguments(command.name)
    taken_words: list[tuple[Option, list[str]]] = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            given.operands += words[index:]
            break
        word = _SHORT.get(word, word)
        if not word.startswith("-") or word == "-":
            given.operands.append(word)
            if command.program:
                given.operands += words[index:]
                break
            continue
        name, equals, value = word.partition("=")
        option = options.get(name)
        if option is None:
            raise given.error(f"unknown option {escaped(name)}{hint(name, options)}")
        values = given.values.setdefault(name, [])
        if values and option.value and not option.repeat:
            raise given.error(f"{name} may be given once only")
        if not option.value:
            if equals:
                raise given.error(f"{name} takes no value")
            values.append(value)
            continue
        taken = [value] if equals else []
        wanted = len(option.value.split()) - len(taken)
        if len(words) - index < wanted:
            what = option.wants or ("a value" if wanted == 1 else "values")
            raise given.error(f"{name} wants {what}: {name} {option.value}")
        taken += words[index : index + wanted]
        values += taken
        if wanted:
            taken_words.append((option, taken))
        index += wanted
    if not given.flag("--help"):
        _check_operands(command, given, taken_words)
    return given


def _check_operands(command: Command, given: Arguments, taken: list[tuple[Option, list[str]]]) -> None:
    """``taken`` has the options that took words of their own as values, and their values."""
    count = len(given.operands)
    if count < command.minimum:
        for option, values in taken:
            if option.wants and _looks_like_a_file(values[-1]):
                raise given.error(f"{option.name} wants {option.wants}, not {' and '.join(map(repr, values))}")
        problem = f"no {command.operands.split()[0]} given"
        if taken:
            option, values = taken[-1]
            problem += f"; {values[-1]!r} is {'the' if len(values) == 1 else 'a'} value of {option.name}"
        raise given.error(problem)
    if not command.program and command.maximum is not None and count > command.maximum:
        raise given.error(f"one operand too many: {given.operands[command.maximum]!r}")


def _looks_like_a_file(word: str) -> bool:
    return word == "-" or word.endswith((".wasm", ".wat")) or os.path.isfile(word)


def help_text(command: Command) -> str:
    """The text of ``vibewasm COMMAND --help``."""
    lines = [f"usage: vibewasm {command.name} [OPTIONS] {command.operands}".rstrip(), ""]
    lines += [command.summary[0].upper() + command.summary[1:] + "."]
    for group in dict.fromkeys(option.group for option in command.options):
        lines += ["", f"{group}:"]
        options = [option for option in command.options if option.group == group]
        heads = [f"{option.name} {option.value}".rstrip() for option in options]
        width = max(map(len, heads)) + 2
        for head, option in zip(heads, options, strict=True):
            lines += [f"  {head:<{width}}{option.help}" + (" (may be repeated)" if option.repeat else "")]
    if command.notes:
        lines += ["", command.notes]
    return "\n".join(lines) + "\n"
