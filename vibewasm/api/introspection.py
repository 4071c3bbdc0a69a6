"""How functions show themselves to Python's own tools: their signature, documentation and keyword arguments.

Loaded where one of these is asked for, or where a module names the parameters of a function that is called.
"""

from __future__ import annotations

import inspect
from keyword import iskeyword
from types import FunctionType
from unicodedata import is_normalized

from ..names import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..binary.module_info import ModuleInfo
    from ..types import FuncType
    from .func import Func

#: What values of the numeric types are in Python, by the types' names. Those of other types are any object.
NUMBERS: dict[str, type] = {"i32": int, "i64": int, "f32": float, "f64": float, "v128": int}


def parameter_names(func: Func) -> list[str] | None:
    """What :func:`names_of_parameters` says of a function; ``None`` of one that is Python's."""
    instance = func._instance
    if instance is None:
        return None
    info = instance.module.info
    return names_of_parameters(info, info.imported_funcs + func._defined, len(func._type.params))


def names_of_parameters(info: ModuleInfo, index: int, count: int) -> list[str] | None:
    """What the name section of a module calls the ``count`` parameters of function ``index``, as Python can write it;
    ``None`` if it names none of them, or two by one name.

    A keyword of Python gets an underscore after it (PEP 8), and what is no identifier is ``p0``, ``p1`` ...
    """
    given = info.local_names.get(index, {})
    if not any(at < count for at in given):
        return None
    names = []
    for at in range(count):
        name = given.get(at, "")
        if iskeyword(name):
            name += "_"
        names.append(name if is_python_name(name) else f"p{at}")
    return names if len({*names}) == count else None


def is_python_name(name: str) -> bool:
    """Whether an expression such as ``exports.NAME`` or a keyword argument can have this very name."""
    if not name.isidentifier() or iskeyword(name):
        return False
    # Python reads identifiers in this form (Python Language Reference, 2.3).
    return name.isascii() or is_normalized("NFKC", name)


def is_special_name(name: str) -> bool:
    """Whether Python gives such a name a meaning of its own, in a class or in a module."""
    return name.startswith("__") and name.endswith("__")


def signature(func: Func) -> inspect.Signature:
    """``function.__signature__``, which :mod:`inspect` asks for, and with it ``help`` and completion at a prompt."""
    type_ = func._type
    names = parameter_names(func)
    kind = inspect.Parameter.POSITIONAL_ONLY if names is None else inspect.Parameter.POSITIONAL_OR_KEYWORD
    params = [
        inspect.Parameter(f"p{at}" if names is None else names[at], kind, annotation=NUMBERS.get(param.name, object))
        for at, param in enumerate(type_.params)
    ]
    results = [NUMBERS.get(result.name, object) for result in type_.results]
    given: object = None
    if results:
        given = results[0] if len(results) == 1 else tuple.__class_getitem__(tuple(results))
    return inspect.Signature(params, return_annotation=given)


def documentation(func: Func) -> str:
    """``function.__doc__``: its wasm type, and where it comes from."""
    lines = [f"{escaped(func.name)}{typed(func._type, parameter_names(func))}", ""]
    instance = func._instance
    if instance is None:
        return "\n".join([*lines, f"A{func._foreign[1:]} function that wasm code can call."])
    module = instance.module
    index = module.info.imported_funcs + func._defined
    exported = [
        repr(name)
        for name, export in module._export_index.items()
        if export.kind == func._kind and export.index == index
    ]
    of = f" of the module {module.name!r}" if module.name else ""
    known = f", exported as {' and '.join(exported)}" if exported else ""
    return "\n".join([*lines, f"Function {index}{of}{known}."])


def typed(type: FuncType, names: Sequence[str] | None) -> str:
    """A function's type as ``(left: i32, right: i32) -> i32``."""
    if names is None:
        return str(type)
    _, _, results = str(type).rpartition(" -> ")
    params = ", ".join([f"{name}: {param.name}" for name, param in zip(names, type.params, strict=True)])
    return f"({params}) -> {results}"


def accept_keywords(call: Callable[..., Any], names: Sequence[str], shown: str) -> Callable[..., Any]:
    """What makes a function's calls, made so that it takes its arguments by name too.

    Args:
        call: a function that :mod:`vibewasm.calls` has just made for one ``Func``.
        names: one for each parameter, no two alike.
        shown: what the interpreter's errors call the function.
    """
    if isinstance(call, FunctionType) and call.__code__.co_posonlyargcount == len(names):
        # The names of a function's parameters are data of its code: with others it is as fast, and the interpreter
        # itself finds the place of each argument.
        code = call.__code__
        call.__code__ = code.replace(
            co_posonlyargcount=0, co_varnames=(*names, *code.co_varnames[len(names) :]), co_name=shown
        )
        call.__qualname__ = shown
        return call

    def call_by_name(*arguments: Any, **named: Any) -> Any:
        return call(*(_in_order(arguments, named, names, shown) if named else arguments))

    return call_by_name


def _in_order(
    arguments: tuple[object, ...], named: dict[str, object], names: Sequence[str], shown: str
) -> list[object]:
    params = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    try:
        return list(inspect.Signature(params).bind(*arguments, **named).args)
    except TypeError as error:
        raise TypeError(f"{shown}(): {error}") from None
