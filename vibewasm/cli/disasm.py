"""``vibewasm disasm``: what a module's functions are compiled to."""

from __future__ import annotations

import os
import shutil

from vibewasm.names import escaped, hint

from .options import TIMEOUT, Arguments, Command, CommandError, Option
from .output import write_text
from .progress import Progress
from .wasmfile import load, refused, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from vibewasm.api.module import Module

_FORMATS = ("text", "json", "html")
_SYNTAXES = ("intel", "att")
#: Columns of a comparison where the output is no terminal.
_WIDTH = 160
#: Names of functions in a message.
_MOST_NAMES = 20


def _disasm(arguments: Arguments) -> int:
    path = arguments.operands[0]
    form = arguments.choice("--format", _FORMATS) or "text"
    syntax = arguments.choice("--syntax", _SYNTAXES)
    targets: list[str | None] = [*arguments.many("--diff")]
    single = arguments.one("--target")
    _check_combination(arguments, form)
    data = load(path)

    from vibewasm.backends import TARGETS
    from vibewasm.disasm.machine import MissingCapstoneError
    from vibewasm.errors import WasmError

    for name in targets or [single]:
        if name is not None and name not in TARGETS:
            raise arguments.error(f"there is no target {name!r}; this version has {', '.join(TARGETS)}")
    try:
        modules = [_module(data, name) for name in targets or [single]]
        wanted = _wanted(arguments, modules[0])
        write_text(
            arguments.one("--output"),
            lambda file: _write(arguments, form, syntax, modules, wanted, file, path),
            path,
        )
    except MissingCapstoneError as error:
        raise CommandError(str(error)) from error
    except WasmError as error:
        raise refused(shown(path), error) from error
    return 0


def _check_combination(arguments: Arguments, form: str) -> None:
    if arguments.flag("--diff") and (arguments.flag("--target") or form != "text"):
        raise arguments.error("--diff names both targets and is written as text")
    if arguments.flag("--summary") and (arguments.flag("--diff") or form == "html"):
        raise arguments.error("--summary is of one target, as text or JSON")


def _module(data: bytes, target: str | None) -> Module:
    from vibewasm.api.config import Config
    from vibewasm.api.engine import Engine
    from vibewasm.api.module import Module

    return Module(Engine(Config(target=target)), data)


def _write(
    arguments: Arguments,
    form: str,
    syntax: str | None,
    modules: list[Module],
    wanted: Sequence[int],
    file: TextIO,
    path: str,
) -> None:
    """Write function by function, so that the first is there at once and no more than one is in memory."""
    # Where the listing itself runs over the terminal, nothing else need tell how far it is.
    quiet = file.isatty() and form == "text" and not arguments.flag("--summary")
    with Progress(len(wanted), "functions", quiet=quiet) as progress:
        for piece in _pieces(arguments, form, syntax, modules, progress.over(wanted), file, path):
            file.write(piece)
            progress.flush(file)


def _pieces(
    arguments: Arguments,
    form: str,
    syntax: str | None,
    modules: list[Module],
    wanted: Iterator[int],
    file: TextIO,
    path: str,
) -> Iterator[str]:
    module = modules[0]
    if arguments.flag("--summary"):
        from vibewasm.disasm import summary

        rows = summary.sizes(module, wanted)
        if form == "json":
            from dataclasses import asdict

            from vibewasm.disasm.as_json import dumps

            yield dumps([asdict(row) for row in rows]) + "\n"
        else:
            yield summary.table(rows)
        return

    from vibewasm.disasm.build import Builder

    builders = [Builder(each, syntax=syntax) for each in modules]
    if len(builders) == 2:
        from vibewasm.disasm.diff import side_by_side

        width = shutil.get_terminal_size((_WIDTH, 0)).columns if file.isatty() else _WIDTH
        for number, index in enumerate(wanted):
            left, right = [each.function(index) for each in builders]
            yield ("\n" if number else "") + side_by_side(left, right, width)
        return
    listings = map(builders[0].function, wanted)
    if form == "json":
        from vibewasm.disasm import as_json

        target = module.compiler.target_name
        yield f'{{"format":{as_json.FORMAT},"file":{as_json.dumps(path)},"target":"{target}","functions":['
        for number, listing in enumerate(listings):
            yield ("," if number else "") + "\n" + as_json.dumps(listing.as_dict())
        yield "\n]}\n"
    elif form == "html":
        from vibewasm.disasm import html

        yield from html.document(os.path.basename(path), listings)
    else:
        from vibewasm.disasm.text import TextRenderer

        renderer = TextRenderer(
            colour=arguments.flag("--color") or _colour(file),
            bytes=arguments.flag("--bytes"),
            ascii_only=not _can_write(file, "│─┼┌└├►"),
        )
        for number, listing in enumerate(listings):
            yield ("\n" if number else "") + renderer.function(listing)


