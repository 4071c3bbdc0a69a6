"""The one-pass compiler: validates a function body and emits machine code for it in a single reading."""

from .module import Compiler

__all__ = ["Compiler"]
