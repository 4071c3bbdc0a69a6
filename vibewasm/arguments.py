"""Errors about what was given to the API: each names the parameter, what was expected and what was given.

Loaded only where something is wrong, so the checks themselves stand where the arguments are used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Characters of a value that a message shows.
_LONGEST = 40
#: Classes whose values a message shows, besides their names.
_PLAIN = (bool, int, float, complex, str, bytes)

#: What to do instead of copying, by the name of the class.
_INSTEAD_OF_A_COPY = {
    "Caller": "hand on what is needed of it, such as the bytes that its read() gives",
    "Deadline": "make another with store.deadline(seconds)",
    "ExceptionRef": "give the object itself to the wasm code, or make WasmException(ref.tag, ref.values)",
    "Engine": "share it between threads and stores, or make another with Engine(engine.config)",
    "Exports": "instantiate the module again; dict(exports.items()) has the names and the same objects",
    "Func": "share the object itself, or instantiate its module again for another one",
    "Global": "make another with Global(store, type, value)",
    "Instance": "instantiate its module again, in the same store or in another one",
    "Linker": "make another with Linker(engine), and define the imports in it",
    "Memory": "memory[:] is a copy of its bytes, which can be written to another Memory",
    "Native": "make another of the same function, in the process that calls it",
    "Store": "make another with Store(engine), and instantiate the modules in it",
    "Tag": "share the object itself, or make another with Tag(store, type), which is another tag",
    "Table": "list(table) is a copy of its elements, which can be put in another Table",
}


#: How what can be called without an argument that it needs is written. Those who leave it out give ``...``, a default
#: that type checkers are not told of.
_WRITTEN = {
    "Exports": "instance.exports",
    "Func": "Func(store, FuncType(params, results), function)",
    "Global": "Global(store, GlobalType('i32'), 0)",
    "Memory": "Memory(store, MemoryType(Limits(1)))",
    "Module": "Module(source) or Module(engine, source)",
    "Module.deserialize": "Module.deserialize(data) or Module.deserialize(engine, data)",
    "Module.deserialize_file": "Module.deserialize_file(path) or Module.deserialize_file(engine, path)",
    "Module.from_file": "Module.from_file(path) or Module.from_file(engine, path)",
    "Module.from_text": "Module.from_text(text) or Module.from_text(engine, text)",
    "Module.validate": "Module.validate(source) or Module.validate(engine, source)",
    "Native": "Native(pointer)",
    "Table": "Table(store, TableType('funcref', Limits(1)))",
    "Tag": "Tag(store, TagType(['i32']))",
    "WasmException": "WasmException(tag, [1, 2])",
}

#: By what names time is limited elsewhere.
_TIMES = ("deadline", "max_time", "seconds", "time_limit", "timeout")

#: Names that are no slips of the pen in a call that has no such parameter: they mean something in this API.
_NO_SLIPS = ("engine", "linker", "module", "store")


def shown(value: object) -> str:
    """The class of a value, and the value itself where it is a plain one; cut where it is long."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    if not isinstance(value, _PLAIN):
        return name
    if isinstance(value, int) and value.bit_length() > 128:
        return f"{name} of {value.bit_length()} bits"
    # Cut first: what is given may be a whole file.
    short = value[: _LONGEST + 1] if isinstance(value, (str, bytes)) else value
    text = repr(short)
    return f"{name} {text}" if len(text) <= _LONGEST else f"{name} {text[: _LONGEST - 3]}..."


def number(value: int) -> str:
    """An int as a message shows it: in full, unless it is longer than any that makes sense here."""
    return str(int(value)) if value.bit_length() <= 128 else f"a number of {value.bit_length()} bits"


def wrong(where: str, parameter: str, expected: str, given: object, advice: str = "") -> TypeError:
    """The error for an argument of the wrong type: ``Store: engine has to be an Engine, not int 3``."""
    if given is ... and where in _WRITTEN:
        return TypeError(f"{where}: {parameter} is missing: write {_WRITTEN[where]}")
    advice = advice or _advice(expected, given)
    return TypeError(f"{where}: {parameter} has to be {expected}, not {shown(given)}{advice and f' ({advice})'}")


