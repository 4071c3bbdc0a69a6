"""Python objects as modules: their public methods are imports."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, overload

import pytest

import vibewasm as vw
from vibewasm.api.objects import methods


class Counter:
    """State, every kind of attribute, and methods of each sort."""

    limit = 100

    def __init__(self) -> None:
        self.count = 0

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count

    @property
    def looked_at(self) -> int:
        raise AssertionError("properties are not looked at")

    @functools.cached_property
    def kept(self) -> int:
        raise AssertionError("properties are not looked at")

    def _private(self) -> None:
        pass

    def __call__(self) -> None:
        pass

    class Inner:
        pass


def text(name: str, params: str = "", result: str = "", module: str = "counter") -> str:
    """A module with one import, which its export ``go`` calls with what it is given."""
    arguments = " ".join(f"(local.get {index})" for index in range(len(params.split())))
    type_ = (f"(param {params})" if params else "") + (f"(result {result})" if result else "")
    return (
        f'(module (import "{module}" "{name}" (func $f {type_})) (memory 1) (data (i32.const 8) "hello")'
        f'(func (export "go") {type_} (call $f {arguments})))'
    )


def go(object: object, *arguments: object, name: str, params: str = "", result: str = "") -> Any:
    return vw.instantiate(text(name, params, result), {"counter": object}).exports.go(*arguments)


def linked(linker: vw.Linker, source: str) -> Any:
    return linker.instantiate(vw.Store(), vw.Module(source))


def test_methods_are_imports_and_the_object_keeps_state() -> None:
    counter, other = Counter(), Counter()
    module = vw.Module(text("add", "i32", "i32"))
    first, second = (vw.instantiate(module, {"counter": counter}) for _ in range(2))
    third = vw.instantiate(module, {"counter": other})
    assert [first.exports.go(2), second.exports.go(3), third.exports.go(10)] == [2, 5, 10]
    linker = vw.Linker()
    linker.define_object("counter", counter)
    assert linker.instantiate(vw.Store(), module).exports.go(1) == 6
    assert (counter.count, other.count) == (6, 10)


def test_only_public_methods_are_imports() -> None:
    assert list(methods("counter", Counter())) == ["add"]


def test_the_object_may_be_callable_and_have_attributes_of_its_own() -> None:
    counter: Any = Counter()
    counter.callback = print
    assert list(methods("counter", counter)) == ["add"]


def test_static_class_and_partial_methods_are_methods() -> None:
    class Kinds:
        @staticmethod
        def one(x: int) -> int:
            return x + 1

        @classmethod
        def two(cls, x: int) -> int:
            assert cls is Kinds
            return x + 2

        def plus(self, more: int, x: int) -> int:
            return x + more

        three = functools.partialmethod(plus, 3)

        @functools.lru_cache(maxsize=2)  # noqa: B019 - a method that is no function
        def four(self, x: int) -> int:
            assert isinstance(self, Kinds)
            return x + 4

    assert list(methods("counter", Kinds())) == ["one", "two", "plus", "three", "four"]
    for more, name in enumerate(("one", "two", "three", "four"), 1):
        assert go(Kinds(), 10, name=name, params="i32", result="i32") == 10 + more


def test_methods_of_bases_count_and_overriding_does() -> None:
    class Twice(Counter):
        def add(self, amount: int) -> int:
            return super().add(2 * amount)

        def reset(self) -> None:
            self.count = 0

    assert list(methods("counter", Twice())) == ["add", "reset"]
    assert go(Twice(), 4, name="add", params="i32", result="i32") == 8

    class Without(Counter):
        add = None  # type: ignore[assignment]

        def other(self) -> None:
            pass

    assert list(methods("counter", Without())) == ["other"]


def test_methods_of_pythons_own_classes_do_not_count() -> None:
    class Words(list[str]):
        def size(self) -> int:
            return len(self)

    class Text(str):
        __slots__ = ()

        def first(self) -> int:
            return ord(self[0])

    assert list(methods("counter", Words())) == ["size"]
    assert list(methods("counter", Text("abc"))) == ["first"]
    linker = vw.Linker()
    linker.define_object("counter", Words("abc"))
    assert linked(linker, text("size", "", "i32")).exports.go() == 3


def test_a_class_may_be_made_by_code_without_a_module() -> None:
    names: dict[str, Any] = {}
    exec("class Bare:\n    def one(self): return 1", names)
    assert names["Bare"].__module__ == "builtins"
    assert go(names["Bare"](), name="one", result="i32") == 1


def test_annotations_give_types() -> None:
    class Typed:
        def half(self, x: i64) -> f64:  # type: ignore[name-defined]  # noqa: F821 - wasm types
            return x / 2

    assert go(Typed(), 5, name="half", params="i64", result="f64") == 2.5
    linker, store = vw.Linker(), vw.Store()
    linker.define_object("counter", Typed())
    linker.define_object("untyped", Counter())
    assert linker.get(store, "counter", "half").type == vw.FuncType(["i64"], ["f64"])
    with pytest.raises(vw.LinkError, match=r"counter\.half = Typed\.half: it is a \(i64\) -> f64, not a \(i32\)"):
        go(Typed(), name="half", params="i32", result="f64")
    with pytest.raises(vw.LinkError, match=r"untyped\.add gets its type from the import"):
        linker.get(store, "untyped", "add")


def test_a_method_whose_first_parameter_is_a_caller_is_given_it() -> None:
    class Readers:
        def named(self, caller: vw.Caller, address: int, size: int) -> int:
            return len(caller.read_str(address, size))

        @staticmethod
        def static(caller: "vw.Caller", address: int, size: int) -> int:  # noqa: UP037 - source code in source code
            return caller.read(address, size).count(b"l")

        def typed(self, caller: vw.Caller, address: i32, size: i32) -> i32:  # type: ignore[name-defined]  # noqa: F821
            return caller.memory[address] + size

        def none(self, caller: int, size: int) -> int:
            return caller + size

    for name, result in (("named", 5), ("static", 2), ("typed", ord("h") + 5), ("none", 13)):
        assert go(Readers(), 8, 5, name=name, params="i32 i32", result="i32") == result

    class Late:
        def wrong(self, address: int, caller: vw.Caller) -> None:
            pass

    with pytest.raises(TypeError, match=r"Late\.wrong, the import counter\.wrong: parameter 'caller' is annotated as"):
        vw.Linker().define_object("counter", Late())


def test_a_decorated_function_is_given_its_caller_by_the_same_rule() -> None:
    linker = vw.Linker()

    @linker.function("counter")
    def size(caller: vw.Caller) -> int:
        return caller.memory.size

    @linker.function("counter", caller=False)
    def no(caller: vw.Caller) -> int:
        return caller  # type: ignore[return-value]

    assert linked(linker, text("size", "", "i32")).exports.go() == 65536
    assert linked(linker, text("no", "i32", "i32")).exports.go(3) == 3


def test_imports_may_have_names_that_are_no_identifiers() -> None:
    class Named:
        @vw.import_name("print-line")
        def print_line(self) -> int:
            return 1

        @vw.import_name("")
        def nothing(self) -> int:
            return 2

        @vw.import_name("__call")
        def _call(self) -> int:
            return 3

        @staticmethod
        @vw.import_name("a b")
        def static(*, unused: int = 0) -> int:
            return 4

        @vw.import_name("class")
        @classmethod
        def made(cls) -> int:
            return 5

    class Derived(Named):
        def print_line(self) -> int:
            return 10

        @vw.import_name("void")
        def nothing(self) -> int:
            return 20

    def results(object: object) -> dict[str, int]:
        return {name: go(object, name=name, result="i32") for name in methods("counter", object)}

    assert results(Named()) == {"print-line": 1, "": 2, "__call": 3, "a b": 4, "class": 5}
    assert results(Derived()) == {"print-line": 10, "void": 20, "__call": 3, "a b": 4, "class": 5}


def test_names_that_cannot_be_are_refused() -> None:
    class Both:
        @vw.import_name("one")
        def first(self) -> None:
            pass

        def one(self) -> None:
            pass

    class Named:
        @vw.import_name("one")
        def first(self) -> None:
            pass

    class Hidden(Named):
        first = property()

    with pytest.raises(TypeError, match=r"^Both\.one and Both\.first are both the import counter\.one$"):
        methods("counter", Both())
    with pytest.raises(TypeError, match=r"^Hidden\.first overrides a method that is the import counter\.one, and is"):
        methods("counter", Hidden())
    with pytest.raises(TypeError, match=r"import_name: name has to be a str, .*\(write import_name\('name'\) above"):
        vw.import_name(print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"import_name: name has to be a str, not int 3"):
        vw.import_name(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"import_name: what is decorated has to be a method, not int 3"):
        vw.import_name("a")(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"import_name: first has the name 'one' already"):
        vw.import_name("two")(Named.first)


def test_one_import_is_not_several_functions() -> None:
    class Dispatched:
        @functools.singledispatchmethod
        def show(self, x: int) -> None:
            pass

    class Overloaded:
        @overload
        def show(self, x: int) -> int: ...
        @overload
        def show(self, x: float) -> float: ...
        def show(self, x: float) -> float:
            return x

    for object in (Dispatched(), Overloaded()):
        with pytest.raises(TypeError, match=rf"^{type(object).__name__}\.show.* counter\.show.* has one type"):
            vw.instantiate("(module)", {"counter": object})


NO_OBJECTS: list[tuple[Callable[[], object], str]] = [
    (lambda: Counter, r"not the class Counter \(give an object of it\)"),
    (lambda: 3, "not int 3"),
    (lambda: "x", "not str 'x'"),
    (lambda: object(), "not object"),
    (lambda: print, "not builtin_function_or_method"),
    (lambda: asyncio, "not module"),
    (lambda: None, "not None"),
    (lambda: vw.instantiate("(module)"), r"not Instance \(define_instance defines its exports\)"),
    (lambda: vw.instantiate("(module)").exports, r"not Exports \(define_instance defines its exports\)"),
    (lambda: vw.Module("(module)"), r"not Module \(define_module defines its exports\)"),
    (lambda: vw.Memory(vw.Store(), vw.MemoryType(vw.Limits(1))), r"not Memory \(define defines it\)"),
]


@pytest.mark.parametrize(("make", "message"), NO_OBJECTS)
def test_what_has_no_methods_to_offer_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=rf"^Linker\.define_object: object has to be an object with .*, {message}"):
        vw.Linker().define_object("counter", make())


def test_nothing_is_defined_if_one_name_is_taken() -> None:
    class Two:
        def first(self) -> int:
            return 1

        def add(self) -> int:
            return 2

    linker = vw.Linker()
    linker.define_object("counter", Counter())
    with pytest.raises(vw.LinkError, match=r"counter\.add is defined already"):
        linker.define_object("counter", Two())
    with pytest.raises(vw.LinkError, match=r"unknown import: counter\.first"):
        linked(linker, text("first", "", "i32"))
    linker.allow_shadowing = True
    linker.define_object("counter", Two())
    assert linked(linker, text("add", "", "i32")).exports.go() == 2
    with pytest.raises(TypeError, match=r"Linker\.define_object: module has to be a str, not int 2"):
        linker.define_object(2, Two())  # type: ignore[arg-type]


def test_errors_name_class_method_and_import() -> None:
    class Faulty(Counter):
        def two(self, a: int, b: int) -> int:
            raise ValueError("its own")

        def words(self) -> Any:
            return "x"

        def half(self, x: "i32", y: int) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
            pass

    class Untyped(Faulty):
        half = None  # type: ignore[assignment]

    with pytest.raises(TypeError, match=r"^Faulty\.half, the import counter\.half: parameter 'y' is not annotated"):
        go(Faulty(), name="two")
    with pytest.raises(TypeError, match=r"counter\.two = Untyped\.two\(i32\) -> \(\): .* cannot be called with"):
        go(Untyped(), 1, name="two", params="i32")
    with pytest.raises(TypeError, match=r"counter\.words = Untyped\.words\(\) -> i32: result 1 wants an int"):
        go(Untyped(), name="words", result="i32")
    with pytest.raises(ValueError, match=r"^its own"):
        go(Untyped(), 1, 2, name="two", params="i32 i32", result="i32")
    with pytest.raises(vw.LinkError, match=r"unknown import: counter\.ad .*did you mean 'counter\.add'"):
        go(Counter(), name="ad")


def test_an_annotation_may_be_known_to_type_checkers_alone() -> None:
    class Readers:
        def size(self, caller: Caller) -> int:  # type: ignore[name-defined]  # noqa: F821 - that is the point
            return len(caller.memory)

    assert go(Readers(), name="size", result="i32") == 65536


def test_a_method_may_be_a_coroutine_function() -> None:
    class Waiting:
        async def later(self, x: int) -> int:
            await asyncio.sleep(0)
            return x + 1

    instance = vw.instantiate(text("later", "i32", "i32"), {"counter": Waiting()})
    assert asyncio.run(instance.exports.go.run_async(4)) == 5


def test_what_no_name_can_be_given_to_is_an_error_of_import_name() -> None:
    for given in (len, Counter().add):
        with pytest.raises(TypeError, match=r"^import_name: what is decorated has to be a method, not \w+ \(write a"):
            vw.import_name("x")(given)
    named = vw.import_name("x")(functools.partial(print))
    with pytest.raises(TypeError, match=r"^import_name: partial has the name 'x' already$"):
        vw.import_name("y")(named)


def test_other_attributes_of_a_class_may_raise_whatever_they_are_asked() -> None:
    class Unbound:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("nothing is bound to this proxy")

        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise RuntimeError("nothing is bound to this proxy")

    class Service:
        request = Unbound()
        _private = Unbound()

        def twice(self, x: int) -> int:
            return 2 * x

    assert list(methods("counter", Service())) == ["twice"]
    assert go(Service(), 4, name="twice", params="i32", result="i32") == 8


def test_results_may_be_quoted_where_annotations_are_source_code() -> None:
    class Quoted:
        def nothing(self, x: "i32") -> "None":  # type: ignore[name-defined]  # noqa: F821, UP037 - that is the point
            pass

    assert go(Quoted(), 1, name="nothing", params="i32") is None
