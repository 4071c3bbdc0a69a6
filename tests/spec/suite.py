"""Where the official suite is, what its manifest says of each script, and what vibewasm does not run yet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tests.spec import sexpr
from tests.spec.runner import count_assertions
from tests.wat.scripts import modules, quoted

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# What a skipped test tells.
HOW_TO_GET = 'docs/testing.md, "What skipped tests want", says where to get it'

# Proposals that vibewasm does not implement yet. A script that needs one of them is reported by its counts, not run.
NOT_YET = {
    "gc": "structs, arrays and i31",
    "multi-memory": "more than one memory",
    "memory64": "64-bit memories and tables",
}
# Scripts that need less than the manifest says: what it counts as garbage collection are recursive groups and types
# that are open, and those of functions come with typed references.
NEEDS_NO_GC = frozenset(("exceptions/tag.wast", "type-canon.wast", "type-equivalence.wast"))

# Suites beside WebAssembly 3.0, of folders below `spec/proposals`, that have to pass: what they are about is built.
PROPOSALS = ("legacy-exceptions",)


class Script:
    """One script of the suite.

    `name` is the official one (`bulk-memory/bulk.wast`), `assertions` how many it makes, `needs` the proposals that
    its modules use: SIMD, and what is newer than WebAssembly 2.0.
    """

    __slots__ = ("assertions", "name", "needs", "path")

    def __init__(self, name: str, path: Path, assertions: int, needs: tuple[str, ...]) -> None:
        self.name = name
        self.path = path
        self.assertions = assertions
        self.needs = needs

    @property
    def waits_for(self) -> list[str]:
        """The needed proposals that are in `NOT_YET`; the script is run when there are none."""
        needs_no_gc = self.name in NEEDS_NO_GC
        return [proposal for proposal in self.needs if proposal in NOT_YET and not (needs_no_gc and proposal == "gc")]

    def text(self) -> str:
        """The script's text."""
        return self.path.read_text(encoding="utf-8")

    def original(self) -> Script:
        """The same script as it was written, with modules in text. It also asserts things of quoted modules."""
        path = shared_folder() / "spec" / "text" / self.name
        quotations = sum(
            module.kind == "quote" and module.command.startswith("assert_malformed")
            for module in modules(path.read_text(encoding="utf-8"))
        )
        return TextScript(self.name, path, self.assertions + quotations, self.needs)


class TextScript(Script):
    """A script with modules in text, which the engine's reader of text has to assemble."""

    __slots__ = ()

    def text(self) -> str:
        """The script's text with every module quoted."""
        return quoted(super().text())


class PlainScript(Script):
    """A script of a folder that has no manifest: what it needs is for the engine to say."""

    __slots__ = ("_text",)

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path, -1, ())
        self._text = ""

    def original(self) -> PlainScript:
        """This script, which is as it was written."""
        return self

    def counted(self) -> PlainScript:
        """The script with `assertions` as its text has them; raises `BadScript`."""
        try:
            self.assertions = count_assertions([form.items for form in sexpr.read(self.text())])
        except (ValueError, AssertionError) as error:
            raise BadScript(f"{self.path} is no script: {error}") from error
        return self

    def text(self) -> str:
        """The script's text with every module quoted."""
        self._text = self._text or quoted(super().text())
        return self._text


class BadScript(ValueError):
    """A file that was to be a script cannot be read as one, or there is none; the message says what was expected."""


def plain_scripts(place: Path) -> Iterator[PlainScript]:
    """The scripts below a folder, which may be a checkout of WebAssembly/spec, or the one script that `place` is.

    Raises:
        BadScript: there is none.
    """
    if place.is_file():
        yield PlainScript(place.name, place)
        return
    core = place / "test" / "core"
    folder = core if core.is_dir() else place
    paths = sorted(folder.rglob("*.wast"))
    if not paths:
        raise BadScript(
            f"there is no .wast file below {folder}: a checkout of https://github.com/WebAssembly/spec is expected, "
            "a folder with .wast files, or one such file"
        )
    for path in paths:
        yield PlainScript(path.relative_to(folder).as_posix(), path)


def of_proposals() -> Iterator[PlainScript]:
    """The scripts of the folders that `PROPOSALS` names, counted. Nothing where the folders are missing."""
    folder = shared_folder() / "spec" / "proposals"
    for proposal in PROPOSALS:
        if (folder / proposal).is_dir():
            for script in plain_scripts(folder / proposal):
                yield PlainScript(f"{proposal}/{script.name}", script.path).counted()


def checkout() -> list[PlainScript]:
    """The scripts of a checkout of WebAssembly/spec, where the folder beside the project has one instead of more."""
    place = shared_folder() / "spec"
    return list(plain_scripts(place)) if missing() and (place / "test" / "core").is_dir() else []


def shared_folder() -> Path:
    """The folder with the suite: `VIBEWASM_SHARED`, or `../shared` beside the project. It need not exist."""
    return Path(os.environ.get("VIBEWASM_SHARED") or PROJECT_ROOT.parent / "shared")


def missing() -> str | None:
    """Why the suite cannot be run here, or None when it can."""
    manifest = shared_folder() / "spec" / "manifest.json"
    if manifest.is_file():
        return None
    where = os.environ.get("VIBEWASM_SHARED") or "../shared"
    return (
        f"the official suite is not here, prepared: there is no spec/manifest.json in {where}; "
        "python -m tests.spec --suite PATH takes a checkout of https://github.com/WebAssembly/spec as it is, and "
        f"{HOW_TO_GET}"
    )


def scripts() -> Iterator[Script]:
    """All scripts that the manifest names, in its order. Nothing where the suite is missing."""
    folder = shared_folder() / "spec"
    if missing():
        return
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, entry in manifest.items():
        file = name.replace("/", "__").removesuffix(".wast") + ".bin.wast"
        yield Script(name, folder / "binary" / file, entry["assertions"], tuple(entry["needs"]))
