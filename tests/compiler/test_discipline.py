"""Checked mode looks at the operand stack before every instruction; it finds each way to break its rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import vibewasm
from tests.binary.builder import ModuleBuilder
from vibewasm import Config, Engine, Module
from vibewasm.backends import TARGETS
from vibewasm.backends.operand import I32, Operand, flags, frame_local, register, slot
from vibewasm.compiler.modes.checking import Discipline
from vibewasm.compiler.state import Compilation

#: local.get 0, local.get 1, i32.add, local.get 0, i32.mul, end: after the addition a temporary holds the sum.
BODY = bytes.fromhex("2000 2001 6a 2000 6c".replace(" ", ""))
AFTER_ADDITION = 5


def compile_module(target: str, checked: bool = True) -> Module:
    builder = ModuleBuilder()
    builder.func(("i32", "i32"), ("i32",), BODY, export="f")
    return Module(Engine(Config(compilation="eager", checked=checked, target=target)), builder.build())


def hold_twice(c: Compilation) -> None:
    c.stack.append(c.stack[-1])


def free_what_is_held(c: Compilation) -> None:
    c.free |= c.stack[-1].bit


def lose_a_register(c: Compilation) -> None:
    # The lowest one that is free.
    c.free &= c.free - 1


def strange_local(c: Compilation) -> None:
    c.stack.append(frame_local(I32, 4096))


def strange_slot(c: Compilation) -> None:
    c.free |= c.stack[-1].bit
    c.stack[-1] = slot(I32, 4096)


def no_temporary(c: Compilation) -> None:
    c.stack.append(Operand(register(I32, 0).kind, I32, 12))


def flags_that_nobody_takes(c: Compilation) -> None:
    c.stack.append(flags(4))


BROKEN: dict[str, tuple[Callable[[Compilation], None], str]] = {
    "held twice": (hold_twice, "holds another entry as well"),
    "free and held": (free_what_is_held, "the register is free"),
    "lost": (lose_a_register, "neither free nor held"),
    "strange local": (strange_local, "not the home of any local"),
    "strange slot": (strange_slot, "not that of the entry's place"),
    "no temporary": (no_temporary, "no temporary"),
    "flags": (flags_that_nobody_takes, "left in the flags"),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found(name: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it, message = BROKEN[name]
    verify = Discipline.verify

    def broken(self: Discipline, pc: int) -> None:
        if pc == AFTER_ADDITION:
            break_it(self._c)
        verify(self, pc)

    compile_module(target)
    monkeypatch.setattr(Discipline, "verify", broken)
    with pytest.raises(AssertionError, match=rf"function 0, before local.get at 0x\w+: .*{message}"):
        compile_module(target)
    # Otherwise nobody looks.
    compile_module(target, checked=False)


@pytest.mark.parametrize("mistake", ["result is free", "one is lost"])
def test_a_wrong_mask_of_a_rule_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from vibewasm.backends.x86_64.target import TARGET as target

    lower = target.lower

    def wrong(*arguments: object) -> tuple[bytes, Operand, int, bool]:
        text, result, free, tight = lower(*arguments)  # type: ignore[arg-type]  # passed on as they came
        return text, result, free | result.bit if mistake == "result is free" else free & (free - 1), tight

    monkeypatch.setattr(target, "MEMO", {})
    monkeypatch.setattr(target, "lower", wrong)
    message = "the register is free" if mistake == "result is free" else "neither free nor held"
    with pytest.raises(AssertionError, match=message):
        compile_module("x86_64")


def test_what_is_in_slots_and_in_far_locals_is_in_order() -> None:
    # A call moves everything to slots; locals from 128 on have homes that are made when they are asked for.
    builder = ModuleBuilder()
    builder.func(("i32",), ("i32",), b"\x20\x00")
    body = b"\x20\x00" + b"\x20\x8c\x02" + b"\x20\x00\x10\x00" + b"\x6a\x6a"
    builder.func(("i32",), ("i32",), body, locals=[(300, "i32")], export="f")
    instance = vibewasm.instantiate(builder.build(), config=Config(checked=True))
    assert instance.exports.f(21) == 42
