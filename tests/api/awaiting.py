"""A guest for calls that an event loop awaits, and a loop to await them in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import vibewasm as vw

GUEST = """(module
    (import "host" "ask" (func $ask (param i32) (result i32)))
    (import "host" "tell" (func $tell (param i32)))
    (import "host" "pair" (func $pair (result i32 f64)))
    (import "host" "thing" (func $thing (result externref)))
    (memory (export "memory") 1)
    (func (export "ask") (param i32) (result i32) (i32.add (call $ask (local.get 0)) (i32.const 1)))
    (func (export "tell") (param i32) (call $tell (local.get 0)))
    (func (export "pair") (result i32 f64) (call $pair))
    (func (export "thing") (result externref) (call $thing))
    (func (export "ask_then_spin") (param i32) (drop (call $ask (local.get 0))) (loop (br 0)))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") unreachable)
    (func (export "subtract") (param $left i32) (param $right i32) (result i32)
        (i32.sub (local.get $left) (local.get $right))))"""


class Wanted(Exception):
    """What a test raises on purpose."""


def guest(config: vw.Config | None = None, **functions: Callable[..., Any]) -> Any:
    """An instance of the module above, with these host functions."""
    names = ("ask", "tell", "pair", "thing")
    return vw.instantiate(
        GUEST, {"host": {name: functions.get(name, lambda *_: None) for name in names}}, config=config
    )


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine with asyncio's checks of its use, within a time that it never needs."""

    async def limited() -> Any:
        return await asyncio.wait_for(main, 60)

    return asyncio.run(limited(), debug=True)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)