def _advice(expected: str, given: object) -> str:
    """How to get what was expected from what was given instead, where that is a known mix-up."""
    name = type(given).__name__
    wanted = expected.split()[-1]
    if isinstance(given, type):
        return f"make one: {given.__name__}(...)" if given.__name__ == wanted else ""
    if wanted == "Engine":
        if name == "Config":
            return "Engine(config) makes one"
        return "its attribute engine is one" if name in ("Store", "Module", "Linker") else ""
    if wanted == "Store":
        if name == "Engine":
            return "Store(engine) makes one"
        return "its attribute store is one" if name in ("Instance", "Func", "Memory", "Table", "Global", "Tag") else ""
    if wanted == "Module":
        if name == "Instance":
            return "its attribute module is one"
        return (
            "Module(engine, source) makes one"
            if isinstance(given, (str, bytes)) or hasattr(given, "__fspath__")
            else ""
        )
    if wanted == "FuncType" and isinstance(given, (list, tuple, str)):
        return "FuncType(['i32'], []) makes one"
    if wanted == "Limits" and isinstance(given, (int, list, tuple)):
        return "Limits(minimum, maximum) makes one"
    if wanted in ("MemoryType", "TableType") and name in ("int", "Limits"):
        return (
            "MemoryType(Limits(1)) makes one" if wanted == "MemoryType" else "TableType('funcref', Limits(1)) makes one"
        )
    if wanted == "TagType" and (name == "FuncType" or isinstance(given, (list, tuple))):
        return "TagType(['i32']) makes one"
    if wanted == "GlobalType" and name in ("str", "ValType"):
        return "GlobalType('i32', mutable=True) makes one"
    return ""


def whole(where: str, parameter: str, what: str, value: object) -> int:
    """An int that is given as such or as what counts like one, but is no bool.

    Args:
        what: the thing that is counted, for the message: "a number of pages".

    Raises:
        TypeError: it is something else.
    """
    from _operator import index

    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{where}: {parameter} has to be {what}, an int, not {shown(value)}")
    return index(value)  # type: ignore[arg-type]  # looked at above


def growth(kind: str, what: str, delta: object) -> int:
    """How much a memory or a table is to grow by.

    Args:
        kind: the name of its class.
        what: the things that are counted: "pages".

    Raises:
        TypeError: ``delta`` is no int.
        ValueError: it is negative.
    """
    count = whole(f"{kind}.grow", "delta", f"a number of {what}", delta)
    if count < 0:
        raise ValueError(f"a {kind.lower()} cannot shrink: {kind}.grow takes 0 {what} or more, not {number(count)}")
    return count


def unknown_keywords(where: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """The error for keywords that there are none of, with the nearest that there are."""
    from .names import hint

    first, *_ = given
    known = list(known)
    advice = _elsewhere(where, first, known)
    advice = advice or (first not in _NO_SLIPS and hint(first, known)) or f"; there are {', '.join(known)}"
    return TypeError(f"{where} has no parameter {first[:_LONGEST]!r}{advice}")


def _elsewhere(where: str, name: str, known: list[str]) -> str:
    """Where a guest is limited by what somebody wants to give here, if it is a limit of another kind."""
    if name in _TIMES:
        return ": time is limited by a with statement around it, with vibewasm.deadline(seconds):"
    if name in ("fuel", "max_fuel") and "fuel" not in known:
        return ": Config(fuel=True) has code count fuel, and store.fuel = amount gives some"
    if name in ("inherit_stdout", "inherit_stderr") and where == "WasiConfig":
        stream = name.removeprefix("inherit_")
        return (
            f": write {stream}={1 if stream == 'stdout' else 2}, the process's own; by default it is where print writes"
        )
    from .limits import LIMITS

    if name not in LIMITS and name != "limits":
        return ""
    limits = f"limits=ResourceLimits({'...' if name == 'limits' else f'{name}=...'})"
    return f": write {'Store(engine, ' if where == 'Store' else 'Config('}{limits})"


def misfit(
    error: TypeError, function: Callable[..., object], count: int, label: str, takes_caller: bool = False
) -> TypeError:
    """What an error becomes that the call of a Python function with ``count`` arguments raised, without coming to the
    function's first line: one that names the import, if it is because the function does not take so many arguments.

    Args:
        label: how messages have the import, its names escaped.
        takes_caller: whether the function was given its caller before the arguments.
    """
    import inspect

    try:
        signature = inspect.signature(function)
    except Exception:
        # Some functions of C do not say what they take, and an object's class may do anything when it is asked.
        error.add_note(f"in the call of the Python function for {label}")
        return error
    try:
        signature.bind(*[None] * (count + takes_caller))
    except TypeError:
        from .counting import counted

        arguments = counted(count, "argument")
        if takes_caller:
            arguments = f"its caller and {arguments}" if count else "its caller"
        better = TypeError(f"{label}: the Python function for it cannot be called with {arguments}: {error}")
        better.__cause__ = error
        return better
    return error


def uncopyable(item: object) -> TypeError:
    """The error for copying or pickling what belongs to this process, since it stands for memory of it."""
    for cls in type(item).__mro__:
        instead = _INSTEAD_OF_A_COPY.get(cls.__name__)
        if instead is not None:
            break
    else:
        instead = "make another one"
    name = type(item).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    return TypeError(f"{article} {name} cannot be copied or pickled, because it belongs to this process: {instead}")
