"""``vibewasm run --isolate``: the same command, in a process that is locked down before it looks at the module."""

from __future__ import annotations

import os
import sys

from vibewasm.names import escaped

from .options import Arguments, CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What a process of its own cannot do: it can write no other file.
_NOT_APART = ("--profile", "--debug")
#: Bytes of memories where --max-memory does not say: all that a module can have.
_MEMORY = 4 << 30
#: What a run of the command needs besides what any run needs.
_MODULES = (
    "vibewasm.cli",
    "vibewasm.cli.options",
    "vibewasm.cli.precompiled",
    "vibewasm.cli.run",
    "vibewasm.cli.timed",
    "vibewasm.cli.values",
    "vibewasm.cli.wasmfile",
)


def run_apart(arguments: Arguments, environment: dict[str, str]) -> int:
    """Run what the command line says in a process of its own; gives the exit code.

    Raises:
        CommandError: it cannot be run, or not as strictly as it was asked for.
    """
    from pickle import dumps
    from time import monotonic

    begun = monotonic()
    for name in _NOT_APART:
        if arguments.flag(name):
            raise arguments.error(f"{name} writes for others, which an isolated process cannot: leave out one of both")
    from vibewasm.sandbox.errors import SandboxError
    from vibewasm.sandbox.job import Job
    from vibewasm.sandbox.lockdown import MECHANISMS
    from vibewasm.sandbox.process import run
    from vibewasm.sandbox.report import Forged, read_missing
    from vibewasm.sandbox.running import COPIES, DEFAULT_OVERHEAD, GRACE, TEXT_MODULES, system_limits

    from .run import preopens_of
    from .timed import EXIT_TIMEOUT
    from .wasmfile import read, shown

    path = arguments.operands[0]
    seconds = arguments.seconds("--timeout")
    limits = arguments.limits()
    memory = limits.max_memory
    strict = arguments.flag("--isolate-strict")
    folders = [
        (host, True) if isinstance(host, str) else (os.fspath(host.path), not host.read_only)
        for host in preopens_of(arguments).values()
    ]
    data = read(path)
    job = Job(
        source=data,
        until=None if seconds is None else begun + seconds,
        folders=folders,
        system_limits=system_limits(
            (_MEMORY if memory is None else memory) + COPIES * len(data),
            DEFAULT_OVERHEAD,
            None,
            seconds,
            limits.max_open_files,
        ),
        required=frozenset(MECHANISMS) if strict else frozenset(),
        modules=(*_MODULES, *(() if data[:4] == b"\0asm" else TEXT_MODULES)),
        allow_precompiled=arguments.flag("--allow-precompiled"),
        extra=(arguments.values, arguments.operands, environment),
    )
    try:
        ended = run(
            "vibewasm.cli.isolated",
            dumps(job),
            stdin=0,
            sinks=(1, 2),
            until=None if job.until is None else job.until + GRACE,
            seconds=seconds,
            max_output=None,
        )
        missing = read_missing(ended.lines[0] if ended.lines else b"", MECHANISMS) if ended.status >= 0 else {}
    except SandboxError as error:
        raise CommandError(str(error)) from error
    except Forged:
        raise CommandError("the isolated process did not begin; what it wrote may say why") from None
    text = "; ".join(f"{name}: {escaped(why)}" for name, why in missing.items())
    if missing and strict:
        raise CommandError(f"--isolate-strict: nothing was run, since the system lacks {text}")
    if missing:
        print(f"vibewasm: warning: --isolate goes without {text}", file=sys.stderr)
    if ended.limit is not None and ended.limit.limit != "output":
        # Processor time is limited by the timeout as well.
        print(f"vibewasm: {shown(path)}: {ended.limit} (--timeout)", file=sys.stderr)
        return EXIT_TIMEOUT
    if ended.status < 0:
        print(f"vibewasm: {shown(path)}: {ended.limit or ended.crash()}", file=sys.stderr)
        return 128 - ended.status
    return ended.status


def main(job_end: int, report_end: int, parent: int) -> None:
    """What the process does; ends it.

    Args:
        job_end, report_end: descriptors of its job and for its report.
        parent: the number of the process that has started this one.
    """
    from vibewasm.sandbox.child import confine, is_acceptable, receive, report_missing

    job = receive(job_end)
    missing = confine(job, parent)
    report_missing(report_end, missing)
    # The command's own output goes where a program's goes; what it says there is all that it has to say.
    os.close(report_end)
    if not is_acceptable(job, missing):
        os._exit(0)
    from . import guarded

    code = guarded(lambda: _run(job))
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code)


def _run(job: Any) -> int:
    from vibewasm.api.config import Config

    from .run import config_of, run_here
    from .wasmfile import module_of

    values, operands, environment = job.extra
    arguments = Arguments("run")
    arguments.values = values
    # Files cannot be reached any more.
    arguments.values["--no-cache"] = [""]
    arguments.operands = operands
    config: Config = config_of(arguments)
    path, precompiled = operands[0], arguments.flag("--allow-precompiled")
    if job.until is None:
        return run_here(arguments, lambda: module_of(job.source, path, precompiled), config, environment)
    from time import monotonic

    from vibewasm.api.deadline import deadline

    with deadline(max(job.until - monotonic(), 0.001)):
        return run_here(arguments, lambda: module_of(job.source, path, precompiled), config, environment)
