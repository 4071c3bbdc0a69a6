"""Arguments, environment and randomness."""

from __future__ import annotations

import os

import pytest

from tests.wasi.program import Program
from vibewasm.wasi import WasiConfig
from vibewasm.wasi.errnos import EFAULT


def strings(program: Program, what: str) -> list[bytes]:
    program.call(f"{what}_sizes_get", 0x100, 0x104)
    count, size = program.u32(0x100), program.u32(0x104)
    pointers, buffer = 0x200, 0x1000
    program.memory[buffer + size] = 0xAA
    program.call(f"{what}_get", pointers, buffer)
    assert program.memory[buffer + size] == 0xAA
    found = []
    for index in range(count):
        start = program.u32(pointers + 4 * index)
        found.append(bytes(program.memory[start : program.memory.index(0, start)]))
    assert sum(len(string) + 1 for string in found) == size
    return found


@pytest.mark.parametrize(
    "arguments", [[], ["program"], ["program", "", "two words", 'a "quoted" one'], ["é", "日本"], [b"raw\xff"]]
)
def test_arguments_arrive_as_utf_8(arguments: list[str | bytes]) -> None:
    expected = [argument if isinstance(argument, bytes) else argument.encode() for argument in arguments]
    assert strings(Program(WasiConfig(arguments, stdin=b"")), "args") == expected


def test_the_environment_arrives_in_order() -> None:
    program = Program(WasiConfig(env={"B": "1", "A": "a=b\nc", "E": ""}, stdin=b""))
    assert strings(program, "environ") == [b"B=1", b"A=a=b\nc", b"E="]


def test_nothing_of_the_hosts_environment_is_passed_on_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s")
    assert strings(Program(WasiConfig(stdin=b"")), "environ") == []
    inherited = strings(Program(WasiConfig(env={"PATH": "changed"}, inherit_env=True, stdin=b"")), "environ")
    assert b"SECRET=s" in inherited
    assert b"PATH=changed" in inherited
    assert len(inherited) == len(os.environ)


@pytest.mark.parametrize("what", ["args", "environ"])
def test_strings_out_of_range_are_not_written_in_part(what: str) -> None:
    program = Program(WasiConfig(["first", "second"], {"A": "first", "B": "second"}, stdin=b""), size=0x1000)
    before = bytes(program.memory)
    assert program.raw(f"{what}_get", 0, 0x1000 - 8) == EFAULT
    assert program.raw(f"{what}_get", 0x1000 - 4, 0) == EFAULT
    assert bytes(program.memory) == before


def test_wrong_values_are_refused_where_the_configuration_is_made() -> None:
    with pytest.raises(TypeError, match="sequence of strings"):
        WasiConfig("program")
    with pytest.raises(TypeError, match=r"args\[0\] has to be a string, not int"):
        WasiConfig([1])  # type: ignore[list-item]  # the mistake under test
    with pytest.raises(ValueError, match="NUL"):
        WasiConfig(["a\0b"])
    with pytest.raises(ValueError, match="NUL"):
        WasiConfig(env={"A": "\0"})
    with pytest.raises(ValueError, match="environment variable"):
        WasiConfig(env={"A=B": "c"})
    with pytest.raises(ValueError, match="environment variable"):
        WasiConfig(env={"": "c"})
    with pytest.raises(TypeError):
        WasiConfig(preopens={"/": 3})  # type: ignore[dict-item]  # the mistake under test


@pytest.mark.parametrize("size", [0, 1, 255, 100_000])
def test_random_get_fills_exactly_the_buffer(size: int) -> None:
    program = Program(WasiConfig(stdin=b""))
    program.call("random_get", 16, size)
    assert not any(program.memory[:16])
    assert not any(program.memory[16 + size :])
    if size > 64:
        assert len(set(program.memory[16 : 16 + size])) > 32
        first = bytes(program.memory)
        program.call("random_get", 16, size)
        assert bytes(program.memory) != first
