"""The official suite's modules, which have every instruction: listings are complete, and their bytes those that run."""

from __future__ import annotations

import pytest

import vibewasm
from tests.spec.suite import missing, scripts
from tests.wat.scripts import modules
from vibewasm.disasm.build import Builder
from vibewasm.disasm.machine import Reader
from vibewasm.wat import wat2wasm
from vibewasm.wat.source_map import wat2wasm_with_lines


@pytest.fixture(scope="module")
def binaries() -> list[bytes]:
    """The valid modules of the scripts that are run."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    found = []
    for script in scripts():
        if not script.waits_for:
            text = script.original().path.read_text(encoding="utf-8")
            for module in modules(text):
                if module.command == "module" and module.kind == "text":
                    binary, lines = wat2wasm_with_lines(module.text)
                    assert binary == wat2wasm(module.text, names=True), f"{script.name}:{module.line}"
                    found.append(binary)
                    last = module.text.count("\n") + 1
                    assert all(1 <= line <= last for function in lines for _, line in function)
    return found


@pytest.mark.parametrize("target", ["x86_64", pytest.param("aarch64", marks=pytest.mark.ci)])
def test_every_function_of_the_suite_is_listed(binaries: list[bytes], target: str) -> None:
    engine = vibewasm.Engine(vibewasm.Config(target=target))
    reader = Reader(target)
    functions = 0
    for binary in binaries:
        module = vibewasm.Module(engine, binary)
        plain = vibewasm.Module(engine, binary).compiler
        builder = Builder(module, reader=reader)
        imported = module.info.imported_funcs
        for defined in range(len(module.info.bodies)):
            listing = builder.function(imported + defined)
            assert listing.code == plain.compile(defined)
            assert b"".join(item.bytes for group in listing.groups for item in group.machine) == listing.code
            assert not any(item.flow == "bad" for item in listing), str(listing)
            functions += 1
    assert functions > 2000
