"""What the process of a run does: read its job, limit itself, load, lock itself down, run, report."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.module import Module
    from ..api.store import Store
    from .job import Job

#: What to do about imports that nothing is defined for.
_NO_HOST = (
    "a process of its own has nothing of the host: to give imports, use vibewasm.instantiate, which runs the module in "
    "the program's own process"
)
_STUBS = "; stub_imports=True has such functions return zeros"
_NO_STUBS = "; memories, tables and globals cannot be stubbed"
#: Exported functions that a message names.
_MOST_SHOWN = 20


def main(job_end: int, report_end: int, parent: int) -> None:
    """Do the job that can be read from a descriptor, and report to another one; ends the process.

    Args:
        job_end, report_end: descriptors.
        parent: the number of the process that has started this one.
    """
    job = receive(job_end)
    missing = confine(job, parent)
    report_missing(report_end, missing)
    if not is_acceptable(job, missing):
        os._exit(0)
    from . import report

    stores: list[Store] = []
    try:
        results = _results(job, stores)
        met = stores[0].limits_met
        end = report.line(exit=0, met=met) if job.invoke is None else report.returned(results, met)
    except BaseException as error:
        end = report.ended(error, job.seconds, stores[0].limits_met if stores else ())
    _write_all(report_end, end)
    os._exit(0)


def receive(job_end: int) -> Job:
    """The job that the parent has sent. It is this process's own parent, so what it sends may be a pickle."""
    from pickle import loads

    with os.fdopen(job_end, "rb") as file:
        job: Job = loads(file.read())
    return job


def confine(job: Job, parent: int) -> dict[str, str]:
    """Limit, load everything, and lock down; gives what could not be put in force."""
    from . import report  # noqa: F401 - needed later, when it could not be loaded any more
    from .lockdown import limit, lock
    from .preloading import make_room, preload

    missing = limit(job.system_limits, parent)
    preload()
    make_room()
    for name in job.modules:
        __import__(name)
    if job.allow_precompiled:
        # Outside of wheels that is read from the source, which is out of reach afterwards.
        from ..cache.key import source_digest

        try:
            source_digest()
        except OSError:
            pass  # the module is refused, by a message that says why
    return missing | lock(job.folders)


def report_missing(report_end: int, missing: dict[str, str]) -> None:
    """Say what could not be put in force, before anything of a stranger's is looked at."""
    from .report import line

    _write_all(report_end, line(missing=missing))


def is_acceptable(job: Job, missing: dict[str, str]) -> bool:
    """Whether all that is required is in force."""
    return not job.required & missing.keys()


def _write_all(end: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(end, view) :]


def _results(job: Job, stores: list[Store]) -> tuple[object, ...]:
    """Run what is to be run; gives what it returned.

    Args:
        stores: gets the store in which it runs.
    """
    from time import monotonic

    from ..api.engine import Engine
    from ..api.linker import Linker
    from ..api.module import Module
    from ..api.store import Store
    from ..errors import LinkError
    from ..lookalikes import CODE_MAGIC
    from ..types import FuncType

    engine = Engine(job.config)
    store = Store(engine)
    stores.append(store)
    seconds = None if job.until is None else max(job.until - monotonic(), 0.001)
    with store.deadline(seconds):
        source = job.source
        if job.allow_precompiled and isinstance(source, bytes) and source.startswith(CODE_MAGIC):
            module = Module.deserialize(engine, source)
        else:
            module = Module(engine, source)
        if job.fuel is not None:
            store.fuel = job.fuel
        linker = Linker(engine)
        if module.imports:
            assert job.wasi is not None
            linker.define_wasi(job.wasi)
        if job.stub_imports:
            linker.define_unknown_imports_as_zero(module)
        try:
            instance = linker.instantiate(store, module)
        except LinkError as error:
            if not error.missing:
                raise
            stubs_help = all(isinstance(item.type, FuncType) for item in error.missing)
            raise LinkError(f"{error}\n{_NO_HOST}{_STUBS if stubs_help else _NO_STUBS}", error.missing) from error
        exports = instance.exports
        if "_initialize" in exports:
            exports["_initialize"]()
        function: Any = exports[_chosen(job.invoke, module)]
        result = function(*job.values)
        if len(function.type.results) == 1:
            return (result,)
        return () if result is None else tuple(result)


def _chosen(invoke: str | None, module: Module) -> str:
    """The name of the function to call.

    Raises:
        WasmError: the module exports no such function.
    """
    from ..errors import WasmError
    from ..names import brief, hint
    from ..types import FuncType

    exports = {export.name: export.type for export in module.exports}
    functions = [name for name, type in exports.items() if isinstance(type, FuncType)]
    name = "_start" if invoke is None else invoke
    if name in functions:
        return name
    if name in exports:
        raise WasmError(f"the export {name!r} is not a function")
    text = f"there is no export {name!r}"
    # Programs may well export functions of their libraries by similar names.
    text += hint(name, functions) if invoke is not None else ": it is no WASI program. Name a function with invoke=..."
    shown = ", ".join(map(brief, functions[:_MOST_SHOWN])) + (", ..." if len(functions) > _MOST_SHOWN else "")
    raise WasmError(f"{text}; it exports {shown}" if functions else f"{text}; it exports no function")
