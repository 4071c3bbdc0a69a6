"""The finder of imports finds them wherever they stand."""

from __future__ import annotations

import pytest

from tests.imports import LOADERS, files, imports, imports_of

SOURCE = """
import sys, vibewasm.abi
from ..errors import WasmError
from . import choices
from .state import Late
if TYPE_CHECKING:
    from .. import types
    from . import immediates
else:
    immediates = Late("immediates")
    from ..binary import leb128
def f():
    from ..binary.validate import check
    from vibewasm.traps import Trap
"""


def test_all_imports_count_but_those_for_types() -> None:
    found = imports_of(SOURCE, "vibewasm.compiler.toy", is_package=False)
    assert {name.removeprefix("vibewasm.") for name in found} == {
        *("abi", "errors", "compiler.choices", "compiler.state", "compiler.immediates"),
        *("binary.leb128", "binary.validate", "traps"),
    }
    assert imports_of(SOURCE, "vibewasm.compiler.toy", is_package=False, types=True) - found == {"vibewasm.types"}


@pytest.mark.parametrize("line", ['__import__("vibewasm.abi")', "importlib.import_module(name)", "Late(name)"])
def test_a_module_that_is_loaded_by_another_name_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError, match=r"vibewasm\.toy"):
        imports_of(line, "vibewasm.toy", is_package=False)


def test_what_loads_by_name_is_listed_and_nothing_else() -> None:
    for module in files():
        imports(module)
    for module in LOADERS:
        source = files()[module].read_text(encoding="utf-8")
        assert "__import__" in source or "import_module" in source, module


def test_late_modules_count_and_so_do_types_if_wanted() -> None:
    assert "vibewasm.backends.x86_64.features" in imports("vibewasm.backends.x86_64.target")
    assert "vibewasm.backends.contract" in imports("vibewasm.backends", types=True) - imports("vibewasm.backends")
    assert "vibewasm.compiler.modes" in imports("vibewasm.compiler")
    assert "vibewasm.compiler.immediates" in imports("vibewasm.compiler.instructions.blocks")
    assert "vibewasm.backends.x86_64.asm_floats" in imports("vibewasm.backends.x86_64.asm")
