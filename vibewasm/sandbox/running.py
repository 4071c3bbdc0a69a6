""":func:`run`: a module in a process of its own."""

from __future__ import annotations

import os
import time

from ..api.config import Config
from ..errors import Interrupted
from ..limits import ResourceLimits
from ..wasi import WasiConfig
from ..wasi.config import Dir
from .errors import SandboxError, SandboxWarning
from .job import Job
from .lockdown import MECHANISMS
from .outcome import Outcome
from .process import Ended
from .process import run as run_process
from .report import End, Forged, read_end, read_missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any, Never

    from ..api.module import Module
    from ..api.source import Source

#: What the process may take beside the guest's memories: the interpreter, the compiler, the machine code.
DEFAULT_OVERHEAD = 512 << 20
#: What the guest's memories may take, unless the configuration says.
DEFAULT_MEMORY = 256 << 20
DEFAULT_OUTPUT = 16 << 20
#: The largest file that may be written.
DEFAULT_FILE_SIZE = 1 << 30
#: The least that these two can be: what the interpreter and the engine need to begin, and a piece of machine code,
#: which lies in a file too, as the kernel sees it.
_LEAST_OVERHEAD = 64 << 20
_LEAST_FILE_SIZE = 64 << 20
#: Descriptors that the program may have, unless the limits say, and what the process has besides.
_OPEN_FILES = 1000
_DESCRIPTORS_BESIDES = 100
#: How often a module's bytes are there while the process reads them.
COPIES = 3
#: Seconds that a process is given after its deadline to say where it was stopped, before it is killed.
GRACE = 0.25


