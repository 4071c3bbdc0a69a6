"""``vibewasm run``: a WASI command, or one exported function."""

from __future__ import annotations

import os
import sys

from vibewasm.api.config import Config
from vibewasm.api.engine import Engine
from vibewasm.api.linker import Linker
from vibewasm.api.module import Module
from vibewasm.api.store import Store
from vibewasm.errors import Interrupted, LinkError, Stopped, WasmError
from vibewasm.lookalikes import CODE_MAGIC
from vibewasm.names import escaped, hint

from .options import (
    NO_LEGACY_EXCEPTIONS,
    TIMEOUT,
    Arguments,
    Command,
    CommandError,
    Option,
    in_options,
    limit_options,
    option_of,
)
from .wasmfile import load_ahead, refused, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vibewasm.api.instance import Instance
    from vibewasm.extern_types import ImportType
    from vibewasm.types import ValType
    from vibewasm.wasi import Dir

#: 128 + SIGABRT: what a shell reports of a native program that aborts, and what other engines' commands exit with.
EXIT_TRAP = 134

#: How a folder may be shown.
_MODES = {"ro", "special"}

_STUB_ADVICE = (
    "'vibewasm run' provides WASI only. With --stub-imports such functions return zeros; "
    "to give real ones, use vibewasm from Python."
)
_NO_STUB_ADVICE = (
    "'vibewasm run' provides WASI only. Memories, tables and globals cannot be stubbed; "
    "give them from Python with vibewasm.Linker."
)


def _run(arguments: Arguments) -> int:
    if arguments.flag("--isolate") or arguments.flag("--isolate-strict"):
        from .isolated import run_apart

        return run_apart(arguments, environment_of(arguments))
    path = arguments.operands[0]
    config = config_of(arguments)
    return run_here(
        arguments,
        load_ahead(path, arguments.flag("--allow-precompiled"), bool(config.cache)),
        config,
        environment_of(arguments),
    )


def run_here(
    arguments: Arguments,
    loaded: Callable[[], bytes],
    config: Config,
    environment: dict[str, str],
) -> int:
    """Run a module in this process; gives the exit code.

    Args:
        arguments: what the command line says.
        loaded: gives the module's bytes.
        config: of the engine.
        environment: of the program.
    """
    path, *words = arguments.operands
    invoke = arguments.one("--invoke")
    seconds, fuel = arguments.seconds("--timeout"), arguments.number("--fuel")
    preopens = preopens_of(arguments)
    store: Store | None = None

    try:
        engine = Engine(config)
        data = loaded()
        module = (Module.deserialize if data.startswith(CODE_MAGIC) else Module)(engine, data)
        values = _invocation(arguments, module, invoke, words) if invoke is not None else []
        if invoke is None:
            _check_command(path, module)
        store = Store(engine)
        if fuel is not None:
            store.fuel = fuel
        linker = Linker(engine)
        if module.imports:
            from vibewasm.wasi import WasiConfig

            argv0 = arguments.one("--argv0")
            # The base name only: a guest has no business knowing where on the host it lies.
            name = os.path.basename(path) if argv0 is None else argv0
            args = words if invoke is None else []
            linker.define_wasi(
                WasiConfig(argv0=name, args=args, env=environment, preopens=preopens, inherit_stdin=True)
            )
        if arguments.flag("--stub-imports"):
            linker.define_unknown_imports_as_zero(module)
        try:
            instance = linker.instantiate(store, module)
        except LinkError as error:
            raise CommandError(f"{shown(path)}: {_not_linked(module, error)}") from error
        _call(instance, module, invoke, values)
        return 0
    except WasmError as error:
        code = _ended_by(error, path, seconds)
        met = [] if store is None else [*store.limits_met]
        if error.limit is not None:
            # A trap, whose text names no option; what is refused by one that does has been raised.
            met.append(error.limit)
        if code and met:
            # It may have ended for want of that, and does not know the options.
            options = ", ".join([option_of(name) for name in met])
            print(f"vibewasm: note: the program met limits, which can be raised: {options}", file=sys.stderr)
        return code


def config_of(arguments: Arguments) -> Config:
    """The engine's configuration."""
    return Config(
        compilation="eager" if arguments.flag("--eager") else "lazy",
        fuel=arguments.flag("--fuel"),
        deterministic=arguments.flag("--deterministic"),
        legacy_exceptions=not arguments.flag("--no-legacy-exceptions"),
        limits=arguments.limits(),
        profile=arguments.choice("--profile", ("perfmap", "jitdump")),
        debug=arguments.choice("--debug", ("gdb",)),
        cache=not arguments.flag("--no-cache"),
    )


