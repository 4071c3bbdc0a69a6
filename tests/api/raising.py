"""Functions that raise each exception that users may meet, and what one says; as a program, whether it says the same
after it has come from a pool of processes.

python -m tests.api.raising fork
"""

from __future__ import annotations

import multiprocessing
import sys
from array import array
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NoReturn

import vibewasm as vw
import vibewasm.compat.wasmtime as wasmtime
from vibewasm.api.precompiled import OtherSettings
from vibewasm.errors import ReferenceLimit

TEXT = """(module $app
  (import "env" "host" (func $host (param i32)))
  (memory (export "memory") 1)
  (table 8 externref)
  (func $inner (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "divide") (param i32) (result i32) (call $inner (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "hold") (param i32 externref) (table.set (local.get 0) (local.get 1)))
  (func $deep (export "deep") (call $deep))
  (func (export "spin") (loop (br 0)))
  (tag $oops (export "oops") (param i32 f64))
  (func (export "throw") (param i32) (throw $oops (local.get 0) (f64.const 0.5)))
  (func (export "host") (param i32) (call $host (local.get 0))))"""
EXIT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 7))))"""


class OwnException(vw.WasmException):
    """An exception for wasm code, of a class of its own."""


class HostError(Exception):
    """An exception of a program that uses the engine."""


def host(number: int) -> None:
    """What wasm code calls in all of these."""
    if number == 1:
        raise HostError("by the host", number)
    if number == 2:
        exports_of().divide(0)
    if number == 3:
        try:
            exports_of().divide(0)
        except vw.Trap as trap:
            raise HostError("with a cause") from trap
    if number == 4:
        raise vw.ExitTrap(300)
    if number == 5:
        raise OwnException(vw.Tag(vw.Store(), vw.TagType(["i64"]), name="own"), [5])


def exports_of(**arguments: Any) -> Any:
    """The exports of a new instance."""
    return vw.instantiate(TEXT, {"env": {"host": host}}, **arguments).exports


def trap() -> None:
    """Two frames."""
    exports_of().divide(0)


def fault() -> None:
    """A trap by a signal, which notes the address."""
    exports_of().load(70_000)


def stack_overflow() -> None:
    """As many frames as are recorded."""
    exports_of().deep()


def element() -> None:
    """A trap of ``Func.map`` has a note, and says at which element it was."""
    exports_of().divide.map(array("i", [1, 1, 0]))


def fuel() -> None:
    """The fuel has run out."""
    exports_of(config=vw.Config(fuel=True), fuel=1000).spin()


def deadline() -> None:
    """A loop is stopped."""
    exports = exports_of()
    with exports.memory.store.deadline(0.02):
        exports.spin()


def references() -> None:
    """The host hands in more objects than the store may hold."""
    exports = exports_of(config=vw.Config(max_references=2))
    for number in range(8):
        exports.hold(number, object())


def missing() -> None:
    """An import is missing, which the exception has as an object."""
    vw.instantiate(TEXT)


def mismatch() -> None:
    """An import is of another kind."""
    vw.instantiate(TEXT, {"env": {"host": vw.Global(vw.Store(), vw.GlobalType("i32"), 3)}})


def limit() -> None:
    """A memory is larger than the store allows."""
    vw.instantiate("(module (memory 10))", config=vw.Config(max_memory=65536))


def malformed() -> None:
    """A module ends in its middle."""
    vw.instantiate(b"\0asm\1\0\0\0\1")


def invalid() -> None:
    """A function is invalid, which its first call finds."""
    vw.instantiate('(module (func $bad (export "f") (drop (i32.add))))').exports.f()


def feature() -> None:
    """A proposal that is not built."""
    vw.instantiate("(module (memory i64 1))")


def bad_text() -> None:
    """Text with a line that is none."""
    vw.instantiate("(module\n  (func i32.bdd))")


def other_settings() -> None:
    """A precompiled module for other settings."""
    code = vw.Module(vw.Engine(), TEXT).serialize()
    vw.Module.deserialize(vw.Engine(vw.Config(fuel=True)), code)


def closed() -> None:
    """The root of the exceptions itself."""
    exports = exports_of()
    exports.memory.store.close()
    exports.divide(1)


def program_exit() -> None:
    """WASI's ``proc_exit``."""
    vw.instantiate(EXIT, wasi=vw.WasiConfig()).exports._start()


def host_error() -> None:
    """A Python exception that has passed through wasm code, and has the frames as a note."""
    exports_of().host(1)


def trap_of_another_instance() -> None:
    """A trap that has passed through other wasm code."""
    exports_of().host(2)


def host_error_with_cause() -> None:
    """A cause, which pickles leave out: the pool's traceback shows it."""
    exports_of().host(3)


def host_exit() -> None:
    """A host function may raise what the engine does."""
    exports_of().host(4)


def exception() -> None:
    """An exception that wasm code has thrown, with a tag of a store."""
    exports_of().throw(7)


def exception_of_map() -> None:
    """One with a note, and the number of an element."""
    exports_of().throw.map(array("i", [1, 2]))


