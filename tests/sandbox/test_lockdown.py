"""The lockdown itself."""

from __future__ import annotations

import threading

import pytest

from vibewasm.sandbox import landlock, lockdown


def test_no_thread_is_left_out_of_the_lockdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this very process, so nothing is put in force if the check is not there."""
    monkeypatch.setattr(landlock, "version", lambda machine: 0)
    monkeypatch.setattr(lockdown, "_filter", lambda *arguments: None)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="a thread was started before the lockdown"):
            lockdown.lock([])
    finally:
        done.set()
        thread.join()


def test_limits_that_are_lower_already_stay() -> None:
    import subprocess
    import sys

    program = (
        "import resource; from vibewasm.sandbox.lockdown import _set_limits\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 30))\n"
        "_set_limits({'NOFILE': 256, 'CPU': 7, 'CORE': 0})\n"
        "print(*(resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in ('NOFILE', 'CPU', 'CORE')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "(30, 30) (7, 8) (0, 0)\n"
