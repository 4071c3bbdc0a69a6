"""Each use of a function that asks the system for something fails in turn: a precise error, nothing lost, and the next
try works.
"""

from __future__ import annotations

import pytest

from tests.native import not_emulated
from tests.runtime.machine import python

pytestmark = not_emulated("hundreds of forked children, which start threads")

SETUP = """
import errno, faulthandler, gc, os, sys, traceback, warnings
import vibewasm as vw
from vibewasm.runtime import context, os_linux, reservations
warnings.simplefilter("ignore")
TEXT = '''(module (import "h" "f" (func $h (param i32) (result i32))) (memory (export "m") 1)
  (table $t (export "t") 10 funcref) (elem (i32.const 0) $count $h) (data (i32.const 0) "abc")
  (type $u (func (param i32) (result i32))) (global (export "g") (mut i32) (i32.const 3))
  (func $count (export "count") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 0
    else local.get 0 i32.const 1 i32.sub call $count i32.const 1 i32.add end)
  (func $forever (export "forever") call $forever)
  (func (export "host") (param i32) (result i32) local.get 0 i32.const 1 call_indirect (type $u))
  (func (export "grow") (result i32) i32.const 3 memory.grow)
  (func (export "fill") i32.const 0 i32.const 1 i32.const 65536 memory.fill)
  (func (export "table") (result i32) ref.null func i32.const 10000 table.grow)
  (func (export "loop") (param i32) (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0))
  (func (export "out") i32.const -1 i32.load drop))'''
class Refused(Exception): pass
def scenario(config):
    "All of it: an engine, a module, stores, instances, calls, traps, growth, and an end."
    engine = vw.Engine(config)
    module = vw.Module(engine, TEXT)
    for _ in range(2):
        with vw.Store(engine) as store:
            linker = vw.Linker(engine)
            linker.define("h", "f", lambda x: x + 1)
            exports = linker.instantiate(store, module).exports
            assert exports.count(20) == 20 and exports.host(3) == 4
            for f in (exports.forever, exports.out):
                try: f()
                except vw.Trap: pass
                else: raise AssertionError
            exports.fill()
            exports.loop(1000)
            if exports.grow() == -1 or exports.table() == -1: raise Refused
            exports.t.grow(20000)
            memory = vw.Memory(store, vw.MemoryType(vw.Limits(40)))
            memory.grow(3)
            del memory, exports
def held():
    gc.collect()
    reservations._pool.drain()
    with open("/proc/self/maps") as file: lines = [line.split()[:2] for line in file]
    closed = 0
    for place, mode in lines:
        if mode == "---p": closed += int(place.split("-")[1], 16) - int(place.split("-")[0], 16)
    code = sum(mode == "r-xs" for _, mode in lines)
    # The C library keeps 64 MiB for each thread.
    return code, closed >> 32, len(context._headers), len(os.listdir("/proc/self/fd"))
class Failing:
    def __init__(self, name, at, kind):
        self.name, self.at, self.kind, self.real = name, at, kind, getattr(os_linux, name)
    def __call__(self, *arguments):
        self.used += 1
        if self.used == self.at: raise self.kind(errno.ENOMEM, "Cannot allocate memory")
        return self.real(*arguments)
    def __enter__(self):
        self.used = 0
        setattr(os_linux, self.name, self)
    def __exit__(self, *_):
        setattr(os_linux, self.name, self.real)
def run(name, at, kind, config):
    "What becomes of it in a child, and how often the function was used."
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            failing = Failing(name, at, kind)
            def attempt():
                with failing:
                    try: scenario(config)
                    except Refused: pass
                    except vw.WasmError as error:
                        assert "memory" in str(error), error
                    except MemoryError: pass
                # Stores wait for the collector.
                gc.collect()
            attempt()
            used = failing.used
            scenario(config)
            if at:
                attempt()
                before = held()
                for _ in range(4): attempt()
                after = held()
                # What is lost at each try shows.
                assert all(now - then <= 2 for then, now in zip(before, after)), (before, after)
            scenario(config)
            os.write(theirs, str(used).encode())
        except BaseException:
            print(name, at, kind, flush=True)
            traceback.print_exc()
        os._exit(0)
    os.close(theirs)
    said = os.read(ours, 100)
    os.close(ours)
    status = os.waitpid(child, 0)[1]
    if status or not said: print("child", name, at, kind.__name__, status)
    return int(said or 0)
"""

#: All that asks for room, each with whether it is asked once a process.
NAMES = ("anonymous", "anonymous_for_ever", "map_into", "map_code", "allow", "zero", "reserve")
_CI = pytest.mark.ci


@pytest.mark.parametrize("explicit", [False, pytest.param(True, marks=_CI)])
@pytest.mark.parametrize("warm", [False, pytest.param(True, marks=_CI)])
@pytest.mark.parametrize("kind", ["OSError", pytest.param("MemoryError", marks=_CI)])
@pytest.mark.parametrize("name", [pytest.param(name, marks=[_CI] * (name != "map_into")) for name in NAMES])
def test_what_the_system_refuses_at_any_point_is_told_and_nothing_is_lost(
    name: str, kind: str, warm: bool, explicit: bool
) -> None:
    if (name, kind) == ("zero", "MemoryError"):
        pytest.skip("what only the kernel does has no other errors than the kernel's")
    source = f"""{SETUP}
WARM = {warm}
config = vw.Config(explicit_bounds={explicit})
# Modules are loaded, and nothing is started.
vw.Module(vw.Engine(vw.Config(target="aarch64" if os.uname().machine == "x86_64" else "x86_64")), TEXT)
import vibewasm.api.linker, vibewasm.runtime.watcher, vibewasm.api.memory
if WARM: scenario(config)
used = run({name!r}, 0, OSError, config)
for at in range(1, used + 1):
    run({name!r}, at, {kind}, config)
print("end")
"""
    done = python(source)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)
