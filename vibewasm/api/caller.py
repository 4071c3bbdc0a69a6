"""Who calls a Python function: what a function that is defined with ``caller=True`` gets before its arguments."""

from __future__ import annotations

from ..errors import WasmError, not_copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never

    from typing_extensions import Buffer

    from .func import Func
    from .instance import Exports, Instance
    from .memory import Memory
    from .store import Store

#: Bytes in which the end of a string is looked for at first; then twice as many, and so on.
_FIRST_CHUNK = 256


class Caller:
    """The instance whose code called a Python function, as the function's first argument where it was defined with
    ``caller=True``. It stays good as long as the store.

    Addresses and sizes are numbers of 32 bits, and may be given as they arrive: as an i32, which is negative from 2**31
    on.

    Attributes:
        store: the store that the function runs in.
        instance: the instance, or ``None`` where Python code called the function through its
            :class:`~vibewasm.Func`. What an instance is needed for raises :class:`WasmError` then.
    """

    __slots__ = ("instance", "store")

    store: Store
    instance: Instance | None

    __reduce_ex__ = not_copied

    def __init__(self, *arguments: Never, **named: Never) -> None:
        raise TypeError("a Caller is what a function that is defined with caller=True is given; it cannot be made")

    @property
    def exports(self) -> Exports:
        """What the calling instance exports."""
        return self._called().exports

    @property
    def memory(self) -> Memory:
        """The caller's memory: its export ``memory``, else its first memory, exported or not.

        Raises:
            WasmError: it has none, or Python code was the caller.
        """
        memory = self._called()._main_memory()
        if memory is None:
            raise WasmError("the module that called this function has no memory")
        return memory

    def _called(self) -> Instance:
        instance = self.instance
        if instance is None:
            raise WasmError("this function was called by Python code, not by that of an instance")
        return instance

    def read(self, pointer: int, size: int) -> bytes:
        """``size`` bytes of the caller's memory from ``pointer`` on.

        Raises:
            IndexError: they lie outside the memory.
            WasmError: as :attr:`memory`.
        """
        return self.memory.read(_unsigned("read", "pointer", pointer), _unsigned("read", "size", size))

    def write(self, pointer: int, data: Buffer) -> None:
        """Write the bytes of ``data`` to the caller's memory from ``pointer`` on.

        Raises:
            IndexError: they do not fit in the memory.
            WasmError: as :attr:`memory`.
        """
        self.memory.write(_unsigned("write", "pointer", pointer), data)

    def read_str(self, pointer: int, size: int) -> str:
        """The text whose UTF-8 are the ``size`` bytes from ``pointer`` on.

        Raises:
            IndexError, WasmError: as :meth:`read`.
            UnicodeDecodeError: they are no UTF-8.
        """
        data = self.memory.read(_unsigned("read_str", "pointer", pointer), _unsigned("read_str", "size", size))
        return data.decode()

    def read_cstr(self, pointer: int) -> str:
        """The text that begins at ``pointer`` and ends before the next byte that is 0, in UTF-8.

        Raises:
            IndexError: the memory ends before such a byte.
            UnicodeDecodeError: the bytes are no UTF-8.
            WasmError: as :attr:`memory`.
        """
        memory = self.memory
        start = at = _unsigned("read_cstr", "pointer", pointer)
        size = memory.size
        chunk = _FIRST_CHUNK
        parts = []
        while at < size:
            part = memory.read(at, min(chunk, size - at))
            end = part.find(0)
            if end >= 0:
                parts.append(part[:end])
                return b"".join(parts).decode()
            parts.append(part)
            at += len(part)
            chunk *= 2
        if start >= size:
            raise IndexError(f"{start} is outside the memory of {size} bytes")
        raise IndexError(f"the memory of {size} bytes ends before the text that begins at {start} does")

    def __repr__(self) -> str:
        return f"<vibewasm.Caller: {self.instance if self.instance is not None else 'Python code'}>"


def start(instance: Instance, function: Func) -> None:
    """Call an imported function that is the start function of an instance, which is its caller then."""
    kept = function._keep
    # What only a Python function that is given its caller keeps.
    callers = kept[1][0] if isinstance(kept, tuple) and isinstance(kept[1], tuple) else None
    if callers is None:
        function()
        return
    callers.starting = instance
    try:
        function()
    finally:
        callers.starting = None


class Callers(dict[int, Caller]):
    """The callers of one function: a store's instances by the addresses of their contexts, made when they are met.

    Attributes:
        starting: the instance whose start function the function is that is about to be called.
    """

    __slots__ = ("_store", "starting")

    def __init__(self, store: Store) -> None:
        self._store = store
        self.starting: Instance | None = None

    def __missing__(self, context: int) -> Caller:
        store = self._store
        caller = Caller.__new__(Caller)
        caller.store = store
        caller.instance = store._by_context.get(context)
        if caller.instance is None:
            # Python's calls come from a context that is no instance's.
            caller.instance, self.starting = self.starting, None
        else:
            self[context] = caller
        return caller


def _unsigned(method: str, parameter: str, value: int) -> int:
    """An address or size, given as unsigned or as the i32 with the same bits."""
    if type(value) is not int:
        from ..arguments import whole

        value = whole(f"Caller.{method}", parameter, "a number of bytes", value)
    return value + (1 << 32) if -(1 << 31) <= value < 0 else value
