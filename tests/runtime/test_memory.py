"""Linear memories, blocks, and executable memory."""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import os
import threading
from itertools import pairwise

import pytest

from tests.native import not_emulated
from vibewasm.abi import PAGE_SIZE
from vibewasm.runtime import context, system
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.code_memory import CodeMemory
from vibewasm.runtime.context import StoreBlock
from vibewasm.runtime.linear_memory import GUARDED_RESERVATION, LinearMemory

from .machine import python


def mapping(address: int) -> str:
    """The line of the kernel's list of mappings that has the address."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if low <= address < high:
                return line
    return ""


def descriptor(memory: LinearMemory) -> list[int]:
    return list((ctypes.c_uint64 * 3).from_address(memory.descriptor))


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(("minimum", "maximum"), [(0, None), (0, 0), (1, 1), (1, 3), (5, None), (17, 65536)])
def test_a_memory_has_its_size_and_no_more(minimum: int, maximum: int | None, guarded: bool) -> None:
    memory = LinearMemory(minimum, maximum, guarded)
    size = minimum * PAGE_SIZE
    assert (memory.size, len(memory.view())) == (size, size)
    assert descriptor(memory) == [memory.base, size, memory.reserved]
    assert memory.base % system.PAGE_SIZE == 0
    assert memory.reserved == (
        GUARDED_RESERVATION if guarded else max((65536 if maximum is None else maximum), 1) * PAGE_SIZE
    )
    if size:
        assert " rw-p " in mapping(memory.base)
        assert " rw-p " in mapping(memory.base + size - 1)
        assert memory.view().tobytes().count(0) == size
    if memory.reserved > size:
        assert " ---p " in mapping(memory.base + size)
    memory.close()
    assert memory.size == 0
    memory.close()


@pytest.mark.parametrize("guarded", [True, False])
def test_growing_keeps_the_contents_and_the_place(guarded: bool) -> None:
    memory = LinearMemory(1, 5, guarded)
    base = memory.base
    old = memory.view()
    old[:4] = b"wasm"
    assert memory.grow(0) == 1
    assert memory.grow(2) == 1
    assert memory.grow(3) == -1
    assert memory.grow(-1) == -1
    assert memory.grow(2) == 3
    assert memory.grow(1) == -1
    assert memory.grow(0) == 5
    assert (memory.base, memory.size, descriptor(memory)[1]) == (base, 5 * PAGE_SIZE, 5 * PAGE_SIZE)
    new = memory.view()
    assert new[:5].tobytes() == b"wasm\0"
    new[5 * PAGE_SIZE - 1] = 7
    old[10] = 9
    assert new[10] == 9
    assert len(old) == PAGE_SIZE


def test_a_memory_of_4_gib() -> None:
    memory = LinearMemory(65536)
    view = memory.view()
    assert len(view) == 1 << 32
    view[-1] = 5
    assert memory.grow(1) == -1
    assert memory.grow(0) == 65536
    grown = LinearMemory(0)
    assert grown.grow(65536) == 0
    assert grown.view()[-1] == 0


def test_a_live_view_forbids_closing() -> None:
    memory = LinearMemory(1)
    view = memory.view()
    with pytest.raises(BufferError):
        memory.close()
    view[0] = 1
    assert memory.size == PAGE_SIZE
    view.release()
    memory.close()


def test_a_view_keeps_the_bytes_when_the_memory_object_has_gone() -> None:
    memory = LinearMemory(1)
    view = memory.view()
    del memory
    view[0] = 1
    assert view[0] == 1


def test_the_host_can_limit_a_memory() -> None:
    memory = LinearMemory(1, None, limit=3 * PAGE_SIZE + 5)
    assert memory.grow(3) == -1
    assert memory.grow(2) == 1
    with pytest.raises(MemoryError, match=r"needs 131072 bytes, and the host allows 65536"):
        LinearMemory(2, None, limit=PAGE_SIZE)
    with pytest.raises(MemoryError, match="65537 pages"):
        LinearMemory(65537)


@not_emulated("an emulator notes each page of a reservation")
def test_a_reservation_is_cheap() -> None:
    import timeit

    assert min(timeit.repeat(lambda: LinearMemory(1).close(), number=10, repeat=10)) / 10 < 200e-6


@not_emulated("address space has no limit there")
def test_without_address_space_a_memory_fails_with_advice_and_explicit_bounds_make_do() -> None:
    source = """
