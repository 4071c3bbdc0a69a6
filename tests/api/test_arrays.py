"""``Func.map``: calls over arrays are the calls one by one, and what goes wrong says where."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const

from .wasm import DROP, FOREVER, I32_ADD, I32_DIV_S, gets, instance_of

#: By type: the code of array.array and of struct.
CODES = {"i32": "i", "i64": "q", "f32": "f", "f64": "d"}
TYPES = st.sampled_from([*CODES])


@pytest.fixture
def numpy() -> Any:
    return pytest.importorskip("numpy", reason="NumPy is not installed: calls over its arrays are not tested")


def exports(config: vw.Config | None = None, imports: Any = None) -> Any:
    """Functions that the tests call."""
    m = ModuleBuilder()
    host = m.import_func("env", "host", ["i32"], ["i32"]) if imports else 0
    m.func(["i32", "i32"], ["i32"], gets(2) + I32_ADD, export="add")
    m.func(["i32", "i32"], ["i32"], gets(2) + I32_DIV_S, export="divide")
    m.func(["i32"], [], gets(1) + b"\x04\x40" + FOREVER + b"\x0b", export="spin")
    m.func(["i32"], ["externref"], b"\xd0\x6f", export="reference")
    m.func(["funcref"], [], b"", export="takes_reference")
    m.func([], ["i32"], i32_const(7), export="seven")
    m.func(["i32", "i64"], ["i64", "i32"], b"\x20\x01\x20\x00", export="swap")
    m.func(["f32", "f64"], ["f64"], b"\x20\x00\xbb\x20\x01\xa0", export="mixed")
    if imports:
        m.func(["i32"], ["i32"], gets(1) + call(host), export="calls_host")
        m.export("host", 0, host)
    return instance_of(m, imports, config=config).exports


# -- what it computes --------------------------------------------------------------------------------------------------


def test_an_array_of_results_is_what_the_calls_give() -> None:
    e = exports()
    xs, ys = array("i", range(-50, 50)), array("i", range(1000, 1100))
    found = e.add.map(xs, ys)
    assert isinstance(found, array)
    assert found == array("i", [e.add(x, y) for x, y in zip(xs, ys, strict=True)])
    assert e.add.map(xs, 5) == array("i", [x + 5 for x in xs])
    assert e.add.map(2**32 - 1, xs) == array("i", [x - 1 for x in xs])
    assert e.mixed.map(array("f", [0.5, 1.5]), array("d", [2, 4])) == array("d", [2.5, 5.5])


def test_several_results_are_a_tuple_of_arrays() -> None:
    e = exports()
    assert e.swap.map(array("i", [1, 2]), array("q", [3, 1 << 40])) == (array("q", [3, 1 << 40]), array("i", [1, 2]))
    mine = array("i", [0, 0])
    given = (None, mine)
    found = e.swap.map(array("i", [1, 2]), 9, out=given)
    assert found == (array("q", [9, 9]), array("i", [1, 2]))
    assert found[1] is mine


def test_a_function_without_results_returns_none_and_one_without_parameters_wants_out() -> None:
    e = exports()
    assert e.spin.map(array("i", [0, 0, 0])) is None
    out = array("i", [0, 0])
    assert e.seven.map(out=out) is out
    assert out == array("i", [7, 7])
    with pytest.raises(TypeError, match=r"seven\(\) -> i32\.map: how many calls there are to be is said by an array"):
        e.seven.map()
    with pytest.raises(TypeError, match="is said by an array"):
        e.add.map(1, 2)
    with pytest.raises(TypeError, match="the function has no results"):
        e.spin.map(array("i", [0]), out=array("i", [0]))


def test_buffers_of_all_kinds_are_arrays() -> None:
    import ctypes

    e = exports()
    four = array("i", [1, 2, 3, 4])
    for buffer in (
        four,
        array("I", four),
        memoryview(four),
        four.tobytes(),
        bytearray(four.tobytes()),
        memoryview(four.tobytes()).cast("i"),
        (ctypes.c_int32 * 4)(*four),
    ):
        assert e.add.map(buffer, 10) == array("i", [11, 12, 13, 14])
    out = bytearray(16)
    assert e.add.map(four, 10, out=out) is out
    assert out == array("i", [11, 12, 13, 14]).tobytes()
    odd = memoryview(bytearray(17))[1:].cast("i")
    e.add.map(four, 10, out=odd)
    assert odd.tolist() == [11, 12, 13, 14]
    nested = memoryview(four.tobytes()).cast("i", shape=[2, 2])
    assert e.add.map(nested, 0) == four


def test_strided_views_are_walked_and_written_with_their_strides() -> None:
    e = exports()
    numbers = array("i", range(10))
    assert e.add.map(memoryview(numbers)[::-3], 0) == array("i", [9, 6, 3, 0])
    out = array("i", [0] * 8)
    e.add.map(memoryview(numbers)[::-3], 0, out=memoryview(out)[::2])
    assert out == array("i", [9, 0, 6, 0, 3, 0, 0, 0])


def test_of_no_elements_there_are_no_calls() -> None:
    e = exports()
    assert e.divide.map(array("i"), 0) == array("i")
    assert e.swap.map(array("i"), array("q")) == (array("q"), array("i"))
    assert e.add.map(b"", memoryview(array("i"))[::2]) == array("i")


def test_an_output_may_overlap_what_it_is_made_from() -> None:
    e = exports()
    xs = array("i", range(10))
    e.add.map(xs, 1, out=xs)
    assert xs == array("i", range(1, 11))
    # Each call sees what the calls before it have written: a running sum.
    sums = array("i", [0] * 11)
    e.add.map(memoryview(sums)[:-1], xs, out=memoryview(sums)[1:])
    assert sums == array("i", [n * (n + 1) // 2 for n in range(11)])


def test_memory_of_the_guest_is_a_buffer_like_others() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    # Adds the word at address 0, which the loop changes.
    m.func(["i32"], ["i32"], gets(1) + i32_const(0) + b"\x28\x02\x00" + I32_ADD, export="f")
    e = instance_of(m).exports
    words = e.memory.view().cast("i")
    assert e.f.map(array("i", [1, 2, 3]), out=words[:3]) is not None
    assert words[:3].tolist() == [1, 3, 4]
    words.release()


@st.composite
def signatures(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    """Parameters, and which of them the function returns."""
    params = draw(st.lists(TYPES, min_size=1, max_size=24))
    return params, draw(st.lists(st.integers(0, len(params) - 1), max_size=12))


@settings(max_examples=60, deadline=None)
@given(signatures(), st.integers(1, 7), st.integers(0, 2**32))
def test_any_signature_gives_what_calls_one_by_one_give(
    signature: tuple[list[str], list[int]], count: int, seed: int
) -> None:
    params, returned = signature
    m = ModuleBuilder()
    body = b"".join(gets(index + 1)[len(gets(index)) :] for index in returned)
    m.func(params, [params[index] for index in returned], body, export="f")
    f = instance_of(m).exports.f
    numbers = random.Random(seed)
    arrays: list[Any] = []
    raw: list[bytes] = []
    for type_ in params:
        size = array(CODES[type_]).itemsize
        raw.append(numbers.randbytes(size * count))
        choice = numbers.randrange(4)
        if choice == 0:
            # Elements lie apart, and backwards.
            spaced = array(CODES[type_], bytes(3 * size * count))
            view = memoryview(spaced)[::-3]
            for at, value in enumerate(memoryview(raw[-1]).cast("B")):
                view_bytes = memoryview(spaced).cast("B")
                view_bytes[3 * size * (count - 1 - at // size) + 2 * size + at % size] = value
            arrays.append(view)
        else:
            arrays.append(array(CODES[type_], raw[-1]))
    outs = [bytearray(array(CODES[params[index]]).itemsize * count) for index in returned]
    f.map(*arrays, out=tuple(outs) if len(outs) > 1 else outs[0] if outs else None)
    for at, index in enumerate(returned):
        assert bytes(outs[at]) == raw[index]
    # And what the calls give, bit for bit.
    for element in range(count):
        cells = []
        for type_, data in zip(params, raw, strict=True):
            size = array(CODES[type_]).itemsize
            cells.append(int.from_bytes(data[size * element : size * (element + 1)], "little"))
        found = f.call_raw(cells)
        for at, index in enumerate(returned):
            size = array(CODES[params[index]]).itemsize
            assert found[at].to_bytes(8, "little")[:size] == outs[at][size * element : size * (element + 1)]


@settings(max_examples=20, deadline=None)
@given(st.integers(100, 900), st.integers(1, 900))
def test_more_parameters_and_results_than_any_instruction_reaches(params: int, results: int) -> None:
    m = ModuleBuilder()
    # The first and the last parameter in turn.
    body = b"".join(b"\x20" + bytes([0]) if at % 2 else gets(params)[len(gets(params - 1)) :] for at in range(results))
    m.func(["i32"] * params, ["i32"] * results, body, export="f")
    f = instance_of(m).exports.f
    given = [array("i", [at, -at]) for at in range(params)]
    found = f.map(*given)
    found = (found,) if results == 1 else found
    for at, result in enumerate(found):
        assert result == given[0 if at % 2 else -1]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "out", "error", "message"),
    [
        ((array("i", [1]),), None, TypeError, "takes 2 arguments, 1 given"),
        (
            (array("i", [1]), array("i", [1, 2])),
            None,
            ValueError,
            "argument 1 has 1 element, and argument 2 2 elements",
        ),
        ((array("i", [1]), 1), array("i", [1, 2]), ValueError, "argument 1 has 1 element, and out 2 elements"),
        (
            (array("q", [1]), 1),
            None,
            TypeError,
            "argument 1 has elements of the format 'q' with 8 bytes, and i32 takes",
        ),
        ((array("f", [1]), 1), None, TypeError, "format 'f' with 4 bytes, and i32 takes int32 or uint32"),
        ((memoryview(b"1234"), 1), None, TypeError, r"format 'B' .*; memoryview\(\.\.\.\)\.cast\('i'\) makes one"),
        ((b"123", 1), None, ValueError, "argument 1 has 3 bytes, which is no multiple of the 4 of i32"),
        (([1, 2], 1), None, TypeError, r"argument 1 wants an int, not list, or a buffer: array\.array\('i', \.\.\.\)"),
        ((array("i", [1]), 2**32), None, OverflowError, r"argument 2 wants an int from -2\*\*31 to 2\*\*32-1"),
        ((array("i", [1]), 1.5), None, TypeError, "argument 2 wants an int, not float 1.5$"),
        ((array("i", [1]), None), None, TypeError, "argument 2 wants an int, not None$"),
        ((array("i", [1]), 1), b"1234", TypeError, "out is read-only, and results are written to it"),
        ((array("i", [1]), 1), 5, TypeError, "out has to be a writable buffer, not int 5"),
        ((array("i", [1]), 1), (array("i", [1]),), TypeError, "out has to be a writable buffer, not tuple"),
        ((array("i", [1]), 1), array("d", [1]), TypeError, "out has elements of the format 'd' with 8 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(
    arguments: tuple[Any, ...], out: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=rf"^add\(i32, i32\) -> i32\.map.*{message}"):
        exports().add.map(*arguments, out=out)


def test_an_output_for_each_of_several_results() -> None:
    swap = exports().swap
    one = array("i", [1])
    for out, what in ((one, "not array"), ((one,), "not 1 items"), ((one, one, one), "not 3 items")):
        with pytest.raises(TypeError, match=rf"out has to be a tuple of 2 buffers, one a result, {what}"):
            swap.map(one, 1, out=out)
    with pytest.raises(TypeError, match=r"out\[0\] has elements of the format 'i'"):
        swap.map(one, 1, out=(one, one))


def test_references_and_unknown_keywords_are_refused() -> None:
    e = exports()
    with pytest.raises(TypeError, match=r"there are no arrays of externref, only of i32, i64, f32 and f64"):
        e.reference.map(array("i", [1]))
    with pytest.raises(TypeError, match="there are no arrays of funcref"):
        e.takes_reference.map(array("q", [0]))
    with pytest.raises(TypeError, match=r"add\.map has no parameter 'output'; did you mean 'out'\?"):
        e.add.map(array("i", [1]), 1, output=None)


def test_elements_at_no_one_distance_are_refused() -> None:
    import ctypes

    class Pair(ctypes.Structure):
        _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_int))

    with pytest.raises(TypeError, match=r"has elements of the format 'T\{"):
        exports().add.map((Pair * 2)(), 1)


# -- when it goes wrong on the way -------------------------------------------------------------------------------------


def test_a_trap_says_at_which_element_and_leaves_the_results_before_it() -> None:
    e = exports()
    out = array("i", [-1] * 5)
    with pytest.raises(vw.Trap) as caught:
        e.divide.map(100, array("i", [1, 2, 4, 0, 5]), out=out)
    assert caught.value.code == "integer_divide_by_zero"
    assert caught.value.element == 3
    assert [frame.func_name for frame in caught.value.frames] == ["divide"]
    assert caught.value.__notes__ == [
        "divide(i32, i32) -> i32.map: at element 3 of 5, counted from 0 (the results of those before it are written)"
    ]
    assert out == array("i", [100, 50, 25, -1, -1])
    with pytest.raises(vw.Trap) as plain:
        e.divide(1, 0)
    assert plain.value.element is None
    # The buffers can be resized again.
    out.append(1)


def test_what_a_host_function_raises_comes_out_with_a_note() -> None:
    def host(value: int) -> int:
        if value == 2:
            raise KeyError("two")
        return value * 10

    e = exports(imports={"env": {"host": host}})
    for f in (e.calls_host, e.host):
        assert f.map(array("i", [1, 3])) == array("i", [10, 30])
        with pytest.raises(KeyError, match="two") as caught:
            f.map(array("i", [1, 2, 3]))
        assert "at element 1 of 3" in caught.value.__notes__[-1]


def test_a_deadline_ends_the_loop_and_what_it_calls() -> None:
    e = exports()
    store = e.add.store
    many = memoryview(bytes(4 << 20)).cast("i")
    out = array("i", [-1]) * len(many)

    def for_ever() -> None:
        while True:
            e.add.map(many, 1, out=out)

    with pytest.raises(vw.Interrupted, match="stopped by a deadline") as caught, store.deadline(0.05):
        for_ever()
    found = caught.value.element
    assert found is None or 0 <= found <= len(many)
    with pytest.raises(vw.Interrupted) as caught, store.deadline(0.05):
        e.spin.map(array("i", [0, 0, 1]))
    assert caught.value.element == 2
    assert e.add.map(array("i", [1]), 1) == array("i", [2])


def endless(numpy: Any) -> Any:
    """One element, over and over: an array whose stride is 0."""
    return numpy.lib.stride_tricks.as_strided(numpy.zeros(1, "i4"), (1 << 50,), (0,))


def test_an_interrupt_from_another_thread_ends_the_loop(numpy: Any) -> None:
    e = exports()
    array_ = endless(numpy)
    timer = threading.Timer(0.05, e.add.store.interrupt)
    timer.start()
    with pytest.raises(vw.Interrupted) as caught:
        e.add.map(array_, 1, out=array_)
    timer.join()
    assert caught.value.element is not None
    assert 0 < caught.value.element < 1 << 50
    # Each element that is done has added one.
    assert int(array_[0]) & 0xFFFF_FFFF == caught.value.element & 0xFFFF_FFFF


def test_a_signal_ends_a_loop_in_which_no_python_runs(numpy: Any) -> None:
    e = exports()
    array_ = endless(numpy)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        e.add.map(array_, 1, out=array_)
    timer.join()


def test_ctrl_c_ends_the_loop() -> None:
    def host(value: int) -> int:
        if value == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return value

    e = exports(imports={"env": {"host": host}})
    with pytest.raises(KeyboardInterrupt) as caught:
        e.calls_host.map(array("i", range(1000)))
    assert "of 1000" in caught.value.__notes__[-1]


def test_fuel_is_taken_by_each_call_and_its_end_says_where() -> None:
    e = exports(vw.Config(fuel=True))
    store = e.add.store
    store.fuel = 1_000_000
    e.add(1, 2)
    cost = 1_000_000 - store.fuel
    assert cost > 0
    store.fuel = 10 * cost
    assert e.add.map(array("i", range(10)), 1) == array("i", range(1, 11))
    assert store.fuel == 0
    store.fuel = 3 * cost
    with pytest.raises(vw.OutOfFuel) as caught:
        e.add.map(array("i", range(10)), 1)
    assert caught.value.element == 3


def test_the_store_is_taken_as_by_a_call() -> None:
    inside: list[Any] = []
    calls = exports(imports={"env": {"host": lambda value: recurse(value)}})

    def recurse(value: int) -> int:
        inside.append(value)
        if value:
            return int(calls.calls_host.map(array("i", [value - 1, 0]))[0]) + value
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return 0

    refused: list[str] = []

    def other() -> None:
        try:
            calls.add.map(array("i", [1]), 1)
        except vw.WasmError as error:
            refused.append(str(error))

    assert calls.calls_host.map(array("i", [3])) == array("i", [6])
    assert inside == [3, 2, 1, 0, 0, 0, 0]
    assert len(refused) == 4
    assert "this store is running in another thread" in refused[0]


def test_a_store_is_not_closed_while_the_loop_runs() -> None:
    def host(value: int) -> None:
        e.add.store.close()

    e = exports(imports={"env": {"host": host}})
    with pytest.raises(vw.WasmError, match="cannot be closed while a call is active") as caught:
        e.calls_host.map(array("i", [1]))
    assert caught.value.element == 0


def test_a_closed_store_maps_nothing() -> None:
    e = exports()
    add = e.add
    add.store.close()
    for xs in (array("i", [1]), array("i")):
        with pytest.raises(vw.WasmError, match="this store is closed"):
            add.map(xs, 1)


def test_a_body_that_is_invalid_is_found_at_the_first_element() -> None:
    m = ModuleBuilder()
    m.func(["i32"], ["i32"], DROP, export="f")
    with pytest.raises(vw.ValidationError) as caught:
        instance_of(m).exports.f.map(array("i", [1, 2]))
    assert caught.value.element == 0


def test_deep_recursion_in_one_element_is_a_trap_of_that_element() -> None:
    m = ModuleBuilder()
    # Recurs for ever where the parameter is not 0.
    m.func(
        ["i32"],
        ["i32"],
        gets(1) + b"\x04\x7f" + gets(1) + call(0) + i32_const(1) + I32_ADD + b"\x05\x41\x00\x0b",
        export="f",
    )
    with pytest.raises(vw.Trap, match="call stack exhausted") as caught:
        instance_of(m).exports.f.map(array("i", [0, 0, 1]))
    assert caught.value.element == 2


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    program = """if True:
        import sys, vibewasm
        add = vibewasm.instantiate('(module (func (export "f") (param i32) (result i32) local.get 0))').exports.f
        add(1)
        late = ("calls.arrays", "runtime.buffers", "backends.x86_64.arrays", "backends.aarch64.arrays")
        assert not [name for name in late if "vibewasm." + name in sys.modules]
        import array
        assert add.map(array.array("i", [5])) == array.array("i", [5])
        assert "numpy" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_loop_is_kept_with_other_stubs(tmp_path: Any) -> None:
    program = f"""if True:
        import array, sys, vibewasm
        engine = vibewasm.Engine(vibewasm.Config(cache={str(tmp_path)!r}))
        text = '(module (func (export "f") (param i32 f64) (result i32) local.get 0))'
        with vibewasm.Store(engine) as store:
            f = vibewasm.Linker(engine).instantiate(store, vibewasm.Module(engine, text)).exports.f
            assert f.map(array.array("i", [5]), 1) == array.array("i", [5])
        print(any(name.endswith(".arrays") and "backends" in name for name in sys.modules))
    """
    found = [
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
        for _ in range(2)
    ]
    assert found == ["True", "False"]


