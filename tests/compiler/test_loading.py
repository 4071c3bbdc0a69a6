"""Modules of the compiler that are loaded when something in them is first needed."""

from __future__ import annotations

import builtins
import sys
import types

import pytest

from vibewasm.compiler import instructions


def test_a_module_whose_import_failed_in_another_thread_is_imported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for another thread's import gets the module that it began, also if it fails and that is dropped."""
    name = f"{instructions.__name__}.branches"
    whole = instructions._load("branches")
    unfinished = types.ModuleType(name)
    answers = [unfinished, unfinished]
    import_ = builtins.__import__

    def interrupted(wanted: str, *rest: object, **named: object) -> object:
        if wanted == name and answers:
            return answers.pop()
        return import_(wanted, *rest, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert instructions._load("branches") is whole is sys.modules[name]
    assert not answers
