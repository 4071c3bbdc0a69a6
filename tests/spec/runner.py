"""Runs the commands of one script against an engine, and counts.

The runner knows scripts; the engine behind it is an `Adapter`. A script goes on after a failure, so that the counts
always add up to the number of its assertions.

What the engine refuses because it takes a proposal that is not built is no failure: it needs that proposal, and so does
what comes later and uses what could not be made, under whatever name.
"""

from __future__ import annotations

import threading
from collections import Counter
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
    """What the runner asks of an engine. One adapter serves one thread of a script: it holds that thread's store."""

    def assemble(self, text: bytes) -> bytes:
        """The binary module of a text; raises what the engine raises."""

    def check(self, data: bytes) -> object:
        """Validates all of a module, bodies included; raises what the engine raises."""

    def compile(self, data: bytes) -> Module:
        """Makes a module as the mode under test does."""

    def instantiate(self, module: Module) -> Instance:
        """Links `module` with the registered instances and the `spectest` host module, and instantiates it."""

    def imports(self, module: Module) -> set[str]:
        """The names of the modules that `module` imports from."""

    def register(self, name: str, instance: Instance) -> None:
        """Makes an instance's exports importable under `name`."""

    def invoke(self, instance: Instance, name: str, arguments: list[Value]) -> list[Value]:
        """Calls an exported function."""

    def get(self, instance: Instance, name: str) -> Value:
        """Reads an exported global."""

    def classify(self, error: Exception) -> tuple[Kind, str]:
        """Which of the suite's kinds of failure an exception is, and the message without location."""

    def needs(self, error: Exception) -> str | None:
        """The proposal for want of which the engine raised an exception, or None if that is not the reason."""

    def for_thread(self) -> Adapter:
        """An adapter for one of the script's threads, in which nothing is registered."""

    def share(self, instance: Instance) -> Instance:
        """Makes an instance of another thread's adapter one of this adapter; raises `Needs` where that cannot be."""


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
    """Counts of one script: `passed`, `failed` and those in `needs` are assertions and add up.

    `needs` counts by proposal the assertions that need one which is not built, and `waiting` the other commands that
    do; `refused` counts those of the passed assertions that a module is invalid where the proposal is why. `broken`
    counts commands that are no assertions (modules, invocations) and failed; `failures` has one entry for each failed
    or broken command.
    """

    __slots__ = ("broken", "failed", "failures", "needs", "passed", "refused", "waiting")

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.broken = 0
        self.needs: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failures: list[Failure] = []

    @property
    def assertions(self) -> int:
        return self.passed + self.failed + self.needs.total()

    @property
    def ok(self) -> bool:
        return not self.failures

    @property
    def proposals(self) -> set[str]:
        """The proposals that something in the script needs and that are not built."""
        return {*self.needs, *self.waiting}

    def add(self, other: Outcome) -> None:
        """Adds the counts and the failures of `other`."""
        self.passed += other.passed
        self.failed += other.failed
        self.broken += other.broken
        self.needs += other.needs
        self.waiting += other.waiting
        self.refused += other.refused
        self.failures += other.failures

    def count_needed(self, form: list[Node], feature: str) -> None:
        """Counts a command that needs a proposal, and those inside it where it is a thread."""
        if form[0] == "thread":
            for inner in commands_of_thread(form):
                self.count_needed(inner, feature)
        (self.needs if is_assertion(form) else self.waiting)[feature] += 1


class Unmet(Exception):
    """An expectation that was not met: what was expected, and what came instead."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got


class Needs(Exception):
    """What was asked for takes a proposal that the engine has not built."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"it needs {feature}, which is not built")
        self.feature = feature


class Missing(NamedTuple):
    """Stands where a module or an instance would: it could not be made, perhaps for want of a proposal."""

    feature: str | None


class _Group:
    """Instances that share state by way of imports; `members` keeps them alive, as they are looked up by identity.

    `lacks` names the proposal without which something that would have changed their state did not run: what is unmet
    after that says nothing about the engine.
    """

    __slots__ = ("lacks", "members")

    def __init__(self, *members: Instance) -> None:
        self.lacks: str | None = None
        self.members = list(members)


def is_assertion(form: list[Node]) -> bool:
    """Whether a command counts as an assertion."""
    return isinstance(form[0], str) and form[0].startswith("assert_")


def count_assertions(forms: list[list[Node]]) -> int:
    """How many assertions the commands of a script make, those of its threads included."""
    return sum(
        count_assertions(commands_of_thread(form)) if form[0] == "thread" else is_assertion(form) for form in forms
    )


def commands_of_thread(form: list[Node]) -> list[list[Node]]:
    """The commands inside `(thread $NAME (shared …) COMMAND …)`."""
    return [inner for inner in form[1:] if isinstance(inner, list) and inner[0] != "shared"]


