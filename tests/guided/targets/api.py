"""Bytes as a series of what a program may do with the Python API: make, call, grow, copy, close, forget, collect, from
several threads, in any order.

What is refused is refused with an error that says so. A memory, a global and a table are compared with what they should
hold; everything else has to end without a crash.
"""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Callable
from dis import opname
from pathlib import Path
from random import Random
from typing import Any

import vibewasm as vw
from tests.guided.altering import altered as alter
from tests.guided.drawing import BytesRandom
from tests.guided.target import Wrong

_STEPS = 40
#: What the API raises on purpose.
_ERRORS = (vw.WasmError, TypeError, ValueError, OverflowError, IndexError, BufferError, KeyError, AttributeError)

_TEXTS = (
    """(module (memory (export "memory") 1 4) (table (export "table") 4 8 funcref)
        (global (export "global") (mut i64) (i64.const 0))
        (func $add (export "add") (param i64) (result i64)
            (global.set 0 (i64.add (global.get 0) (local.get 0))) (global.get 0))
        (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "trap") (unreachable))
        (func (export "deep") (param i32) (result i32)
            (if (result i32) (local.get 0) (then (call 4 (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
        (elem (i32.const 0) func $add))""",
    """(module (import "env" "back" (func $back (param i32) (result i32)))
        (import "env" "memory" (memory 1 4)) (import "env" "table" (table 4 8 funcref))
        (func (export "back") (param i32) (result i32) (call $back (local.get 0)))
        (func (export "indirect") (param i32 i64) (result i64)
            (call_indirect (param i64) (result i64) (local.get 1) (local.get 0)))
        (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0))))""",
    """(module (tag $t (param i32)) (table (export "things") 2 externref)
        (func (export "throw") (param i32) (throw $t (local.get 0)))
        (func (export "keep") (param i32 externref) (table.set (local.get 0) (local.get 1)))
        (func (export "give") (param i32) (result externref) (table.get (local.get 0)))
        (func (export "caught") (param i32) (result i32)
            (block (result i32) (try_table (catch $t 0) (throw $t (local.get 0))) (i32.const 0)))
        (func (export "loop") (loop (br 0))))""",
)


class _Back(Exception):
    """What the host function raises."""


def _is_accident(error: BaseException) -> bool:
    """Whether an error was not raised by a statement of the engine's, but came up in it."""
    at = error.__traceback__
    assert at is not None
    while at.tb_next is not None:
        at = at.tb_next
    frame = at.tb_frame
    if not str(frame.f_globals.get("__name__")).startswith("vibewasm."):
        return False
    return opname[frame.f_code.co_code[at.tb_lasti]] not in ("RAISE_VARARGS", "RERAISE")


class _First:
    """An instance of the first module, and what its global and the first bytes of its memory have to be."""

    def __init__(self, instance: vw.Instance) -> None:
        self.instance = instance
        self.sum = 0
        self.bytes = bytearray(16)