def _colour(file: TextIO) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR says otherwise (https://no-color.org)."""
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _can_write(file: TextIO, characters: str) -> bool:
    try:
        characters.encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wanted(arguments: Arguments, module: Module) -> Sequence[int]:
    """The function indices that ``--func`` means, each once: numbers, names, and patterns of names."""
    info = module.info
    first, end = info.imported_funcs, info.imported_funcs + len(info.bodies)
    patterns = arguments.many("--func")
    if not patterns:
        return range(first, end)
    names = {text: index for index, text in info.func_names.items()}
    names |= {export.name: export.index for export in info.exports if export.kind == 0}
    found: dict[int, None] = {}
    for pattern in patterns:
        if pattern in names:
            indices = [names[pattern]]
        elif pattern.isascii() and pattern.isdigit():
            indices = [int(pattern)]
        elif any(letter in pattern for letter in "*?["):
            from fnmatch import fnmatchcase

            indices = sorted({i for name, i in names.items() if first <= i < end and fnmatchcase(name, pattern)})
            if not indices:
                raise arguments.error(f"no function is called like {pattern!r}{_named(names, first, end)}")
        else:
            raise arguments.error(f"there is no function {pattern!r}{hint(pattern, names)}{_named(names, first, end)}")
        for index in indices:
            if index < first:
                raise arguments.error(f"function {index} is imported, so it has no machine code here")
            if index >= end:
                defined = f"the defined ones are {first} to {end - 1}" if end > first else "the module defines none"
                raise arguments.error(f"there is no function {index}; {defined}")
            found[index] = None
    return list(found)


def _named(names: dict[str, int], first: int, end: int) -> str:
    """What ``--func`` could have been given, as lines of a message."""
    shown = [f"\n  {escaped(name)}" for name, index in names.items() if first <= index < end]
    if not shown:
        return " (no function of the module has a name; --func takes indices too)"
    more = len(shown) - _MOST_NAMES
    return "\nfunctions:" + "".join(shown[:_MOST_NAMES]) + (f"\n  ... and {more} more" if more > 0 else "")


COMMAND = Command(
    "disasm",
    "FILE",
    "show the machine code that functions become",
    [
        Option("--func", "NAME|INDEX", "only this function, or those that a pattern such as 'str*' fits", repeat=True),
        Option("--target", "NAME", "compile for x86_64 or aarch64, on any host; else for this one", wants="a target"),
        Option("--diff", "TARGET TARGET", "two targets side by side", wants="two targets"),
        Option("--summary", "", "a table of functions by size instead"),
        Option("--syntax", "NAME", "intel (the default) or att, for x86-64", wants="intel or att"),
        Option("--bytes", "", "show the bytes of instructions"),
        Option(
            "--format",
            "NAME",
            "text (the default), json, or html: one file to open in a browser",
            wants="text, json or html",
        ),
        Option("--output", "PATH", "write there instead of to standard output"),
        Option("--color", "", "colour even where the output is no terminal"),
        TIMEOUT,
    ],
    _disasm,
    notes="Needs capstone: pip install 'vibewasm[disasm]'",
)