import resource
from vibewasm.runtime.linear_memory import LinearMemory
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.RLIM_INFINITY))
try: LinearMemory(1)
except MemoryError as error: print(error)
memory = LinearMemory(1, None, guarded=False)
print(memory.reserved >> 20, memory.grow(100), memory.grow(60000))
memory.view()[-1] = 1
"""
    done = python(source)
    assert done.stderr == ""
    advice, sizes = done.stdout.splitlines()
    assert "have code check bounds explicitly" in advice
    assert sizes == "2048 1 -1"


@not_emulated("address space has no limit there")
def test_address_space_of_memories_that_only_a_cycle_refers_to_is_found() -> None:
    source = """
import gc, resource
from vibewasm.runtime.linear_memory import LinearMemory
gc.disable()
resource.setrlimit(resource.RLIMIT_AS, (40 << 30, resource.RLIM_INFINITY))
for _ in range(20):
    cycle = [LinearMemory(1)]
    cycle.append(cycle)
print("enough")
"""
    done = python(source)
    assert (done.stdout, done.stderr) == ("enough\n", "")


def test_the_next_memory_finds_nothing_of_the_last() -> None:
    for pages in (1, 2, 3, 40):
        for written in (0, 1, 2, 3, 40):
            memory = LinearMemory(written)
            assert memory.grow(1) == written
            memory.view()[:] = b"\xaa" * len(memory.view())
            memory.close()
            memory = LinearMemory(pages)
            size = pages * PAGE_SIZE
            assert memory.view() == bytes(size)
            assert " ---p " in mapping(memory.base + size)
            memory.grow(45)
            assert memory.view() == bytes(size + 45 * PAGE_SIZE)
            memory.close()


def test_a_reservation_is_zeroed_when_it_is_given_back() -> None:
    memory = LinearMemory(1)
    memory.view()[:3] = b"abc"
    base = memory.base
    memory.close()
    assert LinearMemory(0).base == base, "the pool gives the last one first"
    memory = LinearMemory(1)
    memory.view()[:3] = b"abc"
    base = memory.base
    memory.close()
    assert ctypes.string_at(base, 4) == bytes(4)


def test_a_reservation_of_which_a_view_is_in_use_is_not_given_to_another() -> None:
    memory = LinearMemory(1)
    base, view = memory.base, memory.view()[5:]
    with pytest.raises(BufferError):
        memory.close()
    del memory
    others = [LinearMemory(1) for _ in range(60)]
    assert base not in [other.base for other in others]
    view[0] = 1
    assert not any(other.view()[5] for other in others)
    del view
    assert LinearMemory(1).base == base


def test_a_closed_memory_does_not_grow_into_what_others_have() -> None:
    memory = LinearMemory(1)
    memory.close()
    other = LinearMemory(1)
    assert other.base == memory.base
    assert memory.grow(3) == -1
    assert " ---p " in mapping(other.base + PAGE_SIZE)
    with pytest.raises(ValueError, match="closed"):
        memory.view()


def test_few_reservations_are_kept() -> None:
    source = """
from vibewasm.runtime import reservations
from vibewasm.runtime.linear_memory import LinearMemory
before = open("/proc/self/maps").read().count("---p")
memories = [LinearMemory(1) for _ in range(reservations.MOST_KEPT + 4)]
del memories
kept = open("/proc/self/maps").read().count("---p") - before
print(0 < kept <= reservations.MOST_KEPT)
"""
    done = python(source)
    assert (done.stdout, done.stderr) == ("True\n", "")


@not_emulated("address space has no limit there")
def test_nothing_is_kept_where_address_space_has_a_limit() -> None:
    source = """
import resource
from vibewasm.runtime.linear_memory import LinearMemory
def reserved():
    return open("/proc/self/statm").read().split()[0]
before = reserved()
memories = [LinearMemory(1) for _ in range(9)]
for memory in memories[1:]:
    memory.close()
