"""Runs the commands of one script against an engine, and counts.

The runner knows scripts; the engine behind it is an `Adapter`. A script goes on after a failure, so that the counts
always add up to the number of its assertions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from tests.spec import sexpr
from tests.spec.sexpr import Node, show
from tests.spec.values import Value, matches, parse_value, show_values

# Handles of the engine's own; the runner only passes them on.
Module: TypeAlias = Any
Instance: TypeAlias = Any

Kind: TypeAlias = Literal["malformed", "invalid", "unlinkable", "trap", "exhaustion", "exception", "other"]


class Adapter(Protocol):
    """What the runner asks of an engine. One adapter serves one script: it holds the script's store."""

    def assemble(self, text: bytes) -> bytes:
        """The binary module of a text; raises what the engine raises."""

    def check(self, data: bytes) -> object:
        """Validates all of a module, bodies included; raises what the engine raises."""

    def compile(self, data: bytes) -> Module:
        """Makes a module as the mode under test does."""

    def instantiate(self, module: Module) -> Instance:
        """Links `module` with the registered instances and the `spectest` host module, and instantiates it."""

    def register(self, name: str, instance: Instance) -> None:
        """Makes an instance's exports importable under `name`."""

    def invoke(self, instance: Instance, name: str, arguments: list[Value]) -> list[Value]:
        """Calls an exported function."""

    def get(self, instance: Instance, name: str) -> Value:
        """Reads an exported global."""

    def classify(self, error: Exception) -> tuple[Kind, str]:
        """Which of the suite's kinds of failure an exception is, and the message without location."""


class Failure(NamedTuple):
    """A command that did not do what the script expects; `module` is the one that it is about, where there is one."""

    line: int
    command: str
    expected: str
    got: str
    module: bytes = b""

    def __str__(self) -> str:
        return f"line {self.line}: {self.command}\n    expected: {self.expected}\n    got:      {self.got}"


class Outcome:
    """Counts of one script: `passed` and `failed` are assertions and add up.

    `broken` counts commands that are no assertions (modules, invocations) and failed; `failures` has one entry for each
    failed or broken command.
    """

    __slots__ = ("broken", "failed", "failures", "passed")

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.broken = 0
        self.failures: list[Failure] = []

    @property
    def assertions(self) -> int:
        return self.passed + self.failed

    @property
    def ok(self) -> bool:
        return not self.failures


