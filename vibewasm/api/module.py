"""Modules: decoded, checked and, function by function, compiled."""

from __future__ import annotations

import os
from _thread import RLock, get_ident

from .. import load
from ..backends import TARGETS, backend
from ..binary.module_info import FUNC
from ..calls.process import HOST
from ..errors import WasmError, deadlines_here, guest_work
from ..instances.context import ContextLayout, Template
from ..runtime.code_memory import CodeMemory
from .engine import Engine, with_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self, TypeVar

    from typing_extensions import Buffer

    from ..binary.module_info import ModuleInfo
    from ..compiler import Compiler
    from ..compiler.modes.recording import Record
    from ..disasm.model import ModuleListing
    from ..extern_types import ExportType, ImportType
    from ..instances.landings import ModuleLandings
    from .code_cache import KeptModule
    from .source import Source
    from .store import Store

    Result = TypeVar("Result")


_compiler: type[Compiler] | None = None


def _compiler_class(target: str) -> type[Compiler]:
    """The compiler's class. Loading it takes most of the start-up, and not every process compiles."""
    global _compiler
    if _compiler is None:
        _compiler = load(_load_compiler, target)
    return _compiler


def _load_compiler(target: str) -> type[Compiler]:
    from ..compiler import Compiler

    # Reading these attributes loads the backend's modules.
    chosen = backend(target)
    _ = chosen.target, chosen.control, chosen.frames
    return Compiler


#: Stands for an argument that was left out. Which one that is, :func:`.engine.with_engine` finds out.
_LEFT_OUT: Any = ...


