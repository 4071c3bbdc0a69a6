"""What tests have to know of the machine that they run on."""

from __future__ import annotations

import os

import pytest

#: The processor that this is, and the other one that code is made for.
HOST = os.uname().machine
OTHER = "aarch64" if HOST == "x86_64" else "x86_64"

#: Whether this Python runs in an emulator of another processor, as ``tools/arm64.py`` does it.
EMULATED = "VIBEWASM_EMULATED" in os.environ


def runs_on(processor: str) -> pytest.MarkDecorator:
    """Skip tests where the machine code that they are made of cannot run."""
    return pytest.mark.skipif(HOST != processor, reason=f"machine code of {processor}, and this is {HOST}")


def not_emulated(reason: str) -> pytest.MarkDecorator:
    """Skip tests of what emulators do not do as the kernel or the processor does, or not in any reasonable time."""
    return pytest.mark.skipif(EMULATED, reason=f"not in an emulator: {reason}")


#: For tests whose forked children start threads: qemu ends such a child by an assertion (``cpu == current_cpu``).
needs_threads_in_children = not_emulated("a forked child that starts a thread is ended by an assertion there")
