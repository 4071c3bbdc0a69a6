"""What a process has one of: the machine code between Python and wasm, which all engines share."""

from __future__ import annotations

from os import uname

from ..backends import TARGETS, backend
from ..errors import WasmError
from .stubs import KnownStubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..backends.contract import Stubs
    from ..runtime.adapters import Adapters
    from ..runtime.code_memory import CodeMemory

#: The processor that this process runs on.
HOST = uname().machine

#: The machine code of stubs and adapters.
known_stubs = KnownStubs(HOST)
#: The same, as what it stands for.
stubs: Stubs = known_stubs  # type: ignore[assignment]  # whose methods the backend makes

#: What the process has one of, by name, once it was asked for. Two threads may make the first one at the same time, but
#: ``setdefault`` is atomic: both go on with the same, and the other one is dropped before anything refers to it.
_ones: dict[str, Any] = {}
_shared_adapters: Adapters | None = None
_shared_memory: CodeMemory | None = None


def prepare() -> None:
    """Make sure that code can run in this process, and hand each side what it needs of the other: the runtime what is
    this processor's, the backend a way to ask the processor what it can do.

    Raises:
        WasmError: this operating system, processor or Python is not supported.
    """
    if "prepared" in _ones:
        return
    from ..runtime import UnsupportedPlatform, check, system

    if HOST not in TARGETS:
        raise WasmError(f"vibewasm makes machine code for x86-64 and AArch64, and this processor is {HOST!r}")
    try:
        check()
    except UnsupportedPlatform as error:
        raise WasmError(str(error)) from None
    system.call_numbers.update(backend(HOST).processor.CALL_NUMBERS)
    maintenance = stubs.instruction_cache()
    if maintenance:
        from ..runtime.instruction_cache import maintain

        maintain(maintenance)
    backend(HOST).ask = extensions
    _ones["prepared"] = True


def stub_memory() -> CodeMemory:
    """Where stubs and adapters are published. They depend on signatures at most, so all engines of a process share
    them.
    """
    global _shared_memory
    if _shared_memory is None:
        from ..runtime import UnsupportedPlatform, faults
        from ..runtime.code_memory import CodeMemory

        memory = _ones.setdefault("memory", CodeMemory(traps=False, permanent=True, failure=WasmError))
        # Nobody may run code from here before the handler is there, so each thread sees to it.
        try:
            faults.install(stubs.fault_handler, memory, backend(HOST).processor.SIGNAL_CONTEXTS)
        except UnsupportedPlatform as error:
            raise WasmError(str(error)) from None
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            raise WasmError(
                f"there is no room for what handles faults ({error.strerror}): free memory, or raise the limit "
                "(ulimit -v)"
            ) from None
        _shared_memory = memory
    return _shared_memory


def extensions() -> int:
    """Which extensions the processor has that code may use, as bits of the backend's, or 0 where the environment says
    to use none: ``VIBEWASM_CPU=baseline``.

    Raises:
        WasmError: the environment says something else, or executable memory cannot be had.
    """
    if "extensions" in _ones:
        found: int = _ones["extensions"]
        return found
    from os import environ

    from ..runtime.ffi import CFUNCTYPE, c_uint64

    chosen = environ.get("VIBEWASM_CPU", "native")
    if chosen not in ("baseline", "native"):
        raise WasmError(f"VIBEWASM_CPU is {chosen!r}; it has to be 'native' or 'baseline'")
    code = stubs.extensions() if chosen == "native" else b""
    _ones["extensions"] = found = CFUNCTYPE(c_uint64)(stub_memory().publish(code))() if code else 0
    return found


def lowest_stack_pointer(limit: int, size: int) -> int:
    """That at which wasm code may still call, if it may use so many bytes of stack from here on.

    Args:
        limit: the lowest that the thread's own stack allows.
    """
    if "stack pointer" not in _ones:
        from ..runtime.ffi import CFUNCTYPE, c_uint64

        _ones.setdefault("stack pointer", CFUNCTYPE(c_uint64)(stub_memory().publish(stubs.stack_pointer())))
    pointer: int = _ones["stack pointer"]()
    return max(limit, pointer - size)


def adapters() -> Adapters:
    """The machine code between Python and wasm."""
    global _shared_adapters
    if _shared_adapters is None:
        from ..runtime.adapters import Adapters

        _shared_adapters = _ones.setdefault("adapters", Adapters(stub_memory(), stubs, backend(HOST).processor))
    return _shared_adapters
