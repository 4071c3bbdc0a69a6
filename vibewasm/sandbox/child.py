"""What the process of a run does: read its job, limit itself, load, lock itself down, run, report."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .job import Job


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

    try:
        end = report.returned(_results(job)) if job.invoke is not None else _program(job)
    except BaseException as error:
        end = report.ended(error, job.seconds)
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


def _program(job: Job) -> bytes:
    """Run the program's ``_start``."""
    from .report import line

    _results(job)
    return line(exit=0)


def _results(job: Job) -> tuple[object, ...]:
    """Run what is to be run; gives what it returned."""
    from time import monotonic

    from ..api.engine import Engine
    from ..api.linker import Linker
    from ..api.module import Module
    from ..api.store import Store
    from ..errors import WasmError

    engine = Engine(job.config)
    store = Store(engine)
    seconds = None if job.until is None else max(job.until - monotonic(), 0.001)
    with store.deadline(seconds):
        module = Module(engine, job.source)
        if job.fuel is not None:
            store.fuel = job.fuel
        linker = Linker(engine)
        if module.imports:
            assert job.wasi is not None
            linker.define_wasi(job.wasi)
        instance = linker.instantiate(store, module)
        exports = instance.exports
        names = {export.name for export in module.exports}
        if "_initialize" in names:
            exports["_initialize"]()
        name = job.invoke if job.invoke is not None else "_start"
        if name not in names:
            from ..names import hint

            raise WasmError(f"there is no export {name!r}{hint(name, names)}")
        function: Any = exports[name]
        if not callable(function):
            raise WasmError(f"the export {name!r} is not a function")
        result = function(*job.values)
        if len(function.type.results) == 1:
            return (result,)
        return () if result is None else tuple(result)
