"""Both backends offer what the contract says, and nothing else; mypy checks that it has the right types."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import capstone
import pytest

import vibewasm.backends
from vibewasm.backends import TARGETS, backend, contract
from vibewasm.backends.aarch64 import calls as a64_calls
from vibewasm.backends.aarch64 import control as a64_control
from vibewasm.backends.aarch64 import exceptions as a64_exceptions
from vibewasm.backends.aarch64 import frames as a64_frames
from vibewasm.backends.aarch64 import processor as a64_processor
from vibewasm.backends.aarch64 import stubs as a64_stubs
from vibewasm.backends.aarch64 import tail_calls as a64_tail_calls
from vibewasm.backends.aarch64.target import TARGET as A64_TARGET
from vibewasm.backends.operand import I32, constant
from vibewasm.backends.x86_64 import calls as x64_calls
from vibewasm.backends.x86_64 import control as x64_control
from vibewasm.backends.x86_64 import exceptions as x64_exceptions
from vibewasm.backends.x86_64 import frames as x64_frames
from vibewasm.backends.x86_64 import processor as x64_processor
from vibewasm.backends.x86_64 import stubs as x64_stubs
from vibewasm.backends.x86_64 import tail_calls as x64_tail_calls
from vibewasm.backends.x86_64.target import TARGET as X64_TARGET

FRAMES: list[contract.Frames] = [x64_frames, a64_frames]
CONTROL: list[contract.Control] = [x64_control, a64_control]
CALLS: list[contract.Calls] = [x64_calls, a64_calls]
TAIL_CALLS: list[contract.TailCalls] = [x64_tail_calls, a64_tail_calls]
EXCEPTIONS: list[contract.Exceptions] = [x64_exceptions, a64_exceptions]
STUBS: list[contract.Stubs] = [x64_stubs, a64_stubs]
PROCESSOR: list[contract.Processor] = [x64_processor, a64_processor]
TARGET: list[contract.Target] = [X64_TARGET, A64_TARGET]

PARTS = {
    "frames": contract.Frames,
    "control": contract.Control,
    "calls": contract.Calls,
    "tail_calls": contract.TailCalls,
    "exceptions": contract.Exceptions,
    "stubs": contract.Stubs,
    "processor": contract.Processor,
    "target": contract.Target,
}
#: What tests and those who compile for another machine use of one backend only.
OF_ONE_PROCESSOR = {"x86_64": {"configure"}, "aarch64": set[str]()}
#: What a backend says of itself to what it shares with others.
BETWEEN_BACKENDS = {
    *("MOST_INTS", "MOST_FLOATS", "HAS_ZERO_REGISTER", "STAND_INS", "folder", "variant", "module", "new_selection")
}


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


def test_what_a_processors_constant_means_is_said_in_the_contract_once() -> None:
    said = [
        {line for line in Path(inspect.getfile(part)).read_text().splitlines() if line.startswith("#:")}
        for part in (x64_processor, a64_processor)
    ]
    assert set.intersection(*said) <= {"#: ``ret``."}


def test_the_contract_names_every_part_of_a_backend() -> None:
    assert set(vibewasm.backends.Backend.__annotations__) - {"built_stubs"} == set(PARTS)


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


@pytest.mark.parametrize("target", TARGETS)
def test_alignments_are_powers_of_two_and_what_is_filled_in_fits_a_jump(target: str) -> None:
    control = backend(target).control
    for alignment in (control.FUNCTION_ALIGNMENT, control.LOOP_ALIGNMENT, control.JUMP_TABLE_ALIGNMENT):
        assert alignment > 0
        assert not alignment & (alignment - 1)
    assert control.FIXUP_SIZE <= len(control.jump())
    for reach in range(control.LONGEST_REACH + 1):
        code = bytearray(control.jump())
        control.patch(code, len(code) - control.FIXUP_SIZE, 64)
        assert len(code) == len(control.jump())
        assert control.reach(0) <= reach


@pytest.mark.parametrize(
    ("target", "architecture", "mode", "trap"),
    [
        ("x86_64", capstone.CS_ARCH_X86, capstone.CS_MODE_64, "int3"),
        ("aarch64", capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM, "udf"),
    ],
)
def test_the_space_between_functions_traps(target: str, architecture: int, mode: int, trap: str) -> None:
    control = backend(target).control
    space = control.FILLER * control.FUNCTION_ALIGNMENT
    decoder = capstone.Cs(architecture, mode)
    assert {instruction.mnemonic for instruction in decoder.disasm(space, 0)} == {trap}
    assert sum(instruction.size for instruction in decoder.disasm(space, 0)) == len(space)


@pytest.mark.parametrize("target", TARGETS)
def test_a_function_that_does_nothing_is_the_encoders_return(target: str) -> None:
    asm = import_module(f"vibewasm.backends.{target}.asm")
    assert backend(target).processor.RETURN == asm.ret()


@pytest.mark.parametrize("target", TARGETS)
def test_every_register_has_a_group_of_immediates_and_so_has_none(target: str) -> None:
    choices = backend(target).target
    _, middles = choices.immediate("i32.add", constant(I32, 100))
    for reg in (*choices.PINNED_INTS, *range(8), -1):
        assert middles[choices.IMMEDIATE_GROUPS[reg]]


@pytest.mark.parametrize("target", TARGETS)
def test_encoders_that_integers_do_not_need_are_loaded_when_one_is_asked_for(target: str) -> None:
    name = f"vibewasm.backends.{target}"
    program = f"""if True:
        import sys
        from vibewasm.backends import backend
        backend({target!r}).target, backend({target!r}).frames
        from {name} import asm
        assert "{name}.asm_floats" not in sys.modules
        asm.{"movs_rm" if target == "x86_64" else "fmov_to"}
        assert "{name}.asm_floats" in sys.modules
        assert not hasattr(asm, "no_such_encoder")
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_both_backends_have_the_same_files_but_for_what_one_processor_has_only() -> None:
    folder = Path(vibewasm.backends.__file__).parent
    files = {target: {path.name for path in (folder / target).glob("*.py")} for target in TARGETS}
    assert files["x86_64"] - files["aarch64"] == {"features.py", "nans.py", "packed.py", "vector_products.py"}
    assert files["aarch64"] - files["x86_64"] == {"addresses.py", "fused.py", "instruction_cache.py"}
