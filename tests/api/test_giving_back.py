"""What engines and the process keep by type goes with the last module, store or function that needs it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from itertools import count

import pytest

import vibewasm as vw
from tests.binary import encode
from tests.binary.signatures import ZEROS, passing_module, signature
from vibewasm import reference_types, type_groups
from vibewasm.binary.decoder import decode
from vibewasm.calls.process import adapters, known_stubs
from vibewasm.runtime.adapters import USUAL

#: More than an engine has room for before it looks for what nobody needs.
MANY = 2500


numbers = count(10_000)


@pytest.fixture
def signatures() -> Iterator[list[str]]:
    """Signatures that no test has had before."""
    return (signature(number) for number in numbers)


def used_engine() -> vw.Engine:
    """An engine that has met so many types that the next has a number of its own: small ints stay for ever."""
    engine = vw.Engine()
    for number in range(300):
        engine._type_id(vw.FuncType(signature(number), ["f32", "f32"]))
    return engine


def call(engine: vw.Engine, params: list[str]) -> tuple[vw.Instance, list[object]]:
    """Make an instance, and call through it to Python."""
    seen: list[object] = []
    linker = vw.Linker(engine)
    linker.define("m", "f", lambda *given: seen.extend(given))
    instance = linker.instantiate(vw.Store(engine), vw.Module(engine, passing_module(params)))
    given = [ZEROS[name] for name in params]
    instance.exports.f(*given)
    assert seen == given
    return instance, seen


def test_identities_of_types_go_with_the_modules_that_have_them(signatures: Iterator[list[str]]) -> None:
    engine = vw.Engine()
    for _ in range(MANY):
        module_ = vw.Module(
            engine, encode.module(encode.section("type", encode.vector([encode.func_type(next(signatures))])))
        )
        vw.Linker(engine).instantiate(vw.Store(engine), module_)
    assert len(engine._type_ids) < 1600


def test_the_identity_of_a_type_stays_while_anything_has_it(signatures: Iterator[list[str]]) -> None:
    engine = used_engine()
    kept = [
        vw.Linker(engine).instantiate(
            vw.Store(engine),
            vw.Module(engine, vw_text(f'(module (func (export "f") (param {" ".join(next(signatures))})))')),
        )
        for _ in range(20)
    ]
    host_types = [vw.FuncType(next(signatures)) for _ in range(20)]
    store = vw.Store(engine)
    hosts = [vw.Func(store, type_, print) for type_ in host_types]
    # As text, since the ints themselves are what is to be held elsewhere.
    before = [str(engine._type_id(type_)) for type_ in (*[instance.exports.f.type for instance in kept], *host_types)]
    for number in range(MANY):
        engine._type_id(vw.FuncType(signature(number), signature(number)))
    assert len(engine._type_ids) < 1600
    # Made anew, so that nothing is found by the objects themselves.
    types = [vw.FuncType(type_.params, type_.results) for type_ in (*[i.exports.f.type for i in kept], *host_types)]
    assert [str(engine._type_id(type_)) for type_ in types] == before
    assert hosts


def test_an_element_of_a_table_is_called_after_its_module_and_many_others_are_gone() -> None:
    engine = used_engine()
    linker = vw.Linker(engine)
    store = vw.Store(engine)
    owner = linker.instantiate(store, vw.Module(engine, vw_text('(module (table (export "t") 4 funcref))')))
    linker.define("m", "t", owner.exports.t)
    linker.instantiate(
        store,
        vw.Module(
            engine,
            vw_text(
                '(module (import "m" "t" (table 4 funcref)) (elem (i32.const 1) $f)'
                " (func $f (param i64 f32 i64) (result i32) (i32.const 7)))"
            ),
        ),
    )
    owner.exports.t[2] = vw.Func(store, vw.FuncType(["f32", "i64", "f32"], ["i32"]), lambda *given: len(given))
    gc.collect()
    for number in range(MANY):
        engine._type_id(vw.FuncType(signature(number), ["i64"]))
    caller = linker.instantiate(
        store,
        vw.Module(
            engine,
            vw_text(
                '(module (import "m" "t" (table 4 funcref)) (func (export "a") (result i32)'
                " (call_indirect (param i64 f32 i64) (result i32)"
                " (i64.const 0) (f32.const 0) (i64.const 0) (i32.const 1)))"
                ' (func (export "b") (result i32)'
                " (call_indirect (param f32 i64 f32) (result i32)"
                " (f32.const 0) (i64.const 0) (f32.const 0) (i32.const 2))))"
            ),
        ),
    )
    assert caller.exports.a() == 7
    assert caller.exports.b() == 3


def vw_text(text: str) -> bytes:
    """A module's bytes."""
    from vibewasm.wat.reader import wat2wasm

    return wat2wasm(text)


