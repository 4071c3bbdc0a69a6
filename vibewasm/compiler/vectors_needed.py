"""What is raised where a function turns out to have vectors; loaded when one does."""

from __future__ import annotations


class NeedsVectors(Exception):
    """A function that began without vectors has come upon one: it has to be compiled again, with cells of 16 bytes."""
