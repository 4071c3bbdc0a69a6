"""Both backends offer what the contract says, and nothing else; mypy checks that it has the right types."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

import vibewasm.backends
from vibewasm.backends import TARGETS, backend, contract
from vibewasm.backends.aarch64 import builtin_stubs as a64_builtin_stubs
from vibewasm.backends.aarch64 import calls as a64_calls
from vibewasm.backends.aarch64 import control as a64_control
from vibewasm.backends.aarch64 import frames as a64_frames
from vibewasm.backends.aarch64 import stubs as a64_stubs
from vibewasm.backends.aarch64.target import TARGET as A64_TARGET
from vibewasm.backends.x86_64 import builtin_stubs as x64_builtin_stubs
from vibewasm.backends.x86_64 import calls as x64_calls
from vibewasm.backends.x86_64 import control as x64_control
from vibewasm.backends.x86_64 import frames as x64_frames
from vibewasm.backends.x86_64 import stubs as x64_stubs
from vibewasm.backends.x86_64.target import TARGET as X64_TARGET

FRAMES: list[contract.Frames] = [x64_frames, a64_frames]
CONTROL: list[contract.Control] = [x64_control, a64_control]
CALLS: list[contract.Calls] = [x64_calls, a64_calls]
STUBS: list[contract.Stubs] = [x64_stubs, a64_stubs]
BUILTIN_STUBS: list[contract.BuiltinStubs] = [x64_builtin_stubs, a64_builtin_stubs]
TARGET: list[contract.Target] = [X64_TARGET, A64_TARGET]

PARTS = {
    "frames": contract.Frames,
    "control": contract.Control,
    "calls": contract.Calls,
    "stubs": contract.Stubs,
    "builtin_stubs": contract.BuiltinStubs,
    "target": contract.Target,
}
#: What tests and those who compile for another machine use of one backend only.
OF_ONE_PROCESSOR = {"x86_64": {"configure"}, "aarch64": set[str]()}
#: What a backend says of itself to what it shares with others.
BETWEEN_BACKENDS = {"MOST_INTS", "MOST_FLOATS", "HAS_ZERO_REGISTER"}


def promised(part: Any) -> set[str]:
    """The names of a protocol."""
    return {name for name in {*vars(part), *get_type_hints(part)} if not name.startswith("_")}


def offered(target: str, name: str) -> set[str]:
    """The names that a part of a backend says are for others."""
    part = getattr(backend(target), name)
    if isinstance(part, ModuleType):
        return set(part.__all__)
    return {found for found in dir(part) if not found.startswith("_")} - BETWEEN_BACKENDS - OF_ONE_PROCESSOR[target]


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_backend_offers_exactly_the_names_of_the_contract(target: str, name: str) -> None:
    assert offered(target, name) == promised(PARTS[name])
    for found in promised(PARTS[name]):
        assert getattr(getattr(backend(target), name), found) is not None


def test_the_contract_names_every_part_of_a_backend() -> None:
    assert set(vibewasm.backends.Backend.__annotations__) == set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_parameters_have_the_names_that_the_contract_gives_them(name: str) -> None:
    for found, function in vars(PARTS[name]).items():
        # The function that fills in jumps is a property, and may be one of the standard library.
        if found.startswith("_") or not inspect.isfunction(function):
            continue
        wanted = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]
        for target in TARGETS:
            made = getattr(getattr(backend(target), name), found)
            assert list(inspect.signature(made).parameters) == wanted, (target, found)


@pytest.mark.parametrize("name", PARTS)
def test_the_contract_documents_each_function(name: str) -> None:
    part = PARTS[name]
    assert part.__doc__
    for found, function in vars(part).items():
        if inspect.isfunction(function) and not found.startswith("_"):
            assert function.__doc__, found


def test_both_backends_have_the_same_files_but_for_what_one_processor_has_only() -> None:
    folder = Path(vibewasm.backends.__file__).parent
    files = {target: {path.name for path in (folder / target).glob("*.py")} for target in TARGETS}
    assert files["x86_64"] - files["aarch64"] == {"asm_sse.py", "features.py"}
    assert files["aarch64"] - files["x86_64"] == {"addresses.py", "asm_simd.py", "fused.py", "instruction_cache.py"}