def run(
    source: Source | Module,
    *,
    args: Sequence[str | bytes] = (),
    env: Mapping[str, str] | None = None,
    argv0: str = "program",
    stdin: bytes | int = b"",
    stdout: int | Callable[[bytes], object] | None = None,
    stderr: int | Callable[[bytes], object] | None = None,
    preopens: Mapping[str, str | os.PathLike[str] | Dir] | None = None,
    invoke: str | None = None,
    values: Sequence[int | float | None] = (),
    config: Config | None = None,
    fuel: int | None = None,
    timeout: float | None = None,
    max_memory: int | None = None,
    limits: ResourceLimits | None = None,
    max_output: int | None = DEFAULT_OUTPUT,
    max_file_size: int | None = DEFAULT_FILE_SIZE,
    overhead: int = DEFAULT_OVERHEAD,
    require: Collection[str] = (),
    clock: int | None = None,
    random_seed: int | str | bytes | None = None,
    stub_imports: bool = False,
    allow_precompiled: bool = False,
    python: str | os.PathLike[str] | None = None,
    **unknown: Never,
) -> Outcome:
    """Run a WASI program, or call one exported function, in a process of its own, which can do nothing else.

    The process is a fresh interpreter. It limits itself, loads what any run needs, gives up all paths but the
    ``preopens`` and all system calls but a short list, and only then looks at the module.

    Args:
        source: what :class:`~vibewasm.Module` takes, or a :class:`~vibewasm.Module`, whose bytes are compiled anew. A
            path is read here.
        args, env, argv0: the program's arguments, environment and name.
        stdin: what the program reads, or a descriptor of this process.
        stdout, stderr: what becomes of what it writes: a descriptor of this process gets it; a function is called with
            it, piece by piece; ``None`` keeps it for the outcome.
        preopens: directories of the host by the path that the program sees, as for :class:`~vibewasm.WasiConfig`.
        invoke: an export to call, in place of the program's ``_start``.
        values: its arguments.
        config: of the engine. Its ``cache``, ``profile`` and ``debug`` have no effect.
        fuel: how much the run has; a ``config`` has to count it.
        timeout: seconds after which the run is stopped, from the call on. It says where it was then; if it has not
            a quarter of a second later, it is killed.
        max_memory: bytes of all memories together, if ``config`` does not say; 256 MiB, if ``limits`` do not either.
        limits: of the module, the store and the program, if ``config`` does not say;
            :meth:`ResourceLimits.usual() <vibewasm.ResourceLimits.usual>`, if neither does; ``ResourceLimits()`` for
            none.
        max_output: bytes that may be written to each of standard output and error, where it is no descriptor. Who
            writes more is killed.
        max_file_size: bytes of the largest file that it may write, at least 64 MiB: machine code counts as a file. What
            is written in total is a matter of ``ResourceLimits(max_written=...)``.
        overhead: bytes that the process may have beside the memories and the module, at least 64 MiB.
        require: mechanisms without which nothing is run, of ``"limits"``, ``"parent-death"``, ``"no-new-privileges"``,
            ``"not-dumpable"``, ``"landlock"`` and ``"seccomp"``; ``"all"`` stands for all of them. One that is not in
            force and is not required is named in ``Outcome.missing`` and in a warning.
        clock, random_seed: as for :class:`~vibewasm.WasiConfig`.
        stub_imports: give imports that are not WASI's functions that return zeros; none of the host can be there.
        allow_precompiled: run what :meth:`Module.serialize <vibewasm.Module.serialize>` or ``vibewasm compile`` has
            made, too. It can do what the process can, so take it from nobody; it has to fit ``config``.
        python: the interpreter to start, where ``sys.executable`` is none.

    Returns:
        What came of it, whatever the program did: see :class:`Outcome`.

    Raises:
        TypeError, ValueError, OSError: an argument is not what it should be.
        SandboxError: no process could be started, or a required mechanism is not in force.
        Interrupted: a deadline is over in whose block this was called, as that of :func:`vibewasm.deadline`.
        SandboxCrash: the process ended in a way that no program brings about unless there is a bug.
    """
    begun = time.monotonic()
    if unknown:
        raise _no_such(unknown)
    required = _required(require)
    _check(invoke, values, fuel, max_output, max_file_size, overhead, python)
    settings = _config(config, max_memory, limits, fuel)
    if fuel is not None and not settings.fuel:
        raise ValueError("run: fuel is given, and the configuration does not count it: Config(fuel=True)")
    folders = _folders({} if preopens is None else preopens)
    wasi = WasiConfig(
        args=args,
        env=env,
        argv0=argv0,
        preopens={**(preopens or {})},
        stdin=0,
        stdout=1,
        stderr=2,
        clock=clock,
        random_seed=random_seed,
    )
    data = _data(source, allow_precompiled)
    seconds = _seconds(timeout)
    until = None if seconds is None else begun + seconds
    job = Job(
        source=data,
        config=settings,
        fuel=fuel,
        invoke=invoke,
        values=values,
        wasi=wasi,
        seconds=seconds,
        until=until,
        folders=folders,
        system_limits=system_limits(
            _least(settings, "max_memory", DEFAULT_MEMORY) + COPIES * len(data),
            overhead,
            max_file_size,
            seconds,
            _least(settings, "max_open_files", _OPEN_FILES),
        ),
        stub_imports=stub_imports,
        allow_precompiled=allow_precompiled,
        required=required,
        modules=TEXT_MODULES if isinstance(data, str) or data[:1] != b"\0" else (),
    )
    from pickle import dumps

    from ..api.deadline import first_here

    killed, deadline = None if until is None else until + GRACE, first_here()
    if deadline is not None and killed is not None and killed < deadline.until:
        deadline = None
    ended = run_process(
        "vibewasm.sandbox.child",
        dumps(job),
        stdin=_descriptor("stdin", stdin) if isinstance(stdin, int) else _bytes(stdin),
        sinks=(_sink("stdout", stdout), _sink("stderr", stderr)),
        until=killed if deadline is None else deadline.until,
        seconds=seconds if deadline is None else deadline.seconds,
        max_output=max_output,
        python=python,
    )
    if deadline is not None and ended.limit is not None and ended.limit.limit == "timeout":
        raise Interrupted(f"{deadline.message()}, while running the module in a process of its own")
    return _outcome(ended, required)


#: What reads text.
TEXT_MODULES = ("vibewasm.wat.encode", "vibewasm.wat.module_reader", "vibewasm.wat.code_reader", "vibewasm.wat.vectors")


def system_limits(
    memory: int, overhead: int, file_size: int | None, seconds: float | None, open_files: int | None
) -> dict[str, int]:
    """What the process of a run may take of the system, by the names of ``setrlimit``.

    Bytes that are reserved and cannot be accessed do not count as data, so memories keep their guard pages.
    """
    descriptors = (_OPEN_FILES if open_files is None else open_files) + _DESCRIPTORS_BESIDES
    limits = {"CORE": 0, "DATA": memory + overhead, "NOFILE": descriptors, "MEMLOCK": 0}
    if file_size is not None:
        limits["FSIZE"] = file_size
    if seconds is not None:
        # Two threads at most compute at a time, and the start counts too.
        limits["CPU"] = 2 * int(seconds + 1) + 2
    return limits


