"""C functions as imports: they get what wasm code passes, by the platform's convention, and no register is lost."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const
from tests.native import not_emulated
from tests.runtime.native import native as machine
from vibewasm.calls.process import stub_memory

from .wasm import I32_ADD, gets, instance_of

LIBC = ctypes.CDLL(None)
MASK32 = 0xFFFF_FFFF

#: Types of C, the types of wasm for them, and what a value is when C has it.
C_TYPES: dict[Any, tuple[str, Callable[[int], int]]] = {
    ctypes.c_int8: ("i32", lambda v: ctypes.c_int8(v).value),
    ctypes.c_uint8: ("i32", lambda v: ctypes.c_uint8(v).value),
    ctypes.c_int16: ("i32", lambda v: ctypes.c_int16(v).value),
    ctypes.c_uint16: ("i32", lambda v: ctypes.c_uint16(v).value),
    ctypes.c_int32: ("i32", lambda v: ctypes.c_int32(v).value),
    ctypes.c_uint32: ("i32", lambda v: v & MASK32),
    ctypes.c_bool: ("i32", lambda v: int(v & MASK32 != 0)),
    ctypes.c_int64: ("i64", lambda v: ctypes.c_int64(v).value),
    ctypes.c_uint64: ("i64", lambda v: v),
    ctypes.c_float: ("f32", lambda v: v),
    ctypes.c_double: ("f64", lambda v: v),
}
ANY_TYPE = st.sampled_from([*C_TYPES])


def at(function: Any, prototype: Any) -> Any:
    """A function of ctypes at the address of another one: nobody sees that it is one of Python."""
    return prototype(ctypes.cast(function, ctypes.c_void_p).value)


def through_wasm(function: vw.Native, memory: bool = False) -> Any:
    """A wasm function that passes its arguments to a C function and returns what that does."""
    names = [type_.name for type_ in function.type.params], [type_.name for type_ in function.type.results]
    m = ModuleBuilder()
    host = m.import_func("env", "f", *names)
    if memory:
        m.memory(1, 10, export="memory")
    m.func(*names, gets(len(names[0])) + call(host), export="f")
    m.func([], [], b"\x41\x01\x40\x00\x1a" if memory else b"", export="grow")
    return instance_of(m, {"env": {"f": function}}).exports


# -- what C functions get and give -------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY_TYPE, max_size=24), st.sampled_from([None, *C_TYPES]), st.booleans(), st.integers(0, 2**32))
def test_any_signature_passes_its_values_both_ways(kinds: list[Any], result: Any, with_memory: bool, seed: int) -> None:
    numbers = random.Random(seed)
    seen: list[tuple[Any, ...]] = []
    returned = numbers.randrange(-100, 100) if result not in (ctypes.c_bool, None) else 1

    def python(*arguments: Any) -> Any:
        seen.append(arguments)
        return (
            None
            if result is None
            else C_TYPES[result][1](returned & (1 << 64) - 1)
            if result
            not in (
                ctypes.c_float,
                ctypes.c_double,
            )
            else returned
        )

    first = [ctypes.c_void_p, ctypes.c_size_t] if with_memory else []
    callback = ctypes.CFUNCTYPE(result, *first, *kinds)(python)
    native = vw.Native(at(callback, type(callback)), memory=with_memory)
    exports = through_wasm(native, with_memory)
    values: list[Any] = []
    wanted: list[Any] = []
    for kind in kinds:
        type_, as_c = C_TYPES[kind]
        value: Any
        if type_ in ("f32", "f64"):
            value = numbers.randrange(-1000, 1000) / 8
        else:
            bits = 32 if type_ == "i32" else 64
            value = numbers.choice([numbers.getrandbits(bits), 0, 255, 256, (1 << bits) - 1])
        values.append(value)
        wanted.append(as_c(value))
    found = exports.f(*values)
    (given,) = seen
    if with_memory:
        view = exports.memory.view()
        assert given[:2] == (ctypes.addressof(ctypes.c_char.from_buffer(view)), 65536)
        given = given[2:]
    assert list(given) == wanted
    if result is None:
        assert found is None
    elif C_TYPES[result][0] in ("f32", "f64"):
        assert found == returned
    else:
        # What i32 and i64 have is signed.
        given_back = C_TYPES[result][1](returned & (1 << 64) - 1)
        signed = ctypes.c_int32 if C_TYPES[result][0] == "i32" else ctypes.c_int64
        assert found == signed(given_back).value


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([kind for kind in C_TYPES if C_TYPES[kind][0] == "i32"]), max_size=20))
def test_narrow_parameters_are_extended_to_32_bits(kinds: list[Any]) -> None:
    """A caller has to do it by one compiler's reading of an ABI, and a callee by another's."""
    seen: list[tuple[int, ...]] = []
    whole = ctypes.CFUNCTYPE(None, *[ctypes.c_uint32] * len(kinds))(lambda *arguments: seen.append(arguments))
    exports = through_wasm(vw.Native(at(whole, ctypes.CFUNCTYPE(None, *kinds))))
    exports.f(*[0x8000_8080 + index for index in range(len(kinds))])
    wanted = [C_TYPES[kind][1](0x8000_8080 + index) & MASK32 for index, kind in enumerate(kinds)]
    assert [list(arguments) for arguments in seen] == [wanted]


@pytest.mark.parametrize("kind", [kind for kind in C_TYPES if C_TYPES[kind][0] == "i32"])
def test_of_a_narrow_result_only_its_own_bits_count(kind: Any) -> None:
    code = machine.set_result(0xDEAD_BEEF_8765_8380) + machine.RETURN
    native = vw.Native(ctypes.CFUNCTYPE(kind)(stub_memory().publish(code)))
    m = ModuleBuilder()
    host = m.import_func("env", "f", [], ["i32"])
    # As an address it would be out of bounds if anything were left above; as an i64 it is seen whole.
    m.func([], ["i64"], call(host) + b"\xad", export="f")
    found = instance_of(m, {"env": {"f": native}}).exports.f()
    assert found == (1 if kind is ctypes.c_bool else C_TYPES[kind][1](0x8765_8380) & MASK32)


def test_a_function_of_the_c_library_is_called_by_its_argtypes_or_by_a_given_type() -> None:
    LIBC.toupper.argtypes, LIBC.toupper.restype = [ctypes.c_int], ctypes.c_int
    assert through_wasm(vw.Native(LIBC.toupper)).f(ord("a")) == ord("A")
    address = ctypes.cast(LIBC.toupper, ctypes.c_void_p).value or 0
    type_ = vw.FuncType(["i32"], ["i32"])
    native = vw.Native(address, type_, name="upper")
    assert repr(native) == "<vibewasm.Native upper(i32) -> i32>"
    assert (native.type, native.address, native.name, native.memory, native.stack) == (
        type_, address, "upper", False, 65536,
    )  # fmt: skip
    assert through_wasm(native).f(ord("b")) == ord("B")
    assert repr(vw.Native(LIBC.toupper, memory=False)) == "<vibewasm.Native toupper(i32) -> i32>"
    assert f"C function at {address:#x}" in repr(vw.Native(address, type_))


def test_a_c_function_is_called_put_into_tables_and_mapped_like_others() -> None:
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    store = vw.Store(vw.Engine())
    f = vw.Func(store, vw.FuncType(["i32"], ["i32"]), vw.Native(LIBC.abs))
    assert f(-5) == 5
    assert f.name == "abs"
    assert f.map(array("i", range(-3, 3))) == array("i", [3, 2, 1, 0, 1, 2])
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(1)), f)
    assert table[0] is f
    with pytest.raises(vw.WasmError, match="abs is a C function: there is no machine code to show"):
        f.disassemble()
    with pytest.raises(TypeError, match=r"^Func: type is \(\) -> i32, and that of the native function \(i32\) -> i32$"):
        vw.Func(store, vw.FuncType([], ["i32"]), vw.Native(LIBC.abs))


def test_the_memory_is_that_of_the_instance_that_calls() -> None:
    seen: list[tuple[Any, ...]] = []
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

    def read(base: int | None, size: int, offset: int) -> int:
        seen.append((base, size))
        return ctypes.string_at(base + offset, 1)[0] if base else -1

    callback = prototype(read)
    native = vw.Native(at(callback, prototype), memory=True)
    assert repr(native).endswith("(i32) -> i32 with memory>")
    exports = through_wasm(native, True)
    exports.memory[7:8] = b"x"
    assert exports.f(7) == ord("x")
    exports.grow()
    assert exports.f(7) == ord("x")
    assert seen[1] == (seen[0][0], 2 * 65536)
    other = through_wasm(native, True)
    assert other.f(7) == 0
    assert seen[-1][0] != seen[0][0]
    assert through_wasm(native).f(7) == -1
    assert vw.Func(exports.f.store, native.type, native)(7) == -1
    assert seen[-2:] == [(None, 0), (None, 0)]


def test_the_rounding_of_wasm_code_is_its_own() -> None:
    upwards = {"x86_64": 0x800, "aarch64": 0x40_0000}[os.uname().machine]
    libm = ctypes.CDLL("libm.so.6")
    libm.fesetround.argtypes, libm.fesetround.restype = [ctypes.c_int], ctypes.c_int
    m = ModuleBuilder()
    host = m.import_func("env", "round", ["i32"], ["i32"])
    m.func(["f64", "f64"], ["f64"], i32_const(upwards) + call(host) + b"\x1a" + gets(2) + b"\xa0", export="add")
    add = instance_of(m, {"env": {"round": vw.Native(libm.fesetround)}}).exports.add
    try:
        assert add(1.0, 1e-20) == 1.0
    finally:
        libm.fesetround(0)


def test_what_wasm_code_keeps_in_registers_survives() -> None:
    """Locals and operands of all types around a call; tests/runtime does it register by register."""
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    m = ModuleBuilder()
    host = m.import_func("env", "abs", ["i32"], ["i32"])
    types = ["i32", "i64", "f64", "f32"] * 6
    body = gets(len(types)) + i32_const(-1) + call(host) + b"\x1a"
    m.func(types, types, body, export="f")
    f = instance_of(m, {"env": {"abs": vw.Native(LIBC.abs)}}).exports.f
    values = [index + 1 if index % 4 < 2 else index + 0.5 for index in range(len(types))]
    assert list(f(*values)) == values


def test_a_c_function_may_call_python_which_calls_wasm() -> None:
    exports: Any = None

    def python(value: int) -> int:
        return int(exports.inner(value)) + 1

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(python)
    m = ModuleBuilder()
    host = m.import_func("env", "f", ["i32"], ["i32"])
    m.func(["i32"], ["i32"], gets(1) + call(host) + i32_const(100) + I32_ADD, export="outer")
    m.func(["i32"], ["i32"], gets(1) + i32_const(10) + I32_ADD, export="inner")
    exports = instance_of(m, {"env": {"f": vw.Native(at(callback, type(callback)))}}).exports
    assert exports.outer(5) == 116


def test_the_pointer_lives_as_long_as_the_store() -> None:
    class Owner:
        """As numba's compiled functions are."""

        __name__ = "compiled"

        def __init__(self) -> None:
            self.ctypes = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(("abs", LIBC))
            self.address = ctypes.cast(self.ctypes, ctypes.c_void_p).value

    owner = Owner()
    alive = weakref.ref(owner)
    native = vw.Native(owner)
    assert native.name == "compiled"
    exports = through_wasm(native)
    del owner, native
    gc.collect()
    assert alive() is not None
    assert exports.f(-3) == 3
    exports.f.store.close()
    del exports
    gc.collect()
    assert alive() is None