def _ended_by(error: WasmError, path: str, seconds: float | None) -> int:
    """Say why the program at ``path`` did not come to its end, or was not begun, and give the exit code.

    Raises:
        CommandError: it was not begun, since the engine refuses the file.
    """
    if isinstance(error, Interrupted):
        assert seconds is not None
        from .timed import say_stopped

        return say_stopped(error, path, seconds)
    from vibewasm.traps import ExitTrap, Trap

    if isinstance(error, ExitTrap):
        # A shell sees eight bits; a failure must not turn into success on the way.
        return error.code if error.code < 256 else (error.code & 255 or 1)
    if isinstance(error, Trap):
        print(f"vibewasm: trap: {error}", file=sys.stderr)
        return EXIT_TRAP
    if isinstance(error, Stopped):
        # An exception that the program has thrown and not caught, as one that ends a native program by abort().
        print(f"vibewasm: uncaught {error}", file=sys.stderr)
        return EXIT_TRAP
    if hasattr(error, "setting"):
        # An OtherSettings, whose module only runs of precompiled files load.
        from .precompiled import misfit

        raise CommandError(f"{shown(path)} {misfit(error)}") from error
    raise refused(shown(path), error) from error


def _not_linked(module: Module, error: LinkError) -> str:
    """What the imports lack, in the words of the command line, and what to do about it."""
    if error.missing:
        return f"{error}\n{_import_advice(module, error.missing)}".rstrip()
    return in_options(error)


def _call(instance: Instance, module: Module, invoke: str | None, values: list[object]) -> None:
    names = {export.name for export in module.exports}
    if "_initialize" in names:
        instance.exports["_initialize"]()
    if invoke is None:
        instance.exports["_start"]()
        return
    function = instance.exports[invoke]
    result = function(*values)
    types = function.type.results
    if types:
        from .values import format_value

        results = (result,) if len(types) == 1 else result
        for type, value in zip(types, results, strict=True):
            print(format_value(str(type), value))


def _import_advice(module: Module, missing: tuple[ImportType, ...]) -> str:
    """What to do about missing imports. Stubs help only where functions are all that is missing."""
    from vibewasm.toolchains import advice
    from vibewasm.types import FuncType

    stubs_help = all(isinstance(item.type, FuncType) for item in missing)
    if advice(module.imports, missing):
        # The error says it.
        return "With --stub-imports such functions return zeros." if stubs_help else ""
    return _STUB_ADVICE if stubs_help else _NO_STUB_ADVICE


def _functions(module: Module) -> dict[str, tuple[ValType, ...]]:
    """Exported functions and their parameter types."""
    from vibewasm.types import FuncType

    return {export.name: export.type.params for export in module.exports if isinstance(export.type, FuncType)}


def _invocation(arguments: Arguments, module: Module, name: str, words: list[str]) -> list[object]:
    """The typed arguments of ``--invoke``; :class:`UsageError` where the export or an argument does not fit."""
    functions = _functions(module)
    if name not in functions:
        if any(export.name == name for export in module.exports):
            problem = f"the export {name!r} is not a function"
        else:
            problem = f"there is no exported function {name!r}"
        raise arguments.error(f"{problem}{hint(name, functions)}{_listing(functions)}")
    from .values import parse_value

    params = functions[name]
    shape = _shape(name, params)
    if len(words) != len(params):
        from vibewasm.counting import counted

        wanted = counted(len(params), "argument")
        raise arguments.error(f"{shape} takes {wanted}, {len(words)} given")
    values: list[object] = []
    for position, (type, word) in enumerate(zip(params, words, strict=True), 1):
        try:
            values.append(parse_value(str(type), word))
        except ValueError as error:
            raise arguments.error(f"argument {position} of {shape}: {error}") from None
    return values


def _shape(name: str, params: tuple[ValType, ...]) -> str:
    """A function's name and the types of its parameters, as in a call.

    A name may have spaces and parentheses of its own: some tools write a whole signature there, and it is quoted then.
    """
    shown = repr(name) if set(name) & set(" (),'\"") else escaped(name)
    return f"{shown}({', '.join(map(str, params))})"


def _listing(functions: dict[str, tuple[ValType, ...]]) -> str:
    if not functions:
        return " (the module exports no function)"
    shown = [f"\n  {_shape(name, params)}" for name, params in sorted(functions.items())]
    if len(shown) > 20:
        shown = shown[:20] + [f"\n  ... and {len(functions) - 20} more; see vibewasm inspect"]
    return "\nexported functions:" + "".join(shown)


def _check_command(path: str, module: Module) -> None:
    functions = _functions(module)
    if "_start" in functions:
        return
    from vibewasm.toolchains import advice

    what = "a reactor, a library of functions" if "_initialize" in functions else "no WASI command"
    toolchain = advice(module.imports, module.imports)
    raise CommandError(
        f"{shown(path)} exports no function '_start': it is {what}. Call one with --invoke NAME.{_listing(functions)}"
        + (toolchain and f"\n{toolchain}")
    )