# -- NumPy -------------------------------------------------------------------------------------------------------------


def test_arrays_of_numpy_give_arrays_of_numpy(numpy: Any) -> None:
    e = exports()
    xs = numpy.arange(12, dtype="int32")
    for ys in (xs, xs.astype("uint32"), 5, numpy.int32(5), numpy.int64(5), numpy.array(5), array("i", range(12))):
        found = e.add.map(xs, ys)
        assert type(found) is numpy.ndarray
        assert found.dtype == numpy.int32
        assert (found == xs + numpy.asarray(ys).astype("int32")).all()
    long, short = e.swap.map(xs, xs.astype("int64"))
    assert (long.dtype, short.dtype) == (numpy.int64, numpy.int32)
    assert e.mixed.map(xs.astype("float32"), numpy.float64(0.5)).tolist() == [x + 0.5 for x in range(12)]
    assert isinstance(e.add.map(array("i", [1]), 1), array)


def test_arrays_of_numpy_keep_their_shape(numpy: Any) -> None:
    e = exports()
    xs = numpy.arange(12, dtype="int32").reshape(3, 4)
    assert (e.add.map(xs, xs) == xs + xs).all()
    assert e.add.map(xs[:, 1], 1).tolist() == [2, 6, 10]
    assert (e.add.map(xs[:, 1:2], 1) == xs[:, 1:2] + 1).all()
    assert (e.add.map(xs[::-1, ::-1], 1) == xs[::-1, ::-1] + 1).all()
    out = numpy.zeros((3, 4), "int32")
    assert e.add.map(xs, 1, out=out) is out
    assert (out == xs + 1).all()
    assert e.add.map(numpy.zeros((0, 4), "int32"), 1).shape == (0, 4)
    with pytest.raises(ValueError, match=r"argument 1 has the shape \(3, 4\), and argument 2 4 elements"):
        e.add.map(xs, xs[0])
    assert (e.add.map(numpy.broadcast_to(numpy.int32(5), (3, 4)), xs) == xs + 5).all()
    for bad in (xs.T, xs[:, :2], numpy.broadcast_to(xs[0], (3, 4))):
        with pytest.raises(ValueError, match="do not lie at one distance from each other: make a copy, as numpy"):
            e.add.map(bad, 1)