def warn(missing: Mapping[str, str]) -> None:
    """Say what is not in force."""
    import warnings

    text = "; ".join(f"{name}: {why}" for name, why in missing.items())
    warnings.warn(f"the process of the run is not locked down as it could be: {text}", SandboxWarning, stacklevel=4)


def unmet(required: Collection[str], missing: Mapping[str, str]) -> SandboxError | None:
    """What to raise where required mechanisms are missing."""
    lacking = {name: why for name, why in missing.items() if name in required}
    if not lacking:
        return None
    text = "; ".join(f"{name}: {why}" for name, why in lacking.items())
    return SandboxError(f"what is required is not in force, so nothing was run: {text}", lacking)


def _outcome(ended: Ended, required: frozenset[str]) -> Outcome:
    end = End()
    forged = ""
    missing: dict[str, str] = {}
    try:
        if not ended.lines:
            raise Forged("it has said nothing")
        missing = read_missing(ended.lines[0], MECHANISMS)
        if error := unmet(required, missing):
            raise error
        if ended.limit is None and ended.status == 0:
            if len(ended.lines) != 2:
                raise Forged("it has not said how it ended")
            end = read_end(ended.lines[1])
    except Forged as error:
        forged = str(error)
    error_there = ended.limit if ended.limit is not None else end.error
    outcome = Outcome(
        results=end.results,
        exit_code=None if error_there is not None else end.exit_code,
        error=error_there,
        stdout=ended.output[0],
        stderr=ended.output[1],
        limits=(ended.limit.limit,) if ended.limit is not None else end.limits,
        resources=ended.resources,
        missing=missing,
    )
    if ended.limit is None and (ended.status or forged):
        crash = ended.crash()
        crash.outcome = outcome
        crash.args = (*crash.args[:3], outcome)
        raise crash
    if missing:
        warn(missing)
    return outcome


def _required(require: Collection[str]) -> frozenset[str]:
    names = (require,) if isinstance(require, str) else require
    if not hasattr(names, "__iter__"):
        from ..arguments import wrong

        raise wrong("run", "require", "names of mechanisms", require, "such as {'seccomp', 'landlock'}")
    found = frozenset(names)
    if "all" in found:
        return frozenset(MECHANISMS)
    for name in found:
        if name not in MECHANISMS:
            from ..names import hint

            raise ValueError(
                f"run: there is no mechanism {name!r} among {', '.join(MECHANISMS)}{hint(str(name), MECHANISMS)}"
            )
    return found