class Unmet(Exception):
    """An expectation that was not met: what was expected, and what came instead."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got


def run_script(text: str, adapter: Adapter, progress: Callable[[int], object] = lambda line: None) -> Outcome:
    """Runs all commands of a script. `progress` is told the line of each command before it runs."""
    run = _Run(adapter)
    outcome = Outcome()
    for line, form in sexpr.read(text):
        progress(line)
        is_assertion = isinstance(form[0], str) and form[0].startswith("assert_")
        try:
            run.command(form)
        except Unmet as unmet:
            failure = Failure(line, show(form), unmet.expected, unmet.got, run.data)
        except Exception as error:
            failure = Failure(line, show(form), "no error", _show_error(error), run.data)
        else:
            outcome.passed += is_assertion
            continue
        outcome.failures.append(failure)
        if is_assertion:
            outcome.failed += 1
        else:
            outcome.broken += 1
    return outcome


class _Run:
    """The state of a script: its modules and instances by name. Under None stands the latest.

    `data` are the bytes of the latest module seen, for reports.
    """

    __slots__ = ("adapter", "data", "instances", "modules")

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.data = b""
        self.modules: dict[str | None, Module] = {}
        self.instances: dict[str | None, Instance] = {}

    def command(self, form: list[Node]) -> None:
        match form:
            case ["module", "instance", *names]:
                self._instantiate(names)
            case ["module", "definition", *rest]:
                self._define(rest)
            case ["module", *rest]:
                name = self._define(rest)
                self._instantiate([name, name] if name else [])
            case ["register", bytes(name), *of]:
                self.adapter.register(name.decode(), self._instance(of))
            case [("invoke" | "get"), *_]:
                self._action(form)
            case ["assert_return", list(action), *expected]:
                self._assert_return(action, expected)
            case ["assert_trap", list(action), bytes(message)]:
                self._assert_fails(lambda: self._action(action), "trap", message)
            case ["assert_exhaustion", list(action), bytes(message)]:
                self._assert_fails(lambda: self._action(action), "exhaustion", message)
            case ["assert_exception", list(action)]:
                self._assert_fails(lambda: self._action(action), "exception", b"")
            case ["assert_unlinkable", ["module", *rest], bytes(_)]:
                self._assert_fails(lambda: self.command(["module", *rest]), "unlinkable", b"")
            case [("assert_invalid" | "assert_invalid_custom"), ["module", *rest], bytes(_)]:
                self._assert_fails(lambda: self._check(rest), "invalid", b"")
            case [("assert_malformed" | "assert_malformed_custom"), ["module", *rest], bytes(_)]:
                self._assert_fails(lambda: self._check(rest), "malformed", b"")
            case _:
                raise ValueError(f"the runner does not know the command {show(form)}")

    def _check(self, rest: list[Node]) -> None:
        _, self.data = self._module_bytes(rest)
        self.adapter.check(self.data)

    def _define(self, rest: list[Node]) -> str | None:
        name, self.data = self._module_bytes(rest)
        # The latest module of a name must not stand in for one that could not be made.
        self.modules.pop(None, None)
        self.modules.pop(name, None)
        module = self.adapter.compile(self.data)
        self.modules[None] = self.modules[name] = module
        return name

    def _module_bytes(self, rest: list[Node]) -> tuple[str | None, bytes]:
        """Name and bytes of what follows `module` or `module definition`: a binary, or a quotation to be assembled."""
        name = None
        if rest[:1] == ["definition"]:
            rest = rest[1:]
        if rest and isinstance(rest[0], str) and rest[0].startswith("$"):
            name, rest = rest[0], rest[1:]
        if rest[:1] not in (["binary"], ["quote"]):
            raise ValueError("the module is neither a binary nor a quotation: see tests.wat.scripts.quoted")
        data = b""
        for part in rest[1:]:
            if not isinstance(part, bytes):
                raise ValueError(f"{show(part)} among the strings of a module")
            data += part
        return name, data if rest[0] == "binary" else self.adapter.assemble(data)

    def _instantiate(self, names: list[Node]) -> None:
        name, of = [*names, None, None][:2]
        assert not isinstance(name, list | bytes)
        assert not isinstance(of, list | bytes)
        if of not in self.modules:
            raise Unmet("a module", "it could not be made")
        self.instances.pop(None, None)
        self.instances.pop(name, None)
        instance = self.adapter.instantiate(self.modules[of])
        self.instances[None] = self.instances[name] = instance

    def _instance(self, names: list[Node]) -> Instance:
        name = names[0] if names else None
        assert not isinstance(name, list | bytes)
        if name not in self.instances:
            raise Unmet("an instance", "it could not be made")
        return self.instances[name]

    def _action(self, action: list[Node]) -> list[Value]:
        match action:
            case ["invoke", str(of), bytes(name), *arguments]:
                return self.adapter.invoke(self._instance([of]), name.decode(), [parse_value(a) for a in arguments])
            case ["invoke", bytes(name), *arguments]:
                return self.adapter.invoke(self._instance([]), name.decode(), [parse_value(a) for a in arguments])
            case ["get", str(of), bytes(name)]:
                return [self.adapter.get(self._instance([of]), name.decode())]
            case ["get", bytes(name)]:
                return [self.adapter.get(self._instance([]), name.decode())]
            case ["module", *_]:
                self.command(action)
                return []
        raise ValueError(f"the runner does not know the action {show(action)}")

    def _assert_return(self, action: list[Node], expected: list[Node]) -> None:
        wanted = " ".join(show(e) for e in expected) or "no result"
        try:
            got = self._action(action)
        except Unmet:
            raise
        except Exception as error:
            raise Unmet(wanted, _show_error(error)) from error
        if len(got) != len(expected) or not all(map(matches, expected, got)):
            raise Unmet(wanted, show_values(got))

    def _assert_fails(self, action: Callable[[], object], kind: Kind, message: bytes) -> None:
        text = message.decode()
        wanted = f"{kind} {text!r}" if text else kind
        try:
            got = action()
        except Unmet:
            raise
        except Exception as error:
            actual_kind, actual = self.adapter.classify(error)
            # Some scripts say which element or address it was, which an engine need not.
            same_text = actual.startswith(text) or (actual != "" and text.startswith(actual))
            if actual_kind != kind or not same_text:
                raise Unmet(wanted, f"{actual_kind}: {_show_error(error)}") from error
            return
        raise Unmet(wanted, show_values(got) if isinstance(got, list) else "success")


def _show_error(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]
