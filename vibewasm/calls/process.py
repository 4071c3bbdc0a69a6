"""What a process has one of: the machine code between Python and wasm, which all engines share."""

from __future__ import annotations

from os import uname

from ..backends import TARGETS, backend
from ..errors import WasmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..runtime.adapters import Adapters
    from ..runtime.code_memory import CodeMemory

#: The processor that this process runs on.
HOST = uname().machine

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
    from ..runtime import check, system

    if HOST not in TARGETS:
        raise WasmError(f"vibewasm makes machine code for x86-64 and AArch64, and this processor is {HOST!r}")
    try:
        check()
    except RuntimeError as error:
        raise WasmError(str(error)) from None
    host = backend(HOST)
    system.call_numbers.update(host.stubs.CALL_NUMBERS)
    maintenance = host.stubs.instruction_cache()
    if maintenance is not None:
        from ..runtime.instruction_cache import maintain

        maintain(maintenance)
    host.run_code = run_code
    _ones["prepared"] = True


def stub_memory() -> CodeMemory:
    """Where stubs and adapters are published. They depend on signatures at most, so all engines of a process share
    them.
    """
    global _shared_memory
    if _shared_memory is None:
        from ..runtime import faults
        from ..runtime.code_memory import CodeMemory

        memory = _ones.setdefault("memory", CodeMemory(traps=False, permanent=True, failure=WasmError))
        # Nobody may run code from here before the handler is there, so each thread sees to it.
        try:
            stubs = backend(HOST).stubs
            faults.install(stubs.fault_handler, memory, stubs.SIGNAL_CONTEXTS)
        except (OSError, RuntimeError) as error:
            raise WasmError(str(error)) from None
        _shared_memory = memory
    return _shared_memory


def run_code(code: bytes) -> int:
    """The result of machine code of ``u64 f(void)`` that asks the processor for its extensions, or 0 where the
    environment says to use none: ``VIBEWASM_CPU=baseline``.
    """
    from os import environ

    from ..runtime.ffi import CFUNCTYPE, c_uint64

    chosen = environ.get("VIBEWASM_CPU", "native")
    if chosen == "baseline":
        return 0
    if chosen != "native":
        raise WasmError(f"VIBEWASM_CPU is {chosen!r}; it has to be 'native' or 'baseline'")
    result: int = CFUNCTYPE(c_uint64)(stub_memory().publish(code))()
    return result


def adapters() -> Adapters:
    """The machine code between Python and wasm."""
    global _shared_adapters
    if _shared_adapters is None:
        from ..runtime.adapters import Adapters

        _shared_adapters = _ones.setdefault("adapters", Adapters(stub_memory(), backend(HOST).stubs))
    return _shared_adapters