def run_script(text: str, adapter: Adapter, progress: Callable[[int], object] = lambda line: None) -> Outcome:
    """Runs all commands of a script. `progress` is told the line of each command before it runs."""
    run = _Run(adapter)
    for line, form in sexpr.read(text):
        progress(line)
        run.step(line, form)
    run.end()
    return run.outcome


class _Run:
    """The state of a script, or of one of its threads: modules and instances by name. Under None stands the latest.

    `data` are the bytes of the latest module seen, for reports. `unmade` has the names under which something was to be
    registered that could not be made for want of a proposal. `acting` is the instance that a command is about.
    """

    __slots__ = ("acting", "adapter", "data", "groups", "instances", "line", "modules", "outcome", "registered",
                 "threads", "unmade")  # fmt: skip

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.data = b""
        self.line = 0
        self.outcome = Outcome()
        self.modules: dict[str | None, Module | Missing] = {}
        self.instances: dict[str | None, Instance | Missing] = {}
        self.unmade: dict[str, str] = {}
        self.acting: Instance = None
        self.registered: dict[str, Instance] = {}
        self.groups: dict[int, _Group] = {}
        self.threads: dict[str, tuple[threading.Thread, _Run] | Missing] = {}

    def step(self, line: int, form: list[Node]) -> None:
        """Runs a command and counts what came of it."""
        self.line = line
        self.acting = None
        try:
            self.command(form)
        except Unmet as unmet:
            if self.acting is not None and (feature := self._group(self.acting).lacks):
                self.outcome.count_needed(form, feature)
                return
            failure = Failure(line, show(form), unmet.expected, unmet.got, self.data)
        except Exception as error:
            if feature := self._needs(error):
                if self.acting is not None:
                    self._group(self.acting).lacks = feature
                self.outcome.count_needed(form, feature)
                return
            failure = Failure(line, show(form), "no error", _show_error(error), self.data)
        else:
            self.outcome.passed += is_assertion(form)
            return
        self.outcome.failures.append(failure)
        if is_assertion(form):
            self.outcome.failed += 1
        else:
            self.outcome.broken += 1

    def end(self) -> None:
        """Waits for threads for which the script has not."""
        for name in list(self.threads):
            if not isinstance(self.threads[name], Missing):
                self._wait(name)

    def command(self, form: list[Node]) -> None:
        match form:
            case ["module", "instance", *names]:
                name, of = map(_name, [*names, None, None][:2])
                self._bind(name, lambda: self._instantiate(of))
            case ["module", "definition", *rest]:
                self._define(rest)
            case ["module", *rest]:
                self._bind(self._parts(rest)[0], lambda: self._instantiate(self._define(rest)))
            case ["register", bytes(name), *of]:
                self._register(name.decode(), of)
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
                self._assert_fails(lambda: self._make(rest), "unlinkable", b"")
            case [("assert_invalid" | "assert_invalid_custom"), ["module", *rest], bytes(_)]:
                self._assert_fails(lambda: self._check(rest), "invalid", b"")
            case [("assert_malformed" | "assert_malformed_custom"), ["module", *rest], bytes(_)]:
                self._assert_fails(lambda: self._check(rest), "malformed", b"")
            case ["thread", str(name), *_]:
                self._thread(name, form)
            case ["wait", str(name)]:
                self._wait(name)
            case _:
                raise ValueError(f"the runner does not know the command {show(form)}")

    # -- modules and instances -------------------------------------------------------------------------------------

    def _needs(self, error: Exception) -> str | None:
        """The proposal for want of which something failed."""
        return error.feature if isinstance(error, Needs) else self.adapter.needs(error)

    def _check(self, rest: list[Node]) -> None:
        self._read(rest)
        self.adapter.check(self.data)

    def _define(self, rest: list[Node]) -> str | None:
        """Makes a module; gives its name."""
        name, _ = self._parts(rest)
        try:
            module = self._compile(rest)
        except Exception as error:
            self.modules[None] = self.modules[name] = Missing(self._needs(error))
            raise
        self.modules[None] = self.modules[name] = module
        return name

    def _parts(self, rest: list[Node]) -> tuple[str | None, list[Node]]:
        """Name and contents of what follows `module` or `module definition`."""
        if rest[:1] == ["definition"]:
            rest = rest[1:]
        if rest and isinstance(rest[0], str) and rest[0].startswith("$"):
            return rest[0], rest[1:]
        return None, rest

    def _compile(self, rest: list[Node]) -> Module:
        """The module that follows `module` or `module definition`."""
        try:
            self._read(rest)
            return self.adapter.compile(self.data)
        except Exception as error:
            if feature := self._needs(error):
                # It would have changed what it imports, which the instances that have that go without from now on.
                written = b"".join(part for part in self._parts(rest)[1] if isinstance(part, bytes))
                for name, instance in self.registered.items():
                    if name.encode() in written:
                        self._group(instance).lacks = feature
            raise

    def _read(self, rest: list[Node]) -> None:
        """Sets `data` to the module that follows `module`: a binary, or a quotation to be assembled."""
        _, parts = self._parts(rest)
        if parts[:1] not in (["binary"], ["quote"]):
            raise ValueError("the module is neither a binary nor a quotation: see tests.wat.scripts.quoted")
        data = b""
        for part in parts[1:]:
            if not isinstance(part, bytes):
                raise ValueError(f"{show(part)} among the strings of a module")
            data += part
        self.data = data
        if parts[0] == "quote":
            self.data = self.adapter.assemble(data)

    def _bind(self, name: str | None, make: Callable[[], Instance]) -> None:
        """Makes an instance and gives it its name; nothing earlier stands in for one that could not be made."""
        try:
            instance = make()
        except Exception as error:
            self.instances[None] = self.instances[name] = Missing(self._needs(error))
            raise
        self.instances[None] = self.instances[name] = instance

    def _make(self, rest: list[Node]) -> Instance:
        """An instance that gets no name, as that of an assertion about a module: the latest one remains that."""
        if rest[:1] == ["instance"]:
            return self._instantiate(_name([*rest[1:], None, None][1]))
        return self._link(self._compile(rest))

    def _instantiate(self, name: str | None) -> Instance:
        return self._link(_made(self.modules.get(name), "a module"))

    def _link(self, module: Module) -> Instance:
        imports = self.adapter.imports(module)
        group = _Group()
        for name in imports & self.registered.keys():
            self._join(self._group(self.registered[name]), group)
        try:
            instance = self.adapter.instantiate(module)
        except Exception as error:
            if self.adapter.classify(error)[0] == "unlinkable":
                for name in sorted(imports & self.unmade.keys()):
                    raise Needs(self.unmade[name]) from error
            raise
        self._join(self._group(instance), group)
        return instance

    def _group(self, instance: Instance) -> _Group:
        return self.groups.setdefault(id(instance), _Group(instance))

    def _join(self, one: _Group, other: _Group) -> None:
        """Makes one group of two."""
        other.lacks = other.lacks or one.lacks
        other.members += one.members
        for member in one.members:
            self.groups[id(member)] = other

    def _register(self, name: str, of: list[Node]) -> None:
        try:
            instance = self._instance(of)
            self.adapter.register(name, instance)
        except Needs as needs:
            self.unmade[name] = needs.feature
            raise
        self.unmade.pop(name, None)
        self.registered[name] = instance

    def _instance(self, names: list[Node]) -> Instance:
        self.acting = _made(self.instances.get(_name(names[0]) if names else None), "an instance")
        return self.acting

    # -- threads ---------------------------------------------------------------------------------------------------

    def _thread(self, name: str, form: list[Node]) -> None:
        """Starts a thread that has what is shared with it and nothing else."""
        try:
            run = _Run(self.adapter.for_thread())
            for part in form[2:]:
                match part:
                    case ["shared", ["module", str(of)]]:
                        run.instances[of] = run.adapter.share(self._instance([of]))
        except Exception as error:
            self.threads[name] = Missing(self._needs(error))
            raise
        line = self.line

        def steps() -> None:
            for inner in commands_of_thread(form):
                run.step(line, inner)
            run.end()

        thread = threading.Thread(target=steps, name=name, daemon=True)
        self.threads[name] = thread, run
        thread.start()

    def _wait(self, name: str) -> None:
        """Waits for a thread to end, and counts what came of its commands."""
        thread, run = _made(self.threads.pop(name, None), f"a thread {name}")
        thread.join()
        self.outcome.add(run.outcome)

    # -- actions and assertions ------------------------------------------------------------------------------------

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
            case ["module", *rest]:
                self._make(rest)
                return []
        raise ValueError(f"the runner does not know the action {show(action)}")

    def _assert_return(self, action: list[Node], expected: list[Node]) -> None:
        wanted = " ".join(show(e) for e in expected) or "no result"
        try:
            got = self._action(action)
        except Unmet:
            raise
        except Exception as error:
            if self._needs(error):
                raise
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
            if feature := self._needs(error):
                if kind != "invalid" or actual_kind != "invalid":
                    raise
                # Refused as it must be, if for another reason than is meant.
                self.outcome.refused[feature] += 1
                return
            # Some scripts say which element or address it was, which an engine need not.
            same_text = actual.startswith(text) or (actual != "" and text.startswith(actual))
            if actual_kind != kind or not same_text:
                raise Unmet(wanted, f"{actual_kind}: {_show_error(error)}") from error
            return
        raise Unmet(wanted, show_values(got) if isinstance(got, list) else "success")


def _name(node: Node | None) -> str | None:
    if isinstance(node, list | bytes):
        raise ValueError(f"{show(node)} where a name is expected")
    return node


def _made(found: Any, what: str) -> Any:
    """What was looked up; raises where it could not be made."""
    if found is None or isinstance(found, Missing):
        if found is not None and found.feature:
            raise Needs(found.feature)
        raise Unmet(what, "it could not be made" if found else "there is none")
    return found


def _show_error(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]