# -- stopping, signals and the stack -----------------------------------------------------------------------------------


def sleeper() -> Any:
    LIBC.usleep.argtypes, LIBC.usleep.restype = [ctypes.c_uint], ctypes.c_int
    return through_wasm(vw.Native(LIBC.usleep)).f


def test_a_deadline_that_ends_in_c_code_is_noticed_when_it_returns() -> None:
    sleep = sleeper()
    with pytest.raises(vw.Interrupted, match="stopped by a deadline"), sleep.store.deadline(0.02):
        sleep(200_000)
    assert sleep(0) == 0


def test_an_interrupt_before_a_call_stops_it() -> None:
    sleep = sleeper()
    sleep.store.interrupt()
    with pytest.raises(vw.Interrupted):
        sleep(0)


def test_ctrl_c_in_c_code_is_noticed_when_it_returns() -> None:
    LIBC.kill.argtypes, LIBC.kill.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    exports = through_wasm(vw.Native(LIBC.kill))
    with pytest.raises(KeyboardInterrupt):
        exports.f(os.getpid(), signal.SIGINT)
    assert exports.f(os.getpid(), 0) == 0


def test_c_code_runs_without_the_gil() -> None:
    LIBC.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    LIBC.read.restype = ctypes.c_ssize_t
    reading, writing = os.pipe()
    buffer = ctypes.create_string_buffer(1)
    # The thread can only write while C code waits without the GIL.
    thread = threading.Timer(0.05, os.write, (writing, b"x"))
    thread.start()
    assert through_wasm(vw.Native(LIBC.read)).f(reading, ctypes.addressof(buffer), 1) == 1
    thread.join()
    os.close(reading)
    os.close(writing)
    assert buffer.raw == b"x"