def test_arrays_of_numpy_that_do_not_fit_are_refused(numpy: Any) -> None:
    e = exports()
    one = numpy.ones(1, "int32")
    for bad in ("int8", "uint16", "int64", "float32", "bool", ">i4", "float16", "complex64", "datetime64[s]", "O"):
        with pytest.raises(TypeError, match=r"i32 takes int32 or uint32|gives no buffer"):
            e.add.map(one.astype(bad), 1)
    with pytest.raises(TypeError, match="argument 1 is a masked array, and masks are not looked at"):
        e.add.map(numpy.ma.array(one, mask=[True]), 1)
    with pytest.raises(TypeError, match=r"f64 takes float64; \.astype\('float64'\) makes one"):
        e.mixed.map(1, one.astype("float32"))
    one.flags.writeable = False
    assert e.add.map(one, 1).tolist() == [2]
    with pytest.raises(TypeError, match="out is read-only"):
        e.add.map(1, 1, out=one)
    with pytest.raises(TypeError, match="out is a single value"):
        e.add.map(1, 1, out=numpy.array(1, "int32"))


def test_bits_of_floats_survive(numpy: Any) -> None:
    m = ModuleBuilder()
    m.func(["f32", "f64"], ["f64", "f32"], b"\x20\x01\x20\x00", export="f")
    f = instance_of(m).exports.f
    single = numpy.arange(0x7F800000, 0x7F800100, dtype="uint32").view("float32")
    double = numpy.arange(0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0100, dtype="uint64").view("float64")
    found = f.map(single, double)
    assert (found[0].view("uint64") == double.view("uint64")).all()
    assert (found[1].view("uint32") == single.view("uint32")).all()