class _World:
    """What the program has, and what it should hold."""

    def __init__(self, rng: Random, engine: vw.Engine, modules: list[vw.Module]) -> None:
        self.rng = rng
        self.engine = engine
        self.modules = modules
        self.stores: list[vw.Store] = []
        self.instances: list[vw.Instance] = []
        self.things: list[Any] = []
        self.threads: list[threading.Thread] = []
        #: Instances of the first module, which this thread alone changes.
        self.firsts: list[_First] = []

    # -- what there is -------------------------------------------------------------------------------------------------

    def store(self) -> vw.Store:
        if not self.stores or self.rng.random() < 0.1:
            self.stores.append(vw.Store(self.engine))
        return self.rng.choice(self.stores)

    def instance(self) -> vw.Instance:
        if not self.instances or self.rng.random() < 0.1:
            self.make()
        return self.rng.choice(self.instances)

    def first(self) -> _First:
        """An instance of the first module, in an open store."""
        found = [one for one in self.firsts if not one.instance.store._closed]
        if found:
            return self.rng.choice(found)
        store = vw.Store(self.engine)
        self.stores.append(store)
        self.added(vw.Linker(self.engine).instantiate(store, self.modules[0]))
        return self.firsts[-1]

    def added(self, instance: vw.Instance) -> vw.Instance:
        self.instances.append(instance)
        if instance.module is self.modules[0]:
            self.firsts.append(_First(instance))
        return instance

    # -- what is done --------------------------------------------------------------------------------------------------

    def make(self) -> None:
        store = self.store()
        linker = vw.Linker(self.engine)
        module = self.rng.choice(self.modules)
        owner = [one.instance for one in self.firsts if one.instance.store is store]
        if module is self.modules[1]:
            giver = self.rng.choice(owner) if owner else self.added(linker.instantiate(store, self.modules[0]))
            linker.define("env", "memory", giver.exports.memory)
            linker.define("env", "table", giver.exports.table)
            linker.define("env", "back", self.back)
        self.added(linker.instantiate(store, module))

    def back(self, number: int) -> int:
        """A host function that does something with the world before it returns, or raises."""
        if number % 7 == 3:
            raise _Back
        self.step(depth=1)
        return number + 1

    def add(self) -> None:
        first = self.first()
        amount = self.rng.randrange(1 << 20)
        got = first.instance.exports.add(amount)
        first.sum += amount
        if got != first.sum or first.instance.exports["global"].value != got:
            raise Wrong(f"a sum of {first.sum} is {got}")

    def poke(self) -> None:
        first = self.first()
        exports = first.instance.exports
        at, value = self.rng.randrange(16), self.rng.randrange(256)
        if self.rng.random() < 0.5:
            exports.poke(at, value)
        else:
            exports.memory[at] = value
        first.bytes[at] = value
        found = bytes(exports.memory[0:16])
        if found != first.bytes:
            raise Wrong(f"a memory begins with {found.hex()}, and should with {first.bytes.hex()}")

    def call(self) -> None:
        exports = self.instance().exports
        function = exports[self.rng.choice([*exports])]
        # What changes memory and global is called where it is checked, and what never ends where it is stopped.
        if isinstance(function, vw.Func) and function.name not in ("add", "poke", "indirect", "loop"):
            values = (0, 1, 2, 3, 100, 5000, -1, 1 << 31, None, "x", object())
            function(*[self.rng.choice(values) for _ in function.type.params])

    def stopped(self) -> None:
        for instance in self.instances:
            if "loop" in instance.exports:
                with instance.store.deadline(0.002):
                    instance.exports.loop()

    def grow(self) -> None:
        exports = self.first().instance.exports
        self.rng.choice((exports.memory, exports.table)).grow(self.rng.choice((0, 1, 2, 1 << 20)))

    def table(self) -> None:
        instance = self.first().instance
        table = instance.exports.table
        at = self.rng.randrange(10)
        table[at] = self.rng.choice((None, instance.exports.add, instance.exports.poke, 3, self.instance().exports))
        self.things.append(table[at])

    def view(self) -> None:
        memory = self.first().instance.exports.memory
        view = memory.view()
        self.things.append(view)
        view[100] = 1

    def keep(self) -> None:
        for instance in self.instances:
            if "keep" in instance.exports:
                thing = object()
                instance.exports.keep(self.rng.randrange(2), thing)
                instance.store.gc()
                self.things.append(instance.exports.give(0))

    def thread(self) -> None:
        """Another thread does a few things, now or while this one goes on."""
        other = _World(BytesRandom(self.rng.randbytes(30)), self.engine, self.modules)
        other.stores, other.instances, other.things = self.stores, self.instances, self.things
        other.threads = self.threads
        thread = threading.Thread(target=other.steps, args=(4,))
        thread.start()
        if self.rng.random() < 0.5:
            thread.join()
        else:
            self.threads.append(thread)

    def copied(self) -> None:
        thing = self.rng.choice([self.engine, *self.modules, *self.stores, *self.instances, *self.things])
        self.rng.choice((copy.copy, copy.deepcopy, pickle.dumps, repr, hash, dir))(thing)

    def serialized(self) -> None:
        module = self.rng.choice(self.modules)
        self.things.append(vw.Module.deserialize(self.engine, module.serialize()))

    def listed(self) -> None:
        str(self.rng.choice(self.modules).disassemble(0))

    def close(self) -> None:
        self.store().close()

    def forget(self) -> None:
        kind: list[Any] = self.rng.choice((self.stores, self.instances, self.things, self.firsts))
        if kind:
            kind.pop(self.rng.randrange(len(kind)))

    def collect(self) -> None:
        gc.collect()

    def interrupt(self) -> None:
        self.store().interrupt()

    def fuel(self) -> None:
        self.store().fuel = 5

    def limit(self) -> None:
        store = self.store()
        store.max_memory = self.rng.choice((None, 0, 1 << 16, 1 << 18))
        store.max_table_elements = self.rng.choice((4, 6, 1000))
        store.max_references = self.rng.choice((0, 1, 100))

    def step(self, depth: int = 0) -> None:
        """Do one thing. In a host function what ends the store's life is refused."""
        action = self.rng.choice(_ACTIONS)
        if depth and action in (_World.thread, _World.stopped):
            return
        try:
            action(self)
        except (*_ERRORS, _Back, RecursionError) as error:
            if _is_accident(error):
                raise
        except NotImplementedError:
            # copy.copy of what has no copies.
            if action is not _World.copied:
                raise

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def end(self) -> None:
        # Those that are joined may start more.
        for thread in self.threads:
            thread.join(10)
            if thread.is_alive():
                raise Wrong("a thread does not end")
        self.things.clear()
        # A view may be in a cycle.
        gc.collect()
        for store in self.stores:
            store.close()


_ACTIONS: tuple[Callable[[_World], None], ...] = (
    *(_World.make, _World.add, _World.add, _World.poke, _World.poke, _World.call, _World.call, _World.call),
    *(_World.grow, _World.table, _World.view, _World.keep, _World.thread, _World.copied, _World.serialized),
    *(_World.listed, _World.close, _World.forget, _World.forget, _World.collect, _World.interrupt, _World.fuel),
    *(_World.limit, _World.stopped),
)


def seeds() -> list[bytes]:
    """Random numbers."""
    return [Random(index).randbytes(300) for index in range(60)]


def start(folder: Path) -> Callable[[bytes], None]:
    """Do what the bytes say, one time of eight with an engine that is new."""
    engines: dict[tuple[str, bool], tuple[vw.Engine, list[vw.Module]]] = {}
    raised: list[str] = []
    threading.excepthook = lambda args: raised.append(f"in a thread: {args.exc_type.__name__}: {args.exc_value}")

    def run(data: bytes) -> None:
        rng = BytesRandom(data)
        compilation = rng.choice(("lazy", "lazy-translation", "eager"))
        kind = compilation, rng.random() < 0.1
        if kind not in engines or rng.random() < 0.125:
            engine = vw.Engine(vw.Config(compilation=kind[0], fuel=kind[1]))
            engines[kind] = engine, [vw.Module(engine, text) for text in _TEXTS]
            # What is there so far need not be looked at by each collection.
            gc.freeze()
        world = _World(rng, *engines[kind])
        world.steps(_STEPS)
        world.end()
        if raised:
            raise Wrong(raised.pop())

    return run


__all__ = ["alter", "seeds", "start"]