def test_a_call_for_which_the_stack_is_too_small_is_a_trap() -> None:
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    failures: list[str] = []

    def run() -> None:
        assert through_wasm(vw.Native(LIBC.abs)).f(-1) == 1
        assert through_wasm(vw.Native(LIBC.abs, stack=100_000)).f(-1) == 1
        try:
            through_wasm(vw.Native(LIBC.abs, stack=4 << 20)).f(-1)
        except vw.Trap as trap:
            failures.append(trap.code)
            failures.extend(str(frame.func_index) for frame in trap.frames)

    before = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert failures == ["stack_overflow", "1"]


def test_recursion_through_c_code_ends_in_a_trap_before_the_stack_does() -> None:
    m = ModuleBuilder()
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    host = m.import_func("env", "abs", ["i32"], ["i32"])
    m.func(["i32"], ["i32"], gets(1) + call(host) + call(1) + i32_const(1) + I32_ADD, export="f")
    with pytest.raises(vw.Trap, match="call stack exhausted"):
        instance_of(m, {"env": {"abs": vw.Native(LIBC.abs)}}).exports.f(1)


def test_a_fault_in_c_code_ends_the_process_and_is_no_trap() -> None:
    program = """if True:
        import ctypes, vibewasm
        strlen = ctypes.CDLL(None).strlen
        strlen.argtypes, strlen.restype = [ctypes.c_void_p], ctypes.c_size_t
        text = '(module (import "m" "f" (func $f (param i64) (result i64))) (export "f" (func $f)))'
        vibewasm.instantiate(text, {"m": {"f": vibewasm.Native(strlen)}}).exports.f(8)
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGSEGV


# -- what is refused ---------------------------------------------------------------------------------------------------


class Pair(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_int))


def _checked() -> Any:
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(("abs", LIBC))
    function.errcheck = lambda *arguments: 0  # type: ignore[assignment]  # what it does is nobody's business
    return function


def _of(result: Any, *arguments: Any) -> Any:
    return ctypes.CFUNCTYPE(result, *arguments)(("abs", LIBC))


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: ctypes.CDLL(None).labs, {}, TypeError, "what the function takes is not said: give type=, or set"),
        (lambda: 12345, {}, TypeError, "what the function takes is not said"),
        (lambda: 0, {"type": vw.FuncType()}, ValueError, "the address of a function is none: 0"),
        (lambda: 1 << 64, {"type": vw.FuncType()}, ValueError, "the address of a function is none"),
        (lambda: _of(None)(), {}, TypeError, "pointer has to be a function of ctypes or cffi"),
        (lambda: print, {}, TypeError, r"not builtin_function_or_method \(a Python function is defined as it is\)"),
        (lambda: True, {}, TypeError, "pointer has to be a function of ctypes or cffi, a numba.cfunc or an address"),
        (lambda: ctypes.CFUNCTYPE(None)(lambda: None), {}, TypeError, "ctypes function is a Python function"),
        (lambda: ctypes.PYFUNCTYPE(None)(("abs", LIBC)), {}, TypeError, "ctypes function is called with the GIL"),
        (lambda: ctypes.pythonapi.Py_IncRef, {"type": vw.FuncType()}, TypeError, "is called with the GIL"),
        (_checked, {}, TypeError, "ctypes function has an errcheck"),
        (lambda: _of(None, Pair), {}, TypeError, "has Pair as its parameter 1: structures and unions by value are not"),
        (lambda: _of(Pair), {}, TypeError, "has Pair as its result: structures"),
        (lambda: _of(None, ctypes.c_int, ctypes.c_longdouble), {}, TypeError, "c_longdouble as its parameter 2, for"),
        (lambda: _of(None, ctypes.py_object), {}, TypeError, "has py_object as its parameter 1, for which wasm has no"),
        (lambda: _of(None, ctypes.c_int.__ctype_be__), {}, TypeError, "as its parameter 1, for which wasm has no type"),
        (lambda: _of(ctypes.c_int), {"memory": True}, TypeError, "first two parameters are a pointer and a size_t"),
        (lambda: _of(None, ctypes.c_int64), {"type": vw.FuncType(["i32"])}, TypeError, r"\(i64\) -> \(\) in wasm, and"),
        (lambda: 5, {"type": vw.FuncType(["externref"])}, TypeError, "has externref, and C functions get i32, i64"),
        (lambda: 5, {"type": vw.FuncType([], ["i32", "i32"])}, TypeError, "has 2 results, and C functions have one"),
        (lambda: 5, {"type": "i32"}, TypeError, "type has to be a FuncType or None, not str 'i32'"),
        (lambda: 5, {"memory": 1}, TypeError, "memory has to be True or False, not int 1"),
        (lambda: 5, {"stack": "1"}, TypeError, "stack has to be a number of bytes, an int, not str '1'"),
        (lambda: 5, {"stack": -1}, ValueError, r"stack is a number of bytes from 0 to 2\*\*30, not -1"),
        (lambda: 5, {"name": 1}, TypeError, "name has to be a str or None, not int 1"),
        (lambda: 5, {"keep": 1}, TypeError, "has no parameter 'keep'"),
    ],
)  # fmt: skip
def test_what_is_no_c_function_is_refused_with_a_sentence(
    make: Callable[[], Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^Native.*{message}"):
        vw.Native(make(), **options)


def test_a_type_that_the_import_does_not_have_is_a_link_error() -> None:
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    with pytest.raises(vw.LinkError, match=r"incompatible import type: env\.f"):
        vw.instantiate('(module (import "env" "f" (func (param i64))))', {"env": {"f": vw.Native(LIBC.abs)}})
    linker = vw.Linker(vw.Engine())
    with pytest.raises(TypeError, match="only a Python function is given a type"):
        linker.define("env", "f", vw.Native(LIBC.abs), vw.FuncType())


def test_a_ctypes_function_that_nobody_calls_native_is_called_by_python() -> None:
    LIBC.abs.argtypes, LIBC.abs.restype = [ctypes.c_int], ctypes.c_int
    text = '(module (import "env" "f" (func $f (param i32) (result i32))) (export "f" (func $f)))'
    assert vw.instantiate(text, {"env": {"f": LIBC.abs}}).exports.f(-4) == 4


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    program = """if True:
        import sys, vibewasm
        text = '(module (import "m" "f" (func $f)) (func (export "f") call $f))'
        vibewasm.instantiate(text, {"m": {"f": lambda: None}}).exports.f()
        late = ("api.native", "calls.c_functions", "backends.x86_64.native", "backends.aarch64.native")
        assert not [name for name in late if "vibewasm." + name in sys.modules]
    """
    subprocess.run([sys.executable, "-c", program], check=True)


# -- libraries ---------------------------------------------------------------------------------------------------------

MATHS = """(module
  (import "libm" "pow" (func $pow (param f64 f64) (result f64)))
  (import "libm" "cosf" (func $cosf (param f32) (result f32)))
  (func (export "pow") (param f64 f64) (result f64) (call $pow (local.get 0) (local.get 1)))
  (func (export "cosf") (param f32) (result f32) (call $cosf (local.get 0))))"""


def test_functions_of_a_shared_library_are_imports_by_name() -> None:
    engine = vw.Engine()
    linker = vw.Linker(engine)
    types: dict[str, Any] = {
        "pow": vw.FuncType(["f64", "f64"], ["f64"]),
        "cosf": ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float),
    }
    linker.define_library("libm.so.6", types, module="libm")
    instance = linker.instantiate(vw.Store(engine), vw.Module(engine, MATHS))
    assert instance.exports.pow(2, 10) == 1024
    assert abs(instance.exports.cosf(1) - math.cos(1)) < 1e-6
    with pytest.raises(vw.LinkError, match=r"libm\.pow is defined already"):
        linker.define_library("libm.so.6", types, module="libm")


@pytest.mark.parametrize(
    ("path", "functions", "options", "error", "message"),
    [
        ("./no-such.so", {}, {}, vw.LinkError, r"the library '\./no-such\.so' cannot be loaded: .*No such file"),
        (Path("libm.so.6"), {}, {}, vw.LinkError, "cannot be loaded"),
        (5, {}, {}, TypeError, "path has to be a str or a path, not int 5"),
        ("libm.so.6", [], {}, TypeError, "functions has to be a dict of types by name, not list"),
        ("libm.so.6", {"pov": vw.FuncType()}, {}, vw.LinkError, r"the library 'libm\.so\.6' has no function 'pov'"),
        ("libm.so.6", {"p\0w": vw.FuncType()}, {}, vw.LinkError, "has no function 'p"),
        # Attributes of ctypes' object, of which the first is a number that might pass for an address.
        ("libm.so.6", {"_handle": vw.FuncType()}, {}, vw.LinkError, "has no function '_handle'"),
        ("libm.so.6", {"_name": vw.FuncType()}, {}, vw.LinkError, "has no function '_name'"),
        ("libm.so.6", {"__class__": vw.FuncType()}, {}, vw.LinkError, "has no function '__class__'"),
        (
            "libm.so.6",
            {"pow": "f64"},
            {},
            TypeError,
            r"functions\['pow'\] has to be a FuncType or a CFUNCTYPE, not str",
        ),
        ("libm.so.6", {5: vw.FuncType()}, {}, TypeError, "a name of functions has to be a str, not int 5"),
        ("libm.so.6", {"pow": vw.FuncType(["funcref"])}, {}, TypeError, "C functions get i32, i64, f32 and f64 only"),
        ("libm.so.6", {}, {"module": 5}, TypeError, "module has to be a str, not int 5"),
        ("libm.so.6", {}, {"modul": "m"}, TypeError, "define_library has no parameter 'modul'; did you mean 'module'"),
    ],
)
def test_a_library_that_does_not_do_is_refused_with_a_sentence(
    path: Any, functions: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        vw.Linker(vw.Engine()).define_library(path, functions, **options)


@not_emulated("the compiler here makes code for the machine itself")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler: a library of our own is not tested")
def test_a_library_of_our_own_sees_the_memory(tmp_path: Path) -> None:
    source = tmp_path / "sum.c"
    source.write_text(
        "#include <stdint.h>\n#include <stddef.h>\n"
        "int64_t sum(const uint8_t *memory, size_t size, uint32_t at, uint32_t count) {\n"
        "  if (at > size || count > size - at) return -1;\n"
        "  int64_t total = 0; while (count--) total += memory[at++]; return total; }\n"
    )
    path = tmp_path / "libsum.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", path, source], check=True)
    engine = vw.Engine()
    linker = vw.Linker(engine)
    linker.define_library(path, {"sum": vw.FuncType(["i32", "i32"], ["i64"])}, memory=True)
    text = """(module (import "env" "sum" (func $sum (param i32 i32) (result i64))) (memory (export "memory") 1)
      (func (export "sum") (param i32 i32) (result i64) (call $sum (local.get 0) (local.get 1))))"""
    exports = linker.instantiate(vw.Store(engine), vw.Module(engine, text)).exports
    exports.memory[100:104] = bytes([1, 2, 3, 250])
    assert exports.sum(100, 4) == 256
    assert exports.sum(65536, 1) == -1


# -- cffi and numba ----------------------------------------------------------------------------------------------------


def test_pointers_of_cffi_are_called_as_they_are_declared() -> None:
    cffi = pytest.importorskip("cffi", reason="cffi is not installed: its pointers are not tested")
    ffi = cffi.FFI()
    ffi.cdef("""int abs(int); double pow(double, double); int printf(const char *, ...); int64_t labs(int64_t);
        typedef struct { int a; } pair; void by_value(pair); long double powl(long double, long double);""")
    lib = ffi.dlopen("libm.so.6")
    exports = through_wasm(vw.Native(lib.pow))
    assert exports.f(2, 5) == 32
    libc = ffi.dlopen(None)
    assert through_wasm(vw.Native(libc.abs)).f(-4) == 4
    assert through_wasm(vw.Native(ffi.addressof(libc, "labs"))).f(-(1 << 40)) == 1 << 40
    kinds = "int8_t, unsigned char, short, unsigned short, int, unsigned, _Bool, char *, uint64_t, float, double"
    pointer = ffi.cast(f"void (*)({kinds})", libc.abs)
    assert str(vw.Native(pointer).type) == "(i32, i32, i32, i32, i32, i32, i32, i64, i64, f32, f64) -> ()"
    assert vw.Native(pointer)._signature == "bBhHii?llfd:"
    for bad, message in (
        (libc.printf, "takes a varying number of arguments"),
        (ffi.cast("void (*)(pair)", libc.abs), "has pair as its parameter 1: structures and unions by value"),
        (lib.powl, "has long double as its parameter 1, for which wasm has no type"),
        (ffi.new("int *"), r"is a int \*, which is no pointer to a function"),
        (ffi.callback("int(int)", abs), "is a Python function: define the function itself, without cffi"),
    ):
        with pytest.raises(TypeError, match=f"^Native: the cffi pointer {message}"):
            vw.Native(bad)
    with pytest.raises(ValueError, match="the address of a function is none: 0"):
        vw.Native(ffi.cast("int (*)(int)", 0))


def test_a_compiled_function_of_numba_is_called_by_its_signature() -> None:
    numba = pytest.importorskip("numba", reason="numba is not installed: its functions are not tested")

    @numba.cfunc("int32(int32, float64)")
    def scaled(value, factor):  # type: ignore[no-untyped-def]  # compiled
        return int(value * factor)

    native = vw.Native(scaled)
    assert native.name == "scaled"
    assert str(native.type) == "(i32, f64) -> i32"
    assert through_wasm(native).f(6, 1.5) == 9


def test_a_c_function_says_what_it_is_and_takes_no_caller() -> None:
    store = vw.Store()
    type_ = vw.FuncType(["i32"], ["i32"])
    absolute = vw.Native(LIBC.abs, type_)
    with pytest.raises(TypeError, match="Func: only a Python function is given its caller"):
        vw.Func(store, type_, absolute, caller=True)
    assert str(vw.Func(store, type_, absolute).__doc__).endswith("A C function that wasm code can call.")
    assert str(vw.Func(store, type_, abs).__doc__).endswith("A Python function that wasm code can call.")