def _no_such(unknown: Mapping[str, object]) -> TypeError:
    from ..arguments import unknown_keywords

    name = next(iter(unknown))
    if name == "imports":
        return TypeError(
            "run has no parameter 'imports': functions of this process cannot be called from another one. "
            "stub_imports=True has them return zeros; vibewasm.instantiate runs the module here"
        )
    if name == "wasi":
        return TypeError("run has no parameter 'wasi': args, env, preopens, stdin and so on are given to run itself")
    code = run.__code__
    return unknown_keywords("run", unknown, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def _check(
    invoke: object, values: Any, fuel: object, most: object, file_size: object, overhead: object, python: object
) -> None:
    """See that arguments are what they should be, where nothing else would before the process is there."""
    from ..arguments import number, whole, wrong

    if not isinstance(invoke, str | None):
        raise wrong("run", "invoke", "the name of an export or None", invoke)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise wrong("run", "values", "a sequence of numbers", values)
    if invoke is None and len(values):
        raise ValueError("run: values are for the function that invoke=... names; a program has args")
    for index, value in enumerate(values):
        if not isinstance(value, int | float | None):
            raise wrong("run", f"values[{index}]", "a number or None", value)
    for name, what, given, least in (
        ("fuel", "an amount", fuel, 0),
        ("max_output", "a number of bytes", most, 0),
        ("max_file_size", "a number of bytes", file_size, _LEAST_FILE_SIZE),
        ("overhead", "a number of bytes", overhead, _LEAST_OVERHEAD),
    ):
        optional = name != "overhead"
        if (given is not None or not optional) and not least <= whole("run", name, what, given) < 1 << 63:
            raise ValueError(f"run: {name} is {what} from {least} to 2**63 - 1, not {number(whole('', '', '', given))}")
    if not isinstance(python, str | os.PathLike | None):
        raise wrong("run", "python", "the path of an interpreter or None", python)


def _config(
    config: Config | None, max_memory: int | None, limits: ResourceLimits | None, fuel: int | None = None
) -> Config:
    """The configuration of the run's engine: with limits, whoever sets them, and without what goes to other files."""
    if config is None:
        config = Config(fuel=fuel is not None)
    elif not isinstance(config, Config):
        from ..arguments import wrong

        raise wrong("run", "config", "a Config", config)
    for name, given in (("max_memory", max_memory), ("limits", limits)):
        if given is not None and getattr(config, name) is not None:
            raise ValueError(f"run: {name} and config cannot both be given, where it has {name}: Config({name}=...)")
    limits = config.limits if limits is None else limits
    max_memory = config.max_memory if max_memory is None else max_memory
    if max_memory is None and getattr(limits, "max_memory", None) is None:
        max_memory = DEFAULT_MEMORY
    settings: dict[str, Any] = {name: getattr(config, name) for name in Config.__slots__}
    settings["max_memory"] = max_memory
    settings["limits"] = ResourceLimits.usual(max_memory=None) if limits is None else limits
    return Config(**{**settings, "cache": False, "profile": None, "debug": None})


def _least(config: Config, name: str, otherwise: int) -> int:
    """The lower one of a configuration's two limits for one thing; ``otherwise``, if it has none."""
    given = (getattr(config, name, None), getattr(config.limits, name, None))
    return min([limit for limit in given if limit is not None], default=otherwise)


def _folders(preopens: Mapping[str, Any]) -> list[tuple[str | bytes, bool]]:
    found: list[tuple[str | bytes, bool]] = []
    if not hasattr(preopens, "items"):
        from ..arguments import wrong

        raise wrong("run", "preopens", "a dict", preopens, "such as {'/': 'directory'}")
    for seen, host in preopens.items():
        if not isinstance(host, str | os.PathLike | Dir):
            raise TypeError(
                f"run: preopens[{seen!r}] has to be the path of a directory or a Dir: what is in the memory of this "
                "process is not in that of the run"
            )
        path: Any = host.path if isinstance(host, Dir) else os.fspath(host)
        if not os.path.isdir(path):
            raise NotADirectoryError(20, f"run: preopens[{seen!r}] is no directory", os.fsdecode(path))
        found.append((path, not (isinstance(host, Dir) and host.read_only)))
    return found


def _data(source: Any, allow_precompiled: bool) -> bytes | str:
    """What the process is to make a module of: bytes, or text."""
    from ..api.module import Module
    from ..api.source import begins_like_text, raw

    if isinstance(source, Module):
        return source.info.data
    if isinstance(source, str) and begins_like_text(source):
        return source
    if allow_precompiled and isinstance(source, str | os.PathLike):
        from ..api.source import from_precompiled_file
        from ..lookalikes import CODE_MAGIC

        code = from_precompiled_file(source)
        if code.startswith(CODE_MAGIC):
            return code
    return raw(source)


def _seconds(timeout: Any) -> float | None:
    from ..api.deadline import checked

    seconds = checked("run", timeout, "timeout")
    if seconds is not None and not 0 < seconds < 1e9:
        raise ValueError(f"run: timeout is a positive number of seconds below 1e9, not {timeout!r}")
    return seconds


def _bytes(data: Any) -> bytes:
    try:
        return bytes(memoryview(data))
    except TypeError:
        from ..arguments import wrong

        advice = (
            "text.encode() is" if isinstance(data, str) else "file.read() gives them" if hasattr(data, "read") else ""
        )
        raise wrong("run", "stdin", "bytes or a descriptor", data, advice) from None


def _descriptor(name: str, given: int) -> int:
    """A descriptor of this process; what is negative means something else to :mod:`subprocess`."""
    if isinstance(given, bool) or given < 0:
        raise ValueError(f"run: {name} is no descriptor: {given!r}")
    return given


def _sink(name: str, given: Any) -> Any:
    if isinstance(given, int):
        return _descriptor(name, given)
    if given is None or callable(given):
        return given
    from ..arguments import wrong

    advice = f"{name}=file.write" if hasattr(given, "write") else ""
    raise wrong("run", name, "None, a descriptor or a function that takes bytes", given, advice)
