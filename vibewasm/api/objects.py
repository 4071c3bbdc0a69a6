"""Python objects as modules: public methods become imports. Loaded only where one is given for a module."""

from __future__ import annotations

import sys
from functools import singledispatchmethod
from types import ClassMethodDescriptorType, MethodDescriptorType, ModuleType, WrapperDescriptorType

from .extern import Extern
from .instance import Exports, Instance
from .linker import full_name
from .module import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from ..types import FuncType

    Method = TypeVar("Method", bound=Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any])

#: The attribute of a method that has the name which :func:`import_name` gave it.
_NAME = "__vibewasm_import_name__"
#: How C defines methods. Those of ``dict`` are nothing that a class which is derived from it wants to offer.
_OF_C = (MethodDescriptorType, ClassMethodDescriptorType, WrapperDescriptorType)
#: Py_TPFLAGS_HEAPTYPE: a class that a class statement made, and no static one of C. Its ``__module__`` does not tell:
#: it is "builtins" too where the code that made the class has no ``__name__``.
_MADE = 1 << 9


class MethodImport:
    """What a method is as an import.

    Attributes:
        function: the method, bound to its object.
        method: its class and name, for messages.
        type: what its annotations say, or ``None``: that of the import.
        caller: whether it takes its caller first.
    """

    __slots__ = ("caller", "function", "method", "type")

    def __init__(self, function: Callable[..., Any], method: str, type: FuncType | None, caller: bool) -> None:
        self.function = function
        self.method = method
        self.type = type
        self.caller = caller


def import_name(name: str) -> Callable[[Method], Method]:
    """A decorator for methods of an object that :meth:`Linker.define_object` defines: the name of the import, where it
    is not that of the method, as where it is no Python identifier, or a keyword::

        class Log:
            @vibewasm.import_name("print-line")
            def print_line(self, caller: vibewasm.Caller, address: int, size: int) -> None: ...

    A method with such a name is an import even if its own begins with an underscore. Methods that override it keep the
    name, unless they have another one.

    Raises:
        TypeError: ``name`` is no str, or what is decorated is no method, or has a name already.
    """
    if not isinstance(name, str):
        from ..arguments import wrong

        advice = "write import_name('name') above the method" if callable(name) else ""
        raise wrong("import_name", "name", "a str", name, advice)

    def mark(method: Method) -> Method:
        given: object = method
        if isinstance(given, type) or not (callable(given) or isinstance(given, classmethod)):
            from ..arguments import wrong

            raise wrong("import_name", "what is decorated", "a method", given)
        if _marked(given) is not None:
            called = getattr(given, "__name__", type(given).__name__)
            raise TypeError(f"import_name: {called} has the name {_marked(given)!r} already")
        try:
            setattr(given, _NAME, name)
        except AttributeError:
            # A function of C, a bound method, or an object with slots.
            from ..arguments import wrong

            advice = "write a method that calls it"
            raise wrong("import_name", "what is decorated", "a method", given, advice) from None
        return method

    return mark


def methods(module: str, object: object) -> dict[str, MethodImport]:
    """What :meth:`Linker.define_object` says, by the names of the imports; nothing where an object has no such methods.

    Raises:
        TypeError: a method cannot be an import.
    """
    cls = type(object)
    found: dict[str, MethodImport] = {}
    if isinstance(object, ModuleType) or instead(object):
        return found
    for attribute, raw in _attributes(cls).items():
        renamed = _renamed(cls, attribute)
        if renamed is None and attribute.startswith("_"):
            continue
        name = attribute if renamed is None else renamed
        method = f"{cls.__name__}.{attribute}"
        if _is(raw, (singledispatchmethod,)):
            raise TypeError(f"{method}: {full_name(module, name)} cannot be one of several functions: {_ONE_TYPE}")
        if not _is_method(raw):
            if renamed is not None:
                shown = full_name(module, name)
                raise TypeError(f"{method} overrides a method that is the import {shown}, and is none")
            continue
        other = found.get(name)
        if other is not None:
            raise TypeError(f"{method} and {other.method} are both the import {full_name(module, name)}")
        found[name] = _import(object, attribute, method, full_name(module, name))
    return found


def instead(object: object) -> str:
    """What to do with what is no object of :meth:`Linker.define_object`, if there is something."""
    return next((advice for other, advice in _NO_OBJECTS.items() if isinstance(object, other)), "")


_NO_OBJECTS: dict[type, str] = {
    Instance: "define_instance defines its exports",
    Exports: "define_instance defines its exports",
    Module: "define_module defines its exports",
    Extern: "define defines it",
    type: "give an object of it",
}

#: Why one import is not several functions.
_ONE_TYPE = "an import has one type; give each function a name of its own"


def _attributes(cls: type) -> dict[str, object]:
    """What a class and its bases define, bases first, in the order of lines; nothing that Python itself defines."""
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        if not base.__flags__ & _MADE:
            # As str.maketrans, which a class that is derived from str need not offer.
            continue
        found.update(vars(base))
    return found


def _is(raw: object, classes: tuple[type, ...]) -> bool:
    """As isinstance(), of what may answer to ``__class__`` with anything, or raise."""
    return issubclass(type(raw), classes)


def _marked(raw: object) -> str | None:
    """The name that a method was given."""
    while True:
        try:
            name = getattr(raw, _NAME, None)
        except Exception:
            # Another class attribute, as a proxy of what is not there now: import_name has not named it.
            return None
        if isinstance(name, str):
            return name
        if not _is(raw, (staticmethod, classmethod)):
            # Another class attribute, which may answer to any name.
            return None
        raw = raw.__func__  # type: ignore[attr-defined]


def _renamed(cls: type, attribute: str) -> str | None:
    """The name that a method was given, or one that it overrides."""
    for base in cls.__mro__:
        if attribute in vars(base):
            name = _marked(vars(base)[attribute])
            if name is not None:
                return name
    return None


def _is_method(raw: object) -> bool:
    """Whether this is called as a method of the object. Properties are not looked at, classes in classes not made."""
    if _is(raw, (staticmethod, classmethod)):
        return not _is(raw.__func__, (type,))  # type: ignore[attr-defined]
    if _is(raw, (type, property, *_OF_C)):
        return False
    # A partialmethod cannot be called, but what it gives can.
    return callable(raw) or hasattr(type(raw), "_make_unbound_method")


def _import(object: object, attribute: str, method: str, shown: str) -> MethodImport:
    """One method as an import."""
    function = getattr(object, attribute)
    if not callable(function):
        from ..arguments import shown as described

        raise TypeError(f"{method}, the import {shown}, is no method of this object, but {described(function)}")
    if "typing" in sys.modules and sys.modules["typing"].get_overloads(getattr(function, "__func__", function)):
        raise TypeError(f"{method} is overloaded, and cannot be {shown}: {_ONE_TYPE}")
    from .annotations import annotated_type, takes_caller

    label = f"{method}, the import {shown}"
    caller = takes_caller(function, label)
    return MethodImport(function, method, annotated_type(function, 1 if caller else 0, label), caller)
