"""Modules that are compiled ahead of time: machine code in a file, with the module that it belongs to.

Such a file is a program for this processor. Whoever wrote it can do in this process what they like, so
:meth:`vibewasm.Module.deserialize` is for files that one has made oneself. What is checked is that a file is whole, and
was made by this version for such a processor and such settings.
"""

from __future__ import annotations

from ..backends import TARGETS
from ..cache import code, image
from ..cache.container import PRECOMPILED, Damaged, checksum, key_of, pack, unpack
from ..cache.key import key
from ..calls.process import HOST, extensions
from ..errors import WasmError
from ..lookalikes import CODE_MAGIC
from .config import CODE_SETTINGS, code_settings
from .engine import features_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..binary.module_info import ModuleInfo
    from .engine import Engine


class OtherSettings(WasmError):
    """A precompiled module was made for something else than the engine that is to take it.

    Attributes:
        setting: what differs: ``"target"``, ``"extensions"`` (of the processor) or one of :data:`CODE_SETTINGS`.
        made: what it was made for, as the file has it.
        wanted: what the engine has.
    """

    def __init__(self, message: str, setting: str, made: str, wanted: str) -> None:
        super().__init__(message)
        self.args = (message, setting, made, wanted)
        self.setting = setting
        self.made = made
        self.wanted = wanted


def serialized(engine: Engine, info: ModuleInfo, codes: list[bytes], catching: Iterable[int]) -> bytes:
    """The file of a module, whose functions' code is ``codes``; those whose numbers are ``catching`` catch exceptions.

    Raises:
        WasmError: the module is too long, or it is not known which version of vibewasm this is.
    """
    if len(info.data) >= image.TOO_LONG:
        raise WasmError(f"a module of {image.TOO_LONG} bytes or more cannot be precompiled")
    ours = _our_key()
    packed_info = image.pack(info)
    facts: dict[str, str | int] = {
        "target": engine.target,
        "extensions": _extensions(engine),
        # The code's labels tell whether it belongs to the image, and this whether both belong to the module.
        "contents": checksum([packed_info, info.data]).hex(),
        **code_settings(engine.config),
        # What the code does, which the setting alone does not say.
        "explicit_bounds": int(engine.checks_bounds(info)),
        "catching": ",".join(map(str, sorted(catching))),
    }
    text = "\n".join([f"{name} {value}" for name, value in facts.items()]).encode()
    sections = (text, packed_info, code.pack_functions(enumerate(codes), packed_info), info.data)
    return b"".join(pack(PRECOMPILED, ours, sections))


def deserialized(engine: Engine, data: bytes) -> tuple[ModuleInfo, memoryview, list[tuple[int, int, int]]]:
    """The module in a file, its code, and of each function number, offset and length.

    Raises:
        WasmError: it is no such file, it is damaged, or it was made for something else.
    """
    if data[:4] == b"\0asm":
        raise WasmError("this is a module, not a precompiled one: Module(engine, source) takes it")
    if not data.startswith(CODE_MAGIC):
        from ..lookalikes import describe

        raise WasmError(f"this is no precompiled module: {describe(data)}")
    try:
        ours = _our_key()
        if key_of(data, PRECOMPILED) != ours:
            raise WasmError(
                "this module was precompiled by another version of vibewasm; compile it again (vibewasm compile, "
                "Module.serialize)"
            )
        text, packed_info, packed_code, module = unpack(data, PRECOMPILED, ours)
        facts = dict([line.split(" ") for line in str(text, "utf-8").split("\n")])
        info = image.unpack(packed_info, bytes(module), _features(facts))
        _compare(engine, info, facts)
        if facts["contents"] != checksum([packed_info, module]).hex():
            raise Damaged("it holds what belongs to different modules")
        count = info.defined_funcs
        functions = code.unpack_functions(packed_code, packed_info, count)
        if len(functions) != count:
            raise Damaged("functions are missing")
        if facts["catching"] and _compiles_otherwise(engine, info, facts):
            # Where exceptions go is found by compiling once more, which gives other code here. So these functions are
            # compiled here from the first.
            catching = {*map(int, facts["catching"].split(","))}
            functions = [function for function in functions if function[0] not in catching]
    except ValueError as problem:
        raise WasmError(f"this precompiled module is damaged ({problem}); compile it again") from None
    return info, packed_code, functions


def _features(facts: dict[str, str]) -> frozenset[str]:
    """The proposals that a file's module was decoded with."""
    return features_of(facts.get("legacy_exceptions") != "0")


def _our_key() -> bytes:
    try:
        return key("precompiled")
    except OSError as error:
        raise WasmError(
            "precompiled modules are for one version of vibewasm, and which one this is cannot be told, as its source "
            f"cannot be read ({error.strerror}): install it from a wheel"
        ) from None


def _compare(engine: Engine, info: ModuleInfo, facts: dict[str, str]) -> None:
    """Refuse code that is not for an engine.

    Raises:
        OtherSettings: it was made for something else.
        Damaged: what it was made for is not stated, or is nothing that could be.
    """
    if facts.keys() != {"target", "extensions", "contents", "catching", *CODE_SETTINGS}:
        raise Damaged("it does not say what it was made for")
    # Messages repeat what the file says, so that has to be what they have words for.
    if facts["target"] not in TARGETS or not {facts[setting] for setting in CODE_SETTINGS} <= {"0", "1"}:
        raise Damaged("it states an unknown target or setting")
    if facts["target"] != engine.target:
        raise OtherSettings(
            f"this module was precompiled for {facts['target']}, and the engine is for {engine.target}: compile it "
            f"again with Config(target={engine.target!r}), or vibewasm compile --target {engine.target}",
            "target",
            facts["target"],
            engine.target,
        )
    missing = int(facts["extensions"]) & ~_extensions(engine)
    if missing:
        raise OtherSettings(
            "this module was precompiled for a processor with extensions that this one has not, or that VIBEWASM_CPU "
            "forbids; precompile it with VIBEWASM_CPU=baseline",
            "extensions",
            facts["extensions"],
            str(_extensions(engine)),
        )
    wanted = code_settings(engine.config)
    # Code that checks bounds works in every memory.
    wanted["explicit_bounds"] = int(engine.checks_bounds(info) or facts["explicit_bounds"] == "1")
    if facts["legacy_exceptions"] == "0":
        # A module without the older form of exceptions is good for every engine.
        wanted["legacy_exceptions"] = 0
    for setting, value in wanted.items():
        if facts[setting] != str(value):
            made, ours = f"{setting}={facts[setting] == '1'}", f"{setting}={bool(value)}"
            raise OtherSettings(
                f"this module was precompiled with {made}, and the engine has {ours}: compile it again with "
                f"Config({ours}), or take an engine with Config({made})",
                setting,
                facts[setting],
                str(value),
            )


def _compiles_otherwise(engine: Engine, info: ModuleInfo, facts: dict[str, str]) -> bool:
    """Whether an engine makes other code than a file's, which it takes nevertheless."""
    ours = str(_extensions(engine)), str(int(engine.checks_bounds(info)))
    return (facts["extensions"], facts["explicit_bounds"]) != ours


def _extensions(engine: Engine) -> int:
    # What is compiled for another processor uses none: nobody can ask it.
    return extensions() if engine.target == HOST else 0
