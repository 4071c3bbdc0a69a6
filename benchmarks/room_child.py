"""What :mod:`.room` measures in a process of its own; it prints what it finds as JSON."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import vibewasm as vw
from tests.binary.dense import COMPILED, DECODED, NAMED
from tests.binary.signatures import ZEROS, passing_module, signature
from vibewasm.binary.decoder import decode
from vibewasm.cli import inspect
from vibewasm.errors import WasmError

from .modules import table_of

Found = dict[str, Any]


def resident(peak: bool = False) -> int:
    """Bytes of resident memory: now, or the most since :func:`forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"this system does not tell {name}")


def forget_peak() -> None:
    """Begin anew to look for the peak of resident memory."""
    Path("/proc/self/clear_refs").write_text("5")


# -- families of modules -----------------------------------------------------------------------------------------------


def _names(wasm: bytes) -> object:
    info = decode(wasm)
    for kind in ("func", "global"):
        info.names.of(kind).get(1 << 31)
    info.local_names.get(1 << 31)
    return info


def _inspect(wasm: bytes) -> object:
    module = vw.Module(vw.Engine(), wasm)
    return inspect._text(inspect._facts("", module.info, module.imports, module.exports))


def _image(wasm: bytes) -> object:
    from vibewasm.cache.image import pack, unpack

    return unpack(pack(decode(wasm)), wasm)


def _serialize(wasm: bytes) -> object:
    return vw.Module.deserialize(vw.Engine(), vw.Module(vw.Engine(), wasm).serialize())


_EAGER = vw.Engine(vw.Config(compilation="eager"))
_WORK: dict[str, Callable[[bytes], object]] = {
    "module": lambda wasm: vw.Module(vw.Engine(), wasm),
    "names": _names,
    "inspect": _inspect,
    "image": _image,
    "text": lambda text: vw.Module.from_text(vw.Engine(), text),
    "eager": lambda wasm: vw.Module(_EAGER, wasm),
    "validate": lambda wasm: vw.Module.validate(vw.Engine(), wasm),
    "serialize": _serialize,
}


def family(work: str, name: str, things: str) -> Found:
    """Resident and traced peak, and what is traced in the end, for each byte."""
    make = (DECODED | NAMED | COMPILED)[name]
    if work == "text":
        # Text is longer than what it says.
        small, wasm = _text(make(100)), _text(make(int(things) // 8))
        if small is None or wasm is None:
            return {}
    else:
        small, wasm = make(100), make(int(things))
    size = len(wasm)

    def done(given: bytes) -> object:
        try:
            return _WORK[work](given)
        except WasmError:
            # What counts is what it took to find out.
            return None

    done(small)
    gc.collect()
    forget_peak()
    before = resident()
    kept = done(wasm)
    peak = resident(peak=True) - before
    del kept
    gc.collect()
    tracemalloc.start()
    kept = done(wasm)
    current, traced = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {"bytes": size, "ratios": [max(peak, 0) / size, traced / size, current / size]}


def _text(wasm: bytes) -> bytes | None:
    from vibewasm.wat.writer import wasm2wat

    try:
        decode(wasm)
        return wasm2wat(wasm).encode()
    except WasmError:
        return None


# -- what stays --------------------------------------------------------------------------------------------------------


def left(work: str, modules: str) -> Found:
    """Bytes of resident memory that stay of each module, and how long each takes."""
    engine = vw.Engine()
    linker = vw.Linker(engine)
    linker.define("m", "f", lambda *given: None)
    count, warm = int(modules), 3000

    def one(number: int) -> None:
        params = signature(number)
        instance = linker.instantiate(vw.Store(engine), vw.Module(engine, passing_module(params)))
        if work == "call":
            instance.exports.f(*[ZEROS[name] for name in params])

    for number in range(warm):
        one(number)
    gc.collect()
    before, start = resident(), process_time()
    for number in range(warm, count):
        one(number)
    seconds = process_time() - start
    gc.collect()
    return {"left": (resident() - before) / count, "seconds": seconds, "each": seconds / (count - warm) * 1e6}


# -- instances ---------------------------------------------------------------------------------------------------------


def instances(functions: str, number: str) -> Found:
    """Megabytes of many instances of one module at once, each in a store of its own: a page is written to, and three of
    the functions in a table are called. Then what is more when all that was done again.
    """
    engine = vw.Engine()
    module = vw.Module(engine, table_of(int(functions)))
    linker = vw.Linker(engine)

    def make() -> list[vw.Instance]:
        made = []
        for _ in range(int(number)):
            instance = linker.instantiate(vw.Store(engine), module)
            instance.exports.memory[4096:4100] = b"\1\2\3\4"
            for name in ("first", "second", "last"):
                instance.exports[name](1)
            made.append(instance)
        return made

    before = resident()
    made = make()
    most = resident() - before
    made.clear()
    gc.collect()
    once = resident()
    made = make()
    del made
    gc.collect()
    return {"megabytes": most / 1e6, "more": (resident() - once) / 1e6}


def cycles(functions: str, number: str) -> Found:
    """Megabytes that resident memory grows by while instances are made and dropped."""
    engine = vw.Engine()
    module = vw.Module(engine, table_of(int(functions)))
    linker = vw.Linker(engine)

    def make(count: int) -> None:
        for _ in range(count):
            linker.instantiate(vw.Store(engine), module).exports.last(1)

    make(2000)
    before = resident()
    make(int(number))
    return {"more": (resident() - before) / 1e6}


_FINDERS: dict[str, Callable[..., Found]] = {
    "family": family,
    "left": left,
    "instances": instances,
    "cycles": cycles,
}

if __name__ == "__main__":
    print(json.dumps(_FINDERS[sys.argv[1]](*sys.argv[2:])))
