"""Calls between Python and machine code: their prototypes, how much stack they may use, and what ctypes swallows.

An exception can come up in a callback before its first line runs: CPython looks for signals when it enters a function,
so ``KeyboardInterrupt`` is raised there, outside any ``try``. ctypes cannot pass an exception through machine code, so
it hands it to ``sys.unraisablehook`` and returns. Machine code notices, since the callback has not cleared the store's
"failed" cell; what was raised is caught here, so that it can be raised again outside.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal is made of; it is there from the start
import _thread
import sys

from . import faults, system
from .ffi import CFUNCTYPE, c_size_t, c_uint64, c_void_p, code_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    UnraisableHook = Callable[[Any], Any]

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

#: Packages whose functions are passed to the callback types here: what other callbacks of the process raise is left
#: alone.
callback_packages = {__name__.partition(".")[0]}

#: What ctypes swallowed, by thread.
_swallowed: dict[int, BaseException] = {}
_others: list[UnraisableHook] = []


#: Address of the machine code of a callback; it is good as long as the callback object lives.
address_of = code_address


def _catch(unraisable: Any) -> None:
    """The hook: keep what one of our own callbacks raised, and leave the rest to whoever was there before."""
    error = unraisable.exc_value
    traceback = unraisable.exc_traceback
    if (
        traceback is not None
        and "ctypes callback function" in (unraisable.err_msg or "")
        and traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] in callback_packages
    ):
        _swallowed[_thread.get_ident()] = error
    else:
        _others[-1](unraisable)


def watch_swallowed() -> None:
    """Put the hook in place, above another one that has come since."""
    hook = sys.unraisablehook
    if hook is not _catch:
        _others[:] = [hook]
        sys.unraisablehook = _catch


def take_swallowed() -> BaseException | None:
    """What ctypes swallowed last of this thread's callbacks, once."""
    return _swallowed.pop(_thread.get_ident(), None)


# -- the stack ---------------------------------------------------------------------------------------------------------

#: Bytes below the limit that are kept for Python callbacks and signal handlers.
STACK_RESERVE = 256 * 1024
#: A stack that is too small for that keeps this part of itself.
_STACK_PART = 2

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
        # The lowest page may be a guard page.
        _local.limit = limit = low + system.PAGE_SIZE + min(STACK_RESERVE, (end - low) // _STACK_PART)
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