class Module:
    """A WebAssembly module in binary form. It may be instantiated any number of times, in any stores of its engine,
    by any thread.

    It can be pickled, which keeps its bytes, its engine's settings, and what a subclass has added: all modules that a
    process unpickles share one engine for each :class:`Config`, and one that unpickles the same module again soon has
    it still.
    Nothing of it can be changed, so a copy is the module itself.

    Making one decodes it and validates everything but function bodies; those are checked and compiled at their first
    call, unless the engine's :attr:`Config.compilation` says otherwise.

    Args:
        engine: whose configuration counts. It may be left out, here and in the class methods: ``Module(source)`` is of
            the engine that :func:`vibewasm.instantiate` uses.
        source: the module's bytes, its text or its path; :mod:`vibewasm.api.source` says which is taken for which.
            :meth:`from_text` and :meth:`from_file` take only one of them.

    Raises:
        TypeError: an argument is of another type.
        OSError: there is no such file, it is no regular file, or it cannot be read.
        WatError: the text is malformed.
        DecodeError: the bytes are no module (core specification, "Binary Format").
        ValidationError: the module is invalid ("Validation"), uses what is not supported, or has more of something than
            the engine's :attr:`Config.limits` allow.
    """

    __slots__ = (
        "_addresses",
        "_code",
        "_compiler",
        "_engine",
        "_export_index",
        "_exported_names",
        "_info",
        "_kept",
        "_landings",
        "_layout",
        "_lock",
        "_lock_owner",
        "_published",
        "_records",
        "_registrations",
        "_starts",
        "_template",
        "_worker",
    )

    def __init__(self, engine: Engine | Source = _LEFT_OUT, source: Source = _LEFT_OUT) -> None:
        engine, source = with_engine("Module", engine, "source", source)
        limits = engine._config.limits
        if type(source) is not bytes or source[:4] != b"\0asm":
            from .source import check_source, read

            if limits is not None:
                check_source(limits, source)
            source = read(source)
        elif limits is not None:
            from ..limits import check_size

            check_size(limits, len(source))
        cache = engine._cache
        kept = None if cache is None else cache.find(source)
        if kept is not None and kept.info is not None:
            self._begin(engine, kept.info, kept)
            try:
                self._take(kept.code, kept.functions)
            except WasmError:
                # There is no room for so much code. What is called of it may fit.
                kept.forget_code()
            # It keeps all of the file, and is in executable memory now.
            kept.code = memoryview(b"")
        else:
            from ..binary.decoder import decode

            self._begin(engine, guest_work(None, "decoding the module", decode, source, engine._features), kept)
        mode = engine.config.compilation
        if mode == "eager":
            self._compile_all()
        elif mode == "lazy-translation":
            self._validate_all()

    def _begin(self, engine: Engine, info: ModuleInfo, kept: KeptModule | None) -> None:
        """Become the module that ``info`` describes, of which nothing is compiled yet.

        Raises:
            ValidationError: it has more of something than the engine's limits allow.
        """
        limits = engine._config.limits
        if limits is not None:
            from .taking import check_whole

            check_whole(limits, info)
        self._engine = engine
        self._info = info
        self._kept = kept
        self._layout = guest_work(None, "decoding the module", ContextLayout, info)
        self._export_index = info.export_index
        self._exported_names: dict[int, str] | None = None
        self._compiler: Compiler | None = None
        self._code: CodeMemory | None = None
        #: Address of each defined function's machine code, 0 before it is compiled.
        self._addresses = [0] * len(info.bodies)
        #: (address, defined function) of what was compiled: in the order of addresses, and what has come since that was
        #: last needed; ``None`` where that was many at once.
        self._starts: list[tuple[int, int]] = []
        self._published: list[tuple[int, int]] | None = []
        #: Where exceptions go that come to its functions, once one has.
        self._landings: ModuleLandings | None = None
        self._records: dict[int, Record] = {}
        #: What observers gave for the functions that they were told of.
        self._registrations: list[object] = []
        #: What instances are copied from, once there is one.
        self._template: Template | None = None
        self._lock = RLock()
        self._lock_owner = os.getpid()
        #: The thread that has the lock, if any: it was the last to do what may take long.
        self._worker = 0

    def _take(self, code: memoryview, functions: list[tuple[int, int, int]]) -> None:
        """Take over machine code: of each function its number, and where in ``code`` it begins and how long it is."""
        if functions:
            base = self._publish(code)
            for defined, offset, _ in functions:
                self._addresses[defined] = base + offset
            self._published = None

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self._engine

    @property
    def info(self) -> ModuleInfo:
        """What the binary says, decoded."""
        return self._info

    @property
    def layout(self) -> ContextLayout:
        """Where instances keep things."""
        return self._layout

    @classmethod
    def from_text(cls, engine: Engine | str | Buffer = _LEFT_OUT, text: str | Buffer = _LEFT_OUT) -> Self:
        """The module of a text, in UTF-8 if it is given as bytes. No file is opened, whatever the text is.

        Raises:
            TypeError, WatError, ValidationError: as making a module does.
        """
        engine, text = with_engine("Module.from_text", engine, "text", text)
        from .source import check_source, from_text

        if engine._config.limits is not None:
            check_source(engine._config.limits, text)
        return cls(engine, from_text(text))

    @classmethod
    def from_file(
        cls, engine: Engine | str | os.PathLike[str] = _LEFT_OUT, path: str | os.PathLike[str] = _LEFT_OUT
    ) -> Self:
        """The module in a file, which holds it as such or as text. A ``str`` is a path, whatever it looks like.

        Raises:
            TypeError, OSError, WatError, DecodeError, ValidationError: as making a module does.
        """
        engine, path = with_engine("Module.from_file", engine, "path", path)
        from .source import check_source, from_file

        if engine._config.limits is not None:
            check_source(engine._config.limits, path, path=True)
        return cls(engine, from_file(path))

    @classmethod
    def validate(cls, engine: Engine | Source = _LEFT_OUT, source: Source = _LEFT_OUT) -> None:
        """Check all of a module, function bodies included. It takes what making a module does.

        Raises:
            TypeError, OSError, WatError, DecodeError, ValidationError: as making a module does.
        """
        engine, source = with_engine("Module.validate", engine, "source", source)
        module = cls(engine, source)
        if engine.config.compilation == "lazy":
            module._validate_all()

    # -- copies and files -------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[object, ...]:
        from .unpickling import unpickled, unpickled_as

        # Not its machine code: unpickling is to be as safe as compiling. A code cache has it where there is one.
        if type(self) is Module:
            return unpickled, (self.info.data, self.engine.config)
        # What a subclass has added is kept, too.
        state = self.__getstate__()
        if isinstance(state, tuple):
            added = {name: value for name, value in state[1].items() if name not in Module.__slots__}
            state = state[0], added
        return unpickled_as, (type(self), self.info.data, self.engine.config), state

    def __copy__(self) -> Self:
        # Nothing of it can be changed.
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def serialize(self) -> bytes:
        """The module with the machine code of all its functions, for :meth:`deserialize`.

        It is machine code for the engine's target, so whoever can change it can do in a process that takes it what they
        like. It fits this version of vibewasm and these settings only.

        Raises:
            DecodeError, ValidationError: a function's body is malformed or invalid.
        """
        from .precompiled import serialized

        with self._guard():
            # Also what is compiled already: that gives the same bytes.
            codes = [
                self._compute(None, "compiling", self.compiler.compile, defined)
                for defined in range(len(self._addresses))
            ]
        return serialized(self.engine, self.info, codes, self.compiler.catching)

    @classmethod
    def deserialize(cls, engine: Engine | Buffer = _LEFT_OUT, data: Buffer = _LEFT_OUT) -> Self:
        """The module that :meth:`serialize` has given. Nothing is compiled and nothing validated: take it from those
        only whom you would let run native programs here.

        Functions that catch exceptions are compiled when they are called if this engine makes other code than the
        file's: on a processor with more extensions, or where memory bounds are checked in another way.

        Raises:
            TypeError: ``data`` is not like bytes.
            WasmError: it is no such thing, it is damaged, or it was made by another version, for another processor or
                with other settings than the engine's.
        """
        engine, data = with_engine("Module.deserialize", engine, "data", data)
        from .precompiled import deserialized
        from .source import from_precompiled

        info, code, functions = deserialized(engine, from_precompiled(data))
        module = cls.__new__(cls)
        module._begin(engine, info, None)
        if engine.target == HOST:
            module._take(code, functions)
        return module

    @classmethod
    def deserialize_file(
        cls, engine: Engine | str | os.PathLike[str] = _LEFT_OUT, path: str | os.PathLike[str] = _LEFT_OUT
    ) -> Self:
        """The module in a file that holds what :meth:`serialize` has given, such as ``vibewasm compile`` makes.

        Raises:
            TypeError, OSError, WasmError: as :meth:`deserialize` and reading a file do.
        """
        engine, path = with_engine("Module.deserialize_file", engine, "path", path)
        from .source import from_precompiled_file

        return cls.deserialize(engine, from_precompiled_file(path))

    # -- what is in it ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The module's name in its name section, if it has one."""
        return self.info.name

    @property
    def imports(self) -> list[ImportType]:
        """What the module imports, in order."""
        from ..extern_types import imports_of

        return guest_work(None, "listing the module's imports", imports_of, self.info)

    @property
    def exports(self) -> list[ExportType]:
        """What the module exports, in order."""
        from ..extern_types import exports_of

        return guest_work(None, "listing the module's exports", exports_of, self.info)

    def func_name(self, index: int) -> str | None:
        """The name of function ``index``, imports counted: from the name section, else of an export; or ``None``.

        Raises:
            TypeError: ``index`` is no int.
        """
        if type(index) is not int:
            from ..arguments import whole

            index = whole("Module.func_name", "index", "the index of a function", index)
        name = self.info.func_names.get(index)
        if name is not None:
            return name
        names = self._exported_names
        if names is None:
            # Of several names the first one counts.
            exported = [(item.index, item.name) for item in self.info.exports if item.kind == FUNC]
            names = self._exported_names = dict(reversed(exported))
        return names.get(index)

    def disassemble(self, *functions: int | str, target: str | None = None, syntax: str | None = None) -> ModuleListing:
        """What functions are compiled to; each listing is made when it is asked for.

        It needs capstone: ``pip install 'vibewasm[disasm]'``.

        Args:
            functions: indices (imports counted) or names of defined functions, as :meth:`func_name` gives them or as
                they are exported; all of them if none is given.
            target: name of another processor to compile for; ``None`` for the engine's own.
            syntax: "intel" or "att", which matters to x86-64 only.

        Raises:
            TypeError: what is given for a function is neither an index nor a name.
            KeyError: there is no function of that name.
            IndexError: the module defines no function of that index.
            ImportError: capstone is not installed.
            ValueError: there is no such target or syntax.
            ValidationError: when a listing is made, the function's body is invalid.
        """
        from ..disasm.build import disassemble, indices_of

        return disassemble(self, indices_of(self, functions), target=target, syntax=syntax)

    def __repr__(self) -> str:
        from ..counting import counted

        name = f" {self.name!r}" if self.name else ""
        return f"<vibewasm.Module{name} with {counted(len(self.info.bodies), 'function')}>"

    # -- compiling --------------------------------------------------------------------------------------------------

    @property
    def compiler(self) -> Compiler:
        """The compiler of this module's functions. It is not for several threads at once."""
        compiler = self._compiler
        if compiler is None:
            compiler = self._compiler = self._new_compiler(self.engine.target)
        return compiler

    def compiler_for(self, target: str | None) -> Compiler:
        """A compiler of this module's functions for a processor; ``None`` for the one that the engine compiles for.

        Raises:
            ValueError: there is no such target.
        """
        if target is None or target == self.engine.target:
            return self.compiler
        if target not in TARGETS:
            raise ValueError(f"there is no target {target!r}; this version compiles for {', '.join(TARGETS)}")
        return self._new_compiler(target)

    def _new_compiler(self, target: str) -> Compiler:
        config = self.engine.config
        return _compiler_class(target)(
            self.info,
            self.layout,
            checked=config.checked,
            fuel=config.fuel,
            explicit_bounds=self.engine.checks_bounds(self.info),
            deterministic=config.deterministic,
            target=target,
        )

    def _guard(self, store: Store | None = None) -> RLock:
        """The lock for compiling. Where another thread has it, this waits as long as the store may, or raises."""
        if self._others_work():
            from .stopping import wait_for

            wait_for(self._lock, store)
        return self._lock

    def _others_work(self) -> bool:
        """Whether another thread may have the lock."""
        # A fork may have copied it while another thread held it, so a child makes its own.
        if self._lock_owner != os.getpid():
            self._lock = RLock()
            self._lock_owner = os.getpid()
            self._worker = 0
        return self._worker not in (0, get_ident())

    def _compute(self, store: Store | None, verb: str, function: Callable[[int], Result], defined: int) -> Result:
        """What the compiler makes of a function's body; whoever calls this has the lock."""
        self._worker = get_ident()
        return guest_work(store, lambda defined: self._words(verb, defined), function, defined)

    def _words(self, verb: str, defined: int) -> str:
        from .places import named

        return f"{verb} {named(self, defined)}"

    def _publish(self, code: bytes | bytearray | memoryview) -> int:
        memory = self._code
        if memory is None:
            memory = self._code = CodeMemory(anonymous=self.engine.config.profile == "perfmap", failure=WasmError)
        if self._engine._config.limits is not None:
            from .taking import check_code

            check_code(self._engine._config.limits, memory.used, len(code))
        return memory.publish(code)

    def _code_address(self, defined: int, store: Store | None) -> int:
        """The address of a defined function's machine code, which is compiled first if need be, for a store."""
        address = self._addresses[defined]
        if not address:
            with self._guard(store):
                address = self._addresses[defined]
                if not address:
                    code = self._compute(store, "compiling", self.compiler.compile, defined)
                    address = self._publish(code)
                    if self.engine._observers:
                        self._announce([(defined, address, len(code))])
                    self._addresses[defined] = address
                    if self._published is not None:
                        self._published.append((address, defined))
                    if self._template is not None:
                        self._template.compiled(defined, address)
                    if self._kept is not None:
                        self._kept.compiled(self, defined, len(code))
        return address

    def _make_template(self, store: Store) -> Template:
        """What instances are copied from, made at the first, for a store."""
        # Nothing is compiled meanwhile, which the template would not know.
        with self._guard(store):
            if self._template is None:
                self._worker = get_ident()
                self._template = guest_work(store, "laying out the module", Template, self)
            return self._template

    def _code_of(self, defined: int, size: int) -> bytes:
        """The machine code of a function that was compiled, ``size`` bytes long."""
        assert self._code is not None
        return self._code.read(self._addresses[defined], size)

    def _announce(self, published: list[tuple[int, int, int]]) -> None:
        """Tell profilers and debuggers of defined functions: number, address and size of each."""
        from ..calls.process import stub_memory
        from ..names import escaped
        from ..runtime.observers import tell_of_stubs

        imported = self.info.imported_funcs
        functions = [
            (escaped(self.func_name(imported + defined) or f"wasm function {imported + defined}"), address, size)
            for defined, address, size in published
        ]
        for observer in self.engine._observers:
            self._registrations.append(observer.published(functions))
            tell_of_stubs(observer, stub_memory())

    def _compile_all(self) -> None:
        import gc

        # What compiling leaves behind is meant to stay: collections on the way would only walk it again and again.
        collecting = gc.isenabled()
        gc.disable()
        try:
            with self._guard():
                self._compile_each()
        finally:
            if collecting:
                gc.enable()

    def _compile_each(self) -> None:
        addresses = self._addresses
        missing: Sequence[int] = range(len(addresses))
        if any(addresses):
            missing = [defined for defined in missing if not addresses[defined]]
        if not missing:
            return
        compile = self.compiler.compile
        # Deadlines are a thread's own: where there are none now, none will come.
        can_be_stopped = deadlines_here and deadlines_here[0]()
        self._worker = get_ident()
        control = backend(self.engine.target).control
        blob = bytearray()
        #: Where each begins, and the last one ends.
        offsets = memoryview(bytearray(8 * len(missing) + 8)).cast("Q")
        for at, defined in enumerate(missing, 1):
            blob += self._compute(None, "compiling", compile, defined) if can_be_stopped else compile(defined)
            blob += control.FILLER * (-len(blob) & control.FUNCTION_ALIGNMENT - 1)
            offsets[at] = len(blob)
        if self.engine.target == HOST:
            base = self._publish(blob)
            for at, defined in enumerate(missing):
                addresses[defined] = base + offsets[at]
            self._published = None
            if self.engine._observers:
                self._announce(
                    [(defined, addresses[defined], offsets[at + 1] - offsets[at]) for at, defined in enumerate(missing)]
                )
            if self._kept is not None:
                for at, defined in enumerate(missing):
                    self._kept.compiled(self, defined, offsets[at + 1] - offsets[at])

    def _validate_all(self) -> None:
        with self._guard():
            validate = self.compiler.validate
            for defined, address in enumerate(self._addresses):
                # What was compiled is valid.
                if not address:
                    self._compute(None, "checking", validate, defined)

    # -- from machine code back to wasm -----------------------------------------------------------------------------

    def _function_at(self, pc: int) -> tuple[int, int] | None:
        """The last defined function whose machine code begins at address ``pc`` or before it: where, and its number."""
        from bisect import bisect_right

        starts = self._starts
        if self._published is None:
            starts = self._starts = sorted(
                (address, defined) for defined, address in enumerate(self._addresses) if address
            )
            self._published = []
        if self._published:
            # Nearly in order, and sorting looks at what is in order once. Nothing is published meanwhile.
            published, self._published = self._published, []
            starts += published
            starts.sort()
        at = bisect_right(starts, (pc, len(self._addresses))) - 1
        return starts[at] if at >= 0 else None

    def _locate(self, pc: int, store: Store, until: float) -> tuple[int, int | None] | None:
        """Function index and byte offset in the module of the instruction whose machine code holds address ``pc``."""
        from .places import located

        return located(self, pc, store, until)

    def _name_of(self, index: int, store: Store, until: float, soon: dict[Module, bool]) -> str | None:
        """The name of a function, if that is found soon: see :func:`.places.func_name`."""
        from .places import func_name

        return func_name(self, index, store, until, soon)