resource.setrlimit(resource.RLIMIT_AS, (80 << 30, resource.RLIM_INFINITY))
memories[0].close()
print(int(reserved()) - int(before) < 1 << 18)
"""
    done = python(source)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("end", ["os._exit(0)", "raise SystemExit"])
def test_a_forked_child_has_a_pool_of_its_own(end: str) -> None:
    source = f"""
import os
from vibewasm.runtime.linear_memory import LinearMemory
memory, kept = LinearMemory(1), LinearMemory(1)
memory.close()
child = os.fork()
if not child:
    mine = LinearMemory(1)
    mine.view()[:5] = b"child"
    kept.view()[:5] = b"child"
    kept.close()
    {end}
assert os.waitpid(child, 0)[1] == 0
mine = LinearMemory(1)
print(bytes(mine.view()[:5]) + bytes(kept.view()[:5]))
"""
    done = python(source)
    assert (done.stdout, done.stderr) == (f"{bytes(10)!r}\n", "")


# -- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, 16, 24, 4096, 65535, 65536, 1 << 20])
def test_a_block_is_zero_aligned_and_at_its_address(size: int) -> None:
    block = Block(size)
    assert block.address % 16 == 0
    assert size <= block.size < size + 16
    assert len(block.bytes) == block.size == 8 * len(block.cells)
    assert not any(block.bytes)
    block.cells[0] = 0x1122334455667788
    block.bytes[block.size - 1] = 9
    raw = (ctypes.c_uint8 * block.size).from_address(block.address)
    assert list(raw[:8]) == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]
    assert raw[block.size - 1] == 9


def test_a_block_that_cannot_be_had_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        Block(1 << 60)


# -- the store block ---------------------------------------------------------------------------------------------------


def test_a_store_block_that_a_finaliser_may_still_use_is_not_given_to_another() -> None:
    import gc

    class Late:
        """The collector finalises what is in a cycle with it as well, in an order of its own."""

        def __init__(self, before: StoreBlock) -> None:
            self.before = before
            self.itself = self
            self.after = StoreBlock()

        def __del__(self) -> None:
            others = [StoreBlock() for _ in range(3)]
            shared.extend({self.before.address, self.after.address} & {block.address for block in others})
            ran.append(True)

    shared: list[int] = []
    ran: list[bool] = []
    late = Late(StoreBlock())
    addresses = {late.before.address, late.after.address}
    del late
    gc.collect()
    assert (ran, shared) == ([True], [])
    # And then it is.
    blocks = [StoreBlock() for _ in range(len(context._pool))]
    assert addresses <= {block.address for block in blocks}


def test_store_blocks_are_reused_zeroed_once_nobody_has_a_view() -> None:
    block = StoreBlock()
    address = block.address
    view = block.cells
    view[context.CELL_FUEL] = 5
    del block
    other = StoreBlock()
    assert other.address != address
    del view
    again = StoreBlock()
    assert again.address == address
    assert again.cells[context.CELL_FUEL] == 0
    assert again.cells[context.CELL_CELLS_TOP] == again.stack_base


def test_the_parts_of_the_store_block_do_not_overlap() -> None:
    from vibewasm import abi

    assert abi.STORE_BUILTINS + 8 * abi.STORE_BUILTIN_COUNT <= abi.STORE_REGISTERS
    assert abi.STORE_REGISTERS + 16 * 8 <= abi.STORE_SIGNAL
    assert abi.STORE_FRAMES + 16 * abi.MAX_FRAMES <= abi.STORE_REAL_LIMIT
    assert abi.STORE_FLOAT_MODE + 8 <= abi.STORE_RESULTS
    assert abi.STORE_RESULTS + 16 * abi.MAX_RESULTS <= abi.STORE_CELLS
    names = [name for name in dir(abi) if name.startswith("STORE_") and not name.endswith(("_SIZE", "_COUNT"))]
    assert len({getattr(abi, name) for name in names}) == len(names)


def test_fuel_is_a_signed_number() -> None:
    block = StoreBlock()
    for value in (0, 1, -1, (1 << 63) - 1, -(1 << 63)):
        block.fuel = value
        assert block.fuel == value


# -- executable memory -------------------------------------------------------------------------------------------------


def test_published_code_can_be_read_and_executed_but_not_written() -> None:
    memory = CodeMemory()
    code = bytes(range(1, 100))
    address = memory.publish(code)
    assert ctypes.string_at(address, len(code)) == code
    assert " r-xs " in mapping(address)
    assert memory.contains(address)
    assert not memory.contains(id(memory))
    # Shared memory is a file to the kernel, and both mappings are of it.
    inode = mapping(address).split()[4]
    with open("/proc/self/maps") as maps:
        modes = {line.split()[1] for line in maps if line.split()[4] == inode}
    assert modes == {"rw-s", "r-xs"}


def test_code_is_aligned_and_does_not_overlap_and_stays() -> None:
    memory = CodeMemory(hint=5000)
    pieces = [bytes([k & 255]) * (k % 97 + 1) for k in range(3000)]
    addresses = [memory.publish(piece) for piece in pieces]
    assert all(address % 16 == 0 for address in addresses)
    large = memory.publish(b"\xcc" * 10_000_000)
    assert ctypes.string_at(large + 9_999_999, 1) == b"\xcc"
    for piece, address in zip(pieces, addresses, strict=True):
        assert ctypes.string_at(address, len(piece)) == piece
    spans = sorted((address, address + len(piece)) for piece, address in zip(pieces, addresses, strict=True))
    assert all(low[1] <= high[0] for low, high in pairwise(spans))


@pytest.fixture(params=["anonymous memory", "a file"])
def where_code_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is in either kind of memory."""
    if request.param == "a file":

        def refuse(size: int, populate: bool = False, made: list[int] | None = None) -> tuple[int, int]:
            raise OSError(errno.EPERM, "as in a sandbox")

        monkeypatch.setattr(system, "_needs_file", [])
        monkeypatch.setattr(system, "map_anonymous_code", refuse)


