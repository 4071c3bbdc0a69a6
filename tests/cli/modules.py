"""Modules that the tests of the command run."""

from __future__ import annotations

from tests.api.wasm import DROP, FOREVER, I32_ADD, I32_DIV_S, UNREACHABLE
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const, local_get, unsigned

WASI = "wasi_snapshot_preview1"


def memory_grow() -> bytes:
    """``memory.grow``."""
    return b"\x40\x00"


def library() -> bytes:
    """A module without imports, of functions to be called with ``--invoke``."""
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.func(["i32", "i32"], ["i32"], local_get(0) + local_get(1) + I32_ADD, export="add")
    m.func(["i32", "i32"], ["i32"], local_get(0) + local_get(1) + I32_DIV_S, export="div", name="quotient")
    m.func(["i64", "f32", "f64"], ["f64", "f32", "i64"], gets_reversed(3), export="turn")
    m.func(["externref"], ["externref"], local_get(0), export="same")
    m.func([], [], FOREVER, export="spin")
    m.func([], [], UNREACHABLE, export="abort")
    m.func(["i32"], ["i32"], local_get(0) + memory_grow(), export="grow")
    return m.build()


def gets_reversed(count: int) -> bytes:
    """``local.get`` of the first locals, the last first."""
    return b"".join(local_get(index) for index in reversed(range(count)))


def exits(code: int, wasi: str = WASI) -> bytes:
    """A WASI command that ends with this exit code."""
    m = ModuleBuilder()
    leave = m.import_func(wasi, "proc_exit", ["i32"])
    m.memory(1, export="memory")
    m.func([], [], i32_const(code) + call(leave), export="_start")
    return m.build()


def writes(*calls: tuple[str, str], after: bytes = b"") -> bytes:
    """A WASI command that writes its arguments or its environment, NUL-terminated, to standard output.

    ``calls`` are pairs such as ``("args_sizes_get", "args_get")``, ``after`` instructions that come last.
    """
    m = ModuleBuilder()
    pairs = [tuple(m.import_func(WASI, name, ["i32", "i32"], ["i32"]) for name in pair) for pair in calls]
    write = m.import_func(WASI, "fd_write", ["i32"] * 4, ["i32"])
    m.memory(1, export="memory")
    store, load = b"\x36\x02\x00", b"\x28\x02\x00"
    body = b""
    for sizes, get in pairs:
        body += i32_const(0) + i32_const(4) + call(sizes) + DROP
        body += i32_const(1024) + i32_const(4096) + call(get) + DROP
        body += i32_const(16) + i32_const(4096) + store  # where the bytes are
        body += i32_const(20) + i32_const(4) + load + store  # and how many
        body += i32_const(1) + i32_const(16) + i32_const(1) + i32_const(24) + call(write) + DROP
    m.func([], [], body + after, export="_start")
    return m.build()


def reactor() -> bytes:
    """A reactor: ``_initialize`` sets a global, which ``value`` gives."""
    m = ModuleBuilder()
    m.global_("i32", i32_const(0), mutable=True)
    m.func([], [], i32_const(42) + b"\x24" + unsigned(0), export="_initialize")
    m.func([], ["i32"], b"\x23" + unsigned(0), export="value")
    return m.build()


def wants_host() -> bytes:
    """A module that imports ``env.f () -> i32`` and whose ``g`` gives its result."""
    m = ModuleBuilder()
    f = m.import_func("env", "f", [], ["i32"])
    m.func([], ["i32"], call(f), export="g")
    return m.build()


def invalid_body() -> bytes:
    """A module with a function that is invalid, and one that is not."""
    m = ModuleBuilder()
    m.func([], ["i32"], b"", export="bad", name="broken")
    m.func([], ["i32"], i32_const(1), export="good")
    return m.build()
