"""Calls between Python and machine code: their prototypes, how much stack they may use, and what ctypes swallows.

An exception can come up in a callback before its first line runs, outside any ``try``: CPython looks for signals when
it enters a function, so whatever a signal's handler raises is raised there, and entering the function may be one call
too deep. ctypes cannot pass an exception through machine code, so it hands it to ``sys.unraisablehook`` and returns.
Machine code notices, since the callback has not cleared the store's "failed" cell; the hook that is put in place here
leaves the exception with the callback's owner, so that it can be raised again outside. Whose callback it was is known
from the function itself, which the hook is told (or, since CPython 3.13, from its address in the message).

Where the recursion limit is reached, CPython cannot call the hook either, and nothing is left of the exception: then
:func:`lost_exception` finds out that this is so.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal is made of; it is there from the start
import _thread
import sys
from _weakref import ref

from . import faults, system
from .ffi import CFUNCTYPE, c_size_t, c_uint64, c_void_p, code_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    UnraisableHook = Callable[[Any], Any]

    class Owner(Protocol):
        """Whose callbacks are watched."""

        #: The exception with which a callback failed.
        _pending: BaseException | None


#: ``f(context, argc, argv)``, all ints: host functions, and the poll callback, whose argc is the interrupt word.
HostCallback = CFUNCTYPE(None, c_size_t, c_size_t, c_size_t)
PollCallback = HostCallback
#: ``f(context, defined function, 0) -> code address``.
LazyCallback = CFUNCTYPE(c_size_t, c_size_t, c_size_t, c_size_t)
#: An ``enter`` adapter; without argument types, since prebuilt arguments are converted fastest (:func:`argument`).
EnterFunction = CFUNCTYPE(c_uint64)

#: Makes the argument of an ``enter`` adapter from an int. Calling with such objects takes half the time of calling with
#: ints and declared argument types. A bare int must never be passed: ctypes would cut it to 32 bits.
argument = c_void_p.from_param

#: Address of the machine code of a callback; it is good as long as the callback object lives.
address_of = code_address


# -- what ctypes swallows ----------------------------------------------------------------------------------------------

#: Who is to get what ctypes swallows at the entry of a function that native callbacks call. Entries go with functions.
_owners: dict[ref[Callable[..., object]], ref[Owner]] = {}
_forget = _owners.pop
_FunctionType = type(code_address)


def native_callback(
    prototype: Callable[[Callable[..., object]], Any], function: Callable[..., object], owner: Owner
) -> Any:
    """The native callback of a Python function. Exceptions that are raised before its first line become the owner's
    pending exception.

    Args:
        prototype: one of the callback types.
        function: a function made by ``def``, which no other callback is made of.
        owner: it must live as long as machine code calls the callback.

    Raises:
        WasmError: there is no executable memory for it.
    """
    _owners[ref(function, _forget)] = ref(owner)
    try:
        return prototype(function)
    except MemoryError:
        from ..errors import WasmError

        raise WasmError(
            "there is no executable memory for a callback: ctypes (libffi) takes it by mmap(PROT_EXEC); free memory, "
            "or allow that in the sandbox that this process runs in (its seccomp profile)"
        ) from None


def _owner_of(unraisable: Any) -> Owner | None:
    """Whose callback failed, or ``None`` where it is somebody else's, or something else."""
    message = unraisable.err_msg
    if message is None or "ctypes callback function" not in message:
        return None
    function = unraisable.object
    if function is not None:
        if type(function) is not _FunctionType:
            return None
        owner = _owners.get(ref(function))
        return owner() if owner is not None else None
    # The message ends with the function's representation: "<function NAME at 0xADDRESS>".
    try:
        address = int(message.rpartition(" at 0x")[2].rstrip(">"), 16)
    except ValueError:
        return None
    for reference in [*_owners]:
        function = reference()
        if function is not None and id(function) == address:
            owner = _owners.get(reference)
            return owner() if owner is not None else None
    return None


