"""The store's builtins: functions in Python that machine code calls for instructions that are too rich for it.

Wasm code calls builtin ``n`` through a record whose address is in the store block. Adapter and callback are made at
the first call, as most modules use few builtins or none: until then the records are those that all stores share, whose
code is entries of a lazy table, with numbers far above those of functions.
"""

from __future__ import annotations

from struct import Struct

from ..abi import BUILTINS, FIRST_BUILTIN, HOST_FAILURE, RECORD_CALLBACK, RECORD_CODE, RECORD_SIZE
from ..backends import backend
from ..calls.process import HOST, adapters, stub_memory, stubs
from ..runtime.blocks import Block
from ..runtime.calls import HostCallback, address_of, native_callback
from ..runtime.context import CELL_BUILTINS, CELL_FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..api.store import Store
    from ..runtime.context import StoreBlock

#: Signature of the immediates and operands of each instruction that is a builtin. :mod:`.bulk` has a function for each,
#: named with an underscore for the dot; one with a result returns it, the others a trap's number.
SIGNATURES = {
    "memory.grow": "ii:i",
    "memory.init": "iiiii:",
    "data.drop": "i:",
    "table.init": "iiiii:",
    "elem.drop": "i:",
    "table.copy": "iiiii:",
    "table.fill": "iiri:",
    "table.grow": "iri:i",
}

_FORMATS = {"i": "I4x", "r": "Q"}


class _Records:
    """Function records of all builtins, and pointers to them as a store block has them."""

    __slots__ = ("cells", "pointers")

    def __init__(self, codes: Iterable[int]) -> None:
        block = Block(RECORD_SIZE * len(BUILTINS))
        self.cells = block.cells
        for number, code in enumerate(codes):
            self.cells[RECORD_SIZE * number + RECORD_CODE >> 3] = code
        addresses = [block.address + RECORD_SIZE * number for number in range(len(BUILTINS))]
        self.pointers = memoryview(b"".join([address.to_bytes(8, "little") for address in addresses])).cast("Q")

    def install(self, block: StoreBlock) -> None:
        """Have wasm code of a store find them."""
        block.cells[CELL_BUILTINS : CELL_BUILTINS + len(BUILTINS)] = self.pointers


class _Entries:
    """Machine code that all stores of the process share."""

    __slots__ = ("calls", "lazy")

    def __init__(self) -> None:
        base = stub_memory().publish(stubs.lazy_table(FIRST_BUILTIN, len(BUILTINS)))
        #: What the records are before a store calls one of them.
        size = backend(HOST).processor.LAZY_ENTRY_SIZE
        self.lazy = _Records([base + size * number for number in range(len(BUILTINS))])
        #: By number, once made: what the lazy stub goes on to, which does not know the record.
        self.calls: dict[int, int] = {}


_shared: list[_Entries] = []


def _entries() -> _Entries:
    if not _shared:
        _shared.append(_Entries())
    return _shared[0]


def install(block: StoreBlock) -> None:
    """Before an instance may use builtins: see that its store's block has some."""
    if not block.cells[CELL_BUILTINS]:
        _entries().lazy.install(block)


class Builtins:
    """The builtins of one store that has called some."""

    __slots__ = ("_callbacks", "_cells")

    def __init__(self, store: Store) -> None:
        self._callbacks: dict[int, object] = {}
        records = _Records(_entries().lazy.cells[RECORD_CODE >> 3 :: RECORD_SIZE >> 3])
        self._cells = records.cells
        records.install(store._block)

    def make(self, store: Store, number: int) -> int:
        """Make a builtin, and return the address of code that calls it with the arguments where they are."""
        from . import bulk

        name = BUILTINS[number]
        signature = SIGNATURES[name]
        operation = getattr(bulk, name.replace(".", "_"))
        if store.engine.config.fuel:
            from .fuel import metered_builtin

            operation = metered_builtin(store, name, operation)
        callback = self._callbacks.get(number)
        if callback is None:
            callback = native_callback(HostCallback, _callback(store, signature, operation), store)
            self._callbacks[number] = callback
        at = RECORD_SIZE * number
        self._cells[at + RECORD_CALLBACK >> 3] = address_of(callback)
        self._cells[at + RECORD_CODE >> 3] = adapters().leave(signature, store._keeps)
        calls = _entries().calls
        call = calls.get(number)
        if call is None:
            call = calls[number] = stub_memory().publish(stubs.builtin_call(number))
        return call


def _callback(store: Store, signature: str, operation: Callable[..., int]) -> Callable[[int, int, int], None]:
    params, _, results = signature.partition(":")
    unpack = Struct("=" + "".join([_FORMATS[letter] for letter in params])).unpack_from
    cells, stack, base = store._block.cells, store._block.stack, store._block.stack_base
    words = stack.cast("Q")
    by_context = store._by_context

    def builtin(context: int, argc: int, argv: int) -> None:
        try:
            at = argv - base
            value = operation(by_context[context], *unpack(stack, at))
            if results:
                words[at >> 3] = value & 0xFFFF_FFFF
                value = 0
            # A trap's number makes the machine code raise that trap.
            cells[CELL_FAILED] = value
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = error

    return builtin