def exception_of_another_store() -> None:
    """One of a derived class, which wasm code has not thrown."""
    exports_of().host(5)


def unlike() -> None:
    """An export that is not there, with a suggestion."""
    exports_of().divid(1)


def arity() -> None:
    """Too few arguments."""
    exports_of().divide()


def bad_argument() -> None:
    """An argument of a wrong type."""
    exports_of().divide("1")


def large_argument() -> None:
    """An argument out of range."""
    exports_of().divide(1 << 40)


def no_file() -> None:
    """No such module."""
    vw.instantiate("missing.wasm")


def compat_trap() -> None:
    """A trap as wasmtime-py has it."""
    store = wasmtime.Store()
    text = """(module $m (func $f (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))
      (func (export "g") (call $f (i32.const 0))))"""
    exports: Any = wasmtime.Instance(store, wasmtime.Module(store.engine, text), []).exports(store)
    exports["g"](store)


def compat_exit() -> None:
    """An exit as wasmtime-py has it."""
    store = wasmtime.Store()
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(store.engine)
    linker.define_wasi()
    exports: Any = linker.instantiate(store, wasmtime.Module(store.engine, EXIT)).exports(store)
    exports["_start"](store)


def compat_error() -> None:
    """Another error as wasmtime-py has it."""
    wasmtime.Module(wasmtime.Engine(), b"no module")


#: What each function raises.
RAISING: dict[Callable[[], None], type[Exception]] = {
    trap: vw.Trap,
    fault: vw.Trap,
    stack_overflow: vw.Trap,
    element: vw.Trap,
    fuel: vw.OutOfFuel,
    deadline: vw.Interrupted,
    references: ReferenceLimit,
    missing: vw.LinkError,
    mismatch: vw.LinkError,
    limit: vw.LinkError,
    malformed: vw.DecodeError,
    invalid: vw.ValidationError,
    feature: vw.ValidationError,
    bad_text: vw.WatError,
    other_settings: OtherSettings,
    closed: vw.WasmError,
    program_exit: vw.ExitTrap,
    host_error: HostError,
    trap_of_another_instance: vw.Trap,
    host_error_with_cause: HostError,
    host_exit: vw.ExitTrap,
    exception: vw.WasmException,
    exception_of_map: vw.WasmException,
    exception_of_another_store: OwnException,
    unlike: AttributeError,
    arity: TypeError,
    bad_argument: TypeError,
    large_argument: OverflowError,
    no_file: FileNotFoundError,
    compat_trap: wasmtime.Trap,
    compat_exit: wasmtime.ExitTrap,
    compat_error: wasmtime.WasmtimeError,
}


def raised(function: Callable[[], None]) -> Exception:
    """What a function raises, which is of the class that it should be."""
    try:
        function()
    except Exception as error:
        if type(error) is RAISING[function]:
            return error
        raise
    raise AssertionError(f"{function.__name__} has raised nothing")


def told(error: BaseException) -> list[object]:
    """All that an exception says, other than its traceback and its cause."""
    attributes = dict(vars(error))
    if isinstance(error, wasmtime.Trap):
        # Its frames, and their class, are those of wasmtime-py, which do not compare.
        attributes["_frames"] = [
            (f.func_index, f.func_name, f.module_name, f.module_offset, f.func_offset) for f in error.frames
        ]
    args: tuple[object, ...] = error.args
    if isinstance(error, vw.WasmException):
        # The tag is one of a store, and so is a reference to the exception.
        args = (error.tag.type, error.tag.name, *args[1:])
        del attributes["tag"], attributes["_reference"]
    return [type(error), str(error), args, attributes]


def answer() -> int:
    """A call that succeeds."""
    result: int = exports_of().divide(1)
    return result


def instance() -> vw.Instance:
    """What no process can give to another."""
    return vw.instantiate(TEXT, {"env": {"host": host}})


def fail(what: object) -> NoReturn:
    """End the program with what is wrong."""
    raise SystemExit(str(what))


def main(method: str) -> None:
    """Compare what is raised here with what comes from a pool."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        for function in RAISING:
            here = raised(function)
            there = pool.submit(function).exception(60)
            if there is None or told(there) != told(here):
                fail(f"{function.__name__}: {there and told(there)} is not {told(here)}")
            # What pickles leave out is in the text that the pool adds.
            shown = str(there.__cause__)
            if f"in {function.__name__}" not in shown or str(here) not in shown:
                fail(shown)
            if here.__cause__ and f"{here.__cause__}\n" not in shown:
                fail(f"no {here.__cause__} in {shown}")
            # The worker goes on.
            if pool.submit(answer).result(60) != 1:
                fail(f"wrong result after {function.__name__}")
        refused = pool.submit(instance).exception(60)
        if not isinstance(refused, TypeError) or "an Instance cannot be copied or pickled" not in str(refused):
            fail(repr(refused))
    print(f"{method}: {len(RAISING)} exceptions")


if __name__ == "__main__":
    # By its name, so that classes and functions are the same in all processes.
    from tests.api import raising

    raising.main(*sys.argv[1:])