def preopens_of(arguments: Arguments) -> dict[str, str | Dir]:
    """The folders that the program sees, by the paths that it sees."""
    folders: dict[str, str | Dir] = {}
    for text in arguments.many("--dir"):
        host, separator, guest = text.partition("::")
        if not os.path.isdir(host):
            problem = "is not a directory" if os.path.exists(host) else "does not exist"
            # Other commands separate the two by one colon, which a folder's name may hold here.
            meant, colon, as_what = host.partition(":")
            if colon and not separator and os.path.isdir(meant):
                problem += f"; HOST and GUEST have two colons between them: {escaped(f'{meant}::{as_what}')}"
            raise arguments.error(f"--dir {escaped(text)}: {host!r} {problem}")
        guest, modes = _guest_of(arguments, text, guest) if separator else (host, set())
        if guest in folders:
            already = _folder(folders[guest])
            raise arguments.error(f"--dir {escaped(text)}: the program sees {already!r} as {guest!r} already")
        for seen, other in folders.items():
            other_read_only = not isinstance(other, str) and other.read_only
            if other_read_only != ("ro" in modes) and os.path.samefile(host, _folder(other)):
                raise arguments.error(
                    f"--dir {escaped(text)}: the program sees this folder as {seen!r} already, and only one of the two "
                    "is read-only"
                )
        if modes:
            from vibewasm.wasi import Dir

            folders[guest] = Dir(host, read_only="ro" in modes, special_files="special" in modes)
        else:
            folders[guest] = host
    return folders


def _guest_of(arguments: Arguments, text: str, guest: str) -> tuple[str, set[str]]:
    """What a program sees a folder as, and in what modes. What looks like a mode is never taken for a name: a folder
    that was to be read-only would be open.
    """
    name, separator, mode = guest.partition("::")
    problem = ""
    if not name:
        problem = "GUEST is empty; / is the program's root, . where it begins"
    elif separator and not set(filter(None, mode.split(","))) <= _MODES:
        problem = f"{mode!r} is no mode: there are ro, special and ro,special"
    elif not separator and set(name.split(",")) <= _MODES:
        host = text.partition("::")[0]
        meant, named = escaped(f"{host}::{host}::{name}"), escaped(f"{host}::{name}::")
        problem = f"a mode comes after GUEST: {meant}; for a folder that the program sees as {name!r}, write {named}"
    if problem:
        raise arguments.error(f"--dir {escaped(text)}: {problem}")
    return name, set(filter(None, mode.split(",")))


def _folder(given: str | Dir) -> str:
    return given if isinstance(given, str) else os.fspath(given.path)


def environment_of(arguments: Arguments) -> dict[str, str]:
    """The program's environment."""
    environment = dict(os.environ) if arguments.flag("--inherit-env") else {}
    for text in arguments.many("--env"):
        name, separator, value = text.partition("=")
        if not name:
            raise arguments.error(f"--env wants NAME=VALUE or NAME, not {text!r}")
        if separator:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment


COMMAND = Command(
    "run",
    "FILE [ARGUMENT...]",
    "run a WASI program, or call one export with --invoke",
    [
        Option("--invoke", "NAME", "call this export with the ARGUMENTs and print its results, one per line"),
        Option("--argv0", "NAME", "the program's own name, its first argument; FILE's if not given"),
        Option(
            "--dir",
            "HOST[::GUEST[::MODE]]",
            "show this folder, as GUEST; MODE: ro is read only, special: devices",
            repeat=True,
        ),
        Option("--env", "NAME[=VALUE]", "set an environment variable; without a value, pass ours on", repeat=True),
        Option("--inherit-env", "", "pass all of our environment variables on; --env sets others"),
        Option("--fuel", "N", "trap when the program has used N units of fuel", wants="a whole number"),
        TIMEOUT,
        Option("--isolate", "", "run it in a process of its own, which can reach nothing else; see docs/isolation.md"),
        Option("--isolate-strict", "", "the same, and run nothing where the system lacks a part of it"),
        Option("--allow-precompiled", "", "run a FILE of vibewasm compile too, which can do what any program can"),
        Option("--stub-imports", "", "give unknown function imports a function that returns zeros"),
        Option("--no-cache", "", "neither use nor keep machine code on disk; see vibewasm cache"),
        Option("--deterministic", "", "let nothing but the files given tell one run or machine from another"),
        NO_LEGACY_EXCEPTIONS,
        Option("--eager", "", "compile everything first, not each function at its first call"),
        Option("--profile", "NAME", "write functions' names for perf: perfmap or jitdump", wants="perfmap or jitdump"),
        Option("--debug", "NAME", "tell a debugger of functions: gdb", wants="gdb"),
        *limit_options(),
    ],
    _run,
    program=True,
    notes=(
        "Options come before FILE; everything after FILE belongs to the program.\n"
        "Exit code: the program's own; 134 for a trap or an exception that it does not catch, 124 for a timeout,\n"
        "2 for a wrong command line, 1 for a bad file, 130 for Ctrl-C."
    ),
)