class LongBytes(bytes):
    """Bytes that say that they are more."""

    def __len__(self) -> int:
        return 1 << 16


class LongBytearray(bytearray):
    """The same for a bytearray."""

    def __len__(self) -> int:
        return 1 << 16


class LongTuple(tuple[Any, ...]):
    """A tuple that says that it has two items."""

    def __len__(self) -> int:
        return 2


def test_how_many_bytes_there_are_is_asked_of_the_buffer() -> None:
    e = exports()
    assert e.add.map(LongBytes(bytes(4)), 1) == array("i", [1])
    assert e.add.map(LongBytearray(8), 1) == array("i", [1, 1])
    out = LongBytearray(4)
    assert e.add.map(array("i", [1]), 1, out=out) is out
    with pytest.raises(ValueError, match="out 1 element"):
        e.add.map(array("i", [1, 2]), 1, out=out)


def test_how_many_outputs_there_are_is_counted() -> None:
    e = exports()
    arguments = array("i", [1, 2]), array("q", [3, 4])
    for items in ((), (None,), (None,) * 3):
        with pytest.raises(TypeError, match=f"out has to be a tuple of 2 buffers.*, not {len(items)} items"):
            e.swap.map(*arguments, out=LongTuple(items))
    assert e.swap.map(*arguments, out=LongTuple((None, None))) == (arguments[1], arguments[0])