def _hook(below: UnraisableHook) -> UnraisableHook:
    """A hook that keeps what our own callbacks raised, and leaves the rest to the hook below.

    Each has its own, so a hook that came in between, and calls ours, is not called again by it.
    """

    def catch(unraisable: Any) -> None:
        owner = _owner_of(unraisable)
        if owner is None:
            below(unraisable)
        else:
            error = unraisable.exc_value
            owner._pending = error if error is not None else unraisable.exc_type()

    return catch


_CODE = _hook(sys.unraisablehook).__code__


def _hook_is_ours() -> bool:
    return getattr(sys.unraisablehook, "__code__", None) is _CODE


def watch_swallowed() -> None:
    """Put a hook in place, above another one that has come since."""
    if not _hook_is_ours():
        sys.unraisablehook = _hook(sys.unraisablehook)


def _nested() -> list[Any]:
    nested: list[Any] = []
    for _ in range(20):
        nested = [nested]
    return nested


#: Comparing these takes more nested calls in C than calling a callback does. They are equal, and two.
_DEEP = (_nested(), _nested())


def lost_exception() -> BaseException:
    """What to raise where a callback failed before its first line, and the hook was not told with what.

    To be called in the function that called machine code, or one that it calls.
    """
    ours = _hook_is_ours()
    watch_swallowed()
    try:
        _ = _DEEP[0] == _DEEP[1]
    except RecursionError:
        return RecursionError("maximum recursion depth exceeded while wasm code called a Python function")
    why = "memory is short, or a second signal came at the same moment" if ours else "sys.unraisablehook was replaced"
    message = (
        f"a Python function that wasm code called failed before its first line; with what is not known, since {why}"
    )
    from os import getpid

    # Signals' handlers run in the main thread only, and by far the most that raise are those of Ctrl-C.
    in_main_thread = _thread.get_native_id() == getpid()
    return KeyboardInterrupt(message) if in_main_thread else RuntimeError(message)


# -- the stack ---------------------------------------------------------------------------------------------------------

#: Bytes below the limit that are kept for Python callbacks and signal handlers.
STACK_RESERVE = 256 * 1024
#: A stack that is too small for that keeps this part of itself, in quarters.
_STACK_PART = 3
#: The least stack that wasm code runs on, in bytes. On a smaller one no callback could load a module.
_LEAST_STACK = 64 * 1024

_local = _thread._local()
#: The identity of the thread in which CPython calls the handlers of signals, once it has run wasm code; 0 where signals
#: are none of this interpreter's business.
signals_thread = [0]
_prepared: list[bool] = []


def stack_limit() -> int:
    """The lowest stack pointer at which wasm code of the calling thread may still call.

    At its first call in a thread it makes the thread ready to run wasm code.

    Raises:
        UnsupportedPlatform: the bounds of the stack cannot be had, or the system refuses what is needed.
    """
    try:
        return _local.limit  # type: ignore[no-any-return]  # a thread-local's attributes are untyped
    except AttributeError:
        faults.let_through()
        if not _prepared:
            _prepared.append(True)
            system.at_fork(_note_signals_thread)
        _note_signals_thread()
        low, end = system.stack_bounds()
        if end - low < _LEAST_STACK:
            from . import UnsupportedPlatform

            raise UnsupportedPlatform(
                f"the stack of this thread has {end - low} bytes, and wasm code takes at least {_LEAST_STACK}: call "
                "threading.stack_size with as many, or more, before the thread is made"
            ) from None
        # The lowest page may be a guard page.
        _local.limit = limit = low + system.PAGE_SIZE + min(STACK_RESERVE, (end - low) // 4 * _STACK_PART)
        return limit


def _note_signals_thread() -> None:
    """Note the calling thread if it is the one that handles signals; in a forked child the only thread does."""
    try:
        # No descriptor can have this number. CPython looks first whether this is the main thread of the main
        # interpreter, and that is all we want to know.
        _signal.set_wakeup_fd(-2)
    except ValueError:
        pass
    except OSError:
        signals_thread[0] = _thread.get_ident()
