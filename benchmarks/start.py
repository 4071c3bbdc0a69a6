"""From process start to exit: ``python -c`` that imports an engine, compiles a small module and calls its ``add``.

The environment is :mod:`.installed`: what an editable checkout adds to every start of its interpreter, and what only a
wheel has, would hide what users get. The same interpreter runs both sides, in child processes that take turns; bytecode
caches are warm (one run each goes before). The bare interpreter is shown for what part of the time nobody can save.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from time import perf_counter

from .children import ROOT, child_environment
from .modules import ADD
from .report import Figure, Report
from .session import Session

BAR = 0.40

_OURS = """
import vibewasm
assert vibewasm.instantiate({data!r}).exports.add(2, 3) == 5
"""
_PEER = """
import wasmtime
store = wasmtime.Store()
instance = wasmtime.Instance(store, wasmtime.Module(store.engine, {data!r}), [])
assert instance.exports(store)["add"](store, 2, 3) == 5
"""


def measure(session: Session) -> Report:
    """Medians of processes. ``peers`` changes nothing."""
    here = session.installed
    environment = child_environment()

    def child(code: str) -> Callable[[], float]:
        def run() -> float:
            start = perf_counter()
            subprocess.run([here.python, "-c", code], cwd=here.folder, env=environment, check=True)
            return perf_counter() - start

        run()
        return run

    def command(*words: str) -> Callable[[], float]:
        def run() -> float:
            start = perf_counter()
            subprocess.run([here.vibewasm, *words], env=environment, stdout=subprocess.DEVNULL, check=True)
            return perf_counter() - start

        run()
        return run

    sides = {
        "vibewasm": child(_OURS.format(data=ADD)),
        "wasmtime-py": child(_PEER.format(data=ADD)),
        "bare interpreter": child("pass"),
    }
    report = Report("start", [*sides, "ratio"], reference="wasmtime-py")
    report.compare("import, compile, call add", session.medians(sides))
    report.figures = [Figure("vibewasm to wasmtime-py", report.column("ratio")[0], BAR)]
    hello = str(ROOT / "examples" / "hello.wasm")
    medians = session.medians({"plain": command("run", hello), "isolated": command("run", "--isolate", hello)})
    plain, apart = medians["plain"], medians["isolated"]
    report.figures.append(Figure("vibewasm run --isolate to vibewasm run, of hello", apart / plain, None))
    report.notes.append(f"Of hello, vibewasm run takes {plain * 1000:.1f} ms, with --isolate {apart * 1000:.1f} ms.")
    return report
