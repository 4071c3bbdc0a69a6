"""The modules of the official suite, against the reference interpreter's assembled ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.wat.scripts import ScriptModule, modules
from tests.wat.sections import Section, sections
from vibewasm.errors import ValidationError
from vibewasm.wat import wasm2wat, wat2wasm
from vibewasm.wat.errors import WatError

#: Why a module of the suite may not be read: it has an instruction of a proposal that the opcode table does not know.
#: Whoever builds one takes it out here.
NOT_YET = {
    "garbage collection": "structs, arrays, i31 and casts",
}

_LATER = " not supported yet"


def _scripts(suite: Path) -> list[tuple[str, list[ScriptModule], list[ScriptModule]]]:
    """Name, modules as written, and modules as assembled, of each script."""
    found = []
    for path in sorted((suite / "text").rglob("*.wast")):
        name = path.relative_to(suite / "text").as_posix()
        assembled = suite / "binary" / (name.replace("/", "__").removesuffix(".wast") + ".bin.wast")
        found.append(
            (
                name,
                list(modules(path.read_text(encoding="utf-8"))),
                list(modules(assembled.read_text(encoding="utf-8"))),
            )
        )
    assert len(found) == 258
    return found


@pytest.fixture(scope="module")
def scripts(prepared_suite: Path) -> list[tuple[str, list[ScriptModule], list[ScriptModule]]]:
    return _scripts(prepared_suite)


def _assemble(text: str) -> bytes | ValidationError:
    """The module, or the error that says that something in it is not built."""
    try:
        return wat2wasm(text)
    except ValidationError as error:
        return error


def _write(module: bytes) -> str | ValidationError:
    """The module's text, or the error that says that something in it has none."""
    try:
        return wasm2wat(module)
    except ValidationError as error:
        return error


def _with_bytes_for_lanes(section: Section) -> Section:
    """The section with a byte for the lane 255, which the reference interpreter writes as a LEB128 number of two."""
    number, contents = section
    if isinstance(contents, bytes):
        return section
    return number, [body.replace(b"\xff\x01", b"\xff") for body in contents]


def _is_malformed_quotation(module: ScriptModule) -> bool:
    return module.kind == "quote" and module.command.startswith("assert_malformed")


def test_every_module_is_assembled_as_by_the_reference_interpreter(
    scripts: list[tuple[str, list[ScriptModule], list[ScriptModule]]],
) -> None:
    equal = 0
    later: Counter[str] = Counter()
    for name, written, assembled in scripts:
        written = [module for module in written if not _is_malformed_quotation(module)]
        assert len(written) == len(assembled), name
        for module, expected in zip(written, assembled, strict=True):
            if module.kind == "binary":
                continue  # what the reference interpreter makes of a binary is not about text
            made = _assemble(module.text)
            if isinstance(made, ValidationError):
                later[made.message.split(" (")[0]] += 1
                print(f"{name}: {made.message}")  # `pytest -rP` lists every module that is not read
            else:
                wanted = sections(expected.data)
                if module.message == "invalid lane index":
                    wanted = [_with_bytes_for_lanes(section) for section in wanted]
                assert sections(made) == wanted, f"{name}, line {module.line}"
                equal += 1
    assert later.keys() == NOT_YET.keys()
    assert equal >= 5042
    assert equal + later.total() == 5134


def test_every_malformed_quotation_is_rejected_with_the_suites_words(
    scripts: list[tuple[str, list[ScriptModule], list[ScriptModule]]],
) -> None:
    rejected = later = 0
    for name, written, _ in scripts:
        for module in filter(_is_malformed_quotation, written):
            with pytest.raises((WatError, ValidationError)) as caught:
                wat2wasm(module.data)
            if isinstance(caught.value, ValidationError):
                assert _LATER in caught.value.message
                later += 1
            else:
                assert caught.value.message.startswith(module.message), f"{name}, line {module.line}"
                rejected += 1
    assert rejected >= 1229
    assert rejected + later == 1229


@pytest.mark.ci
def test_every_assembled_module_comes_back_from_text(
    scripts: list[tuple[str, list[ScriptModule], list[ScriptModule]]],
) -> None:
    same = later = 0
    for name, _, assembled in scripts:
        for module in assembled:
            if module.kind != "binary" or module.command.startswith("assert_malformed"):
                continue
            text = _write(module.data)
            if isinstance(text, ValidationError):
                assert _LATER in text.message, f"{name}, line {module.line}"
                later += 1
            else:
                assert sections(wat2wasm(text)) == sections(module.data), f"{name}, line {module.line}"
                same += 1
    assert same >= 5141
    assert same + later == 5233


@pytest.fixture(scope="module")
def legacy(prepared_suite: Path) -> list[tuple[str, ScriptModule]]:
    """The modules of the older exceptions' scripts."""
    folder = prepared_suite / "proposals" / "legacy-exceptions"
    paths = sorted(folder.glob("*.wast"))
    assert len(paths) == 4
    return [(path.name, module) for path in paths for module in modules(path.read_text(encoding="utf-8"))]


def test_every_module_with_the_older_exceptions_comes_back_from_text(legacy: list[tuple[str, ScriptModule]]) -> None:
    same = 0
    for name, module in legacy:
        if module.kind == "text":
            binary = wat2wasm(module.text, names=True)
            text = wasm2wat(binary)
            assert wat2wasm(text, names=True) == binary, f"{name}, line {module.line}"
            assert wasm2wat(wat2wasm(text, names=True)) == text, f"{name}, line {module.line}"
            same += 1
    assert same == 18


def test_malformed_quotations_with_the_older_exceptions_are_rejected_with_the_suites_words(
    legacy: list[tuple[str, ScriptModule]],
) -> None:
    quotations = [(name, module) for name, module in legacy if module.kind == "quote"]
    for name, module in quotations:
        with pytest.raises(WatError) as caught:
            wat2wasm(module.data)
        assert caught.value.message.startswith(module.message), f"{name}, line {module.line}"
    assert len(quotations) == 7
