"""Engines that compile for another processor than this one."""

from __future__ import annotations

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const
from tests.native import HOST, OTHER


@pytest.fixture
def engine() -> vw.Engine:
    return vw.Engine(vw.Config(target=OTHER))


def source() -> bytes:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.func(["i32", "i32"], ["i32"], b"\x20\x00\x20\x01\x6a", export="add")
    m.func([], ["i32"], i32_const(0) + b"\x28\x02\x00", export="load")
    return m.build()


def test_the_target_is_this_processor_unless_the_configuration_names_another(engine: vw.Engine) -> None:
    assert vw.Engine().target == HOST
    assert engine.target == OTHER


def test_a_module_for_another_processor_can_be_inspected_and_compiled(engine: vw.Engine) -> None:
    module = vw.Module(engine, source())
    assert [export.name for export in module.exports] == ["memory", "add", "load"]
    native = vw.Module(vw.Engine(), source())
    for defined in range(2):
        code = module.compiler.compile(defined)
        assert code != native.compiler.compile(defined)
        # Compiling depends on nothing else, above all not on what was compiled for another processor before.
        assert code == vw.Module(vw.Engine(vw.Config(target=OTHER)), source()).compiler.compile(defined)


@pytest.mark.parametrize("compilation", ["lazy", "lazy-translation", "eager"])
def test_bodies_are_checked_for_another_processor_as_well(compilation: str) -> None:
    m = ModuleBuilder()
    m.func([], ["i32"], b"")
    engine = vw.Engine(vw.Config(target=OTHER, compilation=compilation))
    vw.Module(engine, source())
    with pytest.raises(vw.ValidationError):
        vw.Module.validate(engine, m.build())


def test_what_is_compiled_for_another_processor_does_not_run(engine: vw.Engine) -> None:
    message = f"compiles for {OTHER}, and this process runs on {HOST}: .* not instantiated or called"
    with pytest.raises(vw.WasmError, match=message):
        vw.Store(engine)
    with pytest.raises(vw.WasmError, match=message):
        vw.instantiate(vw.Module(engine, source()))
    with pytest.raises(vw.WasmError, match=message):
        vw.instantiate(source(), config=vw.Config(target=OTHER))
    # That had no effect on anything else.
    assert vw.instantiate(source()).exports.add(1, 2) == 3


@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_both_processors_code_can_be_listed(target: str) -> None:
    pytest.importorskip("capstone", reason="capstone reads machine code")
    for module, wanted in (
        (vw.Module(vw.Engine(vw.Config(target=target)), source()), None),
        (vw.Module(vw.Engine(), source()), target),
    ):
        listing = module.disassemble("add", target=wanted)[0]
        assert listing.target == target
        assert listing.instructions[-1].mnemonic == "ret"


def test_an_eager_engine_is_made_even_where_the_processor_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise OSError("no executable memory can be had")

    monkeypatch.setattr("vibewasm.compiler.load_all", forbidden)
    engine = vw.Engine(vw.Config(compilation="eager"))
    with pytest.raises(vw.DecodeError, match="magic header not detected"):
        vw.Module(engine, b"not a module")