@pytest.mark.usefixtures("where_code_is")
def test_closing_unmaps() -> None:
    memory = CodeMemory()
    address = memory.publish(b"\0\0\0\0")
    assert " r-xs " in mapping(address)
    memory.close()
    assert " r-xs " not in mapping(address)
    memory.close()


@pytest.mark.usefixtures("where_code_is")
def test_many_engines_do_not_pile_up_mappings_or_file_descriptors() -> None:
    def count() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            return sum("x" in line.split()[1] for line in maps), len(os.listdir("/proc/self/fd"))

    CodeMemory().publish(b"\0\0\0\0")
    before = count()
    # At once, without the collector of cycles.
    gc.disable()
    try:
        for _ in range(100):
            CodeMemory().publish(b"\0\0\0\0")
        assert count() == before
    finally:
        gc.enable()


def test_threads_publish_at_once() -> None:
    memory = CodeMemory(hint=4096)
    found: dict[int, bytes] = {}

    def work(seed: int) -> None:
        for k in range(300):
            code = seed.to_bytes(2, "little") * (k % 50 + 1)
            found[memory.publish(code)] = code

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1200
    for address, code in found.items():
        assert ctypes.string_at(address, len(code)) == code


def test_publishing_from_inside_a_publishing() -> None:
    """A signal handler may compile while the interrupted code publishes: neither may overwrite the other."""
    import signal

    memory = CodeMemory(hint=4096)
    found: dict[int, bytes] = {}

    def publish(byte: int) -> None:
        code = bytes([byte]) * 60
        found[memory.publish(code)] = code

    def interrupt(number: int, frame: object) -> None:
        publish(2)
        # Not before: where publishing takes longer than the time between two signals, they would pile up.
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    try:
        for _ in range(20000):
            publish(1)
    finally:
        # First, so that no handler sets the timer again.
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert sum(code[0] == 2 for code in found.values()) > 3
    for address, code in found.items():
        assert ctypes.string_at(address, 60) == code


def test_the_constants_of_the_system_are_those_that_python_knows() -> None:
    import signal

    assert (system.SIGILL, system.SIGBUS) == (signal.SIGILL, signal.SIGBUS)
    assert (system.SIGFPE, system.SIGSEGV, system.PAGE_SIZE) == (signal.SIGFPE, signal.SIGSEGV, mmap.PAGESIZE)
