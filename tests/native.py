"""Tests that run machine code of their own, which is for one processor."""

from __future__ import annotations

import os

import pytest


def runs_on(processor: str) -> pytest.MarkDecorator:
    """Skip tests where the machine code that they are made of cannot run."""
    machine = os.uname().machine
    return pytest.mark.skipif(machine != processor, reason=f"machine code of {processor}, and this is {machine}")
