"""Work in a thread of its own while this one goes on. Loaded only for large modules."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def begin(work: Callable[[], Result]) -> Callable[[], Result]:
    """Begin work in another thread; where there can be no more threads, it is done at once.

    Returns:
        A function, to be called once: it waits for the work, and returns what that has returned or raises what it has
        raised.
    """
    results: list[Result] = []
    errors: list[BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.release()

    def wait() -> Result:
        with done:
            for error in errors:
                raise error
            return results[0]

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:
        run()
    return wait
