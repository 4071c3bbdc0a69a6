"""``vibewasm disasm``: the machine code of a module's functions."""

from __future__ import annotations

from vibewasm.names import hint

from .options import Arguments, Command, CommandError, Option
from .wasmfile import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.binary.module_info import ModuleInfo


def _disasm(arguments: Arguments) -> int:
    path = arguments.operands[0]
    data = load(path)

    from vibewasm.backends import TARGETS
    from vibewasm.config import Config
    from vibewasm.disasm.listing import MissingCapstoneError, disassemble_function
    from vibewasm.engine import Engine
    from vibewasm.errors import WasmError
    from vibewasm.module import Module

    target = arguments.one("--target")
    if target is not None and target not in TARGETS:
        raise arguments.error(f"there is no target {target!r}; it has to be {' or '.join(TARGETS)}")
    try:
        module = Module(Engine(Config(target=target)), data)
        info = module.info
        first = info.imported_funcs
        wanted = [_index(arguments, info, name) for name in arguments.many("--func")]
        for number, index in enumerate(wanted or range(first, first + len(info.bodies))):
            print(("\n" if number else "") + disassemble_function(module, index), end="")
    except MissingCapstoneError as error:
        raise CommandError(str(error)) from error
    except WasmError as error:
        raise CommandError(f"{path}: {error}") from error
    return 0


def _index(arguments: Arguments, info: ModuleInfo, name: str) -> int:
    """The function index that ``--func`` means: a number, an export's name, or a name of the name section."""
    names = {text: index for index, text in info.func_names.items()}
    names |= {export.name: export.index for export in info.exports if export.kind == 0}
    if name.isascii() and name.isdigit() and name not in names:
        index = int(name)
    elif name in names:
        index = names[name]
    else:
        raise arguments.error(f"there is no function {name!r}{hint(name, names)}")
    first, end = info.imported_funcs, info.imported_funcs + len(info.bodies)
    if index < first:
        raise arguments.error(f"function {index} is imported, so it has no machine code here")
    if index >= end:
        raise arguments.error(f"there is no function {index}; the defined ones are {first} to {end - 1}")
    return index


COMMAND = Command(
    "disasm",
    "FILE",
    "list the machine code of a module's functions",
    [
        Option("--func", "NAME|INDEX", "only this function, by export, name section or index", repeat=True),
        Option("--target", "PROCESSOR", "compile for x86_64 or aarch64; the default is the one of this machine"),
    ],
    _disasm,
    notes="Needs capstone: pip install 'vibewasm[disasm]'",
)
