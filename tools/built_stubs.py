"""Stubs that a wheel carries as machine code, so that a start need not load what makes them.

They are what nearly every process needs, and adapters of usual signatures. Whatever is not here is made when it is
asked for, as all are in a checkout; see :class:`vibewasm.calls.stubs.KnownStubs`. The build runs this file on the
package that it has gathered: ``python tools/built_stubs.py FOLDER``, where FOLDER holds the package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import product

#: Parameters and results of functions that Python calls.
PARAMETERS = ("", "i", "ii", "iii", "iiii", "l", "ll", "il", "f", "ff", "d", "dd", "r")
RESULTS = ("", "i", "l", "f", "d", "r")


def usual() -> Iterator[tuple[str, tuple[object, ...]]]:
    """The name of each function of a backend's ``stubs``, and what it is called with."""
    from vibewasm.abi import BUILTINS, FIRST_BUILTIN
    from vibewasm.runtime.adapters import FIRST_LAZY, LAZY
    from vibewasm.wasi.preview1 import FUNCTIONS

    for name in ("instruction_cache", "extensions", "unwind", "lazy_common", "poll", "enter_ready", "stack_pointer"):
        yield name, ()
    for name in ("memory_copy", "memory_fill", "copy_data", "throw", "throw_reference", "make_exception"):
        yield name, ()
    yield "lazy_table", (0, FIRST_LAZY)
    yield "lazy_table", (FIRST_LAZY, LAZY)
    yield "lazy_table", (FIRST_BUILTIN, len(BUILTINS))
    for number in range(len(BUILTINS)):
        yield "builtin_call", (number,)
    for params, results in product(PARAMETERS, RESULTS):
        yield "enter", (f"{params}:{results}",)
    for signature in sorted({signature.replace("I", "l") for signature, _ in FUNCTIONS.values()}):
        yield "leave", (signature,)


def made_for(target: str) -> dict[str, bytes]:
    """The stubs by what :class:`vibewasm.calls.stubs.KnownStubs` calls them."""
    from vibewasm.backends import backend
    from vibewasm.calls.stubs import KnownStubs
    from vibewasm.runtime.os_linux import SignalContext

    known = KnownStubs(target)
    # Nothing is taken over from what a package carries already.
    known.built = {}
    for name, arguments in usual():
        getattr(known, name)(*arguments)
    handler = getattr(known, "fault_handler")  # noqa: B009  # a type checker does not know it
    handler(SignalContext(*backend(target).processor.SIGNAL_CONTEXTS["linux"]))
    return known.made


def write(package: str) -> None:
    """Write the stubs of each processor into the package in this folder."""
    from vibewasm.backends import TARGETS
    from vibewasm.cache.source import BUILT_STUBS

    for target in TARGETS:
        lines = [f"    {name!r}: {code!r},\n" for name, code in made_for(target).items()]
        with open(os.path.join(package, "backends", target, BUILT_STUBS), "w", encoding="utf-8") as file:
            file.write(
                '"""Stubs as machine code, made when the package was built; see vibewasm.calls.stubs."""\n\n'
                '#: By what was called, such as "enter ild:i".\n'
                "STUBS = {\n" + "".join(lines) + "}\n"
            )


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    write(os.path.join(sys.argv[1], "vibewasm"))