def test_supertypes_of_a_host_functions_type_keep_their_identity() -> None:
    engine = used_engine()
    text = '(module (type $a (sub (func))) (type $b (sub $a (func))) (func (export "f") (type $b)))'
    type_ = vw.instantiate(text, store=vw.Store(engine)).exports.f.type
    assert type_.supertype is not None
    store = vw.Store(engine)
    func = vw.Func(store, type_, print)
    above = str(engine._type_id(type_.supertype))
    gc.collect()
    for number in range(MANY):
        engine._type_id(vw.FuncType(signature(number), ["f64"]))
    assert str(engine._type_id(type_.supertype)) == above
    assert func.type is type_


def test_adapters_of_rare_signatures_go_with_who_uses_them(signatures: Iterator[list[str]]) -> None:
    engine = vw.Engine()
    for _ in range(USUAL + 200):
        call(engine, next(signatures))
    gc.collect()
    rare = adapters()._rare
    assert rare is not None
    # The last batch stays.
    assert len(rare) <= 64
    assert len(known_stubs.made) <= 1024
    kept = [call(engine, next(signatures)) for _ in range(100)]
    assert len(rare) >= 200
    for _ in range(100):
        call(engine, next(signatures))
    for instance, seen in kept:
        seen.clear()
        given = [ZEROS[param.name] for param in instance.exports.f.type.params]
        instance.exports.f(*given)
        assert seen == given
    del kept, instance
    gc.collect()
    assert len(rare) <= 64


def test_code_that_calls_a_host_function_stays_with_the_store(signatures: Iterator[list[str]]) -> None:
    engine = vw.Engine()
    for _ in range(USUAL):
        call(engine, next(signatures))
    store = vw.Store(engine)
    for _ in range(130):
        vw.Func(store, vw.FuncType(next(signatures)), print)
    gc.collect()
    rare = adapters()._rare
    assert rare is not None
    assert len(rare) >= 128
    store.close()
    gc.collect()
    assert len(rare) <= 64


def test_adapters_in_use_are_found_and_not_made_again(signatures: Iterator[list[str]]) -> None:
    engine = vw.Engine()
    for _ in range(USUAL):
        call(engine, next(signatures))
    params = next(signatures)
    first = call(engine, params)[0]
    for _ in range(100):
        call(engine, next(signatures))
    second = call(engine, params)[0]
    assert first.exports.f._entry().batch is second.exports.f._entry().batch


def test_code_of_an_adapter_stays_while_a_call_runs_in_it(signatures: Iterator[list[str]]) -> None:
    engine = vw.Engine()
    for _ in range(USUAL):
        call(engine, next(signatures))
    params = next(signatures)
    left: list[vw.Func] = []

    def function(*given: object) -> None:
        # Everything that leads to the code is let go, but for the call itself.
        left.clear()
        for _ in range(70):
            call(engine, next(signatures))
        gc.collect()

    linker = vw.Linker(engine)
    linker.define("m", "f", function)
    left.append(linker.instantiate(vw.Store(engine), vw.Module(engine, passing_module(params))).exports.f)
    left.pop()(*[ZEROS[name] for name in params])


def test_threads_that_meet_a_type_at_once_agree_while_others_are_given_back() -> None:
    engine = vw.Engine()
    found: dict[int, set[int]] = {number: set() for number in range(300)}
    kept: list[int] = []

    def meet(part: int) -> None:
        for number in range(300):
            identity = engine._type_id(vw.FuncType(signature(number), ["i32"]))
            kept.append(identity)
            found[number].add(identity)
            for other in range(5):
                engine._type_id(vw.FuncType(signature(5 * number + other), ["i64"] * (2 + part)))

    threads = [threading.Thread(target=meet, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(identities) == 1 for identities in found.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_meets_types_while_another_thread_held_the_lock() -> None:
    from vibewasm.api import engine as engine_module

    engine = vw.Engine()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with engine_module._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        # Else it would wait for ever.
        engine._type_id(vw.FuncType(["i32"] * 9))
        os._exit(0)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


# -- types that refer to types -----------------------------------------------------------------------------------------


def groups() -> int:
    """How many groups there are that anybody needs."""
    gc.collect()
    with type_groups._lock:
        type_groups._sweep()
    return len(type_groups._groups)


def recursive(number: int) -> bytes:
    """A module of types of all kinds, others for each number."""
    params = encode.vector([bytes([0x7F - (number >> bit & 1)]) for bit in range(24)])
    return encode.module(
        encode.section(
            "type",
            encode.vector(
                [
                    b"\x60" + params + b"\0",
                    encode.raw_func_type([encode.ref(0)]),
                    encode.rec_group(
                        encode.sub_type(encode.raw_func_type([encode.null(3)], [encode.ref(1)])),
                        encode.raw_func_type([encode.ref(2)]),
                    ),
                    encode.sub_type(encode.raw_func_type([encode.null(3)], [encode.ref(1)]), 2),
                ]
            ),
        ),
        encode.section("import", encode.vector([b"\1m\1g\3" + encode.ref(4) + b"\0"])),
        encode.section("global", encode.vector([encode.null(1) + b"\0\xd0\1\x0b"])),
    )


def test_types_that_refer_to_types_go_with_their_modules() -> None:
    before, value_types = groups(), len(type_groups._val_types)
    engine = vw.Engine()
    for number in range(1000):
        module_ = vw.Module(engine, recursive(number))
        # Also what users see of them.
        assert module_.imports[0].type.content.heap.supertype.params[0].heap.params[0].heap.results  # type: ignore[union-attr]
    del module_
    assert groups() == before
    assert len(type_groups._val_types) == value_types


def test_without_being_asked_to_the_registry_stays_small() -> None:
    groups()
    engine = vw.Engine()
    for number in range(3000):
        vw.Module(engine, recursive(5000 + number))
    assert len(type_groups._groups) < 1200


@pytest.mark.parametrize("kept", ["module", "type", "value type", "global type", "imports"])
def test_the_numbers_of_types_stay_while_anything_has_them(kept: str) -> None:
    engine = vw.Engine()
    module_ = vw.Module(engine, recursive(1))
    content = module_.imports[0].type.content  # type: ignore[union-attr]
    held: object = {
        "module": module_,
        "type": content.heap,
        "value type": content,
        "global type": module_.imports[0].type,
        "imports": module_.imports,
    }[kept]
    code = content.code
    del module_, content
    groups()
    for number in range(500):
        vw.Module(engine, recursive(100 + number))
    groups()
    again = vw.Module(engine, recursive(1))
    assert again.imports[0].type.content.code == code  # type: ignore[union-attr]
    assert reference_types.func_type_of(code) == again.info.types[4]
    assert held


@pytest.mark.ci
def test_a_number_is_never_given_to_another_type() -> None:
    engine = vw.Engine()
    seen: dict[int, int] = {}
    for number in range(200):
        content = vw.Module(engine, recursive(10_000 + number)).imports[0].type.content  # type: ignore[union-attr]
        assert content.code not in seen
        seen[content.code] = number
        del content
        if number % 50 == 49:
            # Each collects: in a process that has run many tests that takes its time.
            groups()
    assert all(not reference_types.is_reference(code) for code in seen)


def test_types_beyond_those_that_are_kept_as_objects_are_the_same() -> None:
    """In a module with very many types, later ones are made when they are asked for."""
    few = decode(recursive(77))
    fillers = encode.rec_group(*[encode.func_type()] * 2000)
    section = encode.vector(
        [
            fillers,
            b"\x60" + encode.vector([bytes([0x7F - (77 >> bit & 1)]) for bit in range(24)]) + b"\0",
            encode.raw_func_type([encode.ref(2000)]),
            encode.rec_group(
                encode.sub_type(encode.raw_func_type([encode.null(2003)], [encode.ref(2001)])),
                encode.raw_func_type([encode.ref(2002)]),
            ),
            encode.sub_type(encode.raw_func_type([encode.null(2003)], [encode.ref(2001)]), 2002),
            encode.sub_type(encode.func_type(), final=True),
            encode.rec_group(encode.func_type(["i32"], ["i64"])),
        ]
    )
    many = decode(encode.module(encode.section("type", section)))
    assert type(many.types) is not list
    assert many.types[2000:2005] == few.types
    assert [many.types[2004].supertype, many.types[-1], many.types[-2]] == [
        few.types[2],
        vw.FuncType(["i32"], ["i64"]),
        vw.FuncType(),
    ]
    assert [type_.final for type_ in many.types[2000:2005]] == [type_.final for type_ in few.types]
    assert len(many.types) == 2007
    with pytest.raises(IndexError):
        many.types[2007]
    # Numbers stay, also of a plain type that was made for the moment.
    code = reference_types.concrete(many.types[2006], True)
    groups()
    assert reference_types.func_type_of(code) == many.types[2006]
